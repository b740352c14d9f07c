//! A GitLab stand-in: the REST API v4 as far as tagrelay's reports reach (deployments, environments, revisions).
//!
//! It runs no pipelines, keeps no merge requests and serves no git: its projects' revisions are told by a test or read from
//! the sandbox's git server. Rules and texts are those of GitLab's sources; what is only remembered of them is the same
//! in kind (status and shape), not in wording.

mod deployments;
mod environments;
mod project;
mod revision_api;
mod revisions;
#[cfg(test)]
mod tests;
mod wording;

pub use project::{Commits, Deployment, Environment, Role};

use self::project::{BOT, Project};
use self::revisions::{Revisions, Told};
use self::wording::{Answer, Refusal, now};
use super::effects::Effects;
use super::face::{Face, System};
use super::fault::Fault;
use super::{Error, git, held, wire};
use axum::Json;
use axum::body::Bytes;
use axum::http::{Method, Request, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// The first id that is given out: not 1, so that ids and iids are not taken for each other.
const FIRST_ID: u64 = 101;

/// The GitLab stand-in.
#[derive(Debug)]
pub struct Gitlab {
    /// Its HTTP face: URL, faults, record.
    pub face: Face,
    state: Arc<State>,
}

struct State {
    projects: Mutex<Vec<Project>>,
    /// Token to its scopes; a token without any is expired.
    tokens: Mutex<BTreeMap<String, Vec<String>>>,
    ids: AtomicU64,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "State({} projects)", held(&self.projects).len())
    }
}

impl Gitlab {
    pub(super) async fn start(effects: Effects) -> Result<Self, Error> {
        let ids = AtomicU64::new(FIRST_ID);
        let state = Arc::new(State { projects: Mutex::default(), tokens: Mutex::default(), ids });
        let face = Face::start(Arc::clone(&state), effects).await.map_err(Error::io("listen as GitLab"))?;
        Ok(Self { face, state })
    }

    /// Makes a private project whose commits are told by hand.
    #[must_use]
    pub fn add_project(&self, path: &str) -> Commits {
        let told = Arc::new(Mutex::new(Told::default()));
        self.insert(path, Revisions::Told(Arc::clone(&told)));
        Commits(told)
    }

    /// Makes a private project whose commits are those of a repository.
    pub fn add_project_of(&self, path: &str, repository: &git::Repository) {
        self.insert(path, Revisions::Git(repository.clone()));
    }

    fn insert(&self, path: &str, revisions: Revisions) {
        held(&self.state.projects).push(Project {
            id: self.state.next_id(),
            path: path.to_owned(),
            revisions,
            environments: Vec::new(),
            deployments: Vec::new(),
            protected: BTreeSet::new(),
            members: BTreeMap::new(),
        });
    }

    /// Gives a token these scopes (`api`, `read_api`); without any it counts as expired.
    pub fn add_token(&self, token: &str, scopes: &[&str]) {
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        held(&self.state.tokens).insert(token.to_owned(), scopes);
    }

    /// Makes a token a member of a project; one not yet known gets the scope `api`.
    ///
    /// # Errors
    /// When there is no such project.
    pub fn grant(&self, token: &str, project: &str, role: Role) -> Result<(), Error> {
        held(&self.state.tokens).entry(token.to_owned()).or_insert_with(|| vec!["api".to_owned()]);
        self.change(project, |project| {
            project.members.insert(token.to_owned(), role);
        })
    }

    /// Lets only maintainers deploy to this environment.
    ///
    /// # Errors
    /// When there is no such project.
    pub fn protect(&self, project: &str, environment: &str) -> Result<(), Error> {
        self.change(project, |project| {
            project.protected.insert(environment.to_owned());
        })
    }

    /// The deployments of a project, in the order of their ids; none where there is no such project.
    #[must_use]
    pub fn deployments(&self, project: &str) -> Vec<Deployment> {
        let mut deployments = Vec::new();
        self.change(project, |project| deployments.clone_from(&project.deployments)).ok();
        deployments
    }

    /// Says that another user of GitLab made this deployment.
    ///
    /// # Errors
    /// When there is no such project.
    pub fn made_by_another(&self, project: &str, deployment: u64) -> Result<(), Error> {
        self.change(project, |project| {
            let found = project.deployments.iter_mut().find(|made| made.id == deployment);
            found.into_iter().for_each(|made| made.user = BOT + 1);
        })
    }

    /// The environments of a project; none where there is no such project.
    #[must_use]
    pub fn environments(&self, project: &str) -> Vec<Environment> {
        let mut environments = Vec::new();
        self.change(project, |project| environments.clone_from(&project.environments)).ok();
        environments
    }

    fn change(&self, path: &str, change: impl FnOnce(&mut Project)) -> Result<(), Error> {
        let mut projects = held(&self.state.projects);
        let project = projects.iter_mut().find(|project| project.path == path);
        change(project.ok_or_else(|| Error::unknown("GitLab project", path))?);
        Ok(())
    }
}

/// The fault that GitLab's throttle turns requests away: plain text, not JSON.
#[must_use]
pub fn throttled(retry_after_seconds: u32) -> Fault {
    let reset = wire::now().as_second() + i64::from(retry_after_seconds);
    Fault::answer(429)
        .with("retry-after", &retry_after_seconds.to_string())
        .with("ratelimit-name", "throttle_authenticated_api")
        .with("ratelimit-limit", "2000")
        .with("ratelimit-observed", "2001")
        .with("ratelimit-remaining", "0")
        .with("ratelimit-reset", &reset.to_string())
        .body("text/plain", "Retry later\n")
}

/// Who asks, in which project.
struct Asker {
    project: u64,
    path: String,
    role: Role,
    revisions: Revisions,
}

