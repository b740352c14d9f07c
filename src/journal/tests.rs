//! What the journal promises: nothing lost, nothing twice, nothing skipped.

mod checkpoint;
mod sightings;

use super::*;
use crate::model::pin::Trailers;
use crate::model::{
    BuildFacts, CommitId, Digest, Entry, EnvironmentName, Event, OurCommit, Outcome, PolicyName, Repository, Scope,
    Sequence, Tag, TagList,
};
use crate::relay::report::{Revision, Row, State};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("folder") }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn address(&self) -> String {
        format!("sqlite://{}", self.file("journal.db").display())
    }

    async fn open(&self) -> Journal {
        Journal::open(&self.address(), at(0)).await.expect("open")
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).expect("time")
}

fn scope(policy: &str, environment: &str) -> Scope {
    let policy = (policy != "*").then(|| PolicyName::parse(policy).expect("policy"));
    let environment = (environment != "*").then(|| EnvironmentName::parse(environment).expect("environment"));
    Scope { policy, environment }
}

fn held(why: &str) -> Event {
    Event::Held { who: "alice".to_owned(), why: why.to_owned(), until: None }
}

fn row(rollout: u64, state: State) -> Row {
    let (project, environment, revision) = ("group/shop".into(), "prod".into(), Revision::Label("abc".to_owned()));
    let (git_tag, git_ref, is_tag, tier, url) = (None, None, false, None, None);
    Row { project, environment, rollout: Sequence(rollout), state, revision, git_tag, git_ref, is_tag, tier, url }
}

fn events(events: &[(&str, &str, &str)]) -> Vec<(Scope, Event)> {
    events.iter().map(|(policy, environment, why)| (scope(policy, environment), held(why))).collect()
}

fn no_rows(_: &[Entry]) -> Vec<Row> {
    Vec::new()
}

/// Adds rows without a fact.
async fn tell(journal: &Journal, rows: &[Row]) {
    journal.append(Vec::new(), |_| rows.to_vec(), at(1)).await.expect("append");
}

/// `rollout state` of what a project is still to be told.
async fn to_tell(journal: &Journal, project: &str) -> Vec<String> {
    let pending = journal.pending(project).await.expect("pending");
    pending.iter().map(|it| format!("{} {}", it.row.rollout, it.row.state)).collect()
}

fn reasons(entries: &[Entry]) -> Vec<String> {
    let reason = |entry: &Entry| match &entry.event {
        Event::Held { why, .. } => why.clone(),
        other => format!("{other:?}"),
    };
    entries.iter().map(reason).collect()
}

fn shop() -> Repository {
    Repository::parse("reg.example.com/shop").expect("repository")
}

fn tag(text: &str) -> Tag {
    Tag::parse(text).expect("tag")
}

fn list(names: &[&str]) -> TagList {
    TagList::of(names.iter().copied()).0
}

