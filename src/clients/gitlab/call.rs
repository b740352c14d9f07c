//! One request to GitLab's API: its address, its token, its bounded answer, and what a failure means.
//!
//! No redirect is followed with a token, and no page of a list is taken from another origin.

use super::GitLab;
use super::error::{GitLabError, advice, words};
use super::wire;
use crate::clients::http;
use crate::model::text;
use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, LINK, LOCATION};
use reqwest::{Method, Request, Response, StatusCode, Url};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// The largest answer that is read: a page of 100 deployments with users and jobs has some 400 kB.
const BODY_BYTES_MAX: usize = 4 << 20;

/// The largest explanation of a failure that is read.
const FAILURE_BYTES_MAX: usize = 64 << 10;

/// How many entries a page of a list holds; GitLab clamps to this silently.
pub(super) const PAGE_ENTRIES: &str = "100";

const PRIVATE_TOKEN: &str = "PRIVATE-TOKEN";
const RATE_LIMIT_RESET: &str = "RateLimit-Reset";

/// A body and where the list goes on.
pub(super) struct Page<T> {
    pub(super) entries: Vec<T>,
    pub(super) next: Option<Url>,
}

impl GitLab {
    /// `<base>/api/v4/projects/<project>/<path...>?<query>`, every part encoded: a slash inside of one becomes `%2F`. A part
    /// that is `.` or `..` is encoded too, though nothing on GitLab has such a name: a URL would lose it, and mean another
    /// place.
    pub(super) fn url(&self, project: &str, path: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            let part = |part: &str| match part {
                "." | ".." => part.replace('.', "%2E"),
                part => part.to_owned(),
            };
            segments.pop_if_empty().extend(["api", "v4", "projects"]).push(&part(project));
            segments.extend(path.iter().map(|written| part(written)));
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// The address of what belongs to no project: `<base>/api/v4/<path>`.
    pub(super) fn root_url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["api", "v4", path]);
        }
        url
    }

    /// Reads one thing.
    pub(super) async fn get<T: DeserializeOwned>(&self, project: &str, url: Url) -> Result<T, GitLabError> {
        let response = self.ask(project, Request::new(Method::GET, url)).await?;
        json(response).await
    }

    /// Reads one page of a list.
    pub(super) async fn page<T: DeserializeOwned>(&self, project: &str, url: Url) -> Result<Page<T>, GitLabError> {
        let response = self.ask(project, Request::new(Method::GET, url)).await?;
        let next = next_page(response.url(), response.headers())?;
        Ok(Page { entries: json(response).await?, next })
    }

    /// Writes, and reads what came of it.
    pub(super) async fn write<T: DeserializeOwned>(
        &self,
        project: &str,
        method: Method,
        url: Url,
        body: &impl Serialize,
    ) -> Result<T, GitLabError> {
        let mut request = Request::new(method, url);
        let body = serde_json::to_vec(body).map_err(|error| GitLabError::Impossible(error.to_string()))?;
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *request.body_mut() = Some(body.into());
        json(self.ask(project, request).await?).await
    }

    /// Sends a request; the answer is a success.
    async fn ask(&self, project: &str, request: Request) -> Result<Response, GitLabError> {
        let shown = http::shown_request(request.method(), request.url());
        let is_read = request.method() == Method::GET;
        let response = self.exchange(project, request).await?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        if status.is_redirection() {
            return Err(self.redirected(project, shown, &response).await);
        }
        let (url, headers) = (response.url().clone(), response.headers().clone());
        let said = words(&http::body(response, FAILURE_BYTES_MAX, "failure").await.unwrap_or_default());
        let mut error = failure(project, shown, status, &headers, said);
        if let GitLabError::Refused { status: 404, advice, .. } = &mut error
            && !is_read
            && let Some(moved) = self.moved_to(project, &url).await
        {
            // GitLab forwards a moved project's reads alone; a write finds nothing.
            *advice = moved;
        }
        Err(error)
    }

    async fn exchange(&self, project: &str, mut request: Request) -> Result<Response, GitLabError> {
        let token = (self.tokens)(project).map_err(GitLabError::Token)?;
        let mut token = HeaderValue::from_str(token.expose_secret()).map_err(|_| {
            GitLabError::Token(format!("the token for {} has characters that no token has", text::shown(project)))
        })?;
        token.set_sensitive(true);
        request.headers_mut().insert(PRIVATE_TOKEN, token);
        Ok(http::send(&self.http, request, &self.counter).await?)
    }

    /// What a redirect means: a project that moved, or an address that is not GitLab's own.
    async fn redirected(&self, project: &str, request: String, response: &Response) -> GitLabError {
        let status = response.status().as_u16();
        let location = location(response.url(), response.headers());
        let moved = match &location {
            Some(to) if to.origin() == self.base.origin() => self.new_path(project, to).await,
            _ => None,
        };
        match (moved, location) {
            (Some(path), _) => GitLabError::Refused {
                request,
                status,
                said: "the project moved".to_owned(),
                advice: moved_advice(project, &path),
            },
            (None, Some(to)) => GitLabError::Invalid(format!(
                "{request}: redirected to {}, where no token is sent; write GitLab's own address in `gitlab.url`",
                http::shown_url(&to)
            )),
            (None, None) => {
                GitLabError::Invalid(format!("{request}: answered {status} without a place to go to; is this GitLab?"))
            }
        }
    }

    /// The advice for a write to a project that moved; none where it did not.
    async fn moved_to(&self, project: &str, asked: &Url) -> Option<String> {
        let probe = self.exchange(project, Request::new(Method::GET, self.url(project, &[], &[]))).await.ok()?;
        let to = location(asked, probe.headers()).filter(|_| probe.status().is_redirection())?;
        let path = if to.origin() == self.base.origin() { self.new_path(project, &to).await? } else { return None };
        Some(moved_advice(project, &path))
    }

    /// The path of the project that a redirect names by its number: `/api/v4/projects/<number>/...`.
    async fn new_path(&self, project: &str, to: &Url) -> Option<String> {
        let own = self.url("", &[], &[]);
        let number = to.path().strip_prefix(own.path())?.split('/').next()?;
        number.parse::<u64>().ok()?;
        let response = self.exchange(project, Request::new(Method::GET, self.url(number, &[], &[]))).await.ok()?;
        let found: wire::Project = json(response).await.ok()?;
        Some(text::shown(&found.path_with_namespace))
    }
}

