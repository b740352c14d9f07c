//! Authority as tables: each kind of order against everything that may stand in its way, and which releases come back.

use super::world::*;
use crate::model::event::{OURSELVES, Order, Verdict};
use crate::model::policy::OnFailure;
use crate::model::schedule::Freeze;
use crate::model::*;
use crate::relay::{Step, authority};
use jiff::ToSpan as _;

/// The orders of the table's columns: none, a promotion, `on_failure`, a rollback, force.
fn orders() -> [Option<(Order, &'static str)>; 5] {
    let promote =
        |force: Option<&str>| Order::Promote { release: release(3), force: force.map(str::to_owned), holds: false };
    let back = || Order::Rollback { to: release(1), why: "bad".into() };
    [
        None,
        Some((promote(None), "alice")),
        Some((back(), OURSELVES)),
        Some((back(), "alice")),
        Some((promote(Some("the shop is down")), "alice")),
    ]
}

/// Prod runs the second release and ran the first; the third waits for prod with all but its vote.
fn world() -> World {
    let mut world = World::new();
    let settle = &mut |world: &mut World| _ = world.settle();
    world.settle();
    world.journey(1, settle);
    world.journey(2, settle);
    world.push("dev", 3);
    for index in [0, 1] {
        world.settle();
        world.signal(index, Verdict::Healthy);
    }
    world.settle();
    world.now = world.now.checked_add(2.hours()).unwrap();
    world
}

fn frozen(world: &mut World, allows_rollback: bool) {
    let (from, until) = (world.now, world.now.checked_add(1.hours()).unwrap());
    world.policy.environments[2].gates.freezes.push(Freeze { from, until, reason: "fair".into(), allows_rollback });
}

fn held(world: &mut World, who: &str) {
    world.record(2, vec![Event::Held { who: who.into(), why: "stop".into(), until: None }]);
}

fn rollouts() -> Why {
    Why::TooManyRollouts { environment: "prod".into(), limit: 1 }
}

/// What stands in the way, and by which orders prod changes all the same.
type Row = (&'static str, fn(&mut World), &'static str);

const PASSES: &[Row] = &[
    ("nothing", |_| (), "gates promote failure rollback force"),
    (
        "a vote is missing",
        |world| world.entries.retain(|entry| !matches!(entry.event, Event::Voted { .. })),
        "failure rollback force",
    ),
    ("a freeze", |world| frozen(world, true), "failure rollback force"),
    ("a freeze that stops rollbacks", |world| frozen(world, false), "force"),
    ("both freezes", |world| [true, false].into_iter().for_each(|of| frozen(world, of)), "force"),
    ("a hold by tagrelay", |world| held(world, OURSELVES), "failure rollback force"),
    ("a hold by a person", |world| held(world, "bob"), "rollback force"),
    ("both holds", |world| [OURSELVES, "bob"].into_iter().for_each(|who| held(world, who)), "rollback force"),
    (
        "a HOLD file",
        |world| world.stops.push(Why::HeldByFile { file: "HOLD".into(), who: OURSELVES.into(), reason: "stop".into() }),
        "rollback force",
    ),
    ("suspend", |world| world.policy.suspend = true, "rollback force"),
    (
        "a broken policy",
        |world| world.stops.push(Why::PolicyBroken { at: "shop.yaml:1".into() }),
        "failure rollback force",
    ),
    (
        "a doubtful clock",
        |world| world.stops.push(Why::ClockDoubtful { words: "wrong".to_owned(), until: None }),
        "failure rollback force",
    ),
    ("a limit", |world| world.stops.push(Why::TooManyChanges { limit: 1 }), "failure rollback force"),
    ("a limit on rollouts", |world| world.stops.push(rollouts()), "failure rollback force"),
    (
        "many failures",
        |world| {
            let until = Some(world.now.checked_add(1.hours()).unwrap());
            let event = Event::Held { who: OURSELVES.into(), why: "3 policies failed".into(), until };
            let scope = Scope { policy: None, environment: Some(EnvironmentName::parse("prod").unwrap()) };
            let sequence = Sequence(world.entries.len() as u64 + 1);
            world.entries.push(Entry { sequence, at: world.now, scope, event });
        },
        "rollback force",
    ),
    ("auto: false", |world| world.policy.environments[2].auto = false, "promote failure rollback force"),
    ("a fact", |world| world.stops.push(Why::Unread { what: "a place".into(), error: None }), ""),
];

#[test]
fn each_order_passes_what_its_right_passes() {
    for (obstacle, put, expected) in PASSES {
        let mut passed = Vec::new();
        for (order, name) in orders().into_iter().zip(["gates", "promote", "failure", "rollback", "force"]) {
            let mut world = world();
            world.vote(2, 3, "alice");
            put(&mut world);
            let brings = match &order {
                Some((Order::Rollback { to, .. }, _)) => to.clone(),
                _ => release(3),
            };
            if let Some((order, who)) = order {
                world.record(2, vec![Event::Ordered { order, who: who.into() }]);
            }
            match world.step(2) {
                Step::Write(cleared) if *cleared.release() == brings => passed.push(name),
                Step::Rest(_) => {}
                step => panic!("{obstacle}, {name}: {step:?}"),
            }
        }
        assert_eq!(passed.join(" "), *expected, "{obstacle}");
    }
}

#[test]
fn an_automatic_rollback_waits_for_a_persons_hold_and_says_so() {
    let mut world = world();
    world.policy.environments[2].on_failure = OnFailure::Rollback;
    world.vote(2, 3, "alice");
    world.settle();
    held(&mut world, "bob");
    world.signal(2, Verdict::Failed);
    world.settle();
    assert_eq!((world.pinned()[2].as_str(), &world.why(2)[..2]), ("v3", &["OrderWaits", "Held"][..]));
    world.now = world.now.checked_add(1.hours()).unwrap();
    assert_eq!(world.pinned()[2], "v3");
    world.entries.retain(|entry| !matches!(&entry.event, Event::Held { who, .. } if who == "bob"));
    world.settle();
    assert_eq!(world.pinned()[2], "v2", "the hold is gone, and its own hold does not stop it");
}

#[test]
fn an_automatic_rollback_that_waits_falls_when_a_person_moves_the_pin() {
    let mut world = world();
    world.policy.environments[2].on_failure = OnFailure::Rollback;
    world.vote(2, 3, "alice");
    world.settle();
    held(&mut world, "bob");
    world.signal(2, Verdict::Failed);
    world.settle();
    world.person_pins("prod", 7);
    world.settle();
    world.record(2, vec![Event::Resumed { who: "bob".into(), met: None, holds: None }]);
    world.settle();
    assert_eq!((world.pinned()[2].as_str(), &world.ledger(2).order), ("v7", &None));
}

#[test]
fn a_rejection_ends_the_order_of_that_release() {
    let mut world = world();
    let order = Order::Promote { release: release(3), force: None, holds: false };
    world.record(2, vec![Event::Ordered { order, who: "alice".into() }]);
    world.record(2, vec![Event::Refused { release: release(3), who: "bob".into(), why: "it leaks".into() }]);
    world.vote(2, 3, "alice");
    world.settle();
    assert_eq!(world.pinned()[2], "v2");
}

/// The ledger of an environment that adopted release 0, and to which these came through their gates, or by a stranger's
/// hand: release, who, end.
fn ledger(came: &[(u8, &str, Option<Outcome>)]) -> Ledger {
    let scope = Scope::default();
    let mut entries = Vec::new();
    let mut add = |event| {
        let sequence = Sequence(entries.len() as u64 + 1);
        entries.push(Entry {
            sequence,
            at: jiff::Timestamp::from_second(entries.len() as i64).unwrap(),
            scope: scope.clone(),
            event,
        });
        sequence
    };
    let pin = |n| Pin::of(&release(n), PinForm::Digest);
    add(Event::Adopted { pin: pin(0), release: Some(release(0)), commit: None });
    for (n, who, outcome) in came {
        let rollout = match *who {
            "ours" => {
                let effect = event::Effect::Commit { form: PinForm::Digest };
                let intent = add(Event::Intended { effect, release: release(*n), because: Because::NoGates });
                add(Event::Committed { intent, commit: CommitId::parse(&"1".repeat(40)).unwrap() });
                intent
            }
            "verify" => add(Event::Ordered { order: Order::Verify, who: "alice".into() }),
            who => add(Event::Moved { pin: pin(*n), release: Some(release(*n)), commit: None, who: who.into() }),
        };
        if let Some(outcome) = outcome {
            add(Event::Ended { rollout, outcome: *outcome, why: String::new() });
        }
    }
    Ledger::of(&scope, &entries)
}

#[test]
fn a_rollback_goes_to_what_ran_here() {
    use Outcome::{Canceled, Failed, Verified};
    const OK: Option<Outcome> = Some(Verified);
    /// What came, the default way back from the last, and what may be named.
    type Row<'a> = (&'a [(u8, &'a str, Option<Outcome>)], Option<u8>, &'a [u8]);
    let rows: &[Row<'_>] = &[
        (&[(1, "ours", OK), (2, "ours", OK)], Some(1), &[0, 1, 2]),
        (&[(1, "ours", OK)], Some(0), &[0, 1]),
        (&[(1, "ours", OK), (2, "ours", Some(Failed)), (3, "ours", OK)], Some(1), &[0, 1, 2, 3]),
        (&[(1, "ours", Some(Failed)), (2, "ours", OK)], Some(0), &[0, 1, 2]),
        (&[(1, "ours", Some(Canceled)), (2, "ours", OK)], Some(0), &[0, 2]),
        (&[(1, "ours", None), (2, "ours", OK)], Some(0), &[0, 2]),
        (&[(1, "bob", OK), (2, "ours", OK)], Some(1), &[0, 1, 2]),
        (&[(1, "bob", Some(Failed)), (2, "ours", OK)], Some(0), &[0, 2]),
        (&[(1, "ours", OK), (1, "verify", Some(Failed)), (2, "ours", OK)], Some(0), &[0, 1, 2]),
        (&[(1, "ours", OK), (1, "verify", Some(Canceled)), (2, "ours", OK)], Some(1), &[0, 1, 2]),
        (&[(0, "verify", Some(Failed)), (2, "ours", OK)], None, &[0, 2]),
    ];
    for (came, back, named) in rows {
        let ledger = ledger(came);
        let (last, _, _) = came.last().unwrap();
        assert_eq!(authority::way_back(&ledger, release(*last).id()).cloned(), back.map(release), "{came:?}");
        let may: Vec<u8> = (0..9).filter(|n| authority::ran_here(&ledger, release(*n).id())).collect();
        assert_eq!(may, *named, "{came:?}");
    }
}

#[test]
fn what_git_alone_tells_of_comes_back_only_when_it_is_named() {
    let adopted = |ledger: &mut Ledger, n: u8| {
        let pin = Pin::of(&release(n), PinForm::TagAtDigest);
        let event = Event::Adopted { pin, release: Some(release(n)), commit: None };
        let at = jiff::Timestamp::UNIX_EPOCH;
        ledger.apply(&Entry { sequence: Sequence(90 + u64::from(n)), at, scope: Scope::default(), event });
    };
    let mut ledger = ledger(&[]);
    adopted(&mut ledger, 1);
    adopted(&mut ledger, 2);
    assert_eq!(
        authority::way_back(&ledger, release(2).id()),
        None,
        "0 and 1 ran here, and nobody knows how they ended"
    );
    assert!([0, 1, 2].into_iter().all(|n| authority::ran_here(&ledger, release(n).id())));
    assert_eq!(authority::way_back(&ledger, release(3).id()), Some(&release(2)), "2 is what stood there");
}

#[test]
fn what_is_refused_here_comes_back_only_when_it_is_named() {
    let mut ledger = ledger(&[(1, "ours", Some(Outcome::Verified)), (2, "ours", Some(Outcome::Verified))]);
    let refused = Event::Refused { release: release(1), who: "alice".into(), why: "it leaks".into() };
    ledger.apply(&Entry {
        sequence: Sequence(99),
        at: jiff::Timestamp::UNIX_EPOCH,
        scope: Scope::default(),
        event: refused,
    });
    assert_eq!(authority::way_back(&ledger, release(2).id()), Some(&release(0)), "the adopted one is left");
    assert!(authority::ran_here(&ledger, release(1).id()));
}

#[test]
fn an_order_back_to_what_never_ran_here_waits() {
    let mut world = world();
    let order = Order::Rollback { to: release(3), why: "bad".into() };
    world.record(2, vec![Event::Ordered { order, who: "mallory".into() }]);
    assert_eq!(world.why(2), ["OrderWaits", "NeverRanHere"]);
}

#[test]
fn a_verification_that_passes_lifts_a_refusal_that_a_failure_made_and_no_persons() {
    for (who, is_verified) in [(OURSELVES, true), ("alice", false)] {
        let mut world = World::new();
        world.settle();
        world.push("dev", 1);
        world.settle();
        world.signal(0, Verdict::Failed);
        world.settle();
        let refused = Event::Refused { release: release(1), who: who.into(), why: "it leaks".into() };
        world.record(0, vec![refused, Event::Ordered { order: Order::Verify, who: "bob".into() }]);
        world.signal(0, Verdict::Healthy);
        world.settle();
        let ledger = world.ledger(0);
        assert_eq!(ledger.refusals.is_empty(), is_verified, "{who}");
        assert_eq!(world.pinned()[1] == "v1", is_verified, "{who}: and it goes on");
    }
}

#[test]
fn a_rerun_that_fails_takes_the_verification_back() {
    let mut world = World::new();
    world.settle();
    world.policy.environments[0].on_failure = OnFailure::Hold;
    world.policy.environments[1].auto = false;
    world.push("dev", 1);
    world.settle();
    world.signal(0, Verdict::Healthy);
    world.settle();
    assert!(world.ledger(0).verified_at(release(1).id()).is_some());
    world.record(0, vec![Event::Ordered { order: Order::Verify, who: "bob".into() }]);
    assert!(world.ledger(0).verified_at(release(1).id()).is_some(), "until it fails");
    world.signal(0, Verdict::Failed);
    world.settle();
    assert_eq!(world.ledger(0).verified_at(release(1).id()), None);
    assert_eq!(world.why(1), ["NotAutomatic", "NothingVerified"]);
}
