//! CNCF distribution's notifications, which GitLab's registry sends too: an envelope of events, blobs among them
//! (distribution's docs, "Work with notifications").

use super::push::{Delivery, Push};
use serde::Deserialize;

#[derive(Deserialize)]
struct Envelope {
    events: Vec<Event>,
}

#[derive(Deserialize)]
struct Event {
    action: String,
    #[serde(default)]
    target: Target,
    #[serde(default)]
    request: Request,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Target {
    media_type: String,
    repository: String,
    tag: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Request {
    host: String,
}

/// The tags that were pushed or deleted; pulls and layers are the most of what is sent.
pub(super) fn read(delivery: &Delivery<'_>) -> Result<Vec<Push>, serde_json::Error> {
    let envelope: Envelope = delivery.json()?;
    let changes = envelope.events.iter().filter(|event| {
        let manifest = ["manifest", "image.index"].iter().any(|kind| event.target.media_type.contains(kind));
        event.action == "delete" || (event.action == "push" && manifest)
    });
    let push =
        |event: &Event| Push::of(delivery.host(&event.request.host), &event.target.repository, Some(&event.target.tag));
    Ok(changes.map(push).collect())
}

#[cfg(test)]
mod tests {
    use super::super::push::tests::read as heard;
    use super::*;

    #[test]
    fn envelopes() {
        let event = |action: &str, kind: &str, tag: &str| {
            format!(
                r#"{{"id":"1","action":"{action}","target":{{"mediaType":"application/vnd.{kind}","digest":"sha256:00","repository":"library/test","tag":"{tag}"}},"request":{{"host":"reg.example.com:5000"}},"actor":{{}}}}"#
            )
        };
        let body = |events: &[String]| format!(r#"{{"events":[{}]}}"#, events.join(","));
        let pushed = event("push", "docker.distribution.manifest.v2+json", "latest");
        let index = event("push", "oci.image.index.v1+json", "v1");
        let layer = event("push", "docker.image.rootfs.diff.tar.gzip", "");
        let pulled = event("pull", "oci.image.manifest.v1+json", "latest");
        let gone = r#"{"action":"delete","target":{"digest":"sha256:00","repository":"library/test"},"request":{}}"#;
        for (body, registry, expected) in [
            (body(&[pushed.clone(), layer, pulled]), None, vec!["reg.example.com:5000/library/test:latest"]),
            (
                body(&[pushed.clone(), index]),
                None,
                vec!["reg.example.com:5000/library/test:latest", "reg.example.com:5000/library/test:v1"],
            ),
            (body(&[pushed]), Some("reg.example.com"), vec!["reg.example.com/library/test:latest"]),
            (body(&[gone.to_owned()]), Some("reg.example.com"), vec!["reg.example.com/library/test:-"]),
            (body(&[]), None, vec![]),
        ] {
            let expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
            assert_eq!(heard(read, &[], registry, &body), Ok(expected), "{body}");
        }
        assert!(heard(read, &[], None, "{}").is_err());
    }
}
