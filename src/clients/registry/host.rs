//! One registry host: what is kept of it between requests, and its wish to be left alone.
//!
//! It sends nothing by itself.

use super::challenge::Challenge;
use super::credentials::{Login, Logins};
use super::error::{Refusal, RegistryError};
use super::token::Tokens;
use crate::clients::http::{self, Counter, HttpError, Transport};
use jiff::Timestamp;
use reqwest::{Method, Response, StatusCode, Url};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// How much of a refusal's body is read: errors are short, and a person reads one line of them.
const REFUSAL_BYTES_MAX: usize = 16 << 10;

/// What a server's clock said, to be held against ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerClock {
    /// The `Date` of its latest answer.
    pub said: Timestamp,
    /// When that answer came.
    pub heard: Instant,
}

/// What is kept of one host between requests.
pub(super) struct Host {
    pub(super) transport: Transport,
    pub(super) base: Url,
    pub(super) client: reqwest::Client,
    pub(super) counter: Counter,
    /// What it wanted to be shown last.
    pub(super) challenge: Mutex<Option<Challenge>>,
    pub(super) tokens: Tokens,
    /// Whether a token for one repository may be good for another: so it is until the host says otherwise.
    pub(super) lends: AtomicBool,
    pub(super) logins: Logins,
    busy_until: Mutex<Option<Instant>>,
    clock: Mutex<Option<ServerClock>>,
}

impl Host {
    /// A host by the name that repositories have for it. Docker Hub's registry answers under another name.
    pub(super) fn new(name: &str, transport: Transport, counter: Counter) -> Result<Self, HttpError> {
        let address = if matches!(name, "docker.io" | "index.docker.io") { "registry-1.docker.io" } else { name };
        let base = format!("{}://{address}/", transport.scheme());
        let base = Url::parse(&base).map_err(|error| HttpError::Setting(format!("{base} is no address: {error}")))?;
        Ok(Self {
            base,
            client: http::client(&transport)?,
            transport,
            counter,
            challenge: Mutex::default(),
            tokens: Tokens::default(),
            lends: AtomicBool::new(true),
            logins: Logins::default(),
            busy_until: Mutex::default(),
            clock: Mutex::default(),
        })
    }

    pub(super) fn clock(&self) -> Option<ServerClock> {
        *held(&self.clock)
    }

    /// Whether the host was asked to be left alone, and for how long still.
    pub(super) fn busy(&self, request: impl FnOnce() -> String) -> Result<(), RegistryError> {
        let wait = held(&self.busy_until).map(|until| until.saturating_duration_since(Instant::now()));
        match wait.filter(|wait| !wait.is_zero()) {
            Some(wait) => Err(RegistryError::Busy {
                message: format!("{}: not sent, for the host asked to be left alone", request()),
                retry_after: Some(wait),
            }),
            None => Ok(()),
        }
    }

    /// Keeps what its clock says.
    pub(super) fn hear(&self, response: &Response) {
        if let Some(said) = http::date(response.headers()) {
            *held(&self.clock) = Some(ServerClock { said, heard: Instant::now() });
        }
    }

    /// Reads a refusal; one that asks for patience closes the host for everybody.
    pub(super) async fn refusal(&self, method: &Method, response: Response, login: &Login) -> Refusal {
        // An HTTP date is held against the server's own clock, which ours need not agree with.
        let now = http::date(response.headers()).unwrap_or(Timestamp::MAX);
        let (status, url) = (response.status(), response.url().clone());
        let mut retry_after = http::retry_after(response.headers(), now);
        if !matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            retry_after = None;
        }
        if let Some(wait) = retry_after {
            *held(&self.busy_until) = Some(Instant::now() + wait);
        }
        // The status says enough where the body cannot be read.
        let body = http::body(response, REFUSAL_BYTES_MAX, "error").await.unwrap_or_default();
        let (request, body) = (http::shown_request(method, &url), String::from_utf8_lossy(&body).into_owned());
        Refusal { request, status, body, login: login.shown.clone(), retry_after }
    }
}

/// Locks a state; a panic elsewhere while it was held leaves a plain value, which is good enough.
pub(super) fn held<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
