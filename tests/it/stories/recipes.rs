//! Each recipe of the documents, and what the README begins with, run as it stands there: `check` finds nothing wrong, and
//! its builds arrive.

use super::world::{Story, revision};
use crate::cli::{said, tagrelay};
use serde_yaml::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tagrelay::clients::http::{self, Transport};
use tagrelay::config;
use tagrelay::sandbox::registry::{Auth, ImageSpec, ecr};
use tagrelay::server::{self, Server};
use tokio_util::sync::CancellationToken;

/// The hosts of registries that recipes name; the sandbox's stands in for each.
const REGISTRIES: [&str; 3] =
    ["registry.example.com", "\"localhost:5001\"", "123456789012.dkr.ecr.eu-west-1.amazonaws.com"];
const README: &str = include_str!("../../../README.md");
const NOTIFICATIONS: &str =
    include_str!("../../../docs/recipes/gitlab-deployments-from-argo-cd/argo-cd/notifications.yaml");

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/recipes").join(name)
}

/// The files below a folder with their texts, by their paths from there.
fn files(root: &Path, below: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(below).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(root, &path));
        } else {
            let name = path.strip_prefix(root).expect("below").to_str().expect("a path").to_owned();
            found.push((name, std::fs::read_to_string(&path).expect("a text")));
        }
    }
    found
}

/// A text of a recipe with the sandbox's registry, read every second.
fn here(text: &str) -> String {
    let mut text = text.replace("localhost:5001/", "REGISTRY/");
    for host in REGISTRIES {
        text = text.replace(host, "REGISTRY");
    }
    let polls: Vec<&str> = text.lines().filter(|line| !line.starts_with("poll: ")).collect();
    let text = polls.join("\n") + "\n";
    text.replace("apiVersion: tagrelay/v1\n", "apiVersion: tagrelay/v1\npoll: 1s\n")
}

/// The world of a recipe, with its repository and its configuration; only addresses are others.
async fn recipe(name: &str) -> Story {
    let deploys = folder(name).join("deploys");
    let mut all: Vec<(String, String)> =
        files(&deploys, &deploys).into_iter().map(|(path, text)| (path, here(&text))).collect();
    let at = all.iter().position(|(path, _)| path == "policies/shop.yaml").expect("a policy");
    let (_, policy) = all.swap_remove(at);
    let borrowed: Vec<(&str, &str)> = all.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let mut story = Story::new(&policy, &borrowed).await;
    let configuration = std::fs::read_to_string(folder(name).join("tagrelay.yaml")).expect("a configuration");
    story.config = configured(&configuration, &story);
    story
}

/// A configuration with the addresses, secrets and journal of the sandbox.
fn configured(text: &str, story: &Story) -> String {
    let (home, host) = (story.home.path(), story.world.registry.host());
    for secret in ["git", "gitlab", "alice", "argocd", "pull", "push"] {
        let text = if secret == "gitlab" { "glpat-test".to_owned() } else { format!("the long token of {secret}") };
        std::fs::write(home.join(secret), text).expect("written");
    }
    let text = here(text)
        .replace("  REGISTRY: {", &format!("  \"{host}\": {{ plain_http: true,"))
        .replace("plain_http: true, plain_http: true", "plain_http: true")
        .replace("REGISTRY", &host)
        .replace("/run/secrets/tagrelay/", &format!("{}/", home.display()))
        .replace("/var/lib/tagrelay/journal.db", &home.join("journal.db").display().to_string())
        .replace(
            "\"https://gitlab.example.com/group/deploys.git\"",
            &format!("\"{}\", plain_http: true", story.deploys.url()),
        )
        .replace("\"https://gitlab.example.com\"", &format!("\"{}\", plain_http: true", story.world.gitlab.face.url()));
    let plain = format!("registries:\n  \"{host}\": {{ plain_http: true }}\n");
    if text.contains("\nregistries:") { text } else { text + &plain }
}

/// Approves what waits before an environment.
async fn approve(story: &Story, environment: &str) {
    story.until_why(environment, "ApprovalsMissing").await;
    story.approve("alice", environment).await.expect("approved");
}

