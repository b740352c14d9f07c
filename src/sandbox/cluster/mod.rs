//! A cluster stand-in: it runs what the GitOps repository says, after a while, and posts how that went, as a
//! notification of Argo CD or Flux would be made to.
//!
//! It runs no containers and speaks no Kubernetes. What it knows of tagrelay is what any user knows: the trailers of its
//! commits and the form of a signal.

#[cfg(test)]
mod tests;

use super::effects::Effects;
use super::face::{Face, System};
use super::git::Repository;
use super::{Error, held, wire};
use axum::Json;
use axum::body::Bytes;
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinSet;

/// How long it waits before it posts again what was not accepted: the daemon may just be starting.
const POST_PAUSE: Duration = Duration::from_millis(100);

/// How long one post may take.
const POST_TIMEOUT: Duration = Duration::from_secs(10);

/// How many posts are kept to be looked at; the oldest go first.
const POSTS_MAX: usize = 1_000;

/// Image name to digest.
pub type Digests = BTreeMap<String, String>;

/// Reads what a file of the GitOps repository pins.
pub type ReadPins = Arc<dyn Fn(&str) -> Digests + Send + Sync>;

/// An environment that the cluster runs.
#[derive(Clone)]
pub struct Watch {
    /// The policy that its commits name in their trailers.
    pub policy: String,
    /// The environment that they name.
    pub environment: String,
    /// The GitOps repository.
    pub repository: Repository,
    /// Its branch.
    pub branch: String,
    /// How long a rollout takes.
    pub delay: Duration,
    /// The file that pins what runs, and how it is read; without it what runs is what the newest trailers say.
    pub pins: Option<(String, ReadPins)>,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watch({}/{} on {})", self.policy, self.environment, self.branch)
    }
}

/// What came to run, and with which commit it began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollout {
    /// The GitOps commit.
    pub commit: String,
    /// What it brought.
    pub digests: Digests,
}

/// A signal that was posted, accepted or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// The policy.
    pub policy: String,
    /// The environment.
    pub environment: String,
    /// The rollout that it is about.
    pub rollout: Rollout,
    /// Whether it was said to be healthy.
    pub healthy: bool,
    /// What the daemon answered; none where it could not be reached.
    pub status: Option<u16>,
}

/// The cluster stand-in.
#[derive(Debug)]
pub struct Cluster {
    /// Its HTTP face, with `/healthz/<environment>` and `/healthz/<policy>/<environment>`.
    pub face: Face,
    state: Arc<State>,
    /// One task for each watch; dropping the set ends them.
    watches: Mutex<JoinSet<()>>,
}

#[derive(Debug)]
struct State {
    client: reqwest::Client,
    world: Mutex<Workloads>,
}

#[derive(Default)]
struct Workloads {
    /// Where signals go, and the token that may send them.
    daemon: Option<(String, String)>,
    silent: bool,
    /// Digests whose rollout fails.
    failing: BTreeSet<String>,
    /// Digests that roll out and then answer 500.
    sick: BTreeSet<String>,
    /// Policies and environments that answer 500.
    broken: BTreeSet<(String, String)>,
    /// (Policy, environment) to what runs there.
    running: BTreeMap<(String, String), Option<Rollout>>,
    posts: Vec<Posted>,
}

impl fmt::Debug for Workloads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Workloads({:?})", self.running)
    }
}

impl Cluster {
    pub(super) async fn start(effects: Effects) -> Result<Self, Error> {
        let no_client = |source| Error::io("make an HTTP client")(std::io::Error::other(source));
        let state = Arc::new(State { client: wire::client().map_err(no_client)?, world: Mutex::default() });
        let face = Face::start(Arc::clone(&state), effects).await.map_err(Error::io("listen as the cluster"))?;
        Ok(Self { face, state, watches: Mutex::default() })
    }

    /// Runs this environment from now on, beginning with what its branch says now.
    pub fn watch(&self, watch: Watch) {
        let key = (watch.policy.clone(), watch.environment.clone());
        held(&self.state.world).running.entry(key).or_default();
        held(&self.watches).spawn(follow(Arc::clone(&self.state), watch));
    }

