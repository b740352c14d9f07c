//! The tables and how they come up to date. A migration that was published is never edited; a new one is added.

use super::write::Writer;
use super::{JournalError, sqlite};
use crate::model::text;
use jiff::Timestamp;
use sqlx::{SqliteConnection, SqlitePool};
use std::path::Path;

/// The migrations in order: the first makes schema 1 out of nothing.
const MIGRATIONS: [&str; 1] = [include_str!("migrations/0001_begin.sql")];
/// The schema after all migrations.
const SCHEMA: i64 = MIGRATIONS.len() as i64;
/// What is added to the schema with the first checkpoint: a program that knows nothing of checkpoints would miss what was
/// folded into it, and must not open the journal. No migration ever has so large a number.
const FOLDED: i64 = 1_000;
/// The ids that a journal had before, each with the last number that it gave out under it.
const FORMER_IDS: &str = "CREATE TABLE IF NOT EXISTS former_ids (\
                          journal_id TEXT NOT NULL PRIMARY KEY, last_sequence BIGINT NOT NULL)";
/// The table that tells a journal from another SQLite file.
const META: &str = "meta";

/// Brings the tables up to date, each migration in its own transaction, and returns the journal's id.
pub(super) async fn bring_up_to_date(writer: &Writer, path: &Path, now: Timestamp) -> Result<String, JournalError> {
    let mut look = writer.begin().await?;
    let found = version(look.on(), path).await?;
    look.give_up().await?;
    let folded = found / FOLDED * FOLDED;
    for (version, migration) in (1..).zip(MIGRATIONS).skip_while(|(version, _)| *version <= found % FOLDED) {
        let mut write = writer.begin().await?;
        sqlx::raw_sql(migration).execute(write.on()).await?;
        if version == 1 {
            let begin = "INSERT INTO meta (journal_id, created_ms, schema_version, last_sequence, last_row) \
                         VALUES ($1, $2, 1, 0, 0)";
            sqlx::query(begin).bind(new_id()?).bind(now.as_millisecond()).execute(write.on()).await?;
            sqlx::raw_sql(FORMER_IDS).execute(write.on()).await?;
        }
        sqlx::query("UPDATE meta SET schema_version = $1").bind(folded + version).execute(write.on()).await?;
        write.commit().await?;
    }
    let mut write = writer.begin().await?;
    let id = id(write.on()).await?;
    // A table more is no new schema: the version before passes it over.
    if sqlite::tables(write.on()).await?.iter().any(|table| table == "former_ids") {
        write.give_up().await?;
    } else {
        sqlx::raw_sql(FORMER_IDS).execute(write.on()).await?;
        write.commit().await?;
    }
    Ok(id)
}

/// The id of a journal whose tables are up to date.
///
/// # Errors
/// `Older` where they are not.
pub(super) async fn id_if_up_to_date(pool: &SqlitePool, path: &Path) -> Result<String, JournalError> {
    let mut connection = pool.acquire().await?;
    match version(&mut connection, path).await? {
        found if found % FOLDED == SCHEMA => id(&mut connection).await,
        found => Err(JournalError::Older { path: path.to_owned(), found, known: SCHEMA }),
    }
}

/// The schema of the file, and `FOLDED` more where it has a checkpoint: 0 where it is empty, never above what is known here.
async fn version(connection: &mut SqliteConnection, path: &Path) -> Result<i64, JournalError> {
    let tables = sqlite::tables(connection).await?;
    if tables.is_empty() {
        return Ok(0);
    }
    if !tables.iter().any(|table| table == META) {
        return Err(JournalError::unreadable("the file", &"its tables are not those of a journal"));
    }
    let found: i64 = sqlx::query_scalar("SELECT schema_version FROM meta").fetch_one(connection).await?;
    if found % FOLDED > SCHEMA || found >= 2 * FOLDED {
        return Err(JournalError::Newer { path: path.to_owned(), found, known: SCHEMA });
    }
    Ok(found)
}

/// Writes down that the journal has a checkpoint.
pub(super) async fn set_folded(connection: &mut SqliteConnection) -> Result<(), JournalError> {
    sqlx::query("UPDATE meta SET schema_version = $1").bind(SCHEMA + FOLDED).execute(connection).await?;
    Ok(())
}

/// Gives a journal a new id; the one it had is remembered with the last number that was given out under it.
pub(super) async fn take_new_id(connection: &mut SqliteConnection) -> Result<String, JournalError> {
    let new = new_id()?;
    sqlx::raw_sql(FORMER_IDS).execute(&mut *connection).await?;
    let remember = "INSERT INTO former_ids (journal_id, last_sequence) SELECT journal_id, last_sequence FROM meta";
    sqlx::query(remember).execute(&mut *connection).await?;
    sqlx::query("UPDATE meta SET journal_id = $1").bind(&new).execute(connection).await?;
    Ok(new)
}

async fn id(connection: &mut SqliteConnection) -> Result<String, JournalError> {
    Ok(sqlx::query_scalar("SELECT journal_id FROM meta").fetch_one(connection).await?)
}

/// Twelve random hexadecimal digits: enough that no two journals in one repository ever share them.
fn new_id() -> Result<String, JournalError> {
    let mut bytes = [0; 6];
    let failed = |error| JournalError::Io(format!("the system gives no random numbers: {error}"));
    getrandom::fill(&mut bytes).map_err(failed)?;
    Ok(text::hex(&bytes))
}
