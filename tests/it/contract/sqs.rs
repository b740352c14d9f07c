//! Amazon SQS: what we need of it, on the sandbox and on moto (`TAGRELAY_REAL_ECR`, its address, where SQS is too).

use super::real;
use aws_credential_types::Credentials as Keys;
use aws_credential_types::provider::SharedCredentialsProvider;
use reqwest::Url;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tagrelay::clients::aws::sqs::{Sqs, SqsError};
use tagrelay::clients::aws::{Api, Caller, Json};
use tagrelay::clients::http::{self, Transport, uncounted};
use tagrelay::daemon::handle::{Request, channel};
use tagrelay::daemon::health::Health;
use tagrelay::model::sqs::Queue;
use tagrelay::model::{Repository, Tag};
use tagrelay::sandbox::effects::Effects;
use tagrelay::sandbox::fault::{Fault, Rule};
use tagrelay::sandbox::queue as stand_in;
use tagrelay::sandbox::registry::ecr::ACCESS_KEY;
use tagrelay::server;
use tagrelay::telemetry::Metrics;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// What waits longer than this never comes.
const PATIENCE: Duration = Duration::from_secs(120);
/// Less than a reading waits that brings nothing.
const AT_ONCE: Duration = Duration::from_secs(15);

fn caller(key: &str) -> Caller {
    let keys = Keys::new(key, "secret", None, None, "test");
    Caller::of(SharedCredentialsProvider::new(keys), "eu-west-1")
}

fn client(caller: Caller, endpoint: &str, name: &str) -> Sqs {
    let queue = Queue::of(&format!("https://sqs.eu-west-1.amazonaws.com/123456789012/{name}")).expect("a queue");
    let endpoint = Some(Url::parse(endpoint).expect("a URL"));
    Sqs::new(queue, endpoint, caller, &Transport::default(), uncounted()).expect("a client")
}

async fn sandbox() -> (stand_in::Queue, Sqs) {
    let queue = stand_in::Queue::start(Effects::default()).await.expect("a queue");
    let ours = client(caller(ACCESS_KEY), &queue.face.url(), "tagrelay");
    (queue, ours)
}

/// What EventBridge tells of a push, where the message of a queue is the whole event.
fn event(repository: &str, tag: &str) -> String {
    json!({
        "version": "0", "id": "13cde686-328b-6117-af20-0e5566167482", "detail-type": "ECR Image Action",
        "source": "aws.ecr", "account": "123456789012", "time": "2019-11-16T01:54:34Z", "region": "eu-west-1",
        "resources": [],
        "detail": {
            "result": "SUCCESS", "repository-name": repository, "image-digest": "sha256:00", "action-type": "PUSH",
            "image-tag": tag,
        },
    })
    .to_string()
}

#[tokio::test]
async fn messages_are_waited_for_and_come_again_until_they_are_deleted() {
    let (queue, ours) = sandbox().await;
    let received = tokio::join!(ours.receive(), async {
        while queue.face.requests().is_empty() {
            tokio::task::yield_now().await;
        }
        queue.send("first");
    });
    let first = received.0.expect("received");
    assert_eq!(first.iter().map(|message| message.body.as_str()).collect::<Vec<_>>(), ["first"]);
    queue.reappear();
    let again = ours.receive().await.expect("received");
    assert_eq!(again.len(), 1, "it was not deleted");
    ours.delete(&again).await.expect("deleted");
    assert!(queue.is_empty());
    let told = ours.delete(&again).await.expect_err("it is gone").to_string();
    assert!(told.contains("1 of 1 messages stay in the queue: ReceiptHandleIsInvalid"), "{told}");
    (0..25).for_each(|n| queue.send(&n.to_string()));
    let mut all = Vec::new();
    while all.len() < 25 {
        all.extend(ours.receive().await.expect("received"));
    }
    ours.delete(&all).await.expect("deleted, ten at once");
    assert!(queue.is_empty());
    ours.delete(&[]).await.expect("nothing is asked for nothing");
}

