//! A place and a name stay with whoever was there first, by whatever kind of target, policy or repository others name them.

use super::people::{BOTH, PROD, chain};
use super::world::Story;

/// Wants what `shop/prod` writes, in another policy, by other keys, through another name of the repository.
const SANDBOX: &str = "apiVersion: tagrelay/v1
name: aaa
images: [REGISTRY/shop]
settle: 0s
poll: 1s
environments:
  - name: sandbox
    select: { follow: sandbox }
    write: [{ helm: deployment/prod/kustomization.yaml, keys: { tag: 'images[0].newTag' } }]
    deliver: { repository: self }
";

/// Whether an environment of `aaa` says this reason; none where there is no such policy.
async fn says(story: &Story, code: &str) -> Option<bool> {
    let status = story.status().await;
    let policy = status.policies.into_iter().find(|policy| policy.name.as_str() == "aaa")?;
    Some(policy.environments.iter().any(|environment| environment.why.iter().any(|why| why.code() == code)))
}

async fn until_broken(story: &Story, text: &str) {
    let what = format!("somebody is told `{text}`");
    let is_told = || async {
        let status = story.status().await;
        status.broken.iter().any(|told| told.contains(text))
    };
    story.until(&what, is_told).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newcomer_takes_neither_a_place_nor_a_name() {
    let mut story = Story::new(&chain(""), BOTH).await;
    let alias = format!(
        "repositories:\n  alias: {{ url: \"{}\", policies: others/, plain_http: true }}\n",
        story.deploys.url()
    );
    story.config = story.config.replacen("repositories:\n", &alias, 1);
    let first = story.push("dev", 1);
    story.start().await;
    story.until_written(PROD, &first).await;

    story.stop().await;
    story.commit("others/aaa.yaml", Some(SANDBOX)).await;
    story.commit("others/shop.yaml", Some(&chain(""))).await;
    story.push("sandbox", 9);
    // Whatever is read first after a start, the journal knows who was there.
    story.start().await;
    story.until("the newcomer is stopped", || async { says(&story, "PlaceTaken").await == Some(true) }).await;
    until_broken(&story, "both want `0/images/").await;
    until_broken(&story, "the name `shop` belongs to default:policies/shop.yaml").await;
    let second = story.push("dev", 2);
    story.until_written(PROD, &second).await;

    // Once nobody else is there, the place is free.
    story.commit("others/shop.yaml", None).await;
    story.commit("policies/shop.yaml", None).await;
    story.until("the place is free", || async { says(&story, "PlaceTaken").await == Some(false) }).await;
    story.stop().await;
}
