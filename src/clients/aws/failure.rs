//! What an operation of AWS JSON answers when it fails.
//!
//! What a failure means for whoever asked is theirs to say.

use crate::model::text;
use reqwest::StatusCode;
use serde::Deserialize;

/// A failure as it was told; empty where the answer is none of Amazon's.
#[derive(Deserialize, Default)]
pub(crate) struct Failure {
    #[serde(rename = "__type", default)]
    kind: String,
    #[serde(default)]
    message: String,
    /// As some services write it; moto writes both.
    #[serde(rename = "Message", default)]
    other_message: String,
}

impl Failure {
    /// The failure that a body tells of.
    pub(crate) fn of(body: &str) -> Self {
        serde_json::from_str(body).unwrap_or_default()
    }

    /// The name of the error, without the namespace that some services put before it.
    pub(crate) fn name(&self) -> &str {
        self.kind.rsplit_once('#').map_or(self.kind.as_str(), |(_, name)| name)
    }

    /// Whether the credentials have run out that the request was signed with.
    pub(crate) fn says_expired(&self) -> bool {
        self.name().starts_with("ExpiredToken") || self.name() == "RequestExpired"
    }

    /// Whether it is asked too often.
    pub(crate) fn says_throttled(&self) -> bool {
        matches!(
            self.name(),
            "ThrottlingException"
                | "Throttling"
                | "TooManyRequestsException"
                | "LimitExceededException"
                | "RequestThrottled"
        )
    }

    /// `POST https://api.ecr… X: answered 400 Name: message`, as a person may see it.
    pub(crate) fn shown(&self, request: &str, status: StatusCode) -> String {
        let message = if self.message.is_empty() { &self.other_message } else { &self.message };
        let said = text::shown(format!("{}: {message}", self.name()).trim_matches([':', ' ']));
        format!("{request}: answered {} {said}", status.as_u16())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told() {
        let check = |body: &str, expected: &str, (expired, throttled): (bool, bool)| {
            let failure = Failure::of(body);
            assert_eq!(failure.shown("POST x", StatusCode::BAD_REQUEST), format!("POST x: answered 400 {expected}"));
            assert_eq!((failure.says_expired(), failure.says_throttled()), (expired, throttled), "{body}");
        };
        check(r#"{"__type":"ExpiredTokenException","message":"old"}"#, "ExpiredTokenException: old", (true, false));
        check(r#"{"__type":"com.amazonaws.sqs#RequestThrottled","Message":"x"}"#, "RequestThrottled: x", (false, true));
        check(r#"{"__type":"a#B","message":"no","Message":"no"}"#, "B: no", (false, false));
        check("<html>", "", (false, false));
    }
}
