//! Everything that a decision about one environment looks at, as of one reading. Gathered anew for each pass.

use super::{Step, select};
use crate::model::ledger::Refusal;
use crate::model::policy::{Check, CheckMethod, RolloutRules};
use crate::model::{
    Arrival, Builds, Entry, Environment, EnvironmentName, Event, JournalIds, Ledger, Pin, PinReading, Policy, Release,
    ReleaseId, Scope, Tag, Why, text,
};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The facts about one environment.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// The time of this pass.
    pub now: Timestamp,
    /// The ids of this journal.
    pub journal: &'a JournalIds,
    /// The policy.
    pub policy: &'a Policy,
    /// The environment.
    pub environment: &'a Environment,
    /// What the journal says of it.
    pub ledger: &'a Ledger,
    /// The environment that releases come from, and what the journal says of it.
    pub from: Option<From<'a>>,
    /// The ledgers of all environments of the policy before this one.
    pub before: Vec<&'a Ledger>,
    /// What the GitOps repository says; an environment whose tag is its pin has none.
    pub pin: Result<Option<&'a PinReading>, Why>,
    /// The release that this names by its tags, where the journal does not know it; an error while that is being read.
    pub named: Result<Option<&'a Release>, Why>,
    /// The build under the environment's tag in each image's repository; an image without that tag is not in it, and an
    /// environment without a tag of its own has none.
    pub tag: Result<Option<&'a Builds>, Why>,
    /// What `select` chooses, best first, and why there is no more.
    pub chosen: Result<&'a [Release], Why>,
    /// Who may approve here today, by `server.access`.
    pub may_approve: Vec<&'a str>,
    /// Why nothing new may begin: holds by file, a broken policy, a doubtful clock, a limit.
    pub stops: Vec<Why>,
    /// Why the places of the environment are not its own, where another was there first.
    pub taken: Option<Why>,
    /// Builds that are no candidates for a reason that only a client could find: a moved tag, a commit of our own.
    pub unfit: &'a BTreeMap<ReleaseId, Why>,
    /// The tag that alone pins the rollout in flight, where it came to name another digest: nobody can tell what runs.
    pub moved: Option<Why>,
    /// The smoke tests that are being done at this moment, and what was wrong with the last answer.
    pub checking: &'a BTreeMap<String, Option<String>>,
    /// Since when this process could hear signals: a deadline counts from here at the earliest.
    pub followed_since: Timestamp,
    /// The release whose builds this process saw in the environment's repositories, where they are copied there.
    pub copied: Option<&'a ReleaseId>,
    /// The release that is being copied there.
    pub copying: Option<&'a Release>,
    /// Effects that failed and are not tried again before a moment: they are stepped over.
    pub blocks: &'a [Block],
}

/// An effect that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Which.
    pub effect: Blocked,
    /// Why it failed.
    pub why: String,
    /// Since when it fails.
    pub since: Timestamp,
    /// Whether it was not begun because a build of the release is not in the registry.
    pub is_image_missing: bool,
    /// When it may be tried again.
    pub until: Timestamp,
}

/// The kinds of effects that can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blocked {
    /// Copying a release.
    Copy,
    /// Moving tags.
    Retag,
    /// Writing the pin.
    Write,
    /// Making a smoke test.
    Check,
}

/// The environment before.
#[derive(Debug, Clone, Copy)]
pub struct From<'a> {
    /// It.
    pub environment: &'a Environment,
    /// What the journal says of it.
    pub ledger: &'a Ledger,
}

