//! What our registry client and a registry owe each other, with `oci-client` as a second opinion: each reads what the
//! other wrote. On the sandbox, and on the registry that `TAGRELAY_REAL_REGISTRY` names (`http://[user:password@]host`).

use super::judged::judged;
use super::real;
use super::tags;
use oci_client::client::{Client, ClientConfig, ClientProtocol, Config, ImageLayer};
use oci_client::manifest::{ImageIndexEntry, OciImageIndex, OciManifest};
use oci_client::secrets::RegistryAuth;
use reqwest::Url;
use serde_json::json;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use tagrelay::clients::http::{Transport, uncounted};
use tagrelay::clients::registry::{Credentials, HostSettings, Registry, RegistryError, Retagged};
use tagrelay::model::{Build, BuildFacts, Digest, ImageName, Platform, Provider, Release, Repository, Tag};
use tagrelay::relay::Cleared;
use tagrelay::sandbox::World;
use tagrelay::sandbox::registry::{self as sandbox, Auth, Bearer};

/// A registry under test, and who may push there.
pub(super) struct Place {
    pub(super) host: String,
    pub(super) user: Option<(String, String)>,
}

impl Place {
    /// A repository that no other test uses.
    pub(super) fn repository(&self, name: &str) -> Repository {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        repository(&self.host, &format!("tagrelay/{name}-{}-{number}", process::id()))
    }

    pub(super) fn client(&self) -> Registry {
        let credentials = match &self.user {
            None => Credentials::Anonymous,
            Some((user, password)) => basic(user, password),
        };
        client(credentials.clone(), Some(credentials))
    }

    fn other(&self) -> Client {
        // oci-client takes the process's TLS provider, although it speaks plain HTTP here.
        rustls::crypto::ring::default_provider().install_default().ok();
        Client::new(ClientConfig { protocol: ClientProtocol::Http, ..ClientConfig::default() })
    }

    fn auth(&self) -> RegistryAuth {
        match self.user.clone() {
            None => RegistryAuth::Anonymous,
            Some((user, password)) => RegistryAuth::Basic(user, password),
        }
    }

    /// Pushes an image by the other client; the digest that it reads back.
    pub(super) async fn push(&self, repository: &Repository, tag: &str, config: serde_json::Value) -> Digest {
        let reference = format!("{repository}:{tag}").parse().expect("a reference");
        let (other, auth) = (self.other(), self.auth());
        let layers = [ImageLayer::oci_v1(tag.as_bytes().to_vec(), None)];
        let config = Config::oci_v1(config.to_string().into_bytes(), None);
        other.push(&reference, &layers, config, &auth, None).await.expect("pushed");
        Digest::parse(&other.fetch_manifest_digest(&reference, &auth).await.expect("a digest")).expect("a digest")
    }
}

pub(super) fn repository(host: &str, path: &str) -> Repository {
    Repository::parse(&format!("{host}/{path}")).expect("a repository")
}

pub(super) fn tag(name: &str) -> Tag {
    Tag::parse(name).expect("a tag")
}

pub(super) fn basic(user: &str, password: &str) -> Credentials {
    Credentials::Basic { username: user.to_owned(), password: password.into() }
}

pub(super) fn client(pull: Credentials, push: Option<Credentials>) -> Registry {
    let transport = Transport { plain_http: true, ..Transport::default() };
    Registry::new(
        move |_| HostSettings {
            provider: Provider::Distribution,
            amazon: None,
            endpoint: None,
            transport: transport.clone(),
            pull: pull.clone(),
            push: push.clone(),
        },
        uncounted(),
    )
}

/// The right to move one build as `shop`, as it is taken up after a crash.
pub(super) fn cleared(digest: &Digest) -> (Cleared, ImageName) {
    let name = ImageName::parse("shop").expect("a name");
    let build = Build { tag: tag("1.0"), digest: digest.clone(), facts: BuildFacts::default().into() };
    (judged(&Release::new([(name.clone(), build)].into())), name)
}

