//! The shell around the decisions: readings come in, one loop makes passes, effects go out.
//!
//! ```text
//!   poll (one a repository) ──┐                          ┌── writer (one a branch)
//!   read (one a git remote) ──┼──> loop: pass, record ───┼── retag, check (one an environment)
//!   server: orders ───────────────────>│                 └── outbox (one a GitLab project)
//!   server: questions <────────────────>│
//!                                      └── journal
//! ```
//!
//! What people ask has queues of its own, and questions have a tenth of the loop's time (`questions`), so that nobody's
//! curiosity holds up a decision.
//!
//! The rooms, lowest first; one uses none above it, and `tests/it/tidy.rs` holds it so:
//! ```text
//! requests   what people ask and order: commands, votes, verdicts, status, explain, plan
//! effects    what is done outside: commits, retags, copies, checks, reports
//! sources    what is read: registries, branches, policies, builds, HOLD files
//! state      what is known now, and what follows from it
//! ```
//! Beside them: `inbox` takes messages in, `reconcile` judges what is due, `record` writes the journal, `tasks` starts what
//! reads and writes.
//!
//! The loop owns the memory, so nothing is locked: readings, answers and the ends of effects reach it as messages, and
//! it alone writes the journal's entries. Effects run beside it, one for an environment at a time.

pub mod clock;
mod clock_set;
mod edits;
mod effects;
mod fold;
pub mod handle;
pub mod health;
mod inbox;
mod journal_watch;
mod lists;
mod message;
mod reconcile;
mod reconfigure;
mod record;
mod requests;
mod rest;
mod sources;
mod state;
mod tasks;
pub mod view;

pub use clock::Clock;
pub use handle::{Command, Handle, HistoryOf, Refusal, Signal, Target};
pub use sources::registries::registry_settings;
pub use tasks::{Clients, journal_path};

use crate::config::{Config, Mode};
use crate::journal::{Journal, JournalError};
use crate::model::{Event, JournalIds, PolicyName, Repository, Scope, Sequence};
use crate::telemetry::Metrics;
use clock::Watch;
use handle::Request;
use jiff::{SignedDuration, Timestamp};
use lists::Lists;
use message::Message;
use state::memory::{Memory, PassContext};
use state::past::Past;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How many messages may wait for the loop: senders wait beyond that, so nothing is lost.
const MESSAGES_MAX: usize = 4096;
/// How many messages are taken in before what is due is judged: each marks what it changes, so more are judged together.
const MESSAGES_A_ROUND: usize = 256;
/// How long that may take.
const TAKING_MAX: Duration = Duration::from_millis(100);
/// How many orders are carried out before what is due is judged.
const ORDERS_A_ROUND: usize = 64;
/// How often time alone makes a pass look again, at the least: windows, soaks and deadlines are that exact.
const TICK: Duration = Duration::from_secs(1);
/// How long the effects in hand may take to end when the daemon stops: a push to a slow server with a retry. What takes
/// longer is found out at the next start; `terminationGracePeriodSeconds` of the manifests is longer than all of these.
const EFFECTS_END_WITHIN: Duration = Duration::from_secs(30);
/// How long readings may take to end when the daemon stops, and so long reports.
const FAREWELL: Duration = Duration::from_secs(3);

/// Why a daemon could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The journal could not be opened or read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A client could not be made from the configuration.
    #[error("{0}")]
    Client(String),
}

