//! What a copy from repository to repository owes both: the same digests, on the sandbox and on real registries
//! (`TAGRELAY_REAL_REGISTRY`, and `TAGRELAY_REAL_REGISTRY_2` for another host), whatever breaks on the way.

use super::real;
use super::registry::{Place, basic, cleared, client, config, repository, sandbox, tag};
use reqwest::{Method, Url};
use serde_json::Value;
use tagrelay::clients::http::{Transport, uncounted};
use tagrelay::clients::registry::{Carriage, Copied, Credentials, HostSettings, Registry, RegistryError};
use tagrelay::model::{Digest, ImageName, Provider, Repository};
use tagrelay::sandbox::fault::{Fault, Moment, Rule};
use tagrelay::sandbox::registry::{self as stand_in, Auth, Bearer, ImageSpec};

fn carriage(from: &Repository, to: &Repository, named: Option<&str>) -> Carriage {
    let image = ImageName::parse("shop").expect("a name");
    Carriage { image, from: from.clone(), to: to.clone(), tag: named.map(tag) }
}

async fn copy(ours: &Registry, digest: &Digest, from: &Repository, to: &Repository) -> Result<Copied, RegistryError> {
    ours.copy(&cleared(digest).0, &carriage(from, to, Some("1.0"))).await
}

/// A client that knows several hosts, each by its own user.
fn knowing(places: &[&Place]) -> Registry {
    let users: Vec<(String, Option<(String, String)>)> =
        places.iter().map(|place| (place.host.clone(), place.user.clone())).collect();
    let settings = move |host: &str| {
        let user = users.iter().find(|(known, _)| known == host).and_then(|(_, user)| user.clone());
        let credentials = user.map_or(Credentials::Anonymous, |(user, password)| basic(&user, &password));
        let transport = Transport { plain_http: true, ..Transport::default() };
        HostSettings {
            provider: Provider::Distribution,
            amazon: None,
            endpoint: None,
            transport,
            pull: credentials.clone(),
            push: Some(credentials),
        }
    };
    Registry::new(settings, uncounted())
}

/// Copies what another client pushed, twice.
async fn arrives(from: &Place, to: &Place, mounts: bool) {
    let ours = knowing(&[from, to]);
    let (source, target) = (from.repository("copied"), to.repository("prod"));
    let digest = from.push(&source, "1.0", config("amd64")).await;
    let copied = copy(&ours, &digest, &source, &target).await.expect("copied");
    assert_eq!(copied.mounted > 0, mounts, "{copied:?}");
    assert_eq!(ours.digest(&target, &tag("1.0")).await, Ok(Some(digest.clone())));
    assert_eq!(ours.facts(&target, &digest).await, ours.facts(&source, &digest).await);
    let again = copy(&ours, &digest, &source, &target).await;
    assert_eq!(again, Ok(Copied::default()), "nothing is sent again");
}

#[tokio::test]
async fn a_build_arrives_in_another_repository_of_the_sandbox() {
    for auth in [Auth::None, Auth::Basic, Auth::Bearer(Bearer::default())] {
        let (_registry, place) = sandbox(auth).await;
        arrives(&place, &place, true).await;
    }
}

#[tokio::test]
async fn a_build_arrives_at_another_host_of_the_sandbox() {
    let (_from, from) = sandbox(Auth::None).await;
    for auth in [Auth::Basic, Auth::Bearer(Bearer::default())] {
        let (_to, to) = sandbox(auth).await;
        arrives(&from, &to, false).await;
    }
}

#[tokio::test]
async fn a_realm_that_refuses_the_scope_of_mounts_is_asked_without_it() {
    for status in [401, 403] {
        let (registry, place) = sandbox(Auth::Bearer(Bearer::default())).await;
        let ours = knowing(&[&place]);
        let digest =
            registry.push_image("shop", "1.0", &ImageSpec::new("new", "2026-11-01T10:00:00Z")).expect("pushed");
        let digest = Digest::parse(&digest).expect("a digest");
        let refused = stand_in::refusing(status, "DENIED", "requested access to the resource is denied");
        registry.face.faults.add(Rule::once(refused.clone()).path("/token"));
        let (source, target) = (repository(&place.host, "shop"), repository(&place.host, "prod/shop"));
        let copied = copy(&ours, &digest, &source, &target).await.expect("streamed");
        assert_eq!(copied.mounted, 0, "{status}");
        assert!(registry.face.requests().iter().all(|asked| !asked.query.contains("mount=")), "{status}");
        assert_eq!(registry.token_requests(), 3, "with and without the scope, and to read");
        registry.face.faults.add(Rule::every(refused).path("/token"));
        let other = repository(&place.host, "test/shop");
        copy(&knowing(&[&place]), &digest, &source, &other).await.expect_err("refused");
    }
}

