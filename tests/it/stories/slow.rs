//! Servers that answer late, or never: whoever needs them waits, and nobody else does.

use super::people::{BOTH, borrowed, chain, with_other};
use super::world::{Story, revision};
use std::time::Duration;
use tagrelay::sandbox::fault::{Fault, Moment, Rule};
use tagrelay::sandbox::registry::ImageSpec;

/// Longer than any of these stories lasts.
const LATE: Duration = Duration::from_secs(30);
/// How soon the daemon answers whoever asks how it stands.
const SOON: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_git_server_that_answers_late_keeps_the_loop_from_nothing() {
    let mut story = Story::new(&chain(""), BOTH).await;
    story.config = format!("mode: observe\n{}", story.config);
    story.push("dev", 1);
    story.start().await;
    story.until_why("dev", "Observing").await;
    story.world.git.face.faults.add(Rule::every(Fault::Delay(Moment::Before, LATE)));
    story.world.git.face.forget();
    story.until("the branch is being read", || async { !story.world.git.face.requests().is_empty() }).await;
    let handle = story.handle().clone();
    let plan = tokio::spawn(async move { handle.plan(None).await });
    story.push("dev", 2);
    story.world.registry.face.forget();
    for _ in 0..20 {
        tokio::time::timeout(SOON, story.handle().status()).await.expect("soon").expect("a status");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(story.world.registry.face.requests().iter().any(|asked| asked.path.contains("/blobs/")), "dev 2 was read");
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
    story.world.gitlab.face.faults.add(Rule::every(Fault::answer(503)));
    story.start().await;
    let asked = || async { story.world.gitlab.face.requests().len() >= 16 };
    story.until("GitLab is asked where many commits are", asked).await;
    let digest = story.push_image("other", "dev", 1);
    let written = story.until_written("other/prod/kustomization.yaml", &digest);
    tokio::time::timeout(LATE / 2, written).await.expect("it does not wait for GitLab");
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
async fn a_git_server_that_asks_for_patience_is_left_alone() {
    let mut story = Story::new(&chain(""), BOTH).await;
    let first = story.push("dev", 1);
    story.start().await;
    story.until_at("prod", &first, "verified").await;
    let git = &story.world.git.face;
    git.faults.add(Rule::every(Fault::answer(429).with("retry-after", "5")));
    git.forget();
    story.until("it asks for patience", || async { !git.requests().is_empty() }).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(git.requests().len(), 1);
    git.faults.clear();
    let second = story.push("dev", 2);
    story.until_at("prod", &second, "verified").await;
    git.faults.add(Rule::every(Fault::answer(500)));
    git.forget();
    story.until("it fails", || async { !git.requests().is_empty() }).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(git.requests().len() <= 3, "at once, after 2 s, after 4 more: {}", git.requests().len());
    story.stop().await;
}
