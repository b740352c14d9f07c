//! What the journal's entries say of one environment: folded in order. The one form of it that is stored is the journal's
//! checkpoint, which stands for entries that were deleted.
//!
//! Everything here is a reading of events. A question about a release ("was it verified here?", "how long did it soak?")
//! is a function of the arrivals, so no answer can go stale.

mod condense;

use super::event::{Because, CheckResult, Effect, Event, OURSELVES, Order, Origin, Outcome, Scope, Sequence, Verdict};
use super::policy::{Ballot, RolloutRules};
use super::{CommitId, Entry, Pin, PinForm, Release, ReleaseId};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// One environment's history and standing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ledger {
    /// Every time a release (or an unknown pin) came to run here, oldest first.
    pub arrivals: Vec<Arrival>,
    /// Every effect that this journal gave a number to, by that number. Boxed, because a map keeps room for eleven.
    pub intents: BTreeMap<Sequence, Box<Intent>>,
    /// Releases that are not tried here again by themselves.
    pub refusals: BTreeMap<ReleaseId, Refusal>,
    /// Holds that stand.
    pub holds: Vec<Hold>,
    /// Votes, oldest first.
    pub votes: Vec<Vote>,
    /// The order that is to be carried out, if there is one.
    pub order: Option<StandingOrder>,
    /// The newest commit of another journal that a person told us to accept.
    pub met: Option<CommitId>,
    /// The release that we moved this environment's tag to last.
    pub tagged: Option<Release>,
    /// Why it was held, of the holds that people lifted since the last arrival: what they saw does not hold it again.
    pub lifted: BTreeSet<String>,
    /// The newest entry after which a hold belongs to it, and what it makes of that hold.
    pub holds_next: Option<(Sequence, HoldKind)>,
    /// The last hold that failures of several policies made: what failed before it does not count towards another.
    pub many_failed: Option<Sequence>,
    /// The places that it has; none where the journal says nothing of them.
    pub places: Option<Box<[String]>>,
}

/// A release's time in an environment, and its rollout.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrival {
    /// The rollout's number.
    pub rollout: Sequence,
    /// The entry that says so. What arrived later has a higher one, whatever the clock said.
    pub sequence: Sequence,
    /// When it began.
    pub at: Timestamp,
    /// What arrived; none where the pin names nothing that is known.
    pub release: Option<Release>,
    /// The pin that says so.
    pub pin: Pin,
    /// The commit that says so.
    pub commit: Option<CommitId>,
    /// Who began it.
    pub origin: Origin,
    /// The last signal.
    pub signal: Option<SignalFact>,
    /// The smoke tests that ended.
    pub checks: BTreeMap<String, CheckResult>,
    /// Where one reads more of the last verdict that was posted with an address.
    pub url: Option<String>,
    /// When the deadline ran out without a signal, and what did not come.
    pub lost: Option<(Timestamp, String)>,
    /// Its end.
    pub end: Option<End>,
    /// By what it is judged, until its end; none where an earlier version began it.
    pub rules: Option<Arc<RolloutRules>>,
    /// When the deadline began to count again, after a person resumed a rollout that was lost.
    pub resumed: Option<Timestamp>,
}

/// A signal about a rollout.
#[derive(Debug, Clone, PartialEq)]
pub struct SignalFact {
    /// What it says.
    pub verdict: Verdict,
    /// When it came.
    pub at: Timestamp,
    /// Who said it.
    pub who: String,
    /// What they say of it.
    pub evidence: String,
}

/// The end of a rollout.
#[derive(Debug, Clone, PartialEq)]
pub struct End {
    /// How it ended.
    pub outcome: Outcome,
    /// The entry that says so.
    pub sequence: Sequence,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub why: String,
}

/// An effect that was given a number.
#[derive(Debug, Clone, PartialEq)]
pub struct Intent {
    /// Its number.
    pub sequence: Sequence,
    /// When.
    pub at: Timestamp,
    /// What is made.
    pub effect: Effect,
    /// The release that moves.
    pub release: Release,
    /// Why it may.
    pub because: Because,
    /// What became of it.
    pub fate: Fate,
}

/// What became of an intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Not known yet: it may or may not have been made.
    Open,
    /// It was made.
    Made,
    /// It was not made.
    Withdrawn,
}

/// Why a release is not tried here again.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// The release.
    pub release: Release,
    /// The entry that says so.
    pub sequence: Sequence,
    /// Who refused it.
    pub who: String,
    /// Why.
    pub why: String,
    /// When.
    pub at: Timestamp,
}

