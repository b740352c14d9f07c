//! A tag that was pinned by its name alone, and then came to name another build.

use super::world::Story;
use tagrelay::model::event::Verdict;

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