pub(super) fn place(url: &str) -> Place {
    let url = Url::parse(url).expect("a URL");
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let user = url.password().map(|password| (url.username().to_owned(), password.to_owned()));
    Place { host: format!("{}{port}", url.host_str().expect("a host")), user }
}

#[tokio::test]
async fn a_build_arrives_in_another_repository_of_a_real_registry() {
    let test = "a_build_arrives_in_another_repository_of_a_real_registry";
    let Some(url) = real(test, "TAGRELAY_REAL_REGISTRY") else { return };
    arrives(&place(&url), &place(&url), true).await;
}

#[tokio::test]
async fn a_build_arrives_at_another_real_registry() {
    let test = "a_build_arrives_at_another_real_registry";
    let (Some(one), Some(other)) = (real(test, "TAGRELAY_REAL_REGISTRY"), real(test, "TAGRELAY_REAL_REGISTRY_2"))
    else {
        return;
    };
    arrives(&place(&one), &place(&other), false).await;
    arrives(&place(&other), &place(&one), false).await;
}

/// Two registries of the sandbox, a large image in the first, and where it goes in the second.
struct Pair {
    from: stand_in::Registry,
    to: stand_in::Registry,
    ours: Registry,
    source: Repository,
    target: Repository,
    digest: Digest,
}

/// How large its layer is: two pieces.
const LARGE: usize = 9 << 20;

impl Pair {
    async fn of(spec: ImageSpec) -> Self {
        let ((from, one), (to, other)) = (sandbox(Auth::None).await, sandbox(Auth::Basic).await);
        let digest = from.push_image("shop", "1.0", &spec).expect("pushed");
        let (source, target) = (repository(&one.host, "shop"), repository(&other.host, "prod/shop"));
        let ours = knowing(&[&one, &other]);
        Self { from, to, ours, source, target, digest: Digest::parse(&digest).expect("a digest") }
    }

    async fn large() -> Self {
        Self::of(ImageSpec::new("large", "2026-11-01T10:00:00Z").larger_by(LARGE)).await
    }

    async fn copy(&self) -> Result<Copied, RegistryError> {
        copy(&self.ours, &self.digest, &self.source, &self.target).await
    }
}

#[tokio::test]
async fn an_index_comes_with_its_children_and_what_is_attached_to_it() {
    let spec = ImageSpec::new("many", "2026-11-01T10:00:00Z");
    let pair = Pair::of(spec.platforms(&["linux/amd64", "linux/arm64", "unknown/unknown"])).await;
    let referrer = pair.from.sign("shop", pair.digest.as_str()).expect("signed");
    pair.copy().await.expect("copied");
    let there = pair.to.manifests("prod/shop");
    assert_eq!(there, pair.from.manifests("shop"), "index, three children, two signatures");
    assert_eq!(there.len(), 6);
    assert!(there.contains(&referrer));
    let signature = format!("{}.sig", pair.digest.as_str().replace(':', "-"));
    assert_eq!(pair.to.tags("prod/shop"), ["1.0", signature.as_str()]);
}

#[tokio::test]
async fn what_is_attached_after_a_copy_comes_with_the_next_one() {
    for lists_referrers in [true, false] {
        let pair = Pair::of(ImageSpec::new("signed later", "2026-11-01T10:00:00Z")).await;
        if !lists_referrers {
            let to = &pair.to.face.faults;
            to.add(Rule::every(Fault::answer(404)).method(Method::GET).path("/v2/prod/shop/referrers/"));
            to.add(Rule::every(Fault::header("oci-subject", None)).method(Method::PUT));
        }
        pair.copy().await.expect("copied");
        for n in 1..=2 {
            let referrer = pair.from.sign("shop", pair.digest.as_str()).expect("signed");
            let copied = pair.copy().await.expect("copied");
            assert!(
                copied.manifests > 0 && pair.to.manifests("prod/shop").contains(&referrer),
                "{lists_referrers} {n}"
            );
            let tag = pair.digest.as_str().replace(':', "-");
            assert!(pair.to.digest_of("prod/shop", &format!("{tag}.sig")).is_some());
            assert_eq!(
                pair.to.digest_of("prod/shop", &tag).is_some(),
                !lists_referrers,
                "the list that a client keeps"
            );
        }
        assert_eq!(pair.copy().await, Ok(Copied::default()), "nothing is sent again");
    }
}

