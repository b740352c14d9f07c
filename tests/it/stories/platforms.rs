//! A build must hold the platforms that its policy asks for: what lacks one is passed over, and `explain` says so.

use super::people::{BOTH, chain};
use super::world::{Story, target};
use tagrelay::sandbox::registry::ImageSpec;

const ASKED: &str = "images: [{ repository: REGISTRY/shop, platforms: [linux/amd64, linux/arm64/v8] }]";

/// What a build is made of: one platform, or an index of several.
fn spec(n: u32, platforms: &[&str]) -> ImageSpec {
    ImageSpec::new(&format!("shop {n}"), "2026-01-01T00:00:00Z").platforms(platforms)
}

/// What `explain` says of a tag.
async fn fate(story: &Story, tag: &str) -> Option<String> {
    let tags = story.handle().explain(target("dev")).await.expect("told").tags;
    Some(tags.into_iter().find(|view| view.tag == tag)?.fate)
}

async fn until_fate(story: &Story, tag: &str, words: &str) {
    let told = || async { fate(story, tag).await.as_deref() == Some(words) };
    story.until(&format!("{tag} is {words}"), told).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_that_lacks_one_is_passed_over_until_one_has_them_all() {
    let policy = chain("").replace("images: [REGISTRY/shop]", ASKED).replace("follow: dev", "semver: '1.x'");
    let mut story = Story::new(&policy, BOTH).await;
    let registry = &story.world.registry;
    let both = ["linux/amd64", "linux/arm64"];
    let first = registry.push_image("shop", "1.0.0", &spec(1, &both)).expect("pushed");
    story.start().await;
    story.until_at("prod", &first, "verified").await;
    let registry = &story.world.registry;
    registry.push_image("shop", "1.1.0", &spec(2, &["linux/amd64", "unknown/unknown"])).expect("pushed");
    registry.push_image("shop", "1.2.0", &ImageSpec::new("shop 3", "2026-01-01T00:00:00Z")).expect("pushed");
    registry.push_image("shop", "1.3.0", &spec(4, &["linux/amd64", "linux/arm/v7"]).unnamed()).expect("pushed");
    for tag in ["1.1.0", "1.2.0", "1.3.0"] {
        until_fate(&story, tag, "passed over: the build of `shop` lacks linux/arm64/v8").await;
    }
    until_fate(&story, "1.0.0", "chosen").await;
    assert_eq!(story.n_commits().await, 2);
    let all = ["linux/s390x", "linux/arm64/v8", "linux/amd64"];
    let last = story.world.registry.push_image("shop", "1.4.0", &spec(5, &all).unnamed()).expect("pushed");
    story.until_at("prod", &last, "verified").await;
    assert_eq!(story.n_commits().await, 4);
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_followed_tag_is_taken_when_it_has_them_all() {
    let mut story = Story::new(&chain("").replace("images: [REGISTRY/shop]", ASKED), BOTH).await;
    story.world.registry.push_image("shop", "dev", &spec(1, &["linux/amd64"])).expect("pushed");
    story.start().await;
    story.until_said("dev", "the build of `shop` lacks linux/arm64/v8").await;
    story.looked_again().await;
    assert_eq!(story.n_commits().await, 0);
    let whole = spec(2, &["linux/amd64", "linux/arm64/v8"]);
    let digest = story.world.registry.push_image("shop", "dev", &whole).expect("pushed");
    story.until_at("prod", &digest, "verified").await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_for_one_platform_is_judged_by_its_config() {
    let policy = chain("")
        .replace("[REGISTRY/shop]", "[{ repository: REGISTRY/shop, platforms: [linux/amd64] }]")
        .replace("follow: dev", "semver: '1.x'");
    let mut story = Story::new(&policy, BOTH).await;
    let digest = story.push("1.0.0", 1);
    story.world.registry.push_image("shop", "1.1.0", &spec(2, &["linux/arm64"])).expect("pushed");
    story.start().await;
    story.until_at("prod", &digest, "verified").await;
    until_fate(&story, "1.1.0", "passed over: the build of `shop` lacks linux/amd64").await;
    story.stop().await;
}
