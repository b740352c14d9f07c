//! Who may do what where: a token is held against every known one in constant time, and rights are looked up by name.
//!
//! It reads no body: whoever is not let in is told so before anything they sent is looked at.

use super::alarm::Alarm;
use super::connection::Peer;
use super::reply::Refused;
use super::seats::Seat;
use super::{Server, page, sign_in};
use crate::config::{Access, Act, Config, ReadAccess};
use crate::model::{Scope, text};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use secrecy::ExposeSecret as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use subtle::ConstantTimeEq as _;
use tokio::sync::watch;

/// The pattern of those who may do something everywhere.
const EVERYWHERE: &str = "*";

/// How long whoever shows a wrong token waits for the answer: who mistyped does not mind, who guesses does.
const WRONG_TOKEN_WAITS: Duration = Duration::from_millis(500);

/// Whom the gatekeeper lets in.
pub(super) enum LetIn {
    /// These, as long as the server runs.
    Fixed(Vec<Access>),
    /// Those of the configuration in use.
    Configured(watch::Receiver<Arc<Config>>),
}

/// Knows the people and programs that may change something, and those who only try.
pub(super) struct Gatekeeper {
    pub(super) lets_in: LetIn,
    /// Told of each token that nobody has.
    pub(super) refused: Arc<dyn Fn() + Send + Sync>,
    wrong_tokens: Arc<Alarm>,
}

/// Somebody who showed a token.
#[derive(Debug, Clone)]
pub(super) struct Somebody {
    access: Access,
}

impl Gatekeeper {
    /// Lets these in.
    pub(super) fn new(lets_in: LetIn) -> Self {
        Self { lets_in, refused: Arc::new(|| ()), wrong_tokens: Arc::default() }
    }

    /// Whose token this is.
    pub(super) fn by_token(&self, token: &str) -> Option<Somebody> {
        self.by_hash(&text::sha256(token.as_bytes()))
    }

    /// Whose token has this hash. Hashes are compared, so that the time does not tell a length either.
    pub(super) fn by_hash(&self, shown: &[u8; 32]) -> Option<Somebody> {
        match &self.lets_in {
            LetIn::Fixed(access) => find(access, shown),
            LetIn::Configured(config) => find(&config.borrow().server.access, shown),
        }
    }

    /// Counts a token that nobody has, tells of it now and then, and lets whoever showed it wait, on a seat that a
    /// newcomer may take.
    pub(super) async fn slow_down(&self, seat: Option<&Arc<Seat>>) {
        (self.refused)();
        if let Some(n) = self.wrong_tokens.ring() {
            tracing::warn!("somebody showed a token that nobody has ({n} such since this was told)");
        }
        let _seat = seat.map(|seat| seat.reading_unproven());
        tokio::time::sleep(WRONG_TOKEN_WAITS).await;
    }

    /// Who shows a token; whoever shows a wrong one waits first.
    async fn admit(&self, headers: &HeaderMap, seat: Option<&Arc<Seat>>) -> Result<Somebody, Refused> {
        let Some(token) = shown_token(headers) else { return Err(Refused::unauthorized()) };
        match self.by_token(token) {
            Some(somebody) => Ok(somebody),
            None => {
                self.slow_down(seat).await;
                Err(Refused::unknown_token())
            }
        }
    }
}

/// Every known token is compared, so that the time tells nothing.
fn find(known: &[Access], shown: &[u8; 32]) -> Option<Somebody> {
    let mut found = None;
    for access in known {
        let token = match access.token.read() {
            Ok(token) => token,
            Err(error) => {
                tracing::error!(access.name = %access.name, error = %error, "{} is not let in: {error}", access.name);
                continue;
            }
        };
        let token = text::sha256(token.expose_secret().as_bytes());
        if bool::from(token.ct_eq(shown)) {
            found = Some(Somebody { access: access.clone() });
        }
    }
    found
}

impl Somebody {
    /// The name that is kept with what they do.
    pub(super) fn name(&self) -> &str {
        &self.access.name
    }

    /// Whether they may do something to everything that a scope names. What reaches over all policies asks for a right
    /// everywhere.
    pub(super) fn may(&self, act: Act, scope: &Scope) -> bool {
        let environment = scope.environment.as_ref().map(|environment| environment.as_str());
        match &scope.policy {
            Some(policy) => self.access.allows(act, policy.as_str(), environment),
            None => self.access.may.contains(&act) && self.access.on.iter().any(|on| on.as_str() == EVERYWHERE),
        }
    }

