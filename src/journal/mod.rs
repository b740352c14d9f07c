//! The journal: what nothing outside can tell again, and what forbids; the only SQL.
//!
//! Events are added and never changed (`entries`), beside a few tables of facts (`builds`, `sightings`, `searched`,
//! `policies`) and the outbox of reports, which is written in the same transaction as the fact that a row tells. Where a
//! release stands is not stored: `model::ledger` folds it from the entries. The exception is the `checkpoint`, which holds
//! what old entries came to where the configuration has them deleted. Nothing here decides anything.
//!
//! One process writes, through one connection, one transaction after the other, each on the disk before it returns;
//! `lock` keeps a second process out. Readings go through connections of their own.

mod backup;
mod builds;
mod checkpoint;
mod dated;
mod entries;
mod error;
mod file;
mod file_system;
mod ids;
mod lock;
mod outbox;
mod policies;
mod private;
mod restore;
mod schema;
mod searched;
mod sightings;
mod sqlite;
#[cfg(test)]
mod tests;
mod value;
mod wire;
mod write;

pub use checkpoint::{Checkpoint, Folded};
pub use entries::ENTRIES_MAX;
pub use error::JournalError;
pub use outbox::{OUTBOX_PAGE, Outgoing, RowId, RowStatus};
pub use policies::GoodPolicy;
pub use private::{make_folder, take_folder};
pub use restore::{Restored, restore};
pub use searched::Searched;
pub use sightings::Sighting;
pub use write::{CommitWatch, Phase};

use jiff::Timestamp;
use sqlx::SqlitePool;
use std::sync::{Mutex, PoisonError};
use write::{Write, Writer};

/// An open journal.
pub struct Journal {
    id: String,
    readers: SqlitePool,
    writer: Option<Writer>,
    /// The last rows of `sightings` and `namings` when it was opened: later ones are this process's own.
    rows_before: [i64; 2],
    lock: Mutex<Option<lock::Lock>>,
}

impl Journal {
    /// Opens the journal at `address` (`sqlite:///path/journal.db`) for the life of the process, and makes it where
    /// there is none.
    ///
    /// # Errors
    /// `Locked` where another process holds it; `Newer`, `Unreadable` or `Io` where the file is not what it should be.
    pub async fn open(address: &str, now: Timestamp) -> Result<Self, JournalError> {
        Self::open_for_writing(address, now, None).await
    }

    /// As `open`, and shows each commit to `watch`: for the crash matrix alone.
    ///
    /// # Errors
    /// As `open`.
    pub async fn open_watched(address: &str, now: Timestamp, watch: CommitWatch) -> Result<Self, JournalError> {
        Self::open_for_writing(address, now, Some(watch)).await
    }

    async fn open_for_writing(address: &str, now: Timestamp, watch: Option<CommitWatch>) -> Result<Self, JournalError> {
        let path = sqlite::path_of(address)?;
        file_system::must_be_local(&path)?;
        let lock = lock::Lock::take(&path, now)?;
        let failed = |error| JournalError::Io(format!("{}: {error}", path.display()));
        private::take_file(&path).map_err(failed)?;
        let connection = sqlite::open_writer(&path, true).await?;
        let writer = Writer::new(file::JournalFile::opened(&path)?, connection, watch);
        let id = schema::bring_up_to_date(&writer, &path, now).await?;
        outbox::take_up_what_people_mend(&writer).await?;
        let mut look = writer.begin().await?;
        let sightings = sqlite::last_row(look.on(), "sightings").await?;
        let namings = sqlite::last_row(look.on(), "namings").await?;
        look.give_up().await?;
        let (readers, lock) = (sqlite::readers(&path), Mutex::new(Some(lock)));
        Ok(Self { id, readers, writer: Some(writer), rows_before: [sightings, namings], lock })
    }

    /// Opens the journal beside the process that holds it, or where none does: nothing can be written.
    ///
    /// # Errors
    /// `Missing` where there is none; `Older` where the daemon of this version never ran on it; else as `open`.
    pub async fn open_for_reading(address: &str) -> Result<Self, JournalError> {
        let path = sqlite::path_of(address)?;
        if !path.exists() {
            return Err(JournalError::Missing(path));
        }
        let readers = sqlite::readers(&path);
        let id = schema::id_if_up_to_date(&readers, &path).await?;
        Ok(Self { id, readers, writer: None, rows_before: [0, 0], lock: Mutex::new(None) })
    }

    /// The journal's id when it was opened: twelve hexadecimal digits, in the trailers of every commit of ours.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether it was opened for writing.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.writer.is_some()
    }

    /// Ends the connections in order, so that one plain file is left, and gives the lock back: whoever still holds this
    /// journal can write no more. Dropping it instead loses nothing.
    pub async fn close(&self) {
        self.readers.close().await;
        if let Some(writer) = &self.writer {
            writer.close().await;
        }
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Why the journal takes no write, in words for people; none where it took the last one and its file is in place.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let writer = self.writer.as_ref()?;
        writer.trouble()
    }

    /// Writes something that changes nothing, to learn whether writes are taken.
    ///
    /// # Errors
    /// `Full`, `Displaced` or `Io` where they are not.
    pub async fn try_write(&self) -> Result<(), JournalError> {
        let mut write = self.begin().await?;
        sqlx::query("UPDATE meta SET last_row = last_row").execute(write.on()).await?;
        write.commit().await
    }

    async fn begin(&self) -> Result<Write<'_>, JournalError> {
        self.writer.as_ref().ok_or(JournalError::ReadingOnly)?.begin().await
    }
}
