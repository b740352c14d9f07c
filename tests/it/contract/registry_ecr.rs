//! Amazon ECR: what we need of it, on the sandbox and on moto (`TAGRELAY_REAL_ECR`, its address; credentials, region and
//! `AWS_ENDPOINT_URL` come from the environment, as from any chain).

use super::real;
use super::registry::{cleared, repository, sandbox, tag};
use aws_credential_types::Credentials as Keys;
use aws_credential_types::provider::SharedCredentialsProvider;
use axum::http::Method;
use reqwest::Url;
use serde_json::{Value, json};
use tagrelay::clients::aws::{Api, Caller, Json};
use tagrelay::clients::http::{self, Transport, uncounted};
use tagrelay::clients::registry::{Credentials, HostSettings, Listing, Registry, RegistryError, Retagged};
use tagrelay::model::{Digest, Provider, Repository, TagRef};
use tagrelay::sandbox::fault::{Fault, Rule};
use tagrelay::sandbox::registry::{self as stand_in, Auth, ImageSpec, ecr::ACCESS_KEY, refusing};

/// The account that moto keeps everything in.
const ACCOUNT: &str = "123456789012";

fn client(caller: &Caller, endpoint: &str) -> Registry {
    let (caller, endpoint) = (caller.clone(), Url::parse(endpoint).expect("a URL"));
    let settings = move |_: &str| HostSettings {
        provider: Provider::Ecr,
        amazon: Some(caller.clone()),
        endpoint: Some(endpoint.clone()),
        transport: Transport { plain_http: true, ..Transport::default() },
        pull: Credentials::Amazon,
        push: Some(Credentials::Amazon),
    };
    Registry::new(settings, uncounted())
}

fn caller(key: &str) -> Caller {
    let keys = Keys::new(key, "secret", None, None, "test");
    Caller::of(SharedCredentialsProvider::new(keys), "eu-west-1")
}

/// A sandbox that asks as ECR does, with three images that were pushed in another order than their names have.
async fn shop() -> (stand_in::Registry, Registry, Repository, Vec<Digest>) {
    let (registry, place) = sandbox(Auth::Ecr).await;
    let digests = [("1.0", 300.0), ("1.1", 100.5), ("1.2", 200.0)].map(|(tag, pushed)| {
        let digest = registry.push_image("shop", tag, &ImageSpec::new(tag, "2026-11-01T10:00:00Z")).expect("pushed");
        registry.pushed_at("shop", &digest, pushed);
        Digest::parse(&digest).expect("a digest")
    });
    let ours = client(&caller(ACCESS_KEY), &registry.face.url());
    (registry, ours, repository(&place.host, "shop"), digests.into())
}

fn told(listing: &Listing) -> Vec<(String, String, Option<f64>)> {
    let seconds = |at: jiff::Timestamp| at.as_duration().as_secs_f64();
    listing.told.iter().map(|told| (told.tag.to_string(), told.digest.to_string(), told.pushed.map(seconds))).collect()
}

#[tokio::test]
async fn tags_digests_and_push_times_come_in_one_list() {
    let (registry, ours, shop, digests) = shop().await;
    registry.cap_pages(Some(2));
    let listing = ours.list(&shop, true, None).await.expect("a list").expect("a new one");
    assert_eq!(listing.tags.iter().map(TagRef::as_str).collect::<Vec<_>>(), ["1.0", "1.1", "1.2"]);
    let expected = [("1.0", 300.0), ("1.1", 100.5), ("1.2", 200.0)];
    let expected =
        expected.iter().zip(&digests).map(|((tag, at), digest)| (tag.to_string(), digest.to_string(), Some(*at)));
    assert_eq!(told(&listing), expected.collect::<Vec<_>>());
    assert_eq!(registry.face.count(&Method::POST, "/"), 2, "two pages, and no password is needed for them");
    assert!(ours.list(&shop, true, Some(&listing)).await.expect("a list").is_none(), "nothing changed");
    registry.retag("shop", "prod", digests[1].as_str()).expect("moved");
    let changed = ours.list(&shop, true, Some(&listing)).await.expect("a list").expect("a new one");
    assert_eq!(changed.tags.len(), 4);
}

