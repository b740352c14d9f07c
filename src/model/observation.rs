//! What a registry said: tags, builds, and the facts of a build that never change.

use super::{Digest, Tag};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// One image at one digest, and the tag that it was found under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// The tag that it was found under.
    pub tag: Tag,
    /// What the tag named: the index, where there is one.
    pub digest: Digest,
    /// What is known of the digest; all who know the build share them.
    pub facts: Arc<BuildFacts>,
}

impl Build {
    /// The same build, of which more is known.
    #[must_use]
    pub fn with(mut self, learn: impl FnOnce(&mut BuildFacts)) -> Self {
        learn(Arc::make_mut(&mut self.facts));
        self
    }
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
    /// Its times.
    #[must_use]
    pub fn times(&self) -> Times {
        Times { created: self.created, pushed: self.pushed, seen: self.seen }
    }
}

/// The times of a build, as in its facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Times {
    /// When it says that it was made.
    pub created: Option<Timestamp>,
    /// When the registry took it, where the registry tells.
    pub pushed: Option<Timestamp>,
    /// When it was first seen under its tag.
    pub seen: Option<Timestamp>,
}

impl Times {
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
            && (self.variant.is_none() || self.level() == other.level())
    }

    /// The variant, or the one that its absence means (containerd, `platforms.Normalize`).
    fn level(&self) -> Option<&str> {
        let usual = match self.architecture.as_str() {
            "arm64" => Some("v8"),
            "arm" => Some("v7"),
            "amd64" => Some("v1"),
            _ => None,
        };
        self.variant.as_deref().or(usual)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|variant| write!(f, "/{variant}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_that_run_where_another_is_asked_for() {
        let check = |wanted: &str, has: &str, expected: bool| {
            let [wanted, has] = [wanted, has].map(|text| Platform::parse(text).expect("a platform"));
            assert_eq!(wanted.admits(&has), expected, "{wanted} {has}");
        };
        check("linux/amd64", "linux/amd64", true);
        check("linux/amd64", "linux/amd64/v3", true);
        check("linux/amd64", "linux/arm64", false);
        check("linux/amd64", "windows/amd64", false);
        check("linux/arm64", "linux/arm64/v8", true);
        check("linux/arm64/v8", "linux/arm64", true);
        check("linux/arm64/v9", "linux/arm64", false);
        check("linux/arm/v7", "linux/arm", true);
        check("linux/arm/v7", "linux/arm/v6", false);
        check("linux/riscv64/a", "linux/riscv64", false);
    }
}
