//! What is SQLite's own: how a file is opened, how a transaction begins, how it is copied, what its error codes mean.
//!
//! Everything else in this folder is SQL that PostgreSQL speaks too.

use super::JournalError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection as _, SqliteConnection, SqlitePool};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a statement waits for a lock of the file. Only a checkpoint, or a person's own tool, ever holds one.
const BUSY_MAX: Duration = Duration::from_secs(10);
/// How long a caller waits for a connection: far above what a queue of writes takes on a disk that works.
const CONNECTION_WAIT_MAX: Duration = Duration::from_secs(60);
/// How much of the file each connection keeps in memory, as `PRAGMA cache_size` has it (negative: KiB). The system keeps
/// what is read often anyway.
const CACHE_KIB: &str = "-512";
/// How many readings run at once: pages and passes are few, and each connection is a thread.
const READERS_MAX: u32 = 4;

/// The path in `sqlite:///path`, every link on the way resolved, so that two names of one file share one lock.
pub(super) fn path_of(address: &str) -> Result<PathBuf, JournalError> {
    let path = match address.split_once("://") {
        Some(("sqlite", path)) if !path.is_empty() && !path.contains('?') => Path::new(path),
        Some(("sqlite", _)) => return Err(JournalError::Address("it names no plain file".to_owned())),
        // The rest of a foreign address may hold a password, so only its scheme is repeated.
        Some((scheme, _)) => return Err(JournalError::Address(format!("`{scheme}` is no engine that is supported"))),
        None => return Err(JournalError::Address("it has no scheme".to_owned())),
    };
    if let Ok(path) = path.canonicalize() {
        return Ok(path);
    }
    let name = path.file_name().ok_or_else(|| JournalError::Address("it names no file".to_owned()))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let failed = |error| JournalError::Io(format!("its folder {} cannot be used: {error}", folder.display()));
    Ok(folder.canonicalize().map_err(failed)?.join(name))
}

/// A connection that writes; each commit is on the disk before it returns. The file is made only where `create` says so:
/// one that is missing later was deleted, and a new one would hide that.
pub(super) async fn open_writer(path: &Path, create: bool) -> Result<SqliteConnection, JournalError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(create)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("cache_size", CACHE_KIB)
        .busy_timeout(BUSY_MAX);
    Ok(SqliteConnection::connect_with(&options).await?)
}

/// A connection to a file that nobody else uses, such as a copy: when it is closed, one plain file is left.
pub(super) async fn open_alone(path: &Path) -> Result<SqliteConnection, JournalError> {
    let options = SqliteConnectOptions::new().filename(path).journal_mode(SqliteJournalMode::Delete);
    Ok(SqliteConnection::connect_with(&options.synchronous(SqliteSynchronous::Full)).await?)
}

/// The connections that read; they see what is committed and hold up no writer.
pub(super) fn readers(path: &Path) -> SqlitePool {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .pragma("cache_size", CACHE_KIB)
        .busy_timeout(BUSY_MAX);
    SqlitePoolOptions::new()
        .max_connections(READERS_MAX)
        .acquire_timeout(CONNECTION_WAIT_MAX)
        .connect_lazy_with(options)
}

/// Begins a transaction that may write from its first statement, so that none fails half-way for a lock.
pub(super) async fn begin(writer: &mut SqliteConnection) -> Result<(), JournalError> {
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(writer).await?;
    Ok(())
}

/// Ends a transaction: when this returns, it is on the disk.
pub(super) async fn commit(writer: &mut SqliteConnection) -> Result<(), JournalError> {
    sqlx::raw_sql("COMMIT").execute(writer).await?;
    Ok(())
}

/// Ends a transaction as if it had not been begun.
pub(super) async fn roll_back(writer: &mut SqliteConnection) -> Result<(), JournalError> {
    sqlx::raw_sql("ROLLBACK").execute(writer).await?;
    Ok(())
}

/// The last row of `table`: rows that are added later have a higher number.
pub(super) async fn last_row(connection: &mut SqliteConnection, table: &'static str) -> Result<i64, JournalError> {
    let find = match table {
        "namings" => "SELECT COALESCE(MAX(rowid), 0) FROM namings",
        _ => "SELECT COALESCE(MAX(rowid), 0) FROM sightings",
    };
    Ok(sqlx::query_scalar(find).fetch_one(connection).await?)
}

/// Moves the times of rows after `before`, and takes those that are later than now as now.
pub(super) async fn move_times(
    connection: &mut SqliteConnection,
    table: &'static str,
    before: i64,
    by_ms: i64,
    now_ms: i64,
) -> Result<(), JournalError> {
    let change = match table {
        "namings" => {
            "UPDATE namings SET first_seen_ms = MIN($3, first_seen_ms + CASE WHEN rowid > $1 THEN $2 ELSE 0 END) \
             WHERE rowid > $1 OR first_seen_ms > $3"
        }
        _ => {
            "UPDATE sightings SET first_seen_ms = MIN($3, first_seen_ms + CASE WHEN rowid > $1 THEN $2 ELSE 0 END) \
             WHERE rowid > $1 OR first_seen_ms > $3"
        }
    };
    sqlx::query(change).bind(before).bind(by_ms).bind(now_ms).execute(connection).await?;
    Ok(())
}

/// The names of the tables that the file holds.
pub(super) async fn tables(connection: &mut SqliteConnection) -> Result<Vec<String>, JournalError> {
    Ok(sqlx::query_scalar("SELECT name FROM sqlite_master WHERE type = 'table'").fetch_all(connection).await?)
}

/// Writes a whole copy, as of now, into the empty or missing file `to`.
pub(super) async fn copy(readers: &SqlitePool, to: &str) -> Result<(), JournalError> {
    sqlx::query("VACUUM INTO $1").bind(to).execute(readers).await?;
    Ok(())
}

/// What an error of the engine means to the person who reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// No room is left (SQLITE_FULL).
    Full,
    /// The file is damaged, or is no SQLite file (SQLITE_CORRUPT, SQLITE_NOTADB).
    Damaged,
    /// Anything else.
    Other,
}

impl Trouble {
    /// Reads the primary result code: the low byte of the extended one (sqlite.org/rescode.html).
    pub(super) fn of(error: &sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(|e| e.code()).and_then(|code| code.parse::<u32>().ok());
        match code.map(|code| code & 0xff) {
            Some(13) => Self::Full,
            Some(11 | 26) => Self::Damaged,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let folder = tempfile::tempdir().expect("folder");
        let real = folder.path().canonicalize().expect("real").join("journal.db");
        assert_eq!(path_of(&format!("sqlite://{}", real.display())).expect("plain"), real);
        std::fs::File::create(&real).expect("file");
        let link = folder.path().join("link.db");
        std::os::unix::fs::symlink(&real, &link).expect("link");
        assert_eq!(path_of(&format!("sqlite://{}", link.display())).expect("link"), real);
        for (wrong, said) in [
            ("postgres://me:secret@db/journal", "`postgres` is no engine"),
            ("/var/lib/journal.db", "no scheme"),
            ("sqlite://", "no plain file"),
            ("sqlite:///a.db?mode=ro", "no plain file"),
            ("sqlite:///no/such/folder/journal.db", "its folder /no/such/folder cannot be used"),
        ] {
            let error = path_of(wrong).expect_err(wrong).to_string();
            assert!(error.contains(said) && !error.contains("secret"), "{error}");
        }
    }
}
