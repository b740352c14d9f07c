//! A newer release overtakes an older rollout, unless the policy lets the older one arrive first.

use super::people::{BOTH, PROD, chain};
use super::world::Story;
use std::time::Duration;
use tagrelay::model::event::Verdict;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_older_rollout_ends_canceled() {
    let mut story = Story::new(&chain("rollout: { webhook: {} }"), BOTH).await;
    let first = story.push("dev", 1);
    story.start().await;
    story.until_at("prod", &first, "progressing").await;
    let second = story.push("dev", 2);
    story.until_at("prod", &second, "progressing").await;
    story.signal("prod", Verdict::Healthy).await;
    story
        .until("GitLab is told of both", || async {
            story.told("group/deploys", "prod") == [["running", "canceled"], ["running", "success"]]
        })
        .await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_hold_new_until_verified_a_newer_one_waits() {
    let mut story = Story::new(&chain("rollout: { webhook: {} }\nhold_new_until: verified"), BOTH).await;
    let first = story.push("dev", 1);
    story.start().await;
    story.until_at("prod", &first, "progressing").await;
    let second = story.push("dev", 2);
    story.until_at("dev", &second, "verified").await;
    story.until_why("prod", "RolloutInFlight").await;
    story.looked_again().await;
    assert!(story.file(PROD).await.contains(&first));
    story.signal("prod", Verdict::Healthy).await;
    story.until_at("prod", &second, "progressing").await;
    let told = || async { story.told("group/deploys", "prod").first().is_some_and(|it| it == &["running", "success"]) };
    story.until("GitLab is told that the first ended well", told).await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_hold_new_until_soaked_one_gets_through_where_builds_come_faster_than_they_soak() {
    let policy = chain("gates: { soak: 1h }").replace("evidence: none", "evidence: none\n    hold_new_until: soaked");
    let mut story = Story::new(&policy, BOTH).await;
    let first = story.push("dev", 1);
    story.start().await;
    story.until_at("dev", &first, "verified").await;
    let second = story.push("dev", 2);
    story.until_why("dev", "RolloutInFlight").await;
    story.wait(Duration::from_secs(3601));
    story.until_at("prod", &first, "verified").await;
    story.until_at("dev", &second, "verified").await;
    story.looked_again().await;
    assert!(story.file(PROD).await.contains(&first), "the second soaks now");
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_that_have_not_begun_coalesce() {
    let mut story = Story::new(&chain("gates: { soak: 1h }"), BOTH).await;
    story.start().await;
    story.until_why("dev", "SetIncomplete").await;
    story.hold("shop/dev", None).await;
    let digests: Vec<String> = (1..4).map(|n| story.push("dev", n)).collect();
    story.looked_again().await;
    story.resume("shop/dev").await;
    story.until_at("dev", &digests[2], "verified").await;
    assert_eq!(story.log_of("dev").await.len(), 1);
    story.stop().await;
}
