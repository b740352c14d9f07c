//! One question to a running daemon, and its answer or the reason why there is none.
//!
//! It tries nothing twice and follows no redirect: a person is there to ask again.

use super::reach::{self, Daemon};
use super::{Exit, Wrong, print};
use crate::cli::Failure;
use crate::clients::http::{self, HttpError, Transport};
use crate::config::{Secret, SecretSource};
use crate::server::JOURNAL_HEADER;
use clap::Args;
use reqwest::{Method, StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use tokio::sync::OnceCell;

/// The largest answer that is read: the tags of an environment with all of their reasons are a few megabytes.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// The variable that holds a person's token.
const TOKEN_VARIABLE: &str = "TAGRELAY_TOKEN";

/// What stands above these options in the help.
const HEADING: &str = "The running daemon";

/// The running daemon.
#[derive(Debug, Args)]
pub(super) struct Server {
    /// Its address; default `server.listen` of the configuration, where there is one, else http://127.0.0.1:8080.
    #[arg(long, value_name = "URL", env = "TAGRELAY_SERVER", help_heading = HEADING)]
    server: Option<Url>,
    /// The daemon's configuration: it says where the daemon listens and which journal it keeps.
    #[arg(long, value_name = "FILE", env = "TAGRELAY_CONFIG", help_heading = HEADING)]
    config: Option<PathBuf>,
    /// Your token. Everybody on this machine can read it there: set TAGRELAY_TOKEN, or say --token-file.
    #[arg(long, allow_hyphen_values = true, help_heading = HEADING)]
    token: Option<SecretString>,
    /// The file that holds your token.
    #[arg(long, value_name = "FILE", conflicts_with = "token", help_heading = HEADING)]
    token_file: Option<PathBuf>,
    /// Send the token over http to another machine, where everybody on the way can read it.
    #[arg(long, help_heading = HEADING)]
    plain_http: bool,
    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
    /// The daemon that this comes to.
    #[arg(skip)]
    daemon: OnceCell<Box<Daemon>>,
}

/// No daemon answers.
#[derive(Debug, thiserror::Error)]
#[error("no daemon answers at {server} (--server URL or TAGRELAY_SERVER names it): {why}")]
pub(super) struct NobodyAnswers {
    pub(super) server: String,
    why: HttpError,
}

impl Server {
    /// Reads something.
    pub(super) async fn get(&self, path: &[&str], query: &[(&str, &str)]) -> anyhow::Result<Value> {
        let mut url = self.url(path).await?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.ask(Method::GET, url, None).await
    }

    /// Changes something.
    pub(super) async fn post(&self, path: &[&str], body: &Value) -> anyhow::Result<Value> {
        self.ask(Method::POST, self.url(path).await?, Some(body)).await
    }

    /// The daemon that is asked.
    async fn daemon(&self) -> anyhow::Result<&Daemon> {
        let reached = || async { Ok(Box::new(reach::daemon(self.server.as_ref(), self.config.as_deref()).await?)) };
        self.daemon.get_or_try_init(reached).await.map(AsRef::as_ref)
    }

    /// The configuration, where one is named or stands here.
    pub(super) fn configuration(&self) -> Option<PathBuf> {
        self.config.clone().or_else(|| Some(PathBuf::from(reach::CONFIGURATION)).filter(|path| path.exists()))
    }

    async fn url(&self, path: &[&str]) -> anyhow::Result<Url> {
        let server = &self.daemon().await?.url;
        let mut url = server.clone();
        let known = matches!(url.scheme(), "http" | "https") && url.host_str().is_some();
        let segments = url.path_segments_mut().ok().filter(|_| known);
        let mut segments =
            segments.ok_or_else(|| Wrong::because(format!("`{server}` is no http:// or https:// address")))?;
        segments.pop_if_empty().extend(["api", "v1"]).extend(path);
        drop(segments);
        Ok(url)
    }

    async fn ask(&self, method: Method, url: Url, body: Option<&Value>) -> anyhow::Result<Value> {
        let client = self.client(&url)?;
        let mut request = client.request(method, url.clone());
        if let Some(token) = self.token()? {
            if url.scheme() == "http" && loopback(&url).is_empty() && !self.plain_http {
                let why = "the token is not sent over http to another machine: use https, or say --plain-http";
                return Err(Wrong::because(why));
            }
            request = request.bearer_auth(token.expose_secret());
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = http::send(&client, request.build()?, &http::uncounted()).await;
        let daemon = self.daemon().await?;
        let server = http::shown_url(&daemon.url);
        let response = response.map_err(|why| NobodyAnswers { server: server.clone(), why })?;
        let status = response.status();
        let answers = response.headers().get(JOURNAL_HEADER).and_then(|id| id.to_str().ok()).map(str::to_owned);
        if let (Some(kept), Some(id)) =
            (&daemon.journal, answers.filter(|id| daemon.journal.as_ref().is_some_and(|kept| kept.id != *id)))
        {
            let by = kept.by.display();
            anyhow::bail!(
                "the daemon at {server} keeps journal {}, and {by} names journal {}: it is another daemon; say which one is meant with --server URL or --config FILE",
                crate::model::text::shown(&id),
                kept.id
            );
        }
        let body = http::body(response, ANSWER_BYTES_MAX, "answer").await?;
        let value: Value = serde_json::from_slice(&body).unwrap_or_default();
        match value["error"]["message"].as_str() {
            None if status.is_success() && value.is_object() => Ok(value),
            Some(why) => Err(Failure { why: why.to_owned(), exit: exit(status) }.into()),
            None => {
                anyhow::bail!("{server} answers {status}, and not as tagrelay does: is the address right?")
            }
        }
    }

    /// Who asks: as the command line says, else a file that it names, else the environment.
    fn token(&self) -> anyhow::Result<Option<SecretString>> {
        if let Some(token) = &self.token {
            print::complain(
                "warning: everybody on this machine can read what --token says: set TAGRELAY_TOKEN, or say --token-file",
            );
            return Ok(Some(token.clone()));
        }
        match &self.token_file {
            Some(path) => Ok(Some(Secret::new(SecretSource::File(path.clone())).read().map_err(Wrong::of)?)),
            None => Ok(Secret::new(SecretSource::Env(TOKEN_VARIABLE.to_owned())).read().ok()),
        }
    }

    /// A daemon on this machine is asked directly: no proxy stands between, or sees the token.
    fn client(&self, url: &Url) -> anyhow::Result<reqwest::Client> {
        let transport = Transport { plain_http: url.scheme() == "http", ..Transport::default() };
        let addresses = loopback(url);
        Ok(match url.host_str() {
            Some(host) if !addresses.is_empty() => http::client_to(&transport, host, &addresses)?,
            _ => http::client(&transport)?,
        })
    }
}

/// The addresses of this machine that a URL names; none where it names another machine.
fn loopback(url: &Url) -> Vec<SocketAddr> {
    let port = url.port_or_known_default().unwrap_or(0);
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let addresses = match host.parse::<IpAddr>() {
        Ok(address) if address.is_loopback() => vec![address],
        Err(_) if host == "localhost" => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
        Ok(_) | Err(_) => Vec::new(),
    };
    addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect()
}

fn exit(status: StatusCode) -> Exit {
    match status {
        StatusCode::NOT_FOUND => Exit::Nothing,
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => Exit::Wrong,
        _ => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(url: &str, token: Option<&str>) -> Server {
        let url = url.parse().expect("a URL");
        Server {
            server: Some(url),
            config: None,
            token: token.map(SecretString::from),
            token_file: None,
            plain_http: false,
            json: false,
            daemon: OnceCell::new(),
        }
    }

    #[tokio::test]
    async fn an_address_may_have_a_path_and_names_are_escaped() {
        for (base, url) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/api/v1/policies/a%20b"),
            ("https://example.com/tagrelay/", "https://example.com/tagrelay/api/v1/policies/a%20b"),
            ("https://example.com/tagrelay", "https://example.com/tagrelay/api/v1/policies/a%20b"),
        ] {
            assert_eq!(server(base, None).url(&["policies", "a b"]).await.expect("a URL").as_str(), url);
        }
        assert!(server("mailto:x@example.com", None).url(&[]).await.is_err());
        assert!(server("file:///etc", None).url(&[]).await.is_err());
    }

    #[test]
    fn this_machine_is_known_by_its_name_or_address() {
        for (url, is) in [
            ("http://127.0.0.1:8080", true),
            ("http://127.9.9.9", true),
            ("http://[::1]:8080", true),
            ("http://localhost:8080", true),
            ("http://localhost.example.com", false),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(!loopback(&url.parse().expect("a URL")).is_empty(), is, "{url}");
        }
    }

    #[test]
    fn a_token_may_stand_in_a_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        std::fs::write(&path, "t0ken\n").expect("written");
        let in_file = Server { token_file: Some(path.clone()), ..server("http://127.0.0.1", None) };
        assert_eq!(in_file.token().expect("read").expect("a token").expose_secret(), "t0ken");
        std::fs::remove_file(&path).expect("removed");
        let error = in_file.token().expect_err("no file").to_string();
        assert!(error.contains("cannot be read") && error.contains("token"), "{error}");
    }

    #[tokio::test]
    async fn a_token_does_not_travel_in_the_open() {
        let error = server("http://tagrelay.example.com", Some("t0ken")).get(&["status"], &[]).await;
        let error = error.expect_err("refused").to_string();
        assert!(error.contains("--plain-http") && !error.contains("t0ken"), "{error}");
    }
}
