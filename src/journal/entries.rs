//! The entries: added in batches, read forward to be folded, and backward as history.

use super::value::{number, parsed, stored, time};
use super::{Journal, JournalError, Write, outbox, wire};
use crate::model::{Entry, EnvironmentName, Event, PolicyName, Scope, Sequence};
use crate::relay::report::Row;
use jiff::Timestamp;

/// The most entries that one reading returns: a page of them is some megabytes.
pub const ENTRIES_MAX: u32 = 1_000;

impl Journal {
    /// Adds entries, and the reports that tell them, in one transaction, and returns the entries with their numbers,
    /// which follow each other without a gap and are above all that were given out before.
    ///
    /// `rows` is asked for the reports when the numbers are known. A row that repeats a state of a rollout's deployment
    /// is passed over: a state is told once.
    ///
    /// # Errors
    /// `Full` or `Io` where it could not be written; then nothing of it was.
    pub async fn append(
        &self,
        events: Vec<(Scope, Event)>,
        rows: impl FnOnce(&[Entry]) -> Vec<Row> + Send,
        now: Timestamp,
    ) -> Result<Vec<Entry>, JournalError> {
        let mut write = self.begin().await?;
        let entries = add(&mut write, events, now).await?;
        let rows = rows(&entries);
        if entries.is_empty() && rows.is_empty() {
            write.give_up().await?;
            return Ok(entries);
        }
        outbox::add(&mut write, &rows).await?;
        write.commit().await?;
        Ok(entries)
    }

    /// The entries after `after` that are about something the scope names, oldest first, at most `limit` of them and
    /// never more than `ENTRIES_MAX`. `Scope::default()` names all.
    ///
    /// # Errors
    /// `Unreadable` where one of them makes no sense to this version; none is skipped.
    pub async fn entries(
        &self,
        scope: &Scope,
        after: Option<Sequence>,
        limit: u32,
    ) -> Result<Vec<Entry>, JournalError> {
        let after = after.map_or(0, |Sequence(after)| stored(after));
        self.page(Direction::Forward, scope, after, limit).await
    }

    /// As `entries`, but newest first and before `before`: the pages of a history.
    ///
    /// # Errors
    /// As `entries`.
    pub async fn history(
        &self,
        scope: &Scope,
        before: Option<Sequence>,
        limit: u32,
    ) -> Result<Vec<Entry>, JournalError> {
        let before = before.map_or(i64::MAX, |Sequence(before)| stored(before));
        self.page(Direction::Backward, scope, before, limit).await
    }

    /// The places that an environment had before this entry; none where the journal tells of none.
    ///
    /// # Errors
    /// As `entries`.
    pub async fn places_before(&self, scope: &Scope, before: Sequence) -> Result<Vec<String>, JournalError> {
        let (Some(policy), Some(environment)) = (&scope.policy, &scope.environment) else { return Ok(Vec::new()) };
        let find = "SELECT sequence, at_ms, policy, environment, kind, body FROM entries WHERE policy = $1 \
                    AND environment = $2 AND kind = 'claimed' AND sequence < $3 ORDER BY sequence DESC LIMIT 1";
        let row: Option<Stored> = sqlx::query_as(find)
            .bind(policy.as_str())
            .bind(environment.as_str())
            .bind(stored(before.0))
            .fetch_optional(&self.readers)
            .await?;
        if let Some(Event::Claimed { places }) = row.map(read).transpose()?.map(|entry| entry.event) {
            return Ok(places);
        }
        // The entry may be folded: then what it said counts up to the first entry that is left.
        let ledger = self.ledger_in_checkpoint(scope).await?;
        Ok(ledger.and_then(|ledger| ledger.places).map(Vec::from).unwrap_or_default())
    }

    async fn page(
        &self,
        direction: Direction,
        scope: &Scope,
        from: i64,
        limit: u32,
    ) -> Result<Vec<Entry>, JournalError> {
        let environment = scope.environment.as_ref().map(EnvironmentName::as_str);
        let limit = i64::from(limit.min(ENTRIES_MAX));
        let rows: Vec<Stored> = match &scope.policy {
            None => sqlx::query_as(direction.over_all()).bind(environment).bind(from).bind(limit),
            Some(policy) => {
                sqlx::query_as(direction.over_policy()).bind(environment).bind(from).bind(limit).bind(policy.as_str())
            }
        }
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(read).collect()
    }
}

