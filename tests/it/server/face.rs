//! A running server to send requests to, and the people it knows.

use super::loop_end::{Heard, Loop};
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::Value;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use tagrelay::clients::http::{self, Transport};
use tagrelay::config::{Access, Act, Glob, Secret, SecretSource};
use tagrelay::server::{Server, serve};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// A running server, the people it knows, and what reached the daemon.
pub(super) struct Face {
    pub(super) address: SocketAddr,
    pub(super) client: reqwest::Client,
    pub(super) heard: Heard,
    stop: CancellationToken,
    _secrets: tempfile::TempDir,
}

/// What was answered.
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Answered {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The code of a refusal, which always comes with a sentence.
    pub(super) fn code(&self) -> String {
        let error = &self.json()["error"];
        assert!(error["message"].as_str().is_some_and(|message| message.len() > 10), "{}", self.text);
        error["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl Drop for Face {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Face {
    /// On loopback, where reading is open.
    pub(super) async fn open() -> Self {
        Self::on(Ipv4Addr::LOCALHOST, |server| server).await
    }

    /// On loopback, with more than people to listen to.
    pub(super) async fn with(more: impl FnOnce(Server) -> Server) -> Self {
        Self::on(Ipv4Addr::LOCALHOST, more).await
    }

    /// On every address of this machine: reading takes a token.
    pub(super) async fn exposed() -> Self {
        Self::on(Ipv4Addr::UNSPECIFIED, |server| server).await
    }

    async fn on(ip: Ipv4Addr, more: impl FnOnce(Server) -> Server) -> Self {
        let secrets = tempfile::tempdir().expect("a directory");
        let listener = TcpListener::bind((ip, 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let Loop { handle, heard } = Loop::start();
        let server = Server::new(handle, people(secrets.path()), Arc::new(|| "tagrelay_up 1\n".to_owned()));
        let stop = CancellationToken::new();
        tokio::spawn(serve(listener, more(server), stop.clone()));
        let client = http::client(&Transport { plain_http: true, ..Transport::default() }).expect("a client");
        Self { address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)), client, heard, stop, _secrets: secrets }
    }

    pub(super) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    pub(super) async fn send(&self, request: reqwest::RequestBuilder) -> Answered {
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answered { status, headers, text: response.text().await.expect("a text") }
    }

    pub(super) async fn get(&self, path: &str) -> Answered {
        self.send(self.request(Method::GET, path)).await
    }

    pub(super) async fn post(&self, path: &str, token: Option<&str>, body: &Value) -> Answered {
        let request = self.request(Method::POST, path).json(body);
        self.send(token.iter().fold(request, |request, token| request.bearer_auth(token))).await
    }
}

/// Alice may do everything everywhere, bob everything but force in one environment, carol everything in one policy's
/// environments, the cluster nothing but to post.
fn people(secrets: &Path) -> Vec<Access> {
    use Act::{Approve, Force, Hold, Promote, Reject, Resume, Rollback, Signal, Verify};
    let all = [Approve, Reject, Hold, Resume, Promote, Force, Rollback, Verify, Signal];
    let person = |name: &str, may: &[Act], on: &str| {
        let file = secrets.join(name);
        std::fs::write(&file, format!("token-of-{name}\n")).expect("written");
        let token = Secret::new(SecretSource::File(file));
        Access { name: name.to_owned(), token, may: may.to_vec(), on: vec![Glob::parse(on).expect("a pattern")] }
    };
    let unread = Secret::new(SecretSource::File(secrets.join("there is no such file")));
    let everywhere = || vec![Glob::parse("*").expect("a pattern")];
    vec![
        Access { name: "mallory".to_owned(), token: unread, may: all.to_vec(), on: everywhere() },
        person("alice", &all, "*"),
        person("bob", &[Approve, Reject, Hold, Resume, Promote, Rollback, Verify], "shop/prod"),
        person("carol", &all, "shop/*"),
        person("cluster", &[Signal], "*"),
    ]
}
