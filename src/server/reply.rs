//! Answers: JSON, or one sentence that says what went wrong and what to do. It knows no route.

use crate::daemon::Refusal;
use crate::model::text;
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// When whoever was answered "not now" may ask again: what is being read is mostly there by then.
const RETRY_AFTER_SECONDS: &str = "5";

/// What a route answers.
pub(super) type Answer = Result<Json<Value>, Refused>;

/// Why a request was not answered with what it asked for. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Refused {
    /// A refusal with a stable code and a sentence.
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    /// A request that makes no sense; the sentence may quote it, so it is made harmless.
    pub(super) fn bad(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", text::shown(message))
    }

    /// No token, or none that is known.
    pub(super) fn unauthorized() -> Self {
        let message = "send `Authorization: Bearer` with a token of server.access (TAGRELAY_TOKEN or `--token-file`)";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
    }

    /// The same for a program that asks: where its token came from.
    pub(super) fn unknown_token() -> Self {
        let message = "nobody has the token that was shown (TAGRELAY_TOKEN or `--token-file`): `server.access` of the \
                       configuration says who has which, and the log which of them cannot be read";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
    }

    /// A token that nobody has.
    pub(super) fn wrong_token() -> Self {
        let message = "nobody has this token: `server.access` of the configuration says who has which";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
    }

    /// Whether it is for want of a token.
    pub(super) fn is_unauthorized(&self) -> bool {
        self.status == StatusCode::UNAUTHORIZED
    }

    /// The status.
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// A token without the right.
    pub(super) fn forbidden(message: String) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    /// Nothing has that name.
    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// Not now.
    pub(super) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
    }

    /// The sentence.
    pub(super) fn message(&self) -> &str {
        &self.message
    }
}

/// What the daemon refused. `Ambiguous` is a request to say more, not a state to wait for: 422, never 409.
impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let (status, code) = match refusal {
            Refusal::NotFound(_) => (StatusCode::NOT_FOUND, "not_found"),
            Refusal::Ambiguous(_) => (StatusCode::UNPROCESSABLE_ENTITY, "ambiguous"),
            Refusal::Conflict(_) => (StatusCode::CONFLICT, "conflict"),
            Refusal::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        };
        Self::new(status, code, refusal.to_string())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let body = json!({ "error": { "code": self.code, "message": self.message } });
        let mut response = (self.status, Json(body)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
        }
        response
    }
}
