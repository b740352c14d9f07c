//! May it go on? Gates judge a release for an environment, and nothing moves without what they hand out.
//!
//! One file a gate. A gate answers with the reason for which it is shut, or with the words under which it is open; all are
//! asked, so that `explain` can list them. It looks at digests and never at tags.

mod approvals;
mod calendar;
pub mod opening;
mod soak;
mod terms;
mod verified;

pub use terms::terms;

use super::authority::{self, Right};
use super::facts::Facts;
use crate::model::event::Order;
use crate::model::ledger::{Intent, StandingOrder};
use crate::model::{Because, Release, Scope, Why};

/// The right to move one release into one environment.
///
/// Only this module makes one: when its gates are open, when none are asked for, for a rollback order, or for a forced
/// order with its reason; and `relay` alone takes one up again, from the intent of a retag that was half done. `retag` and
/// `plan` take nothing else.
#[derive(Debug, Clone, PartialEq)]
pub struct Cleared {
    scope: Scope,
    release: Release,
    because: Because,
}

impl Cleared {
    /// The environment that may change.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The release that may move.
    #[must_use]
    pub fn release(&self) -> &Release {
        &self.release
    }

    /// Why it may.
    #[must_use]
    pub fn because(&self) -> &Because {
        &self.because
    }
}

/// What the gates say of a release.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It may move.
    Cleared(Cleared),
    /// It must wait, for all of these.
    Wait(Vec<Why>),
}

/// How one gate stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GateStatus {
    /// Open, and in which words.
    Open(String),
    /// Shut, and why.
    Shut(Why),
}

/// Every gate that the environment asks for, as it stands for a release.
#[must_use]
pub fn standings(facts: &Facts<'_>, release: &Release) -> Vec<GateStatus> {
    let gates =
        [verified::stand, soak::stand, approvals::stand, calendar::window, calendar::freeze, calendar::strict_freeze];
    gates.iter().flat_map(|gate| gate(facts, release)).collect()
}

/// Whether a vote of this person for a release counts today.
#[must_use]
pub fn approves(facts: &Facts<'_>, release: &Release, who: &str) -> bool {
    approvals::approves(facts, release, who)
}

/// Judges a release for the environment by every gate.
#[must_use]
pub fn judge(facts: &Facts<'_>, release: &Release) -> Verdict {
    let (mut open, mut shut) = (Vec::new(), Vec::new());
    for standing in standings(facts, release) {
        match standing {
            GateStatus::Open(words) => open.push(words),
            GateStatus::Shut(why) => shut.push(why),
        }
    }
    if !shut.is_empty() {
        return Verdict::Wait(shut);
    }
    let because = if open.is_empty() { Because::NoGates } else { Because::GatesOpen(open) };
    Verdict::Cleared(Cleared { scope: facts.scope(), release: release.clone(), because })
}

/// Judges an order that passes gates, by what its right passes; none for an order that waits for every gate.
#[must_use]
pub fn judge_order(facts: &Facts<'_>, standing: &StandingOrder) -> Option<Verdict> {
    let who = standing.who.clone();
    let (release, because) = match &standing.order {
        Order::Promote { release, force: Some(reason), holds: _ } => {
            (release, Because::Forced { who, reason: reason.clone() })
        }
        Order::Rollback { to, why } => (to, Because::Rollback { who, why: why.clone() }),
        Order::Promote { release: _, force: None, holds: _ } | Order::Verify => return None,
    };
    let right = Right::of(Some(standing));
    let shut = standings(facts, release).into_iter().filter_map(|standing| match standing {
        GateStatus::Open(_) => None,
        GateStatus::Shut(why) => Some(why),
    });
    let mut why = right.stopped_by(authority::stops(facts).into_iter().chain(shut));
    let goes_back = matches!(standing.order, Order::Rollback { .. });
    if goes_back && !authority::ran_here(facts.ledger, release.id()) {
        why.push(Why::NeverRanHere { release: release.to_string() });
    }
    Some(if why.is_empty() {
        Verdict::Cleared(Cleared { scope: facts.scope(), release: release.clone(), because })
    } else {
        Verdict::Wait(why)
    })
}

/// The right under which a retag was begun, so that a half-done set is completed forward under it.
pub(super) fn of_intent(scope: &Scope, intent: &Intent) -> Cleared {
    Cleared { scope: scope.clone(), release: intent.release.clone(), because: intent.because.clone() }
}
