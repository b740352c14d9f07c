//! Amazon SQS: messages of one queue, received by long polling and deleted.
//!
//! Operations: Amazon SQS API Reference, "ReceiveMessage" and "DeleteMessageBatch", in AWS JSON 1.0. What a message says is
//! not looked at, and nothing is tried twice, but for credentials that had run out.

use super::{Api, AwsError, Caller, Failure, Json};
use crate::clients::http::{self, Counter, HttpError, Transport};
use crate::model::sqs::Queue;
use crate::model::text;
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// How many messages are received or deleted at once, the most that is allowed.
const BATCH: usize = 10;
/// How long a request waits for a message, in seconds: the longest that is allowed, and the fewest requests.
const WAIT_SECONDS: u32 = 20;
/// The largest answer: ten messages of a mebibyte, each character of two bytes escaped in six.
const ANSWER_BYTES_MAX: usize = 32 << 20;
/// How much of a failure is read: it is a name and a sentence.
const FAILURE_BYTES_MAX: usize = 16 << 10;

/// One queue, as somebody who may read it.
pub struct Sqs {
    queue: Queue,
    endpoint: Url,
    caller: Caller,
    client: reqwest::Client,
    counter: Counter,
}

/// A message that was received and not deleted yet.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Message {
    /// What it is called.
    #[serde(rename = "MessageId")]
    pub id: String,
    /// What it says.
    pub body: String,
    /// What it is deleted by.
    #[serde(rename = "ReceiptHandle")]
    receipt: String,
}

/// Why messages were not received, or not deleted. Those that were not deleted come again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SqsError {
    /// The queue, the way there or whoever says who we are is away or busy: it comes back by itself.
    #[error("{0}; it is asked again later")]
    Away(String),
    /// It is refused, or makes no sense: a person has to look.
    #[error("{0}")]
    Refused(String),
}

impl Sqs {
    /// A queue, its API at `endpoint` where that is not the usual place. Nothing is asked yet.
    ///
    /// # Errors
    /// When a setting cannot be used.
    pub fn new(
        queue: Queue,
        endpoint: Option<Url>,
        caller: Caller,
        transport: &Transport,
        counter: Counter,
    ) -> Result<Self, HttpError> {
        let usual = || {
            let url = format!("https://{}/", queue.api);
            Url::parse(&url).map_err(|error| HttpError::Setting(format!("{url} is no address: {error}")))
        };
        let endpoint = endpoint.map_or_else(usual, Ok)?;
        Ok(Self { endpoint, caller, client: http::client(transport)?, counter, queue })
    }

    /// The URL of the queue.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.queue.url
    }

    /// Waits for messages; none after twenty seconds without any. Each comes again unless it is deleted soon.
    ///
    /// # Errors
    /// When the queue cannot be read.
    pub async fn receive(&self) -> Result<Vec<Message>, SqsError> {
        let asked = json!({
            "QueueUrl": self.queue.url, "MaxNumberOfMessages": BATCH, "WaitTimeSeconds": WAIT_SECONDS
        });
        let Received { messages } = self.call("ReceiveMessage", &asked).await?;
        Ok(messages.unwrap_or_default())
    }

    /// Deletes messages.
    ///
    /// # Errors
    /// When any was not deleted.
    pub async fn delete(&self, messages: &[Message]) -> Result<(), SqsError> {
        for batch in messages.chunks(BATCH) {
            let entry =
                |(id, message): (usize, &Message)| json!({ "Id": id.to_string(), "ReceiptHandle": message.receipt });
            let entries: Vec<Value> = batch.iter().enumerate().map(entry).collect();
            let asked = json!({ "QueueUrl": self.queue.url, "Entries": entries });
            let Deleted { failed } = self.call("DeleteMessageBatch", &asked).await?;
            let Some(first) = failed.first() else { continue };
            let (n, all) = (failed.len(), batch.len());
            let why = text::shown(format!("{}: {}", first.code, first.message).trim_matches([':', ' ']));
            let request = http::shown_request(&Method::POST, &self.endpoint);
            let told = format!("{request} DeleteMessageBatch: {n} of {all} messages stay in the queue: {why}");
            return Err(if first.sender_fault { SqsError::Refused(told) } else { SqsError::Away(told) });
        }
        Ok(())
    }

    /// One operation; once more where our credentials had run out.
    async fn call<T: DeserializeOwned>(&self, operation: &str, asked: &Value) -> Result<T, SqsError> {
        let api = Api { endpoint: &self.endpoint, region: &self.queue.region, service: "sqs", json: Json::V1_0 };
        let shown = format!("{} {operation}", http::shown_request(&Method::POST, &self.endpoint));
        let target = format!("AmazonSQS.{operation}");
        let mut again = true;
        loop {
            let request = self.caller.request(api, &target, asked.to_string().into_bytes()).await;
            let request = request.map_err(not_signed)?;
            let response = http::send(&self.client, request, &self.counter).await.map_err(|error| no_answer(&error))?;
            let status = response.status();
            if status.is_success() {
                let bytes =
                    http::body(response, ANSWER_BYTES_MAX, "answer of SQS").await.map_err(|error| no_answer(&error))?;
                let nonsense = || SqsError::Refused(format!("{shown}: the answer makes no sense; is this SQS?"));
                return serde_json::from_slice(&bytes).map_err(|_| nonsense());
            }
            // The status says enough where the body cannot be read.
            let body = http::body(response, FAILURE_BYTES_MAX, "error").await.unwrap_or_default();
            let failure = Failure::of(&String::from_utf8_lossy(&body));
            if again && failure.says_expired() {
                self.caller.forget().await;
                again = false;
                continue;
            }
            return Err(refused(&failure, &shown, status));
        }
    }
}

