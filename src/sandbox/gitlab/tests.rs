//! GitLab's rules, one request each.

use super::*;
use crate::sandbox::fault::Rule;
use crate::sandbox::git::Git;
use reqwest::Response as Answer;
use serde_json::Value;

const SHA: &str = "1111111111111111111111111111111111111111";
const NEXT: &str = "2222222222222222222222222222222222222222";
const SHOP: &str = "/projects/group%2Fshop";

async fn gitlab() -> (Gitlab, Commits) {
    let gitlab = Gitlab::start(Effects::default()).await.expect("a GitLab");
    let commits = gitlab.add_project("group/shop");
    commits.add_commit(SHA, "main").add_commit(NEXT, "main").add_tag("v1", SHA);
    gitlab.grant("glpat-dev", "group/shop", Role::Developer).expect("a project");
    (gitlab, commits)
}

async fn ask_as(gitlab: &Gitlab, token: &str, method: &str, path: &str, body: Option<&Value>) -> Answer {
    let url = format!("{}/api/v4{path}", gitlab.face.url());
    let request = wire::client().expect("a client").request(method.parse().expect("a method"), url);
    let request = request.header("private-token", token);
    let request = match body {
        Some(body) => request.json(body),
        None => request,
    };
    request.send().await.expect("an answer")
}

