//! What the daemon does is counted where Prometheus looks.

use super::people::{BOTH, chain};
use super::world::Story;
use tagrelay::sandbox::fault::{Fault, Rule};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_done_what_waits_and_what_fails_is_counted() {
    let mut story = Story::new(&chain("gates: { approvals: { required: 1, approvers: [alice] } }"), BOTH).await;
    story.push("dev", 1);
    story.start().await;
    story.until_why("prod", "ApprovalsMissing").await;
    let has = |line: &str| story.numbers().lines().any(|it| it == line);
    for line in [
        "tagrelay_commits_total 1",
        "tagrelay_pushes_total{result=\"done\"} 1",
        "tagrelay_decisions_total{step=\"write\",code=\"\"} 1",
        "tagrelay_waiting{code=\"ApprovalsMissing\"} 1",
        "tagrelay_rollouts_total{outcome=\"verified\"} 1",
        "tagrelay_push_duration_seconds_count 1",
        "tagrelay_seen_to_commit_seconds_count 1",
    ] {
        story.until(line, || async { has(line) }).await;
    }
    assert!(story.numbers().contains("tagrelay_polls_total{result=\"changed\"}"));
    story.world.git.face.faults.add(Rule::every(Fault::answer(403)).path("/deploys.git/git-receive-pack"));
    story.push("dev", 2);
    story.until_why("dev", "Blocked").await;
    for part in ["tagrelay_errors_total{policy=\"shop\"}", "tagrelay_pushes_total{result=\"failed\"}"] {
        story.until(part, || async { story.numbers().contains(part) }).await;
    }
    story.stop().await;
}
