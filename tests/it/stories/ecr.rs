//! A registry that asks as Amazon ECR does: its images travel as all others, found by Amazon's own API.

use super::world::Story;
use crate::cli::{said, tagrelay};
use axum::http::Method;
use std::process::Command;
use tagrelay::sandbox::registry::Auth;
use tagrelay::sandbox::registry::ecr::ACCESS_KEY;

const FILE: &str = "deployment/dev/kustomization.yaml";
const KUSTOMIZATION: &str = "images:\n  - name: REGISTRY/shop\n    newTag: 0.0.0\n";
/// The newest by the time of its push, which only the API tells; what was verified in dev is retagged for prod.
const POLICY: &str = "
apiVersion: tagrelay/v1
name: shop
images: [REGISTRY/shop]
environments:
  - name: dev
    select: { newest: pushed, match: '^b-' }
    write: [{ kustomize: deployment/dev }]
    evidence: none
  - name: prod
    promote: { from: dev, retag: prod }
    write: []
";

/// A story on such a registry with three builds, the command that takes one of them to both environments, and their
/// digests; who it is at Amazon is left to say.
pub(crate) async fn once() -> (Story, Command, [String; 3]) {
    let mut story = Story::new(POLICY, &[(FILE, KUSTOMIZATION)]).await;
    let registry = &story.world.registry;
    registry.require(Auth::Ecr);
    let digests = [("b-1", 300), ("b-2", 100), ("b-3", 200)].map(|(tag, pushed)| {
        let digest = story.push(tag, pushed);
        registry.pushed_at("shop", &digest, pushed.into());
        digest
    });
    let entry = format!("\"{}\": {{ plain_http: true }}", registry.host());
    let named = format!(
        "\"{}\": {{ plain_http: true, provider: ecr, endpoint_url: \"{}\" }}",
        registry.host(),
        registry.face.url()
    );
    story.config = story.config.replace(&entry, &named);
    let file = story.home.path().join("tagrelay.yaml");
    std::fs::write(&file, &story.config).expect("written");
    let mut command = tagrelay(story.home.path(), ["once"]);
    command.env("TAGRELAY_CONFIG", &file).env("AWS_REGION", "eu-west-1");
    (story, command, digests)
}

/// Runs the command; what it wrote and said, where it went well.
pub(crate) async fn well(story: &Story, mut command: Command) -> String {
    let done = tokio::task::spawn_blocking(move || said(&mut command, "")).await.expect("it ends");
    assert_eq!(done.code, Some(0), "{}", done.err);
    assert!(story.file(FILE).await.contains("newTag: b-1"), "{}\n{}", story.file(FILE).await, done.err);
    done.err
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_push_is_found_by_the_api_and_retagged_with_its_password() {
    let (story, mut command, digests) = once().await;
    command.env("AWS_ACCESS_KEY_ID", ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", "sandbox");
    let told = well(&story, command).await;
    let registry = &story.world.registry;
    assert_eq!(registry.digest_of("shop", "prod").as_ref(), Some(&digests[0]), "{told}");
    assert_eq!(registry.face.count(&Method::GET, "/tags/list"), 0, "the API lists");
    assert!(!told.contains("sandbox-password"), "{told}");
}
