//! GitHub's package webhooks: `package` and `registry_package`, the same facts under two names (GitHub Docs, "Webhook
//! events and payloads").
//!
//! An image that is pushed under several tags is told of once, with one of them, so that the tag is no reason to look away:
//! whatever is pushed, the repository is read.

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
}

/// The repository that was pushed to.
pub(super) fn read(delivery: &Delivery<'_>) -> Result<Vec<Push>, serde_json::Error> {
    if !matches!(delivery.header("x-github-event"), Some("package" | "registry_package")) {
        return Ok(Vec::new());
    }
    let Event { package } = delivery.json()?;
    if !package.package_type.eq_ignore_ascii_case("container") {
        return Ok(Vec::new());
    }
    // GitHub keeps the case of an owner's name; registries know it in lower case alone.
    let path = format!("{}/{}", package.namespace, package.name).to_ascii_lowercase();
    Ok(vec![Push::of(delivery.host("ghcr.io"), &path, None)])
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
            ("package", body("package", "CONTAINER", "v1.0.0"), &["ghcr.io/myuser/myapp:-"][..]),
            ("registry_package", body("registry_package", "container", "v1"), &["ghcr.io/myuser/myapp:-"]),
            ("package", body("package", "CONTAINER", ""), &["ghcr.io/myuser/myapp:-"]),
            ("package", body("package", "npm", "v1"), &[]),
            ("ping", r#"{"zen":"Keep it logically awesome.","hook_id":1}"#.to_owned(), &[]),
        ] {
            let expected: Vec<String> = expected.iter().map(|it| (*it).to_owned()).collect();
            assert_eq!(heard(read, &[("x-github-event", event)], None, &body), Ok(expected), "{event} {body}");
        }
        assert!(heard(read, &[("x-github-event", "package")], None, "{}").is_err());
    }
}
