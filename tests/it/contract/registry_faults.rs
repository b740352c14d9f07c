//! Registries that are slow to trust, busy, broken, lying or hostile, as our client meets them on the sandbox.

use super::registry::{basic, cleared, client, repository, sandbox, tag};
use super::tags;
use axum::body::Body;
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use reqwest::Url;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tagrelay::clients::http::{Answered, Transport, uncounted};
use tagrelay::clients::registry::{Credentials, HostSettings, Last, Registry, RegistryError, Retagged};
use tagrelay::model::{Digest, Provider, Repository};
use tagrelay::sandbox::fault::{Fault, Moment, Rule};
use tagrelay::sandbox::registry::{self as stand_in, Auth, Bearer, ImageSpec, refusing};

fn spec(content: &str) -> ImageSpec {
    ImageSpec::new(content, "2026-11-01T10:00:00Z")
}

/// A registry with one image, 1.0, and its repository and digest.
async fn shop(auth: Auth) -> (stand_in::Registry, Repository, Digest) {
    let (registry, place) = sandbox(auth).await;
    let digest = registry.push_image("team/shop", "1.0", &spec("1.0")).expect("pushed");
    let repository = repository(&place.host, "team/shop");
    (registry, repository, Digest::parse(&digest).expect("a digest"))
}

fn bot() -> Registry {
    client(basic("bot", "hunter2"), Some(basic("bot", "hunter2")))
}

fn nobody() -> Registry {
    client(Credentials::Anonymous, None)
}

fn bearer() -> Auth {
    Auth::Bearer(Bearer::default())
}

#[tokio::test]
async fn tags_come_from_all_pages() {
    let (registry, repository, _) = shop(Auth::None).await;
    for number in 0..25 {
        registry.push_image("team/shop", &format!("2.{number}"), &spec("2")).expect("pushed");
    }
    registry.cap_pages(Some(4));
    let listed = tags(&nobody(), &repository).await.expect("tags");
    assert_eq!(listed.len(), 26);
    assert!(listed.is_sorted());
    assert_eq!(registry.face.count(&Method::GET, "/tags/list"), 7);
}

#[tokio::test]
async fn few_lists_of_one_host_are_read_at_once() {
    let (registry, repository, digest) = shop(Auth::None).await;
    let nobody = nobody();
    // A host that answers well may be asked much at once.
    for _ in 0..80 {
        nobody.facts(&repository, &digest).await.expect("facts");
    }
    registry.face.faults.add(Rule::every(Fault::Delay(Moment::Before, Duration::from_millis(300))));
    registry.face.forget();
    let mut lists = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let (nobody, repository) = (nobody.clone(), repository.clone());
        lists.spawn(async move { tags(&nobody, &repository).await.expect("tags").len() });
    }
    let mut most = 0;
    while !lists.is_empty() {
        most = most.max(registry.face.requests().iter().filter(|asked| asked.status.is_none()).count());
        tokio::time::sleep(Duration::from_millis(5)).await;
        while let Some(listed) = lists.try_join_next() {
            assert_eq!(listed.expect("it ends"), 1);
        }
    }
    assert_eq!(most, 4);
}

