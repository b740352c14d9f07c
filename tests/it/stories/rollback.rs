//! A person orders a release back: order, hold and refusal at once, and to the end, whatever happens meanwhile.

use super::people::{BOTH, PROD, chain};
use super::world::Story;
use tagrelay::daemon::Refusal;
use tagrelay::sandbox::fault::{Fault, Moment, Rule};
use tokio_util::sync::CancellationToken;

/// A world whose prod ran the first build, then the second, both verified.
async fn two_verified() -> (Story, String, String) {
    let mut story = Story::new(&chain(""), BOTH).await;
    let first = story.push("dev", 1);
    story.start().await;
    story.until_at("prod", &first, "verified").await;
    let second = story.push("dev", 2);
    story.until_at("prod", &second, "verified").await;
    (story, first, second)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_verified_release_comes_back_and_the_one_left_stays_away() {
    let (mut story, first, second) = two_verified().await;
    let said = story.rollback("prod", None).await.expect("ordered");
    assert!(said.contains("refuses"), "{said}");
    story.until_at("prod", &first, "verified").await;
    let view = story.view("prod").await.expect("prod");
    assert!(view.holds.len() == 1 && view.holds[0].who == "alice", "{:?}", view.holds);
    assert!(view.refusals.len() == 1 && view.refusals[0].release.digests[0].1.as_str() == second);
    assert!(story.log_of("prod").await[0].contains("rollback ordered by alice: it smokes"));
    story.resume("shop/prod").await;
    story.looked_again().await;
    assert!(story.file(PROD).await.contains(&first), "resuming lifts no refusal");
    let third = story.push("dev", 3);
    story.until_at("prod", &third, "verified").await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_target_is_named_by_id_tag_or_digest_and_must_exist() {
    let (mut story, first, _) = two_verified().await;
    let third = story.push("dev", 3);
    story.until_at("prod", &third, "verified").await;
    let id = story.view("dev").await.expect("dev").current.expect("a rollout").release.expect("a release").id;
    story.hold("shop/prod", None).await;
    let fourth = story.push("dev", 4);
    story.until_at("dev", &fourth, "verified").await;
    story.looked_again().await;
    let before = story.handle().history(None, None, 1).await.expect("a history")[0].sequence;
    let unknown = story.rollback("prod", Some("nothing")).await;
    assert!(matches!(unknown, Err(Refusal::NotFound(_))), "{unknown:?}");
    let several = story.rollback("prod", Some("dev")).await;
    assert!(matches!(several, Err(Refusal::Ambiguous(_))), "{several:?}");
    let itself = story.rollback("prod", Some(&third)).await;
    assert!(matches!(itself, Err(Refusal::Conflict(_))), "{itself:?}");
    let elsewhere = story.rollback("prod", Some(&fourth)).await;
    assert!(matches!(&elsewhere, Err(Refusal::Conflict(why)) if why.contains("never ran here")), "{elsewhere:?}");
    assert!(story.world.registry.remove("shop", &first));
    let gone = story.rollback("prod", Some(&first)).await;
    assert!(matches!(&gone, Err(Refusal::Conflict(why)) if why.contains("cannot be brought back")), "{gone:?}");
    story.looked_again().await;
    let after = story.handle().history(None, None, 1).await.expect("a history")[0].sequence;
    assert_eq!(before, after, "nothing was kept");
    assert!(story.file(PROD).await.contains(&third));
    story.push("dev", 1);
    story.rollback("prod", Some(&first)).await.expect("ordered");
    story.until_at("prod", &first, "verified").await;
    story.rollback("prod", Some(id.as_str())).await.expect("ordered, held as it is");
    story.until_at("prod", &third, "verified").await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_completed_after_a_stop() {
    let (mut story, first, second) = two_verified().await;
    story.rollback("prod", None).await.expect("ordered");
    story.stop().await;
    story.start().await;
    story.until_at("prod", &first, "verified").await;
    story.looked_again().await;
    assert_eq!(story.log_of("prod").await.len(), 3, "once");
    assert!(!story.file(PROD).await.contains(&second));
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_waits_for_no_registry_that_hangs_and_holds_up_nobody() {
    let (mut story, _, second) = two_verified().await;
    let (answers, registry) = (CancellationToken::new(), &story.world.registry.face);
    // What was asked before is answered before.
    story.looked_again().await;
    registry.forget();
    registry.faults.add(Rule::every(Fault::until(Moment::Before, &answers)));
    let mut rolled_back = Box::pin(story.rollback("prod", None));
    let others = async {
        story.until("the registry is asked", || async { !registry.requests().is_empty() }).await;
        story.status().await;
        story.view("prod").await.expect("prod")
    };
    tokio::select! {
        _ = &mut rolled_back => panic!("the registry has not answered yet"),
        _ = others => {}
    }
    registry.faults.clear();
    answers.cancel();
    rolled_back.await.expect("ordered");
    story.until("it is gone", || async { !story.file(PROD).await.contains(&second) }).await;
    story.stop().await;
}
