//! The world of the journeys: tags, pins and a journal in memory, and a pass over them as the daemon makes it.

use crate::model::event::{CheckResult, Effect, Verdict};
use crate::model::policy::{
    Approvals, Ballot, Deliver, Gates, HoldNewUntil, OnEdit, OnFailure, Promote, Select, Signal, Strategy, Together,
};
use crate::model::*;
use crate::model::{policy::PolicyOrigin, schedule::Poll};
use crate::relay::facts::{Facts, From, ledgers};
use crate::relay::{Cleared, Step, gate, meet, next_step};
use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use std::collections::BTreeMap;

/// The right to move a release where no gate is asked for, as a pass hands it out.
pub(crate) fn cleared() -> Cleared {
    let mut world = World::new();
    world.settle();
    world.push("dev", 1);
    match world.step(0) {
        Step::Write(cleared) => cleared,
        step => panic!("{step:?}"),
    }
}

pub(super) const JOURNAL: &str = "aaaabbbbcccc";

/// The outside: tags, pins, and a journal, all in memory.
pub(super) struct World {
    pub(super) policy: Policy,
    pub(super) entries: Vec<Entry>,
    pub(super) now: Timestamp,
    pub(super) tags: BTreeMap<String, Build>,
    pub(super) pins: BTreeMap<String, PinReading>,
    pub(super) commits: u64,
    pub(super) journal: JournalIds,
    /// What came of the tag that alone pins the rollout in flight.
    pub(super) moved: Option<Why>,
    /// The release that was copied into repositories of an environment's own.
    pub(super) copied: Option<ReleaseId>,
    pub(super) n_copies: usize,
    /// What a strategy that follows no tag chooses, best first.
    pub(super) chosen: Vec<Release>,
    /// Who may approve everywhere by the configuration.
    pub(super) may_approve: Vec<&'static str>,
    /// What the daemon found to stop every change.
    pub(super) stops: Vec<Why>,
}

pub(in crate::relay) fn build(n: u8) -> Build {
    let digest = Digest::of(&[n]);
    Build { tag: Tag::parse(&format!("v{n}")).unwrap(), digest, facts: BuildFacts::default().into() }
}

pub(in crate::relay) fn release(n: u8) -> Release {
    Release::new([(ImageName::parse("shop").unwrap(), build(n))].into())
}

pub(super) fn images() -> Vec<Image> {
    vec![Image {
        name: ImageName::parse("shop").unwrap(),
        repository: Repository::parse("reg.example.com/shop").unwrap(),
        before: Vec::new(),
        platforms: Vec::new(),
        source: None,
    }]
}

pub(in crate::relay) fn environment(name: &str) -> Environment {
    Environment {
        name: EnvironmentName::parse(name).unwrap(),
        select: None,
        promote: None,
        images: images(),
        pin: PinForm::TagAtDigest,
        write: vec![Place { target: Target::Kustomize { path: name.to_owned() }, missing: place::Missing::Error }],
        deliver: Deliver { repository: "default".into(), branch: "main".into(), base: "main".into(), message: None },
        rollout: vec![Signal::Webhook],
        deadline: Span::minutes(15),
        stable_for: Span::ZERO,
        verify: Vec::new(),
        pushed_is_verified: false,
        on_failure: OnFailure::Next,
        on_edit: OnEdit::Hold,
        hold_new_until: HoldNewUntil::None,
        auto: true,
        gates: Gates::default(),
        keep: 0,
        report: Vec::new(),
    }
}

pub(super) fn follows(tag: &str) -> Select {
    Select {
        strategy: Strategy::Follow(Tag::parse(tag).unwrap()),
        matches: None,
        extract: None,
        ignore: Vec::new(),
        branch: None,
        labels: Vec::new(),
        min_age: Span::ZERO,
        allow_downgrade: false,
    }
}

pub(in crate::relay) fn promotes(from: &str, retag: Option<&str>) -> Promote {
    let from = EnvironmentName::parse(from).unwrap();
    Promote { from, retag: retag.map(|t| Tag::parse(t).unwrap()), copies: false, only_newest: false, trust_tag: false }
}

