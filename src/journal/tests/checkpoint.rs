//! What was folded into a checkpoint counts as if every entry were still there.

use super::*;
use crate::model::event::Effect;
use crate::model::{Because, Build, Builds, ImageName, Ledger, Origin, Pin, PinForm, Release};

const DAY: i64 = 86_400;

fn release(n: u8) -> Release {
    let (tag, digest) = (tag(&format!("v{n}")), Digest::of(&[n]));
    let build = Build { tag, digest, facts: BuildFacts::default().into() };
    Release::new(Builds::from([(ImageName::parse("shop").expect("image"), build)]))
}

/// Takes release `n` through an environment at a time.
async fn ship(journal: &Journal, environment: &str, n: u8, at: Timestamp) {
    let of = scope("shop", environment);
    let effect = Effect::Commit { form: PinForm::Digest };
    let intended = Event::Intended { effect, release: release(n), because: Because::NoGates };
    let added = journal.append(vec![(of.clone(), intended)], no_rows, at).await.expect("append");
    let intent = added[0].sequence;
    let commit = CommitId::parse(&format!("{n:040x}")).expect("commit");
    let ended = Event::Ended { rollout: intent, outcome: Outcome::Verified, why: "all is well".to_owned() };
    let events = vec![(of.clone(), Event::Committed { intent, commit }), (of, ended)];
    let rows = |_: &[Entry]| vec![row(intent.0, State::Running), row(intent.0, State::Success)];
    journal.append(events, rows, at).await.expect("append");
}

/// A month of releases in two environments, a hold of all on the tenth day, and of one environment of any policy.
async fn month(journal: &Journal) -> Vec<Entry> {
    for day in 1..=30 {
        let n = u8::try_from(day).expect("few");
        ship(journal, "dev", n, at(day * DAY)).await;
        if day % 3 == 0 {
            ship(journal, "prod", n, at(day * DAY + 60)).await;
        }
        if day == 10 {
            let all = events(&[("*", "*", "all"), ("*", "prod", "every prod"), ("shop", "dev", "dev")]);
            journal.append(all, no_rows, at(day * DAY + 90)).await.expect("append");
        }
    }
    journal.entries(&Scope::default(), None, 1000).await.expect("entries")
}

/// The ledger of an environment as a daemon that starts folds it.
async fn ledger(journal: &Journal, of: &Scope) -> Ledger {
    let checkpoint = journal.checkpoint().await.expect("checkpoint");
    let entries = journal.entries(&Scope::default(), None, 1000).await.expect("entries");
    let folded = checkpoint.as_ref().map_or(Sequence(0), |checkpoint| checkpoint.folded.last);
    let ledgers = checkpoint.map(|checkpoint| checkpoint.ledgers).unwrap_or_default();
    let known = ledgers.into_iter().find(|(scope, _)| scope == of);
    let wide = entries.iter().filter(|entry| entry.sequence <= folded);
    let mut ledger = known.map_or_else(|| Ledger::of(of, wide), |(_, ledger)| ledger);
    for entry in entries.iter().filter(|entry| entry.sequence > folded && entry.scope.contains(of)) {
        ledger.apply(entry);
    }
    ledger.condense();
    ledger
}

#[tokio::test]
async fn a_checkpoint_and_the_entries_after_it_say_what_all_entries_said() {
    let place = Place::new();
    let mut journal = place.open().await;
    let all = month(&journal).await;
    let scopes = ["dev", "prod", "new"].map(|environment| scope("shop", environment));
    for days in [0, 5, 10, 11, 12, 25, 30, 31] {
        let n_folded = journal.fold_before(at(days * DAY), at(40 * DAY)).await.expect("folded");
        assert_eq!(
            journal.fold_before(at(days * DAY), at(40 * DAY)).await.expect("folded"),
            0,
            "nothing is left to fold"
        );
        assert_eq!(n_folded == 0, days == 0, "{days}");
        // The process dies after each step.
        drop(journal);
        journal = place.open().await;
        for scope in &scopes {
            let mut expected = Ledger::of(scope, &all);
            expected.condense();
            assert_eq!(format!("{:?}", ledger(&journal, scope).await), format!("{expected:?}"), "{scope} {days}");
        }
    }
    let left = journal.entries(&Scope::default(), None, 1000).await.expect("entries");
    assert_eq!(reasons(&left), ["all", "every prod"], "what counts for environments that are yet to come stays");
    let folded = journal.folded().await.expect("folded").expect("a checkpoint");
    assert_eq!(folded, Folded { last: all.last().expect("entries").sequence, at: at(30 * DAY + 60) });
    let next = journal.append(events(&[("shop", "dev", "next")]), no_rows, at(40 * DAY)).await.expect("append");
    assert_eq!(next[0].sequence.0, folded.last.0 + 1, "no number is given out twice");
    let prod = ledger(&journal, &scopes[1]).await;
    assert!(prod.arrivals.iter().all(|arrival| matches!(arrival.origin, Origin::Ours(_))), "{prod:?}");
    let third = prod.arrivals.first().expect("the first release that came");
    assert_eq!((third.release.clone(), third.pin.clone()), (Some(release(3)), Pin::of(&release(3), PinForm::Digest)));
}

