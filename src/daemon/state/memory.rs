//! What the daemon knows in memory: readings of the outside and the journal folded. All of it can be read again.

use crate::config::{Access, Act};
use crate::daemon::lists::Kept;
use crate::daemon::state::branch_answer::Placed;
use crate::daemon::state::keeping::Keeping;
use crate::daemon::state::lookahead::Waiting;
use crate::model::policy::{Promote, Select};
use crate::model::{
    BuildFacts, Builds, CommitId, Dated, Digest, Entry, Environment, EnvironmentName, JournalIds, Ledger, PinForm,
    PinReading, Policy, PolicyName, Release, ReleaseId, Repository, Scope, Sequence, Tag, TagList, Why,
};
use crate::relay::brake::{Brakes, HoldFile};
use crate::relay::facts::{Block, Facts, From};
use crate::relay::select;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use tokio::time::Instant;
use tokio_util::sync::DropGuard;

/// How many readings in a row must fail, and for how long, before nothing new begins because nobody can tell whether a HOLD
/// file is there.
const UNHELD_POLLS: u32 = 3;
/// See [`UNHELD_POLLS`].
const UNHELD_FOR: SignedDuration = SignedDuration::from_mins(2);

/// What is asked of GitLab: a project, a revision, and the branch that may hold it.
pub(in crate::daemon) type Place = (String, String, String);

/// Everything that is known at this moment.
#[derive(Default)]
pub(in crate::daemon) struct Memory {
    /// The policies, by name.
    pub(in crate::daemon) policies: BTreeMap<PolicyName, PolicyState>,
    /// Those that use a repository, by name: what is read of it is theirs to judge, and there may be thousands of others.
    users: HashMap<Repository, Vec<PolicyName>>,
    /// Files that could not be used.
    pub(in crate::daemon) broken: Vec<BrokenFile>,
    /// Places that several environments want: who is stopped, and who goes on.
    pub(in crate::daemon) contested: Vec<String>,
    /// Places of policies that could not be read the last time, and why: their policies stay as they were.
    pub(in crate::daemon) unreadable: BTreeMap<Option<String>, String>,
    /// Why the queue that tells of pushes could not be read the last time.
    pub(in crate::daemon) queue: Option<String>,
    /// HOLD files, by the repository of the policies they stand beside.
    pub(in crate::daemon) holds: BTreeMap<Option<String>, Vec<HoldFile>>,
    /// What these hold, and which environments stand beside them.
    pub(in crate::daemon) brakes: BTreeMap<Option<String>, (Brakes, Beside)>,
    /// Since when nobody can tell which HOLD files there are.
    pub(in crate::daemon) unheld: BTreeMap<Option<String>, Unheld>,
    /// What is known of each image repository.
    pub(in crate::daemon) repositories: BTreeMap<Repository, RepositoryState>,
    /// What is known of each branch: (repository's name, branch).
    pub(in crate::daemon) branches: BTreeMap<(String, String), Branch>,
    /// Whether revisions are on branches. Bounded by the builds that are known, and so by the tags that are listed: what
    /// none of them is made from is forgotten.
    pub(in crate::daemon) placed: HashMap<Place, Placed>,
    /// What is being asked of these.
    pub(in crate::daemon) placing: BTreeSet<Place>,
    /// Why GitLab did not tell it the last time, by project and branch.
    pub(in crate::daemon) unplaced: BTreeMap<(String, String), String>,
    /// When that was last done.
    pub(in crate::daemon) forgot_at: Timestamp,
    /// What of the configuration on the disk is not in use.
    pub(in crate::daemon) configuration: Option<crate::relay::health::Configuration>,
    /// Why the clock is doubted, and until when at the latest.
    pub(in crate::daemon) doubt: Option<(String, Option<Timestamp>)>,
    /// The servers whose clocks are wrong, as most others say.
    pub(in crate::daemon) wrong_servers: Vec<String>,
}

/// A policy file that could not be used.
pub(in crate::daemon) struct BrokenFile {
    /// Where it stands.
    pub(in crate::daemon) file: String,
    /// What is wrong first: file, line and message.
    pub(in crate::daemon) at: String,
    /// All that is wrong, drawn.
    pub(in crate::daemon) text: String,
}

