//! Journeys through `next_step` in a world of plain values: what a pass decides, and what comes of it.

use super::facts::{Facts, From, ledgers};
use super::{Step, gate, meet, next_step};
use crate::model::event::{CheckResult, Effect, Order, Verdict};
use crate::model::policy::{
    Approvals, Ballot, Deliver, Gates, HoldNewUntil, OnFailure, Promote, Select, Signal, Strategy, Together,
};
use crate::model::*;
use crate::model::{policy::PolicyOrigin, schedule::Poll};
use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use std::collections::{BTreeMap, BTreeSet};

const JOURNAL: &str = "aaaabbbbcccc";

/// The outside: tags, pins, and a journal, all in memory.
struct World {
    policy: Policy,
    entries: Vec<Entry>,
    now: Timestamp,
    tags: BTreeMap<String, Build>,
    pins: BTreeMap<String, PinReading>,
    commits: u64,
    journal: &'static str,
    /// What came of the tag that alone pins the rollout in flight.
    moved: Option<Why>,
    /// The release that was copied into repositories of an environment's own.
    copied: Option<ReleaseId>,
    n_copies: usize,
}

fn build(n: u8) -> Build {
    let digest = Digest::of(&[n]);
    Build { tag: Tag::parse(&format!("v{n}")).unwrap(), digest, facts: BuildFacts::default() }
}

fn release(n: u8) -> Release {
    Release::new([(ImageName::parse("shop").unwrap(), build(n))].into())
}

fn images() -> Vec<Image> {
    vec![Image {
        name: ImageName::parse("shop").unwrap(),
        repository: Repository::parse("reg.example.com/shop").unwrap(),
        before: Vec::new(),
        platforms: Vec::new(),
        source: None,
    }]
}

fn environment(name: &str) -> Environment {
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
        hold_new_until: HoldNewUntil::None,
        auto: true,
        gates: Gates::default(),
        keep: 0,
        report: Vec::new(),
    }
}

