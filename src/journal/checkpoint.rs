//! The checkpoint: what old entries came to, kept as one ledger for each environment in place of the entries.
//!
//! It moves forward in steps. One step folds the next entries into the ledgers, deletes those entries, and is one
//! transaction: whenever the process dies, the ledgers and the entries that are left say together what all entries said.
//! Entries about more than one environment are folded like all others and stay, since they also count for environments
//! that are yet to come.

use super::entries::ENTRIES_MAX;
use super::value::{number, parsed, stored, time};
use super::{Journal, JournalError, Write, outbox, schema, sqlite, wire};
use crate::model::{Entry, EnvironmentName, Ledger, PolicyName, Scope, Sequence};
use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use sqlx::SqliteConnection;
use std::collections::BTreeSet;

/// How many entries one step folds: a few milliseconds for which other writers wait.
const FOLD_STEP: u32 = 500;
/// The tables of the checkpoint, made with the first one.
const TABLES: &str = "CREATE TABLE IF NOT EXISTS folded (sequence BIGINT NOT NULL, at_ms BIGINT NOT NULL);\
                      CREATE TABLE IF NOT EXISTS ledgers (policy TEXT NOT NULL, environment TEXT NOT NULL, \
                      body TEXT NOT NULL, PRIMARY KEY (policy, environment))";

/// How far entries were folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Folded {
    /// The last entry that was folded.
    pub last: Sequence,
    /// When it was written.
    pub at: Timestamp,
}

/// What the entries up to `folded` came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// How far it goes.
    pub folded: Folded,
    /// The ledger of each environment that the folded entries name.
    pub ledgers: Vec<(Scope, Ledger)>,
}

impl Journal {
    /// How far entries were folded; none where none was.
    ///
    /// # Errors
    /// `Unreadable` or `Io` where it could not be read.
    pub async fn folded(&self) -> Result<Option<Folded>, JournalError> {
        folded(&mut *self.readers.acquire().await?).await
    }

    /// The checkpoint; none where nothing was folded.
    ///
    /// # Errors
    /// `Unreadable` where a ledger makes no sense to this version; `Io` where it could not be read.
    pub async fn checkpoint(&self) -> Result<Option<Checkpoint>, JournalError> {
        // In one transaction, so that a step beside it is seen whole or not at all.
        let mut reading = self.readers.begin().await?;
        let Some(folded) = folded(&mut reading).await? else { return Ok(None) };
        let mut ledgers = Vec::new();
        let find = "SELECT policy, environment, body FROM ledgers ORDER BY policy, environment";
        let mut rows = sqlx::query_as::<_, (String, String, String)>(find).fetch(&mut *reading);
        while let Some((policy, environment, body)) = rows.try_next().await? {
            let scope = scope(&policy, &environment)?;
            let ledger = wire::decode_ledger(&scope, &body)?;
            ledgers.push((scope, ledger));
        }
        Ok(Some(Checkpoint { folded, ledgers }))
    }

    /// Makes one step: folds the next entries that are older than `cutoff` into the checkpoint, and deletes them and the
    /// reports of their rollouts that GitLab took and nothing reads any more. Returns how many it folded; fewer than one
    /// means that no older entry is left.
    ///
    /// # Errors
    /// `Full` or `Io` where it could not be written, `Unreadable` where something makes no sense to this version: then
    /// nothing changed.
    pub async fn fold_before(&self, cutoff: Timestamp, now: Timestamp) -> Result<usize, JournalError> {
        let before = self.folded().await?.map(|folded| folded.last);
        let mut page = self.entries(&Scope::default(), before, FOLD_STEP.min(ENTRIES_MAX)).await?;
        page.truncate(n_old(&page, cutoff, now));
        let Some(last) = page.last() else { return Ok(0) };
        let folded = Folded { last: last.sequence, at: last.at };
        let ledgers = self.fold(before, &page).await?;
        let mut write = self.begin().await?;
        sqlx::raw_sql(TABLES).execute(write.on()).await?;
        schema::set_folded(write.on()).await?;
        for (scope, body) in &ledgers {
            keep(&mut write, scope, body).await?;
        }
        advance(&mut write, before, folded).await?;
        outbox::forget_told(&mut write, folded.last).await?;
        write.commit().await?;
        Ok(page.len())
    }

    /// The ledgers that these entries change, as they are to be stored after them.
    async fn fold(&self, before: Option<Sequence>, page: &[Entry]) -> Result<Vec<(Scope, String)>, JournalError> {
        let wide = match before {
            // All that is left up to there are entries about more than one environment.
            Some(before) => self.entries_up_to(before).await?,
            None => Vec::new(),
        };
        let mut changed: BTreeSet<Scope> = page.iter().map(|entry| entry.scope.clone()).filter(is_one).collect();
        let mut known = self.known_scopes(before).await?;
        if page.iter().any(|entry| !is_one(&entry.scope)) {
            changed.extend(known.iter().cloned());
        }
        let mut ledgers = Vec::with_capacity(changed.len());
        for scope in changed {
            let stored = if known.remove(&scope) { self.stored_ledger(&scope).await? } else { None };
            let mut ledger = stored.unwrap_or_else(|| Ledger::of(&scope, &wide));
            for entry in page.iter().filter(|entry| entry.scope.contains(&scope)) {
                ledger.apply(entry);
            }
            ledger.condense();
            let body = wire::encode_ledger(&ledger)?;
            ledgers.push((scope, body));
        }
        Ok(ledgers)
    }

