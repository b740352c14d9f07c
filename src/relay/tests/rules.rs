//! A rollout is judged by the rules that it began with, to its end.

use super::world::*;
use crate::model::event::{Order, Verdict};
use crate::model::policy::{Check, CheckMethod, HttpCheck, OnFailure, RolloutRules};
use crate::model::*;
use crate::relay::facts::{Block, Blocked, check_to_make};

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

/// A check of a URL that must answer 200 so many times.
fn asks(url: &str, times: u32) -> Check {
    let http = HttpCheck { url: url.to_owned(), status: 200, times, every: Span::ZERO };
    Check { name: "smoke".to_owned(), method: CheckMethod::Http(http), timeout: Span::minutes(5), retries: 0 }
}

#[test]
fn a_check_that_can_never_be_made_is_made_as_the_policy_says_it_today_if_that_asks_no_less() {
    let posted = Check { method: CheckMethod::Webhook, ..asks("", 1) };
    let then = asks("http://169.254.169.254/", 3);
    let rows: &[(&[Blocked], Option<Check>, bool)] = &[
        (&[], Some(asks("https://shop.example.com/", 3)), false),
        (&[Blocked::Write], Some(asks("https://shop.example.com/", 3)), false),
        (&[Blocked::Check], Some(asks("https://shop.example.com/", 3)), true),
        (&[Blocked::Check], Some(asks("https://shop.example.com/", 1)), false),
        (&[Blocked::Check], Some(posted), false),
        (&[Blocked::Check], None, false),
    ];
    for (blocked, today, counts) in rows {
        let mut dev = environment("dev");
        dev.verify.extend(today.clone());
        let rules = RolloutRules { verify: vec![then.clone()], ..dev.rollout_rules() };
        let at = jiff::Timestamp::UNIX_EPOCH;
        let block = |effect: &Blocked| Block {
            effect: *effect,
            why: "the host is forbidden".to_owned(),
            since: at,
            is_image_missing: false,
            until: at,
        };
        let blocks: Vec<Block> = blocked.iter().map(block).collect();
        let made = check_to_make(&dev, &rules, "smoke", &blocks);
        let expected = if *counts { today.as_ref() } else { Some(&then) };
        assert_eq!(made, expected, "{blocked:?} {today:?}");
    }
}
