//! Every request that the GitLab client makes, held against GitLab's own OpenAPI document.
//!
//! The answers are made up, and only as good as it takes for the next request to be made.

use axum::Router;
use axum::body::Bytes;
use axum::http::{Method, StatusCode, Uri};
use axum::response::IntoResponse as _;
use secrecy::SecretString;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use tagrelay::clients::gitlab::{DeploymentId, GitLab, NewDeployment, Settings};
use tagrelay::clients::http::{Transport, uncounted};
use tagrelay::relay::report::State;
use tokio::net::TcpListener;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/samples/gitlab-openapi.yaml");
const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

struct Asked {
    method: Method,
    uri: Uri,
    body: Bytes,
}

/// All requests of the client.
async fn requests() -> Vec<Asked> {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&asked);
    let answer = move |method: Method, uri: Uri, body: Bytes| {
        let answer = match (method.as_str(), uri.path().rsplit('/').next().unwrap_or_default()) {
            ("GET", "environments") if uri.query() == Some("name=known") => r#"[{"id":5,"name":"known"}]"#.to_owned(),
            ("GET", "environments" | "deployments") => "[]".to_owned(),
            ("GET", "side") => r#"{"commit":{"id":"fedcba9876543210fedcba9876543210fedcba98"}}"#.to_owned(),
            ("GET", "v1") => format!(r#"{{"commit":{{"id":"{SHA}"}}}}"#),
            ("PUT", "7") => String::new(),
            _ => format!(
                r#"{{"id":{},"name":"x","sha":"{SHA}","status":"running","path_with_namespace":"a/b","default_branch":"main"}}"#,
                if uri.path().contains("repository") { format!("\"{SHA}\"") } else { "5".to_owned() }
            ),
        };
        let status = if answer.is_empty() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
        let answer =
            if answer.is_empty() { r#"{"message":{"status":["cannot transition via"]}}"#.to_owned() } else { answer };
        record.lock().expect("a lock").push(Asked { method, uri, body });
        std::future::ready((status, answer).into_response())
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    drop(tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await }));
    let gitlab = GitLab::new(Settings {
        url,
        tokens: Arc::new(|_| Ok(SecretString::from("t"))),
        transport: Transport { plain_http: true, ..Transport::default() },
        counter: uncounted(),
    })
    .expect("settings");
    let new = NewDeployment { environment: "prod", sha: SHA, git_ref: "main", is_tag: false, status: State::Running };
    gitlab.create_deployment("a/b", &new).await.expect("made");
    gitlab.update_deployment("a/b", DeploymentId(6), State::Success).await.expect("moved on");
    gitlab.update_deployment("a/b", DeploymentId(7), State::Running).await.expect("was there");
    gitlab.running_since("a/b", "prod", SHA, None).await.expect("a list");
    gitlab.ensure_environment("a/b", "new", Some("production"), Some("https://x")).await.expect("made");
    gitlab.ensure_environment("a/b", "known", Some("production"), Some("https://x")).await.expect("changed");
    gitlab.resolve("a/b", &SHA[..8]).await.expect("a commit");
    gitlab.resolve("a/b", "v1").await.expect("a tag");
    gitlab.is_on_branch("a/b", SHA, "side").await.expect("a branch");
    gitlab.default_branch("a/b").await.expect("a branch");
    std::mem::take(&mut asked.lock().expect("a lock"))
}

#[tokio::test]
async fn every_request_is_one_that_gitlab_documents() {
    if !Path::new(DOCUMENT).exists() {
        println!("skipped: every_request_is_one_that_gitlab_documents: there is no GitLab OpenAPI document");
        return;
    }
    let text = std::fs::read_to_string(DOCUMENT).expect("the document");
    let document: Value = serde_yaml::from_str(&text).expect("YAML");
    let requests = requests().await;
    let made: BTreeSet<String> = requests.iter().map(|asked| check(&document, asked)).collect();
    assert_eq!(made.len(), 12, "{made:#?}");
}

/// Holds a request against the operation that it asks for, and names that.
fn check(document: &Value, asked: &Asked) -> String {
    let shown = format!("{} {} {}", asked.method, asked.uri, String::from_utf8_lossy(&asked.body));
    let paths = document["paths"].as_object().expect("paths");
    let (template, operations) = paths
        .iter()
        .find(|(template, _)| is_of(template, asked.uri.path()))
        .unwrap_or_else(|| panic!("no path: {shown}"));
    let operation = &operations[asked.method.as_str().to_lowercase()];
    assert!(operation.is_object(), "no such method: {shown}");
    let parameters: Vec<&Value> = operation["parameters"].as_array().into_iter().flatten().collect();
    let query: Vec<(String, String)> = asked
        .uri
        .query()
        .into_iter()
        .flat_map(|query| query.split('&'))
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.replace("%5B%5D", ""), value.to_owned()))
        .collect();
    for (key, value) in &query {
        let known = parameters.iter().find(|parameter| parameter["in"] == "query" && parameter["name"] == key.as_str());
        let known = known.unwrap_or_else(|| panic!("no parameter {key}: {shown}"));
        is_one_of(&known["schema"], &Value::from(value.as_str()), &shown);
    }
    for required in parameters.iter().filter(|p| p["in"] == "query" && p["required"] == true) {
        assert!(
            query.iter().any(|(key, _)| required["name"] == key.as_str()),
            "{} is missing: {shown}",
            required["name"]
        );
    }
    let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(asked.body.is_empty(), schema.is_null(), "a body where none is asked, or none where one is: {shown}");
    if !asked.body.is_empty() {
        check_body(resolved(document, schema), &serde_json::from_slice(&asked.body).expect("JSON"), &shown);
    }
    format!("{} {template}", asked.method)
}

fn check_body(schema: &Value, body: &Value, shown: &str) {
    let fields = body.as_object().expect("an object");
    for (key, value) in fields {
        let known = &schema["properties"][key];
        assert!(known.is_object(), "no field {key}: {shown}");
        let is_of_type = match known["type"].as_str() {
            Some("string") => value.is_string(),
            Some("boolean") => value.is_boolean(),
            Some("integer") => value.is_i64(),
            _ => false,
        };
        assert!(is_of_type, "{key} is of another type: {shown}");
        is_one_of(known, value, shown);
    }
    for required in schema["required"].as_array().into_iter().flatten() {
        assert!(fields.contains_key(required.as_str().expect("a name")), "{required} is missing: {shown}");
    }
}

fn is_one_of(schema: &Value, value: &Value, shown: &str) {
    if let Some(values) = schema["enum"].as_array() {
        assert!(values.contains(value), "{value} is none of {values:?}: {shown}");
    }
}

fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let reference = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    reference.map_or(schema, |pointer| document.pointer(pointer).expect("a schema"))
}

fn is_of(template: &str, path: &str) -> bool {
    let (template, path): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len() && template.iter().zip(path).all(|(t, p)| t.starts_with('{') || *t == p)
}