impl World {
    /// dev follows the tag `dev`; staging is retagged from dev; prod takes staging's releases after a soak and a vote.
    pub(super) fn new() -> Self {
        let dev = Environment { select: Some(follows("dev")), ..environment("dev") };
        let staging = Environment { promote: Some(promotes("dev", Some("staging"))), ..environment("staging") };
        let approvals = Approvals {
            required: 1,
            approvers: vec!["alice".into()],
            exclude: Vec::new(),
            expire: Span::seconds(7 * 86_400),
            by: vec![Ballot::Cli],
        };
        let gates = Gates { soak: Span::minutes(60), approvals: Some(approvals), ..Gates::default() };
        let prod = Environment { promote: Some(promotes("staging", None)), gates, ..environment("prod") };
        let policy = Policy {
            name: PolicyName::parse("shop").unwrap(),
            images: images(),
            together: Together::SameRevision,
            settle: Span::ZERO,
            poll: Poll::Every(Span::minutes(1)),
            zone: TimeZone::UTC,
            suspend: false,
            environments: vec![dev, staging, prod],
            origin: PolicyOrigin { repository: None, path: "shop.yaml".into() },
        };
        let (tags, pins, entries) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        let now = "2026-01-05T10:00:00Z".parse().unwrap();
        let mut world = Self {
            policy,
            entries,
            now,
            tags,
            pins,
            commits: 0,
            journal: JournalIds { id: JOURNAL.to_owned(), former: Vec::new() },
            moved: None,
            copied: None,
            n_copies: 0,
            chosen: Vec::new(),
            stops: Vec::new(),
            may_approve: vec!["alice", "bob", "carol", "mallory"],
        };
        for name in ["dev", "staging", "prod"] {
            world.person_pins(name, 0);
        }
        world
    }

    pub(super) fn commit(&mut self) -> CommitId {
        self.commits += 1;
        CommitId::parse(&format!("{:040x}", self.commits)).unwrap()
    }

    pub(super) fn person_pins(&mut self, environment: &str, n: u8) {
        let tip = self.commit();
        let ours = self.pins.get(environment).map_or(OurCommit::None, |reading| reading.ours.clone());
        let last_touch = Some(pin::Touch { commit: tip.clone(), author: "bob".into(), at: self.now });
        let pin = Pin::of(&release(n), PinForm::TagAtDigest);
        self.pins.insert(environment.to_owned(), PinReading { tip, pin, ours, last_touch });
    }

    /// A person pins a tag without its digest.
    pub(super) fn person_pins_tag(&mut self, environment: &str, tag: &str) {
        self.person_pins(environment, 0);
        let tag = Tag::parse(tag).ok();
        let pin = Pin([(self.policy.images[0].name.clone(), Pinned { tag, digest: None })].into());
        self.pins.get_mut(environment).unwrap().pin = pin;
    }

    /// A push under a tag by which the build is known.
    pub(super) fn push_as(&mut self, tag: &str, n: u8) {
        self.tags.insert(tag.to_owned(), Build { tag: Tag::parse(tag).unwrap(), ..build(n) });
    }

    pub(super) fn push(&mut self, tag: &str, n: u8) {
        self.tags.insert(tag.to_owned(), build(n));
    }

    /// The build under a tag holds this platform alone.
    pub(super) fn holds(&mut self, tag: &str, platform: &str) {
        let build = self.tags.remove(tag).unwrap();
        let platforms = Platform::parse(platform).into_iter().collect();
        self.tags.insert(tag.to_owned(), build.with(|facts| facts.platforms = platforms));
    }

    pub(super) fn scope(&self, index: usize) -> Scope {
        Scope::of(&self.policy.name, &self.policy.environments[index].name)
    }

    pub(super) fn record(&mut self, index: usize, events: Vec<Event>) {
        for event in events {
            let sequence = Sequence(self.entries.len() as u64 + 1);
            self.entries.push(Entry { sequence, at: self.now, scope: self.scope(index), event });
        }
    }

