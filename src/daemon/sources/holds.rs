//! HOLD files are looked for: whenever the policies beside them are read, and again right before an effect.
//!
//! What cannot be read of a HOLD file holds all the same, with that as its reason.

use crate::clients::git::{GitError, Limits, Listed, Mirror};
use crate::daemon::Daemon;
use crate::daemon::message::Message;
use crate::daemon::state::memory::Beside;
use crate::model::event::OURSELVES;
use crate::model::{Because, CommitId, Environment, EnvironmentName, Policy, PolicyName, Why};
use crate::relay::brake::{self, Brakes, HoldFile};
use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::{Mutex, mpsc};

/// Of how many HOLD files the text is read and the committer sought; the others hold by their name.
const FILES_TOLD_MAX: usize = 100;
/// The largest HOLD file whose text is read.
const FILE_BYTES_MAX: usize = 1 << 20;
/// How many bytes of HOLD files are fetched at once.
const FETCHED_BYTES_MAX: u64 = 1 << 20;
/// Who holds where nobody can tell.
const SOMEBODY: &str = "somebody";

/// The HOLD files of one place.
#[derive(Clone)]
pub(in crate::daemon) enum Holds {
    /// In a directory of a branch.
    Branch(Arc<OnBranch>),
    /// In a local directory.
    Directory(PathBuf),
}

impl Holds {
    /// The HOLD files as they are now.
    ///
    /// # Errors
    /// When nobody can tell whether there are any.
    pub(in crate::daemon) async fn now(&self) -> Result<Vec<HoldFile>, String> {
        match self {
            Self::Branch(branch) => branch.now().await,
            Self::Directory(directory) => {
                let of = directory.clone();
                let read = tokio::task::spawn_blocking(move || in_directory(&of)).await;
                let read = read.map_err(io::Error::other).and_then(|read| read);
                read.map_err(|error| format!("{}: {error}", directory.display()))
            }
        }
    }
}

/// The look for HOLD files right before one effect.
pub(in crate::daemon) struct Precheck {
    holds: Holds,
    source: Option<String>,
    beside: Beside,
    scope: (PolicyName, EnvironmentName),
    out: mpsc::Sender<Message>,
}

impl Precheck {
    /// What holds the effect now, if anything does. The loop is told of it.
    ///
    /// # Errors
    /// When nobody can tell: then the effect must wait.
    pub(in crate::daemon) async fn run(&self) -> Result<Option<Why>, String> {
        let files = self.holds.now().await;
        let files = files.map_err(|error| format!("nobody can tell whether a HOLD file is there: {error}"))?;
        let brakes = Brakes::new(&files, self.beside.iter().map(|(policy, environment)| (policy, environment)));
        let why = brakes.on(&self.scope.0, &self.scope.1).next().cloned();
        if why.is_some() {
            let (repository, holds) = (self.source.clone(), files);
            // The loop may be gone; whoever told it of the effect finds that out.
            let _sent = self.out.send(Message::Holds { repository, holds }).await;
        }
        Ok(why)
    }
}

impl Daemon {
    /// What is to be looked at right before an effect; none where nothing can hold it. What a person ordered past the
    /// gates passes holds, too.
    pub(in crate::daemon) fn precheck(
        &self,
        policy: &Policy,
        environment: &Environment,
        because: &Because,
    ) -> Option<Precheck> {
        match because {
            Because::Forced { .. } => return None,
            Because::Rollback { who, why: _ } if who != OURSELVES => return None,
            Because::Rollback { .. } | Because::NoGates | Because::GatesOpen(_) => {}
        }
        let source = policy.origin.repository.clone();
        let holds = self.holds.get(&source)?.clone();
        let beside = self.memory.brakes.get(&source).map(|(_, beside)| beside.clone()).unwrap_or_default();
        let (scope, out) = ((policy.name.clone(), environment.name.clone()), self.out.clone());
        Some(Precheck { holds, source, beside, scope, out })
    }

