//! A new build under a followed tag is found, committed, followed, verified and told to GitLab.

use super::world::Story;
use tagrelay::model::event::Verdict;

pub(super) const POLICY: &str = "
apiVersion: tagrelay/v1
name: shop
images: [REGISTRY/shop]
settle: 0s
poll: 1s
environments:
  - name: dev
    select: { follow: dev }
    write: [{ kustomize: deployment/dev }]
    rollout: { webhook: {} }
    report:
      - gitlab: { project: group/shop, sha: revision, environment: development, tier: development }
      - gitlab: { project: group/deploys, sha: commit }
";

pub(super) const KUSTOMIZATION: &str =
    "# the shop\nimages:\n  - name: shop # ours\n    newName: REGISTRY/shop\n    newTag: old\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_build_reaches_git_and_gitlab() {
    let mut story = Story::new(POLICY, &[("deployment/dev/kustomization.yaml", KUSTOMIZATION)]).await;
    let digest = story.push("dev", 1);
    story.start().await;
    story.until_written("deployment/dev/kustomization.yaml", &digest).await;
    let text = story.file("deployment/dev/kustomization.yaml").await;
    assert!(text.contains("# ours") && text.contains("newTag: dev"), "{text}");
    story.until_state("dev", "progressing").await;
    story.signal("dev", Verdict::Healthy).await;
    story.until_state("dev", "verified").await;
    let told = |project, environment| story.told(project, environment) == [["running", "success"]];
    story
        .until("both projects are told", || async { told("group/shop", "development") && told("group/deploys", "dev") })
        .await;
    story.stop().await;
}
