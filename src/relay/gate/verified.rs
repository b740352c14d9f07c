//! The gate that always guards a promotion: the same digests were verified in the environment before.

use super::{Facts, GateStatus};
use crate::model::{Release, Why};

/// Open when the release is verified in `from`, or when a stranger pushed the tag and `trust_tag` lets that stand for it.
pub(super) fn stand(facts: &Facts<'_>, release: &Release) -> Option<GateStatus> {
    let promote = facts.environment.promote.as_ref()?;
    let from = facts.from?;
    if let Some(at) = from.ledger.verified_at(release.id()) {
        return Some(GateStatus::Open(format!("verified in {} at {at:.0}", promote.from)));
    }
    let requested = promote.trust_tag && facts.tagged().is_some_and(|tagged| tagged == *release);
    let ours = facts.ledger.tagged.as_ref() == Some(release);
    Some(if requested && !ours {
        GateStatus::Open("its tag was pushed (trust_tag)".to_owned())
    } else {
        GateStatus::Shut(Why::NotVerified { from: promote.from.to_string() })
    })
}
