//! Sonatype Nexus's repository webhooks: a component of format `docker`; the payload names no host (Sonatype docs,
//! "Working with Webhooks").

use super::push::{Delivery, Push};
use serde::Deserialize;

#[derive(Deserialize)]
struct Event {
    component: Option<Component>,
}

#[derive(Deserialize)]
struct Component {
    #[serde(default)]
    format: String,
    name: String,
    #[serde(default)]
    version: String,
}

/// The component that was created, updated or deleted, in the registry of the configuration.
pub(super) fn read(delivery: &Delivery<'_>) -> Result<Vec<Push>, serde_json::Error> {
    let event: Event = delivery.json()?;
    let component = event.component.filter(|component| component.format == "docker");
    let push = |component: Component| Push::of(delivery.host(""), &component.name, Some(&component.version));
    Ok(component.map(push).into_iter().collect())
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
        assert_eq!(heard(read, &[], registry, &body("docker")), Ok(vec!["nexus.corp:8082/team/app:v1.0.0".to_owned()]));
        assert_eq!(heard(read, &[], registry, &body("maven2")), Ok(vec![]));
        assert_eq!(heard(read, &[], registry, r#"{"asset":{}}"#), Ok(vec![]));
        assert!(heard(read, &[], registry, r#"{"component":{"format":"docker"}}"#).is_err());
    }
}
