//! Where an image lives and how one build of it is named: repository, tag, digest.
//!
//! Grammar: OCI distribution-spec 1.1, "Pulling manifests" (`<name>`, `<reference>`), and the descriptor's `digest`.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// The longest tag that a registry takes (OCI distribution-spec 1.1; ECR's API says 300, its registry keeps to 128).
const TAG_BYTES_MAX: usize = 128;
/// The longest repository reference, host included, that is looked at.
const REPOSITORY_BYTES_MAX: usize = 512;

/// What is wrong with a reference, for the person who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// The text is no repository (`host/path`).
    #[error("`{0}` is no image repository: {1}")]
    Repository(String, &'static str),
    /// The text is no tag.
    #[error("`{0}` is no tag: letters, digits, `_`, `.` and `-`, at most 128, not starting with `.` or `-`")]
    Tag(String),
    /// The text is no digest.
    #[error("`{0}` is no digest: expected `sha256:` and 64 hexadecimal digits")]
    Digest(String),
}

/// A registry host (with port) and the path of a repository in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Repository {
    host: Arc<str>,
    path: Arc<str>,
}

impl Repository {
    /// Parses `host[:port]/path`. A reference without a host is Docker Hub's, as `docker pull` reads it.
    ///
    /// # Errors
    /// When the path is not a valid repository name, or the text carries a tag or digest.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let refuse = |why| Err(ReferenceError::Repository(super::text::shown(text), why));
        if text.len() > REPOSITORY_BYTES_MAX {
            return refuse("it is longer than 512 bytes");
        }
        if text.contains('@') {
            return refuse("write it without a digest");
        }
        if text.contains("://") {
            return refuse("write it without `https://`");
        }
        let (first, rest) = text.split_once('/').unwrap_or(("", text));
        let has_host = first.contains(['.', ':']) || first == "localhost";
        let (host, path) = if has_host { (first, rest) } else { ("docker.io", text) };
        if host.chars().any(|c| !(c.is_ascii_alphanumeric() || ".-:[]".contains(c))) {
            return refuse("the host has a character that no host name has");
        }
        if path.contains(':') {
            return refuse("write it without a tag");
        }
        let path = if host == "docker.io" && !path.contains('/') { format!("library/{path}") } else { path.to_owned() };
        if !path.split('/').all(is_path_component) {
            return refuse("its path is lower-case letters and digits, joined by `.`, `_`, `__`, `-` and `/`");
        }
        Ok(Self { host: host.to_ascii_lowercase().into(), path: path.into() })
    }

    /// The registry's host, with its port where one was given.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The path of the repository inside the registry.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The last segment of the path: the name an image has unless the policy gives another.
    #[must_use]
    pub fn last_segment(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.path)
    }
}

fn is_path_component(component: &str) -> bool {
    let bytes = component.as_bytes();
    let alphanumeric = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    alphanumeric(first)
        && alphanumeric(last)
        && bytes.iter().all(|b| alphanumeric(b) || b"._-".contains(b))
        && !component.contains("..")
        && !component.contains("___")
}

/// A tag: a movable name of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(Arc<str>);

impl Tag {
    /// Parses a tag.
    ///
    /// # Errors
    /// When the text is not `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let tag = TagRef::parse(text).ok_or_else(|| ReferenceError::Tag(super::text::shown(text)))?;
        Ok(tag.to_tag())
    }

    /// The tag as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tag, borrowed.
    #[must_use]
    pub fn by_ref(&self) -> TagRef<'_> {
        TagRef(&self.0)
    }
}

/// So that a map by tags can be asked with a [`TagRef`]'s text.
impl Borrow<str> for Tag {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// A tag that somebody else keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TagRef<'t>(&'t str);

impl<'t> TagRef<'t> {
    /// Parses a tag; none where the text is not `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
    #[must_use]
    pub fn parse(text: &'t str) -> Option<Self> {
        let bytes = text.as_bytes();
        let first = bytes.first().is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
        let rest = bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        (first && rest && bytes.len() <= TAG_BYTES_MAX).then_some(Self(text))
    }

    /// A tag out of a list in which it was parsed.
    pub(super) fn listed(text: &'t str) -> Self {
        Self(text)
    }

    /// The tag as text.
    #[must_use]
    pub fn as_str(self) -> &'t str {
        self.0
    }

    /// The tag on its own.
    #[must_use]
    pub fn to_tag(self) -> Tag {
        Tag(self.0.into())
    }
}

impl fmt::Display for TagRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The digest of a manifest: what a build is, whatever tags name it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(Arc<str>);

impl Digest {
    /// Parses `sha256:<64 hex digits>`, the one algorithm that registries use.
    ///
    /// # Errors
    /// When the text is anything else.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let hex = text.strip_prefix("sha256:").filter(|hex| hex.len() == 64);
        match hex {
            Some(hex) if hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) => Ok(Self(text.into())),
            _ => Err(ReferenceError::Digest(super::text::shown(text))),
        }
    }

    /// The digest of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(format!("sha256:{}", super::text::hex(&super::text::sha256(bytes))).into())
    }

    /// The digest as text, `sha256:` included.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve hexadecimal digits, for people.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(7..19).unwrap_or(&self.0)
    }
}

/// A digest in the making, for bytes that never are in memory together.
#[derive(Clone)]
pub struct Digesting(ring::digest::Context);

impl Default for Digesting {
    fn default() -> Self {
        Self(ring::digest::Context::new(&ring::digest::SHA256))
    }
}

impl fmt::Debug for Digesting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digesting")
    }
}

impl Digesting {
    /// Takes in the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all bytes taken in.
    #[must_use]
    pub fn finish(self) -> Digest {
        Digest(format!("sha256:{}", super::text::hex(self.0.finish().as_ref())).into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories() {
        let check = |text: &str, expected: Option<(&str, &str)>| {
            let parsed = Repository::parse(text).ok();
            assert_eq!(parsed.as_ref().map(|r| (r.host(), r.path())), expected, "{text}");
        };
        check("shop", Some(("docker.io", "library/shop")));
        check("team/shop", Some(("docker.io", "team/shop")));
        check("localhost:5000/team/shop", Some(("localhost:5000", "team/shop")));
        check("REG.example.com/a__b/c-d.e", Some(("reg.example.com", "a__b/c-d.e")));
        for wrong in [
            "",
            "reg.io/",
            "reg.io/Shop",
            "reg.io/shop:1",
            "reg.io/shop@sha256:00",
            "reg.io/a//b",
            "reg.io/../x",
            "a b/c.d",
        ] {
            check(wrong, None);
        }
    }

    #[test]
    fn tags_and_digests() {
        assert!(Tag::parse("v1.2.3-rc_1").is_ok());
        for wrong in ["", ".a", "-a", "a b", "$(rm -rf /)", "a\n", &"a".repeat(129)] {
            assert!(Tag::parse(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(Digest::of(b"").as_str(), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert!(Digest::parse("sha256:E3B0").is_err());
        assert!(Digest::parse(&format!("sha512:{}", "a".repeat(64))).is_err());
    }
}
