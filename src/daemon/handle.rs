//! The way into a running daemon: what people and webhooks ask of it, and what it answers.
//!
//! Everything that changes something goes through the one loop that also makes the passes, so that what was answered is
//! in the journal and nothing is decided on half a change.

use crate::config::Config;
use crate::daemon::health::Health;
pub use crate::daemon::requests::history::HistoryOf;
use crate::daemon::view::{Explanation, FileView, HistoryView, NotYetView, PlanView, ReportView, Status, WhereView};
use crate::model::event::Verdict;
use crate::model::policy::Ballot;
use crate::model::{Digest, EnvironmentName, ImageName, PolicyName, Repository, Scope, Tag};
use crate::relay::find::Name;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};

/// How many orders may wait for the loop: who gives more waits.
const ORDERS_MAX: usize = 1024;
/// How many questions may wait for the loop: who asks more is told to ask again.
const QUESTIONS_MAX: usize = 256;
/// How long somebody waits for a new status before the last one that was published is shown.
const FRESH_WITHIN: Duration = Duration::from_secs(5);

/// The way into a running daemon.
///
/// Orders (what changes something, and wake-ups) and questions have a queue each, so that questions hold up no order, and
/// neither holds up a reading or the end of an effect. How the daemon is, and the status that was shown last, are read without
/// any queue.
#[derive(Clone)]
pub struct Handle {
    orders: mpsc::Sender<Request>,
    questions: mpsc::Sender<Request>,
    /// Everything at one glance, as it was when somebody last asked for it.
    status: watch::Receiver<Option<Arc<Status>>>,
    health: watch::Receiver<Health>,
}

/// The loop's end of it.
pub struct Requests {
    /// What changes something, and wake-ups.
    pub(super) orders: mpsc::Receiver<Request>,
    /// What only reads.
    pub(super) questions: mpsc::Receiver<Request>,
    status: watch::Sender<Option<Arc<Status>>>,
}

/// A way in to the loop that says how it is here, and the end where what is asked comes out.
#[must_use]
pub fn channel(health: watch::Receiver<Health>) -> (Handle, Requests) {
    let (orders, ordered) = mpsc::channel(ORDERS_MAX);
    let (questions, asked) = mpsc::channel(QUESTIONS_MAX);
    let (published, status) = watch::channel(None);
    (Handle { orders, questions, status, health }, Requests { orders: ordered, questions: asked, status: published })
}

impl Requests {
    /// The next request of either kind; none once the last [`Handle`] is gone.
    pub async fn next(&mut self) -> Option<Request> {
        tokio::select! {
            Some(order) = self.orders.recv() => Some(order),
            Some(question) = self.questions.recv() => Some(question),
            else => None,
        }
    }