    pub(super) fn with_facts<R>(&self, index: usize, look: impl FnOnce(&Facts<'_>) -> R) -> R {
        let ledgers = ledgers(&self.policy, &self.entries);
        let environment = &self.policy.environments[index];
        let from = environment.promote.as_ref().map(|promote| {
            let at = self.policy.environments.iter().position(|e| e.name == promote.from).unwrap();
            From { environment: &self.policy.environments[at], ledger: &ledgers[at] }
        });
        let tagged = environment.followed_tag().map(|tag| {
            let named = self.tags.get(tag.as_str());
            named.map(|build| (self.policy.images[0].name.clone(), build.clone())).into_iter().collect::<Builds>()
        });
        let chosen: Vec<Release> = match (&environment.select, &tagged) {
            (Some(_), Some(builds)) if !builds.is_empty() => vec![Release::new(builds.clone())],
            (Some(_), None) => self.chosen.clone(),
            _ => Vec::new(),
        };
        let facts = Facts {
            now: self.now,
            journal: &self.journal,
            policy: &self.policy,
            environment,
            ledger: &ledgers[index],
            from,
            before: ledgers[..index].iter().collect(),
            pin: Ok(self.pins.get(environment.name.as_str())),
            named: Ok(None),
            tag: Ok(tagged.as_ref()),
            chosen: Ok(&chosen),
            may_approve: self.may_approve.clone(),
            stops: self.stops.clone(),
            taken: None,
            unfit: &BTreeMap::new(),
            moved: self.moved.clone(),
            checking: &BTreeMap::new(),
            followed_since: Timestamp::UNIX_EPOCH,
            copied: self.copied.as_ref(),
            copying: None,
            blocks: &[],
        };
        look(&facts)
    }

    pub(super) fn step(&self, index: usize) -> Step {
        self.with_facts(index, next_step)
    }

    /// Performs one step; `dies` = the process is killed after the effect, before the journal hears of it.
    pub(super) fn perform(&mut self, index: usize, step: Step, dies: bool) {
        match step {
            Step::Rest(_) => {}
            Step::Copy(cleared) => {
                self.copied = (!dies).then(|| cleared.release().id().clone());
                self.n_copies += 1;
            }
            Step::Record(events) => self.record(index, events),
            Step::Retag(cleared, tag) => {
                let is_pin = self.policy.environments[index].is_tag_only();
                if self.with_facts(index, |facts| facts.ledger.open_intent().is_none()) {
                    let effect = Effect::Retag { tag: tag.clone(), is_pin };
                    let (release, because) = (cleared.release().clone(), cleared.because().clone());
                    self.record(index, vec![Event::Intended { effect, release, because }]);
                }
                let mut build = cleared.release().builds().values().next().unwrap().clone();
                build.tag = tag.clone();
                self.tags.insert(tag.to_string(), build);
            }
            Step::Write(cleared) => {
                let effect = Effect::Commit { form: PinForm::TagAtDigest };
                let (release, because) = (cleared.release().clone(), cleared.because().clone());
                self.record(index, vec![Event::Intended { effect, release: release.clone(), because }]);
                let sequence = self.entries.last().unwrap().sequence;
                let (commit, scope) = (self.commit(), self.scope(index));
                let digests =
                    release.builds().iter().map(|(name, build)| (name.clone(), build.digest.clone())).collect();
                let (policy, environment) = (scope.policy.unwrap(), scope.environment.unwrap());
                let name = environment.to_string();
                let ours = pin::Trailers {
                    commit: commit.clone(),
                    journal: self.journal.id.clone(),
                    sequence,
                    policy,
                    environment,
                    digests,
                };
                let pin = Pin::of(&release, PinForm::TagAtDigest);
                let reading = PinReading { tip: commit.clone(), pin, ours: OurCommit::Found(ours), last_touch: None };
                let events =
                    self.with_facts(index, |facts| meet::committed(facts, &facts.ledger.intents[&sequence], &commit));
                self.pins.insert(name, reading);
                if !dies {
                    self.record(index, events);
                }
            }
            Step::Check { rollout, check } => {
                self.record(index, vec![Event::Checked { rollout, check, result: CheckResult::Passed, url: None }]);
            }
        }
    }

    /// Runs passes over all environments until they rest; returns how many effects were made.
    pub(super) fn settle(&mut self) -> usize {
        self.settle_dying(None)
    }

    pub(super) fn settle_dying(&mut self, dies_at: Option<usize>) -> usize {
        let mut effects = 0;
        for _ in 0..100 {
            let mut rests = true;
            for index in 0..self.policy.environments.len() {
                let step = self.step(index);
                if !matches!(step, Step::Rest(_)) {
                    rests = false;
                    self.perform(index, step, dies_at == Some(effects));
                    effects += 1;
                }
            }
            if rests {
                return effects;
            }
        }
        panic!("never rests: {:?}", (0..3).map(|i| self.step(i)).collect::<Vec<_>>());
    }

    pub(super) fn ledger(&self, index: usize) -> Ledger {
        ledgers(&self.policy, &self.entries).swap_remove(index)
    }

    pub(super) fn signal(&mut self, index: usize, verdict: Verdict) {
        let rollout = self.ledger(index).in_flight().expect("a rollout in flight").rollout;
        let (who, evidence) = ("argocd".to_owned(), "said so".to_owned());
        self.record(index, vec![Event::Signalled { rollout, verdict, who, evidence, url: None }]);
    }

    pub(super) fn vote(&mut self, index: usize, n: u8, who: &str) {
        let rules = gate::terms(&self.policy.environments[index]);
        let release = release(n).id().clone();
        self.record(
            index,
            vec![Event::Voted { release, rules, approve: true, who: who.into(), by: Ballot::Cli, why: String::new() }],
        );
    }

    pub(super) fn pinned(&self) -> Vec<String> {
        ["dev", "staging", "prod"]
            .iter()
            .map(|e| self.pins[*e].pin.0.values().next().unwrap().tag.clone().unwrap().to_string())
            .collect()
    }

    pub(super) fn why(&self, index: usize) -> Vec<&'static str> {
        match self.step(index) {
            Step::Rest(why) => why.iter().map(Why::code).collect(),
            step => panic!("does not rest: {step:?}"),
        }
    }

    /// The whole way of one release, with everything that people and clusters do on it.
    pub(super) fn journey(&mut self, n: u8, dies_at: &mut impl FnMut(&mut Self)) {
        self.push("dev", n);
        dies_at(self);
        self.signal(0, Verdict::Healthy);
        dies_at(self);
        self.signal(1, Verdict::Healthy);
        dies_at(self);
        self.now = self.now.checked_add(2.hours()).unwrap();
        self.vote(2, n, "alice");
        dies_at(self);
        self.signal(2, Verdict::Healthy);
        dies_at(self);
    }
}