/// The environments whose policies stand beside some HOLD files.
pub(in crate::daemon) type Beside = Arc<Vec<(PolicyName, EnvironmentName)>>;

/// How often in a row, and since when, nobody could tell which HOLD files there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::daemon) struct Unheld {
    since: Timestamp,
    n_polls: u32,
    error: String,
}

impl Unheld {
    /// One more time.
    pub(in crate::daemon) fn again(before: Option<&Self>, now: Timestamp, error: String) -> Self {
        let since = before.map_or(now, |before| before.since);
        Self { since, n_polls: before.map_or(1, |before| before.n_polls.saturating_add(1)), error }
    }

    /// Why nobody can.
    pub(in crate::daemon) fn error(&self) -> &str {
        &self.error
    }

    /// Why nothing new begins meanwhile: one missed reading is no reason yet.
    pub(in crate::daemon) fn why(&self, now: Timestamp) -> Option<Why> {
        let long = self.n_polls >= UNHELD_POLLS && now.duration_since(self.since) >= UNHELD_FOR;
        long.then(|| Why::HoldsUnread { since: self.since, error: self.error.clone() })
    }
}

/// A policy and the standing of its environments.
pub(in crate::daemon) struct PolicyState {
    /// The policy, or its last good text's.
    pub(in crate::daemon) policy: Arc<Policy>,
    /// Why its file is broken now.
    pub(in crate::daemon) broken: Option<Why>,
    /// Its environments' standings, in order.
    pub(in crate::daemon) standings: Vec<EnvironmentState>,
}

impl PolicyState {
    /// Takes an entry into every ledger that it is about.
    pub(in crate::daemon) fn apply(&mut self, entry: &Entry) {
        for (environment, standing) in self.policy.environments.iter().zip(&mut self.standings) {
            if entry.scope.contains(&Scope::of(&self.policy.name, &environment.name)) {
                let before = standing.ledger.current().map(|current| current.rollout);
                standing.ledger.apply(entry);
                if standing.ledger.current().map(|current| current.rollout) != before {
                    standing.depth = 1;
                    standing.unfit_verdict = None;
                }
            }
        }
    }
}

/// Where an environment stands, as of the last readings.
pub(in crate::daemon) struct EnvironmentState {
    /// The journal, folded.
    pub(in crate::daemon) ledger: Ledger,
    /// The pin.
    pub(in crate::daemon) pin: Result<Option<PinReading>, Why>,
    /// What it writes in files, as its branch was read; none until then.
    pub(in crate::daemon) places: Option<Vec<String>>,
    /// Why its places are not its own.
    pub(in crate::daemon) taken: Option<Why>,
    /// The builds under its tag.
    pub(in crate::daemon) tag: Result<Option<Builds>, Why>,
    /// What is selected.
    pub(in crate::daemon) chosen: Result<Vec<Release>, Why>,
    /// How many candidates that holds where nothing is promoted: one until the best may not be taken, and again when
    /// something arrives.
    pub(in crate::daemon) depth: usize,
    /// Whether none of these is waited for.
    pub(in crate::daemon) whole: bool,
    /// Since when they are.
    pub(in crate::daemon) deepening: Waiting,
    /// The release that its pin names and the journal does not know; an error while that is being read.
    pub(in crate::daemon) named: Result<Option<Release>, Why>,
    /// Since when it is.
    pub(in crate::daemon) naming: Waiting,
    /// What would have been selected, were it on the branch: the best few.
    pub(in crate::daemon) elsewhere: Vec<Place>,
    /// What a client found unfit.
    pub(in crate::daemon) unfit: BTreeMap<ReleaseId, Why>,
    /// The effect that is being made.
    pub(in crate::daemon) busy: Option<&'static str>,
    /// The release whose builds were seen in the environment's repositories, after a copy.
    pub(in crate::daemon) copied: Option<ReleaseId>,
    /// The release that is being copied there; the copy is given up with the guard.
    pub(in crate::daemon) copying: Option<(Release, DropGuard)>,
    /// When it was last looked for what is attached to the release of this rollout, after it was copied.
    pub(in crate::daemon) attached: Option<(Sequence, Timestamp)>,
    /// The tags that keep its releases.
    pub(in crate::daemon) keeping: Keeping,
    /// Effects that failed.
    pub(in crate::daemon) blocks: Vec<Block>,
    /// The tip that was last written on: what failed there is tried again at once on another.
    pub(in crate::daemon) tried_at: Option<CommitId>,
    /// How many effects failed in a row.
    pub(in crate::daemon) n_failures: u32,
    /// How many writes in a row lost a race.
    pub(in crate::daemon) n_races: u32,
    /// Smoke tests that are being done, and what was wrong with the last answer.
    pub(in crate::daemon) checking: BTreeMap<String, Option<String>>,
    /// Why nothing happens.
    pub(in crate::daemon) why: Vec<Why>,
    /// Since when each of these reasons is there, by its code, as far as this process saw.
    pub(in crate::daemon) why_since: BTreeMap<&'static str, Timestamp>,
    /// The last verdict that fitted no rollout, since the last that did.
    pub(in crate::daemon) unfit_verdict: Option<Why>,
    /// Whether it came to rest with nothing left to change since it was met, its policy was edited, or what stopped it was
    /// lifted: what changes after that is changed by a new build or by a gate.
    pub(in crate::daemon) settled: bool,
    /// The limit on changes that stopped it until it is resumed, and the release that was to come.
    pub(in crate::daemon) too_many: Option<(Why, ReleaseId)>,
    /// The release that a person let come past that limit.
    pub(in crate::daemon) let_through: Option<ReleaseId>,
}

