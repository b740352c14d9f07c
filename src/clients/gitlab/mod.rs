//! GitLab's REST API (v4): deployments, environments, and what a revision or a branch means in a project.
//!
//! It decides nothing and remembers nothing: ids are handed out and taken back as arguments. Each call is one try; when
//! to try again is the caller's business, and the error says whether that is of any use.

mod call;
mod deployments;
mod environments;
mod error;
mod repository;
mod rights;
mod send;
#[cfg(test)]
mod tests;
mod wire;

pub use deployments::{Deployment, DeploymentId, NewDeployment, Updated};
pub use environments::Ensured;
pub use error::GitLabError;
pub use rights::Rights;
pub use send::{Sent, send};

use crate::clients::http::{self, Counter, HttpError, Transport, shown_url};
use crate::model::text;
use reqwest::Url;
use secrecy::SecretString;
use std::fmt;
use std::sync::Arc;

/// Finds the token for a project: the most specific of the configuration, its file read again when it changed.
///
/// An error is a sentence for people, without the secret.
pub type Tokens = Arc<dyn Fn(&str) -> Result<SecretString, String> + Send + Sync>;

/// What is needed to speak to one GitLab.
#[derive(Clone)]
pub struct Settings {
    /// Its address, with the path it is served under, if any: `https://gitlab.example.com`.
    pub url: String,
    /// The tokens.
    pub tokens: Tokens,
    /// How it is connected to; a token goes over plain HTTP only where this says so.
    pub transport: Transport,
    /// Told of every request.
    pub counter: Counter,
}

/// One GitLab; a clone shares its connections.
#[derive(Clone)]
pub struct GitLab {
    http: reqwest::Client,
    base: Url,
    tokens: Tokens,
    counter: Counter,
}

impl GitLab {
    /// A client for the GitLab of these settings. Nothing is sent yet.
    ///
    /// # Errors
    /// [`HttpError::Setting`] when the address is none, holds a user or a query, asks for plain HTTP without leave, or
    /// when the connection's settings cannot be used.
    pub fn new(settings: Settings) -> Result<Self, HttpError> {
        let wrong = |what: String| HttpError::Setting(format!("gitlab.url {what}"));
        let base = Url::parse(&settings.url)
            .map_err(|error| wrong(format!("`{}` is no URL: {error}", text::shown(&settings.url))))?;
        let has_extras = !base.username().is_empty() || base.password().is_some() || base.query().is_some();
        if base.host_str().is_none() || has_extras || base.fragment().is_some() {
            let shown = shown_url(&base);
            return Err(wrong(format!("{shown} must be a plain address such as `https://gitlab.example.com`")));
        }
        match base.scheme() {
            "https" => {}
            "http" if settings.transport.plain_http => {}
            "http" => return Err(wrong(
                "is http://, which shows the token to everybody on the way: use https://, or say `plain_http: true`"
                    .to_owned(),
            )),
            _ => return Err(wrong(format!("{} must begin with https://", shown_url(&base)))),
        }
        let http = http::client(&settings.transport)?;
        Ok(Self { http, base, tokens: settings.tokens, counter: settings.counter })
    }
}

impl fmt::Debug for GitLab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GitLab({})", shown_url(&self.base))
    }
}
