//! What a vote binds to: a table of changes, and whether the vote that was given before them still counts.

use super::world::*;
use crate::model::policy::{Approvals, Ballot};
use crate::model::schedule::{Cron, Freeze, Window};
use crate::model::*;
use crate::relay::{Step, gate};
use jiff::{Timestamp, ToSpan as _};

/// A release waits for prod with nothing but a vote of alice.
fn waiting() -> World {
    let mut world = World::new();
    world.settle();
    world.push("dev", 1);
    for index in [0, 1] {
        world.settle();
        world.signal(index, event::Verdict::Healthy);
    }
    world.settle();
    world.now = world.now.checked_add(2.hours()).unwrap();
    assert_eq!(world.why(2), ["ApprovalsMissing"]);
    world
}

fn prod(world: &mut World) -> &mut Environment {
    &mut world.policy.environments[2]
}

fn approvals(world: &mut World) -> &mut Approvals {
    prod(world).gates.approvals.as_mut().unwrap()
}

fn freeze(from: &str, until: &str) -> Freeze {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    Freeze { from: at(from), until: at(until), reason: "fair".into(), allows_rollback: true }
}

fn always_open() -> Window {
    Window { open: Cron::parse("* * * * *", jiff::tz::TimeZone::UTC).unwrap(), length: Span::minutes(60) }
}

fn over() -> Freeze {
    freeze("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z")
}

fn to_come() -> Freeze {
    freeze("2030-01-01T00:00:00Z", "2030-01-02T00:00:00Z")
}

/// What changes after the vote, how the policy is before it, how it is changed, and what is said of the vote where it falls.
type Row = (&'static str, fn(&mut World), fn(&mut World), Option<&'static str>);

const ROWS: &[Row] = &[
    ("nothing", |_| (), |_| (), None),
    ("a freeze to come is added", |_| (), |world| prod(world).gates.freezes.push(to_come()), None),
    ("a window is added", |_| (), |world| prod(world).gates.windows.push(always_open()), None),
    (
        "a freeze that is over goes",
        |world| prod(world).gates.freezes.push(over()),
        |world| prod(world).gates.freezes.clear(),
        None,
    ),
    (
        "a freeze to come goes",
        |world| prod(world).gates.freezes.push(to_come()),
        |world| prod(world).gates.freezes.clear(),
        Some("freeze 2030"),
    ),
    (
        "a window goes",
        |world| prod(world).gates.windows.push(always_open()),
        |world| prod(world).gates.windows.clear(),
        Some("window"),
    ),
    ("the soak is shorter", |_| (), |world| prod(world).gates.soak = Span::minutes(30), Some("soak 1h")),
    ("the soak goes", |_| (), |world| prod(world).gates.soak = Span::ZERO, Some("soak 1h")),
    (
        "strangers' tags are trusted",
        |_| (),
        |world| prod(world).promote.as_mut().unwrap().trust_tag = true,
        Some("verified in staging"),
    ),
    ("an approver is added", |_| (), |world| approvals(world).approvers.push("mallory".into()), Some("approvals 1")),
    (
        "the order of approvers",
        |world| approvals(world).approvers = vec!["bob".into(), "alice".into()],
        |world| approvals(world).approvers.reverse(),
        None,
    ),
    (
        "the approver goes",
        |_| (),
        |world| approvals(world).approvers = vec!["bob".into()],
        Some("not among the approvers"),
    ),
    (
        "the approver is excluded",
        |_| (),
        |world| approvals(world).exclude.push("alice".into()),
        Some("not among the approvers"),
    ),
    ("votes are taken elsewhere", |_| (), |world| approvals(world).by = vec![Ballot::Page], Some("where it was given")),
    (
        "the right to approve goes",
        |_| (),
        |world| world.may_approve.clear(),
        Some("may not approve here by the configuration"),
    ),
    (
        "the right to approve goes where nobody is named",
        |world| approvals(world).approvers.clear(),
        |world| world.may_approve.retain(|who| *who != "alice"),
        Some("may not approve here by the configuration"),
    ),
    (
        "a target changes",
        |_| (),
        |world| prod(world).write[0].target = Target::Kustomize { path: "evil".into() },
        Some("places"),
    ),
    (
        "a target is added",
        |_| (),
        |world| {
            let more = Place { target: Target::Kustomize { path: "evil".into() }, missing: place::Missing::Error };
            prod(world).write.push(more);
        },
        Some("places"),
    ),
    ("the branch changes", |_| (), |world| prod(world).deliver.branch = "release".into(), Some("places")),
    ("the repository changes", |_| (), |world| prod(world).deliver.repository = "self".into(), Some("places")),
    ("the message changes", |_| (), |world| prod(world).deliver.message = Some("ship it".into()), None),
    (
        "a tag is pushed too",
        |_| (),
        |world| prod(world).promote.as_mut().unwrap().retag = Tag::parse("prod").ok(),
        Some("places"),
    ),
];

