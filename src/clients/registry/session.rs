//! Requests about one repository: sent with what the host wants to be shown, through redirects, to an answer.
//!
//! A request is sent once, and once more where what was shown had run out; a session that copies waits where the host has
//! too much to do. Everything else is the caller's to retry.

use super::authorization::Shown;
use super::challenge::challenge;
use super::credentials::{Credentials, Login};
use super::error::{Refusal, RegistryError, in_the_way};
use super::host::{Host, is_busy};
use super::origin;
use crate::clients::http::{self, HttpError};
use crate::model::Repository;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, LOCATION};
use reqwest::{Method, Request, Response, StatusCode, Url};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How many redirects are followed: a storage service behind a regional host makes two.
const REDIRECTS_MAX: usize = 3;

/// How often a busy host is waited for before one request is given up: one that says how long means it, and one that is
/// dead has been left alone for a minute by then.
const WAITS_MAX: u32 = 5;
/// How long a busy host is left alone at first that does not say; each further wait doubles it.
const WAIT_FIRST: Duration = Duration::from_secs(1);

/// What a request may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Pull,
    Push,
    Delete,
    /// Azure: what is told of tags beside their builds.
    Metadata,
}

/// Requests about one repository, with one set of credentials.
pub(super) struct Session<'a> {
    pub(super) host: &'a Host,
    pub(super) credentials: &'a Credentials,
    pub(super) repository: &'a Repository,
    pub(super) access: Access,
    /// The repository of the same host that blobs are mounted from: its scope is asked for too.
    pub(super) mounts: Option<&'a Repository>,
    /// Whether the host's realm refused that scope, and blobs are streamed instead.
    pub(super) streams: AtomicBool,
    /// Whether a busy host is waited for: what is half done would else begin anew, and never come to its end.
    pub(super) waits: bool,
}

/// One request, but for what it shows.
#[derive(Clone)]
pub(super) struct Call<'a> {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) accept: &'static str,
    /// Media type and bytes of what is sent.
    pub(super) content: Option<(&'a str, &'a [u8])>,
    /// What only few requests say.
    pub(super) special: Option<&'a Special>,
}

impl Call<'_> {
    /// Whether a redirect is followed: what carries something, or takes something away, was meant for this address alone.
    fn may_be_led_on(&self) -> bool {
        self.content.is_none() && self.method != Method::DELETE
    }
}

/// What only few requests say.
#[derive(Default)]
pub(super) struct Special {
    /// More headers.
    pub(super) headers: HeaderMap,
    /// How long the request may take, where that is not the usual time.
    pub(super) timeout: Option<Duration>,
}

/// What came back.
pub(super) enum Answer {
    Yes(Response),
    No(Refusal),
}

impl Answer {
    /// The response, where a refusal means what it says.
    pub(super) fn accepted(self) -> Result<Response, RegistryError> {
        match self {
            Self::Yes(response) => Ok(response),
            Self::No(refusal) => Err(refusal.into_error()),
        }
    }
}

