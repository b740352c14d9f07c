//! Servers that answer late, or never: whoever needs them waits, and nobody else does.

use super::people::{BOTH, borrowed, chain, with_other};
use super::world::{Story, revision};
use axum::http::Method;
use std::time::Duration;
use tagrelay::sandbox::fault::{Fault, Moment, Rule};
use tagrelay::sandbox::registry::ImageSpec;
use tokio_util::sync::CancellationToken;

/// Longer than any of these stories lasts.
const NEVER: Duration = Duration::from_secs(3600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_git_server_that_answers_late_keeps_the_loop_from_nothing() {
    let mut story = Story::new(&chain(""), BOTH).await;
    story.config = format!("mode: observe\n{}", story.config);
    story.push("dev", 1);
    story.start().await;
    story.until_why("dev", "Observing").await;
    story.world.git.face.faults.add(Rule::every(Fault::Delay(Moment::Before, NEVER)));
    story.world.git.face.forget();
    story.until("the branch is being read", || async { !story.world.git.face.requests().is_empty() }).await;
    let handle = story.handle().clone();
    let plan = tokio::spawn(async move { handle.plan(None).await });
    story.push("dev", 2);
    story.world.registry.face.forget();
    let is_read = || async {
        story.status().await;
        story.world.registry.face.count(&Method::GET, "/blobs/") > 0
    };
    story.until("dev 2 is read, while the loop answers", is_read).await;
    story.world.git.face.faults.clear();
    plan.abort();
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gitlab_that_is_away_keeps_no_registry_from_being_read() {
    let names: Vec<String> = (1..=16).map(|n| format!("v{n}")).collect();
    let environment = |name: &String| {
        let select = format!("select: {{ newest: created, match: '^{name}$', branch: main }}");
        format!("  - {{ name: {name}, {select}, write: [{{ kustomize: deployment/{name} }}] }}\n")
    };
    let environments: String = names.iter().map(environment).collect();
    let policy = format!(
        "apiVersion: tagrelay/v1\nname: shop\nimages: [{{ repository: REGISTRY/shop, source: group/shop }}]\n\
         settle: 0s\npoll: 1s\nenvironments:\n{environments}"
    );
    let mut files = with_other();
    for name in &names {
        files.push((format!("deployment/{name}/kustomization.yaml"), super::new_tag::KUSTOMIZATION.to_owned()));
    }
    let mut story = Story::new(&policy, &borrowed(&files)).await;
    for (n, name) in (1..).zip(&names) {
        story.push(name, n);
    }
    let answers = CancellationToken::new();
    story.world.gitlab.face.faults.add(Rule::every(Fault::until(Moment::Before, &answers)));
    story.start().await;
    let asked = || story.world.gitlab.face.requests();
    story.until("GitLab is asked where many commits are", || async { asked().len() >= 8 }).await;
    let digest = story.push_image("other", "dev", 1);
    story.until_written("other/prod/kustomization.yaml", &digest).await;
    assert!(asked().iter().all(|asked| asked.status.is_none()), "nobody waited for GitLab");
    answers.cancel();
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_comes_to_the_branch_later_becomes_a_candidate() {
    let policy = "apiVersion: tagrelay/v1\nname: shop\nimages: [{ repository: REGISTRY/shop, source: group/shop }]\n\
         settle: 0s\npoll: 1s\nenvironments:\n  - name: dev\n    select: { newest: created, branch: staging }\n    \
         write: [{ kustomize: deployment/dev }]\n";
    let mut story = Story::new(policy, BOTH).await;
    story.shop.add_commit(&revision(1), "staging");
    let first = story.push("v1", 1);
    let spec = ImageSpec::new("shop 2", "2026-01-01T00:02:00Z").revision(&revision(2));
    story.world.registry.push_image("shop", "v2", &spec).expect("pushed");
    story.start().await;
    story.until_at("dev", &first, "verified").await;
    story.looked_again().await;
    assert_eq!(story.n_commits().await, 1);
    story.shop.add_commit(&revision(2), "staging");
    story.wait(Duration::from_secs(61));
    story.until_written(super::people::DEV, "newTag: v2").await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_branch_that_gitlab_does_not_have_is_said_as_that() {
    let policy = "apiVersion: tagrelay/v1\nname: shop\nimages: [{ repository: REGISTRY/shop, source: group/shop }]\n\
         settle: 0s\npoll: 1s\nenvironments:\n  - name: dev\n    select: { newest: created, branch: stage }\n    \
         write: [{ kustomize: deployment/dev }]\n";
    let mut story = Story::new(policy, BOTH).await;
    story.shop.add_commit(&revision(1), "staging");
    story.push("v1", 1);
    story.start().await;
    let said = || async {
        let view = story.view("dev").await;
        view.is_some_and(|view| view.why.iter().any(|why| why.to_string().contains("has no branch `stage`")))
    };
    story.until("the policy's branch is named, and what to correct", said).await;
    story.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_git_server_that_asks_for_patience_is_left_alone() {
    let mut story = Story::new(&chain(""), BOTH).await;
    let first = story.push("dev", 1);
    story.start().await;
    story.until_at("prod", &first, "verified").await;
    let git = &story.world.git.face;
    story.looked_again().await;
    for (fault, least) in [(Fault::answer(429).with("retry-after", "3"), 3), (Fault::answer(500), 2)] {
        let what = format!("{fault:?}");
        git.faults.add(Rule::every(fault));
        git.forget();
        let failed = || git.requests().into_iter().filter(|asked| matches!(asked.status, Some(429 | 500)));
        story.until("it is asked once more", || async { failed().count() >= 2 }).await;
        let at: Vec<_> = failed().map(|asked| asked.at).collect();
        assert!(at[1] - at[0] >= Duration::from_secs(least), "{what}: {at:?}");
        git.faults.clear();
    }
    let second = story.push("dev", 2);
    story.until_at("prod", &second, "verified").await;
    story.stop().await;
}
