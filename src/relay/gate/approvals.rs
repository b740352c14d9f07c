//! The gate `approvals`: so many people, each once, for these digests under these rules, not too long ago.

use super::{Facts, Standing, fingerprint};
use crate::model::policy::Approvals;
use crate::model::{Environment, Ledger, Release, Why};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// The votes that count for a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ballots {
    /// Who approves, in the order of their votes.
    pub approve: Vec<String>,
    /// How many are needed.
    pub required: u32,
    /// Who may vote, for people.
    pub of: String,
}

/// Counts the votes that hold for a release: the last of each person, under the rules as they are, not expired.
#[must_use]
pub fn ballots(environment: &Environment, ledger: &Ledger, release: &Release, now: Timestamp) -> Option<Ballots> {
    let rules = environment.gates.approvals.as_ref()?;
    let (fingerprint, mut last) = (fingerprint(environment), BTreeMap::new());
    for vote in ledger.votes.iter().filter(|vote| vote.release == *release.id() && vote.rules == fingerprint) {
        last.insert(vote.who.as_str(), vote);
    }
    let mut counted: Vec<_> = last.into_values().filter(|vote| vote.approve && may_vote(rules, &vote.who)).collect();
    counted.retain(|vote| rules.by.contains(&vote.by));
    counted.retain(|vote| vote.at.checked_add(rules.expire.get()).map_or(true, |end| now < end));
    counted.sort_by_key(|vote| vote.at);
    let of =
        if rules.approvers.is_empty() { "whoever may approve here".to_owned() } else { rules.approvers.join(", ") };
    let approve = counted.into_iter().map(|vote| vote.who.clone()).collect();
    Some(Ballots { approve, required: rules.required, of })
}

/// Whether a person's vote counts: named (or nobody is), and not excluded.
fn may_vote(rules: &Approvals, who: &str) -> bool {
    let named = rules.approvers.is_empty() || rules.approvers.iter().any(|name| name == who);
    named && !rules.exclude.iter().any(|name| name == who)
}

/// Open when enough people approve.
pub(super) fn stand(facts: &Facts<'_>, release: &Release) -> Option<Standing> {
    let ballots = ballots(facts.environment, facts.ledger, release, facts.now)?;
    let have = u32::try_from(ballots.approve.len()).unwrap_or(u32::MAX);
    Some(if have >= ballots.required {
        Standing::Open(format!("approved by {}", ballots.approve.join(", ")))
    } else {
        Standing::Shut(Why::ApprovalsMissing { have, required: ballots.required, of: ballots.of })
    })
}
