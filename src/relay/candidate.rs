//! Which releases may be next in an environment, newest first; whether they may move is the gates' to say.

use super::facts::Facts;
use crate::model::event::{Order, Origin};
use crate::model::policy::{OnEdit, Select, Strategy};
use crate::model::{Arrival, Builds, EnvironmentName, Ledger, Release, Sequence, Why};
use std::cmp::Ordering;

/// The candidates of an environment, newest first, and why there are no others.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Candidates {
    /// They.
    pub releases: Vec<Release>,
    /// Why what was found is none, or nothing was found.
    pub passed_over: Vec<Why>,
}

/// The releases that may be next here: what a person ordered, alone, else what the policy would choose.
#[must_use]
pub fn candidates(facts: &Facts<'_>) -> Candidates {
    match ordered(facts) {
        Some(release) => Candidates { releases: vec![release.clone()], passed_over: Vec::new() },
        None => by_policy(facts),
    }
}

/// What the policy would choose, whatever is ordered: what is promoted, else what is selected.
#[must_use]
pub fn by_policy(facts: &Facts<'_>) -> Candidates {
    let promotes = facts.environment.promote.is_some();
    let mut found = if promotes { promoted(facts) } else { selected(facts) };
    if facts.lacks_digest() {
        return fit(facts, found);
    }
    let current = facts.running();
    if current.is_some_and(|current| found.releases.first() == Some(current)) {
        found.releases.clear();
        found.passed_over.push(Why::UpToDate);
    }
    found.releases.retain(|release| Some(release) != current);
    if goes_on_from_an_edit(facts) {
        found.releases.retain(|release| facts.ledger.first_arrival(release.id()).is_none());
    }
    fit(facts, found)
}

/// Whether a person set what runs here and the policy lets the next release go on: that is one that never ran here, or the
/// one that was left would take the place of what they set at once.
fn goes_on_from_an_edit(facts: &Facts<'_>) -> bool {
    let set_by_hand = facts.ledger.current().is_some_and(|current| matches!(current.origin, Origin::Other(_)));
    set_by_hand && facts.environment.on_edit == OnEdit::Continue
}

/// The release that a person ordered here, where the order waits for the gates.
fn ordered<'a>(facts: &'a Facts<'_>) -> Option<&'a Release> {
    match &facts.ledger.order.as_ref()?.order {
        Order::Promote { release, force: None, holds: _ } => Some(release),
        Order::Promote { .. } | Order::Rollback { .. } | Order::Verify => None,
    }
}

/// The platform that the policy asks for and a release lacks, whoever brought it. Of a build without any platform nobody
/// knows more: it was set by a person at a digest that was never read.
fn lacking(facts: &Facts<'_>, release: &Release) -> Option<Why> {
    facts.environment.images.iter().find_map(|image| {
        let platforms = &release.builds().get(&image.name)?.facts.platforms;
        let platform = image.lacking(platforms).filter(|_| !platforms.is_empty())?.to_string();
        Some(Why::PlatformMissing { image: image.name.clone(), platform })
    })
}

/// Takes out what is refused here or before, and what a client found to be unfit.
fn fit(facts: &Facts<'_>, mut found: Candidates) -> Candidates {
    let unfit = |release: &Release| {
        let known = facts.refused(release.id()).or_else(|| facts.unfit.get(release.id()).cloned());
        known.or_else(|| lacking(facts, release))
    };
    found.releases.retain(|release| match unfit(release) {
        Some(why) => {
            found.passed_over.push(why);
            false
        }
        None => true,
    });
    found
}

/// What `select` chooses that is newer than what runs.
fn selected(facts: &Facts<'_>) -> Candidates {
    let (Some(select), Ok(chosen)) = (&facts.environment.select, &facts.chosen) else {
        return Candidates { releases: Vec::new(), passed_over: facts.chosen.clone().err().into_iter().collect() };
    };
    let mut found = Candidates::default();
    for release in *chosen {
        if is_newer(facts, select, release) {
            found.releases.push(release.clone());
        } else if found.releases.is_empty() && found.passed_over.is_empty() {
            found.passed_over.push(facts.refused(release.id()).unwrap_or_else(|| not_newer(facts, select, release)));
        }
        // What is behind that which runs is no candidate, be an older release allowed or not.
        if runs(facts, release) {
            break;
        }
    }
    found
}