impl<'a> Session<'a> {
    /// Where blobs are mounted from, as long as that is allowed.
    pub(super) fn mounts(&self) -> Option<&'a Repository> {
        self.mounts.filter(|_| !self.streams.load(Ordering::Relaxed))
    }

    /// The same, for what needs another right.
    pub(super) fn with(&self, access: Access) -> Self {
        Self { access, streams: AtomicBool::new(self.streams.load(Ordering::Relaxed)), ..*self }
    }

    /// The URL of something in the repository.
    pub(super) fn url(&self, below: &str) -> Url {
        let mut url = self.host.base.clone();
        url.set_path(&format!("/v2/{}/{below}", self.repository.path()));
        url
    }

    /// Sends a request; where the host has too much to do, and the session waits for it, again.
    pub(super) async fn ask(&self, call: &Call<'_>) -> Result<Answer, RegistryError> {
        let mut n_waits = if self.waits { 0 } else { WAITS_MAX };
        loop {
            // On the heap: whoever copies asks from deep inside, and a request's state is large.
            let answered = Box::pin(self.ask_now(call)).await;
            let wait = match &answered {
                Err(RegistryError::Busy { retry_after, .. }) if n_waits < WAITS_MAX => *retry_after,
                Ok(Answer::No(refusal)) if n_waits < WAITS_MAX && is_busy(refusal.status) => refusal.retry_after,
                _ => return answered,
            };
            tokio::time::sleep(wait.unwrap_or(WAIT_FIRST * 2_u32.pow(n_waits))).await;
            n_waits += 1;
        }
    }

    /// Sends a request; where what it showed had run out, once more.
    pub(super) async fn ask_now(&self, call: &Call<'_>) -> Result<Answer, RegistryError> {
        let host = self.host;
        host.busy(|| http::shown_request(&call.method, &call.url))?;
        let login = host.login(self.credentials, self.repository).await?;
        if let Some(response) = self.ask_with_borrowed(call, &login).await? {
            return Ok(Answer::Yes(response));
        }
        let shown = self.what_to_show(&login).await?;
        let response = self.send(call, &login, &shown).await?;
        let status = response.status();
        if status.is_success() {
            return Ok(Answer::Yes(response));
        }
        // What another host wants, to which we were redirected, is no matter of ours.
        let own = status == StatusCode::UNAUTHORIZED && origin::same(response.url(), &host.base);
        let learned = challenge(response.headers()).filter(|_| own);
        let refusal = host.refusal(&call.method, response, &login).await;
        let again = match status {
            StatusCode::UNAUTHORIZED => self.can_show_more(learned, &shown, &login),
            // A HEAD says nothing; what was shown may be what was wrong.
            StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST => {
                !shown.is_nothing() && (refusal.says_expired() || call.method == Method::HEAD)
            }
            _ => false,
        };
        if !again {
            return Ok(Answer::No(refusal));
        }
        self.forget(&shown, &login).await;
        let login = host.login(self.credentials, self.repository).await?;
        let shown = self.what_to_show(&login).await?;
        let response = self.send(call, &login, &shown).await?;
        if response.status().is_success() {
            return Ok(Answer::Yes(response));
        }
        Ok(Answer::No(host.refusal(&call.method, response, &login).await))
    }

    /// Tries with another repository's token. Only success counts: a refusal says nothing of what our own token may do.
    async fn ask_with_borrowed(&self, call: &Call<'_>, login: &Login) -> Result<Option<Response>, RegistryError> {
        let Some(borrowed) = self.what_to_borrow(login) else { return Ok(None) };
        let response = self.send(call, login, &borrowed).await?;
        let status = response.status();
        if status.is_success() {
            return Ok(Some(response));
        }
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            self.host.lends.store(false, Ordering::Relaxed);
        }
        // A host that is busy closes for everybody, this request included.
        self.host.refusal(&call.method, response, login).await;
        self.host.busy(|| http::shown_request(&call.method, &call.url))?;
        Ok(None)
    }

    /// Sends it and follows redirects of what only reads; nothing is shown to another host.
    async fn send(&self, call: &Call<'_>, login: &Login, shown: &Shown) -> Result<Response, RegistryError> {
        let host = self.host;
        let mut url = call.url.clone();
        for _ in 0..=REDIRECTS_MAX {
            let own = origin::same(&url, &host.base);
            let request = self.request(call, &url, login, if own { shown } else { &Shown::Nothing })?;
            let response = host.send(request, own).await?;
            let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
            let next = match location {
                Some(location) if response.status().is_redirection() && call.may_be_led_on() => url.join(location),
                _ => return Ok(response),
            };
            let next = next.map_err(|_| in_the_way(&url, "it redirects to no address"))?;
            if let Err(why) = origin::may_lead_to(&host.base, &next) {
                return Err(in_the_way(&url, &format!("its redirect to {} is refused: {why}", http::shown_url(&next))));
            }
            host.may_ask(&next)?;
            url = next;
        }
        Err(in_the_way(&call.url, &format!("it redirects more than {REDIRECTS_MAX} times")))
    }

    fn request(&self, call: &Call<'_>, url: &Url, login: &Login, shown: &Shown) -> Result<Request, HttpError> {
        let mut request = self.host.client.request(call.method.clone(), url.clone()).header(ACCEPT, call.accept);
        if let Some((media_type, bytes)) = call.content {
            request = request.header(CONTENT_TYPE, media_type).body(bytes.to_vec());
        }
        let mut request = shown.on(request, login);
        if let Some(special) = call.special {
            request = request.headers(special.headers.clone());
            if let Some(timeout) = special.timeout {
                request = request.timeout(timeout);
            }
        }
        request.build().map_err(|error| http::failure(&call.method, url, &error))
    }
}
