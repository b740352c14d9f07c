//! Google's registries by Pub/Sub push: an envelope with base64 in it (Google docs, "Configure Pub/Sub notifications").

use super::push::{Delivery, Push};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::Error as _;

#[derive(Deserialize)]
struct Envelope {
    message: Message,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    data: String,
}

#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    digest: String,
    tag: Option<String>,
}

/// The tag that was inserted or deleted; what names no tag is the manifest of one that comes with its own message.
pub(super) fn read(delivery: &Delivery<'_>) -> Result<Vec<Push>, serde_json::Error> {
    let envelope: Envelope = delivery.json()?;
    let data = STANDARD.decode(&envelope.message.data);
    let data = data.map_err(|_| serde_json::Error::custom("message.data is no base64"))?;
    let event: Event = serde_json::from_slice(&data)?;
    Ok(vec![Push::of_reference(event.tag.as_deref().unwrap_or(&event.digest))])
}

#[cfg(test)]
mod tests {
    use super::super::push::tests::read as heard;
    use super::*;

    #[test]
    fn messages() {
        let body = |data: &str| {
            let data = STANDARD.encode(data);
            format!(r#"{{"message":{{"data":"{data}","messageId":"1"}},"subscription":"projects/p/subscriptions/s"}}"#)
        };
        let image = "us-east1-docker.pkg.dev/my-project/my-repo/hello-world";
        for (data, expected) in [
            (
                format!(r#"{{"action":"INSERT","digest":"{image}@sha256:00","tag":"{image}:1.1"}}"#),
                format!("{image}:1.1"),
            ),
            (format!(r#"{{"action":"DELETE","digest":"{image}@sha256:00"}}"#), format!("{image}:-")),
        ] {
            assert_eq!(heard(read, &[], None, &body(&data)), Ok(vec![expected]), "{data}");
        }
        for nonsense in ["{}", r#"{"message":{"data":"%%%"}}"#, r#"{"message":{"data":""}}"#] {
            assert!(heard(read, &[], None, nonsense).is_err(), "{nonsense}");
        }
    }
}
