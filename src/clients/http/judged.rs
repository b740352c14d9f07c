//! Names resolved for a client that is sent on by others: what may be sent to nobody is no address of a name.
//!
//! It is asked by whoever connects, so that nothing can change between the judgement and the connection. An address in a
//! URL is not resolved, and what a proxy is asked for is resolved by the proxy: neither comes this way.

use crate::clients::egress::Egress;
use crate::model::address::{Reach, reach};
use crate::model::text;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Resolves names; those of others than the host itself only to where anybody may be sent.
#[derive(Clone)]
pub struct Judged {
    own: Arc<str>,
    /// Where all names must lead, and the port that is asked; none where a person named the host.
    egress: Option<(Arc<Egress>, u16)>,
    /// Names that everybody knows and that lead nowhere but into public.
    public: &'static [&'static str],
    names: Arc<dyn Resolve>,
}

impl Judged {
    /// For a client of this host, by the names that the machine knows. The host itself was named by a person, and may be
    /// anywhere.
    #[must_use]
    pub fn of(own: &str) -> Self {
        Self::by(own, Arc::new(Machine))
    }

    /// The same, by the names that `names` knows.
    pub(in crate::clients) fn by(own: &str, names: Arc<dyn Resolve>) -> Self {
        Self { own: own.into(), egress: None, public: &[], names }
    }

    /// The same for a host that no person named: it, too, is only where `egress` admits it.
    #[must_use]
    pub fn within(self, egress: Option<Arc<Egress>>, port: u16) -> Self {
        Self { egress: egress.map(|egress| (egress, port)), ..self }
    }

    /// The same, where these names lead into public alone.
    #[must_use]
    pub fn with_public(self, public: &'static [&'static str]) -> Self {
        Self { public, ..self }
    }

    /// Why an address of a name is none, if it is none.
    fn objection(&self, name: &str, address: IpAddr) -> Option<String> {
        if let Some((egress, port)) = &self.egress {
            return egress.admits_registry(name, SocketAddr::new(address, *port)).err().map(|error| error.to_string());
        }
        let what = match reach(address) {
            _ if name == &*self.own => return None,
            Reach::Never(what) => what,
            Reach::Private | Reach::Loopback if self.public.contains(&name) => "an address inside",
            Reach::Public | Reach::Private | Reach::Loopback => return None,
        };
        Some(format!(
            "{} is at {address}, {what}, where nobody is sent by others: correct the address of that name, or whatever names it",
            text::shown(name)
        ))
    }
}

impl Resolve for Judged {
    fn resolve(&self, name: Name) -> Resolving {
        let (judge, shown) = (self.clone(), name.as_str().to_owned());
        let found = self.names.resolve(name);
        Box::pin(async move { Ok(Box::new(judge.judged(&shown, found.await?)?.into_iter()) as Addrs) })
    }
}

impl Judged {
    /// Those of a name's addresses where we may be sent; an error where it has only others.
    fn judged(&self, name: &str, found: impl Iterator<Item = SocketAddr>) -> Result<Vec<SocketAddr>, Nowhere> {
        let (mut good, mut refused) = (Vec::new(), None);
        for address in found {
            match self.objection(name, address.ip()) {
                Some(why) => refused = refused.or(Some(Nowhere(why))),
                None => good.push(address),
            }
        }
        match refused {
            Some(nowhere) if good.is_empty() => Err(nowhere),
            _ => Ok(good),
        }
    }
}

/// A name that leads nowhere that we may be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Nowhere(String);

/// The names that the machine knows, as without a resolver of our own.
struct Machine;

impl Resolve for Machine {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // Port 0 is put right by whoever connects.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?.collect::<Vec<_>>();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_a_name() {
        let check = |found: &[&str], expected: Result<&[&str], &str>| {
            let addresses = |all: &[&str]| -> Vec<SocketAddr> {
                all.iter().map(|ip| SocketAddr::new(ip.parse().expect("an address"), 0)).collect()
            };
            let judge = Judged::of("reg.example.com");
            match (judge.judged("auth.example.com", addresses(found).into_iter()), expected) {
                (Ok(good), Ok(expected)) => assert_eq!(good, addresses(expected), "{found:?}"),
                (Err(error), Err(at)) => {
                    let text = error.to_string();
                    assert!(text.starts_with(&format!("auth.example.com is at {at}, ")), "{text}");
                }
                (other, expected) => panic!("{found:?}: {other:?}, expected {expected:?}"),
            }
        };
        for good in ["8.8.8.8", "10.0.0.5", "192.168.1.1", "100.64.0.1", "127.0.0.1", "::1", "fd12:3456::1"] {
            check(&[good], Ok(&[good]));
            check(&["169.254.169.254", good, "fe80::1"], Ok(&[good]));
        }
        for never in [
            "169.254.169.254",
            "169.254.170.23",
            "168.63.129.16",
            "100.100.100.200",
            "192.0.0.192",
            "0.0.0.0",
            "fd00:ec2::254",
            "fd20:ce::254",
            "fe80::1",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
        ] {
            check(&[never], Err(never));
            check(&[never, "224.0.0.1"], Err(never));
        }
        check(&[], Ok(&[]));
    }

    #[test]
    fn a_host_that_only_policies_name_is_in_public_and_so_is_what_everybody_knows() {
        let egress = Arc::new(Egress::new(Some(&["*.corp".to_owned()]), false, None).expect("patterns"));
        let named = Judged::of("reg.example.com").with_public(&["auth.docker.io"]);
        let unnamed = named.clone().within(Some(egress), 443);
        for (name, address, by_person, by_policy) in [
            ("reg.example.com", "10.0.0.5", true, false),
            ("reg.example.com", "127.0.0.1", true, false),
            ("reg.example.com", "169.254.169.254", true, false),
            ("reg.example.com", "8.8.8.8", true, true),
            ("reg.corp", "10.0.0.5", true, true),
            ("storage.example.com", "10.0.0.5", true, false),
            ("auth.docker.io", "10.0.0.5", false, false),
            ("auth.docker.io", "8.8.8.8", true, true),
        ] {
            let found = || std::iter::once(SocketAddr::new(address.parse().expect("an address"), 0));
            assert_eq!(named.judged(name, found()).is_ok(), by_person, "{name} at {address}");
            assert_eq!(unnamed.judged(name, found()).is_ok(), by_policy, "{name} at {address}");
        }
    }

    #[tokio::test]
    async fn the_machine_knows_itself() {
        let found = Judged::of("reg.example.com").resolve("localhost".parse().expect("a name")).await;
        let found: Vec<SocketAddr> = found.expect("an address").collect();
        assert!(!found.is_empty() && found.iter().all(|address| address.ip().is_loopback()), "{found:?}");
    }
}
