//! From one environment to the next: by retag, by a stranger's retag, by commit, with approval, soak and window.

use super::world::{Story, target};
use std::time::Duration;
use tagrelay::daemon::{Command, Refusal};
use tagrelay::model::policy::Ballot;

const POLICY: &str = "
apiVersion: tagrelay/v1
name: shop
images: [REGISTRY/shop]
poll: 1s
environments:
  - name: dev
    select: { semver: '1.x' }
    write: [{ kustomize: deployment/dev }]
    rollout: { webhook: {} }
  - name: staging
    promote: { from: dev, retag: staging }
    write: [{ helm: values-staging.yaml, keys: { tag: image.tag, digest: image.digest } }]
    rollout: { webhook: {} }
  - name: prod
    promote: { from: staging }
    write: [{ yaml: apps/prod.yaml, path: 'spec.containers[name=web].image' }]
    rollout: { webhook: {} }
    gates: { soak: 1h, approvals: { required: 1, approvers: [alice, bob], exclude: [bob] } }
";
const KUSTOMIZATION: &str = "images:\n  - name: REGISTRY/shop\n    newTag: 0.9.0\n";
const VALUES: &str = "image:\n  tag: 0.9.0 # ours\n  digest: \"\"\n";
const POD: &str =
    "spec:\n  containers:\n    - name: log\n      image: fluent:1\n    - name: web\n      image: REGISTRY/shop:0.9.0\n";

async fn begun() -> Story {
    begun_with(POLICY).await
}

async fn begun_with(policy: &str) -> Story {
    let files = [
        ("deployment/dev/kustomization.yaml", KUSTOMIZATION),
        ("values-staging.yaml", VALUES),
        ("apps/prod.yaml", POD),
    ];
    let mut story = Story::new(policy, &files).await;
    story.start().await;
    story
}

fn approve(release: Option<&str>) -> Command {
    Command::Approve {
        target: target("prod"),
        release: release.map(str::to_owned),
        reason: String::new(),
        by: Ballot::Cli,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_digest_travels_through_all_gates() {
    let mut story = begun().await;
    let digest = story.push("1.0.0", 1);
    story.well("dev", "1.0.0").await;
    story.until_written("values-staging.yaml", &digest).await;
    assert_eq!(story.world.registry.digest_of("shop", "staging"), Some(digest.clone()));
    assert!(
        story.file("values-staging.yaml").await.contains("tag: 1.0.0 # ours"),
        "{}",
        story.file("values-staging.yaml").await
    );
    story.well("staging", "1.0.0").await;
    story.until_why("prod", "StillSoaking").await;
    story.until_why("prod", "ApprovalsMissing").await;
    let voted = story.handle().command(approve(None), "bob").await;
    voted.expect("a vote is kept, and counts or not");
    story.wait(Duration::from_secs(3700));
    story.looked_again().await;
    assert_eq!(story.why("prod").await, ["ApprovalsMissing"], "bob is excluded");
    story.command("alice", approve(None)).await.expect("approved");
    story.until_written("apps/prod.yaml", &format!("shop:1.0.0@{digest}")).await;
    assert!(story.file("apps/prod.yaml").await.contains("fluent:1"));
    story.until_at("prod", &digest, "progressing").await;
    assert!(matches!(story.command("alice", approve(None)).await, Err(Refusal::NotFound(_))), "nothing waits any more");
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strangers_retag_waits_for_the_same_gates() {
    let mut story = begun().await;
    story.until_state("staging", "adopted").await;
    let digest = story.push("experiment", 7);
    story.world.registry.retag("shop", "staging", &digest).expect("retagged");
    story.until_why("staging", "NotVerified").await;
    assert!(story.file("values-staging.yaml").await.contains("0.9.0"));
    // The next release whose gates are open takes the tag.
    let verified = story.push("1.0.0", 1);
    story.well("dev", "1.0.0").await;
    story.until_written("values-staging.yaml", &verified).await;
    story.well("staging", "1.0.0").await;
    let second = story.push("1.0.1", 2);
    story.well("dev", "1.0.1").await;
    story.until_at("staging", &second, "progressing").await;
    story.well("staging", "1.0.1").await;
    // Moved back to what ran there before: no request, a hold.
    story.world.registry.retag("shop", "staging", &verified).expect("retagged");
    story.until_why("staging", "Held").await;
    assert!(story.file("values-staging.yaml").await.contains(&second));
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_release_overtakes_and_what_is_passed_over_stays_behind() {
    let at_once = POLICY.replacen("rollout: { webhook: {} }", "rollout: { webhook: {} }\n    hold_new_until: none", 1);
    let mut story = begun_with(&at_once).await;
    story.push("1.0.0", 1);
    story.until_state("dev", "progressing").await;
    let newer = story.push("1.1.0", 2);
    story.until_at("dev", &newer, "progressing").await;
    story.well("dev", "1.1.0").await;
    story.well("staging", "1.1.0").await;
    let puts = story.world.effects.seen().into_iter().filter(|e| e.path.ends_with("/manifests/staging")).count();
    assert_eq!(puts, 1, "the release that was overtaken never came to staging");
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_others_wait_for_is_verified_before_a_newer_one_comes() {
    let mut story = begun().await;
    story.push("1.0.0", 1);
    story.until_state("dev", "progressing").await;
    let newer = story.push("1.1.0", 2);
    story.until_why("dev", "RolloutInFlight").await;
    story.well("dev", "1.0.0").await;
    story.well("staging", "1.0.0").await;
    story.until_at("dev", &newer, "progressing").await;
    story.stop().await;
}
