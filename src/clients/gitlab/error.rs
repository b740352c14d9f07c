//! Why GitLab did not do what it was asked, cut by what the caller does about it.
//!
//! It never holds a token or a query, and GitLab's own words pass `text::shown` on their way in.

use crate::clients::http::HttpError;
use crate::model::text;
use std::time::Duration;

/// Why GitLab did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GitLabError {
    /// No answer, or an answer that GitLab is ill: try later.
    #[error("{0}")]
    Unreachable(String),
    /// Too many requests, or maintenance: try after this time, where GitLab gave one.
    #[error("{request}: GitLab asks to wait{}: {said}", retry_after.map(|d| format!(" {}s", d.as_secs())).unwrap_or_default())]
    Busy {
        /// Method and redacted URL.
        request: String,
        /// For how long.
        retry_after: Option<Duration>,
        /// GitLab's words.
        said: String,
    },
    /// The token is missing, expired or revoked: try later, for a person renews it.
    #[error("{0}")]
    Token(String),
    /// What came is not GitLab's API (a login page, another server): try later, for a person or time mends it.
    #[error("{0}")]
    Invalid(String),
    /// GitLab refuses this: for good, or until a person gives the right or makes what is missing.
    #[error("{request}: GitLab answered {status}: {said}; {advice}")]
    Refused {
        /// Method and redacted URL.
        request: String,
        /// The HTTP status.
        status: u16,
        /// GitLab's words.
        said: String,
        /// What to do now.
        advice: String,
    },
    /// It cannot be asked at all, for what is to be told is not known: no request was made, or none would help.
    #[error("{0}")]
    Impossible(String),
}

impl GitLabError {
    /// Whether GitLab can never take this as it is, so that it is parked: a value that it calls wrong, or nothing to tell.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::Refused { status, .. } => matches!(status, 400 | 413 | 414 | 422),
            Self::Impossible(_) => true,
            Self::Unreachable(_) | Self::Busy { .. } | Self::Token(_) | Self::Invalid(_) => false,
        }
    }

    /// Whether it waits for a person (a role, an allow-list, a token, a path), and not for GitLab to be well again.
    #[must_use]
    pub fn waits_for_a_person(&self) -> bool {
        match self {
            Self::Refused { .. } => !self.is_final(),
            Self::Token(_) => true,
            Self::Impossible(_) | Self::Unreachable(_) | Self::Busy { .. } | Self::Invalid(_) => false,
        }
    }

    /// How long GitLab asked to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { retry_after, .. } => *retry_after,
            Self::Unreachable(_) | Self::Token(_) | Self::Invalid(_) | Self::Refused { .. } | Self::Impossible(_) => {
                None
            }
        }
    }

    /// None when the thing asked for is not there; the error itself when the project is not, or for any other reason.
    pub(super) fn absent<T>(self) -> Result<Option<T>, Self> {
        match &self {
            Self::Refused { status: 404, said, .. } if !said.contains("Project") => Ok(None),
            _ => Err(self),
        }
    }
}

impl From<HttpError> for GitLabError {
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::TooLarge { .. } => Self::Invalid(error.to_string()),
            HttpError::Unreachable { .. }
            | HttpError::TimedOut { .. }
            | HttpError::NoRoots { .. }
            | HttpError::NoTls { .. }
            | HttpError::Setting(_) => Self::Unreachable(error.to_string()),
        }
    }
}

/// GitLab's words in the body of a failure, in any of its shapes; an empty or foreign body is told as such.
///
/// `{"message": text | [texts] | {field: [texts]}}` comes from the application, `{"error": text}` from the validation of
/// parameters, `{"error", "error_description"}` from tokens, and plain text from the rate limit.
pub(super) fn words(body: &[u8]) -> String {
    let Ok(json) = serde_json::from_slice::<serde_json::Value>(body) else {
        let text = String::from_utf8_lossy(body);
        let is_page = text.trim_start().starts_with('<');
        return if is_page || text.trim().is_empty() { "no reason is given".to_owned() } else { text::shown(&text) };
    };
    let said = ["message", "error_description", "error"].into_iter().find_map(|key| json.get(key));
    text::shown(&flat(said.unwrap_or(&json)))
}

fn flat(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Array(all) => all.iter().map(flat).collect::<Vec<_>>().join(", "),
        serde_json::Value::Object(fields) => {
            let each = fields.iter().map(|(field, value)| format!("{field}: {}", flat(value)));
            each.collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

/// What to do about a refusal.
pub(super) fn advice(status: u16, said: &str, project: &str) -> String {
    let project = text::shown(project);
    match status {
        400 if said.contains("commit does not exist") => {
            format!("report to the project that holds this commit: {project} does not")
        }
        400 if said.contains("branch or tag does not exist") => {
            format!("set `ref` of this report to a branch or tag of {project}")
        }
        403 if said.contains("higher privileges") => {
            format!("give the token for {project} the scope `api`")
        }
        403 => format!(
            "the token's user needs the role Developer in {project} and the scope `api`; where the environment is \
             protected, allow that user to deploy to it"
        ),
        404 => format!(
            "is the path {project} right, and is the token's user a member of it? GitLab hides what a token may not see"
        ),
        409 => "somebody else changed the same thing".to_owned(),
        _ => "see GitLab's words".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gitlabs_words_in_every_shape() {
        for (body, expected) in [
            (r#"{"message":"404 Project Not Found"}"#, "404 Project Not Found"),
            (r#"{"message":{"sha":["The commit does not exist"]}}"#, "sha: The commit does not exist"),
            (
                r#"{"message":{"status":["cannot transition via \\\"run\\\""]}}"#,
                r#"status: cannot transition via \"run\""#,
            ),
            (r#"{"message":["a","b"]}"#, "a, b"),
            (r#"{"error":"sha is empty"}"#, "sha is empty"),
            (r#"{"error":"invalid_token","error_description":"Token was revoked."}"#, "Token was revoked."),
            (r#"{"what":1}"#, "what: 1"),
            ("Retry later\n", "Retry later"),
            ("<html><body>502</body></html>", "no reason is given"),
            ("", "no reason is given"),
            (r#"{"message":"/close @all"}"#, "/close @all"),
        ] {
            assert_eq!(words(body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn what_a_person_can_mend_is_no_end() {
        for (status, is_final) in [(400, true), (422, true), (401, false), (403, false), (404, false), (409, false)] {
            let (request, said, advice) = (String::new(), String::new(), String::new());
            let error = GitLabError::Refused { request, status, said, advice };
            assert_eq!((error.is_final(), error.waits_for_a_person()), (is_final, !is_final), "{status}");
        }
    }

    #[test]
    fn what_is_missing_in_a_project_is_no_missing_project() {
        let refused = |status: u16, said: &str| GitLabError::Refused {
            request: String::new(),
            status,
            said: said.to_owned(),
            advice: String::new(),
        };
        assert_eq!(refused(404, "404 Commit Not Found").absent::<()>(), Ok(None));
        assert!(refused(404, "404 Project Not Found").absent::<()>().is_err());
        assert!(refused(403, "403 Forbidden").absent::<()>().is_err());
    }
}
