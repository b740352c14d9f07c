//! The journal is lost, or restored from an older copy: history and waiting are the price, never a second or wrong change.

use super::people::{BOTH, DEV, PROD, chain};
use super::world::Story;
use std::collections::BTreeSet;
use std::sync::Arc;
use tagrelay::daemon::Clock;
use tagrelay::journal::{Journal, JournalError};

fn journal(story: &Story, name: &str) -> std::path::PathBuf {
    story.home.path().join(name)
}

/// Removes everything that the daemon kept.
fn forget(story: &Story) {
    for file in ["journal.db", "journal.db-wal", "journal.db-shm"] {
        let path = journal(story, file);
        if path.exists() {
            std::fs::remove_file(path).expect("removed");
        }
    }
}

async fn waits_until_resumed(story: &mut Story, second: &str) {
    let (before, told) = (story.n_commits().await, story.told("group/deploys", "prod"));
    story.start().await;
    let third = story.push("dev", 3);
    for environment in ["dev", "prod"] {
        story.until_why(environment, "JournalIsNew").await;
    }
    story.looked_again().await;
    assert_eq!((story.n_commits().await, story.told("group/deploys", "prod")), (before, told));
    story.resume("shop/prod").await;
    story.looked_again().await;
    assert!(story.file(PROD).await.contains(second) && story.file(DEV).await.contains(second));
    story.until_why("dev", "JournalIsNew").await;
    story.resume("*").await;
    story.until_at("prod", &third, "verified").await;
    assert_eq!(story.n_commits().await, before + 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_journal_waits_for_a_person_and_then_adopts() {
    let mut story = Story::new(&chain(""), BOTH).await;
    let first = story.push("dev", 1);
    story.start().await;
    story.until_at("prod", &first, "verified").await;
    let second = story.push("dev", 2);
    story.until_at("prod", &second, "verified").await;
    story.stop().await;
    forget(&story);
    waits_until_resumed(&mut story, &second).await;
    story.stop().await;
    story.start().await;
    story.looked_again().await;
    assert!(!story.why("prod").await.contains(&"JournalIsNew".to_owned()), "{:?}", story.why("prod").await);
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_restored_from_an_older_copy_waits_too() {
    let mut story = Story::new(&chain(""), BOTH).await;
    let first = story.push("dev", 1);
    story.start().await;
    story.until_at("prod", &first, "verified").await;
    let told = || async { story.told("group/deploys", "prod") == [["running", "success"]] };
    story.until("the copy holds no report that waits", told).await;
    story.stop().await;
    std::fs::copy(journal(&story, "journal.db"), journal(&story, "copy.db")).expect("copied");
    story.start().await;
    let second = story.push("dev", 2);
    story.until_at("prod", &second, "verified").await;
    story.stop().await;
    forget(&story);
    std::fs::copy(journal(&story, "copy.db"), journal(&story, "journal.db")).expect("copied");
    waits_until_resumed(&mut story, &second).await;
    story.stop().await;
}

/// The ids and numbers in the trailers of all commits of ours, and the journals that gave them out.
async fn given_out(story: &Story) -> (Vec<String>, BTreeSet<String>) {
    let log = story.log().await;
    let lines = log.iter().flat_map(|commit| commit.message.lines());
    let numbers: Vec<String> =
        lines.filter_map(|line| line.strip_prefix("Tagrelay-Journal: ")).map(str::to_owned).collect();
    let ids = numbers.iter().filter_map(|number| Some(number.split_once('/')?.0.to_owned())).collect();
    (numbers, ids)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_copies_of_one_journal_the_one_that_went_less_far_takes_an_id_of_its_own() {
    let mut story = Story::new(&chain(""), BOTH).await;
    let first = story.push("dev", 1);
    story.start().await;
    story.until_at("prod", &first, "verified").await;
    story.stop().await;
    std::fs::copy(journal(&story, "journal.db"), journal(&story, "copy.db")).expect("copied");
    story.start().await;
    let former = story.status().await.journal;
    let second = story.push("dev", 2);
    story.until_at("prod", &second, "verified").await;
    story.stop().await;
    forget(&story);
    std::fs::rename(journal(&story, "copy.db"), journal(&story, "journal.db")).expect("the copy goes on");

    story.start().await;
    story.until("it has an id of its own", || async { story.status().await.journal != former }).await;
    let own = story.status().await.journal;
    for environment in ["dev", "prod"] {
        story.until_why(environment, "JournalIsNew").await;
    }
    story.resume("*").await;
    let third = story.push("dev", 3);
    story.until_at("prod", &third, "verified").await;
    let (numbers, ids) = given_out(&story).await;
    assert_eq!(numbers.iter().collect::<BTreeSet<_>>().len(), 6, "no number is given out twice: {numbers:?}");
    assert_eq!(ids, BTreeSet::from([former, own.clone()]));
    story.stop().await;
    story.start().await;
    story.looked_again().await;
    assert_eq!(story.status().await.journal, own, "it takes a new one once");
    assert!(story.file(PROD).await.contains(&third));
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_daemon_is_told_who_holds_the_journal() {
    let mut story = Story::new(&chain(""), BOTH).await;
    story.start().await;
    let address = format!("sqlite://{}", journal(&story, "journal.db").display());
    let second = Journal::open(&address, Clock::Shifted(Arc::default()).now()).await;
    let refused = second.err().expect("refused");
    assert!(matches!(refused, JournalError::Locked { .. }));
    assert!(refused.to_string().contains(&format!("process {}", std::process::id())), "{refused}");
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_that_is_deleted_under_the_daemon_stops_everything_until_it_is_back() {
    let mut story = Story::new(&chain(""), BOTH).await;
    let first = story.push("dev", 1);
    story.start().await;
    story.until_at("prod", &first, "verified").await;
    let before = story.n_commits().await;
    let away = journal(&story, "away.db");
    std::fs::rename(journal(&story, "journal.db"), &away).expect("moved away");
    let second = story.push("dev", 2);
    story.until_why("dev", "JournalUnwell").await;
    let named = || async {
        let health = story.handle().health().expect("a loop");
        let is = |line: &String| line.starts_with("journal_takes_no_write");
        health.unready.is_some() && tagrelay::relay::health::lines(&health.troubles).iter().any(is)
    };
    story.until("it is named, and nobody is led here", named).await;
    assert_eq!(story.n_commits().await, before);
    std::fs::rename(&away, journal(&story, "journal.db")).expect("put back");
    story.until_at("prod", &second, "verified").await;
    story.stop().await;
}
