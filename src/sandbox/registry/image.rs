//! Builds images as a CI job would: config, layer, manifest and, for several platforms, an index, all real bytes.
//!
//! The layer is a line of text (and as many blanks as are asked for), not a file system: nobody runs these images.

use super::store::{Manifest, Repository, Unfit};
use axum::body::Bytes;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The label that names the source revision (OCI image-spec, "Pre-Defined Annotation Keys").
const REVISION: &str = "org.opencontainers.image.revision";

/// What is built: equal specifications give equal digests, as reproducible builds do.
#[derive(Debug, Clone)]
pub struct ImageSpec {
    content: String,
    created: String,
    labels: BTreeMap<String, String>,
    platforms: Vec<String>,
    index: bool,
    unnamed: bool,
    docker: bool,
    blanks: usize,
}

impl ImageSpec {
    /// An image for linux/amd64 that holds this text and says that it was created then (RFC 3339).
    #[must_use]
    pub fn new(content: &str, created: &str) -> Self {
        Self {
            content: content.to_owned(),
            created: created.to_owned(),
            labels: BTreeMap::new(),
            platforms: vec!["linux/amd64".to_owned()],
            index: false,
            unnamed: false,
            docker: false,
            blanks: 0,
        }
    }

    /// With this label in its config.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Built from this commit.
    #[must_use]
    pub fn revision(self, commit: &str) -> Self {
        self.label(REVISION, commit)
    }

    /// For these platforms (`os/architecture[/variant]`) under one index. `unknown/unknown` makes an attestation, as
    /// buildx adds them.
    #[must_use]
    pub fn platforms(mut self, platforms: &[&str]) -> Self {
        self.platforms = platforms.iter().map(|platform| (*platform).to_owned()).collect();
        self.index = true;
        self
    }

    /// With an index that names no platforms: OCI lets it, and the configs tell them.
    #[must_use]
    pub fn unnamed(mut self) -> Self {
        self.unnamed = true;
        self
    }

    /// With Docker's media types in place of OCI's.
    #[must_use]
    pub fn docker(mut self) -> Self {
        self.docker = true;
        self
    }

    /// With a layer that is larger by so many bytes.
    #[must_use]
    pub fn larger_by(mut self, bytes: usize) -> Self {
        self.blanks = bytes;
        self
    }

    fn media_type(&self, oci: &'static str, docker: &'static str) -> &'static str {
        if self.docker { docker } else { oci }
    }

    /// Takes everything into the repository, children first; the digest of what the tag then names.
    pub(super) fn push(&self, repository: &mut Repository, tag: &str) -> Result<String, Unfit> {
        let mut children = Vec::new();
        for platform in &self.platforms {
            children.push((platform, self.child(repository, platform)));
        }
        if !self.index {
            let (_, only) = children.pop().ok_or(Unfit::Invalid("it has no platform"))?;
            return repository.add_manifest(only, Some(tag));
        }
        let mut entries = Vec::new();
        for (platform, child) in children {
            let mut entry = entry(platform, &child, entries.first());
            if self.unnamed
                && let Some(entry) = entry.as_object_mut()
            {
                drop(entry.remove("platform"));
            }
            entries.push(entry);
            repository.add_manifest(child, None)?;
        }
        let media_type = self.media_type(super::OCI_INDEX, super::DOCKER_LIST);
        let index = json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": entries });
        repository.add_manifest(Manifest::new(media_type, bytes(&index)), Some(tag))
    }

    /// The manifest for one platform; its blobs are taken in.
    fn child(&self, repository: &mut Repository, platform: &str) -> Manifest {
        let blanks = " ".repeat(self.blanks);
        let layer = Bytes::from(format!("{} for {platform}{blanks}\n", self.content));
        let mut config = json!({
            "created": self.created,
            "config": { "Labels": self.labels },
            "rootfs": { "type": "layers", "diff_ids": [super::store::digest(&layer)] },
            "history": [{ "created": self.created, "created_by": "sandbox" }],
        });
        for (key, part) in ["os", "architecture", "variant"].into_iter().zip(platform.split('/')) {
            config[key] = part.into();
        }
        let config = bytes(&config);
        let media_type = self.media_type(super::OCI_MANIFEST, super::DOCKER_MANIFEST);
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": {
                "mediaType": self.media_type(
                    "application/vnd.oci.image.config.v1+json",
                    "application/vnd.docker.container.image.v1+json",
                ),
                "size": config.len(),
                "digest": repository.add_blob(config),
            },
            "layers": [{
                "mediaType": self.media_type(
                    "application/vnd.oci.image.layer.v1.tar",
                    "application/vnd.docker.image.rootfs.diff.tar",
                ),
                "size": layer.len(),
                "digest": repository.add_blob(layer),
            }],
        });
        Manifest::new(media_type, bytes(&manifest))
    }
}

/// One line of an index.
fn entry(platform: &str, child: &Manifest, first: Option<&Value>) -> Value {
    let mut parts = json!({});
    for (key, part) in ["os", "architecture", "variant"].into_iter().zip(platform.split('/')) {
        parts[key] = part.into();
    }
    let mut entry = json!({
        "mediaType": child.media_type,
        "digest": child.digest,
        "size": child.bytes.len(),
        "platform": parts,
    });
    if platform == "unknown/unknown" {
        entry["annotations"] = json!({
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": first.map(|first| first["digest"].clone()),
        });
    }
    entry
}

/// Takes in a signature of what a digest names, both ways: with a subject, and under a tag.
pub(super) fn sign(repository: &mut Repository, digest: &str) -> Result<String, Unfit> {
    let empty = Bytes::from_static(b"{}");
    let layer = Bytes::from(format!("signed {digest} beside {} manifests", repository.manifests.len()));
    let (config_size, layer_size) = (empty.len(), layer.len());
    let (config, layer) = (repository.add_blob(empty), repository.add_blob(layer));
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": super::OCI_MANIFEST,
        "config": { "mediaType": "application/vnd.oci.empty.v1+json", "size": config_size, "digest": config },
        "layers": [{ "mediaType": "application/vnd.dev.cosign.simplesigning.v1+json", "size": layer_size, "digest": layer }],
    });
    let tag = format!("{}.sig", digest.replace(':', "-"));
    repository.add_manifest(Manifest::new(super::OCI_MANIFEST, bytes(&manifest)), Some(&tag))?;
    let size = repository.manifests.get(digest).map(|subject| subject.bytes.len());
    manifest["artifactType"] = "application/vnd.example.signature".into();
    manifest["subject"] = json!({ "mediaType": super::OCI_MANIFEST, "digest": digest, "size": size });
    repository.add_manifest(Manifest::new(super::OCI_MANIFEST, bytes(&manifest)), None)
}

fn bytes(json: &Value) -> Bytes {
    Bytes::from(json.to_string())
}
