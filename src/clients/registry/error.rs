//! What a registry's failure means to whoever asked, and the answers that mean it.
//!
//! It retries nothing: the daemon decides when a host is asked again.

use crate::clients::http::{self, HttpError};
use crate::model::text;
use reqwest::StatusCode;
use serde::Deserialize;
use std::time::Duration;

/// The longest code of an error: those of OCI distribution have twenty letters.
const CODE_BYTES_MAX: usize = 40;

/// Why a registry gave no use, cut by what the caller does about it. Each text names the request and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// No answer of a registry, or it is broken at the moment, or a file that it takes is not there: try later.
    #[error("{0}")]
    Unreachable(String),
    /// The host asks for patience: leave all of it alone for that long, or for a while where it does not say.
    #[error("{message}")]
    Busy {
        /// What was asked and answered.
        message: String,
        /// How long from now.
        retry_after: Option<Duration>,
    },
    /// A person has to change credentials or rights.
    #[error("{0}")]
    Refused(String),
    /// There is no such repository or build, or these credentials may not know of it.
    #[error("{0}")]
    Absent(String),
    /// The answer makes no sense; asking again gives the same, until a person has looked.
    #[error("{0}")]
    Invalid(String),
    /// The tag may not be moved: the registry keeps it for ever.
    #[error("{0}")]
    Immutable(String),
}

impl RegistryError {
    /// The same, said of what it came in the way of.
    pub(super) fn during(self, what: &str) -> Self {
        let told = |text: String| format!("{what}: {text}");
        match self {
            Self::Unreachable(text) => Self::Unreachable(told(text)),
            Self::Busy { message, retry_after } => Self::Busy { message: told(message), retry_after },
            Self::Refused(text) => Self::Refused(told(text)),
            Self::Absent(text) => Self::Absent(told(text)),
            Self::Invalid(text) => Self::Invalid(told(text)),
            Self::Immutable(text) => Self::Immutable(told(text)),
        }
    }
}

impl From<HttpError> for RegistryError {
    fn from(error: HttpError) -> Self {
        match error {
            // A setting names a file that may be renewed at this moment.
            HttpError::Unreachable { .. }
            | HttpError::TimedOut { .. }
            | HttpError::NoRoots { .. }
            | HttpError::NoTls { .. }
            | HttpError::Setting(_) => Self::Unreachable(error.to_string()),
            HttpError::TooLarge { .. } => Self::Invalid(error.to_string()),
        }
    }
}

/// An answer that is no success.
#[derive(Debug)]
pub(super) struct Refusal {
    /// Method and redacted URL.
    pub(super) request: String,
    pub(super) status: StatusCode,
    /// The beginning of the body, as it came.
    pub(super) body: String,
    /// Whether only policies name the host: then what it says is shown to nobody but for a code.
    pub(super) is_stranger: bool,
    /// Who asked, as a person knows the credentials.
    pub(super) login: String,
    pub(super) retry_after: Option<Duration>,
}

impl Refusal {
    /// Whether it says that the authorization has run out: ECR says so with 403, its public registry with 400.
    pub(super) fn says_expired(&self) -> bool {
        let body = self.body.to_ascii_lowercase();
        body.contains("expired") && ["token", "authorization", "credential"].iter().any(|word| body.contains(word))
    }

    /// Whether a push was refused because the tag is never to move.
    ///
    /// Harbor answers 412; ECR, GAR, GitLab and Quay name immutability; Nexus and Artifactory forbid overwriting.
    pub(super) fn says_immutable(&self) -> bool {
        let body = self.body.to_ascii_lowercase();
        let words = ["immutab", "cannot be overwritten", "does not allow updating", "delete/overwrite"];
        self.status == StatusCode::PRECONDITION_FAILED
            || self.status.is_client_error() && words.iter().any(|word| body.contains(word))
    }

    /// What it means, unless the caller knows better.
    pub(super) fn into_error(self) -> RegistryError {
        let Self { request, status, login, retry_after, .. } = &self;
        let answer = format!("{request}: answered {}{}", status.as_u16(), self.said());
        match *status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                let wait = retry_after.map(|wait| format!(" for {} s", wait.as_secs())).unwrap_or_default();
                RegistryError::Busy {
                    message: format!("{answer}; the host is left alone{wait}"),
                    retry_after: *retry_after,
                }
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => RegistryError::Refused(format!(
                "{answer} to {login}; check these credentials under `registries`, and what they may do"
            )),
            StatusCode::NOT_FOUND => RegistryError::Absent(format!(
                "{answer} to {login}; is the repository spelled right, and may these credentials see it?"
            )),
            status if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
                RegistryError::Unreachable(format!("{answer}; it is asked again later"))
            }
            status if status.is_redirection() || self.is_page() => RegistryError::Unreachable(format!(
                "{answer}; is there a proxy or a login page in the way? It is asked again later"
            )),
            _ => RegistryError::Invalid(format!("{answer}; is this the registry, and does it speak OCI distribution?")),
        }
    }

    /// Whether the body is a web page: a gateway's or a proxy's answer, no registry's.
    fn is_page(&self) -> bool {
        self.body.trim_start().starts_with('<')
    }

    /// What it means as the realm's answer to an identity token.
    pub(super) fn into_identity_error(self) -> RegistryError {
        let (answer, login) =
            (format!("{}: answered {}{}", self.request, self.status.as_u16(), self.said()), self.login);
        RegistryError::Refused(format!("{answer} to {login}; it may have ended: log in with docker again"))
    }

    /// ` (CODE: message)`: what the body says, where it says anything to a person.
    pub(super) fn said(&self) -> String {
        let errors: Errors = serde_json::from_str(&self.body).unwrap_or_default();
        let is_code =
            |code: &String| code.len() <= CODE_BYTES_MAX && code.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
        let said = match errors.errors.into_iter().next() {
            Some(Said { code, .. }) if self.is_stranger => code.filter(is_code).unwrap_or_default(),
            None if self.is_stranger => String::new(),
            Some(Said { code, message }) => [code, message].into_iter().flatten().collect::<Vec<_>>().join(": "),
            None if self.is_page() => "a web page".to_owned(),
            None => self.body.clone(),
        };
        let said = text::shown(&said);
        if said.is_empty() { said } else { format!(" ({said})") }
    }
}

