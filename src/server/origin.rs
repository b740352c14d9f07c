//! Whether a request is meant for us: asked by the name of this machine, and not by a form of some other page.
//!
//! It is what keeps a web page that somebody has open in a browser here from speaking to the daemon; it knows no token.

use super::reply::Refused;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use std::net::{IpAddr, SocketAddr};

/// Where people sign in, with a form of ours; it looks itself whose form it is.
const SIGN_IN: &str = "/sign-in";
/// Where deliveries of webhooks come in: whoever knows the secret may be anywhere and call us by any name.
const WEBHOOKS: &str = "/webhooks/";

/// Lets through what is meant for us.
///
/// On loopback reading is open, so that a page whose name was made to point here (DNS rebinding) must not be answered: the
/// `Host` it sends is its own. Changes are JSON by their `Content-Type`, which no form and no simple request can say.
pub(super) async fn is_for_us(
    State(address): State<SocketAddr>,
    request: Request,
    next: Next,
) -> Result<Response, Refused> {
    if request.uri().path().starts_with(WEBHOOKS) {
        return Ok(next.run(request).await);
    }
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if address.ip().is_loopback() && !is_local(host) {
        let message =
            format!("this is not the host you asked for: ask http://{address}, as it is open to this machine alone");
        return Err(Refused::new(StatusCode::MISDIRECTED_REQUEST, "misdirected", message));
    }
    if request.method() == Method::POST && request.uri().path() != SIGN_IN && !is_json(request.headers()) {
        let message = "send JSON with `Content-Type: application/json`";
        return Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media_type", message));
    }
    Ok(next.run(request).await)
}

/// Whether a `Host` header, with or without its port, names this machine: no foreign name is a loopback address.
fn is_local(host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) if port.is_empty() || port.starts_with(':') => address,
        Some(_) => return false,
        None => host.split_once(':').map_or(host, |(name, _port)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = kind.split_once(';').map_or(kind, |(essence, _parameters)| essence);
    essence.trim().eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn hosts_of_this_machine() {
        for (host, local) in [
            ("localhost", true),
            ("LocalHost:8080", true),
            ("127.0.0.1", true),
            ("127.0.0.1:8080", true),
            ("127.8.9.10:1", true),
            ("[::1]", true),
            ("[::1]:8080", true),
            ("", false),
            ("evil.example", false),
            ("evil.example:8080", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("[::1].evil.example", false),
            ("10.0.0.1:8080", false),
            ("0.0.0.0", false),
        ] {
            assert_eq!(is_local(host), local, "{host:?}");
        }
    }

    #[test]
    fn json_by_its_content_type() {
        for (kind, json) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/jsonp", false),
            ("application/json-seq", false),
            ("text/plain", false),
            ("application/x-www-form-urlencoded", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(kind))]);
            assert_eq!(is_json(&headers), json, "{kind}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }
}
