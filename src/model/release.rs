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

    /// What one types to name it, as it is shown beside its tags: the first digits of its digest, or of its id where it has
    /// several images.
    #[must_use]
    pub fn short(&self) -> String {
        let mut builds = self.builds.values();
        match (builds.next(), builds.next()) {
            (Some(one), None) => one.digest.short().to_owned(),
            _ => self.id.to_string(),
        }
    }

    /// Whether a person who types this names the whole of it: its tags, one of them, a digest, or its id.
    #[must_use]
    pub fn has_name(&self, text: &str) -> bool {
        let mut builds = self.builds.values();
        let is_build = |build: &Build| build.tag.as_str() == text || build.digest.as_str() == text;
        self.id.as_str() == text || builds.any(is_build) || self.to_string() == text
    }

    /// Whether a person who types this may mean it: any name that is printed of it, with the first digits of a digest or
    /// of the id. Where several names are typed, as they stand beside one another in a status, each must fit.
    #[must_use]
    pub fn is_named(&self, text: &str) -> bool {
        let is_beginning = |word: &str| {
            let digits = word.strip_prefix("sha256:").unwrap_or(word);
            let mut digests = self.builds.values().map(|build| build.digest.as_str());
            digits.len() >= ReleaseId::SHOWN
                && is_hex(digits)
                && (self.id.0.starts_with(word)
                    || digests.any(|digest| digest.trim_start_matches("sha256:").starts_with(digits)))
        };
        let words: Vec<&str> = text.split_whitespace().map(|word| word.trim_matches(['(', ')', ',', '`'])).collect();
        let all = || words.iter().all(|word| self.has_name(word) || is_beginning(word));
        !words.is_empty() && (self.has_name(text) || all())
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
    use crate::model::{BuildFacts, Digest, ImageName, Tag};

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
        let named = |id: &ReleaseId, text: &str| Release { id: id.clone(), builds: Builds::default() }.is_named(text);
        let check = |text: &str, expected| assert_eq!((named(&whole, text), named(&other, text)), expected, "{text}");
        check("e3b0c44298fc", (true, true));
        check("e3b0c44298fc1", (true, false));
        check(text, (true, false));
        check("e3b0c44298f", (false, false));
        check("", (false, false));
    }

    #[test]
    fn every_name_that_is_printed_names_it() {
        let digest = Digest::parse(&format!("sha256:953216c1489b{}", "0".repeat(52))).expect("digest");
        let build = |tag: &str, digest: &Digest| Build {
            tag: Tag::parse(tag).expect("tag"),
            digest: digest.clone(),
            facts: BuildFacts::default().into(),
        };
        let name = |text: &str| ImageName::parse(text).expect("name");
        let worker = build("1.1.0", &Digest::of(b"worker"));
        let release =
            Release::new([(name("app"), build("dev", &digest)), (name("worker"), worker)].into_iter().collect());
        let id = release.id().to_string();
        let row = format!("dev {id}");
        let choice = format!("{id} (dev)");
        for text in [
            "dev",
            "1.1.0",
            "dev, worker 1.1.0",
            "953216c1489b",
            "sha256:953216c1489b",
            digest.as_str(),
            &id,
            &row,
            &choice,
        ] {
            assert!(release.is_named(text), "{text}");
        }
        for text in ["", "de", "9532", "953216c1489b (prod)", "sha256:", "prod 953216c1489b"] {
            assert!(!release.is_named(text), "{text}");
        }
    }
}