/// Whether all that is chosen is newer than what runs, as far as that was met: then more of the kind may be behind it.
pub(super) fn all_newer(facts: &Facts<'_>) -> bool {
    let (Some(select), Ok(chosen), Ok(pin)) = (&facts.environment.select, &facts.chosen, &facts.pin) else {
        return false;
    };
    let met = facts.ledger.current().is_some() || pin.is_none_or(|reading| reading.pin.0.is_empty());
    let newer = |release: &Release| !runs(facts, release) && is_newer(facts, select, release);
    met && select.lists() && !chosen.is_empty() && chosen.iter().all(newer)
}

/// Whether a release is what runs here, as far as its pin says.
fn runs(facts: &Facts<'_>, release: &Release) -> bool {
    let said = |current: &Arrival| facts.says(&current.pin, release);
    facts.running() == Some(release) || facts.ledger.current().is_some_and(said)
}

/// Why the best choice is no candidate.
fn not_newer(facts: &Facts<'_>, select: &Select, release: &Release) -> Why {
    match (&select.strategy, facts.ledger.current()) {
        (_, Some(_)) if runs(facts, release) => Why::UpToDate,
        (Strategy::Follow(tag), Some(_)) => Why::MovedBack { tag: tag.clone() },
        (_, Some(current)) => Why::NotNewer { found: facts.name(release), current: current.pin.to_string() },
        (_, None) => Why::UpToDate,
    }
}

/// Whether a chosen release is newer than what runs here: by the strategy, or, where a tag is followed, because its
/// digests never ran here. What runs already is written once more where its pin lacks the digest that is asked for.
pub(super) fn is_newer(facts: &Facts<'_>, select: &Select, release: &Release) -> bool {
    let Some(current) = facts.ledger.current() else { return true };
    let running = facts.running();
    if running == Some(release) || (running.is_none() && facts.says(&current.pin, release)) {
        return facts.lacks_digest();
    }
    if select.allow_downgrade {
        return true;
    }
    match &select.strategy {
        Strategy::Follow(_) => facts.is_bare(&current.pin) || facts.ledger.first_arrival(release.id()).is_none(),
        Strategy::Pinned => false,
        Strategy::Semver(_) | Strategy::Newest(_) | Strategy::Numeric(_) | Strategy::Alphabetical(_) => {
            let nothing = Builds::default();
            let bound = running.map_or(&nothing, |release| release.builds());
            let order = super::select::newer_release(
                select,
                facts.policy.together_in(facts.environment),
                release,
                &current.pin,
                bound,
            );
            order.is_none_or(|order| order == Ordering::Greater)
        }
    }
}

/// The releases verified in the environment before that arrived there after all that ever ran here, newest first; and a
/// stranger's push of this environment's tag, which is a request for the same gates.
fn promoted(facts: &Facts<'_>) -> Candidates {
    let (Some(promote), Some(from)) = (&facts.environment.promote, facts.from) else { return Candidates::default() };
    let ran_last = facts.ledger.arrivals.iter().filter(|arrival| arrival.origin != Origin::Adopted);
    let threshold = ran_last.filter_map(|a| a.release.as_ref()).filter_map(|release| rank(facts, release)).max();
    let mut ranked: Vec<(Sequence, &Release)> = Vec::new();
    for arrival in from.ledger.arrivals.iter().rev() {
        let Some(release) = arrival.release.as_ref() else { continue };
        let known = ranked.iter().any(|(_, known)| *known == release);
        if known {
            continue;
        }
        let Some(rank) = rank(facts, release) else { continue };
        let is_newer = threshold.is_none_or(|threshold| rank > threshold);
        let is_rewritten = facts.running() == Some(release) && facts.lacks_digest();
        if from.ledger.verified_at(release.id()).is_some() && (is_newer || is_rewritten) {
            ranked.push((rank, release));
        }
    }
    ranked.sort_by_key(|(rank, _)| std::cmp::Reverse(*rank));
    let releases = ranked.into_iter().map(|(_, release)| release.clone()).collect();
    let mut found = Candidates { releases, passed_over: Vec::new() };
    if promote.only_newest {
        found.releases.truncate(1);
    }
    request(facts, &mut found);
    if facts.environment.select.is_some() {
        let chosen = facts.chosen.clone().unwrap_or_default();
        found.releases.retain(|release| chosen.contains(release));
    }
    if found.releases.is_empty() && found.passed_over.is_empty() {
        let refused = refused_before(facts, from.ledger);
        found.passed_over.push(refused.unwrap_or_else(|| Why::NothingVerified { from: promote.from.to_string() }));
        found.passed_over.extend(superseded(facts, from.ledger));
        found.passed_over.extend(always_overtaken(&from.environment.name, from.ledger));
    }
    found
}

