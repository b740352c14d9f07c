//! HTTP once for all clients: TLS, proxies, time limits, bounded bodies, and failures told without secrets.
//!
//! It follows no redirect, tries nothing twice and knows no outside system: that is the business of who calls.

mod judged;
mod proxy;
mod server_times;
mod tls;

pub use judged::Judged;
pub use proxy::Proxy;
pub use server_times::{ServerTime, ServerTimes};
pub use tls::ClientCertificate;

use self::judged::Nowhere;
use self::tls::system_roots;
use crate::model::text;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Method, Request, Response, Url, redirect};
use rustls::{AlertDescription, CertificateError, InvalidMessage};
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// What we call ourselves.
pub const USER_AGENT: &str = concat!("tagrelay/", env!("CARGO_PKG_VERSION"));

/// The longest time that a server can make us wait: one that asks for a week is asked again after an hour.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(60 * 60);

/// How long an unused connection is kept: longer than the usual polling interval costs the server more than a handshake.
const IDLE_CONNECTION_MAX: Duration = Duration::from_secs(90);

/// By how much the memory of a large body grows.
const GROWS_BY: usize = 1 << 20;

/// How the errors of a proxy begin that was asked for a tunnel; the type itself is of a crate below reqwest.
const TUNNEL_ERROR: &str = "tunnel error";

/// What a connection needs to know about one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transport {
    /// Certificate authorities to trust besides the machine's: PEM bundles.
    pub ca: Vec<Vec<u8>>,
    /// What the host is shown when it asks for a certificate of ours.
    pub client_certificate: Option<ClientCertificate>,
    /// The proxy that it is reached through.
    pub proxy: Proxy,
    /// Why none of this can be used, where a file or variable that belongs to it cannot be read.
    pub unreadable: Option<String>,
    /// Whether this host is spoken to without TLS.
    pub plain_http: bool,
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
    /// How long one request may take, from its beginning to the last byte of the body.
    pub timeout: Duration,
    /// How many requests are sent in a second at the most, by a client that paces itself: the registry's.
    pub requests_per_second: NonZeroU32,
    /// How many come quickly at first and after a rest, while the host keeps up.
    pub requests_at_first: u32,
}

/// As many as a small registry bears: a thousand repositories are read in twenty seconds.
const REQUESTS_PER_SECOND: NonZeroU32 = NonZeroU32::new(50).unwrap();

/// The manifests and configs of two hundred builds, with some to spare.
const REQUESTS_AT_FIRST: u32 = 500;

impl Default for Transport {
    fn default() -> Self {
        Self {
            ca: Vec::new(),
            client_certificate: None,
            proxy: Proxy::Environment,
            unreadable: None,
            plain_http: false,
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(60),
            requests_per_second: REQUESTS_PER_SECOND,
            requests_at_first: REQUESTS_AT_FIRST,
        }
    }
}

impl Transport {
    /// The scheme that this host is spoken to in.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.plain_http { "http" } else { "https" }
    }
}

/// Why there is no answer, cut by what the caller does about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// Nobody answered, or the answer broke off: try later.
    #[error("{request}: {reason}; is the address right, and is the network there, or its proxy?")]
    Unreachable {
        /// Method and redacted URL.
        request: String,
        /// The innermost cause.
        reason: String,
    },
    /// The whole answer was not there in time: try later.
    #[error("{request}: no whole answer within the time limit")]
    TimedOut {
        /// Method and redacted URL.
        request: String,
    },
    /// The answer is larger than anything sensible: trying again is no use.
    #[error("{url}: the {what} is larger than {limit} bytes")]
    TooLarge {
        /// Redacted URL.
        url: String,
        /// What was read.
        what: &'static str,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The server's certificate cannot be judged, for this machine knows no certificate authority.
    #[error(
        "{request}: this machine has no root certificates to judge the server by; install ca-certificates, \
         set SSL_CERT_FILE, or name a CA bundle in the configuration"
    )]
    NoRoots {
        /// Method and redacted URL.
        request: String,
    },
    /// The server answers in plain HTTP where TLS was begun: a person has to say that this may be.
    #[error(
        "{request}: {host} speaks plain HTTP and no TLS; where it may, say `plain_http: true` for it in the configuration \
         (a registry: `registries: {{ \"{host}\": {{ plain_http: true }} }}`)"
    )]
    NoTls {
        /// Method and redacted URL.
        request: String,
        /// The host, with its port where one is named.
        host: String,
    },
    /// A setting makes the request impossible, or the address of a name, as [`Judged`] has it: a person has to change it.
    #[error("no HTTP request can be made: {0}")]
    Setting(String),
}

