//! GitHub's package webhooks: `package` and `registry_package`, the same facts under two names (GitHub Docs, "Webhook
//! events and payloads").

use super::push::{Delivery, Push};
use serde::Deserialize;

#[derive(Deserialize)]
struct Event {
    #[serde(alias = "registry_package")]
    package: Package,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    namespace: String,
    #[serde(default)]
    package_type: String,
    package_version: Option<Version>,
}

#[derive(Deserialize)]
struct Version {
    container_metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Metadata {
    tag: Option<Named>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    name: String,
}

/// The tag that was pushed; children of an index are pushed under no tag and are passed over.
pub(super) fn read(delivery: &Delivery<'_>) -> Result<Vec<Push>, serde_json::Error> {
    if !matches!(delivery.header("x-github-event"), Some("package" | "registry_package")) {
        return Ok(Vec::new());
    }
    let Event { package } = delivery.json()?;
    let version = package.package_version.and_then(|version| version.container_metadata);
    let tag = version.and_then(|metadata| metadata.tag).map(|tag| tag.name).unwrap_or_default();
    if !package.package_type.eq_ignore_ascii_case("container") || tag.is_empty() {
        return Ok(Vec::new());
    }
    // GitHub keeps the case of an owner's name; registries know it in lower case alone.
    let path = format!("{}/{}", package.namespace, package.name).to_ascii_lowercase();
    Ok(vec![Push::of(delivery.host("ghcr.io"), &path, Some(&tag))])
}

#[cfg(test)]
mod tests {
    use super::super::push::tests::read as heard;
    use super::*;

    #[test]
    fn packages() {
        let body = |key: &str, kind: &str, tag: &str| {
            format!(
                r#"{{"action":"published","{key}":{{"name":"myapp","namespace":"MyUser","package_type":"{kind}","package_version":{{"version":"sha256:00","container_metadata":{{"tag":{{"name":"{tag}","digest":"sha256:00"}}}}}}}},"sender":{{}}}}"#
            )
        };
        for (event, body, expected) in [
            ("package", body("package", "CONTAINER", "v1.0.0"), &["ghcr.io/myuser/myapp:v1.0.0"][..]),
            ("registry_package", body("registry_package", "container", "v1"), &["ghcr.io/myuser/myapp:v1"]),
            ("package", body("package", "CONTAINER", ""), &[]),
            ("package", body("package", "npm", "v1"), &[]),
            ("ping", r#"{"zen":"Keep it logically awesome.","hook_id":1}"#.to_owned(), &[]),
        ] {
            let expected: Vec<String> = expected.iter().map(|it| (*it).to_owned()).collect();
            assert_eq!(heard(read, &[("x-github-event", event)], None, &body), Ok(expected), "{event} {body}");
        }
        assert!(heard(read, &[("x-github-event", "package")], None, "{}").is_err());
    }
}
