//! Who we are at a registry: identity tokens, image pull secrets, users from files that change, realms on other hosts.

use super::registry::{cleared, client, repository, sandbox, tag};
use super::tags;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tagrelay::clients::http::uncounted;
use tagrelay::clients::registry::{Carriage, Copied, Credentials, Registry, RegistryError, Retagged};
use tagrelay::config;
use tagrelay::daemon::registry_settings;
use tagrelay::model::{Digest, Repository};
use tagrelay::sandbox::registry::{self as stand_in, Auth, Bearer, ImageSpec};

/// A client for what stands under `registries` in a configuration.
pub(super) fn configured(registries: &str) -> Registry {
    let text = format!(
        "repositories: {{ default: {{ url: file:///srv/d.git, policies: p }} }}\nregistries:\n  {}\n",
        registries.replace('\n', "\n  ")
    );
    let config = config::load(Path::new("tagrelay.yaml"), &|_| Ok(text.clone()));
    let config = config.unwrap_or_else(|errors| panic!("{}", errors.render(false)));
    Registry::new(registry_settings(tokio::sync::watch::channel(Arc::new(config)).1), uncounted())
}

/// A directory for what a configuration names.
pub(super) struct Files(tempfile::TempDir, AtomicU64);

impl Files {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"), AtomicU64::new(1))
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("written");
        // A change is known by its time, and the kernel's clock may stand still between two of ours.
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(self.1.fetch_add(1, Ordering::Relaxed));
        let file = fs::File::options().write(true).open(self.path(name)).expect("opened");
        file.set_modified(at).expect("a time");
    }
}

/// A registry where `1.0` is in `team/shop` and in `other/shop`, each with its repository here.
async fn shops(auth: Auth) -> (stand_in::Registry, Repository, Repository, Digest) {
    let (registry, place) = sandbox(auth).await;
    let spec = ImageSpec::new("1.0", "2026-11-01T10:00:00Z");
    registry.push_image("other/shop", "1.0", &spec).expect("pushed");
    let digest = Digest::parse(&registry.push_image("team/shop", "1.0", &spec).expect("pushed")).expect("a digest");
    (registry, repository(&place.host, "team/shop"), repository(&place.host, "other/shop"), digest)
}

/// A realm on a host of its own, which asks the registry's realm.
struct Realm {
    url: String,
    heard: Arc<Mutex<Vec<Heard>>>,
}

#[derive(Debug, Clone)]
struct Heard {
    method: Method,
    query: String,
    user: Option<String>,
    form: String,
}

#[derive(Clone)]
struct Elsewhere(Arc<Mutex<Vec<Heard>>>, String);

