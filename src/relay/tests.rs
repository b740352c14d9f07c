//! Journeys through `next_step` in a world of plain values: what a pass decides, and what comes of it.

mod authority;
mod changed;
mod edits;
mod find;
mod limits;
mod rights;
mod rules;
mod votes;
pub(crate) mod world;

use super::facts::Facts;
use super::{Step, candidate, next_step, places};
use crate::model::event::{Order, Verdict};
use crate::model::*;
use jiff::{SignedDuration, ToSpan as _};
use world::*;

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
    let resumed = Event::Resumed { who: "alice".into(), met: None, holds: None };
    world.record(0, vec![resumed]);
    world.settle();
    assert_eq!(world.pinned()[0], "v0", "resuming does not lift the refusal");
    world.push("dev", 2);
    world.settle();
    assert_eq!(world.tags["dev"], build(2));
    assert_eq!(world.ledger(0).current().unwrap().release, Some(release(2)));
}

#[test]
fn a_pin_that_names_a_moving_tag_alone_says_no_release() {
    let pinned = |world: &World, environment: &str| {
        let pin = world.pins[environment].pin.0.values().next().unwrap().clone();
        (pin.tag.unwrap().to_string(), pin.digest)
    };
    // An older version took the release that the tag named at the first meeting for what the pin says.
    for adopted_before in [false, true] {
        let mut world = World::new();
        world.person_pins_tag("dev", "dev");
        world.person_pins_tag("staging", "staging");
        world.push_as("dev", 1);
        if adopted_before {
            let (pin, tagged) = (world.pins["dev"].pin.clone(), world.tags["dev"].clone());
            let release = Release::new([(world.policy.images[0].name.clone(), tagged)].into());
            world.record(0, vec![Event::Adopted { pin, release: Some(release), commit: None }]);
        }
        world.settle();
        assert_eq!(pinned(&world, "dev"), ("dev".to_owned(), Some(build(1).digest)), "{adopted_before}");
        world.push_as("dev", 2);
        world.settle();
        assert_eq!(pinned(&world, "dev"), ("dev".to_owned(), Some(build(2).digest)), "{adopted_before}");
        world.push_as("staging", 2);
        world.signal(0, Verdict::Healthy);
        world.settle();
        assert_eq!(pinned(&world, "staging").1, Some(build(2).digest), "what the tag named already is written too");
        world.person_pins_tag("dev", "dev");
        world.settle();
        assert!(world.why(0).contains(&"Held"), "a person took the digest away");
    }
}

#[test]
fn a_tag_that_is_met_without_the_digest_that_is_asked_for_is_written_with_it() {
    let semver = policy::Select { strategy: policy::Strategy::Semver("*".into()), ..follows("dev") };
    for (form, written) in [(PinForm::TagAtDigest, 1), (PinForm::Digest, 1), (PinForm::Tag, 0)] {
        let mut world = World::new();
        world.policy.environments[0] = Environment { select: Some(semver.clone()), pin: form, ..environment("dev") };
        world.chosen = vec![release(1), release(0)];
        world.person_pins_tag("dev", "v1");
        world.settle();
        let ledger = world.ledger(0);
        assert_eq!(ledger.intents.len(), written, "{form:?}");
        assert_eq!(ledger.current().unwrap().release, Some(release(1)), "{form:?}");
    }
    // An older tag is an ordinary change, and a newer one is nothing's to write.
    for (pinned, written) in [("v0", 1), ("v2", 0)] {
        let mut world = World::new();
        world.policy.environments[0] = Environment { select: Some(semver.clone()), ..environment("dev") };
        world.chosen = vec![release(1), release(0)];
        world.person_pins_tag("dev", pinned);
        world.settle();
        assert_eq!(world.ledger(0).intents.len(), written, "{pinned}");
    }
}

#[test]
fn another_journals_commit_stops_until_it_is_resumed() {
    let mut world = World::new();
    world.settle();
    world.push("dev", 1);
    world.settle();
    world.signal(0, Verdict::Healthy);
    world.settle();
    world.journal.id = "ffffeeeedddd".to_owned();
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
    world.record(0, vec![Event::Resumed { who: "alice".into(), met, holds: None }, adopted]);
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
    world.record(1, vec![Event::Resumed { who: "alice".into(), met: None, holds: None }]);
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
    world.holds("staging", "linux/amd64");
    world.settle();
    assert_eq!((world.pinned()[1].as_str(), world.why(1)), ("v0", vec!["PlatformMissing"]));
    world.holds("staging", "linux/arm64/v8");
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
    world.policy.environments[0].hold_new_until = policy::HoldNewUntil::Verified;
    world.push("dev", 2);
    assert!(matches!(world.step(0), Step::Write(_)), "the next release waits for none that can never be verified");
    world.push("dev", 1);
    world.moved = None;
    world.settle();
    assert_eq!(world.ledger(0).verified_at(release(1).id()), Some(world.now));
}