pub(super) fn config(architecture: &str) -> serde_json::Value {
    json!({
        "created": "2026-11-01T10:00:00Z",
        "os": "linux",
        "architecture": architecture,
        "config": { "Labels": { "org.opencontainers.image.revision": "0a1b2c", "team": "shop" } },
        "rootfs": { "type": "layers", "diff_ids": [] },
    })
}

async fn reads_what_another_client_pushed(place: &Place) {
    let (ours, repository) = (place.client(), place.repository("reads"));
    let digest = place.push(&repository, "1.0", config("amd64")).await;
    place.push(&repository, "0.9", config("arm64")).await;
    assert_eq!(tags(&ours, &repository).await, Ok(vec!["0.9".to_owned(), "1.0".to_owned()]));
    assert_eq!(ours.digest(&repository, &tag("1.0")).await, Ok(Some(digest.clone())));
    let facts = ours.facts(&repository, &digest).await.expect("facts");
    assert_eq!(facts.created, "2026-11-01T10:00:00Z".parse().ok());
    assert_eq!(facts.revision.as_deref(), Some("0a1b2c"));
    assert_eq!(facts.labels.get("team").map(String::as_str), Some("shop"));
    assert_eq!(facts.platforms, [Platform::parse("linux/amd64").expect("a platform")]);
    assert_eq!(met(&ours, &repository).await, (digest, facts));
}

/// What the tag 1.0 names, and the facts of that, as a tag is read that nothing is known of.
async fn met(ours: &Registry, repository: &Repository) -> (Digest, BuildFacts) {
    let met = ours.meet(repository, &tag("1.0")).await.expect("an answer").expect("a tag");
    let facts = ours.facts_of(repository, &met).await.expect("facts");
    (met.digest, facts)
}

async fn reads_an_index_as_one_build(place: &Place) {
    let (ours, repository) = (place.client(), place.repository("index"));
    let mut manifests = Vec::new();
    for architecture in ["arm64", "amd64"] {
        let digest = place.push(&repository, architecture, config(architecture)).await;
        manifests.push(json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": digest.as_str(),
            "size": 1,
            "platform": { "os": "linux", "architecture": architecture },
        }));
    }
    let manifests: Vec<ImageIndexEntry> = serde_json::from_value(json!(manifests)).expect("entries");
    let index = OciImageIndex {
        schema_version: 2,
        media_type: Some("application/vnd.oci.image.index.v1+json".to_owned()),
        manifests,
        artifact_type: None,
        annotations: None,
    };
    let reference = format!("{repository}:1.0").parse().expect("a reference");
    let other = place.other();
    other.store_auth_if_needed(&place.host, &place.auth()).await;
    other.push_manifest(&reference, &OciManifest::ImageIndex(index)).await.expect("pushed");
    let digest = ours.digest(&repository, &tag("1.0")).await.expect("an answer").expect("a digest");
    assert_eq!(
        Ok(digest.as_str().to_owned()),
        other.fetch_manifest_digest(&reference, &place.auth()).await.map_err(drop)
    );
    let facts = ours.facts(&repository, &digest).await.expect("facts");
    let platforms: Vec<String> = facts.platforms.iter().map(Platform::to_string).collect();
    assert_eq!(platforms, ["linux/arm64", "linux/amd64"]);
    assert_eq!(facts.revision.as_deref(), Some("0a1b2c"));
    assert_eq!(met(&ours, &repository).await, (digest.clone(), facts));
    moves(place, &repository, &digest).await;
}

async fn moves_a_tag_for_another_client_to_pull(place: &Place) {
    let repository = place.repository("retag");
    place.push(&repository, "prod", config("arm64")).await;
    let digest = place.push(&repository, "1.0", config("amd64")).await;
    moves(place, &repository, &digest).await;
    let (other, auth) = (place.other(), place.auth());
    let reference = format!("{repository}:prod").parse().expect("a reference");
    let pulled = other.pull(&reference, &auth, vec!["application/vnd.oci.image.layer.v1.tar"]).await.expect("pulled");
    assert_eq!(pulled.digest.as_deref(), Some(digest.as_str()));
    assert_eq!(pulled.layers.first().map(|layer| layer.data.as_ref()), Some(&b"1.0"[..]));
}

