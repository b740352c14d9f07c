//! What can be made to go wrong at a face: switches that a test sets on a server, a path, and a number of requests.
//!
//! No fault is invented by chance: nothing happens that nobody asked for. What one server alone can do wrong (an expired
//! token, a page cap) is a setting of that server, not a fault.

use super::held;
use super::line::Cut;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::{self, StreamExt as _};
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The largest answer that is held in memory to be cut in two; past it the answer is cut to nothing.
const CUT_BODY_BYTES_MAX: usize = 64 << 20;

/// How long a cut answer lingers, so that hyper sends the half it has before it is told of the end.
const CUT_PAUSE: Duration = Duration::from_millis(20);

/// On which side of a request's effect something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The request was read, and nothing has happened yet.
    Before,
    /// The request has had its effect, and no byte of the answer was sent.
    After,
}

/// Something done in the world while a request waits: it is awaited before the request goes on.
pub type Deed = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// One thing that goes wrong.
#[derive(Clone)]
pub enum Fault {
    /// This is answered in place of the server's own answer; the request has no effect.
    Answer {
        /// The status.
        status: StatusCode,
        /// All headers of the answer.
        headers: HeaderMap,
        /// Its body.
        body: Bytes,
    },
    /// A 200 whose body never ends: blanks, which every JSON parser swallows patiently.
    Endless,
    /// The request waits that long before or after its effect.
    Delay(Moment, Duration),
    /// The connection is reset before or after the request's effect, without an answer.
    Drop(Moment),
    /// The true answer ends half-way through its body, and so does the connection.
    CutBody,
    /// A header of the true answer is replaced, or removed.
    Header(HeaderName, Option<HeaderValue>),
    /// Meanwhile somebody does something: how races are lost on purpose.
    Meanwhile(Moment, Deed),
}

impl Fault {
    /// A bare answer with this status; a status that HTTP does not know becomes 500.
    #[must_use]
    pub fn answer(status: u16) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::Answer { status, headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// The same answer with one more header. Only an answer has any; a text that is no header changes nothing.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        if let (Self::Answer { headers, .. }, Ok(value)) = (&mut self, HeaderValue::from_str(value)) {
            headers.append(HeaderName::from_static(name), value);
        }
        self
    }

    /// The same answer with this body.
    #[must_use]
    pub fn body(mut self, content_type: &'static str, text: impl Into<Bytes>) -> Self {
        if let Self::Answer { headers, body, .. } = &mut self {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
            *body = text.into();
        }
        self
    }

    /// The 200 with a login page that a proxy in the way answers to everything.
    #[must_use]
    pub fn html() -> Self {
        Self::answer(200).body("text/html; charset=utf-8", "<!doctype html><title>Sign in</title><h1>Sign in</h1>")
    }

    /// Replaces a header of the true answer, or removes it. A text that is no header removes it too.
    #[must_use]
    pub fn header(name: &'static str, value: Option<&str>) -> Self {
        Self::Header(HeaderName::from_static(name), value.and_then(|value| HeaderValue::from_str(value).ok()))
    }

    /// A `Docker-Content-Digest` that the bytes do not have.
    #[must_use]
    pub fn lying_digest() -> Self {
        Self::header("docker-content-digest", Some(&format!("sha256:{}", "0".repeat(64))))
    }

    /// A next page at this URL or path: itself to make a loop, another host to make a trap.
    #[must_use]
    pub fn next_page(target: &str) -> Self {
        Self::header("link", Some(&format!("<{target}>; rel=\"next\"")))
    }

    /// The request waits before or after its effect until this token is cancelled: how one thing is kept from being over
    /// before another, however slow the machine is.
    #[must_use]
    pub fn until(moment: Moment, over: &CancellationToken) -> Self {
        let over = over.clone();
        Self::meanwhile(moment, move || over.clone().cancelled_owned())
    }

    /// Does this while the request waits.
    pub fn meanwhile<F>(moment: Moment, deed: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self::Meanwhile(moment, Arc::new(move || Box::pin(deed())))
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer { status, .. } => write!(f, "Answer({status})"),
            Self::Endless => f.write_str("Endless"),
            Self::Delay(moment, by) => write!(f, "Delay({moment:?}, {by:?})"),
            Self::Drop(moment) => write!(f, "Drop({moment:?})"),
            Self::CutBody => f.write_str("CutBody"),
            Self::Header(name, value) => write!(f, "Header({name}, {value:?})"),
            Self::Meanwhile(moment, _) => write!(f, "Meanwhile({moment:?})"),
        }
    }
}

/// A fault and the requests that it befalls: all of the face's, unless narrowed.
#[derive(Debug, Clone)]
pub struct Rule {
    fault: Fault,
    method: Option<Method>,
    path: String,
    left: Option<u32>,
}

