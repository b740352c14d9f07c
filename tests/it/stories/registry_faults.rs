//! Faults of a registry that end: each is said where one looks, nothing wrong is written meanwhile, and the right release
//! arrives by itself afterwards.
//!
//! Those that are about one repository happen side by side in one world; those that are about a host have worlds of
//! their own. What a registry says of a tag that is followed is told in `bad_registry`.

use super::new_tag::KUSTOMIZATION;
use super::people::borrowed;
use super::world::{Story, target};
use axum::http::Method;
use std::time::Duration;
use tagrelay::sandbox::fault::{Fault, Moment, Rule};
use tagrelay::sandbox::registry::refusing;

/// How long a build that could not be read is left alone, and a little more.
const LEFT_ALONE: Duration = Duration::from_secs(31);

/// A policy that takes the newest version of an image.
fn policy(image: &str) -> String {
    format!(
        "apiVersion: tagrelay/v1
name: {image}
images: [REGISTRY/{image}]
poll: 1s
environments:
  - {{ name: dev, select: {{ semver: '1.x' }}, pin: tag@digest, write: [{{ kustomize: deployment/{image} }}] }}
"
    )
}

fn file(image: &str) -> String {
    format!("deployment/{image}/kustomization.yaml")
}

/// A world with the policy of the shop, and such a policy for each of these images besides.
async fn world(images: &[&str]) -> Story {
    let mut files = vec![(file("shop"), KUSTOMIZATION.to_owned())];
    for image in images {
        files.push((format!("policies/{image}.yaml"), policy(image)));
        files.push((file(image), KUSTOMIZATION.replace("shop", image)));
    }
    Story::new(&policy("shop"), &borrowed(&files)).await
}

/// Why a repository could not be read, as the status has it.
async fn error_of(story: &Story, image: &str) -> Option<String> {
    let repositories = story.handle().status().await.expect("a status").repositories;
    repositories.into_iter().find(|view| view.repository.ends_with(&format!("/{image}")))?.error
}

/// Waits until the status of a repository and its environment say these words.
async fn until_said(story: &Story, image: &str, words: &str) {
    let what = format!("{image} says {words}");
    let said = || async {
        let of_repository = error_of(story, image).await.is_some_and(|error| error.contains(words));
        let view = story.view_of(image, "dev").await.expect("dev");
        of_repository && view.why.iter().any(|why| why.to_string().contains(words))
    };
    story.until(&what, said).await;
}

