//! The writer of one branch: plans that arrive within a short window become one push of stacked commits.
//!
//! It pushes on the tip that was judged, on commits of its own above it, or on commits of others above it that leave alone
//! what was judged: the places of the change, and the policies and HOLD files of the branch. Anything else goes back to the
//! pass. A push that loses its race names the new tip, and the next one follows at once. A branch that another push has locked
//! is tried again within the same time.

use crate::clients::git::{Author, Contents, GitError, Mirror, NewCommit, Pushed, Unreadable};
use crate::config::Config;
use crate::daemon::edits::{Edits, Room};
use crate::daemon::message::{Done, Message, Written};
use crate::model::pin::Trailers;
use crate::model::{CommitId, Environment, Pin, Policy, Scope, Sequence};
use crate::relay::edit::template::{Template, TemplateError};
use crate::relay::edit::words::{Vocabulary, Words};
use crate::relay::edit::{self, Files};
use crate::relay::gate::Cleared;
use crate::telemetry::Metrics;
use crate::telemetry::metrics;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// How long a plan waits for others to share its push.
const WINDOW: Duration = Duration::from_millis(100);
/// How many plans share one push at the most.
const BATCH_MAX: usize = 500;
/// How many pushes one batch may take: enough to find one bad change among the most that share a push, and its neighbour.
const TRIES_MAX: usize = 24;
/// How long one batch races with other pushers before it goes back to the pass, which looks for HOLD files again.
pub(in crate::daemon) const RACE_MAX: Duration = Duration::from_secs(5);
/// The longest pause before the next try of a race: it keeps two that lose together from losing together for ever.
const JITTER_MAX_MS: u8 = 25;
/// The first and the longest pause before a push to a branch that somebody else has locked: a push that goes on holds the lock
/// for some milliseconds, a hook for a second.
const LOCK_PAUSES: (Duration, Duration) = (Duration::from_millis(25), Duration::from_millis(800));
/// How many of its own commits a writer remembers, to know a tip that only it moved.
const CHAIN_MAX: usize = 10_000;

/// A change of one environment that was cleared and given a number.
pub(in crate::daemon) struct WriteOrder {
    /// The policy and the environment's place in it.
    pub(in crate::daemon) policy: Arc<Policy>,
    pub(in crate::daemon) index: usize,
    /// The right to make it.
    pub(in crate::daemon) cleared: Cleared,
    /// Its number.
    pub(in crate::daemon) intent: Sequence,
    /// The journal that gave the number.
    pub(in crate::daemon) journal: String,
    /// The tip and the pin that it was judged on.
    pub(in crate::daemon) judged: (CommitId, Pin),
    /// When it was judged.
    pub(in crate::daemon) at: Timestamp,
}

impl WriteOrder {
    fn environment(&self) -> &Environment {
        &self.policy.environments[self.index]
    }
}

/// Writes to one branch of one repository.
pub(in crate::daemon) struct Writer {
    pub(in crate::daemon) mirror: Arc<Mirror>,
    /// The turns of all who look at files that are written.
    pub(in crate::daemon) edits: Edits,
    /// What bounds policies: the configuration that is in use at the moment of a write.
    pub(in crate::daemon) config: watch::Receiver<Arc<Config>>,
    pub(in crate::daemon) branch: String,
    pub(in crate::daemon) base: String,
    pub(in crate::daemon) author: Author,
    /// How long one batch races with other pushers.
    pub(in crate::daemon) race_max: Duration,
    pub(in crate::daemon) metrics: Metrics,
    pub(in crate::daemon) out: mpsc::Sender<Message>,
}

impl Writer {
    /// Takes orders until there are no more to come.
    pub(in crate::daemon) async fn run(self, mut orders: mpsc::Receiver<WriteOrder>) {
        let mut chain: Vec<CommitId> = Vec::new();
        while let Some(first) = orders.recv().await {
            let mut batch = vec![first];
            tokio::time::sleep(WINDOW).await;
            while batch.len() < BATCH_MAX
                && let Ok(next) = orders.try_recv()
            {
                batch.push(next);
            }
            if !self.write(&batch, &mut chain).await {
                return;
            }
        }
    }

