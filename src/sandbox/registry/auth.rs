//! Who may do what in the registry: nothing asked, Basic, or Bearer with the registry's own token endpoint.
//!
//! Flow and answers: distribution's "Token Authentication Specification". A token that grants less than was asked is no
//! error there; the later request is refused.

use super::{refusal, refusal_with};
use crate::sandbox::wire;
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;
use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

/// The service that tokens are for.
const SERVICE: &str = "sandbox-registry";

/// How the registry asks who comes.
#[derive(Debug, Clone, Default)]
pub enum Auth {
    /// It does not ask.
    #[default]
    None,
    /// `WWW-Authenticate: Basic`.
    Basic,
    /// As Amazon ECR: Basic, with a password that the API beside it gives.
    Ecr,
    /// `WWW-Authenticate: Bearer`, as everybody else.
    Bearer(Bearer),
}

/// How Bearer tokens are given out.
#[derive(Debug, Clone)]
pub struct Bearer {
    /// Whether a token that can pull is given to whoever asks without credentials.
    pub anonymous_pull: bool,
    /// How long a token lives, in seconds; said as `expires_in`.
    pub expires_in: u64,
    /// What an expired token is answered: 401 with a challenge, or ECR's 403 (private) and 400 (public) without one.
    pub expired: u16,
    /// The realm in the challenge, where it is not the registry's own `/token`.
    pub realm: Option<String>,
    /// Whether a refresh token is good once: the answer to it holds the next, which is the account's password from then on.
    pub renews: bool,
}

impl Default for Bearer {
    fn default() -> Self {
        Self { anonymous_pull: false, expires_in: 300, expired: 401, realm: None, renews: false }
    }
}

/// What may be done in a repository, as scopes name it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Access {
    repository: String,
    action: &'static str,
}

impl Access {
    fn to(repository: &str, action: &'static str) -> Self {
        Self { repository: repository.to_owned(), action }
    }
}

struct Account {
    password: String,
    may_push: bool,
}

struct Token {
    granted: Vec<Access>,
    until: Instant,
}

/// The accounts, and the tokens given out.
#[derive(Default)]
pub(super) struct Door {
    pub(super) auth: Auth,
    accounts: HashMap<String, Account>,
    tokens: HashMap<String, Token>,
    /// Amazon's passwords, and whether each has expired.
    passwords: HashMap<String, bool>,
    given_out: u64,
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Door({:?}, {} accounts)", self.auth, self.accounts.len())
    }
}

impl Door {
    pub(super) fn add_account(&mut self, user: &str, password: &str, may_push: bool) {
        self.accounts.insert(user.to_owned(), Account { password: password.to_owned(), may_push });
    }

    /// Ends every token now, though it was said to live longer.
    pub(super) fn expire_tokens(&mut self) {
        let now = Instant::now();
        self.tokens.values_mut().for_each(|token| token.until = now);
        self.passwords.values_mut().for_each(|expired| *expired = true);
    }

    /// Lets the request in, or says how it is turned away.
    pub(super) fn check(&self, request: &Request<Bytes>, repository: &str) -> Result<(), Box<Response>> {
        let needed = needed(request, repository);
        match &self.auth {
            Auth::None => Ok(()),
            Auth::Basic => match wire::basic(request.headers()) {
                Some((user, password)) if self.account(&user, &password).is_some_and(|of| may(of, &needed)) => Ok(()),
                Some((user, password)) if self.account(&user, &password).is_some() => Err(Box::new(denied())),
                _ => Err(Box::new(challenge("Basic realm=\"sandbox-registry\"", &needed))),
            },
            Auth::Ecr => match wire::basic(request.headers()) {
                Some((user, password)) if user == "AWS" && self.passwords.contains_key(&password) => {
                    let expired = self.passwords.get(&password) == Some(&true);
                    let text = "Your authorization token has expired. Reauthenticate and try again.";
                    if expired { Err(Box::new(refusal(StatusCode::FORBIDDEN, "DENIED", text))) } else { Ok(()) }
                }
                _ => Err(Box::new(challenge("Basic realm=\"sandbox\",service=\"ecr.amazonaws.com\"", &needed))),
            },
            Auth::Bearer(bearer) => self.check_token(bearer, request.headers(), &needed),
        }
    }

    /// Whether Amazon's API is spoken here.
    pub(super) fn is_amazons(&self) -> bool {
        matches!(self.auth, Auth::Ecr)
    }

    /// A password for `AWS`.
    pub(super) fn new_password(&mut self) -> String {
        self.given_out += 1;
        let password = format!("sandbox-password-{}", self.given_out);
        self.passwords.insert(password.clone(), false);
        password
    }

    fn check_token(&self, bearer: &Bearer, headers: &HeaderMap, needed: &[Access]) -> Result<(), Box<Response>> {
        let token = wire::bearer(headers).map(|token| self.tokens.get(token));
        let error = match token {
            None => "",
            Some(None) => ",error=\"invalid_token\"",
            Some(Some(token)) if token.until <= Instant::now() => match StatusCode::from_u16(bearer.expired) {
                Ok(status) if status != StatusCode::UNAUTHORIZED => {
                    let text = "Your authorization token has expired. Reauthenticate and try again.";
                    return Err(Box::new(refusal(status, "DENIED", text)));
                }
                _ => ",error=\"invalid_token\"",
            },
            Some(Some(token)) if needed.iter().all(|access| token.granted.contains(access)) => return Ok(()),
            Some(Some(_)) => ",error=\"insufficient_scope\"",
        };
        let own = format!("http://{}/token", wire::host(headers));
        let realm = bearer.realm.as_ref().unwrap_or(&own);
        let scope = match scopes(needed) {
            scopes if scopes.is_empty() => String::new(),
            scopes => format!(",scope=\"{scopes}\""),
        };
        Err(Box::new(challenge(&format!("Bearer realm=\"{realm}\",service=\"{SERVICE}\"{scope}{error}"), needed)))
    }

