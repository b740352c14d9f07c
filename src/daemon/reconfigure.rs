//! A configuration that was read again: what counts at once is used from the next request, reading and judgement on; a
//! broken one changes nothing.

use super::Daemon;
use crate::config::{self, Config};
use crate::relay::health::Configuration;
use std::sync::Arc;
use tokio::sync::watch;

impl Daemon {
    /// The configuration that is in use, now and after it was read again.
    #[must_use]
    pub fn configuration(&self) -> watch::Receiver<Arc<Config>> {
        self.clients.configuration.subscribe()
    }

    /// Takes a configuration that was read again, or the reason why it cannot be used, with file and line.
    pub(super) async fn reconfigure(&mut self, read: Result<Config, String>) {
        let read = match read {
            Ok(read) => read,
            Err(error) => {
                tracing::error!("the configuration on disk cannot be used, and the one before stays: {error}");
                self.memory.configuration = Some(Configuration::Broken(error));
                return;
            }
        };
        let config::Reloaded { config, waiting } = config::reload(&self.config, read);
        if config.registries != self.config.registries {
            self.clients.registry.forget_hosts();
        }
        self.config = Arc::new(config);
        self.clients.configuration.send_replace(self.config.clone());
        self.memory.configuration = (!waiting.is_empty()).then_some(Configuration::Waiting(waiting));
        match &self.memory.configuration {
            None => tracing::info!("the configuration was read again, and all of it is in use"),
            Some(stale) => tracing::warn!("the configuration was read again: {stale}"),
        }
        self.judge_by_new_configuration();
    }
}
