//! An SQS queue: messages are sent by a test, received by long polling, hidden for a while, and deleted by their receipts.
//!
//! Operations and error names: Amazon SQS API Reference. Signatures are looked at, not computed anew; it asks for no order,
//! and knows one queue by whatever URL.

use super::effects::Effects;
use super::face::{Face, System};
use super::registry::ecr::ACCESS_KEY;
use super::{Error, held};
use axum::Json;
use axum::body::Bytes;
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// How long a message that was received is hidden: Amazon's default.
const HIDDEN: Duration = Duration::from_secs(30);
/// The longest wait that may be asked for, in seconds.
const WAIT_SECONDS_MAX: u64 = 20;
/// The most messages of one answer.
const BATCH_MAX: u64 = 10;
/// How the operations are named.
const TARGET: &str = "AmazonSQS.";

/// One queue.
#[derive(Debug)]
pub struct Queue {
    /// Where its API answers.
    pub face: Face,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    messages: Mutex<Messages>,
    sent: Notify,
}

#[derive(Debug, Default)]
struct Messages {
    kept: Vec<Kept>,
    numbered: u64,
}

#[derive(Debug)]
struct Kept {
    id: u64,
    body: String,
    receipt: Option<String>,
    hidden_until: Option<Instant>,
}

impl Queue {
    /// Starts an empty queue on a free port.
    ///
    /// # Errors
    /// When the machine gives no port.
    pub async fn start(effects: Effects) -> Result<Self, Error> {
        let state = Arc::new(State::default());
        let face = Face::start(state.clone(), effects).await.map_err(Error::io("open a port for the queue"))?;
        Ok(Self { face, state })
    }

    /// Sends a message, as EventBridge would.
    pub fn send(&self, body: &str) {
        let mut messages = held(&self.state.messages);
        messages.numbered += 1;
        let id = messages.numbered;
        messages.kept.push(Kept { id, body: body.to_owned(), receipt: None, hidden_until: None });
        drop(messages);
        self.state.sent.notify_waiters();
    }

    /// How many messages are there, hidden or not.
    #[must_use]
    pub fn len(&self) -> usize {
        held(&self.state.messages).kept.len()
    }

    /// Whether every message was deleted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Shows the hidden messages again, as if their time were over.
    pub fn reappear(&self) {
        held(&self.state.messages).kept.iter_mut().for_each(|kept| kept.hidden_until = None);
        self.state.sent.notify_waiters();
    }
}

impl System for State {
    const NAME: &'static str = "queue";

    fn mutates(request: &Request<Bytes>) -> bool {
        operation(request) == Some("DeleteMessageBatch")
    }

    async fn answer(self: Arc<Self>, request: Request<Bytes>) -> Response {
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let scope = header("authorization").strip_prefix(&format!("AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/"));
        let is_signed = |scope: &str| scope.contains("/eu-west-1/sqs/aws4_request, SignedHeaders=");
        if !scope.is_some_and(is_signed) {
            return failure("com.amazon.coral.service#UnrecognizedClientException", "The security token is invalid.");
        }
        if header("content-type") != "application/x-amz-json-1.0" {
            return failure("com.amazon.coral.service#UnknownOperationException", "");
        }
        let asked: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        if !asked["QueueUrl"].as_str().is_some_and(|url| url.ends_with("/tagrelay")) {
            return failure("com.amazonaws.sqs#QueueDoesNotExist", "The specified queue does not exist.");
        }
        match operation(&request) {
            Some("ReceiveMessage") => self.receive(&asked).await,
            Some("DeleteMessageBatch") => self.delete(&asked),
            Some(_) | None => failure("com.amazon.coral.service#UnknownOperationException", ""),
        }
    }
}

fn operation(request: &Request<Bytes>) -> Option<&str> {
    request.headers().get("x-amz-target")?.to_str().ok()?.strip_prefix(TARGET)
}

impl State {
    async fn receive(&self, asked: &Value) -> Response {
        let (wait, most) = (asked["WaitTimeSeconds"].as_u64(), asked["MaxNumberOfMessages"].as_u64());
        let (wait, most) = (wait.unwrap_or(0), most.unwrap_or(1));
        if wait > WAIT_SECONDS_MAX || most > BATCH_MAX {
            return failure("com.amazonaws.sqs#InvalidParameterValue", "The value is out of range.");
        }
        let end = Instant::now() + Duration::from_secs(wait);
        loop {
            let sent = self.sent.notified();
            let found = held(&self.messages).take(usize::try_from(most).unwrap_or(1));
            if !found.is_empty() {
                return Json(json!({ "Messages": found })).into_response();
            }
            if timeout_at(end, sent).await.is_err() {
                return Json(json!({})).into_response();
            }
        }
    }

    fn delete(&self, asked: &Value) -> Response {
        let entries = asked["Entries"].as_array().map(Vec::as_slice).unwrap_or_default();
        if entries.is_empty() {
            return failure("com.amazonaws.sqs#EmptyBatchRequest", "There should be at least one entry.");
        }
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        let mut messages = held(&self.messages);
        for entry in entries {
            let (id, receipt) = (&entry["Id"], entry["ReceiptHandle"].as_str());
            let before = messages.kept.len();
            messages.kept.retain(|kept| kept.receipt.is_none() || kept.receipt.as_deref() != receipt);
            if messages.kept.len() < before {
                successful.push(json!({ "Id": id }));
            } else {
                let code = "ReceiptHandleIsInvalid";
                failed.push(json!({ "Id": id, "SenderFault": true, "Code": code, "Message": "It is not valid." }));
            }
        }
        Json(json!({ "Successful": successful, "Failed": failed })).into_response()
    }
}

impl Messages {
    /// Receives up to so many messages that are not hidden.
    fn take(&mut self, most: usize) -> Vec<Value> {
        let now = Instant::now();
        let mut taken = Vec::new();
        for kept in self.kept.iter_mut().filter(|kept| kept.hidden_until.is_none_or(|until| until <= now)).take(most) {
            self.numbered += 1;
            let receipt = format!("{}-{}", kept.id, self.numbered);
            taken.push(json!({ "MessageId": kept.id.to_string(), "ReceiptHandle": receipt, "Body": kept.body }));
            kept.receipt = Some(receipt);
            kept.hidden_until = Some(now + HIDDEN);
        }
        taken
    }
}

fn failure(kind: &str, message: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({ "__type": kind, "message": message }))).into_response()
}
