//! Time alone opens and shuts: soak, windows, freezes, and the calendars of the configuration.

use super::people::{BOTH, PROD, chain};
use super::world::Story;
use std::time::Duration;
use tagrelay::model::Why;

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soak_is_added_up_over_stays_and_stays_once_it_is_reached() {
    let mut story = Story::new(&chain("gates: { soak: 1h }"), BOTH).await;
    let first = story.push("dev", 1);
    story.start().await;
    story.until_why("prod", "StillSoaking").await;
    story.wait(HOUR / 2);
    let second = story.push("dev", 2);
    story.until_at("dev", &second, "verified").await;
    story.until_why("prod", "StillSoaking").await;
    story.wait(HOUR / 2);
    story.looked_again().await;
    assert_eq!(story.n_commits().await, 2, "neither has soaked");
    story.force("dev", Some(&first)).await.expect("ordered");
    story.until_at("dev", &first, "verified").await;
    story.wait(HOUR / 2 + Duration::from_secs(60));
    story.until_at("prod", &first, "verified").await;
    story.resume("shop/dev").await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reached_soak_waits_for_nothing_else_of_dev() {
    let gates = "gates: { soak: 1h, approvals: { approvers: [alice] } }";
    let mut story = Story::new(&chain(gates), BOTH).await;
    let first = story.push("dev", 1);
    story.start().await;
    story.until_why("prod", "StillSoaking").await;
    story.wait(HOUR);
    story
        .until("the soak is reached", || async { !story.why("prod").await.contains(&"StillSoaking".to_owned()) })
        .await;
    let second = story.push("dev", 2);
    story.until_at("dev", &second, "verified").await;
    let (target, by) = (super::world::target("prod"), tagrelay::model::policy::Ballot::Cli);
    let approve =
        tagrelay::daemon::Command::Approve { target, release: Some(first.clone()), reason: String::new(), by };
    story.command("alice", approve).await.expect("kept");
    story.until_at("prod", &first, "verified").await;
    story.stop().await;
}

/// The hour of the day in Seoul, as a window that is open now and one that is not.
fn windows(story: &Story) -> (String, String) {
    let clock = tagrelay::daemon::Clock::Shifted(story.shift.clone());
    let now = clock.now().to_zoned(jiff::tz::TimeZone::get("Asia/Seoul").expect("bundled"));
    let window = |hour: i8| format!("gates: {{ window: {{ open: \"0 {} * * *\", for: 2h }} }}", hour.rem_euclid(24));
    (window(now.hour()), window(now.hour() + 3))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_opens_on_the_wall_clock_of_its_zone() {
    let mut story = Story::new(&chain(""), BOTH).await;
    let (open, shut) = windows(&story);
    story.commit("policies/shop.yaml", Some(&chain(&shut))).await;
    let first = story.push("dev", 1);
    story.start().await;
    story.until_why("prod", "WindowShut").await;
    story.looked_again().await;
    let why = story.view("prod").await.expect("prod").why;
    let Some(Why::WindowShut { opens: Some(opens) }) = why.first() else { panic!("{why:?}") };
    let clock = tagrelay::daemon::Clock::Shifted(story.shift.clone());
    story.wait(clock.until(*opens) + Duration::from_secs(1));
    story.until_at("prod", &first, "verified").await;
    story.commit("policies/shop.yaml", Some(&chain(&open))).await;
    story.wait(HOUR * 24 - HOUR * 3);
    let second = story.push("dev", 2);
    story.until_at("prod", &second, "verified").await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_freeze_stops_changes_and_lets_a_rollback_through_where_it_says_so() {
    let mut story = Story::new(&chain(""), BOTH).await;
    let first = story.push("dev", 1);
    story.start().await;
    story.until_at("prod", &first, "verified").await;
    let second = story.push("dev", 2);
    story.until_at("prod", &second, "verified").await;
    let frozen = |rollback: bool| {
        chain(&format!(
            "gates: {{ freeze: [{{ from: 2020-01-01, until: 2099-12-31, reason: fair, rollback: {rollback} }}] }}"
        ))
    };
    story.commit("policies/shop.yaml", Some(&frozen(false))).await;
    story.push("dev", 3);
    story.until_why("prod", "Frozen").await;
    story.rollback("prod", None).await.expect("ordered");
    story.looked_again().await;
    assert!(story.file(PROD).await.contains(&second), "the freeze holds rollbacks too");
    assert!(story.why("prod").await.contains(&"Frozen".to_owned()));
    story.commit("policies/shop.yaml", Some(&frozen(true))).await;
    story.until_at("prod", &first, "verified").await;
    story.resume("shop/prod").await;
    story.looked_again().await;
    assert!(story.file(PROD).await.contains(&first));
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_configuration_freezes_and_requires_for_every_policy() {
    let settings = "calendars: { fair: { environments: ['prod*'], freeze: [{ from: 2020-01-01, until: 2099-12-31 }] } }\n\
        require: [{ environments: ['prod*'], pin: tag@digest, gates: { approvals: { required: 1, approvers: [alice] } } }]\n";
    let mut story = Story::with(&chain("pin: tag"), BOTH, settings).await;
    let digest = story.push("dev", 1);
    story.start().await;
    story.until_why("prod", "Frozen").await;
    story.until_why("prod", "ApprovalsMissing").await;
    story.looked_again().await;
    story.force("prod", None).await.expect("ordered");
    story.until_written(PROD, &digest).await;
    let log = story.log().await;
    assert!(log[0].message.contains("forced by alice: the pager"), "{}", log[0].message);
    story.stop().await;
}
