//! The journal's ids: the one it gives out numbers under, and those that it had before.

use super::value::number;
use super::{Journal, JournalError, schema, sqlite};
use crate::model::{FormerId, JournalIds, Sequence};

impl Journal {
    /// The ids as they are now.
    ///
    /// # Errors
    /// `Io` where they could not be read.
    pub async fn ids(&self) -> Result<JournalIds, JournalError> {
        let mut connection = self.readers.acquire().await?;
        let id = sqlx::query_scalar("SELECT journal_id FROM meta").fetch_one(&mut *connection).await?;
        if !sqlite::tables(&mut connection).await?.iter().any(|table| table == "former_ids") {
            // It was written by a version that knew of none, and is only read here.
            return Ok(JournalIds { id, former: Vec::new() });
        }
        let find = "SELECT journal_id, last_sequence FROM former_ids ORDER BY last_sequence, journal_id";
        let rows: Vec<(String, i64)> = sqlx::query_as(find).fetch_all(&mut *connection).await?;
        let former = rows.into_iter().map(|(id, last)| {
            let last = Sequence(number(last, "the last number under a former id")?);
            Ok(FormerId { id, last })
        });
        Ok(JournalIds { id, former: former.collect::<Result<_, JournalError>>()? })
    }

    /// Gives out numbers under a new id from now on.
    ///
    /// # Errors
    /// `Full` or `Io` where it could not be written.
    pub async fn take_new_id(&self) -> Result<JournalIds, JournalError> {
        let mut write = self.begin().await?;
        schema::take_new_id(write.on()).await?;
        write.commit().await?;
        self.ids().await
    }
}
