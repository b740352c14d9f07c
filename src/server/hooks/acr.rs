//! Azure Container Registry's webhooks; a `ping` has no target (Azure docs, "Container Registry webhook reference").

use super::push::{Delivery, Push};
use serde::Deserialize;

#[derive(Deserialize)]
struct Event {
    action: String,
    target: Option<Target>,
    #[serde(default)]
    request: Request,
}

#[derive(Deserialize)]
struct Target {
    repository: String,
    #[serde(default)]
    tag: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Request {
    host: String,
}

/// The tag that was pushed or deleted.
pub(super) fn read(delivery: &Delivery<'_>) -> Result<Vec<Push>, serde_json::Error> {
    let event: Event = delivery.json()?;
    let target = event.target.filter(|_| matches!(event.action.as_str(), "push" | "delete"));
    let push = |target: Target| Push::of(delivery.host(&event.request.host), &target.repository, Some(&target.tag));
    Ok(target.map(push).into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::super::push::tests::read as heard;
    use super::*;

    #[test]
    fn events() {
        let body = |action: &str| {
            format!(
                r#"{{"id":"1","action":"{action}","target":{{"size":524,"digest":"sha256:00","repository":"hello-world","tag":"v1"}},"request":{{"host":"myregistry.azurecr.io","method":"PUT"}}}}"#
            )
        };
        for (body, expected) in [
            (body("push"), &["myregistry.azurecr.io/hello-world:v1"][..]),
            (body("delete"), &["myregistry.azurecr.io/hello-world:v1"]),
            (body("quarantine"), &[]),
            (r#"{"id":"1","action":"ping"}"#.to_owned(), &[]),
        ] {
            let expected: Vec<String> = expected.iter().map(|it| (*it).to_owned()).collect();
            assert_eq!(heard(read, &[], None, &body), Ok(expected), "{body}");
        }
        assert!(heard(read, &[], None, r#"{"target":null}"#).is_err());
    }
}
