//! Limits by name as tables: who takes a place, who needs one, who goes first, and which failures hold a name.

use super::world::*;
use crate::model::event::{Effect, OURSELVES, Order, Verdict};
use crate::model::*;
use crate::relay::limits::{self, Evidence, Queues};
use jiff::{SignedDuration, ToSpan as _};

/// Dev is getting its first release and waits for a verdict.
fn in_flight() -> World {
    let mut world = World::new();
    world.settle();
    world.push("dev", 1);
    world.settle();
    world
}

fn intended(world: &mut World) {
    let effect = Effect::Commit { form: PinForm::Tag };
    world.record(0, vec![Event::Intended { effect, release: release(2), because: Because::NoGates }]);
}

/// What happens, how its evidence reads, and whether it takes a place.
type Row = (&'static str, fn(&mut World), fn(&World) -> Evidence, bool);

#[test]
fn a_rollout_that_nobody_can_judge_gives_its_place_back() {
    let read: fn(&World) -> Evidence = |_| Evidence::default();
    let rows: &[Row] = &[
        ("a verdict is awaited", |_| (), read, true),
        ("no verdict came", |world| world.now += 16.minutes(), read, false),
        ("its tag names another build", |_| (), |_| Evidence { has_moved: true, unread_since: None }, false),
        ("unread for 9 minutes", |_| (), |world| unread(world, 9), true),
        ("unread for 10 minutes", |_| (), |world| unread(world, 10), false),
        ("verified", |world| world.signal(0, Verdict::Healthy), read, false),
        ("failed", |world| world.signal(0, Verdict::Failed), read, false),
        (
            "a person set what nothing watches",
            |world| {
                world.policy.environments[0].rollout.clear();
                world.person_pins("dev", 7);
            },
            read,
            false,
        ),
        ("a person set what is watched", |world| world.person_pins("dev", 7), read, true),
    ];
    for (what, put, evidence, expected) in rows {
        let mut world = in_flight();
        put(&mut world);
        world.settle();
        let takes = world
            .with_facts(0, |facts| limits::takes_place(facts.environment, facts.ledger, evidence(&world), facts.now));
        assert_eq!(takes, *expected, "{what}");
    }
}

fn unread(world: &World, minutes: i64) -> Evidence {
    Evidence { unread_since: Some(world.now - SignedDuration::from_mins(minutes)), ..Evidence::default() }
}

#[test]
fn a_change_that_is_being_made_takes_a_place_for_ten_minutes() {
    let mut world = World::new();
    world.settle();
    intended(&mut world);
    for (minutes, expected) in [(0, true), (9, true), (10, false)] {
        let now = world.now + SignedDuration::from_mins(minutes);
        let takes =
            world.with_facts(0, |facts| limits::takes_place(facts.environment, facts.ledger, Evidence::default(), now));
        assert_eq!(takes, expected, "{minutes}");
    }
}

#[test]
fn what_goes_back_or_is_begun_needs_no_place() {
    let why = || "bad".to_owned();
    let back = Because::Rollback { who: "bob".into(), why: why() };
    let forced = Because::Forced { who: "bob".into(), reason: why() };
    let gates = Because::GatesOpen(vec!["approved".into()]);
    let mut world = World::new();
    for (release, because, expected) in
        [(1, &Because::NoGates, true), (1, &gates, true), (1, &back, false), (1, &forced, false)]
    {
        let needs = limits::needs_place(&world.ledger(0), super::world::release(release).id(), because);
        assert_eq!(needs, expected, "{because}");
    }
    intended(&mut world);
    for (n, expected) in [(2, false), (3, true)] {
        assert_eq!(limits::needs_place(&world.ledger(0), release(n).id(), &gates), expected, "begun: {n}");
    }
    // The tag of a promotion was moved: its commit follows.
    let mut world = in_flight();
    world.signal(0, Verdict::Healthy);
    world.settle();
    assert!(!limits::needs_place(&world.ledger(1), release(1).id(), &gates));
}

#[test]
fn places_go_to_those_who_came_first() {
    let prod = EnvironmentName::parse("prod").unwrap();
    let scope = |policy: &str| Scope::of(&PolicyName::parse(policy).unwrap(), &prod);
    let mut queues = Queues::default();
    assert!(queues.ask(&prod, &scope("z"), 1));
    for policy in ["z", "m", "a"] {
        assert!(!queues.ask(&prod, &scope(policy), 0), "{policy}");
    }
    assert!(!queues.ask(&prod, &scope("a"), 1), "z came first");
    assert!(!queues.ask(&prod, &scope("b"), 2), "so did m");
    assert!(queues.ask(&prod, &scope("z"), 1));
    assert_eq!(queues.n_waiting(&prod), 3);
    queues.leave(&prod, &scope("m"));
    assert!(queues.ask(&prod, &scope("a"), 1), "m wants none any more");
    assert_eq!(queues.waiting(|_| true), [scope("b")]);
    assert!(queues.waiting(|of| *of != scope("b")).is_empty());
    assert!(queues.ask(&EnvironmentName::parse("dev").unwrap(), &scope("b"), 1), "each name has its own");
}

#[test]
fn failures_of_several_policies_hold_their_name() {
    let prod = EnvironmentName::parse("prod").unwrap();
    let names: Vec<PolicyName> = ["a", "b", "c"].iter().map(|name| PolicyName::parse(name).unwrap()).collect();
    let failed: Vec<&PolicyName> = names.iter().collect();
    let now = World::new().now;
    assert_eq!(limits::held(4, &prod, &failed, now), None);
    let Some((scope, Event::Held { who, why, until })) = limits::held(3, &prod, &failed, now) else {
        panic!("three of three hold it");
    };
    assert_eq!((scope.to_string().as_str(), who.as_str()), ("*/prod", OURSELVES));
    assert_eq!(why, "3 policies failed in prod within an hour: a, b, c");
    assert_eq!(until, Some(now + SignedDuration::from_hours(1)));
}

#[test]
fn a_failure_counts_for_an_hour_and_towards_one_hold() {
    let mut world = in_flight();
    let lately = |world: &World| limits::has_failed_lately(&world.ledger(0), world.now);
    assert!(!lately(&world));
    world.signal(0, Verdict::Failed);
    world.settle();
    let begun = world.now;
    for (minutes, expected) in [(0, true), (59, true), (60, false)] {
        world.now = begun + SignedDuration::from_mins(minutes);
        assert_eq!(lately(&world), expected, "{minutes}");
    }
    world.now = begun;
    let (scope, held) = limits::held(1, &world.policy.environments[0].name, &[&world.policy.name], begun).unwrap();
    let sequence = Sequence(world.entries.len() as u64 + 1);
    world.entries.push(Entry { sequence, at: begun, scope, event: held });
    assert!(!lately(&world), "the hold answers it");
    assert!(limits::is_held(&world.ledger(0), begun));
    assert!(limits::is_held(&world.ledger(0), begun + SignedDuration::from_mins(59)));
    assert!(!limits::is_held(&world.ledger(0), begun + SignedDuration::from_mins(60)));
    let said = world.why(0);
    assert!(said.contains(&"ManyFailed"), "{said:?}");
}

#[test]
fn a_rollback_by_on_failure_waits_for_the_end_of_such_a_hold() {
    let mut world = in_flight();
    world.signal(0, Verdict::Healthy);
    world.settle();
    world.policy.environments[0].on_failure = policy::OnFailure::Rollback;
    world.push("dev", 2);
    world.settle();
    world.signal(0, Verdict::Failed);
    let name = world.policy.environments[0].name.clone();
    let (scope, event) = limits::held(1, &name, &[&world.policy.name], world.now).unwrap();
    let sequence = Sequence(world.entries.len() as u64 + 1);
    world.entries.push(Entry { sequence, at: world.now, scope, event });
    world.settle();
    assert_eq!((world.pinned()[0].as_str(), world.why(0)[0]), ("v2", "OrderWaits"));
    assert!(world.why(0).contains(&"ManyFailed"));
    let order = world.ledger(0).order;
    assert!(order.is_some_and(|standing| matches!(standing.order, Order::Rollback { .. })));
    world.now += 61.minutes();
    world.settle();
    assert_eq!(world.pinned()[0], "v1");
}