#[test]
fn that_no_rollout_is_ever_verified_is_said() {
    let mut world = World::new();
    world.settle();
    for n in 1..=6 {
        world.push("dev", n);
        world.settle();
        for index in [0, 1] {
            let said = world.why(index).contains(&"AlwaysOvertaken");
            assert_eq!(said, n == 6, "{n} in {index}: five were overtaken when the sixth came");
        }
    }
    world.signal(0, Verdict::Healthy);
    world.settle();
    world.push("dev", 7);
    world.settle();
    assert!(!world.why(1).contains(&"AlwaysOvertaken"), "one got through");
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
    world.record(1, vec![Event::Resumed { who: "alice".into(), met: None, holds: None }]);
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

/// Sets the world's clock, as a machine's clock is set: what passed in truth is nothing.
fn set_clock(world: &mut World, by: SignedDuration) {
    world.now = world.now.checked_add(by).unwrap();
    let (sequence, by_ms) = (Sequence(world.entries.len() as u64 + 1), i64::try_from(by.as_millis()).unwrap());
    let event = Event::ClockSet { by_ms, since: Sequence(1) };
    world.entries.push(Entry { sequence, at: world.now, scope: Scope::default(), event });
}

#[test]
fn a_clock_that_was_wrong_for_a_while_stops_no_promotion() {
    for by in [SignedDuration::from_hours(30 * 24), SignedDuration::from_hours(-24)] {
        for is_kept in [true, false] {
            let mut world = World::new();
            world.settle();
            let set = |world: &mut World, by| match is_kept {
                true => set_clock(world, by),
                false => world.now = world.now.checked_add(by).unwrap(),
            };
            for n in 1..=3 {
                if n == 2 {
                    set(&mut world, by);
                }
                world.push("dev", n);
                world.settle();
                world.signal(0, Verdict::Healthy);
                world.settle();
                if n == 2 {
                    set(&mut world, -by);
                }
                assert_eq!(world.pinned()[1], format!("v{n}"), "{by:?}");
                world.signal(1, Verdict::Healthy);
                world.settle();
            }
        }
    }
}

#[test]
fn a_soak_counts_what_passed_and_not_what_the_clock_was_set_by() {
    let mut world = World::new();
    world.settle();
    world.push("dev", 1);
    world.settle();
    world.signal(0, Verdict::Healthy);
    world.settle();
    let soaked = |world: &World| world.ledger(0).soaked(release(1).id(), world.now);
    world.now = world.now.checked_add(10.minutes()).unwrap();
    assert_eq!(soaked(&world).as_secs(), 600);
    for hours in [720, -720, -24, 24] {
        set_clock(&mut world, SignedDuration::from_hours(hours));
        assert_eq!(soaked(&world).as_secs(), 600, "set by {hours} h");
    }
    // An older process wrote by a clock of which nobody knows how it stood.
    world.now = world.now.checked_sub(1.hours()).unwrap();
    let (sequence, event) = (Sequence(99), Event::ClockSet { by_ms: -3_600_000, since: Sequence(98) });
    world.entries.push(Entry { sequence, at: world.now, scope: Scope::default(), event });
    assert_eq!(soaked(&world).as_secs(), 0);
    world.now = world.now.checked_add(10.minutes()).unwrap();
    assert_eq!(soaked(&world).as_secs(), 600);
}

/// What decisions read of the order of a history.
fn order_of(world: &World) -> Vec<String> {
    let mut order = Vec::new();
    for index in 0..3 {
        let ledger = world.ledger(index);
        let candidates = world.with_facts(index, |facts| candidate::candidates(facts).releases);
        let verified = (0..6).filter(|n| ledger.verified_at(release(*n).id()).is_some()).collect::<Vec<_>>();
        let first = (0..6).map(|n| ledger.first_arrival(release(n).id())).collect::<Vec<_>>();
        let last = ledger.last_verified(None).map(ToString::to_string);
        order.push(format!("{candidates:?} {verified:?} {first:?} {last:?}"));
    }
    order
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(24))]
    #[test]
    fn shifting_the_times_of_a_history_changes_no_order(shifts in proptest::collection::vec(-3_000_000_i64..3_000_000, 1..40)) {
        let mut world = World::new();
        world.settle();
        for n in 1..=4_u8 {
            world.push("dev", n);
            world.settle();
            world.signal(0, if n == 3 { Verdict::Failed } else { Verdict::Healthy });
            if n != 2 {
                world.settle();
                if n != 3 {
                    world.signal(1, Verdict::Healthy);
                }
            }
            world.settle();
        }
        let before = order_of(&world);
        for (entry, shift) in world.entries.iter_mut().zip(shifts.iter().cycle()) {
            entry.at = entry.at.checked_add(shift.seconds()).unwrap();
        }
        proptest::prop_assert_eq!(order_of(&world), before);
    }
}

#[test]
fn commits_of_a_former_id_are_ours_up_to_where_it_went() {
    let mut world = World::new();
    world.settle();
    world.push("dev", 1);
    world.settle();
    let last = world.entries.last().unwrap().sequence;
    world.journal =
        JournalIds { id: "ffffeeeedddd".to_owned(), former: vec![FormerId { id: JOURNAL.to_owned(), last }] };
    world.signal(0, Verdict::Healthy);
    world.settle();
    assert_eq!(world.pinned()[..2], ["v1", "v1"]);
    world.journal.former[0].last = Sequence(0);
    assert_eq!(world.why(0), ["JournalIsNew"]);
}