    /// Shows this to whoever asks while the loop has too much to do.
    pub fn publish(&self, status: Arc<Status>) {
        self.status.send_replace(Some(status));
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
        /// Why; empty where nothing is said.
        reason: String,
        /// Where the vote was given.
        by: Ballot,
    },
    /// Takes back one's own vote for a release; none = the one that one approved.
    Unapprove {
        /// Where.
        target: Target,
        /// Which.
        release: Option<String>,
        /// Why; empty where nothing is said.
        reason: String,
        /// Where it was said.
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
    /// The same for all that runs and is not verified, some environments at a time.
    VerifyAll {
        /// Of what.
        scope: Scope,
    },
}

impl Command {
    /// The release that it names in a person's words, and where.
    pub(super) fn release(&self) -> Option<(&Target, &str)> {
        match self {
            Self::Approve { target, release, .. }
            | Self::Reject { target, release, .. }
            | Self::Unapprove { target, release, .. }
            | Self::Promote { target, release, .. }
            | Self::Rollback { target, release, .. } => Some((target, release.as_deref()?)),
            Self::Hold { .. } | Self::Resume { .. } | Self::Verify { .. } | Self::VerifyAll { .. } => None,
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
    Status(oneshot::Sender<Arc<Status>>),
    /// Show why.
    Explain(Target, oneshot::Sender<Result<Explanation, Refusal>>),
    /// Show where a build is.
    Where(Name, oneshot::Sender<Result<WhereView, Refusal>>),
    /// Show what an environment does not have yet.
    NotYet(Target, oneshot::Sender<Result<NotYetView, Refusal>>),
    /// Show what a pass would do.
    Plan(Option<PolicyName>, oneshot::Sender<Result<Vec<PlanView>, Refusal>>),
    /// Show what happened, newest first.
    History(HistoryOf, oneshot::Sender<Result<Vec<HistoryView>, Refusal>>),
    /// Show who writes a file.
    File(String, oneshot::Sender<FileView>),
    /// Show what GitLab was told, or only what it was not, newest first.
    Reports(bool, oneshot::Sender<Result<Vec<ReportView>, Refusal>>),
    /// Try all reports that wait at once, for whom.
    RetryReports(String, Reply),
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
        self.order(|reply| Request::Command(command, who, reply)).await?
    }

    /// Keeps a posted verdict; it is in the journal before this returns.
    ///
    /// # Errors
    /// [`Refusal::Conflict`] when nothing of it is in flight.
    pub async fn signal(&self, signal: Signal) -> Result<String, Refusal> {
        self.order(|reply| Request::Signal(signal, reply)).await?
    }

    /// How the daemon is, as its loop last said: it is not asked, so this is answered also where it does not turn.
    ///
    /// # Errors
    /// When there is no loop any more.
    pub fn health(&self) -> Result<Health, Refusal> {
        let is_there = self.health.has_changed().is_ok();
        is_there.then(|| self.health.borrow().clone()).ok_or_else(stopping)
    }

    /// Everything at one glance: as it is now, or, where the loop has too much to do to say so soon, as it was published
    /// last.
    ///
    /// # Errors
    /// When the daemon is stopping, or has published nothing yet.
    pub async fn status(&self) -> Result<Status, Refusal> {
        self.shared_status().await.map(Arc::unwrap_or_clone)
    }

    /// The same, shared with whoever asked at the same time.
    ///
    /// # Errors
    /// When the daemon is stopping, or has published nothing yet.
    pub async fn shared_status(&self) -> Result<Arc<Status>, Refusal> {
        let asked = tokio::time::timeout(FRESH_WITHIN, self.ask(Request::Status)).await;
        match asked.unwrap_or_else(|_| Err(busy())) {
            Ok(status) => Ok(status),
            // It is gone with the loop.
            Err(_) if self.status.has_changed().is_err() => Err(stopping()),
            Err(refusal) => self.status.borrow().clone().ok_or(refusal),
        }
    }

    /// Why an environment runs what it runs.
    ///
    /// # Errors
    /// When there is no such environment.
    pub async fn explain(&self, target: Target) -> Result<Explanation, Refusal> {
        self.ask(|reply| Request::Explain(target, reply)).await?
    }

    /// Where a build is: each environment of the policies that know it.
    ///
    /// # Errors
    /// When nothing that is known has this name.
    pub async fn where_is(&self, name: Name) -> Result<WhereView, Refusal> {
        self.ask(|reply| Request::Where(name, reply)).await?
    }

    /// What an environment does not have yet, oldest first.
    ///
    /// # Errors
    /// When there is no such environment.
    pub async fn not_yet(&self, target: Target) -> Result<NotYetView, Refusal> {
        self.ask(|reply| Request::NotYet(target, reply)).await?
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
        let scope = of.unwrap_or_default();
        self.history_of(HistoryOf { scope, before, limit: n, ..HistoryOf::default() }).await
    }

    /// A part of what happened, newest first.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn history_of(&self, of: HistoryOf) -> Result<Vec<HistoryView>, Refusal> {
        self.ask(|reply| Request::History(of, reply)).await?
    }

    /// Who writes a file of a GitOps repository, or why nobody does.
    ///
    /// # Errors
    /// When the daemon is stopping.
    pub async fn file(&self, path: String) -> Result<FileView, Refusal> {
        self.ask(|reply| Request::File(path, reply)).await
    }

    /// What GitLab was told, newest first, what waits, and why; `unsent` leaves out what it took.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn reports(&self, unsent: bool) -> Result<Vec<ReportView>, Refusal> {
        self.ask(|reply| Request::Reports(unsent, reply)).await?
    }

