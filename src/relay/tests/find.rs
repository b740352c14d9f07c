//! Where a build is, as journeys leave it: who runs it, ran it, waits for it, or goes without.

use super::*;
use crate::model::event::Event;
use crate::relay::find::{self, Name};
use crate::relay::since;

/// How dev, staging and prod stand to release `n`.
fn places(world: &World, n: u8) -> Vec<&'static str> {
    let release = release(n);
    let place = |index| world.with_facts(index, |facts| find::best(facts, &[&release]).map(|it| it.presence.code()));
    (0..3).map(|index| place(index).expect("one release is meant")).collect()
}

fn not_in(world: &World, index: usize) -> Vec<String> {
    world.with_facts(index, |facts| find::not_yet(facts, &[]).iter().map(ToString::to_string).collect())
}

fn settled(world: &mut World, n: u8) {
    world.push("dev", n);
    world.settle();
}

#[test]
fn each_environment_says_how_it_stands_to_a_release() {
    let mut world = World::new();
    world.settle();
    settled(&mut world, 1);
    assert_eq!(places(&world, 1), ["runs", "waits", "waits"]);
    assert_eq!(places(&world, 0), ["ran_before", "runs", "runs"]);
    assert_eq!(places(&world, 9), ["never", "never", "never"]);
    world.signal(0, Verdict::Healthy);
    world.settle();
    assert_eq!(places(&world, 1), ["runs", "runs", "waits"]);
    settled(&mut world, 2);
    assert_eq!(places(&world, 1), ["ran_before", "runs", "waits"]);
    assert_eq!(not_in(&world, 2), ["v1", "v2"], "oldest first");
    assert_eq!(not_in(&world, 1), ["v2"]);
    world.signal(0, Verdict::Failed);
    world.settle();
    assert_eq!(places(&world, 2), ["runs", "refused", "refused"]);
    settled(&mut world, 3);
    world.signal(0, Verdict::Healthy);
    world.settle();
    assert_eq!(places(&world, 3), ["runs", "runs", "waits"]);
    assert_eq!(places(&world, 2), ["ran_before", "refused", "refused"]);
}

#[test]
fn what_was_overtaken_before_it_came_is_told_as_older() {
    let mut world = World::new();
    world.settle();
    settled(&mut world, 1);
    settled(&mut world, 2);
    world.signal(0, Verdict::Healthy);
    world.settle();
    assert_eq!(places(&world, 1), ["ran_before", "newer", "never"]);
}

#[test]
fn a_release_that_was_taken_back_is_not_there_yet() {
    let mut world = World::new();
    world.settle();
    world.journey(1, &mut |world| _ = world.settle());
    world.journey(2, &mut |world| _ = world.settle());
    assert!(not_in(&world, 2).is_empty());
    let back = Order::Rollback { to: release(1), why: "slow".to_owned() };
    world.record(2, vec![Event::Ordered { order: back, who: "alice".to_owned() }]);
    world.settle();
    assert_eq!(places(&world, 1), ["ran_before", "ran_before", "runs"]);
    assert_eq!(not_in(&world, 2), ["v2"]);
}

#[test]
fn what_is_pinned_by_its_tag_alone_is_there() {
    let mut world = World::new();
    world.person_pins_tag("prod", "v1");
    world.settle();
    for n in [1, 2] {
        settled(&mut world, n);
        world.signal(0, Verdict::Healthy);
        world.settle();
    }
    assert_eq!(world.ledger(2).current().map(|current| current.release.is_none()), Some(true));
    assert_eq!(not_in(&world, 2), ["v2"]);
}

#[test]
fn the_journal_tells_since_when_a_release_waits() {
    let mut world = World::new();
    world.settle();
    settled(&mut world, 1);
    world.signal(0, Verdict::Healthy);
    world.settle();
    world.signal(1, Verdict::Healthy);
    world.settle();
    let verified = world.now;
    world.now += std::time::Duration::from_secs(600);
    let held = Event::Held { who: "bob".to_owned(), why: "fair".to_owned(), until: None };
    world.record(2, vec![held]);
    let held_at = world.now;
    world.now += std::time::Duration::from_secs(600);
    let release = release(1);
    let votes = Why::ApprovalsMissing { have: 0, required: 1, of: "alice".to_owned(), fallen: Vec::new() };
    let hold = Why::Held { who: "bob".to_owned(), reason: "fair".to_owned(), until: None };
    world.with_facts(2, |facts| {
        assert_eq!(since::since(facts, Some(&release), &votes), Some(verified));
        assert_eq!(since::since(facts, None, &votes), None);
        assert_eq!(since::since(facts, Some(&release), &hold), Some(held_at));
        assert_eq!(since::since(facts, Some(&release), &Why::NotAutomatic), None);
    });
}

#[test]
fn a_build_is_named_by_what_people_see_of_it() {
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let build = build(1).with(|facts| facts.revision = Some(commit.to_owned()));
    let digest = build.digest.clone();
    let release = Release::new([(ImageName::parse("shop").unwrap(), build)].into());
    let id = release.id().to_string();
    for (typed, expected) in [
        ("v1", true),
        ("v2", false),
        (commit, true),
        ("0123456", true),
        ("0123456789ABCDEF", true),
        ("012345", false),
        ("1234567", false),
        (digest.as_str(), true),
        (digest.short(), true),
        (id.as_str(), true),
        ("registry.example.com:5000/shop:v1", true),
        ("registry.example.com:5000/shop", false),
        ("registry.example.com:5000/v1", false),
    ] {
        assert_eq!(Name::parse(typed).expect("a name").is_of(&release), expected, "{typed}");
    }
    let pinned = format!("registry.example.com/shop:v2@{digest}");
    assert!(Name::parse(&pinned).expect("a name").is_of(&release), "the digest counts");
    for wrong in ["", "  ", "!12", &"a".repeat(513)] {
        assert!(Name::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_commit_of_ours_names_what_it_wrote() {
    let mut world = World::new();
    world.settle();
    settled(&mut world, 1);
    let ledger = world.ledger(0);
    let commit = ledger.current().and_then(|current| current.commit.clone()).expect("a commit");
    let named = |typed: &str| {
        let name = Name::parse(typed).expect("a name");
        find::named(&name, &ledger, &[]).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(named(commit.as_str()), ["v1"]);
    assert_eq!(named("v0"), ["v0"], "what was met counts");
    assert!(named("v7").is_empty());
}
