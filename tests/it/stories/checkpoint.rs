//! The journal's entries were folded into its checkpoint: nothing that the daemon decides is another thing.

use super::people::{BOTH, PROD, chain};
use super::world::Story;
use tagrelay::daemon::Clock;

/// Folds all entries of the stopped daemon's journal, as if all were older than they are kept.
async fn fold_all(story: &Story) {
    let journal = story.open_journal().await;
    let later = Clock::Shifted(story.shift.clone()).now() + jiff::SignedDuration::from_hours(1);
    while journal.fold_before(later, later).await.expect("folded") > 0 {}
    journal.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn folded_entries_forbid_and_allow_what_they_did() {
    let mut story = Story::new(&chain(""), BOTH).await;
    let first = story.push("dev", 1);
    story.start().await;
    story.until_at("prod", &first, "verified").await;
    let second = story.push("dev", 2);
    story.until_at("prod", &second, "verified").await;
    let third = story.push("dev", 3);
    story.until_at("prod", &third, "verified").await;
    story.rollback("prod", None).await.expect("ordered");
    story.until_at("prod", &second, "verified").await;
    let sent = || async { story.told("group/deploys", "prod") == vec![["running", "success"]; 4] };
    story.until("GitLab is told of all", sent).await;
    story.stop().await;
    fold_all(&story).await;
    let before = story.n_commits().await;

    story.start().await;
    story.looked_again().await;
    assert_eq!(story.n_commits().await, before, "the rollback still holds prod");
    let view = story.view("prod").await.expect("prod");
    assert_eq!((view.holds.len(), view.refusals.len()), (1, 1), "{view:?}");
    let history = story.handle().history(None, None, 50).await.expect("a history");
    let (line, text) = (history.last().expect("a line"), "were folded into a checkpoint");
    assert!(line.kind == "folded" && line.text.contains(text), "{history:?}");
    story.rollback("prod", Some(&first)).await.expect("the release of long ago is known");
    story.until_at("prod", &first, "verified").await;
    assert!(story.file(PROD).await.contains(&first));
    let told = || async { story.told("group/deploys", "prod") == vec![["running", "success"]; 5] };
    story.until("GitLab is told of it", told).await;
    story.stop().await;
}
