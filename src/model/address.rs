//! Whom an IP address belongs to, for those who are sent somewhere by others.
//!
//! It resolves no name, and decides nothing.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whom an address belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Anybody.
    Public,
    /// This machine.
    Loopback,
    /// This machine's network.
    Private,
    /// Nobody that anybody else may send us to, and why.
    Never(&'static str),
}

/// Whom an address belongs to (IANA special-purpose registries; the metadata services of the clouds).
#[must_use]
pub fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(v4) => reach_v4(v4),
        IpAddr::V6(v6) => embedded(v6).map_or_else(|| reach_v6(v6), reach_v4),
    }
}

fn reach_v4(address: Ipv4Addr) -> Reach {
    match address.octets() {
        [169, 254, ..] => Reach::Never("a link-local address, where clouds keep their metadata"),
        // Alibaba, Azure and Oracle keep theirs elsewhere.
        [100, 100, 100, 200] | [168, 63, 129, 16] | [192, 0, 0, 192] => Reach::Never("a cloud's metadata service"),
        [0, ..] => Reach::Never("an unspecified address"),
        [224..=255, ..] => Reach::Never("a multicast or reserved address"),
        [127, ..] => Reach::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Reach::Private,
        // Shared between providers, kept for protocols, kept for benchmarks.
        [100, 64..=127, ..] | [192, 0, 0, _] | [198, 18..=19, ..] => Reach::Private,
        _ => Reach::Public,
    }
}

fn reach_v6(address: Ipv6Addr) -> Reach {
    match address.segments() {
        [0xfe80..=0xfebf, ..] => Reach::Never("a link-local address"),
        // AWS (instances, pods and tasks) and Google.
        [0xfd00, 0x0ec2, ..] | [0xfd20, 0x00ce, ..] => Reach::Never("a cloud's metadata service"),
        [0, 0, 0, 0, 0, 0, 0, 0] => Reach::Never("an unspecified address"),
        [0xff00..=0xffff, ..] => Reach::Never("a multicast address"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Reach::Loopback,
        // Unique local, and the site-local ones that they replaced.
        [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => Reach::Private,
        // Translated into an IPv4 network by a rule of that network (RFC 8215).
        [0x0064, 0xff9b, 1, ..] => Reach::Private,
        // Teredo hides the address of its far end.
        [0x2001, 0, ..] => Reach::Never("a tunnel's address"),
        _ => Reach::Public,
    }
}

/// The IPv4 address that an IPv6 address stands for: mapped, compatible, translated (RFC 6052) or 6to4 (RFC 3056).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0..=1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x0064, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_belong_to_somebody() {
        let check = |address: &str, expected: &str| {
            let reach = format!("{:?}", reach(address.parse().expect("an address")));
            assert!(reach.starts_with(expected), "{address}: {reach}");
        };
        for public in ["8.8.8.8", "172.32.0.1", "100.128.0.1", "192.0.2.1", "2606:4700::1111", "::ffff:8.8.8.8"] {
            check(public, "Public");
        }
        for own in ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::127.0.0.1"] {
            check(own, "Loopback");
        }
        for private in [
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "198.18.0.1",
            "192.0.0.8",
            "fd12:3456::1",
            "fc00::1",
            "fec0::1",
            "::ffff:0:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "2002:c0a8:0101::1",
        ] {
            check(private, "Private");
        }
        for never in [
            "169.254.169.254",
            "169.254.170.2",
            "169.254.0.0",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "fe80::1",
            "febf::1",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
            "ff02::1",
            "2001::1",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::",
        ] {
            check(never, "Never");
        }
    }
}
