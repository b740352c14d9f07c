//! The poller of one repository: reads it when its reading grows old, or when it is woken, for all who need it at once.

use crate::clients::registry::{Last, ListedTag, Listing, Mark, Registry, RegistryError};
use crate::daemon::clock::Clock;
use crate::daemon::lists::{Kept, Lists};
use crate::daemon::message::{Message, Observation};
use crate::daemon::state::need::{Extent, Need};
use crate::model::{Repository, TagList, text};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::Polled;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long a failed reading waits at first; each further failure doubles it.
const BACKOFF_MIN: Duration = Duration::from_secs(2);
/// How long it waits at the most.
const BACKOFF_MAX: Duration = Duration::from_secs(300);
/// The longest sleep: the wall clock is looked at again after it, since it may have been set.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// How much later each poller more may let those read that are due together: fifty in a second.
const SPREAD_EACH: Duration = Duration::from_millis(20);
/// How much later they read at the most, of thousands.
const SPREAD_MAX: Duration = Duration::from_secs(30);

/// How long after a whole reading began the next may begin that was woken: a flood of webhooks is a few readings.
const WOKEN_MIN: Duration = Duration::from_millis(250);

/// The list of tags as it was last read.
struct Listed {
    tags: Arc<Kept<TagList>>,
    mark: Mark,
    /// Whether push times were asked for.
    times: bool,
}

impl Last for Listed {
    fn mark(&self) -> &Mark {
        &self.mark
    }

    fn tags(&self) -> Option<TagList> {
        // Whoever judges the list says why it cannot be read; here its times are all told again.
        self.tags.read().ok()
    }
}

/// What all pollers use: they are thousands, so none has its own.
pub(in crate::daemon) struct Shared {
    pub(in crate::daemon) registry: Registry,
    pub(in crate::daemon) clock: Clock,
    pub(in crate::daemon) metrics: Metrics,
    pub(in crate::daemon) lists: Lists,
    /// How many pollers there are.
    pub(in crate::daemon) n_pollers: AtomicUsize,
    pub(in crate::daemon) stop: CancellationToken,
    pub(in crate::daemon) out: mpsc::Sender<Message>,
}

/// Polls one repository.
pub(in crate::daemon) struct Poller {
    pub(in crate::daemon) repository: Repository,
    pub(in crate::daemon) wake: Arc<Notify>,
    /// How long it waits before it first reads: those that begin together do not read together.
    pub(in crate::daemon) first: Duration,
    pub(in crate::daemon) shared: Arc<Shared>,
}

/// What a poller knows of its readings so far.
#[derive(Default)]
struct Readings {
    listed: Option<Listed>,
    /// The last one that went well, without what it told.
    last: Option<Observation>,
    /// How many failed since then.
    failures: u32,
}

/// When the last whole reading began, what the last one was made for, and how long it is to be waited before the next where
/// that failed.
struct Done {
    at: Timestamp,
    begun: Instant,
    served: Need,
    pause: Option<Duration>,
}

impl Poller {
    /// Polls until nobody needs the repository any more.
    pub(in crate::daemon) async fn run(self, mut need: watch::Receiver<Need>) {
        let mut readings = Readings::default();
        tokio::select! {
            () = tokio::time::sleep(self.first) => {}
            () = self.wake.notified() => {}
            () = self.shared.stop.cancelled() => return,
        }
        let mut done: Option<Done> = None;
        loop {
            let wanted = need.borrow_and_update().clone();
            // On the heap, and only while it reads: thousands of pollers rest.
            let listed = done.take().filter(|listed| self.still_counts(listed, &wanted));
            let Some(read) = Box::pin(self.read(wanted, listed, &mut readings)).await else { return };
            let Some(extent) = self.rest(&mut need, &read).await else { return };
            done = (extent == Extent::Followed).then_some(read);
        }
    }