    /// `/token`: a GET with Basic credentials or none, or OAuth2's POST with a form.
    pub(super) fn give_token(&mut self, request: &Request<Bytes>) -> Response {
        let Auth::Bearer(bearer) = self.auth.clone() else { return StatusCode::NOT_FOUND.into_response() };
        let (asked, credentials) = if request.method() == Method::POST {
            let form = wire::pairs(&String::from_utf8_lossy(request.body()));
            let credentials = self.form_credentials(&form);
            (form, credentials)
        } else {
            (wire::query(request), wire::basic(request.headers()))
        };
        let account = credentials.as_ref().map(|(user, password)| self.account(user, password));
        let (may_pull, may_push) = match account {
            Some(None) => return refusal(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "incorrect username or password"),
            Some(Some(account)) => (true, account.may_push),
            None if bearer.anonymous_pull => (true, false),
            None => (false, false),
        };
        let granted = asked.iter().filter(|(key, _)| key == "scope").flat_map(|(_, scope)| scope.split(' '));
        let granted = granted.flat_map(parse_scope).filter(|access| match access.action {
            "pull" => may_pull,
            _ => may_push,
        });
        let until = Instant::now() + Duration::from_secs(bearer.expires_in);
        let token = Token { granted: granted.collect(), until };
        self.given_out += 1;
        let name = format!("sandbox-token-{}", self.given_out);
        self.tokens.insert(name.clone(), token);
        let issued_at = wire::now().to_string();
        let mut body =
            json!({ "token": name, "access_token": name, "expires_in": bearer.expires_in, "issued_at": issued_at });
        let renews = bearer.renews && wire::value(&asked, "grant_type") == Some("refresh_token");
        if let Some(account) = credentials.filter(|_| renews).and_then(|(user, _)| self.accounts.get_mut(&user)) {
            account.password = format!("sandbox-refresh-{}", self.given_out);
            body["refresh_token"] = json!(account.password);
        }
        axum::Json(body).into_response()
    }

    /// User and password of an OAuth2 form; a refresh token is the password of an account, whoever's it is.
    fn form_credentials(&self, form: &[(String, String)]) -> Option<(String, String)> {
        if wire::value(form, "grant_type") == Some("refresh_token") {
            let token = wire::value(form, "refresh_token")?;
            let owner = self.accounts.iter().find(|(_, account)| account.password == token);
            return Some((owner.map(|(user, _)| user.clone()).unwrap_or_default(), token.to_owned()));
        }
        Some((wire::value(form, "username")?.to_owned(), wire::value(form, "password")?.to_owned()))
    }

    fn account(&self, user: &str, password: &str) -> Option<&Account> {
        self.accounts.get(user).filter(|account| account.password == password)
    }
}

fn may(account: &Account, needed: &[Access]) -> bool {
    account.may_push || needed.iter().all(|access| access.action == "pull")
}

/// What this request needs: distribution's `appendAccessRecords`. The bare `/v2/` needs only that one is somebody.
fn needed(request: &Request<Bytes>, repository: &str) -> Vec<Access> {
    if repository.is_empty() {
        return Vec::new();
    }
    let mut needed = match *request.method() {
        Method::GET | Method::HEAD => vec![Access::to(repository, "pull")],
        Method::DELETE => vec![Access::to(repository, "delete")],
        _ => vec![Access::to(repository, "pull"), Access::to(repository, "push")],
    };
    if let Some(from) = wire::value(&wire::query(request), "from") {
        needed.push(Access::to(from, "pull"));
    }
    needed
}

/// The scopes of a challenge: one for each repository, its actions joined.
fn scopes(needed: &[Access]) -> String {
    let mut scopes: Vec<(String, String)> = Vec::new();
    for Access { repository, action } in needed {
        match scopes.iter_mut().find(|(of, _)| of == repository) {
            Some((_, actions)) => *actions = format!("{actions},{action}"),
            None => scopes.push((repository.clone(), (*action).to_owned())),
        }
    }
    let each: Vec<String> = scopes.iter().map(|(of, actions)| format!("repository:{of}:{actions}")).collect();
    each.join(" ")
}

/// What a scope asks for; scopes of other kinds ask for nothing here.
fn parse_scope(scope: &str) -> Vec<Access> {
    let parts = scope.strip_prefix("repository:").and_then(|rest| rest.rsplit_once(':'));
    let Some((repository, actions)) = parts else { return Vec::new() };
    let known = |action| ["pull", "push", "delete"].into_iter().find(|known| *known == action || action == "*");
    actions.split(',').filter_map(known).map(|action| Access::to(repository, action)).collect()
}

fn challenge(value: &str, needed: &[Access]) -> Response {
    let detail: Vec<_> = needed
        .iter()
        .map(|Access { repository, action }| json!({ "Type": "repository", "Name": repository, "Action": action }))
        .collect();
    let text = "authentication required";
    let mut response = refusal_with(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", text, &json!(detail));
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
    }
    response
}

fn denied() -> Response {
    refusal(StatusCode::FORBIDDEN, "DENIED", "requested access to the resource is denied")
}
