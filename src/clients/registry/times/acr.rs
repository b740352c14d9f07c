//! Azure Container Registry: the tags of a repository, last updated first (data plane, `ContainerRegistry_GetTags`).
//!
//! It is on the registry's own host, which gives a token for `metadata_read`; the role AcrPull holds that.

use super::{Access, Api, Page, Pages, Show, below, stamp};
use reqwest::Url;
use serde::Deserialize;

/// How many tags are asked for at once.
const PAGE: &str = "100";

#[derive(Deserialize)]
struct Listed {
    tags: Vec<Named>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    name: String,
    digest: Option<String>,
    created_time: Option<String>,
    last_update_time: Option<String>,
}

/// The tags.
pub(super) fn api(root: &Url, path: &str) -> Api {
    let list = below(root, &format!("acr/v1/{path}/_tags"), &[("orderby", "timedesc"), ("n", PAGE)]);
    Api { lists: vec![(list, Show::Registry(Access::Metadata))], pages: Pages::Linked, read }
}

fn read(body: &[u8]) -> Option<Page> {
    let Listed { tags } = serde_json::from_slice(body).ok()?;
    let told = tags.into_iter().filter_map(|tag| {
        let Named { name, digest, created_time, last_update_time } = tag;
        stamp(&name, &digest?, last_update_time.or(created_time)?.parse().ok()?)
    });
    Some(Page { told: told.collect(), more: false })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{A, check, first};
    use super::*;

    #[test]
    fn tags_tell_when_they_were_updated() {
        let page = format!(
            r#"{{"registry":"corp.azurecr.io","imageName":"team/shop","tags":[
            {{"name":"1.1","digest":"{A}","createdTime":"2026-01-07T10:00:00.0000001Z",
            "lastUpdateTime":"2026-02-07T10:33:52.6845182Z","signed":false,"quarantineState":"Passed",
            "changeableAttributes":{{"deleteEnabled":true,"writeEnabled":true,"readEnabled":true,"listEnabled":true}}}},
            {{"name":"1.0","digest":"{A}","createdTime":"2026-01-07T10:00:00Z"}}]}}"#
        );
        let told: &[_] = &[("1.1", A, "2026-02-07T10:33:52.6845182Z"), ("1.0", A, "2026-01-07T10:00:00Z")];
        check(read, &page, Some((told, false)));
        check(read, r#"{"registry":"corp.azurecr.io","imageName":"team/shop","tags":[]}"#, Some((&[], false)));
        check(read, r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#, None);
    }

    #[test]
    fn the_list_is_on_the_registry() {
        let root = Url::parse("https://corp.azurecr.io/").expect("a URL");
        let list = "https://corp.azurecr.io/acr/v1/team/shop/_tags?orderby=timedesc&n=100";
        assert_eq!(first(api(&root, "team/shop")), (list.to_owned(), Show::Registry(Access::Metadata)));
    }
}