impl Rule {
    /// This fault for every request.
    #[must_use]
    pub fn every(fault: Fault) -> Self {
        Self { fault, method: None, path: String::new(), left: None }
    }

    /// This fault once.
    #[must_use]
    pub fn once(fault: Fault) -> Self {
        Self::every(fault).times(1)
    }

    /// Only for this method.
    #[must_use]
    pub fn method(mut self, method: Method) -> Self {
        self.method = Some(method);
        self
    }

    /// Only for paths that begin so; the path is compared as it was sent, still percent-encoded, without its query.
    #[must_use]
    pub fn path(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.path);
        self
    }

    /// Only for the next so many of those requests.
    #[must_use]
    pub fn times(mut self, requests: u32) -> Self {
        self.left = Some(requests);
        self
    }

    /// Whether the rule befalls this request, which then counts.
    fn befalls(&mut self, method: &Method, path: &str) -> bool {
        let due = self.left != Some(0)
            && self.method.as_ref().is_none_or(|wanted| wanted == method)
            && path.starts_with(&self.path);
        if due {
            self.left = self.left.map(|left| left.saturating_sub(1));
        }
        due
    }
}

/// The fault switches of one face.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<Vec<Rule>>>);

impl Faults {
    /// Turns a fault on. Where several befall one request, they do so in the order in which they were added.
    pub fn add(&self, rule: Rule) {
        held(&self.0).push(rule);
    }

    /// Turns all of them off.
    pub fn clear(&self) {
        held(&self.0).clear();
    }

    /// The faults that befall this request.
    pub(super) fn befalling(&self, request: &Request<Bytes>) -> Vec<Fault> {
        let mut rules = held(&self.0);
        let due = rules
            .iter_mut()
            .filter_map(|rule| rule.befalls(request.method(), request.uri().path()).then(|| rule.fault.clone()));
        let due = due.collect();
        rules.retain(|rule| rule.left != Some(0));
        due
    }
}

/// Lets the faults happen that come before the effect; an answer means that there will be no effect.
pub(super) async fn before(faults: &[Fault], cut: &Cut) -> Option<Response> {
    for fault in faults {
        match fault {
            Fault::Answer { status, headers, body } => {
                return Some((*status, headers.clone(), body.clone()).into_response());
            }
            Fault::Endless => return Some(endless()),
            Fault::Delay(Moment::Before, by) => tokio::time::sleep(*by).await,
            Fault::Drop(Moment::Before) => {
                cut.reset();
                return Some(StatusCode::SERVICE_UNAVAILABLE.into_response());
            }
            Fault::Meanwhile(Moment::Before, deed) => deed().await,
            Fault::Delay(Moment::After, _)
            | Fault::Drop(Moment::After)
            | Fault::Meanwhile(Moment::After, _)
            | Fault::CutBody
            | Fault::Header(..) => {}
        }
    }
    None
}

/// Lets the faults happen that come after the effect, on the way back.
pub(super) async fn after(faults: &[Fault], cut: &Cut, mut response: Response) -> Response {
    for fault in faults {
        match fault {
            Fault::Delay(Moment::After, by) => tokio::time::sleep(*by).await,
            Fault::Drop(Moment::After) => cut.reset(),
            Fault::Meanwhile(Moment::After, deed) => deed().await,
            Fault::CutBody => response = cut_body(response).await,
            Fault::Header(name, Some(value)) => drop(response.headers_mut().insert(name, value.clone())),
            Fault::Header(name, None) => drop(response.headers_mut().remove(name)),
            Fault::Delay(Moment::Before, _)
            | Fault::Drop(Moment::Before)
            | Fault::Meanwhile(Moment::Before, _)
            | Fault::Answer { .. }
            | Fault::Endless => {}
        }
    }
    response
}

fn endless() -> Response {
    static BLANKS: [u8; 4096] = [b' '; 4096];
    let blanks = stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from_static(&BLANKS)));
    ([(header::CONTENT_TYPE, "application/json")], Body::from_stream(blanks)).into_response()
}

/// Keeps the announced length, sends half of the bytes, then fails: hyper answers that by closing the connection.
async fn cut_body(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let whole = axum::body::to_bytes(body, CUT_BODY_BYTES_MAX).await.unwrap_or_default();
    let half = whole.slice(..whole.len() / 2);
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(whole.len()));
    let end = stream::once(async {
        tokio::time::sleep(CUT_PAUSE).await;
        Err(io::Error::from(io::ErrorKind::ConnectionReset))
    });
    let cut = stream::iter([Ok(half)]).chain(end);
    Response::from_parts(parts, Body::from_stream(cut))
}
