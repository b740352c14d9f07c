//! When each tag was first seen, and which digests it was seen to name: no registry tells this again.
//!
//! A reading that brings nothing new writes nothing.

use super::value::{parsed, time};
use super::{Journal, JournalError};
use crate::model::{Digest, Repository, Tag};
use jiff::Timestamp;
use sqlx::{Executor, QueryBuilder, Sqlite, SqliteConnection};
use std::collections::BTreeMap;

/// How many rows one statement adds: six values each, far below the 32 766 that SQLite binds at once.
const ROWS_PER_STATEMENT: usize = 500;

/// How much of a repository a reading saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// The whole list of tags.
    List,
    /// These tags alone, as when one is followed.
    Tags,
}

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
}

impl Sighting {
    /// Whether it came to name another digest than the first known.
    #[must_use]
    pub fn moved(&self) -> bool {
        self.first != self.last
    }
}

impl Journal {
    /// Keeps what a reading of a repository saw: its tags, each with the digest it names where that was asked. Returns
    /// what is now known of these tags.
    ///
    /// # Errors
    /// `Full` or `Io` where it could not be written.
    pub async fn sight(
        &self,
        repository: &Repository,
        extent: Extent,
        tags: &[(Tag, Option<Digest>)],
        now: Timestamp,
    ) -> Result<BTreeMap<Tag, Sighting>, JournalError> {
        let mut reader = self.readers.acquire().await?;
        let seen = News::of(&mut reader, repository, extent, tags, now).await?;
        drop(reader);
        if seen.is_nothing() {
            return Ok(seen.known);
        }
        // Another reading may have told the same meanwhile, so the writer looks again before it adds.
        let mut write = self.begin().await?;
        let seen = News::of(write.on(), repository, extent, tags, now).await?;
        seen.add(write.on(), repository, now).await?;
        write.commit().await?;
        Ok(seen.known)
    }

    /// What is known of every tag that was ever seen in a repository.
    ///
    /// # Errors
    /// `Unreadable` where a tag makes no sense to this version.
    pub async fn sightings(&self, repository: &Repository) -> Result<BTreeMap<Tag, Sighting>, JournalError> {
        all(&self.readers, repository).await
    }

    /// What is known of one tag; none where it was never seen.
    ///
    /// # Errors
    /// `Unreadable` where it makes no sense to this version.
    pub async fn sighting(&self, repository: &Repository, tag: &Tag) -> Result<Option<Sighting>, JournalError> {
        one(&self.readers, repository, tag).await
    }

    /// Every digest that a tag was seen to name, and since when, oldest first.
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

/// What a reading tells beyond what is known.
struct News<'a> {
    known: BTreeMap<Tag, Sighting>,
    first_list: bool,
    tags: Vec<&'a Tag>,
    digests: Vec<(&'a Tag, &'a Digest)>,
}

impl<'a> News<'a> {
    async fn of(
        on: &mut SqliteConnection,
        repository: &Repository,
        extent: Extent,
        tags: &'a [(Tag, Option<Digest>)],
        now: Timestamp,
    ) -> Result<Self, JournalError> {
        let listed = "SELECT COUNT(*) FROM readings WHERE repository = $1";
        let listed: i64 = sqlx::query_scalar(listed).bind(repository.to_string()).fetch_one(&mut *on).await?;
        let mut before = match extent {
            Extent::List => all(&mut *on, repository).await?,
            Extent::Tags => some(on, repository, tags).await?,
        };
        let at_first_reading = listed == 0;
        let first_seen = time(now.as_millisecond(), "the time of a reading")?;
        let first_list = at_first_reading && extent == Extent::List;
        let mut news = Self { known: BTreeMap::new(), first_list, tags: Vec::new(), digests: Vec::new() };
        for (tag, digest) in tags {
            let mut sighting = before.remove(tag).or_else(|| news.known.remove(tag)).unwrap_or_else(|| {
                news.tags.push(tag);
                Sighting { first_seen, at_first_reading, first: None, last: None }
            });
            if let Some(digest) = digest.as_ref().filter(|digest| sighting.last.as_ref() != Some(digest)) {
                news.digests.push((tag, digest));
                sighting.last = Some(digest.clone());
                sighting.first.get_or_insert_with(|| digest.clone());
            }
            news.known.insert(tag.clone(), sighting);
        }
        Ok(news)
    }

