//! The HTTP check: a URL answers with the expected status, several times in a row, before its time is over.
//!
//! It reads no body, sends no secret, and goes nowhere that `egress` does not admit, redirects included.

use crate::clients::egress::{Egress, EgressError, is_here};
use crate::clients::http::{self, HttpError, Transport, shown_url};
use crate::model::event::CheckResult;
use crate::model::policy::HttpCheck;
use crate::model::text;
use reqwest::header::LOCATION;
use reqwest::{Method, Request, Response, Url};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// How many redirects are followed for one answer: http to https, to `www`, and to a language.
const REDIRECTS_MAX: usize = 3;

/// How many addresses of one host are judged; a larger answer is a mistake.
const ADDRESSES_MAX: usize = 32;

/// How long one answer may take: an application that is slower is not well.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The shortest pause between two requests, whatever the policy says: a check is no load test.
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// Runs an HTTP check on its rendered URL until it passed or `timeout` is over.
///
/// A wrong answer begins the row anew. `tell` hears of the first one, and of each that differs from the one before.
///
/// # Errors
/// Where the configuration lets no check go, by the name of the host or by its address: that is told at once, and says
/// nothing of a release.
pub async fn http(
    check: &HttpCheck,
    url: &str,
    egress: &Egress,
    timeout: Duration,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<CheckResult, EgressError> {
    let url = match Url::parse(url) {
        Ok(url) => url,
        Err(error) => return Ok(CheckResult::Failed(format!("`{}` is no URL: {error}", text::shown(url)))),
    };
    let until = Instant::now() + timeout;
    let wanted = check.times.max(1);
    let (mut in_row, mut last) = (0, None::<String>);
    loop {
        match timeout_at(until, answer(check, &url, egress)).await {
            Ok(Ok(())) => in_row += 1,
            Ok(Err(Wrong::Answer(wrong))) => {
                if last.as_ref() != Some(&wrong) {
                    tell(&wrong);
                }
                (in_row, last) = (0, Some(wrong));
            }
            Ok(Err(Wrong::Forbidden(error))) => return Err(error),
            Err(_) => return Ok(CheckResult::Failed(told(&url, timeout, wanted, in_row, last))),
        }
        if in_row == wanted {
            return Ok(CheckResult::Passed);
        }
        let pause = check.every.get().max(PAUSE_MIN);
        if Instant::now() + pause >= until {
            return Ok(CheckResult::Failed(told(&url, timeout, wanted, in_row, last)));
        }
        sleep(pause).await;
    }
}

fn told(url: &Url, timeout: Duration, wanted: u32, in_row: u32, last: Option<String>) -> String {
    let last = last.unwrap_or_else(|| format!("{} gave no whole answer", shown_url(url)));
    let timeout = crate::model::Span::from(timeout);
    format!("{last}; {in_row} of {wanted} good answers in a row within {timeout}")
}

/// Why there was no good answer.
enum Wrong {
    /// It was not the one that is expected, or did not come.
    Answer(String),
    /// Nothing may be asked there.
    Forbidden(EgressError),
}

impl From<String> for Wrong {
    fn from(wrong: String) -> Self {
        Self::Answer(wrong)
    }
}

impl From<EgressError> for Wrong {
    fn from(error: EgressError) -> Self {
        Self::Forbidden(error)
    }
}

/// Asks once, and says what was wrong with the answer. Where the application sends us is its own answer.
async fn answer(check: &HttpCheck, url: &Url, egress: &Egress) -> Result<(), Wrong> {
    let mut url = url.clone();
    for redirects in 0..=REDIRECTS_MAX {
        let (response, address) = ask(&url, egress).await.map_err(|wrong| match wrong {
            Wrong::Forbidden(error) if redirects > 0 => Wrong::Answer(error.to_string()),
            wrong => wrong,
        })?;
        let status = response.status();
        if status.as_u16() == check.status {
            return Ok(());
        }
        match next(&response) {
            Some(next) => url = next,
            None => {
                return Err(format!("{} at {address} answered {status}, not {}", shown_url(&url), check.status).into());
            }
        }
    }
    Err(format!("{}: more than {REDIRECTS_MAX} redirects", shown_url(&url)).into())
}

fn next(response: &Response) -> Option<Url> {
    let location = response.headers().get(LOCATION).filter(|_| response.status().is_redirection())?;
    response.url().join(location.to_str().ok()?).ok()
}

/// One request to an address that was judged; who answered is told with the answer.
async fn ask(url: &Url, egress: &Egress) -> Result<(Response, SocketAddr), Wrong> {
    let host = egress.admits_host(url)?;
    let addresses = resolve(host, url, egress).await?;
    let transport = Transport { connect_timeout: CONNECT_TIMEOUT, timeout: ANSWER_TIMEOUT, ..Transport::default() };
    let shown = |error: HttpError| error.to_string();
    let client = http::client_to(&transport, host, &addresses).map_err(shown)?;
    let request = Request::new(Method::GET, url.clone());
    let response = http::send(&client, request, &http::uncounted()).await.map_err(shown)?;
    let address = response.remote_addr().or_else(|| addresses.first().copied());
    address.map(|address| (response, address)).ok_or_else(|| format!("{} has no address", text::shown(host)).into())
}

/// The addresses of a host. One that may not be spoken to speaks against all: names that mix them are made by attackers.
async fn resolve(host: &str, url: &Url, egress: &Egress) -> Result<Vec<SocketAddr>, Wrong> {
    let port = url.port_or_known_default().unwrap_or(80);
    let found = tokio::net::lookup_host((host, port)).await;
    let found = found.map_err(|error| format!("{} has no address: {error}", text::shown(host)))?;
    let addresses: Vec<SocketAddr> = found.take(ADDRESSES_MAX).collect();
    for address in &addresses {
        egress.admits_address(host, *address, is_here(*address))?;
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Span;
    use axum::Router;
    use axum::body::Body;
    use axum::http::{HeaderMap, StatusCode, header};
    use axum::routing::get;
    use futures_util::StreamExt as _;
    use std::convert::Infallible;
    use std::net::Ipv4Addr;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::net::TcpListener;

    /// A server whose `/flaky` answers these statuses in turn, the last one for ever.
    async fn server(flaky: &'static [u16]) -> (SocketAddr, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let answer = move || {
            let at = count.fetch_add(1, Ordering::SeqCst).min(flaky.len() - 1);
            std::future::ready(StatusCode::from_u16(flaky[at]).expect("a status"))
        };
        let to =
            |location: &'static str| get(move || async move { (StatusCode::FOUND, [(header::LOCATION, location)]) });
        let endless = || async { Body::from_stream(futures_util::stream::repeat("blank ").map(Ok::<_, Infallible>)) };
        let headers = |headers: HeaderMap| async move {
            let only = headers
                .keys()
                .all(|name| matches!(name.as_str(), "host" | "user-agent" | "accept" | "accept-encoding"));
            if only { StatusCode::OK } else { StatusCode::BAD_REQUEST }
        };
        let router = Router::new()
            .route("/flaky", get(answer))
            .route("/good", get(headers))
            .route("/to-good", to("/good"))
            .route("/round", to("/round"))
            .route("/to-metadata", to("http://169.254.169.254/latest/"))
            .route("/to-file", to("file:///etc/passwd"))
            .route("/endless", get(endless))
            .route("/silent", get(std::future::pending::<StatusCode>));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        drop(tokio::spawn(async move { axum::serve(listener, router).await }));
        (address, asked)
    }

    fn check(status: u16, times: u32) -> HttpCheck {
        HttpCheck { url: String::new(), status, times, every: Span::ZERO }
    }

    async fn run(check: &HttpCheck, url: &str, egress: &Egress, millis: u64) -> Result<(), String> {
        match http(check, url, egress, Duration::from_millis(millis), &|_| {}).await {
            Ok(CheckResult::Passed) => Ok(()),
            Ok(CheckResult::Failed(why)) => Err(why),
            Err(error) => Err(format!("forbidden: {error}")),
        }
    }

    fn private() -> Egress {
        Egress::new(None, true, None).expect("no patterns")
    }

    #[tokio::test]
    async fn good_answers_must_come_in_a_row() {
        let (address, asked) = server(&[503, 200, 200, 500, 200]).await;
        assert_eq!(run(&check(200, 3), &format!("http://{address}/flaky"), &private(), 10_000).await, Ok(()));
        assert_eq!(asked.load(Ordering::SeqCst), 7, "the failure in the middle began the row anew");

        let (address, _) = server(&[200, 503]).await;
        let why = run(&check(200, 2), &format!("http://{address}/flaky?token=x"), &private(), 2_000).await;
        let expected = format!(
            "http://{address}/flaky?… at {address} answered 503 Service Unavailable, not 200; 0 of 2 good answers in a row \
             within 2s"
        );
        assert_eq!(why, Err(expected));
    }

    #[tokio::test]
    async fn what_answers_is_told() {
        let (address, _) = server(&[200]).await;
        let within = async |path: &str, status: u16, millis: u64| {
            run(&check(status, 1), &format!("http://{address}{path}"), &private(), millis).await
        };
        let good = async |path: &str, status: u16| within(path, status, 30_000).await;
        assert_eq!(good("/good", 200).await, Ok(()));
        assert_eq!(good("/to-good", 200).await, Ok(()));
        assert_eq!(good("/to-good", 302).await, Ok(()), "a redirect that is expected is not followed");
        assert_eq!(good("/endless", 200).await, Ok(()), "no body is read");
        let ask = async |path: &str, status: u16| within(path, status, 1_000).await;
        for (path, part) in [
            ("/missing", "answered 404 Not Found, not 200"),
            ("/round", "more than 3 redirects"),
            ("/to-metadata", "169.254.169.254, a link-local address"),
            ("/to-file", "not file:"),
            ("/silent", "/silent gave no whole answer; 0 of 1"),
        ] {
            let why = ask(path, 200).await.expect_err(path);
            assert!(why.contains(part), "{path}: {why}");
        }
    }

    #[tokio::test]
    async fn nothing_is_asked_where_it_is_not_allowed() {
        let (address, asked) = server(&[200]).await;
        let url = format!("http://{address}/flaky");
        let allow = ["*.example.com".to_owned()];
        for (egress, part) in [
            (Egress::new(None, false, None), "a private address"),
            (Egress::new(Some(&allow), true, None), "host 127.0.0.1 is not allowed"),
            (Egress::new(None, true, Some(address)), "tagrelay's own listener"),
            (Egress::new(None, true, Some((Ipv4Addr::UNSPECIFIED, address.port()).into())), "tagrelay's own listener"),
        ] {
            // At once, whatever time is left: it says nothing of a release.
            let why = run(&check(200, 1), &url, &egress.expect("patterns"), 600_000).await.expect_err("not allowed");
            assert!(why.starts_with("forbidden: ") && why.contains(part), "{why}");
        }
        assert_eq!(asked.load(Ordering::SeqCst), 0);
        assert_eq!(
            run(&check(200, 1), &format!("http://localhost:{}/flaky", address.port()), &private(), 500).await,
            Ok(())
        );
        assert!(run(&check(200, 1), "no url", &private(), 150).await.is_err());
    }

    #[tokio::test]
    async fn a_client_goes_to_the_addresses_that_were_judged() {
        let (address, asked) = server(&[200]).await;
        let client = http::client_to(&Transport::default(), "shop.invalid", &[address]).expect("a client");
        let url = Url::parse(&format!("http://shop.invalid:{}/flaky", address.port())).expect("a URL");
        http::send(&client, Request::new(Method::GET, url), &http::uncounted()).await.expect("an answer");
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn this_machine_knows_its_addresses() {
        assert!(is_here("127.0.0.5:80".parse().expect("an address")));
        assert!(is_here("[::ffff:127.0.0.1]:80".parse().expect("an address")));
        assert!(!is_here("192.0.2.1:80".parse().expect("an address")));
    }
}
