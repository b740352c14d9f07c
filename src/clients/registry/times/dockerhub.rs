//! Docker Hub: the tags of a repository, last pushed first (Docker Hub API, `ListRepositoryTags`).
//!
//! What is public is read as nobody; only for what is not is a token asked for.

use super::{Api, Page, Pages, Show, below, stamp};
use reqwest::Url;
use serde::Deserialize;

/// Where the lists are, where nothing else is configured.
pub(super) const ROOT: &str = "https://hub.docker.com/";
/// Where a user and a password, or an access token in its place, are exchanged for a token.
pub(super) const LOGIN: &str = "v2/auth/token";
/// How many tags are asked for at once: more are not given.
const PAGE: &str = "100";

#[derive(Deserialize)]
struct Listed {
    next: Option<String>,
    results: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
    digest: Option<String>,
    #[serde(default)]
    images: Vec<Image>,
    tag_last_pushed: Option<String>,
    last_updated: Option<String>,
}

#[derive(Deserialize)]
struct Image {
    digest: Option<String>,
}

/// The tags; none where the path has no namespace.
pub(super) fn api(root: &Url, path: &str) -> Option<Api> {
    let (namespace, repository) = path.split_once('/')?;
    let tags = format!("v2/namespaces/{namespace}/repositories/{repository}/tags");
    let list = below(root, &tags, &[("page_size", PAGE), ("ordering", "last_updated")]);
    Some(Api { lists: vec![(list.clone(), Show::Nothing), (list, Show::HubToken)], pages: Pages::Numbered, read })
}

/// Tags of long ago have no digest but that of their only image.
fn read(body: &[u8]) -> Option<Page> {
    let Listed { next, results } = serde_json::from_slice(body).ok()?;
    let told = results.into_iter().filter_map(|Named { name, digest, mut images, tag_last_pushed, last_updated }| {
        let only = images.pop().filter(|_| images.is_empty()).and_then(|image| image.digest);
        stamp(&name, &digest.or(only)?, tag_last_pushed.or(last_updated)?.parse().ok()?)
    });
    Some(Page { told: told.collect(), more: next.is_some_and(|next| !next.is_empty()) })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{A, B, check, first};
    use super::*;

    #[test]
    fn tags_tell_when_they_were_last_pushed() {
        let next = "https://hub.docker.com/v2/namespaces/team/repositories/shop/tags?page=2&page_size=100";
        let page = format!(
            r#"{{"count":101,"next":"{next}","previous":null,"results":[
            {{"creator":1,"id":604964868,"images":[{{"architecture":"amd64","digest":"{B}","os":"linux","size":32518304,
            "last_pushed":"2024-06-21T02:23:42.599544Z"}},{{"architecture":"arm64","digest":"{B}"}}],
            "last_updated":"2024-06-22T00:00:00Z","name":"8.3.8-fpm-alpine","full_size":32521545,"v2":true,
            "tag_status":"active","tag_last_pushed":"2024-06-21T05:14:48.231504Z","content_type":"image","digest":"{A}"}},
            {{"name":"old","images":[{{"digest":"{B}"}}],"last_updated":"2018-06-22T00:00:00Z"}},
            {{"name":"none","images":[{{"digest":"{B}"}},{{"digest":"{A}"}}],"last_updated":"2018-06-22T00:00:00Z"}}]}}"#
        );
        let told: &[_] = &[("8.3.8-fpm-alpine", A, "2024-06-21T05:14:48.231504Z"), ("old", B, "2018-06-22T00:00:00Z")];
        check(read, &page, Some((told, true)));
        check(read, r#"{"count":0,"next":null,"previous":null,"results":[]}"#, Some((&[], false)));
        check(read, r#"{"message":"object not found","errinfo":{}}"#, None);
    }

    #[test]
    fn nobody_is_asked_first() {
        let root = Url::parse(ROOT).expect("a URL");
        let list =
            "https://hub.docker.com/v2/namespaces/library/repositories/nginx/tags?page_size=100&ordering=last_updated";
        assert_eq!(api(&root, "library/nginx").map(first), Some((list.to_owned(), Show::Nothing)));
    }
}