    /// Posts signals to the daemon at this URL with this token; before it is told, they wait.
    pub fn report_to(&self, url: &str, token: &str) {
        held(&self.state.world).daemon = Some((url.trim_end_matches('/').to_owned(), token.to_owned()));
    }

    /// Says nothing, for as long as this is set; what was to be said is said later, unless it is overtaken.
    pub fn silence(&self, silent: bool) {
        held(&self.state.world).silent = silent;
    }

    /// Lets the rollout of this digest fail: what ran before goes on running.
    pub fn fail(&self, digest: &str) {
        held(&self.state.world).failing.insert(digest.to_owned());
    }

    /// Lets this digest roll out and then answer 500 at its health endpoint.
    pub fn sicken(&self, digest: &str) {
        held(&self.state.world).sick.insert(digest.to_owned());
    }

    /// Lets the health endpoint of an environment answer 500, whatever runs there, or takes that back.
    pub fn break_health(&self, policy: &str, environment: &str, broken: bool) {
        let key = (policy.to_owned(), environment.to_owned());
        let mut world = held(&self.state.world);
        if broken {
            world.broken.insert(key)
        } else {
            world.broken.remove(&key)
        };
    }

    /// Takes back what was said of this digest.
    pub fn heal(&self, digest: &str) {
        let mut world = held(&self.state.world);
        world.failing.remove(digest);
        world.sick.remove(digest);
    }

    /// What runs in an environment; none where nothing has arrived yet.
    #[must_use]
    pub fn running(&self, policy: &str, environment: &str) -> Option<Rollout> {
        held(&self.state.world).running.get(&(policy.to_owned(), environment.to_owned())).cloned().flatten()
    }

    /// The signals that were posted, oldest first.
    #[must_use]
    pub fn posts(&self) -> Vec<Posted> {
        held(&self.state.world).posts.clone()
    }

    /// The URL of an environment's health endpoint, for smoke tests.
    #[must_use]
    pub fn health_url(&self, policy: &str, environment: &str) -> String {
        format!("{}/healthz/{policy}/{environment}", self.face.url())
    }
}

/// Follows one branch for ever: a newer rollout overtakes one that has not arrived or was not yet accepted.
async fn follow(state: Arc<State>, watch: Watch) {
    let watch = Arc::new(watch);
    let mut moves = watch.repository.moves();
    let mut current = None;
    let mut arriving: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(pending());
    loop {
        // A repository that cannot be read right now is read again with its next move.
        let seen = wanted(&watch).await.unwrap_or_else(|_| current.clone());
        if seen != current
            && let Some(rollout) = seen.clone()
        {
            arriving = Box::pin(arrive(Arc::clone(&state), Arc::clone(&watch), rollout));
        }
        current = seen;
        tokio::select! {
            moved = moves.changed() => if moved.is_err() { return },
            () = &mut arriving => arriving = Box::pin(pending()),
        }
    }
}

/// What the tip says should run, and the commit that began it; none where it says nothing.
async fn wanted(watch: &Watch) -> Result<Option<Rollout>, Error> {
    let Some(tip) = watch.repository.tip(&watch.branch).await? else { return Ok(None) };
    let log = watch.repository.log(&tip).await?;
    let ours = log.iter().find_map(|commit| {
        let digests = trailers(&commit.message, &watch.policy, &watch.environment)?;
        Some(Rollout { commit: commit.sha.clone(), digests })
    });
    let Some((file, read)) = &watch.pins else { return Ok(ours) };
    let Some(digests) = watch.repository.read(&tip, file).await?.map(|text| read(&text)) else { return Ok(None) };
    // Where a person changed the pins after us, what runs began with the person's commit.
    let ours = ours.filter(|ours| ours.digests == digests);
    Ok(Some(ours.unwrap_or(Rollout { commit: tip, digests })))
}

