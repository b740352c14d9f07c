//! What is lost is named to whoever asks how the daemon is, and no longer once it is back; the daemon stays ready.

use super::new_tag::{KUSTOMIZATION, POLICY};
use super::world::Story;
use std::time::Duration;
use tagrelay::model::event::Verdict;
use tagrelay::sandbox::fault::{Fault, Rule};

const FILE: &str = "deployment/dev/kustomization.yaml";

impl Story {
    /// Waits until the daemon names a trouble of this kind in these words, in the metrics too, and goes on being ready.
    pub(super) async fn until_unwell(&self, kind: &str, words: &str) {
        let health = || self.handle().health().expect("a loop");
        // What was read at the start is looked at every two seconds.
        self.until("it was ready once", || async { health().unready.is_none() }).await;
        let named = || async {
            let health = health();
            let is = |line: &String| line.starts_with(kind) && line.contains(words);
            assert_eq!(health.unready, None, "a source that is lost later is no reason to be left");
            tagrelay::relay::health::lines(&health.troubles).iter().any(is)
        };
        self.until(&format!("{kind}: {words}"), named).await;
        let none = format!("tagrelay_unwell{{what=\"{kind}\"}} 0\n");
        let counted = || async { !self.numbers().contains(&none) };
        self.until(&format!("{kind} is counted"), counted).await;
    }

    /// Waits until nothing is wrong.
    async fn until_well(&self) {
        let is_well = || async {
            let health = self.handle().health().expect("a loop");
            health.unready.is_none() && health.troubles.is_empty()
        };
        self.until("all is well", is_well).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_source_that_is_lost_is_named_until_it_is_back() {
    let mut story = Story::new(POLICY, &[(FILE, KUSTOMIZATION)]).await;
    let digest = story.push("dev", 1);
    story.start().await;
    story.until_at("dev", &digest, "progressing").await;
    story.until_well().await;
    for (face, kind, words) in [
        (&story.world.git.face, "branch_unread", "branch main of default cannot be read"),
        (&story.world.registry.face, "registry_unread", "/shop cannot be read"),
    ] {
        face.faults.add(Rule::every(Fault::answer(503)));
        story.until_unwell(kind, words).await;
        face.faults.clear();
        story.until_well().await;
    }
    story.world.gitlab.face.faults.add(Rule::every(Fault::answer(503)));
    story.signal("dev", Verdict::Healthy).await;
    story.until_unwell("reports_wait", "503").await;
    story.world.gitlab.face.faults.clear();
    story.until_well().await;
    story.world.git.face.faults.add(Rule::every(Fault::answer(403)).path("/deploys.git/git-receive-pack"));
    story.push("dev", 2);
    story.until_unwell("effect_fails", "shop/dev").await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policies_that_are_broken_or_gone_and_a_pin_that_cannot_be_read_are_named() {
    let mut story = Story::new(POLICY, &[(FILE, KUSTOMIZATION)]).await;
    let digest = story.push("dev", 1);
    story.start().await;
    story.until_at("dev", &digest, "progressing").await;
    story.until_well().await;
    let (good, pin) = (story.file("policies/shop.yaml").await, story.file(FILE).await);
    story.commit("policies/shop.yaml", Some(&good.replace("settle", "setle"))).await;
    story.until_unwell("policy_broken", "policies/shop.yaml:5").await;
    story.commit("policies/shop.yaml", None).await;
    story
        .until_unwell("policies_gone", "policies on branch main of default holds no policy file, and held 1 before")
        .await;
    story.commit("policies/shop.yaml", Some(&good)).await;
    // A branch that no policy names is read once a minute.
    story.handle().reload();
    story.until_well().await;
    story.commit(FILE, Some("images: [")).await;
    story.until_unwell("pin_unread", "shop/dev").await;
    story.wait(Duration::from_secs(61 * 60));
    story.until_unwell("stuck", "shop/dev").await;
    assert!(story.numbers().contains("tagrelay_stuck{policy=\"shop\",environment=\"dev\",why=\"Unread\"} 1\n"));
    story.commit(FILE, Some(&pin)).await;
    story.until_well().await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_age_of_the_oldest_hold_is_counted() {
    let mut story = Story::new(POLICY, &[(FILE, KUSTOMIZATION)]).await;
    story.start().await;
    story.until_state("dev", "adopted").await;
    story.hold("shop/dev", None).await;
    story.wait(Duration::from_secs(3600));
    let age = || {
        let numbers = story.numbers();
        let line = numbers.lines().find_map(|line| line.strip_prefix("tagrelay_oldest_hold_seconds "));
        line.and_then(|age| age.parse::<u64>().ok()).expect("a number")
    };
    story.until("the hold is an hour old", || async { age() >= 3600 }).await;
    story.resume("shop/dev").await;
    story.commit("policies/HOLD", Some("the fair")).await;
    story.until_why("dev", "HeldByFile").await;
    story.until("the file is younger", || async { age() < 3600 }).await;
    story.stop().await;
}
