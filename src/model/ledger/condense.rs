//! What a ledger may forget of the past without changing an answer.
//!
//! Decisions ask of an ended rollout which release it brought, when, by whose hand, and how and when it ended. Signals,
//! checks and addresses are read only of the rollout that came last.

use super::{Ledger, ReleaseId, Vote};
use std::collections::BTreeSet;

impl Ledger {
    /// Forgets what no decision reads any more. Every rollout stays with its release and its end, so that a rollback finds it
    /// and a soak is counted right.
    pub fn condense(&mut self) {
        self.forget_evidence();
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