/// The error body of OCI distribution-spec 1.1, "Error Codes".
#[derive(Debug, Default, Deserialize)]
struct Errors {
    errors: Vec<Said>,
}

#[derive(Debug, Deserialize)]
struct Said {
    code: Option<String>,
    message: Option<String>,
}

/// An answer of 200 that is not what it should be.
pub(super) fn nonsense(url: &reqwest::Url, what: &str) -> RegistryError {
    RegistryError::Invalid(format!("{}: {what}; is there a proxy or a login page in the way?", http::shown_url(url)))
}

/// An answer of 200 that is not the JSON it should be: it passes unless it is other JSON, which a registry keeps.
pub(super) fn no_json(url: &reqwest::Url, bytes: &[u8], what: &str) -> RegistryError {
    let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok();
    if is_json { nonsense(url, what) } else { in_the_way(url, what) }
}

/// An answer of 200 that is no registry's: whatever stands in the way may be gone a moment later.
pub(super) fn in_the_way(url: &reqwest::Url, what: &str) -> RegistryError {
    let url = http::shown_url(url);
    RegistryError::Unreachable(format!("{url}: {what}; is there a proxy or a login page in the way?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, body: &str) -> Refusal {
        Refusal {
            request: "PUT https://reg.example.com/v2/shop/manifests/prod".to_owned(),
            status: StatusCode::from_u16(status).expect("a status"),
            body: body.to_owned(),
            is_stranger: false,
            login: "`bot`".to_owned(),
            retry_after: None,
        }
    }

    #[test]
    fn immutable_tags_are_known_in_every_dialect() {
        let check =
            |status, body: &str, expected| assert_eq!(refusal(status, body).says_immutable(), expected, "{body}");
        check(412, "", true);
        check(
            400,
            r#"{"errors":[{"code":"TAG_INVALID","message":"The image tag 'a' already exists in the 'b' repository and cannot be overwritten because the repository is immutable."}]}"#,
            true,
        );
        check(400, "Repository does not allow updating assets: docker-hosted", true);
        check(
            403,
            "Not enough permissions to delete/overwrite artifact 'prod' (user: 'bot' needs DELETE permission).",
            true,
        );
        check(403, r#"{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}"#, false);
        check(500, "the immutable store is down", false);
    }

    #[test]
    fn expiry_is_known_by_its_words() {
        assert!(refusal(403, "Your authorization token has expired. Reauthenticate and try again.").says_expired());
        assert!(!refusal(403, "The lock has expired").says_expired());
        assert!(!refusal(403, "denied").says_expired());
    }

    #[test]
    fn what_a_stranger_says_is_not_quoted() {
        for (body, told) in [
            (r#"{"errors":[{"code":"DENIED","message":"the key is hunter2"}]}"#, "answered 403 (DENIED) to"),
            (r#"{"errors":[{"code":"hunter2","message":"x"}]}"#, "answered 403 to"),
            (r#"{"errors":[{"message":"hunter2"}]}"#, "answered 403 to"),
            ("hunter2 is the password of the intranet", "answered 403 to"),
            ("<html>hunter2</html>", "answered 403 to"),
        ] {
            let refusal = Refusal { is_stranger: true, ..refusal(403, body) };
            let text = refusal.into_error().to_string();
            assert!(text.contains(told) && !text.contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn a_refusal_is_told_by_status_words_and_login() {
        let text = refusal(403, r#"{"errors":[{"code":"DENIED","message":"no\nway"}]}"#).into_error().to_string();
        assert!(text.contains("403 (DENIED: no way) to `bot`"), "{text}");
        let text = refusal(400, "<!doctype html><title>Sign in</title>").into_error().to_string();
        assert!(text.contains("400 (a web page)"), "{text}");
        let page = refusal(405, " <html>Maintenance</html>").into_error();
        assert!(matches!(page, RegistryError::Unreachable(_)), "a gateway's page passes");
        let setting = RegistryError::from(HttpError::Setting("the CA bundle is not there".to_owned()));
        assert!(matches!(setting, RegistryError::Unreachable(_)), "a file comes back");
        let check = |status, expected: fn(&RegistryError) -> bool| {
            assert!(expected(&refusal(status, "").into_error()), "{status}");
        };
        check(401, |error| matches!(error, RegistryError::Refused(_)));
        check(404, |error| matches!(error, RegistryError::Absent(_)));
        check(429, |error| matches!(error, RegistryError::Busy { .. }));
        check(503, |error| matches!(error, RegistryError::Busy { .. }));
        check(502, |error| matches!(error, RegistryError::Unreachable(_)));
        check(408, |error| matches!(error, RegistryError::Unreachable(_)));
        check(302, |error| matches!(error, RegistryError::Unreachable(_)));
        check(405, |error| matches!(error, RegistryError::Invalid(_)));
    }
}