/// One daemon: the loop and what it owns.
pub struct Daemon {
    config: Arc<Config>,
    journal: Arc<Journal>,
    clients: Clients,
    clock: Clock,
    metrics: Metrics,
    memory: Memory,
    /// What the journal says of environments that no policy names; policies come and go.
    past: Past,
    watch: Watch,
    journal_watch: journal_watch::JournalWatch,
    /// The hosts of which pushes were told and that no policy names, as far as they were told of.
    unknown_hosts: BTreeSet<String>,
    since: Timestamp,
    /// The number of the first entry that this process may write.
    first_of_this_run: Sequence,
    /// The ids that this journal gives out numbers under, and gave.
    ids: JournalIds,
    due: BTreeSet<(PolicyName, usize)>,
    pollers: BTreeMap<Repository, (watch::Sender<state::need::Need>, Arc<Notify>)>,
    /// What they share.
    polling: Arc<sources::registry_poller::Shared>,
    readers: BTreeMap<String, ReaderTask>,
    writers: BTreeMap<(String, String), mpsc::Sender<effects::git_writer::WriteOrder>>,
    outboxes: BTreeMap<String, Arc<Notify>>,
    out: mpsc::Sender<Message>,
    inbox: mpsc::Receiver<Message>,
    handle: Handle,
    requests: handle::Requests,
    /// When the loop may answer questions again.
    questions_at: tokio::time::Instant,
    /// Leave to read for a question beside the loop.
    reading: Arc<Semaphore>,
    tasks: TaskTracker,
    readings: TaskTracker,
    senders: TaskTracker,
    stop: CancellationToken,
    /// From which file each policy was loaded last.
    origins: BTreeMap<PolicyName, String>,
    sources: BTreeMap<Option<String>, message::PolicyFiles>,
    /// What of these is being judged.
    judging: sources::judge::Judging,
    /// Where HOLD files are looked for, by the place of the policies that they stand beside.
    holds: BTreeMap<Option<String>, sources::holds::Holds>,
    acts: bool,
    /// The policies that this process serves; none = all.
    only: Option<BTreeSet<PolicyName>>,
    /// The environments that changed lately for a cause that is no new build, and when: see `limits.changes`.
    causeless: BTreeMap<Scope, Timestamp>,
    /// Which environments wait for a place for their rollout: see `limits.rollouts`.
    places: crate::relay::limits::Queues,
    /// The turns of all who look at the files that changes are written into.
    edits: edits::Edits,
    /// Leave to look for verdicts in branches.
    verdicts: Arc<Semaphore>,
    /// What `verify --all` has still to judge.
    to_verify: requests::verify_all::ToVerify,
    /// When something was kept or begun last.
    active: tokio::time::Instant,
    /// Who waits until nothing is read, judged or made.
    idle_waiters: Vec<oneshot::Sender<()>>,
    /// When old entries of the journal are folded next.
    folding: fold::Folding,
    /// What it says of itself.
    pulse: health::Pulse,
}

/// What stood when nothing more happened by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rest {
    /// What could not be read: registries, branches, policies.
    pub errors: Vec<String>,
    /// The policies that were served.
    pub policies: Vec<PolicyName>,
}

/// What the loop turns for.
enum Turn {
    /// A reading, or the end of an effect.
    Message(Message),
    /// Somebody tells it to do something.
    Order(Request),
    /// Somebody asks something.
    Question(Request),
}

/// The loop's end of a reader.
struct ReaderTask {
    orders: watch::Sender<sources::git_reader::Orders>,
    wake: Arc<Notify>,
    tips: sources::git_reader::Tips,
    mirror: Arc<crate::clients::git::Mirror>,
}

/// The lists of tags, which lie beside the journal.
fn lists_beside(journal: &str) -> Result<Lists, StartError> {
    Lists::open(&journal_path(journal))
        .map_err(|error| StartError::Client(format!("the directory of lists beside the journal: {error}")))
}

impl Daemon {
    /// Opens what is needed; nothing is read or changed outside yet.
    ///
    /// # Errors
    /// When the journal is locked or broken, or a client cannot be made from the configuration.
    pub async fn open(
        config: Arc<Config>,
        journal: Arc<Journal>,
        clients: Clients,
        clock: Clock,
        metrics: Metrics,
    ) -> Result<Self, StartError> {
        let lists = lists_beside(&config.journal.url)?;
        let (out, inbox) = mpsc::channel(MESSAGES_MAX);
        let pulse = health::Pulse::new();
        let (handle, requests) = handle::channel(pulse.subscribe());
        let (now, ids) = (clock.now(), journal.ids().await?);
        let acts = config.mode == Mode::Act;
        let stop = CancellationToken::new();
        let polling = sources::registry_poller::Shared {
            registry: clients.registry.clone(),
            clock: clock.clone(),
            metrics: metrics.clone(),
            lists,
            n_pollers: AtomicUsize::new(0),
            stop: stop.clone(),
            out: out.clone(),
        };
        let mut daemon = Self {
            config,
            journal,
            clients,
            journal_watch: journal_watch::JournalWatch::default(),
            unknown_hosts: BTreeSet::new(),
            watch: Watch::new(Clock::machine(), tokio::time::Instant::now()),
            since: now,
            first_of_this_run: Sequence(1),
            ids,
            clock,
            metrics,
            memory: Memory::default(),
            past: Past::default(),
            due: BTreeSet::new(),
            pollers: BTreeMap::new(),
            polling: Arc::new(polling),
            readers: BTreeMap::new(),
            writers: BTreeMap::new(),
            outboxes: BTreeMap::new(),
            out,
            inbox,
            handle,
            requests,
            questions_at: tokio::time::Instant::now(),
            reading: Arc::new(Semaphore::new(requests::questions::READINGS_MAX)),
            tasks: TaskTracker::new(),
            readings: TaskTracker::new(),
            senders: TaskTracker::new(),
            stop,
            sources: BTreeMap::new(),
            judging: sources::judge::Judging::default(),
            origins: BTreeMap::new(),
            holds: BTreeMap::new(),
            acts,
            only: None,
            causeless: BTreeMap::new(),
            places: crate::relay::limits::Queues::default(),
            edits: edits::Edits::new(crate::model::budget::TARGETS_BYTES),
            verdicts: Arc::new(Semaphore::new(requests::verdict::SOUGHT_MAX)),
            to_verify: requests::verify_all::ToVerify::default(),
            active: tokio::time::Instant::now(),
            idle_waiters: Vec::new(),
            folding: fold::Folding::new(tokio::time::Instant::now()),
            pulse,
        };
        daemon.remember().await?;
        daemon.remember_origins().await?;
        daemon.start_readers();
        daemon.start_directory();
        daemon.start_outboxes().await?;
        Ok(daemon)
    }

