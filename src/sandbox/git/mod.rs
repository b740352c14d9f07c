//! A git server: bare repositories in a temporary folder, served over smart HTTP by the machine's own git.
//!
//! So everything about packs, protocol versions and refusals is real; only the HTTP around it is ours. It speaks no SSH,
//! and has no merge requests: those are GitLab's.

mod cgi;
mod plumbing;
mod repository;
#[cfg(test)]
mod tests;

pub use repository::{Commit, Repository};

use super::effects::Effects;
use super::face::{Face, System};
use super::fault::{Fault, Moment, Rule};
use super::{Error, held, wire};
use axum::body::Bytes;
use axum::http::{Method, Request, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// The git server.
#[derive(Debug)]
pub struct Git {
    /// Its HTTP face: URL, faults, record.
    pub face: Face,
    root: Arc<TempDir>,
    state: Arc<State>,
}

struct State {
    root: PathBuf,
    /// What a password must be, whoever the user says to be.
    token: Mutex<Option<String>>,
    repositories: Mutex<BTreeMap<String, Repository>>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "State({})", self.root.display())
    }
}

impl Git {
    pub(super) async fn start(effects: Effects) -> Result<Self, Error> {
        let root =
            Arc::new(TempDir::with_prefix("tagrelay-sandbox-").map_err(Error::io("make the git server's folder"))?);
        let state =
            Arc::new(State { root: root.path().to_owned(), token: Mutex::default(), repositories: Mutex::default() });
        let face = Face::start(Arc::clone(&state), effects).await.map_err(Error::io("listen as the git server"))?;
        Ok(Self { face, root, state })
    }

    /// Makes a repository (`group/name`, without `.git`) whose branch `main` begins with these files.
    ///
    /// # Errors
    /// When git refuses.
    pub async fn create(&self, name: &str, files: &[(&str, &str)]) -> Result<Repository, Error> {
        let made = repository::create(self, name).await?;
        held(&self.state.repositories).insert(name.to_owned(), made.clone());
        let files: Vec<_> = files.iter().map(|(path, text)| (*path, Some(*text))).collect();
        made.commit("main", &files, "Begin\n", "Sandbox <sandbox@example.org>").await?;
        Ok(made)
    }

    /// A repository by the name it was made with.
    #[must_use]
    pub fn repository(&self, name: &str) -> Option<Repository> {
        held(&self.state.repositories).get(name).cloned()
    }

    /// Asks for this token as the password of any user from now on, as GitLab does; none lets everybody in.
    pub fn require_token(&self, token: Option<&str>) {
        *held(&self.state.token) = token.map(str::to_owned);
    }

    /// Does this before the next push to that repository is handled: the push loses its race if the deed moves its branch.
    pub fn before_next_push<F>(&self, repository: &Repository, deed: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.face.faults.add(Self::next_push(repository, Fault::meanwhile(Moment::Before, deed)));
    }

    /// The rule that this fault befalls the next push to that repository. Clients built on curl send a request again
    /// whose kept connection was reset: give such a fault more [times](Rule::times).
    #[must_use]
    pub fn next_push(repository: &Repository, fault: Fault) -> Rule {
        let path = repository.url().splitn(4, '/').nth(3).unwrap_or_default();
        Rule::once(fault).method(Method::POST).path(&format!("/{path}/git-receive-pack"))
    }
}

impl System for State {
    const NAME: &'static str = "git";

    /// A lone flush packet is git's question whether it may push, asked before a large pack is sent.
    fn mutates(request: &Request<Bytes>) -> bool {
        is_push(request) && request.body().as_ref() != b"0000"
    }

    async fn answer(self: Arc<Self>, request: Request<Bytes>) -> Response {
        if !self.lets_in(&request) {
            let realm = [(header::WWW_AUTHENTICATE, "Basic realm=\"GitLab\"")];
            return (StatusCode::UNAUTHORIZED, realm, "HTTP Basic: Access denied\n").into_response();
        }
        let push = is_push(&request);
        let name = request.uri().path().trim_start_matches('/').split(".git/").next().map(wire::percent_decoded);
        let response = cgi::serve(&self.root, request, push).await;
        if push {
            let pushed = name.and_then(|name| held(&self.repositories).get(&name).cloned());
            pushed.iter().for_each(Repository::bump);
        }
        response
    }
}

impl State {
    fn lets_in(&self, request: &Request<Bytes>) -> bool {
        let wanted = held(&self.token).clone();
        wanted.is_none_or(|wanted| wire::basic(request.headers()).is_some_and(|(_, password)| password == wanted))
    }
}

fn is_push(request: &Request<Bytes>) -> bool {
    request.method() == Method::POST && request.uri().path().ends_with("/git-receive-pack")
}
