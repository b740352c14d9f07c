//! Where a build is: which environments run it, run something newer, ran it before, wait for it, or never had it; and what an
//! environment does not have yet.

use super::candidate::{self, Candidates};
use super::facts::Facts;
use super::select;
use crate::model::event::{Order, Outcome};
use crate::model::policy::Select;
use crate::model::{Arrival, Build, Builds, Ledger, Pin, Release, ReleaseId, Why};
use jiff::Timestamp;
use std::cmp::Ordering;
use std::collections::HashSet;

/// The fewest digits by which a commit is named: git's own default. With fewer any number would be a commit.
const COMMIT_DIGITS_MIN: usize = 7;
/// The longest name that is looked for: a repository with a digest is shorter.
const NAME_BYTES_MAX: usize = 512;

/// What a person typed to name a build: a tag, a digest, a release's id, the commit that it was built from, or the commit of
/// the GitOps repository that wrote it. Ids may be cut short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    text: String,
    /// The same in small letters, where it may be the beginning of a commit.
    commit: Option<String>,
}

impl Name {
    /// Reads what was typed. An image reference names its digest, else its tag.
    ///
    /// # Errors
    /// When it names nothing: the reason.
    pub fn parse(typed: &str) -> Result<Self, String> {
        let typed = typed.trim();
        if typed.is_empty() || typed.len() > NAME_BYTES_MAX {
            return Err(format!("name a commit, a tag or a digest of at most {NAME_BYTES_MAX} bytes"));
        }
        if typed.starts_with('!') {
            return Err("a merge request cannot be looked for: name the commit that it was merged as".to_owned());
        }
        let text = match typed.rsplit_once('@') {
            Some((_, digest)) => digest,
            // What follows a colon is a port where a path stands behind it.
            None if typed.contains('/') => {
                typed.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).map_or(typed, |(_, tag)| tag)
            }
            None => typed,
        };
        let small = text.to_ascii_lowercase();
        let is_commit = small.len() >= COMMIT_DIGITS_MIN && small.bytes().all(|byte| byte.is_ascii_hexdigit());
        Ok(Self { text: text.to_owned(), commit: is_commit.then_some(small) })
    }

    /// Whether it names this release, or one of its builds.
    #[must_use]
    pub fn is_of(&self, release: &Release) -> bool {
        release.builds().values().any(|build| self.is_of_build(build)) || release.is_named(&self.text)
    }

    /// Whether it names this build by its tag, its digest or the commit that it was built from.
    #[must_use]
    pub fn is_of_build(&self, build: &Build) -> bool {
        let is_digest = |digits: &str| {
            digits.len() >= ReleaseId::SHOWN && build.digest.as_str().trim_start_matches("sha256:").starts_with(digits)
        };
        build.tag.as_str() == self.text
            || is_digest(self.text.trim_start_matches("sha256:"))
            || select::revision(build).is_some_and(|revision| revision == self.text || self.begins(&revision))
    }

    /// Whether it names the release that arrived, or the commit that wrote it.
    #[must_use]
    pub fn is_of_arrival(&self, arrival: &Arrival) -> bool {
        arrival.release.as_ref().is_some_and(|release| self.is_of(release))
            || arrival.commit.as_ref().is_some_and(|commit| self.begins(commit.as_str()))
    }

    fn begins(&self, commit: &str) -> bool {
        self.commit.as_ref().is_some_and(|digits| commit.to_ascii_lowercase().starts_with(digits))
    }
}

/// The releases that a name means in an environment: among those that came there, that may come, and that are refused.
#[must_use]
pub fn named<'a>(name: &Name, ledger: &'a Ledger, chosen: &'a [Release]) -> Vec<&'a Release> {
    let arrived = ledger.arrivals.iter().filter(|arrival| name.is_of_arrival(arrival));
    let intents = ledger.intents.values().map(|intent| &intent.release);
    let refused = ledger.refusals.values().map(|refusal| &refusal.release);
    let others = intents.chain(refused).chain(chosen).filter(|release| name.is_of(release));
    let mut known = HashSet::new();
    let all = arrived.filter_map(|arrival| arrival.release.as_ref()).chain(others);
    all.filter(|release| known.insert(release.id().clone())).collect()
}

