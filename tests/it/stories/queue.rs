//! A queue tells of a push to Amazon ECR: it is read at once, whoever polls how seldom, by a daemon that nobody can call.

use super::new_tag::{KUSTOMIZATION, POLICY};
use super::world::Story;
use crate::cli::tagrelay;
use axum::http::Method;
use serde_json::{Value, json};
use std::process::{Child, Command, Stdio};
use tagrelay::sandbox::fault::{Fault, Rule};
use tagrelay::sandbox::queue::Queue;
use tagrelay::sandbox::registry::ecr::ACCESS_KEY;

const FILE: &str = "deployment/dev/kustomization.yaml";

/// The binary, with a queue, in a world where the registry is polled once an hour.
struct Told {
    story: Story,
    queue: Queue,
    url: String,
    process: Child,
}

impl Told {
    async fn start() -> Self {
        let policy = POLICY.replace("poll: 1s", "poll: 1h").replace("follow: dev", "semver: '1.x'");
        let story = Story::new(&policy, &[(FILE, KUSTOMIZATION)]).await;
        // A repository that is not there is asked for again soon.
        story.push("old", 9);
        let queue = Queue::start(story.world.effects.clone()).await.expect("a queue");
        let address = crate::port::free_address();
        let server = format!(
            "server: {{ listen: '{address}', webhooks: {{ ecr: {{ \
             queue: 'https://sqs.eu-west-1.amazonaws.com/123456789012/tagrelay', \
             endpoint_url: '{}', plain_http: true, registry: '{}' }} }}, ",
            queue.face.url(),
            story.world.registry.host(),
        );
        let config = story.config.replace("server: { ", &server);
        let file = story.home.path().join("tagrelay.yaml");
        std::fs::write(&file, config).expect("written");
        let log = std::fs::File::create(story.home.path().join("log")).expect("a log");
        let mut command = tagrelay(story.home.path(), ["run", "--config", "tagrelay.yaml"]);
        let command = command.env("AWS_ACCESS_KEY_ID", ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", "what-only-we-know");
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let process = command.spawn().expect("the binary starts");
        let told = Self { story, queue, url: format!("http://{address}"), process };
        told.until("the pin was adopted, and the repository was listed", |status| {
            let is_adopted = status["policies"][0]["environments"][0]["current"]["state"] == "adopted";
            is_adopted && status["repositories"][0]["read_at"].is_string()
        })
        .await;
        told
    }

    async fn get(&self, path: &str) -> String {
        let client = tagrelay::clients::http::client(&Default::default()).expect("a client");
        match client.get(format!("{}{path}", self.url)).send().await {
            Ok(answer) => answer.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    async fn until(&self, what: &str, is: impl Fn(&Value) -> bool) {
        let is = &is;
        let so = || async move {
            let status = self.get("/api/v1/status").await;
            is(&serde_json::from_str(&status).unwrap_or_default())
        };
        self.story.until(what, so).await;
    }

    async fn until_counted(&self, numbers: &str) {
        self.story.until(numbers, || async { self.get("/metrics").await.contains(numbers) }).await;
    }

    /// What EventBridge tells of a push.
    fn tell(&self, repository: &str, tag: &str) {
        let detail =
            json!({ "result": "SUCCESS", "action-type": "PUSH", "repository-name": repository, "image-tag": tag });
        let event = json!({ "source": "aws.ecr", "account": "123456789012", "region": "eu-west-1", "detail": detail });
        self.queue.send(&event.to_string());
    }

    fn lists(&self) -> usize {
        self.story.world.registry.face.count(&Method::GET, "/tags/list")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.story.home.path().join("log")).expect("a log")
    }

    /// Stops it as Kubernetes does.
    fn stop(&mut self) -> Option<i32> {
        let killed = Command::new("kill").arg(self.process.id().to_string()).status().expect("kill");
        assert!(killed.success());
        self.process.wait().expect("it ends").code()
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        // Where the story failed it still runs.
        let _killed = self.process.kill();
        let _ended = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_queue_tells_is_read_at_once() {
    let mut told = Told::start().await;
    let before = told.lists();
    told.tell("other", "1.0.0");
    told.queue.send("no event");
    told.story.until("both are deleted", || async { told.queue.is_empty() }).await;
    told.story.push("1.0.0", 1);
    told.tell("shop", "1.0.0");
    told.story.until_written(FILE, "newTag: 1.0.0").await;
    assert_eq!(told.lists(), before + 1, "neither of the others names what is polled here");
    told.story.until("it is deleted", || async { told.queue.is_empty() }).await;
    for (result, n) in [("taken", 2), ("unread", 1)] {
        told.until_counted(&format!("{{sender=\"ecr\",result=\"{result}\"}} {n}\n")).await;
    }
    let client = tagrelay::clients::http::client(&Default::default()).expect("a client");
    let knocked = client.post(format!("{}/webhooks/ecr", told.url)).body("{}").send().await.expect("an answer");
    assert_eq!(knocked.status().as_u16(), 404, "a queue opens no door");
    assert_eq!(told.stop(), Some(0), "a reading that waits holds up no exit: {}", told.log());
    assert!(told.log().contains("makes no sense and is deleted"), "{}", told.log());
    assert!(!told.log().contains("what-only-we-know"), "{}", told.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_is_refused_is_told_of_until_it_is_read_again() {
    let mut told = Told::start().await;
    let refused = r#"{"__type":"com.amazonaws.sqs#AccessDeniedException","message":"Access is denied."}"#;
    let refused = Fault::answer(400).body("application/x-amz-json-1.0", refused);
    told.queue.face.faults.add(Rule::every(refused));
    // The reading that waits already ends with a message, which can then not be deleted.
    told.tell("other", "1.0.0");
    let says = |status: &Value| status["broken"].to_string().contains("need sqs:ReceiveMessage and sqs:DeleteMessage");
    told.until("the status says why", says).await;
    assert!(!told.queue.is_empty(), "it was not deleted");
    told.queue.face.faults.clear();
    told.queue.reappear();
    told.until("the status says nothing of it", |status| status["broken"] == json!([])).await;
    told.story.until("the message is deleted", || async { told.queue.is_empty() }).await;
    told.until_counted("{sender=\"ecr\",result=\"failed\"}").await;
    assert_eq!(told.stop(), Some(0));
    let said = told.log().matches("Access is denied").count();
    assert!(told.log().contains("the queue is read again") && said <= 4, "said {said} times:\n{}", told.log());
}
