//! GitOps repositories: one bare mirror for each remote, read without a work tree and written by compare-and-swap.
//!
//! It decides nothing and never forces. A mirror is a cache: it may be removed at any time, and costs one fetch.
//!
//! ```text
//! Mirror ── tip, fetch, read, list, search, push ──┬── smart.rs   https: protocol v2 ── cache.rs  bare repository
//!   tree.rs history.rs commit.rs (git2, blocking)   └── local.rs   file:   the repository itself
//! ```

mod cache;
mod commit;
mod error;
mod former;
mod history;
mod later;
mod local;
mod messages;
mod pkt;
mod receive;
mod remote;
mod smart;
mod source;
mod tree;
mod upload;

pub use commit::{Author, NewCommit};
pub use error::GitError;
pub use former::FormerCommits;
pub use history::History;
pub use remote::{Remote, Token, location};
pub use tree::{Brought, Contents, Limits, Listed, Unreadable, readable};

use crate::clients::http::Counter;
use crate::model::{CommitId, EnvironmentName, PolicyName, text};
use cache::Cache;
use error::Fault;
use git2::{ErrorCode, Oid, Repository};
use jiff::Timestamp;
use source::{Move, Source};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// The shortest abbreviated commit id that is looked up: git's own default length.
const PREFIX_DIGITS_MIN: usize = 7;

/// The most commits in one push: plans that arrive in a short window are pushed together.
const COMMITS_PUSHED_MAX: usize = 500;

/// What became of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pushed {
    /// The branch stands on the last of these commits.
    Done(Vec<CommitId>),
    /// The branch does not stand where it was read, but here, or nowhere: decide again.
    Raced(Option<CommitId>),
    /// The branch stands where it was read, and another git process holds its lock: push again in a moment. The text says
    /// what to do where this lasts.
    Locked(String),
}

/// One remote, mirrored. Its calls go one after another.
#[derive(Clone)]
pub struct Mirror {
    /// The remote as a person may see it.
    remote: String,
    source: Arc<dyn Source>,
    turn: Arc<Mutex<()>>,
    /// The turn that one caller keeps for several calls.
    kept: Option<Arc<OwnedMutexGuard<()>>>,
    /// What a long history was found to hold: one look serves all environments.
    messages: history::SharedMessages,
}

impl fmt::Debug for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Mirror").field(&self.remote).finish()
    }
}

impl Mirror {
    /// Opens the mirror in a directory of its own, or makes it; a broken one is emptied and comes again. For a `file:`
    /// remote the repository itself is read, and the directory stays unused. No request is made.
    ///
    /// # Errors
    /// [`GitError::Invalid`] for a remote that cannot be spoken to or a directory that holds something else;
    /// [`GitError::Mirror`] when the directory cannot be written.
    pub fn open(directory: &Path, remote: Remote, counter: Counter) -> Result<Self, GitError> {
        let shown = remote.shown();
        let source = Self::source(directory, remote, counter).map_err(|fault| fault.at(&shown))?;
        Ok(Self { remote: shown, source, turn: Arc::default(), kept: None, messages: Arc::default() })
    }

    fn source(directory: &Path, remote: Remote, counter: Counter) -> Result<Arc<dyn Source>, Fault> {
        Ok(match remote.path()? {
            Some(path) => Arc::new(local::Local::new(path)),
            None => Arc::new(smart::Smart::new(remote, counter, Cache::open(directory)?)?),
        })
    }

    /// The same mirror for one caller alone: calls of others wait until it is dropped.
    pub async fn keep_turn(&self) -> Self {
        let kept = Some(Arc::new(Arc::clone(&self.turn).lock_owned().await));
        Self { turn: Arc::default(), kept, ..self.clone() }
    }

    /// Whether a fetched commit comes after another one and the same stands at all of these places (files or directories).
    ///
    /// # Errors
    /// When the mirror cannot be read.
    pub async fn stands_still(&self, before: &CommitId, now: &CommitId, places: &[String]) -> Result<bool, GitError> {
        let (before, now, places) = (before.clone(), now.clone(), places.to_vec());
        self.run(move |source| later::stands_still(&source.repository()?, oid(&before)?, oid(&now)?, &places)).await
    }

