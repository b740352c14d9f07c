//! The daemon's face: a page, a JSON interface, posted signals, health and metrics.
//!
//! It translates and decides nothing: every question and every change goes through the daemon's [`Handle`]. Reading may be
//! open on loopback; every change needs a token with the right to make it there.

mod access;
mod alarm;
mod bodies;
mod change;
mod connection;
mod health;
mod hooks;
mod origin;
mod page;
mod read;
mod rendered;
mod reply;
mod request;
mod seats;
mod sign_in;
mod signal;
mod wire;

pub use hooks::{Google, Queue};
pub(crate) use wire::plans;

use crate::config::{Access, Config, ReadAccess, Secret, ServerSettings, Webhook};
use crate::daemon::Handle;
use crate::telemetry::metrics::Delivered;
use access::{Gatekeeper, LetIn};
use alarm::Alarm;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};
use bodies::Bodies;
use hooks::Hooks;
use rendered::{LastRendered, Rendered};
use reply::Refused;
use secrecy::ExposeSecret as _;
use sign_in::Sessions;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How long one request may take, its body and the daemon's answer included.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(30);
/// What a browser may do with an answer: show it with our own style, and send our own form.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Told of each delivery: by whom, and what became of it.
pub type Tally = Arc<dyn Fn(&'static str, Delivered) + Send + Sync>;

/// What the server needs.
#[derive(Clone)]
pub struct Server {
    handle: Handle,
    gatekeeper: Arc<Gatekeeper>,
    metrics: Arc<dyn Fn() -> String + Send + Sync>,
    hooks: Hooks,
    delivered: Tally,
    last_rendered: Arc<LastRendered>,
    bodies: Bodies,
    sessions: Arc<Sessions>,
    /// Deliveries that proved nothing.
    unproven: Arc<Alarm>,
    /// Pushes whose repository no policy can name.
    nameless: Arc<Alarm>,
    read: Option<ReadAccess>,
    /// The id of the journal that answers come from, where it is told.
    journal: Option<HeaderValue>,
}

/// The header of each answer that names the journal it comes from.
pub(crate) const JOURNAL_HEADER: &str = "tagrelay-journal";

impl Server {
    /// A server for this daemon, these people and these numbers.
    #[must_use]
    pub fn new(handle: Handle, access: Vec<Access>, metrics: Arc<dyn Fn() -> String + Send + Sync>) -> Self {
        Self {
            handle,
            gatekeeper: Arc::new(Gatekeeper::new(LetIn::Fixed(access))),
            metrics,
            hooks: Hooks::default(),
            delivered: Arc::new(|_, _| ()),
            last_rendered: Arc::default(),
            bodies: Bodies::default(),
            sessions: Arc::default(),
            unproven: Arc::default(),
            nameless: Arc::default(),
            read: None,
            journal: None,
        }
    }

    /// The same server, which lets in whom the configuration in use names: a token that is taken out of it counts no more.
    #[must_use]
    pub fn following(self, configuration: watch::Receiver<Arc<Config>>) -> Self {
        Self { gatekeeper: Arc::new(Gatekeeper::new(LetIn::Configured(configuration))), ..self }
    }

    /// The same server, with webhooks of these senders; it is told what became of each delivery.
    #[must_use]
    pub fn with_webhooks(self, senders: BTreeMap<String, Webhook>, google: Google, delivered: Tally) -> Self {
        Self { hooks: Hooks::new(senders, google), delivered, ..self }
    }

    /// The same server, which tells `refused` of each token that nobody has, and lets people read as `read` says; none
    /// opens reading on loopback alone.
    #[must_use]
    pub fn with_reading(mut self, read: Option<ReadAccess>, refused: Arc<dyn Fn() + Send + Sync>) -> Self {
        self.read = read;
        if let Some(gatekeeper) = Arc::get_mut(&mut self.gatekeeper) {
            gatekeeper.refused = refused;
        }
        self
    }

    /// The same server, whose answers name this journal: whoever asks can tell which daemon they reached.
    #[must_use]
    pub fn of_journal(mut self, id: &str) -> Self {
        self.journal = HeaderValue::from_str(id).ok();
        self
    }

    /// Everything at one glance, in the forms that it was asked for in.
    async fn rendered(&self) -> Result<Arc<Rendered>, Refused> {
        Ok(self.last_rendered.of(self.handle.shared_status().await?))
    }
}

/// How long a secret is at least that opens our door: a shorter one can be guessed.
const SECRET_BYTES_MIN: usize = 16;

/// A warning for each secret that opens our own door and can be guessed. Unreadable ones open nothing.
#[must_use]
pub fn weak_secrets(settings: &ServerSettings) -> Vec<String> {
    let tokens = settings
        .access
        .iter()
        .map(|access| (format!("the token of `{}` in server.access", access.name), &access.token));
    let webhooks = settings.webhooks.iter();
    let secrets = webhooks.filter_map(|(name, webhook)| {
        Some((format!("the secret of server.webhooks.{name}"), webhook.secret.as_ref()?))
    });
    let is_weak = |secret: &Secret| secret.read().is_ok_and(|secret| secret.expose_secret().len() < SECRET_BYTES_MIN);
    let weak = tokens.chain(secrets).filter(|(_, secret)| is_weak(secret));
    weak.map(|(whose, _)| {
        format!("{whose} has fewer than {SECRET_BYTES_MIN} bytes and can be guessed: make a longer one (`openssl rand -hex 32`); the next minor version refuses it")
    })
    .collect()
}

/// A warning for each person and sender of `server.access` whose token cannot be read: nobody is let in by that name.
#[must_use]
pub fn unread_tokens(settings: &ServerSettings) -> Vec<String> {
    let unread = settings.access.iter().filter_map(|access| Some((&access.name, access.token.read().err()?)));
    unread.map(|(name, error)| format!("`{name}` of server.access is not let in: {error}")).collect()
}

/// Answers until it is told to stop; answers that were begun are finished.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, server: Server, stop: CancellationToken) -> std::io::Result<()> {
    let address = listener.local_addr()?;
    let app = router(server, address);
    connection::serve(listener, app, stop).await;
    Ok(())
}

