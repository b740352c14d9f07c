//! Where policies may send us: hosts by pattern, addresses by network and by what they belong to.
//!
//! It resolves nothing and sends nothing. A name says nothing of an address, so both are judged: the host before it is
//! resolved, and each address before it is connected to.

use crate::model::address::{Reach, reach};
use crate::model::{Network, text};
use globset::{Glob, GlobSet, GlobSetBuilder};
use reqwest::Url;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Where policies may send us.
#[derive(Debug, Clone)]
pub struct Egress {
    /// None bounds nothing.
    allow: Option<Allowed>,
    private: bool,
    own: Option<SocketAddr>,
}

/// What `egress.allow` names.
#[derive(Debug, Clone)]
struct Allowed {
    hosts: GlobSet,
    networks: Vec<Network>,
}

/// Why a check may not go there, or a pattern that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    /// The pattern of `egress.allow` cannot be read.
    #[error("egress.allow: `{pattern}` is no pattern: {reason}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// Why not.
        reason: String,
    },
    /// The URL is not for a check.
    #[error("{0}")]
    Url(String),
    /// No pattern allows the host.
    #[error("host {0} is not allowed: add it to `egress.allow` in the configuration, or correct the URL")]
    Host(String),
    /// The address is private.
    #[error(
        "{host} is at {address}, a private address: name the host or its network in `egress.allow` of the configuration"
    )]
    Private {
        /// The host.
        host: String,
        /// Its address.
        address: IpAddr,
    },
    /// Nothing allows the address.
    #[error("{host} is at {address}, {what}: nothing that a policy names may be there")]
    Never {
        /// The host.
        host: String,
        /// Its address.
        address: IpAddr,
        /// What it is.
        what: &'static str,
    },
}

impl Egress {
    /// Bounds of these patterns over hosts and these networks (none bounds nothing, an empty list forbids all checks).
    ///
    /// What they name may be private. `private` admits all private and loopback addresses; `own` is where we listen, which
    /// is never admitted.
    ///
    /// # Errors
    /// [`EgressError::Pattern`] for a pattern that cannot be read.
    pub fn new(allow: Option<&[String]>, private: bool, own: Option<SocketAddr>) -> Result<Self, EgressError> {
        let allow = allow.map(Allowed::parse).transpose()?;
        Ok(Self { allow, private, own })
    }

    /// Whether a check may ask this URL's host, as far as the name tells. The host is handed out as it was judged.
    ///
    /// # Errors
    /// When the URL is not plain HTTP(S) to a host that is allowed.
    pub fn admits_host<'a>(&self, url: &'a Url) -> Result<&'a str, EgressError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(EgressError::Url(format!("a check asks http:// and https:// URLs, not {}:", url.scheme())));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EgressError::Url("a check's URL may hold no user and no password".to_owned()));
        }
        let host = url.host_str().unwrap_or_default();
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        // Which network a name leads to is not known yet.
        let may_be = |allow: &Allowed| allow.names(host) || !allow.networks.is_empty();
        if self.allow.as_ref().is_none_or(may_be) { Ok(host) } else { Err(EgressError::Host(text::shown(host))) }
    }

    /// Whether a check may connect to this address of the host; `is_here` says whether it is one of this machine's.
    ///
    /// # Errors
    /// When it belongs to nobody that a check may speak to, is private without leave, or is our own listener.
    pub fn admits_address(&self, host: &str, address: SocketAddr, is_here: bool) -> Result<(), EgressError> {
        self.admits(host, address, is_here)?;
        let is_named = self.is_named(host, address.ip());
        if self.allow.is_none() || is_named { Ok(()) } else { Err(EgressError::Host(text::shown(host))) }
    }

    /// Whether a registry that only policies name may be at this address: a public one, or one that `allow` names.
    ///
    /// # Errors
    /// As [`Self::admits_address`].
    pub fn admits_registry(&self, host: &str, address: SocketAddr) -> Result<(), EgressError> {
        let may_be_ours = self.own.is_some_and(|own| own.port() == address.port());
        self.admits(host, address, may_be_ours && is_here(address))
    }

    fn admits(&self, host: &str, address: SocketAddr, is_here: bool) -> Result<(), EgressError> {
        let ip = address.ip();
        let never = |what| Err(EgressError::Never { host: text::shown(host), address: ip, what });
        if self.is_own(address, is_here) {
            return never("tagrelay's own listener");
        }
        match reach(ip) {
            Reach::Never(what) => never(what),
            Reach::Loopback | Reach::Private if !self.private && !self.is_named(host, ip) => {
                Err(EgressError::Private { host: text::shown(host), address: ip })
            }
            Reach::Loopback | Reach::Private | Reach::Public => Ok(()),
        }
    }

    fn is_named(&self, host: &str, ip: IpAddr) -> bool {
        let holds = |allow: &Allowed| allow.networks.iter().any(|network| network.contains(ip));
        self.allow.as_ref().is_some_and(|allow| allow.names(host) || holds(allow))
    }

    fn is_own(&self, address: SocketAddr, is_here: bool) -> bool {
        self.own.is_some_and(|own| {
            let is_same = own.ip().to_canonical() == address.ip().to_canonical();
            own.port() == address.port() && (is_same || own.ip().is_unspecified() && is_here)
        })
    }
}