/// Why the newest release that was verified before does not come, where it is newer than what runs and refused here.
fn refused_before(facts: &Facts<'_>, from: &Ledger) -> Option<Why> {
    let running = rank(facts, facts.running()?)?;
    let arrived = from.arrivals.iter().rev().filter_map(|arrival| arrival.release.as_ref());
    let is_newer = |release: &&Release| rank(facts, release).is_some_and(|rank| rank > running);
    arrived
        .filter(is_newer)
        .find(|release| from.verified_at(release.id()).is_some())
        .and_then(|it| facts.refused(it.id()))
}

/// How many rollouts in a row are overtaken before that is said.
const OVERTAKEN_MIN: usize = 5;

/// Whether releases come faster to an environment than they are verified there.
#[must_use]
pub fn always_overtaken(environment: &EnvironmentName, ledger: &Ledger) -> Option<Why> {
    let n = ledger.overtaken_in_a_row();
    (n >= OVERTAKEN_MIN).then(|| Why::AlwaysOvertaken { environment: environment.to_string(), n })
}

/// The newest release that was verified before, and overtaken before it could come here.
fn superseded(facts: &Facts<'_>, from: &Ledger) -> Option<Why> {
    let current = facts.ledger.current()?.release.as_ref()?;
    let newest = rank(facts, current)?;
    let mut verified = from.arrivals.iter().rev().filter(|arrival| arrival.verified_at().is_some());
    let passed_over = verified.find_map(|arrival| {
        let release = arrival.release.as_ref()?;
        let came = facts.ledger.first_arrival(release.id()).is_some();
        rank(facts, release).filter(|rank| *rank < newest && !came).map(|_| release)
    })?;
    Some(Why::Superseded { release: facts.name(passed_over), by: facts.name(current) })
}

/// Where in the journal's order a release came to the environment before; one that never was there counts from when it came
/// here. The clock has no say in it: it may have been wrong at any of these moments.
fn rank(facts: &Facts<'_>, release: &Release) -> Option<Sequence> {
    let first = |ledger: &Ledger| {
        ledger.first_arrival(release.id()).and_then(|index| ledger.arrivals.get(index)).map(|arrival| arrival.sequence)
    };
    facts.from.and_then(|from| first(from.ledger)).or_else(|| first(facts.ledger))
}

/// Adds what a stranger pushed under the environment's tag, unless it ran here before: then the tag was moved back.
fn request(facts: &Facts<'_>, found: &mut Candidates) {
    let Some(tagged) = facts.tagged() else { return };
    let ours = facts.ledger.tagged.as_ref() == Some(&tagged);
    let listed = found.releases.contains(&tagged);
    if ours || listed || facts.running() == Some(&tagged) {
        return;
    }
    let allows = facts.environment.select.as_ref().is_some_and(|select| select.allow_downgrade);
    let is_bare = facts.ledger.current().is_some_and(|current| facts.is_bare(&current.pin));
    if allows || is_bare || facts.ledger.first_arrival(tagged.id()).is_none() {
        found.releases.push(tagged);
    }
}
