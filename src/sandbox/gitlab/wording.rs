//! How GitLab says things: its error bodies, its parameters, its pages.
//!
//! Three error shapes are GitLab's own habit: `message` from the application, `error` from parameter validation (Grape),
//! `error` with a description about tokens.

use crate::sandbox::{Error, wire};
use axum::Json;
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value, json};

/// How many entries a page has when nothing is asked, and at most; more is cut down without a word.
const PER_PAGE_DEFAULT: usize = 20;
const PER_PAGE_MAX: usize = 100;

/// An answer that is not what was asked for.
#[derive(Debug)]
pub(super) struct Refusal(pub(super) StatusCode, pub(super) Value);

/// What an endpoint comes to.
pub(super) type Answer = Result<Response, Refusal>;

impl Refusal {
    /// The application's refusal: a text, or field to texts.
    pub(super) fn message(status: StatusCode, message: impl Into<Value>) -> Self {
        Self(status, json!({ "message": message.into() }))
    }

    /// A parameter's refusal.
    pub(super) fn parameter(text: &str) -> Self {
        Self(StatusCode::BAD_REQUEST, json!({ "error": text }))
    }

    pub(super) fn not_found(what: &str) -> Self {
        Self::message(StatusCode::NOT_FOUND, format!("404 {what}"))
    }

    pub(super) fn forbidden() -> Self {
        Self::message(StatusCode::FORBIDDEN, "403 Forbidden")
    }
}

impl From<Error> for Refusal {
    /// What fails below is the stand-in's own trouble.
    fn from(error: Error) -> Self {
        Self::message(StatusCode::INTERNAL_SERVER_ERROR, format!("500 Internal Server Error: {error}"))
    }
}

impl From<Refusal> for Response {
    fn from(Refusal(status, body): Refusal) -> Self {
        (status, Json(body)).into_response()
    }
}

/// The parameters of a request: query, then form or JSON object.
#[derive(Debug)]
pub(super) struct Params {
    values: Map<String, Value>,
    pub(super) query: Vec<(String, String)>,
}

impl Params {
    pub(super) fn of(request: &Request<Bytes>) -> Result<Self, Refusal> {
        let query = wire::query(request);
        let text = |(key, value): &(String, String)| (key.clone(), Value::String(value.clone()));
        let mut values: Map<String, Value> = query.iter().map(text).collect();
        let media_type = wire::header(request.headers(), header::CONTENT_TYPE.as_str()).unwrap_or_default();
        if media_type.starts_with("application/json") && !request.body().is_empty() {
            match serde_json::from_slice(request.body()) {
                Ok(Value::Object(object)) => values.extend(object),
                _ => return Err(Refusal::parameter("The request body is not a valid JSON object")),
            }
        } else if media_type.starts_with("application/x-www-form-urlencoded") {
            values.extend(wire::pairs(&String::from_utf8_lossy(request.body())).iter().map(text));
        }
        Ok(Self { values, query })
    }

    /// A parameter as text; JSON null is none.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        match self.values.get(key)? {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }

    /// A parameter that must be there, in full.
    pub(super) fn required(&self, key: &str) -> Result<String, Refusal> {
        let text = self.text(key).ok_or_else(|| Refusal::parameter(&format!("{key} is missing")))?;
        if text.trim().is_empty() { Err(Refusal::parameter(&format!("{key} is empty"))) } else { Ok(text) }
    }

    /// A parameter that must be one of these, where it is given.
    pub(super) fn one_of(&self, key: &str, allowed: &[&str]) -> Result<Option<String>, Refusal> {
        match self.text(key) {
            Some(text) if !allowed.contains(&text.as_str()) => {
                Err(Refusal::parameter(&format!("{key} does not have a valid value")))
            }
            text => Ok(text),
        }
    }

    /// A yes or no that must be there.
    pub(super) fn required_bool(&self, key: &str) -> Result<bool, Refusal> {
        match self.required(key)?.as_str() {
            "true" | "1" | "t" => Ok(true),
            "false" | "0" | "f" => Ok(false),
            _ => Err(Refusal::parameter(&format!("{key} is invalid"))),
        }
    }
}

/// One page of a list, with the headers that lead on.
pub(super) fn page(request: &Request<Bytes>, all: Vec<Value>) -> Response {
    let query = wire::query(request);
    let number = |key| wire::value(&query, key).and_then(|text| text.parse::<usize>().ok()).filter(|n| *n > 0);
    let per_page = number("per_page").unwrap_or(PER_PAGE_DEFAULT).min(PER_PAGE_MAX);
    let page = number("page").unwrap_or(1);
    let total = all.len();
    let pages = total.div_ceil(per_page).max(1);
    let (next, previous) = ((page < pages).then(|| page + 1), page.checked_sub(1).filter(|page| *page > 0));

    let raw = request.uri().query().unwrap_or_default().split('&');
    let kept: Vec<&str> =
        raw.filter(|part| !part.is_empty() && !part.starts_with("page=") && !part.starts_with("per_page=")).collect();
    let base = format!("http://{}{}?", wire::host(request.headers()), request.uri().path());
    let link = |(rel, page): (&str, usize)| {
        let paging = [format!("page={page}"), format!("per_page={per_page}")];
        let parts: Vec<&str> = kept.iter().copied().chain(paging.iter().map(String::as_str)).collect();
        format!("<{base}{}>; rel=\"{rel}\"", parts.join("&"))
    };
    let links = [
        previous.map(|page| ("prev", page)),
        next.map(|page| ("next", page)),
        Some(("first", 1)),
        Some(("last", pages)),
    ];
    let links: Vec<String> = links.into_iter().flatten().map(link).collect();

    let shown = |page: Option<usize>| page.map(|page| page.to_string()).unwrap_or_default();
    let said = [
        ("link", links.join(", ")),
        ("x-next-page", shown(next)),
        ("x-page", page.to_string()),
        ("x-per-page", per_page.to_string()),
        ("x-prev-page", shown(previous)),
        ("x-total", total.to_string()),
        ("x-total-pages", pages.to_string()),
    ];
    let headers = said
        .into_iter()
        .filter_map(|(name, value)| Some((HeaderName::from_static(name), HeaderValue::from_str(&value).ok()?)));
    let entries: Vec<Value> =
        all.into_iter().skip(page.saturating_sub(1).saturating_mul(per_page)).take(per_page).collect();
    (headers.collect::<HeaderMap>(), Json(entries)).into_response()
}

/// Now, as GitLab writes it: milliseconds and `Z`.
pub(super) fn now() -> String {
    format!("{:.3}", wire::now())
}
