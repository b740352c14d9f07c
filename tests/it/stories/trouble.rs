//! Bad days: rollouts that fail, servers that are away, files that are wrong, a set that is half there.

use super::new_tag::{KUSTOMIZATION, POLICY};
use super::world::Story;
use std::time::Duration;
use tagrelay::model::event::Verdict;
use tagrelay::sandbox::fault::{Fault, Rule};
use tagrelay::sandbox::gitlab;

const FILE: &str = "deployment/dev/kustomization.yaml";

async fn begun(policy: &str) -> Story {
    let mut story = Story::new(policy, &[(FILE, KUSTOMIZATION)]).await;
    story.start().await;
    story.until_state("dev", "adopted").await;
    story
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_rollout_rolls_back_where_the_policy_says_so() {
    let mut story = begun(&POLICY.replace("    report:", "    on_failure: rollback\n    report:")).await;
    let first = story.push("dev", 1);
    story.well("dev", "dev").await;
    let second = story.push("dev", 2);
    story.until_runs("dev", &second).await;
    story.signal("dev", Verdict::Failed).await;
    story.until_written(FILE, &first).await;
    story.until_why("dev", "Held").await;
    let told = story.told("group/shop", "development");
    assert!(told.iter().any(|history| history == &["running", "failed"]), "{told:?}");
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_verdict_in_time_is_held_and_never_rolled_back() {
    let mut story = begun(POLICY).await;
    let first = story.push("dev", 1);
    story.until_state("dev", "progressing").await;
    story.wait(Duration::from_secs(16 * 60));
    story.until_state("dev", "unknown").await;
    assert!(story.file(FILE).await.contains(&first));
    story.signal("dev", Verdict::Healthy).await;
    story.until_state("dev", "verified").await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gitlab_away_is_told_later_once_and_in_order() {
    let mut story = begun(POLICY).await;
    story.world.gitlab.face.faults.add(Rule::every(gitlab::throttled(1)).times(6));
    story.push("dev", 1);
    story.well("dev", "dev").await;
    story
        .until("GitLab is told", || async { story.told("group/shop", "development") == [["running", "success"]] })
        .await;
    story
        .until("the other project is told", || async { story.told("group/deploys", "dev") == [["running", "success"]] })
        .await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_in_trouble_is_said_and_survived() {
    let mut story = begun(POLICY).await;
    for fault in [Fault::answer(500), Fault::html(), Fault::lying_digest()] {
        story.world.registry.face.faults.add(Rule::every(fault).times(2));
    }
    let digest = story.push("dev", 1);
    story.until_written(FILE, &digest).await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_policy_finishes_what_is_in_flight_and_begins_nothing() {
    let mut story = begun(POLICY).await;
    story.push("dev", 1);
    story.until_state("dev", "progressing").await;
    let good = story.file("policies/shop.yaml").await;
    let broken = good.replace("environments:", "enviroments:");
    let author = "Bob <bob@example.com>";
    story.deploys.commit("main", &[("policies/shop.yaml", Some(&broken))], "Typo", author).await.expect("committed");
    story
        .until("the error is shown", || async {
            let status = story.handle().status().await.expect("a status");
            status.broken.iter().any(|text| text.contains("enviroments") && text.contains("did you mean"))
        })
        .await;
    story.signal("dev", Verdict::Healthy).await;
    story.until_state("dev", "verified").await;
    let second = story.push("dev", 2);
    story.until_why("dev", "PolicyBroken").await;
    story.stop().await;
    story.start().await;
    story.until_why("dev", "PolicyBroken").await;
    assert!(!story.file(FILE).await.contains(&second));
    story.deploys.commit("main", &[("policies/shop.yaml", Some(&good))], "Mend", author).await.expect("committed");
    story.until_written(FILE, &second).await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_push_is_said_and_tried_ever_later() {
    let mut story = begun(POLICY).await;
    let receive = "/deploys.git/git-receive-pack";
    story.world.git.face.faults.add(Rule::every(Fault::answer(403)).path(receive));
    let digest = story.push("dev", 1);
    story.until_why("dev", "Blocked").await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let tries = story.world.git.face.count(&reqwest::Method::POST, "git-receive-pack");
    assert!((1..=4).contains(&tries), "{tries} pushes in five seconds");
    let why = story.view("dev").await.why;
    assert!(why.iter().any(|why| why.to_string().contains("403")), "{why:?}");
    story.world.git.face.faults.clear();
    story.until_written(FILE, &digest).await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_race_is_judged_again() {
    let mut story = begun(POLICY).await;
    let deploys = story.deploys.clone();
    story.world.git.before_next_push(&story.deploys, move || {
        let deploys = deploys.clone();
        async move {
            let file = [("README.md", Some("somebody was faster\n"))];
            deploys.commit("main", &file, "Race", "Bob <bob@example.com>").await.expect("committed");
        }
    });
    let digest = story.push("dev", 1);
    story.until_written(FILE, &digest).await;
    assert!(story.file("README.md").await.contains("faster"), "nothing is dropped");
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_images_move_as_one_set() {
    let policy = POLICY
        .replace("images: [REGISTRY/shop]", "images: [REGISTRY/shop, REGISTRY/worker]")
        .replace("select: { follow: dev }", "select: { semver: '1.x' }");
    let both = format!("{KUSTOMIZATION}  - name: REGISTRY/worker\n    newTag: old\n");
    let mut story = Story::new(&policy, &[(FILE, &both)]).await;
    story.push_image("worker", "latest", 9);
    story.start().await;
    story.push("1.0.0", 1);
    story.until_why("dev", "SetIncomplete").await;
    story.push_image("worker", "1.0.0", 1);
    story
        .until("both are written at once", || async { story.file(FILE).await.matches("newTag: 1.0.0").count() == 2 })
        .await;
    assert_eq!(story.deploys.log("main").await.expect("a log").len(), 2);
    story.stop().await;
}
