//! The last text of each policy that was good: what is in flight is finished under it when the file breaks.

use super::value::time;
use super::{Journal, JournalError};
use jiff::Timestamp;

/// A policy's text, kept while it was good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoodPolicy {
    /// Where it came from: a broken text may not tell its name any more, this still finds it.
    pub origin: String,
    /// The policy's name.
    pub name: String,
    /// The text.
    pub text: String,
    /// When this text was first good.
    pub at: Timestamp,
}

impl Journal {
    /// All last good texts, the oldest first: a name that was loaded from several files belongs to the last.
    ///
    /// # Errors
    /// `Unreadable` or `Io` where they could not be read.
    pub async fn good_policies(&self) -> Result<Vec<GoodPolicy>, JournalError> {
        let find = "SELECT origin, name, text, at_ms FROM policies ORDER BY at_ms, origin";
        let rows: Vec<(String, String, String, i64)> = sqlx::query_as(find).fetch_all(&self.readers).await?;
        let read = |(origin, name, text, at_ms)| {
            let at = time(at_ms, "the last good text of a policy")?;
            Ok(GoodPolicy { origin, name, text, at })
        };
        rows.into_iter().map(read).collect()
    }

    /// The last good texts that came from `origin`, by name.
    ///
    /// # Errors
    /// `Unreadable` or `Io` where they could not be read.
    pub async fn last_good_policies(&self, origin: &str) -> Result<Vec<GoodPolicy>, JournalError> {
        let find = "SELECT name, text, at_ms FROM policies WHERE origin = $1 ORDER BY name";
        let rows: Vec<(String, String, i64)> = sqlx::query_as(find).bind(origin).fetch_all(&self.readers).await?;
        let read = |(name, text, at_ms)| {
            let at = time(at_ms, "the last good text of a policy")?;
            Ok(GoodPolicy { origin: origin.to_owned(), name, text, at })
        };
        rows.into_iter().map(read).collect()
    }

    /// Keeps a text that is good in place of the one before, and in place of what other files said under that name. A text that is kept already stays as of its own time.
    ///
    /// # Errors
    /// `Full` or `Io` where it could not be written.
    pub async fn set_last_good_policy(
        &self,
        origin: &str,
        name: &str,
        text: &str,
        now: Timestamp,
    ) -> Result<(), JournalError> {
        let known = self.last_good_policies(origin).await?;
        if known.iter().any(|known| known.name == name && known.text == text) {
            return Ok(());
        }
        let keep = "INSERT INTO policies (origin, name, text, at_ms) VALUES ($1, $2, $3, $4) \
                    ON CONFLICT (origin, name) DO UPDATE SET text = excluded.text, at_ms = excluded.at_ms";
        let mut write = self.begin().await?;
        let others = "DELETE FROM policies WHERE name = $1 AND origin <> $2";
        sqlx::query(others).bind(name).bind(origin).execute(write.on()).await?;
        sqlx::query(keep).bind(origin).bind(name).bind(text).bind(now.as_millisecond()).execute(write.on()).await?;
        write.commit().await
    }
}