/// Told of every request made, by its URL and its answer; none where no answer came.
pub type Counter = Arc<dyn Fn(&Url, Option<Answered>) + Send + Sync>;

/// What a [`Counter`] learns of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answered {
    /// The status.
    pub status: u16,
    /// What the server's clock said.
    pub date: Option<Timestamp>,
}

impl Answered {
    fn of(response: &Response) -> Self {
        Self { status: response.status().as_u16(), date: date(response.headers()) }
    }
}

/// A counter that counts nothing.
#[must_use]
pub fn uncounted() -> Counter {
    Arc::new(|_, _| ())
}

/// A client for one host's settings. Redirects are handed to the caller.
///
/// # Errors
/// [`HttpError::Setting`] when a certificate, a key or a proxy cannot be used. Missing roots are no error here.
pub fn client(transport: &Transport) -> Result<reqwest::Client, HttpError> {
    builder(transport)?.timeout(transport.timeout).build().map_err(|error| HttpError::Setting(innermost(&error)))
}

/// A client of a host that sends it on to others, whose names are resolved so. Redirects are handed to the caller.
///
/// # Errors
/// As [`client`].
pub fn client_sent_on(transport: &Transport, names: Judged) -> Result<reqwest::Client, HttpError> {
    let builder = builder(transport)?.timeout(transport.timeout).dns_resolver(names);
    builder.build().map_err(|error| HttpError::Setting(innermost(&error)))
}

/// A client that reaches `host` at these addresses and no others, through no proxy: whoever judged the addresses knows
/// that the connection goes to one of them.
///
/// # Errors
/// As [`client`].
pub fn client_to(transport: &Transport, host: &str, addresses: &[SocketAddr]) -> Result<reqwest::Client, HttpError> {
    let builder = builder(transport)?.timeout(transport.timeout).no_proxy().resolve_to_addrs(host, addresses);
    builder.build().map_err(|error| HttpError::Setting(innermost(&error)))
}

/// The same client for code that blocks. It must not be made or dropped inside an async task.
///
/// # Errors
/// As [`client`].
pub fn blocking_client(transport: &Transport) -> Result<reqwest::blocking::Client, HttpError> {
    // Its time limit is for each read and write, so that a long download is not cut off.
    let builder = reqwest::blocking::ClientBuilder::from(builder(transport)?).timeout(transport.timeout);
    builder.build().map_err(|error| HttpError::Setting(innermost(&error)))
}

fn builder(transport: &Transport) -> Result<reqwest::ClientBuilder, HttpError> {
    if let Some(why) = &transport.unreadable {
        return Err(HttpError::Setting(why.clone()));
    }
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls::config(&transport.ca, transport.client_certificate.as_ref())?)
        .user_agent(USER_AGENT)
        .redirect(redirect::Policy::none())
        .connect_timeout(transport.connect_timeout)
        .pool_idle_timeout(IDLE_CONNECTION_MAX);
    transport.proxy.on(builder)
}

/// Sends a request and counts it. Any status is an answer.
///
/// # Errors
/// When there is no answer.
pub async fn send(client: &reqwest::Client, request: Request, counter: &Counter) -> Result<Response, HttpError> {
    let (method, url) = (request.method().clone(), request.url().clone());
    let sent = client.execute(request).await;
    counter(&url, sent.as_ref().ok().map(Answered::of));
    sent.map_err(|error| failure(&method, &url, &error))
}

/// Reads a body up to `max` bytes, after decompression. The client's time limit covers it to the last byte.
///
/// # Errors
/// When it is larger, breaks off, or is not there in time.
pub async fn body(response: Response, max: usize, what: &'static str) -> Result<Vec<u8>, HttpError> {
    body_within(response, max, what, |_| Ok(())).await
}

