//! The way into a running daemon: what people and webhooks ask of it, and what it answers.
//!
//! Everything that changes something goes through the one loop that also makes the passes, so that what was answered is
//! in the journal and nothing is decided on half a change.

use super::health::Health;
use super::view::{Explanation, HistoryView, PlanView, Status};
use crate::config::Config;
use crate::model::event::Verdict;
use crate::model::policy::Ballot;
use crate::model::{Digest, EnvironmentName, ImageName, PolicyName, Repository, Scope, Tag};
use jiff::Timestamp;
use std::collections::BTreeMap;
use tokio::sync::{mpsc, oneshot, watch};

/// How many requests may wait for the loop: more are answered `busy`.
const REQUESTS_MAX: usize = 1024;

/// The way into a running daemon.
#[derive(Clone)]
pub struct Handle {
    requests: mpsc::Sender<Request>,
    health: watch::Receiver<Health>,
}

/// The loop's end of it: what was asked, in order.
pub struct Requests(mpsc::Receiver<Request>);

/// A way in to the loop that says how it is here, and the end where what is asked comes out.
#[must_use]
pub fn channel(health: watch::Receiver<Health>) -> (Handle, Requests) {
    let (requests, asked) = mpsc::channel(REQUESTS_MAX);
    (Handle { requests, health }, Requests(asked))
}

impl Requests {
    /// The next request; none once the last [`Handle`] is gone.
    pub async fn next(&mut self) -> Option<Request> {
        self.0.recv().await
    }
}

/// What a person tells the daemon to do; who they are was checked before.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Votes for a release; none = the one that waits.
    Approve {
        /// Where.
        target: Target,
        /// Which: an id, a tag or a digest.
        release: Option<String>,
        /// Where the vote was given.
        by: Ballot,
    },
    /// Refuses a release; none = the one that waits.
    Reject {
        /// Where.
        target: Target,
        /// Which.
        release: Option<String>,
        /// Why.
        reason: String,
        /// Where the vote was given.
        by: Ballot,
    },
    /// Stops changes.
    Hold {
        /// Of what.
        scope: Scope,
        /// Why.
        reason: String,
        /// Until when.
        until: Option<Timestamp>,
    },
    /// Lifts holds, a lost rollout, `JournalIsNew` and `TooManyChanges`, where they are of one kind and one author.
    Resume {
        /// Of what.
        scope: Scope,
        /// Only these: `unknown`, `journal`, `too-many`, or the holds of this name.
        of: Option<String>,
        /// All of them, of several kinds and authors.
        every: bool,
    },
    /// Orders a release; none = the candidate.
    Promote {
        /// Where.
        target: Target,
        /// Which.
        release: Option<String>,
        /// Passes gates and holds, for this reason.
        force: Option<String>,
    },
    /// Brings a release back; none = the last verified one before.
    Rollback {
        /// Where.
        target: Target,
        /// Which.
        release: Option<String>,
        /// Why.
        reason: String,
    },
    /// Reads the signals and runs the checks again for what the pin says.
    Verify {
        /// Where.
        target: Target,
    },
}

impl Command {
    /// The release that it names in a person's words, and where.
    pub(super) fn release(&self) -> Option<(&Target, &str)> {
        match self {
            Self::Approve { target, release, .. }
            | Self::Reject { target, release, .. }
            | Self::Promote { target, release, .. }
            | Self::Rollback { target, release, .. } => Some((target, release.as_deref()?)),
            Self::Hold { .. } | Self::Resume { .. } | Self::Verify { .. } => None,
        }
    }
}

/// One environment of one policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The policy.
    pub policy: PolicyName,
    /// The environment.
    pub environment: EnvironmentName,
}

/// A posted verdict.
#[derive(Debug, Clone, PartialEq)]
pub struct Signal {
    /// Where.
    pub target: Target,
    /// The rollout: its id (`<journal id>-<sequence>`), or the full id of the GitOps commit that began it or of a later one
    /// of that branch that still holds its pin.
    pub rollout: String,
    /// The smoke test it is about; none = the rollout's signals.
    pub check: Option<String>,
    /// The digests that were looked at, where they are said: those of all images, and the rollout's.
    pub digests: Option<BTreeMap<ImageName, Digest>>,
    /// What it says; for a check, `Healthy` is passed.
    pub verdict: Verdict,
    /// What the sender says of it.
    pub evidence: String,
    /// Where one reads more.
    pub url: Option<String>,
    /// Who sent it.
    pub who: String,
}

/// Why a command was not carried out. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such policy, environment or release.
    #[error("{0}")]
    NotFound(String),
    /// More than one thing is meant: they are listed.
    #[error("{0}")]
    Ambiguous(String),
    /// It cannot be done as things stand.
    #[error("{0}")]
    Conflict(String),
    /// The daemon is stopping, or has too much to do, or its journal failed.
    #[error("{0}")]
    Unavailable(String),
}

/// Where the answer to a command goes.
pub type Reply = oneshot::Sender<Result<String, Refusal>>;