    /// Tries all reports that wait at once, for a person; the answer is one sentence.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub async fn retry_reports(&self, who: &str) -> Result<String, Refusal> {
        let who = who.to_owned();
        self.ask(|reply| Request::RetryReports(who, reply)).await?
    }

    /// Reads a repository now. Where the loop has much to do it waits for its turn, since whoever was told that it is
    /// taken does not say it again, and the next poll may be hours away.
    ///
    /// # Errors
    /// When the daemon is stopping.
    pub async fn wake(&self, repository: Repository, tag: Option<Tag>) -> Result<(), Refusal> {
        self.orders.send(Request::Wake(repository, tag)).await.map_err(|_| stopping())
    }

    /// Tells that the queue that tells of pushes could not be read, or that it was read again.
    ///
    /// # Errors
    /// When the daemon is stopping.
    pub async fn queue(&self, read: Result<(), String>) -> Result<(), Refusal> {
        self.orders.send(Request::Queue(read)).await.map_err(|_| stopping())
    }

    /// Takes a configuration that was read again, or the reason why it cannot be used, with file and line.
    ///
    /// # Errors
    /// When the daemon is stopping.
    pub async fn reconfigure(&self, read: Result<Config, String>) -> Result<(), Refusal> {
        self.orders.send(Request::Reconfigure(Box::new(read))).await.map_err(|_| stopping())
    }

    /// Reads the policies and all branches again.
    pub fn reload(&self) {
        if let Err(error) = self.orders.try_send(Request::Reload) {
            tracing::warn!(error = %error, "there is too much to do to reload just now: try again");
        }
    }

    /// Waits until nothing is being read, judged or made, and nothing is due: what happens next begins with a reading, with
    /// time that passes, or with somebody who asks. Reports to GitLab are sent apart from this.
    ///
    /// # Errors
    /// When the daemon is stopping.
    pub async fn idle(&self) -> Result<(), Refusal> {
        self.order(Request::Idle).await
    }

    /// Waits for its turn, however much there is to do: an order is not lost.
    async fn order<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Result<T, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.orders.send(request(reply)).await.map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())
    }

    /// Asks, unless too many others do.
    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Result<T, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.questions.try_send(request(reply)).map_err(|error| match error {
            TrySendError::Full(_) => busy(),
            TrySendError::Closed(_) => stopping(),
        })?;
        answer.await.map_err(|_| stopping())
    }
}

fn stopping() -> Refusal {
    Refusal::Unavailable("the daemon is stopping".to_owned())
}

fn busy() -> Refusal {
    Refusal::Unavailable("too many questions wait for an answer: ask again in a few seconds".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> Status {
        Status {
            now: Timestamp::UNIX_EPOCH,
            journal: "j".to_owned(),
            mode: "act",
            health: Health::default(),
            policies: Vec::new(),
            broken: Vec::new(),
            repositories: Vec::new(),
            hosts: Vec::new(),
            branches: Vec::new(),
            projects: Vec::new(),
        }
    }

    fn open() -> (Handle, Requests) {
        channel(watch::Sender::new(Health::default()).subscribe())
    }

    #[tokio::test(start_paused = true)]
    async fn questions_hold_up_no_order_and_more_of_them_than_can_wait_are_told_so() {
        let (handle, mut requests) = open();
        let asking: Vec<_> = (0..QUESTIONS_MAX)
            .map(|_| {
                let handle = handle.clone();
                tokio::spawn(async move { handle.plan(None).await })
            })
            .collect();
        while requests.questions.len() < QUESTIONS_MAX {
            tokio::task::yield_now().await;
        }
        assert!(
            matches!(handle.plan(None).await, Err(Refusal::Unavailable(why)) if why.contains("too many questions"))
        );
        let ordering = handle.clone();
        let target = Target {
            policy: PolicyName::parse("shop").expect("a name"),
            environment: EnvironmentName::parse("prod").expect("a name"),
        };
        let order = tokio::spawn(async move { ordering.command(Command::Verify { target }, "ada").await });
        let Some(Request::Command(_, who, reply)) = requests.orders.recv().await else { panic!("an order") };
        assert_eq!(who, "ada");
        reply.send(Ok("kept".to_owned())).expect("somebody waits");
        assert_eq!(order.await.expect("ended"), Ok("kept".to_owned()));
        drop(requests);
        for asked in asking {
            assert!(asked.await.expect("ended").is_err());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_does_not_answer_shows_what_it_published_last() {
        let (handle, requests) = open();
        assert!(matches!(handle.status().await, Err(Refusal::Unavailable(_))), "nothing was published yet");
        requests.publish(Arc::new(status()));
        assert_eq!(handle.status().await.expect("published").journal, "j");
        drop(requests);
        assert!(matches!(handle.status().await, Err(Refusal::Unavailable(why)) if why.contains("stopping")));
    }
}
