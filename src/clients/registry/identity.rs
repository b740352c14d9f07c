//! Identity tokens (docker's OAuth2 logins, as of Azure): exchanged at the realm for bearer tokens, and renewed by it.
//!
//! Protocol: distribution, "Docker Registry v2 authentication using OAuth2", the grant `refresh_token`. The grant
//! `password` is not spoken, and a token that a realm renewed is written nowhere: docker's file stays as it is.

use super::credentials::Login;
use super::error::{Refusal, RegistryError};
use super::session::Session;
use super::token::{self, TOKEN_BYTES_MAX};
use crate::clients::http;
use reqwest::{Method, StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use std::collections::HashMap;
use tokio::sync::Mutex;

/// What we call ourselves to a realm.
const CLIENT_ID: &str = "tagrelay";
/// How many renewed tokens are kept for one host; past it all are forgotten, and begun with anew.
const RENEWED_MAX: usize = 256;

/// The tokens that realms gave in the place of those in the configuration, by realm and login.
#[derive(Debug, Default)]
pub(super) struct Renewed(Mutex<HashMap<(String, [u8; 32]), SecretString>>);

#[derive(Deserialize)]
struct Answer {
    refresh_token: Option<String>,
}

impl Session<'_> {
    /// The realm's answer to an identity token. One is exchanged at a time, for a realm may take each only once.
    pub(super) async fn exchange(
        &self,
        realm: &Url,
        key: &token::Key,
        login: &Login,
        identity: &SecretString,
    ) -> Result<Vec<u8>, RegistryError> {
        let mut renewed = self.host.renewed.0.lock().await;
        let of = (key.realm.clone(), key.login);
        let newest = renewed.get(&of).cloned();
        let answer = match &newest {
            None => self.post(realm, key, login, identity).await?,
            Some(newest) => match self.post(realm, key, login, newest).await? {
                Ok(answer) => Ok(answer),
                // A newer one that has ended may have been followed by a login anew.
                Err(_) => {
                    renewed.remove(&of);
                    self.post(realm, key, login, identity).await?
                }
            },
        };
        let answer = answer.map_err(|refusal| refusal.into_identity_error())?;
        if let Some(next) = next(&answer) {
            if renewed.len() >= RENEWED_MAX {
                renewed.clear();
            }
            renewed.insert(of, next);
        }
        Ok(answer)
    }

    async fn post(
        &self,
        realm: &Url,
        key: &token::Key,
        login: &Login,
        identity: &SecretString,
    ) -> Result<Result<Vec<u8>, Refusal>, RegistryError> {
        let host = self.host;
        let scope = key.scopes().join(" ");
        let mut form = vec![
            ("grant_type", "refresh_token"),
            ("client_id", CLIENT_ID),
            ("scope", &scope),
            ("refresh_token", identity.expose_secret()),
        ];
        form.extend(key.service.as_deref().map(|service| ("service", service)));
        let request = host.client.post(realm.clone()).form(&form).build();
        let request = request.map_err(|error| http::failure(&Method::POST, realm, &error))?;
        let response = host.send(request, true).await?;
        match response.status() {
            status if status.is_success() => Ok(Ok(http::body(response, TOKEN_BYTES_MAX, "token").await?)),
            // RFC 6749, 5.2: a token that has ended is answered 400.
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Ok(Err(host.refusal(&Method::POST, response, login).await))
            }
            _ => Err(host.refusal(&Method::POST, response, login).await.into_error()),
        }
    }
}

/// The token that takes the place of the one that was shown.
fn next(answer: &[u8]) -> Option<SecretString> {
    let answer: Answer = serde_json::from_slice(answer).ok()?;
    answer.refresh_token.filter(|token| !token.is_empty()).map(SecretString::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_realm_may_renew() {
        let check = |answer: &str, expected: Option<&str>| {
            let next = next(answer.as_bytes());
            assert_eq!(next.as_ref().map(|token| token.expose_secret()), expected, "{answer}");
        };
        check(r#"{"access_token":"a","refresh_token":"b"}"#, Some("b"));
        check(r#"{"access_token":"a","refresh_token":""}"#, None);
        check(r#"{"access_token":"a"}"#, None);
        check("<html>", None);
    }
}
