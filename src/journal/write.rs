//! One transaction at a time, and each commit shown to whoever watches.
//!
//! A transaction that is dropped before its commit, also by a task that was stopped, leaves nothing behind.

use super::{JournalError, sqlite};
use sqlx::{Sqlite, SqliteConnection, SqlitePool, Transaction};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// On which side of a commit something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The transaction is complete and not yet on the disk.
    Before,
    /// It is on the disk.
    After,
}

/// Called right before and right after each commit with its number, counted from one since the journal was opened.
///
/// The sandbox's crash matrix kills the process here; it must not use the journal.
pub type CommitWatch = Arc<dyn Fn(u64, Moment) + Send + Sync>;

/// The one connection that writes.
pub(super) struct Writer {
    pool: SqlitePool,
    watch: Option<CommitWatch>,
    commits: AtomicU64,
}

impl Writer {
    /// A writer over this pool of one connection.
    pub(super) fn new(pool: SqlitePool, watch: Option<CommitWatch>) -> Self {
        Self { pool, watch, commits: AtomicU64::new(0) }
    }

    /// The pool, for readings that must see what was just written.
    pub(super) fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// Waits for the writers before, then begins.
    pub(super) async fn begin(&self) -> Result<Write<'_>, JournalError> {
        Ok(Write { transaction: sqlite::begin(&self.pool).await?, writer: self })
    }
}

/// A transaction that is being written.
pub(super) struct Write<'a> {
    transaction: Transaction<'static, Sqlite>,
    writer: &'a Writer,
}

impl Write<'_> {
    /// The connection, for one statement.
    pub(super) fn on(&mut self) -> &mut SqliteConnection {
        &mut self.transaction
    }

    /// Makes it last: when this returns, it is on the disk.
    pub(super) async fn commit(self) -> Result<(), JournalError> {
        let number = self.writer.commits.fetch_add(1, Ordering::Relaxed) + 1;
        let tell = |moment| self.writer.watch.iter().for_each(|watch| watch(number, moment));
        tell(Moment::Before);
        self.transaction.commit().await?;
        tell(Moment::After);
        Ok(())
    }
}