/// How an environment stands to a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Presence {
    /// It runs there, or is on its way; also where its rollout failed and nothing took its place.
    Runs,
    /// It is next there, or next but for others, and waits for what the environment waits for.
    Waits,
    /// It ran there before, and something else runs now.
    RanBefore,
    /// It is refused there, or in an environment before.
    Refused,
    /// It never ran there, and what runs there is newer.
    Newer,
    /// It never ran there.
    Never,
}

impl Presence {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Runs, Self::Waits, Self::RanBefore, Self::Refused, Self::Newer, Self::Never];

    /// The stable name, for JSON.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Runs => "runs",
            Self::Waits => "waits",
            Self::RanBefore => "ran_before",
            Self::Refused => "refused",
            Self::Newer => "newer",
            Self::Never => "never",
        }
    }
}

/// How an environment stands to a release, and since when.
#[derive(Debug, Clone, PartialEq)]
pub struct Found<'a> {
    /// How.
    pub presence: Presence,
    /// The release that is meant.
    pub release: &'a Release,
    /// Its last arrival there, where it ran.
    pub arrival: Option<&'a Arrival>,
    /// When something else took its place.
    pub until: Option<Timestamp>,
    /// The candidate that goes before it.
    pub behind: Option<String>,
    /// What it waits for, or why it does not come; what the whole environment waits for is not repeated.
    pub why: Vec<Why>,
}

/// How an environment stands to the release that is best placed there, of those that are meant; none where none is meant.
#[must_use]
pub fn best<'a>(facts: &'a Facts<'_>, meant: &[&'a Release]) -> Option<Found<'a>> {
    let candidates = candidate::candidates(facts);
    let found = meant.iter().map(|release| standing(facts, &candidates, release));
    found.min_by_key(|found| found.presence)
}

/// How an environment stands to one release.
fn standing<'a>(facts: &'a Facts<'_>, candidates: &Candidates, release: &'a Release) -> Found<'a> {
    let ledger = facts.ledger;
    let last = ledger.arrivals.iter().rposition(|arrival| arrival.is_of(release.id()));
    let arrival = last.and_then(|index| ledger.arrivals.get(index));
    let until = last.and_then(|index| ledger.arrivals.get(index + 1)).map(|next| next.at);
    let found = |presence, why| Found { presence, release, arrival, until, behind: None, why };
    if arrival.is_some() && until.is_none() {
        return found(Presence::Runs, Vec::new());
    }
    if facts.ledger.order.as_ref().is_some_and(|standing| orders(&standing.order, release)) {
        return found(Presence::Waits, Vec::new());
    }
    match candidates.releases.iter().position(|candidate| candidate == release) {
        Some(0) => return found(Presence::Waits, Vec::new()),
        Some(_) => {
            let behind = candidates.releases.first().map(|ahead| facts.name(ahead));
            return Found { behind, ..found(Presence::Waits, Vec::new()) };
        }
        None => {}
    }
    let refused = facts.refused(release.id());
    if arrival.is_some() {
        return found(Presence::RanBefore, refused.into_iter().collect());
    }
    if let Some(refused) = refused {
        return found(Presence::Refused, vec![refused]);
    }
    if facts.running().is_some_and(|running| order(facts, running, release) == Some(Ordering::Greater)) {
        return found(Presence::Newer, Vec::new());
    }
    let unfit = facts.unfit.get(release.id()).cloned();
    let Some(from) = facts.from else { return found(Presence::Never, unfit.into_iter().collect()) };
    if let Some(unfit) = unfit {
        return found(Presence::Never, vec![unfit]);
    }
    if from.ledger.verified_at(release.id()).is_some() {
        return found(Presence::Never, candidates.passed_over.clone());
    }
    let not_verified = vec![Why::NotVerified { from: from.environment.name.to_string() }];
    found(if is_on_its_way(facts, from.ledger, release) { Presence::Waits } else { Presence::Never }, not_verified)
}

/// Whether a release may still come by itself: it runs or was verified in an environment before, and the one that it comes
/// from runs nothing newer.
fn is_on_its_way(facts: &Facts<'_>, from: &Ledger, release: &Release) -> bool {
    let is_there = |ledger: &&Ledger| {
        ledger.current().is_some_and(|current| current.is_of(release.id()))
            || ledger.verified_at(release.id()).is_some()
    };
    let running = from.current().and_then(|current| current.release.as_ref());
    let is_overtaken = running.is_some_and(|running| order(facts, running, release) == Some(Ordering::Greater));
    !is_overtaken && facts.before.iter().any(is_there)
}

