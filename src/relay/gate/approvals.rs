//! The gate `approvals`: so many people, each once, for these digests in these places, not too long ago.

use super::{Facts, GateStatus, terms};
use crate::model::ledger::Vote;
use crate::model::policy::Approvals;
use crate::model::{Release, Why};
use std::collections::BTreeMap;

/// How many votes that do not count are told of.
const FALLEN_SHOWN_MAX: usize = 5;

/// The votes for a release.
#[derive(Default)]
struct Ballots {
    /// Who approves and what they said, in the order of their votes.
    approve: Vec<(String, String)>,
    /// Whose vote does not count, and why.
    fallen: Vec<String>,
}

/// Counts the votes for a release: the last of each person, where it still counts.
fn ballots(facts: &Facts<'_>, rules: &Approvals, release: &Release) -> Ballots {
    let today = terms::terms(facts.environment);
    let mut last = BTreeMap::new();
    let given = facts.ledger.votes.iter().enumerate();
    for (nth, vote) in given.filter(|(_, vote)| vote.release == *release.id()) {
        last.insert(vote.who.as_str(), (nth, vote));
    }
    let mut votes: Vec<(usize, &Vote)> = last.into_values().filter(|(_, vote)| vote.approve).collect();
    votes.sort_unstable_by_key(|(nth, _)| *nth);
    let mut ballots = Ballots::default();
    for (_, vote) in votes {
        match fell(facts, rules, vote, &today) {
            None => ballots.approve.push((vote.who.clone(), vote.why.clone())),
            Some(why) => ballots.fallen.push(format!("{}'s vote does not count: {why}", vote.who)),
        }
    }
    ballots.fallen.extend(elsewhere(facts, release));
    ballots
}

/// Whose last vote is for another release that never came here: it was overtaken, and counts for that release alone.
fn elsewhere(facts: &Facts<'_>, release: &Release) -> Vec<String> {
    let ledger = facts.ledger;
    let since = ledger.current().map(|current| current.sequence);
    let mut last: BTreeMap<&str, &Vote> = BTreeMap::new();
    for vote in ledger.votes.iter().filter(|vote| since.is_none_or(|since| since < vote.sequence)) {
        last.insert(vote.who.as_str(), vote);
    }
    let others = last.into_values().filter(|vote| vote.approve && vote.release != *release.id());
    let name = |vote: &Vote| {
        let chosen = facts.chosen.as_ref().map(|chosen| chosen.iter()).into_iter().flatten();
        let known = facts.known(&vote.release).or_else(|| chosen.clone().find(|other| *other.id() == vote.release));
        known.map_or_else(|| vote.release.to_string(), |other| format!("{other} ({})", vote.release))
    };
    let came = |vote: &&Vote| ledger.current().is_some_and(|current| current.is_of(&vote.release));
    others.filter(|vote| !came(vote)).map(|vote| format!("{}'s vote was for {}", vote.who, name(vote))).collect()
}

/// Why a vote does not count. It binds to the terms that it was given under, and keeps the earlier of the expiry that
/// it was given under and today's; and whoever may not approve today has no vote that counts.
fn fell(facts: &Facts<'_>, rules: &Approvals, vote: &Vote, today: &str) -> Option<String> {
    let is = |names: &[String]| names.contains(&vote.who);
    if is(&rules.exclude) || !(rules.approvers.is_empty() || is(&rules.approvers)) {
        return Some(format!("{} is not among the approvers", vote.who));
    }
    if !facts.may_approve.contains(&vote.who.as_str()) {
        return Some(format!("{} may not approve here by the configuration", vote.who));
    }
    if !rules.by.contains(&vote.by) {
        return Some("votes are not taken where it was given".to_owned());
    }
    if let Some(why) = terms::changed(&vote.rules, today, facts.now) {
        return Some(why);
    }
    let expire = terms::expire(&vote.rules).map_or(rules.expire, |given| given.min(rules.expire));
    let end = vote.at.checked_add(expire.get()).ok()?;
    (end <= facts.now).then(|| format!("it expired at {end:.0}"))
}

/// Whether a vote of this person for a release counts today.
pub(super) fn approves(facts: &Facts<'_>, release: &Release, who: &str) -> bool {
    let rules = facts.environment.gates.approvals.as_ref();
    rules.is_some_and(|rules| ballots(facts, rules, release).approve.iter().any(|(name, _)| name == who))
}

/// Open when enough people approve.
pub(super) fn stand(facts: &Facts<'_>, release: &Release) -> Option<GateStatus> {
    let rules = facts.environment.gates.approvals.as_ref()?;
    let Ballots { approve, mut fallen } = ballots(facts, rules, release);
    let required = rules.required;
    let have = u32::try_from(approve.len()).unwrap_or(u32::MAX);
    if have >= required {
        let said = |(who, why): &(String, String)| if why.is_empty() { who.clone() } else { format!("{who} ({why})") };
        return Some(GateStatus::Open(format!(
            "approved by {}",
            approve.iter().map(said).collect::<Vec<_>>().join(", ")
        )));
    }
    let of =
        if rules.approvers.is_empty() { "whoever may approve here".to_owned() } else { rules.approvers.join(", ") };
    if !fallen.is_empty() {
        fallen.truncate(FALLEN_SHOWN_MAX);
        fallen.push(format!("vote again with `tagrelay approve {} {}`", facts.scope(), release.short()));
    }
    Some(GateStatus::Shut(Why::ApprovalsMissing { have, required, of, fallen }))
}