    fn is_nothing(&self) -> bool {
        !self.first_list && self.tags.is_empty() && self.digests.is_empty()
    }

    async fn add(
        &self,
        on: &mut SqliteConnection,
        repository: &Repository,
        now: Timestamp,
    ) -> Result<(), JournalError> {
        let (repository, now) = (repository.to_string(), now.as_millisecond());
        if self.first_list {
            let first = "INSERT INTO readings (repository, first_ms) VALUES ($1, $2)";
            sqlx::query(first).bind(&repository).bind(now).execute(&mut *on).await?;
        }
        for tags in self.tags.chunks(ROWS_PER_STATEMENT) {
            let add = "INSERT INTO sightings (repository, tag, first_seen_ms, at_first_reading) ";
            let mut add = QueryBuilder::<Sqlite>::new(add);
            add.push_values(tags, |mut row, tag| {
                let at_first_reading = self.known.get::<Tag>(tag).is_some_and(|sighting| sighting.at_first_reading);
                row.push_bind(&repository).push_bind(tag.as_str()).push_bind(now).push_bind(at_first_reading);
            });
            add.build().execute(&mut *on).await?;
        }
        for (tag, digest) in &self.digests {
            let last = "UPDATE sightings SET first_digest = COALESCE(first_digest, $3), last_digest = $3 \
                        WHERE repository = $1 AND tag = $2";
            let name = "INSERT INTO namings (repository, tag, digest, first_seen_ms) VALUES ($1, $2, $3, $4) \
                        ON CONFLICT (repository, tag, digest) DO NOTHING";
            sqlx::query(last).bind(&repository).bind(tag.as_str()).bind(digest.as_str()).execute(&mut *on).await?;
            sqlx::query(name)
                .bind(&repository)
                .bind(tag.as_str())
                .bind(digest.as_str())
                .bind(now)
                .execute(&mut *on)
                .await?;
        }
        Ok(())
    }
}

/// `tag, first_seen_ms, at_first_reading, first_digest, last_digest`.
type Stored = (String, i64, bool, Option<String>, Option<String>);

async fn all<'c>(
    on: impl Executor<'c, Database = Sqlite>,
    repository: &Repository,
) -> Result<BTreeMap<Tag, Sighting>, JournalError> {
    let find = "SELECT tag, first_seen_ms, at_first_reading, first_digest, last_digest FROM sightings \
                WHERE repository = $1";
    let rows: Vec<Stored> = sqlx::query_as(find).bind(repository.to_string()).fetch_all(on).await?;
    rows.into_iter().map(|row| read(repository, row)).collect()
}

async fn some(
    on: &mut SqliteConnection,
    repository: &Repository,
    tags: &[(Tag, Option<Digest>)],
) -> Result<BTreeMap<Tag, Sighting>, JournalError> {
    let mut known = BTreeMap::new();
    for (tag, _) in tags {
        known.extend(one(&mut *on, repository, tag).await?.map(|sighting| (tag.clone(), sighting)));
    }
    Ok(known)
}

async fn one<'c>(
    on: impl Executor<'c, Database = Sqlite>,
    repository: &Repository,
    tag: &Tag,
) -> Result<Option<Sighting>, JournalError> {
    let find = "SELECT tag, first_seen_ms, at_first_reading, first_digest, last_digest FROM sightings \
                WHERE repository = $1 AND tag = $2";
    let row: Option<Stored> =
        sqlx::query_as(find).bind(repository.to_string()).bind(tag.as_str()).fetch_optional(on).await?;
    row.map(|row| Ok(read(repository, row)?.1)).transpose()
}

fn read(repository: &Repository, row: Stored) -> Result<(Tag, Sighting), JournalError> {
    let (tag, first_seen, at_first_reading, first, last) = row;
    let what = format!("what was seen of `{tag}` in {repository}");
    let digest = |text: Option<String>| text.map(|text| parsed(Digest::parse(&text), &what)).transpose();
    let (first, last) = (digest(first)?, digest(last)?);
    let sighting = Sighting { first_seen: time(first_seen, &what)?, at_first_reading, first, last };
    Ok((parsed(Tag::parse(&tag), &what)?, sighting))
}
