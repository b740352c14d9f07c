//! A person's hand on a pin: moved back, moved to something new, and what goes on.

use super::world::*;
use crate::model::event::Verdict;
use crate::model::policy::{OnEdit, Strategy};
use crate::model::*;

/// Release 2 runs in dev and staging, release 1 ran there before, and 2 waits for prod.
fn world() -> World {
    let mut world = World::new();
    let settle = &mut |world: &mut World| _ = world.settle();
    settle(&mut world);
    world.journey(1, settle);
    world.push("dev", 2);
    for index in [0, 1] {
        settle(&mut world);
        world.signal(index, Verdict::Healthy);
    }
    settle(&mut world);
    assert_eq!(
        (world.pinned(), world.why(2).contains(&"ApprovalsMissing")),
        (vec!["v2".into(), "v2".into(), "v1".into()], true)
    );
    world
}

#[test]
fn moved_back_it_refuses_what_it_left_and_moved_elsewhere_it_holds_alone() {
    for (n, refuses) in [(1, true), (0, true), (7, false)] {
        let mut world = world();
        world.person_pins("dev", n);
        world.settle();
        let dev = world.ledger(0);
        assert_eq!((dev.holds.len(), dev.holds[0].who.as_str()), (1, "bob"), "moved to {n}");
        assert_eq!(dev.refusals.contains_key(release(2).id()), refuses, "moved to {n}");
        assert_eq!(world.why(2).contains(&"ApprovalsMissing"), !refuses, "moved to {n}: prod still waits for its vote");
        assert_eq!(world.pinned()[1], "v2", "what runs elsewhere stays");
    }
}

#[test]
fn a_pin_that_was_not_known_then_and_comes_again_is_moved_back() {
    let mut world = world();
    world.person_pins("dev", 7);
    world.settle();
    world.record(0, vec![Event::Resumed { who: "bob".into(), met: None, holds: None }]);
    world.push("dev", 3);
    world.settle();
    world.person_pins("dev", 7);
    world.settle();
    assert!(world.ledger(0).refusals.contains_key(release(3).id()));
}

#[test]
fn on_edit_continue_lets_the_next_release_go_on_and_not_the_one_that_was_left() {
    let mut world = world();
    world.policy.environments[0].on_edit = OnEdit::Continue;
    world.person_pins("dev", 7);
    world.settle();
    assert_eq!((world.pinned()[0].as_str(), world.ledger(0).holds.len()), ("v7", 0));
    world.push("dev", 3);
    world.settle();
    assert_eq!(world.pinned()[0], "v3");
    world.person_pins("dev", 2);
    world.settle();
    assert_eq!(
        (world.ledger(0).holds.len(), world.ledger(0).refusals.len()),
        (1, 1),
        "moved back it holds all the same"
    );
}

#[test]
fn a_pin_that_is_only_observed_is_anybodys_to_move() {
    let mut world = world();
    world.policy.environments[0].select.as_mut().unwrap().strategy = Strategy::Pinned;
    for n in [7, 1] {
        world.person_pins("dev", n);
        world.settle();
    }
    assert_eq!((world.pinned()[0].as_str(), world.ledger(0).holds.len(), world.ledger(0).refusals.len()), ("v1", 0, 0));
}

#[test]
fn an_author_who_is_called_as_we_are_holds_as_a_person() {
    let mut world = world();
    world.person_pins("dev", 7);
    world.pins.get_mut("dev").unwrap().last_touch.as_mut().unwrap().author = event::OURSELVES.into();
    world.settle();
    assert_eq!(world.ledger(0).holds[0].who, "somebody");
}
