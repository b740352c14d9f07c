//! One registry host: what is kept of it between requests, and its wish to be left alone.
//!
//! It sends nothing by itself.

use super::Bounds;
use super::answers::{Answers, Share};
use super::challenge::Challenge;
use super::credentials::{Credentials, Login, Logins};
use super::ecr::Ecr;
use super::error::{Refusal, RegistryError};
use super::identity::Renewed;
use super::pace::{Heard, HostState, Pace, STALL, Shut};
use super::patience::patience;
use super::realms;
use super::times::Times;
use super::token::Tokens;
use crate::clients::http::{self, Counter, HttpError, Judged, Transport};
use crate::model::Repository;
use reqwest::{Method, Request, Response, StatusCode, Url};
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::sync::Semaphore;

/// How much of a refusal's body is read: errors are short, and a person reads one line of them.
const REFUSAL_BYTES_MAX: usize = 16 << 10;

/// How much a request carries at the most that takes its place among the others: two seconds over a line of 300 kbit/s.
const SMALL_BYTES_MAX: usize = 64 << 10;

/// What is kept of one host between requests.
pub(super) struct Host {
    pub(super) transport: Transport,
    pub(super) base: Url,
    bounds: Bounds,
    pub(super) client: reqwest::Client,
    pub(super) counter: Counter,
    /// What it wanted to be shown last.
    pub(super) challenge: Mutex<Option<Challenge>>,
    pub(super) tokens: Tokens,
    /// Whether a token for one repository may be good for another: so it is until the host says otherwise.
    pub(super) lends: AtomicBool,
    pub(super) logins: Logins,
    pub(super) renewed: Renewed,
    pub(super) pace: Pace,
    /// Its provider's own API, where that is another host.
    beside: Beside,
    pub(super) times: Times,
    /// The room for its answers.
    pub(super) answers: Share,
    /// The lists of tags that may be read at once.
    pub(super) lists: Semaphore,
    /// Its own API, where it is Amazon's and we are somebody there.
    pub(super) ecr: Option<Box<Ecr>>,
}

/// The host of a provider's own API.
struct Beside {
    pace: Pace,
    /// What it is called, once it was asked.
    name: OnceLock<String>,
}

impl Host {
    /// A host by the name that repositories have for it, within these bounds. Docker Hub's registry answers under another
    /// name.
    pub(super) fn new(name: &str, transport: Transport, bounds: Bounds, counter: Counter) -> Result<Self, HttpError> {
        let egress = bounds.egress.clone();
        let port = if transport.plain_http { 80 } else { 443 };
        let mut host = Self::among(name, transport, counter, |own| {
            let port = name.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(port);
            Judged::of(own).with_public(realms::ALL).within(egress, port)
        })?;
        host.bounds = bounds;
        host.may_ask(&host.base)?;
        Ok(host)
    }

    /// Refuses a URL that names an address where a host of policies may not be; names are judged when they are resolved.
    pub(super) fn may_ask(&self, url: &Url) -> Result<(), HttpError> {
        let Some(egress) = &self.bounds.egress else { return Ok(()) };
        let host = url.host_str().unwrap_or_default();
        let Ok(ip) = host.trim_matches(['[', ']']).parse::<IpAddr>() else { return Ok(()) };
        let address = SocketAddr::new(ip, url.port_or_known_default().unwrap_or(0));
        egress.admits_registry(host, address).map_err(|error| HttpError::Setting(error.to_string()))
    }

    /// Whether the credentials of this host may be shown to a realm.
    pub(super) fn trusts(&self, realm: &Url) -> bool {
        let [own, other] = [&self.base, realm].map(|url| url.host_str().unwrap_or_default());
        own == other || realms::is_known(own, other) || (self.bounds.names)(&name_of(realm))
    }

    /// The same among hosts whose names are resolved so, for a client of the host that is handed over.
    pub(super) fn among(
        name: &str,
        transport: Transport,
        counter: Counter,
        names: impl FnOnce(&str) -> Judged,
    ) -> Result<Self, HttpError> {
        let address = if matches!(name, "docker.io" | "index.docker.io") { "registry-1.docker.io" } else { name };
        let base = format!("{}://{address}/", transport.scheme());
        let base = Url::parse(&base).map_err(|error| HttpError::Setting(format!("{base} is no address: {error}")))?;
        let names = names(base.host_str().unwrap_or_default());
        let rate = transport.requests_per_second.get();
        Ok(Self {
            base,
            bounds: Bounds::none(),
            client: http::client_sent_on(&transport, names)?,
            pace: Pace::new(rate, transport.requests_at_first),
            // What a provider offers beside its registry is meant for people: it gets no long burst.
            beside: Beside { pace: Pace::new(rate, rate), name: OnceLock::new() },
            times: Times::default(),
            answers: Answers::default().share(),
            lists: Semaphore::new(super::LISTS_OF_HOST_MAX),
            ecr: None,
            transport,
            counter,
            challenge: Mutex::default(),
            tokens: Tokens::default(),
            lends: AtomicBool::new(true),
            logins: Logins::default(),
            renewed: Renewed::default(),
        })
    }

