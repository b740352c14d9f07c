//! Faults of a registry that end: each is said where one looks, nothing wrong is written meanwhile, and the right release
//! arrives by itself afterwards.
//!
//! Those that are about one repository happen side by side in one world; those that are about a host have worlds of
//! their own. What a registry says of a tag that is followed is told in `bad_registry`.

use super::new_tag::KUSTOMIZATION;
use super::people::borrowed;
use super::world::{Story, target};
use axum::http::Method;
use futures_util::future::join_all;
use std::path::PathBuf;
use std::time::Duration;
use tagrelay::sandbox::fault::{Fault, Moment, Rule};
use tagrelay::sandbox::registry::{Auth, Bearer, refusing};

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
    let repositories = story.status().await.repositories;
    repositories.into_iter().find(|view| view.repository.ends_with(&format!("/{image}")))?.error
}

/// Waits until the status of a repository and its environment say these words.
async fn until_said(story: &Story, image: &str, words: &str) {
    let what = format!("{image} says {words}");
    let said = || async {
        let of_repository = error_of(story, image).await.is_some_and(|error| error.contains(words));
        let why = story.view_of(image, "dev").await.map(|view| view.why).unwrap_or_default();
        of_repository && why.iter().any(|why| why.to_string().contains(words))
    };
    story.until(&what, said).await;
}

