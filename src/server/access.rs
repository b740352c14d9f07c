//! Who may do what where: a token is held against every known one in constant time, and rights are looked up by name.
//!
//! It reads no body: whoever is not let in is told so before anything they sent is looked at.

use super::Server;
use super::reply::Refused;
use crate::config::{Access, Act, Config};
use crate::model::{Scope, text};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;
use secrecy::ExposeSecret as _;
use std::net::SocketAddr;
use std::sync::Arc;
use subtle::ConstantTimeEq as _;
use tokio::sync::watch;

/// The pattern of those who may do something everywhere.
const EVERYWHERE: &str = "*";

/// The people and programs that may change something.
pub(super) enum Gatekeeper {
    /// These, as long as the server runs.
    Fixed(Vec<Access>),
    /// Those of the configuration in use.
    Configured(watch::Receiver<Arc<Config>>),
}

/// Somebody who showed a token.
#[derive(Debug, Clone)]
pub(super) struct Somebody {
    access: Access,
}

impl Gatekeeper {
    /// Who shows this token. Hashes are compared, so that the time does not tell a length either.
    pub(super) fn somebody(&self, headers: &HeaderMap) -> Option<Somebody> {
        let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("Bearer") {
            return None;
        }
        let shown = text::sha256(token.trim().as_bytes());
        match self {
            Self::Fixed(access) => find(access, &shown),
            Self::Configured(config) => find(&config.borrow().server.access, &shown),
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
        server.gatekeeper.somebody(&parts.headers).ok_or_else(Refused::unauthorized)
    }
}

/// Whether whoever asks may read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reads(pub(super) bool);

/// Reading is open where only this machine can ask; elsewhere it takes any token.
pub(super) async fn may_read(
    State((server, address)): State<(Server, SocketAddr)>,
    request: Request,
    next: Next,
) -> Result<Response, Refused> {
    if reads(&server, address, &request) {
        return Ok(next.run(request).await);
    }
    Err(Refused::unauthorized())
}

/// Answers everybody, and lets the route know whether they may read.
pub(super) async fn note_readers(
    State((server, address)): State<(Server, SocketAddr)>,
    mut request: Request,
    next: Next,
) -> Response {
    let reads = Reads(reads(&server, address, &request));
    request.extensions_mut().insert(reads);
    next.run(request).await
}

fn reads(server: &Server, address: SocketAddr, request: &Request) -> bool {
    address.ip().is_loopback() || server.gatekeeper.somebody(request.headers()).is_some()
}
