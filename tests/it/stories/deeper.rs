//! The best tag alone is looked at, until it may not be taken, or a person means another.

use super::new_tag::KUSTOMIZATION;
use super::world::Story;
use axum::http::Method;
use tagrelay::daemon::Refusal;
use tagrelay::sandbox::fault::{Fault, Rule};

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

/// The same after a rollback to the fifth, which refuses the sixth and holds.
async fn rolled_back() -> (Story, Vec<String>) {
    let (story, digests) = world().await;
    story.until_state("dev", "verified").await;
    story.rollback("dev", Some("1.4.0")).await.expect("rolled back");
    story.until_at("dev", &digests[4], "verified").await;
    (story, digests)
}

/// How often the build under version `1.n.0` was asked for.
fn looked_at(story: &Story, n: usize, digests: &[String]) -> usize {
    let face = &story.world.registry.face;
    let of = |of: &str| face.count(&Method::GET, of) + face.count(&Method::HEAD, of);
    of(&format!("manifests/1.{n}.0")) + digests.get(n).map_or(0, |digest| of(&format!("manifests/{digest}")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_behind_the_best_costs_no_request() {
    let (mut story, digests) = world().await;
    let looked_at = |n| looked_at(&story, n, &digests) > 0;
    assert_eq!([0, 1, 2, 3, 4, 5].map(looked_at), [false, false, false, false, true, true]);
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_lets_the_next_one_go_on() {
    let (mut story, digests) = rolled_back().await;
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
    story.promote("dev", Some("1.2.0")).await.expect("it is looked at");
    story.until_written(FILE, "newTag: 1.2.0").await;
    let current = || async { story.current("dev").await.and_then(|current| current.release) };
    let is = || async { current().await.is_some_and(|release| release.digests[0].1.as_str() == digests[2]) };
    story.until("it is known", is).await;
    let unknown = story.force("dev", Some("7.7.7")).await;
    assert!(matches!(unknown, Err(Refusal::NotFound(_))), "{unknown:?}");
    story.force("dev", Some(&digests[3])).await.expect("a digest is looked for too");
    story.until_written(FILE, "newTag: 1.3.0").await;
    let unknown = story.force("dev", Some(&digests[3].replace(|c: char| c.is_ascii_digit(), "0"))).await;
    assert!(matches!(unknown, Err(Refusal::NotFound(_))), "{unknown:?}");
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_who_does_what_would_be_done_holds_nothing_though_it_is_behind_the_best() {
    let (mut story, _) = rolled_back().await;
    story.resume("shop/dev").await;
    story.stop().await;
    let digest = story.push("1.4.1", 7);
    story.commit(FILE, Some(&story.file(FILE).await.replace("1.4.0", "1.4.1"))).await;
    story.start().await;
    let current = || async { story.current("dev").await.and_then(|current| current.release) };
    let moved = || async { current().await.is_some_and(|release| release.digests[0].1.as_str() == digest) };
    story.until("the move is seen", moved).await;
    let view = story.view("dev").await.expect("dev");
    assert!(view.holds.is_empty() && view.refusals.len() == 1, "{view:?}");
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_behind_the_best_keeps_nothing_back() {
    let (mut story, digests) = rolled_back().await;
    let broken = Rule::every(Fault::answer(500)).path("/v2/shop/manifests/1.2.0");
    story.world.registry.face.faults.add(broken);
    story.resume("shop/dev").await;
    story.push("1.4.1", 7);
    story.until_written(FILE, "newTag: 1.4.1").await;
    assert_eq!(looked_at(&story, 1, &digests), 0, "what is older than what runs is not looked at");
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_looks_at_nothing_behind_the_best() {
    let (mut story, digests) = world().await;
    story.until_state("dev", "verified").await;
    story.hold("shop/dev", None).await;
    // The best first: each is the best as long as no better one was seen.
    for n in (6..10).rev() {
        story.push(&format!("1.{n}.0"), n);
    }
    story.until_why("dev", "Held").await;
    story.looked_again().await;
    let newer: Vec<usize> = [6, 7, 8].map(|n| looked_at(&story, n, &digests)).into();
    assert!(newer.iter().sum::<usize>() + looked_at(&story, 3, &digests) == 0, "{newer:?}");
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_downgrade_that_is_allowed_goes_not_to_and_fro() {
    let policy = POLICY.replace("semver: '1.x' }", "semver: '1.x', allow_downgrade: true }");
    let mut story = Story::new(&policy, &[(FILE, &KUSTOMIZATION.replace("newTag: old", "newTag: 1.1.0"))]).await;
    for n in 0..3 {
        story.push(&format!("1.{n}.0"), n);
    }
    story.start().await;
    story.until_written(FILE, "newTag: 1.2.0").await;
    let unknown = story.force("dev", Some("0123456789abcdef")).await;
    assert!(matches!(unknown, Err(Refusal::NotFound(_))), "all are looked at: {unknown:?}");
    let before = story.n_commits().await;
    story.looked_again().await;
    assert_eq!(story.n_commits().await, before);
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pin_by_hand_to_a_tag_that_was_moved_names_nothing_that_is_known() {
    let (mut story, _) = world().await;
    story.until_state("dev", "verified").await;
    story.promote("dev", Some("1.3.0")).await.expect("it is looked at");
    story.until_written(FILE, "newTag: 1.3.0").await;
    story.force("dev", Some("1.4.0")).await.expect("ordered");
    story.until_written(FILE, "newTag: 1.4.0").await;
    story.stop().await;
    story.push("1.2.0", 20);
    story.start().await;
    story.commit(FILE, Some(&story.file(FILE).await.replace("1.4.0", "1.2.0"))).await;
    story.until_why("dev", "Held").await;
    let moved = || async { story.current("dev").await.is_some_and(|current| current.release.is_none()) };
    story.until("nobody knows which 1.2.0 is meant", moved).await;
    story.stop().await;
}
