//! What a real registry posts of a push: the one that `TAGRELAY_REAL_TELLING_REGISTRY` names (`http://host:port`) is
//! configured to notify `http://$TAGRELAY_REAL_TOLD/webhooks/distribution`, where this test listens.

use super::real;
use super::registry::Place;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tagrelay::clients::http::{Transport, uncounted};
use tagrelay::config::{Secret, SecretSource, Webhook};
use tagrelay::daemon::Clock;
use tagrelay::daemon::handle::{Request, channel};
use tagrelay::daemon::health::Health;
use tagrelay::model::Tag;
use tagrelay::server::{Google, Server, serve};
use tagrelay::telemetry::Metrics;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// What the registry shows: it is in its configuration, too.
const SECRET: &str = "what the registry knows";

#[tokio::test]
async fn a_real_registry_tells_of_a_push() {
    let test = "a_real_registry_tells_of_a_push";
    let Some(registry) = real(test, "TAGRELAY_REAL_TELLING_REGISTRY") else { return };
    let told = real(test, "TAGRELAY_REAL_TOLD").expect("both are set");
    let home = tempfile::tempdir().expect("a directory");
    let secret = home.path().join("secret");
    std::fs::write(&secret, SECRET).expect("written");
    let secret = Some(Secret::new(SecretSource::File(secret)));
    let senders = [("distribution".to_owned(), Webhook { secret, registry: None, google: None })].into();
    let google = Google::published(Transport::default(), uncounted(), Clock::System);
    let metrics = Metrics::new("test");
    let counted = metrics.clone();
    let delivered = Arc::new(move |sender, outcome| counted.delivered(sender, outcome));
    let listener = TcpListener::bind(&told).await.expect("the port that the registry is told");
    let (handle, mut requests) = channel(watch::channel(Health::default()).1);
    let server = Server::new(handle, Vec::new(), Arc::new(String::new));
    let server = server.with_webhooks(senders, google, delivered);
    let stop = CancellationToken::new();
    tokio::spawn(serve(listener, server, stop.clone()));

    let place = Place { host: registry.trim_start_matches("http://").to_owned(), user: None };
    let repository = place.repository("told");
    place.push(&repository, "1.0", json!({ "os": "linux", "architecture": "amd64" })).await;
    let told = async {
        loop {
            // Layers and pulls are told of, too, and wake nobody.
            if let Some(Request::Wake(repository, tag)) = requests.next().await {
                return (repository, tag);
            }
        }
    };
    let told = tokio::time::timeout(Duration::from_secs(30), told).await.expect("the registry tells of it");
    assert_eq!(told, (repository, Tag::parse("1.0").ok()));
    for bad in ["refused", "unread"] {
        assert!(
            !metrics.encode().contains(&format!("result=\"{bad}\"")),
            "every delivery was understood: {}",
            metrics.encode()
        );
    }
    stop.cancel();
}