    /// Writes a batch and tells what became of each order; false when nobody listens any more.
    ///
    /// What the server refuses as a whole is tried again in halves, so that one change that it does not want holds up no
    /// other. Where it wants none, that is known after a few pushes. Where the branch cannot even be read, no half fares
    /// better. What is too much text for one push goes with the next.
    async fn write(&self, batch: &[WriteOrder], chain: &mut Vec<CommitId>) -> bool {
        let mut parts = vec![batch];
        let mut n_tries = 0;
        while let Some(part) = parts.pop() {
            n_tries += 1;
            let all_failed = |error: String| part.iter().map(|_| Written::Failed(error.clone())).collect();
            let outcomes: Vec<Written> = match self.race(part, chain).await {
                Ok(outcomes) => outcomes,
                Err(NotPushed::Refused(_)) if part.len() > 1 && n_tries < TRIES_MAX => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                    continue;
                }
                Err(NotPushed::Unread(error) | NotPushed::Locked(error) | NotPushed::Refused(error)) => {
                    all_failed(error)
                }
            };
            if let Some(rest) = part.get(outcomes.len()..).filter(|rest| !rest.is_empty()) {
                parts.push(rest);
            }
            for (order, written) in part.iter().zip(outcomes) {
                let scope = Scope::of(&order.policy.name, &order.environment().name);
                let done = Done::Write { intent: order.intent, written };
                if self.out.send(Message::Done { scope, done }).await.is_err() {
                    return false;
                }
            }
        }
        true
    }

    /// Plans and pushes as many of these orders as one push takes, and does so again on each tip that a lost race names, as
    /// long as it may. Nobody else uses the mirror meanwhile: between a tip and the push on it lies nothing but the planning.
    async fn race(&self, part: &[WriteOrder], chain: &mut Vec<CommitId>) -> Result<Vec<Written>, NotPushed> {
        let mut mirror = self.mirror.keep_turn().await;
        let mut begun = tokio::time::Instant::now();
        let mut tip = self.tip(&mirror).await.map_err(NotPushed::Unread)?;
        let (mut lock_pause, lock_pause_max) = LOCK_PAUSES;
        let mut room: Option<Room> = None;
        loop {
            let stacked = self.stack(&mirror, &tip, part, chain).await.map_err(NotPushed::Unread)?;
            let bytes = stacked.bytes;
            if room.as_ref().is_none_or(|room| !room.holds(bytes)) {
                drop(room.take());
                room = self.edits.try_room(bytes);
                if room.is_none() {
                    // Another repository's push may hang for minutes. Whoever waits for room holds no text meanwhile, and
                    // leaves the mirror to its readers; then it plans again on the tip as it is.
                    drop(stacked);
                    drop(mirror);
                    room = Some(self.edits.room(bytes).await);
                    mirror = self.mirror.keep_turn().await;
                    begun = tokio::time::Instant::now();
                    tip = self.tip(&mirror).await.map_err(NotPushed::Unread)?;
                    continue;
                }
            }
            let pushed = self.push(&mirror, stacked, chain).await.map_err(NotPushed::Refused)?;
            let is_over = begun.elapsed() >= self.race_max;
            match pushed {
                Attempt::Ended(outcomes) => return Ok(outcomes),
                Attempt::Lost(outcomes, _) if is_over => return Ok(outcomes),
                Attempt::Lost(outcomes, next) => {
                    tokio::time::sleep(jitter()).await;
                    if mirror.fetch(&self.branch, &next).await.is_err() {
                        return Ok(outcomes);
                    }
                    tip = next;
                }
                Attempt::Locked(reason) if is_over => return Err(NotPushed::Locked(reason)),
                // Whoever holds the lock may move the branch: the next push then names the new tip.
                Attempt::Locked(_) => {
                    tokio::time::sleep(lock_pause + jitter()).await;
                    lock_pause = (lock_pause * 2).min(lock_pause_max);
                }
            }
        }
    }

    /// Plans orders on a tip, each above the one before, as many as one push takes.
    async fn stack(
        &self,
        mirror: &Mirror,
        tip: &CommitId,
        batch: &[WriteOrder],
        chain: &mut Vec<CommitId>,
    ) -> Result<Stacked, String> {
        if !chain.contains(tip) {
            chain.clear();
        }
        let config = self.config.borrow().clone();
        let mut hold_good = Vec::with_capacity(batch.len());
        for order in batch {
            hold_good.push(self.holds_good(mirror, tip, order, &config, chain).await?);
        }
        let groups: Vec<Vec<String>> = batch.iter().map(|order| edit::wanted(&order.environment().write)).collect();
        let bytes_max = self.edits.bytes();
        let look = |contents: Contents<String>, n_groups| {
            let orders = batch.iter().zip(hold_good).take(n_groups);
            Stacked::of(tip.clone(), orders, &config, Read::of(contents), bytes_max)
        };
        self.edits.read(mirror, tip, &groups, look).await.map_err(|error| error.to_string())
    }

    /// Whether what was judged of an order is so on this tip, too.
    async fn holds_good(
        &self,
        mirror: &Mirror,
        tip: &CommitId,
        order: &WriteOrder,
        config: &Config,
        chain: &[CommitId],
    ) -> Result<bool, String> {
        let judged = &order.judged.0;
        if judged == tip || chain.contains(judged) {
            return Ok(true);
        }
        let repository = config.repositories.get(&order.environment().deliver.repository);
        let policies = repository.filter(|settings| settings.branch == self.branch);
        let mut places = edit::wanted(&order.environment().write);
        places.extend(policies.and_then(|settings| settings.policies.clone()));
        mirror.stands_still(judged, tip, &places).await.map_err(|error| error.to_string())
    }

    async fn tip(&self, mirror: &Mirror) -> Result<CommitId, String> {
        let tip = match mirror.tip(&self.branch).await.map_err(|error| error.to_string())? {
            Some(tip) => tip,
            None => {
                let base = mirror.tip(&self.base).await.map_err(|error| error.to_string())?;
                let base =
                    base.ok_or_else(|| format!("there is neither a branch {} nor {}", self.branch, self.base))?;
                match mirror.create_branch(&self.branch, &base).await.map_err(|error| error.to_string())? {
                    Pushed::Locked(reason) => return Err(reason),
                    Pushed::Done(_) | Pushed::Raced(_) => base,
                }
            }
        };
        mirror.fetch(&self.branch, &tip).await.map_err(|error| error.to_string())?;
        Ok(tip)
    }

    /// Pushes what was stacked; an error is about all of it.
    async fn push(&self, mirror: &Mirror, stacked: Stacked, chain: &mut Vec<CommitId>) -> Result<Attempt, String> {
        let Stacked { base, commits, orders, at, bytes: _ } = stacked;
        let pushed = match at {
            None => Ok(Pushed::Done(Vec::new())),
            Some(at) => {
                let begun = tokio::time::Instant::now();
                let pushed = mirror.push(&self.branch, &base, commits, &self.author, at).await;
                let result = match &pushed {
                    Ok(Pushed::Done(_)) => metrics::Pushed::Done,
                    Ok(Pushed::Raced(_) | Pushed::Locked(_)) => metrics::Pushed::Raced,
                    Err(_) => metrics::Pushed::Failed,
                };
                self.metrics.pushed(result, begun.elapsed());
                pushed
            }
        };
        let mut made = match pushed {
            Ok(Pushed::Done(made)) => made.into_iter(),
            Ok(Pushed::Raced(tip)) => {
                let outcomes = orders.into_iter().map(|order| order.or(|_| Written::Raced)).collect();
                return Ok(match tip {
                    Some(tip) => Attempt::Lost(outcomes, tip),
                    None => Attempt::Ended(outcomes),
                });
            }
            Ok(Pushed::Locked(reason)) => return Ok(Attempt::Locked(reason)),
            Err(error @ GitError::Unreachable { .. }) => {
                let unknown = |order: Planned| order.or(|_| Written::Unknown(error.to_string()));
                return Ok(Attempt::Ended(orders.into_iter().map(unknown).collect()));
            }
            Err(error) => return Err(error.to_string()),
        };
        if chain.is_empty() {
            chain.push(base);
        }
        chain.extend(made.clone());
        let excess = chain.len().saturating_sub(CHAIN_MAX);
        chain.drain(..excess);
        let mut committed = |pin| made.next().map_or(Written::Raced, |commit| Written::Committed(commit, pin));
        Ok(Attempt::Ended(orders.into_iter().map(|order| order.or(&mut committed)).collect()))
    }
}