    /// Where a branch stands now, in one small request; nothing where it does not exist.
    ///
    /// # Errors
    /// When the server does not say.
    pub async fn tip(&self, branch: &str) -> Result<Option<CommitId>, GitError> {
        let branch = branch.to_owned();
        self.run(move |source| source.tip(&checked(&branch)?)?.map(cache::name).transpose()).await
    }

    /// Whether the server takes pushes of these credentials, before any: what guards a branch shows itself only at a push.
    ///
    /// # Errors
    /// When it does not, or does not say.
    pub async fn may_push(&self) -> Result<(), GitError> {
        self.run(|source| source.may_push()).await
    }

    /// Brings a tip here, from the last known one. A tip that is here already costs no request; a branch that was
    /// force-pushed is no error.
    ///
    /// # Errors
    /// [`GitError::Unreachable`] also when the server has this commit no more.
    pub async fn fetch(&self, branch: &str, tip: &CommitId) -> Result<(), GitError> {
        let (branch, tip) = (branch.to_owned(), tip.clone());
        self.run(move |source| source.fetch(&checked(&branch)?, oid(&tip)?)).await
    }

    /// Reads those of these files that exist at a fetched commit, each by itself; missing contents come in one request. What
    /// is no text file (a symbolic link, a directory, too large, another encoding) is told of that file alone.
    ///
    /// # Errors
    /// When none of them can be read for a reason that lies in the server or the mirror.
    pub async fn read(&self, tip: &CommitId, paths: &[String]) -> Result<Contents<String>, GitError> {
        let brought = self.bring(tip, paths).await?;
        let groups = [paths.to_vec()];
        Ok(self.read_groups(tip, &brought, &groups, usize::MAX).await?.0)
    }

    /// Brings the contents of those of these files that exist at a fetched commit, in one request; none is held in memory.
    ///
    /// # Errors
    /// As [`Mirror::read`].
    pub async fn bring(&self, tip: &CommitId, paths: &[String]) -> Result<Brought, GitError> {
        let (tip, paths) = (tip.clone(), paths.to_vec());
        self.run(move |source| tree::bring(source, oid(&tip)?, &paths, u64::MAX)).await
    }

    /// Reads groups of files, whose contents were brought, one group after another until `bytes_max` is reached. A group is read
    /// whole or not at all. Only the first is always read; where it alone is too large, some of its files are left out. Returns
    /// how many groups were read. It makes no request.
    ///
    /// # Errors
    /// When the mirror cannot be read.
    pub async fn read_groups(
        &self,
        tip: &CommitId,
        brought: &Brought,
        groups: &[Vec<String>],
        bytes_max: usize,
    ) -> Result<(Contents<String>, usize), GitError> {
        let (tip, brought, groups) = (tip.clone(), brought.clone(), groups.to_vec());
        self.run(move |source| tree::read_groups(source, oid(&tip)?, &brought, &groups, bytes_max)).await
    }

    /// The same as bytes and within limits.
    ///
    /// # Errors
    /// As [`Mirror::read`].
    pub async fn read_bytes(
        &self,
        tip: &CommitId,
        paths: &[String],
        limits: Limits,
    ) -> Result<Contents<Vec<u8>>, GitError> {
        let (tip, paths) = (tip.clone(), paths.to_vec());
        self.run(move |source| tree::read_bytes(source, oid(&tip)?, &paths, limits)).await
    }

    /// What stands directly in a directory and has a name that is wanted, sorted by path; nothing where nothing stands at its
    /// path. `""` is the root. Symbolic links and submodules are among it, directories are not.
    ///
    /// # Errors
    /// [`GitError::Invalid`] for more files of such names than anybody writes, and for a file, a symbolic link or a submodule
    /// in the place of the directory or above it.
    pub async fn list(
        &self,
        tip: &CommitId,
        directory: &str,
        is_wanted: fn(&str) -> bool,
    ) -> Result<Vec<Listed>, GitError> {
        let (tip, directory) = (tip.clone(), directory.to_owned());
        self.run(move |source| tree::list(source, oid(&tip)?, &directory, is_wanted)).await
    }