    /// Refuses what they may not do.
    pub(super) fn must(&self, act: Act, scope: &Scope) -> Result<(), Refused> {
        if self.may(act, scope) {
            return Ok(());
        }
        let (name, act) = (self.name(), format!("{act:?}").to_lowercase());
        tracing::warn!(access.name = %name, environment.scope = %scope, "{name} may not {act} at {scope}");
        Err(Refused::forbidden(format!(
            "{name} may not {act} at {scope}: whoever keeps the configuration can add it to `may` and `on` of server.access"
        )))
    }
}

/// Whoever changes something shows a token, looked at before the body is read.
impl FromRequestParts<Server> for Somebody {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, server: &Server) -> Result<Self, Refused> {
        let seat = parts.extensions.get::<Peer>().map(|peer| peer.seat.clone());
        server.gatekeeper.admit(&parts.headers, seat.as_ref()).await
    }
}

/// Whether whoever asks may read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reads(pub(super) bool);

/// Reading is open where only this machine can ask; elsewhere it takes any token, or the session of one.
pub(super) async fn may_read(
    State((server, address)): State<(Server, SocketAddr)>,
    request: Request,
    next: Next,
) -> Response {
    let (peer, headers) = (request.extensions().get::<Peer>().cloned(), request.headers().clone());
    if let Err(refused) = reads(&server, address, peer, headers).await {
        let is_page = sign_in::wants_page(request.headers());
        return if is_page { page::sign_in(refused.status(), "") } else { refused.into_response() };
    }
    next.run(request).await
}

/// Answers everybody, and lets the route know whether they may read.
pub(super) async fn note_readers(
    State((server, address)): State<(Server, SocketAddr)>,
    mut request: Request,
    next: Next,
) -> Response {
    let (peer, headers) = (request.extensions().get::<Peer>().cloned(), request.headers().clone());
    let reads = reads(&server, address, peer, headers).await.is_ok();
    request.extensions_mut().insert(Reads(reads));
    next.run(request).await
}

/// Whether whoever asks may read.
async fn reads(server: &Server, address: SocketAddr, peer: Option<Peer>, headers: HeaderMap) -> Result<(), Refused> {
    let is_open = match server.read {
        Some(ReadAccess::Open) => true,
        Some(ReadAccess::Token) => false,
        None => address.ip().is_loopback() && peer.as_ref().is_some_and(|peer| is_from_here(peer.address, &headers)),
    };
    let session = || server.sessions.token_of(&headers).and_then(|token| server.gatekeeper.by_hash(&token));
    if is_open || session().is_some() {
        return Ok(());
    }
    server.gatekeeper.admit(&headers, peer.as_ref().map(|peer| &peer.seat)).await.map(drop)
}

/// The token of these headers.
fn shown_token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then_some(token.trim())
}

/// Whether somebody on this machine asks for himself: a proxy here asks for others, and says so in one of these headers.
/// That the `Host` is local was looked at before (`origin`).
fn is_from_here(peer: SocketAddr, headers: &HeaderMap) -> bool {
    let forwards = |name: &HeaderName| {
        matches!(name.as_str(), "forwarded" | "via" | "x-real-ip") || name.as_str().starts_with("x-forwarded-")
    };
    peer.ip().to_canonical().is_loopback() && !headers.keys().any(forwards)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn who_asks_for_himself_on_this_machine() {
        for (peer, header, is_open) in [
            ("127.0.0.1:5000", None, true),
            ("[::1]:5000", None, true),
            ("[::ffff:127.0.0.1]:5000", Some("accept"), true),
            ("10.0.0.7:5000", None, false),
            ("127.0.0.1:5000", Some("forwarded"), false),
            ("127.0.0.1:5000", Some("x-forwarded-for"), false),
            ("127.0.0.1:5000", Some("x-forwarded-prefix"), false),
            ("127.0.0.1:5000", Some("via"), false),
            ("127.0.0.1:5000", Some("x-real-ip"), false),
        ] {
            let peer: SocketAddr = peer.parse().expect("an address");
            let name = header.map(HeaderName::from_static);
            let headers = name.into_iter().map(|name| (name, HeaderValue::from_static("x"))).collect();
            assert_eq!(is_from_here(peer, &headers), is_open, "{peer} {header:?}");
        }
    }
}
