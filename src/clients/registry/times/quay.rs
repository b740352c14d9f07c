//! Quay: the tags of a repository, newest first (Quay API v1, `listRepoTags`).
//!
//! Robots may not ask it: only tokens of an OAuth application are shown, and else it is read as nobody.

use super::{Api, Page, Pages, Show, below, stamp};
use jiff::Timestamp;
use reqwest::Url;
use serde::Deserialize;

/// The user of whoever logs in with a token of an OAuth application (Quay, "Docker CLI").
const OAUTH_USER: &str = "$oauthtoken";
/// How many tags are asked for at once: more are not given.
const PAGE: &str = "100";

#[derive(Deserialize)]
struct Listed {
    tags: Vec<Named>,
    #[serde(default)]
    has_additional: bool,
}

#[derive(Deserialize)]
struct Named {
    name: String,
    manifest_digest: Option<String>,
    start_ts: Option<i64>,
}

/// The tags that there are now.
pub(super) fn api(root: &Url, path: &str, user: Option<&str>) -> Api {
    let tags = format!("api/v1/repository/{path}/tag/");
    let show = if user == Some(OAUTH_USER) { Show::Password } else { Show::Nothing };
    let list = below(root, &tags, &[("onlyActiveTags", "true"), ("limit", PAGE)]);
    Api { lists: vec![(list, show)], pages: Pages::Numbered, read }
}

fn read(body: &[u8]) -> Option<Page> {
    let Listed { tags, has_additional } = serde_json::from_slice(body).ok()?;
    let told = tags.into_iter().filter_map(|Named { name, manifest_digest, start_ts }| {
        stamp(&name, &manifest_digest?, Timestamp::from_second(start_ts?).ok()?)
    });
    Some(Page { told: told.collect(), more: has_additional })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{A, check, first};
    use super::*;

    #[test]
    fn tags_tell_since_when_they_are() {
        let page = format!(
            r#"{{"tags":[{{"name":"test-two","reversion":false,"start_ts":1717680780,"manifest_digest":"{A}",
            "is_manifest_list":false,"size":2275314,"last_modified":"Thu, 06 Jun 2024 13:33:00 -0000"}},
            {{"name":"gone"}}],"page":1,"has_additional":true}}"#
        );
        check(read, &page, Some((&[("test-two", A, "2024-06-06T13:33:00Z")], true)));
        check(read, r#"{"tags":[]}"#, Some((&[], false)));
        check(read, r#"{"message":"Requires authentication","error_type":"invalid_token"}"#, None);
    }

    #[test]
    fn only_tokens_of_applications_are_shown() {
        let root = Url::parse("https://quay.io/").expect("a URL");
        let list = "https://quay.io/api/v1/repository/team/shop/tag/?onlyActiveTags=true&limit=100";
        let asked = |user| first(api(&root, "team/shop", user));
        assert_eq!(asked(Some("team+robot")), (list.to_owned(), Show::Nothing));
        assert_eq!(asked(Some("$oauthtoken")), (list.to_owned(), Show::Password));
        assert_eq!(asked(None), (list.to_owned(), Show::Nothing));
    }
}
