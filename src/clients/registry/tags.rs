//! The tags of a repository, page after page.
//!
//! The order that a registry gives means nothing (distribution-spec 1.1), so they come sorted by name. A list that is
//! as it was is recognised by its bytes, before it is parsed.

use super::error::{RegistryError, nonsense};
use super::origin;
use super::session::{Answer, Call, Session, Special};
use crate::clients::http;
use crate::model::budget::ANSWERS_OF_HOST_BYTES;
use crate::model::{Digest, Digesting, Tag, TagList, TagNames};
use jiff::Timestamp;
use reqwest::header::{ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH, LINK};
use reqwest::{Method, StatusCode, Url};
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use tokio::sync::Semaphore;

/// How many tags are asked for at once: ECR refuses more, and others give fewer as they please.
const PAGE_TAGS: &str = "1000";
/// The longest list, all its pages together, of which a registry that knows no pages (GAR) makes one: a million tags have
/// some twenty megabytes.
const LIST_BYTES_MAX: usize = ANSWERS_OF_HOST_BYTES / 2;
/// What is told of a tag takes so much.
pub(super) const TOLD_BYTES: usize = 200;
/// Of so many tags it is told at the most: a longer list is as one that tells nothing.
const TOLD_MAX: usize = 150_000;
/// The most names of one repository: its largest users have some hundred thousands, and what lists and choices cost us
/// grows with them.
const TAGS_MAX: usize = 2_000_000;
/// How many pages are read: at Quay's fifty tags a page this is still half a million tags.
const PAGES_MAX: usize = 10_000;

/// What a registry lists of a repository.
#[derive(Debug)]
pub struct Listing {
    /// The tags.
    pub tags: TagList,
    /// What the registry tells of tags beside their names; many tell nothing.
    pub told: Vec<ListedTag>,
    /// By which the same list is recognised.
    pub mark: Mark,
}

/// The list of a repository as it was last read, which its reader puts away where it likes.
pub trait Last: Sync {
    /// By which it is recognised.
    fn mark(&self) -> &Mark;

    /// Its tags; none where they cannot be had any more. They are asked for only where the list has changed.
    fn tags(&self) -> Option<TagList>;
}

impl Last for Listing {
    fn mark(&self) -> &Mark {
        &self.mark
    }

    fn tags(&self) -> Option<TagList> {
        Some(self.tags.clone())
    }
}

/// What a registry tells of a tag when it lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedTag {
    /// The tag.
    pub tag: Tag,
    /// What it names.
    pub digest: Digest,
    /// When that was pushed.
    pub pushed: Option<Timestamp>,
}

/// What a list looked like on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    bytes: Digest,
    /// What the registry itself calls this state of the list; only for a list of one page.
    etag: Option<HeaderValue>,
}

impl Mark {
    /// The mark of these pages.
    pub(super) fn of(pages: &[Vec<u8>], etag: Option<HeaderValue>) -> Self {
        let mut bytes = Digesting::default();
        pages.iter().for_each(|page| bytes.update(page));
        Self { bytes: bytes.finish(), etag }
    }

    /// The mark of what was told of tags, where that is all there is.
    pub(super) fn of_told(told: &[ListedTag]) -> Self {
        let mut bytes = Digesting::default();
        for ListedTag { tag, digest, pushed } in told {
            let pushed = pushed.map_or(0, Timestamp::as_millisecond);
            bytes.update(format!("{tag} {digest} {pushed}\n").as_bytes());
        }
        Self { bytes: bytes.finish(), etag: None }
    }

    /// Whether the list is as it was.
    pub(super) fn is_as(&self, last: Option<&Self>) -> bool {
        last.is_some_and(|last| last.bytes == self.bytes)
    }
}

#[derive(Deserialize)]
struct Page {
    name: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "present")]
    tags: Option<Names>,
}

/// A name, in the bytes of the page where it can be.
#[derive(Deserialize)]
struct Name<'p>(#[serde(borrow)] Cow<'p, str>);

/// Names, of which one more is kept than there may be: that they are too many is known, and what they cost is not paid.
#[derive(Default)]
struct Names(TagNames);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(names: D) -> Result<Self, D::Error> {
        struct Kept;
        impl<'de> Visitor<'de> for Kept {
            type Value = Names;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of names")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<Names, A::Error> {
                let mut kept = TagNames::default();
                while kept.len() <= TAGS_MAX {
                    let Some(Name(name)) = names.next_element()? else { return Ok(Names(kept)) };
                    kept.push(&name);
                }
                while names.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Names(kept))
            }
        }
        names.deserialize_seq(Kept)
    }
}

