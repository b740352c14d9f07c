//! The sender of one GitLab project: rows go out in order, and each state arrives once, whenever we were killed.

use crate::clients::gitlab::{self, DeploymentId, GitLab};
use crate::journal::{Journal, JournalError, Outgoing, RowStatus};
use crate::model::text;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::Told;
use jiff::SignedDuration;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How long a row that failed waits at first; each further failure doubles it.
const RETRY_MIN: SignedDuration = SignedDuration::from_secs(2);
/// How long it waits at the most.
const RETRY_MAX: SignedDuration = SignedDuration::from_secs(300);
/// How long the sender sleeps when nothing waits.
const IDLE: Duration = Duration::from_secs(60);

/// Sends the rows of one project.
pub(super) struct Outbox {
    pub(super) project: String,
    pub(super) gitlab: GitLab,
    pub(super) journal: Arc<Journal>,
    pub(super) clock: super::clock::Clock,
    pub(super) metrics: Metrics,
    pub(super) wake: Arc<Notify>,
    pub(super) stop: CancellationToken,
}

impl Outbox {
    /// Sends until the daemon stops; a row in hand is finished first.
    pub(super) async fn run(self) {
        while !self.stop.is_cancelled() {
            let pause = match self.next().await {
                Ok(None) => continue,
                Ok(Some(pause)) => pause,
                Err(error) => {
                    tracing::error!(gitlab.project = %self.project, error = %error, "the outbox could not be read");
                    IDLE
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.wake.notified() => {}
                () = self.stop.cancelled() => {}
            }
        }
    }

    /// Sends the first row that waits; returns how long to sleep, or nothing when the next may go at once.
    async fn next(&self) -> Result<Option<Duration>, JournalError> {
        let rows = self.journal.pending(&self.project).await?;
        let Some(first) = rows.first() else { return Ok(Some(IDLE)) };
        if let Some(at) = first.next_try {
            let left = self.clock.until(at);
            if !left.is_zero() {
                return Ok(Some(left.min(IDLE)));
            }
        }
        self.send(first).await?;
        Ok(None)
    }

    async fn send(&self, kept: &Outgoing) -> Result<(), JournalError> {
        let row = &kept.row;
        let is_intended = kept.status == RowStatus::Intended;
        let known = self.journal.deployment_of(row).await?.map(DeploymentId);
        let last = self.journal.last_deployment(&row.project, &row.environment).await?.map(DeploymentId);
        self.journal.mark_intended(kept.id).await?;
        let begun = tokio::time::Instant::now();
        let sent = gitlab::send(&self.gitlab, row, known, last, is_intended).await;
        let told = match &sent {
            Ok(_) => Told::Sent,
            Err(error) if error.is_final() => Told::Parked,
            Err(_) => Told::PutOff,
        };
        self.metrics.reported(row.state, told, begun.elapsed());
        match sent {
            Ok(sent) => {
                if let Some(remark) = &sent.remark {
                    tracing::warn!(gitlab.project = %row.project, "{remark}");
                }
                tracing::info!(
                    gitlab.project = %row.project,
                    deployment.id = sent.id.0,
                    "told {} that rollout {} in {} is {}", row.project, row.rollout, row.environment, row.state
                );
                self.journal.mark_sent(kept.id, Some(sent.id.0)).await
            }
            Err(error) if error.is_final() => {
                let reason = text::shown(&error.to_string());
                tracing::error!(gitlab.project = %row.project, error = %error, "a report is parked: {error}");
                self.journal.park(kept.id, &reason).await
            }
            Err(error) => {
                let doubled = 2_i32.saturating_pow(u32::try_from(kept.attempts).unwrap_or(u32::MAX));
                let grown = RETRY_MIN.checked_mul(doubled).map_or(RETRY_MAX, |pause| pause.min(RETRY_MAX));
                let asked = error.retry_after().and_then(|asked| SignedDuration::try_from(asked).ok());
                let now = self.clock.now();
                let at = now.saturating_add(asked.map_or(grown, |asked| asked.max(RETRY_MIN))).unwrap_or(now);
                tracing::warn!(gitlab.project = %row.project, error = %error, "a report is put off until {at:.0}: {error}");
                self.journal.retry_later(kept.id, at, &text::shown(&error.to_string())).await
            }
        }
    }
}
