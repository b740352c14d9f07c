//! One writer for each journal: an advisory lock on `<journal>.lock`, held for the life of the process.
//!
//! The kernel drops the lock with the process, however it ends, so a file that is left behind locks nobody out. It says
//! nothing about machines that share a disk: the lock counts where the file system carries it.

use super::JournalError;
use crate::model::text;
use jiff::Timestamp;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

/// The longest note of a holder that is read back: ours has some sixty bytes.
const HOLDER_BYTES_MAX: u64 = 200;

/// The lock; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

/// Given back by name: a child that is being started holds a copy of the file for a moment, and would hold the lock with it.
impl Drop for Lock {
    fn drop(&mut self) {
        if let Err(error) = self.file.unlock() {
            tracing::warn!(%error, "the journal's lock was not given back; it ends with the process");
        }
    }
}

impl Lock {
    /// Takes the lock of the journal at `journal` and writes down who holds it.
    pub(super) fn take(journal: &Path, now: Timestamp) -> Result<Self, JournalError> {
        let path = beside(journal);
        let failed = |error: std::io::Error| JournalError::Io(format!("{}: {error}", path.display()));
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(JournalError::Locked { path: journal.to_owned(), holder: holder(&mut file) });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        file.set_len(0).map_err(failed)?;
        write!(file, "process {}, started {now:.0}", std::process::id()).map_err(failed)?;
        Ok(Self { file })
    }
}

fn beside(journal: &Path) -> PathBuf {
    let mut path = journal.as_os_str().to_owned();
    path.push(".lock");
    path.into()
}

/// Who wrote himself into the lock file; the note may not be there yet, or be unreadable.
fn holder(file: &mut File) -> String {
    let mut note = String::new();
    match file.take(HOLDER_BYTES_MAX).read_to_string(&mut note) {
        Ok(bytes) if bytes > 0 => text::shown(&note),
        _ => "another process".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_holds_it_and_a_file_left_behind_holds_nothing() {
        let folder = tempfile::tempdir().expect("folder");
        let (journal, now) = (folder.path().join("journal.db"), Timestamp::UNIX_EPOCH);
        let first = Lock::take(&journal, now).expect("first");
        let refused = Lock::take(&journal, now).expect_err("second").to_string();
        let note = format!("is held by process {}, started 1970-01-01T00:00:00Z:", std::process::id());
        assert!(refused.contains(&note), "{refused}");
        drop(first);
        Lock::take(&journal, now).expect("the holder is gone");
    }
}