#[tokio::test]
async fn signatures_are_found_where_the_registry_keeps_no_list_of_them() {
    let pair = Pair::of(ImageSpec::new("signed", "2026-11-01T10:00:00Z")).await;
    let mut referrers: Vec<String> =
        (0..3).map(|_| pair.from.sign("shop", pair.digest.as_str()).expect("signed")).collect();
    referrers.sort();
    pair.from.cap_pages(Some(1));
    let to = &pair.to.face.faults;
    to.add(Rule::every(Fault::answer(404)).method(Method::GET).path("/v2/prod/shop/referrers/"));
    to.add(Rule::every(Fault::header("oci-subject", None)).method(Method::PUT));
    let tag = pair.digest.as_str().replace(':', "-");
    let path = format!("/v2/prod/shop/manifests/{tag}");
    to.add(Rule::once(stand_in::refusing(403, "DENIED", "denied")).method(Method::PUT).path(&path));
    pair.copy().await.expect_err("broken off between the referrers and their index");
    pair.copy().await.expect("copied");
    let index = pair.to.digest_of("prod/shop", &tag).expect("an index");
    let url = format!("{}/v2/prod/shop/manifests/{index}", pair.to.face.url());
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().expect("a client");
    let asked = client.get(url).basic_auth("bot", Some("hunter2"));
    let index: Value = asked
        .header("accept", "application/vnd.oci.image.index.v1+json")
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    let named = index["manifests"].as_array().expect("a list").iter().map(|entry| entry["digest"].as_str());
    assert_eq!(named.flatten().collect::<Vec<_>>(), referrers);
}

#[tokio::test]
async fn what_breaks_on_the_way_is_taken_up_again() {
    let blob = || Rule::once(Fault::CutBody).method(Method::GET).path("/v2/shop/blobs/");
    let patch = |fault: Fault| Rule::once(fault).method(Method::PATCH);
    for (at_source, rule) in [
        (true, blob()),
        (true, Rule::once(Fault::answer(502)).method(Method::GET).path("/v2/shop/blobs/")),
        (false, patch(Fault::answer(500))),
        (false, patch(Fault::Drop(Moment::Before))),
        (false, patch(Fault::Drop(Moment::After))),
        (false, Rule::once(Fault::answer(500)).method(Method::PUT).path("/v2/prod/shop/blobs/")),
    ] {
        let pair = Pair::large().await;
        let said = format!("{rule:?}");
        if at_source { &pair.from } else { &pair.to }.face.faults.add(rule);
        pair.copy().await.unwrap_or_else(|error| panic!("{said}: {error}"));
        assert_eq!(pair.to.digest_of("prod/shop", "1.0").as_deref(), Some(pair.digest.as_str()), "{said}");
    }
}

#[tokio::test]
async fn a_busy_registry_is_waited_for_in_the_middle_of_an_upload() {
    let busy = || Fault::answer(429).with("retry-after", "1");
    let blob = || Rule::once(busy()).method(Method::GET).path("/v2/shop/blobs/");
    for (at_source, rule) in [
        (true, blob()),
        (false, Rule::every(busy()).method(Method::PATCH).times(2)),
        (false, Rule::once(Fault::answer(503)).method(Method::PATCH)),
        (false, Rule::once(busy()).method(Method::PUT).path("/v2/prod/shop/blobs/")),
        (false, Rule::once(Fault::Drop(Moment::After)).method(Method::PUT).path("/v2/prod/shop/blobs/")),
    ] {
        let pair = Pair::large().await;
        let said = format!("{rule:?}");
        if at_source { &pair.from } else { &pair.to }.face.faults.add(rule);
        pair.copy().await.unwrap_or_else(|error| panic!("{said}: {error}"));
        assert_eq!(pair.to.digest_of("prod/shop", "1.0").as_deref(), Some(pair.digest.as_str()), "{said}");
        let begun = pair
            .to
            .face
            .requests()
            .iter()
            .filter(|asked| asked.method == Method::POST && asked.status == Some(202))
            .count();
        assert_eq!(begun, 2, "{said}: one upload for each blob");
    }
}