/// Posts to the daemon's API as it stands in the configuration of this story; returns the status of the answer.
async fn post(story: &Story, path: &str, headers: &[(String, String)], body: String) -> u16 {
    let text = story.config.clone();
    let config = config::load(Path::new("tagrelay.yaml"), &|_| Ok(text.clone()));
    let config = config.unwrap_or_else(|errors| panic!("{}", errors.render(false)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}{path}", listener.local_addr().expect("an address"));
    let server = Server::new(story.handle().clone(), config.server.access, Arc::new(String::new));
    let stop = CancellationToken::new();
    tokio::spawn(server::serve(listener, server, stop.clone()));
    let client = http::client(&Transport { plain_http: true, ..Transport::default() }).expect("a client");
    let request = headers.iter().fold(client.post(url), |request, (name, value)| request.header(name, value));
    let status = request.body(body).send().await.expect("an answer").status().as_u16();
    stop.cancel();
    status
}

/// Posts what argocd-notifications sends by the recipe's templates once this environment's commit is applied; returns the
/// status of the answer.
async fn notify(story: &Story, template: &str, environment: &str) -> u16 {
    let commit = story.log().await.first().expect("a commit").sha.clone();
    let map: Value = serde_yaml::from_str(NOTIFICATIONS).expect("YAML");
    let data = |key: &str| -> Value {
        serde_yaml::from_str(map["data"][key].as_str().unwrap_or_else(|| panic!("no {key}"))).expect("YAML")
    };
    let request = data(&format!("template.{template}"))["webhook"]["tagrelay"].clone();
    let filled = |text: &Value| {
        let text = text.as_str().expect("a text");
        let text = text
            .replace("{{.app.status.operationState.syncResult.revision}}", &commit)
            .replace("{{index .app.metadata.annotations \"tagrelay/policy\"}}", "shop")
            .replace("{{index .app.metadata.annotations \"tagrelay/environment\"}}", environment)
            .replace("{{.app.metadata.name}}", "shop")
            .replace("{{.app.status.health.status}}", "Degraded")
            .replace("{{.app.status.operationState.phase}}", "Succeeded");
        assert!(!text.contains("{{"), "{text}");
        text
    };
    assert_eq!(request["method"].as_str(), Some("POST"));
    let token = std::fs::read_to_string(story.home.path().join("argocd")).expect("a token");
    let header = |header: &Value| {
        let value = header["value"].as_str().expect("a value").replace("$tagrelay-token", &token);
        (header["name"].as_str().expect("a name").to_owned(), value)
    };
    let service = data("service.webhook.tagrelay");
    let headers: Vec<_> = service["headers"].as_sequence().expect("headers").iter().map(header).collect();
    post(story, &filled(&request["path"]), &headers, filled(&request["body"])).await
}

/// The parts of the README between these lines of code fences, in order.
fn fenced(language: &str) -> Vec<&'static str> {
    let opening = format!("```{language}\n");
    let rest = README.split(opening.as_str()).skip(1);
    rest.map(|part| part.split("```").next().expect("an end")).collect()
}

/// The text between two others.
fn between<'t>(text: &'t str, before: &str, after: &str) -> &'t str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("no `{before}` in {text}"));
    rest.split_once(after).unwrap_or_else(|| panic!("no `{after}` in {rest}")).0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_policy_of_the_readme_works_with_its_configuration_and_its_curl() {
    let (policy, configuration) = (fenced("yaml")[0], fenced("yaml")[1]);
    let curl = fenced("sh").into_iter().find(|it| it.starts_with("curl -X POST")).expect("a request");
    let kustomization = "images:\n  - name: REGISTRY/team/shop\n    newTag: 1.0.0\n";
    let overlays =
        [("overlays/dev/kustomization.yaml", kustomization), ("overlays/prod/kustomization.yaml", kustomization)];
    let mut story = Story::new(&here(policy), &overlays).await;
    let mut text = configuration.replace("/run/secrets/gitlab", "/run/secrets/tagrelay/gitlab");
    for (variable, file) in
        [("GIT_TOKEN", "git"), ("ALICE", "alice"), ("ARGO_HOOK", "argocd"), ("HARBOR_SECRET", "pull")]
    {
        let (env, file) = (format!("{{ env: {variable} }}"), format!("{{ file: /run/secrets/tagrelay/{file} }}"));
        assert!(text.contains(&env), "{variable}");
        text = text.replace(&env, &file);
    }
    story.config = configured(&text, &story);
    story.push_image("team/shop", "1.1.0", 1);
    story.start().await;
    story.until_state("dev", "progressing").await;
    let commit = story.log().await[0].sha.clone();
    let path = between(curl, "https://tagrelay.example.com", " \\");
    let body = between(curl, "-d '", "'").replace("<the GitOps commit that was synced>", &commit);
    let token = std::fs::read_to_string(story.home.path().join("argocd")).expect("a token");
    let mut headers = Vec::new();
    for header in curl.split("-H ").skip(1) {
        let (name, value) =
            header.get(1..).and_then(|rest| rest.split(['"', '\'']).next()?.split_once(": ")).expect("a header");
        headers.push((name.to_owned(), value.replace("$TOKEN", &token)));
    }
    assert_eq!(post(&story, path, &headers, body).await, 200);
    story.until_state("dev", "verified").await;
    story
        .until("GitLab is told", || async { story.told("group/shop", "development") == [["running", "success"]] })
        .await;
    story.wait(std::time::Duration::from_secs(60 * 60));
    approve(&story, "prod").await;
    story.until_written("overlays/prod/kustomization.yaml", "newTag: 1.1.0").await;
    story.stop().await;
}

