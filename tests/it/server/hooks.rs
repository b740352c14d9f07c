//! Webhooks over real HTTP: what each sender shows and says, what reaches the daemon, and what a stranger learns.

use super::face::{Answered, Face};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HOST};
use ring::hmac;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use tagrelay::clients::http::{Transport, uncounted};
use tagrelay::config;
use tagrelay::daemon::Clock;
use tagrelay::server::Google;
use tagrelay::telemetry::Metrics;

const SECRET: &str = "a secret of more than sixteen bytes";

/// A server that listens to everybody, the file with the secret, and what is counted.
struct Door {
    face: Face,
    secret: std::path::PathBuf,
    metrics: Metrics,
    _home: tempfile::TempDir,
}

impl Door {
    async fn open() -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let secret = home.path().join("secret");
        std::fs::write(&secret, format!("{SECRET}\n")).expect("written");
        let entry = |name: &str| format!("    {name}: {{ secret: {{ file: {} }} }}\n", secret.display());
        let named = |name: &str, registry: &str| {
            format!("    {name}: {{ secret: {{ file: {} }}, registry: '{registry}' }}\n", secret.display())
        };
        let plain = ["distribution", "dockerhub", "harbor", "ghcr", "quay", "acr", "ecr", "gitlab"].map(entry).concat();
        let named = named("nexus", "nexus.example.com:8082") + &named("jfrog", "example.jfrog.io");
        let text = format!(
            "repositories: {{ default: {{ url: 'file:///srv/d.git', policies: p }} }}\nserver:\n  webhooks:\n{plain}{named}"
        );
        let config = config::load(Path::new("tagrelay.yaml"), &|_| Ok(text.clone()));
        let config = config.unwrap_or_else(|errors| panic!("{}", errors.render(false)));
        let metrics = Metrics::new("test");
        let (counted, senders) = (metrics.clone(), config.server.webhooks);
        let delivered = Arc::new(move |sender, outcome| counted.delivered(sender, outcome));
        let google = Google::published(Transport::default(), uncounted(), Clock::System);
        let face = Face::with(|server| server.with_webhooks(senders, google, delivered)).await;
        Self { face, secret, metrics, _home: home }
    }

    async fn post(&self, path: &str, headers: &[(&str, &str)], body: impl Into<reqwest::Body>) -> Answered {
        let request = self.face.request(Method::POST, path).header(CONTENT_TYPE, "application/json").body(body);
        self.face.send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
    }

    /// What reached the daemon since the last look.
    fn woken(&self) -> Vec<String> {
        self.face.heard.take()
    }

    fn counted(&self, line: &str) -> bool {
        self.metrics.encode().lines().any(|counted| counted == format!("tagrelay_deliveries_total{line}"))
    }
}