    /// Whether the list need not be read for what is wanted by now, which may be more than what ended the rest.
    fn still_counts(&self, listed: &Done, wanted: &Need) -> bool {
        let left = wanted.left(listed.at, self.shared.clock.now(), listed.begun.elapsed());
        !left.is_zero() && wanted.beyond(&listed.served) != Some(Extent::Whole)
    }

    /// Reads what is wanted and tells the loop, without the list where that was `listed` before; nothing where it is over.
    async fn read(&self, wanted: Need, listed: Option<Done>, readings: &mut Readings) -> Option<Done> {
        let (now, begun) = (self.shared.clock.now(), Instant::now());
        let extent = if listed.is_some() { Extent::Followed } else { Extent::Whole };
        let result = tokio::select! {
            result = self.observe(&wanted, extent, &mut readings.listed) => result,
            // A reading changes nothing outside: the next start makes it again.
            () = self.shared.stop.cancelled() => return None,
        };
        let polled = match &result {
            Ok(observation) if readings.last.as_ref() == Some(observation) => Polled::Unchanged,
            Ok(Observation { tags, told: _, times, followed }) => {
                let (tags, followed) = (tags.clone(), followed.clone());
                readings.last = Some(Observation { tags, told: Vec::new(), times: *times, followed });
                Polled::Changed
            }
            Err(_) => Polled::Failed,
        };
        self.shared.metrics.polled(polled, begun.elapsed());
        let pause = result.as_ref().err().map(|failure| pause(failure.asked, readings.failures));
        readings.failures = if result.is_ok() { 0 } else { readings.failures.saturating_add(1) };
        let result = result.map_err(|failure| failure.why);
        let (at, whole_begun) = listed.map_or((now, begun), |listed| (listed.at, listed.begun));
        let message = Message::Observed { repository: self.repository.clone(), at, begun, result };
        let served = Need { polls: Vec::new(), ..wanted };
        self.shared.out.send(message).await.ok().map(|()| Done { at, begun: whole_begun, served, pause })
    }

    /// Waits until the reading is old, something woke us, or more is needed than it told; nothing when nobody needs us any
    /// more.
    async fn rest(&self, need: &mut watch::Receiver<Need>, last: &Done) -> Option<Extent> {
        // Where a reading is old as soon as it is made, nothing below asks whether anybody still needs it.
        need.has_changed().ok()?;
        if let Some(pause) = last.pause {
            return tokio::select! {
                () = tokio::time::sleep(pause) => Some(Extent::Whole),
                changed = need.changed() => changed.ok().map(|()| Extent::Whole),
            };
        }
        loop {
            let left = need.borrow().left(last.at, self.shared.clock.now(), last.begun.elapsed());
            if left.is_zero() && !need.borrow().is_by_cron() {
                return Some(Extent::Whole);
            }
            if left.is_zero() {
                let apart = spread(&self.repository, self.shared.n_pollers.load(Ordering::Relaxed));
                return tokio::select! {
                    () = tokio::time::sleep(apart) => Some(Extent::Whole),
                    () = self.wake.notified() => Some(Extent::Whole),
                    changed = need.changed() => changed.ok().map(|()| Extent::Whole),
                };
            }
            tokio::select! {
                () = tokio::time::sleep(left.min(SLEEP_MAX)) => {}
                () = self.wake.notified() => {
                    // What is told in the meantime is read by the same reading.
                    tokio::time::sleep_until(last.begun + WOKEN_MIN).await;
                    return Some(Extent::Whole);
                }
                changed = need.changed() => {
                    changed.ok()?;
                    // Where only the polls changed, it rests on by these.
                    let beyond = need.borrow_and_update().beyond(&last.served);
                    if beyond.is_some() {
                        return beyond;
                    }
                }
            }
        }
    }