impl EnvironmentState {
    /// The standing of an environment of which the journal says this.
    pub(in crate::daemon) fn new(ledger: Ledger) -> Self {
        let unread = |what: &str| Why::Unread { what: what.to_owned(), error: None };
        Self {
            ledger,
            pin: Err(unread("the GitOps repository")),
            places: None,
            taken: None,
            tag: Err(unread("the registry")),
            chosen: Err(unread("the registry")),
            depth: 1,
            whole: false,
            deepening: Waiting::default(),
            named: Ok(None),
            naming: Waiting::default(),
            elsewhere: Vec::new(),
            unfit: BTreeMap::new(),
            busy: None,
            copied: None,
            copying: None,
            attached: None,
            keeping: Keeping::default(),
            blocks: Vec::new(),
            tried_at: None,
            n_failures: 0,
            n_races: 0,
            checking: BTreeMap::new(),
            why: Vec::new(),
            why_since: BTreeMap::new(),
            unfit_verdict: None,
            settled: false,
            too_many: None,
            let_through: None,
        }
    }
}

impl EnvironmentState {
    /// Keeps why nothing happens. A reason that was there before keeps its time, also where its words changed.
    pub(in crate::daemon) fn waits_for(&mut self, why: Vec<Why>, now: Timestamp) {
        let before = std::mem::take(&mut self.why_since);
        self.why_since =
            why.iter().map(Why::code).map(|code| (code, before.get(code).copied().unwrap_or(now))).collect();
        self.why = why;
    }
}

/// What is known of an image repository.
#[derive(Default)]
pub(in crate::daemon) struct RepositoryState {
    /// Its tags.
    pub(in crate::daemon) tags: Option<Arc<Kept<TagList>>>,
    /// The digests under followed tags.
    pub(in crate::daemon) followed: BTreeMap<Tag, Option<Digest>>,
    /// When an effect of ours last moved a tag, or may have: a reading that began before that knows nothing of it.
    pub(in crate::daemon) retagged: Option<Instant>,
    /// What is known of tags and their builds, as far as any choice looks at them.
    pub(in crate::daemon) known: HashMap<Tag, select::TagFacts>,
    /// How many these may be before some are put away.
    pub(in crate::daemon) room: usize,
    /// What is left in reach of the others. Most repositories have none.
    pub(in crate::daemon) dated: Option<Box<Kept<Dated>>>,
    /// When that was last lost: a reading that began before does not tell all of it again.
    pub(in crate::daemon) lost_at: Option<Instant>,
    /// Whether what the journal remembers of them was taken in.
    pub(in crate::daemon) remembered: bool,
    /// Whether anything was told of when tags were pushed.
    pub(in crate::daemon) tells_pushes: bool,
    /// What is known of the digests under followed tags.
    pub(in crate::daemon) facts: BTreeMap<Digest, Arc<BuildFacts>>,
    /// Whether the journal knows that these tags were seen.
    pub(in crate::daemon) sighted: bool,
    /// Tags that are being read.
    pub(in crate::daemon) learning: BTreeSet<Tag>,
    /// Tags that could not be read.
    pub(in crate::daemon) failed: BTreeMap<Tag, Failed>,
    /// When it was last read.
    pub(in crate::daemon) read_at: Option<Timestamp>,
    /// Why the last reading failed.
    pub(in crate::daemon) error: Option<String>,
    /// Why tags of ours are not removed here when their time is over.
    pub(in crate::daemon) tags_stay: Option<String>,
}

