//! The registry seen from outside: raw requests for each rule, and `oci-client` as an independent opinion.

use super::*;
use crate::sandbox::effects::Effects;
use crate::sandbox::fault::{Fault, Moment, Rule};
use crate::sandbox::wire;
use reqwest::Response as Answer;
use std::time::Duration;

const ALL_TYPES: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json";

async fn registry() -> Registry {
    Registry::start(Effects::default()).await.expect("a registry")
}

fn spec(content: &str) -> ImageSpec {
    ImageSpec::new(content, "2026-11-01T10:00:00Z")
}

async fn ask(registry: &Registry, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let url = if path.starts_with("http") { path.to_owned() } else { registry.face.url() + path };
    let mut request = wire::client().expect("a client").request(method.parse().expect("a method"), url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body.to_owned()).send().await.expect("an answer")
}

async fn get(registry: &Registry, path: &str) -> Answer {
    ask(registry, "GET", path, &[("accept", ALL_TYPES)], "").await
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

async fn code(answer: Answer) -> (u16, String) {
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap_or_default();
    (status, body["errors"][0]["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn tags_come_in_pages_that_link_on() {
    let registry = registry().await;
    for tag in ["1.0", "1.1", "1.10", "1.2", "latest"] {
        registry.push_image("team/shop", tag, &spec(tag)).expect("pushed");
    }
    let mut path = "/v2/team/shop/tags/list?n=2".to_owned();
    let mut pages = Vec::new();
    loop {
        let answer = get(&registry, &path).await;
        let link = header(&answer, "link").to_owned();
        pages.push(answer.json::<Value>().await.expect("json")["tags"].clone());
        let Some(next) = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")) else { break };
        path = next.to_owned();
    }
    assert_eq!(pages, [json!(["1.0", "1.1"]), json!(["1.10", "1.2"]), json!(["latest"])]);
    registry.cap_pages(Some(3));
    let capped = get(&registry, "/v2/team/shop/tags/list?n=1000").await;
    assert_eq!(header(&capped, "link"), "</v2/team/shop/tags/list?last=1.10&n=3>; rel=\"next\"");
    assert_eq!(code(get(&registry, "/v2/nobody/tags/list").await).await, (404, "NAME_UNKNOWN".into()));
    assert_eq!(
        code(get(&registry, "/v2/team/shop/tags/list?n=-1").await).await,
        (400, "PAGINATION_NUMBER_INVALID".into())
    );
}

#[tokio::test]
async fn manifests_are_given_as_asked() {
    let registry = registry().await;
    let digest =
        registry.push_image("shop", "1.0", &spec("1.0").platforms(&["linux/amd64", "linux/arm64"])).expect("pushed");
    let list = registry.push_image("shop", "docker", &spec("d").docker().platforms(&["linux/amd64"])).expect("pushed");

    let head = ask(&registry, "HEAD", "/v2/shop/manifests/1.0", &[("accept", ALL_TYPES)], "").await;
    assert_eq!((head.status().as_u16(), header(&head, "docker-content-digest")), (200, digest.as_str()));
    assert_eq!(header(&head, "content-type"), OCI_INDEX);
    assert_ne!(header(&head, "content-length"), "0");
    let etag = header(&head, "etag").to_owned();
    let same = ask(&registry, "HEAD", "/v2/shop/manifests/1.0", &[("if-none-match", &etag)], "").await;
    assert_eq!(same.status().as_u16(), 304);

    let body = get(&registry, "/v2/shop/manifests/1.0").await.bytes().await.expect("a body");
    assert_eq!(store::digest(&body), digest);
    let by_digest = get(&registry, &format!("/v2/shop/manifests/{digest}")).await;
    assert_eq!(by_digest.bytes().await.expect("a body"), body);

    let unable = ask(&registry, "GET", "/v2/shop/manifests/1.0", &[("accept", "*/*")], "").await;
    assert_eq!(code(unable).await, (404, "MANIFEST_UNKNOWN".into()));
    let child = ask(&registry, "GET", "/v2/shop/manifests/docker", &[("accept", DOCKER_MANIFEST)], "").await;
    assert_eq!(header(&child, "content-type"), DOCKER_MANIFEST);
    assert_ne!(header(&child, "docker-content-digest"), list);
    assert_eq!(code(get(&registry, "/v2/shop/manifests/9").await).await, (404, "MANIFEST_UNKNOWN".into()));
}

#[tokio::test]
async fn the_same_bytes_under_another_tag_are_the_same_digest() {
    let registry = registry().await;
    let digest = registry.push_image("shop", "dev", &spec("1").platforms(&["linux/amd64"])).expect("pushed");
    let bytes = get(&registry, "/v2/shop/manifests/dev").await.text().await.expect("text");
    let put = |path: &'static str, media_type: &'static str, bytes: String| {
        let registry = &registry;
        async move { ask(registry, "PUT", path, &[("content-type", media_type)], &bytes).await }
    };
    let answer = put("/v2/shop/manifests/staging", OCI_INDEX, bytes.clone()).await;
    assert_eq!((answer.status().as_u16(), header(&answer, "docker-content-digest")), (201, digest.as_str()));
    assert_eq!(registry.digest_of("shop", "staging"), Some(digest));

    let elsewhere = put("/v2/other/manifests/dev", OCI_INDEX, bytes.clone()).await;
    assert_eq!(code(elsewhere).await, (400, "MANIFEST_BLOB_UNKNOWN".into()));
    let mistyped = put("/v2/shop/manifests/x", OCI_MANIFEST, bytes.clone()).await;
    assert_eq!(code(mistyped).await, (400, "MANIFEST_INVALID".into()));
    let misnamed = put("/v2/shop/manifests/sha256:00", OCI_INDEX, bytes).await;
    assert_eq!(code(misnamed).await, (400, "DIGEST_INVALID".into()));

    assert_eq!(ask(&registry, "DELETE", "/v2/shop/manifests/staging", &[], "").await.status().as_u16(), 202);
    assert_eq!(registry.tags("shop"), ["dev"]);
}

#[tokio::test]
async fn blobs_come_in_by_every_road() {
    let registry = registry().await;
    let digest = store::digest(b"hello");
    let posted = ask(&registry, "POST", &format!("/v2/a/blobs/uploads/?digest={digest}"), &[], "hello").await;
    assert_eq!(posted.status().as_u16(), 201);

    let begun = ask(&registry, "POST", "/v2/b/blobs/uploads/", &[], "").await;
    assert_eq!(begun.status().as_u16(), 202);
    let upload = header(&begun, "location").to_owned();
    let part = ask(&registry, "PATCH", &upload, &[("content-range", "0-1")], "he").await;
    assert_eq!((part.status().as_u16(), header(&part, "range")), (202, "0-1"));
    let gap = ask(&registry, "PATCH", &upload, &[("content-range", "3-4")], "lo").await;
    assert_eq!(gap.status().as_u16(), 416);
    let done = ask(&registry, "PUT", &format!("{upload}?digest={digest}"), &[], "llo").await;
    assert_eq!((done.status().as_u16(), header(&done, "docker-content-digest")), (201, digest.as_str()));

    let mount = |from| format!("/v2/c/blobs/uploads/?mount={digest}&from={from}");
    assert_eq!(ask(&registry, "POST", &mount("nobody"), &[], "").await.status().as_u16(), 202);
    assert_eq!(ask(&registry, "POST", &mount("a"), &[], "").await.status().as_u16(), 201);
    let blob = get(&registry, &format!("/v2/c/blobs/{digest}")).await;
    assert_eq!(blob.text().await.expect("text"), "hello");
    assert_eq!(code(get(&registry, "/v2/c/blobs/sha256:00").await).await, (404, "BLOB_UNKNOWN".into()));
}

#[tokio::test]
async fn tokens_open_what_their_scope_says() {
    let registry = registry().await;
    registry.push_image("shop", "1.0", &spec("1.0")).expect("pushed");
    registry.add_account("ci", "s3cret", false);
    registry.require(Auth::Bearer(Bearer { expired: 403, ..Bearer::default() }));

    let refused = get(&registry, "/v2/shop/tags/list").await;
    let expected = format!(
        "Bearer realm=\"{}/token\",service=\"sandbox-registry\",scope=\"repository:shop:pull\"",
        registry.face.url()
    );
    assert_eq!((refused.status().as_u16(), header(&refused, "www-authenticate")), (401, expected.as_str()));

    // "ci:s3cret"
    let basic = [("authorization", "Basic Y2k6czNjcmV0")];
    let scope = "/token?service=sandbox-registry&scope=repository:shop:pull,push";
    let given: Value = ask(&registry, "GET", scope, &basic, "").await.json().await.expect("a token");
    assert_eq!(given["expires_in"], 300);
    let token = format!("Bearer {}", given["token"].as_str().expect("a token"));
    let bearer = [("authorization", token.as_str())];
    assert_eq!(ask(&registry, "GET", "/v2/shop/tags/list", &bearer, "").await.status().as_u16(), 200);
    let push = ask(&registry, "PUT", "/v2/shop/manifests/2", &bearer, "{}").await;
    assert!(
        header(&push, "www-authenticate").ends_with("scope=\"repository:shop:pull,push\",error=\"insufficient_scope\"")
    );

    registry.expire_tokens();
    let expired = ask(&registry, "GET", "/v2/shop/tags/list", &bearer, "").await;
    assert_eq!(code(expired).await, (403, "DENIED".into()));
    let wrong = ask(&registry, "GET", scope, &[("authorization", "Basic Y2k6eA==")], "").await;
    assert_eq!(wrong.status().as_u16(), 401);
    assert_eq!(registry.token_requests(), 2);

    registry.require(Auth::Basic);
    assert!(header(&get(&registry, "/v2/").await, "www-authenticate").starts_with("Basic realm="));
    assert_eq!(ask(&registry, "GET", "/v2/", &basic, "").await.status().as_u16(), 200);
    assert_eq!(code(ask(&registry, "PUT", "/v2/shop/manifests/2", &basic, "{}").await).await, (403, "DENIED".into()));
}

#[tokio::test]
async fn oci_client_pushes_pulls_and_lists() {
    use oci_client::client::{Client, ClientConfig, ClientProtocol, Config, ImageLayer};
    use oci_client::secrets::RegistryAuth;
    let registry = registry().await;
    registry.add_account("ci", "s3cret", true);
    registry.require(Auth::Bearer(Bearer::default()));
    drop(wire::client().expect("installs the TLS provider"));
    let client = Client::new(ClientConfig { protocol: ClientProtocol::Http, ..ClientConfig::default() });
    let reference = format!("{}/team/shop:1.0", registry.host()).parse().expect("a reference");
    let auth = RegistryAuth::Basic("ci".into(), "s3cret".into());
    let layers = [ImageLayer::oci_v1(b"layer".to_vec(), None)];
    let config = Config::oci_v1(b"{\"os\":\"linux\",\"architecture\":\"amd64\"}".to_vec(), None);
    client.push(&reference, &layers, config, &auth, None).await.expect("pushed");
    assert_eq!(registry.tags("team/shop"), ["1.0"]);
    let digest = client.fetch_manifest_digest(&reference, &auth).await.expect("a digest");
    assert_eq!(registry.digest_of("team/shop", "1.0"), Some(digest));
    let tags = client.list_tags(&reference, &auth, None, None).await.expect("tags");
    assert_eq!(tags.tags, ["1.0"]);

    registry.push_image("team/shop", "2.0", &spec("2.0").revision("abc").platforms(&["linux/amd64"])).expect("pushed");
    let second = format!("{}/team/shop:2.0", registry.host()).parse().expect("a reference");
    let (_, _, config) = client.pull_manifest_and_config(&second, &auth).await.expect("a config");
    assert!(config.contains("\"org.opencontainers.image.revision\":\"abc\""), "{config}");
}

#[tokio::test]
async fn faults_befall_the_requests_they_are_for() {
    let registry = Arc::new(registry().await);
    let old = registry.push_image("shop", "dev", &spec("1")).expect("pushed");
    let new = registry.push_image("shop", "next", &spec("2")).expect("pushed");
    let add = |fault| registry.face.faults.add(Rule::once(fault));
    let list = "/v2/shop/tags/list";
    let url = registry.face.url() + list;
    let send = || async { wire::client().expect("a client").get(&url).timeout(Duration::from_secs(1)).send().await };

    add(refusing(429, "TOOMANYREQUESTS", "slow down").with("retry-after", "7"));
    let busy = get(&registry, list).await;
    assert_eq!(header(&busy, "retry-after"), "7");
    assert_eq!(code(busy).await, (429, "TOOMANYREQUESTS".into()));
    add(Fault::html());
    assert!(header(&get(&registry, list).await, "content-type").starts_with("text/html"));
    add(Fault::Drop(Moment::Before));
    assert!(send().await.is_err_and(|error| !error.is_timeout()));
    add(Fault::Delay(Moment::After, Duration::from_secs(5)));
    assert!(send().await.is_err_and(|error| error.is_timeout()));
    add(Fault::CutBody);
    assert!(send().await.expect("a head").bytes().await.is_err());
    add(Fault::Endless);
    assert!(send().await.expect("a head").bytes().await.is_err_and(|error| error.is_timeout()));
    add(Fault::next_page("http://127.0.0.1:9/v2/"));
    assert_eq!(header(&get(&registry, list).await, "link"), "<http://127.0.0.1:9/v2/>; rel=\"next\"");
    assert_eq!(header(&get(&registry, list).await, "link"), "");

    let there = Arc::clone(&registry);
    let moved = new.clone();
    let deed = Fault::meanwhile(Moment::After, move || {
        let (there, moved) = (Arc::clone(&there), moved.clone());
        async move { there.retag("shop", "dev", &moved).expect("moved") }
    });
    registry.face.faults.add(Rule::once(deed).path(list).method(Method::GET));
    assert_eq!(registry.digest_of("shop", "dev"), Some(old));
    get(&registry, list).await;
    assert_eq!(registry.digest_of("shop", "dev"), Some(new));
    assert_eq!(registry.face.requests()[2].status, None, "a reset is no answer");
}

#[tokio::test]
async fn a_stop_at_an_effect_never_answers() {
    let effects = Effects::default();
    let registry = Registry::start(effects.clone()).await.expect("a registry");
    registry.push_image("shop", "dev", &spec("1")).expect("pushed");
    let bytes = get(&registry, "/v2/shop/manifests/dev").await.text().await.expect("text");
    let (called, calls) = std::sync::mpsc::channel();
    for (moment, tag, applied) in [(Moment::Before, "before", false), (Moment::After, "after", true)] {
        let called = called.clone();
        effects.stop_at(effects.count() + 1, moment, move || called.send(()).expect("a listener"));
        let put = wire::client().expect("a client").put(format!("{}/v2/shop/manifests/{tag}", registry.face.url()));
        let put = put.header("content-type", OCI_MANIFEST).body(bytes.clone()).timeout(Duration::from_secs(1));
        assert!(put.send().await.is_err_and(|error| error.is_timeout()));
        calls.try_recv().expect("a call");
        assert_eq!(registry.digest_of("shop", tag).is_some(), applied);
    }
    assert_eq!(effects.count(), 2);
    assert_eq!(effects.seen()[1].path, "/v2/shop/manifests/after");
}
