//! Authority: who changes an environment, by what right, and what each right passes. All of it is on this page.
//!
//! Who may give an order is `may` and `on` of an entry of `server.access`; the server asks before an order is kept. What
//! guards the environment are the gates of its policy, to which `require` was added when the policy was loaded. This page
//! says how the two meet. A change has exactly one right, and goes where everything that stands in its way is passed by it:
//!
//! | passes | gates | freeze `rollback: false` | hold by tagrelay | hold by a person | many failed | doubt or limit | pace |
//! |---|---|---|---|---|---|---|---|
//! | the policy's own choice, a stranger's push | | | | | | | |
//! | `promote` | | | | | | | yes |
//! | `on_failure: rollback` | yes | | yes | | | yes | yes |
//! | `rollback` | yes | | yes | yes | yes | yes | yes |
//! | `promote --force` | yes | yes | yes | yes | yes | yes | yes |
//!
//! Where several policies failed within an hour (`limits.failures`) what they share is most likely broken, and going back
//! mends nothing: so a rollback by `on_failure` waits there, and a person may go back all the same.
//!
//! The right to move one release into one environment is a value, [`super::Cleared`], and effects take nothing else. Three
//! functions of `relay::gate` make one: `judge` for a release whose gates are all open, `judge_order` for an order that
//! passes what its right passes, and `of_intent`, which `relay::order` alone can call, for a retag that was begun under
//! either and moved some of its tags.
//!
//! No right passes a fact: what cannot be read, what another journal wrote, a place that is not ours. A reason that this
//! page does not name is a fact.
//!
//! Whoever goes back goes back to a release that ran in this very environment: see [`way_back`] and [`ran_here`].

use super::facts::Facts;
use crate::model::event::{OURSELVES, Order};
use crate::model::ledger::{HoldKind, StandingOrder};
use crate::model::{Arrival, Ledger, Origin, Outcome, Release, ReleaseId, Why};

/// By what right an environment changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// No order: the policy chose, or a stranger pushed the tag, and every gate is open.
    Gates,
    /// A person's `promote`.
    Promote,
    /// A rollback that `on_failure` made.
    Failure,
    /// A person's `rollback`.
    Rollback,
    /// A person's `promote --force`.
    Force,
}

/// What stands in the way of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Barrier {
    /// A gate that guards what is new: `verified`, `soak`, `approvals`, `window`, a freeze.
    Gate,
    /// A freeze with `rollback: false`.
    StrictFreeze,
    /// A hold that tagrelay made, after a failure or where no verdict came.
    OwnHold,
    /// A person's hold: by command, by a pin moved by hand, by a HOLD file, by `suspend: true`.
    PersonHold,
    /// Several policies failed in environments of this name.
    ManyFailed,
    /// A broken policy, a doubtful clock, a limit.
    Doubt,
    /// `auto: false`, or a rollout in flight that the next release waits for.
    Pace,
    /// Anything else: no right passes it.
    Fact,
}

impl Right {
    /// The right that the standing order gives; without an order the gates give it.
    #[must_use]
    pub fn of(order: Option<&StandingOrder>) -> Self {
        let Some(StandingOrder { order, who, .. }) = order else { return Self::Gates };
        match order {
            Order::Verify => Self::Gates,
            Order::Promote { force: None, .. } => Self::Promote,
            Order::Promote { force: Some(_), .. } => Self::Force,
            Order::Rollback { .. } if who == OURSELVES => Self::Failure,
            Order::Rollback { .. } => Self::Rollback,
        }
    }

    /// Whether this right passes what stands in the way.
    #[must_use]
    pub fn passes(self, barrier: Barrier) -> bool {
        use Barrier::{Doubt, Fact, Gate, ManyFailed, OwnHold, Pace, PersonHold};
        match self {
            Self::Gates => false,
            Self::Promote => barrier == Pace,
            Self::Failure => matches!(barrier, Gate | OwnHold | Doubt | Pace),
            Self::Rollback => matches!(barrier, Gate | OwnHold | PersonHold | ManyFailed | Doubt | Pace),
            Self::Force => barrier != Fact,
        }
    }