fn moved_advice(project: &str, path: &str) -> String {
    format!("{} is {path} now: write that path in the policy", text::shown(project))
}

async fn json<T: DeserializeOwned>(response: Response) -> Result<T, GitLabError> {
    let url = http::shown_url(response.url());
    let body = http::body(response, BODY_BYTES_MAX, "answer").await?;
    serde_json::from_slice(&body).map_err(|error| {
        GitLabError::Invalid(format!("{url}: the answer is not that of GitLab's API ({error}); is `gitlab.url` right?"))
    })
}

fn failure(project: &str, request: String, status: StatusCode, headers: &HeaderMap, said: String) -> GitLabError {
    match status.as_u16() {
        401 => GitLabError::Token(format!(
            "{request}: GitLab does not take the token for {} ({said}); it may have expired: put a new one in its place",
            text::shown(project)
        )),
        429 => GitLabError::Busy { request, retry_after: wait(headers), said },
        503 if wait(headers).is_some() => GitLabError::Busy { request, retry_after: wait(headers), said },
        408 | 425 | 500..=599 => GitLabError::Unreachable(format!("{request}: GitLab answered {status}: {said}")),
        400..=499 => {
            let advice = advice(status.as_u16(), &said, project);
            GitLabError::Refused { request, status: status.as_u16(), said, advice }
        }
        _ => GitLabError::Invalid(format!("{request}: answered {status}; is this GitLab?")),
    }
}

/// How long GitLab asks to wait, by its own clock: `Retry-After`, or the second at which its window begins anew.
fn wait(headers: &HeaderMap) -> Option<Duration> {
    let now = http::date(headers).unwrap_or(Timestamp::MAX);
    http::retry_after(headers, now).or_else(|| {
        let reset = headers.get(RATE_LIMIT_RESET)?.to_str().ok()?.trim().parse().ok()?;
        let until = Timestamp::from_second(reset).ok()?.duration_since(now);
        Some(Duration::try_from(until).unwrap_or_default().min(http::RETRY_AFTER_MAX))
    })
}

fn location(asked: &Url, headers: &HeaderMap) -> Option<Url> {
    asked.join(headers.get(LOCATION)?.to_str().ok()?).ok()
}

/// Where the list goes on: the `next` of a `Link` header (RFC 8288), in the origin that was asked.
fn next_page(asked: &Url, headers: &HeaderMap) -> Result<Option<Url>, GitLabError> {
    let links = headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    let Some(target) = links.flat_map(|links| links.split(',')).find_map(next_of) else { return Ok(None) };
    match asked.join(target) {
        Ok(next) if next.origin() == asked.origin() => Ok(Some(next)),
        Ok(next) => Err(GitLabError::Invalid(format!(
            "{}: the next page is said to be at {}, where no token is sent; set GitLab's `external_url` to the address \
             in `gitlab.url`",
            http::shown_url(asked),
            http::shown_url(&next)
        ))),
        Err(error) => Err(GitLabError::Invalid(format!("{}: no next page: {error}", http::shown_url(asked)))),
    }
}