/// An image whose repository has a fault, the paths below that it befalls, and the words that it is told in.
type Case = (&'static str, &'static str, Fault, &'static str);

fn cases(another_host: &str) -> [Case; 10] {
    let manifest = r#"{"schemaVersion":2,"config":{"digest":"sha256:00"}}"#;
    let json = |text: &str| Fault::answer(200).body("application/json", text.to_owned());
    let (list, build, broke_off) = ("tags/list", "manifests/sha256:", "end of file before message length reached");
    let next = |base: &str| Fault::next_page(&format!("{base}/tags/list?last=1.0.0"));
    [
        ("broken", list, Fault::answer(500), "answered 500"),
        ("cut-list", list, Fault::CutBody, broke_off),
        ("circle", list, next("/v2/circle"), "goes round in a circle"),
        ("elsewhere", list, next(&format!("{another_host}/v2/elsewhere")), "its next page is on another host"),
        ("cut-manifest", build, Fault::CutBody, broke_off),
        ("huge", build, json(&" ".repeat(50 << 20)), "the manifest is larger than 4194304 bytes"),
        ("endless", build, Fault::Endless, "the manifest is larger than 4194304 bytes"),
        ("other-bytes", build, json(manifest), "does not have the digest that it was asked by"),
        ("other-config", "blobs/", json("{}"), "the config does not have the digest"),
        ("no-build", "manifests/1.1.0", Fault::lying_digest(), "the registry has no such build"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_befalls_one_repository_is_told_there_and_ends_by_itself() {
    let images = cases("").map(|(image, ..)| image);
    let mut story = world(&images).await;
    for image in images {
        story.push_image(image, "1.0.0", 1);
    }
    story.start().await;
    for image in images {
        story.until_written(&file(image), "newTag: 1.0.0").await;
    }
    let before = story.n_commits().await;
    let cases = cases(&story.world.gitlab.face.url());
    for (image, path, fault, _) in &cases {
        story.world.registry.face.faults.add(Rule::every(fault.clone()).path(&format!("/v2/{image}/{path}")));
    }
    let pushed = images.map(|image| (image, story.push_image(image, "1.1.0", 2)));
    for (image, _, _, words) in &cases {
        until_said(&story, image, words).await;
    }
    assert_eq!(story.n_commits().await, before);
    assert_eq!(story.world.gitlab.face.count(&Method::GET, "/v2/"), 0, "no other host is asked");
    story.world.registry.face.faults.clear();
    story.wait(LEFT_ALONE);
    for (image, digest) in pushed {
        story.until_written(&file(image), &digest).await;
        story.until("it is told no longer", || async { error_of(&story, image).await.is_none() }).await;
    }
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_that_cannot_be_read_keeps_no_other_one_back() {
    let mut story = world(&[]).await;
    story.push("1.0.0", 1);
    let broken = story.push("1.1.0", 2);
    let huge = Fault::answer(200).body("application/json", " ".repeat(50 << 20));
    story.world.registry.face.faults.add(Rule::every(huge).path(&format!("/v2/shop/manifests/{broken}")));
    story.start().await;
    story.until_written(&file("shop"), "newTag: 1.0.0").await;
    until_said(&story, "shop", "the manifest is larger than").await;
    let passed_over = story.handle().explain(target("dev")).await.expect("told").tags;
    let of_it = passed_over.iter().find(|view| view.tag == "1.1.0").expect("its line");
    assert!(of_it.fate.contains("passed over: tag 1.1.0 of `shop` could not be read"), "{of_it:?}");
    story.push("1.2.0", 3);
    story.until_written(&file("shop"), "newTag: 1.2.0").await;
    until_said(&story, "shop", "the manifest is larger than").await;
    story.world.registry.remove("shop", "1.1.0");
    story.until("it is told no longer", || async { error_of(&story, "shop").await.is_none() }).await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_that_is_listed_and_not_there_is_asked_for_again() {
    let mut story = world(&[]).await;
    story.push("1.0.0", 1);
    story.push("1.1.0", 2);
    let gone = refusing(404, "MANIFEST_UNKNOWN", "manifest unknown");
    story.world.registry.face.faults.add(Rule::every(gone).path("/v2/shop/manifests/1.1.0"));
    story.start().await;
    story.until_written(&file("shop"), "newTag: 1.0.0").await;
    until_said(&story, "shop", "no image under tag 1.1.0").await;
    story.world.registry.face.faults.clear();
    story.wait(LEFT_ALONE);
    story.until_written(&file("shop"), "newTag: 1.1.0").await;
    story.until("it is told no longer", || async { error_of(&story, "shop").await.is_none() }).await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_that_changes_between_list_and_head_is_taken_as_it_was_read() {
    let mut story = world(&["gone"]).await;
    story.push("1.0.0", 1);
    let listed = story.push("1.1.0", 2);
    let moved = story.push("next", 3);
    story.push_image("gone", "1.0.0", 1);
    story.push_image("gone", "1.1.0", 2);
    let registry = &story.world.registry;
    for (image, becomes) in [("shop", Some(moved.as_str())), ("gone", None)] {
        let meanwhile = registry.meanwhile_tagged(Moment::After, image, "1.1.0", becomes);
        registry.face.faults.add(Rule::once(meanwhile).path(&format!("/v2/{image}/tags/list")));
    }
    story.start().await;
    story.until_written(&file("shop"), &moved).await;
    story.until_written(&file("gone"), "newTag: 1.0.0").await;
    story.until("nothing is told any more", || async { error_of(&story, "gone").await.is_none() }).await;
    for image in ["shop", "gone"] {
        let log = story.deploys.log("main").await.expect("a log");
        let of_it: Vec<_> =
            log.iter().filter(|it| it.message.contains(&format!("Tagrelay-Policy: {image}\n"))).collect();
        assert_eq!(of_it.len(), 1, "{image}: {of_it:?}");
        assert!(!of_it[0].message.contains(&listed), "{of_it:?}");
    }
    story.stop().await;
}
