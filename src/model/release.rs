//! A release: the builds, one for each image, that move as a whole.

use super::{Build, ByImage, text};
use std::fmt;
use std::sync::Arc;

/// The name of a release: the hash of its sorted (image name, digest) pairs, the same in every repository.
///
/// Votes, verdicts and refusals bind to the whole of it: whoever pushes images could make two releases that share a
/// short one. People see its first digits, and may name it by as many or more.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReleaseId(Arc<str>);

impl ReleaseId {
    /// How many hexadecimal digits an id has.
    pub const LENGTH: usize = 64;
    /// How many of them people see: enough to tell one policy's releases apart, as long as nobody tries to make two alike.
    pub const SHOWN: usize = 12;

    /// Parses a whole id.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == Self::LENGTH && is_hex(text)).then(|| Self(text.into()))
    }

    /// Reads an id of an old vote, which has only the digits that people see: it is the id of no release.
    #[must_use]
    pub fn parse_short(text: &str) -> Option<Self> {
        (text.len() == Self::SHOWN && is_hex(text)).then(|| Self(text.into()))
    }

    /// The whole id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a person who types this may mean it: its first digits, at least those that are shown.
    #[must_use]
    pub fn is_named(&self, text: &str) -> bool {
        text.len() >= Self::SHOWN && self.0.starts_with(text)
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// The digits that people see.
impl fmt::Display for ReleaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.get(..Self::SHOWN).unwrap_or(&self.0))
    }
}

/// One build for each image.
pub type Builds = ByImage<Build>;

/// One build for each image of a policy; it is told apart by its digests alone.
#[derive(Debug, Clone)]
pub struct Release {
    id: ReleaseId,
    builds: Builds,
}

impl Release {
    /// The release of these builds.
    #[must_use]
    pub fn new(builds: Builds) -> Self {
        let pairs: Vec<String> = builds.iter().map(|(name, build)| format!("{name}={}", build.digest)).collect();
        let hash = text::hex(&text::sha256(pairs.join("\n").as_bytes()));
        Self { id: ReleaseId(hash.into()), builds }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &ReleaseId {
        &self.id
    }

    /// Its builds by image.
    #[must_use]
    pub fn builds(&self) -> &Builds {
        &self.builds
    }
}

impl PartialEq for Release {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Release {}

/// The tags for people: `1.4.2`, or `1.4.2, worker 1.4.1` where they differ.
impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut builds = self.builds.iter();
        let Some((_, first)) = builds.next() else { return f.write_str("nothing") };
        write!(f, "{}", first.tag)?;
        for (name, build) in builds.filter(|(_, build)| build.tag != first.tag) {
            write!(f, ", {name} {}", build.tag)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_whole_and_is_named_by_its_first_digits() {
        let whole = Release::new(Builds::default()).id().clone();
        let text = whole.as_str();
        assert_eq!(ReleaseId::parse(text), Some(whole.clone()));
        assert_eq!((text.len(), whole.to_string().as_str()), (64, "e3b0c44298fc"));
        for not_whole in ["e3b0c44298fc", &text[1..], &text.to_uppercase(), &text.replace('e', "g")] {
            assert_eq!(ReleaseId::parse(not_whole), None, "{not_whole}");
        }
        let short = ReleaseId::parse_short("e3b0c44298fc").expect("an old vote's");
        assert_ne!(short, whole, "an old vote is for no release");
        assert_eq!([ReleaseId::parse_short(text), ReleaseId::parse_short("e3b0c44298fg")], [None, None]);
        let other = ReleaseId(format!("e3b0c44298fc{}", "0".repeat(52)).into());
        assert_ne!(whole, other, "two that look the same are two");
        let check = |text: &str, expected| assert_eq!((whole.is_named(text), other.is_named(text)), expected, "{text}");
        check("e3b0c44298fc", (true, true));
        check("e3b0c44298fc1", (true, false));
        check(text, (true, false));
        check("e3b0c44298f", (false, false));
        check("", (false, false));
    }
}