#[tokio::test]
async fn the_api_is_a_host_of_its_own_that_registries_may_share() {
    let (registry, ours, shop, _) = shop().await;
    let asked = |ours: &Registry| -> Vec<(String, u64)> {
        ours.hosts().into_iter().map(|state| (state.host, state.requests)).collect()
    };
    ours.digest(&shop, &tag("1.0")).await.expect("a password, and its use");
    assert_eq!(asked(&ours), [(registry.host(), registry.face.requests().len() as u64)], "one host, shown once");
    registry.face.forget();
    let ours = client(&caller(ACCESS_KEY), &registry.face.url());
    for host in ["one.example.com", "two.example.com"] {
        ours.list(&repository(host, "shop"), true, None).await.expect("a list");
    }
    let [one, two] = ["one.example.com", "two.example.com"].map(|host| (host.to_owned(), 0));
    assert_eq!(asked(&ours), [(registry.host(), 2), one, two]);
    let throttled = Fault::answer(503).with("retry-after", "60");
    registry.face.faults.add(Rule::once(throttled));
    ours.list(&repository("two.example.com", "shop"), true, None).await.expect_err("busy");
    let shut: Vec<bool> = ours.hosts().into_iter().map(|state| state.shut.is_some()).collect();
    assert_eq!(shut, [true, false, false], "the API is left alone, and no registry");
}

#[tokio::test]
async fn one_password_serves_until_it_is_refused() {
    let (registry, ours, shop, digests) = shop().await;
    for _ in 0..3 {
        assert_eq!(ours.digest(&shop, &tag("1.0")).await, Ok(Some(digests[0].clone())));
    }
    assert_eq!(registry.face.count(&Method::POST, "/"), 1);
    registry.expire_tokens();
    assert_eq!(ours.digest(&shop, &tag("1.0")).await, Ok(Some(digests[0].clone())), "HEAD, which has no text");
    registry.expire_tokens();
    ours.facts(&shop, &digests[0]).await.expect("GET, whose text says it");
    assert_eq!(registry.face.count(&Method::POST, "/"), 3);
}

#[tokio::test]
async fn a_tag_is_moved_and_an_immutable_one_is_named() {
    let (registry, ours, shop, digests) = shop().await;
    let (right, image) = cleared(&digests[1]);
    assert_eq!(ours.retag(&right, &image, &shop, &tag("prod")).await, Ok(Retagged::Moved));
    assert_eq!(ours.retag(&right, &image, &shop, &tag("prod")).await, Ok(Retagged::AlreadyThere));
    // The answer of a repository whose tags are IMMUTABLE, or that names this tag in no exclusion filter.
    let text = "The image tag 'prod' already exists in the 'shop' repository and cannot be overwritten because the tag is immutable.";
    registry.face.faults.add(Rule::once(refusing(400, "TAG_INVALID", text)).method(Method::PUT));
    let error = ours.retag(&cleared(&digests[2]).0, &image, &shop, &tag("prod")).await.expect_err("immutable");
    assert!(matches!(&error, RegistryError::Immutable(text) if text.contains("exclu")), "{error}");
    assert_eq!(ours.digest(&shop, &tag("prod")).await, Ok(Some(digests[1].clone())));
}

#[tokio::test]
async fn failures_say_what_to_do() {
    let (registry, ours, shop, _) = shop().await;
    let absent = repository(shop.host(), "nowhere");
    assert!(
        matches!(ours.list(&absent, true, None).await, Err(RegistryError::Absent(text)) if text.contains("region"))
    );
    let stranger = client(&caller("AKIDNOBODY"), &registry.face.url());
    let refused = stranger.list(&shop, true, None).await.expect_err("a stranger").to_string();
    assert!(refused.contains("UnrecognizedClientException") && refused.contains("ecr:DescribeImages"), "{refused}");
    assert!(!refused.contains("secret"), "{refused}");
    let throttled = json!({ "__type": "ThrottlingException", "message": "Rate exceeded" }).to_string();
    registry.face.faults.add(Rule::once(Fault::answer(400).body("application/json", throttled)));
    assert!(matches!(ours.list(&shop, true, None).await, Err(RegistryError::Busy { retry_after: Some(_), .. })));
    let expired = json!({ "__type": "ExpiredTokenException", "message": "expired" }).to_string();
    registry.face.faults.add(Rule::once(Fault::answer(400).body("application/json", expired)));
    assert!(ours.list(&shop, true, None).await.is_ok(), "asked once more as somebody anew");
}