/// The same, where `room` says whether there is room in memory for so many bytes more.
///
/// # Errors
/// As [`body`], and where there is no room.
pub async fn body_within<E: From<HttpError>>(
    mut response: Response,
    max: usize,
    what: &'static str,
    mut room: impl FnMut(usize) -> Result<(), E>,
) -> Result<Vec<u8>, E> {
    let url = response.url().clone();
    let too_large = || HttpError::TooLarge { url: shown_url(&url), what, limit: max };
    let announced = response.content_length().unwrap_or(0);
    if usize::try_from(announced).map_or(true, |length| length > max) {
        return Err(too_large().into());
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| told(shown_url(&url), &error))? {
        if bytes.len() + chunk.len() > max {
            return Err(too_large().into());
        }
        room(chunk.len())?;
        if bytes.len() >= GROWS_BY && bytes.capacity() - bytes.len() < chunk.len() {
            // A large one would otherwise take twice its size.
            bytes.reserve_exact(chunk.len().max(GROWS_BY));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// What a failed request means, without its URL's secrets.
#[must_use]
pub fn failure(method: &Method, url: &Url, error: &reqwest::Error) -> HttpError {
    told(shown_request(method, url), error)
}

fn told(request: String, error: &reqwest::Error) -> HttpError {
    if error.is_builder() {
        return HttpError::Setting(format!("{request}: {}", innermost(error)));
    }
    if error.is_timeout() {
        return HttpError::TimedOut { request };
    }
    if let Some(nowhere) = causes(error).find_map(|cause| cause.downcast_ref::<Nowhere>()) {
        return HttpError::Setting(format!("{request}: {nowhere}"));
    }
    let untrusted = rustls_error(error)
        .is_some_and(|error| matches!(error, rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)));
    if untrusted && system_roots().is_empty() {
        return HttpError::NoRoots { request };
    }
    let is_no_tls =
        |error: &rustls::Error| matches!(error, rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType));
    if rustls_error(error).is_some_and(is_no_tls) {
        let host = error.url().and_then(|url| Some((url.host_str()?, url.port())));
        let host = host.map(|(host, port)| port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")));
        return HttpError::NoTls { request, host: host.unwrap_or_else(|| "the server".to_owned()) };
    }
    let mut reason = innermost(error);
    if reason.starts_with(TUNNEL_ERROR) {
        reason = format!("the proxy opens no way there ({reason})");
    } else if rustls_error(error).is_some_and(wants_certificate) {
        reason = format!("the server wants a client certificate ({reason})");
    }
    HttpError::Unreachable { request, reason }
}

/// Whether a server ended the handshake for want of our certificate (TLS 1.3; an older server only fails).
fn wants_certificate(error: &rustls::Error) -> bool {
    matches!(error, rustls::Error::AlertReceived(AlertDescription::CertificateRequired))
}

/// `GET https://host/path?…`: a request as a person may see it.
#[must_use]
pub fn shown_request(method: &Method, url: &Url) -> String {
    format!("{method} {}", shown_url(url))
}

/// A URL as a person may see it: bounded, without user, password, query or fragment.
#[must_use]
pub fn shown_url(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let query = if url.query().is_some() { "?…" } else { "" };
    let (scheme, host) = (url.scheme(), url.host_str().unwrap_or_default());
    text::shown(&format!("{scheme}://{host}{port}{}{query}", url.path()))
}

/// How long the server asks us to wait: `Retry-After` in seconds or as an HTTP date (RFC 9110, 10.2.3), capped.
#[must_use]
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match value.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => Duration::try_from(http_date(value)?.duration_since(now)).unwrap_or(Duration::ZERO),
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

/// What the server's clock said when it answered.
#[must_use]
pub fn date(headers: &HeaderMap) -> Option<Timestamp> {
    http_date(headers.get(DATE)?.to_str().ok()?)
}

fn http_date(value: &str) -> Option<Timestamp> {
    DateTimeParser::new().relaxed_weekday(true).parse_timestamp(value.trim()).ok()
}

/// An error and its causes, outermost first. What `io::Error` wraps is no source of it, so it is looked into.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        wrapped.map(|inner| inner as &(dyn Error + 'static)).or_else(|| error.source())
    })
}

fn rustls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

fn innermost(error: &(dyn Error + 'static)) -> String {
    text::shown(&causes(error).last().unwrap_or(error).to_string())
}

#[cfg(test)]
mod tests;