    /// Serves these policies alone; all are read, because they bound one another.
    #[must_use]
    pub fn only(mut self, policies: impl IntoIterator<Item = PolicyName>) -> Self {
        self.only = Some(policies.into_iter().collect());
        self
    }

    /// The way in for people, webhooks and pages.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Makes passes until it is told to stop; then finishes the effects in hand.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !stop.is_cancelled() {
            let event = tokio::select! {
                event = self.next(&mut tick) => event,
                () = stop.cancelled() => break,
            };
            self.turn(event).await;
        }
        self.finish().await;
    }

    /// What the loop turns for next.
    async fn next(&mut self, tick: &mut tokio::time::Interval) -> Turn {
        let (requests, questions_at) = (&mut self.requests, self.questions_at);
        let question = async {
            tokio::time::sleep_until(questions_at).await;
            requests.questions.recv().await
        };
        // The loop holds an end of each of these itself, so that none of them ever ends.
        tokio::select! {
            Some(message) = self.inbox.recv() => Turn::Message(message),
            Some(order) = requests.orders.recv() => Turn::Order(order),
            Some(question) = question => Turn::Question(question),
            _ = tick.tick() => Turn::Message(Message::Tick),
        }
    }

    /// Takes in what came, judges what is due, and publishes that it did.
    async fn turn(&mut self, turn: Turn) {
        match turn {
            Turn::Message(message) => self.take_some(message).await,
            Turn::Order(order) => self.carry_out_some(order).await,
            Turn::Question(question) => self.answer_some(question).await,
        }
        self.verify_next().await;
        self.round().await;
        if !self.idle_waiters.is_empty() && self.is_idle() {
            self.idle_waiters.drain(..).for_each(|waiter| inbox::answer(waiter, ()));
        }
        self.look_at_health().await;
        self.pulse.beat();
    }

    /// Makes passes until nothing more happens by itself, then stops: what `tagrelay once` does. Returns what could not be
    /// read, made or told, and what was served.
    pub async fn run_until_rest(mut self) -> Rest {
        let late = self.pass_until_rest().await;
        let mut rest = self.at_rest();
        rest.errors.extend(late);
        rest.errors.extend(self.unmade());
        rest.errors.extend(self.untold().await);
        self.finish().await;
        rest
    }

    /// Reads until nothing more comes, and tells what a pass would do: what `tagrelay plan` does without a daemon.
    ///
    /// # Errors
    /// When there is no such policy.
    pub async fn plan_at_rest(mut self, policy: Option<&PolicyName>) -> Result<(Vec<view::PlanView>, Rest), Refusal> {
        let late = self.pass_until_rest().await;
        let (drafts, mut rest) = (self.plan(policy), self.at_rest());
        rest.errors.extend(late);
        let plans = match drafts {
            Ok(drafts) => Ok(requests::plan::finished(drafts).await),
            Err(refusal) => Err(refusal),
        };
        self.finish().await;
        Ok((plans?, rest))
    }

    fn serves(&self, policy: &PolicyName) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(policy))
    }

    /// Takes in a message and some that wait behind it, so that one round answers them together.
    async fn take_some(&mut self, first: Message) {
        let begun = tokio::time::Instant::now();
        self.take(first).await;
        for _ in 1..MESSAGES_A_ROUND {
            if begun.elapsed() >= TAKING_MAX {
                return;
            }
            let Ok(next) = self.inbox.try_recv() else { return };
            self.take(next).await;
        }
    }

    /// Carries out an order and some that wait behind it.
    async fn carry_out_some(&mut self, first: Request) {
        self.asked(first).await;
        for _ in 1..ORDERS_A_ROUND {
            let Ok(next) = self.requests.orders.try_recv() else { return };
            self.asked(next).await;
        }
    }

    /// Waits for the effects in hand, keeps what became of them, and lets go of everything.
    async fn finish(mut self) {
        self.due.clear();
        self.stop.cancel();
        // Whoever asks now is told that the daemon stops.
        let (_, none) = handle::channel(self.pulse.subscribe());
        drop(std::mem::replace(&mut self.requests, none));
        let end = tokio::time::Instant::now() + EFFECTS_END_WITHIN;
        while self.is_busy() {
            let Ok(Some(message)) = tokio::time::timeout_at(end, self.inbox.recv()).await else {
                tracing::warn!("an effect did not come to its end; the next start finds out what became of it");
                break;
            };
            if matches!(message, Message::Done { .. }) {
                self.take(message).await;
            }
        }
        self.pollers.clear();
        self.readers.clear();
        self.writers.clear();
        self.inbox.close();
        let tasks = [&self.tasks, &self.readings, &self.senders];
        let ended = futures_util::future::join_all(tasks.map(|tasks| {
            tasks.close();
            tasks.wait()
        }));
        // A reading that hangs changes nothing, and is read again at the next start; a report that hangs was kept as begun,
        // and the next start looks whether it arrived.
        let _ended = tokio::time::timeout(FAREWELL, ended).await;
        // The lists lie where the next process may begin as soon as the journal's lock is given back.
        drop((self.memory, self.polling, self.inbox));
        self.journal.close().await;
    }

    /// Whether a release is being copied, or kept by tags: worth waiting for, but not when the daemon stops, for the next
    /// start goes on.
    fn is_copying(&self) -> bool {
        let mut standings = self.memory.policies.values().flat_map(|known| &known.standings);
        standings.any(|standing| standing.copying.is_some() || standing.keeping.is_busy())
    }

    fn is_busy(&self) -> bool {
        self.memory.policies.values().flat_map(|known| &known.standings).any(|standing| standing.busy.is_some())
    }

    /// Folds the whole journal, page by page, on what its checkpoint says.
    async fn remember(&mut self) -> Result<(), JournalError> {
        let latest = loop {
            let checkpoint = self.journal.checkpoint().await?;
            let folded = checkpoint.as_ref().map(|checkpoint| checkpoint.folded);
            self.past = Past::of(checkpoint);
            let latest = self.remember_entries().await?;
            // Beside a daemon that folds more entries meanwhile, some of them were missed.
            if self.journal.folded().await? == folded {
                break latest;
            }
        };
        self.first_of_this_run = Sequence(self.past.last().map_or(0, |Sequence(last)| last) + 1);
        // Entries of the future were written by a clock that was wrong and was set while nothing ran.
        if latest.duration_since(self.clock.now()) > SignedDuration::ZERO {
            self.clock_was_set(SignedDuration::ZERO).await;
        }
        Ok(())
    }

    /// Takes in the entries that the journal has, and returns the latest time that one of them was written at.
    async fn remember_entries(&mut self) -> Result<Timestamp, JournalError> {
        let (mut after, mut latest) = (None, Timestamp::MIN);
        loop {
            let page = self.journal.entries(&Scope::default(), after, crate::journal::ENTRIES_MAX).await?;
            let Some(last) = page.last() else { return Ok(latest) };
            after = Some(last.sequence);
            for entry in &page {
                self.past.remember(entry);
                let is_set = matches!(entry.event, Event::ClockSet { .. });
                latest = if is_set { entry.at } else { latest.max(entry.at) };
            }
        }
    }

    fn moment(&self) -> PassContext<'_> {
        PassContext { now: self.clock.now(), journal: &self.ids, since: self.since, access: &self.config.server.access }
    }

    /// Marks every environment of a policy as to be looked at.
    fn mark(&mut self, policy: &PolicyName) {
        if let Some(known) = self.memory.policies.get(policy) {
            self.due.extend((0..known.standings.len()).map(|index| (policy.clone(), index)));
        }
    }

    fn mark_all(&mut self) {
        let names: Vec<PolicyName> = self.memory.policies.keys().cloned().collect();
        names.iter().for_each(|name| self.mark(name));
    }
}