/// Adds the entries under the next numbers.
///
/// The last number is kept in a row of our own, which is locked until the commit: so the numbers are gapless and grow
/// in the order of the commits under any engine, and none is used again though its entry were gone.
async fn add(write: &mut Write<'_>, events: Vec<(Scope, Event)>, now: Timestamp) -> Result<Vec<Entry>, JournalError> {
    let millis = now.as_millisecond();
    let at = time(millis, "the time of a new entry")?;
    let take = "UPDATE meta SET last_sequence = last_sequence + $1 RETURNING last_sequence - $1";
    let last: i64 = sqlx::query_scalar(take).bind(stored(events.len() as u64)).fetch_one(write.on()).await?;
    let mut sequence = number(last, "the last sequence")?;
    let mut entries = Vec::with_capacity(events.len());
    for (scope, event) in events {
        sequence += 1;
        let (kind, body) = wire::encode(&event)?;
        let add = "INSERT INTO entries (sequence, at_ms, policy, environment, kind, body) \
                   VALUES ($1, $2, $3, $4, $5, $6)";
        sqlx::query(add)
            .bind(stored(sequence))
            .bind(millis)
            .bind(scope.policy.as_ref().map(PolicyName::as_str))
            .bind(scope.environment.as_ref().map(EnvironmentName::as_str))
            .bind(kind)
            .bind(body)
            .execute(write.on())
            .await?;
        entries.push(Entry { sequence: Sequence(sequence), at, scope, event });
    }
    Ok(entries)
}

#[derive(Clone, Copy)]
enum Direction {
    Forward,
    Backward,
}

macro_rules! page {
    (all, $beyond:literal, $order:literal) => {
        concat!(
            "SELECT sequence, at_ms, policy, environment, kind, body FROM entries ",
            "WHERE ($1 IS NULL OR environment IS NULL OR environment = $1) AND sequence ",
            $beyond,
            " $2 ",
            "ORDER BY sequence ",
            $order,
            " LIMIT $3"
        )
    };
    (policy, $beyond:literal, $order:literal) => {
        concat!(
            "SELECT sequence, at_ms, policy, environment, kind, body FROM entries WHERE policy = $4 ",
            "AND ($1 IS NULL OR environment IS NULL OR environment = $1) AND sequence ",
            $beyond,
            " $2 UNION ALL ",
            "SELECT sequence, at_ms, policy, environment, kind, body FROM entries WHERE policy IS NULL ",
            "AND ($1 IS NULL OR environment IS NULL OR environment = $1) AND sequence ",
            $beyond,
            " $2 ",
            "ORDER BY sequence ",
            $order,
            " LIMIT $3"
        )
    };
}

impl Direction {
    /// For all policies; `$1` = environment or null, `$2` = where it begins, `$3` = how many.
    fn over_all(self) -> &'static str {
        match self {
            Self::Forward => page!(all, ">", "ASC"),
            Self::Backward => page!(all, "<", "DESC"),
        }
    }

    /// For the policy `$4`: two ranges of an index, each in order already, that the engine merges up to the limit.
    fn over_policy(self) -> &'static str {
        match self {
            Self::Forward => page!(policy, ">", "ASC"),
            Self::Backward => page!(policy, "<", "DESC"),
        }
    }
}

/// `sequence, at_ms, policy, environment, kind, body`.
type Stored = (i64, i64, Option<String>, Option<String>, String, String);

fn read((sequence, at_ms, policy, environment, kind, body): Stored) -> Result<Entry, JournalError> {
    let sequence = Sequence(number(sequence, "the number of an entry")?);
    let what = format!("entry {sequence}");
    let policy = policy.map(|name| parsed(PolicyName::parse(&name), &what)).transpose()?;
    let environment = environment.map(|name| parsed(EnvironmentName::parse(&name), &what)).transpose()?;
    let event = wire::decode(sequence, &kind, &body)?;
    Ok(Entry { sequence, at: time(at_ms, &what)?, scope: Scope { policy, environment }, event })
}
