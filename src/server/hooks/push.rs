//! What was pushed, as a sender names it. It is text from outside until it is parsed.

use crate::model::{Repository, Tag};
use axum::http::HeaderMap;
use serde::de::DeserializeOwned;

/// A delivery whose sender proved itself.
pub(super) struct Delivery<'a> {
    /// What it said beside the body.
    pub(super) headers: &'a HeaderMap,
    /// What it said.
    pub(super) body: &'a [u8],
    /// The host that policies know this sender's registry by, where the configuration says so.
    pub(super) registry: Option<&'a str>,
}

impl<'a> Delivery<'a> {
    /// The body as JSON of this form. Its depth is bounded by the parser.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(self.body)
    }

    /// The text of a header.
    pub(super) fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The configured host, else the one that the delivery names.
    pub(super) fn host<'b>(&'b self, named: &'b str) -> &'b str {
        self.registry.unwrap_or(named)
    }
}

/// Something was pushed, or deleted, here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Push {
    /// `host/path`.
    repository: String,
    /// Under this tag; none = the sender does not say.
    tag: Option<String>,
}

impl Push {
    /// A push to a repository of a host. An empty tag is none.
    pub(super) fn of(host: &str, path: &str, tag: Option<&str>) -> Self {
        let tag = tag.filter(|tag| !tag.is_empty()).map(str::to_owned);
        Self { repository: format!("{host}/{path}"), tag }
    }

    /// A push to `host/path:tag`, `host/path@digest` or `host/path`.
    pub(super) fn of_reference(reference: &str) -> Self {
        let bare = reference.split_once('@').map_or(reference, |(bare, _)| bare);
        let after_host = bare.find('/').unwrap_or(0);
        let colon = bare.get(after_host..).and_then(|rest| rest.rfind(':')).map(|at| at + after_host);
        match colon.and_then(|at| Some((bare.get(..at)?, bare.get(at + 1..)?))) {
            Some((repository, tag)) => Self { repository: repository.to_owned(), tag: Some(tag.to_owned()) },
            None => Self { repository: bare.to_owned(), tag: None },
        }
    }

    /// The repository, as the sender names it.
    pub(super) fn repository(&self) -> &str {
        &self.repository
    }

    /// The repository and tag, where they can be some; a tag that none can have was pushed by digest.
    pub(super) fn parsed(&self) -> Option<(Repository, Option<Tag>)> {
        let repository = Repository::parse(&self.repository).ok()?;
        let host = self.repository.split('/').next().unwrap_or_default();
        if !repository.host().eq_ignore_ascii_case(host) {
            // A name without a dot or a port, as inside a cluster, reads as the first part of a path on Docker Hub.
            return None;
        }
        Some((repository, self.tag.as_deref().and_then(|tag| Tag::parse(tag).ok())))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// What a delivery's pushes read as: `host/path:tag`.
    pub(in crate::server::hooks) fn read(
        read: fn(&Delivery<'_>) -> Result<Vec<Push>, serde_json::Error>,
        headers: &[(&'static str, &str)],
        registry: Option<&str>,
        body: &str,
    ) -> Result<Vec<String>, String> {
        let named = headers
            .iter()
            .map(|(name, value)| (axum::http::HeaderName::from_static(name), value.parse().expect("a header")));
        let headers: HeaderMap = named.collect();
        let pushes = read(&Delivery { headers: &headers, body: body.as_bytes(), registry });
        let pushes = pushes.map_err(|error| error.to_string())?;
        Ok(pushes.iter().map(|push| format!("{}:{}", push.repository, push.tag.as_deref().unwrap_or("-"))).collect())
    }

    #[test]
    fn references() {
        for (reference, repository, tag) in [
            ("reg.io:5000/a/b:v1", "reg.io:5000/a/b", Some("v1")),
            ("reg.io:5000/a/b", "reg.io:5000/a/b", None),
            ("reg.io/a/b@sha256:00", "reg.io/a/b", None),
            ("reg.io/a/b:v1@sha256:00", "reg.io/a/b", Some("v1")),
            ("", "", None),
        ] {
            let push = Push { repository: repository.to_owned(), tag: tag.map(str::to_owned) };
            assert_eq!(Push::of_reference(reference), push, "{reference}");
        }
    }

    #[test]
    fn what_names_nothing_is_nothing() {
        for (host, path, parses) in [
            ("reg.io", "a/b", true),
            ("reg.io", "$(rm -rf /)", false),
            ("", "a/b", false),
            ("reg.io", "", false),
            ("REG.io:5000", "a", true),
            ("registry", "a", false),
            ("reg.io/../..", "x", false),
        ] {
            assert_eq!(Push::of(host, path, None).parsed().is_some(), parses, "{host} {path}");
        }
        let (_, tag) = Push::of("reg.io", "a", Some("$(rm -rf /)")).parsed().expect("a repository");
        assert_eq!(tag, None);
    }
}
