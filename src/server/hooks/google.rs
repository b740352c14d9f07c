//! Google's word for a service account: an OIDC token, its signature held against Google's published keys (Google docs,
//! "Authenticate push subscriptions"; RFC 7519, RFC 7515).

use crate::clients::http::{self, Counter, Transport};
use crate::config::GoogleAccount;
use crate::daemon::Clock;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Where Google publishes the keys that it signs with.
const KEYS: &str = "https://www.googleapis.com/oauth2/v3/certs";
/// The longest token that is looked at: real ones have about a kilobyte.
const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// The largest answer with keys: real ones have two or three kilobytes.
const KEYS_BYTES_MAX: usize = 64 * 1024;
/// How long keys are kept: Google changes them every few days, and announces new ones before it uses them.
const KEYS_KEPT: Duration = Duration::from_secs(60 * 60);
/// How soon keys are asked for again for a token that none of them signed.
const KEYS_AGAIN: Duration = Duration::from_secs(60);
/// How far Google's clock may be from ours.
const LEEWAY_SECONDS: i64 = 60;
/// Who issues these tokens.
const ISSUERS: [&str; 2] = ["https://accounts.google.com", "accounts.google.com"];

/// Google's published keys, as they were read last.
#[derive(Clone)]
pub struct Google(Arc<Shared>);

struct Shared {
    url: String,
    transport: Transport,
    counter: Counter,
    clock: Clock,
    keys: Mutex<Kept>,
}

/// The keys that were read last, and when they were asked for last, whether or not an answer came.
#[derive(Default)]
struct Kept {
    keys: Vec<Key>,
    read: Option<Instant>,
    asked: Option<Instant>,
}

#[derive(Clone, Deserialize)]
struct Key {
    kid: String,
    n: String,
    e: String,
}

#[derive(Deserialize)]
struct Keys {
    keys: Vec<Key>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    exp: i64,
    #[serde(default)]
    email: String,
    #[serde(default)]
    email_verified: bool,
}

impl Google {
    /// Reads the keys that Google publishes. Nothing is asked before the first token comes.
    #[must_use]
    pub fn published(transport: Transport, counter: Counter, clock: Clock) -> Self {
        Self::at(KEYS.to_owned(), transport, counter, clock)
    }

    /// Reads keys there.
    fn at(url: String, transport: Transport, counter: Counter, clock: Clock) -> Self {
        Self(Arc::new(Shared { url, transport, counter, clock, keys: Mutex::default() }))
    }

    /// Whether a token says, with Google's signature, that it comes from this account and is for us.
    pub(super) async fn vouches(&self, token: &str, account: &GoogleAccount) -> bool {
        let judged = self.judge(token, account).await;
        if let Err(why) = &judged {
            tracing::debug!("a token of Google's is not believed: {why}");
        }
        judged.is_ok()
    }

    /// Judges the claims before the signature: a token that is not meant for us has nobody ask for keys.
    async fn judge(&self, token: &str, account: &GoogleAccount) -> Result<(), String> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err("it is too long".to_owned());
        }
        let (signed, signature) = token.rsplit_once('.').ok_or("it has no signature")?;
        let (header, claims) = signed.split_once('.').ok_or("it has no claims")?;
        let header: Header = part(header)?;
        if header.alg != "RS256" {
            return Err("it is not signed with RS256".to_owned());
        }
        let claims: Claims = part(claims)?;
        let now = self.0.clock.now().as_second();
        let is_for_us = claims.aud == account.audience && ISSUERS.contains(&claims.iss.as_str());
        let is_theirs = claims.email == account.email && claims.email_verified;
        if !(is_for_us && is_theirs && now < claims.exp.saturating_add(LEEWAY_SECONDS)) {
            return Err("it is of another issuer or account, for another audience, or has expired".to_owned());
        }
        let key = self.key(&header.kid).await?;
        let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| "it is no base64".to_owned());
        let key = RsaPublicKeyComponents { n: bytes(&key.n)?, e: bytes(&key.e)? };
        key.verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &bytes(signature)?)
            .map_err(|_| "its signature is wrong".to_owned())
    }

    /// The key of this name; keys are read again where none has it, but not at once for each stranger's token, and not
    /// at once where no answer came.
    async fn key(&self, kid: &str) -> Result<Key, String> {
        let mut kept = self.0.keys.lock().await;
        let is_fresh = |kept: &Kept| kept.read.is_some_and(|read| read.elapsed() < KEYS_KEPT);
        let has_it = kept.keys.iter().any(|key| key.kid == kid);
        let may_ask = kept.asked.is_none_or(|asked| asked.elapsed() >= KEYS_AGAIN);
        if may_ask && !(has_it && is_fresh(&kept)) {
            kept.asked = Some(Instant::now());
            kept.keys = self.read().await?;
            kept.read = Some(Instant::now());
        }
        if !is_fresh(&kept) {
            return Err("Google's keys could not be read lately".to_owned());
        }
        kept.keys.iter().find(|key| key.kid == kid).cloned().ok_or_else(|| "no key of Google's signed it".to_owned())
    }

    async fn read(&self) -> Result<Vec<Key>, String> {
        let shared = &self.0;
        let client = http::client(&shared.transport).map_err(|error| error.to_string())?;
        let request = client.request(Method::GET, &shared.url).build().map_err(|error| error.to_string())?;
        let response = http::send(&client, request, &shared.counter).await.map_err(|error| error.to_string())?;
        let status = response.status();
        if !status.is_success() {
            return Err(format!("{} answers {status}", shared.url));
        }
        let body = http::body(response, KEYS_BYTES_MAX, "keys").await.map_err(|error| error.to_string())?;
        let keys: Keys = serde_json::from_slice(&body).map_err(|_| "Google's keys make no sense".to_owned())?;
        Ok(keys.keys)
    }
}

