//! Harbor's webhooks, in its default format or, since 2.8, as CloudEvents: one artifact under several tags (Harbor docs,
//! "Configure Webhook Notifications").

use super::push::{Delivery, Push};
use serde::Deserialize;

/// The events after which a repository holds something else: new names and those before Harbor 2.0.
const CHANGES: [&str; 8] = [
    "PUSH_ARTIFACT",
    "DELETE_ARTIFACT",
    "REPLICATION",
    "pushImage",
    "deleteImage",
    "TAG_RETENTION",
    "harbor.artifact.pushed",
    "harbor.artifact.deleted",
];

#[derive(Deserialize)]
struct Notification {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, alias = "data")]
    event_data: Data,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Data {
    resources: Vec<Resource>,
    repository: Named,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Resource {
    tag: String,
    resource_url: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Named {
    repo_full_name: String,
}

/// The tags that were pushed or deleted.
pub(super) fn read(delivery: &Delivery<'_>) -> Result<Vec<Push>, serde_json::Error> {
    let notification: Notification = delivery.json()?;
    if !CHANGES.contains(&notification.kind.as_str()) {
        return Ok(Vec::new());
    }
    let data = &notification.event_data;
    let push = |resource: &Resource| match (delivery.registry, data.repository.repo_full_name.as_str()) {
        (Some(host), name) if !name.is_empty() => Push::of(host, name, Some(&resource.tag)),
        _ => Push::of_reference(&resource.resource_url),
    };
    Ok(data.resources.iter().map(push).collect())
}

#[cfg(test)]
mod tests {
    use super::super::push::tests::read as heard;
    use super::*;

    #[test]
    fn notifications() {
        let body = |kind: &str| {
            format!(
                r#"{{"type":"{kind}","occur_at":1586922308,"operator":"admin","event_data":{{"resources":[{{"digest":"sha256:00","tag":"latest","resource_url":"hub.harbor.com/test-webhook/debian:latest"}}],"repository":{{"name":"debian","namespace":"test-webhook","repo_full_name":"test-webhook/debian"}}}}}}"#
            )
        };
        for (kind, registry, expected) in [
            ("PUSH_ARTIFACT", None, &["hub.harbor.com/test-webhook/debian:latest"][..]),
            ("pushImage", Some("harbor.corp:8443"), &["harbor.corp:8443/test-webhook/debian:latest"]),
            ("DELETE_ARTIFACT", None, &["hub.harbor.com/test-webhook/debian:latest"]),
            ("harbor.artifact.pushed", None, &["hub.harbor.com/test-webhook/debian:latest"]),
            ("harbor.artifact.pulled", None, &[]),
            ("PULL_ARTIFACT", None, &[]),
            ("SCANNING_COMPLETED", None, &[]),
        ] {
            let expected: Vec<String> = expected.iter().map(|it| (*it).to_owned()).collect();
            let body = if kind.contains('.') { body(kind).replace("event_data", "data") } else { body(kind) };
            assert_eq!(heard(read, &[], registry, &body), Ok(expected), "{kind}");
        }
        assert!(heard(read, &[], None, "[]").is_err());
    }
}
