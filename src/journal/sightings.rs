//! When each tag was first seen, and which digests it was seen to name: no registry tells this again.
//!
//! A reading that brings nothing new writes nothing.

use super::value::{parsed, time};
use super::{Journal, JournalError, sqlite};
use crate::model::{Digest, Repository, Tag, TagList, TagRef};
use jiff::{SignedDuration, Timestamp};
use sqlx::{Executor, QueryBuilder, Sqlite, SqliteConnection};
use std::iter;

/// How many tags of a list one statement is about: four values each, far below the 32 766 that SQLite binds at once.
pub(super) const TAGS_PER_STATEMENT: usize = 500;

/// What is known of a tag's time in its repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// When it was first seen.
    pub first_seen: Timestamp,
    /// Whether it was there when the whole list was first read, or seen before that: how long it was there before,
    /// nobody can tell.
    pub at_first_reading: bool,
    /// The digest it was first known to name.
    pub first: Option<Digest>,
    /// The digest it named when it was last asked for.
    pub last: Option<Digest>,
    /// When it was first seen at that digest; where it came back to one, since the last time that it did.
    pub at_last_since: Option<Timestamp>,
}

impl Sighting {
    /// Whether a reading that saw this digest, or asked for none, tells nothing more.
    fn says(&self, digest: Option<&Digest>) -> bool {
        digest.is_none_or(|digest| self.last.as_ref() == Some(digest))
    }
}

impl Journal {
    /// Keeps what a reading of a repository's whole list saw: which of its tags are new. A list of any length is gone
    /// through a piece at a time, and one without news writes nothing.
    ///
    /// # Errors
    /// `Full` or `Io` where it could not be written; nothing of it is then kept.
    pub async fn sight_list(
        &self,
        repository: &Repository,
        tags: &TagList,
        now: Timestamp,
    ) -> Result<(), JournalError> {
        let mut pieces = pieces(tags);
        let mut news = None;
        if was_listed(&self.readers, repository).await? {
            news = self.first_with_news(repository, &mut pieces).await?;
            if news.is_none() {
                return Ok(());
            }
        }
        // Another reading may have told the same meanwhile, so the writer looks again, and what is there stays.
        let mut write = self.begin().await?;
        let is_first = !was_listed(write.on(), repository).await?;
        if is_first {
            let first = "INSERT INTO readings (repository, first_ms) VALUES ($1, $2)";
            let first = sqlx::query(first).bind(repository.to_string()).bind(now.as_millisecond());
            first.execute(write.on()).await?;
        }
        for piece in news.into_iter().chain(pieces) {
            add(write.on(), repository, &piece, now, is_first).await?;
        }
        write.commit().await
    }

    /// Reads when tags were first seen by a clock that was set: what this process saw is moved with the clock, and nothing
    /// is later than now. Their order stays.
    ///
    /// # Errors
    /// `Full` or `Io` where it could not be written.
    pub async fn clock_was_set(&self, by: SignedDuration, now: Timestamp) -> Result<(), JournalError> {
        let by = i64::try_from(by.as_millis()).unwrap_or(0);
        let mut write = self.begin().await?;
        for (table, before) in ["sightings", "namings"].into_iter().zip(self.rows_before) {
            sqlite::move_times(write.on(), table, before, by, now.as_millisecond()).await?;
        }
        write.commit().await
    }

    /// The first piece of a list with a tag that was never seen.
    async fn first_with_news<'t>(
        &self,
        repository: &Repository,
        pieces: &mut impl Iterator<Item = Vec<TagRef<'t>>>,
    ) -> Result<Option<Vec<TagRef<'t>>>, JournalError> {
        for piece in pieces {
            let mut count = QueryBuilder::<Sqlite>::new("SELECT COUNT(*) FROM sightings WHERE repository = ");
            count.push_bind(repository.to_string()).push(" AND tag IN ");
            count.push_tuples(&piece, |mut row, tag| {
                row.push_bind(tag.as_str());
            });
            let n_seen: i64 = count.build_query_scalar().persistent(is_whole(&piece)).fetch_one(&self.readers).await?;
            if usize::try_from(n_seen) != Ok(piece.len()) {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }

    /// Keeps what a reading of one tag saw, and the digest that it names where that was asked. Returns what is now known.
    ///
    /// # Errors
    /// `Full` or `Io` where it could not be written.
    pub async fn sight(
        &self,
        repository: &Repository,
        tag: &Tag,
        digest: Option<&Digest>,
        now: Timestamp,
    ) -> Result<Sighting, JournalError> {
        let known = self.sighting(repository, tag).await?;
        if let Some(known) = known.filter(|known| known.says(digest)) {
            return Ok(known);
        }
        // Another reading may have told the same meanwhile, so the writer looks again before it adds.
        let mut write = self.begin().await?;
        let mut sighting = match one(write.on(), repository, tag).await? {
            Some(known) => known,
            None => begin(write.on(), repository, tag, now).await?,
        };
        if !sighting.says(digest)
            && let Some(digest) = digest
        {
            name(write.on(), repository, tag, digest, now).await?;
            sighting.first.get_or_insert_with(|| digest.clone());
            sighting.last = Some(digest.clone());
            sighting.at_last_since = Some(now);
        }
        write.commit().await?;
        Ok(sighting)
    }

    /// What is known of one tag; none where it was never seen.
    ///
    /// # Errors
    /// `Unreadable` where it makes no sense to this version.
    pub async fn sighting(&self, repository: &Repository, tag: &Tag) -> Result<Option<Sighting>, JournalError> {
        one(&self.readers, repository, tag).await
    }

    /// Every digest that a tag was seen to name, and when it last came to name it, oldest first.
    ///
    /// # Errors
    /// `Unreadable` where one makes no sense to this version.
    pub async fn namings(&self, repository: &Repository, tag: &Tag) -> Result<Vec<(Digest, Timestamp)>, JournalError> {
        let find = "SELECT digest, first_seen_ms FROM namings WHERE repository = $1 AND tag = $2 \
                    ORDER BY first_seen_ms, digest";
        let rows: Vec<(String, i64)> =
            sqlx::query_as(find).bind(repository.to_string()).bind(tag.as_str()).fetch_all(&self.readers).await?;
        let what = format!("what `{tag}` named in {repository}");
        rows.into_iter().map(|(digest, at)| Ok((parsed(Digest::parse(&digest), &what)?, time(at, &what)?))).collect()
    }
}

