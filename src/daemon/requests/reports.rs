//! What people see of the reports to GitLab, and how they have them tried again.

use crate::daemon::Daemon;
use crate::daemon::handle::Refusal;
use crate::daemon::view::ReportView;
use crate::journal::{Journal, Outgoing, RowStatus};

/// The newest reports of the journal with this id, newest first.
pub(in crate::daemon) async fn listed(journal: &Journal, id: &str, unsent: bool) -> Result<Vec<ReportView>, Refusal> {
    let reports = journal.reports(unsent).await.map_err(|error| Refusal::Unavailable(error.to_string()))?;
    Ok(reports.into_iter().map(|report| view(id, report)).collect())
}

impl Daemon {
    /// Has every sender try at once what waits for it.
    pub(in crate::daemon) async fn retry_reports(&mut self, who: &str) -> Result<String, Refusal> {
        let retried = self.journal.retry_reports().await;
        let (projects, n) = retried.map_err(|error| Refusal::Unavailable(error.to_string()))?;
        projects.iter().for_each(|project| self.wake_outbox(project));
        tracing::info!(access.name = %who, "{who} has {n} reports tried again");
        Ok(match n {
            0 => "no report waits".to_owned(),
            1 => "one report is tried again now: `tagrelay reports` shows what comes of it".to_owned(),
            n => format!("{n} reports are tried again now, in order: `tagrelay reports` shows what comes of them"),
        })
    }
}

fn view(journal: &str, report: Outgoing) -> ReportView {
    ReportView {
        id: report.id.0,
        rollout: format!("{journal}-{}", report.row.rollout),
        project: report.row.project,
        environment: report.row.environment,
        state: report.row.state.to_string(),
        status: match report.status {
            RowStatus::Sent => "sent",
            RowStatus::Pending | RowStatus::Intended => "waits",
            RowStatus::Parked => "parked",
        },
        attempts: report.attempts,
        next_try: report.next_try,
        reason: report.reason,
        deployment: report.deployment,
    }
}
