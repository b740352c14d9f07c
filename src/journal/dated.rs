//! What is remembered of many tags at once: the times of their builds, and when they were first seen.

use super::sightings::{TAGS_PER_STATEMENT, is_whole, pieces};
use super::value::{parsed, time};
use super::{Journal, JournalError};
use crate::model::{Dated, DatedTag, Knowledge, Repository, Tag, TagList, TagRef, Times};
use jiff::Timestamp;
use sqlx::{QueryBuilder, Sqlite};
use std::collections::BTreeMap;

/// `tag, first_seen_ms, digest, created, pushed`.
type Stored = (String, i64, String, Option<String>, Option<String>);

impl Journal {
    /// The times of the builds under these tags, as far as they were read before, make sense to this version, and their tags
    /// were not seen to move.
    ///
    /// # Errors
    /// `Io` where they cannot be read.
    pub async fn dated(&self, repository: &Repository, tags: &TagList) -> Result<Dated, JournalError> {
        let mut dated = Dated::default();
        for piece in pieces(tags) {
            let mut find = QueryBuilder::<Sqlite>::new(
                "SELECT s.tag, s.first_seen_ms, s.last_digest, b.facts ->> '$.created', b.facts ->> '$.pushed' \
                 FROM sightings s JOIN builds b ON b.repository = s.repository AND b.digest = s.last_digest \
                 WHERE s.first_digest = s.last_digest AND s.repository = ",
            );
            find.push_bind(repository.to_string()).push(" AND s.tag IN ");
            find.push_tuples(&piece, |mut row, tag| {
                row.push_bind(tag.as_str());
            });
            find.push(" ORDER BY s.tag");
            let rows: Vec<Stored> = find.build_query_as().persistent(is_whole(&piece)).fetch_all(&self.readers).await?;
            for row in &rows {
                match read(repository, row) {
                    Ok(tag) => tag.iter().for_each(|tag| dated.push(tag)),
                    Err(error) => tracing::error!(%error, "{error}; it is asked of the registry again"),
                }
            }
        }
        Ok(dated)
    }

    /// When these tags were first seen in a repository; nothing of those that were not.
    ///
    /// # Errors
    /// `Unreadable` where a time makes no sense to this version.
    pub async fn first_seen(
        &self,
        repository: &Repository,
        tags: &[Tag],
    ) -> Result<BTreeMap<Tag, Timestamp>, JournalError> {
        let mut seen = BTreeMap::new();
        for tags in tags.chunks(TAGS_PER_STATEMENT) {
            let mut find = QueryBuilder::<Sqlite>::new("SELECT tag, first_seen_ms FROM sightings WHERE repository = ");
            find.push_bind(repository.to_string()).push(" AND tag IN ");
            find.push_tuples(tags, |mut row, tag| {
                row.push_bind(tag.as_str());
            });
            let rows: Vec<(String, i64)> =
                find.build_query_as().persistent(is_whole(tags)).fetch_all(&self.readers).await?;
            for (tag, at) in rows {
                let what = format!("when `{tag}` was first seen in {repository}");
                seen.insert(parsed(Tag::parse(&tag), &what)?, time(at, &what)?);
            }
        }
        Ok(seen)
    }
}

/// A row as a dated tag; none where no tag has such a name.
fn read<'r>(repository: &Repository, row: &'r Stored) -> Result<Option<DatedTag<'r>>, JournalError> {
    let (tag, seen, digest, created, pushed) = row;
    let Some(name) = TagRef::parse(tag) else { return Ok(None) };
    let what = format!("what was read of `{tag}` in {repository}");
    let at = |text: &Option<String>| text.as_ref().map(|text| parsed(text.parse::<Timestamp>(), &what)).transpose();
    let times = Times { created: at(created)?, pushed: at(pushed)?, seen: Some(time(*seen, &what)?) };
    Ok(Some(DatedTag { tag: name, knowledge: Knowledge::Remembered, digest: Some(digest), times }))
}