fn signed(algorithm: hmac::Algorithm, body: &str) -> String {
    let signature = hmac::sign(&hmac::Key::new(algorithm, SECRET.as_bytes()), body.as_bytes());
    signature.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn distribution(host: &str, repository: &str, tag: &str) -> Value {
    json!({ "events": [{
        "id": "e", "action": "push", "request": { "host": host, "method": "PUT" },
        "target": { "mediaType": "application/vnd.oci.image.manifest.v1+json", "repository": repository, "tag": tag },
    }] })
}

fn quay() -> Value {
    json!({ "repository": "team/shop", "docker_url": "quay.io/team/shop", "updated_tags": ["1", "2"] })
}

/// A path, headers, a body, and the names of what is woken.
type Told = (String, Vec<(&'static str, String)>, String, Vec<&'static str>);

/// Each sender's path, what it shows, its body, and what becomes of that.
fn deliveries() -> Vec<Told> {
    let bearer = format!("Bearer {SECRET}");
    let plain = || SECRET.to_owned();
    let sha256 = |body: &str| signed(hmac::HMAC_SHA256, body);
    let registry = distribution("reg.example.com:5000", "team/shop", "1.0").to_string();
    let hub = json!({ "push_data": { "tag": "1.0" }, "repository": { "repo_name": "team/shop" } }).to_string();
    let harbor = json!({ "type": "PUSH_ARTIFACT", "event_data": {
        "resources": [{ "tag": "1.0", "resource_url": "harbor.example.com/team/shop:1.0" }],
        "repository": { "repo_full_name": "team/shop" },
    } });
    let ghcr = json!({ "action": "published", "package": {
        "name": "shop", "package_type": "CONTAINER", "namespace": "Team",
    } })
    .to_string();
    let acr = json!({ "action": "push", "target": { "repository": "shop", "tag": "1.0" }, "request": { "host": "team.azurecr.io" } });
    let ecr = json!({ "source": "aws.ecr", "account": "123456789012", "region": "eu-west-1", "detail": {
        "result": "SUCCESS", "action-type": "PUSH", "repository-name": "shop", "image-tag": "1.0",
    } });
    let nexus = json!({ "action": "CREATED", "component": { "format": "docker", "name": "shop", "version": "1.0" } })
        .to_string();
    let jfrog = json!({ "domain": "docker", "event_type": "pushed", "data": { "image_name": "shop", "tag": "1.0" } })
        .to_string();
    let at = |sender: &str| format!("/webhooks/{sender}");
    let behind = |sender: &str| format!("/webhooks/{sender}/{}", SECRET.replace(' ', "%20"));
    vec![
        (
            at("distribution"),
            vec![("authorization", bearer.clone())],
            registry.clone(),
            vec!["reg.example.com:5000/team/shop:1.0"],
        ),
        (at("gitlab"), vec![("x-gitlab-token", plain())], registry, vec!["reg.example.com:5000/team/shop:1.0"]),
        (
            behind("dockerhub"),
            vec![],
            hub,
            vec!["docker.io/team/shop:1.0", "index.docker.io/team/shop:1.0", "registry-1.docker.io/team/shop:1.0"],
        ),
        (behind("quay"), vec![], quay().to_string(), vec!["quay.io/team/shop:1", "quay.io/team/shop:2"]),
        (at("harbor"), vec![("authorization", plain())], harbor.to_string(), vec!["harbor.example.com/team/shop:1.0"]),
        (
            at("ghcr"),
            vec![
                ("x-hub-signature-256", format!("sha256={}", sha256(&ghcr))),
                ("x-github-event", "package".to_owned()),
            ],
            ghcr,
            vec!["ghcr.io/team/shop"],
        ),
        (at("acr"), vec![("authorization", bearer)], acr.to_string(), vec!["team.azurecr.io/shop:1.0"]),
        (
            at("ecr"),
            vec![("x-webhook-secret", plain())],
            ecr.to_string(),
            vec![
                "123456789012.dkr-ecr-fips.eu-west-1.on.aws/shop:1.0",
                "123456789012.dkr-ecr.eu-west-1.on.aws/shop:1.0",
                "123456789012.dkr.ecr-fips.eu-west-1.amazonaws.com/shop:1.0",
                "123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop:1.0",
            ],
        ),
        (
            at("nexus"),
            vec![("x-nexus-webhook-signature", signed(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &nexus))],
            nexus,
            vec!["nexus.example.com:8082/shop:1.0"],
        ),
        (at("jfrog"), vec![("x-jfrog-event-auth", sha256(&jfrog))], jfrog.clone(), vec!["example.jfrog.io/shop:1.0"]),
        (at("jfrog"), vec![("x-jfrog-event-auth", plain())], jfrog, vec!["example.jfrog.io/shop:1.0"]),
    ]
}

#[tokio::test]
async fn every_sender_wakes_what_it_names_and_a_stranger_nothing() {
    let door = Door::open().await;
    for (path, shown, body, named) in deliveries() {
        let headers: Vec<(&str, &str)> = shown.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answered = door.post(&path, &headers, body.clone()).await;
        assert_eq!((answered.status, answered.json()), (200, json!({ "read": named.len() })), "{path}");
        assert_eq!(door.woken(), named, "{path}");

        let wrong: Vec<(&str, String)> =
            shown.iter().map(|(name, value)| (*name, value.replace(['a', '0'], "b"))).collect();
        let wrong: Vec<(&str, &str)> = wrong.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let (path, headers) =
            if shown.is_empty() { (path.replace("secret", "secrets"), vec![]) } else { (path, wrong) };
        for (headers, body) in [(headers.as_slice(), body.as_str()), (&[], body.as_str()), (headers.as_slice(), "{")] {
            let answered = door.post(&path, headers, body.to_owned()).await;
            assert_eq!((answered.status, answered.code().as_str()), (401, "unauthorized"), "{path} {headers:?}");
        }
        assert_eq!(door.woken(), [] as [String; 0], "{path}: a stranger was heard");
    }
    for sender in ["harbor", "quay", "jfrog"] {
        assert!(
            door.counted(&format!(
                "{{sender=\"{sender}\",result=\"refused\"}} {}",
                if sender == "jfrog" { 6 } else { 3 }
            )),
            "{}",
            door.metrics.encode()
        );
    }
    assert!(door.counted("{sender=\"nexus\",result=\"taken\"} 1"));
}

#[tokio::test]
async fn who_is_not_configured_is_not_there() {
    let door = Door::open().await;
    for path in [
        "/webhooks/gitea",
        "/webhooks/gar",
        "/webhooks/gitea/secret",
        "/webhooks/argocd",
        "/webhooks/",
        "/webhooks/x/y/z",
    ] {
        let answered = door.post(path, &[("x-gitea-signature", &signed(hmac::HMAC_SHA256, "{}"))], "{}").await;
        assert_eq!((answered.status, answered.code().as_str()), (404, "not_found"), "{path}");
    }
    let answered = door.face.get("/webhooks/harbor").await;
    assert_eq!(answered.status, 405);
    let without = Face::open().await;
    let answered = without.send(without.request(Method::POST, "/webhooks/harbor").body("{}")).await;
    assert_eq!(answered.status, 404, "a server without webhooks has none");
}

#[tokio::test]
async fn what_is_no_event_is_told_in_one_sentence() {
    let door = Door::open().await;
    let known = [("authorization", SECRET)];
    let deep = format!("{}{}", "[".repeat(2000), "]".repeat(2000));
    for (body, says) in [
        ("", "no delivery of distribution: EOF"),
        ("{", "EOF"),
        ("events=1", "expected value"),
        (deep.as_str(), "no delivery of distribution"),
        ("{}", "missing field `events`"),
        ("[]", "no delivery of distribution"),
        ("{\"events\":7}", "invalid type"),
    ] {
        let answered = door.post("/webhooks/distribution", &known, body.to_owned()).await;
        assert_eq!((answered.status, answered.code().as_str()), (400, "bad_request"), "{body}");
        assert!(answered.text.contains(says), "{body}: {}", answered.text);
    }
    let large = distribution("reg.example.com", "shop", &"x".repeat(2 << 20)).to_string();
    assert_eq!(door.post("/webhooks/distribution", &known, large.clone()).await.code(), "too_large");
    assert_eq!(door.post("/webhooks/jfrog", &[], large.clone()).await.status, 413, "its signature covers the body");
    assert_eq!(door.post("/webhooks/distribution", &[], large).await.status, 401, "a stranger's body is not read");
    // More than other requests may hold, as GitHub's events do.
    let mut event = distribution("reg.example.com", "shop", "1.0");
    event["more"] = json!("x".repeat(800 * 1024));
    assert_eq!(door.post("/webhooks/distribution", &known, event.to_string()).await.status, 200);
    assert_eq!(door.woken(), ["reg.example.com/shop:1.0"]);
}

#[tokio::test]
async fn an_event_of_something_else_wakes_nobody_and_many_of_one_wake_once() {
    let door = Door::open().await;
    let known = [("authorization", SECRET)];
    for event in [
        json!({ "events": [] }),
        distribution("reg.example.com", "Shop", "1.0"),
        distribution("registry", "shop", "1.0"),
    ] {
        let answered = door.post("/webhooks/distribution", &known, event.to_string()).await;
        assert_eq!((answered.status, answered.json()), (200, json!({ "read": 0 })), "{event}");
    }
    let mut many = distribution("reg.example.com", "shop", "1.0");
    let event = many["events"][0].clone();
    many["events"] = json!(vec![event; 50]);
    assert_eq!(door.post("/webhooks/distribution", &known, many.to_string()).await.json()["read"], 1);
    assert_eq!(door.woken(), ["reg.example.com/shop:1.0"]);
    for (result, n) in [("taken", 2), ("unread", 2)] {
        let line = format!("{{sender=\"distribution\",result=\"{result}\"}} {n}");
        assert!(door.counted(&line), "{result}: {}", door.metrics.encode());
    }
}

#[tokio::test]
async fn senders_know_us_by_any_name_and_say_what_they_like_of_their_body() {
    let door = Door::open().await;
    let body = distribution("reg.example.com", "shop", "1.0").to_string();
    for kind in ["application/vnd.docker.distribution.events.v2+json", "application/cloudevents+json", "text/plain"] {
        let request = door.face.request(Method::POST, "/webhooks/distribution").bearer_auth(SECRET);
        let request = request.header(HOST, "tagrelay.example.com").header(CONTENT_TYPE, kind).body(body.clone());
        assert_eq!(door.face.send(request).await.status, 200, "{kind}");
    }
    assert_eq!(door.woken().len(), 3);
}

#[tokio::test]
async fn a_secret_counts_as_soon_as_its_file_changes() {
    let door = Door::open().await;
    let body = quay().to_string();
    let renewed = "another secret, which is longer";
    let at = |secret: &str| format!("/webhooks/quay/{}", secret.replace(' ', "%20"));
    for (content, first, second) in [(SECRET, 200, 401), (renewed, 401, 200), ("too short", 401, 401), ("", 401, 401)] {
        std::fs::write(&door.secret, content).expect("written");
        assert_eq!(door.post(&at(SECRET), &[], body.clone()).await.status, first, "{content:?}");
        assert_eq!(door.post(&at(renewed), &[], body.clone()).await.status, second, "{content:?}");
    }
    std::fs::write(&door.secret, "too short").expect("written");
    assert_eq!(door.post(&at("too short"), &[], body.clone()).await.status, 401, "it could be guessed");
    std::fs::write(&door.secret, SECRET).expect("written");
    door.face.heard.stop();
    assert_eq!(door.post(&at(SECRET), &[], body).await.status, 503, "a sender tries again when the daemon is back");
}

/// The samples lie beside the repository, not in it.
#[tokio::test]
async fn every_sample_of_a_push_is_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/samples/webhooks");
    let folder = std::env::var_os("TAGRELAY_WEBHOOK_SAMPLES").map_or(folder, Into::into);
    let door = Door::open().await;
    for (file, sender, named) in [
        ("cncf-distribution", "distribution", "registrycluster.local/library/test:latest"),
        ("gitlab-registry", "gitlab", "registry.gitlab.example.com/group/project/app:v1.0.0"),
        ("acr", "acr", "myregistry.azurecr.io/hello-world:v1"),
        ("harbor", "harbor", "harbor.dev/library/busybox:v1.2.3"),
        ("ecr-eventbridge", "ecr", "123456789012.dkr.ecr.us-west-2.amazonaws.com/my-repository-name:latest"),
        ("ecr-cloudevents", "ecr", "123456789012.dkr.ecr.us-west-2.amazonaws.com/my-repository-name:latest"),
        ("ecr-eventbridge-delete", "ecr", "123456789012.dkr.ecr.us-west-2.amazonaws.com/my-repository-name:latest"),
        ("quay", "quay", "quay.io/mynamespace/repository:latest"),
        ("dockerhub", "dockerhub", "docker.io/karolisr/keel:0.1.7"),
        ("jfrog", "jfrog", "example.jfrog.io/docker-local/library/ubuntu:latest"),
        ("ghcr-package", "ghcr", "ghcr.io/myuser/myapp"),
        ("ghcr-registry_package", "ghcr", "ghcr.io/myuser/myapp"),
        ("nexus-component", "nexus", "nexus.example.com:8082/docker-hosted/myapp:v1.0.0"),
    ] {
        let Ok(body) = std::fs::read_to_string(folder.join(format!("{file}.json"))) else {
            println!("skipped: {file} (no samples in {})", folder.display());
            continue;
        };
        let path = match sender {
            "quay" | "dockerhub" => format!("/webhooks/{sender}/{}", SECRET.replace(' ', "%20")),
            _ => format!("/webhooks/{sender}"),
        };
        let (sha1, sha256) = (signed(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &body), signed(hmac::HMAC_SHA256, &body));
        let headers = [
            ("authorization", SECRET),
            ("x-hub-signature-256", sha256.as_str()),
            ("x-jfrog-event-auth", sha256.as_str()),
            ("x-nexus-webhook-signature", sha1.as_str()),
            ("x-github-event", "package"),
        ];
        assert_eq!(door.post(&path, &headers, body).await.status, 200, "{file}");
        let woken = door.woken();
        assert!(woken.iter().any(|it| it == named), "{file}: {woken:?}");
    }
}
