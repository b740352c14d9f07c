//! Which tags can be candidates by their name alone: reserved ones, attachments, `match`, `ignore`.
//!
//! What needs a fact of the build (labels, platforms, branch, age) is judged in `admission`.

use crate::model::policy::Select;
use crate::model::{Tag, TagRef, text};
use crate::relay::keep;
use std::collections::HashSet;
use std::fmt;

/// How many hexadecimal digits a digest of SHA-256 has.
const DIGEST_HEX: usize = 64;

/// Why a tag is no candidate, by its name alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dropped {
    /// What is attached to a build (a signature, a list of referrers), no image.
    Attachment,
    /// A tag of ours, which keeps a build alive.
    Ours,
    /// A policy follows or retags it: it is meant to move.
    Reserved,
    /// `match` does not match.
    Unmatched,
    /// This entry of `ignore` matches.
    Ignored(String),
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attachment => f.write_str("an attachment of a build"),
            Self::Ours => f.write_str("a tag of tagrelay's own"),
            Self::Reserved => f.write_str("a tag that a policy follows or retags"),
            Self::Unmatched => f.write_str("`match` does not match"),
            Self::Ignored(entry) => write!(f, "ignored by `{}`", text::shown(entry)),
        }
    }
}

/// Whether a tag can be a candidate, by its name alone.
///
/// # Errors
/// The reason why not.
pub fn by_name(select: &Select, reserved: &HashSet<Tag>, tag: TagRef<'_>) -> Result<(), Dropped> {
    if is_attachment(tag.as_str()) {
        Err(Dropped::Attachment)
    } else if tag.as_str().starts_with(keep::PREFIX) {
        Err(Dropped::Ours)
    } else if reserved.contains(tag.as_str()) {
        Err(Dropped::Reserved)
    } else {
        by_patterns(select, tag.as_str())
    }
}

/// Whether `match` and `ignore` let a text through.
///
/// # Errors
/// The reason why not.
pub fn by_patterns(select: &Select, tag: &str) -> Result<(), Dropped> {
    if select.matches.as_ref().is_some_and(|pattern| !pattern.matches(tag)) {
        return Err(Dropped::Unmatched);
    }
    match select.ignore.iter().find(|entry| entry.matches(tag)) {
        Some(entry) => Err(Dropped::Ignored(entry.text.clone())),
        None => Ok(()),
    }
}

/// Whether a tag names what is attached to a digest.
///
/// That is `sha256-<64 hex>` (distribution-spec 1.1, "Referrers Tag Schema"), alone or with a suffix, and cosign's `.sig`,
/// `.att` and `.sbom` behind hex of any length.
#[must_use]
pub fn is_attachment(tag: &str) -> bool {
    let Some(rest) = tag.strip_prefix("sha256-") else { return false };
    let (hex, kind) = rest.split_once('.').unwrap_or((rest, ""));
    let is_whole = hex.len() == DIGEST_HEX || (matches!(kind, "sig" | "att" | "sbom") && !hex.is_empty());
    is_whole && hex.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attachments() {
        let digest = "a".repeat(64);
        for kind in ["sig", "att", "sbom"] {
            assert!(is_attachment(&format!("sha256-{digest}.{kind}")), "{kind}");
            assert!(is_attachment(&format!("sha256-abc.{kind}")), "{kind}");
        }
        for suffix in ["", ".cosign", ".sig.1"] {
            assert!(is_attachment(&format!("sha256-{digest}{suffix}")), "{suffix}");
        }
        for odd in [format!("sha256-{digest}0"), format!("sha256-{}", &digest[1..]), format!("sha256-{digest}-amd64")] {
            assert!(!is_attachment(&odd), "{odd}");
        }
        for tag in ["1.0.0.sig", "sha256-xyz.sig", "sha256-.sig", "sha256-abc", "sha256-abc.txt", "sha256-abc.sig.1"] {
            assert!(!is_attachment(tag), "{tag}");
        }
    }
}
