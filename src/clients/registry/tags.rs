//! The tags of a repository, page after page.
//!
//! The order that a registry gives means nothing (distribution-spec 1.1), so they come sorted by name.

use super::error::{RegistryError, nonsense};
use super::origin;
use super::session::{Call, Session};
use crate::clients::http;
use crate::model::Tag;
use reqwest::header::{HeaderMap, LINK};
use reqwest::{Method, Url};
use serde::Deserialize;
use std::collections::HashSet;

/// How many tags are asked for at once: ECR refuses more, and others give fewer as they please.
const PAGE_TAGS: &str = "1000";
/// The largest page: one answer with every tag of a registry that knows no pages (GAR) has some ten megabytes.
const PAGE_BYTES_MAX: usize = 64 << 20;
/// How many pages are read: at Quay's fifty tags a page this is still fifty thousand tags.
const PAGES_MAX: usize = 1000;
/// How many tags a repository may have; more is a repository that nobody cleans, and tens of megabytes here.
const TAGS_MAX: usize = 500_000;

#[derive(Deserialize)]
struct Page {
    name: Option<serde::de::IgnoredAny>,
    #[serde(default, deserialize_with = "present")]
    tags: Option<Vec<String>>,
}

/// `tags: null` is an empty list; no `tags` at all is none.
fn present<'de, D: serde::Deserializer<'de>>(tags: D) -> Result<Option<Vec<String>>, D::Error> {
    Ok(Some(Option::deserialize(tags)?.unwrap_or_default()))
}

/// Reads all tags.
pub(super) async fn list(session: &Session<'_>) -> Result<Vec<Tag>, RegistryError> {
    let mut url = session.url("tags/list");
    url.query_pairs_mut().append_pair("n", PAGE_TAGS);
    let first = url.clone();
    let (mut tags, mut seen, mut dropped) = (Vec::new(), HashSet::new(), 0_usize);
    loop {
        if seen.len() >= PAGES_MAX {
            return Err(nonsense(&first, &format!("its list of tags has more than {PAGES_MAX} pages")));
        }
        if !seen.insert(url.clone()) {
            return Err(nonsense(&first, "its list of tags goes round in a circle"));
        }
        let call =
            Call { method: Method::GET, url: url.clone(), accept: "application/json", content: None, special: None };
        let response = session.ask(&call).await?.accepted()?;
        let next = next_page(response.headers(), &url)?;
        for name in names(&http::body(response, PAGE_BYTES_MAX, "page of tags").await?, &url)? {
            match Tag::parse(&name) {
                Ok(tag) => tags.push(tag),
                Err(_) => dropped += 1,
            }
        }
        if tags.len() > TAGS_MAX {
            return Err(nonsense(&first, &format!("it has more than {TAGS_MAX} tags; remove old ones")));
        }
        match next {
            Some(next) => url = next,
            None => break,
        }
    }
    if dropped > 0 {
        tracing::warn!(repository = %session.repository, dropped, "the registry lists names that no tag can have");
    }
    tags.sort_unstable();
    tags.dedup();
    Ok(tags)
}

fn names(page: &[u8], url: &Url) -> Result<Vec<String>, RegistryError> {
    let page: Page = serde_json::from_slice(page).map_err(|_| nonsense(url, "the answer is no list of tags"))?;
    match page {
        Page { tags: Some(tags), .. } => Ok(tags),
        Page { name: Some(_), tags: None } => Ok(Vec::new()),
        Page { name: None, tags: None } => Err(nonsense(url, "the answer is no list of tags")),
    }
}

/// The next page: the `Link` with `rel="next"` (RFC 8288), relative or absolute, on this same host.
fn next_page(headers: &HeaderMap, url: &Url) -> Result<Option<Url>, RegistryError> {
    let links = headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    let Some(target) = links.flat_map(links_of).find(|(_, parameters)| is_next(parameters)).map(|(target, _)| target)
    else {
        return Ok(None);
    };
    let next = url.join(target).map_err(|_| nonsense(url, "its next page has no address"))?;
    if !origin::same(url, &next) {
        return Err(nonsense(url, &format!("its next page is on another host: {}", http::shown_url(&next))));
    }
    Ok(Some(next))
}

/// Splits `<target>; parameters, <target>; parameters`. Targets may hold commas and semicolons.
fn links_of(value: &str) -> impl Iterator<Item = (&str, &str)> {
    value.split('<').filter_map(|link| link.split_once('>'))
}

fn is_next(parameters: &str) -> bool {
    parameters.split([';', ',']).filter_map(|parameter| parameter.split_once('=')).any(|(name, value)| {
        let relations = value.trim().trim_matches('"');
        name.trim().eq_ignore_ascii_case("rel") && relations.split(' ').any(|rel| rel.eq_ignore_ascii_case("next"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    #[test]
    fn next_pages() {
        let check = |link: &str, expected: Result<Option<&str>, ()>| {
            let headers = HeaderMap::from_iter([(LINK, HeaderValue::from_str(link).expect("a value"))]);
            let url = Url::parse("https://reg.io/v2/a/tags/list?n=2").expect("a URL");
            let next = next_page(&headers, &url).map(|next| next.map(String::from)).map_err(drop);
            assert_eq!(next, expected.map(|next| next.map(str::to_owned)), "{link}");
        };
        let next = Ok(Some("https://reg.io/v2/a/tags/list?last=t2&n=2"));
        check(r#"</v2/a/tags/list?last=t2&n=2>; rel="next""#, next);
        check(r#"<https://reg.io/v2/a/tags/list?last=t2&n=2>; rel="next""#, next);
        check("<?last=t2&n=2>;REL=next", next);
        check(r#"</first>; rel="first", </v2/a/tags/list?last=t2&n=2>; title="x"; rel="prev next""#, next);
        check(r#"<?t=a,b;c>; rel="next""#, Ok(Some("https://reg.io/v2/a/tags/list?t=a,b;c")));
        check(r#"</x>; rel="prev""#, Ok(None));
        check("</x>", Ok(None));
        check("nonsense; rel=next", Ok(None));
        check(r#"<https://evil.io/v2/a/tags/list>; rel="next""#, Err(()));
        check(r#"<http://reg.io/v2/a/tags/list>; rel="next""#, Err(()));
        check(r#"<//evil.io/x>; rel="next""#, Err(()));
        check(r#"<https://[/x>; rel="next""#, Err(()));
    }

    #[test]
    fn pages() {
        let url = Url::parse("https://reg.io/v2/a/tags/list").expect("a URL");
        let check = |page: &str, expected: Option<&[&str]>| {
            let names = names(page.as_bytes(), &url).ok();
            let names = names.as_ref().map(|names| names.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(names.as_deref(), expected, "{page}");
        };
        check(r#"{"name":"a","tags":["1","2"]}"#, Some(&["1", "2"]));
        check(r#"{"tags":["1"],"manifest":{"sha256:0":{}}}"#, Some(&["1"]));
        check(r#"{"name":"a","tags":null}"#, Some(&[]));
        check(r#"{"name":"a"}"#, Some(&[]));
        for wrong in ["{}", "[]", "", "<html>", r#"{"errors":[]}"#, r#"{"tags":[1]}"#, r#"{"tags":"1"}"#] {
            check(wrong, None);
        }
    }
}
