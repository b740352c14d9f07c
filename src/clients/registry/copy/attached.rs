//! What is about a build and stands beside it: its referrers, and the tags that cosign keeps signatures under.
//!
//! Only what is about the build itself comes along, not what is about a child of its index: the index is what is pinned.
//! A tag of the destination is never moved.

use super::Copy;
use crate::clients::http;
use crate::clients::registry::error::{RegistryError, nonsense};
use crate::clients::registry::manifest;
use crate::clients::registry::session::{Answer, Call, Session};
use crate::clients::registry::tags::next_page;
use crate::model::{Digest, Tag};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

/// How many referrers of one build are carried: a signature, an attestation and a scan each, many times over.
const REFERRERS_MAX: usize = 64;
/// How many pages of referrers are read: as many as there could be of one referrer each.
const PAGES_MAX: usize = REFERRERS_MAX;
/// The largest list of referrers that is read, that of a manifest.
const LIST_BYTES_MAX: usize = 4 << 20;
/// What cosign puts behind `sha256-<hex>` in its tags.
const SUFFIXES: [&str; 3] = [".sig", ".att", ".sbom"];
/// What an index is.
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

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
        self.put(tag.as_str(), &manifest).await
    }

    async fn referrers(&self, digest: &Digest) -> Result<(), RegistryError> {
        let (api, tag) = (format!("referrers/{digest}"), tag_of(digest));
        let listed = match list(self.source, &api).await? {
            Some(listed) => listed,
            None => list(self.source, &format!("manifests/{tag}")).await?.unwrap_or_default(),
        };
        for entry in &listed {
            let named = entry.get("digest").and_then(Value::as_str).unwrap_or_default();
            let here = || self.source.url(&api);
            let named = Digest::parse(named).map_err(|error| nonsense(&here(), &error.to_string()))?;
            self.manifest(&named, 1).await?;
        }
        // A registry without the list finds referrers by a tag that whoever pushes them keeps. All are named there, those
        // too that an earlier copy left without it.
        let Ok(tag) = Tag::parse(&tag) else { return Ok(()) };
        if listed.is_empty()
            || list(self.target, &api).await?.is_some()
            || manifest::digest(self.target, &tag).await?.is_some()
        {
            return Ok(());
        }
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": listed }).to_string();
        self.put_bytes(tag.as_str(), INDEX, index.as_bytes()).await
    }
}

/// A list of referrers, page after page; none where the registry has no such list.
async fn list(session: &Session<'_>, below: &str) -> Result<Option<Vec<Value>>, RegistryError> {
    let (mut url, mut all) = (session.url(below), Vec::new());
    for page in 0..PAGES_MAX {
        let call = Call { method: Method::GET, url: url.clone(), accept: INDEX, content: None, special: None };
        let response = match session.ask(&call).await? {
            Answer::Yes(response) => response,
            Answer::No(refusal) if page == 0 && is_unknown(refusal.status) => return Ok(None),
            Answer::No(refusal) => return Err(refusal.into_error()),
        };
        let next = next_page(response.headers(), &url)?;
        let bytes = http::body(response, LIST_BYTES_MAX, "list of referrers").await?;
        let list: List =
            serde_json::from_slice(&bytes).map_err(|_| nonsense(&url, "the answer is no list of referrers"))?;
        all.extend(list.manifests);
        match next {
            Some(next) if all.len() < REFERRERS_MAX => url = next,
            Some(_) | None => break,
        }
    }
    all.truncate(REFERRERS_MAX);
    Ok(Some(all))
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
