//! Where a git repository is and who we are there.
//!
//! It opens nothing; it only refuses, early and in words, what could never work or would give a secret away.

use super::error::Fault;
use crate::clients::http::{self, Transport};
use crate::model::text;
use reqwest::Url;
use secrecy::SecretString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Reads the token when it is used, so that a renewed one counts at once; an error says where it should have stood.
pub type Token = Arc<dyn Fn() -> Result<SecretString, String> + Send + Sync>;

/// A git repository at `https://`, `http://` or `file://`, and the credentials for it.
#[derive(Clone)]
pub struct Remote {
    /// Where it is.
    pub url: Url,
    /// The user name that goes with the token; GitLab takes any, `oauth2` by custom.
    pub username: String,
    /// The token or password. It goes to this host and no other, and over plain HTTP only where
    /// [`Transport::plain_http`] says so.
    pub token: Option<Token>,
    /// How the host is spoken to.
    pub transport: Transport,
}

impl Remote {
    /// The remote as a person may see it.
    #[must_use]
    pub fn shown(&self) -> String {
        if self.url.scheme() == "file" { text::shown(self.url.as_str()) } else { http::shown_url(&self.url) }
    }

    /// The repository's path, where it is on this machine.
    ///
    /// # Errors
    /// [`Fault::Invalid`] for a URL that nothing can be fetched from, or that credentials must not go to.
    pub(super) fn path(&self) -> Result<Option<PathBuf>, Fault> {
        if !self.url.username().is_empty() || self.url.password().is_some() {
            let reason =
                "credentials stand in the URL, where logs and pages show them; give them as username and token";
            return Err(Fault::Invalid(reason.to_owned()));
        }
        match self.url.scheme() {
            "https" => Ok(None),
            "http" if self.token.is_none() || self.transport.plain_http => Ok(None),
            "http" => Err(Fault::Invalid(
                "a token would go over plain HTTP, where everybody on the way reads it; use https, or allow plain HTTP \
                 for this host"
                    .to_owned(),
            )),
            "file" => match self.url.to_file_path() {
                Ok(path) => Ok(Some(path)),
                Err(()) => Err(Fault::Invalid("a file URL needs an absolute path on this machine".to_owned())),
            },
            other => Err(Fault::Invalid(format!("`{other}` is not supported; use https, or file for a local repository"))),
        }
    }
}

/// Reads where a repository is: a URL or an absolute path. Nothing for what is neither, such as `git@host:path`.
#[must_use]
pub fn location(written: &str) -> Option<Url> {
    if written.starts_with('/') { Url::from_file_path(Path::new(written)).ok() } else { Url::parse(written).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spoken_to() {
        let check = |written: &str, token: bool, plain_http: bool, expected: Result<&str, &str>| {
            let remote = Remote {
                url: location(written).expect("a location"),
                username: "bot".to_owned(),
                token: token.then(|| -> Token { Arc::new(|| Ok(SecretString::from("hunter2"))) }),
                transport: Transport { plain_http, ..Transport::default() },
            };
            match (remote.path(), expected) {
                (Ok(_), Ok(shown)) => assert_eq!(remote.shown(), shown),
                (Err(fault), Err(part)) => assert!(format!("{fault:?}").contains(part), "{fault:?}"),
                (got, _) => panic!("{written}: {got:?}"),
            }
            assert!(!remote.shown().contains("hunter2"));
        };
        check("https://git.example.com/a/b.git", true, false, Ok("https://git.example.com/a/b.git"));
        check("http://git.example.com/a/b.git", false, false, Ok("http://git.example.com/a/b.git"));
        check("http://git.example.com/a/b.git", true, true, Ok("http://git.example.com/a/b.git"));
        check("http://git.example.com/a/b.git", true, false, Err("plain HTTP"));
        check("https://bob:pw@git.example.com/a", true, false, Err("credentials stand in the URL"));
        check("ssh://git@git.example.com/a", false, false, Err("credentials"));
        check("ssh://git.example.com/a", false, false, Err("`ssh` is not supported"));
        check("/srv/git/a.git", false, false, Ok("file:///srv/git/a.git"));
        check("file:///srv/git/a.git", false, false, Ok("file:///srv/git/a.git"));
        assert_eq!(location("git@git.example.com:a/b.git"), None);
    }
}