/// The target of one link, if it is the next page. GitLab encodes commas and angle brackets inside of it.
fn next_of(link: &str) -> Option<&str> {
    let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
    let is_next = |parameter: &str| {
        parameter.trim().strip_prefix("rel=").is_some_and(|rel| rel.trim_matches('"').split(' ').any(|r| r == "next"))
    };
    parameters.split(';').any(is_next).then_some(target)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::gitlab::Settings;
    use reqwest::header::{DATE, RETRY_AFTER};
    use secrecy::SecretString;
    use std::sync::Arc;

    fn gitlab(url: &str) -> GitLab {
        GitLab::new(Settings {
            url: url.to_owned(),
            tokens: Arc::new(|_| Ok(SecretString::from("t"))),
            transport: http::Transport { plain_http: true, ..http::Transport::default() },
            counter: http::uncounted(),
        })
        .expect("settings")
    }

    #[test]
    fn every_part_of_an_address_is_encoded() {
        let check = |base: &str, project: &str, path: &[&str], query: &[(&str, &str)], expected: &str| {
            assert_eq!(gitlab(base).url(project, path, query).as_str(), expected);
        };
        let base = "https://gitlab.example.com";
        check(base, "group/shop", &[], &[], "https://gitlab.example.com/api/v4/projects/group%2Fshop");
        check(base, "..", &["deployments"], &[], "https://gitlab.example.com/api/v4/projects/%252E%252E/deployments");
        check(base, "a/../b", &["."], &[], "https://gitlab.example.com/api/v4/projects/a%2F..%2Fb/%252E");
        check(
            "https://example.com/git/",
            "a/b",
            &["repository", "branches", "feat/x#1?%2e"],
            &[],
            "https://example.com/git/api/v4/projects/a%2Fb/repository/branches/feat%2Fx%231%3F%252e",
        );
        check(
            base,
            "a/b",
            &["x"],
            &[("refs[]", "main&b"), ("environment", "review/a b")],
            "https://gitlab.example.com/api/v4/projects/a%2Fb/x?refs%5B%5D=main%26b&environment=review%2Fa+b",
        );
    }

    #[test]
    fn the_next_page_is_of_the_same_origin() {
        let asked = Url::parse("https://gitlab.example.com/api/v4/x?page=1").expect("a URL");
        let next = |link: &str| {
            let headers = HeaderMap::from_iter([(LINK, HeaderValue::from_str(link).expect("a value"))]);
            next_page(&asked, &headers).map(|url| url.map(String::from))
        };
        let url = "https://gitlab.example.com/api/v4/x?page=2";
        assert_eq!(next(&format!(r#"<{url}>; rel="next""#)), Ok(Some(url.to_owned())));
        assert_eq!(next(&format!(r#"<{url}&p=0>; rel="prev", <{url}>; foo=bar; rel=next"#)), Ok(Some(url.to_owned())));
        assert_eq!(next(r#"</api/v4/x?page=2>; rel="next""#), Ok(Some(url.to_owned())));
        assert_eq!(next(&format!(r#"<{url}>; rel="last""#)), Ok(None));
        assert_eq!(next("nonsense"), Ok(None));
        for elsewhere in ["https://evil.example.com/x", "http://gitlab.example.com/api/v4/x", "//evil/x"] {
            assert!(matches!(next(&format!(r#"<{elsewhere}>; rel="next""#)), Err(GitLabError::Invalid(_))));
        }
    }

    #[test]
    fn waiting_is_by_gitlabs_clock() {
        let check = |headers: &[(&'static str, &str)], expected: Option<u64>| {
            let pair = |(name, value): &(&'static str, &str)| {
                (name.parse().expect("a name"), HeaderValue::from_str(value).expect("a value"))
            };
            let headers: HeaderMap = headers.iter().map(pair).collect();
            assert_eq!(wait(&headers), expected.map(Duration::from_secs), "{headers:?}");
        };
        let date = (DATE.as_str(), "Sun, 06 Nov 1994 08:49:00 GMT");
        check(&[(RETRY_AFTER.as_str(), "17")], Some(17));
        check(&[date, (RATE_LIMIT_RESET, "784111777")], Some(37));
        check(&[date, (RATE_LIMIT_RESET, "1")], Some(0));
        check(&[(RATE_LIMIT_RESET, "soon")], None);
        check(&[], None);
    }

    #[test]
    fn failures_are_cut_by_what_the_caller_does() {
        let check = |status: u16, is_final: bool, part: &str| {
            let status = StatusCode::from_u16(status).expect("a status");
            let error = failure("g/p", "GET x".to_owned(), status, &HeaderMap::new(), "words".to_owned());
            assert_eq!(error.is_final(), is_final, "{error}");
            assert!(error.to_string().contains(part), "{error}");
        };
        check(400, true, "words");
        check(401, false, "put a new one");
        check(403, false, "needs the role Developer in g/p");
        check(404, false, "is the path g/p right");
        check(409, false, "somebody else");
        check(422, true, "words");
        check(408, false, "408");
        check(429, false, "asks to wait");
        check(500, false, "500");
        check(503, false, "503");
    }
}