#[tokio::test]
async fn an_upload_that_is_given_up_is_ended() {
    let pair = Pair::large().await;
    // Where it stands cannot be asked, and it goes on after the host was busy.
    let to = &pair.to.face.faults;
    to.add(Rule::every(Fault::answer(404)).method(Method::GET).path("/v2/prod/shop/blobs/uploads/"));
    to.add(Rule::once(Fault::answer(503).with("retry-after", "1")).method(Method::PATCH));
    let refused = stand_in::refusing(403, "DENIED", "requested access to the resource is denied");
    to.add(Rule::every(refused).method(Method::PATCH));
    pair.copy().await.expect_err("refused");
    assert_eq!(pair.to.face.count(&Method::DELETE, "/v2/prod/shop/blobs/uploads/"), 1);
    assert_eq!(pair.to.face.count(&Method::PATCH, "/v2/prod/shop/blobs/uploads/"), 2);
}

#[tokio::test]
async fn a_registry_that_cannot_begin_in_the_middle_is_read_past() {
    let pair = Pair::large().await;
    for fault in [Fault::CutBody, Fault::CutBody, Fault::Header(reqwest::header::RANGE, None)] {
        pair.from.face.faults.add(Rule::once(fault).method(Method::GET).path("/v2/shop/blobs/"));
    }
    pair.copy().await.expect("copied");
}

#[tokio::test]
async fn bytes_that_have_another_digest_are_not_handed_on() {
    let pair = Pair::of(ImageSpec::new("small", "2026-11-01T10:00:00Z")).await;
    let wrong = Fault::answer(200).body("application/octet-stream", vec![b'x'; "small for linux/amd64\n".len()]);
    pair.from.face.faults.add(Rule::every(wrong).method(Method::GET).path("/v2/shop/blobs/"));
    let error = pair.copy().await.expect_err("wrong bytes");
    assert!(pair.to.manifests("prod/shop").is_empty());
    assert!(matches!(error, RegistryError::Invalid(_)), "{error}");
    let text = error.to_string();
    assert!(text.starts_with("copying ") && text.contains("bytes that came have the digest"), "{text}");
}

#[tokio::test]
async fn a_refusal_names_blob_host_and_status() {
    let pair = Pair::large().await;
    let refused = stand_in::refusing(403, "DENIED", "requested access to the resource is denied");
    pair.to.face.faults.add(Rule::every(refused).method(Method::POST));
    let error = pair.copy().await.expect_err("refused");
    assert!(matches!(error, RegistryError::Refused(_)), "{error}");
    let text = error.to_string();
    for part in ["copying ", "blob ", &pair.to.host(), "403", "check these credentials under `registries`"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let nobody = client(Credentials::Anonymous, None);
    let error = copy(&nobody, &pair.digest, &pair.source, &pair.target).await.expect_err("refused");
    assert!(error.to_string().contains("set `push` for"), "{error}");
}

#[tokio::test]
async fn an_upload_at_another_host_gets_no_credentials() {
    let pair = Pair::large().await;
    let (trap, _) = sandbox(Auth::None).await;
    let elsewhere = format!("http://{}/v2/prod/shop/blobs/uploads/upload-1", trap.host());
    pair.to.face.faults.add(Rule::every(Fault::header("location", Some(&elsewhere))).method(Method::POST));
    pair.copy().await.expect_err("the other host knows no such upload");
    let asked = trap.face.requests();
    assert!(!asked.is_empty());
    assert!(asked.iter().all(|asked| !asked.headers.contains_key("authorization")));
}

#[tokio::test]
async fn a_tag_of_the_destination_is_never_moved() {
    let pair = Pair::of(ImageSpec::new("new", "2026-11-01T10:00:00Z")).await;
    let other = ImageSpec::new("other", "2026-11-01T10:00:00Z");
    let other = pair.to.push_image("prod/shop", "1.0", &other).expect("pushed");
    let copied = pair.copy().await.expect("copied");
    assert_eq!(copied.tag_names.as_ref().map(Digest::as_str), Some(other.as_str()));
    assert_eq!(pair.to.digest_of("prod/shop", "1.0"), Some(other));
    assert!(pair.to.manifests("prod/shop").contains(&pair.digest.as_str().to_owned()));
}