/// An image whose repository has a fault, the paths below that it befalls, and the words that it is told in.
type Case = (&'static str, &'static str, Fault, &'static str);

fn cases(another_host: &str) -> [Case; 10] {
    let manifest = r#"{"schemaVersion":2,"config":{"digest":"sha256:00"}}"#;
    let json = |text: &str| Fault::answer(200).body("application/json", text.to_owned());
    let (list, build, broke_off) = ("tags/list", "manifests/1.1.0", "end of file before message length reached");
    let other = json(manifest).with("docker-content-digest", &format!("sha256:{}", "1".repeat(64)));
    let next = |base: &str| Fault::next_page(&format!("{base}/tags/list?last=1.0.0"));
    [
        ("broken", list, Fault::answer(500), "answered 500"),
        ("cut-list", list, Fault::CutBody, broke_off),
        ("circle", list, next("/v2/circle"), "goes round in a circle"),
        ("elsewhere", list, next(&format!("{another_host}/v2/elsewhere")), "its next page is on another host"),
        ("cut-manifest", build, Fault::CutBody, broke_off),
        ("huge", build, json(&" ".repeat(50 << 20)), "the manifest is larger than 4194304 bytes"),
        ("endless", build, Fault::Endless, "the manifest is larger than 4194304 bytes"),
        ("other-bytes", build, other, "does not have the digest that it came with"),
        ("other-config", "blobs/", json("{}"), "the config does not have the digest"),
        ("other-digest", build, Fault::lying_digest(), "does not have the digest that it came with"),
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
    story.push("1.1.0", 2);
    let huge = Fault::answer(200).body("application/json", " ".repeat(50 << 20));
    story.world.registry.face.faults.add(Rule::every(huge).path("/v2/shop/manifests/1.1.0"));
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
async fn nothing_is_newer_than_a_build_that_runs_and_cannot_be_read() {
    let pinned = KUSTOMIZATION.replace("newTag: old", "newTag: 1.1.0");
    let policy = policy("shop").replace("semver: '1.x'", "newest: created").replace("pin: tag@digest", "pin: tag");
    let mut story = Story::new(&policy, &[(&file("shop"), &pinned)]).await;
    story.push("1.0.0", 1);
    story.push("1.1.0", 2);
    story.world.registry.face.faults.add(Rule::every(Fault::lying_digest()).path("/v2/shop/manifests/1.1.0"));
    story.start().await;
    until_said(&story, "shop", "does not have the digest that it came with").await;
    story.looked_again().await;
    assert_eq!(story.n_commits().await, 0, "{}", story.file(&file("shop")).await);
    story.world.registry.face.faults.clear();
    story.wait(LEFT_ALONE);
    story.push("1.2.0", 3);
    story.until_written(&file("shop"), "newTag: 1.2.0").await;
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
        let log = story.log().await;
        let of_it: Vec<_> =
            log.iter().filter(|it| it.message.contains(&format!("Tagrelay-Policy: {image}\n"))).collect();
        assert_eq!(of_it.len(), 1, "{image}: {of_it:?}");
        assert!(!of_it[0].message.contains(&listed), "{of_it:?}");
    }
    story.stop().await;
}

/// The settings of the world's registry become these.
fn set_registry(story: &mut Story, settings: &str) {
    let host = story.world.registry.host();
    let before = format!("\"{host}\": {{ plain_http: true");
    assert!(story.config.contains(&before));
    story.config = story.config.replace(&before, &format!("{before}, {settings}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_befalls_the_host_is_told_and_ends_by_itself() {
    // An hour by our clock, which is not this registry's.
    let soon = refusing(429, "TOOMANYREQUESTS", "slow down")
        .with("date", "Tue, 01 Jan 2030 00:00:00 GMT")
        .with("retry-after", "Tue, 01 Jan 2030 00:00:02 GMT");
    let cases = [
        (refusing(429, "TOOMANYREQUESTS", "slow down"), "429 (TOOMANYREQUESTS: slow down)"),
        (soon, "the host is left alone for 2 s"),
        (Fault::answer(503), "answered 503"),
        (Fault::answer(502), "answered 502"),
        (Fault::Drop(Moment::After), "is the address right, and is the network there"),
    ];
    let told = cases.map(|(fault, words)| async move {
        let mut story = world(&[]).await;
        story.push("1.0.0", 1);
        story.start().await;
        story.until_written(&file("shop"), "newTag: 1.0.0").await;
        story.world.registry.face.faults.add(Rule::every(fault.clone()));
        let digest = story.push("1.1.0", 2);
        until_said(&story, "shop", words).await;
        assert_eq!(story.n_commits().await, 1, "{fault:?}");
        story.world.registry.face.faults.clear();
        story.until_written(&file("shop"), &digest).await;
        story.until("it is told no longer", || async { error_of(&story, "shop").await.is_none() }).await;
        story.stop().await;
    });
    join_all(told).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stall_ends_with_the_time_limit() {
    let mut story = world(&[]).await;
    set_registry(&mut story, "timeout: 500ms");
    story.push("1.0.0", 1);
    story.start().await;
    story.until_written(&file("shop"), "newTag: 1.0.0").await;
    let stall = Fault::Delay(Moment::After, Duration::from_secs(600));
    story.world.registry.face.faults.add(Rule::every(stall));
    let digest = story.push("1.1.0", 2);
    until_said(&story, "shop", "no whole answer within the time limit").await;
    story.world.registry.face.faults.clear();
    story.until_written(&file("shop"), &digest).await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repositories_that_stall_keep_no_other_one_of_their_host_waiting() {
    let stalled = ["shop", "stalled-1", "stalled-2", "stalled-3"];
    let mut story = world(&["stalled-1", "stalled-2", "stalled-3", "other"]).await;
    for image in stalled {
        let stall = Fault::Delay(Moment::Before, Duration::from_secs(600));
        story.world.registry.face.faults.add(Rule::every(stall).path(&format!("/v2/{image}/")));
    }
    let digest = story.push_image("other", "1.0.0", 1);
    story.start().await;
    let registry = &story.world.registry;
    let asked = |image: &str| registry.face.count(&Method::GET, &format!("/v2/{image}/")) > 0;
    story.until("all of them stall", || async { stalled.iter().all(|image| asked(image)) }).await;
    story.until_written(&file("other"), &digest).await;
    story.stop().await;
}

/// A world whose registry asks who comes, and takes the password in this file.
async fn guarded(auth: Auth) -> (Story, PathBuf) {
    let mut story = world(&[]).await;
    story.world.registry.require(auth);
    story.world.registry.add_account("bot", "hunter2", false);
    let password = story.home.path().join("password");
    std::fs::write(&password, "hunter2").expect("written");
    set_registry(&mut story, &format!("pull: {{ username: bot, password: {{ file: {} }} }}", password.display()));
    (story, password)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_ends_between_two_pages_is_renewed() {
    let (mut story, _) = guarded(Auth::Bearer(Bearer::default())).await;
    let registry = &story.world.registry;
    registry.cap_pages(Some(2));
    for n in 0..7 {
        story.push(&format!("1.{n}.0"), n);
    }
    registry.face.faults.add(Rule::every(registry.meanwhile_expired(Moment::After)).path("/v2/shop/tags/list"));
    story.start().await;
    story.until_written(&file("shop"), "newTag: 1.6.0").await;
    assert!(story.world.registry.token_requests() >= 4, "{}", story.world.registry.token_requests());
    assert_eq!(story.n_commits().await, 1);
    assert_eq!(error_of(&story, "shop").await, None);
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_that_was_changed_is_told_until_the_new_one_is_there() {
    let told = [Auth::Basic, Auth::Bearer(Bearer::default())].map(|auth| async move {
        let (mut story, password) = guarded(auth).await;
        story.push("1.0.0", 1);
        story.start().await;
        story.until_written(&file("shop"), "newTag: 1.0.0").await;
        story.world.registry.add_account("bot", "hunter3", false);
        story.world.registry.expire_tokens();
        let digest = story.push("1.1.0", 2);
        until_said(&story, "shop", "to `bot`; check these credentials under `registries`").await;
        assert_eq!(story.n_commits().await, 1);
        std::fs::write(&password, "hunter3").expect("written");
        story.until_written(&file("shop"), &digest).await;
        story.stop().await;
    });
    join_all(told).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_thousand_tags_are_one_list() {
    let mut story = world(&[]).await;
    set_registry(&mut story, "requests_per_second: 1000");
    let old = story.push("1.0.0", 1);
    for n in 1..20_000 {
        story.world.registry.retag("shop", &format!("1.0.{n}"), &old).expect("tagged");
    }
    story.start().await;
    story.until_written(&file("shop"), "newTag: 1.0.19999").await;
    let digest = story.push("1.1.0", 2);
    story.until_written(&file("shop"), &digest).await;
    let repositories = story.status().await.repositories;
    assert_eq!(repositories[0].n_tags, Some(20_001));
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_that_were_put_away_and_vanish_are_read_again() {
    let mut story = world(&[]).await;
    story.push("1.0.0", 1);
    story.start().await;
    story.until_written(&file("shop"), "newTag: 1.0.0").await;
    let lists = story.home.path().join("journal.db.lists");
    std::fs::remove_dir_all(&lists).expect("they are beside the journal");
    let explained = || async { story.handle().explain(target("dev")).await.is_ok_and(|told| told.tags.len() == 1) };
    story.until("the tag is explained again", explained).await;
    let digest = story.push("1.1.0", 2);
    story.until_written(&file("shop"), &digest).await;
    for list in std::fs::read_dir(&lists).expect("the directory") {
        std::fs::write(list.expect("a list").path(), "1.0.0\n").expect("damaged");
    }
    let explained = || async { story.handle().explain(target("dev")).await.is_ok_and(|told| told.tags.len() == 2) };
    story.until("what was damaged is read again", explained).await;
    story.stop().await;
    assert!(!lists.exists(), "nothing is left behind");
}
