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
    let (before, begun) = ((git(), registry()), std::time::Instant::now());
    story.until("both are asked", || async { git() >= before.0 + 3 && registry() >= before.1 + 3 }).await;
    let asked = (git() - before.0, registry() - before.1);
    let polls = usize::try_from(begun.elapsed().as_secs()).expect("a short time") + 1;
    assert!(asked.0 <= 2 * polls + 2 && asked.1 <= polls + 1, "{asked:?} in {polls} polls");
    story.stop().await;
}
