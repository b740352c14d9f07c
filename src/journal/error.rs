//! What can go wrong with the journal, cut by what one does about it.

use std::path::PathBuf;

/// A failure of the journal. Whatever failed to be written was not written at all.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The address in the configuration is none.
    #[error("the journal's address is wrong: {0}; write it like `sqlite:///var/lib/tagrelay/journal.db`")]
    Address(String),
    /// Another process has the journal open for writing.
    #[error("the journal {} is held by {holder}: stop that process first, or give this one a journal of its own", path.display())]
    Locked {
        /// The journal.
        path: PathBuf,
        /// Who holds it, as it wrote itself down.
        holder: String,
    },
    /// There is nothing to read yet.
    #[error("there is no journal at {}: the daemon makes it when it first runs; is `journal` in the configuration right?", .0.display())]
    Missing(PathBuf),
    /// The tables are of a later version.
    #[error(
        "the journal {} was written by a newer tagrelay (schema {found}; this one knows {known}): \
         run that version or a later one, or restore a backup from before the upgrade", path.display()
    )]
    Newer {
        /// The journal.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema that is known here.
        known: i64,
    },
    /// The tables are of an earlier version, and this process may not bring them up to date.
    #[error(
        "the journal {} is of an older tagrelay (schema {found}; this one wants {known}): \
         start the daemon of this version once, it brings the journal up to date", path.display()
    )]
    Older {
        /// The journal.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The schema that is wanted.
        known: i64,
    },
    /// What is stored makes no sense to this version. It is never skipped: what it forbids would be forgotten.
    #[error(
        "{what} of the journal cannot be read: {why}. Nothing of it is skipped, since it may forbid something: \
         run the tagrelay version that wrote it, or restore a backup"
    )]
    Unreadable {
        /// Which part, e.g. `entry 17`.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// No room is left.
    #[error(
        "the disk that holds the journal is full: free some space; what was to be written was not, and can be tried again"
    )]
    Full,
    /// The journal lies on a file system that other machines share.
    #[error(
        "the journal {} lies on {kind} (mounted at {}), which is shared over a network: locks and SQLite's log are not \
         safe there, and two daemons could write at once; put it on a disk of this machine, or on a volume that one \\
         node mounts at a time", path.display(), mounted.display()
    )]
    SharedFileSystem {
        /// The journal.
        path: PathBuf,
        /// Where the file system is mounted.
        mounted: PathBuf,
        /// Which it is.
        kind: String,
    },
    /// The file that was opened is not what its name leads to any more: what is written would be lost.
    #[error(
        "the journal's file {} {how} while the daemon runs, so nothing is begun: put the file back, or stop the \
         daemon and start it again", path.display()
    )]
    Displaced {
        /// The file.
        path: PathBuf,
        /// What happened to it.
        how: &'static str,
    },
    /// The file, the disk or the engine refused.
    #[error("the journal cannot be used: {0}")]
    Io(String),
    /// It was opened for reading.
    #[error("the journal was opened for reading alone: only the daemon and `once` write it")]
    ReadingOnly,
    /// The file a backup was to be written to exists.
    #[error("{} exists already: a backup never replaces a file, name another", .0.display())]
    BackupExists(PathBuf),
}

impl JournalError {
    /// What is stored as `what` cannot be read.
    pub(super) fn unreadable(what: impl Into<String>, why: &dyn std::fmt::Display) -> Self {
        Self::Unreadable { what: what.into(), why: crate::model::text::shown(&why.to_string()) }
    }
}

impl From<sqlx::Error> for JournalError {
    fn from(error: sqlx::Error) -> Self {
        match super::sqlite::Trouble::of(&error) {
            super::sqlite::Trouble::Full => Self::Full,
            super::sqlite::Trouble::Damaged => Self::unreadable("the file", &error),
            super::sqlite::Trouble::Other => Self::Io(error.to_string()),
        }
    }
}