#[tokio::test]
async fn fifty_repositories_with_the_largest_answers_take_the_share_of_their_host_and_keep_no_other_waiting() {
    let nobody = nobody();
    let (hostile, repository_of_it, digest) = shop(Auth::None).await;
    let (_well, well, of_it) = shop(Auth::None).await;
    // As many values as a manifest may hold, and lists without an end.
    let dense =
        format!("{{\"schemaVersion\":2,\"manifests\":[{}{{}}]}}", "{\"digest\":\"\"},".repeat((4 << 20) / 14 - 4));
    let dense = Fault::answer(200).body("application/json", dense);
    for n in 0..50 {
        hostile.face.faults.add(Rule::every(dense.clone()).path(&format!("/v2/team/shop-{n}/manifests/")));
        hostile.face.faults.add(Rule::every(Fault::Endless).path(&format!("/v2/team/shop-{n}/tags/list")));
    }
    let mut readings = tokio::task::JoinSet::new();
    for n in 0..50 {
        let (nobody, digest) = (nobody.clone(), digest.clone());
        let place = repository(repository_of_it.host(), &format!("team/shop-{n}"));
        readings.spawn(async move {
            if n < 8 { tags(&nobody, &place).await.map(drop) } else { nobody.facts(&place, &digest).await.map(drop) }
        });
    }
    assert!(nobody.facts(&well, &of_it).await.is_ok(), "another host is read meanwhile");
    assert_eq!(tags(&nobody, &well).await.expect("tags").len(), 1);
    while let Some(read) = readings.join_next().await {
        let error = read.expect("no panic").expect_err("nothing sensible");
        assert!(matches!(error, RegistryError::Invalid(_) | RegistryError::Busy { .. }), "{error:?}");
    }
    assert!(nobody.facts(&well, &of_it).await.is_ok(), "what they took was given back");
}

#[tokio::test]
async fn hosts_that_answer_slowly_keep_no_others_waiting() {
    let nobody = nobody();
    let mut slow = Vec::new();
    let mut lists = tokio::task::JoinSet::new();
    for _ in 0..2 {
        let (registry, repository, digest) = shop(Auth::None).await;
        // A host that answers well may be asked much at once.
        for _ in 0..80 {
            nobody.facts(&repository, &digest).await.expect("facts");
        }
        registry.face.faults.add(Rule::every(Fault::Delay(Moment::Before, Duration::from_secs(60))));
        for _ in 0..4 {
            let (nobody, repository) = (nobody.clone(), repository.clone());
            lists.spawn(async move { tags(&nobody, &repository).await.map(drop) });
        }
        slow.push(registry);
    }
    let (_registry, repository, _) = shop(Auth::None).await;
    let waited = |slow: &[stand_in::Registry]| {
        slow.iter().flat_map(|slow| slow.face.requests()).filter(|asked| asked.status.is_none()).count()
    };
    while waited(&slow) < 8 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let listed = tokio::time::timeout(Duration::from_secs(20), tags(&nobody, &repository)).await.expect("at once");
    assert_eq!(listed.expect("tags").len(), 1);
    assert_eq!(waited(&slow), 8, "while the others are waited for");
}

#[tokio::test]
async fn a_list_that_is_as_it_was_is_recognised() {
    let (registry, repository, _) = shop(Auth::None).await;
    registry.cap_pages(Some(1));
    registry.push_image("team/shop", "2.0", &spec("2")).expect("pushed");
    let nobody = nobody();
    let list = async |last: Option<&dyn Last>| nobody.list(&repository, false, last).await.expect("a list");
    let first = list(None).await.expect("new");
    assert!(list(Some(&first)).await.is_none(), "by the bytes of its pages");
    registry.push_image("team/shop", "2.1", &spec("3")).expect("pushed");
    assert_eq!(list(Some(&first)).await.map(|listing| listing.tags.len()), Some(3));
    registry.face.faults.add(Rule::once(Fault::header("etag", Some("\"v1\""))));
    registry.cap_pages(None);
    let named = list(None).await.expect("new");
    registry.face.faults.add(Rule::once(Fault::answer(304)));
    assert!(list(Some(&named)).await.is_none(), "by the registry's own word");
    let asked = registry.face.requests().pop().expect("a request");
    assert_eq!(asked.headers.get("if-none-match").and_then(|value| value.to_str().ok()), Some("\"v1\""));
}

