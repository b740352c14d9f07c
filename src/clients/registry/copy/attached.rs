//! What is about a build and stands beside it: its referrers, and the tags that cosign keeps signatures under.
//!
//! Only what is about the build itself comes along, not what is about a child of its index: the index is what is pinned.
//! A tag of the destination is never moved.

use super::Copy;
use crate::clients::http;
use crate::clients::registry::error::{RegistryError, nonsense};
use crate::clients::registry::manifest;
use crate::clients::registry::session::{Answer, Call};
use crate::model::{Digest, Tag};
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

/// How many referrers of one build are carried: a signature, an attestation and a scan each, many times over.
const REFERRERS_MAX: usize = 64;
/// The largest list of referrers that is read, that of a manifest.
const LIST_BYTES_MAX: usize = 4 << 20;
/// What cosign puts behind `sha256-<hex>` in its tags.
const SUFFIXES: [&str; 3] = [".sig", ".att", ".sbom"];
/// What an index is.
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// By which a registry says that it keeps the list of referrers itself (distribution-spec 1.1, "Pushing Manifests with
/// Subject").
const KEEPS_LIST: &str = "oci-subject";

/// A list of referrers; each is kept as it was written.
#[derive(Deserialize)]
struct List {
    #[serde(default)]
    manifests: Vec<Value>,
}

impl Copy<'_> {
    /// Carries over what is attached to a build.
    pub(super) async fn attached(&self, digest: &Digest) -> Result<(), RegistryError> {
        let told = |error: RegistryError| error.during("what is attached to it");
        self.referrers(digest).await.map_err(told)?;
        for suffix in SUFFIXES {
            let Ok(tag) = Tag::parse(&format!("{}{suffix}", tag_of(digest))) else { continue };
            self.tagged(&tag).await.map_err(told)?;
        }
        Ok(())
    }

    /// A tag and what it names, where there is one and the destination has none.
    async fn tagged(&self, tag: &Tag) -> Result<(), RegistryError> {
        let Some(digest) = manifest::digest(self.source, tag).await? else { return Ok(()) };
        if manifest::digest(self.target, tag).await?.is_some() {
            return Ok(());
        }
        let manifest = manifest::by_digest(self.source, &digest).await?;
        self.parts(&manifest, 1).await?;
        self.put(tag.as_str(), &manifest).await.map(drop)
    }

    async fn referrers(&self, digest: &Digest) -> Result<(), RegistryError> {
        let listed = self.listed(digest).await?;
        let mut unlisted: Vec<Value> = Vec::new();
        for entry in listed.into_iter().take(REFERRERS_MAX) {
            let named = entry.get("digest").and_then(Value::as_str).unwrap_or_default();
            let here = || self.source.url(&format!("referrers/{digest}"));
            let named = Digest::parse(named).map_err(|error| nonsense(&here(), &error.to_string()))?;
            let said: HeaderMap = self.manifest(&named, 1).await?;
            if !said.is_empty() && !said.contains_key(KEEPS_LIST) {
                unlisted.push(entry);
            }
        }
        let Ok(tag) = Tag::parse(&tag_of(digest)) else { return Ok(()) };
        // A registry without the list finds referrers by a tag that whoever pushes them keeps.
        if unlisted.is_empty() || manifest::digest(self.target, &tag).await?.is_some() {
            return Ok(());
        }
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": unlisted }).to_string();
        self.put_bytes(tag.as_str(), INDEX, index.as_bytes()).await.map(drop)
    }

    /// The referrers of a build, by the registry's list, or where it has none by the tag that stands for it.
    async fn listed(&self, digest: &Digest) -> Result<Vec<Value>, RegistryError> {
        for below in [format!("referrers/{digest}"), format!("manifests/{}", tag_of(digest))] {
            let url = self.source.url(&below);
            let call = Call { method: Method::GET, url: url.clone(), accept: INDEX, content: None, special: None };
            let response = match self.source.ask(&call).await? {
                Answer::Yes(response) => response,
                Answer::No(refusal) if is_unknown(refusal.status) => continue,
                Answer::No(refusal) => return Err(refusal.into_error()),
            };
            let bytes = http::body(response, LIST_BYTES_MAX, "list of referrers").await?;
            let list: List =
                serde_json::from_slice(&bytes).map_err(|_| nonsense(&url, "the answer is no list of referrers"))?;
            return Ok(list.manifests);
        }
        Ok(Vec::new())
    }
}

/// Whether a registry does not know this kind of question, or has no answer.
fn is_unknown(status: StatusCode) -> bool {
    matches!(status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED)
        || status == StatusCode::BAD_REQUEST
}

/// `sha256-<hex>`: the tag that stands for what is about a build (distribution-spec 1.1, "Referrers Tag Schema").
fn tag_of(digest: &Digest) -> String {
    digest.as_str().replace(':', "-")
}
