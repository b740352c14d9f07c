//! The queue that tells of pushes to Amazon ECR, for a tagrelay that nobody can call: EventBridge puts its events there,
//! and they are read as the webhook's are.
//!
//! A message is deleted once its wake-ups were taken, or where it makes no sense. One that comes again wakes again, which
//! costs a reading; nothing else is done for it.

use super::push::{Delivery, Push};
use super::{PUSHES_MAX, ecr};
use crate::clients::aws::sqs::{Message, Sqs, SqsError};
use crate::daemon::{Handle, Refusal};
use crate::model::{Repository, Tag, text};
use crate::server::Tally;
use crate::telemetry::metrics::Delivered;
use axum::http::HeaderMap;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How its messages are counted: as the webhook's.
const SENDER: &str = "ecr";
/// How long a failed reading waits at first; each further failure doubles it.
const BACKOFF_MIN: Duration = Duration::from_secs(1);
/// How long it waits at the most.
const BACKOFF_MAX: Duration = Duration::from_secs(300);
/// The shortest time that an empty reading takes: a queue that does not wait for messages is not asked without end.
const EMPTY_MIN: Duration = Duration::from_secs(1);
/// How often messages that make no sense are told of: somebody may send many.
const NONSENSE_EVERY: Duration = Duration::from_secs(60);

/// Reads one queue while the daemon runs.
pub struct Queue {
    sqs: Sqs,
    registry: Option<String>,
    handle: Handle,
    delivered: Tally,
}

/// Why a round ended early.
enum Ended {
    /// The queue could not be read, or not emptied.
    Failed(SqsError),
    /// The daemon is stopping.
    Stopping,
}

impl From<SqsError> for Ended {
    fn from(error: SqsError) -> Self {
        Self::Failed(error)
    }
}

impl From<Refusal> for Ended {
    fn from(_: Refusal) -> Self {
        Self::Stopping
    }
}

impl Queue {
    /// Reads this queue for this daemon; policies know its registry by `registry`, where they do not say what Amazon says.
    /// It is told what became of each message.
    #[must_use]
    pub fn new(sqs: Sqs, registry: Option<String>, handle: Handle, delivered: Tally) -> Self {
        Self { sqs, registry, handle, delivered }
    }

    /// Reads until it is told to stop, and then stops at once: what was not deleted comes again at the next start.
    pub async fn run(self, stop: CancellationToken) {
        tracing::info!("pushes are told by the queue {}", self.sqs.url());
        stop.run_until_cancelled(self.read()).await;
    }

    async fn read(self) {
        let mut failures: u32 = 0;
        let mut nonsense = Nonsense::default();
        loop {
            let begun = Instant::now();
            let pause = match self.round(&mut nonsense).await {
                Ok(messages) => {
                    if failures > 0 && self.handle.queue(Ok(())).await.is_err() {
                        return;
                    }
                    failures = 0;
                    if messages == 0 { EMPTY_MIN.saturating_sub(begun.elapsed()) } else { Duration::ZERO }
                }
                Err(Ended::Stopping) => return,
                Err(Ended::Failed(error)) => {
                    (self.delivered)(SENDER, Delivered::Failed);
                    let told = format!("the queue {} could not be read and emptied: {error}", self.sqs.url());
                    if self.handle.queue(Err(told)).await.is_err() {
                        return;
                    }
                    failures = failures.saturating_add(1);
                    pause(failures)
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Waits for messages, wakes what they name, deletes them; returns how many there were.
    async fn round(&self, nonsense: &mut Nonsense) -> Result<usize, Ended> {
        let messages = self.sqs.receive().await?;
        for message in &messages {
            match self.named(message) {
                Ok(named) => {
                    for (repository, tag) in named {
                        self.handle.wake(repository, tag).await?;
                    }
                    (self.delivered)(SENDER, Delivered::Taken);
                }
                Err(error) => {
                    (self.delivered)(SENDER, Delivered::Unread);
                    nonsense.tell(message, &error, Instant::now());
                }
            }
        }
        self.sqs.delete(&messages).await?;
        Ok(messages.len())
    }

    /// What a message names.
    fn named(&self, message: &Message) -> Result<BTreeSet<(Repository, Option<Tag>)>, serde_json::Error> {
        let headers = HeaderMap::new();
        let delivery =
            Delivery { headers: &headers, body: message.body.as_bytes(), registry: self.registry.as_deref() };
        Ok(ecr::read(&delivery)?.iter().filter_map(Push::parsed).take(PUSHES_MAX).collect())
    }
}

/// How long a reading waits after so many failures in a row.
fn pause(failures: u32) -> Duration {
    BACKOFF_MIN.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(BACKOFF_MAX)
}

/// Messages that make no sense: how many were not told of, and since when.
#[derive(Default)]
struct Nonsense {
    untold: u64,
    told_at: Option<Instant>,
}

impl Nonsense {
    /// Tells of a message, unless one was told of lately.
    fn tell(&mut self, message: &Message, error: &serde_json::Error, now: Instant) {
        if self.told_at.is_some_and(|at| now < at + NONSENSE_EVERY) {
            self.untold += 1;
            return;
        }
        let (id, others) = (text::shown(&message.id), std::mem::take(&mut self.untold));
        self.told_at = Some(now);
        tracing::warn!(
            webhook.sender = SENDER,
            error = %error,
            "message {id} of the queue makes no sense and is deleted (and {others} more since the last that was told of): \
             {error}"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_wait_ever_longer() {
        for (failures, expected) in [(1, 1), (2, 2), (3, 4), (9, 256), (10, 300), (40, 300), (u32::MAX, 300)] {
            assert_eq!(pause(failures), Duration::from_secs(expected), "{failures}");
        }
    }
}
