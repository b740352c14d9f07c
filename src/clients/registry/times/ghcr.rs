//! GitHub's container registry: the versions of a package (GitHub REST API, "List package versions for a package owned
//! by an organization", and by a user).
//!
//! GitHub answers nobody here, be the package public: it takes the token that the images are pulled with.

use super::{Api, Page, Pages, Show, below, stamp};
use reqwest::Url;
use serde::Deserialize;

/// Where the lists are, where nothing else is configured.
pub(super) const ROOT: &str = "https://api.github.com/";
/// How many versions are asked for at once: more are not given.
const PAGE: usize = 100;

#[derive(Deserialize)]
struct Version {
    /// Its digest.
    name: String,
    created_at: Option<String>,
    metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Metadata {
    container: Option<Container>,
}

#[derive(Deserialize)]
struct Container {
    tags: Option<Vec<String>>,
}

/// The versions of an organization's package, or else of a user's; none where the path has no owner.
pub(super) fn api(root: &Url, path: &str) -> Option<Api> {
    let (owner, name) = path.split_once('/')?;
    let name = name.replace('/', "%2F");
    let size = PAGE.to_string();
    let of = |owners: &str| {
        let versions = format!("{owners}/{owner}/packages/container/{name}/versions");
        (below(root, &versions, &[("state", "active"), ("per_page", &size)]), Show::Password)
    };
    Some(Api { lists: vec![of("orgs"), of("users")], pages: Pages::Numbered, read })
}

fn read(body: &[u8]) -> Option<Page> {
    let versions: Vec<Version> = serde_json::from_slice(body).ok()?;
    let more = versions.len() >= PAGE;
    let told = versions.into_iter().flat_map(|Version { name, created_at, metadata }| {
        let tags = metadata.and_then(|metadata| metadata.container?.tags).unwrap_or_default();
        tags.into_iter().filter_map(move |tag| stamp(&tag, &name, created_at.as_deref()?.parse().ok()?))
    });
    Some(Page { told: told.collect(), more })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{A, B, check, first};
    use super::*;

    #[test]
    fn versions_tell_when_they_were_made() {
        let page = format!(
            r#"[{{"id":212381245,"name":"{A}","url":"https://api.github.com/orgs/team/packages/container/shop/versions/212381245",
            "package_html_url":"https://github.com/orgs/team/packages/container/package/shop",
            "created_at":"2024-05-06T05:20:30Z","updated_at":"2024-06-06T05:20:30Z",
            "metadata":{{"package_type":"container","container":{{"tags":["v1.1","latest"]}}}}}},
            {{"id":1,"name":"{B}","created_at":"2024-05-06T05:20:30Z","metadata":{{"package_type":"container","container":{{"tags":[]}}}}}}]"#
        );
        let told: &[_] = &[("v1.1", A, "2024-05-06T05:20:30Z"), ("latest", A, "2024-05-06T05:20:30Z")];
        check(read, &page, Some((told, false)));
        check(read, &format!("[{}]", [r#"{"name":"x"}"#; PAGE].join(",")), Some((&[], true)));
        check(read, r#"{"message":"Not Found","documentation_url":"https://docs.github.com/rest"}"#, None);
    }

    #[test]
    fn a_package_has_an_owner() {
        let root = Url::parse("https://git.example.com/api/v3/").expect("a URL");
        let list = |owners: &str| {
            format!(
                "https://git.example.com/api/v3/{owners}/team/packages/container/shop%2Fweb/versions?state=active&per_page=100"
            )
        };
        let api = |path| super::api(&root, path);
        let users = api("team/shop/web").and_then(|api| api.lists.last().map(|(list, _)| list.to_string()));
        assert_eq!(users, Some(list("users")));
        assert_eq!(api("team/shop/web").map(first), Some((list("orgs"), Show::Password)));
        assert!(api("shop").is_none());
    }
}