    /// Who we are there.
    pub(super) async fn login(&self, credentials: &Credentials, of: &Repository) -> Result<Login, RegistryError> {
        match (credentials, &self.ecr) {
            (Credentials::Amazon, Some(ecr)) => Box::pin(ecr.login()).await,
            _ => self.logins.of(credentials, of).await,
        }
    }

    /// Forgets a login, for it was refused: it is read anew. Those of others stay, and so does a newer one.
    pub(super) async fn forget_login(&self, refused: &Login) {
        self.logins.forget(refused).await;
        if let Some(ecr) = &self.ecr {
            ecr.forget(refused).await;
        }
    }

    /// How it is spoken to just now, and each host of its provider's own API that was asked.
    pub(super) fn states(&self, name: &str) -> Vec<HostState> {
        let beside = self.beside.name.get().map(|name| self.beside.pace.state(name));
        let api = self.ecr.as_ref().and_then(|ecr| ecr.state());
        [Some(self.pace.state(name)), beside, api].into_iter().flatten().collect()
    }

    /// Whether the host is to be left alone, and for how long still.
    pub(super) fn busy(&self, request: impl FnOnce() -> String) -> Result<(), RegistryError> {
        self.pace.shut().map_or(Ok(()), |shut| Err(not_sent(&request(), shut)))
    }

    /// Sends a request in its turn. What is heard counts for this host, unless another was asked that it led us to.
    pub(super) async fn send(&self, request: Request, counts: bool) -> Result<Response, RegistryError> {
        self.send_at(&self.pace, request, counts).await
    }

    /// Sends a request to the host of its provider's own API, in its turn there.
    pub(super) async fn send_beside(&self, request: Request) -> Result<Response, RegistryError> {
        self.beside.name.get_or_init(|| name_of(request.url()));
        self.send_at(&self.beside.pace, request, true).await
    }

    async fn send_at(&self, pace: &Pace, request: Request, counts: bool) -> Result<Response, RegistryError> {
        let shown = || http::shown_request(request.method(), request.url());
        let carried = request.body().and_then(|body| body.as_bytes()).map_or(0, <[u8]>::len);
        let turn = if carried > SMALL_BYTES_MAX { pace.large_turn().await } else { pace.turn().await };
        let mut turn = turn.map_err(|shut| not_sent(&shown(), shut))?;
        let mut sending = pin!(http::send(&self.client, request, &self.counter));
        let sent = match tokio::time::timeout(STALL, &mut sending).await {
            Ok(sent) => sent,
            Err(_) => {
                turn.leave();
                sending.await
            }
        };
        if counts {
            turn.end(heard(&sent));
        }
        Ok(sent?)
    }

    /// Reads a refusal.
    pub(super) async fn refusal(&self, method: &Method, response: Response, login: &Login) -> Refusal {
        let (status, url) = (response.status(), response.url().clone());
        // GitHub says with 403, too, that it is asked too much.
        let retry_after =
            (is_busy(status) || status == StatusCode::FORBIDDEN).then(|| patience(response.headers())).flatten();
        // The status says enough where the body cannot be read.
        let body = http::body(response, REFUSAL_BYTES_MAX, "error").await.unwrap_or_default();
        let (request, body) = (http::shown_request(method, &url), String::from_utf8_lossy(&body).into_owned());
        let is_stranger = self.bounds.egress.is_some();
        Refusal { request, status, body, is_stranger, login: login.shown.clone(), retry_after }
    }
}

/// The host of a URL, with its port where that is not the usual one.
pub(super) fn name_of(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}{port}", url.host_str().unwrap_or_default())
}

/// Whether a status says that the host has too much to do.
pub(super) fn is_busy(status: StatusCode) -> bool {
    matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
}

/// What an answer says of the host. A 500 is about one request; a gateway that finds no registry is about all.
fn heard(sent: &Result<Response, HttpError>) -> Heard {
    match sent {
        Err(HttpError::Setting(_)) => Heard::Answer(None),
        Err(error) => Heard::Nothing(error.to_string()),
        Ok(response) => match response.status() {
            status if is_busy(status) => Heard::Busy(patience(response.headers())),
            status @ (StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT) => Heard::Nothing(status.to_string()),
            _ => Heard::Answer(patience(response.headers())),
        },
    }
}

fn not_sent(request: &str, Shut { why, wait }: Shut) -> RegistryError {
    RegistryError::Busy {
        // Without the time that is left, so that a text that stays the same is logged once.
        message: format!("{request}: not sent, for {why}"),
        retry_after: Some(wait),
    }
}

/// Locks a state; a panic elsewhere while it was held leaves a plain value, which is good enough.
pub(super) fn held<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
