//! Amazon ECR's own API, on the registry's address: passwords for whoever signs as the sandbox's key, and images described.
//!
//! Operations and error names: Amazon ECR API Reference. Signatures are looked at, not computed anew.

use super::State;
use crate::sandbox::{held, wire};
use axum::Json;
use axum::body::Bytes;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The access key that the sandbox's Amazon knows.
pub const ACCESS_KEY: &str = "AKIDSANDBOX";
/// How long a password is said to live, in seconds.
const LIFE: i64 = 12 * 60 * 60;

/// The operation that a request names, where it is one of this API.
pub(super) fn operation(headers: &HeaderMap) -> Option<&str> {
    headers.get("x-amz-target")?.to_str().ok()?.strip_prefix("AmazonEC2ContainerRegistry_V20150921.")
}

pub(super) fn answer(state: &State, operation: &str, request: &Request<Bytes>) -> Response {
    let signed = request.headers().get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let scope = signed.strip_prefix(&format!("AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/"));
    if !scope.is_some_and(|scope| scope.contains("/ecr/aws4_request, SignedHeaders=") && scope.contains("Signature=")) {
        return failure("UnrecognizedClientException", "The security token included in the request is invalid.");
    }
    let asked: Value = serde_json::from_slice(request.body()).unwrap_or_default();
    match operation {
        "GetAuthorizationToken" => {
            let token = BASE64_STANDARD.encode(format!("AWS:{}", held(&state.door).new_password()));
            let expires_at = wire::now().as_second() + LIFE;
            let data = json!({ "authorizationToken": token, "expiresAt": expires_at, "proxyEndpoint": "" });
            Json(json!({ "authorizationData": [data] })).into_response()
        }
        "DescribeImages" => describe(state, &asked),
        _ => failure("UnknownOperationException", ""),
    }
}

fn describe(state: &State, asked: &Value) -> Response {
    let name = asked["repositoryName"].as_str().unwrap_or_default();
    let store = held(&state.store);
    let Some(repository) = store.repositories.get(name) else {
        let text = format!("The repository with name '{name}' does not exist in the registry");
        return failure("RepositoryNotFoundException", &text);
    };
    let mut tags: BTreeMap<&String, Vec<&String>> = BTreeMap::new();
    for (tag, digest) in &repository.tags {
        tags.entry(digest).or_default().push(tag);
    }
    let cap = held(&state.page_cap).unwrap_or(usize::MAX);
    let wanted = asked["maxResults"].as_u64().and_then(|wanted| usize::try_from(wanted).ok()).unwrap_or(100);
    let begin: usize = asked["nextToken"].as_str().and_then(|token| token.parse().ok()).unwrap_or(0);
    let end = begin.saturating_add(wanted.min(cap));
    let next = (end < tags.len()).then(|| end.to_string());
    let image = |(digest, tags): (&String, &Vec<&String>)| {
        let pushed = repository.pushed.get(digest);
        json!({ "repositoryName": name, "imageDigest": digest, "imageTags": tags, "imagePushedAt": pushed })
    };
    let images: Vec<Value> =
        tags.iter().skip(begin).take(end - begin).map(|(digest, tags)| image((digest, tags))).collect();
    Json(json!({ "imageDetails": images, "nextToken": next })).into_response()
}

fn failure(kind: &str, message: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({ "__type": kind, "message": message }))).into_response()
}