impl RepositoryState {
    /// Whether what lies on disk is there.
    pub(in crate::daemon) fn is_whole(&self) -> bool {
        self.tags.as_ref().is_none_or(|tags| tags.is_there())
            && self.dated.as_ref().is_none_or(|dated| dated.is_there())
    }

    /// Why the last reading failed, or else that of one of its tags: one that is asked for again, or no longer, is no
    /// trouble.
    pub(in crate::daemon) fn trouble(&self, now: Timestamp) -> Option<&String> {
        let failed = self.failed.values().filter(|failed| now < failed.until).map(|failed| &failed.error);
        self.error.iter().chain(failed).next()
    }
}

/// Why a tag could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::daemon) struct Failed {
    /// In words.
    pub(in crate::daemon) error: String,
    /// Whether asking again gives the same, until a person has done something: such a tag keeps no other one back.
    pub(in crate::daemon) lasts: bool,
    /// How often in a row it was so.
    pub(in crate::daemon) n: u32,
    /// When it may be tried again.
    pub(in crate::daemon) until: Timestamp,
}

/// What is known of a branch.
#[derive(Default)]
pub(in crate::daemon) struct Branch {
    /// Its tip.
    pub(in crate::daemon) tip: Option<CommitId>,
    /// When it was last read.
    pub(in crate::daemon) read_at: Option<Timestamp>,
    /// Why the last reading failed.
    pub(in crate::daemon) error: Option<String>,
}

/// What a pass needs besides the readings.
pub(in crate::daemon) struct PassContext<'a> {
    /// The time.
    pub(in crate::daemon) now: Timestamp,
    /// The journal's ids.
    pub(in crate::daemon) journal: &'a JournalIds,
    /// Since when this process hears.
    pub(in crate::daemon) since: Timestamp,
    /// Who may do what where.
    pub(in crate::daemon) access: &'a [Access],
}

/// Who may approve in an environment today; nobody is asked for where it takes no votes.
fn may_approve<'a>(policy: &Policy, environment: &Environment, access: &'a [Access]) -> Vec<&'a str> {
    if environment.gates.approvals.is_none() {
        return Vec::new();
    }
    let (policy, environment) = (policy.name.as_str(), Some(environment.name.as_str()));
    let may = access.iter().filter(|access| access.allows(Act::Approve, policy, environment));
    may.map(|access| access.name.as_str()).collect()
}

impl Memory {
    /// Finds out anew which policies use which repository, after policies came or went.
    pub(in crate::daemon) fn find_users(&mut self) {
        self.users.clear();
        for (name, known) in &self.policies {
            for repository in known.policy.repositories() {
                let users = self.users.entry(repository.clone()).or_default();
                if users.last() != Some(name) {
                    users.push(name.clone());
                }
            }
        }
    }

    /// The policies that use a repository.
    pub(in crate::daemon) fn users(&self, repository: &Repository) -> impl Iterator<Item = &PolicyState> {
        let names = self.users.get(repository).map(Vec::as_slice).unwrap_or_default();
        names.iter().filter_map(|name| self.policies.get(name))
    }

    /// An environment's policy, place and standing.
    pub(in crate::daemon) fn find(
        &self,
        policy: &PolicyName,
        environment: &EnvironmentName,
    ) -> Option<(&PolicyState, usize)> {
        let known = self.policies.get(policy)?;
        let index = known.policy.environments.iter().position(|e| e.name == *environment)?;
        Some((known, index))
    }

