//! Registries that refuse, break, hang up, lie: one message that says what to do, nothing changes, and it goes on after.

use super::people::{BOTH, DEV, borrowed, chain, with_other};
use super::world::Story;
use tagrelay::sandbox::fault::{Fault, Moment, Rule};
use tagrelay::sandbox::registry::refusing;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_failure_is_said_where_one_looks_and_ends_by_itself() {
    let mut story = Story::new(&chain(""), BOTH).await;
    let mut runs = story.push("dev", 1);
    story.start().await;
    story.until_at("prod", &runs, "verified").await;
    let cases = [
        (refusing(401, "UNAUTHORIZED", "authentication required"), "401"),
        (refusing(403, "DENIED", "no\nway"), "403"),
        (refusing(404, "NAME_UNKNOWN", "no such repository"), "no image under tag dev"),
        (refusing(429, "TOOMANYREQUESTS", "slow down").with("retry-after", "1"), "429"),
        (Fault::answer(500), "500"),
        (Fault::html(), "login page"),
        (Fault::Drop(Moment::Before), ""),
        (Fault::lying_digest(), "sha256:"),
    ];
    for (n, (fault, words)) in (2..).zip(cases) {
        let what = format!("{fault:?}");
        story.world.registry.face.faults.add(Rule::every(fault));
        let next = story.push("dev", n);
        story.until_said("dev", words).await;
        assert!(story.file(DEV).await.contains(&runs), "{what}");
        let why = story.view("dev").await.expect("dev").why;
        assert!(why.iter().all(|why| !why.to_string().contains('\n')), "{why:?}");
        story.world.registry.face.faults.clear();
        story.until_at("prod", &next, "verified").await;
        runs = next;
    }
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_body_is_left_and_other_policies_go_on() {
    let files = with_other();
    let mut story = Story::new(&chain(""), &borrowed(&files)).await;
    story.world.registry.face.faults.add(Rule::every(Fault::Endless).path("/v2/shop/"));
    story.push("dev", 1);
    let digest = story.push_image("other", "dev", 1);
    story.start().await;
    story.until_written("other/prod/kustomization.yaml", &digest).await;
    story.until_said("dev", "/shop").await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_that_is_a_command_is_dropped() {
    let policy = chain("").replace("follow: dev", "newest: pushed");
    let mut story = Story::new(&policy, BOTH).await;
    let good = story.push("v1", 1);
    let tags = r#"{"name":"shop","tags":["$(rm -rf /)","`id`","../v1","v1","v1\nTagrelay-Journal: forged"]}"#;
    let list = Fault::answer(200).body("application/json", tags);
    story.world.registry.face.faults.add(Rule::every(list).path("/v2/shop/tags/list"));
    story.start().await;
    story.until_written(DEV, "newTag: v1").await;
    story.until_at("prod", &good, "verified").await;
    let log = story.log().await;
    assert!(log.iter().all(|commit| !commit.message.contains("rm -rf") && !commit.message.contains("forged")));
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_registry_is_tried_by_few_said_in_the_status_and_taken_up_again() {
    let mut story = Story::new(&chain(""), BOTH).await;
    let first = story.push("dev", 1);
    story.start().await;
    story.until_at("prod", &first, "verified").await;
    story.world.registry.face.faults.add(Rule::every(Fault::Drop(Moment::Before)));
    let left_alone = || async {
        let hosts = story.status().await.hosts;
        hosts.into_iter().find_map(|view| Some((view.host, view.error?)))
    };
    let is_left_alone = || async {
        let said = left_alone().await;
        said.is_some_and(|(host, why)| host == story.world.registry.host() && why.contains("does not answer"))
    };
    story.until("the host is left alone", is_left_alone).await;
    let second = story.push("dev", 2);
    story.world.registry.face.faults.clear();
    story.until_at("prod", &second, "verified").await;
    assert_eq!(left_alone().await, None);
    story.stop().await;
}