#[tokio::test]
async fn failures_say_what_to_do() {
    let (queue, ours) = sandbox().await;
    let json = |text: String| Fault::answer(400).body("application/x-amz-json-1.0", text);
    let named = |name: &str| json(format!(r#"{{"__type":"com.amazonaws.sqs#{name}","message":"no"}}"#));
    let endless = "the answer of SQS is larger than";
    let table: [(Fault, bool, &str); 6] = [
        (named("AccessDeniedException"), false, "sqs:ReceiveMessage and sqs:DeleteMessage"),
        (named("RequestThrottled"), true, "RequestThrottled"),
        (Fault::answer(503), true, "503"),
        (Fault::html(), false, "is this SQS?"),
        (Fault::Endless, false, endless),
        (Fault::Drop(tagrelay::sandbox::fault::Moment::Before), true, "is the network there"),
    ];
    for (fault, away, text) in table {
        let shown = format!("{fault:?}");
        queue.face.faults.add(Rule::once(fault));
        let error = ours.receive().await.err().expect("a failure");
        assert_eq!(matches!(error, SqsError::Away(_)), away, "{shown}: {error}");
        assert!(error.to_string().contains(text), "{shown}: {error}");
    }
    let absent = client(caller(ACCESS_KEY), &queue.face.url(), "other").receive().await.err().expect("a failure");
    assert!(absent.to_string().contains("is the URL of the queue right"), "{absent}");
    let stranger = client(caller("AKIDNOBODY"), &queue.face.url(), "tagrelay").receive().await.err();
    let stranger = stranger.expect("a failure").to_string();
    assert!(stranger.contains("UnrecognizedClientException") && !stranger.contains("secret"), "{stranger}");
    queue.send("x");
    queue.face.faults.add(Rule::once(named("ExpiredTokenException")));
    assert_eq!(ours.receive().await.expect("asked once more as somebody anew").len(), 1);
}

/// Reads a queue for a loop that keeps what is asked of it, until this is over; returns the first so many wake-ups.
async fn woken(
    ours: Sqs,
    registry: Option<&str>,
    metrics: &Metrics,
    n: usize,
    is_over: impl Fn() -> bool,
) -> Vec<(Repository, Option<Tag>)> {
    let (handle, mut requests) = channel(watch::channel(Health::default()).1);
    let counted = metrics.clone();
    let tally: server::Tally = Arc::new(move |sender, outcome| counted.delivered(sender, outcome));
    let stop = CancellationToken::new();
    let queue = server::Queue::new(ours, registry.map(str::to_owned), handle, tally);
    let task = tokio::spawn(queue.run(stop.clone()));
    let mut woken = Vec::new();
    while woken.len() < n {
        let request = tokio::time::timeout(PATIENCE, requests.next()).await.expect("a message in time");
        if let Some(Request::Wake(repository, tag)) = request {
            woken.push((repository, tag));
        }
    }
    // The messages are deleted after the last wake-up; what is asked then is a wait of twenty seconds.
    while !is_over() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stop.cancel();
    tokio::time::timeout(AT_ONCE, task).await.expect("it stops at once").expect("it stops well");
    assert!(requests.next().await.is_none(), "nothing else was asked");
    woken
}

fn parsed(repository: &str, tag: &str) -> (Repository, Option<Tag>) {
    (Repository::parse(repository).expect("a repository"), Some(Tag::parse(tag).expect("a tag")))
}

#[tokio::test]
async fn each_message_wakes_what_it_names_and_nonsense_is_deleted() {
    let (queue, ours) = sandbox().await;
    for body in ["no JSON", r#"{"detail":{}}"#, &event("team/shop", "1.0"), &event("$(rm -rf /)", "1.1"), ""] {
        queue.send(body);
    }
    let metrics = Metrics::new("test");
    assert_eq!(
        woken(ours, Some("ecr.corp"), &metrics, 1, || queue.is_empty()).await,
        [parsed("ecr.corp/team/shop", "1.0")]
    );
    assert!(queue.is_empty());
    let numbers = metrics.encode();
    for (result, n) in [("taken", 2), ("unread", 3)] {
        let line = format!("tagrelay_deliveries_total{{sender=\"ecr\",result=\"{result}\"}} {n}\n");
        assert!(numbers.contains(&line), "{line}{numbers}");
    }
}

#[tokio::test]
async fn a_message_stays_where_nobody_takes_its_wake_up() {
    let (queue, ours) = sandbox().await;
    queue.send(&event("team/shop", "1.0"));
    let (handle, requests) = channel(watch::channel(Health::default()).1);
    drop(requests);
    let task = tokio::spawn(server::Queue::new(ours, None, handle, Arc::new(|_, _| ())).run(CancellationToken::new()));
    tokio::time::timeout(PATIENCE, task).await.expect("it ends with the loop").expect("it ends well");
    assert_eq!(queue.len(), 1);
}

#[tokio::test]
async fn moto_tells_of_a_push_by_a_queue_in_a_role() {
    let Some(endpoint) = real("moto_tells_of_a_push_by_a_queue", "TAGRELAY_REAL_ECR") else { return };
    let caller = Caller::of_chain(Some("arn:aws:iam::123456789012:role/tagrelay".to_owned()));
    let address = Url::parse(&endpoint).expect("a URL");
    let operation = async |name: &str, asked: Value| -> Value {
        let api = Api { endpoint: &address, region: "eu-west-1", service: "sqs", json: Json::V1_0 };
        let request = caller.request(api, &format!("AmazonSQS.{name}"), asked.to_string().into_bytes()).await;
        let http = http::client(&Transport::default()).expect("a client");
        let response = http.execute(request.expect("signed")).await.expect("an answer");
        assert!(response.status().is_success(), "{name}: {}", response.status());
        response.json().await.expect("JSON")
    };
    let name = format!("tagrelay-{}", std::process::id());
    let absent = client(caller.clone(), &endpoint, &name).receive().await.err().expect("no queue yet");
    assert!(absent.to_string().contains("QueueDoesNotExist"), "{absent}");
    let created = operation("CreateQueue", json!({ "QueueName": name })).await;
    let url = created["QueueUrl"].as_str().expect("a URL");
    for body in ["\"nonsense\"", &event("team/shop", "1.0")] {
        operation("SendMessage", json!({ "QueueUrl": url, "MessageBody": body })).await;
    }
    let metrics = Metrics::new("test");
    // Nobody can see whether moto's queue is empty without reading it.
    let n_looks = std::cell::Cell::new(0);
    let is_over = || n_looks.replace(n_looks.get() + 1) > 40;
    let woken = woken(client(caller.clone(), &endpoint, &name), None, &metrics, 4, is_over).await;
    let host = |rest: &str| parsed(&format!("123456789012.{rest}/team/shop"), "1.0");
    let mut expected = [
        host("dkr.ecr.eu-west-1.amazonaws.com"),
        host("dkr.ecr-fips.eu-west-1.amazonaws.com"),
        host("dkr-ecr.eu-west-1.on.aws"),
        host("dkr-ecr-fips.eu-west-1.on.aws"),
    ];
    expected.sort();
    assert_eq!(woken, expected);
    let counts = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"];
    let left = operation("GetQueueAttributes", json!({ "QueueUrl": url, "AttributeNames": counts })).await;
    for count in counts {
        assert_eq!(left["Attributes"][count], "0", "all were deleted: {left}");
    }
}