/// What made a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldKind {
    /// A person by command or by a moved pin, or a failure.
    Plain,
    /// A rollback, in the same transaction.
    Rollback,
    /// A rollout without a verdict, in the same transaction.
    Unknown,
    /// Failures of several policies, in all environments of one name.
    ManyFailed,
}

/// A stop of changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Hold {
    /// Its number.
    pub sequence: Sequence,
    /// What made it.
    pub kind: HoldKind,
    /// What it stops.
    pub scope: Scope,
    /// Who.
    pub who: String,
    /// Why.
    pub why: String,
    /// Since when.
    pub at: Timestamp,
    /// Until when; none = until resumed.
    pub until: Option<Timestamp>,
}

/// A person's vote.
#[derive(Debug, Clone, PartialEq)]
pub struct Vote {
    /// Its number.
    pub sequence: Sequence,
    /// The release.
    pub release: ReleaseId,
    /// The terms it was given under: gates and places, one a line.
    pub rules: String,
    /// For or against.
    pub approve: bool,
    /// Who.
    pub who: String,
    /// Where.
    pub by: Ballot,
    /// Why; empty where nothing is said.
    pub why: String,
    /// When.
    pub at: Timestamp,
}

/// An order and who gave it.
#[derive(Debug, Clone, PartialEq)]
pub struct StandingOrder {
    /// Its number.
    pub sequence: Sequence,
    /// What to do.
    pub order: Order,
    /// Who said so.
    pub who: String,
    /// When.
    pub at: Timestamp,
}

