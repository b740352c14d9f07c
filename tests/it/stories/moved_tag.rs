//! A tag that was pinned by its name alone, and then came to name another build.

use super::world::Story;
use std::sync::Arc;
use tagrelay::model::event::Verdict;
use tagrelay::sandbox::fault::{Fault, Moment, Rule};
use tokio::sync::Notify;

const FILES: [(&str, &str); 2] = [
    ("deployment/dev/kustomization.yaml", "images:\n  - name: REGISTRY/shop\n    newTag: 0.9.0\n"),
    ("deployment/prod/kustomization.yaml", "images:\n  - name: REGISTRY/shop\n    newTag: 0.9.0\n"),
];
const POLICY: &str = "
apiVersion: tagrelay/v1
name: shop
images: [REGISTRY/shop]
poll: 1s
environments:
  - name: dev
    select: { semver: '1.x' }
    pin: tag
    write: [{ kustomize: 'deployment/{{ environment }}' }]
    rollout: { webhook: {} }
  - name: prod
    promote: { from: dev }
    write: [{ kustomize: 'deployment/{{ environment }}' }]
    rollout: { webhook: {} }
    gates: { approvals: { required: 1, approvers: [alice] } }
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_not_verified_while_it_names_another_build() {
    let mut story = Story::new(POLICY, &FILES).await;
    story.start().await;
    let first = story.push("1.0.0", 1);
    story.until_at("dev", &first, "progressing").await;
    story.push("1.0.0", 2);
    story.looked_again().await;
    story.signal("dev", Verdict::Healthy).await;
    story.until_why("dev", "TagMoved").await;
    story.looked_again().await;
    assert_eq!(story.current("dev").await.expect("a rollout").state, "progressing");
    let third = story.push("1.0.1", 3);
    story.until_at("dev", &third, "progressing").await;
    story.signal("dev", Verdict::Healthy).await;
    story.until_at("dev", &third, "verified").await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_not_promoted_after_it_was_verified() {
    let mut story = Story::new(POLICY, &FILES).await;
    story.start().await;
    let first = story.push("1.0.0", 1);
    story.until_at("dev", &first, "progressing").await;
    story.signal("dev", Verdict::Healthy).await;
    story.until_why("prod", "ApprovalsMissing").await;
    story.push("1.0.0", 2);
    story.approve("alice", "prod").await.expect("approved");
    story.until_why("prod", "TagMoved").await;
    assert!(story.file(FILES[1].0).await.contains("0.9.0"));
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reading_that_our_own_retag_overtook_is_nobodys_hand() {
    let policy = POLICY.replace("{ from: dev }", "{ from: dev, retag: prod }").replace("    pin: tag\n", "");
    let (before, after) = policy.split_once("  - name: prod").expect("prod");
    let policy = format!(
        "{before}  - name: prod{}",
        after.replace("    write: [{ kustomize: 'deployment/{{ environment }}' }]\n", "")
    );
    let mut story = Story::new(&policy, &FILES).await;
    story.start().await;
    let mut digest = String::new();
    let meeting = Arc::new((Notify::new(), Notify::new()));
    for n in 1..=2 {
        digest = story.push(&format!("1.0.{n}"), n);
        story.well("dev", &format!("1.0.{n}")).await;
        story.until_why("prod", "ApprovalsMissing").await;
        if n == 2 {
            let there = meeting.clone();
            let late = Fault::meanwhile(Moment::After, move || {
                let there = there.clone();
                async move {
                    there.0.notify_one();
                    there.1.notified().await;
                }
            });
            let look = Rule::once(late).method(axum::http::Method::HEAD).path("/v2/shop/manifests/prod");
            story.world.registry.face.faults.add(look);
            meeting.0.notified().await;
        }
        story.approve("alice", "prod").await.expect("approved");
        story.until_at("prod", &digest, "progressing").await;
    }
    meeting.1.notify_one();
    story.looked_again().await;
    let why = story.why("prod").await;
    assert!(!why.contains(&"Held".to_owned()), "{why:?}");
    story.until_at("prod", &digest, "progressing").await;
    story.stop().await;
}
