//! Servers that answer late, or never: whoever needs them waits, and nobody else does.

use super::people::{BOTH, chain};
use super::world::Story;
use std::time::Duration;
use tagrelay::sandbox::fault::{Fault, Moment, Rule};

/// Longer than any of these stories lasts.
const LATE: Duration = Duration::from_secs(30);
/// How soon the daemon answers whoever asks how it stands.
const SOON: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_git_server_that_answers_late_keeps_the_loop_from_nothing() {
    let mut story = Story::new(&chain(""), BOTH).await;
    story.config = format!("mode: observe\n{}", story.config);
    story.push("dev", 1);
    story.start().await;
    story.until_why("dev", "Observing").await;
    story.world.git.face.faults.add(Rule::every(Fault::Delay(Moment::Before, LATE)));
    story.world.git.face.forget();
    story.until("the branch is being read", || async { !story.world.git.face.requests().is_empty() }).await;
    let handle = story.handle().clone();
    let plan = tokio::spawn(async move { handle.plan(None).await });
    story.push("dev", 2);
    story.world.registry.face.forget();
    for _ in 0..20 {
        tokio::time::timeout(SOON, story.handle().status()).await.expect("soon").expect("a status");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(story.world.registry.face.requests().iter().any(|asked| asked.path.contains("/blobs/")), "dev 2 was read");
    story.world.git.face.faults.clear();
    plan.abort();
    story.stop().await;
}
