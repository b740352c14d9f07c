//! The best tag alone is looked at, until it may not be taken, or a person means another.

use super::new_tag::KUSTOMIZATION;
use super::world::Story;
use axum::http::Method;
use tagrelay::daemon::Refusal;

const FILE: &str = "deployment/dev/kustomization.yaml";
const POLICY: &str = "apiVersion: tagrelay/v1
name: shop
images: [REGISTRY/shop]
poll: 1s
environments:
  - { name: dev, select: { semver: '1.x' }, pin: tag, write: [{ kustomize: deployment/dev }], on_failure: rollback }
";

/// A world with six versions, of which it runs the fifth and gets the sixth.
async fn world() -> (Story, Vec<String>) {
    let mut story = Story::new(POLICY, &[(FILE, &KUSTOMIZATION.replace("newTag: old", "newTag: 1.4.0"))]).await;
    let digests = (0..6).map(|n| story.push(&format!("1.{n}.0"), n)).collect();
    story.start().await;
    story.until_written(FILE, "newTag: 1.5.0").await;
    (story, digests)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_behind_the_best_costs_no_request() {
    let (mut story, digests) = world().await;
    let looked_at = |n: usize| {
        let faces = &story.world.registry.face;
        let of = |of: &str| faces.count(&Method::GET, of) + faces.count(&Method::HEAD, of);
        of(&format!("manifests/1.{n}.0")) + of(&format!("manifests/{}", digests[n])) > 0
    };
    assert_eq!([0, 1, 2, 3, 4, 5].map(looked_at), [false, false, false, false, true, true]);
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_lets_the_next_one_go_on() {
    let (mut story, digests) = world().await;
    story.until_state("dev", "verified").await;
    story.rollback("dev", Some("1.4.0")).await.expect("rolled back");
    story.until_written(FILE, "newTag: 1.4.0").await;
    story.resume("shop/dev").await;
    story.looked_again().await;
    assert!(story.file(FILE).await.contains("newTag: 1.4.0"), "1.5.0 is refused, and 1.3.0 is older");
    let next = story.push("1.4.1", 7);
    assert!(!digests.contains(&next));
    story.until_written(FILE, "newTag: 1.4.1").await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pin_by_hand_to_what_nobody_looked_at_is_known() {
    let (mut story, digests) = world().await;
    story.until_state("dev", "verified").await;
    story.commit(FILE, Some(&story.file(FILE).await.replace("1.5.0", "1.1.0"))).await;
    story.until_why("dev", "Held").await;
    let current = story.current("dev").await.and_then(|current| current.release).expect("it is known");
    assert_eq!(current.digests[0].1.as_str(), digests[1]);
    // A tag that is not there keeps nobody from seeing that a person moved the pin.
    story.commit(FILE, Some(&story.file(FILE).await.replace("1.1.0", "9.9.9"))).await;
    let moved = || async { story.current("dev").await.is_some_and(|current| current.release.is_none()) };
    story.until("it stands on what nobody knows", moved).await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_may_mean_what_nobody_looked_at() {
    let (mut story, digests) = world().await;
    story.until_state("dev", "verified").await;
    let refused = story.promote("dev", Some("1.2.0")).await;
    assert!(matches!(&refused, Err(Refusal::Unavailable(why)) if why.contains("ask again in a moment")), "{refused:?}");
    let again = || async { story.promote("dev", Some("1.2.0")).await.is_ok() };
    story.until("it was looked at", again).await;
    story.until_written(FILE, "newTag: 1.2.0").await;
    let current = story.current("dev").await.and_then(|current| current.release).expect("it is known");
    assert_eq!(current.digests[0].1.as_str(), digests[2]);
    let unknown = story.force("dev", Some("7.7.7")).await;
    assert!(matches!(unknown, Err(Refusal::NotFound(_))), "{unknown:?}");
    story.stop().await;
}
