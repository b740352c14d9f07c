//! The commands that ask a running daemon, over its JSON interface: one file a question.
//!
//! They decide nothing: what may be done is the daemon's to say, and its words are printed as they come.

mod client;
mod explain;
mod file;
mod history;
mod hold;
mod order;
mod plan;
mod reach;
mod reports;
mod status;
mod view;
mod where_is;

use super::{Exit, Wrong, print};
use crate::model::{EnvironmentName, PolicyName};
use clap::Subcommand;
use client::Server;
use serde_json::Value;
use std::str::FromStr;

/// What is asked of a running daemon.
#[derive(Debug, Subcommand)]
pub(super) enum Ask {
    /// What runs where, what waits, and why.
    Status(status::Status),
    /// What happened, newest first.
    History(history::History),
    /// Why this release: every tag and what became of it, every gate and when it opens; or who writes a file.
    Explain(explain::Explain),
    /// Where a build is: which environments run it, ran it, wait for it or run something newer; or what one does not have yet.
    Where(where_is::Where),
    /// What a pass would do: the diff, the reports, the gates and why; changes nothing.
    Plan(plan::Plan),
    /// What GitLab was told, what waits and why; `retry` tries at once what people have mended.
    Reports(reports::Reports),
    /// Approve a release (default: the one that waits).
    Approve(order::Order),
    /// Reject a release (default: the one that waits): it is refused there.
    Reject(order::Order),
    /// Take back your own vote for a release (default: the one that you approved).
    Unapprove(order::Order),
    /// Order a release (default: the candidate): it waits for the gates; --force passes gates and holds.
    Promote(order::Promote),
    /// Bring back a release that ran there (default: the last verified one), hold, and refuse the one that is left.
    Rollback(order::Rollback),
    /// Read the signals and run the checks again for what the pin says, in one environment or in all.
    Verify(order::Verify),
    /// Stop changes.
    Hold(hold::Hold),
    /// Lift what stops an environment: holds, a rollout without a verdict, `JournalIsNew`, `TooManyChanges`. Where stops of
    /// several kinds or authors stand, it lists them and lifts none (--every, --of). It lifts no refusal and no HOLD file.
    Resume(hold::Resume),
}

impl Ask {
    /// Asks, and prints the answer.
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        match self {
            Self::Status(status) => status.run().await,
            Self::History(history) => history.run().await,
            Self::Explain(explain) => explain.run().await,
            Self::Where(asked) => asked.run().await,
            Self::Plan(plan) => plan.run().await,
            Self::Reports(reports) => reports.run().await,
            Self::Approve(order) => order.give("approve").await,
            Self::Reject(order) => order.give("reject").await,
            Self::Unapprove(order) => order.give("unapprove").await,
            Self::Promote(promote) => promote.give().await,
            Self::Rollback(rollback) => rollback.give().await,
            Self::Verify(verify) => verify.give().await,
            Self::Hold(hold) => hold.run().await,
            Self::Resume(resume) => resume.run().await,
        }
    }
}

/// One environment of one policy: `POLICY/ENV`.
#[derive(Debug, Clone)]
struct Place {
    policy: PolicyName,
    environment: EnvironmentName,
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (policy, environment) =
            text.split_once('/').ok_or("name one environment: POLICY/ENV, for example shop/prod")?;
        Ok(Self {
            policy: PolicyName::parse(policy).map_err(|error| error.to_string())?,
            environment: EnvironmentName::parse(environment).map_err(|error| error.to_string())?,
        })
    }
}

impl Place {
    /// The path of something about it.
    fn path<'a>(&'a self, what: &'a str) -> [&'a str; 5] {
        ["policies", self.policy.as_str(), "environments", self.environment.as_str(), what]
    }
}

/// A policy, or one environment of it: `POLICY` or `POLICY/ENV`.
#[derive(Debug, Clone)]
struct Part {
    policy: PolicyName,
    environment: Option<EnvironmentName>,
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains('/') {
            return text.parse().map(|Place { policy, environment }| Self { policy, environment: Some(environment) });
        }
        Ok(Self { policy: PolicyName::parse(text).map_err(|error| error.to_string())?, environment: None })
    }
}

impl Part {
    /// Whether an environment, as the daemon shows it, belongs to it.
    fn contains(&self, environment: &Value) -> bool {
        let named = self.environment.as_ref().is_none_or(|name| environment["environment"] == name.as_str());
        environment["policy"] == self.policy.as_str() && named
    }
}

/// How many names are listed where one is wrong.
const LISTED_MAX: usize = 20;

/// Says that nothing is named so, and what there is, of environments that are named `POLICY/ENV`.
fn absent(part: Option<&Part>, there: &[String]) {
    let Some(part) = part else {
        return print::complain("no policy is loaded: look at `policies` in the configuration");
    };
    let policy = part.policy.as_str();
    let of = |place: &String| place.split('/').next().unwrap_or_default().to_owned();
    let (named, mut names) = match &part.environment {
        Some(environment) if there.iter().any(|place| of(place) == policy) => {
            let beside = there.iter().filter(|place| of(place) == policy).cloned().collect();
            (format!("{policy}/{environment}"), beside)
        }
        _ => (format!("policy {policy}"), there.iter().map(of).collect::<Vec<_>>()),
    };
    names.dedup();
    let n_more = names.len().saturating_sub(LISTED_MAX);
    names.truncate(LISTED_MAX);
    let more = if n_more > 0 { format!(" and {n_more} more") } else { String::new() };
    let names = if names.is_empty() { "none is loaded".to_owned() } else { format!("there are: {}", names.join(", ")) };
    print::complain(&format!("error: there is no {named}; {names}{more}"));
}

/// Tells a person what was kept.
fn kept(server: &Server, answer: &Value) -> anyhow::Result<Exit> {
    if server.json {
        print::json(answer)?;
    } else {
        print::line(answer["kept"].as_str().unwrap_or("done"))?;
    }
    Ok(Exit::Done)
}