impl Facts<'_> {
    /// Why an effect is stepped over, if it failed lately.
    #[must_use]
    pub fn blocked(&self, step: &Step) -> Option<Why> {
        let (effect, words) = match step {
            Step::Copy(cleared) => (Blocked::Copy, format!("copying {}", cleared.release())),
            Step::Retag(_, tag) => (Blocked::Retag, format!("pushing tag {tag}")),
            Step::Write(_) => (Blocked::Write, "writing the pin".to_owned()),
            Step::Check { check, .. } => (Blocked::Check, format!("check {check}")),
            Step::Rest(_) | Step::Record(_) => return None,
        };
        let block = self.blocks.iter().find(|block| block.effect == effect && self.now < block.until)?;
        if block.is_image_missing {
            return Some(Why::ImageMissing { what: block.why.clone(), until: block.until });
        }
        Some(Why::Blocked { effect: words, why: block.why.clone(), until: block.until })
    }

    /// A release for people: by its tags, and where one of them is meant to move, by what it names too.
    #[must_use]
    pub fn name(&self, release: &Release) -> String {
        let moves = |tag: &Tag| self.policy.environments.iter().any(|e| e.followed_tag() == Some(tag));
        let Some(build) = release.builds().values().find(|build| moves(&build.tag)) else { return release.to_string() };
        let revision =
            select::revision(build).map(|revision| text::shown(&revision).chars().take(8).collect::<String>());
        let revision = revision.map_or_else(String::new, |revision| format!(", built from {revision}"));
        format!("{release} ({}{revision})", build.digest.short())
    }

    /// The environment as the scope of an entry.
    #[must_use]
    pub fn scope(&self) -> Scope {
        Scope::of(&self.policy.name, &self.environment.name)
    }

    /// The release that a pin stands for: one that the journal or the registry knows, else one whose digests the pin itself
    /// names.
    #[must_use]
    pub fn bind(&self, pin: &Pin) -> Option<Release> {
        if self.is_bare(pin) {
            return None;
        }
        let ledgers = self.before.iter().copied().chain([self.ledger]);
        let mut arrived = ledgers.flat_map(|ledger| ledger.arrivals.iter().rev()).filter_map(|a| a.release.as_ref());
        let chosen = self.chosen.as_ref().map(|chosen| chosen.iter()).into_iter().flatten();
        let known = arrived.find(|release| pin.says(release)).or_else(|| chosen.into_iter().find(|r| pin.says(r)));
        let named = || self.named.as_ref().ok().copied().flatten().filter(|release| pin.says(release));
        known.or_else(named).cloned().or_else(|| pin.release())
    }

    /// Whether a pin names a tag that an environment of the policy follows or retags, and no digest beside it: such a tag
    /// moves, so nobody can tell by it which build runs.
    #[must_use]
    pub fn is_bare(&self, pin: &Pin) -> bool {
        let moves = |tag: &Tag| self.policy.environments.iter().any(|e| e.followed_tag() == Some(tag));
        pin.0.values().any(|pinned| pinned.digest.is_none() && pinned.tag.as_ref().is_some_and(moves))
    }

    /// Whether a pin says that release; one that names a moving tag alone says none.
    #[must_use]
    pub fn says(&self, pin: &Pin, release: &Release) -> bool {
        pin.says(release) && !self.is_bare(pin)
    }

    /// The release that runs here or is on its way, as far as the pin says.
    #[must_use]
    pub fn running(&self) -> Option<&Release> {
        let current = self.ledger.current()?;
        current.release.as_ref().filter(|_| !self.is_bare(&current.pin))
    }

    /// Whether what runs here is pinned without the digest that the policy asks for: then the same release is written in
    /// the asked form.
    #[must_use]
    pub fn lacks_digest(&self) -> bool {
        let current = self.ledger.current().filter(|_| self.environment.pin.has_digest());
        current.is_some_and(|current| current.pin.0.values().any(|pinned| pinned.digest.is_none()))
    }

    /// The release under the environment's tag, where every image has it; known builds keep the tag they were found under.
    #[must_use]
    pub fn tagged(&self) -> Option<Release> {
        let builds = self.tag.as_ref().ok().copied().flatten()?;
        let release = Release::new(builds.clone());
        let whole = self.policy.images.iter().all(|image| builds.get(&image.name).is_some());
        whole.then(|| self.known(release.id()).cloned().unwrap_or(release))
    }

    /// A release by its id, as some environment of the policy first chose it.
    #[must_use]
    pub fn known(&self, release: &ReleaseId) -> Option<&Release> {
        let ledgers = self.before.iter().copied().chain([self.ledger]);
        ledgers.flat_map(|ledger| ledger.arrivals.iter()).filter_map(|a| a.release.as_ref()).find(|r| r.id() == release)
    }

    /// Whether a release is refused here or in an environment before this one, and why.
    #[must_use]
    pub fn refused(&self, release: &ReleaseId) -> Option<Why> {
        let told = |refusal: &Refusal, elsewhere: Option<&EnvironmentName>| Why::Refused {
            release: self.name(&refusal.release),
            elsewhere: elsewhere.map(ToString::to_string),
            who: refusal.who.clone(),
            why: refusal.why.clone(),
        };
        if let Some(refusal) = self.ledger.refusals.get(release) {
            return Some(told(refusal, None));
        }
        let mut before = self.policy.environments.iter().zip(&self.before);
        before.find_map(|(environment, ledger)| Some(told(ledger.refusals.get(release)?, Some(&environment.name))))
    }

    /// The fact that the rollout that begins now keeps the rules of today.
    #[must_use]
    pub fn keep_rules(&self) -> Event {
        Event::RulesKept { rules: self.environment.rollout_rules() }
    }
}

/// By what a rollout is judged: what it began with, else what its policy says.
#[must_use]
pub fn rules(environment: &Environment, arrival: &Arrival) -> Arc<RolloutRules> {
    arrival.rules.clone().unwrap_or_else(|| Arc::new(environment.rollout_rules()))
}

/// The first smoke test of these rules without a result in a rollout.
#[must_use]
pub fn next_check<'r>(rules: &'r RolloutRules, arrival: &Arrival) -> Option<&'r Check> {
    rules.verify.iter().find(|check| !arrival.checks.contains_key(&check.name))
}

/// A smoke test as it is made in a rollout that began with these rules.
///
/// It is made as it was said then. Where it may not be made so (its host is forbidden), nobody will ever know how it ends, and
/// it is made as the policy says it today, if that asks no less.
#[must_use]
pub fn check_to_make<'r>(
    environment: &'r Environment,
    rules: &'r RolloutRules,
    name: &str,
    blocks: &[Block],
) -> Option<&'r Check> {
    let then = rules.verify.iter().find(|check| check.name == name)?;
    let cannot_be_made = blocks.iter().any(|block| block.effect == Blocked::Check);
    let today = environment.verify.iter().find(|check| check.name == name && asks_no_less(check, then));
    Some(today.filter(|_| cannot_be_made).unwrap_or(then))
}

/// Whether a check of today passes only what would have passed then, elsewhere or not.
fn asks_no_less(today: &Check, then: &Check) -> bool {
    match (&today.method, &then.method) {
        (CheckMethod::Http(today), CheckMethod::Http(then)) => today.status == then.status && today.times >= then.times,
        (CheckMethod::Webhook, _) | (_, CheckMethod::Webhook) => false,
    }
}

/// The ledgers of a policy's environments, folded from the journal's entries.
#[must_use]
pub fn ledgers(policy: &Policy, entries: &[Entry]) -> Vec<Ledger> {
    policy.environments.iter().map(|e| Ledger::of(&Scope::of(&policy.name, &e.name), entries)).collect()
}
