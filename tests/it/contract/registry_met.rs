//! What it costs to meet a tag that nothing is known of, and what a tag that lies is met with, on the sandbox.

use super::registry::{repository, sandbox, tag};
use axum::http::Method;
use tagrelay::clients::http::{Transport, uncounted};
use tagrelay::clients::registry::{Credentials, HostSettings, Registry, RegistryError};
use tagrelay::model::{BuildFacts, Digest, Provider, Repository, Tag};
use tagrelay::sandbox::fault::{Fault, Rule};
use tagrelay::sandbox::registry::{self as stand_in, Auth, ImageSpec};

const MADE: &str = "2026-11-01T10:00:00Z";

fn client(provider: Provider) -> Registry {
    let settings = move |_: &str| HostSettings {
        provider,
        amazon: None,
        endpoint: None,
        transport: Transport { plain_http: true, ..Transport::default() },
        pull: Credentials::Anonymous,
        push: None,
    };
    Registry::new(settings, uncounted())
}

/// A registry with an image, 1.0, and an index of two, 2.0.
async fn shop() -> (stand_in::Registry, Repository) {
    let (registry, place) = sandbox(Auth::None).await;
    registry.push_image("shop", "1.0", &ImageSpec::new("1", MADE)).expect("pushed");
    let index = ImageSpec::new("2", MADE).platforms(&["linux/amd64", "linux/arm64"]);
    registry.push_image("shop", "2.0", &index).expect("pushed");
    (registry, repository(&place.host, "shop"))
}

/// What a tag names and the facts of that.
async fn met(ours: &Registry, repository: &Repository, tag: &Tag) -> Result<(Digest, BuildFacts), RegistryError> {
    let met = ours.meet(repository, tag).await?.expect("a tag");
    let facts = ours.facts_of(repository, &met).await?;
    Ok((met.digest, facts))
}

#[tokio::test]
async fn a_tag_is_met_by_its_manifest_and_on_docker_hub_by_its_digest_first() {
    let (registry, repository) = shop().await;
    let check = async |provider: Provider, name: &str, expected: (usize, usize, usize)| {
        let (ours, tag) = (client(provider), tag(name));
        let digest = ours.digest(&repository, &tag).await.expect("an answer").expect("a digest");
        let facts = ours.facts(&repository, &digest).await.expect("facts");
        registry.face.forget();
        assert_eq!(met(&ours, &repository, &tag).await, Ok((digest, facts)), "{provider:?} {name}");
        let count = |method: Method, path: &str| registry.face.count(&method, path);
        let asked = (count(Method::HEAD, "/"), count(Method::GET, "/manifests/"), count(Method::GET, "/blobs/"));
        assert_eq!(asked, expected, "{provider:?} {name}");
    };
    check(Provider::Distribution, "1.0", (0, 1, 1)).await;
    check(Provider::Distribution, "2.0", (0, 2, 1)).await;
    check(Provider::Dockerhub, "1.0", (1, 1, 1)).await;
    check(Provider::Dockerhub, "2.0", (1, 2, 1)).await;
}

#[tokio::test]
async fn who_knows_the_digest_asks_no_further() {
    let (registry, repository) = shop().await;
    let check = async |provider: Provider, method: Method| {
        registry.face.forget();
        let met = client(provider).meet(&repository, &tag("2.0")).await.expect("an answer").expect("a tag");
        assert_eq!(Some(met.digest.to_string()), registry.digest_of("shop", "2.0"));
        assert_eq!((registry.face.requests().len(), registry.face.count(&method, "/manifests/2.0")), (1, 1));
    };
    check(Provider::Distribution, Method::GET).await;
    check(Provider::Dockerhub, Method::HEAD).await;
}

#[tokio::test]
async fn a_tag_that_is_not_there_is_none() {
    let (_registry, here) = shop().await;
    for provider in [Provider::Distribution, Provider::Dockerhub] {
        for at in [&here, &repository(here.host(), "nowhere")] {
            assert!(client(provider).meet(at, &tag("3.0")).await.expect("an answer").is_none(), "{provider:?} {at}");
        }
    }
}

#[tokio::test]
async fn a_manifest_has_the_digest_that_it_comes_with() {
    let (registry, repository) = shop().await;
    let check = async |fault: Fault, expected: &str| {
        registry.face.faults.clear();
        registry.face.faults.add(Rule::every(fault).path("/v2/shop/manifests/1.0"));
        let error = met(&client(Provider::Distribution), &repository, &tag("1.0")).await.expect_err("a lie");
        assert!(matches!(&error, RegistryError::Invalid(text) if text.contains(expected)), "{error}");
    };
    check(Fault::lying_digest(), "/v2/shop/manifests/1.0: the manifest does not have the digest that it came with")
        .await;
    check(Fault::Endless, "larger than").await;
    check(Fault::answer(200).body("application/json", "{}"), "no manifest").await;
    registry.face.faults.clear();
    for header in [None, Some("sha512:00")] {
        registry.face.faults.add(Rule::every(Fault::header("docker-content-digest", header)));
        let (digest, _) = met(&client(Provider::Distribution), &repository, &tag("1.0")).await.expect("met");
        assert_eq!(Some(digest.to_string()), registry.digest_of("shop", "1.0"), "{header:?}");
    }
}