fn orders(order: &Order, release: &Release) -> bool {
    match order {
        Order::Promote { release: ordered, .. } | Order::Rollback { to: ordered, .. } => ordered == release,
        Order::Verify => false,
    }
}

/// How one release compares with another: by the order in which they came to the first environment where both were, else by
/// the strategy. None where neither tells.
fn order(facts: &Facts<'_>, one: &Release, other: &Release) -> Option<Ordering> {
    let came = |ledger: &Ledger| Some((ledger.first_arrival(one.id())?, ledger.first_arrival(other.id())?));
    let ledgers = facts.before.iter().copied().chain([facts.ledger]);
    if let Some((one, other)) = ledgers.filter_map(came).next() {
        return Some(one.cmp(&other));
    }
    let pin = Pin::of(other, facts.environment.pin);
    let together = facts.policy.together_in(facts.environment);
    select::newer_release(selects(facts)?, together, one, &pin, other.builds())
}

/// The selection by which releases come to an environment: its own, else that of the environment they come from.
fn selects<'a>(facts: &'a Facts<'_>) -> Option<&'a Select> {
    let mut environment = facts.environment;
    // No chain is longer than there are environments; the configuration refuses a circle.
    for _ in &facts.policy.environments {
        if let Some(select) = &environment.select {
            return Some(select);
        }
        environment = facts.policy.environment(&environment.promote.as_ref()?.from)?;
    }
    None
}

/// The releases of a policy that an environment does not have yet, oldest first.
///
/// It is what came to an environment before it, or is chosen there, and is newer than what runs here. A release that was taken
/// back here counts.
#[must_use]
pub fn not_yet<'a>(facts: &'a Facts<'_>, chosen_before: &'a [Release]) -> Vec<&'a Release> {
    let mut missing: Vec<&Release> = Vec::new();
    let mut known = HashSet::new();
    let mut arrivals: Vec<&Arrival> = facts.before.iter().flat_map(|ledger| &ledger.arrivals).collect();
    arrivals.sort_by_key(|arrival| arrival.sequence);
    let arrived: Vec<&Release> = arrivals.into_iter().filter_map(|arrival| arrival.release.as_ref()).collect();
    // Nobody knows which build a pin without a digest names. Most likely it is the last one of that tag.
    let pin = facts.ledger.current().map(|current| &current.pin);
    let is_pinned = |release: &&&Release| pin.is_some_and(|pin| facts.says(pin, release));
    let running = facts.running().or_else(|| arrived.iter().rev().find(is_pinned).copied());
    // A choice is best first.
    for release in arrived.into_iter().chain(chosen_before.iter().rev()).filter(|release| known.insert(release.id())) {
        let is_newer = match running {
            Some(running) => running != release && order(facts, release, running) == Some(Ordering::Greater),
            None => pin.is_none_or(|pin| may_be_newer(facts, release, pin)),
        };
        if is_newer {
            missing.push(release);
        }
    }
    missing
}

/// Whether a release may be newer than a pin of which nobody knows what it names.
fn may_be_newer(facts: &Facts<'_>, release: &Release, pin: &Pin) -> bool {
    let together = facts.policy.together_in(facts.environment);
    let compared =
        selects(facts).and_then(|select| select::newer_release(select, together, release, pin, &Builds::default()));
    !facts.says(pin, release) && compared.is_none_or(|order| order == Ordering::Greater)
}

/// In which state an arrival is, in one word: `progressing`, `verified`, `failed`, `canceled`, `adopted` or `unknown`.
#[must_use]
pub fn state(arrival: &Arrival) -> &'static str {
    match (&arrival.origin, arrival.end.as_ref().map(|end| end.outcome)) {
        (crate::model::Origin::Adopted, _) => "adopted",
        (_, Some(Outcome::Verified)) => "verified",
        (_, Some(Outcome::Failed)) => "failed",
        (_, Some(Outcome::Canceled)) => "canceled",
        (_, None) if arrival.lost.is_some() => "unknown",
        (_, None) => "progressing",
    }
}
