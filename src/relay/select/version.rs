//! Versions as tags write them: `1`, `1.2`, `v1.2.3`, `1.2.3-rc.1`, each number compared exactly at any length.
//!
//! It reads what Masterminds/semver v3 reads (a `v` prefix, missing parts, leading zeros), and bounds no number. It
//! knows no ranges, and build metadata is checked but never compared.

use semver::{BuildMetadata, Prerelease};
use std::cmp::Ordering;

/// A version, ordered by its three numbers and then as semver 2.0 orders pre-releases.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    pub(super) major: Number,
    pub(super) minor: Number,
    pub(super) patch: Number,
    pub(super) pre: Prerelease,
}

impl Version {
    /// Nought in all three parts.
    pub(super) const ZERO: Self =
        Self { major: Number::ZERO, minor: Number::ZERO, patch: Number::ZERO, pre: Prerelease::EMPTY };

    /// Parses a version: `[v]N[.N[.N]][-pre-release][+build]`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (core, pre) = split_suffixes(text.strip_prefix('v').unwrap_or(text))?;
        let mut parts = core.split('.');
        let major = Number::parse(parts.next()?)?;
        let minor = parts.next().map_or(Some(Number::ZERO), Number::parse)?;
        let patch = parts.next().map_or(Some(Number::ZERO), Number::parse)?;
        parts.next().is_none().then_some(Self { major, minor, patch, pre })
    }

    /// Whether it stands before a release: `1.2.3-rc.1`.
    #[must_use]
    pub fn is_prerelease(&self) -> bool {
        !self.pre.is_empty()
    }
}

/// Parts the dotted numbers from the pre-release, and checks the build metadata.
pub(super) fn split_suffixes(text: &str) -> Option<(&str, Prerelease)> {
    let (text, build) = text.split_once('+').map_or((text, None), |(text, build)| (text, Some(build)));
    let (core, pre) = text.split_once('-').map_or((text, None), |(core, pre)| (core, Some(pre)));
    if build.is_some_and(|build| build.is_empty() || BuildMetadata::new(build).is_err()) {
        return None;
    }
    match pre {
        None => Some((core, Prerelease::EMPTY)),
        Some("") => None,
        Some(pre) => Prerelease::new(pre).ok().map(|pre| (core, pre)),
    }
}

/// A natural number of any length, without its leading zeros.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Number {
    /// What fits into a machine word: nearly all.
    Small(u64),
    /// The digits of what does not.
    Large(Box<str>),
}

impl Number {
    /// Nought.
    pub(super) const ZERO: Self = Self::Small(0);

    /// Parses one or more decimal digits.
    pub(super) fn parse(digits: &str) -> Option<Self> {
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let significant = digits.trim_start_matches('0');
        if significant.is_empty() {
            return Some(Self::ZERO);
        }
        Some(significant.parse().map_or_else(|_| Self::Large(significant.into()), Self::Small))
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Small(a), Self::Small(b)) => a.cmp(b),
            (Self::Small(_), Self::Large(_)) => Ordering::Less,
            (Self::Large(_), Self::Small(_)) => Ordering::Greater,
            (Self::Large(a), Self::Large(b)) => a.len().cmp(&b.len()).then_with(|| a.cmp(b)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parses_what_tags_write() {
        for text in ["1", "v1", "1.2", "1.2.3", "v1.2-5", "1.2.3-rc1-with-hyphen", "1.0.0-x.Y.0+m-1", "01.02.003"] {
            assert!(Version::parse(text).is_some(), "{text}");
        }
        let wrong = ["", "v", "V1", "latest", "1.2.beta", "1.2.3.4", "1.", ".1", "1..2", "1.2.3-", "1.2.3-a..b"];
        for text in wrong.into_iter().chain(["1.2.3-01", "1.2.3+", "1.2.3+a_b", "-1", " 1", "1 ", "1.2.3-ä"]) {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }

    #[test]
    fn orders_exactly_at_any_length() {
        let ascending = [
            "0",
            "1.2.3-1",
            "1.2.3-2",
            "1.2.3-99999999999999999999",
            "1.2.3-100000000000000000000",
            "1.2.3-alpha",
            "1.2.3-alpha.1",
            "1.2.3-rc.9",
            "1.2.3-rc.10",
            "1.2.3-rc10",
            "1.2.3-rc9",
            "1.2.3",
            "1.2.10",
            "1.10",
            "18446744073709551615.0",
            "18446744073709551616.0",
            "99999999999999999999999",
            "100000000000000000000000",
        ];
        for pair in ascending.windows(2) {
            assert!(Version::parse(pair[0]) < Version::parse(pair[1]), "{pair:?}");
        }
        for (a, b) in [("1", "v1.0.0"), ("1.2+bar", "1.2.0+baz"), ("2024.09.01", "2024.9.1")] {
            assert_eq!(Version::parse(a), Version::parse(b), "{a} {b}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_semver_crate(a in "[0-9]\\.[0-9]{1,2}\\.[1-9](-[a-c1-9]{1,3}(\\.[1-9]{1,3})?)?",
                                        b in "[0-9]\\.[0-9]{1,2}\\.[1-9](-[a-c1-9]{1,3}(\\.[1-9]{1,3})?)?") {
            if let (Ok(x), Ok(y)) = (semver::Version::parse(&a), semver::Version::parse(&b)) {
                prop_assert_eq!(Version::parse(&a).cmp(&Version::parse(&b)), x.cmp(&y));
            }
        }
    }
}