#[test]
fn nothing_is_wrong_in_any_recipe() {
    let index = std::fs::read_to_string(folder("README.md")).expect("an index");
    let home = tempfile::tempdir().expect("a directory");
    let mut n = 0;
    for entry in std::fs::read_dir(folder("")).expect("a folder") {
        let path = entry.expect("an entry").path();
        if !path.is_dir() {
            continue;
        }
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
        assert!(index.contains(&format!("[{name}]({name}/README.md)")), "the index does not name {name}");
        let (config, policies) = (path.join("tagrelay.yaml"), path.join("deploys/policies"));
        let mut check = tagrelay(home.path(), ["check", "--config"]);
        let done = said(check.arg(config).arg(policies), "");
        assert_eq!((done.code, done.err.as_str()), (Some(0), ""), "{name}: {}", done.out);
        n += 1;
    }
    assert_eq!(n, 9);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn moving_tags_travel_as_digests_and_are_moved() {
    let mut story = recipe("moving-tags-with-argo-cd").await;
    let digest = story.push_image("team/shop", "dev", 1);
    story.start().await;
    for environment in ["dev", "staging", "prod"] {
        if environment == "prod" {
            approve(&story, environment).await;
        }
        let file = format!("charts/shop/values-{environment}.yaml");
        story.until_written(&file, &digest).await;
        story.until_state(environment, "progressing").await;
        assert_eq!(notify(&story, "tagrelay-healthy", environment).await, 200);
        story.until_state(environment, "verified").await;
        assert!(story.file(&file).await.contains(&format!("# What differs in {environment}.\nreplicas:")));
    }
    for tag in ["staging", "prod"] {
        assert_eq!(story.world.registry.digest_of("team/shop", tag).as_ref(), Some(&digest));
    }
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_branch_takes_the_builds_of_its_own_source_branch() {
    let mut story = recipe("short-sha-and-branches").await;
    let build = |n: u32, branch: &str| {
        let sha = format!("{:08x}{n:032x}", 0xa000_0000 + n);
        story.shop.add_commit(&sha, branch);
        let spec = ImageSpec::new(&sha, &format!("2026-01-01T00:{n:02}:00Z")).revision(&sha);
        story.world.registry.push_image("team/shop", &sha[..8], &spec).expect("pushed");
        sha[..8].to_owned()
    };
    let (dev, staging, main) = (build(3, "dev"), build(2, "staging"), build(1, "main"));
    story.start().await;
    let file = "overlays/current/kustomization.yaml";
    for (branch, tag) in [("dev", &dev), ("staging", &staging)] {
        let is_there =
            || async { story.deploys.read(branch, file).await.ok().flatten().is_some_and(|it| it.contains(tag)) };
        story.until(&format!("{branch} holds {tag}"), is_there).await;
    }
    let log = story.deploys.log("dev").await.expect("a log");
    assert_eq!(log[0].message.lines().next(), Some(&*format!("[skip ci] DEV image update: shop 00000000 -> {dev}")));
    let shown = || async {
        let view = story.view("prod").await;
        view.is_some_and(|view| view.candidate.is_some_and(|release| release.tags == main))
    };
    story.until("prod shows what would come", shown).await;
    assert!(story.why("prod").await.contains(&"NotAutomatic".to_owned()), "{:?}", story.why("prod").await);
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gitlab_is_told_what_argo_cd_says() {
    let mut story = recipe("gitlab-deployments-from-argo-cd").await;
    story.push_image("team/shop", "1.1.0", 1);
    story.start().await;
    story.until_state("dev", "progressing").await;
    assert_eq!(notify(&story, "tagrelay-healthy", "dev").await, 200);
    let told = || async {
        story.told("group/shop", "development") == [["running", "success"]]
            && story.told("group/deploys", "shop/dev") == [["running", "success"]]
    };
    story.until("GitLab shows both commits", told).await;
    assert_eq!(story.world.gitlab.deployments("group/shop")[0].sha, revision(1));
    story.push_image("team/shop", "1.2.0", 2);
    story.until_state("dev", "progressing").await;
    assert_eq!(notify(&story, "tagrelay-failed", "dev").await, 200);
    story.until_state("dev", "failed").await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn images_that_move_together_are_written_together() {
    let mut story = recipe("monorepo").await;
    story.push_image("mono/web", "1.1.0", 1);
    story.push_image("mono/shop", "1.2.0", 2);
    story.start().await;
    story.until_written("apps/shop/dev/kustomization.yaml", "newTag: 1.2.0").await;
    let web = "apps/web/dev/kustomization.yaml";
    assert!(!story.file(web).await.contains("1.1.0"), "one image alone makes no release");
    story.push_image("mono/web-migrations", "1.1.0", 1);
    story.until_written(web, "newTag: 1.1.0").await;
    assert_eq!(story.file(web).await.matches("newTag: 1.1.0").count(), 2);
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_in_ecr_reaches_production_and_is_kept() {
    let story = recipe("ecr-on-eks").await;
    let registry = &story.world.registry;
    registry.require(Auth::Ecr);
    let digest = story.push_image("shop", "b-7", 1);
    registry.pushed_at("shop", &digest, 300.0);
    let entry = format!("\"{}\": {{ plain_http: true }}", registry.host());
    let named = format!(
        "\"{}\": {{ plain_http: true, provider: ecr, endpoint_url: \"{}\" }}",
        registry.host(),
        registry.face.url()
    );
    let file = story.home.path().join("tagrelay.yaml");
    std::fs::write(&file, story.config.replace(&entry, &named)).expect("written");
    let mut once = tagrelay(story.home.path(), ["once"]);
    once.env("TAGRELAY_CONFIG", &file).env("AWS_REGION", "eu-west-1");
    once.env("AWS_ACCESS_KEY_ID", ecr::ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", "sandbox");
    let done = tokio::task::spawn_blocking(move || said(&mut once, "")).await.expect("it ends");
    assert_eq!(done.code, Some(0), "{}", done.err);
    assert!(story.file("apps/shop/prod/kustomization.yaml").await.contains(&digest), "{}", done.err);
    assert_eq!(registry.digest_of("shop", "prod").as_ref(), Some(&digest), "{}", done.err);
}

/// The recipes in which one build comes to one file: the repository of the image, a tag, the file, and what it holds then.
const SHORT: [(&str, &str, &str, &str, &str); 3] = [
    ("at-home", "shop", "1.0.1", "apps/shop/kustomization.yaml", "    newTag: 1.0.1\n"),
    (
        "from-flux",
        "team/shop",
        "main-9f8e7d6-1700000010",
        "clusters/dev/shop.yaml",
        "      tag: main-9f8e7d6-1700000010 # {\"$imagepolicy\": \"flux-system:shop:tag\"}\n",
    ),
    ("from-argocd-image-updater", "team/shop", "1.1.0", "apps/shop/.argocd-source-shop.yaml", "team/shop:1.1.0\n"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_comes_from_elsewhere_gets_the_commit_that_was_made_there() {
    for (name, image, tag, file, text) in SHORT {
        let mut story = recipe(name).await;
        story.push_image(image, tag, 1);
        story.start().await;
        story.until_written(file, text).await;
        story.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_in_ci_is_replaced_by_evidence_and_a_person() {
    let mut story = recipe("from-a-ci-script").await;
    story.push_image("team/shop", "1a2b3c4d", 1);
    story.start().await;
    story.until_written("apps/shop/dev/deployment.yaml", "team/shop:1a2b3c4d\n").await;
    story.until_why("prod", "StillSoaking").await;
    story.wait(std::time::Duration::from_secs(2 * 60 * 60));
    approve(&story, "prod").await;
    story.until_written("apps/shop/prod/deployment.yaml", "team/shop:1a2b3c4d@sha256:").await;
    story.until("GitLab is told", || async { !story.told("group/shop", "prod").is_empty() }).await;
    story.stop().await;
}
