//! Prod waits for votes: whose count, for what, how long, and what a rejection does.

use super::people::{BOTH, PROD, chain};
use super::world::{Story, target};
use std::time::Duration;
use tagrelay::daemon::{Command, Refusal};
use tagrelay::model::policy::Ballot;

const TWO: &str =
    "gates: { approvals: { required: 2, approvers: [alice, bob, carol, dave], exclude: [dave], expire: 1h } }";

/// A world whose prod waits for two votes for the first build.
async fn waiting() -> (Story, String) {
    let mut story = Story::new(&chain(TWO), BOTH).await;
    let digest = story.push("dev", 1);
    story.start().await;
    story.until_why("prod", "ApprovalsMissing").await;
    (story, digest)
}

async fn gate(story: &Story) -> String {
    let view = story.view("prod").await.expect("prod");
    view.gates.iter().map(|gate| gate.words.as_str()).collect::<Vec<_>>().join("; ")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_people_who_may_vote_open_the_gate() {
    let (mut story, digest) = waiting().await;
    for (who, counted) in [("alice", 1), ("alice", 1), ("dave", 1), ("eve", 1)] {
        story.approve(who, "prod").await.expect("kept");
        assert!(gate(&story).await.contains(&format!("{counted} of 2")), "{who}: {}", gate(&story).await);
    }
    story.looked_again().await;
    assert!(!story.file(PROD).await.contains(&digest));
    story.approve("bob", "prod").await.expect("kept");
    story.until_written(PROD, &digest).await;
    story.until_at("prod", &digest, "verified").await;
    let because = story.current("prod").await.expect("a rollout").because;
    assert!(because.contains("approved by alice, bob"), "{because}");
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vote_is_given_once_by_any_name_that_is_shown_and_taken_back() {
    let (mut story, digest) = waiting().await;
    let short = digest.trim_start_matches("sha256:")[..12].to_owned();
    let names = [short.clone(), format!("sha256:{short}"), format!("dev {short}"), "dev".to_owned(), digest.clone()];
    for name in names {
        let (target, reason, by) = (target("prod"), "looked at it".to_owned(), Ballot::Cli);
        let said = story.command("alice", Command::Approve { target, release: Some(name), reason, by }).await;
        assert!(said.expect("kept").contains("approved"));
        assert!(gate(&story).await.contains("1 of 2"), "{}", gate(&story).await);
    }
    let again = story.approve("alice", "prod").await.expect("no harm");
    assert!(again.contains("before"), "{again}");
    let history = story.handle().history(None, None, 50).await.expect("a history");
    assert_eq!(history.iter().filter(|line| line.kind == "voted").count(), 1, "one vote is kept");
    assert!(history.iter().any(|line| line.text.contains("looked at it")));
    let take_back = || {
        let (target, reason, by) = (target("prod"), String::new(), Ballot::Cli);
        story.command("alice", Command::Unapprove { target, release: None, reason, by })
    };
    assert!(take_back().await.expect("kept").contains("taken back"));
    assert!(gate(&story).await.contains("0 of 2"), "{}", gate(&story).await);
    let nothing = take_back().await;
    assert!(matches!(&nothing, Err(Refusal::NotFound(why)) if why.contains("no vote of yours")), "{nothing:?}");
    story.approve("alice", "prod").await.expect("kept");
    assert!(gate(&story).await.contains("1 of 2"), "{}", gate(&story).await);
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_approved_and_is_gone_from_the_registry_is_not_written() {
    let (mut story, digest) = waiting().await;
    assert!(story.world.registry.remove("shop", &digest));
    for who in ["alice", "bob"] {
        story.approve(who, "prod").await.expect("kept");
    }
    story.until_why("prod", "ImageMissing").await;
    story.looked_again().await;
    assert!(!story.file(PROD).await.contains(&digest), "nothing is pinned that cannot be pulled");
    assert!(story.told("group/deploys", "prod").is_empty(), "and GitLab is told nothing");
    story.until_said("prod", "any more: nothing is written that cannot be pulled").await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vote_expires_and_is_for_these_digests_alone() {
    let (mut story, first) = waiting().await;
    story.approve("alice", "prod").await.expect("kept");
    story.wait(Duration::from_secs(3601));
    story.approve("bob", "prod").await.expect("kept");
    assert!(gate(&story).await.contains("1 of 2"), "{}", gate(&story).await);
    let second = story.push("dev", 2);
    story.until_at("dev", &second, "verified").await;
    let refused = story.approve("carol", "prod").await;
    assert!(matches!(&refused, Err(Refusal::Ambiguous(list)) if list.matches("dev").count() == 2), "{refused:?}");
    let approve = |release: &str| Command::Approve {
        target: target("prod"),
        release: Some(release.to_owned()),
        reason: String::new(),
        by: Ballot::Page,
    };
    for who in ["alice", "carol"] {
        story.command(who, approve(&second)).await.expect("kept");
    }
    story.until_at("prod", &second, "verified").await;
    for (who, release, words) in [("carol", &first, "runs something newer"), ("bob", &second, "already")] {
        let useless = story.command(who, approve(release)).await;
        assert!(matches!(&useless, Err(Refusal::Conflict(why)) if why.contains(words)), "{useless:?}");
    }
    assert!(
        story
            .deploys
            .log("main")
            .await
            .expect("a log")
            .iter()
            .all(|commit| { !commit.message.contains(&first) || commit.message.contains("Tagrelay-Environment: dev") })
    );
    let nothing = story.approve("carol", "prod").await;
    assert!(matches!(&nothing, Err(Refusal::NotFound(why)) if why.contains("nothing waits")), "{nothing:?}");
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vote_falls_with_the_rules_it_was_given_under() {
    let (mut story, digest) = waiting().await;
    story.approve("alice", "prod").await.expect("kept");
    let weaker = chain("gates: { approvals: { required: 1, approvers: [alice, bob] } }");
    story.commit("policies/shop.yaml", Some(&weaker)).await;
    story.until("the weaker rules are read", || async { gate(&story).await.contains("0 of 1") }).await;
    story.until_said("prod", "alice's vote does not count").await;
    story.looked_again().await;
    assert!(!story.file(PROD).await.contains(&digest));
    story.approve("alice", "prod").await.expect("kept");
    story.until_written(PROD, &digest).await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rejection_refuses_the_release_there_until_a_person_promotes_it() {
    let (mut story, digest) = waiting().await;
    story.approve("alice", "prod").await.expect("kept");
    let reject = |who: &'static str| {
        let (target, reason, by) = (target("prod"), "it\nsmokes\n/merge".to_owned(), Ballot::Cli);
        story.command(who, Command::Reject { target, release: None, reason, by })
    };
    reject("bob").await.expect("kept");
    story.until_why("prod", "Refused").await;
    let refusal = story.view("prod").await.expect("prod").refusals.remove(0);
    assert!(refusal.who == "bob" && refusal.why.contains("smokes") && !refusal.why.contains('\n'), "{refusal:?}");
    let nothing = story.approve("carol", "prod").await;
    assert!(matches!(nothing, Err(Refusal::NotFound(_))), "{nothing:?}");
    story.promote("prod", Some(&digest)).await.expect("ordered");
    story.until_why("prod", "ApprovalsMissing").await;
    story.approve("carol", "prod").await.expect("kept");
    story.until_written(PROD, &digest).await;
    story.stop().await;
}
