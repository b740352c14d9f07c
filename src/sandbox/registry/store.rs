//! What the registry holds: blobs, manifests and tags of each repository, addressed by the SHA-256 of their bytes.
//!
//! Nothing here knows HTTP or who asks. A manifest enters only when all that it names is there.

use axum::body::Bytes;
use ring::digest::SHA256;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

/// `sha256:` and the hexadecimal digest of these bytes.
pub(super) fn digest(bytes: &[u8]) -> String {
    ring::digest::digest(&SHA256, bytes).as_ref().iter().fold(String::from("sha256:"), |mut text, byte| {
        // Writing to a string cannot fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}

/// Whether this reference is a digest, not a tag.
pub(super) fn is_digest(reference: &str) -> bool {
    reference.contains(':')
}

/// A manifest as it was pushed, byte for byte.
#[derive(Debug, Clone)]
pub(super) struct Manifest {
    pub(super) media_type: String,
    pub(super) bytes: Bytes,
    pub(super) digest: String,
}

impl Manifest {
    pub(super) fn new(media_type: &str, bytes: Bytes) -> Self {
        Self { media_type: media_type.to_owned(), digest: digest(&bytes), bytes }
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_default()
    }

    /// The digest of the manifest that this one is about (a signature's image).
    pub(super) fn subject(&self) -> Option<String> {
        self.json().pointer("/subject/digest")?.as_str().map(str::to_owned)
    }
}

/// One repository.
#[derive(Debug, Default)]
pub(super) struct Repository {
    pub(super) blobs: BTreeMap<String, Bytes>,
    pub(super) manifests: BTreeMap<String, Manifest>,
    /// Tag to digest; ordered as distribution orders its list, by bytes.
    pub(super) tags: BTreeMap<String, String>,
    /// When each manifest was pushed, in seconds since 1970.
    pub(super) pushed: BTreeMap<String, f64>,
}

/// Why a manifest was not taken in.
pub(super) enum Unfit {
    /// It is no manifest that the registry can read.
    Invalid(&'static str),
    /// It names what is not there.
    Missing(String),
}

impl Repository {
    /// The manifest under a tag or digest.
    pub(super) fn manifest(&self, reference: &str) -> Option<&Manifest> {
        let digest = if is_digest(reference) { reference } else { self.tags.get(reference)? };
        self.manifests.get(digest)
    }

    /// Takes a blob in.
    pub(super) fn add_blob(&mut self, bytes: Bytes) -> String {
        let digest = digest(&bytes);
        self.blobs.insert(digest.clone(), bytes);
        digest
    }

    /// Takes a manifest in, under a tag where one is given.
    pub(super) fn add_manifest(&mut self, manifest: Manifest, tag: Option<&str>) -> Result<String, Unfit> {
        let json: Value = serde_json::from_slice(&manifest.bytes).map_err(|_| Unfit::Invalid("it is no JSON"))?;
        let of = |list: &Value| -> Vec<String> {
            let each = list.as_array().into_iter().flatten();
            each.filter_map(|entry| entry.pointer("/digest")?.as_str().map(str::to_owned)).collect()
        };
        if let Some(children) = json.get("manifests") {
            if let Some(missing) = of(children).into_iter().find(|child| !self.manifests.contains_key(child)) {
                return Err(Unfit::Missing(missing));
            }
        } else {
            let config = json.pointer("/config/digest").and_then(Value::as_str);
            let config = config.ok_or(Unfit::Invalid("it has neither a config nor manifests"))?;
            let mut named = of(json.get("layers").unwrap_or(&Value::Null));
            named.insert(0, config.to_owned());
            if let Some(missing) = named.into_iter().find(|blob| !self.blobs.contains_key(blob)) {
                return Err(Unfit::Missing(missing));
            }
        }
        let digest = manifest.digest.clone();
        let now = crate::sandbox::wire::now().as_duration().as_secs_f64();
        self.pushed.entry(digest.clone()).or_insert(now);
        self.manifests.insert(digest.clone(), manifest);
        if let Some(tag) = tag {
            self.tags.insert(tag.to_owned(), digest.clone());
        }
        Ok(digest)
    }

    /// Removes a tag, or a manifest with all tags that name it; whether there was one.
    pub(super) fn remove(&mut self, reference: &str) -> bool {
        if !is_digest(reference) {
            return self.tags.remove(reference).is_some();
        }
        self.tags.retain(|_, digest| digest != reference);
        self.manifests.remove(reference).is_some()
    }
}

/// All repositories, and the uploads under way.
#[derive(Debug, Default)]
pub(super) struct Store {
    pub(super) repositories: BTreeMap<String, Repository>,
    /// Upload id to the bytes so far.
    pub(super) uploads: HashMap<String, Vec<u8>>,
    pub(super) uploads_begun: u64,
}

impl Store {
    /// The repository, made where there is none: registries make them with the first push.
    pub(super) fn repository(&mut self, name: &str) -> &mut Repository {
        self.repositories.entry(name.to_owned()).or_default()
    }
}
