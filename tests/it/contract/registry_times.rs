//! Push times by the providers' own lists: what is asked where and as whom, page after page, and what a refusal means.

use super::registry::{basic, repository, sandbox};
use axum::http::Method;
use reqwest::Url;
use serde_json::{Value, json};
use tagrelay::clients::http::{Transport, uncounted};
use tagrelay::clients::registry::{Credentials, HostSettings, Last, Listing, Registry, RegistryError};
use tagrelay::model::{Provider, Repository};
use tagrelay::sandbox::face::Asked;
use tagrelay::sandbox::fault::{Fault, Moment, Rule};
use tagrelay::sandbox::registry::{self as stand_in, Auth, Bearer, ImageSpec, refusing};

const TIME: &str = "2026-03-01T00:00:00Z";

/// A provider's registry on the sandbox: its client, its repository, and how it answers.
struct Place {
    registry: stand_in::Registry,
    client: Registry,
    repository: Repository,
    digest: String,
}

impl Place {
    /// A registry with the tags 1.0 and 1.1; other APIs than its own are at `endpoint` of it.
    async fn new(provider: Provider, auth: Auth, pull: Credentials, endpoint: Option<&str>) -> Self {
        let (registry, place) = sandbox(auth).await;
        let spec = ImageSpec::new("1", "2026-01-01T00:00:00Z");
        registry.push_image("team/shop", "1.0", &spec).expect("pushed");
        let digest = registry.push_image("team/shop", "1.1", &spec).expect("pushed");
        let endpoint = endpoint.map(|path| Url::parse(&format!("{}{path}", registry.face.url())).expect("a URL"));
        let transport = Transport { plain_http: true, ..Transport::default() };
        let settings = move |_: &str| HostSettings {
            provider,
            amazon: None,
            endpoint: endpoint.clone(),
            transport: transport.clone(),
            pull: pull.clone(),
            push: None,
        };
        let repository = repository(&place.host, "team/shop");
        Self { registry, client: Registry::new(settings, uncounted()), repository, digest }
    }

    fn answers(&self, path: &str, times: u32, fault: Fault) {
        self.registry.face.faults.add(Rule::every(fault).times(times).path(path));
    }

    async fn list(&self, last: Option<&Listing>) -> Result<Option<Listing>, RegistryError> {
        self.client.list(&self.repository, true, last.map(|listing| listing as &dyn Last)).await
    }

    /// What is told, `tag time`.
    async fn told(&self) -> Vec<String> {
        let listing = self.list(None).await.expect("a list").expect("a first one");
        assert_eq!(listing.tags.len(), 2);
        assert!(listing.told.iter().all(|told| told.digest.as_str() == self.digest));
        listing.told.iter().map(|told| format!("{} {}", told.tag, told.pushed.expect("a time"))).collect()
    }

    /// What Harbor says of a build under this tag.
    fn artifact(&self, tag: &str) -> Value {
        json!({ "digest": self.digest, "push_time": TIME, "tags": [{ "name": tag }] })
    }

    fn asked(&self, path: &str) -> Vec<Asked> {
        self.registry.face.requests().into_iter().filter(|asked| asked.path.starts_with(path)).collect()
    }
}

fn answer(body: &Value) -> Fault {
    Fault::answer(200).body("application/json", body.to_string())
}

fn both() -> [String; 2] {
    ["1.1", "1.0"].map(|tag| format!("{tag} {TIME}"))
}

fn bearer() -> Auth {
    Auth::Bearer(Bearer::default())
}

fn bot() -> Credentials {
    basic("bot", "hunter2")
}

fn authorization(asked: &Asked) -> Option<&str> {
    asked.headers.get("authorization")?.to_str().ok()
}

const BASIC: Option<&str> = Some("Basic Ym90Omh1bnRlcjI=");

#[tokio::test]
async fn harbors_artifacts() {
    let place = Place::new(Provider::Harbor, bearer(), bot(), None).await;
    let list = "/api/v2.0/projects/team/repositories/shop/artifacts";
    let full: Vec<Value> = (0..99).map(|n| place.artifact(&format!("0.{n}"))).chain([place.artifact("1.1")]).collect();
    place.answers(list, 1, answer(&json!(full)));
    place.answers(list, 2, answer(&json!([place.artifact("1.0")])));
    assert_eq!(place.told().await, both(), "and nothing of tags that are not listed");
    let asked = place.asked(list);
    assert_eq!(asked.len(), 2);
    assert!(asked.iter().all(|asked| authorization(asked) == BASIC), "its own API takes no registry token");
    let query = "q=tags%3D*&sort=-push_time&with_tag=true&page_size=100";
    assert_eq!(asked[0].query, query);
    assert_eq!(asked[1].query, format!("{query}&page=2"));
}

