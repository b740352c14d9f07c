//! Passes until nothing more happens by itself: `tagrelay once`, `tagrelay plan` where no daemon runs, and what `tagrelay
//! doctor` asks.

use super::run::{Opened, open};
use super::{Exit, Failure, print};
use crate::config::{Config, JournalSettings, Mode};
use crate::daemon::view::{PlanView, RightView};
use crate::daemon::{Clock, Daemon, Refusal, Rest};
use crate::journal::{Journal, JournalError};
use crate::model::PolicyName;
use anyhow::Context as _;
use std::sync::Arc;

/// Makes passes over these policies, or all, until nothing more happens.
pub(super) async fn run(config: Arc<Config>, policies: Vec<PolicyName>) -> anyhow::Result<Exit> {
    let Opened { daemon, handle, .. } = open(config, Clock::System).await?;
    drop(handle);
    let daemon = if policies.is_empty() { daemon } else { daemon.only(policies.clone()) };
    let rest = daemon.run_until_rest().await;
    complain(&rest);
    let missing: Vec<_> = policies.iter().filter(|policy| !rest.policies.contains(policy)).collect();
    for policy in &missing {
        print::complain(&format!("error: there is no policy `{policy}`"));
    }
    Ok(match (rest.errors.is_empty(), missing.is_empty()) {
        (false, _) => Exit::Failed,
        (true, false) => Exit::Nothing,
        (true, true) => Exit::Done,
    })
}

/// What a pass would do in a policy, or in all: the outside is read, a copy of the journal is asked, nothing is changed.
pub(super) async fn plan(config: Arc<Config>, policy: Option<&PolicyName>) -> anyhow::Result<Vec<PlanView>> {
    let (_directory, daemon) = observing(config).await?;
    let (plans, rest) = daemon.plan_at_rest(policy).await.map_err(|refusal| match refusal {
        Refusal::NotFound(why) => anyhow::Error::from(Failure { why, exit: Exit::Nothing }),
        refusal => refusal.into(),
    })?;
    complain(&rest);
    Ok(plans)
}

/// Whether everything outside allows what the policies need; nothing is changed.
pub(super) async fn rights(config: Arc<Config>) -> anyhow::Result<(Vec<RightView>, Rest)> {
    let (_directory, daemon) = observing(config).await?;
    Ok(daemon.rights_at_rest().await)
}

/// A daemon that reads the outside and changes nothing, with a copy of the journal in a directory that goes with it.
async fn observing(config: Arc<Config>) -> anyhow::Result<(tempfile::TempDir, Daemon)> {
    let directory = tempfile::tempdir().context("there is no place for a copy of the journal")?;
    let copy = directory.path().join("journal.db");
    match Journal::open_for_reading(&config.journal.url).await {
        Ok(journal) => journal.backup(&copy).await?,
        Err(JournalError::Missing(_)) => {}
        Err(error) => return Err(error.into()),
    }
    let journal = JournalSettings { url: format!("sqlite://{}", copy.display()), keep: None };
    let config = Config { mode: Mode::Observe, journal, ..(*config).clone() };
    let Opened { daemon, handle, .. } = open(Arc::new(config), Clock::System).await?;
    drop(handle);
    Ok((directory, daemon))
}

fn complain(rest: &Rest) {
    for error in &rest.errors {
        print::complain(&format!("error: {error}"));
    }
}