    /// The same before a write. A commit onto the very branch where HOLD files stand is pushed on no other tip than one at
    /// which they stand as they were read (`Mirror::stands_still`), so nothing is looked for again.
    pub(in crate::daemon) fn precheck_of_write(
        &self,
        policy: &Policy,
        environment: &Environment,
        because: &Because,
    ) -> Option<Precheck> {
        let deliver = &environment.deliver;
        let on_its_own = policy.origin.repository.as_ref() == Some(&deliver.repository)
            && self.has_policies(&deliver.repository, &deliver.branch);
        self.precheck(policy, environment, because).filter(|_| !on_its_own)
    }
}

/// The HOLD files of a branch.
pub(in crate::daemon) struct OnBranch {
    mirror: Arc<Mirror>,
    branch: String,
    /// The directory of the policies, from the root.
    directory: String,
    last: Mutex<Last>,
}

/// What was read last: a file that stays as it is is read once.
#[derive(Default)]
struct Last {
    tip: Option<CommitId>,
    files: BTreeMap<Listed, HoldFile>,
}

/// The HOLD files at one tip.
pub(in crate::daemon) struct Found {
    pub(in crate::daemon) files: Vec<HoldFile>,
    /// Whether all that can be read of them was: else they are read again, though the tip stays.
    pub(in crate::daemon) whole: bool,
}

impl OnBranch {
    /// Looks in this directory of a branch.
    pub(in crate::daemon) fn new(mirror: Arc<Mirror>, branch: String, directory: &str) -> Self {
        Self { mirror, branch, directory: directory.trim_matches('/').to_owned(), last: Mutex::default() }
    }

    /// The HOLD files at the tip as it is now.
    async fn now(&self) -> Result<Vec<HoldFile>, String> {
        let read = async {
            let Some(tip) = self.mirror.tip(&self.branch).await? else { return Ok(None) };
            self.mirror.fetch(&self.branch, &tip).await?;
            Ok(Some(self.at(&tip).await?.files))
        };
        let files = read.await.map_err(|error: GitError| error.to_string())?;
        files.ok_or_else(|| format!("there is no branch {}", self.branch))
    }

    /// The HOLD files at a fetched tip.
    ///
    /// # Errors
    /// When the directory cannot be read; a file that cannot be read is none.
    pub(in crate::daemon) async fn at(&self, tip: &CommitId) -> Result<Found, GitError> {
        let mut last = self.last.lock().await;
        if last.tip.as_ref() == Some(tip) {
            return Ok(Found { files: last.files.values().cloned().collect(), whole: true });
        }
        let listed = match self.mirror.list(tip, &self.directory, brake::is_hold_file).await {
            Ok(listed) => listed,
            // Too many to be listed are certainly some.
            Err(error @ GitError::Invalid { .. }) => {
                return Ok(Found { files: vec![hold("HOLD", &Err(error.to_string()), SOMEBODY)], whole: true });
            }
            Err(error) => return Err(error),
        };
        let new: Vec<&Listed> = listed.iter().filter(|file| !last.files.contains_key(*file)).collect();
        let told: Vec<&Listed> = new.iter().copied().take(FILES_TOLD_MAX).collect();
        let (reasons, committers) = (self.reasons(tip, &told).await, self.committers(tip, &told).await);
        let mut files = BTreeMap::new();
        let mut whole = committers.is_ok();
        let committers = committers.unwrap_or_default();
        for file in &listed {
            let known = last.files.get(file).cloned();
            let read = || {
                let (reason, lasts) = reasons.get(&file.path).cloned().unwrap_or_else(|| {
                    (Ok(format!("one of {} HOLD files: not all of them are read", listed.len())), true)
                });
                whole &= lasts;
                let name = name_of(&file.path);
                hold(name, &reason, committers.get(name).map_or(SOMEBODY, String::as_str))
            };
            files.insert(file.clone(), known.unwrap_or_else(read));
        }
        let found = Found { files: files.values().cloned().collect(), whole };
        *last = if whole { Last { tip: Some(tip.clone()), files } } else { Last::default() };
        Ok(found)
    }

