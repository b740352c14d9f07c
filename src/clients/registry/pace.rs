//! How fast one host may be asked: requests in a second, requests at once, and when it is to be left alone.
//!
//! At first, and after a rest, many requests come quickly, so that a first reading takes no longer than the host needs. A
//! refusal, a used-up allowance, or answers that take ever longer end that, and the even rate begins.
//!
//! It sends nothing and reads no header: it is told how each request went. A request's turn ends with the head of the
//! answer; bodies are bounded by whoever reads them. What carries much keeps the rate, and takes nobody's place.

use super::host::held;
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// How many requests are under way at first: enough to learn from, too few to hurt a small registry.
const AT_ONCE_FIRST: f64 = 2.0;
/// How many it grows to at the most, one more for each round of successes.
const AT_ONCE_MAX: f64 = 16.0;
/// How many requests that carry much are under way at once, beside the others: each takes minutes on a slow line.
const LARGE_AT_ONCE: usize = 2;
/// How many requests in a row fail before the host counts as dead: one or two are lost on any line.
const FAILURES_MAX: u32 = 3;
/// How long a dead host is left alone at first; each probe that fails doubles it.
const PAUSE_FIRST: Duration = Duration::from_secs(2);
/// How long it is left alone at the most: what comes back is noticed within this time.
const PAUSE_MAX: Duration = Duration::from_secs(300);
/// How long a request may wait for its answer before another may be sent in its place: one repository that stalls is to
/// keep no other one of its host waiting. Whoever asks bounds how many can stall: each repository is read once at a time.
pub(super) const STALL: Duration = Duration::from_secs(3);
/// How much of the rate may be used at once after a rest, by a host that had trouble lately.
const BURST: Duration = Duration::from_secs(1);
/// How long a host that had trouble gets no longer burst.
const CALM: Duration = Duration::from_secs(60);
/// How many answers say how long the host usually takes.
const USUAL_ANSWERS: f64 = 10.0;
/// By how many seconds it may take longer than its requests at once explain: a fast host is not slow for some milliseconds.
const SLOWER_BY: f64 = 0.1;
/// How much each answer counts in how long it takes by now.
const LAST_ANSWER: f64 = 0.125;

/// How one request went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard {
    /// An answer, be it a refusal; and how long the host wants to be left alone now.
    Answer(Option<Duration>),
    /// It has too much to do; and how long it wants to be left alone.
    Busy(Option<Duration>),
    /// No answer of the registry itself, in these words.
    Nothing(String),
}

/// Why no request is sent now, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shut {
    pub(super) why: String,
    pub(super) wait: Duration,
}

/// How one host is spoken to just now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostState {
    /// The host, as repositories name it; that of a provider's own API by its own name.
    pub host: String,
    /// How many requests were sent to it, or to where it led us.
    pub requests: u64,
    /// How many requests may be under way at once.
    pub at_once: u32,
    /// Why it is left alone, where it is.
    pub shut: Option<String>,
}

impl HostState {
    /// Adds what another pace has with the same host, as where the registries of two accounts share an API.
    pub(super) fn add(&mut self, other: &Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.at_once = self.at_once.saturating_add(other.at_once);
        self.shut = self.shut.take().or_else(|| other.shut.clone());
    }
}

/// Whether the host answers at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Circuit {
    Closed,
    Open { until: Instant, pause: Duration },
    Probing { pause: Duration },
}

/// How long a host takes to answer, in seconds: in the beginning, and by now.
#[derive(Debug, Default)]
struct Delay {
    n_answers: f64,
    usual: f64,
    recent: f64,
}

impl Delay {
    fn learn(&mut self, took: Duration) {
        let took = took.as_secs_f64();
        self.n_answers += 1.0;
        if self.n_answers <= USUAL_ANSWERS {
            self.usual += (took - self.usual) / self.n_answers;
            self.recent = self.usual;
        } else {
            self.recent += (took - self.recent) * LAST_ANSWER;
        }
    }

    /// Whether it takes longer than so many requests at once explain: twice as many may take twice as long each.
    fn grows(&self, at_once: f64) -> bool {
        self.recent > self.usual * (at_once / AT_ONCE_FIRST).max(1.0) + SLOWER_BY
    }
}

