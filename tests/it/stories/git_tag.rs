//! Builds that name no commit: their tag, or the same with a `v`, is a git tag of the project that they were built from.

use super::new_tag::{KUSTOMIZATION, POLICY};
use super::world::{Story, revision};
use tagrelay::sandbox::registry::ImageSpec;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gitlab_is_told_of_the_commit_that_the_git_tag_names() {
    let policy = POLICY.replace("select: { follow: dev }", "select: { semver: '1.x' }");
    let mut story = Story::new(&policy, &[("deployment/dev/kustomization.yaml", KUSTOMIZATION)]).await;
    story.shop.add_commit(&revision(7), "main");
    story.shop.add_tag("v1.2.0", &revision(7));
    story
        .world
        .registry
        .push_image("shop", "1.2.0", &ImageSpec::new("tagged", "2026-01-01T00:00:00Z"))
        .expect("pushed");
    story.start().await;
    story.well("dev", "1.2.0").await;
    let told = || async { story.told("group/shop", "development") == [["running", "success"]] };
    story.until("GitLab is told", told).await;
    let deployments = story.world.gitlab.deployments("group/shop");
    assert_eq!(deployments.iter().map(|it| it.sha.as_str()).collect::<Vec<_>>(), [revision(7)]);
    story.stop().await;
}
