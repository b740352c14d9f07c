//! The cluster, told to a listener that stands where the daemon would.

use super::*;
use crate::sandbox::World;
use axum::Router;
use axum::http::HeaderMap;
use axum::routing::post;
use tokio::sync::mpsc;

const ALICE: &str = "Alice <alice@example.org>";

/// A daemon that answers its signals with these statuses in turn, and passes them on.
async fn daemon(statuses: &'static [u16]) -> (String, mpsc::UnboundedReceiver<(String, Value)>) {
    let (told, signals) = mpsc::unbounded_channel();
    let turn = Arc::new(Mutex::new(statuses.iter()));
    let answer = move |headers: HeaderMap, Json(signal): Json<Value>| async move {
        let token = wire::bearer(&headers).unwrap_or_default().to_owned();
        told.send((token, signal)).expect("a test that listens");
        StatusCode::from_u16(*held(&turn).next().unwrap_or(&200)).expect("a status")
    };
    let router = Router::new().route("/api/v1/policies/shop/environments/dev/signal", post(answer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    drop(tokio::spawn(async move { axum::serve(listener, router).await }));
    (url, signals)
}

fn message(digest: &str) -> String {
    format!("Move\n\nTagrelay-Policy: shop\nTagrelay-Environment: dev\nTagrelay-Digest: web={digest}\n")
}

async fn world() -> (World, Repository) {
    let world = World::start().await.expect("a world");
    let repository = world.git.create("gitops", &[("pin", "none")]).await.expect("made");
    (world, repository)
}

fn watch(repository: &Repository) -> Watch {
    Watch {
        policy: "shop".into(),
        environment: "dev".into(),
        repository: repository.clone(),
        branch: "main".into(),
        delay: Duration::from_millis(5),
        pins: None,
    }
}

#[tokio::test]
async fn a_rollout_is_told_until_it_is_accepted() {
    let (world, repository) = world().await;
    let (url, mut signals) = daemon(&[503, 200, 409]).await;
    world.cluster.watch(watch(&repository));
    world.cluster.fail("sha256:bad");
    let good = repository.commit("main", &[("pin", Some("1"))], &message("sha256:good"), ALICE).await.expect("made");
    world.cluster.report_to(&url, "secret");
    let (token, first) = signals.recv().await.expect("a signal");
    assert_eq!((token.as_str(), &first["rollout"], &first["verdict"]), ("secret", &json!(good), &json!("healthy")));
    assert_eq!(first["digests"], json!({ "web": "sha256:good" }));
    assert_eq!(signals.recv().await.expect("it is said again").1, first);

    repository.commit("main", &[("other", Some("x"))], "By hand", ALICE).await.expect("made");
    let bad = repository.commit("main", &[("pin", Some("2"))], &message("sha256:bad"), ALICE).await.expect("made");
    let (_, second) = signals.recv().await.expect("a signal");
    assert_eq!((&second["rollout"], &second["verdict"]), (&json!(bad), &json!("failed")));
    assert_eq!(world.cluster.running("shop", "dev").expect("the old one").commit, good);
    tokio::time::sleep(POST_PAUSE * 2).await;
    assert!(signals.try_recv().is_err(), "a 409 ends it");
    let statuses: Vec<_> = world.cluster.posts().iter().map(|posted| posted.status).collect();
    assert_eq!(statuses, [Some(503), Some(200), Some(409)]);
}

#[tokio::test]
async fn the_health_endpoint_says_what_runs() {
    let (world, repository) = world().await;
    let read: ReadPins = Arc::new(|text| Digests::from([("web".to_owned(), text.to_owned())]));
    world.cluster.watch(Watch { pins: Some(("pin".to_owned(), read)), ..watch(&repository) });
    let by_hand = repository.commit("main", &[("pin", Some("sha256:1"))], "By hand", ALICE).await.expect("made");
    while world.cluster.running("shop", "dev").is_none_or(|rollout| rollout.commit != by_hand) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let client = wire::client().expect("a client");
    for path in [world.cluster.health_url("shop", "dev"), format!("{}/healthz/dev", world.cluster.face.url())] {
        let health: Value = client.get(path).send().await.expect("an answer").json().await.expect("json");
        assert_eq!(health["digests"], json!({ "web": "sha256:1" }));
    }
    let answers = async |expected| {
        let answer = client.get(world.cluster.health_url("shop", "dev")).send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), expected);
    };
    world.cluster.sicken("sha256:1");
    answers(500).await;
    world.cluster.heal("sha256:1");
    answers(200).await;
    world.cluster.break_health("shop", "dev", true);
    answers(500).await;
}

#[tokio::test]
async fn a_world_leaves_nothing_behind() {
    let (world, repository) = world().await;
    world.cluster.watch(watch(&repository));
    let (folder, address) = (repository.path().to_owned(), world.git.face.address());
    let kept = tokio::net::TcpStream::connect(address).await.expect("it listens");
    drop((world, repository));
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        if !folder.exists() && tokio::net::TcpStream::connect(address).await.is_err() {
            let mut byte = [0];
            kept.readable().await.expect("an event");
            assert!(!matches!(kept.try_read(&mut byte), Ok(1..)), "the connection is closed");
            return;
        }
    }
    panic!("{} or its listener outlived the world", folder.display());
}
