//! Sonatype Nexus's repository webhooks: a component of format `docker`, or the asset that is its manifest; the payload
//! names no host (Sonatype docs, "Working with Webhooks").

use super::push::{Delivery, Push};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    #[serde(default)]
    repository_name: String,
    component: Option<Component>,
    asset: Option<Asset>,
}

#[derive(Deserialize)]
struct Asset {
    #[serde(default)]
    format: String,
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct Component {
    #[serde(default)]
    format: String,
    name: String,
    #[serde(default)]
    version: String,
}

/// What was created, updated or deleted in the registry of the configuration: by a port of its own, and below the
/// repository's name, as path-based routing has it.
pub(super) fn read(delivery: &Delivery<'_>) -> Result<Vec<Push>, serde_json::Error> {
    let event: Event = delivery.json()?;
    let component = event.component.filter(|component| component.format == "docker");
    let asset = event.asset.filter(|asset| asset.format == "docker");
    let named = match &component {
        Some(component) => Some((component.name.as_str(), component.version.as_str())),
        None => asset.as_ref().and_then(|asset| manifest(&asset.name)),
    };
    let Some((image, tag)) = named else { return Ok(Vec::new()) };
    let below = format!("{}/{image}", event.repository_name);
    Ok([image, &below].into_iter().map(|path| Push::of(delivery.host(""), path, Some(tag))).collect())
}

/// Image and tag of `v2/<image>/manifests/<tag>`; layers are assets too.
fn manifest(asset: &str) -> Option<(&str, &str)> {
    asset.trim_start_matches('/').strip_prefix("v2/")?.rsplit_once("/manifests/")
}

#[cfg(test)]
mod tests {
    use super::super::push::tests::read as heard;
    use super::*;

    #[test]
    fn components() {
        let body = |format: &str| {
            format!(
                r#"{{"timestamp":"2026-01-01T00:00:00Z","nodeId":"n","initiator":"ci/10.0.0.1","repositoryName":"docker-hosted","action":"CREATED","component":{{"id":"1","format":"{format}","name":"team/app","group":null,"version":"v1.0.0"}}}}"#
            )
        };
        let registry = Some("nexus.corp:8082");
        let both = ["nexus.corp:8082/team/app:v1.0.0", "nexus.corp:8082/docker-hosted/team/app:v1.0.0"];
        let both = || Ok(both.map(str::to_owned).to_vec());
        let asset = |name: &str| {
            format!(
                r#"{{"repositoryName":"docker-hosted","action":"UPDATED","asset":{{"id":"1","format":"docker","name":"{name}"}}}}"#
            )
        };
        assert_eq!(heard(read, &[], registry, &body("docker")), both());
        assert_eq!(heard(read, &[], registry, &asset("v2/team/app/manifests/v1.0.0")), both());
        assert_eq!(heard(read, &[], registry, &asset("/v2/team/app/manifests/v1.0.0")), both());
        assert_eq!(heard(read, &[], registry, &asset("v2/-/blobs/sha256:00")), Ok(vec![]));
        assert_eq!(heard(read, &[], registry, &body("maven2")), Ok(vec![]));
        assert_eq!(heard(read, &[], registry, r#"{"asset":{}}"#), Ok(vec![]));
        assert!(heard(read, &[], registry, r#"{"component":{"format":"docker"}}"#).is_err());
    }
}
