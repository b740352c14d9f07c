//! Whether a login may push to a repository, as far as the host says without a push.

use super::authorization::Shown;
use super::error::RegistryError;
use super::session::{Answer, Call, Session};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Method, StatusCode};
use secrecy::ExposeSecret as _;
use serde::Deserialize;

/// What a host says of the right to push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MayPush {
    /// Its token grants it.
    Yes,
    /// Its token was asked for it, and grants less.
    No,
    /// It takes the login, and says no more before a push.
    Untold,
    /// It answers without a login.
    NoLogin,
}

/// The part of a token's claims that names rights (distribution, "Token Authentication Specification").
#[derive(Deserialize)]
struct Claims {
    access: Option<Vec<Granted>>,
}

#[derive(Deserialize)]
struct Granted {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    #[serde(default)]
    actions: Vec<String>,
}

/// Reads the beginning of the list of tags.
async fn ask(session: &Session<'_>) -> Result<Answer, RegistryError> {
    let mut url = session.url("tags/list");
    url.set_query(Some("n=1"));
    session.ask(&Call { method: Method::GET, url, accept: "application/json", content: None, special: None }).await
}

/// Whether the tags can be read.
pub(super) async fn may_pull(session: &Session<'_>) -> Result<(), RegistryError> {
    ask(session).await?.accepted().map(drop)
}

/// Asks for what only reads, as whoever may push.
pub(super) async fn may_push(session: &Session<'_>) -> Result<MayPush, RegistryError> {
    match ask(session).await? {
        Answer::Yes(_) => {}
        // Most registries make a repository with the first push.
        Answer::No(refusal) if refusal.status == StatusCode::NOT_FOUND => {}
        Answer::No(refusal) => return Err(refusal.into_error()),
    }
    let login = session.host.login(session.credentials, session.repository).await?;
    Ok(match session.what_to_show(&login).await? {
        Shown::Token(_, token) => granted(token.expose_secret(), session.repository.path()),
        Shown::Login => MayPush::Untold,
        Shown::Nothing => MayPush::NoLogin,
    })
}

/// What a token that is a JWT says. Nothing is decided by it but what a person is told, so its signature is not looked at.
fn granted(token: &str, path: &str) -> MayPush {
    let claims = token.split('.').nth(1).and_then(|claims| URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok());
    let claims: Option<Claims> = claims.and_then(|claims| serde_json::from_slice(&claims).ok());
    let Some(access) = claims.and_then(|claims| claims.access) else { return MayPush::Untold };
    let pushes = |granted: &Granted| granted.actions.iter().any(|action| action == "push" || action == "*");
    let is_here = |granted: &&Granted| granted.kind == "repository" && granted.name == path;
    if access.iter().filter(is_here).any(pushes) { MayPush::Yes } else { MayPush::No }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_what_it_grants() {
        let token = |claims: &str| format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims));
        for (claims, expected) in [
            (r#"{"access":[{"type":"repository","name":"team/shop","actions":["pull","push"]}]}"#, MayPush::Yes),
            (r#"{"access":[{"type":"repository","name":"team/shop","actions":["*"]}]}"#, MayPush::Yes),
            (r#"{"access":[{"type":"repository","name":"team/shop","actions":["pull"]}]}"#, MayPush::No),
            (r#"{"access":[{"type":"repository","name":"team/other","actions":["push"]}]}"#, MayPush::No),
            (r#"{"access":[]}"#, MayPush::No),
            (r#"{"sub":"ada"}"#, MayPush::Untold),
            ("nonsense", MayPush::Untold),
        ] {
            assert_eq!(granted(&token(claims), "team/shop"), expected, "{claims}");
        }
        assert_eq!(granted("opaque", "team/shop"), MayPush::Untold);
    }
}
