//! Tags, manifests and referrers over HTTP, as distribution v3 answers them (status, headers, error texts).
//!
//! Schema 1 is unknown here, as it is there by now.

use super::store::{Manifest, Repository, Unfit, is_digest};
use super::{DOCKER_LIST, OCI_INDEX, OCI_MANIFEST, State, refusal, refusal_with};
use crate::sandbox::{held, wire};
use axum::Json;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use std::ops::Bound;

/// `GET /v2/<name>/tags/list`.
pub(super) fn tags(state: &State, name: &str, request: &Request<Bytes>) -> Response {
    let query = wire::query(request);
    let asked = match wire::value(&query, "n").map(str::parse::<usize>) {
        Some(Err(_)) => {
            let text = "invalid number of results requested";
            let detail = json!({ "n": wire::value(&query, "n") });
            return refusal_with(StatusCode::BAD_REQUEST, "PAGINATION_NUMBER_INVALID", text, &detail);
        }
        Some(Ok(n)) => Some(n),
        None => None,
    };
    let limit = [asked, *held(&state.page_cap)].into_iter().flatten().min();
    let store = held(&state.store);
    let Some(repository) = store.repositories.get(name) else { return name_unknown(name) };
    let last = wire::value(&query, "last").unwrap_or_default();
    let mut left = repository.tags.range::<str, _>((Bound::Excluded(last), Bound::Unbounded)).map(|(tag, _)| tag);
    let page: Vec<&String> = left.by_ref().take(limit.unwrap_or(usize::MAX)).collect();
    let next = match (page.last(), left.next(), limit) {
        (Some(last), Some(_), Some(n)) => Some(format!("</v2/{name}/tags/list?last={last}&n={n}>; rel=\"next\"")),
        _ => None,
    };
    let mut response = Json(json!({ "name": name, "tags": page })).into_response();
    if let Some(next) = next.and_then(|next| next.parse().ok()) {
        response.headers_mut().insert(header::LINK, next);
    }
    response
}

/// `/v2/<name>/manifests/<reference>`.
pub(super) fn manifest(state: &State, name: &str, reference: &str, request: &Request<Bytes>) -> Response {
    match *request.method() {
        Method::GET | Method::HEAD => {
            let store = held(&state.store);
            store.repositories.get(name).map_or_else(
                || manifest_unknown("manifest unknown", reference),
                |repository| get(repository, reference, request),
            )
        }
        Method::PUT => put(state, name, reference, request),
        Method::DELETE => {
            let mut store = held(&state.store);
            let removed = store.repositories.get_mut(name).is_some_and(|repository| repository.remove(reference));
            if removed { StatusCode::ACCEPTED.into_response() } else { manifest_unknown("manifest unknown", reference) }
        }
        _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    }
}

/// `GET /v2/<name>/referrers/<digest>`: an index of what is about that manifest.
pub(super) fn referrers(state: &State, name: &str, subject: &str, request: &Request<Bytes>) -> Response {
    let limit = held(&state.page_cap).unwrap_or(usize::MAX);
    let query = wire::query(request);
    let last = wire::value(&query, "last").unwrap_or_default();
    let store = held(&state.store);
    let all = store.repositories.get(name).into_iter().flat_map(|repository| repository.manifests.values());
    let mut left = all.filter(|found| found.subject().as_deref() == Some(subject) && *found.digest > *last);
    let page: Vec<&Manifest> = left.by_ref().take(limit).collect();
    let next = left
        .next()
        .and(page.last())
        .map(|last| format!("</v2/{name}/referrers/{subject}?last={}>; rel=\"next\"", last.digest));
    let about = page.iter().map(|manifest| {
        let json = manifest.json();
        json!({
            "mediaType": manifest.media_type,
            "digest": manifest.digest,
            "size": manifest.bytes.len(),
            "artifactType": json.get("artifactType").or_else(|| json.pointer("/config/mediaType")),
            "annotations": json.get("annotations"),
        })
    });
    let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": about.collect::<Vec<Value>>() });
    let mut response = ([(header::CONTENT_TYPE, OCI_INDEX)], index.to_string()).into_response();
    if let Some(next) = next.and_then(|next| next.parse().ok()) {
        response.headers_mut().insert(header::LINK, next);
    }
    response
}

