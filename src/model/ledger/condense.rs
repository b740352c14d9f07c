//! What a ledger may forget of the past without changing an answer.
//!
//! Decisions ask of an ended rollout which release it brought, when, by whose hand, and how and when it ended. Signals,
//! checks and addresses are read only of the rollout that came last.

use super::{Arrival, Ledger, ReleaseId, Vote};
use crate::model::Origin;
use std::collections::BTreeSet;

impl Ledger {
    /// Forgets what no decision reads any more. Every release that ever ran here stays, so that a rollback finds it.
    ///
    /// The rollouts of a release that was verified again and again become one, as long as they ended alike: whoever posts a
    /// verdict for one that was merged is told that there is no such rollout.
    pub fn condense(&mut self) {
        self.forget_evidence();
        self.merge_repeats();
        self.forget_changed_votes();
        self.arrivals.shrink_to_fit();
    }

    fn forget_evidence(&mut self) {
        let Some((_current, before)) = self.arrivals.split_last_mut() else { return };
        for arrival in before {
            arrival.signal = None;
            arrival.checks.clear();
            arrival.url = None;
            arrival.lost = None;
            arrival.rules = None;
            arrival.resumed = None;
        }
    }

    /// Merges an ended rollout that a person asked for into the next one, where that was asked for too and ended alike, and
    /// the release is that of the rollout before: so the first arrival of a release always stays.
    fn merge_repeats(&mut self) {
        let mut kept: Vec<Arrival> = Vec::with_capacity(self.arrivals.len());
        for mut arrival in std::mem::take(&mut self.arrivals) {
            if let [.., first, last] = kept.as_slice()
                && is_repeated(first, last, &arrival)
            {
                arrival.soaked_before = last.soaked_before + last.soaked_until(arrival.at);
                kept.pop();
            }
            kept.push(arrival);
        }
        self.arrivals = kept;
    }

    /// Forgets votes that the same person changed later for the same release: only the last one counts.
    fn forget_changed_votes(&mut self) {
        let mut seen: BTreeSet<(ReleaseId, String)> = BTreeSet::new();
        let mut last: Vec<Vote> = std::mem::take(&mut self.votes);
        last.reverse();
        last.retain(|vote| seen.insert((vote.release.clone(), vote.who.clone())));
        last.reverse();
        self.votes = last;
    }
}

/// Whether `last` says nothing more once `next` came after it.
fn is_repeated(first: &Arrival, last: &Arrival, next: &Arrival) -> bool {
    let outcome = |arrival: &Arrival| arrival.end.as_ref().map(|end| end.outcome);
    let is_asked = |arrival: &Arrival| matches!(arrival.origin, Origin::Asked(_));
    is_asked(last)
        && is_asked(next)
        && outcome(last).is_some()
        && outcome(last) == outcome(next)
        && last.release.is_some()
        && first.release == last.release
        && last.release == next.release
        && last.pin == next.pin
}