/// `tags: null` is an empty list; no `tags` at all is none.
fn present<'de, D: Deserializer<'de>>(tags: D) -> Result<Option<Names>, D::Error> {
    Ok(Some(Option::deserialize(tags)?.unwrap_or_default()))
}

/// What Google's registries list beside the names: the tags and the push time of each manifest.
#[derive(Deserialize)]
struct Manifests {
    #[serde(default)]
    manifest: Uploads,
}

/// What is told of tags, manifest after manifest; one more than may be told.
#[derive(Default)]
struct Uploads(Vec<ListedTag>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Uploaded {
    #[serde(default)]
    tag: Names,
    time_uploaded_ms: Option<String>,
}

impl<'de> Deserialize<'de> for Uploads {
    fn deserialize<D: Deserializer<'de>>(manifests: D) -> Result<Self, D::Error> {
        struct Telling;
        impl<'de> Visitor<'de> for Telling {
            type Value = Uploads;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("manifests by digest")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut manifests: A) -> Result<Uploads, A::Error> {
                let mut told = Vec::new();
                while let Some((digest, uploaded)) = manifests.next_entry::<String, Uploaded>()? {
                    let Ok(digest) = Digest::parse(&digest) else { continue };
                    told.extend(uploaded.told(&digest).take((TOLD_MAX + 1).saturating_sub(told.len())));
                }
                Ok(Uploads(told))
            }
        }
        manifests.deserialize_map(Telling)
    }
}

impl Uploaded {
    fn told(&self, digest: &Digest) -> impl Iterator<Item = ListedTag> {
        let pushed = self.time_uploaded_ms.as_ref().and_then(|millis| millis.parse().ok());
        let pushed = pushed.and_then(|millis| Timestamp::from_millisecond(millis).ok());
        self.tag.0.iter().map(move |tag| ListedTag { tag: tag.to_tag(), digest: digest.clone(), pushed })
    }
}

/// Reads all tags, and what is told of them where `times` are wanted; none where the list is as it was at `last`. Pages
/// are taken in as `turns` allows.
pub(super) async fn list(
    session: &Session<'_>,
    times: bool,
    last: Option<&Mark>,
    turns: &Semaphore,
) -> Result<Option<Listing>, RegistryError> {
    let mut first = session.url("tags/list");
    first.query_pairs_mut().append_pair("n", PAGE_TAGS);
    let mut known = Special::default();
    known.headers.extend(last.and_then(|last| Some((IF_NONE_MATCH, last.etag.clone()?))));
    let (mut url, mut special) = (first.clone(), Some(&known));
    let (mut pages, mut seen, mut n_bytes, mut etag) = (Vec::new(), HashSet::new(), 0, None);
    let mut room = session.host.answers.room();
    loop {
        if seen.len() >= PAGES_MAX {
            return Err(nonsense(&first, &format!("its list of tags has more than {PAGES_MAX} pages")));
        }
        if !seen.insert(url.clone()) {
            return Err(nonsense(&first, "its list of tags goes round in a circle"));
        }
        let call = Call { method: Method::GET, url: url.clone(), accept: "application/json", content: None, special };
        let response = match session.ask(&call).await? {
            Answer::Yes(response) => response,
            Answer::No(refusal) if refusal.status == StatusCode::NOT_MODIFIED && special.is_some() => return Ok(None),
            Answer::No(refusal) => return Err(refusal.into_error()),
        };
        let next = next_page(response.headers(), &url)?;
        etag = (seen.len() == 1 && next.is_none()).then(|| response.headers().get(ETAG).cloned()).flatten().or(etag);
        let turn = turns.acquire().await;
        let page = room.read(response, LIST_BYTES_MAX, "page of tags").await?;
        drop(turn);
        n_bytes += page.len();
        if n_bytes > LIST_BYTES_MAX {
            let megabytes = LIST_BYTES_MAX >> 20;
            return Err(nonsense(&first, &format!("its list of tags has more than {megabytes} MB; remove old ones")));
        }
        pages.push(page);
        (url, special) = match next {
            Some(next) => (next, None),
            None => break,
        };
    }
    let _turn = turns.acquire().await;
    let mark = Mark::of(&pages, etag);
    if mark.is_as(last) {
        return Ok(None);
    }
    // The names as one text; where they come in no order, that is made anew when the pages are gone.
    room.take(n_bytes, &first)?;
    let (mut names, mut all_told) = (TagNames::default(), Vec::new());
    for page in pages {
        parse(&page, &first, &mut names)?;
        if times && all_told.len() <= TOLD_MAX {
            let told = told(&page);
            room.take(told.len() * TOLD_BYTES, &first)?;
            all_told.extend(told);
        }
    }
    if all_told.len() > TOLD_MAX {
        tracing::warn!(repository = %session.repository, "the registry tells of too many tags when they were pushed: of none it counts");
        all_told = Vec::new();
    }
    let dropped = names.dropped();
    if dropped > 0 {
        tracing::warn!(repository = %session.repository, dropped, "the registry lists names that no tag can have");
    }
    Ok(Some(Listing { tags: names.list(), told: all_told, mark }))
}