/// What the loop is asked.
pub enum Request {
    /// Do something, for whom.
    Command(Command, String, Reply),
    /// Keep a verdict.
    Signal(Signal, Reply),
    /// Show everything.
    Status(oneshot::Sender<Status>),
    /// Show why.
    Explain(Target, oneshot::Sender<Result<Explanation, Refusal>>),
    /// Show what a pass would do.
    Plan(Option<PolicyName>, oneshot::Sender<Result<Vec<PlanView>, Refusal>>),
    /// Show what happened, newest first: of what, before which entry, how many.
    History(Option<Scope>, Option<u64>, u32, oneshot::Sender<Result<Vec<HistoryView>, Refusal>>),
    /// Read this repository now, if anything looks at this tag there; none = any.
    Wake(Repository, Option<Tag>),
    /// The queue that tells of pushes was read again, or could not be.
    Queue(Result<(), String>),
    /// Read the policies and all branches now.
    Reload,
    /// The configuration was read again, or cannot be used.
    Reconfigure(Box<Result<Config, String>>),
    /// Answer once nothing is read, judged or made any more.
    Idle(oneshot::Sender<()>),
}

impl Handle {
    /// Carries out a command for a person; the answer is one sentence of what was kept.
    ///
    /// # Errors
    /// When it is not carried out: nothing was changed.
    pub async fn command(&self, command: Command, who: &str) -> Result<String, Refusal> {
        let who = who.to_owned();
        self.ask(|reply| Request::Command(command, who, reply)).await?
    }

    /// Keeps a posted verdict; it is in the journal before this returns.
    ///
    /// # Errors
    /// [`Refusal::Conflict`] when nothing of it is in flight.
    pub async fn signal(&self, signal: Signal) -> Result<String, Refusal> {
        self.ask(|reply| Request::Signal(signal, reply)).await?
    }

    /// How the daemon is, as its loop last said: it is not asked, so this is answered also where it does not turn.
    ///
    /// # Errors
    /// When there is no loop any more.
    pub fn health(&self) -> Result<Health, Refusal> {
        let is_there = self.health.has_changed().is_ok();
        is_there.then(|| self.health.borrow().clone()).ok_or_else(stopping)
    }

    /// Everything at one glance.
    ///
    /// # Errors
    /// When the daemon is stopping.
    pub async fn status(&self) -> Result<Status, Refusal> {
        self.ask(Request::Status).await
    }

    /// Why an environment runs what it runs.
    ///
    /// # Errors
    /// When there is no such environment.
    pub async fn explain(&self, target: Target) -> Result<Explanation, Refusal> {
        self.ask(|reply| Request::Explain(target, reply)).await?
    }

    /// What a pass would do.
    ///
    /// # Errors
    /// When there is no such policy.
    pub async fn plan(&self, policy: Option<PolicyName>) -> Result<Vec<PlanView>, Refusal> {
        self.ask(|reply| Request::Plan(policy, reply)).await?
    }

    /// What happened, newest first.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn history(&self, of: Option<Scope>, before: Option<u64>, n: u32) -> Result<Vec<HistoryView>, Refusal> {
        self.ask(|reply| Request::History(of, before, n, reply)).await?
    }

    /// Reads a repository now. Where the loop has much to do it waits for its turn, since whoever was told that it is
    /// taken does not say it again, and the next poll may be hours away.
    ///
    /// # Errors
    /// When the daemon is stopping.
    pub async fn wake(&self, repository: Repository, tag: Option<Tag>) -> Result<(), Refusal> {
        let sent = self.requests.send(Request::Wake(repository, tag)).await;
        sent.map_err(|_| stopping())
    }

    /// Tells that the queue that tells of pushes could not be read, or that it was read again.
    ///
    /// # Errors
    /// When the daemon is stopping.
    pub async fn queue(&self, read: Result<(), String>) -> Result<(), Refusal> {
        let sent = self.requests.send(Request::Queue(read)).await;
        sent.map_err(|_| stopping())
    }

    /// Takes a configuration that was read again, or the reason why it cannot be used, with file and line.
    ///
    /// # Errors
    /// When the daemon is stopping.
    pub async fn reconfigure(&self, read: Result<Config, String>) -> Result<(), Refusal> {
        self.requests.send(Request::Reconfigure(Box::new(read))).await.map_err(|_| stopping())
    }

    /// Reads the policies and all branches again.
    pub fn reload(&self) {
        if let Err(error) = self.requests.try_send(Request::Reload) {
            tracing::warn!(error = %error, "there is too much to do to reload just now: try again");
        }
    }

    /// Waits until nothing is being read, judged or made, and nothing is due: what happens next begins with a reading, with
    /// time that passes, or with somebody who asks. Reports to GitLab are sent apart from this.
    ///
    /// # Errors
    /// When the daemon is stopping.
    pub async fn idle(&self) -> Result<(), Refusal> {
        self.ask(Request::Idle).await
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Result<T, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(request(reply)).await.map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())
    }
}

fn stopping() -> Refusal {
    Refusal::Unavailable("the daemon is stopping".to_owned())
}
