//! A registry tells of a push: it is read at once, whoever polls how seldom; whoever cannot prove to be it changes nothing.

use super::new_tag::{KUSTOMIZATION, POLICY};
use super::world::Story;
use reqwest::header::AUTHORIZATION;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tagrelay::clients::http::{self, Transport, uncounted};
use tagrelay::config;
use tagrelay::daemon::Clock;
use tagrelay::server::{self, Google, Server};
use tokio_util::sync::CancellationToken;

const FILE: &str = "deployment/dev/kustomization.yaml";
const SECRET: &str = "s3cret-of-the-registry";
/// How a registry like Debian's tells of a push.
const ENVELOPE: &str = "application/vnd.docker.distribution.events.v2+json";

/// How long after a reading began the next may begin that was woken.
const READINGS_APART: Duration = Duration::from_millis(250);

/// A daemon that polls once an hour, and its door for webhooks.
struct Listening {
    story: Story,
    url: String,
    client: reqwest::Client,
    stop: CancellationToken,
}

impl Listening {
    async fn open(policy: &str) -> Self {
        let mut story = Story::new(&policy.replace("poll: 1s", "poll: 1h"), &[(FILE, KUSTOMIZATION)]).await;
        // A repository that is not there is asked for again soon.
        story.push("old", 9);
        story.start().await;
        story.until_state("dev", "adopted").await;
        let file = story.home.path().join("secret");
        std::fs::write(&file, SECRET).expect("written");
        let secret = format!("secret: {{ file: {} }}", file.display());
        let text = format!(
            "repositories: {{ default: {{ url: 'https://git.example.com/x.git', policies: p }} }}\n\
             server: {{ webhooks: {{ distribution: {{ {secret} }}, quay: {{ {secret}, registry: '{}' }} }} }}\n",
            story.world.registry.host()
        );
        let config = config::load(Path::new("tagrelay.yaml"), &|_| Ok(text.clone()));
        let config = config.unwrap_or_else(|errors| panic!("{}", errors.render(false)));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let google = Google::published(Transport::default(), uncounted(), Clock::System);
        let server = Server::new(story.handle().clone(), config.server.access, Arc::new(String::new));
        let server = server.with_webhooks(config.server.webhooks, google, Arc::new(|_, _| ()));
        let stop = CancellationToken::new();
        tokio::spawn(server::serve(listener, server, stop.clone()));
        let client = http::client(&Transport { plain_http: true, ..Transport::default() }).expect("a client");
        Self { story, url, client, stop }
    }

    /// Posts a delivery; returns the status.
    async fn deliver(&self, path: &str, secret: Option<&str>, body: &Value) -> u16 {
        let request = self.client.post(format!("{}{path}", self.url)).header("content-type", ENVELOPE);
        let request = secret.iter().fold(request, |request, secret| request.header(AUTHORIZATION, *secret));
        request.body(body.to_string()).send().await.expect("an answer").status().as_u16()
    }

    /// What the registry says of a push.
    fn pushed(&self, repository: &str, tag: &str) -> Value {
        json!({ "events": [{
            "id": "1", "action": "push", "actor": {},
            "target": { "mediaType": "application/vnd.oci.image.manifest.v1+json", "repository": repository, "tag": tag },
            "request": { "host": self.story.world.registry.host(), "method": "PUT" },
        }] })
    }

    /// The same of a registry that calls itself so.
    fn pushed_at(&self, host: &str) -> Value {
        let mut pushed = self.pushed("shop", "1.0.0");
        pushed["events"][0]["request"]["host"] = json!(host);
        pushed
    }

    fn lists(&self) -> usize {
        self.story.world.registry.face.count(&axum::http::Method::GET, "/tags/list")
    }

    async fn close(mut self) {
        self.stop.cancel();
        self.story.stop().await;
    }
}

