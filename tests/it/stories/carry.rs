//! To another repository or registry: a release is copied there, and pinned there by its digest.

use super::world::Story;
use reqwest::Method;
use std::time::Duration;
use tagrelay::sandbox::World;
use tagrelay::sandbox::fault::{Fault, Moment, Rule};
use tagrelay::sandbox::registry::{Auth, ImageSpec, refusing};

const POLICY: &str = "
apiVersion: tagrelay/v1
name: shop
images: [REGISTRY/shop]
poll: 1s
environments:
  - name: dev
    select: { semver: '1.x' }
    write: [{ kustomize: deployment/dev }]
    evidence: none
  - name: prod
    promote: { from: dev, to: PROD }
    write: [{ kustomize: deployment/prod }]
    rollout: { webhook: {} }
";
const DEV: &str = "images:\n  - name: REGISTRY/shop\n    newTag: 0.9.0\n";
/// As it was before there was a registry of its own.
const PROD: &str = "images:\n  - name: REGISTRY/shop\n    newTag: 0.9.0\n";

async fn story(policy: &str, to: &str, prod: &str) -> Story {
    let files = [("deployment/dev/kustomization.yaml", DEV), ("deployment/prod/kustomization.yaml", prod)];
    Story::new(&policy.replace("PROD", to), &files).await
}

/// A story whose prod has a registry of its own, where `bot` may push.
async fn with_two_registries() -> (Story, World, String) {
    two_registries("pull: LOGIN, push: LOGIN").await
}

async fn two_registries(logins: &str) -> (Story, World, String) {
    let prod = World::start().await.expect("a world");
    let host = prod.registry.host();
    prod.registry.add_account("bot", "hunter2", true);
    prod.registry.require(Auth::Basic);
    let to = format!("{host}/prod/shop");
    let mut story = story(POLICY, &to, PROD).await;
    let password = story.home.path().join("password");
    std::fs::write(&password, "hunter2").expect("written");
    let login = format!("{{ username: bot, password: {{ file: {} }} }}", password.display());
    let logins = logins.replace("LOGIN", &login);
    let settings = format!("  \"{host}\": {{ plain_http: true, {logins} }}\ngitlab:");
    story.config = story.config.replace("gitlab:", &settings);
    (story, prod, to)
}

