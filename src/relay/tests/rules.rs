//! A rollout is judged by the rules that it began with, to its end.

use super::world::*;
use crate::model::event::{Order, Verdict};
use crate::model::policy::OnFailure;
use crate::model::*;

/// Dev follows the first release, which a posted verdict ends.
fn in_flight() -> World {
    let mut world = World::new();
    world.settle();
    world.push("dev", 1);
    world.settle();
    world
}

#[test]
fn rules_that_ask_less_count_from_the_next_rollout_on() {
    let mut world = in_flight();
    world.policy.environments[0].rollout.clear();
    world.settle();
    assert_eq!((world.why(0)[0], world.ledger(0).verified_at(release(1).id())), ("Following", None));
    assert_eq!(world.pinned()[1], "v0", "nothing goes on from there");
    world.signal(0, Verdict::Healthy);
    world.settle();
    assert_eq!(world.ledger(0).verified_at(release(1).id()), Some(world.now));
    world.push("dev", 2);
    world.settle();
    assert!(world.ledger(0).verified_at(release(2).id()).is_some(), "the next one is verified by its push");
}

#[test]
fn a_failure_does_what_was_said_when_the_rollout_began() {
    for (then, today, refused, held) in
        [(OnFailure::Next, OnFailure::Hold, true, false), (OnFailure::Hold, OnFailure::Next, false, true)]
    {
        let mut world = World::new();
        world.policy.environments[0].on_failure = then;
        world.settle();
        world.push("dev", 1);
        world.settle();
        world.policy.environments[0].on_failure = today;
        world.signal(0, Verdict::Failed);
        world.settle();
        let ledger = world.ledger(0);
        assert_eq!(
            (!ledger.refusals.is_empty(), !ledger.holds.is_empty()),
            (refused, held),
            "{then:?}, then {today:?}"
        );
    }
}

#[test]
fn a_rollout_that_an_earlier_version_began_keeps_the_rules_that_it_meets_first() {
    let mut world = in_flight();
    world.entries.retain(|entry| !matches!(entry.event, Event::RulesKept { .. }));
    world.settle();
    assert!(world.entries.iter().any(|entry| matches!(entry.event, Event::RulesKept { .. })));
    world.policy.environments[0].rollout.clear();
    world.settle();
    assert_eq!(world.ledger(0).verified_at(release(1).id()), None);
}

#[test]
fn a_person_who_verifies_has_it_judged_by_the_rules_of_today_and_is_named() {
    let mut world = in_flight();
    world.policy.environments[0].rollout.clear();
    world.settle();
    let rollout = world.ledger(0).in_flight().unwrap().rollout;
    let ended = Event::Ended { rollout, outcome: Outcome::Canceled, why: "asked".into() };
    world.record(0, vec![ended, Event::Ordered { order: Order::Verify, who: "alice".into() }]);
    world.settle();
    let ledger = world.ledger(0);
    assert_eq!(ledger.verified_at(release(1).id()), Some(world.now));
    assert_eq!(ledger.current().unwrap().end.as_ref().unwrap().why, "alice says so");
}