#[tokio::test]
async fn a_list_of_tags_that_makes_no_sense_is_invalid() {
    let (registry, repository, _) = shop(Auth::None).await;
    let own = format!("http://{}/v2/team/shop/tags/list?n=1000", repository.host());
    let json = |text: &'static str| Fault::answer(200).body("application/json", text);
    for (fault, passes) in [
        (Fault::next_page(&own), false),
        (Fault::next_page("http://127.0.0.1:1/v2/team/shop/tags/list"), false),
        (Fault::html(), false),
        (Fault::CutBody, true),
        (json("{}"), false),
        (json(r#"{"name":"team/shop","tags":[1]}"#), false),
        (Fault::answer(307).with("location", "/v2/team/shop/tags/list"), true),
        (Fault::answer(307).with("location", "ftp://127.0.0.1/"), true),
    ] {
        registry.face.faults.add(Rule::every(fault.clone()));
        let error = tags(&nobody(), &repository).await.expect_err("nonsense");
        let expected = if passes {
            matches!(error, RegistryError::Unreachable(_))
        } else {
            matches!(error, RegistryError::Invalid(_))
        };
        assert!(expected, "{fault:?}: {error}");
        registry.face.faults.clear();
    }
    let odd = json(r#"{"name":"team/shop","tags":["ok","no tag","../x","ok"]}"#);
    registry.face.faults.add(Rule::once(odd));
    assert_eq!(tags(&nobody(), &repository).await, Ok(vec!["ok".to_owned()]));
    registry.face.faults.add(Rule::once(json(r#"{"name":"team/shop","tags":null}"#)));
    assert_eq!(tags(&nobody(), &repository).await, Ok(vec![]));
}

#[tokio::test]
async fn one_token_serves_a_repository_until_it_ends() {
    for expired in [401, 403, 400] {
        let (registry, repository, digest) = shop(Auth::Bearer(Bearer { expired, ..Bearer::default() })).await;
        let bot = bot();
        for _ in 0..3 {
            tags(&bot, &repository).await.expect("tags");
            bot.digest(&repository, &tag("1.0")).await.expect("an answer");
            bot.facts(&repository, &digest).await.expect("facts");
        }
        assert_eq!(registry.token_requests(), 1);
        registry.expire_tokens();
        assert_eq!(bot.digest(&repository, &tag("1.0")).await, Ok(Some(digest.clone())), "by HEAD, {expired}");
        registry.expire_tokens();
        assert_eq!(tags(&bot, &repository).await, Ok(vec!["1.0".to_owned()]), "by GET, {expired}");
        assert_eq!(registry.token_requests(), 3);
        let (cleared, shop) = cleared(&digest);
        assert_eq!(bot.retag(&cleared, &shop, &repository, &tag("prod")).await, Ok(Retagged::Moved));
        assert_eq!(registry.token_requests(), 4, "a push has a token of its own");
    }
}

#[tokio::test]
async fn many_who_ask_at_once_share_one_token() {
    let (registry, repository, _) = shop(bearer()).await;
    let bot = bot();
    tags(&bot, &repository).await.expect("tags");
    registry.expire_tokens();
    let head = || async { bot.digest(&repository, &tag("1.0")).await.expect("an answer") };
    tokio::join!(head(), head(), head(), head(), head());
    assert_eq!(registry.token_requests(), 2);
}

#[tokio::test]
async fn a_host_with_a_token_for_each_repository_is_learned_once() {
    let (registry, first, _) = shop(bearer()).await;
    let bot = bot();
    for name in ["a", "b", "c"] {
        registry.push_image(name, "1.0", &spec(name)).expect("pushed");
    }
    for at in
        [first.clone(), repository(first.host(), "a"), repository(first.host(), "b"), repository(first.host(), "c")]
    {
        assert_eq!(tags(&bot, &at).await, Ok(vec!["1.0".to_owned()]));
    }
    assert_eq!(registry.token_requests(), 4);
    let refused = registry.face.requests().iter().filter(|asked| asked.status == Some(401)).count();
    assert_eq!(refused, 2, "the challenge, and one token that was not good for another repository");
}

#[tokio::test]
async fn a_token_that_is_good_for_all_repositories_is_fetched_once() {
    let fetched = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&fetched);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let host = listener.local_addr().expect("an address").to_string();
    let challenge = format!("Bearer realm=\"http://{host}/token\",service=\"all\"");
    let answer = async move |request: Request<Body>| {
        if request.uri().path() == "/token" {
            count.fetch_add(1, Ordering::Relaxed);
            return (StatusCode::OK, HeaderMap::new(), r#"{"token":"for-all"}"#);
        }
        let shown = request.headers().get("authorization").is_some_and(|shown| shown == "Bearer for-all");
        match (shown, request.uri().path()) {
            (true, "/v2/gone/tags/list") => (StatusCode::NOT_FOUND, HeaderMap::new(), "{}"),
            (true, _) => (StatusCode::OK, HeaderMap::new(), r#"{"tags":["1.0"]}"#),
            (false, _) => {
                let value = challenge.parse().expect("a header");
                (StatusCode::UNAUTHORIZED, HeaderMap::from_iter([(WWW_AUTHENTICATE, value)]), "")
            }
        }
    };
    drop(tokio::spawn(axum::serve(listener, axum::Router::new().fallback(answer)).into_future()));
    let nobody = nobody();
    for name in ["a", "b", "c"] {
        assert_eq!(tags(&nobody, &repository(&host, name)).await, Ok(vec!["1.0".to_owned()]));
    }
    assert_eq!(fetched.load(Ordering::Relaxed), 1);
    assert!(matches!(tags(&nobody, &repository(&host, "gone")).await, Err(RegistryError::Absent(_))));
    assert_eq!(fetched.load(Ordering::Relaxed), 2, "what a borrowed token does not find is sought with our own");
}

#[tokio::test]
async fn a_refusal_names_the_credentials_and_keeps_the_secret() {
    let check = async |auth: Auth, pull: Credentials, expected: &str| {
        let (registry, repository, digest) = shop(auth).await;
        registry.add_account("reader", "pw", false);
        let reader = client(pull.clone(), Some(pull));
        let (cleared, shop) = cleared(&digest);
        let error = reader.retag(&cleared, &shop, &repository, &tag("prod")).await.expect_err("refused");
        let text = error.to_string();
        assert!(matches!(error, RegistryError::Refused(_)), "{text}");
        assert!(text.contains(expected) && !text.contains("hunter3"), "{text}");
        assert_eq!(registry.digest_of("team/shop", "prod"), None);
        assert!(registry.face.requests().len() < 12, "it gives up");
    };
    check(Auth::Basic, basic("bot", "hunter3"), "answered 401 to `bot`").await;
    check(bearer(), basic("bot", "hunter3"), "incorrect username or password) to `bot`").await;
    check(Auth::Basic, Credentials::Anonymous, "to nobody (no credentials are configured)").await;
    check(bearer(), Credentials::Anonymous, "to nobody (no credentials are configured)").await;
    check(Auth::Basic, basic("reader", "pw"), "403 (DENIED: requested access").await;
    check(bearer(), basic("reader", "pw"), "to `reader`").await;
}

#[tokio::test]
async fn nobody_pushes_without_credentials_for_it() {
    let (registry, repository, digest) = shop(Auth::None).await;
    let (cleared, shop) = cleared(&digest);
    let refused = nobody().retag(&cleared, &shop, &repository, &tag("prod")).await;
    assert!(matches!(refused, Err(RegistryError::Refused(_))), "{refused:?}");
    assert!(registry.face.requests().is_empty());
}

#[tokio::test]
async fn a_changed_password_is_used_at_once() {
    let (registry, repository, _) = shop(bearer()).await;
    let password = Arc::new(Mutex::new("old"));
    let current = Arc::clone(&password);
    let transport = Transport { plain_http: true, ..Transport::default() };
    let settings = move |_: &str| HostSettings {
        provider: Provider::Distribution,
        amazon: None,
        endpoint: None,
        transport: transport.clone(),
        pull: basic("bot", *current.lock().expect("a lock")),
        push: None,
    };
    let rotating = Registry::new(settings, uncounted());
    assert!(matches!(tags(&rotating, &repository).await, Err(RegistryError::Refused(_))));
    *password.lock().expect("a lock") = "hunter2";
    assert_eq!(tags(&rotating, &repository).await, Ok(vec!["1.0".to_owned()]));
    assert_eq!(registry.token_requests(), 2);
}

#[tokio::test]
async fn a_busy_host_is_left_alone() {
    let (registry, repository, _) = shop(Auth::None).await;
    let busy = refusing(429, "TOOMANYREQUESTS", "slow down").with("retry-after", "30");
    registry.face.faults.add(Rule::once(busy));
    let nobody = nobody();
    for asked in 0..3 {
        let error = nobody.digest(&repository, &tag("1.0")).await.expect_err("busy");
        let RegistryError::Busy { retry_after: Some(wait), .. } = error else { panic!("{asked}: {error}") };
        assert!(wait > Duration::from_secs(28) && wait <= Duration::from_secs(30), "{wait:?}");
    }
    assert_eq!(registry.face.requests().len(), 1, "the second and third were not sent");

    let (registry, repository, digest) = shop(Auth::None).await;
    registry.face.faults.add(Rule::once(Fault::answer(503)));
    let error = nobody.digest(&repository, &tag("1.0")).await.expect_err("busy");
    assert!(matches!(error, RegistryError::Busy { retry_after: None, .. }), "{error}");
    assert_eq!(nobody.digest(&repository, &tag("1.0")).await, Ok(Some(digest)), "it did not ask for patience");
}

#[tokio::test]
async fn an_allowance_that_is_used_up_is_waited_for() {
    let (registry, repository, digest) = shop(Auth::None).await;
    registry.face.faults.add(Rule::once(Fault::header("ratelimit-remaining", Some("0;w=21600"))));
    let nobody = nobody();
    assert_eq!(nobody.digest(&repository, &tag("1.0")).await, Ok(Some(digest)), "the answer itself is good");
    let error = tags(&nobody, &repository).await.expect_err("left alone");
    assert!(matches!(error, RegistryError::Busy { retry_after: Some(_), .. }), "{error}");
    assert_eq!(registry.face.requests().len(), 1, "whatever is asked of the host");
}

#[tokio::test]
async fn a_dead_host_is_asked_seldom_until_it_answers() {
    let (registry, repository, digest) = shop(Auth::None).await;
    registry.face.faults.add(Rule::every(Fault::Drop(Moment::Before)));
    let nobody = nobody();
    let ask = async || nobody.digest(&repository, &tag("1.0")).await;
    for _ in 0..3 {
        assert!(matches!(ask().await, Err(RegistryError::Unreachable(_))));
    }
    let sent = registry.face.requests().len();
    let error = ask().await.expect_err("left alone");
    let RegistryError::Busy { retry_after: Some(wait), message } = error else { panic!("{error}") };
    assert!(message.contains("not sent") && wait <= Duration::from_secs(2), "{message}: {wait:?}");
    assert!(nobody.hosts().iter().all(|host| host.shut.is_some()));
    registry.face.faults.clear();
    tokio::time::sleep(wait).await;
    let (first, second) = tokio::join!(ask(), ask());
    assert_eq!((first, second), (Ok(Some(digest.clone())), Ok(Some(digest))), "one waits for the other's probe");
    assert_eq!(registry.face.requests().len(), sent + 2);
    assert!(nobody.hosts().iter().all(|host| host.shut.is_none()));
}

#[tokio::test]
async fn every_request_is_counted() {
    let (registry, repository, digest) = shop(bearer()).await;
    let counted = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&counted);
    let transport = Transport { plain_http: true, ..Transport::default() };
    let settings = move |_: &str| HostSettings {
        provider: Provider::Distribution,
        amazon: None,
        endpoint: None,
        transport: transport.clone(),
        pull: basic("bot", "hunter2"),
        push: None,
    };
    let counter = Arc::new(move |url: &Url, _: Option<Answered>| {
        assert_eq!(url.host_str(), Some("127.0.0.1"));
        count.fetch_add(1, Ordering::Relaxed);
    });
    Registry::new(settings, counter).facts(&repository, &digest).await.expect("facts");
    assert_eq!(counted.load(Ordering::Relaxed), 4, "a challenge, a token, a manifest, a config");
    assert_eq!(registry.face.requests().len(), 4);
}

#[tokio::test]
async fn a_digest_is_found_without_the_header() {
    let (registry, repository, digest) = shop(Auth::None).await;
    registry.face.faults.add(Rule::every(Fault::header("docker-content-digest", None)));
    assert_eq!(nobody().digest(&repository, &tag("1.0")).await, Ok(Some(digest.clone())));
    registry.face.faults.add(Rule::every(Fault::answer(405)).method(Method::HEAD));
    assert_eq!(nobody().digest(&repository, &tag("1.0")).await, Ok(Some(digest)));
}

#[tokio::test]
async fn lies_about_builds_are_invalid_and_gateways_pass() {
    let (registry, repository, digest) = shop(Auth::None).await;
    let other = registry.push_image("team/shop", "2.0", &spec("2.0")).expect("pushed");
    let lie = |path: &str, fault: Fault| {
        registry.face.faults.clear();
        registry.face.faults.add(Rule::every(fault).path(path));
    };
    let facts = async || nobody().facts(&repository, &digest).await.expect_err("a lie");
    let json = |text: &str| Fault::answer(200).body("application/json", text.to_owned());
    let manifests = "/v2/team/shop/manifests/";
    for fault in [
        json(r#"{"schemaVersion":1,"tag":"1.0"}"#),
        json(r#"{"schemaVersion":2,"config":{"digest":"x"}}"#),
        Fault::Endless,
    ] {
        lie(manifests, fault.clone());
        let error = facts().await;
        assert!(matches!(error, RegistryError::Invalid(_)), "{fault:?}: {error}");
    }
    for fault in [json("{}"), Fault::Endless] {
        lie("/v2/team/shop/blobs/", fault.clone());
        let error = facts().await;
        assert!(matches!(error, RegistryError::Invalid(_)), "{fault:?}: {error}");
    }
    // A page or a redirect that leads nowhere is a gateway's answer: it passes, and no build counts as unreadable for it.
    let round = Fault::answer(307).with("location", &format!("{manifests}{other}"));
    for (path, fault) in [(manifests, Fault::html()), ("/v2/team/shop/blobs/", Fault::html()), (manifests, round)] {
        lie(path, fault.clone());
        let error = facts().await;
        assert!(matches!(error, RegistryError::Unreachable(_)), "{path} {fault:?}: {error}");
    }
    lie(manifests, Fault::html());
    assert!(matches!(nobody().digest(&repository, &tag("1.0")).await, Err(RegistryError::Unreachable(_))));
}

#[tokio::test]
async fn a_redirect_to_another_host_is_followed_without_credentials() {
    let (registry, repository, digest) = shop(Auth::Basic).await;
    let (storage, _, same) = shop(Auth::None).await;
    assert_eq!(digest, same, "equal specifications give equal bytes");
    let bot = bot();
    tags(&bot, &repository).await.expect("tags");
    for kind in ["blobs", "manifests"] {
        storage.face.forget();
        registry.face.faults.clear();
        // Sends everything of this kind on to the other host.
        let names = if kind == "manifests" { vec![digest.to_string()] } else { blobs(&storage, &digest).await };
        for name in names {
            let path = format!("/v2/team/shop/{kind}/{name}");
            let away = Fault::answer(307).with("location", &format!("{}{path}", storage.face.url()));
            registry.face.faults.add(Rule::every(away).path(&path));
        }
        bot.facts(&repository, &digest).await.expect("facts");
        let asked = storage.face.requests();
        assert!(!asked.is_empty(), "{kind}");
        assert!(asked.iter().all(|asked| !asked.headers.contains_key("authorization")), "{kind}: {asked:?}");
    }
}

/// The blobs of a build that are read: its config.
async fn blobs(registry: &stand_in::Registry, digest: &Digest) -> Vec<String> {
    let at = repository(&registry.host(), "team/shop");
    nobody().facts(&at, digest).await.expect("facts");
    let asked = registry.face.requests();
    let blobs = asked.iter().filter_map(|asked| asked.path.strip_prefix("/v2/team/shop/blobs/").map(str::to_owned));
    let blobs = blobs.collect();
    registry.face.forget();
    blobs
}

#[tokio::test]
async fn a_realm_that_gives_no_token_is_told() {
    for (fault, expected) in [
        (Fault::html(), "holds no token"),
        (Fault::answer(302).with("location", "/elsewhere"), "answered 302"),
        (Fault::answer(500), "answered 500"),
        (Fault::answer(404), "answered 404"),
        (Fault::Endless, "the token is larger than"),
        (Fault::Drop(Moment::Before), "is the address right"),
    ] {
        let (registry, repository, _) = shop(bearer()).await;
        registry.face.faults.add(Rule::every(fault).path("/token"));
        let error = tags(&bot(), &repository).await.expect_err("no token").to_string();
        assert!(error.contains(expected) && error.contains("/token"), "{error}");
    }
    let realm = Some("ftp://127.0.0.1/token".to_owned());
    let (_registry, repository, _) = shop(Auth::Bearer(Bearer { realm, ..Bearer::default() })).await;
    let error = tags(&bot(), &repository).await.expect_err("no token").to_string();
    assert!(error.contains("ftp://127.0.0.1/token is refused: it is no web address"), "{error}");
}

#[tokio::test]
async fn a_tag_that_may_not_move_is_immutable() {
    for fault in [
        refusing(412, "PRECONDITION", "tag configured as immutable, cannot be updated"),
        refusing(400, "TAG_INVALID", "cannot be overwritten because the repository is immutable"),
    ] {
        let (registry, repository, digest) = shop(bearer()).await;
        registry.face.faults.add(Rule::every(fault).method(Method::PUT));
        let (cleared, shop) = cleared(&digest);
        let error = bot().retag(&cleared, &shop, &repository, &tag("prod")).await.expect_err("immutable");
        assert!(matches!(error, RegistryError::Immutable(_)), "{error}");
        assert_eq!(registry.face.count(&Method::PUT, "/manifests/prod"), 1, "{error}");
    }
}

#[tokio::test]
async fn a_push_whose_answer_is_lost_is_found_done() {
    let (registry, repository, digest) = shop(Auth::None).await;
    let bot = bot();
    let (cleared, shop) = cleared(&digest);
    registry.face.faults.add(Rule::once(Fault::Drop(Moment::After)).method(Method::PUT));
    let lost = bot.retag(&cleared, &shop, &repository, &tag("prod")).await;
    assert!(matches!(lost, Err(RegistryError::Unreachable(_))), "{lost:?}");
    assert_eq!(bot.retag(&cleared, &shop, &repository, &tag("prod")).await, Ok(Retagged::AlreadyThere));
    assert_eq!(registry.face.count(&Method::PUT, "/manifests/prod"), 1);
}

#[tokio::test]
async fn a_push_that_is_not_there_afterwards_is_told() {
    let (registry, repository, digest) = shop(Auth::None).await;
    registry.face.faults.add(Rule::once(Fault::answer(201)).method(Method::PUT));
    let (cleared, shop) = cleared(&digest);
    let error = bot().retag(&cleared, &shop, &repository, &tag("prod")).await.expect_err("no such tag");
    assert!(matches!(error, RegistryError::Invalid(_)), "{error}");
}

#[tokio::test]
async fn dockers_config_is_used() {
    let (_registry, repository, _) = shop(bearer()).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("config.json");
    let write = |key: &str, password: &str| {
        let config = serde_json::json!({ "auths": { key: { "username": "bot", "password": password } } });
        std::fs::write(&file, config.to_string()).expect("written");
    };
    let docker = client(Credentials::Docker { file: file.clone() }, None);
    let error = tags(&docker, &repository).await.expect_err("no file").to_string();
    assert!(error.contains("docker has no config.json"), "{error}");
    write(repository.host(), "wrong");
    let error = tags(&docker, &repository).await.expect_err("wrong").to_string();
    assert!(error.contains("`bot` of docker's config.json"), "{error}");
    write(&format!("{}/team", repository.host()), "hunter2");
    assert_eq!(tags(&docker, &repository).await, Ok(vec!["1.0".to_owned()]));
}
