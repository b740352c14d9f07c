//! Where a registry may send us: what a realm, a redirect or a next page may point at.
//!
//! It judges URLs by their text and resolves no name: where a name leads is judged by the client, when it connects.

use crate::model::address::{Reach, reach};
use reqwest::Url;
use std::net::IpAddr;

/// Names that clouds give their metadata services, which hand out credentials to whoever asks from inside.
const METADATA_HOSTS: [&str; 3] = ["metadata", "metadata.google.internal", "instance-data"];

/// What is not for others to send us to.
#[derive(Debug, PartialEq, Eq)]
enum Inner {
    Machine,
    Cloud,
}

/// Whether both are of one scheme, host and port: what may see the same credentials (CVE-2020-15157).
pub(super) fn same(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme() && a.host_str() == b.host_str() && a.port_or_known_default() == b.port_or_known_default()
}

/// Refuses a URL that the registry at `registry` should not send us to, with the reason.
///
/// The rule is go-containerregistry's: no way back into our own machine or its cloud, and no way out of TLS.
pub(super) fn may_lead_to(registry: &Url, target: &Url) -> Result<(), &'static str> {
    if same(registry, target) {
        return Ok(());
    }
    match target.scheme() {
        "https" => (),
        "http" if registry.scheme() == "http" => (),
        "http" => return Err("it leads out of TLS"),
        _ => return Err("it is no web address"),
    }
    match inner(target) {
        None => Ok(()),
        // Whoever is in there itself may have its realm there.
        inside if inside == inner(registry) => Ok(()),
        Some(Inner::Machine) => Err("it leads to our own machine"),
        Some(Inner::Cloud) => Err("it leads to a metadata service, or to no host"),
    }
}

fn inner(url: &Url) -> Option<Inner> {
    let host = url.host_str().unwrap_or_default();
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    match host.trim_matches(['[', ']']).parse::<IpAddr>().map(reach) {
        Ok(Reach::Never(_)) => Some(Inner::Cloud),
        Ok(Reach::Loopback) => Some(Inner::Machine),
        Ok(Reach::Private | Reach::Public) => None,
        Err(_) if name == "localhost" || name.ends_with(".localhost") => Some(Inner::Machine),
        Err(_) => (name.is_empty() || METADATA_HOSTS.contains(&name.as_str())).then_some(Inner::Cloud),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_lead_nowhere_dangerous() {
        let check = |registry: &str, target: &str, expected: bool| {
            let [from, to] = [registry, target].map(|url| Url::parse(url).expect("a URL"));
            assert_eq!(may_lead_to(&from, &to).is_ok(), expected, "{registry} -> {target}");
        };
        let remote = "https://reg.example.com/";
        check(remote, "https://reg.example.com/token", true);
        check(remote, "https://auth.example.com/token", true);
        check(remote, "https://10.0.0.5/token", true);
        for trap in [
            "http://reg.example.com/token",
            "ftp://reg.example.com/token",
            "https://localhost/token",
            "https://LOCALHOST./token",
            "https://x.localhost/token",
            "https://127.0.0.1/token",
            "https://2130706433/token",
            "https://0.0.0.0/token",
            "https://169.254.169.254/latest/meta-data/",
            "https://metadata.google.internal/",
            "https://[::1]/token",
            "https://[::ffff:127.0.0.1]/token",
            "https://[::ffff:169.254.169.254]/token",
            "https://[::ffff:a9fe:a9fe]/token",
            "https://[64:ff9b::169.254.169.254]/token",
            "https://169.254.170.23/v1/credentials",
            "https://100.100.100.200/latest/meta-data/",
            "https://168.63.129.16/token",
            "https://metadata.google.internal./token",
            "https://METADATA/token",
            "https://[fe80::1]/token",
            "https://[fd00:ec2::254]/token",
        ] {
            check(remote, trap, false);
        }
        for trap in ["http://169.254.169.254/", "http://metadata.google.internal/", "http://[fd00:ec2::254]/"] {
            check("http://127.0.0.1:5000/", trap, false);
            check("http://reg.internal:5000/", trap, false);
        }
        check("http://127.0.0.1:5000/", "http://127.0.0.1:5001/token", true);
        check("http://localhost:5000/", "http://127.0.0.1:5000/token", true);
        check("http://reg.internal:5000/", "http://auth.internal/token", true);
        check("http://reg.internal:5000/", "http://127.0.0.1/token", false);
    }

    #[test]
    fn origins() {
        let check = |a: &str, b: &str, expected: bool| {
            let [a, b] = [a, b].map(|url| Url::parse(url).expect("a URL"));
            assert_eq!(same(&a, &b), expected, "{a} {b}");
        };
        check("https://a/x", "https://A:443/y", true);
        check("https://a/", "http://a/", false);
        check("https://a/", "https://a:8443/", false);
        check("https://a/", "https://a.b/", false);
    }
}