#[derive(Debug)]
struct State {
    interval: Duration,
    /// How much of the rate may be used at once by a host that keeps up.
    burst: Duration,
    /// Until when a host that did not keep up gets a short burst alone.
    calm_until: Option<Instant>,
    delay: Delay,
    /// When the next request would be due at an even rate.
    due: Instant,
    at_once: f64,
    under_way: u32,
    cut_at: Option<Instant>,
    left_alone_until: Option<Instant>,
    failures: u32,
    last_failure: String,
    circuit: Circuit,
    requests: u64,
}

/// What becomes of a request that wants to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    /// It is sent at that time; as a probe, where the host was dead.
    Go { at: Instant, probe: bool },
    /// It waits for another to end.
    Full,
    /// It is not sent.
    Shut(Shut),
}

impl State {
    fn new(per_second: u32, at_first: u32, now: Instant) -> Self {
        let interval = Duration::from_secs(1) / per_second.max(1);
        let burst = interval * at_first;
        Self {
            interval,
            burst,
            calm_until: None,
            delay: Delay::default(),
            due: now.checked_sub(burst).unwrap_or(now),
            at_once: AT_ONCE_FIRST,
            under_way: 0,
            cut_at: None,
            left_alone_until: None,
            failures: 0,
            last_failure: String::new(),
            circuit: Circuit::Closed,
            requests: 0,
        }
    }

    fn shut(&self, now: Instant) -> Option<Shut> {
        let left = |until: Instant| Some(until.saturating_duration_since(now)).filter(|left| !left.is_zero());
        if let Some(wait) = self.left_alone_until.and_then(left) {
            return Some(Shut { why: "the host asked to be left alone".to_owned(), wait });
        }
        let Circuit::Open { until, .. } = self.circuit else { return None };
        let why = format!("the host does not answer ({})", self.last_failure);
        left(until).map(|wait| Shut { why, wait })
    }

    fn enter(&mut self, now: Instant) -> Entry {
        if let Some(shut) = self.shut(now) {
            return Entry::Shut(shut);
        }
        let probe = match self.circuit {
            Circuit::Probing { .. } => return Entry::Full,
            Circuit::Open { pause, .. } => {
                self.circuit = Circuit::Probing { pause };
                true
            }
            Circuit::Closed if f64::from(self.under_way) + 1.0 > self.at_once => return Entry::Full,
            Circuit::Closed => false,
        };
        self.under_way += 1;
        self.requests += 1;
        if self.calm_until.is_some_and(|until| until <= now) {
            (self.calm_until, self.delay) = (None, Delay::default());
        }
        let burst = if self.calm_until.is_some() { BURST.min(self.burst) } else { self.burst };
        // A host that was not asked for a while may be asked some requests quickly.
        let rested = now.checked_sub(burst).unwrap_or(now);
        if self.due <= rested {
            self.delay = Delay::default();
        }
        self.due = self.due.max(rested) + self.interval;
        Entry::Go { at: self.due.max(now), probe }
    }

    /// The host does not keep up: what comes next comes at the even rate.
    fn calm_down(&mut self, now: Instant) {
        self.calm_until = Some(now + CALM);
        self.due = self.due.max(now);
    }

    /// A request leaves its place to another.
    fn leave(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// A request that began at `begun` has ended; none where nobody waited for its answer.
    fn learn(&mut self, heard: Option<Heard>, begun: Instant, probe: bool, now: Instant) {
        let wait = match &heard {
            Some(Heard::Answer(wait) | Heard::Busy(wait)) => *wait,
            Some(Heard::Nothing(_)) | None => None,
        };
        if let Some(wait) = wait {
            self.left_alone_until = self.left_alone_until.max(Some(now + wait));
            self.calm_down(now);
        }
        let failure = match heard {
            Some(Heard::Answer(_)) => {
                self.delay.learn(now.saturating_duration_since(begun));
                if self.calm_until.is_none() && self.delay.grows(self.at_once) {
                    self.calm_down(now);
                }
                self.failures = 0;
                self.circuit = Circuit::Closed;
                self.at_once = (self.at_once + self.at_once.recip()).min(AT_ONCE_MAX);
                return;
            }
            None => {
                if let (true, Circuit::Probing { pause }) = (probe, self.circuit) {
                    self.circuit = Circuit::Open { until: now, pause };
                }
                return;
            }
            Some(Heard::Busy(_)) => "it has too much to do".to_owned(),
            Some(Heard::Nothing(words)) => words,
        };
        self.calm_down(now);
        // Requests that were under way together tell one thing together.
        if self.cut_at.is_none_or(|cut| begun >= cut) {
            self.at_once = (self.at_once / 2.0).max(1.0);
            self.cut_at = Some(now);
        }
        self.failures = self.failures.saturating_add(1);
        self.last_failure = failure;
        let pause = match self.circuit {
            Circuit::Closed if self.failures >= FAILURES_MAX => PAUSE_FIRST,
            Circuit::Probing { pause } if probe => (pause * 2).min(PAUSE_MAX),
            Circuit::Closed | Circuit::Open { .. } | Circuit::Probing { .. } => return,
        };
        self.circuit = Circuit::Open { until: now + pause, pause };
    }
}

/// The pace of one host.
#[derive(Debug)]
pub(super) struct Pace {
    state: Mutex<State>,
    ended: Notify,
    large: Semaphore,
}

/// One request's turn; dropped, it ends without a lesson.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    pace: &'a Pace,
    begun: Instant,
    probe: bool,
    heard: Option<Heard>,
    has_left: bool,
    /// Held by what carries much, in the place of the others' places.
    large: Option<SemaphorePermit<'a>>,
}

