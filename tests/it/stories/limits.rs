//! Too much at once asks first; `mode: observe` changes nothing; a clock that cannot be trusted opens no gate.

use super::people::{BOTH, DEV, PROD, borrowed, chain};
use super::world::Story;
use tagrelay::sandbox::fault::{Fault, Rule};

/// A policy of four environments that follow one tag.
fn four() -> (String, Vec<(String, String)>) {
    let mut policy =
        "apiVersion: tagrelay/v1\nname: shop\nimages: [REGISTRY/shop]\nsettle: 0s\npoll: 1s\nenvironments:\n"
            .to_owned();
    let mut files = Vec::new();
    for n in 1..=4 {
        policy.push_str(&format!(
            "  - {{ name: e{n}, select: {{ follow: dev }}, write: [{{ kustomize: deployment/e{n} }}] }}\n"
        ));
        let path = format!("deployment/e{n}/kustomization.yaml");
        files.push((path, super::new_tag::KUSTOMIZATION.to_owned()));
    }
    (policy, files)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_changes_than_allowed_wait_for_a_person_unless_a_new_build_brings_them() {
    let (policy, files) = four();
    let mut story = Story::with(&policy, &borrowed(&files), "limits: { changes: 3 }\n").await;
    let first = story.push("dev", 1);
    story.start().await;
    let waits = || async {
        let mut waiting = Vec::new();
        for environment in ["e1", "e2", "e3", "e4"] {
            if story.why(environment).await.contains(&"TooManyChanges".to_owned()) {
                waiting.push(environment);
            }
        }
        waiting
    };
    story.until("three changed, one asks", || async { story.n_commits().await == 3 && waits().await.len() == 1 }).await;
    story.resume("*").await;
    for environment in ["e1", "e2", "e3", "e4"] {
        story.until_at(environment, &first, "verified").await;
    }
    // A build that comes while everything rests is what they are for.
    story.looked_again().await;
    let second = story.push("dev", 2);
    for environment in ["e1", "e2", "e3", "e4"] {
        story.until_at(environment, &second, "verified").await;
    }
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn observe_changes_nothing_anywhere_and_says_what_it_would_do() {
    let mut story =
        Story::new(&chain("promote: { from: dev, retag: prod }").replace("    promote: { from: dev }\n", ""), BOTH)
            .await;
    story.config = format!("mode: observe\n{}", story.config);
    let first = story.push("dev", 1);
    story.start().await;
    story.until_why("dev", "Observing").await;
    story.until_said("dev", "would write dev").await;
    let pinned = story.file(DEV).await.replace("newTag: old", &format!("digest: {first}\n    newTag: dev"));
    story.commit(DEV, Some(&pinned)).await;
    story.until_at("dev", &first, "adopted").await;
    let second = story.push("dev", 2);
    story.until_why("dev", "Observing").await;
    story.push("dev", 1);
    story.looked_again().await;
    assert!(!story.file(DEV).await.contains(&second));
    assert!(story.view("dev").await.expect("dev").holds.is_empty());
    let pinned = story.file(DEV).await.replace(&first, &second);
    story.commit(DEV, Some(&pinned)).await;
    story.until_at("dev", &second, "adopted").await;
    story.until_said("dev", "would hold it: tag dev was moved back").await;
    let seen = story.world.effects.seen();
    assert!(seen.is_empty(), "{seen:?}");
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn observe_sends_no_report_that_act_left_behind() {
    let mut story = Story::new(&chain(""), BOTH).await;
    story.world.gitlab.face.faults.add(Rule::every(Fault::answer(503)));
    let first = story.push("dev", 1);
    story.start().await;
    story.until_at("prod", &first, "verified").await;
    story.stop().await;
    story.world.gitlab.face.faults.clear();
    story.wait(std::time::Duration::from_secs(3600));
    story.config = format!("mode: observe\n{}", story.config);
    let before = story.world.effects.count();
    story.start().await;
    story.looked_again().await;
    assert_eq!(story.world.effects.count(), before);
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_disagrees_with_most_servers_opens_no_gate() {
    // GitLab is heard once dev is reported: the registry, the git server and GitLab are three.
    let reported = "evidence: none\n    report: [{ gitlab: { project: group/shop, sha: revision } }]";
    let mut story = Story::new(&chain("").replace("evidence: none", reported), BOTH).await;
    let late = || Fault::header("date", Some("Thu, 01 Jan 2026 00:00:00 GMT"));
    story.world.registry.face.faults.add(Rule::every(late()));
    story.world.git.face.faults.add(Rule::every(late()));
    let first = story.push("dev", 1);
    story.start().await;
    story.until_why("prod", "ClockDoubtful").await;
    story.looked_again().await;
    assert!(story.file(DEV).await.contains(&first), "dev asks no gate");
    assert!(!story.file(PROD).await.contains(&first));
    // One server with a wrong clock closes nothing.
    story.world.git.face.faults.clear();
    story.until_at("prod", &first, "verified").await;
    story.stop().await;
}