/// Who is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answers {
    /// Everybody: it tells nothing of what runs, unless they may read.
    Everybody,
    /// Whoever may read.
    Readers,
    /// Whoever may make this change: the route looks at the token itself, before the body.
    Changers,
    /// A registry that proves itself: the route holds the whole delivery against its secret.
    Senders,
}

/// Every route; `openapi.json` describes those of the interface.
fn routes() -> Vec<(&'static str, Answers, MethodRouter<Server>)> {
    use Answers::{Changers, Everybody, Readers, Senders};
    vec![
        ("/healthz", Everybody, get(health::healthz)),
        ("/readyz", Everybody, get(health::readyz)),
        ("/style.css", Everybody, get(page::style)),
        ("/sign-in", Everybody, get(page::sign_in_form).post(sign_in::sign_in)),
        ("/", Readers, get(page::page)),
        ("/metrics", Readers, get(health::metrics)),
        ("/api/v1/openapi.json", Readers, get(read::openapi)),
        ("/api/v1/status", Readers, get(read::status)),
        ("/api/v1/plan", Readers, get(read::plan)),
        ("/api/v1/history", Readers, get(read::history)),
        ("/api/v1/files", Readers, get(read::file)),
        ("/api/v1/where", Readers, get(read::where_is)),
        ("/api/v1/reports", Readers, get(read::reports)),
        ("/api/v1/reports/retry", Changers, post(change::retry_reports)),
        ("/api/v1/policies", Readers, get(read::policies)),
        ("/api/v1/policies/{policy}", Readers, get(read::one_policy)),
        ("/api/v1/policies/{policy}/environments/{environment}", Readers, get(read::environment)),
        ("/api/v1/policies/{policy}/environments/{environment}/explain", Readers, get(read::explain)),
        ("/api/v1/policies/{policy}/environments/{environment}/approve", Changers, post(change::approve)),
        ("/api/v1/policies/{policy}/environments/{environment}/unapprove", Changers, post(change::unapprove)),
        ("/api/v1/policies/{policy}/environments/{environment}/reject", Changers, post(change::reject)),
        ("/api/v1/policies/{policy}/environments/{environment}/promote", Changers, post(change::promote)),
        ("/api/v1/policies/{policy}/environments/{environment}/rollback", Changers, post(change::rollback)),
        ("/api/v1/policies/{policy}/environments/{environment}/verify", Changers, post(change::verify)),
        ("/api/v1/policies/{policy}/environments/{environment}/signal", Changers, post(signal::signal)),
        ("/api/v1/hold", Changers, post(change::hold)),
        ("/api/v1/resume", Changers, post(change::resume)),
        ("/api/v1/verify", Changers, post(change::verify_all)),
        ("/webhooks/{sender}", Senders, post(hooks::hook)),
        ("/webhooks/{sender}/{secret}", Senders, post(hooks::hook_with_secret)),
    ]
}