impl Asker {
    /// Turns away whoever may less.
    fn may(&self, role: Role) -> Result<(), Refusal> {
        if self.role >= role { Ok(()) } else { Err(Refusal::forbidden()) }
    }

    fn project<'a>(&self, projects: &'a [Project]) -> Result<&'a Project, Refusal> {
        projects.iter().find(|project| project.id == self.project).ok_or_else(no_project)
    }

    fn project_mut<'a>(&self, projects: &'a mut [Project]) -> Result<&'a mut Project, Refusal> {
        projects.iter_mut().find(|project| project.id == self.project).ok_or_else(no_project)
    }
}

fn no_project() -> Refusal {
    Refusal::not_found("Project Not Found")
}

impl System for State {
    const NAME: &'static str = "gitlab";

    fn mutates(request: &Request<Bytes>) -> bool {
        !matches!(*request.method(), Method::GET | Method::HEAD)
    }

    async fn answer(self: Arc<Self>, request: Request<Bytes>) -> Response {
        self.route(&request).await.unwrap_or_else(Response::from)
    }
}

impl State {
    fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    /// The path is split before it is decoded: `group%2Fshop` is one segment.
    async fn route(&self, request: &Request<Bytes>) -> Answer {
        let unknown = || Refusal(StatusCode::NOT_FOUND, json!({ "error": "404 Not Found" }));
        let below = request.uri().path().strip_prefix("/api/v4/").ok_or_else(unknown)?;
        let segments: Vec<String> = below.split('/').map(wire::percent_decoded).collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let token = self.token(request)?;
        match (request.method().as_str(), segments.as_slice()) {
            ("GET", ["version"]) => {
                Ok(Json(json!({ "version": "18.6.0-ee", "revision": "5a0d5b0dd5a" })).into_response())
            }
            ("GET", ["user"]) => Ok(Json(json!({ "id": BOT, "username": "project_bot" })).into_response()),
            ("GET", ["personal_access_tokens", "self"]) => Ok(self.token_json(&token)),
            (method, ["projects", project, rest @ ..]) => {
                let asker = self.asker(&token, project)?;
                match (method, rest) {
                    ("GET", []) => {
                        let projects = held(&self.projects);
                        Ok(Json(asker.project(&projects)?.json_for(wire::host(request.headers()), asker.role))
                            .into_response())
                    }
                    ("GET", ["deployments"]) => deployments::list(self, &asker, request),
                    ("POST", ["deployments"]) => deployments::create(self, &asker, request).await,
                    ("GET", ["deployments", id]) => deployments::get(self, &asker, id),
                    ("PUT", ["deployments", id]) => deployments::update(self, &asker, id, request),
                    ("GET", ["environments"]) => environments::list(self, &asker, request),
                    ("POST", ["environments"]) => environments::create(self, &asker, request),
                    ("GET", ["environments", id]) => environments::get(self, &asker, id),
                    ("PUT", ["environments", id]) => environments::update(self, &asker, id, request),
                    ("GET", ["repository", "commits", sha]) => revision_api::commit(&asker, sha, request).await,
                    ("GET", ["repository", "commits", sha, "refs"]) => revision_api::refs(&asker, sha, request).await,
                    ("GET", ["repository", "branches", name]) => revision_api::branch(&asker, name, request).await,
                    ("GET", ["repository", "tags", name]) => revision_api::tag(&asker, name, request).await,
                    ("GET", ["repository", "merge_base"]) => revision_api::merge_base(&asker, request).await,
                    _ => Err(unknown()),
                }
            }
            _ => Err(unknown()),
        }
    }

    /// The token of a request, if it is good for what is asked.
    fn token(&self, request: &Request<Bytes>) -> Result<String, Refusal> {
        let headers = request.headers();
        let token = wire::header(headers, "private-token").or_else(|| wire::bearer(headers));
        let tokens = held(&self.tokens);
        let unauthorized = || Refusal::message(StatusCode::UNAUTHORIZED, "401 Unauthorized");
        let (token, scopes) = token.and_then(|token| tokens.get_key_value(token)).ok_or_else(unauthorized)?;
        let has = |wanted: &str| scopes.iter().any(|scope| scope == wanted);
        if scopes.is_empty() {
            let body = json!({ "error": "invalid_token", "error_description":
                "Token is expired. You can either do re-authorization or token refresh." });
            return Err(Refusal(StatusCode::UNAUTHORIZED, body));
        }
        if !has("api") && (Self::mutates(request) || !has("read_api")) {
            let scope = if Self::mutates(request) { "api" } else { "api read_api" };
            let body = json!({ "error": "insufficient_scope", "scope": scope, "error_description":
                "The request requires higher privileges than provided by the access token." });
            return Err(Refusal(StatusCode::FORBIDDEN, body));
        }
        Ok(token.clone())
    }

    fn token_json(&self, token: &str) -> Response {
        let scopes = held(&self.tokens).get(token).cloned().unwrap_or_default();
        Json(json!({
            "id": 1,
            "name": "tagrelay",
            "revoked": false,
            "created_at": now(),
            "scopes": scopes,
            "user_id": BOT,
            "active": true,
            "expires_at": null,
        }))
        .into_response()
    }

    /// Who asks: to a stranger a private project does not exist.
    fn asker(&self, token: &str, project: &str) -> Result<Asker, Refusal> {
        let projects = held(&self.projects);
        let found = projects.iter().find(|known| known.path == project || known.id.to_string() == project);
        let found = found.ok_or_else(no_project)?;
        let role = *found.members.get(token).ok_or_else(no_project)?;
        Ok(Asker { project: found.id, path: found.path.clone(), role, revisions: found.revisions.clone() })
    }
}