/// The digests in the trailers of a commit, if they are of this policy and environment.
fn trailers(message: &str, policy: &str, environment: &str) -> Option<Digests> {
    let last = message.trim_end().rsplit("\n\n").next()?;
    let values = |key: &str| {
        let prefix = format!("{key}: ");
        last.lines().filter_map(|line| line.strip_prefix(&prefix)).map(str::to_owned).collect::<Vec<_>>()
    };
    let names = |key: &str, name: &str| values(key).iter().any(|value| value == name);
    let ours = names("Tagrelay-Policy", policy) && names("Tagrelay-Environment", environment);
    let digests = values("Tagrelay-Digest");
    let pair = |value: &String| value.split_once('=').map(|(image, digest)| (image.to_owned(), digest.to_owned()));
    ours.then(|| digests.iter().filter_map(pair).collect())
}

/// Rolls out, then says how it went until that is accepted, or nobody waits for it any more (409).
async fn arrive(state: Arc<State>, watch: Arc<Watch>, rollout: Rollout) {
    tokio::time::sleep(watch.delay).await;
    let healthy = {
        let mut world = held(&state.world);
        let healthy = !rollout.digests.values().any(|digest| world.failing.contains(digest));
        if healthy {
            world.running.insert((watch.policy.clone(), watch.environment.clone()), Some(rollout.clone()));
        }
        healthy
    };
    loop {
        let status = post(&state, &watch, &rollout, healthy).await;
        if status.is_some_and(|status| status.is_success() || status == StatusCode::CONFLICT) {
            return;
        }
        tokio::time::sleep(POST_PAUSE).await;
    }
}

/// Posts once; none where nobody is to be told or nobody listens.
async fn post(state: &State, watch: &Watch, rollout: &Rollout, healthy: bool) -> Option<StatusCode> {
    let (url, token) = {
        let world = held(&state.world);
        world.daemon.clone().filter(|_| !world.silent)?
    };
    let Watch { policy, environment, .. } = watch;
    let signal = json!({
        "rollout": rollout.commit,
        "digests": rollout.digests,
        "verdict": if healthy { "healthy" } else { "failed" },
        "evidence": if healthy { "all workloads are ready" } else { "CrashLoopBackOff: back-off restarting failed container" },
        "url": format!("https://cluster.example.org/{environment}"),
    });
    let url = format!("{url}/api/v1/policies/{policy}/environments/{environment}/signal");
    let sent = state.client.post(url).bearer_auth(token).json(&signal).timeout(POST_TIMEOUT).send().await;
    let status = sent.ok().map(|answer| answer.status());
    let mut world = held(&state.world);
    if world.posts.len() == POSTS_MAX {
        world.posts.remove(0);
    }
    world.posts.push(Posted {
        policy: policy.clone(),
        environment: environment.clone(),
        rollout: rollout.clone(),
        healthy,
        status: status.map(|status| status.as_u16()),
    });
    status
}

impl System for State {
    const NAME: &'static str = "cluster";

    fn mutates(_: &Request<Bytes>) -> bool {
        false
    }

    async fn answer(self: Arc<Self>, request: Request<Bytes>) -> Response {
        let path = request.uri().path().strip_prefix("/healthz/").unwrap_or_default();
        let world = held(&self.world);
        let named = |(policy, environment): &(String, String)| {
            path == environment || path.split_once('/') == Some((policy.as_str(), environment.as_str()))
        };
        let Some((key, rollout)) = world.running.iter().find(|(key, _)| named(key)) else {
            return StatusCode::NOT_FOUND.into_response();
        };
        let sick = |rollout: &Rollout| rollout.digests.values().any(|digest| world.sick.contains(digest));
        let status = match rollout {
            None => StatusCode::SERVICE_UNAVAILABLE,
            Some(rollout) if sick(rollout) || world.broken.contains(key) => StatusCode::INTERNAL_SERVER_ERROR,
            Some(_) => StatusCode::OK,
        };
        (status, Json(health(key, rollout.as_ref()))).into_response()
    }
}

fn health((policy, environment): &(String, String), rollout: Option<&Rollout>) -> Value {
    json!({
        "policy": policy,
        "environment": environment,
        "commit": rollout.map(|rollout| &rollout.commit),
        "digests": rollout.map(|rollout| &rollout.digests),
    })
}
