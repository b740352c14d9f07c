//! The large answers, each made once for one published status, whoever and how many ask for it.
//!
//! Answers share their bytes, so that many slow readers hold one page between them, and not one each. They are compressed
//! once for all who take that, and not sent again to whoever has the same already.

use crate::daemon::view::Status;
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write as _;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The forms of the status that was shown last.
#[derive(Default)]
pub(super) struct LastRendered(Mutex<Option<Arc<Rendered>>>);

/// The forms of one status, as far as somebody asked for them.
pub(super) struct Rendered {
    pub(super) status: Arc<Status>,
    page: OnceLock<Arc<Body>>,
    json: OnceLock<Arc<Body>>,
    policies: OnceLock<Arc<Body>>,
}

impl LastRendered {
    /// The forms of this status: those that were made of it before, where it is the same.
    pub(super) fn of(&self, status: Arc<Status>) -> Arc<Rendered> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some(known) if Arc::ptr_eq(&known.status, &status) => known.clone(),
            _ => {
                let new = Rendered { status, page: OnceLock::new(), json: OnceLock::new(), policies: OnceLock::new() };
                last.insert(Arc::new(new)).clone()
            }
        }
    }
}

impl Rendered {
    /// The page, made like this where nobody asked for it yet.
    pub(super) fn page(&self, make: impl FnOnce(&Status) -> Vec<u8>) -> Arc<Body> {
        self.page.get_or_init(|| Body::new(make(&self.status))).clone()
    }

    /// Everything as JSON.
    pub(super) fn json(&self, make: impl FnOnce(&Status) -> Vec<u8>) -> Arc<Body> {
        self.json.get_or_init(|| Body::new(make(&self.status))).clone()
    }

    /// All policies as JSON.
    pub(super) fn policies(&self, make: impl FnOnce(&Status) -> Vec<u8>) -> Arc<Body> {
        self.policies.get_or_init(|| Body::new(make(&self.status))).clone()
    }
}

/// One answer, plain and compressed.
pub(super) struct Body {
    plain: Bytes,
    gzip: OnceLock<Option<Bytes>>,
    /// The name of these bytes (RFC 9110, section 8.8.3).
    etag: String,
}

impl Body {
    /// An answer of these bytes.
    pub(super) fn new(plain: Vec<u8>) -> Arc<Self> {
        let digest = ring::digest::digest(&ring::digest::SHA256, &plain);
        let name: String = digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        // It is weak, for the plain and the compressed form share it.
        Arc::new(Self { plain: plain.into(), gzip: OnceLock::new(), etag: format!("W/\"{name}\"") })
    }

    /// The answer with these headers, in the form that was asked for; nothing but its name for whoever has it already.
    pub(super) fn answer(&self, asked: &HeaderMap, headers: &[(HeaderName, &'static str)]) -> Response {
        let mut response = if has_already(asked, &self.etag) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            let gzip = takes_gzip(asked).then(|| self.gzip.get_or_init(|| compressed(&self.plain)).clone());
            match gzip.flatten() {
                Some(gzip) => ([(header::CONTENT_ENCODING, "gzip")], gzip).into_response(),
                None => self.plain.clone().into_response(),
            }
        };
        let own = response.headers_mut();
        for (name, value) in headers {
            own.insert(name.clone(), HeaderValue::from_static(value));
        }
        own.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        if let Ok(etag) = HeaderValue::from_str(&self.etag) {
            own.insert(header::ETAG, etag);
        }
        response
    }
}

/// These bytes as gzip; none where memory alone could not be written to.
fn compressed(plain: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).and_then(|()| encoder.finish()).ok().map(Bytes::from)
}

/// Whether whoever asks takes gzip (RFC 9110, section 12.5.3): it is named, and not with a weight of zero.
fn takes_gzip(asked: &HeaderMap) -> bool {
    let named = asked.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    named.flat_map(|value| value.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let is_gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(Ok(1.0), str::parse::<f32>);
        is_gzip && weight.is_ok_and(|weight| weight > 0.0)
    })
}

/// Whether whoever asks names these bytes as what it has (RFC 9110, section 13.1.2).
fn has_already(asked: &HeaderMap, etag: &str) -> bool {
    let named = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    named.flat_map(|value| value.split(',')).any(|name| name.trim() == etag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[tokio::test]
    async fn an_answer_is_sent_in_the_form_that_was_asked_for_and_once() {
        let plain = "the same words ".repeat(1_000);
        let body = Body::new(plain.clone().into_bytes());
        let asked = |name: HeaderName, value: &str| {
            HeaderMap::from_iter([(name, HeaderValue::from_str(value).expect("a value"))])
        };
        let bytes = async |response: Response| {
            axum::body::to_bytes(response.into_body(), 100_000).await.expect("a body").to_vec()
        };
        let whole = body.answer(&HeaderMap::new(), &[(header::CONTENT_TYPE, "text/html")]);
        assert_eq!([&whole.headers()["content-type"], &whole.headers()["vary"]], ["text/html", "accept-encoding"]);
        let etag = whole.headers()["etag"].to_str().expect("text").to_owned();
        assert!(!whole.headers().contains_key("content-encoding"));
        assert_eq!(bytes(whole).await, plain.as_bytes());
        let small = body.answer(&asked(header::ACCEPT_ENCODING, "gzip, br"), &[]);
        assert_eq!([&small.headers()["content-encoding"], &small.headers()["etag"]], ["gzip", &*etag]);
        let small = bytes(small).await;
        assert!(small.len() * 20 < plain.len(), "{}", small.len());
        let mut read = String::new();
        flate2::read::GzDecoder::new(&*small).read_to_string(&mut read).expect("gzip");
        assert_eq!(read, plain);
        for (known, status) in [(etag.as_str(), 304), ("W/\"other\"", 200), ("*", 200)] {
            let answered = body.answer(&asked(header::IF_NONE_MATCH, &format!("\"x\", {known}")), &[]);
            assert_eq!(
                (answered.status().as_u16(), answered.headers().contains_key("etag")),
                (status, true),
                "{known}"
            );
        }
    }

    #[test]
    fn gzip_is_sent_to_whoever_takes_it() {
        for (value, takes) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("gzip; q=0.000", false),
            ("br", false),
            ("gzipped", false),
            ("gzip;q=x", false),
            ("", false),
        ] {
            let mut asked = HeaderMap::new();
            asked.insert(header::ACCEPT_ENCODING, HeaderValue::from_str(value).expect("a value"));
            assert_eq!(takes_gzip(&asked), takes, "{value}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