    /// Reads what is needed. The list comes last: what it tells comes once, and no failure may lose it.
    async fn observe(&self, need: &Need, extent: Extent, listed: &mut Option<Listed>) -> Result<Observation, Failure> {
        let mut followed = BTreeMap::new();
        for tag in &need.followed {
            followed.insert(tag.clone(), self.shared.registry.digest(&self.repository, tag).await?);
        }
        let is_lost = listed.as_ref().is_some_and(|listed| !listed.tags.is_there());
        let lists = need.tags && (extent == Extent::Whole || is_lost);
        let told = if lists { self.list(need, listed).await? } else { Vec::new() };
        let tags = listed.as_ref().filter(|_| need.tags).map(|listed| Arc::clone(&listed.tags));
        Ok(Observation { tags, told, times: need.times, followed })
    }

    /// Reads the list, unless it is as it was; what it tells of its tags.
    async fn list(&self, need: &Need, listed: &mut Option<Listed>) -> Result<Vec<ListedTag>, Failure> {
        let usable = |listed: &&Listed| (listed.times || !need.times) && listed.tags.is_there();
        let last = listed.as_ref().filter(usable).map(|listed| listed as &dyn Last);
        let Some(Listing { tags, told, mark }) = self.shared.registry.list(&self.repository, need.times, last).await?
        else {
            return Ok(Vec::new());
        };
        // Taken before anything can fail: what was told of a list that could not be put away is told again.
        let before = listed.take();
        let kept = self.shared.lists.keep(&tags).await.map_err(|why| Failure { why, asked: None })?;
        let tags = match before {
            Some(before) if *before.tags == kept && before.tags.is_there() => before.tags,
            Some(_) | None => Arc::new(kept),
        };
        *listed = Some(Listed { tags, mark, times: need.times });
        Ok(told)
    }
}

/// How long one of so many pollers that are due together waits: each repository always the same, all of them evenly.
pub(in crate::daemon) fn spread(repository: &Repository, n_pollers: usize) -> Duration {
    let window = SPREAD_EACH.saturating_mul(u32::try_from(n_pollers).unwrap_or(u32::MAX)).min(SPREAD_MAX);
    let [a, b, c, d, ..] = text::sha256(repository.to_string().as_bytes());
    window.mul_f64(f64::from(u32::from_be_bytes([a, b, c, d])) / (f64::from(u32::MAX) + 1.0))
}

/// Why a repository could not be read.
#[derive(Debug)]
struct Failure {
    why: String,
    /// How long the host asks to be left alone.
    asked: Option<Duration>,
}

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        let asked = match &error {
            RegistryError::Busy { message: _, retry_after } => *retry_after,
            RegistryError::Unreachable(_)
            | RegistryError::Refused(_)
            | RegistryError::Absent(_)
            | RegistryError::Invalid(_)
            | RegistryError::Immutable(_) => None,
        };
        Self { why: error.to_string(), asked }
    }
}

/// How long a reading waits that failed after so many failures in a row: as long as was asked for, else ever longer.
pub(in crate::daemon) fn pause(asked: Option<Duration>, failures: u32) -> Duration {
    let grown = BACKOFF_MIN.saturating_mul(2_u32.saturating_pow(failures)).min(BACKOFF_MAX);
    asked.map_or(grown, |asked| asked.max(BACKOFF_MIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pollers_that_are_due_together_read_apart() {
        let of = |n: usize, all: usize| {
            let repository = Repository::parse(&format!("reg.io/team/app-{n}")).expect("a repository");
            spread(&repository, all)
        };
        assert!(of(1, 1) < SPREAD_EACH);
        assert_eq!(of(7, 1000), of(7, 1000), "always the same");
        let mut seconds = [0; 20];
        for n in 0..1000 {
            seconds[usize::try_from(of(n, 1000).as_secs()).expect("small")] += 1;
        }
        assert!(seconds.iter().all(|n| (25..=80).contains(n)), "about fifty in each second: {seconds:?}");
        assert!((0..100).all(|n| of(n, 1_000_000) < SPREAD_MAX));
    }
}
