//! The embedded world: everything tagrelay talks to, on this machine, for `tagrelay demo` and for the tests that tell stories.
//!
//! ```text
//!  tagrelay -- tags, manifests, tokens --> registry <-- push_image, retag, cap_pages    (CI, a person)
//!           -- fetch, push (real git) ---> git      <-- commit, revert, reset, merge    (a person)
//!                                           | moves
//!                                           v
//!           <-- signals ------------------ cluster  <-- fail, sicken, heal, silence
//!           -- GET /healthz/<env> ------->
//!           -- deployments, .. ----------> gitlab   <-- add_project, grant, protect
//!
//!  every face: faults (fault) -> gate of mutating requests (effects) -> the system itself
//! ```
//!
//! Each outside system is a plain state with an HTTP [face] on 127.0.0.1. Behind every face stand its
//! [fault] switches and its record of requests; every request that changes anything goes through one gate
//! ([effects]), which numbers them and can stop the world at any of them.
//!
//! Nothing here uses tagrelay's clients or their wire types, so that it cannot agree with their mistakes. It is no load
//! test and holds no secrets worth the name: tokens are those a test made up.

pub mod cluster;
pub mod commits;
pub mod effects;
pub mod face;
pub mod fault;
pub mod git;
pub mod gitlab;
mod line;
pub mod queue;
pub mod registry;
mod wire;

use self::cluster::Cluster;
use self::effects::Effects;
use self::git::Git;
use self::gitlab::Gitlab;
use self::registry::Registry;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// All outside systems. Dropping it stops the listeners, cuts their connections and removes the repositories.
#[derive(Debug)]
pub struct World {
    /// Watches the GitOps repository and runs what it says.
    pub cluster: Cluster,
    /// Where builds are pushed.
    pub registry: Registry,
    /// Where the pins are kept.
    pub git: Git,
    /// Where it is reported.
    pub gitlab: Gitlab,
    /// The gate of all mutating requests.
    pub effects: Effects,
}

impl World {
    /// Starts an empty world on free ports.
    ///
    /// # Errors
    /// When the machine gives no port or no temporary folder.
    pub async fn start() -> Result<Self, Error> {
        let effects = Effects::default();
        Ok(Self {
            cluster: Cluster::start(effects.clone()).await?,
            registry: Registry::start(effects.clone()).await?,
            git: Git::start(effects.clone()).await?,
            gitlab: Gitlab::start(effects.clone()).await?,
            effects,
        })
    }
}

/// What the world could not do when its user (a test, the demo) asked for it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The machine did not let it.
    #[error("the sandbox cannot {doing}: {source}")]
    Io {
        /// What was tried.
        doing: String,
        /// Why not.
        source: io::Error,
    },
    /// Git did not do what it was told.
    #[error("the sandbox's `git {command}` failed in {}: {stderr}", folder.display())]
    Git {
        /// The arguments.
        command: String,
        /// Where it ran.
        folder: PathBuf,
        /// What it said.
        stderr: String,
    },
    /// There is no such thing in it.
    #[error("the sandbox has no {what} `{name}`")]
    Unknown {
        /// What kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// It was asked for something that the real system would not do either.
    #[error("the sandbox refuses {what}: {why}")]
    Refused {
        /// What was asked.
        what: String,
        /// Why not.
        why: String,
    },
}

impl Error {
    /// Turns a failure of the machine into one that says what was tried.
    fn io(doing: &str) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.to_owned();
        move |source| Self::Io { doing, source }
    }

    fn unknown(what: &'static str, name: &str) -> Self {
        Self::Unknown { what, name: name.to_owned() }
    }
}

/// Locks a state; a panic elsewhere while it was held says nothing about a plain struct, so the lock is taken anyway.
fn held<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