fn not_signed(error: AwsError) -> SqsError {
    match error {
        AwsError::NoCredentials { .. } | AwsError::NoRegion => SqsError::Refused(error.to_string()),
        AwsError::Slow => SqsError::Away(error.to_string()),
        AwsError::Http(error) => no_answer(&error),
    }
}

fn no_answer(error: &HttpError) -> SqsError {
    let told = error.to_string();
    match error {
        HttpError::Unreachable { .. } | HttpError::TimedOut { .. } => SqsError::Away(told),
        HttpError::TooLarge { .. } | HttpError::NoRoots { .. } | HttpError::NoTls { .. } | HttpError::Setting(_) => {
            SqsError::Refused(told)
        }
    }
}

/// What a failed operation means.
fn refused(failure: &Failure, request: &str, status: StatusCode) -> SqsError {
    let answer = failure.shown(request, status);
    let is_busy = status == StatusCode::TOO_MANY_REQUESTS || failure.name() == "OverLimit";
    if is_busy || status.is_server_error() || failure.says_throttled() || failure.name() == "KmsThrottled" {
        return SqsError::Away(answer);
    }
    let help = match failure.name() {
        "QueueDoesNotExist" | "InvalidAddress" => "is the URL of the queue right, and may these credentials see it?",
        name if name.starts_with("Kms") => "the AWS credentials need kms:Decrypt with the key of the queue",
        _ => "the AWS credentials need sqs:ReceiveMessage and sqs:DeleteMessage there",
    };
    SqsError::Refused(format!("{answer}; {help}"))
}

/// An empty queue is told without the list.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Received {
    messages: Option<Vec<Message>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Deleted {
    #[serde(default)]
    failed: Vec<NotDeleted>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NotDeleted {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    sender_fault: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures() {
        let check = |status: u16, body: &str, expected: &str, help: &str| {
            let status = StatusCode::from_u16(status).expect("a status");
            let error = refused(&Failure::of(body), "POST https://sqs ReceiveMessage", status);
            assert!(format!("{error:?}").starts_with(expected) && error.to_string().ends_with(help), "{body}: {error}");
        };
        let named = |name: &str| format!(r#"{{"__type":"com.amazonaws.sqs#{name}","message":"no"}}"#);
        check(400, &named("QueueDoesNotExist"), "Refused", "may these credentials see it?");
        check(400, &named("AccessDeniedException"), "Refused", "sqs:DeleteMessage there");
        check(400, &named("KmsAccessDenied"), "Refused", "the key of the queue");
        check(400, &named("KmsThrottled"), "Away", "asked again later");
        check(400, &named("RequestThrottled"), "Away", "asked again later");
        check(403, &named("OverLimit"), "Away", "asked again later");
        check(429, "", "Away", "asked again later");
        check(503, "<html>", "Away", "asked again later");
        check(301, "", "Refused", "sqs:DeleteMessage there");
    }

    #[test]
    fn answers() {
        let check = |answer: &str, expected: usize| {
            let Received { messages } = serde_json::from_str(answer).expect("an answer");
            assert_eq!(messages.unwrap_or_default().len(), expected, "{answer}");
        };
        check("{}", 0);
        check(r#"{"Messages":null}"#, 0);
        check(r#"{"Messages":[{"MessageId":"1","ReceiptHandle":"r","MD5OfBody":"x","Body":"{}"}]}"#, 1);
        assert!(serde_json::from_str::<Received>(r#"{"Messages":[{"MessageId":"1"}]}"#).is_err());
    }
}