impl Allowed {
    fn parse(texts: &[String]) -> Result<Self, EgressError> {
        let (mut hosts, mut networks) = (GlobSetBuilder::new(), Vec::new());
        let wrong = |pattern: &str, reason: &str| EgressError::Pattern {
            pattern: text::shown(pattern),
            reason: text::shown(reason),
        };
        for text in texts {
            match Network::parse(text) {
                Some(network) => networks.push(network),
                None if text.contains('/') => return Err(wrong(text, "a network is written as in 10.20.0.0/16")),
                None => {
                    let glob = Glob::new(&text.to_ascii_lowercase());
                    hosts.add(glob.map_err(|error| wrong(text, &error.kind().to_string()))?);
                }
            }
        }
        let hosts = hosts.build().map_err(|error| wrong("", &error.kind().to_string()))?;
        Ok(Self { hosts, networks })
    }

    fn names(&self, host: &str) -> bool {
        self.hosts.is_match(host.trim_end_matches('.').to_ascii_lowercase())
    }
}

/// Whether an address is one of this machine's: then the way to it begins at it. Nothing is sent to find out.
#[must_use]
pub fn is_here(address: SocketAddr) -> bool {
    let ip = address.ip().to_canonical();
    let any: IpAddr = if ip.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let begins_at = || {
        let socket = UdpSocket::bind((any, 0)).ok()?;
        socket.connect((ip, address.port())).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    ip.is_loopback() || begins_at() == Some(ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_judged_as_they_will_be_resolved() {
        let egress = |allow: Option<&[&str]>| {
            let allow = allow.map(|all| all.iter().map(|&text| text.to_owned()).collect::<Vec<_>>());
            Egress::new(allow.as_deref(), false, None).expect("patterns")
        };
        let check = |allow: Option<&[&str]>, url: &str, expected: Result<&str, &str>| {
            let url = Url::parse(url).expect("a URL");
            match (egress(allow).admits_host(&url), expected) {
                (Ok(host), Ok(expected)) => assert_eq!(host, expected),
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
                (other, expected) => panic!("{url}: {other:?}, expected {expected:?}"),
            }
        };
        let ours: Option<&[&str]> = Some(&["*.Example.com", "10.0.*"]);
        check(None, "https://anything.net/", Ok("anything.net"));
        check(Some(&[]), "https://anything.net/", Err("anything.net is not allowed"));
        check(ours, "https://dev.shop.EXAMPLE.com/healthz", Ok("dev.shop.example.com"));
        check(ours, "https://a.example.com./", Ok("a.example.com."));
        check(ours, "https://example.com.evil.net/", Err("is not allowed"));
        check(ours, "https://evil.net/?.example.com", Err("is not allowed"));
        check(ours, "https://evil.net#.example.com", Err("is not allowed"));
        check(ours, "https://x.example.com@evil.net/", Err("no user"));
        check(ours, "http://10.0.1.2:8080/", Ok("10.0.1.2"));
        // However an address is written, it is judged as the address that it is.
        check(ours, "http://0x0a.0.1.2/", Ok("10.0.1.2"));
        check(ours, "http://167772418/", Ok("10.0.1.2"));
        check(ours, "http://2130706433/", Err("127.0.0.1 is not allowed"));
        check(None, "http://[::ffff:7f00:1]/", Ok("::ffff:7f00:1"));
        check(None, "file:///etc/passwd", Err("not file:"));
        check(None, "ftp://example.com/", Err("not ftp:"));
        assert!(matches!(Egress::new(Some(&["[".to_owned()]), false, None), Err(EgressError::Pattern { .. })));
    }

    #[test]
    fn what_is_named_may_be_private() {
        let allow = ["*.example.com", "10.20.0.0/16", "fd12:3456::/32", "192.168.1.7"].map(str::to_owned);
        let egress = Egress::new(Some(&allow), false, Some("127.0.0.1:8080".parse().expect("an address")));
        let egress = egress.expect("patterns");
        for (host, address, check, registry) in [
            ("shop.example.com", "10.9.9.9:443", true, true),
            ("SHOP.example.com.", "127.0.0.1:443", true, true),
            ("shop.example.com", "127.0.0.1:8080", false, false),
            ("shop.example.com", "169.254.169.254:80", false, false),
            ("evil.net", "10.20.255.1:443", true, true),
            ("evil.net", "[::ffff:10.20.255.1]:443", true, true),
            ("evil.net", "10.21.0.1:443", false, false),
            ("evil.net", "[fd12:3456:1::1]:443", true, true),
            ("evil.net", "[fd12:3457::1]:443", false, false),
            ("evil.net", "192.168.1.7:443", true, true),
            ("evil.net", "192.168.1.8:443", false, false),
            // A check goes only where `allow` says, a registry anywhere in public.
            ("ghcr.io", "140.82.112.33:443", false, true),
        ] {
            let address = address.parse().expect("an address");
            assert_eq!(egress.admits_address(host, address, false).is_ok(), check, "{host} {address}");
            assert_eq!(egress.admits_registry(host, address).is_ok(), registry, "{host} {address}");
        }
        let url = Url::parse("https://evil.net/").expect("a URL");
        assert!(egress.admits_host(&url).is_ok(), "it may lead into a network that is named");
        for wrong in ["10.0.0.0/33", "10.0.0/8", "*/8", "::/129"] {
            assert!(Egress::new(Some(&[wrong.to_owned()]), false, None).is_err(), "{wrong}");
        }
    }

    #[test]
    fn addresses_need_leave() {
        let check = |private: bool, own: Option<&str>, address: &str, is_here: bool, expected: Option<&str>| {
            let own = own.map(|own| own.parse().expect("an address"));
            let egress = Egress::new(None, private, own).expect("no patterns");
            let judged = egress.admits_address("shop", address.parse().expect("an address"), is_here);
            let error = judged.err().map(|error| error.to_string());
            match (error, expected) {
                (None, None) => {}
                (Some(error), Some(part)) => assert!(error.contains(part), "{error}"),
                (error, expected) => panic!("{address}: {error:?}, expected {expected:?}"),
            }
        };
        check(false, None, "8.8.8.8:443", false, None);
        check(
            false,
            None,
            "10.0.0.1:443",
            false,
            Some("shop is at 10.0.0.1, a private address: name the host or its network in `egress.allow`"),
        );
        check(true, None, "10.0.0.1:443", false, None);
        check(true, None, "127.0.0.1:8080", true, None);
        check(true, None, "169.254.169.254:80", false, Some("metadata"));
        check(true, Some("127.0.0.1:8080"), "127.0.0.1:8080", true, Some("own listener"));
        check(true, Some("127.0.0.1:8080"), "[::ffff:127.0.0.1]:8080", true, Some("own listener"));
        check(true, Some("127.0.0.1:8080"), "127.0.0.1:8081", true, None);
        check(true, Some("0.0.0.0:8080"), "10.0.0.7:8080", true, Some("own listener"));
        check(true, Some("0.0.0.0:8080"), "10.0.0.8:8080", false, None);
        check(true, Some("[::]:8080"), "127.0.0.1:8080", true, Some("own listener"));
    }
}
