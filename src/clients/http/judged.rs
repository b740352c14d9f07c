//! Names resolved for a client that is sent on by others: what may be sent to nobody is no address of a name.
//!
//! It is asked by whoever connects, so that nothing can change between the judgement and the connection. An address in a
//! URL is not resolved, and what a proxy is asked for is resolved by the proxy: neither comes this way.

use crate::model::address::{Reach, reach};
use crate::model::text;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Resolves names; those of others than the host itself only to where anybody may be sent.
#[derive(Clone)]
pub struct Judged {
    own: Arc<str>,
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
        Self { own: own.into(), names }
    }
}

impl Resolve for Judged {
    fn resolve(&self, name: Name) -> Resolving {
        if name.as_str() == &*self.own {
            return self.names.resolve(name);
        }
        let shown = text::shown(name.as_str());
        let found = self.names.resolve(name);
        Box::pin(async move { Ok(Box::new(judged(shown, found.await?)?.into_iter()) as Addrs) })
    }
}

/// Those of a name's addresses where anybody may be sent; an error where it has only others.
fn judged(name: String, found: impl Iterator<Item = SocketAddr>) -> Result<Vec<SocketAddr>, Nowhere> {
    let (mut good, mut refused) = (Vec::new(), None);
    for address in found {
        match reach(address.ip()) {
            Reach::Never(what) => refused = refused.or(Some((address.ip(), what))),
            Reach::Public | Reach::Private | Reach::Loopback => good.push(address),
        }
    }
    match refused {
        Some((address, what)) if good.is_empty() => Err(Nowhere { name, address, what }),
        _ => Ok(good),
    }
}

/// A name that leads nowhere that anybody may be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name} is at {address}, {what}, where nobody is sent by others: correct the address of that name, or whatever names it"
)]
pub(super) struct Nowhere {
    name: String,
    address: IpAddr,
    what: &'static str,
}

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
            match (judged("auth.example.com".to_owned(), addresses(found).into_iter()), expected) {
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

    #[tokio::test]
    async fn the_machine_knows_itself() {
        let found = Judged::of("reg.example.com").resolve("localhost".parse().expect("a name")).await;
        let found: Vec<SocketAddr> = found.expect("an address").collect();
        assert!(!found.is_empty() && found.iter().all(|address| address.ip().is_loopback()), "{found:?}");
    }
}