#[tokio::test]
async fn azures_tags() {
    let place = Place::new(Provider::Acr, bearer(), bot(), None).await;
    let list = "/acr/v1/team/shop/_tags";
    let page = |tag: &str| {
        let tag = json!({ "name": tag, "digest": place.digest, "createdTime": TIME, "lastUpdateTime": TIME });
        answer(&json!({ "registry": "corp.azurecr.io", "imageName": "team/shop", "tags": [tag] }))
    };
    let next = "/acr/v1/team/shop/_tags?last=x&n=100&orderby=timedesc";
    place.answers(list, 1, page("1.1").with("link", &format!("<{next}>; rel=\"next\"")));
    place.answers(list, 2, page("1.0"));
    assert_eq!(place.told().await, both());
    let asked = place.asked(list);
    let queries: Vec<&str> = asked.iter().map(|asked| asked.query.as_str()).collect();
    assert_eq!(queries, ["orderby=timedesc&n=100", "last=x&n=100&orderby=timedesc"]);
    let token = place.asked("/token").pop().expect("a token of its own");
    assert!(token.query.contains("scope=repository%3Ateam%2Fshop%3Ametadata_read"), "{}", token.query);
    assert!(asked.iter().all(|asked| authorization(asked) == Some("Bearer sandbox-token-2")));
}

#[tokio::test]
async fn gitlabs_tags() {
    let place = Place::new(Provider::Gitlab, bearer(), bot(), None).await;
    let list = "/gitlab/v1/repositories/team/shop/tags/list/";
    let page = |tag: &str| answer(&json!([{ "name": tag, "digest": place.digest, "created_at": TIME }]));
    let next = format!("{}{list}?n=1000&last=b64&sort=-published_at", place.registry.face.url());
    place.answers(list, 1, page("1.1").with("link", &format!("<{next}>; rel=\"next\"")));
    place.answers(list, 2, page("1.0"));
    assert_eq!(place.told().await, both());
    let asked = place.asked(list);
    let queries: Vec<&str> = asked.iter().map(|asked| asked.query.as_str()).collect();
    assert_eq!(queries, ["sort=-published_at&n=1000", "n=1000&last=b64&sort=-published_at"]);
    assert!(asked.iter().all(|asked| authorization(asked) == Some("Bearer sandbox-token-1")), "the token of a pull");
}

#[tokio::test]
async fn quays_tags() {
    for (user, shown) in [("team+robot", None), ("$oauthtoken", Some("Bearer hunter2"))] {
        let place = Place::new(Provider::Quay, Auth::None, basic(user, "hunter2"), None).await;
        let list = "/api/v1/repository/team/shop/tag/";
        let page = |tag: &str, more: bool| {
            let tag = json!({ "name": tag, "manifest_digest": place.digest, "start_ts": 1_772_323_200 });
            answer(&json!({ "tags": [tag], "page": 1, "has_additional": more }))
        };
        place.answers(list, 1, page("1.1", true));
        place.answers(list, 2, page("1.0", false));
        assert_eq!(place.told().await, both());
        let asked = place.asked(list);
        assert!(asked.iter().all(|asked| authorization(asked) == shown), "{user}");
        assert_eq!(asked[0].query, "onlyActiveTags=true&limit=100");
        assert_eq!(asked[1].query, "onlyActiveTags=true&limit=100&page=2");
    }
}

#[tokio::test]
async fn docker_hubs_tags() {
    let list = "/v2/namespaces/team/repositories/shop/tags";
    let page = |place: &Place| {
        let tags = ["1.1", "1.0"];
        let tag = |tag| json!({ "name": tag, "digest": place.digest, "tag_last_pushed": TIME });
        answer(&json!({ "count": 2, "next": null, "previous": null, "results": tags.map(tag) }))
    };
    let public = Place::new(Provider::Dockerhub, bearer(), bot(), Some("/")).await;
    public.answers(list, 1, page(&public));
    assert_eq!(public.told().await, both());
    assert_eq!(public.asked(list).iter().map(authorization).collect::<Vec<_>>(), [None]);
    assert_eq!(public.asked(list)[0].query, "page_size=100&ordering=last_updated");

    let private = Place::new(Provider::Dockerhub, bearer(), bot(), Some("/")).await;
    private.answers("/v2/auth/token", 1, answer(&json!({ "access_token": "jwt" })));
    private.answers(list, 1, Fault::answer(404));
    private.answers(list, 2, page(&private));
    assert_eq!(private.told().await, both());
    assert_eq!(private.asked(list).iter().map(authorization).collect::<Vec<_>>(), [None, Some("Bearer jwt")]);
    let login = private.asked("/v2/auth/token").pop().expect("a login");
    assert_eq!((&login.method, authorization(&login)), (&Method::POST, None));
}