#[tokio::test]
async fn a_path_of_the_api_is_refused_and_never_dropped() {
    let (registry, _, shop, _) = shop().await;
    let below = client(&caller(ACCESS_KEY), &format!("{}/ecr", registry.face.url()));
    let refused = below.list(&shop, true, None).await.expect_err("a path").to_string();
    assert!(refused.contains("/ecr: not asked") && refused.contains("`endpoint_url`"), "{refused}");
    assert!(registry.face.requests().is_empty());
}

#[tokio::test]
async fn too_many_tags_are_refused() {
    let (registry, ours, shop, digests) = shop().await;
    let tags = vec!["1"; 300_000];
    let page = json!({ "imageDetails": [{ "imageDigest": digests[0].as_str(), "imageTags": tags }] });
    registry.face.faults.add(Rule::once(Fault::answer(200).body("application/json", page.to_string())));
    let error = ours.list(&shop, true, None).await.expect_err("too many");
    let told = "reading it takes more than 56 MiB of memory; remove what is old there";
    assert!(matches!(&error, RegistryError::Invalid(text) if text.contains(told)), "{error}");
}

/// One operation of ECR on moto.
async fn operation(caller: &Caller, endpoint: &Url, name: &str, asked: Value) -> Value {
    let target = format!("AmazonEC2ContainerRegistry_V20150921.{name}");
    let body = asked.to_string().into_bytes();
    let api = Api { endpoint, region: "eu-west-1", service: "ecr", json: Json::V1_1 };
    let request = caller.request(api, &target, body).await.expect("signed");
    let http = http::client(&Transport::default()).expect("a client");
    let response = http.execute(request).await.expect("an answer");
    assert!(response.status().is_success(), "{name}: {}", response.status());
    response.json().await.expect("JSON")
}

#[tokio::test]
async fn moto_tells_of_images_and_gives_passwords_in_a_role() {
    let Some(endpoint) = real("moto_tells_of_images", "TAGRELAY_REAL_ECR") else { return };
    let address = Url::parse(&endpoint).expect("a URL");
    let caller = Caller::of_chain(Some(format!("arn:aws:iam::{ACCOUNT}:role/tagrelay")));
    let name = format!("tagrelay/shop-{}", std::process::id());
    operation(&caller, &address, "CreateRepository", json!({ "repositoryName": name })).await;
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "size": 2, "digest": Digest::of(b"{}").as_str() },
        "layers": [],
    })
    .to_string();
    let digest = Digest::of(manifest.as_bytes());
    for tag in ["1.0", "latest"] {
        let image = json!({
            "repositoryName": name, "imageManifest": manifest, "imageTag": tag, "imageDigest": digest.as_str(),
            "imageManifestMediaType": "application/vnd.oci.image.manifest.v1+json",
        });
        operation(&caller, &address, "PutImage", image).await;
    }
    let ours = client(&caller, &endpoint);
    let shop = repository(&format!("{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com"), &name);
    let listing = ours.list(&shop, true, None).await.expect("a list").expect("a new one");
    let told: Vec<_> =
        listing.told.iter().map(|told| (told.tag.as_str(), &told.digest, told.pushed.is_some())).collect();
    assert_eq!(told, [("1.0", &digest, true), ("latest", &digest, true)]);
    assert!(ours.list(&shop, true, Some(&listing)).await.expect("a list").is_none());
    let absent = repository(shop.host(), "tagrelay/nowhere");
    assert!(matches!(ours.list(&absent, true, None).await, Err(RegistryError::Absent(_))));
    // moto has no registry behind its API: the sandbox stands there, and lets in whoever brings moto's password.
    let (registry, place) = sandbox(Auth::Basic).await;
    registry.add_account("AWS", &format!("{ACCOUNT}-auth-token"), true);
    let pushed = registry.push_image("shop", "1.0", &ImageSpec::new("1", "2026-11-01T10:00:00Z")).expect("pushed");
    let found = ours.digest(&repository(&place.host, "shop"), &tag("1.0")).await;
    assert_eq!(found.map(|digest| digest.map(|digest| digest.to_string())), Ok(Some(pushed)));
}
