//! When tags were pushed, by a provider's own list beside the specification: one reader, and a file for each provider's
//! address and pages.
//!
//! A list that is refused or makes no sense fails no reading of tags: it is left alone for a while, and meanwhile nothing
//! is told. Google's and Amazon's times come with the tags themselves and are read elsewhere.

mod acr;
mod ask;
mod dockerhub;
mod ghcr;
mod gitlab;
mod harbor;
mod kept;
mod quay;
#[cfg(test)]
mod tests;

pub(super) use kept::Times;

use super::error::{RegistryError, nonsense};
use super::host::Host;
use super::origin;
use super::session::{Access, Session};
use super::tags::{self, Last, ListedTag};
use crate::clients::http;
use crate::model::{Digest, Provider, Tag, TagList};
use ask::Door;
use jiff::Timestamp;
use kept::Untold;
use reqwest::Url;

/// The largest page: a hundred of Harbor's artifacts, each with its config and references, have some megabytes.
const PAGE_BYTES_MAX: usize = 16 << 20;
/// The largest list, all its pages together.
const LIST_BYTES_MAX: usize = 256 << 20;
/// How many pages are read: fifty thousand tags where a page has a hundred. A longer list is not read at all, for tags
/// without a time would count as first seen just now, and so as younger than those with one.
const PAGES_MAX: usize = 500;

/// A provider's list of tags and when they were pushed.
struct Api {
    /// Where it may be and what is shown there: what is refused at one is asked for at the next.
    lists: Vec<(Url, Show)>,
    pages: Pages,
    /// Reads a page; none where it is no such page.
    read: fn(&[u8]) -> Option<Page>,
}

/// What is shown to a provider's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Show {
    /// Nothing.
    Nothing,
    /// Whatever the registry itself wants, for this access to the repository.
    Registry(Access),
    /// User and password, where there are any.
    Login,
    /// The password alone, which is a token.
    Password,
    /// A token of Docker Hub.
    HubToken,
}

/// How one page leads to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pages {
    /// By `page=2`, as long as pages say that there is more.
    Numbered,
    /// By `Link`, as a registry's own lists do.
    Linked,
}

/// A page of a list.
struct Page {
    told: Vec<ListedTag>,
    /// Whether another may follow, where pages are numbered.
    more: bool,
}

/// What is told of the tags that `tags` lists, or of those that are new since `last`, where the others were sought before.
/// Empty where the provider has no such list or keeps it from us.
pub(super) async fn told(
    session: &Session<'_>,
    provider: Provider,
    endpoint: Option<&Url>,
    tags: &TagList,
    last: Option<&dyn Last>,
) -> Result<Vec<ListedTag>, RegistryError> {
    let (kept, path) = (&session.host.times, session.repository.path());
    if tags.is_empty() || kept.is_silent(path) {
        return Ok(Vec::new());
    }
    let Some(root) = root(session.host, session.repository.host(), provider, endpoint) else { return Ok(Vec::new()) };
    let login = session.host.logins.of(session.credentials, session.repository).await?;
    let Some(api) = api(&root, provider, path, login.password().map(|(user, _)| user)) else { return Ok(Vec::new()) };
    match list(&Door { session, login: &login, root: &root }, &api, kept.untold(path, tags, last)).await {
        Ok(mut told) => {
            kept.sought(path);
            told.retain(|told| tags.contains(told.tag.by_ref()));
            Ok(told)
        }
        Err(error) => {
            if let Some(why) = kept.failed(path, error, origin::same(&root, &session.host.base))? {
                tracing::warn!(repository.name = %session.repository, error = %why, "{}: no push times, by which tags are as old as they were first seen: {why}", session.repository);
            }
            Ok(Vec::new())
        }
    }
}

