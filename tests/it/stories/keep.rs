//! Tags that keep what runs, and what was verified last, from lifecycle rules.

use super::world::Story;
use reqwest::Method;
use std::time::Duration;
use tagrelay::model::event::Verdict;
use tagrelay::sandbox::fault::{Fault, Moment, Rule};
use tagrelay::sandbox::registry::refusing;

const POLICY: &str = "
apiVersion: tagrelay/v1
name: shop
images: [REGISTRY/shop]
poll: 1s
environments:
  - name: prod
    select: { semver: '1.x' }
    write: [{ kustomize: deployment/prod }]
    rollout: { webhook: {} }
    keep: 1
";
const FILE: (&str, &str) =
    ("deployment/prod/kustomization.yaml", "images:\n  - name: REGISTRY/shop\n    newTag: 0.9.0\n");
const TAGS: &str = "/v2/shop/manifests/tagrelay-";

async fn story() -> Story {
    Story::new(POLICY, &[FILE]).await
}

/// The id of what runs, as its tag ends.
async fn running(story: &Story) -> String {
    let current = story.current("prod").await.expect("a rollout");
    current.release.expect("a release").id.to_string()
}

/// Takes a release through, until it is verified and tagged; its tag.
async fn run(story: &Story, version: &str, n: u32) -> String {
    let digest = story.push(version, n);
    story.well("prod", version).await;
    let tag = format!("tagrelay-prod-{}", running(story).await);
    let named = || async { story.world.registry.digest_of("shop", &tag).as_ref() == Some(&digest) };
    story.until(&format!("{version} is kept"), named).await;
    tag
}

/// The tags of ours, sorted.
fn ours(story: &Story, repository: &str) -> Vec<String> {
    let tags = story.world.registry.tags(repository);
    tags.into_iter().filter(|tag| tag.starts_with("tagrelay-")).collect()
}