impl Ledger {
    /// The standing of the environment `of` after these entries; entries about others are passed over.
    #[must_use]
    pub fn of<'a>(of: &Scope, entries: impl IntoIterator<Item = &'a Entry>) -> Self {
        let mut ledger = Self::default();
        for entry in entries.into_iter().filter(|entry| entry.scope.contains(of)) {
            ledger.apply(entry);
        }
        ledger
    }

    /// Takes one more entry in; its scope must contain the ledger's environment.
    pub fn apply(&mut self, entry: &Entry) {
        let (at, sequence) = (entry.at, entry.sequence);
        match &entry.event {
            Event::Adopted { pin, release, commit } => {
                self.arrive(Arrival::new(sequence, at, release.clone(), pin.clone(), commit.clone(), Origin::Adopted));
            }
            Event::Moved { pin, release, commit, who } => {
                let origin = Origin::Other(who.clone());
                // A person wins: what they set is not overwritten by a rollback that `on_failure` still waits to make.
                self.order.take_if(|standing| standing.is_ours());
                self.arrive(Arrival::new(sequence, at, release.clone(), pin.clone(), commit.clone(), origin));
            }
            Event::Intended { effect, release, because } => {
                let (effect, release, because) = (effect.clone(), release.clone(), because.clone());
                let intent = Intent { sequence, at, effect, release, because, fate: Fate::Open };
                self.intents.insert(sequence, Box::new(intent));
            }
            Event::Committed { intent, commit } => self.made(*intent, (sequence, at), Some(commit)),
            Event::Retagged { intent } => self.made(*intent, (sequence, at), None),
            Event::Withdrawn { intent, why: _ } => {
                self.intents.get_mut(intent).into_iter().for_each(|intent| intent.fate = Fate::Withdrawn);
            }
            Event::Signalled { rollout, verdict, who, evidence, url } => self.with(*rollout, |arrival| {
                let (who, evidence) = (who.clone(), evidence.clone());
                arrival.signal = Some(SignalFact { verdict: *verdict, at, who, evidence });
                arrival.url = url.clone().or(arrival.url.take());
            }),
            Event::Checked { rollout, check, result, url } => self.with(*rollout, |arrival| {
                arrival.url = url.clone().or(arrival.url.take());
                arrival.checks.insert(check.clone(), result.clone());
            }),
            Event::Lost { rollout, why } => {
                self.holds_next = Some((sequence, HoldKind::Unknown));
                self.with(*rollout, |arrival| arrival.lost = Some((at, why.clone())));
            }
            Event::Ended { rollout, outcome, why } => {
                self.with(*rollout, |arrival| {
                    arrival.end = Some(End { outcome: *outcome, sequence, at, why: why.clone() });
                    arrival.rules = None;
                });
                self.acquit(*rollout);
                self.answer_hold(*rollout, *outcome);
            }
            Event::RulesKept { rules } => {
                if let Some(arrival) = self.arrivals.last_mut() {
                    arrival.rules = Some(Arc::new(rules.clone()));
                }
            }
            Event::Voted { release, rules, approve, who, by, why } => {
                let (release, rules, who, why) = (release.clone(), rules.clone(), who.clone(), why.clone());
                self.votes.push(Vote { sequence, release, rules, approve: *approve, who, by: *by, why, at });
            }
            Event::Held { who, why, until } => {
                let kind = self.kind_of_hold(entry, who);
                if kind == HoldKind::ManyFailed {
                    self.many_failed = Some(sequence);
                }
                let (scope, who, why) = (entry.scope.clone(), who.clone(), why.clone());
                self.holds.push(Hold { sequence, kind, scope, who, why, at, until: *until });
            }
            Event::Claimed { places } => self.places = Some(places.clone().into_boxed_slice()),
            Event::Resumed { who: _, met, holds } => self.resume(&entry.scope, at, met.as_ref(), holds.as_deref()),
            Event::Refused { release, who, why } => {
                // The last word counts: a release that was ordered here and then refused does not come.
                self.order.take_if(|standing| standing.brings(release.id()));
                let refusal = Refusal { release: release.clone(), sequence, who: who.clone(), why: why.clone(), at };
                self.refusals.insert(release.id().clone(), refusal);
            }
            Event::Ordered { order, who } => self.ordered(sequence, at, order, who),
            Event::ClockSet { by_ms, since } => self.clock_set(SignedDuration::from_millis(*by_ms), *since, at),
        }
    }

    /// What runs here, or is on its way: the last arrival.
    #[must_use]
    pub fn current(&self) -> Option<&Arrival> {
        self.arrivals.last()
    }

    /// The rollout that has not ended; adopted pins have none.
    #[must_use]
    pub fn in_flight(&self) -> Option<&Arrival> {
        self.current().filter(|arrival| arrival.end.is_none() && arrival.origin != Origin::Adopted)
    }

    /// How many of the last rollouts, one after another, were overtaken by ours before they were verified.
    #[must_use]
    pub fn overtaken_in_a_row(&self) -> usize {
        let pairs = self.arrivals.windows(2).rev();
        let overtaken = pairs.take_while(|pair| {
            let [older, newer] = pair else { return false };
            let is_canceled = older.end.as_ref().is_some_and(|end| end.outcome == Outcome::Canceled);
            let by_itself = matches!(newer.origin, Origin::Ours(Because::NoGates | Because::GatesOpen(_)));
            is_canceled && by_itself && older.release != newer.release
        });
        overtaken.count()
    }

    /// The newest intent whose fate is not known.
    #[must_use]
    pub fn open_intent(&self) -> Option<&Intent> {
        self.intents.values().rev().find(|intent| intent.fate == Fate::Open).map(Box::as_ref)
    }

    /// Where in the order of first arrivals a release stands here; none if it never ran here.
    #[must_use]
    pub fn first_arrival(&self, release: &ReleaseId) -> Option<usize> {
        self.arrivals.iter().position(|arrival| arrival.is_of(release))
    }

    /// When a release was last verified here: what its last rollout here says that did not end `canceled`, unless it was
    /// refused since.
    #[must_use]
    pub fn verified_at(&self, release: &ReleaseId) -> Option<Timestamp> {
        let last = self.last_outcome(release).filter(|end| end.outcome == Outcome::Verified)?;
        let refused_since = self.refusals.get(release).is_some_and(|refusal| refusal.sequence >= last.sequence);
        (!refused_since).then_some(last.at)
    }

    /// How the last rollout of a release here ended, of those that did not end `canceled`.
    #[must_use]
    pub fn last_outcome(&self, release: &ReleaseId) -> Option<&End> {
        let of_release = self.arrivals.iter().rev().filter(|arrival| arrival.is_of(release));
        of_release.filter_map(|arrival| arrival.end.as_ref()).find(|end| end.outcome != Outcome::Canceled)
    }

    /// How long a release has been what runs here since it was verified, added up over its stays.
    #[must_use]
    pub fn soaked(&self, release: &ReleaseId, now: Timestamp) -> Duration {
        let mut soaked = Duration::ZERO;
        for (index, arrival) in self.arrivals.iter().enumerate().filter(|(_, arrival)| arrival.is_of(release)) {
            let until = self.arrivals.get(index + 1).map_or(now, |next| next.at);
            soaked += arrival.soaked_until(until);
        }
        soaked
    }

    /// The last release that was verified here, other than `but`, and is not refused.
    #[must_use]
    pub fn last_verified(&self, but: Option<&ReleaseId>) -> Option<&Release> {
        self.arrivals.iter().rev().filter(|arrival| arrival.verified_at().is_some()).find_map(|arrival| {
            let release = arrival.release.as_ref()?;
            let is_refused = self.refusals.contains_key(release.id());
            let wanted = but != Some(release.id()) && !is_refused && self.verified_at(release.id()).is_some();
            wanted.then_some(release)
        })
    }

    /// The holds that stand at `now`.
    pub fn holds_at(&self, now: Timestamp) -> impl Iterator<Item = &Hold> {
        self.holds.iter().filter(move |hold| hold.until.is_none_or(|until| now < until))
    }

    fn arrive(&mut self, arrival: Arrival) {
        let arrived = arrival.release.as_ref().map(Release::id);
        self.order.take_if(|standing| arrived.is_some_and(|arrived| standing.brings(arrived)));
        self.lifted.clear();
        // Arrivals are large and most of thousands of environments have few: room for more grows by a quarter.
        if self.arrivals.len() == self.arrivals.capacity() {
            self.arrivals.reserve_exact(1 + self.arrivals.len() / 4);
        }
        self.arrivals.push(arrival);
    }

    fn made(&mut self, intent: Sequence, (sequence, at): (Sequence, Timestamp), commit: Option<&CommitId>) {
        let Some(intent) = self.intents.get_mut(&intent) else { return };
        intent.fate = Fate::Made;
        let intent = intent.clone();
        let origin = Origin::Ours(intent.because);
        let form = match intent.effect {
            Effect::Commit { form } => form,
            Effect::Retag { tag: _, is_pin } => {
                self.tagged = Some(intent.release.clone());
                if !is_pin {
                    return;
                }
                PinForm::Digest
            }
        };
        let pin = Pin::of(&intent.release, form);
        let arrival = Arrival::new(intent.sequence, at, Some(intent.release), pin, commit.cloned(), origin);
        self.arrive(Arrival { sequence, ..arrival });
    }

    /// Reads the times that were kept before by the clock as it is now: those of this run of the process are moved with
    /// the clock, and no time is later than now. So durations stay what they were, and order is no business of times.
    fn clock_set(&mut self, by: SignedDuration, since: Sequence, now: Timestamp) {
        let moved = |at: Timestamp, sequence: Sequence| match sequence >= since {
            true => at.saturating_add(by).unwrap_or(now).min(now),
            false => at.min(now),
        };
        for arrival in &mut self.arrivals {
            arrival.at = moved(arrival.at, arrival.sequence);
            if let Some(end) = &mut arrival.end {
                end.at = moved(end.at, end.sequence);
            }
            if let Some(signal) = &mut arrival.signal {
                signal.at = moved(signal.at, arrival.sequence);
            }
            if let Some((at, _)) = &mut arrival.lost {
                *at = moved(*at, arrival.sequence);
            }
            arrival.resumed = arrival.resumed.map(|at| moved(at, arrival.sequence));
        }
        for refusal in self.refusals.values_mut() {
            refusal.at = moved(refusal.at, refusal.sequence);
        }
        self.holds.iter_mut().for_each(|hold| hold.at = hold.at.min(now));
        self.votes.iter_mut().for_each(|vote| vote.at = vote.at.min(now));
    }

    /// Lifts the refusal that a failed signal or check made, where a person asked for what runs to be verified again and all
    /// passed. A refusal by a person stays.
    fn acquit(&mut self, rollout: Sequence) {
        let asked = |arrival: &&Arrival| arrival.rollout == rollout && matches!(arrival.origin, Origin::Asked(_));
        let arrival = self.arrivals.iter().rev().find(asked).filter(|arrival| arrival.verified_at().is_some());
        let Some(release) = arrival.and_then(|arrival| arrival.release.as_ref()) else { return };
        if self.refusals.get(release.id()).is_some_and(|refusal| refusal.who == OURSELVES) {
            self.refusals.remove(release.id());
        }
    }

    fn with(&mut self, rollout: Sequence, change: impl FnOnce(&mut Arrival)) {
        if let Some(arrival) = self.arrivals.iter_mut().rev().find(|arrival| arrival.rollout == rollout) {
            change(arrival);
        }
    }

    /// What made a hold: what stands right before it in the journal says so. By ourselves we hold more than one policy for
    /// one reason alone.
    fn kind_of_hold(&self, entry: &Entry, who: &str) -> HoldKind {
        if who == OURSELVES && entry.scope.policy.is_none() {
            return HoldKind::ManyFailed;
        }
        let before = self.holds_next.filter(|(before, _)| before.0 + 1 == entry.sequence.0);
        before.map_or(HoldKind::Plain, |(_, kind)| kind)
    }

    /// Lifts the hold that waited for the verdict of a rollout, where that came after its deadline and is good.
    fn answer_hold(&mut self, rollout: Sequence, outcome: Outcome) {
        let was_lost = |current: &Arrival| current.rollout == rollout && current.lost.is_some();
        if outcome == Outcome::Verified && self.current().is_some_and(was_lost) {
            self.holds.retain(|hold| hold.kind != HoldKind::Unknown);
        }
    }

    fn resume(&mut self, scope: &Scope, at: Timestamp, met: Option<&CommitId>, holds: Option<&[Sequence]>) {
        let is_lifted =
            |hold: &mut Hold| scope.contains(&hold.scope) && holds.is_none_or(|holds| holds.contains(&hold.sequence));
        let lifted: Vec<Hold> = self.holds.extract_if(.., is_lifted).collect();
        let counts_again = holds.is_none() || lifted.iter().any(|hold| hold.kind == HoldKind::Unknown);
        self.lifted.extend(lifted.into_iter().map(|hold| hold.why));
        if let Some(met) = met {
            self.met = Some(met.clone());
        }
        let lost = self.arrivals.last_mut().filter(|arrival| counts_again && arrival.lost.is_some());
        if let Some(arrival) = lost {
            arrival.lost = None;
            arrival.resumed = Some(at);
        }
    }

    fn ordered(&mut self, sequence: Sequence, at: Timestamp, order: &Order, who: &str) {
        match order {
            Order::Promote { release, force: _, holds: _ } | Order::Rollback { to: release, why: _ } => {
                self.refusals.remove(release.id());
            }
            Order::Verify => {
                if let Some(current) = self.arrivals.last().cloned() {
                    let origin = Origin::Asked(who.to_owned());
                    let (release, pin, commit) = (current.release, current.pin, current.commit);
                    self.arrivals.push(Arrival::new(sequence, at, release, pin, commit, origin));
                }
                return;
            }
        }
        if matches!(order, Order::Rollback { .. }) {
            self.holds_next = Some((sequence, HoldKind::Rollback));
        }
        self.order = Some(StandingOrder { sequence, order: order.clone(), who: who.to_owned(), at });
    }
}

