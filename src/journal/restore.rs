//! Puts a copy in the place of a journal, while nothing runs on it.

use super::file::beside;
use super::{JournalError, lock, private, schema, sqlite};
use jiff::Timestamp;
use sqlx::Connection as _;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// What a restore left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The id that the restored journal gives out numbers under.
    pub id: String,
    /// Where the journal is that stood there before; none where there was none.
    pub before: Option<PathBuf>,
}

/// Puts a copy of the journal in `file` in the place of the one at `address`, under a new id. What stood there before is
/// moved aside and never removed; `file` stays as it is.
///
/// # Errors
/// `Locked` where a daemon runs on it; `Missing`, `Older`, `Newer` or `Unreadable` where `file` is no journal of this
/// version; `Full` or `Io` where it could not be written: then the journal stands as it stood.
pub async fn restore(address: &str, file: &Path, now: Timestamp) -> Result<Restored, JournalError> {
    let path = sqlite::path_of(address)?;
    let failed = |what: &Path, error: std::io::Error| JournalError::Io(format!("{}: {error}", what.display()));
    let file = match file.canonicalize() {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(JournalError::Missing(file.to_owned())),
        Err(error) => return Err(failed(file, error)),
    };
    if file == path {
        return Err(JournalError::Io(format!("{} is the journal itself: name a copy of it", file.display())));
    }
    let _lock = lock::Lock::take(&path, now)?;
    let readers = sqlite::readers(&file);
    schema::id_if_up_to_date(&readers, &file).await?;
    let fresh = beside(&path, ".restoring");
    remove(&fresh)?;
    private::take_file(&fresh).map_err(|error| failed(&fresh, error))?;
    let text = fresh.to_str().ok_or_else(|| JournalError::Io(format!("{} is not UTF-8", fresh.display())))?;
    sqlite::copy(&readers, text).await?;
    readers.close().await;
    let mut copy = sqlite::open_alone(&fresh).await?;
    let id = schema::take_new_id(&mut copy).await?;
    copy.close().await?;
    std::fs::File::open(&fresh).and_then(|file| file.sync_all()).map_err(|error| failed(&fresh, error))?;
    let before = match path.exists() {
        false => None,
        true => {
            let aside = beside(&path, &format!(".before-{}", now.strftime("%Y%m%dT%H%M%SZ")));
            for part in ["", "-wal"] {
                let (from, to) = (beside(&path, part), beside(&aside, part));
                match std::fs::rename(&from, &to) {
                    Ok(()) => {}
                    Err(error) if part == "-wal" && error.kind() == ErrorKind::NotFound => {}
                    Err(error) => return Err(failed(&from, error)),
                }
            }
            Some(aside)
        }
    };
    remove(&beside(&path, "-shm"))?;
    remove(&beside(&path, "-wal"))?;
    std::fs::rename(&fresh, &path).map_err(|error| failed(&path, error))?;
    Ok(Restored { id, before })
}

fn remove(path: &Path) -> Result<(), JournalError> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(JournalError::Io(format!("{}: {error}", path.display()))),
    }
}