/// Takes in the names of a page.
fn parse(page: &[u8], url: &Url, names: &mut TagNames) -> Result<(), RegistryError> {
    let page: Page = serde_json::from_slice(page).map_err(|_| nonsense(url, "the answer is no list of tags"))?;
    match page {
        Page { tags: Some(Names(tags)), .. } => names.append(tags),
        Page { name: Some(_), tags: None } => {}
        Page { name: None, tags: None } => return Err(nonsense(url, "the answer is no list of tags")),
    }
    if names.len() > TAGS_MAX {
        return Err(nonsense(url, &format!("its list of tags has more than {TAGS_MAX} names; remove old ones")));
    }
    Ok(())
}

/// What a page tells of its tags; nothing on most registries.
fn told(page: &[u8]) -> Vec<ListedTag> {
    serde_json::from_slice(page).map_or_else(|_| Vec::new(), |Manifests { manifest: Uploads(told) }| told)
}

/// The next page: the `Link` with `rel="next"` (RFC 8288), relative or absolute, on this same host.
pub(super) fn next_page(headers: &HeaderMap, url: &Url) -> Result<Option<Url>, RegistryError> {
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
    use crate::model::TagRef;

    #[test]
    fn googles_lists_tell_digests_and_push_times() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let page = format!(
            r#"{{"child":[],"name":"p/shop","tags":["1.0","x"],"manifest":{{"{digest}":{{"imageSizeBytes":"1",
            "mediaType":"m","tag":["1.0","x"],"timeCreatedMs":"0","timeUploadedMs":"1700000000123"}},"odd":{{"tag":["y"]}}}}}}"#
        );
        let pushed = Timestamp::from_millisecond(1_700_000_000_123).ok();
        let of = |tag| ListedTag {
            tag: Tag::parse(tag).expect("a tag"),
            digest: Digest::parse(&digest).expect("one"),
            pushed,
        };
        assert_eq!(told(page.as_bytes()), [of("1.0"), of("x")]);
        assert_eq!(told(br#"{"name":"shop","tags":["1.0"]}"#), []);
    }

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
    fn too_many_names_are_refused_and_not_collected() {
        let url = Url::parse("https://reg.io/v2/a/tags/list").expect("a URL");
        let page = |n: usize| format!(r#"{{"name":"a","tags":[{}"x"]}}"#, "\"a\",".repeat(n - 1)).into_bytes();
        let long = page(TAGS_MAX + 50_000);
        let many: Page = serde_json::from_slice(&long).expect("a page");
        assert_eq!(many.tags.map(|Names(names)| names.len()), Some(TAGS_MAX + 1));
        let check = |pages: &[Vec<u8>], expected: bool| {
            let mut names = TagNames::default();
            let error = pages.iter().find_map(|page| parse(page, &url, &mut names).err());
            let error = error.map(|error| error.to_string());
            assert_eq!(error.is_some(), expected, "{error:?}");
            assert!(error.is_none_or(|error| error.contains("more than 2000000 names; remove old ones")));
        };
        check(&[page(TAGS_MAX)], false);
        check(&[page(TAGS_MAX + 1)], true);
        check(&[page(TAGS_MAX / 2), page(TAGS_MAX / 2), page(1)], true);
    }

    #[test]
    fn pages() {
        let url = Url::parse("https://reg.io/v2/a/tags/list").expect("a URL");
        let check = |page: &str, expected: Option<&[&str]>| {
            let mut names = TagNames::default();
            let list = parse(page.as_bytes(), &url, &mut names).ok().map(|()| names.list());
            let names = list.as_ref().map(|list| list.iter().map(TagRef::as_str).collect::<Vec<_>>());
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