/// The tags of a list, as many at a time as one statement is about.
pub(super) fn pieces(tags: &TagList) -> impl Iterator<Item = Vec<TagRef<'_>>> {
    let mut rest = tags.iter();
    let next = move || rest.by_ref().take(TAGS_PER_STATEMENT).collect::<Vec<_>>();
    iter::repeat_with(next).take_while(|piece| !piece.is_empty())
}

/// Whether the statement for a piece is one to keep: a connection keeps one of each length, of more than a hundred KiB,
/// and the last pieces of lists have all lengths there are.
pub(super) fn is_whole<T>(piece: &[T]) -> bool {
    piece.len() == TAGS_PER_STATEMENT
}

/// Whether a repository's whole list was ever read.
async fn was_listed<'c>(
    on: impl Executor<'c, Database = Sqlite>,
    repository: &Repository,
) -> Result<bool, JournalError> {
    let find = "SELECT COUNT(*) FROM readings WHERE repository = $1";
    let n: i64 = sqlx::query_scalar(find).bind(repository.to_string()).fetch_one(on).await?;
    Ok(n > 0)
}

/// Adds tags that are first seen now; those that were seen before stay as they are.
async fn add(
    on: &mut SqliteConnection,
    repository: &Repository,
    tags: &[TagRef<'_>],
    now: Timestamp,
    at_first_reading: bool,
) -> Result<(), JournalError> {
    let (repository, now) = (repository.to_string(), now.as_millisecond());
    let into = "INSERT INTO sightings (repository, tag, first_seen_ms, at_first_reading) ";
    let mut add = QueryBuilder::<Sqlite>::new(into);
    add.push_values(tags, |mut row, tag| {
        row.push_bind(&repository).push_bind(tag.as_str()).push_bind(now).push_bind(at_first_reading);
    });
    add.push(" ON CONFLICT (repository, tag) DO NOTHING");
    add.build().persistent(is_whole(tags)).execute(on).await?;
    Ok(())
}

/// Adds one tag that is first seen now.
async fn begin(
    on: &mut SqliteConnection,
    repository: &Repository,
    tag: &Tag,
    now: Timestamp,
) -> Result<Sighting, JournalError> {
    let at_first_reading = !was_listed(&mut *on, repository).await?;
    add(on, repository, &[tag.by_ref()], now, at_first_reading).await?;
    let first_seen = time(now.as_millisecond(), "the time of a reading")?;
    Ok(Sighting { first_seen, at_first_reading, first: None, last: None, at_last_since: None })
}

/// Keeps that a tag names this digest from now on.
async fn name(
    on: &mut SqliteConnection,
    repository: &Repository,
    tag: &Tag,
    digest: &Digest,
    now: Timestamp,
) -> Result<(), JournalError> {
    let repository = repository.to_string();
    let last = "UPDATE sightings SET first_digest = COALESCE(first_digest, $3), last_digest = $3 \
                WHERE repository = $1 AND tag = $2";
    sqlx::query(last).bind(&repository).bind(tag.as_str()).bind(digest.as_str()).execute(&mut *on).await?;
    let name = "INSERT INTO namings (repository, tag, digest, first_seen_ms) VALUES ($1, $2, $3, $4) \
                ON CONFLICT (repository, tag, digest) DO UPDATE SET first_seen_ms = $4";
    let name = sqlx::query(name).bind(&repository).bind(tag.as_str()).bind(digest.as_str()).bind(now.as_millisecond());
    name.execute(on).await?;
    Ok(())
}

/// `first_seen_ms, at_first_reading, first_digest, last_digest`, and since when it names the last.
type Stored = (i64, bool, Option<String>, Option<String>, Option<i64>);

async fn one<'c>(
    on: impl Executor<'c, Database = Sqlite>,
    repository: &Repository,
    tag: &Tag,
) -> Result<Option<Sighting>, JournalError> {
    let find = "SELECT s.first_seen_ms, s.at_first_reading, s.first_digest, s.last_digest, n.first_seen_ms \
                FROM sightings s LEFT JOIN namings n \
                ON n.repository = s.repository AND n.tag = s.tag AND n.digest = s.last_digest \
                WHERE s.repository = $1 AND s.tag = $2";
    let row: Option<Stored> =
        sqlx::query_as(find).bind(repository.to_string()).bind(tag.as_str()).fetch_optional(on).await?;
    let Some((first_seen, at_first_reading, first, last, since)) = row else { return Ok(None) };
    let what = format!("what was seen of `{tag}` in {repository}");
    let digest = |text: Option<String>| text.map(|text| parsed(Digest::parse(&text), &what)).transpose();
    let (first, last) = (digest(first)?, digest(last)?);
    let at_last_since = since.map(|since| time(since, &what)).transpose()?;
    Ok(Some(Sighting { first_seen: time(first_seen, &what)?, at_first_reading, first, last, at_last_since }))
}