impl Pace {
    /// So many requests in a second, and so many quickly at first and after a rest, while the host keeps up.
    pub(super) fn new(per_second: u32, at_first: u32) -> Self {
        let state = Mutex::new(State::new(per_second, at_first, Instant::now()));
        Self { state, ended: Notify::new(), large: Semaphore::new(LARGE_AT_ONCE) }
    }

    /// Waits for a request's turn.
    ///
    /// # Errors
    /// When the host is to be left alone.
    pub(super) async fn turn(&self) -> Result<Turn<'_>, Shut> {
        loop {
            let entry = held(&self.state).enter(Instant::now());
            match entry {
                Entry::Full => self.ended.notified().await,
                Entry::Shut(shut) => {
                    // Who waits behind us learns it too, one after the other.
                    self.ended.notify_one();
                    return Err(shut);
                }
                Entry::Go { at, probe } => {
                    self.ended.notify_one();
                    let turn = Turn { pace: self, begun: at, probe, heard: None, has_left: false, large: None };
                    tokio::time::sleep_until(at).await;
                    return match self.shut() {
                        Some(shut) => Err(shut),
                        None => Ok(turn),
                    };
                }
            }
        }
    }

    /// Waits for the turn of a request that carries much: once it is sent, the others go on beside it.
    ///
    /// # Errors
    /// When the host is to be left alone.
    pub(super) async fn large_turn(&self) -> Result<Turn<'_>, Shut> {
        // The semaphore is never closed; without a permit the request would only keep its place.
        let large = self.large.acquire().await.ok();
        let mut turn = self.turn().await?;
        if large.is_some() {
            turn.large = large;
            turn.leave();
        }
        Ok(turn)
    }

    /// Whether the host is to be left alone just now.
    pub(super) fn shut(&self) -> Option<Shut> {
        held(&self.state).shut(Instant::now())
    }

    /// How the host is spoken to just now.
    pub(super) fn state(&self, host: &str) -> HostState {
        let state = held(&self.state);
        let told = |Shut { why, wait }: Shut| format!("{why}; left alone for {} s", wait.as_secs().max(1));
        let probed = || format!("the host does not answer ({}); it is tried again now", state.last_failure);
        let probing = matches!(state.circuit, Circuit::Probing { .. }).then(probed);
        let whole = |n: &u32| f64::from(*n) + 1.0 > state.at_once;
        let at_once = (1..).find(whole).unwrap_or(1);
        let shut = state.shut(Instant::now()).map(told).or(probing);
        HostState { host: host.to_owned(), requests: state.requests, at_once, shut }
    }
}

impl Turn<'_> {
    /// Leaves its place among those that are under way at once, for it waits too long; it goes on beside them.
    pub(super) fn leave(&mut self) {
        if !std::mem::replace(&mut self.has_left, true) {
            held(&self.pace.state).leave();
            self.pace.ended.notify_one();
        }
    }

    /// Ends it with what was heard.
    pub(super) fn end(mut self, heard: Heard) {
        self.heard = Some(heard);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = held(&self.pace.state);
        if !self.has_left {
            state.leave();
        }
        state.learn(self.heard.take(), self.begun, self.probe, Instant::now());
        drop(state);
        self.pace.ended.notify_one();
    }
}

#[cfg(test)]
mod tests;
