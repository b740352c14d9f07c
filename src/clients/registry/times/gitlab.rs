//! GitLab's container registry: the tags of a repository, last published first (registry API, "List Repository Tags").
//!
//! It is on the registry's own host, takes the token of a pull, and answers 404 where the registry has no database.

use super::{Access, Api, Page, Pages, Show, below, stamp};
use reqwest::Url;
use serde::Deserialize;

/// How many tags are asked for at once: more are refused.
const PAGE: &str = "1000";

#[derive(Deserialize)]
struct Named {
    name: String,
    digest: Option<String>,
    created_at: Option<String>,
    updated_at: Option<String>,
    published_at: Option<String>,
}

/// The tags.
pub(super) fn api(root: &Url, path: &str) -> Api {
    let tags = format!("gitlab/v1/repositories/{path}/tags/list/");
    let list = below(root, &tags, &[("sort", "-published_at"), ("n", PAGE)]);
    Api { lists: vec![(list, Show::Registry(Access::Pull))], pages: Pages::Linked, read }
}

fn read(body: &[u8]) -> Option<Page> {
    let tags: Vec<Named> = serde_json::from_slice(body).ok()?;
    let told = tags.into_iter().filter_map(|tag| {
        let Named { name, digest, created_at, updated_at, published_at } = tag;
        stamp(&name, &digest?, published_at.or(updated_at).or(created_at)?.parse().ok()?)
    });
    Some(Page { told: told.collect(), more: false })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{A, B, check, first};
    use super::*;

    #[test]
    fn tags_tell_when_they_were_published() {
        let page = format!(
            r#"[{{"name":"0.1.0","digest":"{A}","config_digest":"{B}","size_bytes":286734237,
            "media_type":"application/vnd.oci.image.manifest.v1+json","created_at":"2022-06-07T12:10:12.412Z"}},
            {{"name":"latest","digest":"{A}","created_at":"2022-06-07T12:11:13.633+00:00","updated_at":"2022-06-07T14:37:49.251Z"}},
            {{"name":"new","digest":"{B}","created_at":"2022-06-07T12:11:13Z","published_at":"2023-01-01T00:00:00Z"}},
            {{"name":"odd","digest":"{B}","created_at":"yesterday"}}]"#
        );
        let told: &[_] = &[
            ("0.1.0", A, "2022-06-07T12:10:12.412Z"),
            ("latest", A, "2022-06-07T14:37:49.251Z"),
            ("new", B, "2023-01-01T00:00:00Z"),
        ];
        check(read, &page, Some((told, false)));
        check(read, "[]", Some((&[], false)));
        check(read, r#"{"errors":[{"code":"NAME_UNKNOWN"}]}"#, None);
    }

    #[test]
    fn the_list_is_on_the_registry() {
        let root = Url::parse("https://registry.gitlab.com/").expect("a URL");
        let list =
            "https://registry.gitlab.com/gitlab/v1/repositories/group/shop/web/tags/list/?sort=-published_at&n=1000";
        assert_eq!(first(api(&root, "group/shop/web")), (list.to_owned(), Show::Registry(Access::Pull)));
    }
}
