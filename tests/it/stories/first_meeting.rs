//! What a registry is asked for tags that were never seen, and for those that were.

use super::new_tag::{KUSTOMIZATION, POLICY};
use super::world::Story;
use axum::http::Method;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_costs_two_requests_at_first_and_the_best_alone_one_after_a_restart() {
    let policy = POLICY.replace("follow: dev", "newest: created");
    let kustomization = KUSTOMIZATION.replace("newTag: old", "newTag: v1");
    let mut story = Story::new(&policy, &[("deployment/dev/kustomization.yaml", &kustomization)]).await;
    // Whoever acts looks once more at what it is about to write.
    story.config = format!("mode: observe\n{}", story.config);
    for n in 1..=4 {
        story.push(&format!("v{n}"), n);
    }
    // What is being asked: digests alone, manifests, configs.
    let asked = |story: &Story| {
        let count = |method: Method, path: &str| story.world.registry.face.count(&method, path);
        (count(Method::HEAD, "/manifests/v"), count(Method::GET, "/manifests/"), count(Method::GET, "/blobs/"))
    };
    story.start().await;
    story.until_why("dev", "Observing").await;
    assert_eq!(asked(&story), (0, 4, 4));

    // Another tag of a build that is known.
    let known = story.world.registry.digest_of("shop", "v4").expect("a digest");
    story.world.registry.face.forget();
    story.world.registry.retag("shop", "v5", &known).expect("tagged");
    story.until("it was read", || async { asked(&story) == (0, 1, 0) }).await;
    story.looked_again().await;
    story.stop().await;

    story.world.registry.face.forget();
    story.start().await;
    story.until("the best is asked for its digest", || async { asked(&story).0 == 1 }).await;
    story.until_why("dev", "Observing").await;
    story.looked_again().await;
    assert_eq!(asked(&story), (1, 0, 0), "of the others the journal remembers how old they are");
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollout_has_its_tag_watched_and_no_list_read() {
    let policy = POLICY.replace("follow: dev", "semver: '*'").replace("poll: 1s", "poll: 1h");
    let policy = policy.replace("    rollout:", "    pin: tag\n    rollout:");
    let mut story = Story::new(&policy, &[("deployment/dev/kustomization.yaml", KUSTOMIZATION)]).await;
    story.push("1.0.0", 1);
    story.start().await;
    story.until_state("dev", "progressing").await;
    let count = |method: Method, path: &str| story.world.registry.face.count(&method, path);
    story.until("it is watched", || async { count(Method::HEAD, "/manifests/1.0.0") > 0 }).await;
    story.well("dev", "1.0.0").await;
    story.idle().await;
    assert_eq!(count(Method::GET, "/tags/list"), 1, "at the start");
    story.stop().await;
}
