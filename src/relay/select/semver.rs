//! `semver: RANGE`: the greatest version inside the range. Where the tag says no version, it is no candidate.

use super::order::{Key, Unranked};
use super::range::Range;
use super::version::Version;

/// The key of a text, when it is a version inside the range.
pub(super) fn key(range: &Range, text: &str) -> Result<Key<'static>, Unranked> {
    let version = Version::parse(text).ok_or(Unranked::NoVersion)?;
    if range.admits(&version) {
        Ok(Key::Version(version))
    } else if version.is_prerelease() && !range.names_prereleases() {
        Err(Unranked::Prerelease)
    } else {
        Err(Unranked::OutOfRange)
    }
}
