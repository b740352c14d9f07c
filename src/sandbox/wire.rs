//! What every face reads from a request (percent, query, form, Basic), and the client of those stand-ins that ask.
//!
//! Written here once more on purpose: nothing is shared with the clients under test.

use axum::body::Bytes;
use axum::http::{HeaderMap, Request, header};

/// What time it is for the stand-ins: they are other machines, whose clocks are their own.
#[expect(clippy::disallowed_methods, reason = "a stand-in's clock is not the daemon's")]
pub(super) fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// Undoes percent-encoding in one path segment; a `%` that begins no byte stays as it is.
pub(super) fn percent_decoded(segment: &str) -> String {
    let hex = |byte: Option<&u8>| {
        byte.and_then(|byte| char::from(*byte).to_digit(16)).and_then(|digit| u8::try_from(digit).ok())
    };
    let bytes = segment.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match (byte, hex(bytes.get(at + 1)), hex(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(high << 4 | low);
                at += 3;
            }
            _ => {
                decoded.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// The pairs of a query string or of a form's body, decoded, in their order.
pub(super) fn pairs(encoded: &str) -> Vec<(String, String)> {
    let decoded = |text: &str| percent_decoded(&text.replace('+', " "));
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(key), decoded(value))
    };
    encoded.split('&').filter(|part| !part.is_empty()).map(pair).collect()
}

/// The pairs of this request's query.
pub(super) fn query(request: &Request<Bytes>) -> Vec<(String, String)> {
    pairs(request.uri().query().unwrap_or_default())
}

/// The first value under this key.
pub(super) fn value<'a>(pairs: &'a [(String, String)], key: &str) -> Option<&'a str> {
    pairs.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
}

/// A header as text.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// User and password of a Basic `Authorization`.
pub(super) fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, credentials) = header(headers, header::AUTHORIZATION.as_str())?.split_once(' ')?;
    let decoded = String::from_utf8(base64_decoded(credentials.trim())?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    scheme.eq_ignore_ascii_case("basic").then(|| (user.to_owned(), password.to_owned()))
}

/// The token of a Bearer `Authorization`.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = header(headers, header::AUTHORIZATION.as_str())?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// The host that the client believes it talks to, for absolute URLs in answers.
pub(super) fn host(headers: &HeaderMap) -> &str {
    header(headers, header::HOST.as_str()).unwrap_or("127.0.0.1")
}

/// A client for plain HTTP on this machine: no proxy, no redirects, no root certificates.
pub(super) fn client() -> Result<reqwest::Client, reqwest::Error> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Whoever else installs one at the same time installs as good a one.
        rustls::crypto::ring::default_provider().install_default().ok();
    }
    reqwest::Client::builder().no_proxy().tls_certs_only([]).redirect(reqwest::redirect::Policy::none()).build()
}

fn base64_decoded(text: &str) -> Option<Vec<u8>> {
    let sextet = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let (mut decoded, mut held, mut bits) = (Vec::new(), 0_u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        held = held << 6 | u32::from(sextet(byte)?);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            decoded.push(u8::try_from(held >> bits & 0xff).ok()?);
        }
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_encoded_is_decoded() {
        for (encoded, expected) in [("group%2Fshop", "group/shop"), ("100%", "100%"), ("%zz", "%zz"), ("%C3%A9+", "é+")]
        {
            assert_eq!(percent_decoded(encoded), expected);
        }
        assert_eq!(pairs("a=1+2&b&&a=%26"), [("a", "1 2"), ("b", ""), ("a", "&")].map(|(k, v)| (k.into(), v.into())));
    }

    #[test]
    fn basic_credentials_are_read() {
        let read =
            |value: &str| basic(&HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().expect("a header"))]));
        assert_eq!(read("Basic dXNlcjpwYTpzcw=="), Some(("user".into(), "pa:ss".into())));
        assert_eq!(read("basic b2F1dGgyOg=="), Some(("oauth2".into(), String::new())));
        assert_eq!(read("Bearer dXNlcjpwYTpzcw=="), None);
        assert_eq!(read("Basic ???"), None);
    }
}