async fn ask(gitlab: &Gitlab, method: &str, path: &str, body: Value) -> (u16, Value) {
    let answer = ask_as(gitlab, "glpat-dev", method, path, Some(&body).filter(|body| !body.is_null())).await;
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

fn deployment(status: &str) -> Value {
    json!({ "environment": "production", "sha": SHA, "ref": "main", "tag": false, "status": status })
}

#[tokio::test]
async fn a_deployment_lives_by_the_state_machine() {
    let (gitlab, _) = gitlab().await;
    let (status, made) = ask(&gitlab, "POST", &format!("{SHOP}/deployments"), deployment("running")).await;
    assert_eq!((status, &made["status"], &made["environment"]["slug"]), (201, &json!("running"), &json!("production")));
    let one = format!("{SHOP}/deployments/{}", made["id"]);
    let cases = [
        ("running", 400),
        ("success", 200),
        ("success", 400),
        ("failed", 200),
        ("running", 400),
        ("success", 200),
        ("canceled", 200),
    ];
    for (wanted, expected) in cases {
        let (status, body) = ask(&gitlab, "PUT", &one, json!({ "status": wanted })).await;
        assert_eq!(status, expected, "{wanted}: {body}");
        if wanted == "running" {
            assert_eq!(body, json!({ "message": { "status": ["cannot transition via \\\"run\\\""] } }));
        }
    }
    let history = &gitlab.deployments("group/shop")[0].history;
    assert_eq!(history, &["running", "success", "failed", "success", "canceled"]);
    assert_eq!(ask(&gitlab, "GET", &one, Value::Null).await.1["status"], "canceled");
    assert_eq!(ask(&gitlab, "PUT", &format!("{SHOP}/deployments/1"), json!({ "status": "failed" })).await.0, 404);
}

#[tokio::test]
async fn the_same_success_is_one_deployment_and_the_same_running_two() {
    let (gitlab, _) = gitlab().await;
    let path = format!("{SHOP}/deployments");
    let (_, first) = ask(&gitlab, "POST", &path, deployment("success")).await;
    let (status, again) = ask(&gitlab, "POST", &path, deployment("success")).await;
    assert_eq!((status, &again["id"]), (201, &first["id"]));
    ask(&gitlab, "POST", &path, deployment("running")).await;
    ask(&gitlab, "POST", &path, deployment("running")).await;
    assert_eq!(gitlab.deployments("group/shop").len(), 3);
    let search = format!("{path}?environment=production&status=running&order_by=id&sort=desc");
    let (_, found) = ask(&gitlab, "GET", &search, Value::Null).await;
    assert_eq!(found.as_array().map(Vec::len), Some(2));
    assert!(found[0]["id"].as_u64() > found[1]["id"].as_u64());
}

#[tokio::test]
async fn what_is_wrong_is_said_as_gitlab_says_it() {
    let (gitlab, _) = gitlab().await;
    let with = |key: &str, value: Value| {
        let mut body = deployment("running");
        body[key] = value;
        body
    };
    let commit = json!({ "message": { "sha": ["The commit does not exist"] } });
    let reference = json!({ "message": { "ref": ["The branch or tag does not exist"] } });
    let cases = [
        (with("sha", json!("3".repeat(40))), commit),
        (with("ref", json!("nope")), reference),
        (with("sha", json!("")), json!({ "error": "sha is empty" })),
        (with("environment", json!("")), json!({ "error": "environment is empty" })),
        (with("ref", Value::Null), json!({ "error": "ref is missing" })),
        (with("tag", json!("perhaps")), json!({ "error": "tag is invalid" })),
        (with("status", json!("created")), json!({ "error": "status does not have a valid value" })),
    ];
    for (body, expected) in cases {
        assert_eq!(ask(&gitlab, "POST", &format!("{SHOP}/deployments"), body).await, (400, expected));
    }
    let unsorted = format!("{SHOP}/deployments?updated_after=2026-01-01T00:00:00Z");
    assert_eq!(ask(&gitlab, "GET", &unsorted, Value::Null).await.0, 400);
    assert_eq!(gitlab.deployments("group/shop"), []);
    for fine in [json!("v1"), json!(SHA)] {
        assert_eq!(ask(&gitlab, "POST", &format!("{SHOP}/deployments"), with("ref", fine)).await.0, 201);
    }
}

#[tokio::test]
async fn strangers_see_nothing_and_readers_write_nothing() {
    let (gitlab, _) = gitlab().await;
    gitlab.grant("glpat-reader", "group/shop", Role::Reporter).expect("a project");
    gitlab.add_token("glpat-stranger", &["api"]);
    gitlab.add_token("glpat-narrow", &["read_api"]);
    gitlab.add_token("glpat-old", &[]);
    gitlab.grant("glpat-narrow", "group/shop", Role::Developer).expect("a project");
    let list = format!("{SHOP}/deployments");
    let running = deployment("running");
    let cases = [
        ("nobody", "GET", 401),
        ("glpat-old", "GET", 401),
        ("glpat-stranger", "GET", 404),
        ("glpat-reader", "GET", 200),
        ("glpat-reader", "POST", 403),
        ("glpat-narrow", "GET", 200),
        ("glpat-narrow", "POST", 403),
        ("glpat-dev", "POST", 201),
    ];
    for (token, method, expected) in cases {
        let body = (method == "POST").then_some(&running);
        assert_eq!(ask_as(&gitlab, token, method, &list, body).await.status().as_u16(), expected, "{token} {method}");
    }
    gitlab.protect("group/shop", "production").expect("a project");
    assert_eq!(ask(&gitlab, "POST", &list, running).await.0, 403);
    let bearer = wire::client().expect("a client").get(format!("{}/api/v4/version", gitlab.face.url()));
    assert_eq!(bearer.bearer_auth("glpat-dev").send().await.expect("an answer").status().as_u16(), 200);
    let (_, own) = ask(&gitlab, "GET", "/personal_access_tokens/self", Value::Null).await;
    assert_eq!(own["scopes"], json!(["api"]));
}

#[tokio::test]
async fn environments_are_made_changed_and_listed_in_pages() {
    let (gitlab, _) = gitlab().await;
    let path = format!("{SHOP}/environments");
    let (status, made) =
        ask(&gitlab, "POST", &path, json!({ "name": "qa/eu", "external_url": "https://qa.example.org" })).await;
    assert_eq!((status, &made["tier"], &made["state"]), (201, &json!("testing"), &json!("available")));
    let (status, taken) = ask(&gitlab, "POST", &path, json!({ "name": "qa/eu" })).await;
    assert_eq!((status, &taken["message"]["name"][0]), (400, &json!("has already been taken")));
    let (_, changed) = ask(&gitlab, "PUT", &format!("{path}/{}", made["id"]), json!({ "tier": "staging" })).await;
    assert_eq!((&changed["tier"], &changed["external_url"]), (&json!("staging"), &json!("https://qa.example.org")));
    assert_eq!(ask(&gitlab, "POST", &path, json!({ "name": "/x" })).await.0, 400);
    for number in 0..104 {
        ask(&gitlab, "POST", &path, json!({ "name": format!("e{number}") })).await;
    }
    let answer = ask_as(&gitlab, "glpat-dev", "GET", &format!("{path}?states=available&per_page=500"), None).await;
    let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    assert_eq!(
        (header("x-per-page"), header("x-next-page"), header("x-total")),
        ("100".into(), "2".into(), "105".into())
    );
    let base = format!("<{}/api/v4{path}?states=available", gitlab.face.url());
    assert!(header("link").starts_with(&format!("{base}&page=2&per_page=100>; rel=\"next\", ")), "{}", header("link"));
    let (_, named) = ask(&gitlab, "GET", &format!("{path}?name=qa%2Feu"), Value::Null).await;
    assert_eq!(named.as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn revisions_resolve_as_told_and_as_in_git() {
    let (gitlab, commits) = gitlab().await;
    commits.add_commit("3333", "topic");
    let lab = &gitlab;
    let get = |path: String| async move { ask(lab, "GET", &path, Value::Null).await };
    let (_, short) = get(format!("{SHOP}/repository/commits/22222222")).await;
    assert_eq!((&short["id"], &short["parent_ids"]), (&json!(NEXT), &json!([SHA])));
    let (_, refs) = get(format!("{SHOP}/repository/commits/{SHA}/refs?type=all")).await;
    assert_eq!(refs, json!([{ "type": "branch", "name": "main" }, { "type": "tag", "name": "v1" }]));
    assert_eq!(get(format!("{SHOP}/repository/branches/main")).await.1["commit"]["id"], NEXT);
    assert_eq!(get(format!("{SHOP}/repository/branches/no")).await.0, 404);
    assert_eq!(get(format!("{SHOP}/repository/merge_base?refs[]=main&refs[]=v1")).await.1["id"], SHA);
    assert_eq!(get(format!("{SHOP}/repository/merge_base?refs[]=main&refs[]=topic")).await.0, 404);

    let git = Git::start(Effects::default()).await.expect("a git server");
    let repository = git.create("group/gitops", &[("a", "1")]).await.expect("made");
    let first = repository.tip("main").await.expect("git").expect("a tip");
    repository.reset("release/1", &first).await.expect("branched");
    repository.commit("main", &[("a", Some("2"))], "Two", "A <a@example.org>").await.expect("committed");
    gitlab.add_project_of("group/gitops", &repository);
    gitlab.grant("glpat-dev", "group/gitops", Role::Developer).expect("a project");
    let (_, refs) = get(format!("/projects/group%2Fgitops/repository/commits/{}/refs", &first[..10])).await;
    assert_eq!(refs, json!([{ "type": "branch", "name": "main" }, { "type": "branch", "name": "release/1" }]));
    let base = "/projects/group%2Fgitops/repository/merge_base?refs[]=main&refs[]=release%2F1";
    assert_eq!(get(base.to_owned()).await.1["id"], first.as_str());
    assert_eq!(get("/projects/group%2Fgitops/repository/branches/release%2F1".to_owned()).await.0, 200);
    assert_eq!(get("/projects/group%2Fgitops/repository/commits/main".to_owned()).await.1["title"], "Two");
}

#[tokio::test]
async fn a_throttled_caller_is_told_in_plain_text() {
    let (gitlab, _) = gitlab().await;
    gitlab.face.faults.add(Rule::once(throttled(3)).path("/api/v4/projects/group%2Fshop"));
    let answer = ask_as(&gitlab, "glpat-dev", "GET", SHOP, None).await;
    assert_eq!((answer.status().as_u16(), &answer.headers()["retry-after"]), (429, &"3".parse().expect("a header")));
    assert_eq!(answer.text().await.expect("text"), "Retry later\n");
    let (_, project) = ask(&gitlab, "GET", SHOP, Value::Null).await;
    assert_eq!(project["path_with_namespace"], "group/shop");
    assert_eq!(ask(&gitlab, "GET", &format!("/projects/{}", project["id"]), Value::Null).await.0, 200);
}
