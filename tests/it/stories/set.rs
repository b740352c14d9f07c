//! Several images that move together.

use super::new_tag::{KUSTOMIZATION, POLICY};
use super::world::Story;

const FILE: &str = "deployment/dev/kustomization.yaml";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_images_move_as_one_set() {
    let policy = POLICY
        .replace("images: [REGISTRY/shop]", "images: [REGISTRY/shop, REGISTRY/worker]")
        .replace("select: { follow: dev }", "select: { semver: '1.x' }");
    let both = format!("{KUSTOMIZATION}  - name: REGISTRY/worker\n    newTag: old\n");
    let mut story = Story::new(&policy, &[(FILE, &both)]).await;
    story.push_image("worker", "latest", 9);
    story.start().await;
    story.push("1.0.0", 1);
    story.until_why("dev", "SetIncomplete").await;
    story.push_image("worker", "1.0.0", 1);
    story
        .until("both are written at once", || async { story.file(FILE).await.matches("newTag: 1.0.0").count() == 2 })
        .await;
    assert_eq!(story.log().await.len(), 2);
    story.stop().await;
}
