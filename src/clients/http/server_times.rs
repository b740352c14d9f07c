//! What the clocks of servers said when they last answered: by them this machine's own clock is judged.

use jiff::Timestamp;
use reqwest::Url;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::Instant;

/// How many hosts are remembered: far more than it takes to judge one clock.
const HOSTS_MAX: usize = 64;

/// What a server's clock said, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerTime {
    /// The server.
    pub host: String,
    /// What its clock said.
    pub said: Timestamp,
    /// When it was heard.
    pub heard: Instant,
}

/// The clocks of the servers that answered, one for each host. A clone shares them.
#[derive(Debug, Clone, Default)]
pub struct ServerTimes(Arc<Mutex<BTreeMap<String, ServerTime>>>);

impl ServerTimes {
    /// Keeps what the server at `url` said.
    pub fn heard(&self, url: &Url, said: Timestamp) {
        let Some(name) = url.host_str() else { return };
        let host = url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"));
        let mut hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if hosts.len() >= HOSTS_MAX && !hosts.contains_key(&host) {
            let oldest = hosts.values().min_by_key(|time| time.heard).map(|time| time.host.clone());
            oldest.and_then(|oldest| hosts.remove(&oldest));
        }
        hosts.insert(host.clone(), ServerTime { host, said, heard: Instant::now() });
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> Vec<ServerTime> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_has_one_clock_and_few_are_remembered() {
        let (times, at) = (ServerTimes::default(), |second| Timestamp::from_second(second).unwrap());
        let url = |host: usize| Url::parse(&format!("https://host{host}.example.com:5000/v2/")).unwrap();
        times.heard(&url(1), at(1));
        times.heard(&url(1), at(2));
        let all = times.all();
        assert_eq!((all.len(), all[0].host.as_str(), all[0].said), (1, "host1.example.com:5000", at(2)));
        (0..2 * HOSTS_MAX).for_each(|host| times.heard(&url(host), at(3)));
        assert_eq!(times.all().len(), HOSTS_MAX);
    }
}
