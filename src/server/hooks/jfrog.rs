//! JFrog Artifactory's webhooks of domain `docker`; the payload names no host (JFrog docs, "Event Types").

use super::push::{Delivery, Push};
use serde::Deserialize;

#[derive(Deserialize)]
struct Event {
    domain: String,
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(default)]
    repo_key: String,
    image_name: String,
    #[serde(default)]
    tag: String,
}

/// The tag that was pushed, deleted or promoted: under the repository's key, as the path method has it, and without, as the
/// others have.
pub(super) fn read(delivery: &Delivery<'_>) -> Result<Vec<Push>, serde_json::Error> {
    let event: Event = delivery.json()?;
    if event.domain != "docker" {
        return Ok(Vec::new());
    }
    let Some(data) = event.data else { return Ok(Vec::new()) };
    let host = delivery.host("");
    let keyed = format!("{}/{}", data.repo_key, data.image_name);
    Ok([keyed, data.image_name].iter().map(|path| Push::of(host, path, Some(&data.tag))).collect())
}

#[cfg(test)]
mod tests {
    use super::super::push::tests::read as heard;
    use super::*;

    #[test]
    fn events() {
        let body = |domain: &str| {
            format!(
                r#"{{"domain":"{domain}","event_type":"pushed","data":{{"repo_key":"docker-local","path":"app/v1/manifest.json","name":"manifest.json","image_name":"team/app","tag":"v1","sha256":"00","platforms":[]}},"subscription_key":"k","jpd_origin":"https://example.jfrog.io"}}"#
            )
        };
        let registry = Some("example.jfrog.io");
        let expected = ["example.jfrog.io/docker-local/team/app:v1", "example.jfrog.io/team/app:v1"];
        assert_eq!(heard(read, &[], registry, &body("docker")), Ok(expected.map(str::to_owned).to_vec()));
        assert_eq!(heard(read, &[], registry, &body("artifact")), Ok(vec![]));
        assert!(heard(read, &[], registry, r#"{"data":{}}"#).is_err());
    }
}
