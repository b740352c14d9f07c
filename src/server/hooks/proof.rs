//! How a sender proves where a delivery comes from. Secrets are compared in constant time, and read when they are used.

use super::google::Google;
use crate::config::Webhook;
use crate::model::text;
use axum::http::HeaderMap;
use ring::hmac;
use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;

/// The shortest secret that proves anything in a path: one that can be guessed proves nothing.
const PATH_SECRET_BYTES_MIN: usize = 16;

/// How a sender proves itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// The secret, or `Bearer` and the secret, in one of these headers.
    Header(&'static [&'static str]),
    /// The secret at the end of the path: the sender can neither sign nor send a header.
    Path,
    /// HMAC-SHA256 of the body in hexadecimal digits, perhaps after `sha256=`, in one of these headers.
    Sha256(&'static [&'static str]),
    /// The same with SHA-1.
    Sha1(&'static str),
    /// In this header the secret itself, or HMAC-SHA256 of the body.
    HeaderOrSha256(&'static str),
    /// An OIDC token of a Google service account.
    Google,
}

impl Proof {
    /// Whether the body is part of the proof, and so has to be read before it is known who sent it.
    pub(super) fn signs_the_body(self) -> bool {
        matches!(self, Self::Sha256(_) | Self::Sha1(_) | Self::HeaderOrSha256(_))
    }
}

/// Whether a delivery proves itself.
pub(super) async fn holds(
    proof: Proof,
    webhook: &Webhook,
    google: Option<&Google>,
    in_path: Option<&str>,
    headers: &HeaderMap,
    body: &[u8],
) -> bool {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if proof == Proof::Google {
        let (Some(google), Some(account)) = (google, &webhook.google) else { return false };
        let token = header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        return match token {
            Some(token) => google.vouches(token.trim(), account).await,
            None => false,
        };
    }
    let Some(secret) = &webhook.secret else { return false };
    let secret = match secret.read() {
        Ok(secret) => secret,
        Err(error) => {
            tracing::error!(error = %error, "no delivery is let in: {error}");
            return false;
        }
    };
    match proof {
        Proof::Path if secret.expose_secret().len() < PATH_SECRET_BYTES_MIN => {
            tracing::error!(
                "no delivery is let in: its secret stands in a path, and needs {PATH_SECRET_BYTES_MIN} bytes"
            );
            false
        }
        Proof::Path => in_path.is_some_and(|shown| same(shown, &secret)),
        // A path with a secret that is not asked for would let it be guessed apart from the signature.
        _ if in_path.is_some() => false,
        Proof::Header(names) => names.iter().filter_map(|name| header(name)).any(|shown| is_secret(shown, &secret)),
        Proof::Sha256(names) => {
            names.iter().filter_map(|name| header(name)).any(|shown| signs(hmac::HMAC_SHA256, shown, &secret, body))
        }
        Proof::Sha1(name) => {
            header(name).is_some_and(|shown| signs(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, shown, &secret, body))
        }
        Proof::HeaderOrSha256(name) => {
            header(name).is_some_and(|shown| same(shown, &secret) || signs(hmac::HMAC_SHA256, shown, &secret, body))
        }
        Proof::Google => false,
    }
}

fn is_secret(shown: &str, secret: &SecretString) -> bool {
    same(shown, secret) || shown.strip_prefix("Bearer ").is_some_and(|token| same(token, secret))
}

/// Hashes are compared, so that the time tells no length either.
fn same(shown: &str, secret: &SecretString) -> bool {
    let (shown, known) = (text::sha256(shown.as_bytes()), text::sha256(secret.expose_secret().as_bytes()));
    known.ct_eq(&shown).into()
}

fn signs(algorithm: hmac::Algorithm, shown: &str, secret: &SecretString, body: &[u8]) -> bool {
    let digits = shown.split_once('=').map_or(shown, |(_, digits)| digits);
    let Some(signature) = bytes(digits.trim()) else { return false };
    hmac::verify(&hmac::Key::new(algorithm, secret.expose_secret().as_bytes()), body, &signature).is_ok()
}

/// The bytes that these hexadecimal digits mean.
fn bytes(digits: &str) -> Option<Vec<u8>> {
    let even = digits.len().is_multiple_of(2) && digits.is_ascii();
    let pairs = digits.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    pairs.collect::<Option<Vec<u8>>>().filter(|_| even)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Secret, SecretSource};

    const BODY: &[u8] = b"Hello, World!";
    /// Of the body, under the key "It's a Secret to Everybody" (GitHub Docs, "Validating webhook deliveries").
    const SHA256: &str = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    async fn check(proof: Proof, secret: &str, in_path: Option<&str>, header: (&'static str, &str)) -> bool {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), secret).expect("written");
        let secret = Some(Secret::new(SecretSource::File(file.path().to_path_buf())));
        let webhook = Webhook { secret, registry: None, google: None };
        let header = (axum::http::HeaderName::from_static(header.0), header.1.parse().expect("a header"));
        holds(proof, &webhook, None, in_path, &HeaderMap::from_iter([header]), BODY).await
    }

    #[tokio::test]
    async fn what_proves_and_what_does_not() {
        let everybody = "It's a Secret to Everybody";
        let signed = format!("sha256={SHA256}");
        let sha1 = "01dc10d0c83e72ed246219cdd91669667fe2ca59";
        const HEADER: Proof = Proof::Header(&["authorization", "x-other"]);
        const SIGNED: Proof = Proof::Sha256(&["x-signature"]);
        for (proof, secret, path, header, holds) in [
            (HEADER, "s3cret", None, ("authorization", "s3cret"), true),
            (HEADER, "s3cret", None, ("authorization", "Bearer s3cret"), true),
            (HEADER, "s3cret", None, ("x-other", "s3cret"), true),
            (HEADER, "s3cret", None, ("authorization", "s3cre"), false),
            (HEADER, "s3cret", None, ("authorization", "s3cret and more"), false),
            (HEADER, "s3cret", None, ("x-third", "s3cret"), false),
            (HEADER, "s3cret", Some("s3cret"), ("x-third", ""), false),
            (Proof::Path, everybody, Some(everybody), ("x-third", ""), true),
            (Proof::Path, everybody, Some("it's a Secret to Everybody"), ("x-third", ""), false),
            (Proof::Path, everybody, None, ("authorization", everybody), false),
            (Proof::Path, "fifteen letters", Some("fifteen letters"), ("x-third", ""), false),
            (SIGNED, everybody, None, ("x-signature", signed.as_str()), true),
            (SIGNED, everybody, None, ("x-signature", SHA256), true),
            (SIGNED, everybody, None, ("x-signature", everybody), false),
            (SIGNED, everybody, None, ("x-signature", "sha256="), false),
            (SIGNED, everybody, None, ("x-signature", "sha256=7"), false),
            (SIGNED, "another", None, ("x-signature", signed.as_str()), false),
            (Proof::Sha1("x-signature"), everybody, None, ("x-signature", sha1), true),
            (Proof::Sha1("x-signature"), everybody, None, ("x-signature", SHA256), false),
            (Proof::HeaderOrSha256("x-auth"), everybody, None, ("x-auth", SHA256), true),
            (Proof::HeaderOrSha256("x-auth"), everybody, None, ("x-auth", everybody), true),
            (Proof::HeaderOrSha256("x-auth"), everybody, None, ("x-auth", "else"), false),
            (Proof::Google, "s3cret", None, ("authorization", "Bearer s3cret"), false),
        ] {
            assert_eq!(check(proof, secret, path, header).await, holds, "{proof:?} {path:?} {header:?}");
        }
    }
}