    /// The standing of the environment that a scope names.
    pub(in crate::daemon) fn standing_mut(&mut self, scope: &Scope) -> Option<&mut EnvironmentState> {
        let known = self.policies.get_mut(scope.policy.as_ref()?)?;
        let environment = scope.environment.as_ref()?;
        let index = known.policy.environments.iter().position(|e| e.name == *environment)?;
        known.standings.get_mut(index)
    }

    /// The facts about one environment.
    pub(in crate::daemon) fn facts<'a>(
        &'a self,
        known: &'a PolicyState,
        index: usize,
        moment: &PassContext<'a>,
    ) -> Option<Facts<'a>> {
        let policy = &*known.policy;
        let (environment, standing) = (policy.environments.get(index)?, known.standings.get(index)?);
        let from = environment.promote.as_ref().and_then(|Promote { from, .. }| {
            let at = policy.environments.iter().position(|e| e.name == *from)?;
            Some(From { environment: policy.environments.get(at)?, ledger: &known.standings.get(at)?.ledger })
        });
        let selects = |select: &Select| select.strategy != crate::model::policy::Strategy::Pinned;
        let chosen = match environment.select.as_ref().is_some_and(selects) {
            true => standing.chosen.as_ref().map(Vec::as_slice).map_err(Clone::clone),
            false => Ok(&[][..]),
        };
        let tag = match environment.followed_tag() {
            Some(_) => standing.tag.as_ref().map(Option::as_ref).map_err(Clone::clone),
            None => Ok(None),
        };
        Some(Facts {
            now: moment.now,
            journal: moment.journal,
            policy,
            environment,
            ledger: &standing.ledger,
            from,
            before: known.standings.iter().take(index).map(|standing| &standing.ledger).collect(),
            pin: standing.pin.as_ref().map(Option::as_ref).map_err(Clone::clone),
            named: standing.named.as_ref().map(Option::as_ref).map_err(Clone::clone),
            tag,
            chosen,
            may_approve: may_approve(policy, environment, moment.access),
            stops: self.stops(known, index, moment.now),
            taken: standing.taken.clone(),
            unfit: &standing.unfit,
            moved: self.moved(environment, &standing.ledger),
            checking: &standing.checking,
            followed_since: moment.since,
            copied: standing.copied.as_ref(),
            copying: standing.copying.as_ref().map(|(release, _)| release),
            blocks: &standing.blocks,
        })
    }

    /// What of an environment's outside could not be read the last time: it is judged by the reading before, and says so.
    pub(in crate::daemon) fn unheard(&self, known: &PolicyState, index: usize, now: Timestamp) -> Vec<Why> {
        let mut errors: Vec<(String, String)> = Vec::new();
        let environment = known.policy.environments.get(index);
        let images = environment.map(|environment| {
            let own = environment.images.iter();
            own.chain(known.policy.selected_images(environment)).map(|image| &image.repository).collect::<BTreeSet<_>>()
        });
        for repository in images.unwrap_or_default() {
            let Some(shelf) = self.repositories.get(repository) else { continue };
            let error = shelf.trouble(now);
            errors.extend(error.map(|error| (repository.to_string(), error.clone())));
        }
        if let Some(deliver) = environment.map(|environment| &environment.deliver) {
            let branch = self.branches.get(&(deliver.repository.clone(), deliver.branch.clone()));
            let error = branch.and_then(|branch| branch.error.clone());
            errors.extend(error.map(|error| (format!("branch {} of {}", deliver.branch, deliver.repository), error)));
        }
        if let Some((environment, branch)) = environment.and_then(|of| Some((of, of.select.as_ref()?.branch.as_ref()?)))
        {
            let images = known.policy.selected_images(environment).iter();
            let projects: BTreeSet<&String> = images.filter_map(|image| image.source.as_ref()).collect();
            for project in projects {
                let error = self.unplaced.get(&(project.clone(), branch.clone()));
                errors.extend(error.map(|error| (format!("branch {branch} of {project}"), error.clone())));
            }
        }
        errors.into_iter().map(|(what, error)| Why::Unread { what, error: Some(error) }).collect()
    }

    /// Whether the tag that alone pins the rollout in flight names another digest by now.
    pub(in crate::daemon) fn moved(&self, environment: &Environment, ledger: &Ledger) -> Option<Why> {
        environment.images.iter().find_map(|image| {
            let build = pinned_by_tag(environment, ledger)?.builds().get(&image.name)?;
            let now = self.repositories.get(&image.repository)?.followed.get(&build.tag)?.clone()?;
            let (image, tag, was) = (image.name.clone(), build.tag.clone(), build.digest.clone());
            (now != was).then_some(Why::TagMoved { image, tag, was, now })
        })
    }

    /// What stops every new change of an environment, besides the holds of its ledger.
    fn stops(&self, known: &PolicyState, index: usize, now: Timestamp) -> Vec<Why> {
        let (policy, standing) = (&known.policy, &known.standings[index]);
        let environment = &policy.environments[index].name;
        let mut stops: Vec<Why> = known.broken.iter().cloned().collect();
        stops.extend(self.doubt.clone().map(|(words, until)| Why::ClockDoubtful { words, until }));
        stops.extend(standing.too_many.iter().map(|(why, _)| why.clone()));
        let source = &policy.origin.repository;
        if let Some((brakes, _)) = self.brakes.get(source) {
            stops.extend(brakes.on(&policy.name, environment).cloned());
        }
        stops.extend(self.unheld.get(source).and_then(|unheld| unheld.why(now)));
        stops
    }

    /// Reads the names of the HOLD files anew, after these or the policies beside them changed.
    pub(in crate::daemon) fn find_brakes(&mut self) {
        let mut beside: BTreeMap<Option<String>, Vec<(PolicyName, EnvironmentName)>> = BTreeMap::new();
        for known in self.policies.values() {
            let names = known.policy.environments.iter().map(|e| (known.policy.name.clone(), e.name.clone()));
            beside.entry(known.policy.origin.repository.clone()).or_default().extend(names);
        }
        let sources: BTreeSet<Option<String>> = self.holds.keys().chain(beside.keys()).cloned().collect();
        self.brakes.clear();
        for source in sources {
            let beside = beside.remove(&source).unwrap_or_default();
            let files = self.holds.get(&source).map(Vec::as_slice).unwrap_or_default();
            let brakes = Brakes::new(files, beside.iter().map(|(policy, environment)| (policy, environment)));
            self.brakes.insert(source, (brakes, Arc::new(beside)));
        }
    }
}

