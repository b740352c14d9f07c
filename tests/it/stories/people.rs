//! A person wins: reverts, edits, holds, HOLD files, orders, rollbacks.

use super::new_tag::{KUSTOMIZATION, POLICY};
use super::world::{Story, target};
use tagrelay::daemon::{Command, Refusal};
use tagrelay::model::Scope;
use tagrelay::model::event::Verdict;

const FILE: &str = "deployment/dev/kustomization.yaml";

async fn begun() -> Story {
    let mut story = Story::new(POLICY, &[(FILE, KUSTOMIZATION)]).await;
    story.start().await;
    story.until_state("dev", "adopted").await;
    story
}

fn resume() -> Command {
    Command::Resume { scope: Scope::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revert_stays() {
    let mut story = begun().await;
    let first = story.push("dev", 1);
    story.well("dev", "dev").await;
    let second = story.push("dev", 2);
    story.until_written(FILE, &second).await;
    let tip = story.deploys.tip("main").await.expect("readable").expect("a tip");
    story.deploys.revert("main", &tip, "Bob <bob@example.com>").await.expect("reverted");
    story.until_why("dev", "Held").await;
    story.until_runs("dev", &first).await;
    assert_eq!(story.view("dev").await.refusals.len(), 1);
    story
        .until("the overtaken rollout is canceled in GitLab", || async {
            story
                .told("group/shop", "development")
                .iter()
                .any(|history| history.last().is_some_and(|last| last == "canceled"))
        })
        .await;
    story.order(resume()).await.expect("resumed");
    story.a_while().await;
    assert!(story.file(FILE).await.contains(&first), "the refused release does not come back by itself");
    let third = story.push("dev", 3);
    story.until_written(FILE, &third).await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn holds_by_command_and_by_file_stop_changes() {
    let mut story = begun().await;
    let hold = Command::Hold { scope: Scope::default(), reason: "lunch".to_owned(), until: None };
    story.order(hold).await.expect("held");
    let digest = story.push("dev", 1);
    story.until_why("dev", "Held").await;
    let promote = Command::Promote { target: target("dev"), release: None, force: None };
    assert!(matches!(story.order(promote).await, Err(Refusal::Conflict(_))), "an order is refused while held");
    let file = [("policies/HOLD.dev", Some("freeze for the audit\n"))];
    story.deploys.commit("main", &file, "Hold dev", "Eve <eve@example.com>").await.expect("committed");
    story.order(resume()).await.expect("resumed");
    story
        .until("the file holds", || async {
            story
                .view("dev")
                .await
                .why
                .iter()
                .any(|why| why.to_string().contains("held by Eve (file HOLD.dev): freeze for the audit"))
        })
        .await;
    assert!(!story.file(FILE).await.contains(&digest));
    story
        .deploys
        .commit("main", &[("policies/HOLD.dev", None)], "Go on", "Eve <eve@example.com>")
        .await
        .expect("committed");
    story.until_written(FILE, &digest).await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_is_kept_across_a_stop() {
    let mut story = begun().await;
    let first = story.push("dev", 1);
    story.well("dev", "dev").await;
    let second = story.push("dev", 2);
    story.until_runs("dev", &second).await;
    story.signal("dev", Verdict::Healthy).await;
    story.until_state("dev", "verified").await;
    let back = Command::Rollback { target: target("dev"), release: None, reason: "errors".to_owned() };
    let said = story.order(back).await.expect("ordered");
    assert!(said.contains("goes back"), "{said}");
    story.stop().await;
    story.start().await;
    story.until_written(FILE, &first).await;
    story.until_why("dev", "Held").await;
    story.order(resume()).await.expect("resumed");
    story.a_while().await;
    assert!(story.file(FILE).await.contains(&first), "what was left is refused");
    let gone =
        Command::Rollback { target: target("dev"), release: Some("nothing-like-it".to_owned()), reason: String::new() };
    assert!(matches!(story.order(gone).await, Err(Refusal::NotFound(_))));
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_journal_waits_for_a_person() {
    let mut story = begun().await;
    let first = story.push("dev", 1);
    story.well("dev", "dev").await;
    story.stop().await;
    for file in ["journal.db", "journal.db-wal", "journal.db-shm"] {
        std::fs::remove_file(story.home.path().join(file)).ok();
    }
    let second = story.push("dev", 2);
    story.start().await;
    story.until_why("dev", "JournalIsNew").await;
    story.a_while().await;
    assert!(story.file(FILE).await.contains(&first), "nothing is written before a person looked");
    story.order(resume()).await.expect("resumed");
    story.until_written(FILE, &second).await;
    story.stop().await;
}