/// Why nothing of a batch was pushed.
enum NotPushed {
    /// The branch could not be read.
    Unread(String),
    /// Somebody else had the branch locked all the time.
    Locked(String),
    /// The server does not want it.
    Refused(String),
}

/// What became of one push.
enum Attempt {
    /// What became of each order, for good.
    Ended(Vec<Written>),
    /// What became of each order if it is not tried again, and where the branch stands by now.
    Lost(Vec<Written>, CommitId),
    /// Somebody else has the branch locked.
    Locked(String),
}

fn jitter() -> Duration {
    let mut random = [0];
    // Without randomness the next try follows at once, which is well, too.
    let _filled = getrandom::fill(&mut random);
    Duration::from_millis((random[0] % JITTER_MAX_MS).into())
}

/// The commits of one push.
struct Stacked {
    base: CommitId,
    commits: Vec<NewCommit>,
    orders: Vec<Planned>,
    at: Option<Timestamp>,
    /// How much text the commits write.
    bytes: usize,
}

impl Stacked {
    /// Plans these orders, of which it is known whether what was judged still holds good, until so many bytes are written.
    fn of<'o>(
        base: CommitId,
        orders: impl Iterator<Item = (&'o WriteOrder, bool)>,
        config: &Config,
        mut read: Read,
        bytes_max: usize,
    ) -> Self {
        let mut stacked = Self { base, commits: Vec::new(), orders: Vec::new(), at: None, bytes: 0 };
        for (order, holds_good) in orders {
            let paths = edit::wanted(&order.environment().write);
            let bytes: usize = paths.iter().filter_map(|path| read.files.get(path)).map(String::len).sum();
            // Many orders may write one file, and each commit holds the whole of it.
            if !stacked.commits.is_empty() && stacked.bytes + bytes > bytes_max {
                break;
            }
            let planned = if holds_good { plan(order, config, &mut read) } else { Err(Planned::Raced) };
            stacked.orders.push(planned.map_or_else(
                |planned| planned,
                |(commit, pin)| {
                    stacked.bytes += commit.files.values().flatten().map(String::len).sum::<usize>();
                    stacked.commits.push(commit);
                    stacked.at = stacked.at.max(Some(order.at));
                    Planned::Stacked(pin)
                },
            ));
        }
        stacked
    }
}