#[tokio::test]
async fn a_step_that_fails_changes_nothing() {
    let place = Place::new();
    let journal = place.open().await;
    let all = month(&journal).await;
    let mut write = journal.begin().await.expect("begin");
    let refuse = "CREATE TRIGGER refuse BEFORE DELETE ON entries WHEN OLD.sequence > 9 \
                  BEGIN SELECT RAISE(ABORT, 'no'); END";
    sqlx::raw_sql(refuse).execute(write.on()).await.expect("trigger");
    write.commit().await.expect("commit");
    journal.fold_before(at(40 * DAY), at(40 * DAY)).await.expect_err("refused");
    assert_eq!(journal.entries(&Scope::default(), None, 1000).await.expect("entries"), all);
    assert_eq!((journal.folded().await.expect("folded"), version(&journal).await), (None, 1));
}

async fn version(journal: &Journal) -> i64 {
    sqlx::query_scalar("SELECT schema_version FROM meta").fetch_one(&journal.readers).await.expect("version")
}

#[tokio::test]
async fn a_journal_with_a_checkpoint_is_refused_by_programs_that_would_miss_it() {
    let place = Place::new();
    let journal = place.open().await;
    month(&journal).await;
    assert_eq!(version(&journal).await, 1, "until something is folded, the program before opens it");
    journal.fold_before(at(5 * DAY), at(40 * DAY)).await.expect("folded");
    assert_eq!(version(&journal).await, 1_001);
    let folded = journal.folded().await.expect("folded");
    drop(journal);

    let reading = Journal::open_for_reading(&place.address()).await.expect("it is read beside a daemon");
    assert_eq!(reading.folded().await.expect("folded"), folded);
    reading.backup(&place.file("copy.db")).await.expect("a copy");
    let copy = format!("sqlite://{}", place.file("copy.db").display());
    let copy = Journal::open(&copy, at(0)).await.expect("the copy opens");
    assert_eq!(copy.folded().await.expect("folded"), folded);
    assert_eq!(copy.checkpoint().await.expect("checkpoint"), reading.checkpoint().await.expect("checkpoint"));
}

#[tokio::test]
async fn reports_that_gitlab_took_go_with_their_rollouts_and_others_stay() {
    let place = Place::new();
    let journal = place.open().await;
    month(&journal).await;
    let mut rollouts = Vec::new();
    while let Some(next) = journal.next_rows("group/shop").await.expect("rows").first() {
        rollouts.push(next.row.rollout);
        if next.row.rollout == Sequence(7) && next.row.state == State::Success {
            journal.park(next.id, "no such project").await.expect("parked");
            continue;
        }
        journal.mark_intended(next.id).await.expect("intended");
        journal.mark_sent(next.id, Some(next.row.rollout.0)).await.expect("sent");
    }
    journal.fold_before(at(20 * DAY), at(40 * DAY)).await.expect("folded");
    let folded = journal.folded().await.expect("folded").expect("a checkpoint").last;
    for rollout in rollouts {
        let n = journal.reports_of(rollout).await.expect("reports").len();
        let stays = rollout > folded || rollout == Sequence(7);
        assert_eq!(n, if stays { 2 } else { 0 }, "{rollout} of {folded}");
    }
    journal.fold_before(at(40 * DAY), at(40 * DAY)).await.expect("folded");
    assert!(journal.last_deployment("group/shop", "prod").await.expect("a deployment").is_some(), "the newest stays");
}

#[tokio::test]
async fn entries_of_a_wrong_clock_go_with_those_around_them() {
    let now = at(100);
    for (times, cutoff, expected) in [
        (&[10, 20, 30, 90][..], 25, 2),
        (&[10, 20], 50, 2),
        (&[60, 10], 50, 0),
        (&[10, 999, 20, 60], 50, 3),
        (&[10, 999], 50, 1),
        (&[999, 998], 50, 0),
        (&[], 50, 0),
    ] {
        let place = Place::new();
        let journal = place.open().await;
        for time in times {
            journal.append(events(&[("shop", "dev", "a")]), no_rows, at(*time)).await.expect("append");
        }
        assert_eq!(journal.fold_before(at(cutoff), now).await.expect("folded"), expected, "{times:?}");
    }
}

#[tokio::test]
async fn the_places_of_an_environment_are_known_however_old_the_entry_is_that_names_them() {
    let place = Place::new();
    let journal = place.open().await;
    let of = scope("shop", "dev");
    for (day, places) in [(1, "a.yaml"), (3, "b.yaml")] {
        let claimed = Event::Claimed { places: vec![places.to_owned()] };
        journal.append(vec![(of.clone(), claimed)], no_rows, at(day * DAY)).await.expect("append");
        ship(&journal, "dev", 1, at(day * DAY)).await;
    }
    let before = |sequence: u64| journal.places_before(&of, Sequence(sequence));
    let nothing: [&str; 0] = [];
    assert_eq!(before(1).await.expect("read"), nothing);
    assert_eq!(before(2).await.expect("read"), ["a.yaml"]);
    assert_eq!(before(1_000).await.expect("read"), ["b.yaml"]);
    journal.fold_before(at(2 * DAY), at(40 * DAY)).await.expect("folded");
    assert_eq!(before(5).await.expect("read"), ["a.yaml"], "it is folded, and the next is not there yet");
    assert_eq!(before(1_000).await.expect("read"), ["b.yaml"]);
    assert_eq!(journal.places_before(&scope("shop", "qa"), Sequence(9)).await.expect("read"), nothing);
}