impl Realm {
    async fn of(registry: &stand_in::Registry) -> Self {
        let heard = Arc::<Mutex<Vec<Heard>>>::default();
        let asks = Elsewhere(Arc::clone(&heard), format!("{}/token", registry.face.url()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/jwt/auth", listener.local_addr().expect("an address"));
        let router = axum::Router::new().route("/jwt/auth", axum::routing::any(forward)).with_state(asks);
        drop(tokio::spawn(axum::serve(listener, router).into_future()));
        Self { url, heard }
    }

    fn heard(&self) -> Vec<Heard> {
        self.heard.lock().expect("a lock").clone()
    }
}

async fn forward(
    State(Elsewhere(heard, to)): State<Elsewhere>,
    method: Method,
    uri: Uri,
    mut headers: HeaderMap,
    form: Bytes,
) -> (StatusCode, Vec<u8>) {
    let query = uri.query().unwrap_or_default().to_owned();
    let user = headers.get(header::AUTHORIZATION).map(|user| user.to_str().expect("text").to_owned());
    let text = String::from_utf8(form.to_vec()).expect("UTF-8");
    heard.lock().expect("a lock").push(Heard { method: method.clone(), query: query.clone(), user, form: text });
    let client = tagrelay::clients::http::client(&tagrelay::clients::http::Transport::default()).expect("a client");
    headers.remove(header::HOST);
    let answer = client.request(method, format!("{to}?{query}")).headers(headers).body(form).send().await;
    let answer = answer.expect("an answer");
    (answer.status(), answer.bytes().await.expect("a body").to_vec())
}

fn bearer(realm: Option<String>, renews: bool) -> Auth {
    Auth::Bearer(Bearer { realm, renews, ..Bearer::default() })
}

fn docker(file: &Path) -> Registry {
    client(Credentials::Docker { file: file.to_owned() }, Some(Credentials::Docker { file: file.to_owned() }))
}

fn identity(host: &str, token: &str) -> String {
    // As `az acr login` writes it: the user says nothing, and has no password.
    json!({ "auths": { host: { "auth": "MDAwMDo=", "identitytoken": token } } }).to_string()
}

#[tokio::test]
async fn an_identity_token_is_exchanged_at_the_realm() {
    let (registry, shop, other, digest) = shops(Auth::None).await;
    let realm = Realm::of(&registry).await;
    registry.require(bearer(Some(realm.url.clone()), false));
    let files = Files::new();
    files.write("config.json", &identity(shop.host(), "hunter2"));
    let ours = docker(&files.path("config.json"));
    assert_eq!(tags(&ours, &shop).await, Ok(vec!["1.0".to_owned()]));
    let heard = realm.heard();
    let [Heard { method, query, user: None, form }] = heard.as_slice() else { panic!("{heard:?}") };
    assert_eq!((method, query.as_str()), (&Method::POST, ""));
    let said = "grant_type=refresh_token&client_id=tagrelay&scope=repository%3Ateam%2Fshop%3Apull\
                &refresh_token=hunter2&service=sandbox-registry";
    assert_eq!(form, said);
    let (cleared, image) = cleared(&digest);
    assert_eq!(ours.retag(&cleared, &image, &shop, &tag("prod")).await, Ok(Retagged::Moved));
    let copy = Carriage { image, from: other, to: repository(shop.host(), "copy"), tag: None };
    assert!(ours.copy(&cleared, &copy).await.is_ok_and(|copied| copied.mounted > 0));
    let scopes = "scope=repository%3Acopy%3Apull%2Cpush+repository%3Aother%2Fshop%3Apull&";
    assert!(realm.heard().iter().any(|heard| heard.form.contains(scopes)), "one scope, as OAuth2 has it");
    let shown = |name: &str| registry.face.requests().iter().any(|asked| format!("{asked:?}").contains(name));
    assert!(!shown("hunter2"), "the registry itself is not shown it");
}

#[tokio::test]
async fn a_renewed_identity_token_takes_the_place_of_the_one_that_was_shown() {
    let (registry, shop, other, _) = shops(bearer(None, true)).await;
    let files = Files::new();
    files.write("config.json", &identity(shop.host(), "hunter2"));
    let ours = docker(&files.path("config.json"));
    for _ in 0..2 {
        let (one, another) = tokio::join!(tags(&ours, &shop), tags(&ours, &other));
        assert_eq!((one, another), (Ok(vec!["1.0".to_owned()]), Ok(vec!["1.0".to_owned()])), "each is good once");
        registry.expire_tokens();
    }
    registry.add_account("bot", "hunter2", true);
    assert_eq!(
        tags(&ours, &shop).await,
        Ok(vec!["1.0".to_owned()]),
        "the one in the file is tried when the newer has ended"
    );

    let late = docker(&files.path("config.json"));
    let error = tags(&late, &shop).await.expect_err("it was good once");
    let text = error.to_string();
    assert!(matches!(error, RegistryError::Refused(_)) && !text.contains("hunter2"), "{text}");
    assert!(text.contains("to the identity token of docker's config.json; it may have ended: log in"), "{text}");
    registry.add_account("bot", "hunter3", true);
    files.write("config.json", &identity(shop.host(), "hunter3"));
    assert_eq!(tags(&late, &shop).await, Ok(vec!["1.0".to_owned()]), "after a login anew");
}

#[tokio::test]
async fn a_registry_that_wants_a_password_is_not_shown_an_identity_token() {
    let (registry, shop, _, _) = shops(Auth::Basic).await;
    let files = Files::new();
    files.write("config.json", &identity(shop.host(), "hunter2"));
    let error = tags(&docker(&files.path("config.json")), &shop).await.expect_err("refused").to_string();
    assert!(error.contains("401") && error.contains("to the identity token of docker's config.json"), "{error}");
    assert!(registry.face.requests().iter().all(|asked| !asked.headers.contains_key("authorization")));
}

#[tokio::test]
async fn a_deploy_token_is_shown_to_the_realm_of_another_host() {
    // As GitLab has it: registry.example.com gives the realm gitlab.example.com/jwt/auth.
    let (registry, shop, _, _) = shops(Auth::None).await;
    let realm = Realm::of(&registry).await;
    registry.require(bearer(Some(realm.url.clone()), false));
    registry.add_account("gitlab+deploy-token-1", "gldt-1", false);
    let ours = client(super::registry::basic("gitlab+deploy-token-1", "gldt-1"), None);
    assert_eq!(tags(&ours, &shop).await, Ok(vec!["1.0".to_owned()]));
    let heard = realm.heard();
    let [Heard { method, query, user: Some(user), form }] = heard.as_slice() else { panic!("{heard:?}") };
    assert_eq!((method, form.as_str()), (&Method::GET, ""));
    assert_eq!(query, "service=sandbox-registry&scope=repository%3Ateam%2Fshop%3Apull");
    assert_eq!(user, "Basic Z2l0bGFiK2RlcGxveS10b2tlbi0xOmdsZHQtMQ==");
}

#[tokio::test]
async fn a_pull_secret_says_who_reads_and_nobody_pushes() {
    let (registry, shop, other, digest) = shops(bearer(None, false)).await;
    registry.add_account("team", "for-team", true);
    let files = Files::new();
    let host = shop.host();
    let secret = format!("{{ plain_http: true, docker_config: {{ file: {:?} }} }}", files.path("pull"));
    let ours = configured(&format!("{host:?}: {secret}"));
    let error = tags(&ours, &shop).await.expect_err("no file").to_string();
    assert!(error.contains("/pull cannot be read: No such file"), "{error}");

    let auths = |auths: Value| json!({ "auths": auths }).to_string();
    files.write("pull", &auths(json!({ host: { "username": "bot", "password": "wrong" } })));
    let error = tags(&ours, &shop).await.expect_err("wrong").to_string();
    assert!(error.contains(&format!("to `bot` of {}", files.path("pull").display())), "{error}");
    let team = json!({ "username": "team", "password": "for-team", "auth": "dGVhbTpmb3ItdGVhbQ==", "email": "a@b" });
    files.write("pull", &auths(json!({ format!("{host}/team"): team })));
    assert_eq!(tags(&ours, &shop).await, Ok(vec!["1.0".to_owned()]), "a changed file, and a key with a path");
    let error = tags(&ours, &other).await.expect_err("another path").to_string();
    assert!(error.contains("names no login for it"), "{error}");
    let (cleared, image) = cleared(&digest);
    let error =
        ours.retag(&cleared, &image, &shop, &tag("prod")).await.expect_err("nobody was named to push").to_string();
    assert!(error.contains("set `push`"), "{error}");

    files.write("pull", &json!({ format!("https://{host}"): { "auth": "Ym90Omh1bnRlcjI=" } }).to_string());
    assert_eq!(tags(&ours, &other).await, Ok(vec!["1.0".to_owned()]), "the older file");
    files.write("pull", "{ \"auths\": hunter2");
    let error = tags(&ours, &other).await.expect_err("no JSON").to_string();
    assert!(error.contains("is no docker configuration (line 1, column 12)") && !error.contains("hunter"), "{error}");
}

#[tokio::test]
async fn who_pushes_is_another_than_who_reads() {
    let (from, shop, _, digest) = shops(Auth::Basic).await;
    let (to, there, _, _) = shops(Auth::Basic).await;
    for registry in [&from, &to] {
        registry.add_account("reader", "reads", false);
        registry.add_account("promoter", "pushes-no-more", true);
    }
    let files = Files::new();
    files.write("reads", "reads");
    files.write("pushes", "not this");
    let user = |name: &str, file: &str| format!("{{ username: {name}, password: {{ file: {:?} }} }}", files.path(file));
    let users = format!("pull: {}, push: {}", user("reader", "reads"), user("promoter", "pushes"));
    let ours = configured(&format!("'*': {{ plain_http: true, {users} }}"));
    let (cleared, image) = cleared(&digest);
    let retag = async || ours.retag(&cleared, &image, &shop, &tag("prod")).await;
    assert_eq!(tags(&ours, &shop).await, Ok(vec!["1.0".to_owned()]));
    assert!(matches!(retag().await, Err(RegistryError::Refused(why)) if why.contains("to `promoter`")));
    files.write("pushes", "pushes-no-more\n");
    from.face.forget();
    assert_eq!(retag().await, Ok(Retagged::Moved), "a changed password");
    let shown = |registry: &stand_in::Registry| {
        let asked = registry.face.requests();
        let mut users: Vec<_> = asked.iter().filter_map(|asked| asked.headers.get("authorization").cloned()).collect();
        users.dedup();
        users
    };
    let (reader, promoter) = ("Basic cmVhZGVyOnJlYWRz", "Basic cHJvbW90ZXI6cHVzaGVzLW5vLW1vcmU=");
    assert_eq!(shown(&from), [promoter]);

    from.face.forget();
    let copy = Carriage { image: image.clone(), from: shop.clone(), to: repository(there.host(), "copy"), tag: None };
    let copied = ours.copy(&cleared, &copy).await.expect("copied");
    assert_ne!(copied, Copied::default());
    assert_eq!(
        (shown(&from), shown(&to)),
        (vec![reader.parse().expect("a header")], vec![promoter.parse().expect("a header")])
    );
    fs::remove_file(files.path("pushes")).expect("removed");
    let error = retag().await.expect_err("no password").to_string();
    assert!(error.contains("not asked, for the secret file") && error.contains("pushes cannot be read"), "{error}");
    assert_eq!(tags(&ours, &shop).await, Ok(vec!["1.0".to_owned(), "prod".to_owned()]), "who reads is as before");
}