#[test]
fn a_vote_falls_when_what_it_was_given_for_changes() {
    for (what, before, change, falls) in ROWS {
        let mut world = waiting();
        before(&mut world);
        world.vote(2, 1, "alice");
        let goes = |world: &World| matches!(world.step(2), Step::Write(_) | Step::Retag(..));
        assert!(goes(&world), "{what}: it counts at first");
        change(&mut world);
        match falls {
            None => assert!(goes(&world), "{what}: {:?}", world.step(2)),
            Some(why) => {
                let Step::Rest(said) = world.step(2) else { panic!("{what}: {:?}", world.step(2)) };
                let said = said.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ");
                let command = format!("tagrelay approve shop/prod {}", release(1).short());
                assert!(said.contains("alice's vote does not count"), "{what}: {said}");
                assert!(said.contains(why) && said.contains(&command), "{what}: {said}");
            }
        }
    }
}

#[test]
fn a_vote_for_what_was_overtaken_leaves_a_trace_and_counts_for_nothing_else() {
    let mut world = waiting();
    world.vote(2, 2, "alice");
    let Step::Rest(said) = world.step(2) else { panic!("{:?}", world.step(2)) };
    let said = said.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ");
    let command = format!("tagrelay approve shop/prod {}", release(1).short());
    assert!(said.contains("0 of 1") && said.contains("alice's vote was for") && said.contains(&command), "{said}");
    world.vote(2, 1, "alice");
    assert!(matches!(world.step(2), Step::Write(_)), "{:?}", world.step(2));
}

#[test]
fn a_vote_keeps_the_earlier_expiry() {
    for (given, today, after, counts) in [
        (1, 48, 2, false),
        (48, 1, 2, false),
        (48, 1, 0, true),
        (1, 48, 0, true),
        (48, 48, 47, true),
        (48, 48, 48, false),
    ] {
        let mut world = waiting();
        let hours = |n: u64| Span::seconds(n * 3600);
        approvals(&mut world).expire = hours(given);
        world.vote(2, 1, "alice");
        approvals(&mut world).expire = hours(today);
        world.now = world.now.checked_add(after.hours()).unwrap();
        assert_eq!(matches!(world.step(2), Step::Write(_)), counts, "given {given}h, today {today}h, after {after}h");
    }
}

#[test]
fn a_vote_of_an_earlier_version_is_told_and_does_not_count() {
    let mut world = waiting();
    let (release, rules) = (release(1).id().clone(), "0".repeat(64));
    world.record(
        2,
        vec![Event::Voted { release, rules, approve: true, who: "alice".into(), by: Ballot::Cli, why: String::new() }],
    );
    let Step::Rest(said) = world.step(2) else { panic!("{:?}", world.step(2)) };
    assert!(said[0].to_string().contains("an earlier version"), "{said:?}");
    world.vote(2, 1, "alice");
    assert!(matches!(world.step(2), Step::Write(_)), "given again, it counts");
}

#[test]
fn the_terms_of_a_vote_are_text_that_every_later_version_reads() {
    let mut world = World::new();
    prod(&mut world).gates.windows.push(always_open());
    prod(&mut world).gates.freezes.push(over());
    let expected = "expire 7d\n\
        gate verified in staging, trust_tag false\n\
        gate soak 1h\n\
        gate approvals 1 of [\"alice\"] but [] by [\"cli\"]\n\
        gate window * * * * * in UTC for 1h\n\
        gate freeze 2026-01-01T00:00:00Z 2026-01-02T00:00:00Z\n\
        place repository \"default\" branch \"main\"\n\
        place kustomize \"prod\"";
    assert_eq!(gate::terms(&world.policy.environments[2]), expected);
}
