//! Gitea's and Forgejo's package webhooks: a container package and its version (go-gitea's `PackagePayload`).

use super::push::{Delivery, Push};
use serde::Deserialize;

#[derive(Deserialize)]
struct Event {
    package: Package,
}

#[derive(Deserialize)]
struct Package {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    version: String,
    owner: Owner,
    #[serde(default)]
    html_url: String,
}

#[derive(Deserialize)]
struct Owner {
    login: String,
}

/// The version that was created or deleted; one pushed by its digest names no tag.
pub(super) fn read(delivery: &Delivery<'_>) -> Result<Vec<Push>, serde_json::Error> {
    let Event { package } = delivery.json()?;
    if package.kind != "container" || package.version.starts_with("sha256:") {
        return Ok(Vec::new());
    }
    let after_scheme = package.html_url.split_once("://").map_or("", |(_, rest)| rest);
    let named = after_scheme.split('/').next().unwrap_or_default();
    let path = format!("{}/{}", package.owner.login, package.name).to_ascii_lowercase();
    Ok(vec![Push::of(delivery.host(named), &path, Some(&package.version))])
}

#[cfg(test)]
mod tests {
    use super::super::push::tests::read as heard;
    use super::*;

    #[test]
    fn packages() {
        let body = |kind: &str, version: &str| {
            format!(
                r#"{{"action":"created","repository":null,"package":{{"id":1,"owner":{{"id":1,"login":"Org"}},"type":"{kind}","name":"app","version":"{version}","html_url":"https://gitea.example.com/org/-/packages/container/app/v1"}},"sender":{{}}}}"#
            )
        };
        assert_eq!(
            heard(read, &[], None, &body("container", "v1")),
            Ok(vec!["gitea.example.com/org/app:v1".to_owned()])
        );
        assert_eq!(
            heard(read, &[], Some("git.corp"), &body("container", "v1")),
            Ok(vec!["git.corp/org/app:v1".to_owned()])
        );
        assert_eq!(heard(read, &[], None, &body("container", "sha256:00")), Ok(vec![]));
        assert_eq!(heard(read, &[], None, &body("npm", "1.0.0")), Ok(vec![]));
        assert!(heard(read, &[], None, "{}").is_err());
    }
}
