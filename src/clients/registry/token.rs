//! Bearer tokens: asked for once, kept while they live, renewed before they end.
//!
//! Protocol: distribution, "Token Authentication Specification". It asks for none itself.

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The largest token answer: real tokens have a few kilobytes.
pub(super) const TOKEN_BYTES_MAX: usize = 64 << 10;
/// How long a token lives where the realm does not say (the specification's default).
const LIFE_DEFAULT: Duration = Duration::from_secs(60);
/// The longest life that is believed: a realm that promises years still has its tokens renewed daily.
const LIFE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// How many tokens are kept for one host; past it all are forgotten and asked for again.
const TOKENS_MAX: usize = 4096;

/// What a token is for: two requests with the same key can share one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) realm: String,
    pub(super) service: Option<String>,
    pub(super) login: [u8; 32],
    pub(super) repository: String,
    pub(super) actions: &'static str,
    /// The repository that may be read besides.
    pub(super) mounts: Option<String>,
}

impl Key {
    /// The scopes that a token is asked for.
    pub(super) fn scopes(&self) -> Vec<String> {
        let own = format!("repository:{}:{}", self.repository, self.actions);
        let mounts = self.mounts.iter().map(|mounts| format!("repository:{mounts}:pull"));
        std::iter::once(own).chain(mounts).collect()
    }

    /// Whether a realm that looks at no repository would give both the same token.
    fn is_like(&self, other: &Self) -> bool {
        let of = |key: &Self| (key.realm.clone(), key.service.clone(), key.login, key.actions);
        of(self) == of(other)
    }
}

/// A token, and when it is to be renewed.
#[derive(Debug, Clone)]
pub(super) struct Token {
    bearer: SecretString,
    renew_at: Instant,
}

#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<i64>,
}

impl Token {
    /// Reads a realm's answer; none where it holds no token.
    pub(super) fn read(answer: &[u8], asked_at: Instant) -> Option<Self> {
        let answer: Answer = serde_json::from_slice(answer).ok()?;
        let bearer = answer.token.or(answer.access_token).filter(|token| !token.is_empty())?;
        let life = answer.expires_in.and_then(|seconds| u64::try_from(seconds).ok()).filter(|seconds| *seconds > 0);
        let life = life.map_or(LIFE_DEFAULT, Duration::from_secs).min(LIFE_MAX);
        Some(Self { bearer: bearer.into(), renew_at: asked_at + life * 4 / 5 })
    }
}

type Slot = Arc<tokio::sync::Mutex<Option<Token>>>;

/// The tokens of one host.
#[derive(Debug, Default)]
pub(super) struct Tokens(Mutex<HashMap<Key, Slot>>);

impl Tokens {
    /// The kept token, or else the one that `fetch` brings; whoever asks meanwhile waits for it.
    pub(super) async fn get<E>(
        &self,
        key: &Key,
        now: Instant,
        fetch: impl Future<Output = Result<Token, E>>,
    ) -> Result<SecretString, E> {
        let slot = self.slot(key);
        let mut kept = slot.lock().await;
        if let Some(token) = kept.as_ref().filter(|token| now < token.renew_at) {
            return Ok(token.bearer.clone());
        }
        let token = kept.insert(fetch.await?);
        Ok(token.bearer.clone())
    }

    /// A living token of another repository, where this one has none: who lends it, and the token.
    pub(super) fn borrow(&self, key: &Key, now: Instant) -> Option<(Key, SecretString)> {
        let slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A slot whose token is being fetched just now has nothing to lend, and is not waited for.
        let living = |slot: &Slot| {
            let kept = slot.try_lock().ok()?;
            kept.as_ref().filter(|token| now < token.renew_at).map(|token| token.bearer.clone())
        };
        if slots.get(key).is_some_and(|slot| living(slot).is_some()) {
            return None;
        }
        slots
            .iter()
            .filter(|(other, _)| other.is_like(key))
            .find_map(|(other, slot)| Some((other.clone(), living(slot)?)))
    }

