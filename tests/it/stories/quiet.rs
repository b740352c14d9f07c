//! A world in which nothing happens is asked for what may have changed, once each time that the policy says.

use super::people::{BOTH, chain};
use super::world::Story;
use axum::http::Method;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rest_costs_one_question_a_poll() {
    let mut story = Story::new(&chain(""), BOTH).await;
    let first = story.push("dev", 1);
    story.start().await;
    story.until_at("prod", &first, "verified").await;
    story.looked_again().await;
    let git = || story.world.git.face.count(&Method::GET, "") + story.world.git.face.count(&Method::POST, "");
    let registry =
        || story.world.registry.face.count(&Method::GET, "") + story.world.registry.face.count(&Method::HEAD, "");
    let before = (git(), registry());
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let asked = (git() - before.0, registry() - before.1);
    assert!((2..=8).contains(&asked.0) && (2..=4).contains(&asked.1), "{asked:?} in three seconds");
    story.stop().await;
}
