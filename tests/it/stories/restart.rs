//! The daemon is stopped in every phase and started again: git, tags and GitLab end the same.

use super::people::{BOTH, DEV, PROD, chain};
use super::world::Story;
use futures_util::future::join_all;
use tagrelay::model::event::Verdict;

/// Stops and starts where this phase says so.
async fn perhaps(story: &mut Story, phase: usize, stops_at: usize) {
    if phase == stops_at {
        story.stop().await;
        story.start().await;
        story.looked_again().await;
    }
}

async fn tell(stops_at: usize) -> (Vec<String>, Vec<Vec<String>>, Vec<Vec<String>>) {
    let policy =
        chain("promote: { from: dev, retag: prod }\nrollout: { webhook: {} }\nverify: [{ name: smoke, webhook: {} }]")
            .replace("    promote: { from: dev }\n", "")
            .replace(
                "evidence: none",
                "rollout: { webhook: {} }\n    report: [{ gitlab: { project: group/shop, sha: revision } }]",
            );
    let mut story = Story::new(&policy, BOTH).await;
    story.start().await;
    perhaps(&mut story, 0, stops_at).await;
    let first = story.push("dev", 1);
    perhaps(&mut story, 1, stops_at).await;
    story.until_written(DEV, &first).await;
    perhaps(&mut story, 2, stops_at).await;
    story.until_at("dev", &first, "progressing").await;
    story.signal("dev", Verdict::Healthy).await;
    perhaps(&mut story, 3, stops_at).await;
    story
        .until("the tag is moved", || async { story.world.registry.digest_of("shop", "prod").as_ref() == Some(&first) })
        .await;
    perhaps(&mut story, 4, stops_at).await;
    story.until_written(PROD, &first).await;
    perhaps(&mut story, 5, stops_at).await;
    story.until_at("prod", &first, "progressing").await;
    story.signal("prod", Verdict::Healthy).await;
    perhaps(&mut story, 6, stops_at).await;
    super::people::post(&story, "prod", Some("smoke"), Verdict::Healthy).await.expect("kept");
    perhaps(&mut story, 7, stops_at).await;
    story.until_at("prod", &first, "verified").await;
    let (shop, deploys) = (|| story.told("group/shop", "dev"), || story.told("group/deploys", "prod"));
    let whole = || async { shop() == [["running", "success"]] && deploys() == [["running", "success"]] };
    story.until("GitLab is told of all", whole).await;
    story.looked_again().await;
    let log = story.log().await;
    let subjects = log.iter().map(|commit| commit.message.lines().next().unwrap_or_default().to_owned()).collect();
    let told = (subjects, shop(), deploys());
    story.stop().await;
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_in_any_phase_changes_nothing_of_the_end() {
    let (undisturbed, ends) = tokio::join!(tell(usize::MAX), join_all((0..8).map(tell)));
    assert_eq!(undisturbed.0.len(), 3, "{undisturbed:?}");
    for (phase, end) in ends.into_iter().enumerate() {
        assert_eq!(end, undisturbed, "phase {phase}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_read_of_a_build_is_not_read_again_after_a_restart() {
    let mut story = Story::new(&chain(""), BOTH).await;
    let first = story.push("dev", 1);
    story.start().await;
    story.until_at("prod", &first, "verified").await;
    story.stop().await;
    story.world.registry.face.forget();
    story.start().await;
    story.looked_again().await;
    for kind in ["/blobs/", "/manifests/sha256:"] {
        assert_eq!(story.world.registry.face.count(&reqwest::Method::GET, kind), 0, "{kind}");
    }
    story.stop().await;
}
