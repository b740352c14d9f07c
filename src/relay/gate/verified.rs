//! The gate that always guards a promotion: the same digests were verified in the environment before.

use super::{Facts, Standing};
use crate::model::{Release, Why};

/// Open when the release is verified in `from`, or when a stranger pushed the tag and `trust_tag` lets that stand for it.
pub(super) fn stand(facts: &Facts<'_>, release: &Release) -> Option<Standing> {
    let promote = facts.environment.promote.as_ref()?;
    let from = facts.from?;
    if let Some(at) = from.ledger.verified_at(release.id()) {
        return Some(Standing::Open(format!("verified in {} at {at:.0}", promote.from)));
    }
    let requested = promote.trust_tag && facts.tagged().is_some_and(|tagged| tagged == *release);
    let ours = facts.ledger.tagged.as_ref() == Some(release);
    Some(if requested && !ours {
        Standing::Open("its tag was pushed (trust_tag)".to_owned())
    } else {
        Standing::Shut(Why::NotVerified { from: promote.from.to_string() })
    })
}
