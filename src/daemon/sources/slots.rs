//! How many builds are read at once: so many of one host, and so many of all.
//!
//! It spares no registry: that is the pace of its client. It bounds memory, and keeps a slow host out of the others' way.

use crate::model::budget::BUILDS_AT_ONCE;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many builds of one host are read at once: as many requests as its client sends it at once.
const OF_HOST_MAX: usize = 16;
/// How many builds are read at once in all: four hosts that answer nothing leave room for others.
const MAX: usize = BUILDS_AT_ONCE;

/// Leave to read builds.
#[derive(Debug, Clone)]
pub(in crate::daemon) struct Slots {
    all: Arc<Semaphore>,
    /// One for each host that is read of or waited for: others are forgotten.
    hosts: Arc<Mutex<BTreeMap<String, Arc<Semaphore>>>>,
}

/// Leave to read one build, until it is dropped.
#[derive(Debug)]
pub(in crate::daemon) struct Slot {
    _of_host: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Slots {
    /// All of them free.
    pub(in crate::daemon) fn new() -> Self {
        Self { all: Arc::new(Semaphore::new(MAX)), hosts: Arc::default() }
    }

    /// Waits for leave to read a build of a host; none where nothing is read any more.
    pub(in crate::daemon) async fn take(&self, host: &str) -> Option<Slot> {
        // The host's comes first: what waits for a slow host holds none of the others' places.
        let of_host = self.host(host).acquire_owned().await.ok()?;
        let of_all = self.all.clone().acquire_owned().await.ok()?;
        Some(Slot { _of_host: of_host, _of_all: of_all })
    }

    fn host(&self, host: &str) -> Arc<Semaphore> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.retain(|_, slots| Arc::strong_count(slots) > 1);
        hosts.entry(host.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(OF_HOST_MAX))).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future as _;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    /// A slot that is to be had at once.
    fn now(slots: &Slots, host: &str) -> Option<Slot> {
        match pin!(slots.take(host)).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(slot) => slot,
            Poll::Pending => None,
        }
    }

    #[test]
    fn a_slow_host_keeps_no_other_waiting() {
        let slots = Slots::new();
        let slow: Vec<Slot> = std::iter::from_fn(|| now(&slots, "slow.example.com")).collect();
        assert_eq!(slow.len(), OF_HOST_MAX);
        assert!(now(&slots, "quick.example.com").is_some());
        drop(slow);
        assert!(now(&slots, "slow.example.com").is_some());
    }

    #[test]
    fn all_hosts_together_have_a_bound_and_idle_ones_are_forgotten() {
        let slots = Slots::new();
        let held: Vec<Slot> = (0..2 * MAX).filter_map(|n| now(&slots, &format!("{n}.example.com"))).collect();
        assert_eq!(held.len(), MAX);
        drop(held);
        assert!(now(&slots, "one.example.com").is_some());
        assert_eq!(slots.hosts.lock().expect("a lock").len(), 1);
    }
}