    /// Forgets a token that was refused, unless a newer one has come meanwhile.
    pub(super) async fn forget(&self, key: &Key, refused: &SecretString) {
        let slot = self.slot(key);
        let mut kept = slot.lock().await;
        if kept.as_ref().is_some_and(|token| token.bearer.expose_secret() == refused.expose_secret()) {
            *kept = None;
        }
    }

    fn slot(&self, key: &Key) -> Slot {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= TOKENS_MAX && !slots.contains_key(key) {
            slots.clear();
        }
        Arc::clone(slots.entry(key.clone()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[tokio::test]
    async fn answers() {
        let check = |answer: &str, expected: Option<(&str, u64)>| {
            let now = Instant::now();
            let read = Token::read(answer.as_bytes(), now);
            let read = read.as_ref().map(|token| (token.bearer.expose_secret(), (token.renew_at - now).as_secs()));
            assert_eq!(read, expected, "{answer}");
        };
        check(r#"{"token":"a","expires_in":300,"issued_at":"2026-01-01T00:00:00Z"}"#, Some(("a", 240)));
        check(r#"{"access_token":"b"}"#, Some(("b", 48)));
        check(r#"{"token":"a","access_token":"b","expires_in":-5}"#, Some(("a", 48)));
        check(r#"{"token":"a","expires_in":99999999999}"#, Some(("a", 69120)));
        for wrong in [r#"{"token":""}"#, "{}", "[]", "<html>", r#"{"token":7}"#] {
            check(wrong, None);
        }
    }

    #[tokio::test]
    async fn a_token_is_fetched_once_for_all_who_ask_renewed_in_time_and_lent() {
        let tokens = Tokens::default();
        let fetched = AtomicU32::new(0);
        let start = Instant::now();
        let key = |repository: &str| Key {
            realm: "https://auth/token".to_owned(),
            service: None,
            login: [0; 32],
            repository: repository.to_owned(),
            actions: "pull",
            mounts: None,
        };
        let get = async |scope: &str, second: u64| {
            let now = start + Duration::from_secs(second);
            let fetch = async {
                tokio::task::yield_now().await;
                let number = fetched.fetch_add(1, Ordering::Relaxed);
                let answer = format!(r#"{{"token":"{number}","expires_in":100}}"#);
                Ok::<_, Infallible>(Token::read(answer.as_bytes(), now).expect("a token"))
            };
            let Ok(token) = tokens.get(&key(scope), now, fetch).await;
            token.expose_secret().to_owned()
        };
        assert_eq!(tokio::join!(get("a", 0), get("a", 0), get("a", 0)), ("0".into(), "0".into(), "0".into()));
        assert_eq!(get("b", 0).await, "1");
        assert_eq!(get("a", 79).await, "0", "not yet at 80 %");
        assert_eq!(get("a", 80).await, "2");
        tokens.forget(&key("a"), &"0".into()).await;
        assert_eq!(get("a", 80).await, "2", "an older refusal ends no newer token");
        tokens.forget(&key("a"), &"2".into()).await;
        assert_eq!(get("a", 80).await, "3");
        let borrow = |key: Key, second: u64| {
            let borrowed = tokens.borrow(&key, start + Duration::from_secs(second));
            borrowed.map(|(lender, token)| format!("{} {}", lender.scopes().join(" "), token.expose_secret()))
        };
        assert_eq!(borrow(key("a"), 80), None, "it has its own");
        assert_eq!(borrow(key("c"), 80).as_deref(), Some("repository:a:pull 3"));
        assert_eq!(borrow(key("c"), 160), None, "it has ended");
        assert_eq!(borrow(Key { login: [1; 32], ..key("c") }, 80), None, "another login");
        assert_eq!(borrow(Key { actions: "pull,push", ..key("c") }, 80), None, "other rights");
    }
}