/// The files of some orders, as they were read and as the orders before changed them.
struct Read {
    files: Files,
    /// Those that cannot be read stop the orders that need them.
    unread: BTreeMap<String, Unreadable>,
}

impl Read {
    fn of(contents: Contents<String>) -> Self {
        let mut read = Self { files: Files::new(), unread: BTreeMap::new() };
        for (path, content) in contents {
            match content {
                Ok(text) => drop(read.files.insert(path, text)),
                Err(unreadable) => drop(read.unread.insert(path, unreadable)),
            }
        }
        read
    }
}

/// What became of an order before the push.
enum Planned {
    Stacked(Pin),
    Raced,
    Failed(String),
}

impl Planned {
    fn or(self, stacked: impl FnOnce(Pin) -> Written) -> Written {
        match self {
            Self::Stacked(pin) => stacked(pin),
            Self::Raced => Written::Raced,
            Self::Failed(why) => Written::Failed(why),
        }
    }
}

/// Plans one order on these files; what it changes, the next order sees. A file that cannot be read stops the orders that need
/// it.
fn plan(order: &WriteOrder, config: &Config, read: &mut Read) -> Result<(NewCommit, Pin), Planned> {
    let failed = |error: &dyn std::fmt::Display| Planned::Failed(error.to_string());
    let environment = order.environment();
    let (places, images) = (&environment.write, &environment.images);
    if let Some(unread) = edit::wanted(places).iter().find_map(|path| read.unread.get(path)) {
        return Err(failed(&unread.reason));
    }
    if edit::read(places, images, &read.files).map_err(|error| failed(&error))? != order.judged.1 {
        return Err(Planned::Raced);
    }
    let plan = edit::plan(places, images, environment.pin, &order.cleared, &read.files);
    let changed = plan.and_then(|plan| edit::apply(&plan, &read.files)).map_err(|error| failed(&error))?;
    for file in changed.keys() {
        let judged = config.judge_write(&order.policy.origin, &environment.deliver.repository, file);
        judged.map_err(|why| failed(&why))?;
    }
    let message = message(&order.policy, environment, &order.cleared, &order.judged.1, &order.journal, order.intent);
    let message = message.map_err(|error| failed(&error))?;
    let mut before = Files::new();
    for (path, text) in &changed {
        before.extend(read.files.insert(path.clone(), text.clone()).map(|old| (path.clone(), old)));
    }
    let release = order.cleared.release();
    let pin = match edit::read(places, images, &read.files) {
        Ok(pin) if pin.says(release) => Ok(pin),
        Ok(pin) => Err(Planned::Failed(format!(
            "the change would pin {pin} and not {release}: it is not made; look at what `write` names"
        ))),
        Err(error) => Err(failed(&error)),
    };
    if pin.is_err() {
        read.files.extend(before);
    }
    let files = changed.into_iter().map(|(path, text)| (path, Some(text))).collect();
    pin.map(|pin| (NewCommit { files, message }, pin))
}

/// The message of the commit that makes a change: its trailers say what it is to whoever reads the history.
pub(in crate::daemon) fn message(
    policy: &Policy,
    environment: &Environment,
    cleared: &Cleared,
    old: &Pin,
    journal: &str,
    intent: Sequence,
) -> Result<String, TemplateError> {
    let template = environment.deliver.message.as_deref();
    let template = template.map(|source| Template::parse(source, Vocabulary::Release)).transpose()?;
    let words = Words::of_change(&policy.name, &environment.name, &environment.images, (old, None), cleared.release());
    let trailers = Trailers::lines(journal, intent, &policy.name, &environment.name, cleared.release());
    edit::message::message(template.as_ref(), &words, cleared.because(), &trailers)
}

#[cfg(test)]
mod tests;
