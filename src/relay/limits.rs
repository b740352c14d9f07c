//! Limits by the name of an environment: how many rollouts go on at once there, and when so many policies failed there that
//! nothing new begins.
//!
//! Policies that have nothing to do with each other often share what they run on, and its name: `prod`. Both limits look at
//! all of them together, and neither lets one team stop the others: a rollout that nobody can judge gives its place back,
//! those who wait are served in the order in which they came, and a policy that fails again and again counts once.

use crate::model::event::OURSELVES;
use crate::model::ledger::HoldKind;
use crate::model::{
    Because, Environment, EnvironmentName, Event, Ledger, Origin, Outcome, PolicyName, ReleaseId, Scope,
};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// How long the evidence of a rollout may be unreadable before it gives its place back.
const UNREAD_MAX: SignedDuration = SignedDuration::from_mins(10);
/// Failures within this time are counted together.
const FAILED_WITHIN: SignedDuration = SignedDuration::from_hours(1);
/// How long nothing new begins after too many.
const HELD_FOR: SignedDuration = SignedDuration::from_hours(1);
/// How many policies a hold names at the most.
const NAMED_MAX: usize = 10;

/// What the daemon knows of a rollout's evidence.
#[derive(Debug, Clone, Copy, Default)]
pub struct Evidence {
    /// Whether the tag that alone pins it names another build by now.
    pub has_moved: bool,
    /// Since when it cannot be read.
    pub unread_since: Option<Timestamp>,
}

/// Whether an environment takes one of the places for rollouts.
///
/// It does while a change is being made there, and while a rollout is in flight that will be judged. Where nobody can say
/// when that will be, it gives its place back: no verdict came, nothing watches it, or its evidence could not be read for
/// ten minutes.
#[must_use]
pub fn takes_place(environment: &Environment, ledger: &Ledger, evidence: Evidence, now: Timestamp) -> bool {
    let is_long = |since: Timestamp| now.duration_since(since) >= UNREAD_MAX;
    if ledger.open_intent().is_some_and(|intent| !is_long(intent.at)) {
        return true;
    }
    let Some(arrival) = ledger.in_flight() else { return false };
    let is_unwatched = arrival.rules.as_ref().map_or_else(|| environment.is_unwatched(), |rules| rules.is_unwatched());
    let is_anybodys = is_unwatched && matches!(arrival.origin, Origin::Other(_));
    let is_unread = evidence.unread_since.is_some_and(is_long);
    arrival.release.is_some() && arrival.lost.is_none() && !is_anybodys && !evidence.has_moved && !is_unread
}

/// Whether a change of an environment begins one more rollout. A rollback needs no place, nor does what a person forces; a
/// release whose tag we moved there is begun already.
#[must_use]
pub fn needs_place(ledger: &Ledger, release: &ReleaseId, because: &Because) -> bool {
    let is_begun = ledger.tagged.as_ref().is_some_and(|tagged| tagged.id() == release)
        || ledger.open_intent().is_some_and(|intent| intent.release.id() == release);
    match because {
        Because::Rollback { .. } | Because::Forced { .. } => false,
        Because::NoGates | Because::GatesOpen(_) => !is_begun,
    }
}

/// Which environments wait for a place, by their name, in the order in which they came.
#[derive(Debug, Default)]
pub struct Queues(BTreeMap<EnvironmentName, Vec<Scope>>);

impl Queues {
    /// Whether an environment may begin, where so many places are free; if not, it waits behind those who came before.
    pub fn ask(&mut self, name: &EnvironmentName, scope: &Scope, n_free: usize) -> bool {
        let queue = self.0.entry(name.clone()).or_default();
        let at = queue.iter().position(|waiting| waiting == scope).unwrap_or(queue.len());
        if at == queue.len() {
            queue.push(scope.clone());
        }
        if at < n_free {
            self.leave(name, scope);
            return true;
        }
        false
    }

    /// How many environments of a name wait.
    #[must_use]
    pub fn n_waiting(&self, name: &EnvironmentName) -> usize {
        self.0.get(name).map_or(0, Vec::len)
    }

    /// An environment wants no place any more.
    pub fn leave(&mut self, name: &EnvironmentName, scope: &Scope) {
        if let Some(queue) = self.0.get_mut(name) {
            queue.retain(|waiting| waiting != scope);
            if queue.is_empty() {
                self.0.remove(name);
            }
        }
    }

    /// Forgets those who are no more, and returns the others.
    pub fn waiting(&mut self, is_there: impl Fn(&Scope) -> bool) -> Vec<Scope> {
        self.0.retain(|_, queue| {
            queue.retain(&is_there);
            !queue.is_empty()
        });
        self.0.values().flatten().cloned().collect()
    }
}

/// Whether a rollout failed in an environment lately. What failed before the last hold that failures made was answered by it.
#[must_use]
pub fn has_failed_lately(ledger: &Ledger, now: Timestamp) -> bool {
    let counts = |end: &&crate::model::ledger::End| {
        end.outcome == Outcome::Failed
            && now.duration_since(end.at) < FAILED_WITHIN
            && ledger.many_failed.is_none_or(|held| end.sequence > held)
    };
    ledger.arrivals.iter().rev().filter_map(|arrival| arrival.end.as_ref()).any(|end| counts(&end))
}

/// Whether such a hold stands here.
#[must_use]
pub fn is_held(ledger: &Ledger, now: Timestamp) -> bool {
    ledger.holds_at(now).any(|hold| hold.kind == HoldKind::ManyFailed)
}

/// The hold of all environments of a name in which these policies failed lately, where they are too many.
#[must_use]
pub fn held(limit: usize, name: &EnvironmentName, failed: &[&PolicyName], now: Timestamp) -> Option<(Scope, Event)> {
    if failed.len() < limit {
        return None;
    }
    let named: Vec<String> = failed.iter().take(NAMED_MAX).map(ToString::to_string).collect();
    let more = failed.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let n = if failed.len() == 1 { "1 policy".to_owned() } else { format!("{} policies", failed.len()) };
    let why = format!("{n} failed in {name} within an hour: {}{more}", named.join(", "));
    let until = now.checked_add(HELD_FOR).ok();
    let scope = Scope { policy: None, environment: Some(name.clone()) };
    Some((scope, Event::Held { who: OURSELVES.to_owned(), why, until }))
}
