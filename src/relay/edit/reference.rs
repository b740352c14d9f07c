//! An image reference as text: repository, tag and digest, split and joined without losing how it was written.
//!
//! It validates nothing; `model::reference` does.

use crate::model::{Digest, Pinned, Repository, Tag};

/// The parts of a reference, as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ImageText<'t> {
    /// Host and path.
    pub(super) repository: &'t str,
    /// What stands after the colon, up to `@`.
    pub(super) tag: Option<&'t str>,
    /// What stands after `@`.
    pub(super) digest: Option<&'t str>,
}

impl<'t> ImageText<'t> {
    /// Splits `host:port/path:tag@digest`; the colon of a port is none of a tag.
    pub(super) fn split(text: &'t str) -> Self {
        let (rest, digest) = text.split_once('@').map_or((text, None), |(rest, digest)| (rest, Some(digest)));
        match rest.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => Self { repository, tag: Some(tag), digest },
            _ => Self { repository: rest, tag: None, digest },
        }
    }

    /// What it pins; what is no tag or digest pins nothing.
    pub(super) fn pinned(&self) -> Pinned {
        Pinned {
            tag: self.tag.and_then(|tag| Tag::parse(tag).ok()),
            digest: self.digest.and_then(|digest| Digest::parse(digest).ok()),
        }
    }
}

/// What the values of a tag key (`v1`, or `v1@sha256:..`) and of a digest key pin together; the digest key wins.
pub(super) fn tag_and_digest(tag: &str, digest: &str) -> Pinned {
    let (tag, inner) = tag.split_once('@').map_or((tag, None), |(tag, inner)| (tag, Some(inner)));
    let digest = Some(digest).filter(|digest| !digest.is_empty()).or(inner);
    ImageText { repository: "", tag: Some(tag), digest }.pinned()
}

/// `v1`, `v1@sha256:..` or `sha256:..`: what stands under a tag key.
pub(super) fn tag_text(pinned: &Pinned) -> String {
    match (&pinned.tag, &pinned.digest) {
        (Some(tag), Some(digest)) => format!("{tag}@{digest}"),
        (Some(tag), None) => tag.to_string(),
        (None, Some(digest)) => digest.to_string(),
        (None, None) => String::new(),
    }
}

/// A whole reference in front of which stands this repository text.
pub(super) fn image_text(repository: &str, pinned: &Pinned) -> String {
    let tag = pinned.tag.iter().map(|tag| format!(":{tag}"));
    let digest = pinned.digest.iter().map(|digest| format!("@{digest}"));
    std::iter::once(repository.to_owned()).chain(tag).chain(digest).collect()
}

/// Whether a text names this repository: `shop`, `library/shop` and `docker.io/library/shop` are one.
pub(super) fn names(text: &str, repository: &Repository) -> bool {
    Repository::parse(text).is_ok_and(|parsed| parsed == *repository)
}

/// The repository as people and manifests write it: without Docker Hub's host and `library/`.
pub(super) fn familiar(repository: &Repository) -> String {
    match repository.host() {
        "docker.io" => repository.path().strip_prefix("library/").unwrap_or(repository.path()).to_owned(),
        _ => repository.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_split_where_a_tag_begins() {
        let check = |text: &str, repository: &str, tag: Option<&str>, digest: Option<&str>| {
            let split = ImageText::split(text);
            assert_eq!((split.repository, split.tag, split.digest), (repository, tag, digest), "{text}");
        };
        check("shop", "shop", None, None);
        check("shop:v1", "shop", Some("v1"), None);
        check("localhost:5000/shop", "localhost:5000/shop", None, None);
        check("localhost:5000/shop:v1@sha256:ab", "localhost:5000/shop", Some("v1"), Some("sha256:ab"));
        check("a/b@sha256:ab", "a/b", None, Some("sha256:ab"));
    }

    #[test]
    fn docker_hub_has_three_spellings() {
        let shop = Repository::parse("shop").expect("parses");
        for text in ["shop", "library/shop", "docker.io/library/shop", "docker.io/shop"] {
            assert!(names(text, &shop), "{text}");
        }
        assert!(!names("reg.io/shop", &shop) && !names("", &shop));
        assert_eq!(familiar(&shop), "shop");
    }
}