const FILE: &str = "deployment/prod/kustomization.yaml";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_is_pinned_in_the_registry_that_it_was_copied_to() {
    let (mut story, prod, to) = with_two_registries().await;
    story.start().await;
    let digest = story.push("1.0.0", 1);
    story.until_written(FILE, &digest).await;
    let text = story.file(FILE).await;
    assert!(text.contains(&format!("newName: {to}")) && text.contains("newTag: 1.0.0"), "{text}");
    assert_eq!(prod.registry.digest_of("prod/shop", "1.0.0"), Some(digest));
    assert!(!story.file("deployment/dev/kustomization.yaml").await.contains("newName"));
    let next = story.push("1.1.0", 2);
    story.until_written(FILE, &next).await;
    assert_eq!(prod.registry.tags("prod/shop"), ["1.0.0", "1.1.0"]);
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signature_that_is_pushed_after_the_image_comes_along() {
    let (mut story, prod, _) = with_two_registries().await;
    story.start().await;
    let digest = story.push("1.0.0", 1);
    story.until_written(FILE, &digest).await;
    let first = story.world.registry.sign("shop", &digest).expect("signed");
    story.wait(Duration::from_secs(61));
    let is_there = |signature: &str| prod.registry.manifests("prod/shop").contains(&signature.to_owned());
    story.until("the signature is there", || async { is_there(&first) }).await;
    story.stop().await;
    // A process that has just begun looks at once.
    let second = story.world.registry.sign("shop", &digest).expect("signed");
    story.start().await;
    story.until("the other one is there", || async { is_there(&second) }).await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_was_stopped_goes_on_after_the_next_start() {
    let (mut story, prod, _) = with_two_registries().await;
    let large = ImageSpec::new("large", "2026-01-01T00:01:00Z").larger_by(9 << 20);
    let slow = Fault::Delay(Moment::Before, Duration::from_secs(600));
    prod.registry.face.faults.add(Rule::every(slow).method(Method::PATCH));
    let digest = story.world.registry.push_image("shop", "1.0.0", &large).expect("pushed");
    story.start().await;
    story.until_why("prod", "Copying").await;
    story.until("a piece is on its way", || async { prod.registry.face.count(&Method::PATCH, "/uploads/") > 0 }).await;
    assert!(story.file("deployment/dev/kustomization.yaml").await.contains("1.0.0"), "the others go on");
    story.stop().await;
    assert!(prod.registry.manifests("prod/shop").is_empty());
    prod.registry.face.faults.clear();
    story.start().await;
    story.until_written(FILE, &digest).await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_refuses_the_copy_is_told_of() {
    let (mut story, prod, _) = with_two_registries().await;
    let refused = refusing(403, "DENIED", "requested access to the resource is denied");
    prod.registry.face.faults.add(Rule::every(refused).method(Method::POST));
    story.start().await;
    let digest = story.push("1.0.0", 1);
    story.until_why("prod", "Blocked").await;
    story.until_said("prod", "check these credentials under `registries`").await;
    assert!(story.file(FILE).await.contains("0.9.0"));
    prod.registry.face.faults.clear();
    story.until_written(FILE, &digest).await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_named_to_read_pushes_nothing() {
    let (mut story, prod, _) = two_registries("pull: LOGIN").await;
    story.config = story.config.replacen("policies: policies/,", "policies: policies/, may: { retag: ['**'] },", 1);
    story.start().await;
    story.push("1.0.0", 1);
    story.until_said("prod", "nobody may push; set `push` for").await;
    assert!(prod.registry.face.requests().iter().all(|asked| asked.method != Method::POST));
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retag_happens_where_the_release_was_copied_to() {
    let policy = POLICY.replace("to: PROD }", "to: PROD, retag: prod }");
    let mut story = story(&policy, "REGISTRY/prod/shop", PROD).await;
    story.start().await;
    let digest = story.push("1.0.0", 1);
    story.until_written(FILE, &digest).await;
    assert_eq!(story.world.registry.digest_of("prod/shop", "prod"), Some(digest));
    assert_eq!(story.world.registry.digest_of("shop", "prod"), None);
    assert!(story.world.registry.face.requests().iter().any(|asked| asked.query.contains("mount=")));
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_images_go_each_to_its_repository() {
    let policy = POLICY
        .replace("[REGISTRY/shop]", "[REGISTRY/shop, REGISTRY/worker]")
        .replace("to: PROD", "to: { shop: REGISTRY/prod/shop, worker: REGISTRY/prod/worker }");
    let both = "images:\n  - name: REGISTRY/shop\n    newTag: 0.9.0\n  - name: REGISTRY/worker\n    newTag: 0.9.0\n";
    let files = [("deployment/dev/kustomization.yaml", both), ("deployment/prod/kustomization.yaml", both)];
    let mut story = Story::new(&policy, &files).await;
    story.start().await;
    let digests = [story.push_image("shop", "1.0.0", 1), story.push_image("worker", "1.0.0", 1)];
    for (name, digest) in ["shop", "worker"].into_iter().zip(digests) {
        story.until_written(FILE, &digest).await;
        assert_eq!(story.world.registry.digest_of(&format!("prod/{name}"), "1.0.0"), Some(digest));
    }
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_brings_back_what_is_there() {
    let (mut story, prod, _) = with_two_registries().await;
    story.start().await;
    let first = story.push("1.0.0", 1);
    story.well("prod", "1.0.0").await;
    story.push("1.1.0", 2);
    story.well("prod", "1.1.0").await;
    story.world.registry.remove("shop", &first);
    story.rollback("prod", None).await.expect("ordered");
    story.until_written(FILE, &first).await;
    assert_eq!(prod.registry.digest_of("prod/shop", "1.0.0"), Some(first));
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repository_that_was_copied_to_is_asked_for_a_tag_during_rollouts_alone() {
    let policy = POLICY.replace("to: PROD }", "to: REGISTRY/prod/shop }\n    pin: tag");
    let mut story = story(&policy, "", PROD).await;
    story.start().await;
    for (tag, n) in [("1.0.0", 1), ("1.1.0", 2)] {
        let asked = || story.world.registry.face.count(&Method::HEAD, "/v2/prod/shop/manifests/");
        story.push(tag, n);
        story.until_written(FILE, &format!("newTag: {tag}")).await;
        let before = asked();
        story.until("the tag that pins it is looked at", || async { asked() > before }).await;
        story.well("prod", tag).await;
        story.looked_again().await;
        let before = asked();
        story.looked_again().await;
        assert_eq!(asked(), before, "after {tag}");
    }
    story.stop().await;
}
