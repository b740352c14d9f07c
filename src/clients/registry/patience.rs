//! How long a host wants to be left alone, as the headers of its answers say it.
//!
//! It decides nothing: the pace keeps to it.

use crate::clients::http;
use jiff::Timestamp;
use reqwest::header::HeaderMap;
use std::time::Duration;

/// How long a host is left alone whose allowance is used up and that does not say when there is more.
const UNKNOWN_RESET: Duration = Duration::from_secs(60);
/// A reset above this is a moment in Unix seconds, below it a number of seconds: both are in use under one name.
const EPOCH_MIN: i64 = 1_000_000_000;

/// `Retry-After`; else, where no request is left, the time until there is one: `RateLimit-Reset` (the IETF's drafts, and
/// GitLab's as a moment), the `X-` names of GitHub and others, and Docker Hub's `ratelimit-remaining: 0;w=21600`.
pub(super) fn patience(headers: &HeaderMap) -> Option<Duration> {
    // Moments are held against the server's own clock, which ours need not agree with.
    let now = http::date(headers);
    if let Some(wait) = http::retry_after(headers, now.unwrap_or(Timestamp::MAX)) {
        return Some(wait);
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let (mut remaining, mut limit, mut window, mut reset) = (None, None, None, None);
    for prefix in ["ratelimit", "x-ratelimit"] {
        if let Some((value, parameters)) = text(&format!("{prefix}-remaining")).and_then(number) {
            remaining = remaining.or(Some(value));
            window = window.or_else(|| parameter(parameters, "w"));
        }
        let plain = |name: &str| text(&format!("{prefix}-{name}")).and_then(number).map(|(value, _)| value);
        limit = limit.or_else(|| plain("limit"));
        reset = reset.or_else(|| plain("reset"));
    }
    if let Some(all) = text("ratelimit") {
        // Draft 7: `limit=100, remaining=0, reset=30`; later: `"default";r=0;t=30`.
        remaining = remaining.or_else(|| parameter(all, "remaining")).or_else(|| parameter(all, "r"));
        reset = reset.or_else(|| parameter(all, "reset")).or_else(|| parameter(all, "t"));
    }
    if remaining? > 0 {
        return None;
    }
    let wait = match (reset, window, limit) {
        (Some(moment), ..) if moment >= EPOCH_MIN => now.map_or(UNKNOWN_RESET, |now| seconds(moment - now.as_second())),
        (Some(left), ..) => seconds(left),
        // A window that slides lets one more request through after its even share.
        (None, Some(window), Some(limit)) => seconds(window / limit.max(1)),
        (None, ..) => UNKNOWN_RESET,
    };
    Some(wait.min(http::RETRY_AFTER_MAX))
}

fn seconds(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

/// `99;w=21600`: the number and its parameters.
fn number(value: &str) -> Option<(i64, &str)> {
    let (number, parameters) = value.split_once([';', ',']).unwrap_or((value, ""));
    Some((number.trim().parse().ok()?, parameters))
}

fn parameter(parameters: &str, name: &str) -> Option<i64> {
    let pairs = parameters.split([';', ',']).filter_map(|pair| pair.split_once('='));
    pairs.filter(|(key, _)| key.trim() == name).find_map(|(_, value)| value.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::{HeaderName, HeaderValue};

    #[test]
    fn every_dialect_of_patience() {
        let check = |headers: &[(&'static str, &'static str)], expected: Option<u64>| {
            let pair = |(name, value): &(&'static str, &'static str)| {
                (HeaderName::from_static(name), HeaderValue::from_static(value))
            };
            let map = HeaderMap::from_iter(headers.iter().map(pair));
            assert_eq!(patience(&map).map(|wait| wait.as_secs()), expected, "{headers:?}");
        };
        let date = ("date", "Sun, 01 Nov 2026 10:00:00 GMT");
        check(&[], None);
        check(&[("retry-after", "30")], Some(30));
        check(&[("retry-after", "Sun, 01 Nov 2026 10:00:09 GMT"), date], Some(9));
        check(&[("retry-after", "30"), ("ratelimit-remaining", "0"), ("ratelimit-reset", "90")], Some(30));
        check(&[("ratelimit-remaining", "1"), ("ratelimit-reset", "90")], None);
        check(&[("ratelimit-remaining", "0"), ("ratelimit-reset", "90")], Some(90));
        check(&[("ratelimit-remaining", "0"), ("ratelimit-reset", "1793527220"), date], Some(20));
        check(&[("ratelimit-remaining", "0"), ("ratelimit-reset", "1793527100"), date], Some(0));
        check(&[("ratelimit-remaining", "0"), ("ratelimit-reset", "1793527220")], Some(60));
        check(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "7")], Some(7));
        check(&[("ratelimit-remaining", "0;w=21600"), ("ratelimit-limit", "100;w=21600")], Some(216));
        check(&[("ratelimit-remaining", "99;w=21600"), ("ratelimit-limit", "100;w=21600")], None);
        check(&[("ratelimit-remaining", "0;w=21600")], Some(60));
        check(&[("ratelimit", "limit=100, remaining=0, reset=30")], Some(30));
        check(&[("ratelimit", "\"default\";r=0;t=31")], Some(31));
        check(&[("ratelimit", "\"default\";r=5;t=31")], None);
        check(&[("ratelimit-remaining", "0"), ("ratelimit-reset", "99999999")], Some(3600));
        check(&[("ratelimit-remaining", "many")], None);
    }
}