#[tokio::test]
async fn what_was_appended_is_there_after_an_end_without_a_close() {
    let place = Place::new();
    let journal = place.open().await;
    let id = journal.id().to_owned();
    assert!(id.len() == 12 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
    let now: Timestamp = "2026-01-01T00:00:00.1239Z".parse().expect("time");
    let added = journal.append(events(&[("shop", "prod", "a"), ("*", "*", "b")]), no_rows, now).await.expect("append");
    assert_eq!(added[0].at.to_string(), "2026-01-01T00:00:00.123Z");
    drop(journal);

    let journal = place.open().await;
    assert_eq!(journal.id(), id);
    assert_eq!(journal.entries(&Scope::default(), None, 10).await.expect("read"), added);
    let next = journal.append(events(&[("shop", "dev", "c")]), no_rows, now).await.expect("append");
    assert_eq!(next[0].sequence, Sequence(3));
}

#[tokio::test]
async fn one_process_writes_and_the_second_is_told_who() {
    let place = Place::new();
    let missing = Journal::open_for_reading(&place.address()).await.err().expect("nothing to read");
    assert!(matches!(missing, JournalError::Missing(_)), "{missing}");
    let journal = place.open().await;
    let second = Journal::open(&place.address(), at(0)).await.err().expect("a second writer");
    assert!(matches!(&second, JournalError::Locked { holder, .. } if holder.starts_with("process ")), "{second}");

    journal.append(events(&[("shop", "prod", "a")]), no_rows, at(1)).await.expect("append");
    let reading = Journal::open_for_reading(&place.address()).await.expect("a reader beside");
    assert_eq!(reading.id(), journal.id());
    assert_eq!(reading.entries(&Scope::default(), None, 10).await.expect("read").len(), 1);
    let refused = reading.append(events(&[("shop", "prod", "b")]), no_rows, at(1)).await.expect_err("no writing");
    assert!(matches!(refused, JournalError::ReadingOnly), "{refused}");
    journal.close().await;
    drop(journal);
    place.open().await;
}

#[tokio::test]
async fn a_journal_of_a_newer_version_and_a_file_that_is_none_are_refused() {
    let place = Place::new();
    let journal = place.open().await;
    let mut write = journal.begin().await.expect("begin");
    sqlx::query("UPDATE meta SET schema_version = 99").execute(write.on()).await.expect("update");
    write.commit().await.expect("commit");
    journal.close().await;
    drop(journal);
    for refused in [Journal::open(&place.address(), at(0)).await, Journal::open_for_reading(&place.address()).await] {
        let error = refused.err().expect("newer").to_string();
        assert!(error.contains("written by a newer tagrelay (schema 99; this one knows 1)"), "{error}");
    }
    std::fs::write(place.file("text.db"), "no database, but long enough to be looked at as if it were one".repeat(20))
        .expect("write");
    let address = format!("sqlite://{}", place.file("text.db").display());
    let error = Journal::open(&address, at(0)).await.err().expect("no journal");
    assert!(matches!(error, JournalError::Unreadable { .. }), "{error}");
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_is_not_skipped() {
    let place = Place::new();
    let journal = place.open().await;
    journal.append(events(&[("shop", "prod", "a"), ("shop", "prod", "b")]), no_rows, at(1)).await.expect("append");
    let mut write = journal.begin().await.expect("begin");
    sqlx::query("UPDATE entries SET kind = 'forgotten' WHERE sequence = 2").execute(write.on()).await.expect("update");
    write.commit().await.expect("commit");
    let error = journal.entries(&Scope::default(), None, 10).await.expect_err("entry 2").to_string();
    assert!(error.starts_with("entry 2 (`forgotten`) of the journal cannot be read"), "{error}");
    assert_eq!(journal.entries(&Scope::default(), None, 1).await.expect("entry 1").len(), 1);
}

#[tokio::test]
async fn entries_are_read_by_scope_in_both_directions_in_pages() {
    let place = Place::new();
    let journal = place.open().await;
    let all = [
        ("shop", "dev", "1"),
        ("shop", "prod", "2"),
        ("cart", "prod", "3"),
        ("*", "*", "4"),
        ("*", "prod", "5"),
        ("shop", "*", "6"),
        ("shop", "prod", "7"),
    ];
    journal.append(events(&all), no_rows, at(1)).await.expect("append");
    for (policy, environment, expected) in [
        ("*", "*", "1 2 3 4 5 6 7"),
        ("shop", "prod", "2 4 5 6 7"),
        ("shop", "dev", "1 4 6"),
        ("shop", "*", "1 2 4 5 6 7"),
        ("*", "prod", "2 3 4 5 6 7"),
        ("cart", "dev", "4"),
    ] {
        let scope = scope(policy, environment);
        let mut forward = reasons(&journal.entries(&scope, None, 100).await.expect("entries"));
        assert_eq!(forward.join(" "), expected, "{scope}");
        let backward = reasons(&journal.history(&scope, None, 100).await.expect("history"));
        forward.reverse();
        assert_eq!(backward, forward, "{scope}");
    }
    let prod = scope("shop", "prod");
    let page = journal.entries(&prod, Some(Sequence(2)), 2).await.expect("page");
    assert_eq!(reasons(&page), ["4", "5"]);
    let page = journal.history(&prod, Some(Sequence(6)), 2).await.expect("page");
    assert_eq!(reasons(&page), ["5", "4"]);
}

#[tokio::test]
async fn appends_of_many_tasks_follow_each_other_without_a_gap() {
    const TASKS: u64 = 24;
    let place = Place::new();
    let journal = Arc::new(place.open().await);
    let append = |task: u64| {
        let journal = Arc::clone(&journal);
        async move {
            let why = task.to_string();
            let both = events(&[("shop", "prod", &why), ("shop", "prod", &why)]);
            let added = journal.append(both, no_rows, at(1)).await.expect("append");
            (added[0].sequence.0, added[1].sequence.0)
        }
    };
    let tasks: Vec<_> = (0..TASKS).map(|task| tokio::spawn(append(task))).collect();
    // A task that is stopped anywhere on its way leaves all or nothing, and holds up nobody.
    let stopped: Vec<_> = (TASKS..TASKS + 8).map(|task| tokio::spawn(append(task))).collect();
    for task in stopped {
        tokio::task::yield_now().await;
        task.abort();
    }
    for task in tasks {
        let (first, second) = task.await.expect("task");
        assert_eq!(first + 1, second, "what is added together stands together");
    }
    let entries = journal.entries(&Scope::default(), None, 1000).await.expect("read");
    let sequences: Vec<u64> = entries.iter().map(|entry| entry.sequence.0).collect();
    assert_eq!(sequences, (1..=entries.len() as u64).collect::<Vec<_>>());
    assert!(entries.len() as u64 >= 2 * TASKS && entries.len() % 2 == 0, "{}", entries.len());
}

#[tokio::test]
async fn a_number_is_never_given_out_twice_and_what_is_added_is_whole_or_not_at_all() {
    let place = Place::new();
    let journal = place.open().await;
    journal.append(events(&[("shop", "prod", "a")]), no_rows, at(1)).await.expect("append");
    let mut write = journal.begin().await.expect("begin");
    let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON outbox BEGIN SELECT RAISE(ABORT, 'no room'); END";
    sqlx::query(refuse).execute(write.on()).await.expect("trigger");
    write.commit().await.expect("commit");
    let told = |entries: &[Entry]| vec![row(entries[0].sequence.0, State::Running)];
    let error = journal.append(events(&[("shop", "prod", "b")]), told, at(1)).await.expect_err("refused").to_string();
    assert!(error.contains("no room"), "{error}");
    assert_eq!(reasons(&journal.entries(&Scope::default(), None, 10).await.expect("read")), ["a"]);
    let mut write = journal.begin().await.expect("begin");
    sqlx::query("DELETE FROM entries").execute(write.on()).await.expect("delete");
    write.commit().await.expect("commit");
    let next = journal.append(events(&[("shop", "prod", "c")]), no_rows, at(1)).await.expect("append");
    assert_eq!(next[0].sequence, Sequence(2));
    assert_eq!(journal.append(Vec::new(), no_rows, at(1)).await.expect("nothing"), []);
}

#[tokio::test]
async fn every_commit_is_shown_before_and_after_it_is_on_the_disk() {
    let place = Place::new();
    let seen: Arc<Mutex<Vec<(u64, Phase)>>> = Arc::default();
    let watch: CommitWatch = {
        let seen = Arc::clone(&seen);
        Arc::new(move |number, moment| seen.lock().expect("lock").push((number, moment)))
    };
    let journal = Journal::open_watched(&place.address(), at(0), watch).await.expect("open");
    let told = |entries: &[Entry]| vec![row(entries[0].sequence.0, State::Running)];
    journal.append(events(&[("shop", "prod", "a")]), told, at(1)).await.expect("append");
    journal.sight_list(&shop(), &list(&["a"]), at(1)).await.expect("sight");
    journal.sight_list(&shop(), &list(&["a"]), at(2)).await.expect("nothing new");
    journal.sight(&shop(), &tag("a"), None, at(2)).await.expect("nothing new");
    journal.mark_intended(RowId(1)).await.expect("mark");
    let expected = (1..=4).flat_map(|n| [(n, Phase::Before), (n, Phase::After)]).collect::<Vec<_>>();
    assert_eq!(*seen.lock().expect("lock"), expected, "the tables, the append, the first sight, the mark");
}

#[tokio::test]
async fn a_backup_is_whole_replaces_nothing_and_goes_on_where_it_was_made() {
    let place = Place::new();
    let journal = place.open().await;
    journal.append(events(&[("shop", "prod", "a")]), no_rows, at(1)).await.expect("append");
    let copy = place.file("copy.db");
    journal.backup(&copy).await.expect("backup");
    let error = journal.backup(&copy).await.expect_err("a file is there");
    assert!(matches!(error, JournalError::BackupExists(_)), "{error}");
    journal.append(events(&[("shop", "prod", "lost")]), no_rows, at(2)).await.expect("append");
    let id = journal.id().to_owned();
    journal.close().await;
    drop(journal);

    std::fs::rename(&copy, place.file("journal.db")).expect("restore");
    let journal = place.open().await;
    let ids = journal.ids().await.expect("ids");
    assert!(ids.id != id && ids.may_have_given(&id, Sequence(1)) && !ids.may_have_given(&id, Sequence(2)));
    let next = journal.append(events(&[("shop", "prod", "b")]), no_rows, at(3)).await.expect("append");
    assert_eq!(next[0].sequence, Sequence(2));
    assert_eq!(reasons(&journal.entries(&Scope::default(), None, 10).await.expect("read")), ["a", "b"]);
    assert!(journal.backup(&place.file("no/folder.db")).await.is_err());
}

#[tokio::test]
async fn reports_are_sent_in_order_and_each_state_once() {
    let place = Place::new();
    let journal = place.open().await;
    let told = |entries: &[Entry]| vec![row(entries[1].sequence.0, State::Running), row(1, State::Canceled)];
    journal.append(events(&[("shop", "prod", "a"), ("shop", "prod", "b")]), told, at(1)).await.expect("append");
    tell(&journal, &[row(2, State::Running)]).await;
    tell(&journal, &[row(2, State::Success)]).await;
    assert_eq!(journal.projects_to_tell().await.expect("projects"), ["group/shop"]);
    assert_eq!(to_tell(&journal, "group/shop").await, ["2 running", "1 canceled", "2 success"]);

    let pending = journal.pending("group/shop").await.expect("pending");
    assert_eq!((&pending[0].row, pending[0].status), (&row(2, State::Running), RowStatus::Pending));
    journal.mark_intended(pending[0].id).await.expect("mark");
    journal.retry_later(pending[0].id, at(60), "503").await.expect("retry");
    let first = journal.pending("group/shop").await.expect("pending").remove(0);
    assert_eq!((first.status, first.attempts, first.next_try), (RowStatus::Intended, 1, Some(at(60))));
    assert_eq!(first.reason.as_deref(), Some("503"));

    let last = || journal.last_deployment("group/shop", "prod");
    assert_eq!(last().await.expect("last"), None);
    journal.mark_sent(first.id, Some(41)).await.expect("sent");
    assert_eq!(last().await.expect("last"), Some(41));
    assert_eq!(journal.deployment_of(&row(2, State::Success)).await.expect("of"), Some(41));
    assert_eq!(journal.deployment_of(&row(1, State::Success)).await.expect("of"), None);
    let other = Row { revision: Revision::Label("def".to_owned()), ..row(2, State::Success) };
    assert_eq!(journal.deployment_of(&other).await.expect("of"), None, "another commit is another deployment");

    journal.park(pending[1].id, "404").await.expect("park");
    assert_eq!(to_tell(&journal, "group/shop").await, ["2 success"], "a parked end holds up no other rollout");
    // What was sent or parked stays so.
    journal.park(first.id, "late").await.expect("park");
    journal.mark_sent(pending[1].id, Some(50)).await.expect("sent");
    let parked = journal.reports_of(Sequence(1)).await.expect("rows").remove(0);
    assert_eq!((parked.status, parked.reason.as_deref(), parked.deployment), (RowStatus::Parked, Some("404"), None));
    let sent = journal.reports_of(Sequence(2)).await.expect("rows").remove(0);
    assert_eq!((sent.status, sent.reason, sent.deployment), (RowStatus::Sent, None, Some(41)));
}

#[tokio::test]
async fn a_parked_running_parks_what_is_and_will_be_told_of_its_rollout() {
    let place = Place::new();
    let journal = place.open().await;
    let elsewhere = Row { project: "group/deploys".to_owned(), ..row(1, State::Running) };
    tell(&journal, &[row(1, State::Running), row(1, State::Success), row(2, State::Running), elsewhere]).await;
    let running = journal.pending("group/shop").await.expect("pending").remove(0);
    journal.park(running.id, "the project is gone").await.expect("park");
    tell(&journal, &[row(1, State::Failed), row(2, State::Success)]).await;
    assert_eq!(to_tell(&journal, "group/shop").await, ["2 running", "2 success"]);
    assert_eq!(to_tell(&journal, "group/deploys").await, ["1 running"]);
    let rows = journal.reports_of(Sequence(1)).await.expect("rows");
    let reasons: Vec<_> = rows.iter().map(|it| (it.row.state, it.reason.as_deref().unwrap_or("-"))).collect();
    let with_it = "the `running` report of this rollout was parked";
    let expected = [
        (State::Running, "the project is gone"),
        (State::Success, with_it),
        (State::Running, "-"),
        (State::Failed, with_it),
    ];
    assert_eq!(reasons, expected);
}

#[tokio::test]
async fn facts_of_a_digest_stay_and_what_was_missing_is_added() {
    let place = Place::new();
    let journal = place.open().await;
    let digest = Digest::of(b"a");
    let first = BuildFacts { pushed: Some(at(5)), seen: Some(at(9)), ..BuildFacts::default() };
    let second = BuildFacts { pushed: Some(at(6)), revision: Some("abc".to_owned()), ..BuildFacts::default() };
    for facts in [first, second, BuildFacts::default()] {
        journal.remember_builds(&shop(), &[(digest.clone(), facts.into())]).await.expect("remember");
    }
    let known = journal.build(&shop(), &digest).await.expect("build").expect("known");
    assert_eq!(known, BuildFacts { pushed: Some(at(5)), revision: Some("abc".to_owned()), ..BuildFacts::default() });
    // Nothing more than its being there was to be learned of this one: that is kept too.
    journal.remember_builds(&shop(), &[(Digest::of(b"b"), BuildFacts::default().into())]).await.expect("remember");
    assert_eq!(journal.builds(&shop()).await.expect("builds").len(), 2);
    assert_eq!(journal.build(&shop(), &Digest::of(b"c")).await.expect("build"), None);
}

#[tokio::test]
async fn the_last_search_and_the_last_good_policy_replace_the_ones_before() {
    let place = Place::new();
    let journal = place.open().await;
    let (policy, environment) =
        (PolicyName::parse("shop").expect("policy"), EnvironmentName::parse("prod").expect("environment"));
    let commit = |digit: &str| CommitId::parse(&digit.repeat(40)).expect("commit");
    assert_eq!(journal.searched(&policy, &environment).await.expect("none yet"), None);
    let trailers = Trailers {
        commit: commit("2"),
        journal: "0123456789ab".to_owned(),
        sequence: Sequence(7),
        policy: policy.clone(),
        environment: environment.clone(),
        digests: [(crate::model::ImageName::parse("web").expect("image"), Digest::of(b"a"))].into(),
    };
    for ours in [OurCommit::None, OurCommit::LimitReached, OurCommit::Found(trailers)] {
        let searched = Searched { tip: commit("1"), ours };
        journal.set_searched(&policy, &environment, &searched).await.expect("set");
        assert_eq!(journal.searched(&policy, &environment).await.expect("get"), Some(searched));
    }

    for (text, seconds) in [("one", 1), ("two", 2), ("two", 3)] {
        journal.set_last_good_policy("policies/shop.yaml", "shop", text, at(seconds)).await.expect("set");
    }
    let kept = journal.last_good_policies("policies/shop.yaml").await.expect("get");
    assert_eq!(kept.iter().map(|it| (it.text.as_str(), it.at)).collect::<Vec<_>>(), [("two", at(2))]);
    assert_eq!(journal.last_good_policies("other.yaml").await.expect("get"), []);
}

#[tokio::test]
async fn an_ended_rollout_is_told_with_its_end_in_one_transaction() {
    let place = Place::new();
    let journal = place.open().await;
    let ended = Event::Ended { rollout: Sequence(3), outcome: Outcome::Verified, why: "healthy".to_owned() };
    let told = |_: &[Entry]| vec![row(3, State::Success)];
    journal.append(vec![(scope("shop", "prod"), ended)], told, at(1)).await.expect("append");
    drop(journal);
    let journal = place.open().await;
    assert_eq!(journal.entries(&Scope::default(), None, 10).await.expect("read").len(), 1);
    assert_eq!(journal.pending("group/shop").await.expect("pending").len(), 1);
}

#[tokio::test]
async fn after_a_full_disk_writes_go_on_as_soon_as_there_is_room() {
    let place = Place::new();
    let journal = place.open().await;
    // The limit belongs to the connection, as a full disk does not: so this shows that a failed one is not used again.
    let mut write = journal.begin().await.expect("begin");
    sqlx::raw_sql("PRAGMA max_page_count = 1").execute(write.on()).await.expect("pragma");
    write.commit().await.expect("commit");
    let long = "x".repeat(100_000);
    let refused = journal.append(events(&[("shop", "prod", &long)]), no_rows, at(1)).await.expect_err("full");
    assert!(matches!(refused, JournalError::Full), "{refused}");
    assert!(journal.trouble().is_some());
    let kept = journal.append(events(&[("shop", "prod", &long)]), no_rows, at(1)).await.expect("there is room");
    assert_eq!(kept[0].sequence, Sequence(1));
    assert_eq!(journal.trouble(), None);
    journal.try_write().await.expect("a write that changes nothing");
    assert_eq!(journal.entries(&Scope::default(), None, 9).await.expect("entries").len(), 1);
}

#[tokio::test]
async fn a_transaction_that_is_broken_off_leaves_nothing_and_stops_nobody() {
    let place = Place::new();
    let journal = place.open().await;
    let mut write = journal.begin().await.expect("begin");
    sqlx::query("UPDATE meta SET last_sequence = 99").execute(write.on()).await.expect("update");
    drop(write);
    let kept = journal.append(events(&[("shop", "prod", "a")]), no_rows, at(1)).await.expect("append");
    assert_eq!(kept[0].sequence, Sequence(1));
}

#[tokio::test]
async fn a_journal_that_is_deleted_or_replaced_takes_no_write_until_it_is_back() {
    for file in ["journal.db", "journal.db-wal"] {
        for replaced in [false, true] {
            let place = Place::new();
            let journal = place.open().await;
            journal.append(events(&[("shop", "prod", "a")]), no_rows, at(1)).await.expect("append");
            std::fs::rename(place.file(file), place.file("away")).expect("moved away");
            if replaced {
                std::fs::copy(place.file("away"), place.file(file)).expect("replaced");
            }
            let refused = journal.append(events(&[("shop", "prod", "b")]), no_rows, at(2)).await.expect_err(file);
            assert!(matches!(refused, JournalError::Displaced { .. }), "{refused}");
            assert!(journal.trouble().is_some_and(|why| why.contains(file)), "{:?}", journal.trouble());
            std::fs::rename(place.file("away"), place.file(file)).expect("put back");
            journal.append(events(&[("shop", "prod", "b")]), no_rows, at(2)).await.expect("it is back");
            assert_eq!(journal.trouble(), None);
        }
    }
}

#[tokio::test]
async fn a_row_that_waits_holds_back_its_environment_alone() {
    let place = Place::new();
    let journal = place.open().await;
    let of = |environment: &str, rollout| Row { environment: environment.to_owned(), ..row(rollout, State::Running) };
    tell(&journal, &[of("dev", 1), of("prod", 2), of("dev", 3), of("prod", 4)]).await;
    let next = async |journal: &Journal| {
        let rows = journal.next_rows("group/shop").await.expect("rows");
        rows.into_iter().map(|it| it.row.rollout.0).collect::<Vec<_>>()
    };
    assert_eq!(next(&journal).await, [1, 2]);
    let first = journal.next_rows("group/shop").await.expect("rows").remove(0);
    journal.retry_later(first.id, at(999), "403").await.expect("put off");
    let prod = journal.next_rows("group/shop").await.expect("rows").remove(1);
    journal.mark_sent(prod.id, Some(7)).await.expect("sent");
    assert_eq!(next(&journal).await, [1, 4]);
    assert_eq!(journal.retry_reports().await.expect("retried"), (vec!["group/shop".to_owned()], 1));
    let first = journal.next_rows("group/shop").await.expect("rows").remove(0);
    assert_eq!((first.next_try, first.attempts), (None, 0));
}

#[tokio::test]
async fn what_an_earlier_version_parked_for_a_right_is_taken_up_unless_something_later_was_told() {
    let place = Place::new();
    let journal = place.open().await;
    let of = |environment: &str, rollout, state| Row { environment: environment.to_owned(), ..row(rollout, state) };
    let (running, success) = (State::Running, State::Success);
    tell(&journal, &[of("dev", 1, running), of("dev", 1, success), of("prod", 2, running)]).await;
    tell(&journal, &[of("prod", 3, running), of("qa", 4, running)]).await;
    let rows = journal.pending("group/shop").await.expect("rows");
    let refused = "POST https://gitlab.example.com/x: GitLab answered 403: no; the token's user needs a role";
    journal.park(rows[0].id, refused).await.expect("parked");
    journal.park(rows[2].id, refused).await.expect("parked");
    journal.mark_sent(rows[3].id, Some(9)).await.expect("sent");
    journal.park(rows[4].id, "x: GitLab answered 400: no").await.expect("parked");
    journal.close().await;
    let journal = place.open().await;
    assert_eq!(to_tell(&journal, "group/shop").await, ["1 running", "1 success"]);
}

#[tokio::test]
async fn no_id_is_handed_out_twice_by_a_copy_or_a_restore() {
    let place = Place::new();
    let journal = place.open().await;
    let first = journal.ids().await.expect("ids");
    assert_eq!((first.id.as_str(), first.former.len()), (journal.id(), 0));
    journal.append(events(&[("shop", "prod", "a"), ("shop", "prod", "b")]), no_rows, at(1)).await.expect("append");
    let copy = place.file("copy.db");
    journal.backup(&copy).await.expect("a copy");
    let running = restore(&place.address(), &copy, at(2)).await.expect_err("it is in use");
    assert!(matches!(running, JournalError::Locked { .. }), "{running}");
    journal.append(events(&[("shop", "prod", "c")]), no_rows, at(3)).await.expect("append");
    journal.close().await;
    let restored = restore(&place.address(), &copy, at(4)).await.expect("restored");
    assert!(restored.before.is_some_and(|before| before.exists()) && copy.exists());
    let journal = place.open().await;
    let ids = journal.ids().await.expect("ids");
    assert_eq!(ids.id, restored.id);
    // The copy had an id of its own, which nobody gave a number out under.
    assert_eq!(ids.former.len(), 2);
    assert!(ids.may_have_given(&first.id, Sequence(2)) && !ids.may_have_given(&first.id, Sequence(3)));
    let next = journal.append(events(&[("shop", "prod", "d")]), no_rows, at(5)).await.expect("append");
    assert_eq!(next[0].sequence, Sequence(3));
    let again = journal.take_new_id().await.expect("a new id");
    assert!(again.id != ids.id && again.may_have_given(&ids.id, Sequence(3)));
}

#[tokio::test]
async fn what_is_no_journal_is_not_restored_and_leaves_all_as_it_was() {
    let place = Place::new();
    let journal = place.open().await;
    let id = journal.id().to_owned();
    journal.close().await;
    std::fs::write(place.file("text"), "no journal at all, and long enough to be looked at").expect("written");
    for (file, said) in
        [("text", "cannot be read"), ("none", "there is no journal"), ("journal.db", "the journal itself")]
    {
        let error = restore(&place.address(), &place.file(file), at(1)).await.expect_err(file).to_string();
        assert!(error.contains(said), "{file}: {error}");
    }
    assert_eq!(place.open().await.id(), id);
}