/// The release of the rollout in flight, where nothing but a tag says which it is; a followed tag is looked at anyway, and
/// is meant to move.
pub(in crate::daemon) fn pinned_by_tag<'a>(environment: &Environment, ledger: &'a Ledger) -> Option<&'a Release> {
    let by_tag = environment.pin == PinForm::Tag && environment.followed_tag().is_none();
    ledger.in_flight().filter(|_| by_tag)?.release.as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_keeps_its_time_while_it_lasts() {
        let at = |second: i64| Timestamp::from_second(second).expect("a time");
        let mut standing = EnvironmentState::new(Ledger::default());
        let soaking = |until| Why::StillSoaking { until: at(until) };
        standing.waits_for(vec![soaking(100)], at(1));
        standing.waits_for(vec![soaking(200), Why::Suspended], at(2));
        assert_eq!(standing.why_since, BTreeMap::from([("StillSoaking", at(1)), ("Suspended", at(2))]));
        standing.waits_for(vec![Why::Suspended], at(3));
        standing.waits_for(vec![soaking(300)], at(4));
        assert_eq!(standing.why_since, BTreeMap::from([("StillSoaking", at(4))]));
    }

    #[test]
    fn a_branch_that_cannot_be_read_for_long_lets_nothing_new_begin() {
        let at = |second: i64| Timestamp::from_second(second).expect("a time");
        let check = |polls: &[i64], now: i64, expected: bool| {
            let mut unheld = None;
            for poll in polls {
                unheld = Some(Unheld::again(unheld.as_ref(), at(*poll), "503".to_owned()));
            }
            let why = unheld.and_then(|unheld| unheld.why(at(now)));
            assert_eq!(why.is_some(), expected, "{polls:?} at {now}: {why:?}");
        };
        check(&[], 500, false);
        check(&[0], 500, false);
        check(&[0, 60], 500, false);
        check(&[0, 60, 119], 119, false);
        check(&[0, 60, 119], 120, true);
        check(&[0, 1, 2], 119, false);
        check(&[0, 1, 2], 120, true);
        check(&[0, 60, 120, 180], 180, true);
    }
}
