//! The sender of one GitLab project: the rows of each environment go out in order, and each state arrives once, whenever
//! we were killed. A row that waits holds back its environment's alone.

use crate::clients::gitlab::{self, DeploymentId, GitLab, GitLabError};
use crate::journal::{Journal, JournalError, Outgoing, RowStatus};
use crate::model::text;
use crate::relay::report::{Row, State};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::Told;
use jiff::SignedDuration;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How long a row that failed waits at first; each further failure doubles it.
const RETRY_MIN: SignedDuration = SignedDuration::from_secs(2);
/// How long it waits at the most for a GitLab that is ill.
const RETRY_MAX: SignedDuration = SignedDuration::from_secs(300);
/// How long it waits at the most for a person, who may mend it on Monday; `tagrelay reports retry` waits for nothing.
const PERSON_RETRY_MAX: SignedDuration = SignedDuration::from_secs(60 * 60);
/// How long the sender sleeps when nothing waits.
const IDLE: Duration = Duration::from_secs(60);

/// Sends the rows of one project.
pub(in crate::daemon) struct Outbox {
    pub(in crate::daemon) project: String,
    pub(in crate::daemon) gitlab: GitLab,
    pub(in crate::daemon) journal: Arc<Journal>,
    pub(in crate::daemon) clock: crate::daemon::clock::Clock,
    pub(in crate::daemon) metrics: Metrics,
    pub(in crate::daemon) wake: Arc<Notify>,
    pub(in crate::daemon) stop: CancellationToken,
}

impl Outbox {
    /// Sends until the daemon stops; a row in hand is finished first.
    pub(in crate::daemon) async fn run(self) {
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

    /// Sends the first row that is due; returns how long to sleep, or nothing when the next may go at once.
    async fn next(&self) -> Result<Option<Duration>, JournalError> {
        let rows = self.journal.next_rows(&self.project).await?;
        let left = |row: &Outgoing| row.next_try.map_or(Duration::ZERO, |at| self.clock.until(at));
        if let Some(due) = rows.iter().find(|row| left(row).is_zero()) {
            self.send(due).await?;
            return Ok(None);
        }
        Ok(Some(rows.iter().map(left).min().unwrap_or(IDLE).min(IDLE)))
    }

    async fn send(&self, kept: &Outgoing) -> Result<(), JournalError> {
        let row = &kept.row;
        if row.is_of_lost_journal() {
            let ended = self.end_what_was_left(row).await?;
            return self.put_away(kept, ended.map(|()| None)).await;
        }
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
        if let Ok(sent) = &sent {
            if let Some(remark) = &sent.remark {
                tracing::warn!(gitlab.project = %row.project, "{remark}");
            }
            tracing::info!(
                gitlab.project = %row.project,
                deployment.id = sent.id.0,
                "told {} that rollout {} in {} is {}", row.project, row.rollout, row.environment, row.state
            );
        }
        self.put_away(kept, sent.map(|sent| Some(sent.id))).await
    }

    /// Keeps what became of a row: GitLab took it and made this deployment, or why not.
    async fn put_away(
        &self,
        kept: &Outgoing,
        sent: Result<Option<DeploymentId>, GitLabError>,
    ) -> Result<(), JournalError> {
        let row = &kept.row;
        match sent {
            Ok(id) => self.journal.mark_sent(kept.id, id.map(|id| id.0)).await,
            Err(error) if error.is_final() => {
                let reason = text::shown(&error.to_string());
                tracing::error!(gitlab.project = %row.project, error = %error, "a report is parked: {error}");
                self.journal.park(kept.id, &reason).await
            }
            Err(error) => {
                let grown = pause(kept.attempts, &error);
                let asked = error.retry_after().and_then(|asked| SignedDuration::try_from(asked).ok());
                let now = self.clock.now();
                let at = now.saturating_add(asked.map_or(grown, |asked| asked.max(RETRY_MIN))).unwrap_or(now);
                tracing::warn!(gitlab.project = %row.project, error = %error, "a report is put off until {at:.0}: {error}");
                self.journal.retry_later(kept.id, at, &text::shown(&error.to_string())).await
            }
        }
    }

    /// Ends the deployments of our token that are `running` in an environment and that no journal knows: those that a lost
    /// one began. This sender alone makes any in its project, so none is half made meanwhile.
    async fn end_what_was_left(&self, row: &Row) -> Result<Result<(), GitLabError>, JournalError> {
        let running = match self.gitlab.running_of_our_token(&row.project, &row.environment).await {
            Ok(running) => running,
            Err(error) => return Ok(Err(error)),
        };
        for id in running {
            if self.journal.knows_deployment(&row.project, &row.environment, id.0).await? {
                continue;
            }
            match self.gitlab.update_deployment(&row.project, id, State::Canceled).await {
                Ok(_) => tracing::info!(
                    gitlab.project = %row.project,
                    deployment.id = id.0,
                    "told {} that deployment {id} in {} is canceled: no journal knows it", row.project, row.environment
                ),
                // Somebody moved it on, or may alone do so: that is no reason to tell the others nothing.
                Err(error) if error.is_final() => {
                    tracing::warn!(gitlab.project = %row.project, error = %error, "deployment {id} stays as it is: {error}");
                }
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(()))
    }
}

/// How long a row waits that was put off so often before, in a row.
fn pause(attempts: u64, error: &GitLabError) -> SignedDuration {
    let most = if error.waits_for_a_person() { PERSON_RETRY_MAX } else { RETRY_MAX };
    let doubled = 2_i32.saturating_pow(u32::try_from(attempts).unwrap_or(u32::MAX));
    RETRY_MIN.checked_mul(doubled).map_or(most, |pause| pause.min(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_mends_is_tried_ever_more_seldom_up_to_an_hour() {
        let person = GitLabError::Token("expired".to_owned());
        let ill = GitLabError::Unreachable("away".to_owned());
        for (attempts, for_a_person, for_gitlab) in
            [(0, 2, 2), (3, 16, 16), (8, 512, 300), (11, 3600, 300), (99, 3600, 300)]
        {
            assert_eq!(pause(attempts, &person).as_secs(), for_a_person, "{attempts}");
            assert_eq!(pause(attempts, &ill).as_secs(), for_gitlab, "{attempts}");
        }
    }
}
