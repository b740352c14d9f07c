//! Several images that move together.

use super::new_tag::{KUSTOMIZATION, POLICY};
use super::world::Story;
use std::time::Duration;

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_followed_set_is_as_old_as_the_last_move_of_its_tags_wherever_its_pin_begins() {
    let policy = POLICY
        .replace("images: [REGISTRY/shop]", "images: [REGISTRY/shop, REGISTRY/worker]")
        .replace("settle: 0s", "settle: 20s")
        .replace("select: { follow: dev }", "select: { follow: dev, min_age: 30s }");
    // The natural beginning: the file names the moving tag already.
    let both = format!("{KUSTOMIZATION}  - name: REGISTRY/worker\n    newTag: old\n").replace("old", "dev");
    let mut story = Story::new(&policy, &[(FILE, &both)]).await;
    let mut digests = [story.push("dev", 1), story.push_image("worker", "dev", 1)];
    story.start().await;
    for n in 1..=3 {
        story.until_why("dev", "TooYoung").await;
        story.wait(Duration::from_secs(31));
        for digest in &digests {
            story.until_written(FILE, digest).await;
        }
        assert_eq!(story.deploys.log("main").await.expect("a log").len(), 1 + n, "one commit for each set");
        story.until_state("dev", "progressing").await;
        let n = u32::try_from(n).expect("a small number") + 1;
        // The first image moves alone, and has stood still for long when the second one moves.
        digests[0] = story.push("dev", n);
        story.until_why("dev", "TooYoung").await;
        story.wait(Duration::from_secs(31));
        story.until_why("dev", "SetIncomplete").await;
        digests[1] = story.push_image("worker", "dev", n);
    }
    story.stop().await;
}
