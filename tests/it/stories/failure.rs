//! A rollout fails, or nobody says how it went: what follows is what the policy says, and never a guess.

use super::people::{BOTH, PROD, chain, post};
use super::world::{Story, target};
use std::time::Duration;
use tagrelay::daemon::{Command, Refusal};
use tagrelay::model::event::Verdict;
use tagrelay::model::{Digest, ImageName};

/// A world whose prod runs the first build, verified, is getting the second, and does this on failure.
async fn second_in_flight(lines: &str) -> (Story, String, String) {
    let mut story = Story::new(&chain(&format!("rollout: {{ webhook: {{}} }}\n{lines}")), BOTH).await;
    let first = story.push("dev", 1);
    story.start().await;
    story.until_at("prod", &first, "progressing").await;
    story.signal("prod", Verdict::Healthy).await;
    story.until_at("prod", &first, "verified").await;
    let second = story.push("dev", 2);
    story.until_at("prod", &second, "progressing").await;
    (story, first, second)
}

async fn told(story: &Story, last: &[&str]) {
    let what = format!("GitLab is told {last:?}");
    story.until(&what, || async { story.told("group/deploys", "prod").iter().any(|it| it == last) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn next_refuses_the_release_and_lets_a_newer_one_through() {
    let (mut story, _, second) = second_in_flight("on_failure: next").await;
    story.signal("prod", Verdict::Failed).await;
    story.until_at("prod", &second, "failed").await;
    told(&story, &["running", "failed"]).await;
    story.looked_again().await;
    assert!(story.file(PROD).await.contains(&second), "nothing goes back by itself");
    let third = story.push("dev", 3);
    story.until_at("prod", &third, "progressing").await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hold_holds_and_resume_lets_a_newer_one_through() {
    let (mut story, _, second) = second_in_flight("on_failure: hold").await;
    story.signal("prod", Verdict::Failed).await;
    story.until_at("prod", &second, "failed").await;
    let third = story.push("dev", 3);
    story.until_at("dev", &third, "verified").await;
    story.until_why("prod", "Held").await;
    story.looked_again().await;
    assert!(story.file(PROD).await.contains(&second));
    story.resume("shop/prod").await;
    story.until_at("prod", &third, "progressing").await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rollback_brings_back_the_last_verified_release() {
    let (mut story, first, second) = second_in_flight("on_failure: rollback").await;
    story.signal("prod", Verdict::Failed).await;
    story.until_at("prod", &first, "progressing").await;
    story.signal("prod", Verdict::Healthy).await;
    story.until_at("prod", &first, "verified").await;
    told(&story, &["running", "failed"]).await;
    let view = story.view("prod").await.expect("prod");
    assert!(view.holds.len() == 1 && view.refusals.len() == 1, "{view:?}");
    story.resume("shop/prod").await;
    story.looked_again().await;
    assert!(story.file(PROD).await.contains(&first) && !story.file(PROD).await.contains(&second));
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_automatic_rollback_waits_for_a_hold_file() {
    let (mut story, first, second) = second_in_flight("on_failure: rollback").await;
    story.commit("policies/HOLD", Some("the fair\n")).await;
    story.until_why("prod", "HeldByFile").await;
    story.signal("prod", Verdict::Failed).await;
    story.until_at("prod", &second, "failed").await;
    story.until_why("prod", "OrderWaits").await;
    story.looked_again().await;
    assert!(story.file(PROD).await.contains(&second), "nothing is written past the HOLD file");
    story.commit("policies/HOLD", None).await;
    story.until_at("prod", &first, "progressing").await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollout_in_flight_keeps_its_rules_when_the_policy_asks_less() {
    let (mut story, first, second) = second_in_flight("on_failure: rollback").await;
    story.commit("policies/shop.yaml", Some(&chain(""))).await;
    story.looked_again().await;
    story.until_at("prod", &second, "progressing").await;
    story.stop().await;
    story.start().await;
    story.until_at("prod", &second, "progressing").await;
    story.signal("prod", Verdict::Failed).await;
    story.until_at("prod", &first, "verified").await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_to_what_is_gone_from_the_registry_moves_nothing() {
    let (mut story, first, second) = second_in_flight("on_failure: rollback").await;
    assert!(story.world.registry.remove("shop", &first));
    story.signal("prod", Verdict::Failed).await;
    story.until_at("prod", &second, "failed").await;
    story.until_why("prod", "ImageMissing").await;
    story.until_unwell("effect_fails", "nothing is written that cannot be pulled").await;
    story.looked_again().await;
    assert!(story.file(PROD).await.contains(&second));
    story.until_said("prod", "any more: nothing is written that cannot be pulled").await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_release_to_go_back_to_it_holds_alone() {
    let mut story = Story::new(&chain("rollout: { webhook: {} }\non_failure: rollback"), BOTH).await;
    let first = story.push("dev", 1);
    story.start().await;
    story.until_at("prod", &first, "progressing").await;
    story.signal("prod", Verdict::Failed).await;
    story.until_why("prod", "Held").await;
    story.looked_again().await;
    assert!(story.file(PROD).await.contains(&first));
    assert!(story.view("prod").await.expect("prod").refusals.is_empty());
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checks_run_in_order_and_one_that_fails_fails_the_rollout() {
    let mut story = Story::new(&chain(""), BOTH).await;
    let url = story.world.cluster.health_url("shop", "prod");
    let lines = |timeout: &str| {
        chain(&format!(
            "verify:\n  - {{ name: health, http: {{ url: \"{url}\", times: 2, every: 1s }}, timeout: {timeout} }}\n  - {{ name: smoke, webhook: {{}}, timeout: 1h }}\non_failure: next"
        ))
    };
    // What is to pass has much time, what is to fail little.
    story.commit("policies/shop.yaml", Some(&lines("2m"))).await;
    story.world.cluster.watch(story.watch("prod"));
    let first = story.push("dev", 1);
    story.start().await;
    story.until_at("prod", &first, "progressing").await;
    story.until_said("prod", "check smoke").await;
    post(&story, "prod", Some("smoke"), Verdict::Healthy).await.expect("kept");
    story.until_at("prod", &first, "verified").await;
    story.commit("policies/shop.yaml", Some(&lines("5s"))).await;
    story.looked_again().await;
    let second = story.push("dev", 2);
    story.world.cluster.sicken(&second);
    story.until_said("prod", "the last wrong answer").await;
    story.until_at("prod", &second, "failed").await;
    let why = story.current("prod").await.expect("a rollout").why.expect("a reason");
    assert!(why.contains("health") && why.contains("500"), "{why}");
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_without_a_signal_is_unknown_and_a_late_signal_counts() {
    let (mut story, _, second) = second_in_flight("on_failure: rollback\ndeadline: 10m").await;
    story.stop().await;
    story.wait(Duration::from_secs(3600));
    story.start().await;
    story.until_at("prod", &second, "progressing").await;
    story.looked_again().await;
    assert!(!story.why("prod").await.contains(&"SignalLost".to_owned()), "nobody could hear while it was down");
    story.wait(Duration::from_secs(601));
    story.until_at("prod", &second, "unknown").await;
    let third = story.push("dev", 3);
    story.until_at("dev", &third, "verified").await;
    story.looked_again().await;
    assert!(story.file(PROD).await.contains(&second), "it is held, and not rolled back");
    story.until_why("prod", "SignalLost").await;
    let last = || async { story.told("group/deploys", "prod").last().is_some_and(|it| it == &["running"]) };
    story.until("GitLab is told of no end", last).await;
    story.signal("prod", Verdict::Healthy).await;
    story.until_at("prod", &second, "verified").await;
    told(&story, &["running", "success"]).await;
    // What it was held for came after all.
    story.until_at("prod", &third, "progressing").await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resume_of_an_unknown_waits_once_more() {
    let (mut story, _, second) = second_in_flight("deadline: 10m").await;
    story.wait(Duration::from_secs(601));
    story.until_at("prod", &second, "unknown").await;
    story.resume("shop/prod").await;
    story.until_at("prod", &second, "progressing").await;
    story.looked_again().await;
    story.until_at("prod", &second, "progressing").await;
    story.wait(Duration::from_secs(601));
    story.until_at("prod", &second, "unknown").await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verify_reads_again_what_runs_and_every_rollout_gets_its_end() {
    let (mut story, _, second) = second_in_flight("deadline: 10m").await;
    story.wait(Duration::from_secs(601));
    story.until_at("prod", &second, "unknown").await;
    story.command("alice", Command::Verify { target: target("prod") }).await.expect("ordered");
    story.until_at("prod", &second, "progressing").await;
    story.signal("prod", Verdict::Healthy).await;
    story.until_at("prod", &second, "verified").await;
    story
        .until("no deployment is left running", || async {
            story.told("group/deploys", "prod")
                == [vec!["running", "success"], vec!["running", "canceled"], vec!["running", "success"]]
        })
        .await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_adopted_pin_is_verified_by_a_persons_word_where_nothing_watches() {
    let mut story = Story::new(&chain("auto: false"), BOTH).await;
    let first = story.push("dev", 1);
    let pinned = story.file(super::people::DEV).await;
    let pinned = pinned.replace("newTag: old", &format!("digest: {first}\n    newTag: dev"));
    story.commit(super::people::DEV, Some(&pinned)).await;
    story.start().await;
    story.until_at("dev", &first, "adopted").await;
    story.until_why("prod", "NothingVerified").await;
    story.command("alice", Command::Verify { target: target("dev") }).await.expect("ordered");
    story.until_at("dev", &first, "verified").await;
    story.promote("prod", None).await.expect("ordered");
    story.until_written(PROD, &first).await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_that_is_not_of_the_rollout_in_flight_is_refused() {
    let (mut story, first, second) = second_in_flight("").await;
    let old = story.told("group/deploys", "prod").len();
    assert!(old <= 2);
    let mut signal = super::people::signal(&story, "prod", None, Verdict::Failed).await;
    let (image, digest) = (ImageName::parse("shop").expect("a name"), Digest::parse(&first).expect("a digest"));
    signal.digests = Some([(image, digest)].into());
    let refused = story.handle().signal(signal.clone()).await;
    assert!(matches!(&refused, Err(Refusal::Conflict(why)) if why.contains("brought `shop` at")), "{refused:?}");
    signal.digests = None;
    signal.rollout = "nobody-1".to_owned();
    let refused = story.handle().signal(signal).await;
    assert!(matches!(&refused, Err(Refusal::Conflict(why)) if why.contains("in flight")), "{refused:?}");
    story.signal("prod", Verdict::Healthy).await;
    story.until_at("prod", &second, "verified").await;
    let again = post(&story, "prod", None, Verdict::Failed).await;
    assert!(matches!(&again, Err(Refusal::Conflict(why)) if why.contains("is over: verified")), "{again:?}");
    post(&story, "prod", None, Verdict::Healthy).await.expect("who repeats the last verdict is told that it is kept");
    story.stop().await;
}