#[tokio::test]
async fn githubs_versions() {
    let place = Place::new(Provider::Ghcr, bearer(), bot(), Some("/api/v3")).await;
    let of = |owners: &str| format!("/api/v3/{owners}/team/packages/container/shop/versions");
    let version =
        json!({ "name": place.digest, "created_at": TIME, "metadata": { "container": { "tags": ["1.1", "1.0"] } } });
    place.answers(&of("orgs"), 1, Fault::answer(404));
    place.answers(&of("users"), 1, answer(&json!([version])));
    assert_eq!(place.told().await, both());
    for owners in ["orgs", "users"] {
        let asked = place.asked(&of(owners));
        assert_eq!(asked.iter().map(authorization).collect::<Vec<_>>(), [Some("Bearer hunter2")]);
        assert_eq!(asked[0].query, "state=active&per_page=100");
    }
    let nobody = Place::new(Provider::Ghcr, Auth::None, Credentials::Anonymous, Some("/api/v3")).await;
    assert_eq!(nobody.told().await, [""; 0]);
    assert!(nobody.asked("/api/v3").is_empty(), "GitHub answers nobody");
    let why = nobody.client.no_times(&nobody.repository).expect("a reason");
    assert!(why.contains("it takes a token"), "{why}");
}

const HARBOR: &str = "/api/v2.0/";

#[tokio::test]
async fn a_list_that_is_refused_is_left_alone() {
    for fault in [
        Fault::answer(401),
        Fault::answer(403),
        Fault::answer(404),
        Fault::answer(410),
        Fault::answer(302).with("location", "http://127.0.0.1:1/login"),
        Fault::html(),
        answer(&json!({ "errors": [] })),
        Fault::Endless,
    ] {
        let what = format!("{fault:?}");
        let place = Place::new(Provider::Harbor, Auth::None, bot(), None).await;
        place.answers(HARBOR, 9, fault);
        let first = place.list(None).await.expect("a list all the same").expect("a first one");
        assert_eq!((first.tags.len(), first.told.len()), (2, 0), "{what}");
        assert!(place.client.no_times(&place.repository).is_some(), "{what}");
        place.registry.push_image("team/shop", "1.2", &ImageSpec::new("2", TIME)).expect("pushed");
        let second = place.list(Some(&first)).await.expect("a list").expect("a new one");
        assert_eq!((second.tags.len(), second.told.len()), (3, 0), "{what}");
        assert_eq!(place.asked(HARBOR).len(), 1, "{what}");
    }
}

#[tokio::test]
async fn a_registry_in_trouble_is_read_again() {
    for fault in [
        Fault::answer(500),
        refusing(429, "TOOMANYREQUESTS", "slow down").with("retry-after", "1"),
        Fault::Drop(Moment::Before),
    ] {
        let place = Place::new(Provider::Harbor, Auth::None, bot(), None).await;
        place.answers(HARBOR, 1, fault.clone());
        let error = place.list(None).await.expect_err("times that are not known yet are not done without");
        let passes = matches!(error, RegistryError::Unreachable(_) | RegistryError::Busy { .. });
        assert!(passes && place.client.no_times(&place.repository).is_none(), "{fault:?}: {error}");
    }
    let place = Place::new(Provider::Harbor, Auth::None, bot(), None).await;
    place.answers(HARBOR, 9, Fault::answer(500));
    for _ in 0..5 {
        place.list(None).await.expect_err("again");
    }
    assert_eq!(place.told().await, [""; 0], "a list that is broken for long is done without");
    assert!(place.client.no_times(&place.repository).is_some());
}

#[tokio::test]
async fn another_host_that_does_not_answer_holds_nothing_up() {
    let place = Place::new(Provider::Dockerhub, Auth::None, bot(), None).await;
    assert_eq!(place.told().await, [""; 0], "nobody says where it is");
    let (transport, pull) = (Transport { plain_http: true, ..Transport::default() }, bot());
    let endpoint = Url::parse("http://127.0.0.1:1/").ok();
    let settings = move |_: &str| HostSettings {
        provider: Provider::Dockerhub,
        amazon: None,
        endpoint: endpoint.clone(),
        transport: transport.clone(),
        pull: pull.clone(),
        push: None,
    };
    let client = Registry::new(settings, uncounted());
    let listing = client.list(&place.repository, true, None).await.expect("a list").expect("a first one");
    assert_eq!((listing.tags.len(), listing.told.len()), (2, 0));
    assert!(client.no_times(&place.repository).is_some());
}