    /// Those of these reasons that this right does not pass.
    pub(super) fn stopped_by(self, why: impl IntoIterator<Item = Why>) -> Vec<Why> {
        why.into_iter().filter(|why| !self.passes(barrier(why))).collect()
    }
}

/// What kind of barrier a reason is.
#[must_use]
pub fn barrier(why: &Why) -> Barrier {
    match why {
        Why::NotVerified { .. }
        | Why::StillSoaking { .. }
        | Why::SoakStopped { .. }
        | Why::ApprovalsMissing { .. }
        | Why::WindowShut { .. }
        | Why::Frozen { rollback: true, .. } => Barrier::Gate,
        Why::Frozen { rollback: false, .. } => Barrier::StrictFreeze,
        Why::Held { who, .. } if who == OURSELVES => Barrier::OwnHold,
        // A HOLD file may stand where nobody can look.
        Why::Held { .. } | Why::HeldByFile { .. } | Why::HoldsUnread { .. } | Why::Suspended => Barrier::PersonHold,
        Why::ManyFailed { .. } => Barrier::ManyFailed,
        Why::PolicyBroken { .. }
        | Why::ClockDoubtful { .. }
        | Why::TooManyChanges { .. }
        | Why::TooManyRollouts { .. } => Barrier::Doubt,
        Why::NotAutomatic | Why::RolloutInFlight { .. } => Barrier::Pace,
        _ => Barrier::Fact,
    }
}

/// What stops every change of the environment, whichever release it brings: holds of its ledger, and what the daemon found.
/// Gates are asked for a release, and are not among these.
#[must_use]
pub fn stops(facts: &Facts<'_>) -> Vec<Why> {
    let held = facts.ledger.holds_at(facts.now).map(|hold| {
        let reason = hold.why.clone();
        match hold.until.filter(|_| hold.kind == HoldKind::ManyFailed) {
            Some(until) => Why::ManyFailed { environment: facts.environment.name.to_string(), reason, until },
            None => Why::Held { who: hold.who.clone(), reason, until: hold.until },
        }
    });
    let mut stops: Vec<Why> = held.collect();
    let guarded = facts.environment.gates != Default::default() || facts.environment.promote.is_some();
    let doubts = |why: &&Why| guarded || !matches!(why, Why::ClockDoubtful { .. });
    stops.extend(facts.stops.iter().filter(doubts).cloned());
    if facts.policy.suspend {
        stops.push(Why::Suspended);
    }
    stops
}

/// The release that a rollback goes back to where nobody names one: the last that was verified here, else the one adopted
/// here; never one that is refused here, or whose last rollout here failed.
///
/// One that another was adopted right after is known from git alone, and nobody knows how it ended (`way_back`): it comes
/// back only when it is named.
#[must_use]
pub fn way_back<'a>(ledger: &'a Ledger, left: &ReleaseId) -> Option<&'a Release> {
    let adopted = || {
        let is_adopted = |arrival: &Arrival| arrival.origin == Origin::Adopted;
        let is_former = |index: usize| ledger.arrivals.get(index + 1).is_some_and(is_adopted);
        let arrivals = ledger.arrivals.iter().enumerate().rev();
        let adopted = arrivals.filter(|(index, arrival)| is_adopted(arrival) && !is_former(*index));
        let mut releases = adopted.filter_map(|(_, arrival)| arrival.release.as_ref());
        releases.find(|release| {
            release.id() != left
                && !ledger.refusals.contains_key(release.id())
                && ledger.last_outcome(release.id()).is_none()
        })
    };
    ledger.last_verified(Some(left)).or_else(adopted)
}

/// Whether a rollback may name a release, for it ran here: it was verified or adopted, or it passed its gates and failed.
///
/// One that a stranger set and that was never verified did not pass the gates.
#[must_use]
pub fn ran_here(ledger: &Ledger, release: &ReleaseId) -> bool {
    ledger.arrivals.iter().filter(|arrival| arrival.is_of(release)).any(|arrival| {
        let outcome = arrival.end.as_ref().map(|end| end.outcome);
        match &arrival.origin {
            Origin::Adopted => true,
            Origin::Ours(_) => matches!(outcome, Some(Outcome::Verified | Outcome::Failed)),
            Origin::Other(_) | Origin::Asked(_) => outcome == Some(Outcome::Verified),
        }
    })
}
