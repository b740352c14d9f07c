//! A remote that is a path on this machine: its objects are read where they are, without a copy.
//!
//! A small push is stored as single objects and not as a pack, because packs stay until somebody's git joins them. It runs
//! no hooks, so it refuses a repository whose hooks could refuse a push. It never removes anything here.

use super::cache::{cuts_of, write_pack};
use super::error::Fault;
use super::messages::Messages;
use super::source::{Move, Source, reference};
use crate::model::text;
use git2::{ErrorCode, Odb, Oid, Repository};
use std::io;
use std::path::PathBuf;

/// Hooks that may refuse a push.
const HOOKS: [&str; 3] = ["pre-receive", "update", "reference-transaction"];

/// Packs of so many objects are kept as they are, smaller ones become single objects: git's own `receive.unpackLimit`.
const UNPACKED_MAX: u32 = 100;

/// A bare repository on this machine.
#[derive(Debug)]
pub(super) struct Local {
    path: PathBuf,
}

impl Local {
    /// The repository at this path.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// A repository that may be written: bare, for a work tree would go stale, and without hooks that could refuse.
    fn writable(&self) -> Result<Repository, Fault> {
        let repository = self.repository()?;
        if !repository.is_bare() {
            return Err(Fault::Refused("the repository has a work tree; push to a bare repository".to_owned()));
        }
        match HOOKS.iter().find(|hook| repository.path().join("hooks").join(hook).exists()) {
            Some(hook) => Err(Fault::Refused(format!("its {hook} hook is not run for a path; push to it over http"))),
            None => Ok(repository),
        }
    }
}

/// Stores the objects of a pack as git does that receives one: the packs of many small pushes would be asked one by one at
/// each look-up, and keep a file open each. Single objects are gathered by git itself whenever it writes there.
fn store(odb: &Odb<'_>, pack: &[u8]) -> Result<(), Fault> {
    let copy = |to: &mut dyn io::Write| to.write_all(pack).map_err(|error| Fault::Store(error.to_string()));
    // A pack begins with `PACK`, its version and the number of its objects.
    let n_objects = pack.get(8..12).and_then(|bytes| bytes.try_into().ok()).map_or(u32::MAX, u32::from_be_bytes);
    if n_objects >= UNPACKED_MAX {
        return write_pack(odb, copy);
    }
    let scratch = tempfile::tempdir().map_err(|error| Fault::Store(format!("a directory for a pack: {error}")))?;
    let beside = Repository::init_bare(scratch.path())?;
    let unpacked = beside.odb()?;
    write_pack(&unpacked, copy)?;
    let mut ids = Vec::new();
    unpacked.foreach(|id| {
        ids.push(*id);
        true
    })?;
    for id in ids {
        let object = unpacked.read(id)?;
        odb.write(object.kind(), object.data())?;
    }
    Ok(())
}

impl Source for Local {
    fn repository(&self) -> Result<Repository, Fault> {
        Repository::open(&self.path).map_err(|error| {
            let reason = text::shown(error.message());
            match error.code() {
                ErrorCode::NotFound => Fault::Absent(format!("there is no git repository: {reason}")),
                _ => Fault::Refused(format!("the repository cannot be opened: {reason}")),
            }
        })
    }

    fn tip(&self, branch: &str) -> Result<Option<Oid>, Fault> {
        match self.repository()?.refname_to_id(&reference(branch)) {
            Ok(id) => Ok(Some(id)),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn fetch(&self, _branch: &str, tip: Oid) -> Result<(), Fault> {
        if self.repository()?.odb()?.exists(tip) {
            return Ok(());
        }
        Err(Fault::Unreachable(format!("commit {tip} is not there any more; read the tip again")))
    }

    fn obtain(&self, _contents: &[Oid], _bytes_max: u64) -> Result<(), Fault> {
        Ok(())
    }

    fn deepen(&self, _tip: Oid, _depth: u32) -> Result<(), Fault> {
        Ok(())
    }

    fn messages(&self, tip: Oid) -> Result<Messages, Fault> {
        let repository = self.repository()?;
        Messages::read(&repository, &cuts_of(repository.path())?, tip)
    }

    fn push(&self, branch: &str, old: Oid, new: Oid, pack: &[u8]) -> Result<Move, Fault> {
        let repository = self.writable()?;
        if !pack.is_empty() {
            store(&repository.odb()?, pack)?;
        }
        let name = reference(branch);
        let moved = if old.is_zero() {
            repository.reference(&name, new, false, "push")
        } else {
            repository.reference_matching(&name, new, true, old, "push")
        };
        let Err(error) = moved else { return Ok(Move::Done) };
        let tip = self.tip(branch)?;
        if tip.unwrap_or(Oid::ZERO_SHA1) != old {
            return Ok(Move::Raced(tip));
        }
        match error.code() {
            ErrorCode::Locked => Ok(Move::Locked(format!(
                "`{branch}` is locked: {}; remove the lock if no git runs there",
                text::shown(error.message())
            ))),
            _ => Err(error.into()),
        }
    }

    fn may_push(&self) -> Result<(), Fault> {
        let objects = self.repository()?.path().join("objects");
        let readonly = std::fs::metadata(&objects).map(|found| found.permissions().readonly());
        match readonly {
            Ok(false) => Ok(()),
            Ok(true) => Err(Fault::Refused(format!("{} may not be written", objects.display()))),
            Err(error) => Err(Fault::Store(format!("{}: {error}", objects.display()))),
        }
    }

    fn forget(&self) -> Result<(), Fault> {
        // These objects are somebody's, not a cache.
        Ok(())
    }
}
