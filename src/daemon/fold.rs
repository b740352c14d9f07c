//! Old entries of the journal are folded into its checkpoint (`journal.keep`), beside the loop and a few at a time, so that
//! other writers wait for milliseconds at most.

use super::Daemon;
use crate::journal::Journal;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long after the start the first entries are folded: a daemon that starts has more urgent things to do.
const FIRST_AFTER: Duration = Duration::from_secs(60);
/// How long after that again.
const EVERY: Duration = Duration::from_secs(3600);
/// How long other writers have the journal to themselves between two steps.
const PAUSE: Duration = Duration::from_millis(50);

/// When entries are folded next, and the task that folds them.
#[derive(Debug)]
pub(super) struct Folding {
    due_at: Instant,
    task: Option<JoinHandle<()>>,
}

impl Folding {
    /// Nothing was folded yet by this process.
    pub(super) fn new(now: Instant) -> Self {
        Self { due_at: now + FIRST_AFTER, task: None }
    }

    fn is_due(&self, now: Instant) -> bool {
        self.due_at <= now && self.task.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Daemon {
    /// Begins to fold entries that are older than the configuration keeps them, where it is time. While the clock is in
    /// doubt, or no server was heard that agrees with it, nobody knows which are.
    pub(super) fn fold_when_due(&mut self) {
        let Some(keep) = self.config.journal.keep else { return };
        let (now, due_now) = (self.clock.now(), Instant::now());
        let is_heard = !self.clients.server_times.all().is_empty();
        let is_sure = is_heard && self.memory.doubt.is_none() && self.journal_watch.trouble().is_none();
        if !is_sure || !self.journal.is_writable() || !self.folding.is_due(due_now) {
            return;
        }
        let keep = SignedDuration::try_from(keep.get()).unwrap_or(SignedDuration::MAX);
        let cutoff = now.saturating_sub(keep).unwrap_or(Timestamp::MIN);
        let (journal, stop) = (self.journal.clone(), self.stop.clone());
        let task = self.tasks.spawn(async move { fold(&journal, cutoff, now, &stop).await });
        self.folding = Folding { due_at: due_now + EVERY, task: Some(task) };
    }
}

async fn fold(journal: &Arc<Journal>, cutoff: Timestamp, now: Timestamp, stop: &CancellationToken) {
    let mut n_folded = 0;
    while !stop.is_cancelled() {
        match journal.fold_before(cutoff, now).await {
            Ok(0) => break,
            Ok(n) => n_folded += n,
            Err(error) => {
                tracing::error!(%error, "old entries of the journal stay, and are tried again in an hour: {error}");
                break;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    if n_folded > 0 {
        tracing::info!("{n_folded} entries of the journal from before {cutoff:.0} were folded into its checkpoint");
    }
}
