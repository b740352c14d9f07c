//! Signing in: a person shows a token once, and gets a cookie that reads, and does nothing else.
//!
//! Sessions are in memory alone. One ends after twelve hours, with the process, and with the token that it was begun with.

use super::Server;
use super::access::Somebody;
use super::connection::Peer;
use super::page;
use super::reply::Refused;
use crate::model::text;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The name of the cookie.
const COOKIE: &str = "tagrelay_session";
/// How long a session lasts.
const LASTS: Duration = Duration::from_secs(12 * 60 * 60);
/// How many sessions there are at once; past that the oldest ends.
const SESSIONS_MAX: usize = 1_000;
/// How many random bytes make a session.
const RANDOM_BYTES: usize = 32;

/// The sessions that were begun.
#[derive(Default)]
pub(super) struct Sessions(Mutex<BTreeMap<[u8; 32], Session>>);

/// A session, found by the hash of its cookie: what is remembered here is no key.
struct Session {
    /// The hash of the token that it was begun with.
    token: [u8; 32],
    begun: Instant,
}

impl Sessions {
    /// Begins a session for somebody; what its cookie says.
    fn begin(&self, token: [u8; 32]) -> Result<String, getrandom::Error> {
        let mut random = [0; RANDOM_BYTES];
        getrandom::fill(&mut random)?;
        let cookie: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|_, session| session.begun.elapsed() < LASTS);
        if sessions.len() >= SESSIONS_MAX {
            let oldest = sessions.iter().min_by_key(|(_, session)| session.begun).map(|(key, _)| *key);
            if let Some(oldest) = oldest {
                sessions.remove(&oldest);
            }
        }
        sessions.insert(text::sha256(cookie.as_bytes()), Session { token, begun: Instant::now() });
        Ok(cookie)
    }

    /// The hash of the token that the session of these headers was begun with, if there is one.
    pub(super) fn token_of(&self, headers: &HeaderMap) -> Option<[u8; 32]> {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let shown = pairs.find_map(|(name, value)| (name == COOKIE).then_some(value))?;
        let sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let session = sessions.get(&text::sha256(shown.as_bytes()))?;
        (session.begun.elapsed() < LASTS).then_some(session.token)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shown {
    token: String,
}

/// Begins a session for whoever shows a token: as JSON, or with the form of the page.
pub(super) async fn sign_in(State(server): State<Server>, request: Request) -> Response {
    let headers = request.headers().clone();
    let seat = request.extensions().get::<Peer>().map(|peer| peer.seat.clone());
    match signed_in(&server, &headers, request).await {
        Ok(answer) => answer,
        Err(refused) => {
            if refused.is_unauthorized() {
                server.gatekeeper.slow_down(seat.as_ref()).await;
            }
            if wants_page(&headers) {
                page::sign_in(refused.status(), refused.message())
            } else {
                refused.into_response()
            }
        }
    }
}

async fn signed_in(server: &Server, headers: &HeaderMap, request: Request) -> Result<Response, Refused> {
    if is_of_another_site(headers) {
        return Err(Refused::bad("this form was sent by another site's page: open ours, and sign in there"));
    }
    let body = server.bodies.of_sign_in(request).await?;
    let is_form =
        headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-www-form"));
    let shown: Result<Shown, String> = match is_form {
        true => serde_urlencoded(body.bytes()),
        false => serde_json::from_slice(body.bytes()).map_err(|error| error.to_string()),
    };
    let Shown { token } = shown.map_err(|error| Refused::bad(&format!("the body: {error}")))?;
    let somebody = server.gatekeeper.by_token(token.trim()).ok_or_else(Refused::wrong_token)?;
    let session = server.sessions.begin(text::sha256(token.trim().as_bytes()));
    let session = session.map_err(|_| Refused::unavailable("this machine gives no random numbers just now"))?;
    told(&somebody);
    let secure = if is_behind_https(headers) { "; Secure" } else { "" };
    let seconds = LASTS.as_secs();
    let cookie = format!("{COOKIE}={session}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    let mut answer = (StatusCode::SEE_OTHER, [(header::LOCATION, "/")]).into_response();
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        answer.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(answer)
}

fn told(somebody: &Somebody) {
    let name = somebody.name();
    tracing::info!(access.name = %name, "{name} signed in, to read for {} hours", LASTS.as_secs() / 3_600);
}

/// The one field of the page's form.
fn serde_urlencoded(body: &[u8]) -> Result<Shown, String> {
    let mut tokens = reqwest::Url::parse("http://localhost/").map_err(|error| error.to_string())?;
    let body = std::str::from_utf8(body).map_err(|_| "it is no text".to_owned())?;
    tokens.set_query(Some(body));
    let token = tokens.query_pairs().find_map(|(name, value)| (name == "token").then(|| value.into_owned()));
    token.map(|token| Shown { token }).ok_or_else(|| "it has no `token`".to_owned())
}

/// Whether a browser says that another site's page sent this.
fn is_of_another_site(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text("host").unwrap_or_default();
    let is_ours = |origin: &str| origin.split_once("://").is_some_and(|(_, authority)| authority == host);
    match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => !matches!(site, "same-origin" | "none"),
        // A proxy may call us by another name than people do; browsers without the header above are old.
        (None, Some(origin)) => !is_ours(origin),
        (None, None) => false,
    }
}

/// Whether whoever asks came to a proxy over https.
fn is_behind_https(headers: &HeaderMap) -> bool {
    let says = |name: &str, words: &str| {
        headers.get(name).and_then(|value| value.to_str().ok()).is_some_and(|value| {
            let first = value.split(',').next().unwrap_or_default().to_ascii_lowercase();
            first.split(';').any(|part| part.trim() == words)
        })
    };
    says("x-forwarded-proto", "https") || says("forwarded", "proto=https")
}

/// Whether a browser asks for a page.
pub(super) fn wants_page(headers: &HeaderMap) -> bool {
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accepts.contains("text/html")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
        all.iter().map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value"))).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_lasts_twelve_hours_and_there_are_not_too_many() {
        let sessions = Sessions::default();
        let cookie = sessions.begin([7; 32]).expect("random");
        let of = |cookie: &str| sessions.token_of(&headers(&[("cookie", &format!("a=b; {COOKIE}={cookie}"))]));
        assert_eq!(of(&cookie), Some([7; 32]));
        assert_eq!(of(&cookie.replace(['0', '1', '2'], "3")), None);
        assert_eq!(sessions.token_of(&headers(&[])), None);
        tokio::time::advance(LASTS - Duration::from_secs(1)).await;
        assert!(of(&cookie).is_some());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(of(&cookie), None);
        let first = sessions.begin([1; 32]).expect("random");
        tokio::time::advance(Duration::from_secs(1)).await;
        for _ in 0..SESSIONS_MAX {
            sessions.begin([2; 32]).expect("random");
        }
        assert_eq!(of(&first), None, "the oldest ended");
        assert_eq!(sessions.0.lock().expect("a lock").len(), SESSIONS_MAX);
    }

    #[test]
    fn forms_of_other_sites_are_known() {
        for (all, other) in [
            (&[][..], false),
            (&[("sec-fetch-site", "same-origin")], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("sec-fetch-site", "cross-site")], true),
            (&[("sec-fetch-site", "same-site")], true),
            (&[("host", "tagrelay.example.com"), ("origin", "https://tagrelay.example.com")], false),
            (&[("host", "tagrelay.example.com"), ("origin", "https://evil.example")], true),
            (&[("host", "tagrelay.example.com"), ("origin", "null")], true),
        ] {
            assert_eq!(is_of_another_site(&headers(all)), other, "{all:?}");
        }
    }

    #[test]
    fn https_is_what_the_first_proxy_says() {
        for (name, value, https) in [
            ("x-forwarded-proto", "https", true),
            ("x-forwarded-proto", "http, https", false),
            ("x-forwarded-proto", "HTTPS,http", true),
            ("forwarded", "for=192.0.2.1;proto=https;by=x", true),
            ("forwarded", "for=192.0.2.1", false),
            ("accept", "https", false),
        ] {
            assert_eq!(is_behind_https(&headers(&[(name, value)])), https, "{name}: {value}");
        }
    }
}
