//! A ledger that was condensed and stored between any two entries answers every question of a decision as one that was
//! folded from all entries.

use super::*;
use crate::model::event::OURSELVES;
use crate::model::{
    Arrival, Build, BuildFacts, CommitId, Digest, Entry, EnvironmentName, Event, ImageName, Origin, PolicyName,
    ReleaseId, Sequence, Tag,
};
use crate::relay::{authority, keep, limits};
use proptest::prelude::*;

/// How many releases there are to choose from.
const RELEASES: u8 = 4;

fn scope() -> Scope {
    Scope::of(&PolicyName::parse("shop").expect("policy"), &EnvironmentName::parse("prod").expect("environment"))
}

/// Release `n`; the same digests may have been found under another tag.
fn release(n: u8, tag: u8) -> Release {
    let build = Build {
        tag: Tag::parse(&format!("v{n}-{}", tag % 2)).expect("tag"),
        digest: Digest::of(&[n % RELEASES]),
        facts: BuildFacts { revision: Some(format!("r{n}")), ..BuildFacts::default() }.into(),
    };
    Release::new([(ImageName::parse("web").expect("image"), build)].into())
}

fn commit(n: u8) -> CommitId {
    CommitId::parse(&format!("{n:040x}")).expect("commit")
}

fn form(n: u8) -> PinForm {
    [PinForm::Digest, PinForm::Tag, PinForm::TagAtDigest][usize::from(n % 3)]
}

/// A random event that makes sense after what the ledger says.
fn event(ledger: &Ledger, (kind, a, b): (u8, u8, u8), sequence: u64, cut: u64) -> (bool, Event) {
    let (who, why) = (["alice", "bob", OURSELVES][usize::from(b % 3)].to_owned(), format!("because of {a}"));
    let current = ledger.current().map_or(Sequence(1), |current| current.rollout);
    let open = ledger.open_intent().map_or(Sequence(1), |intent| intent.sequence);
    let release = release(a % RELEASES, b);
    let outcome = [Outcome::Verified, Outcome::Verified, Outcome::Failed, Outcome::Canceled][usize::from(b % 4)];
    let effect = match b % 4 {
        0 => Effect::Retag { tag: Tag::parse("prod").expect("tag"), is_pin: a.is_multiple_of(2) },
        _ => Effect::Commit { form: form(b) },
    };
    let holds = b.is_multiple_of(2).then(|| ledger.holds.iter().take(1).map(|hold| hold.sequence).collect());
    let until = a.is_multiple_of(3).then(|| Timestamp::from_second(60 * i64::from(a)).expect("time"));
    let event = match kind % 20 {
        0 | 1 => Event::Intended { effect, release, because: Because::GatesOpen(vec!["soak".to_owned()]) },
        2 | 3 => Event::Committed { intent: open, commit: commit(a) },
        4 => Event::Retagged { intent: open },
        5 => Event::Withdrawn { intent: open, why },
        6 => Event::Moved { pin: Pin::of(&release, form(b)), release: Some(release), commit: Some(commit(a)), who },
        7 => Event::Adopted {
            pin: Pin::of(&release, form(b)),
            release: a.is_multiple_of(2).then_some(release),
            commit: None,
        },
        8 => {
            let (evidence, url) = ("seen".to_owned(), Some("https://a".to_owned()));
            Event::Signalled { rollout: current, verdict: Verdict::Healthy, who, evidence, url }
        }
        9 => Event::Checked { rollout: current, check: "smoke".into(), result: CheckResult::Failed(why), url: None },
        10 => Event::Lost { rollout: current, why },
        11 | 12 if ledger.in_flight().is_some() => Event::Ended { rollout: current, outcome, why },
        11 | 13 => Event::Ordered { order: Order::Verify, who },
        12 => Event::Ordered { order: Order::Promote { release, force: None, holds: b.is_multiple_of(2) }, who },
        14 => Event::Ordered { order: Order::Rollback { to: release, why }, who },
        15 => {
            let id: ReleaseId = release.id().clone();
            let (rules, by) = (format!("terms {}", b % 2), Ballot::Cli);
            Event::Voted { release: id, rules, approve: a % 4 != 0, who, by, why }
        }
        16 => Event::Held { who, why, until },
        17 => Event::Resumed { who, met: a.is_multiple_of(2).then(|| commit(a)), holds },
        18 => Event::Refused { release, who, why },
        _ => match a % 3 {
            0 => Event::Claimed { places: vec![why] },
            1 => Event::ClockSet { by_ms: i64::from(b % 10) - 5, since: Sequence(cut + 1) },
            _ => Event::RulesKept {
                rules: RolloutRules {
                    rollout: Vec::new(),
                    verify: Vec::new(),
                    on_failure: crate::model::policy::OnFailure::Hold,
                },
            },
        },
    };
    let is_wide =
        matches!(event, Event::ClockSet { .. }) || (matches!(event, Event::Held { .. }) && sequence.is_multiple_of(3));
    (is_wide, event)
}

