//! Quay's `repo_push` notifications: a repository and its updated tags, no digest (Quay docs, "Repository notifications").

use super::push::{Delivery, Push};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Notification {
    docker_url: String,
    #[serde(default)]
    updated_tags: Tags,
}

/// A list, or, as older servers write it, the image of each tag by its name.
#[derive(Deserialize)]
#[serde(untagged)]
enum Tags {
    List(Vec<String>),
    Images(BTreeMap<String, serde_json::Value>),
}

impl Default for Tags {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

/// The tags that were updated.
pub(super) fn read(delivery: &Delivery<'_>) -> Result<Vec<Push>, serde_json::Error> {
    let notification: Notification = delivery.json()?;
    let (host, path) = notification.docker_url.split_once('/').unwrap_or_default();
    let tags: Vec<String> = match notification.updated_tags {
        Tags::List(tags) => tags,
        Tags::Images(images) => images.into_keys().collect(),
    };
    let host = delivery.host(host);
    if tags.is_empty() {
        return Ok(vec![Push::of(host, path, None)]);
    }
    Ok(tags.iter().map(|tag| Push::of(host, path, Some(tag))).collect())
}

#[cfg(test)]
mod tests {
    use super::super::push::tests::read as heard;
    use super::*;

    #[test]
    fn notifications() {
        for (tags, expected) in [
            (
                r#","updated_tags":["latest","v1"]"#,
                &["quay.io/mynamespace/repository:latest", "quay.io/mynamespace/repository:v1"][..],
            ),
            (r#","updated_tags":{"latest":"abcdef"}"#, &["quay.io/mynamespace/repository:latest"]),
            ("", &["quay.io/mynamespace/repository:-"]),
        ] {
            let body = format!(
                r#"{{"name":"repository","repository":"mynamespace/repository","namespace":"mynamespace","docker_url":"quay.io/mynamespace/repository","homepage":"https://quay.io/"{tags}}}"#
            );
            let expected: Vec<String> = expected.iter().map(|it| (*it).to_owned()).collect();
            assert_eq!(heard(read, &[], None, &body), Ok(expected), "{tags}");
        }
        assert!(heard(read, &[], None, r#"{"name":"x"}"#).is_err());
    }
}