    /// Searches back from a fetched tip for the newest commit that touched these places (files or directories) and has
    /// our trailers for this environment. It goes not behind `stop_at`, where that is in the tip's history; history is
    /// deepened in bounded steps. Behind them the messages alone are read, of a hundred thousand commits, and
    /// [`OurCommit::LimitReached`](crate::model::OurCommit) says that this was not enough either.
    ///
    /// A commit touches a place when what stands there differs from what stands there in each of its parents.
    ///
    /// # Errors
    /// When more history is needed and does not come.
    pub async fn search(
        &self,
        tip: &CommitId,
        places: &[String],
        policy: &PolicyName,
        environment: &EnvironmentName,
        stop_at: Option<&CommitId>,
    ) -> Result<History, GitError> {
        let (tip, stop_at) = (tip.clone(), stop_at.cloned());
        let (places, policy, environment) = (places.to_vec(), policy.clone(), environment.clone());
        let known = Arc::clone(&self.messages);
        self.run(move |source| {
            let stop_at = stop_at.as_ref().map(oid).transpose()?;
            let wanted = history::Wanted { places, of: (policy, environment), stop_at };
            history::search(source, oid(&tip)?, &wanted, &known)
        })
        .await
    }

    /// The newest commits of ours for each of these environments, whichever journal gave them out, at most so many of each:
    /// one walk back from a fetched tip, as far as history is here or comes in a few steps.
    ///
    /// # Errors
    /// When more history is needed and does not come.
    pub async fn former(
        &self,
        tip: &CommitId,
        of: Vec<(PolicyName, EnvironmentName)>,
        most: usize,
    ) -> Result<FormerCommits, GitError> {
        let tip = tip.clone();
        self.run(move |source| former::search(source, oid(&tip)?, &of, most)).await
    }

    /// Whether a commit stands on a branch at or after another one, as the server has the branch now.
    ///
    /// # Errors
    /// When the server does not say.
    pub async fn is_later(&self, branch: &str, commit: &CommitId, since: &CommitId) -> Result<bool, GitError> {
        let (branch, commit, since) = (branch.to_owned(), commit.clone(), since.clone());
        self.run(move |source| later::is_later(source, &checked(&branch)?, oid(&commit)?, oid(&since)?)).await
    }

    /// Who committed the last change of each of these files of a directory, by name, as far as history is here or comes in a
    /// few steps. History is walked once for all of them.
    ///
    /// # Errors
    /// When more history is needed and does not come.
    pub async fn committers(
        &self,
        tip: &CommitId,
        directory: &str,
        names: &[String],
    ) -> Result<BTreeMap<String, String>, GitError> {
        let (tip, directory, names) = (tip.clone(), directory.to_owned(), names.to_vec());
        self.run(move |source| history::committers(source, oid(&tip)?, &directory, &names)).await
    }

    /// Makes these commits on `base`, each on the one before, and moves the branch there if it stands on `base`. The
    /// server compares; nothing is forced.
    ///
    /// # Errors
    /// [`GitError::Refused`] in the server's words for a protected branch or a hook; [`GitError::Invalid`] for files
    /// that cannot be written so, and for a commit that would change nothing. After [`GitError::Unreachable`] nobody
    /// knows whether the push arrived: read the tip.
    pub async fn push(
        &self,
        branch: &str,
        base: &CommitId,
        commits: Vec<NewCommit>,
        author: &Author,
        at: Timestamp,
    ) -> Result<Pushed, GitError> {
        let (branch, base, author) = (branch.to_owned(), base.clone(), author.clone());
        self.run(move |source| {
            let base = oid(&base)?;
            if commits.is_empty() || commits.len() > COMMITS_PUSHED_MAX {
                let count = commits.len();
                return Err(Fault::Invalid(format!(
                    "one push takes 1 to {COMMITS_PUSHED_MAX} commits, and got {count}"
                )));
            }
            let built = commit::build(&source.repository()?, base, &commits, &author, at)?;
            let Some(new) = built.commits.last() else { return Ok(Pushed::Raced(None)) };
            let moved = source.push(&checked(&branch)?, base, *new, &built.pack)?;
            pushed(moved, &built.commits)
        })
        .await
    }

