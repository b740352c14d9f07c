//! Manifests as bytes: which one a tag names, and the bytes themselves, checked against their digest.
//!
//! Nothing is written anew from what was parsed: another order of keys would be another digest.

use super::answers::Room;
use super::error::{RegistryError, no_json, nonsense};
use super::session::{Answer, Call, Session};
use crate::clients::http;
use crate::model::{Digest, Tag};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Every kind of manifest that we can carry: a registry that misses one may convert, which is another digest.
pub(super) const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json";
/// The largest manifest that registries must take (distribution-spec 1.1, "Pushing Manifests").
const MANIFEST_BYTES_MAX: usize = 4 << 20;
/// The header that names the digest of what is answered.
pub(super) const DIGEST: &str = "docker-content-digest";

/// A manifest or an index.
pub(super) struct Manifest {
    /// Its bytes, as they came.
    pub(super) bytes: Vec<u8>,
    /// Its media type, without parameters.
    pub(super) media_type: String,
    /// What we read of it.
    pub(super) parts: Parts,
    /// What the registry says is its digest, where it says one that we know the form of.
    said: Option<Digest>,
    /// What it takes in memory.
    _room: Room,
}

/// What we read of a manifest (`config`) or an index (`manifests`).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Parts {
    schema_version: u64,
    media_type: Option<String>,
    pub(super) config: Option<Descriptor>,
    pub(super) manifests: Option<Vec<Descriptor>>,
    pub(super) layers: Option<Vec<Descriptor>>,
    #[serde(default)]
    pub(super) annotations: Option<BTreeMap<String, String>>,
}

/// A pointer at a manifest or a blob.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    #[serde(default)]
    pub(super) media_type: String,
    pub(super) digest: String,
    /// In bytes.
    #[serde(default)]
    pub(super) size: u64,
    pub(super) platform: Option<WirePlatform>,
    #[serde(default)]
    pub(super) annotations: Option<BTreeMap<String, String>>,
}

/// A platform, as descriptors and configs spell it.
#[derive(Deserialize)]
pub(super) struct WirePlatform {
    #[serde(default)]
    pub(super) os: String,
    #[serde(default)]
    pub(super) architecture: String,
    pub(super) variant: Option<String>,
}

/// The digest that a tag names; none where there is no such tag.
pub(super) async fn digest(session: &Session<'_>, tag: &Tag) -> Result<Option<Digest>, RegistryError> {
    named(session, tag.as_str()).await
}

/// The digest of what a tag or digest names; none where there is no such manifest.
pub(super) async fn named(session: &Session<'_>, reference: &str) -> Result<Option<Digest>, RegistryError> {
    let url = session.url(&format!("manifests/{reference}"));
    let call = Call { method: Method::HEAD, url, accept: ACCEPT, content: None, special: None };
    match session.ask(&call).await? {
        Answer::Yes(response) => {
            if let Some(digest) = digest_header(response.headers()) {
                return Ok(Some(digest));
            }
        }
        Answer::No(refusal) if refusal.status == StatusCode::NOT_FOUND => return Ok(None),
        // A registry that knows no HEAD is asked with GET.
        Answer::No(refusal)
            if matches!(refusal.status, StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED) => {}
        Answer::No(refusal) => return Err(refusal.into_error()),
    }
    Ok(by_reference(session, reference).await?.map(|(digest, _)| digest))
}

/// What the registry says is the digest, where it says one that we know the form of.
pub(super) fn digest_header(headers: &HeaderMap) -> Option<Digest> {
    Digest::parse(headers.get(DIGEST)?.to_str().ok()?).ok()
}

/// The manifest with this digest.
pub(super) async fn by_digest(session: &Session<'_>, digest: &Digest) -> Result<Manifest, RegistryError> {
    let url = session.url(&format!("manifests/{digest}"));
    let Some(manifest) = get(session, digest.as_str()).await? else {
        let text = http::shown_request(&Method::GET, &url);
        return Err(RegistryError::Absent(format!("{text}: the registry has no such build; was it deleted?")));
    };
    if Digest::of(&manifest.bytes) != *digest {
        return Err(nonsense(&url, "the manifest does not have the digest that it was asked by"));
    }
    Ok(manifest)
}

/// The manifest that a tag or digest names, with its digest; none where there is no such manifest.
pub(super) async fn by_reference(
    session: &Session<'_>,
    reference: &str,
) -> Result<Option<(Digest, Manifest)>, RegistryError> {
    let Some(manifest) = get(session, reference).await? else { return Ok(None) };
    let digest = Digest::of(&manifest.bytes);
    if manifest.said.as_ref().is_some_and(|said| *said != digest) {
        let url = session.url(&format!("manifests/{reference}"));
        return Err(nonsense(&url, "the manifest does not have the digest that it came with"));
    }
    Ok(Some((digest, manifest)))
}

async fn get(session: &Session<'_>, reference: &str) -> Result<Option<Manifest>, RegistryError> {
    let url = session.url(&format!("manifests/{reference}"));
    let call = Call { method: Method::GET, url: url.clone(), accept: ACCEPT, content: None, special: None };
    let response = match session.ask(&call).await? {
        Answer::No(refusal) if refusal.status == StatusCode::NOT_FOUND => return Ok(None),
        answer => answer.accepted()?,
    };
    let said = digest_header(response.headers());
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.and_then(|value| value.split(';').next()).unwrap_or_default().trim().to_owned();
    let mut room = session.host.answers.room();
    let bytes = room.read_json(response, MANIFEST_BYTES_MAX, "manifest").await?;
    let parts: Parts =
        serde_json::from_slice(&bytes).map_err(|_| no_json(&url, &bytes, "the answer is no manifest"))?;
    if parts.schema_version != 2 || (parts.config.is_none() && parts.manifests.is_none()) {
        return Err(nonsense(&url, "the manifest is of a kind that is long out of use; push the image anew"));
    }
    // The media type inside is under the digest, so it is believed before the header.
    let media_type = parts.media_type.clone().unwrap_or(content_type);
    Ok(Some(Manifest { bytes, media_type, parts, said, _room: room }))
}
