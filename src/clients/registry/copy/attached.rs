//! What is about a build and stands beside it: its referrers, and the tags that cosign keeps signatures under.
//!
//! Only what is about the build itself comes along, not what is about a child of its index: the index is what is pinned.
//! What stands in the destination stays: a list of referrers there is added to, and a tag of cosign's moves on only to what
//! holds all that it named before.

use super::Copy;
use crate::clients::registry::error::{RegistryError, nonsense};
use crate::clients::registry::manifest::{self, Manifest};
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

    /// A tag and what it names, where there is one: each further signature of a build is a layer more under the same tag.
    async fn tagged(&self, tag: &Tag) -> Result<(), RegistryError> {
        let Some(digest) = manifest::digest(self.source, tag).await? else { return Ok(()) };
        let there = manifest::digest(self.target, tag).await?;
        if there.as_ref() == Some(&digest) {
            return Ok(());
        }
        let manifest = manifest::by_digest(self.source, &digest).await?;
        if let Some(there) = there
            && !holds_all(&manifest, &manifest::by_digest(self.target, &there).await?)
        {
            return Ok(());
        }
        self.parts(&manifest, 1).await?;
        moved(tag, self.put(tag.as_str(), &manifest).await)
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
        if listed.is_empty() || list(self.target, &api).await?.is_some() {
            return Ok(());
        }
        let mut named = list(self.target, &format!("manifests/{tag}")).await?.unwrap_or_default();
        let n_before = named.len();
        for entry in listed {
            if !named.iter().any(|known| known.get("digest") == entry.get("digest")) {
                named.push(entry);
            }
        }
        if named.len() == n_before {
            return Ok(());
        }
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": named }).to_string();
        moved(&tag, self.put_bytes(tag.as_str(), INDEX, index.as_bytes()).await)
    }
}

/// A list of referrers, page after page; none where the registry has no such list.
async fn list(session: &Session<'_>, below: &str) -> Result<Option<Vec<Value>>, RegistryError> {
    let (mut url, mut all, mut room) = (session.url(below), Vec::new(), session.host.answers.room());
    for page in 0..PAGES_MAX {
        let call = Call { method: Method::GET, url: url.clone(), accept: INDEX, content: None, special: None };
        let response = match session.ask(&call).await? {
            Answer::Yes(response) => response,
            Answer::No(refusal) if page == 0 && is_unknown(refusal.status) => return Ok(None),
            Answer::No(refusal) => return Err(refusal.into_error()),
        };
        let next = next_page(response.headers(), &url)?;
        let bytes = room.read_json(response, LIST_BYTES_MAX, "list of referrers").await?;
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

/// Whether a manifest names every layer that another one names.
fn holds_all(newer: &Manifest, older: &Manifest) -> bool {
    let layers = |manifest: &Manifest| -> Vec<String> {
        manifest.parts.layers.iter().flatten().map(|layer| layer.digest.clone()).collect()
    };
    let newer = layers(newer);
    layers(older).iter().all(|layer| newer.contains(layer))
}

/// A tag that may not be moved stays: the builds are there, and are found by their digests.
fn moved(tag: &Tag, put: Result<(), RegistryError>) -> Result<(), RegistryError> {
    match put {
        Err(RegistryError::Immutable(why)) => {
            tracing::warn!(image.tag = %tag, error = %why, "tag {tag} stays behind what is attached: {why}");
            Ok(())
        }
        put => put,
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
