//! Where a pin stands in the GitOps repository, and in which form it is written.

use super::ImageName;
use std::fmt;

/// What of a build is written: its tag, its digest, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PinForm {
    /// `v1`.
    Tag,
    /// `sha256:...`.
    Digest,
    /// `v1@sha256:...`.
    TagAtDigest,
}

impl PinForm {
    /// Whether the digest is part of what is written.
    #[must_use]
    pub fn has_digest(self) -> bool {
        self != Self::Tag
    }
}

impl fmt::Display for PinForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tag => "tag",
            Self::Digest => "digest",
            Self::TagAtDigest => "tag@digest",
        })
    }
}

/// One place of the GitOps repository that an environment writes: paths are relative to its root, with `/`, without `..`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// What is edited there.
    pub target: Target,
    /// What to do where the entry, the key or the path does not exist.
    pub missing: Missing,
}

/// What to do where the place to be written does not exist yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Say so and write nothing.
    Error,
    /// Add the entry.
    Add,
}

/// The kinds of places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The `images:` entries of a kustomization, found by the image's repository in `newName`, else `name`; every image
    /// of the policy that the file names is written.
    Kustomize {
        /// The kustomization file, or the directory that holds it.
        path: String,
    },
    /// Keys of a Helm values file, for one image.
    Helm {
        /// The values file.
        file: String,
        /// The image that is written.
        image: ImageName,
        /// Which keys hold which part.
        keys: HelmKeys,
        /// Which of several documents; in a Flux HelmRelease the keys stand below `spec.values`.
        document: Option<Document>,
    },
    /// One scalar of any YAML file, for one image: the whole reference `repository:tag@digest`; or the entries of a list
    /// that name the image, each `[name=]repository:tag@digest`.
    Yaml {
        /// The file.
        file: String,
        /// The image that is written.
        image: ImageName,
        /// Where in the document, e.g. `spec.template.spec.containers[name=web].image`.
        path: String,
        /// Which of several documents.
        document: Option<Document>,
    },
}

impl Target {
    /// The file or directory as it stands in the policy.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Self::Kustomize { path } => path,
            Self::Helm { file, .. } | Self::Yaml { file, .. } => file,
        }
    }
}

/// The keys of a values file, each a path as in `yaml`; at least one is set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HelmKeys {
    /// Holds the whole reference.
    pub image: Option<String>,
    /// Holds the registry's host.
    pub registry: Option<String>,
    /// Holds the repository, without the host where `registry` is set.
    pub repository: Option<String>,
    /// Holds the tag; with a digest in the pin's form and no `digest` key, `TAG@sha256:...`.
    pub tag: Option<String>,
    /// Holds the digest.
    pub digest: Option<String>,
}

/// Which document of a YAML stream is meant: every field that is set must match.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Document {
    /// `apiVersion` of it.
    pub api_version: Option<String>,
    /// `kind` of it.
    pub kind: Option<String>,
    /// `metadata.name` of it.
    pub name: Option<String>,
    /// `metadata.namespace` of it.
    pub namespace: Option<String>,
}
