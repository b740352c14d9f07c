//! Blobs and their uploads over HTTP: whole in one POST, POST then PUT, in chunks, or mounted from another repository.
//!
//! Of ranges it knows `bytes=<first>-`, by which a broken stream is taken up again.

use super::store::digest;
use super::{State, refusal, refusal_with};
use crate::sandbox::{held, wire};
use axum::body::{Body, Bytes};
use axum::http::{Method, Request, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

/// `/v2/<name>/blobs/<digest>`.
pub(super) fn blob(state: &State, name: &str, digest: &str, request: &Request<Bytes>) -> Response {
    let mut store = held(&state.store);
    if request.method() == Method::DELETE {
        let removed = store.repositories.get_mut(name).and_then(|repository| repository.blobs.remove(digest));
        return if removed.is_some() { StatusCode::ACCEPTED.into_response() } else { blob_unknown(digest) };
    }
    let Some(bytes) = store.repositories.get(name).and_then(|repository| repository.blobs.get(digest)) else {
        return blob_unknown(digest);
    };
    let range = wire::header(request.headers(), header::RANGE.as_str());
    let first = range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    let first = first.filter(|first| *first < bytes.len());
    let part = bytes.slice(first.unwrap_or(0)..);
    let headers = [
        (header::CONTENT_TYPE.as_str(), "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH.as_str(), part.len().to_string()),
        ("docker-content-digest", digest.to_owned()),
        (header::ETAG.as_str(), format!("\"{digest}\"")),
    ];
    let body = if request.method() == Method::HEAD { Body::empty() } else { Body::from(part) };
    match first {
        None => (headers, body).into_response(),
        Some(first) => {
            let range = format!("bytes {first}-{}/{}", bytes.len() - 1, bytes.len());
            (StatusCode::PARTIAL_CONTENT, headers, [(header::CONTENT_RANGE, range)], body).into_response()
        }
    }
}

/// `POST /v2/<name>/blobs/uploads/`.
pub(super) fn begin_upload(state: &State, name: &str, request: &Request<Bytes>) -> Response {
    let query = wire::query(request);
    if let Some(expected) = wire::value(&query, "digest") {
        return finish(state, name, expected, request.body().clone(), request);
    }
    let mut store = held(&state.store);
    if let Some(wanted) = wire::value(&query, "mount") {
        let from = wire::value(&query, "from").and_then(|from| store.repositories.get(from));
        if let Some(blob) = from.and_then(|from| from.blobs.get(wanted)).cloned() {
            store.repository(name).add_blob(blob);
            return stored(name, wanted, request);
        }
    }
    store.uploads_begun += 1;
    let upload = format!("upload-{}", store.uploads_begun);
    store.uploads.insert(upload.clone(), Vec::new());
    progress(StatusCode::ACCEPTED, name, &upload, 0, request)
}

/// `/v2/<name>/blobs/uploads/<id>`.
pub(super) fn upload(state: &State, name: &str, upload: &str, request: &Request<Bytes>) -> Response {
    let mut store = held(&state.store);
    let Some(bytes) = store.uploads.get_mut(upload) else {
        return refusal(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry");
    };
    match *request.method() {
        Method::GET => progress(StatusCode::NO_CONTENT, name, upload, bytes.len(), request),
        Method::DELETE => {
            store.uploads.remove(upload);
            StatusCode::NO_CONTENT.into_response()
        }
        Method::PATCH => {
            let range = wire::header(request.headers(), header::CONTENT_RANGE.as_str());
            let begin = range.and_then(|range| range.split_once('-')).and_then(|(begin, _)| begin.parse().ok());
            if begin.is_some_and(|begin: usize| begin != bytes.len()) {
                return progress(StatusCode::RANGE_NOT_SATISFIABLE, name, upload, bytes.len(), request);
            }
            bytes.extend_from_slice(request.body());
            progress(StatusCode::ACCEPTED, name, upload, bytes.len(), request)
        }
        Method::PUT => {
            let query = wire::query(request);
            let Some(expected) = wire::value(&query, "digest") else {
                return refusal(StatusCode::BAD_REQUEST, "DIGEST_INVALID", "digest missing");
            };
            let mut whole = store.uploads.remove(upload).unwrap_or_default();
            drop(store);
            whole.extend_from_slice(request.body());
            finish(state, name, expected, Bytes::from(whole), request)
        }
        _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    }
}

fn finish(state: &State, name: &str, expected: &str, bytes: Bytes, request: &Request<Bytes>) -> Response {
    if digest(&bytes) != expected {
        let text = "provided digest did not match uploaded content";
        return refusal(StatusCode::BAD_REQUEST, "DIGEST_INVALID", text);
    }
    held(&state.store).repository(name).add_blob(bytes);
    stored(name, expected, request)
}

fn stored(name: &str, digest: &str, request: &Request<Bytes>) -> Response {
    let location = format!("http://{}/v2/{name}/blobs/{digest}", wire::host(request.headers()));
    (StatusCode::CREATED, [("location", location), ("docker-content-digest", digest.to_owned())]).into_response()
}

/// Where the upload stands: the range names its last byte, and `0-0` stands for none, as in distribution.
fn progress(status: StatusCode, name: &str, upload: &str, bytes: usize, request: &Request<Bytes>) -> Response {
    let headers = [
        ("location", format!("http://{}/v2/{name}/blobs/uploads/{upload}", wire::host(request.headers()))),
        ("docker-upload-uuid", upload.to_owned()),
        ("range", format!("0-{}", bytes.saturating_sub(1))),
    ];
    (status, headers).into_response()
}

fn blob_unknown(digest: &str) -> Response {
    let (text, detail) = ("blob unknown to registry", json!({ "digest": digest }));
    refusal_with(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", text, &detail)
}
