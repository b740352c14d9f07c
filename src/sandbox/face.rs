//! An HTTP face: a listener on 127.0.0.1 that puts a stand-in on the wire, with its faults and the record of what was asked.
//!
//! It answers nothing itself. Every request is read whole, recorded, befallen by its faults, sent through the effect gate
//! where it mutates, and goes to its end even if the client has gone: so do real servers.

use super::effects::Effects;
use super::fault::{self, Faults};
use super::held;
use super::line::{Cut, Lines};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use axum::response::{IntoResponse as _, Response};
use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, pending};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The largest request that is read: more than any manifest or push of pins, less than a mistake that fills the memory.
const REQUEST_BYTES_MAX: usize = 64 << 20;

/// How many of the latest requests are kept to be looked at; a demo may run for weeks.
const REQUESTS_MAX: usize = 10_000;

/// A stand-in that answers requests.
pub(super) trait System: Send + Sync + 'static {
    /// What it is called among the effects.
    const NAME: &'static str;

    /// Whether this request is meant to change anything.
    fn mutates(request: &Request<Bytes>) -> bool;

    /// Does what the request asks.
    fn answer(self: Arc<Self>, request: Request<Bytes>) -> impl Future<Output = Response> + Send;
}

/// A request that arrived.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Its method.
    pub method: Method,
    /// Its path, as it was sent, without the query.
    pub path: String,
    /// Its query, as it was sent.
    pub query: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// What was answered; none while it waits, and for ever where it was never answered.
    pub status: Option<u16>,
    /// When it arrived.
    pub at: Instant,
}

/// The face of one stand-in. It closes, with all its connections, when it is dropped.
pub struct Face {
    address: SocketAddr,
    /// The switches.
    pub faults: Faults,
    record: Record,
    _stop: DropGuard,
}

impl Face {
    /// Puts this system on a free port.
    pub(super) async fn start<S: System>(system: Arc<S>, effects: Effects) -> io::Result<Self> {
        let stop = CancellationToken::new();
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = tcp.local_addr()?;
        let desk = Arc::new(Desk { system, effects, faults: Faults::default(), record: Record::default() });
        let face = Self {
            address,
            faults: desk.faults.clone(),
            record: desk.record.clone(),
            _stop: stop.clone().drop_guard(),
        };
        let answer = move |ConnectInfo(cut): ConnectInfo<Cut>, request: Request<Body>| {
            let desk = Arc::clone(&desk);
            async move { desk.receive(cut, request).await }
        };
        let service = Router::new().fallback(answer).into_make_service_with_connect_info::<Cut>();
        let serving = axum::serve(Lines::new(tcp, stop.clone()), service);
        drop(tokio::spawn(stop.run_until_cancelled_owned(serving.into_future())));
        Ok(face)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The latest requests, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<Asked> {
        held(&self.record.0).latest.iter().cloned().collect()
    }

    /// How many of the latest requests had this method and this in their path.
    #[must_use]
    pub fn count(&self, method: &Method, path: &str) -> usize {
        held(&self.record.0).latest.iter().filter(|asked| asked.method == method && asked.path.contains(path)).count()
    }

    /// Forgets the requests so far: counts begin anew.
    pub fn forget(&self) {
        let mut pages = held(&self.record.0);
        pages.first += pages.latest.len();
        pages.latest.clear();
    }
}

impl fmt::Debug for Face {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Face({})", self.address)
    }
}

/// The record of what was asked.
#[derive(Debug, Clone, Default)]
struct Record(Arc<Mutex<Pages>>);

#[derive(Debug, Default)]
struct Pages {
    /// The number of the first request that is still kept.
    first: usize,
    latest: VecDeque<Asked>,
}

impl Record {
    fn arrived(&self, request: &Request<Bytes>) -> usize {
        let mut pages = held(&self.0);
        if pages.latest.len() == REQUESTS_MAX {
            pages.latest.pop_front();
            pages.first += 1;
        }
        pages.latest.push_back(Asked {
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            headers: request.headers().clone(),
            status: None,
            at: Instant::now(),
        });
        pages.first + pages.latest.len() - 1
    }

    fn answered(&self, number: usize, status: StatusCode) {
        let mut pages = held(&self.0);
        let place = number.checked_sub(pages.first);
        if let Some(asked) = place.and_then(|place| pages.latest.get_mut(place)) {
            asked.status = Some(status.as_u16());
        }
    }
}

/// Where requests are taken in.
struct Desk<S> {
    system: Arc<S>,
    effects: Effects,
    faults: Faults,
    record: Record,
}

impl<S: System> Desk<S> {
    /// Answers in a task of its own, which outlives a client that hangs up.
    async fn receive(self: Arc<Self>, cut: Cut, request: Request<Body>) -> Response {
        let (parts, body) = request.into_parts();
        let Ok(body) = axum::body::to_bytes(body, REQUEST_BYTES_MAX).await else {
            return StatusCode::PAYLOAD_TOO_LARGE.into_response();
        };
        let work = tokio::spawn(self.work(cut, Request::from_parts(parts, body)));
        match work.await {
            Ok(Some(response)) => response,
            Ok(None) => pending().await,
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }

    async fn work(self: Arc<Self>, cut: Cut, request: Request<Bytes>) -> Option<Response> {
        let number = self.record.arrived(&request);
        let faults = self.faults.befalling(&request);
        let response = match fault::before(&faults, &cut).await {
            Some(instead) => instead,
            None => fault::after(&faults, &cut, self.apply(request).await?).await,
        };
        if !cut.is_reset() {
            self.record.answered(number, response.status());
        }
        Some(response)
    }

    async fn apply(&self, request: Request<Bytes>) -> Option<Response> {
        if !S::mutates(&request) {
            return Some(Arc::clone(&self.system).answer(request).await);
        }
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        self.effects.apply(S::NAME, method, &path, Arc::clone(&self.system).answer(request)).await
    }
}