/// Where a provider's lists are; none where it has none, or nobody says where. A registry's credentials go to another
/// host only where the provider itself has it so, under its own name, or the configuration names the address.
fn root(host: &Host, name: &str, provider: Provider, endpoint: Option<&Url>) -> Option<Url> {
    let known = |root: &str| Url::parse(root).ok().filter(|_| Provider::of_host(name) == provider);
    match provider {
        Provider::Distribution | Provider::Ecr | Provider::Gar => None,
        Provider::Acr | Provider::Gitlab => Some(host.base.clone()),
        Provider::Harbor | Provider::Quay => Some(endpoint.unwrap_or(&host.base).clone()),
        Provider::Dockerhub => endpoint.cloned().or_else(|| known(dockerhub::ROOT)),
        Provider::Ghcr => endpoint.cloned().or_else(|| known(ghcr::ROOT)),
    }
}

fn api(root: &Url, provider: Provider, path: &str, user: Option<&str>) -> Option<Api> {
    match provider {
        Provider::Distribution | Provider::Ecr | Provider::Gar => None,
        Provider::Acr => Some(acr::api(root, path)),
        Provider::Dockerhub => dockerhub::api(root, path),
        Provider::Ghcr => ghcr::api(root, path),
        Provider::Gitlab => Some(gitlab::api(root, path)),
        Provider::Harbor => harbor::api(root, path),
        Provider::Quay => Some(quay::api(root, path, user)),
    }
}

/// Reads the list where it is found first.
async fn list(door: &Door<'_>, api: &Api, untold: Untold<'_>) -> Result<Vec<ListedTag>, RegistryError> {
    let mut refused = None;
    for (list, show) in &api.lists {
        match pages(door, api, list, *show, untold.clone()).await {
            Err(error @ (RegistryError::Refused(_) | RegistryError::Absent(_))) => refused = refused.or(Some(error)),
            read => return read,
        }
    }
    refused.map_or(Ok(Vec::new()), Err)
}

/// Reads page after page until every tag is told that was not; lists have the newest first where they can.
async fn pages(
    door: &Door<'_>,
    api: &Api,
    first: &Url,
    show: Show,
    mut untold: Untold<'_>,
) -> Result<Vec<ListedTag>, RegistryError> {
    let (mut url, mut told, mut n_bytes) = (first.clone(), Vec::new(), 0);
    let mut room = door.session.host.answers.room();
    for number in 2..PAGES_MAX + 2 {
        if untold.is_empty() {
            return Ok(told);
        }
        let response = door.get(&url, show).await?;
        let linked = match api.pages {
            Pages::Linked => tags::next_page(response.headers(), &url)?,
            Pages::Numbered => None,
        };
        let before = room.bytes();
        let body = room.read_json(response, PAGE_BYTES_MAX, "page of push times").await?;
        n_bytes += body.len();
        if n_bytes > LIST_BYTES_MAX {
            break;
        }
        let page = (api.read)(&body).ok_or_else(|| nonsense(&url, "the answer is no list of push times"))?;
        page.told.iter().for_each(|told| untold.remove(&told.tag));
        drop(body);
        room.give_back(room.bytes() - before);
        room.take(page.told.len() * tags::TOLD_BYTES, &url)?;
        told.extend(page.told);
        let next = match api.pages {
            Pages::Linked => linked,
            Pages::Numbered => page.more.then(|| numbered(first, number)),
        };
        match next {
            Some(next) => url = next,
            None => return Ok(told),
        }
    }
    Err(RegistryError::Invalid(format!(
        "{}: it has more than {PAGES_MAX} pages or {} MB; remove old tags",
        http::shown_url(first),
        LIST_BYTES_MAX >> 20
    )))
}

fn numbered(first: &Url, number: usize) -> Url {
    let mut url = first.clone();
    url.query_pairs_mut().append_pair("page", &number.to_string());
    url
}

/// The address of something below a root, which may have a path itself. What is to be encoded in `path` is so already.
fn below(root: &Url, path: &str, query: &[(&str, &str)]) -> Url {
    let mut url = root.clone();
    url.set_path(&format!("{}/{path}", root.path().trim_end_matches('/')));
    url.query_pairs_mut().clear().extend_pairs(query);
    url
}

/// What is told of a tag; none where its name or digest is none.
fn stamp(tag: &str, digest: &str, pushed: Timestamp) -> Option<ListedTag> {
    Some(ListedTag { tag: Tag::parse(tag).ok()?, digest: Digest::parse(digest).ok()?, pushed: Some(pushed) })
}