async fn moves(place: &Place, repository: &Repository, digest: &Digest) {
    let (ours, prod) = (place.client(), tag("prod"));
    let (cleared, shop) = cleared(digest);
    assert_eq!(ours.retag(&cleared, &shop, repository, &prod).await, Ok(Retagged::Moved));
    assert_eq!(ours.retag(&cleared, &shop, repository, &prod).await, Ok(Retagged::AlreadyThere));
    assert_eq!(ours.digest(repository, &prod).await, Ok(Some(digest.clone())));
    let types = [oci_client::manifest::OCI_IMAGE_MEDIA_TYPE, oci_client::manifest::OCI_IMAGE_INDEX_MEDIA_TYPE];
    let (other, auth) = (place.other(), place.auth());
    let raw = async |tag: &str| {
        let reference = format!("{repository}:{tag}").parse().expect("a reference");
        other.pull_manifest_raw(&reference, &auth, &types).await.expect("pulled").0
    };
    assert_eq!(raw("prod").await, raw("1.0").await, "the very same bytes");
}

async fn knows_what_is_absent(place: &Place) {
    let (ours, repository, nowhere) = (place.client(), place.repository("absent"), place.repository("nowhere"));
    place.push(&repository, "1.0", config("amd64")).await;
    assert_eq!(ours.digest(&repository, &tag("2.0")).await, Ok(None));
    assert_eq!(ours.digest(&nowhere, &tag("1.0")).await, Ok(None));
    for (at, name) in [(&repository, "2.0"), (&nowhere, "1.0")] {
        assert!(ours.meet(at, &tag(name)).await.expect("an answer").is_none(), "{at}:{name}");
    }
    assert!(matches!(tags(&ours, &nowhere).await, Err(RegistryError::Absent(_))));
    let gone = Digest::of(b"gone");
    assert!(matches!(ours.facts(&repository, &gone).await, Err(RegistryError::Absent(_))));
    let (cleared, shop) = cleared(&gone);
    assert!(matches!(ours.retag(&cleared, &shop, &repository, &tag("prod")).await, Err(RegistryError::Absent(_))));
    assert_eq!(ours.digest(&repository, &tag("prod")).await, Ok(None));
}

async fn everything(place: &Place) {
    reads_what_another_client_pushed(place).await;
    reads_an_index_as_one_build(place).await;
    moves_a_tag_for_another_client_to_pull(place).await;
    knows_what_is_absent(place).await;
}

pub(super) async fn sandbox(auth: Auth) -> (sandbox::Registry, Place) {
    let registry = World::start().await.expect("a world").registry;
    registry.add_account("bot", "hunter2", true);
    let user = (!matches!(auth, Auth::None)).then(|| ("bot".to_owned(), "hunter2".to_owned()));
    registry.require(auth);
    let place = Place { host: registry.host(), user };
    (registry, place)
}

#[tokio::test]
async fn the_sandbox_keeps_the_contract() {
    for auth in [Auth::None, Auth::Basic, Auth::Bearer(Bearer::default())] {
        let (_registry, place) = sandbox(auth).await;
        everything(&place).await;
    }
}

#[tokio::test]
async fn a_real_registry_keeps_the_contract() {
    let Some(url) = real("a_real_registry_keeps_the_contract", "TAGRELAY_REAL_REGISTRY") else { return };
    let url = Url::parse(&url).expect("TAGRELAY_REAL_REGISTRY is a URL");
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let host = format!("{}{port}", url.host_str().expect("TAGRELAY_REAL_REGISTRY has a host"));
    let user = url.password().map(|password| (url.username().to_owned(), password.to_owned()));
    everything(&Place { host, user }).await;
}
