//! Verdicts that somebody posts: by the commit that a cluster synced, which is mostly a later one than ours.

use super::new_tag::{KUSTOMIZATION, POLICY};
use super::people::signal;
use super::world::Story;
use tagrelay::daemon::Refusal;
use tagrelay::model::event::Verdict;

const FILE: &str = "deployment/dev/kustomization.yaml";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_reports_the_tip_that_it_synced() {
    let mut story = Story::new(POLICY, &[(FILE, KUSTOMIZATION)]).await;
    let first = story.push("dev", 1);
    story.start().await;
    story.until_at("dev", &first, "progressing").await;
    let begun = story.current("dev").await.and_then(|current| current.commit).expect("a commit");

    // The branch moved on by a commit that nobody here has read yet.
    let later = story.commit("README.md", Some("by a person")).await;
    let mut verdict = signal(&story, "dev", None, Verdict::Healthy).await;
    verdict.rollout.clone_from(&later);
    verdict.url = Some("https://argocd.example.com/applications/shop".to_owned());
    story.handle().signal(verdict.clone()).await.expect("kept");
    story.until_at("dev", &first, "verified").await;
    let url = story.current("dev").await.and_then(|current| current.url);
    assert_eq!(url, verdict.url);
    story.handle().signal(verdict.clone()).await.expect("it says the same once more");

    // The next release is in flight: the same commit holds the pin of the one before.
    let second = story.push("dev", 2);
    story.until_at("dev", &second, "progressing").await;
    let next = story.current("dev").await.and_then(|current| current.commit).expect("a commit");
    for (commit, says) in [(&later, "at or after"), (&begun, "is over: verified")] {
        verdict.rollout.clone_from(commit);
        verdict.verdict = Verdict::Failed;
        let refused = story.handle().signal(verdict.clone()).await;
        let told = |why: &str| why.contains(says) && why.contains(&next);
        assert!(matches!(&refused, Err(Refusal::Conflict(why)) if told(why)), "{refused:?}");
        story.until_said("dev", &format!("a verdict for {commit} came at")).await;
    }
    verdict.rollout = story.rollout("dev").await.replacen('-', "/", 1);
    verdict.verdict = Verdict::Healthy;
    story.handle().signal(verdict).await.expect("as the trailer has it");
    story.until_at("dev", &second, "verified").await;
    story.stop().await;
}