fn semver() -> String {
    POLICY.replace("select: { follow: dev }", "select: { semver: '1.x' }")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_registry_tells_is_read_at_once() {
    let listening = Listening::open(&semver()).await;
    let pushed = listening.pushed("shop", "1.0.0");
    for (path, secret, status) in [
        ("/webhooks/distribution", None, 401),
        ("/webhooks/distribution", Some("s3cret-of-somebody"), 401),
        ("/webhooks/distribution/s3cret-of-the-registry", None, 401),
        ("/webhooks/harbor", Some(SECRET), 404),
        ("/webhooks/nobody", Some(SECRET), 404),
        ("/webhooks/quay", Some(SECRET), 401),
        ("/webhooks/quay/s3cret-of-somebody", None, 401),
    ] {
        assert_eq!(listening.deliver(path, secret, &pushed).await, status, "{path}");
    }
    assert_eq!(
        listening.deliver("/webhooks/distribution", Some(SECRET), &listening.pushed("other", "1.0.0")).await,
        200
    );
    assert_eq!(listening.deliver("/webhooks/distribution", Some(SECRET), &json!({ "events": 1 })).await, 400);
    for host in ["registry.example.com", "registry.example.com", "registry"] {
        let elsewhere = listening.pushed_at(host);
        assert_eq!(listening.deliver("/webhooks/distribution", Some(SECRET), &elsewhere).await, 200, "{host}");
    }
    listening.story.idle().await;
    let numbers = listening.story.numbers();
    assert!(numbers.contains("tagrelay_unknown_hosts_total 2\n"), "{numbers}");
    listening.story.push("1.0.0", 1);
    assert_eq!(listening.deliver("/webhooks/distribution", Some(&format!("Bearer {SECRET}")), &pushed).await, 200);
    listening.story.until_written(FILE, "newTag: 1.0.0").await;
    assert_eq!(listening.lists(), 2, "at the start, and for the last of those");
    let second = listening.story.push("1.0.1", 2);
    let quay = json!({ "docker_url": "quay.io/shop", "updated_tags": ["1.0.1"] });
    assert_eq!(listening.deliver(&format!("/webhooks/quay/{SECRET}"), None, &quay).await, 200);
    listening.story.until_at("dev", &second, "progressing").await;
    listening.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_deliveries_is_a_few_readings() {
    let listening = Listening::open(&semver()).await;
    let pushed = listening.pushed("shop", "1.0.0");
    let begun = Instant::now();
    for _ in 0..300 {
        assert_eq!(listening.deliver("/webhooks/distribution", Some(SECRET), &pushed).await, 200);
    }
    listening.story.push("1.0.0", 1);
    listening.story.until_written(FILE, "newTag: 1.0.0").await;
    let at_most = begun.elapsed().as_millis() / READINGS_APART.as_millis() + 2;
    assert!(listening.lists() as u128 <= at_most, "{} readings, {at_most} at most", listening.lists());
    let large = json!({ "events": [{ "action": "x".repeat(2 << 20) }] });
    assert_eq!(listening.deliver("/webhooks/distribution", Some(SECRET), &large).await, 413);
    listening.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_that_nobody_looks_at_wakes_nobody() {
    let listening = Listening::open(POLICY).await;
    let heads = || listening.story.world.registry.face.count(&axum::http::Method::HEAD, "/manifests/dev");
    listening.story.looked_again().await;
    let before = heads();
    assert_eq!(
        listening.deliver("/webhooks/distribution", Some(SECRET), &listening.pushed("shop", "other")).await,
        200
    );
    listening.story.idle().await;
    listening.story.looked_again().await;
    assert_eq!(heads(), before + 1, "it was read when the story had it read, and for no other reason");
    let digest = listening.story.push("dev", 1);
    assert_eq!(listening.deliver("/webhooks/distribution", Some(SECRET), &listening.pushed("shop", "dev")).await, 200);
    listening.story.until_written(FILE, &digest).await;
    listening.close().await;
}