fn router(server: Server, address: SocketAddr) -> Router {
    let may_read = middleware::from_fn_with_state((server.clone(), address), access::may_read);
    let note_readers = middleware::from_fn_with_state((server.clone(), address), access::note_readers);
    let mut router = Router::new();
    for (path, answers, route) in routes() {
        let route = match answers {
            Answers::Readers => route.route_layer(may_read.clone()),
            Answers::Everybody => route.route_layer(note_readers.clone()),
            Answers::Changers | Answers::Senders => route,
        };
        router = router.route(path, route);
    }
    router
        .fallback(async || Refused::not_found("there is nothing here: /api/v1/openapi.json lists what there is"))
        .method_not_allowed_fallback(async || {
            let message = "it is not asked like this: /api/v1/openapi.json says how";
            Refused::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
        })
        .layer(middleware::from_fn(in_time))
        .layer(middleware::from_fn_with_state(address, origin::is_for_us))
        .layer(DefaultBodyLimit::max(crate::model::budget::BODY_BYTES))
        .layer(middleware::map_response(harmless))
        .layer(middleware::map_response_with_state(server.journal.clone(), with_journal))
        .with_state(server)
}

/// Bounds how long a request may take.
async fn in_time(request: Request, next: Next) -> Result<Response, Refused> {
    let answered = tokio::time::timeout(REQUEST_TIME_MAX, next.run(request)).await;
    answered.map_err(|_| {
        Refused::unavailable("the whole request was not answered in time: look at the status, then ask again")
    })
}

/// Says which journal an answer comes from.
async fn with_journal(State(journal): State<Option<HeaderValue>>, mut response: Response) -> Response {
    if let Some(journal) = journal {
        response.headers_mut().insert(JOURNAL_HEADER, journal);
    }
    response
}

/// Tells browsers to run nothing, to frame nothing, to guess nothing, and to keep nothing unless the answer says so.
async fn harmless(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_description_names_every_route_of_the_interface_and_no_other() {
        let described: serde_json::Value = serde_json::from_str(include_str!("openapi.json")).expect("JSON");
        let described = described["paths"].as_object().expect("paths").iter();
        let described: BTreeSet<(&str, bool)> = described
            .map(|(path, item)| {
                assert!(item.get("get").is_some() != item.get("post").is_some(), "{path} is read or changed");
                (path.as_str(), item.get("post").is_some())
            })
            .collect();
        let served =
            routes().into_iter().filter(|(path, _, _)| path.starts_with("/api/") || path.starts_with("/webhooks/"));
        let served: BTreeSet<(&str, bool)> =
            served.map(|(path, answers, _)| (path, matches!(answers, Answers::Changers | Answers::Senders))).collect();
        assert_eq!(described, served);
    }
}
