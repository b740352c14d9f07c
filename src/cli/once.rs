//! `tagrelay once`: passes until nothing more happens by itself, then exit.

use super::run::{Opened, open};
use crate::config::Config;
use crate::daemon::Clock;
use std::sync::Arc;
use std::time::Duration;

/// How long nothing must happen before the daemon is at rest: longer than a slow answer of a registry or a push takes.
const QUIET: Duration = Duration::from_secs(5);

/// Makes passes until nothing more happens; returns whether every reading succeeded.
pub(super) async fn run(config: Arc<Config>) -> anyhow::Result<bool> {
    let Opened { daemon, handle, metrics: _ } = open(config, Clock::System).await?;
    drop(handle);
    Ok(daemon.run_until_rest(QUIET).await)
}
