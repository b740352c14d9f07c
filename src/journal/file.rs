//! The journal's file on the disk: whether what the name leads to is still the file that this process opened.
//!
//! A file that was deleted or replaced takes every write without an error, and the next start finds none of them. So it
//! is looked at before each transaction, and by the daemon in each pass.

use super::JournalError;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// What tells one file from another under the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

/// The database and its write-ahead log, as they were when they were opened.
#[derive(Debug)]
pub(super) struct JournalFile {
    path: PathBuf,
    database: Identity,
    /// None until something was written through the connection that is open.
    log: Mutex<Option<Identity>>,
}

impl JournalFile {
    /// The file at `path`, which was just opened.
    pub(super) fn opened(path: &Path) -> Result<Self, JournalError> {
        let failed = |error: io::Error| JournalError::Io(format!("{}: {error}", path.display()));
        let database = identity(path).map_err(failed)?;
        Ok(Self { path: path.to_owned(), database, log: Mutex::default() })
    }

    /// A new connection was opened: the log may be a new one, because the last connection that closes removes it.
    pub(super) fn opened_again(&self) {
        *self.log.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Something was written, so the log is there.
    pub(super) fn written(&self) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if log.is_none() {
            *log = identity(&log_beside(&self.path)).ok();
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the database and its log are still those that were opened.
    ///
    /// # Errors
    /// `Displaced` where one of them was deleted or replaced.
    pub(super) fn check(&self) -> Result<(), JournalError> {
        self.check_database()?;
        let log = *self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.map_or(Ok(()), |log| compare(&log_beside(&self.path), log))
    }

    /// As `check`, of the database alone: while no connection is open there need not be a log.
    ///
    /// # Errors
    /// As `check`.
    pub(super) fn check_database(&self) -> Result<(), JournalError> {
        compare(&self.path, self.database)
    }
}

fn compare(path: &Path, opened: Identity) -> Result<(), JournalError> {
    let displaced = |how| Err(JournalError::Displaced { path: path.to_owned(), how });
    match identity(path) {
        Ok(found) if found == opened => Ok(()),
        Ok(_) => displaced("was replaced by another file"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => displaced("was deleted or moved away"),
        Err(error) => Err(JournalError::Io(format!("{}: {error}", path.display()))),
    }
}

fn identity(path: &Path) -> io::Result<Identity> {
    let metadata = std::fs::metadata(path)?;
    Ok(Identity { device: metadata.dev(), inode: metadata.ino() })
}

fn log_beside(database: &Path) -> PathBuf {
    beside(database, "-wal")
}

/// The path with something after its name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}