#[tokio::test]
async fn another_host_that_is_asked_too_much_is_left_alone_for_all_repositories() {
    let used_up =
        |status: u16| Fault::answer(status).with("x-ratelimit-remaining", "0").with("x-ratelimit-reset", "900");
    let check = async |fault: Fault, asked: usize| {
        let place = Place::new(Provider::Ghcr, Auth::None, bot(), None).await;
        place.registry.push_image("team/cart", "1.0", &ImageSpec::new("1", TIME)).expect("pushed");
        let (api, _) = sandbox(Auth::None).await;
        api.face.faults.add(Rule::every(fault.clone()).path("/orgs/"));
        let (transport, endpoint) =
            (Transport { plain_http: true, ..Transport::default() }, Url::parse(&api.face.url()));
        let endpoint = endpoint.expect("a URL");
        let settings = move |_: &str| HostSettings {
            provider: Provider::Ghcr,
            amazon: None,
            endpoint: Some(endpoint.clone()),
            transport: transport.clone(),
            pull: bot(),
            push: None,
        };
        let client = Registry::new(settings, uncounted());
        for path in ["team/shop", "team/cart"] {
            let repository = repository(place.repository.host(), path);
            let listing = client.list(&repository, true, None).await.expect("the registry answers").expect("a list");
            assert!(listing.told.is_empty() && client.no_times(&repository).is_some(), "{path}: {fault:?}");
        }
        let lists = api.face.requests().iter().filter(|asked| asked.path.starts_with("/orgs/")).count();
        assert_eq!(lists, asked, "{fault:?}");
        let mut names = [api.host(), place.registry.host()];
        names.sort();
        let states = client.hosts();
        assert_eq!(states.iter().map(|state| &state.host).collect::<Vec<_>>(), names.each_ref(), "{fault:?}");
        let state = states.iter().find(|state| state.host == api.host()).expect("its state");
        assert_eq!(state.shut.is_some(), asked == 1, "{fault:?}: {state:?}");
    };
    check(used_up(403), 1).await;
    check(used_up(429), 1).await;
    check(Fault::answer(403).with("retry-after", "60"), 1).await;
    check(Fault::answer(403).with("x-ratelimit-remaining", "7"), 2).await;
}

#[tokio::test]
async fn only_what_is_new_is_sought() {
    let place = Place::new(Provider::Harbor, Auth::None, bot(), None).await;
    let artifacts = |tags: &[&str]| {
        let mut page: Vec<Value> = tags.iter().map(|tag| place.artifact(tag)).collect();
        page.resize(100, json!({ "tags": [] }));
        answer(&json!(page))
    };
    place.answers(HARBOR, 1, artifacts(&["1.1"]));
    place.answers(HARBOR, 2, artifacts(&["1.0"]));
    let first = place.list(None).await.expect("a list").expect("a first one");
    assert_eq!((first.told.len(), place.asked(HARBOR).len()), (2, 2));
    assert!(place.list(Some(&first)).await.expect("an answer").is_none(), "as it was");
    assert_eq!(place.asked(HARBOR).len(), 2, "and nobody asked for times");
    place.registry.push_image("team/shop", "1.2", &ImageSpec::new("1", TIME)).expect("pushed");
    place.answers(HARBOR, 1, artifacts(&["1.2", "1.1"]));
    let second = place.list(Some(&first)).await.expect("a list").expect("a new one");
    assert_eq!((second.told.len(), place.asked(HARBOR).len()), (2, 3), "one page has what is new");
    let without = place.client.list(&place.repository, false, None).await.expect("a list").expect("a first one");
    assert_eq!((without.told.len(), place.asked(HARBOR).len()), (0, 3), "nobody compares times");
}

#[tokio::test]
async fn what_a_failure_kept_from_us_is_sought_again() {
    let place = Place::new(Provider::Harbor, Auth::None, bot(), None).await;
    let artifacts = |tags: &[&str]| {
        let page: Vec<Value> = tags.iter().map(|tag| place.artifact(tag)).collect();
        answer(&json!(page))
    };
    place.answers(HARBOR, 1, artifacts(&["1.1", "1.0"]));
    let first = place.list(None).await.expect("a list").expect("a first one");
    place.registry.push_image("team/shop", "1.2", &ImageSpec::new("1", TIME)).expect("pushed");
    place.answers(HARBOR, 1, Fault::answer(500));
    place.list(Some(&first)).await.expect_err("no times");
    place.answers(HARBOR, 1, artifacts(&["1.2", "1.1", "1.0"]));
    let second = place.list(Some(&first)).await.expect("a list").expect("a new one");
    assert_eq!((second.told.len(), place.asked(HARBOR).len()), (3, 3));
}