/// What decisions ask of a ledger, word for word.
fn answers(ledger: &Ledger, now: Timestamp) -> Vec<String> {
    let Ledger { order, met, tagged, lifted, holds_next, many_failed, places, holds, refusals, .. } = ledger;
    let mut said = vec![
        format!("{order:?} {met:?} {tagged:?} {lifted:?} {holds_next:?} {many_failed:?} {places:?} {holds:?}"),
        format!("{refusals:?}"),
        format!("{:?} {:?} {:?}", ledger.current(), ledger.in_flight(), ledger.open_intent()),
        format!("{} {}", ledger.overtaken_in_a_row(), limits::has_failed_lately(ledger, now)),
        format!("{:?}", keep::keep(ledger, 2)),
        format!("{:?}", ledger.arrivals.iter().rev().find(|it| !matches!(it.origin, Origin::Other(_))).map(shown)),
        format!(
            "{:?}",
            ledger.intents.values().map(|it| (it.sequence, it.fate, &it.effect, &it.release)).collect::<Vec<_>>()
        ),
    ];
    for n in 0..RELEASES {
        let release = release(n, 0);
        let id = release.id();
        let first = ledger.first_arrival(id).map(|index| &ledger.arrivals[index]);
        said.push(format!("{n} first {:?}", first.map(|first| (first.sequence, &first.release))));
        said.push(format!("{n} ended {:?} {:?}", ledger.verified_at(id), ledger.last_outcome(id)));
        said.push(format!("{n} soaked {:?}", ledger.soaked(id, now)));
        said.push(format!("{n} back {:?} {:?}", ledger.last_verified(Some(id)), authority::way_back(ledger, id)));
        said.push(format!("{n} ran {}", authority::ran_here(ledger, id)));
        for who in ["alice", "bob", OURSELVES] {
            let mut votes = ledger.votes.iter().rev();
            said.push(format!("{n} {who} {:?}", votes.find(|vote| vote.release == *id && vote.who == who)));
        }
        for tag in 0..2 {
            for form in [0, 1, 2].map(form) {
                let pin = Pin::of(&super::tests::release(n, tag), form);
                let mut arrived = ledger.arrivals.iter().rev().filter_map(|arrival| arrival.release.as_ref());
                said.push(format!("{pin} {:?}", arrived.find(|release| pin.says(release))));
                said.push(format!("{pin} {}", ledger.arrivals.iter().any(|arrival| arrival.pin == pin)));
            }
        }
        let of_commit = ledger.arrivals.iter().rev().find(|arrival| arrival.commit == Some(commit(n)));
        said.push(format!("commit {n} {:?}", of_commit.map(|arrival| (arrival.rollout, arrival.sequence))));
    }
    said
}

fn shown(arrival: &Arrival) -> String {
    format!("{:?} {:?}", arrival.release, arrival.origin)
}

proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(96))]
    #[test]
    fn a_checkpoint_at_any_moment_changes_no_answer(
        seeds in proptest::collection::vec((any::<u8>(), any::<u8>(), any::<u8>()), 1..60),
        cuts in proptest::collection::btree_set(1_u64..60, 0..4),
    ) {
        let (mut whole, mut folded) = (Ledger::default(), Ledger::default());
        let mut end = Timestamp::UNIX_EPOCH;
        for (sequence, seed) in (1_u64..).zip(seeds) {
            let cut = cuts.range(..sequence).last().copied().unwrap_or(0);
            let (is_wide, event) = event(&whole, seed, sequence, cut);
            let now = Timestamp::from_second(60 * i64::try_from(sequence).expect("few")).expect("time");
            let scope = if is_wide { Scope::default() } else { scope() };
            let entry = Entry { sequence: Sequence(sequence), at: now, scope, event };
            whole.apply(&entry);
            folded.apply(&entry);
            if cuts.contains(&sequence) {
                folded.condense();
                let text = encode_ledger(&folded).expect("encoded");
                let back = decode_ledger(&super::tests::scope(), &text).expect("decoded");
                // Releases are compared by their ids alone; every tag and fact must come back too.
                prop_assert_eq!(format!("{back:?}"), format!("{folded:?}"));
                folded = back;
            }
            if sequence.is_multiple_of(8) {
                prop_assert_eq!(answers(&folded, now), answers(&whole, now));
            }
            end = now;
        }
        prop_assert_eq!(answers(&folded, end), answers(&whole, end));
        whole.condense();
        folded.condense();
        prop_assert_eq!(format!("{folded:?}"), format!("{whole:?}"));
    }
}

#[test]
fn what_makes_no_sense_is_an_error_that_names_the_environment() {
    for (text, said) in [
        ("{\"more\":1}", "unknown field `more`"),
        ("{\"tagged\":0}", "there is no release 0"),
        ("{\"met\":\"zz\"}", "`zz` is no commit"),
        ("", "EOF"),
    ] {
        let error = decode_ledger(&scope(), text).expect_err(text).to_string();
        assert!(error.starts_with("the checkpoint of shop/prod of the journal") && error.contains(said), "{error}");
    }
}

#[test]
fn a_stored_ledger_is_read_for_ever() {
    let text = r#"{"releases":[{"web":{"tag":"v1","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","facts":{"created":null,"pushed":null,"seen":null,"revision":null,"platforms":[],"labels":{}}}}],"terms":["t"],"arrivals":[{"rollout":1,"sequence":2,"at":"2026-01-01T00:00:00Z","release":0,"pin":{"form":"tag"},"commit":"1111111111111111111111111111111111111111","origin":{"ours":"no_gates"},"end":{"outcome":"verified","sequence":3,"at":"2026-01-01T00:00:00Z","why":"w"}}],"intents":[{"sequence":1,"at":"2026-01-01T00:00:00Z","effect":{"commit":{"form":"tag"}},"release":0,"fate":"made"},{"sequence":9,"at":"2026-01-01T00:00:00Z","effect":{"retag":{"tag":"t","is_pin":true}},"release":0,"because":"no_gates","fate":"open"}],"refusals":[{"release":0,"sequence":4,"who":"a","why":"w","at":"2026-01-01T00:00:00Z"}],"holds":[{"sequence":5,"kind":"many_failed","policy":null,"environment":"prod","who":"a","why":"w","at":"2026-01-01T00:00:00Z","until":null}],"votes":[{"sequence":6,"release":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","terms":0,"approve":true,"who":"a","by":"cli","why":"","at":"2026-01-01T00:00:00Z"}],"order":{"sequence":7,"order":"verify","who":"a","at":"2026-01-01T00:00:00Z"},"met":"1111111111111111111111111111111111111111","tagged":0,"lifted":["w"],"holds_next":[8,"unknown"],"many_failed":5,"places":["p"]}"#;
    let ledger = decode_ledger(&scope(), text).expect("decoded");
    assert_eq!(encode_ledger(&ledger).expect("encoded"), text);
}
