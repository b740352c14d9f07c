//! A person wins: a revert or an edit of a pin stops the environment; what was wanted anyway, and the first meeting, do not.

use super::people::{BOB, BOTH, DEV, PROD, chain};
use super::world::Story;
use tagrelay::model::event::Verdict;

const FOLLOWED: &str = "rollout: { webhook: {} }";

/// A world whose prod runs the first build, verified, and is getting the second.
async fn second_in_flight() -> (Story, String, String) {
    let mut story = Story::new(&chain(FOLLOWED), BOTH).await;
    let first = story.push("dev", 1);
    story.start().await;
    story.until_at("prod", &first, "progressing").await;
    story.signal("prod", Verdict::Healthy).await;
    story.until_at("prod", &first, "verified").await;
    let second = story.push("dev", 2);
    story.until_at("prod", &second, "progressing").await;
    (story, first, second)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revert_holds_refuses_and_is_followed_and_reported() {
    let (mut story, first, second) = second_in_flight().await;
    let commit = story.current("prod").await.expect("a rollout").commit.expect("a commit");
    let reverted = story.deploys.revert("main", &commit, BOB).await.expect("reverted");
    story.until_at("prod", &first, "progressing").await;
    assert_eq!(story.current("prod").await.expect("a rollout").commit.as_ref(), Some(&reverted));
    let view = story.view("prod").await.expect("prod");
    assert!(view.holds.len() == 1 && view.holds[0].who == "Bob", "{:?}", view.holds);
    assert!(view.refusals.len() == 1 && view.refusals[0].release.digests[0].1.as_str() == second);
    story.signal("prod", Verdict::Healthy).await;
    story.until_at("prod", &first, "verified").await;
    story
        .until("GitLab is told of all three", || async {
            story.told("group/deploys", "prod")
                == [vec!["running", "success"], vec!["running", "canceled"], vec!["running", "success"]]
        })
        .await;
    let third = story.push("dev", 3);
    story.until_at("dev", &third, "verified").await;
    story.looked_again().await;
    assert!(story.file(PROD).await.contains(&first), "it is held");
    story.resume("shop/prod").await;
    story.until_at("prod", &third, "progressing").await;
    assert!(!story.log_of("prod").await[0].contains(&second));
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_reverted_does_not_come_back_by_itself() {
    let (mut story, first, second) = second_in_flight().await;
    let commit = story.current("prod").await.expect("a rollout").commit.expect("a commit");
    story.deploys.revert("main", &commit, BOB).await.expect("reverted");
    story.until_at("prod", &first, "progressing").await;
    story.signal("prod", Verdict::Healthy).await;
    story.resume("shop/prod").await;
    story.looked_again().await;
    assert!(story.file(PROD).await.contains(&first));
    story.stop().await;
    story.start().await;
    story.until_why("prod", "Refused").await;
    story.looked_again().await;
    assert!(story.file(PROD).await.contains(&first));
    story.promote("prod", Some(&second)).await.expect("ordered");
    story.until_at("prod", &second, "progressing").await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_to_what_is_wanted_anyway_holds_nothing() {
    let mut story = Story::new(&chain(FOLLOWED), BOTH).await;
    let first = story.push("dev", 1);
    story.start().await;
    story.until_at("prod", &first, "progressing").await;
    story.stop().await;
    let second = story.push("dev", 2);
    story.commit(DEV, Some(&story.file(DEV).await.replace(&first, &second))).await;
    story.start().await;
    story.until_at("dev", &second, "progressing").await;
    let view = story.view("dev").await.expect("dev");
    assert!(view.holds.is_empty() && view.refusals.is_empty(), "{view:?}");
    story.until_said("dev", "`tagrelay verify` makes it count").await;
    let third = story.push("dev", 3);
    story.until_at("dev", &third, "verified").await;
    story.until_at("prod", &third, "progressing").await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_pin_is_adopted_at_the_first_meeting() {
    let mut story = Story::new(&chain(FOLLOWED), BOTH).await;
    let (first, second) = (story.push("dev", 1), story.push("other", 2));
    for path in [DEV, PROD] {
        let pinned = story.file(path).await.replace("newTag: old", &format!("digest: {second}\n    newTag: other"));
        story.commit(path, Some(&pinned)).await;
    }
    story.start().await;
    story.until_at("prod", &first, "progressing").await;
    for environment in ["dev", "prod"] {
        let view = story.view(environment).await.expect("a view");
        assert!(view.holds.is_empty() && view.refusals.is_empty(), "{view:?}");
    }
    let told = || async { story.told("group/deploys", "prod") == [["running"]] };
    story.until("GitLab is told of the rollout, and not of what was adopted", told).await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_branch_that_was_forced_back_is_a_persons_move() {
    let (mut story, first, second) = second_in_flight().await;
    let before = story.log().await[2].sha.clone();
    story.deploys.reset("main", &before).await.expect("reset");
    story.until_at("prod", &first, "progressing").await;
    let view = story.view("prod").await.expect("prod");
    assert!(view.holds.len() == 1 && view.holds[0].who != "tagrelay", "{:?}", view.holds);
    assert!(view.refusals.iter().any(|refusal| refusal.release.digests[0].1.as_str() == second));
    story.looked_again().await;
    assert!(story.file(PROD).await.contains(&first));
    story.stop().await;
}