fn follows(tag: &str) -> Select {
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

fn promotes(from: &str, retag: Option<&str>) -> Promote {
    let from = EnvironmentName::parse(from).unwrap();
    Promote { from, retag: retag.map(|t| Tag::parse(t).unwrap()), copies: false, only_newest: false, trust_tag: false }
}

impl World {
    /// dev follows the tag `dev`; staging is retagged from dev; prod takes staging's releases after a soak and a vote.
    fn new() -> Self {
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
            journal: JOURNAL,
            moved: None,
            copied: None,
            n_copies: 0,
        };
        for name in ["dev", "staging", "prod"] {
            world.person_pins(name, 0);
        }
        world
    }

    fn commit(&mut self) -> CommitId {
        self.commits += 1;
        CommitId::parse(&format!("{:040x}", self.commits)).unwrap()
    }

    fn person_pins(&mut self, environment: &str, n: u8) {
        let tip = self.commit();
        let ours = self.pins.get(environment).map_or(OurCommit::None, |reading| reading.ours.clone());
        let last_touch = Some(pin::Touch { commit: tip.clone(), author: "bob".into(), at: self.now });
        let pin = Pin::of(&release(n), PinForm::TagAtDigest);
        self.pins.insert(environment.to_owned(), PinReading { tip, pin, ours, last_touch });
    }

    fn push(&mut self, tag: &str, n: u8) {
        self.tags.insert(tag.to_owned(), build(n));
    }

    fn scope(&self, index: usize) -> Scope {
        Scope::of(&self.policy.name, &self.policy.environments[index].name)
    }

    fn record(&mut self, index: usize, events: Vec<Event>) {
        for event in events {
            let sequence = Sequence(self.entries.len() as u64 + 1);
            self.entries.push(Entry { sequence, at: self.now, scope: self.scope(index), event });
        }
    }

    fn with_facts<R>(&self, index: usize, look: impl FnOnce(&Facts<'_>) -> R) -> R {
        let ledgers = ledgers(&self.policy, &self.entries);
        let environment = &self.policy.environments[index];
        let from = environment.promote.as_ref().map(|promote| {
            let at = self.policy.environments.iter().position(|e| e.name == promote.from).unwrap();
            From { environment: &self.policy.environments[at], ledger: &ledgers[at] }
        });
        let tagged = environment.followed_tag().map(|tag| {
            let named = self.tags.get(tag.as_str());
            named
                .map(|build| (self.policy.images[0].name.clone(), build.clone()))
                .into_iter()
                .collect::<BTreeMap<_, _>>()
        });
        let chosen: Vec<Release> = match (&environment.select, &tagged) {
            (Some(_), Some(builds)) if !builds.is_empty() => vec![Release::new(builds.clone())],
            _ => Vec::new(),
        };
        let facts = Facts {
            now: self.now,
            journal: self.journal,
            policy: &self.policy,
            environment,
            ledger: &ledgers[index],
            from,
            before: ledgers[..index].iter().collect(),
            pin: Ok(self.pins.get(environment.name.as_str())),
            tag: Ok(tagged.as_ref()),
            chosen: Ok(&chosen),
            stops: Vec::new(),
            unfit: &BTreeMap::new(),
            moved: self.moved.clone(),
            checking: &BTreeSet::new(),
            followed_since: Timestamp::UNIX_EPOCH,
            copied: self.copied.as_ref(),
            copying: None,
            blocks: &[],
        };
        look(&facts)
    }

    fn step(&self, index: usize) -> Step {
        self.with_facts(index, next_step)
    }

    /// Performs one step; `dies` = the process is killed after the effect, before the journal hears of it.
    fn perform(&mut self, index: usize, step: Step, dies: bool) {
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
                    journal: self.journal.into(),
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
                self.record(index, vec![Event::Checked { rollout, check, result: CheckResult::Passed }]);
            }
        }
    }

    /// Runs passes over all environments until they rest; returns how many effects were made.
    fn settle(&mut self) -> usize {
        self.settle_dying(None)
    }

    fn settle_dying(&mut self, dies_at: Option<usize>) -> usize {
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

    fn ledger(&self, index: usize) -> Ledger {
        ledgers(&self.policy, &self.entries).swap_remove(index)
    }

    fn signal(&mut self, index: usize, verdict: Verdict) {
        let rollout = self.ledger(index).in_flight().expect("a rollout in flight").rollout;
        let (who, evidence) = ("argocd".to_owned(), "said so".to_owned());
        self.record(index, vec![Event::Signalled { rollout, verdict, who, evidence, url: None }]);
    }

    fn vote(&mut self, index: usize, n: u8, who: &str) {
        let rules = gate::fingerprint(&self.policy.environments[index]);
        let release = release(n).id().clone();
        self.record(index, vec![Event::Voted { release, rules, approve: true, who: who.into(), by: Ballot::Cli }]);
    }

    fn pinned(&self) -> Vec<String> {
        ["dev", "staging", "prod"]
            .iter()
            .map(|e| self.pins[*e].pin.0.values().next().unwrap().tag.clone().unwrap().to_string())
            .collect()
    }

    fn why(&self, index: usize) -> Vec<&'static str> {
        match self.step(index) {
            Step::Rest(why) => why.iter().map(Why::code).collect(),
            step => panic!("does not rest: {step:?}"),
        }
    }

    /// The whole way of one release, with everything that people and clusters do on it.
    fn journey(&mut self, n: u8, dies_at: &mut impl FnMut(&mut Self)) {
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

#[test]
fn a_release_travels_from_dev_to_prod() {
    let mut world = World::new();
    world.settle();
    assert_eq!(world.pinned(), ["v0", "v0", "v0"]);
    world.push("dev", 1);
    world.settle();
    assert_eq!(world.pinned(), ["v1", "v0", "v0"]);
    assert_eq!(world.why(0), ["Following", "UpToDate"]);
    assert_eq!(world.why(1), ["NothingVerified"]);
    world.signal(0, Verdict::Healthy);
    world.settle();
    assert_eq!(world.pinned(), ["v1", "v1", "v0"]);
    assert_eq!(world.tags["staging"].digest, build(1).digest);
    world.signal(1, Verdict::Healthy);
    world.settle();
    assert_eq!(world.why(2), ["StillSoaking", "ApprovalsMissing"]);
    world.vote(2, 1, "mallory");
    world.now = world.now.checked_add(61.minutes()).unwrap();
    assert_eq!(world.why(2), ["ApprovalsMissing"]);
    world.vote(2, 1, "alice");
    world.settle();
    assert_eq!(world.pinned(), ["v1", "v1", "v1"]);
}

#[test]
fn a_kill_at_any_effect_ends_in_the_same_world() {
    let mut calm = World::new();
    calm.journey(1, &mut |world| _ = world.settle());
    let mut effects = Vec::new();
    World::new().journey(1, &mut |world| effects.push(world.settle()));
    for (round, n) in effects.iter().enumerate() {
        for at in 0..*n {
            let (mut world, mut nth) = (World::new(), 0);
            world.journey(1, &mut |world| {
                world.settle_dying((nth == round).then_some(at));
                nth += 1;
            });
            let told = |world: &World| {
                let arrivals = |i| world.ledger(i).arrivals.iter().map(|a| a.release.clone()).collect::<Vec<_>>();
                (world.pinned(), world.tags.clone(), [arrivals(0), arrivals(1), arrivals(2)])
            };
            assert_eq!(told(&calm), told(&world), "killed at effect {at} of round {round}");
        }
    }
}

#[test]
fn a_persons_pin_holds_and_refuses_what_it_left() {
    let mut world = World::new();
    world.settle();
    world.push("dev", 1);
    world.settle();
    world.person_pins("dev", 0);
    world.settle();
    assert_eq!(world.pinned()[0], "v0");
    assert_eq!(world.why(0), ["Following", "Held", "Refused"]);
    let resumed = Event::Resumed { who: "alice".into(), met: None };
    world.record(0, vec![resumed]);
    world.settle();
    assert_eq!(world.pinned()[0], "v0", "resuming does not lift the refusal");
    world.push("dev", 2);
    world.settle();
    assert_eq!(world.tags["dev"], build(2));
    assert_eq!(world.ledger(0).current().unwrap().release, Some(release(2)));
}

#[test]
fn another_journals_commit_stops_until_it_is_resumed() {
    let mut world = World::new();
    world.settle();
    world.push("dev", 1);
    world.settle();
    world.signal(0, Verdict::Healthy);
    world.settle();
    world.journal = "ffffeeeedddd";
    world.entries.clear();
    world.push("dev", 2);
    for index in [0, 1] {
        assert_eq!(world.why(index), ["JournalIsNew"]);
    }
    let reading = world.pins["dev"].clone();
    let OurCommit::Found(trailers) = &reading.ours else { panic!("ours") };
    let met = Some(trailers.commit.clone());
    let adopted =
        Event::Adopted { pin: reading.pin.clone(), release: reading.pin.release(), commit: Some(reading.tip) };
    world.record(0, vec![Event::Resumed { who: "alice".into(), met }, adopted]);
    world.settle();
    assert_eq!(world.ledger(0).current().unwrap().release, Some(release(2)));
    assert_eq!(world.why(1), ["JournalIsNew"]);
}

#[test]
fn a_failure_is_refused_in_every_environment_after_it() {
    let mut world = World::new();
    world.settle();
    world.push("dev", 1);
    world.settle();
    world.signal(0, Verdict::Failed);
    world.settle();
    assert_eq!(world.pinned(), ["v1", "v0", "v0"]);
    world.push("dev", 2);
    world.settle();
    world.signal(0, Verdict::Healthy);
    world.settle();
    assert_eq!(world.tags["staging"].digest, build(2).digest);
}

#[test]
fn a_rollback_comes_back_and_stays() {
    let mut world = World::new();
    world.settle();
    let settle = &mut |world: &mut World| _ = world.settle();
    world.journey(1, settle);
    world.journey(2, settle);
    let (to, why) = (world.ledger(1).last_verified(Some(release(2).id())).unwrap().clone(), "bad".to_owned());
    assert_eq!(to, release(1));
    let refused = Event::Refused { release: release(2), who: "alice".into(), why: why.clone() };
    let held = Event::Held { who: "alice".into(), why: why.clone(), until: None };
    world.record(1, vec![Event::Ordered { order: Order::Rollback { to, why }, who: "alice".into() }, held, refused]);
    world.settle();
    assert_eq!(world.tags["staging"].digest, build(1).digest);
    assert_eq!(world.ledger(1).current().unwrap().release, Some(release(1)));
    world.record(1, vec![Event::Resumed { who: "alice".into(), met: None }]);
    world.settle();
    assert_eq!(world.ledger(1).current().unwrap().release, Some(release(1)), "what was rolled back stays away");
    world.push("dev", 3);
    world.settle();
    world.signal(0, Verdict::Healthy);
    world.settle();
    assert_eq!(world.ledger(1).current().unwrap().release, Some(release(3)));
}

#[test]
fn an_order_that_the_policy_would_not_give_holds_from_its_arrival_on() {
    for tag_is_pin in [false, true] {
        let mut world = World::new();
        if tag_is_pin {
            world.policy.environments[1].write.clear();
        }
        let settle = &mut |world: &mut World| _ = world.settle();
        world.settle();
        world.journey(1, settle);
        world.journey(2, settle);
        assert_eq!(world.ledger(1).holds, []);
        let order = Order::Promote { release: release(1), force: None, holds: true };
        world.record(1, vec![Event::Ordered { order, who: "alice".into() }]);
        world.settle();
        let ledger = world.ledger(1);
        assert_eq!(ledger.current().unwrap().release, Some(release(1)), "tag is pin: {tag_is_pin}");
        assert_eq!(ledger.holds.iter().map(|hold| hold.who.as_str()).collect::<Vec<_>>(), ["alice"]);
    }
}

#[test]
fn a_strangers_retag_is_a_request_for_the_same_gates() {
    let mut world = World::new();
    world.settle();
    world.push("staging", 7);
    world.settle();
    assert_eq!(world.pinned()[1], "v0");
    assert_eq!(world.why(1), ["NotVerified"]);
    world.policy.environments[1].promote.as_mut().unwrap().trust_tag = true;
    world.settle();
    assert_eq!(world.ledger(1).current().unwrap().release, Some(release(7)));
}

#[test]
fn a_strangers_retag_of_a_build_that_lacks_a_platform_is_no_candidate() {
    let mut world = World::new();
    world.policy.environments[1].promote.as_mut().unwrap().trust_tag = true;
    world.policy.environments[1].images[0].platforms = Platform::parse("linux/arm64").into_iter().collect();
    world.settle();
    world.push("staging", 7);
    world.tags.get_mut("staging").unwrap().facts.platforms = Platform::parse("linux/amd64").into_iter().collect();
    world.settle();
    assert_eq!((world.pinned()[1].as_str(), world.why(1)), ("v0", vec!["PlatformMissing"]));
    world.tags.get_mut("staging").unwrap().facts.platforms = Platform::parse("linux/arm64/v8").into_iter().collect();
    world.settle();
    assert_eq!(world.ledger(1).current().unwrap().release.as_ref().unwrap().id(), release(7).id());
}

#[test]
fn no_signal_in_time_is_a_persons_to_decide() {
    let mut world = World::new();
    world.settle();
    world.push("dev", 1);
    world.settle();
    world.now = world.now.checked_add(16.minutes()).unwrap();
    world.settle();
    assert_eq!(world.why(0), ["SignalLost", "Held", "UpToDate"]);
    world.signal(0, Verdict::Healthy);
    world.settle();
    assert_eq!(world.ledger(0).verified_at(release(1).id()), Some(world.now));
}

#[test]
fn a_tag_that_moved_under_its_rollout_is_not_verified() {
    let mut world = World::new();
    world.settle();
    world.push("dev", 1);
    world.settle();
    let build = build(1);
    let (image, now) = (world.policy.images[0].name.clone(), Digest::of(&[9]));
    world.moved = Some(Why::TagMoved { image, tag: build.tag, was: build.digest, now });
    world.signal(0, Verdict::Healthy);
    world.settle();
    assert_eq!(world.why(0), ["TagMoved", "UpToDate"]);
    assert_eq!(world.ledger(0).verified_at(release(1).id()), None);
    world.moved = None;
    world.settle();
    assert_eq!(world.ledger(0).verified_at(release(1).id()), Some(world.now));
}

#[test]
fn what_is_passed_over_is_superseded() {
    let mut world = World::new();
    world.settle();
    let settle = &mut |world: &mut World| _ = world.settle();
    world.record(1, vec![Event::Held { who: "alice".into(), why: "lunch".into(), until: None }]);
    for n in [1, 2] {
        world.push("dev", n);
        settle(&mut world);
        world.signal(0, Verdict::Healthy);
        settle(&mut world);
        world.now = world.now.checked_add(1.minutes()).unwrap();
    }
    world.record(1, vec![Event::Resumed { who: "alice".into(), met: None }]);
    settle(&mut world);
    world.signal(1, Verdict::Healthy);
    settle(&mut world);
    assert_eq!(world.ledger(1).current().unwrap().release, Some(release(2)));
    assert_eq!(world.why(1), ["NothingVerified", "Superseded"]);
}

#[test]
fn a_release_is_copied_before_its_tag_and_its_pin_move() {
    let mut world = World::new();
    world.settle();
    let promote = world.policy.environments[1].promote.as_mut().unwrap();
    promote.copies = true;
    world.push("dev", 1);
    world.settle();
    world.signal(0, Verdict::Healthy);
    while let step @ (Step::Record(_) | Step::Check { .. }) = world.step(0) {
        world.perform(0, step, false);
    }
    let Step::Copy(cleared) = world.step(1) else { panic!("{:?}", world.step(1)) };
    world.perform(1, Step::Copy(cleared.clone()), true);
    assert_eq!(world.step(1), Step::Copy(cleared.clone()), "a copy whose fate is not known is made again");
    let copying = world.with_facts(1, |facts| {
        let facts = Facts { copying: Some(cleared.release()), ..facts.clone() };
        next_step(&facts)
    });
    let Step::Rest(why) = copying else { panic!("{copying:?}") };
    assert!(why.contains(&Why::Copying { release: cleared.release().to_string() }), "{why:?}");
    world.perform(1, Step::Copy(cleared), false);
    assert!(matches!(world.step(1), Step::Retag(..)), "{:?}", world.step(1));
    world.settle();
    assert_eq!(world.ledger(1).current().unwrap().release, Some(release(1)));
    assert_eq!(world.n_copies, 2);
}
