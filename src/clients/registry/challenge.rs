//! What a registry wants to be shown: the challenge of a 401.
//!
//! Grammar: RFC 9110, 11.6.1; parameters: distribution, "Token Authentication Specification". It asks for nothing itself.

use reqwest::Url;
use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};
use std::iter::Peekable;
use std::str::Chars;

/// How a registry wants to be spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// User and password with each request.
    Basic,
    /// A token, given out at the realm.
    Bearer {
        /// Where tokens are given out.
        realm: Url,
        /// For whom they are.
        service: Option<String>,
    },
}

/// The challenge of these headers that we can meet; Bearer before Basic, as docker does.
pub(super) fn challenge(headers: &HeaderMap) -> Option<Challenge> {
    let values = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    let offered: Vec<Offer> = values.flat_map(offers).collect();
    offered
        .iter()
        .find_map(bearer)
        .or_else(|| offered.iter().any(|offer| offer.scheme.eq_ignore_ascii_case("basic")).then_some(Challenge::Basic))
}

fn bearer(offer: &Offer) -> Option<Challenge> {
    let value = |name: &str| offer.parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, v)| v);
    let realm = offer.scheme.eq_ignore_ascii_case("bearer").then(|| value("realm")).flatten()?;
    Some(Challenge::Bearer { realm: Url::parse(realm).ok()?, service: value("service").cloned() })
}

#[derive(Debug, PartialEq, Eq)]
struct Offer {
    scheme: String,
    parameters: Vec<(String, String)>,
}

/// Splits `Scheme a=b, c="d, e", Other f=g`: a word before `=` is a parameter, any other begins the next offer.
fn offers(value: &str) -> Vec<Offer> {
    let mut offers: Vec<Offer> = Vec::new();
    let mut rest = value.chars().peekable();
    loop {
        while rest.next_if(|c| matches!(c, ' ' | '\t' | ',')).is_some() {}
        let word = word(&mut rest);
        let is_parameter = rest.next_if_eq(&'=').is_some();
        match offers.last_mut() {
            Some(offer) if is_parameter => offer.parameters.push((word, self::value(&mut rest))),
            _ if word.is_empty() => return offers,
            _ => offers.push(Offer { scheme: word, parameters: Vec::new() }),
        }
    }
}

fn word(rest: &mut Peekable<Chars<'_>>) -> String {
    std::iter::from_fn(|| rest.next_if(|c| !matches!(c, ' ' | '\t' | ',' | '='))).collect()
}

fn value(rest: &mut Peekable<Chars<'_>>) -> String {
    if rest.next_if_eq(&'"').is_none() {
        return std::iter::from_fn(|| rest.next_if(|c| !matches!(c, ' ' | '\t' | ','))).collect();
    }
    let mut value = String::new();
    while let Some(c) = rest.next() {
        match c {
            '"' => break,
            '\\' => value.extend(rest.next()),
            c => value.push(c),
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    fn check(values: &[&str], expected: Option<(&str, Option<&str>)>) {
        let headers: HeaderMap =
            values.iter().map(|v| (WWW_AUTHENTICATE, HeaderValue::from_str(v).expect("a value"))).collect();
        let expected = expected.map(|(realm, service)| Challenge::Bearer {
            realm: Url::parse(realm).expect("a URL"),
            service: service.map(str::to_owned),
        });
        assert_eq!(challenge(&headers), expected, "{values:?}");
    }

    #[test]
    fn bearer_challenges() {
        let hub = Some(("https://auth.docker.io/token", Some("registry.docker.io")));
        check(
            &[
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#,
            ],
            hub,
        );
        check(
            &[r#"bearer  scope="a:b:pull,push" , Service=registry.docker.io,REALM="https://auth.docker.io/token""#],
            hub,
        );
        check(
            &[r#"Basic realm="a, b=c", Bearer realm="https://auth.docker.io/token",service="registry.docker.io""#],
            hub,
        );
        check(
            &["Negotiate YWJj==", "Basic realm=x", r#"Bearer realm="https://a/token""#],
            Some(("https://a/token", None)),
        );
        check(&[r#"Bearer realm="https://a/t\"x\"",service="b"#], Some((r#"https://a/t"x""#, Some("b"))));
        for unusable in
            ["", ",,", "=", "a=b", "\"", "Bearer", "Bearer realm=", r#"Bearer realm="/token""#, "Digest qop=auth"]
        {
            check(&[unusable], None);
        }
    }

    #[test]
    fn basic_challenges() {
        for value in ["Basic", "basic realm=\"x\"", r#"Digest nonce="Bearer realm=1", Basic realm="x""#] {
            let headers = HeaderMap::from_iter([(WWW_AUTHENTICATE, HeaderValue::from_str(value).expect("a value"))]);
            assert_eq!(challenge(&headers), Some(Challenge::Basic), "{value}");
        }
    }
}