    async fn entries_up_to(&self, last: Sequence) -> Result<Vec<Entry>, JournalError> {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = self.entries(&Scope::default(), after, ENTRIES_MAX).await?;
            after = page.last().map(|entry| entry.sequence);
            found.extend(page.into_iter().take_while(|entry| entry.sequence <= last));
            if after.is_none_or(|after| after >= last) {
                return Ok(found);
            }
        }
    }

    async fn known_scopes(&self, before: Option<Sequence>) -> Result<BTreeSet<Scope>, JournalError> {
        if before.is_none() {
            return Ok(BTreeSet::new());
        }
        let find = "SELECT policy, environment FROM ledgers";
        let rows: Vec<(String, String)> = sqlx::query_as(find).fetch_all(&self.readers).await?;
        rows.iter().map(|(policy, environment)| scope(policy, environment)).collect()
    }

    /// What the folded entries of an environment came to; none where none was folded.
    pub(super) async fn ledger_in_checkpoint(&self, scope: &Scope) -> Result<Option<Ledger>, JournalError> {
        Ok(if self.folded().await?.is_some() { self.stored_ledger(scope).await? } else { None })
    }

    async fn stored_ledger(&self, scope: &Scope) -> Result<Option<Ledger>, JournalError> {
        let find = "SELECT body FROM ledgers WHERE policy = $1 AND environment = $2";
        let (policy, environment) = names(scope);
        let body: Option<String> =
            sqlx::query_scalar(find).bind(policy).bind(environment).fetch_optional(&self.readers).await?;
        body.map(|body| wire::decode_ledger(scope, &body)).transpose()
    }
}

/// How many of these entries, which follow each other, are older than `cutoff`. One that is later than now was written by
/// a clock that was wrong: it says nothing, and goes with those around it.
fn n_old(page: &[Entry], cutoff: Timestamp, now: Timestamp) -> usize {
    let is_young = |entry: &Entry| cutoff <= entry.at && entry.at <= now;
    let n = page.iter().position(is_young).unwrap_or(page.len());
    page[..n].iter().rposition(|entry| entry.at < cutoff).map_or(0, |last| last + 1)
}

fn is_one(scope: &Scope) -> bool {
    scope.policy.is_some() && scope.environment.is_some()
}

fn names(scope: &Scope) -> (Option<&str>, Option<&str>) {
    (scope.policy.as_ref().map(PolicyName::as_str), scope.environment.as_ref().map(EnvironmentName::as_str))
}

fn scope(policy: &str, environment: &str) -> Result<Scope, JournalError> {
    let what = "the name of a ledger";
    let policy = parsed(PolicyName::parse(policy), what)?;
    let environment = parsed(EnvironmentName::parse(environment), what)?;
    Ok(Scope::of(&policy, &environment))
}

async fn folded(connection: &mut SqliteConnection) -> Result<Option<Folded>, JournalError> {
    if !sqlite::tables(connection).await?.iter().any(|table| table == "folded") {
        return Ok(None);
    }
    let find = "SELECT sequence, at_ms FROM folded";
    let row: Option<(i64, i64)> = sqlx::query_as(find).fetch_optional(connection).await?;
    let read = |(sequence, at_ms)| {
        let what = "how far entries were folded";
        Ok(Folded { last: Sequence(number(sequence, what)?), at: time(at_ms, what)? })
    };
    row.map(read).transpose()
}

async fn keep(write: &mut Write<'_>, scope: &Scope, body: &str) -> Result<(), JournalError> {
    let keep = "INSERT INTO ledgers (policy, environment, body) VALUES ($1, $2, $3) \
                ON CONFLICT (policy, environment) DO UPDATE SET body = excluded.body";
    let (policy, environment) = names(scope);
    sqlx::query(keep).bind(policy).bind(environment).bind(body).execute(write.on()).await?;
    Ok(())
}

/// Writes down how far entries are folded now, and deletes those that only a ledger needed.
async fn advance(write: &mut Write<'_>, before: Option<Sequence>, to: Folded) -> Result<(), JournalError> {
    let (last, at_ms) = (stored(to.last.0), to.at.as_millisecond());
    let moved = match before {
        None => {
            let begin = "INSERT INTO folded (sequence, at_ms) SELECT $1, $2 WHERE NOT EXISTS (SELECT 1 FROM folded)";
            sqlx::query(begin).bind(last).bind(at_ms).execute(write.on()).await?
        }
        Some(before) => {
            let advance = "UPDATE folded SET sequence = $1, at_ms = $2 WHERE sequence = $3";
            sqlx::query(advance).bind(last).bind(at_ms).bind(stored(before.0)).execute(write.on()).await?
        }
    };
    if moved.rows_affected() != 1 {
        return Err(JournalError::Io("two programs fold its entries at once".to_owned()));
    }
    let forget = "DELETE FROM entries WHERE sequence > $1 AND sequence <= $2 \
                  AND policy IS NOT NULL AND environment IS NOT NULL";
    let after = before.map_or(0, |before| stored(before.0));
    sqlx::query(forget).bind(after).bind(last).execute(write.on()).await?;
    Ok(())
}
