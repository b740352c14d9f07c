//! Ports for servers that run in processes of their own.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// The first of the ports, which are below those that the system gives out by itself.
const FIRST: u32 = 20_000;
/// How many there are.
const PORTS: u32 = 10_000;

/// An address where nobody listens, for a server that begins later, or again and again. No listener that leaves its port to
/// the system takes it meanwhile, and no other test is given it.
pub(crate) fn free_address() -> SocketAddr {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    loop {
        // Test processes that run side by side begin at different places.
        let place = std::process::id().wrapping_mul(97).wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(FIRST + place % PORTS).expect("a port");
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            return listener.local_addr().expect("an address");
        }
    }
}
