//! Where an SQS queue is, as its URL says: its region, and the host of the API that answers for it.
//!
//! Source: "Amazon SQS endpoints and quotas" and "Identifiers for Amazon SQS queues" of Amazon's documentation.

use super::ecr::{ACCOUNT_DIGITS, SUFFIXES};

/// How long a queue's name is at the most, its `.fifo` included.
const NAME_BYTES_MAX: usize = 80;
/// The region of the URLs that name none.
const FIRST_REGION: &str = "us-east-1";

/// A queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Its URL: what it is called in requests.
    pub url: String,
    /// Its region.
    pub region: String,
    /// The host of the API.
    pub api: String,
}

impl Queue {
    /// The queue of a URL; none where that is no queue's of Amazon's.
    #[must_use]
    pub fn of(url: &str) -> Option<Self> {
        let (host, path) = url.strip_prefix("https://")?.split_once('/')?;
        let (account, name) = path.split_once('/')?;
        let is_account = account.len() == ACCOUNT_DIGITS && account.bytes().all(|byte| byte.is_ascii_digit());
        let bare = name.strip_suffix(".fifo").unwrap_or(name);
        let is_name = !bare.is_empty() && bare.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if !is_account || !is_name || name.len() > NAME_BYTES_MAX {
            return None;
        }
        let (region, api) = place(host)?;
        Some(Self { url: url.to_owned(), region, api })
    }
}

/// The region of a host, and the API there. Hosts of older URLs speak no JSON: the usual one is asked in their place.
fn place(host: &str) -> Option<(String, String)> {
    SUFFIXES.iter().find_map(|(v4, both)| {
        let usual = |region: &str| (region.to_owned(), format!("sqs.{region}.{v4}"));
        let of_suffix = |suffix: &str| host.strip_suffix(suffix)?.strip_suffix('.');
        if let Some(rest) = both.and_then(|(_, apis)| of_suffix(apis)).or_else(|| of_suffix(v4)) {
            let named = rest.strip_prefix("sqs.").or_else(|| rest.strip_prefix("sqs-fips."));
            if let Some(region) = named.filter(|region| is_region(region)) {
                return Some((region.to_owned(), host.to_owned()));
            }
        }
        let older = of_suffix(v4)?;
        if older == "queue" && *v4 == "amazonaws.com" {
            return Some(usual(FIRST_REGION));
        }
        older.strip_suffix(".queue").filter(|region| is_region(region)).map(usual)
    })
}

fn is_region(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let check = |url: &str, expected: Option<(&str, &str)>| {
            let queue = Queue::of(url);
            assert_eq!(queue.as_ref().map(|queue| (queue.region.as_str(), queue.api.as_str())), expected, "{url}");
        };
        let at = |host: &str| format!("https://{host}/123456789012/tagrelay");
        check(&at("sqs.eu-west-1.amazonaws.com"), Some(("eu-west-1", "sqs.eu-west-1.amazonaws.com")));
        check(
            &at("sqs-fips.us-gov-west-1.amazonaws.com"),
            Some(("us-gov-west-1", "sqs-fips.us-gov-west-1.amazonaws.com")),
        );
        check(&at("sqs.eu-west-1.api.aws"), Some(("eu-west-1", "sqs.eu-west-1.api.aws")));
        check(&at("sqs.cn-north-1.amazonaws.com.cn"), Some(("cn-north-1", "sqs.cn-north-1.amazonaws.com.cn")));
        check(&at("sqs.eusc-de-east-1.amazonaws.eu"), Some(("eusc-de-east-1", "sqs.eusc-de-east-1.amazonaws.eu")));
        check(&at("eu-west-1.queue.amazonaws.com"), Some(("eu-west-1", "sqs.eu-west-1.amazonaws.com")));
        check(&at("queue.amazonaws.com"), Some(("us-east-1", "sqs.us-east-1.amazonaws.com")));
        check(
            "https://sqs.eu-west-1.amazonaws.com/123456789012/in_order-1.fifo",
            Some(("eu-west-1", "sqs.eu-west-1.amazonaws.com")),
        );
        for none in [
            "http://sqs.eu-west-1.amazonaws.com/123456789012/tagrelay",
            "https://sqs.eu-west-1.amazonaws.com/123456789012/",
            "https://sqs.eu-west-1.amazonaws.com/123456789012",
            "https://sqs.eu-west-1.amazonaws.com/1234/tagrelay",
            "https://sqs.eu-west-1.amazonaws.com/123456789012/a/b",
            "https://sqs.eu-west-1.amazonaws.com/123456789012/tagrelay?x=y",
            "https://sqs.eu-west-1.amazonaws.com:444/123456789012/tagrelay",
            "https://me@sqs.eu-west-1.amazonaws.com/123456789012/tagrelay",
            "https://sqs..amazonaws.com/123456789012/tagrelay",
            "https://sqs.eu-west-1.amazonaws.com.evil.example/123456789012/tagrelay",
            "https://evil.example/sqs.eu-west-1.amazonaws.com/123456789012/tagrelay",
            "https://sns.eu-west-1.amazonaws.com/123456789012/tagrelay",
            "arn:aws:sqs:eu-west-1:123456789012:tagrelay",
        ] {
            check(none, None);
        }
        check(&format!("{}{}", at("sqs.eu-west-1.amazonaws.com"), "x".repeat(80)), None);
    }
}