/// A part of a token: JSON in base64.
fn part<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| "it is no base64".to_owned())?;
    serde_json::from_slice(&bytes).map_err(|_| "it is no token".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use ring::rand::SystemRandom;
    use ring::rsa::KeyPair;
    use ring::signature::RSA_PKCS1_SHA256;
    use serde_json::{Value, json};
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A key of the tests' own, 2048 bits, it protects nothing.
    const PRIVATE_KEY: &str = include_str!("google_test_key.b64");

    fn encoded(value: &Value) -> String {
        URL_SAFE_NO_PAD.encode(value.to_string())
    }

    fn signed(key: &KeyPair, header: &Value, claims: &Value) -> String {
        let text = format!("{}.{}", encoded(header), encoded(claims));
        let mut signature = vec![0; key.public().modulus_len()];
        key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).expect("signed");
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn key() -> KeyPair {
        let text: String = PRIVATE_KEY.split_whitespace().collect();
        let der = base64::engine::general_purpose::STANDARD.decode(text).expect("base64");
        KeyPair::from_der(&der).expect("a key")
    }

    /// Google's stand-in, and how often it was asked for keys.
    async fn google(key: &KeyPair) -> (Google, Arc<AtomicU32>) {
        let components: RsaPublicKeyComponents<Vec<u8>> = key.public().into();
        let keys = json!({ "keys": [{
            "kid": "k1", "kty": "RSA", "alg": "RS256",
            "n": URL_SAFE_NO_PAD.encode(components.n), "e": URL_SAFE_NO_PAD.encode(components.e),
        }] });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/certs", listener.local_addr().expect("an address"));
        let asked = Arc::new(AtomicU32::new(0));
        let counted = asked.clone();
        let answer = async move || {
            counted.fetch_add(1, Ordering::SeqCst);
            keys.to_string()
        };
        let router = axum::Router::new().route("/certs", get(answer));
        drop(tokio::spawn(async move { axum::serve(listener, router).await }));
        let transport = Transport { plain_http: true, ..Transport::default() };
        (Google::at(url, transport, http::uncounted(), Clock::System), asked)
    }

    #[tokio::test]
    async fn what_google_vouches_for() {
        let key = key();
        let (google, asked) = google(&key).await;
        let account = GoogleAccount { audience: "https://us".to_owned(), email: "push@p.iam".to_owned() };
        let now = Clock::System.now().as_second();
        let good = json!({ "iss": "https://accounts.google.com", "aud": "https://us", "exp": now + 600,
            "email": "push@p.iam", "email_verified": true });
        let header = json!({ "alg": "RS256", "kid": "k1" });
        let but = |name: &str, value: Value| {
            let mut claims = good.clone();
            claims[name] = value;
            signed(&key, &header, &claims)
        };
        let token = signed(&key, &header, &good);
        assert!(!google.vouches(&but("aud", json!("https://them")), &account).await);
        assert_eq!(asked.load(Ordering::SeqCst), 0, "a token for somebody else is refused without a key");
        assert!(google.vouches(&token, &account).await);
        assert!(google.vouches(&but("exp", json!(i64::MAX)), &account).await);
        let other_header = |name: &str, value: &str| {
            let mut header = header.clone();
            header[name] = json!(value);
            signed(&key, &header, &good)
        };
        let claims = encoded(&json!({ "iss": "https://accounts.google.com", "aud": "https://us" }));
        for (what, token) in [
            ("another issuer", but("iss", json!("https://evil.example"))),
            ("another audience", but("aud", json!("https://them"))),
            ("another account", but("email", json!("evil@p.iam"))),
            ("an unverified account", but("email_verified", json!(false))),
            ("an old token", but("exp", json!(now - 3600))),
            ("no signature", format!("{}.{claims}.", encoded(&json!({ "alg": "none", "kid": "k1" })))),
            ("another algorithm", other_header("alg", "HS256")),
            ("an unknown key", other_header("kid", "k2")),
            ("other claims under the signature", {
                let (rest, signature) = token.rsplit_once('.').expect("a signature");
                let (header, _) = rest.split_once('.').expect("claims");
                format!("{header}.{claims}.{signature}")
            }),
            ("nothing", String::new()),
            ("dots", "..".to_owned()),
            ("too much", "a".repeat(TOKEN_BYTES_MAX + 1)),
        ] {
            assert!(!google.vouches(&token, &account).await, "{what}");
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1, "no stranger has the keys read again at once");
    }

    #[tokio::test]
    async fn keys_that_cannot_be_read_are_not_asked_for_by_every_token() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/certs", listener.local_addr().expect("an address"));
        let asked = Arc::new(AtomicU32::new(0));
        let counted = asked.clone();
        let counter: Counter = Arc::new(move |_, _| {
            counted.fetch_add(1, Ordering::SeqCst);
        });
        drop(listener);
        let google = Google::at(url, Transport { plain_http: true, ..Transport::default() }, counter, Clock::System);
        for _ in 0..3 {
            assert!(google.key("k1").await.is_err());
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }
}
