//! A copy of the whole journal as of one moment, made while it is in use.
//!
//! The copy has an id of its own and remembers the original's: whoever runs it gives out no number that the original
//! gives out too. `restore` puts one in the place of a journal.

use super::{Journal, JournalError, private, schema, sqlite};
use sqlx::Connection as _;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

impl Journal {
    /// Writes a copy into the new file `to`; when it returns, the copy is on the disk.
    ///
    /// # Errors
    /// `BackupExists` where there is a file already; `Full` or `Io` where it could not be written: then no file is left.
    pub async fn backup(&self, to: &Path) -> Result<(), JournalError> {
        let failed = |error: std::io::Error| JournalError::Io(format!("{}: {error}", to.display()));
        let text = to.to_str().ok_or_else(|| JournalError::Io(format!("{} is not UTF-8", to.display())))?;
        // Claiming the name first leaves no moment in which somebody else's file could be replaced.
        match OpenOptions::new().write(true).create_new(true).mode(private::FILE_MODE).open(to) {
            Ok(_claimed) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(JournalError::BackupExists(to.to_owned()));
            }
            Err(error) => return Err(failed(error)),
        }
        let copied = match self.copy_apart(to, text).await {
            Ok(()) => File::open(to).and_then(|file| file.sync_all()).map_err(failed),
            Err(error) => Err(error),
        };
        if copied.is_err() {
            std::fs::remove_file(to).map_err(failed)?;
        }
        copied
    }

    async fn copy_apart(&self, to: &Path, text: &str) -> Result<(), JournalError> {
        sqlite::copy(&self.readers, text).await?;
        let mut copy = sqlite::open_alone(to).await?;
        schema::take_new_id(&mut copy).await?;
        Ok(copy.close().await?)
    }
}
