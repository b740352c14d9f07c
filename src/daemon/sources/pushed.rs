//! A push that a webhook or the queue told of: who reads that repository is woken, and a registry that no policy names is
//! told of, for then a sender and the policies call one registry by two names.

use crate::daemon::Daemon;
use crate::model::{Repository, Tag, text};
use std::collections::BTreeSet;

/// The most registries that are told of by name: a sender can make up any number.
const UNKNOWN_HOSTS_MAX: usize = 32;

impl Daemon {
    /// Has a repository read now, if anything looks at this tag there.
    pub(in crate::daemon) fn wake_for(&mut self, repository: &Repository, tag: Option<&Tag>) {
        if let Some((need, wake)) = self.pollers.get(repository) {
            if tag.is_none_or(|tag| need.borrow().looks_at(tag)) {
                wake.notify_one();
            }
            return;
        }
        let hosts: BTreeSet<&str> = self.pollers.keys().map(Repository::host).collect();
        if hosts.contains(repository.host()) {
            // A registry tells of all of its repositories, and policies use some of them.
            return;
        }
        self.metrics.told_by_unknown_host();
        if self.unknown_hosts.len() < UNKNOWN_HOSTS_MAX && self.unknown_hosts.insert(repository.host().to_owned()) {
            let pushed = text::shown(&repository.to_string());
            let named = match hosts.len() {
                0 => "no policy names a registry".to_owned(),
                _ => format!("policies name {}", text::shown(&hosts.into_iter().collect::<Vec<_>>().join(", "))),
            };
            tracing::warn!(
                "a push to {pushed} was told, and no policy reads from that host: {named}. Where one of them is meant, write \
                 it as `registry` beside the sender's secret in `server.webhooks`"
            );
        }
    }
}
