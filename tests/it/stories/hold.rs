//! People stop changes, and let them go on: by command, by a file beside the policies, in the policy.

use super::people::{BOTH, DEV, PROD, chain, named};
use super::world::Story;
use std::time::Duration;
use tagrelay::daemon::{Command, Refusal};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_by_command_stops_what_it_names_until_it_is_resumed() {
    for scope in ["shop/prod", "shop", "*/prod", "*"] {
        let mut story = Story::new(&chain(""), BOTH).await;
        story.start().await;
        story.until_why("dev", "SetIncomplete").await;
        story.hold(scope, None).await;
        let digest = story.push("dev", 1);
        story.until_why("prod", "Held").await;
        story.looked_again().await;
        let holds_dev = matches!(scope, "shop" | "*");
        assert_eq!(story.file(DEV).await.contains(&digest), !holds_dev, "{scope}");
        assert!(!story.file(PROD).await.contains(&digest), "{scope}");
        story.resume(scope).await;
        story.until_written(PROD, &digest).await;
        story.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_ends_at_its_time_and_refuses_promote_until_then() {
    let mut story = Story::new(&chain(""), BOTH).await;
    story.start().await;
    story.until_why("dev", "SetIncomplete").await;
    let clock = tagrelay::daemon::Clock::Shifted(story.shift.clone());
    let until = clock.now().saturating_add(jiff::SignedDuration::from_hours(1)).expect("a time");
    story.hold("shop/prod", Some(until)).await;
    let digest = story.push("dev", 1);
    story.until_at("dev", &digest, "verified").await;
    let refused = story.promote("prod", None).await;
    assert!(matches!(&refused, Err(Refusal::Conflict(why)) if why.contains("the fair")), "{refused:?}");
    story.wait(Duration::from_secs(3600));
    story.until_written(PROD, &digest).await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resume_takes_nobody_elses_hold() {
    let mut story = Story::new(&chain(""), BOTH).await;
    story.start().await;
    story.until_why("dev", "SetIncomplete").await;
    for (who, scope, reason) in
        [("alice", "shop/prod", "the fair"), ("bob", "shop/prod", "an audit"), ("bob", "*", "all")]
    {
        let hold = Command::Hold { scope: named(scope), reason: reason.to_owned(), until: None };
        story.command(who, hold).await.expect("held");
    }
    let resume = |scope: &'static str, of: Option<&str>| Command::Resume {
        scope: named(scope),
        of: of.map(str::to_owned),
        every: false,
    };
    let holds = || async { story.view("prod").await.expect("prod").holds.len() };
    let refused = story.command("alice", resume("shop/prod", None)).await;
    let Err(Refusal::Ambiguous(list)) = &refused else { panic!("{refused:?}") };
    assert!(list.contains("tagrelay resume shop/prod --of bob"), "{list}");
    let refused = story.command("alice", resume("shop/prod", Some("carol"))).await;
    assert!(matches!(&refused, Err(Refusal::NotFound(why)) if why.contains("an audit")), "{refused:?}");
    assert_eq!(holds().await, 3, "nothing was lifted");
    let said = story.command("alice", resume("shop/prod", Some("alice"))).await.expect("resumed");
    assert!(said.contains("the fair") && !said.contains("an audit"), "{said}");
    assert_eq!(holds().await, 2);
    let said = story.command("alice", resume("shop/prod", None)).await.expect("resumed");
    assert!(said.contains("an audit"), "{said}");
    let said = story.command("alice", resume("*", None)).await.expect("resumed");
    assert!(said.contains("held by bob: all"), "{said}");
    assert_eq!(holds().await, 0);
    story.stop().await;
    story.start().await;
    story.until_why("dev", "SetIncomplete").await;
    assert!(story.view("prod").await.expect("prod").holds.is_empty(), "the journal says the same");
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_file_holds_and_deleting_it_resumes() {
    for (name, holds_dev) in [("HOLD", true), ("HOLD.prod", false), ("HOLD.shop", true)] {
        let mut story = Story::new(&chain(""), BOTH).await;
        let file = format!("policies/{name}");
        story.commit(&file, Some("the fair\n")).await;
        let digest = story.push("dev", 1);
        story.start().await;
        story.until_why("prod", "HeldByFile").await;
        story.looked_again().await;
        assert_eq!(story.file(DEV).await.contains(&digest), !holds_dev, "{name}");
        story.resume("*").await;
        story.looked_again().await;
        let why = story.view("prod").await.expect("prod").why;
        let words: Vec<String> = why.iter().map(ToString::to_string).collect();
        assert!(words.iter().any(|w| w.contains("Bob") && w.contains(name) && w.contains("the fair")), "{words:?}");
        story.commit(&file, None).await;
        story.until_written(PROD, &digest).await;
        story.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspended_policy_waits() {
    let suspended = chain("").replace("settle: 0s", "settle: 0s\nsuspend: true");
    let mut story = Story::new(&suspended, BOTH).await;
    let digest = story.push("dev", 1);
    story.start().await;
    story.until_why("dev", "Suspended").await;
    story.looked_again().await;
    assert_eq!(story.n_commits().await, 0);
    story.commit("policies/shop.yaml", Some(&chain(""))).await;
    story.until_written(PROD, &digest).await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_auto_a_person_begins_and_a_later_order_replaces_an_earlier() {
    let mut story = Story::new(&chain("auto: false\ngates: { soak: 1h }"), BOTH).await;
    let first = story.push("dev", 1);
    story.start().await;
    story.until_at("dev", &first, "verified").await;
    story.until_why("prod", "NotAutomatic").await;
    story.promote("prod", None).await.expect("ordered");
    let second = story.push("dev", 2);
    story.until_at("dev", &second, "verified").await;
    story.promote("prod", Some(&second)).await.expect("ordered");
    story.wait(Duration::from_secs(3600));
    story.until_written(PROD, &second).await;
    story.until_at("prod", &second, "verified").await;
    assert!(!story.log_of("prod").await.iter().any(|message| message.contains(&first)));
    assert!(story.view("prod").await.expect("prod").holds.is_empty(), "it is what the policy would choose");
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn force_passes_gates_and_a_hold_and_keeps_its_reason() {
    let mut story = Story::new(&chain("gates: { soak: 1h }"), BOTH).await;
    let digest = story.push("dev", 1);
    story.start().await;
    story.until_why("prod", "StillSoaking").await;
    story.hold("shop", None).await;
    story.force("prod", None).await.expect("ordered");
    story.until_at("prod", &digest, "verified").await;
    assert!(story.log_of("prod").await[0].contains("forced by alice: the pager"));
    story.until_why("prod", "Held").await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_the_policy_would_not_give_holds_on_arrival() {
    let mut story = Story::new(&chain(""), BOTH).await;
    let first = story.push("dev", 1);
    story.start().await;
    story.until_at("prod", &first, "verified").await;
    let second = story.push("dev", 2);
    story.until_at("prod", &second, "verified").await;
    story.promote("prod", Some(&first)).await.expect("ordered");
    story.until_at("prod", &first, "verified").await;
    let holds = story.view("prod").await.expect("prod").holds;
    assert!(holds.len() == 1 && holds[0].who == "alice", "{holds:?}");
    let third = story.push("dev", 3);
    story.until_at("dev", &third, "verified").await;
    story.looked_again().await;
    assert!(story.file(PROD).await.contains(&first));
    story.resume("shop/prod").await;
    story.until_at("prod", &third, "verified").await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_followed_tag_that_is_moved_back_holds_until_it_is_resumed_and_then_waits() {
    let mut story = Story::new(&chain(""), BOTH).await;
    let first = story.push("dev", 1);
    story.start().await;
    story.until_at("dev", &first, "verified").await;
    let second = story.push("dev", 2);
    story.until_at("prod", &second, "verified").await;
    story.push("dev", 1);
    story.until_why("dev", "Held").await;
    story.resume("shop/dev").await;
    story.looked_again().await;
    assert!(story.file(DEV).await.contains(&second));
    assert_eq!(story.why("dev").await, ["MovedBack"]);
    let third = story.push("dev", 3);
    story.until_at("prod", &third, "verified").await;
    story.stop().await;
}
