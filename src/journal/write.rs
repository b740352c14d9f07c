//! One transaction at a time, and each commit shown to whoever watches.
//!
//! A transaction owns the writing connection until its commit. One that ends otherwise (a failed statement, a failed
//! commit, a task that was stopped) takes the connection with it: SQLite rolls it back, and the next transaction opens
//! a new one. A connection whose last transaction failed is never used again, because nobody can tell in which state a
//! full disk left it.

use super::file::JournalFile;
use super::{JournalError, sqlite};
use sqlx::{Connection as _, SqliteConnection};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard};

/// How long a caller waits for the writers before it: far above what a queue of writes takes on a disk that works.
const TURN_WAIT_MAX: Duration = Duration::from_secs(60);

/// On which side of a commit something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The transaction is complete and not yet on the disk.
    Before,
    /// It is on the disk.
    After,
}

/// Called right before and right after each commit with its number, counted from one since the journal was opened.
///
/// The sandbox's crash matrix kills the process here; it must not use the journal.
pub type CommitWatch = Arc<dyn Fn(u64, Phase) + Send + Sync>;

/// The one connection that writes.
pub(super) struct Writer {
    file: JournalFile,
    slot: Mutex<Slot>,
    watch: Option<CommitWatch>,
    commits: AtomicU64,
    /// Why the last write failed, until one succeeds.
    failed: StdMutex<Option<String>>,
}

/// Where the writing connection rests between two transactions.
enum Slot {
    /// It is ready.
    Ready(SqliteConnection),
    /// There is none: the next transaction opens one.
    Empty,
    /// The journal was closed.
    Closed,
}

impl Writer {
    /// A writer of this file over its first connection.
    pub(super) fn new(file: JournalFile, connection: SqliteConnection, watch: Option<CommitWatch>) -> Self {
        let slot = Mutex::new(Slot::Ready(connection));
        Self { file, slot, watch, commits: AtomicU64::new(0), failed: StdMutex::default() }
    }

    /// Waits for the writers before, then begins.
    pub(super) async fn begin(&self) -> Result<Write<'_>, JournalError> {
        let begun = self.try_begin().await;
        if let Err(error) = &begun {
            self.set_failed(Some(error.to_string()));
        }
        begun
    }

    async fn try_begin(&self) -> Result<Write<'_>, JournalError> {
        let Ok(mut slot) = tokio::time::timeout(TURN_WAIT_MAX, self.slot.lock()).await else {
            let waited = TURN_WAIT_MAX.as_secs();
            return Err(JournalError::Io(format!("the write before this one did not end within {waited} s")));
        };
        let mut connection = match std::mem::replace(&mut *slot, Slot::Empty) {
            Slot::Ready(connection) => {
                if let Err(error) = self.file.check() {
                    *slot = Slot::Ready(connection);
                    return Err(error);
                }
                connection
            }
            Slot::Empty => {
                self.file.check_database()?;
                let connection = sqlite::open_writer(self.file.path(), false).await?;
                self.file.opened_again();
                connection
            }
            Slot::Closed => {
                *slot = Slot::Closed;
                return Err(JournalError::Io("it was closed: the daemon is stopping".to_owned()));
            }
        };
        sqlite::begin(&mut connection).await?;
        Ok(Write { connection: Some(connection), slot, writer: self })
    }

    /// Why no write is taken: the file is not in its place, or the last write failed.
    pub(super) fn trouble(&self) -> Option<String> {
        let displaced = match self.slot.try_lock().as_deref() {
            Ok(Slot::Ready(_)) => self.file.check(),
            // A transaction is being written, or the next one opens a connection and with it a new log.
            Ok(Slot::Empty | Slot::Closed) | Err(_) => self.file.check_database(),
        };
        let failed = || self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        displaced.err().map(|error| error.to_string()).or_else(failed)
    }

    /// Ends the connection in order; nothing is written after it.
    pub(super) async fn close(&self) {
        let mut slot = self.slot.lock().await;
        if let Slot::Ready(connection) = std::mem::replace(&mut *slot, Slot::Closed)
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "the journal was not closed in order; nothing of it is lost");
        }
    }

    fn set_failed(&self, why: Option<String>) {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }
}

/// A transaction that is being written.
pub(super) struct Write<'a> {
    /// None once it was committed or given up.
    connection: Option<SqliteConnection>,
    slot: MutexGuard<'a, Slot>,
    writer: &'a Writer,
}

impl Write<'_> {
    /// The connection, for one statement.
    ///
    /// # Panics
    /// Never: the connection leaves only with the transaction itself.
    #[expect(clippy::expect_used, reason = "`commit` and `give_up` take the transaction by value")]
    pub(super) fn on(&mut self) -> &mut SqliteConnection {
        self.connection.as_mut().expect("a transaction has its connection until it ends")
    }

    /// Makes it last: when this returns, it is on the disk.
    pub(super) async fn commit(mut self) -> Result<(), JournalError> {
        let number = self.writer.commits.fetch_add(1, Ordering::Relaxed) + 1;
        let tell = |moment| self.writer.watch.iter().for_each(|watch| watch(number, moment));
        tell(Phase::Before);
        let mut connection = self.connection.take();
        if let Some(open) = &mut connection
            && let Err(error) = sqlite::commit(open).await
        {
            self.writer.set_failed(Some(error.to_string()));
            return Err(error);
        }
        if let Some(connection) = connection {
            *self.slot = Slot::Ready(connection);
        }
        self.writer.file.written();
        self.writer.set_failed(None);
        tell(Phase::After);
        Ok(())
    }

    /// Ends it without having written anything.
    pub(super) async fn give_up(mut self) -> Result<(), JournalError> {
        if let Some(mut connection) = self.connection.take() {
            sqlite::roll_back(&mut connection).await?;
            *self.slot = Slot::Ready(connection);
        }
        Ok(())
    }
}

impl Drop for Write<'_> {
    fn drop(&mut self) {
        if self.connection.is_some() {
            self.writer.set_failed(Some("a write was broken off".to_owned()));
        }
    }
}
