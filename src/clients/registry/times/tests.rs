//! What the tables of all providers are held against, and whose list is where.

use super::*;
use crate::clients::http::{Transport, uncounted};
use crate::clients::registry::Bounds;

pub(super) const A: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
pub(super) const B: &str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// Tag, digest and time of each tag of a page, and whether another may follow.
type Expected<'a> = Option<(&'a [(&'a str, &'a str, &'a str)], bool)>;

pub(super) fn check(read: fn(&[u8]) -> Option<Page>, page: &str, expected: Expected<'_>) {
    let expected = expected.map(|(told, more)| {
        let told = told.iter().map(|(tag, digest, at)| stamp(tag, digest, at.parse().expect("a time")).expect("a tag"));
        (told.collect::<Vec<_>>(), more)
    });
    assert_eq!(read(page.as_bytes()).map(|page| (page.told, page.more)), expected, "{page}");
}

/// The first place where a list is looked for.
pub(super) fn first(api: Api) -> (String, Show) {
    let (list, show) = api.lists.into_iter().next().expect("a list");
    (list.to_string(), show)
}

#[test]
fn credentials_stay_with_those_they_are_for() {
    let check = |name: &str, provider: Provider, endpoint: Option<&str>, expected: Option<&str>| {
        let host = Host::new(name, Transport::default(), Bounds::none(), uncounted()).expect("a host");
        let endpoint = endpoint.map(|url| Url::parse(url).expect("a URL"));
        let root = root(&host, name, provider, endpoint.as_ref());
        assert_eq!(root.as_ref().map(Url::as_str), expected, "{name} {provider:?}");
    };
    check("ghcr.io", Provider::Ghcr, None, Some("https://api.github.com/"));
    check("docker.io", Provider::Dockerhub, None, Some("https://hub.docker.com/"));
    check("ghcr.example.com", Provider::Ghcr, None, None);
    check("hub.example.com", Provider::Dockerhub, None, None);
    let own = "https://git.example.com/api/v3";
    check("containers.git.example.com", Provider::Ghcr, Some(own), Some(own));
    check("reg.example.com", Provider::Harbor, None, Some("https://reg.example.com/"));
    check("reg.example.com", Provider::Harbor, Some("https://core.example.com/"), Some("https://core.example.com/"));
    check("quay.io", Provider::Quay, None, Some("https://quay.io/"));
    check("corp.azurecr.io", Provider::Acr, Some("https://elsewhere.example/"), Some("https://corp.azurecr.io/"));
    check("registry.gitlab.com", Provider::Gitlab, None, Some("https://registry.gitlab.com/"));
    for silent in [Provider::Distribution, Provider::Gar, Provider::Ecr] {
        check("reg.example.com", silent, Some("https://elsewhere.example/"), None);
    }
}

#[test]
fn addresses_are_below_a_root() {
    let check = |root: &str, expected: &str| {
        let root = Url::parse(root).expect("a URL");
        assert_eq!(below(&root, "a/b%252Fc", &[("n", "1")]).as_str(), expected);
    };
    check("https://a", "https://a/a/b%252Fc?n=1");
    check("https://a/api/v3/?x=y", "https://a/api/v3/a/b%252Fc?n=1");
    let first = Url::parse("https://a/b?n=1").expect("a URL");
    assert_eq!(numbered(&first, 2).as_str(), "https://a/b?n=1&page=2");
}
