//! A remote that is a path on this machine: its objects are read where they are, without a copy.
//!
//! It runs no hooks, and so refuses repositories whose hooks would have a say. It never sweeps or empties anything here.

use super::cache::write_pack;
use super::error::Fault;
use super::source::{Move, Source, reference};
use crate::model::text;
use git2::{ErrorCode, Oid, Repository};
use std::path::PathBuf;

/// Hooks that may refuse a push.
const HOOKS: [&str; 3] = ["pre-receive", "update", "reference-transaction"];

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

    fn push(&self, branch: &str, old: Oid, new: Oid, pack: &[u8]) -> Result<Move, Fault> {
        let repository = self.writable()?;
        if !pack.is_empty() {
            write_pack(&repository.odb()?, |to| to.write_all(pack).map_err(|error| Fault::Store(error.to_string())))?;
        }
        let name = reference(branch);
        let moved = if old.is_zero() {
            repository.reference(&name, new, false, "push")
        } else {
            repository.reference_matching(&name, new, true, old, "push")
        };
        let Err(error) = moved else { return Ok(Move::Done) };
        if self.tip(branch)?.unwrap_or(Oid::ZERO_SHA1) != old {
            return Ok(Move::Raced);
        }
        match error.code() {
            ErrorCode::Locked => Err(Fault::Refused(format!(
                "`{branch}` is locked: {}; remove the lock if no git runs there",
                text::shown(error.message())
            ))),
            _ => Err(error.into()),
        }
    }

    fn forget(&self) -> Result<(), Fault> {
        // These objects are somebody's, not a cache.
        Ok(())
    }
}
