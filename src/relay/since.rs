//! Since when a reason stands, as the journal tells it. A restart forgets since when the daemon has seen it, and not this.

use super::facts::Facts;
use crate::model::{Release, Why};
use jiff::Timestamp;

/// Since when an environment waits for this reason with this candidate; none where the journal does not tell.
#[must_use]
pub fn since(facts: &Facts<'_>, candidate: Option<&Release>, why: &Why) -> Option<Timestamp> {
    match why {
        Why::Held { who, reason, .. } => {
            let holds = facts.ledger.holds_at(facts.now);
            holds.filter(|hold| hold.who == *who && hold.why == *reason).map(|hold| hold.at).min()
        }
        Why::ApprovalsMissing { .. } | Why::StillSoaking { .. } => {
            facts.from.as_ref()?.ledger.verified_at(candidate?.id())
        }
        Why::RolloutInFlight { .. } => facts.ledger.current().map(|current| current.at),
        _ => None,
    }
}