fn get(repository: &Repository, reference: &str, request: &Request<Bytes>) -> Response {
    let Some(found) = repository.manifest(reference) else {
        return manifest_unknown("manifest unknown", reference);
    };
    let held_by_client = wire::header(request.headers(), "if-none-match");
    if held_by_client.is_some_and(|etag| etag.trim_matches('"') == found.digest) {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    let accepted = |media_type| accepts(request.headers(), media_type);
    let answer = match found.media_type.as_str() {
        OCI_INDEX if !accepted(OCI_INDEX) => {
            return manifest_unknown("OCI index found, but accept header does not support OCI indexes", reference);
        }
        OCI_MANIFEST if !accepted(OCI_MANIFEST) => {
            return manifest_unknown("OCI manifest found, but accept header does not support OCI manifests", reference);
        }
        // By tag only: under a digest nothing else than its own bytes can be given.
        DOCKER_LIST if !accepted(DOCKER_LIST) && !is_digest(reference) => match linux_amd64(repository, found) {
            Some(child) => child,
            None => return manifest_unknown("manifest unknown", reference),
        },
        _ => found,
    };
    let headers = [
        (header::CONTENT_TYPE.as_str(), answer.media_type.clone()),
        (header::CONTENT_LENGTH.as_str(), answer.bytes.len().to_string()),
        ("docker-content-digest", answer.digest.clone()),
        (header::ETAG.as_str(), format!("\"{}\"", answer.digest)),
    ];
    let body = if request.method() == Method::HEAD { Body::empty() } else { Body::from(answer.bytes.clone()) };
    (headers, body).into_response()
}

/// What old clients get for a manifest list: the image for linux/amd64, at another digest than the list's.
fn linux_amd64<'a>(repository: &'a Repository, list: &Manifest) -> Option<&'a Manifest> {
    let json = list.json();
    let entries = json.get("manifests")?.as_array()?;
    let fits = |entry: &&Value| entry["platform"]["os"] == "linux" && entry["platform"]["architecture"] == "amd64";
    repository.manifests.get(entries.iter().find(fits)?["digest"].as_str()?)
}

/// Only a type named in full counts: distribution takes no `*/*` for an index.
fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    let lines = headers.get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok());
    let mut types = lines.flat_map(|line| line.split(',')).filter_map(|one| one.split(';').next());
    types.any(|accepted| accepted.trim() == media_type)
}

fn put(state: &State, name: &str, reference: &str, request: &Request<Bytes>) -> Response {
    let media_type = wire::header(request.headers(), header::CONTENT_TYPE.as_str()).unwrap_or_default();
    let manifest = Manifest::new(media_type, request.body().clone());
    let json = manifest.json();
    if json.get("mediaType").and_then(Value::as_str).is_some_and(|inside| inside != media_type) {
        let text = "if present, mediaType in manifest should match the Content-Type";
        return refusal(StatusCode::BAD_REQUEST, "MANIFEST_INVALID", text);
    }
    let tag = (!is_digest(reference)).then_some(reference);
    if tag.is_none() && reference != manifest.digest {
        let text = "provided digest did not match uploaded content";
        return refusal(StatusCode::BAD_REQUEST, "DIGEST_INVALID", text);
    }
    let subject = manifest.subject();
    let digest = match held(&state.store).repository(name).add_manifest(manifest, tag) {
        Ok(digest) => digest,
        Err(Unfit::Invalid(why)) => {
            return refusal_with(StatusCode::BAD_REQUEST, "MANIFEST_INVALID", "manifest invalid", &json!(why));
        }
        Err(Unfit::Missing(digest)) => {
            let (text, detail) = ("blob unknown to registry", json!({ "digest": digest }));
            return refusal_with(StatusCode::BAD_REQUEST, "MANIFEST_BLOB_UNKNOWN", text, &detail);
        }
    };
    let location = format!("http://{}/v2/{name}/manifests/{digest}", wire::host(request.headers()));
    let mut response =
        (StatusCode::CREATED, [("location", location), ("docker-content-digest", digest)]).into_response();
    if let Some(subject) = subject.and_then(|subject| subject.parse().ok()) {
        response.headers_mut().insert("oci-subject", subject);
    }
    response
}

fn manifest_unknown(text: &str, reference: &str) -> Response {
    let detail = if is_digest(reference) { json!({ "Digest": reference }) } else { json!({ "Tag": reference }) };
    refusal_with(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", text, &detail)
}

fn name_unknown(name: &str) -> Response {
    let (text, detail) = ("repository name not known to registry", json!({ "name": name }));
    refusal_with(StatusCode::NOT_FOUND, "NAME_UNKNOWN", text, &detail)
}