fn sorted<const N: usize>(mut tags: [&str; N]) -> [&str; N] {
    tags.sort_unstable();
    tags
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_runs_and_what_was_verified_before_it_are_kept() {
    let mut story = story().await;
    story.start().await;
    let first = run(&story, "1.0.0", 1).await;
    // Tags of another environment, and of an environment that another daemon serves.
    let digest = story.world.registry.digest_of("shop", "1.0.0").expect("pushed");
    let others = [first.replace("prod", "prod-eu"), "tagrelay-prod-0123456789ab".to_owned()];
    for other in &others {
        story.world.registry.retag("shop", other, &digest).expect("tagged");
    }
    let second = run(&story, "1.1.0", 2).await;
    let third = run(&story, "1.2.0", 3).await;
    let expected = sorted([&second, &third, &others[0], &others[1]]);
    story.until("the first is let go", || async { ours(&story, "shop") == expected }).await;
    assert_eq!(story.world.registry.digest_of("shop", "1.0.0"), Some(digest), "its own tag stays");
    story.stop().await;
    story.world.registry.face.forget();
    story.start().await;
    let looks = || async { story.world.registry.face.count(&Method::HEAD, &third) > 0 };
    story.until("it looks at its tags", looks).await;
    story.looked_again().await;
    assert_eq!(ours(&story, "shop"), expected);
    for method in [Method::PUT, Method::DELETE] {
        assert_eq!(story.world.registry.face.count(&method, TAGS), 0, "{method}");
    }
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_on_its_way_is_kept_beside_what_was_verified() {
    let mut story = story().await;
    story.start().await;
    let first = run(&story, "1.0.0", 1).await;
    story.push("1.1.0", 2);
    story.until_state("prod", "progressing").await;
    let second = format!("tagrelay-prod-{}", running(&story).await);
    story.until("both are kept", || async { ours(&story, "shop") == sorted([&first, &second]) }).await;
    story.signal("prod", Verdict::Failed).await;
    story.until_state("prod", "failed").await;
    let third = run(&story, "1.2.0", 3).await;
    story.until("what failed is let go", || async { ours(&story, "shop") == sorted([&first, &third]) }).await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_removes_no_tags_is_asked_once() {
    let mut story = story().await;
    let unsupported = refusing(405, "UNSUPPORTED", "The operation is unsupported.");
    story.world.registry.face.faults.add(Rule::every(unsupported).method(Method::DELETE));
    story.start().await;
    for (version, n) in [("1.0.0", 1), ("1.1.0", 2), ("1.2.0", 3), ("1.3.0", 4)] {
        run(&story, version, n).await;
    }
    let noted = || async {
        let repositories = story.status().await.repositories;
        repositories.iter().filter_map(|it| it.note.as_ref()).any(|note| note.contains("by a lifecycle rule"))
    };
    story.until("it is told", noted).await;
    story.looked_again().await;
    assert_eq!(ours(&story, "shop").len(), 4);
    assert_eq!(story.world.registry.face.count(&Method::DELETE, TAGS), 1);
    assert!(story.why("prod").await.iter().all(|why| why != "Blocked"));
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_that_cannot_be_pushed_is_told_and_holds_up_nothing() {
    let mut story = story().await;
    let denied = refusing(403, "DENIED", "requested access to the resource is denied");
    story.world.registry.face.faults.add(Rule::every(denied).method(Method::PUT).path(TAGS));
    story.start().await;
    story.push("1.0.0", 1);
    story.well("prod", "1.0.0").await;
    story.until_said("prod", "keeping releases by tags failed").await;
    story.push("1.1.0", 2);
    story.well("prod", "1.1.0").await;
    assert!(ours(&story, "shop").is_empty());
    let tried = story.world.registry.face.count(&Method::PUT, TAGS);
    assert!(tried < 20, "it is not tried again and again: {tried}");
    story.world.registry.face.faults.clear();
    story.until("both are kept", || async { ours(&story, "shop").len() == 2 }).await;
    let blocked = || async { story.why("prod").await.iter().all(|why| why != "Blocked") };
    story.until("nothing is said of it any more", blocked).await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_went_before_it_could_be_kept_is_no_failure() {
    let mut story = story().await;
    let unkept = POLICY.replace("keep: 1", "keep: 0");
    story.commit("policies/shop.yaml", Some(&unkept)).await;
    story.start().await;
    let first = story.push("1.0.0", 1);
    story.well("prod", "1.0.0").await;
    story.push("1.1.0", 2);
    story.well("prod", "1.1.0").await;
    assert!(ours(&story, "shop").is_empty());
    story.world.registry.remove("shop", &first);
    story.commit("policies/shop.yaml", Some(POLICY)).await;
    let second = format!("tagrelay-prod-{}", running(&story).await);
    story.until("what runs is kept", || async { ours(&story, "shop") == [second.clone()] }).await;
    story.looked_again().await;
    assert!(story.why("prod").await.iter().all(|why| why != "Blocked"));
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_tagged_in_mode_observe() {
    let mut story = story().await;
    story.start().await;
    run(&story, "1.0.0", 1).await;
    story.stop().await;
    story.config = format!("mode: observe\n{}", story.config);
    for tag in ours(&story, "shop") {
        story.world.registry.remove("shop", &tag);
    }
    story.start().await;
    story.looked_again().await;
    assert!(ours(&story, "shop").is_empty());
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_environment_keeps_in_its_own_repository() {
    let dev = POLICY.replace("prod", "dev").replace("rollout: { webhook: {} }\n    keep: 1", "evidence: none");
    let prod = "  - name: prod\n    promote: { from: dev, to: REGISTRY/prod/shop }\n    write: [{ kustomize: deployment/prod }]\n    rollout: { webhook: {} }\n    keep: 1\n";
    let files = [("deployment/dev/kustomization.yaml", FILE.1), FILE];
    let mut story = Story::new(&(dev + prod), &files).await;
    story.start().await;
    story.push("1.0.0", 1);
    story.well("prod", "1.0.0").await;
    let tag = format!("tagrelay-prod-{}", running(&story).await);
    story.until("it is kept there", || async { ours(&story, "prod/shop") == [tag.clone()] }).await;
    assert!(ours(&story, "shop").is_empty());
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_registry_keeps_nobody_waiting_and_what_was_made_is_not_made_again() {
    let mut story = story().await;
    let slow = Fault::Delay(Moment::After, Duration::from_secs(600));
    story.world.registry.face.faults.add(Rule::every(slow).method(Method::PUT).path(TAGS));
    story.start().await;
    let first = run(&story, "1.0.0", 1).await;
    story.push("1.1.0", 2);
    story.well("prod", "1.1.0").await;
    assert_eq!(ours(&story, "shop"), [first], "nobody knows yet whether the first was made");
    story.stop().await;
    story.world.registry.face.faults.clear();
    story.start().await;
    story.until("both are kept", || async { ours(&story, "shop").len() == 2 }).await;
    assert_eq!(story.world.registry.face.count(&Method::PUT, TAGS), 2);
    story.stop().await;
}