    /// Makes a branch that starts at a commit of the remote, if there is none of that name.
    ///
    /// # Errors
    /// As [`Mirror::push`].
    pub async fn create_branch(&self, branch: &str, from: &CommitId) -> Result<Pushed, GitError> {
        let (branch, from) = (branch.to_owned(), from.clone());
        self.run(move |source| {
            let from = oid(&from)?;
            let pack = commit::empty_pack(&source.repository()?)?;
            pushed(source.push(&checked(&branch)?, Oid::ZERO_SHA1, from, &pack)?, &[from])
        })
        .await
    }

    /// Whether a revision (a commit id or at least 7 digits of one) is a commit that tagrelay made and this mirror
    /// knows. It makes no request, so a commit behind what was fetched is not known; and it waits for none.
    ///
    /// # Errors
    /// When the mirror cannot be read.
    pub async fn is_ours(&self, revision: &str) -> Result<bool, GitError> {
        let prefix = revision.to_ascii_lowercase();
        if !(PREFIX_DIGITS_MIN..=40).contains(&prefix.len()) || !prefix.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(false);
        }
        let (source, of) = (Arc::clone(&self.source), prefix.clone());
        let looked = tokio::task::spawn_blocking(move || is_ours(&source.repository()?, &of)).await;
        match looked {
            Ok(Ok(ours)) => Ok(ours),
            // The objects may just be gathered or emptied: in its turn, nobody touches them.
            Ok(Err(_)) | Err(_) => self.run(move |source| is_ours(&source.repository()?, &prefix)).await,
        }
    }

    /// Runs blocking work when the work before it is done. Work that was begun is finished, also if nobody waits.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Source) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, GitError> {
        let turn = (Arc::clone(&self.turn).lock_owned().await, self.kept.clone());
        let source = Arc::clone(&self.source);
        let remote = self.remote.clone();
        let worked = tokio::task::spawn_blocking(move || {
            let result = work(source.as_ref());
            if let Err(Fault::Store(reason)) = &result {
                tracing::warn!(%remote, %reason, "the git mirror cannot be used; it is made again");
                source.forget()?;
            }
            drop(turn);
            result
        });
        let result = worked.await.unwrap_or_else(|error| Err(Fault::Store(format!("the work was ended: {error}"))));
        result.map_err(|fault| fault.at(&self.remote))
    }
}

fn pushed(moved: Move, commits: &[Oid]) -> Result<Pushed, Fault> {
    Ok(match moved {
        Move::Done => Pushed::Done(commits.iter().copied().map(cache::name).collect::<Result<_, _>>()?),
        Move::Raced(tip) => Pushed::Raced(tip.map(cache::name).transpose()?),
        Move::Locked(reason) => Pushed::Locked(reason),
    })
}

fn oid(id: &CommitId) -> Result<Oid, Fault> {
    let unusable = || Fault::Invalid(format!("{id} is no SHA-1 commit id; only SHA-1 repositories can be used"));
    if id.as_str().len() == 40 { Oid::from_str(id.as_str()).map_err(|_| unusable()) } else { Err(unusable()) }
}

/// A branch name that git accepts: it stands in requests line by line.
fn checked(branch: &str) -> Result<String, Fault> {
    if git2::Reference::is_valid_name(&source::reference(branch)) {
        return Ok(branch.to_owned());
    }
    Err(Fault::Invalid(format!("`{}` is no branch name", text::shown(branch))))
}

fn is_ours(repository: &Repository, prefix: &str) -> Result<bool, Fault> {
    let odb = repository.odb()?;
    let marked = |id: Oid| {
        let commit = repository.find_commit(id);
        commit.is_ok_and(|commit| commit::is_marked(&String::from_utf8_lossy(commit.message_bytes())))
    };
    let padded = Oid::from_str(prefix)?;
    match odb.exists_prefix(padded, prefix.len()) {
        Ok(id) => Ok(marked(id)),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(false),
        // Several objects begin so: one of ours among them is enough to be careful.
        Err(error) if error.code() == ErrorCode::Ambiguous => {
            let mut found = false;
            odb.foreach(|id| {
                found = found || (id.to_string().starts_with(prefix) && marked(*id));
                true
            })?;
            Ok(found)
        }
        Err(error) => Err(error.into()),
    }
}
