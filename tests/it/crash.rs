//! The crash matrix: one whole journey, the real binary killed by SIGKILL before and after every mutating request, before
//! every journal commit and after the last; git, tags, GitLab's rows and the journal must end the same as when nothing
//! happened.

mod journey;
mod random;

use journey::{End, Journey, Point};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tagrelay::sandbox::fault::Moment;

/// How many journeys are made at once: they wait more than they work.
const AT_ONCE: usize = 8;

async fn journey(point: Point) -> (End, u64, u64) {
    let journey = Journey::new(point).await;
    journey.release(1);
    let end = journey.travel(point, 1).await;
    (end, journey.world.effects.count(), journey.n_commits.load(Ordering::SeqCst))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_kill_at_any_moment_ends_in_the_same_world() {
    let (calm, n_effects, n_commits) = journey(Point::Nowhere).await;
    assert_eq!(calm.commits.len(), 4, "one commit for each environment, above the first: {calm:#?}");
    assert_eq!(calm.deployments.len(), 3, "one deployment for each environment: {calm:#?}");
    let moments = [Moment::Before, Moment::After];
    let effects = (1..=n_effects).flat_map(|n| moments.map(|moment| Point::Effect(n, moment)));
    let commits = (1..=n_commits).map(|n| Point::Commit(n, Moment::Before));
    // What a commit leaves behind is what stands before whatever comes next.
    let last = Point::Commit(n_commits, Moment::After);
    let points: Vec<Point> = effects.chain(commits).chain([last]).collect();
    println!("{n_effects} mutating requests, {n_commits} journal commits: {} kills", points.len());
    let slots = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
    let mut runs = tokio::task::JoinSet::new();
    for point in points {
        let slots = slots.clone();
        runs.spawn(async move {
            let _slot = slots.acquire_owned().await.expect("a slot");
            (point, journey(point).await.0)
        });
    }
    let mut wrong = Vec::new();
    while let Some(run) = runs.join_next().await {
        let (point, end) = run.expect("a journey");
        if end != calm {
            wrong.push(format!("{point:?}: {end:#?}"));
        }
    }
    assert!(wrong.is_empty(), "calm: {calm:#?}\n{} of the kills ended elsewhere:\n{}", wrong.len(), wrong.join("\n"));
}
