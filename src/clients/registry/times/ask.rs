//! Requests for a provider's own lists: what is shown with them, and to which host.
//!
//! They wait for their turn at the registry, or at the provider's other host. What is asked as the registry itself wants it
//! (Azure, GitLab) is asked and redirected like its other requests; the rest follows no redirect, so that nothing is shown
//! to a third host.

use super::super::credentials::Login;
use super::super::error::{Refusal, RegistryError, nonsense};
use super::super::origin;
use super::super::session::{Answer, Call, Session};
use super::super::token::{self, Token};
use super::{Show, below, dockerhub};
use crate::clients::http;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use tokio::time::Instant;

/// What is accepted: GitHub asks for its own type, and everybody else has the plain one.
const ACCEPTED: &str = "application/json, application/vnd.github+json";

/// The way to one repository's list.
pub(super) struct Door<'a> {
    pub(super) session: &'a Session<'a>,
    pub(super) login: &'a Login,
    pub(super) root: &'a Url,
}

impl Door<'_> {
    /// The answer to a GET; whatever is no success is an error.
    pub(super) async fn get(&self, url: &Url, show: Show) -> Result<Response, RegistryError> {
        if let Show::Registry(access) = show {
            let session = self.session.with(access);
            let (method, url) = (Method::GET, url.clone());
            let call = Call { method, url, accept: ACCEPTED, content: None, special: None };
            return match session.ask(&call).await? {
                Answer::Yes(response) => Ok(response),
                Answer::No(refusal) => Err(meant(refusal)),
            };
        }
        let request = self.session.host.client.get(url.clone()).header(ACCEPT, ACCEPTED);
        let request = match (show, self.login.password()) {
            (Show::Nothing | Show::Registry(_), _) | (Show::Login, None) => request,
            (Show::Login, Some(_)) => self.login.show(request),
            (Show::Password, Some((_, password))) => request.bearer_auth(password.expose_secret()),
            (Show::HubToken, Some((user, password))) => {
                request.bearer_auth(self.hub_token(user, password).await?.expose_secret())
            }
            (Show::Password | Show::HubToken, None) => {
                let shown = http::shown_request(&Method::GET, url);
                return Err(RegistryError::Refused(format!(
                    "{shown}: not sent as {}; it takes a token: set `pull` for the host under `registries`",
                    self.login.shown
                )));
            }
        };
        self.send(Method::GET, url, request).await
    }

    /// A token of Docker Hub, for as long as it lives.
    async fn hub_token(&self, user: &str, password: &SecretString) -> Result<SecretString, RegistryError> {
        let (host, url) = (self.session.host, below(self.root, dockerhub::LOGIN, &[]));
        let key = token::Key {
            realm: url.to_string(),
            service: None,
            login: self.login.id(),
            repository: String::new(),
            actions: "",
            mounts: None,
        };
        let fetch = async {
            let asked_at = Instant::now();
            let body = json!({ "identifier": user, "secret": password.expose_secret() }).to_string();
            let request = host.client.post(url.clone()).header(CONTENT_TYPE, "application/json").body(body);
            let response = self.send(Method::POST, &url, request).await?;
            let answer = http::body(response, token::TOKEN_BYTES_MAX, "token").await?;
            Token::read(&answer, asked_at).ok_or_else(|| nonsense(&url, "the answer holds no token"))
        };
        host.tokens.get(&key, Instant::now(), fetch).await
    }

    async fn send(&self, method: Method, url: &Url, request: RequestBuilder) -> Result<Response, RegistryError> {
        let host = self.session.host;
        let request = request.build().map_err(|error| http::failure(&method, url, &error))?;
        let own = origin::same(url, &host.base);
        let response = if own { host.send(request, true).await? } else { host.send_beside(request).await? };
        if response.status().is_success() {
            return Ok(response);
        }
        Err(meant(host.refusal(&method, response, self.login).await))
    }
}

/// What a refusal by such a list means; nobody takes it for the registry's own.
fn meant(refusal: Refusal) -> RegistryError {
    let status = refusal.status;
    if status.is_server_error() || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT) {
        return refusal.into_error();
    }
    let answer = format!("{}: answered {}{} to {}", refusal.request, status.as_u16(), refusal.said(), refusal.login);
    match status {
        StatusCode::FORBIDDEN if refusal.retry_after.is_some() => {
            RegistryError::Busy { message: answer, retry_after: refusal.retry_after }
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => RegistryError::Refused(answer),
        StatusCode::NOT_FOUND => RegistryError::Absent(answer),
        _ => RegistryError::Invalid(answer),
    }
}
