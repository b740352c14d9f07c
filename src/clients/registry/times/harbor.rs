//! Harbor: the artifacts of a repository, last pushed first (Harbor API v2.0, `listArtifacts`).
//!
//! A time is the artifact's: an old build that gets a new tag stays an old build.

use super::{Api, Page, Pages, Show, below, stamp};
use reqwest::Url;
use serde::Deserialize;

/// How many artifacts are asked for at once: more are not given.
const PAGE: usize = 100;

#[derive(Deserialize)]
struct Artifact {
    digest: Option<String>,
    push_time: Option<String>,
    tags: Option<Vec<Named>>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

/// The artifacts that have tags; none where the path has no project. Harbor decodes a repository's name twice.
pub(super) fn api(root: &Url, path: &str) -> Option<Api> {
    let (project, repository) = path.split_once('/')?;
    let repository = repository.replace('/', "%252F");
    let artifacts = format!("api/v2.0/projects/{project}/repositories/{repository}/artifacts");
    let size = PAGE.to_string();
    let query = [("q", "tags=*"), ("sort", "-push_time"), ("with_tag", "true"), ("page_size", &size)];
    Some(Api { lists: vec![(below(root, &artifacts, &query), Show::Login)], pages: Pages::Numbered, read })
}

fn read(body: &[u8]) -> Option<Page> {
    let artifacts: Vec<Artifact> = serde_json::from_slice(body).ok()?;
    let more = artifacts.len() >= PAGE;
    let told = artifacts.into_iter().flat_map(|Artifact { digest, push_time, tags }| {
        let tags = tags.unwrap_or_default().into_iter();
        tags.filter_map(move |tag| stamp(&tag.name, digest.as_deref()?, push_time.as_deref()?.parse().ok()?))
    });
    Some(Page { told: told.collect(), more })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{A, B, check, first};
    use super::*;

    #[test]
    fn artifacts_tell_when_they_were_pushed() {
        let page = format!(
            r#"[{{"accessories":null,"digest":"{A}","extra_attrs":{{"os":"linux"}},"icon":"{B}","id":2,
            "media_type":"application/vnd.oci.image.config.v1+json","project_id":1,"pull_time":"0001-01-01T00:00:00.000Z",
            "push_time":"2026-03-02T07:40:11.521Z","repository_id":7,"type":"IMAGE","tags":[
            {{"artifact_id":2,"id":3,"immutable":false,"name":"1.1","push_time":"2026-03-02T07:40:11.560Z"}},
            {{"artifact_id":2,"id":9,"immutable":false,"name":"stable","push_time":"2026-04-01T00:00:00.000Z"}}]}},
            {{"digest":"{B}","push_time":"2026-03-01T00:00:00.000Z","tags":null}},
            {{"digest":"odd","push_time":"2026-03-01T00:00:00.000Z","tags":[{{"name":"1.0"}}]}}]"#
        );
        let pushed = "2026-03-02T07:40:11.521Z";
        check(read, &page, Some((&[("1.1", A, pushed), ("stable", A, pushed)], false)));
        check(read, "[]", Some((&[], false)));
        check(read, &format!("[{}]", [r#"{"tags":[]}"#; PAGE].join(",")), Some((&[], true)));
        check(read, r#"{"errors":[{"code":"FORBIDDEN","message":"forbidden"}]}"#, None);
    }

    #[test]
    fn a_repository_stands_in_a_project() {
        let root = Url::parse("https://reg.example.com/").expect("a URL");
        let list = |repository: &str| {
            let query = "q=tags%3D*&sort=-push_time&with_tag=true&page_size=100";
            format!("https://reg.example.com/api/v2.0/projects/team/repositories/{repository}/artifacts?{query}")
        };
        let asked = |path| api(&root, path).map(first);
        assert_eq!(asked("team/shop"), Some((list("shop"), Show::Login)));
        assert_eq!(asked("team/shop/web"), Some((list("shop%252Fweb"), Show::Login)));
        assert_eq!(asked("shop"), None);
    }
}