impl StandingOrder {
    /// Whether `on_failure` gave it.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.who == OURSELVES
    }

    /// Whether it is to bring that release.
    fn brings(&self, release: &ReleaseId) -> bool {
        match &self.order {
            Order::Promote { release: it, force: _, holds: _ } | Order::Rollback { to: it, why: _ } => {
                it.id() == release
            }
            Order::Verify => false,
        }
    }
}

impl Arrival {
    fn new(
        rollout: Sequence,
        at: Timestamp,
        release: Option<Release>,
        pin: Pin,
        commit: Option<CommitId>,
        origin: Origin,
    ) -> Self {
        Self {
            rollout,
            sequence: rollout,
            at,
            release,
            pin,
            commit,
            origin,
            signal: None,
            checks: BTreeMap::new(),
            url: None,
            lost: None,
            end: None,
            rules: None,
            resumed: None,
        }
    }

    /// Whether it brought that release.
    #[must_use]
    pub fn is_of(&self, release: &ReleaseId) -> bool {
        self.release.as_ref().is_some_and(|it| it.id() == release)
    }

    /// Its end, if it was verified.
    #[must_use]
    pub fn verified(&self) -> Option<&End> {
        self.end.as_ref().filter(|end| end.outcome == Outcome::Verified)
    }

    /// When it was verified.
    #[must_use]
    pub fn verified_at(&self) -> Option<Timestamp> {
        self.verified().map(|end| end.at)
    }

    /// How long its release soaked in this stay, if the stay ended then.
    fn soaked_until(&self, end: Timestamp) -> Duration {
        let from = self.verified_at().unwrap_or(end);
        Duration::try_from(end.duration_since(from)).unwrap_or_default()
    }

    /// Since when its deadline counts.
    #[must_use]
    pub fn counts_from(&self) -> Timestamp {
        self.resumed.map_or(self.at, |resumed| resumed.max(self.at))
    }
}
