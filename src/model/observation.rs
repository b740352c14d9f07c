//! What a registry said: tags, builds, and the facts of a build that never change.

use super::{Digest, Tag};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::fmt;

/// One image at one digest, and the tag that it was found under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// The tag that it was found under.
    pub tag: Tag,
    /// What the tag named: the index, where there is one.
    pub digest: Digest,
    /// What is known of the digest.
    pub facts: BuildFacts,
}

/// The facts of a digest. They never change, so they are read once and kept for ever.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BuildFacts {
    /// When the build says that it was made (the config's `created`): a claim, good for ranking alone.
    pub created: Option<Timestamp>,
    /// When the registry took it, where the registry tells.
    pub pushed: Option<Timestamp>,
    /// When this journal first saw it under this tag.
    pub seen: Option<Timestamp>,
    /// The commit it was built from: label `org.opencontainers.image.revision`, bounded.
    pub revision: Option<String>,
    /// The platforms that it holds.
    pub platforms: Vec<Platform>,
    /// The labels of its config (of the first platform of an index).
    pub labels: BTreeMap<String, String>,
}

impl BuildFacts {
    /// When it came, as far as anybody but the build itself can tell: pushed, or else first seen.
    #[must_use]
    pub fn arrived(&self) -> Option<Timestamp> {
        self.pushed.or(self.seen)
    }
}

/// An operating system and an architecture: `linux/amd64`, `linux/arm/v7`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Platform {
    /// The operating system.
    pub os: String,
    /// The architecture.
    pub architecture: String,
    /// Its variant; none matches any.
    pub variant: Option<String>,
}

impl Platform {
    /// Parses `os/architecture[/variant]`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/').map(str::to_owned);
        let (os, architecture, variant) = (parts.next()?, parts.next()?, parts.next());
        let named = |s: &String| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        let whole = named(&os) && named(&architecture) && variant.iter().all(named) && parts.next().is_none();
        whole.then_some(Self { os, architecture, variant })
    }

    /// Whether an image of platform `other` runs where this one is asked for.
    #[must_use]
    pub fn admits(&self, other: &Self) -> bool {
        self.os == other.os
            && self.architecture == other.architecture
            && self.variant.as_ref().is_none_or(|wanted| other.variant.as_ref() == Some(wanted))
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|variant| write!(f, "/{variant}"))
    }
}
