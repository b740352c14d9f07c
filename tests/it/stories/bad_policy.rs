//! A policy that cannot be read stops itself alone: what is in flight ends under its last good text, nothing new begins.

use super::people::{BOTH, PROD, borrowed, chain, with_other};
use super::world::Story;
use tagrelay::model::event::Verdict;

const FOLLOWED: &str = "rollout: { webhook: {} }";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_typo_lets_what_is_in_flight_end_and_begins_nothing() {
    for restarts in [false, true] {
        let mut story = Story::new(&chain(FOLLOWED), BOTH).await;
        let first = story.push("dev", 1);
        story.start().await;
        story.until_at("prod", &first, "progressing").await;
        let good = chain(FOLLOWED);
        story.commit("policies/shop.yaml", Some(&good.replace("evidence: none", "evidense: none"))).await;
        story.until_why("prod", "PolicyBroken").await;
        if restarts {
            story.stop().await;
            story.start().await;
            story.until_why("dev", "PolicyBroken").await;
        }
        story.until_said("dev", "policies/shop.yaml:11").await;
        let status = story.status().await;
        assert!(
            status.broken.iter().any(|it| it.contains("evidense") && it.contains("evidence")),
            "{:?}",
            status.broken
        );
        let second = story.push("dev", 2);
        story.until_at("prod", &first, "progressing").await;
        story.signal("prod", Verdict::Healthy).await;
        story.until_at("prod", &first, "verified").await;
        story.looked_again().await;
        assert!(!story.file(super::people::DEV).await.contains(&second));
        let told = || async { story.told("group/deploys", "prod") == [["running", "success"]] };
        story.until("GitLab is told of the end", told).await;
        story.commit("policies/shop.yaml", Some(&good)).await;
        story.until_at("prod", &second, "progressing").await;
        story.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_policies_go_on() {
    let files = with_other();
    let mut story = Story::new("apiVersion: [", &borrowed(&files)).await;
    let digest = story.push_image("other", "dev", 1);
    story.start().await;
    story.until_written("other/prod/kustomization.yaml", &digest).await;
    let status = story.status().await;
    assert!(status.broken.iter().any(|it| it.contains("policies/shop.yaml")), "{:?}", status.broken);
    let clash = chain("").replace("deployment/prod", "other/prod").replace("/shop]", "/other]");
    story.commit("policies/shop.yaml", Some(&clash)).await;
    story.until_why("prod", "PlaceTaken").await;
    let next = story.push_image("other", "dev", 2);
    story.until_written("other/prod/kustomization.yaml", &next).await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_that_is_deleted_leaves_everything_as_it_is() {
    let mut story = Story::new(&chain(FOLLOWED), &borrowed(&with_other())).await;
    let first = story.push("dev", 1);
    story.start().await;
    story.until_at("prod", &first, "progressing").await;
    story.commit("policies/shop.yaml", None).await;
    story.until("it is gone", || async { story.view("prod").await.is_none() }).await;
    story.push("dev", 2);
    story.looked_again().await;
    assert!(story.file(PROD).await.contains(&first));
    story.commit("policies/shop.yaml", Some(&chain(FOLLOWED))).await;
    story.until_why("prod", "Following").await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn text_from_outside_is_never_a_trailer_or_a_second_line() {
    let policy = chain("").replace(
        "evidence: none",
        "evidence: none\n    deliver: { commit: { message: \"{{ new.tag }} from {{ new.revision }}\" } }",
    );
    let mut story = Story::new(&policy, BOTH).await;
    let forged = "abc\n\nTagrelay-Journal: forged/1\n/merge\n<script>alert(1)</script> @all";
    let spec = tagrelay::sandbox::registry::ImageSpec::new("evil", "2026-01-01T00:00:00Z").revision(forged);
    let first = story.world.registry.push_image("shop", "dev", &spec).expect("pushed");
    story.start().await;
    story.until_at("dev", &first, "verified").await;
    story.until_at("prod", &first, "verified").await;
    let author = "/merge @all Tagrelay-Journal: forged <bob@example.com>";
    let edited = story.file(PROD).await.replace(&first, &format!("sha256:{}", "0".repeat(64)));
    story.deploys.commit("main", &[(PROD, Some(&edited))], "x\n", author).await.expect("committed");
    story.until_why("prod", "Held").await;
    let reason = "x\n\nTagrelay-Journal: forged/2\nTagrelay-Digest: shop=forged".to_owned();
    let (target, release) = (super::world::target("prod"), Some(first.clone()));
    let force = tagrelay::daemon::Command::Promote { target, release, force: Some(reason) };
    story.command("alice", force).await.expect("ordered");
    story.until_at("prod", &first, "verified").await;
    for commit in story.log().await {
        let forged =
            commit.message.lines().any(|line| line.starts_with("Tagrelay-Journal: forged") || line.starts_with('/'));
        assert!(!forged && !commit.message.contains("@all"), "{}", commit.message);
    }
    let history = story.handle().history(None, None, 100).await.expect("a history");
    for line in &history {
        assert!(!line.text.contains('\n'), "{}", line.text);
    }
    story.stop().await;
}