    /// What these files say, or why nobody can tell; and whether it stays so.
    async fn reasons(&self, tip: &CommitId, files: &[&Listed]) -> BTreeMap<String, (Result<String, String>, bool)> {
        if files.is_empty() {
            return BTreeMap::new();
        }
        let paths: Vec<String> = files.iter().map(|file| file.path.clone()).collect();
        let limits = Limits { file: FILE_BYTES_MAX, all: FILES_TOLD_MAX * FILE_BYTES_MAX, fetched: FETCHED_BYTES_MAX };
        match self.mirror.read_bytes(tip, &paths, limits).await {
            Err(error) => paths.into_iter().map(|path| (path, (Err(error.to_string()), false))).collect(),
            Ok(contents) => contents
                .into_iter()
                .map(|(path, content)| match content {
                    Ok(bytes) => (path, (Ok(brake::reason(&bytes)), true)),
                    Err(error) => (path, (Err(error.reason), error.lasts)),
                })
                .collect(),
        }
    }

    async fn committers(&self, tip: &CommitId, files: &[&Listed]) -> Result<BTreeMap<String, String>, ()> {
        if files.is_empty() {
            return Ok(BTreeMap::new());
        }
        let names: Vec<String> = files.iter().map(|file| name_of(&file.path).to_owned()).collect();
        self.mirror.committers(tip, &self.directory, &names).await.map_err(|error| {
            tracing::warn!(error = %error, "who committed the HOLD files could not be read: {error}");
        })
    }
}

fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn hold(name: &str, reason: &Result<String, String>, who: &str) -> HoldFile {
    let (is_unread, reason) = match reason {
        Ok(reason) => (false, crate::model::text::shown(reason)),
        Err(error) => (true, crate::model::text::shown(&format!("its text cannot be read: {error}"))),
    };
    HoldFile { name: name.to_owned(), reason, is_unread, who: who.to_owned() }
}

/// The HOLD files of a local directory. One that cannot be read holds all the same.
///
/// # Errors
/// When the directory cannot be read.
pub(in crate::daemon) fn in_directory(directory: &Path) -> io::Result<Vec<HoldFile>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let (name, path) = (entry.file_name().to_string_lossy().into_owned(), entry.path());
        if !brake::is_hold_file(&name) || entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let reason = beginning(&path).map(|bytes| brake::reason(&bytes)).map_err(|error| error.to_string());
        files.push(hold(&name, &reason, "whoever wrote the file"));
    }
    files.sort();
    Ok(files)
}

/// The first bytes of a file.
fn beginning(path: &Path) -> io::Result<Vec<u8>> {
    // Whoever opens a pipe waits for a writer.
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(brake::TEXT_BYTES_MAX as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hold_files_of_a_directory() {
        let directory = tempfile::tempdir().expect("a directory");
        let at = |name: &str| directory.path().join(name);
        std::fs::write(at("HOLD"), b"\xff\xfes\0t\0o\0p\0").expect("written");
        std::fs::write(at("hold.prod"), vec![b'x'; 2 << 20]).expect("written");
        std::fs::write(at("shop.yaml"), b"\xff\xfe").expect("written");
        std::fs::create_dir(at("hold.d")).expect("made");
        std::os::unix::fs::symlink(at("nowhere"), at("HOLD.shop")).expect("linked");
        let found = in_directory(directory.path()).expect("read");
        let told: Vec<(&str, &str)> =
            found.iter().map(|file| (file.name.as_str(), file.reason.get(..23).unwrap_or(&file.reason))).collect();
        let cut = "x".repeat(23);
        assert_eq!(told, [("HOLD", "stop"), ("HOLD.shop", "its text cannot be read"), ("hold.prod", cut.as_str())]);
        assert!(in_directory(&at("nowhere")).is_err());
    }
}
