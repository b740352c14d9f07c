//! The outbox: what GitLab is still to be told, in order for each project and environment, and what it was told.
//!
//! A row is added with the fact that it tells (`Journal::append`). It is `pending`, then `intended` right before it is
//! sent, so that after a crash the sender looks for the deployment before it makes one; it ends `sent`, or `parked`
//! with a reason where GitLab can never take it. A row that waits holds back the later rows of its environment in that
//! project, and no others.

use super::value::{number, stored, time};
use super::wire::{self, RowRef, RowText};
use super::write::Writer;
use super::{Journal, JournalError, Write};
use crate::model::Sequence;
use crate::relay::report::{Row, State};
use jiff::Timestamp;

/// The most rows that one reading returns: the sender takes them from the front, so more is never needed.
pub const OUTBOX_PAGE: u32 = 100;

/// Why a row is parked without having been sent.
const RUNNING_PARKED: &str = "the `running` report of this rollout was parked";

/// The number of a row: rows of a project are sent in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowId(pub u64);

/// A report as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Outgoing {
    /// Its number.
    pub id: RowId,
    /// What is told, to whom.
    pub row: Row,
    /// How far it came.
    pub status: RowStatus,
    /// How many times it was put off.
    pub attempts: u64,
    /// When it is tried again; none = at once.
    pub next_try: Option<Timestamp>,
    /// Why it was put off or parked.
    pub reason: Option<String>,
    /// The deployment that GitLab made of it, or that it was told to.
    pub deployment: Option<u64>,
}

/// How far a report came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowStatus {
    /// It was not sent.
    Pending,
    /// It may have been sent.
    Intended,
    /// GitLab took it.
    Sent,
    /// GitLab refused it for good.
    Parked,
}

impl RowStatus {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "pending" => Self::Pending,
            "intended" => Self::Intended,
            "sent" => Self::Sent,
            "parked" => Self::Parked,
            _ => return None,
        })
    }
}

/// Adds rows to a transaction that is being written.
pub(super) async fn add(write: &mut Write<'_>, rows: &[Row]) -> Result<(), JournalError> {
    let take = "UPDATE meta SET last_row = last_row + $1 RETURNING last_row - $1";
    let mut id: i64 = sqlx::query_scalar(take).bind(stored(rows.len() as u64)).fetch_one(write.on()).await?;
    for row in rows {
        id += 1;
        let revision = wire::revision_key(&row.revision)?;
        let body = serde_json::to_string(&RowRef(row))
            .map_err(|error| JournalError::Io(format!("a report cannot be written: {error}")))?;
        let (status, reason) = match is_running_parked(write, row, &revision).await? {
            true => ("parked", Some(RUNNING_PARKED)),
            false => ("pending", None),
        };
        let add = "INSERT INTO outbox \
                   (id, project, environment, rollout, revision, state, body, status, attempts, reason) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9) \
                   ON CONFLICT (rollout, project, environment, revision, state) DO NOTHING";
        sqlx::query(add)
            .bind(id)
            .bind(&row.project)
            .bind(&row.environment)
            .bind(stored(row.rollout.0))
            .bind(revision)
            .bind(row.state.as_str())
            .bind(body)
            .bind(status)
            .bind(reason)
            .execute(write.on())
            .await?;
    }
    Ok(())
}

/// Forgets reports of rollouts up to `last` that GitLab took: those of which the end was told, and after which GitLab was
/// told of a later rollout of the same environment. What a later report, or a search after a crash, looks for stays: the
/// newest rollout of each environment, and the newest deployment.
pub(super) async fn forget_told(write: &mut Write<'_>, last: Sequence) -> Result<(), JournalError> {
    let forget = "DELETE FROM outbox WHERE status = 'sent' AND rollout <= $1 \
                  AND NOT EXISTS (SELECT 1 FROM outbox same WHERE same.rollout = outbox.rollout \
                  AND same.status <> 'sent') \
                  AND EXISTS (SELECT 1 FROM outbox ended WHERE ended.rollout = outbox.rollout \
                  AND ended.project = outbox.project AND ended.environment = outbox.environment \
                  AND ended.revision = outbox.revision AND ended.state <> $2) \
                  AND EXISTS (SELECT 1 FROM outbox later WHERE later.project = outbox.project \
                  AND later.environment = outbox.environment AND later.rollout > outbox.rollout \
                  AND later.status = 'sent' \
                  AND COALESCE(later.deployment_id, 0) >= COALESCE(outbox.deployment_id, 0))";
    sqlx::query(forget).bind(stored(last.0)).bind(State::Running.as_str()).execute(write.on()).await?;
    Ok(())
}

/// Whether the deployment that the row is about was never made and will not be.
async fn is_running_parked(write: &mut Write<'_>, row: &Row, revision: &str) -> Result<bool, JournalError> {
    let find = "SELECT COUNT(*) FROM outbox WHERE rollout = $1 AND project = $2 AND environment = $3 \
                AND revision = $4 AND state = $5 AND status = 'parked'";
    let parked: i64 = sqlx::query_scalar(find)
        .bind(stored(row.rollout.0))
        .bind(&row.project)
        .bind(&row.environment)
        .bind(revision)
        .bind(State::Running.as_str())
        .fetch_one(write.on())
        .await?;
    Ok(parked > 0)
}

macro_rules! rows {
    ($rest:literal) => {
        concat!("SELECT id, body, status, attempts, next_try_ms, reason, deployment_id FROM outbox ", $rest)
    };
}

/// Takes up rows that were parked, as far as this condition says and nothing later was told of their environment.
macro_rules! take_up {
    ($which:literal) => {
        concat!(
            "UPDATE outbox SET status = 'pending', next_try_ms = NULL, attempts = 0 WHERE status = 'parked' AND ",
            $which,
            " AND NOT EXISTS (SELECT 1 FROM outbox later WHERE later.project = outbox.project \
             AND later.environment = outbox.environment AND later.rollout > outbox.rollout AND later.status = 'sent')"
        )
    };
}

/// Takes up what earlier versions parked though a person could mend it: a right, an allow-list, a path. They parked the
/// later rows of the same rollout with it.
pub(super) async fn take_up_what_people_mend(writer: &Writer) -> Result<(), JournalError> {
    let mut write = writer.begin().await?;
    let begins = take_up!(
        "(reason LIKE '%GitLab answered 401%' OR reason LIKE '%GitLab answered 403%' \
         OR reason LIKE '%GitLab answered 404%')"
    );
    let taken = sqlx::query(begins).execute(write.on()).await?.rows_affected();
    if taken == 0 {
        return write.give_up().await;
    }
    let follow = take_up!(
        "(rollout, project, environment, revision) IN (SELECT rollout, project, environment, revision FROM outbox \
         WHERE state = 'running' AND status = 'pending')"
    );
    sqlx::query(follow).execute(write.on()).await?;
    write.commit().await
}

impl Journal {
    /// The projects that are still to be told something.
    ///
    /// # Errors
    /// `Io` where the journal could not be read.
    pub async fn projects_to_tell(&self) -> Result<Vec<String>, JournalError> {
        let find = "SELECT DISTINCT project FROM outbox WHERE status IN ('pending', 'intended') ORDER BY project";
        Ok(sqlx::query_scalar(find).fetch_all(&self.readers).await?)
    }

    /// The row of each environment of a project that goes next, in order.
    ///
    /// # Errors
    /// `Unreadable` where a row makes no sense.
    pub async fn next_rows(&self, project: &str) -> Result<Vec<Outgoing>, JournalError> {
        let find = rows!(
            "WHERE id IN (SELECT MIN(id) FROM outbox WHERE project = $1 AND status IN ('pending', 'intended') \
             GROUP BY environment) ORDER BY id"
        );
        let rows: Vec<Stored> = sqlx::query_as(find).bind(project).fetch_all(&self.readers).await?;
        rows.into_iter().map(read).collect()
    }

    /// The newest reports of every project, newest first, at most [`OUTBOX_PAGE`]; `unsent` leaves out what GitLab took.
    ///
    /// # Errors
    /// `Unreadable` where a row makes no sense.
    pub async fn reports(&self, unsent: bool) -> Result<Vec<Outgoing>, JournalError> {
        let find = match unsent {
            true => rows!("WHERE status != 'sent' ORDER BY id DESC LIMIT $1"),
            false => rows!("ORDER BY id DESC LIMIT $1"),
        };
        let rows: Vec<Stored> = sqlx::query_as(find).bind(i64::from(OUTBOX_PAGE)).fetch_all(&self.readers).await?;
        rows.into_iter().map(read).collect()
    }

    /// Has all that waits tried at once, and takes up what was parked, unless a later rollout of its environment was told
    /// meanwhile: GitLab would take the older one for what runs. Returns the projects, and how many rows.
    ///
    /// # Errors
    /// `Full` or `Io` where it could not be written.
    pub async fn retry_reports(&self) -> Result<(Vec<String>, u64), JournalError> {
        let mut write = self.begin().await?;
        let due = "UPDATE outbox SET next_try_ms = NULL, attempts = 0 WHERE status IN ('pending', 'intended') \
                   AND next_try_ms IS NOT NULL";
        let due = sqlx::query(due).execute(write.on()).await?.rows_affected();
        let taken = sqlx::query(take_up!("1 = 1")).execute(write.on()).await?.rows_affected();
        write.commit().await?;
        Ok((self.projects_to_tell().await?, due + taken))
    }

    /// What GitLab refused for good, newest first, at most [`OUTBOX_PAGE`].
    ///
    /// # Errors
    /// `Unreadable` where a row makes no sense to this version, `Io` where the journal could not be read.
    pub async fn parked(&self, project: &str) -> Result<Vec<Outgoing>, JournalError> {
        let find = rows!("WHERE project = $1 AND status = 'parked' ORDER BY id DESC LIMIT $2");
        let rows: Vec<Stored> =
            sqlx::query_as(find).bind(project).bind(i64::from(OUTBOX_PAGE)).fetch_all(&self.readers).await?;
        rows.into_iter().map(read).collect()
    }

    /// What a project is still to be told, in order, at most `OUTBOX_PAGE` rows.
    ///
    /// # Errors
    /// `Unreadable` where a row makes no sense.
    pub async fn pending(&self, project: &str) -> Result<Vec<Outgoing>, JournalError> {
        let find = rows!("WHERE project = $1 AND status IN ('pending', 'intended') ORDER BY id LIMIT $2");
        let rows: Vec<Stored> =
            sqlx::query_as(find).bind(project).bind(i64::from(OUTBOX_PAGE)).fetch_all(&self.readers).await?;
        rows.into_iter().map(read).collect()
    }

    /// What was told of a rollout, and what not, in order.
    ///
    /// # Errors
    /// `Unreadable` where a row makes no sense.
    pub async fn reports_of(&self, rollout: Sequence) -> Result<Vec<Outgoing>, JournalError> {
        let find = rows!("WHERE rollout = $1 ORDER BY id LIMIT $2");
        let rows: Vec<Stored> =
            sqlx::query_as(find).bind(stored(rollout.0)).bind(i64::from(OUTBOX_PAGE)).fetch_all(&self.readers).await?;
        rows.into_iter().map(read).collect()
    }

    /// Writes down that a row is about to be sent.
    ///
    /// # Errors
    /// `Full` or `Io` where it could not be written; then nothing may be sent.
    pub async fn mark_intended(&self, id: RowId) -> Result<(), JournalError> {
        let mark = "UPDATE outbox SET status = 'intended' WHERE id = $1 AND status = 'pending'";
        let mut write = self.begin().await?;
        sqlx::query(mark).bind(stored(id.0)).execute(write.on()).await?;
        write.commit().await
    }

    /// Writes down that GitLab took a row, and the deployment it is about.
    ///
    /// # Errors
    /// `Full` or `Io` where it could not be written; the row is still `Intended`.
    pub async fn mark_sent(&self, id: RowId, deployment: Option<u64>) -> Result<(), JournalError> {
        let mark = "UPDATE outbox SET status = 'sent', deployment_id = $2, next_try_ms = NULL, reason = NULL \
                    WHERE id = $1 AND status IN ('pending', 'intended')";
        let mut write = self.begin().await?;
        sqlx::query(mark).bind(stored(id.0)).bind(deployment.map(stored)).execute(write.on()).await?;
        write.commit().await
    }

    /// Puts a row off. Whether it may have been sent stays as it was.
    ///
    /// # Errors
    /// `Full` or `Io` where it could not be written.
    pub async fn retry_later(&self, id: RowId, at: Timestamp, reason: &str) -> Result<(), JournalError> {
        let mark = "UPDATE outbox SET attempts = attempts + 1, next_try_ms = $2, reason = $3 \
                    WHERE id = $1 AND status IN ('pending', 'intended')";
        let mut write = self.begin().await?;
        sqlx::query(mark).bind(stored(id.0)).bind(at.as_millisecond()).bind(reason).execute(write.on()).await?;
        write.commit().await
    }

    /// Gives a row up for good. A `running` takes along what is and will be told of its rollout there, since no
    /// deployment stands that it could be told to.
    ///
    /// # Errors
    /// `Full` or `Io` where it could not be written.
    pub async fn park(&self, id: RowId, reason: &str) -> Result<(), JournalError> {
        let park = "UPDATE outbox SET status = 'parked', next_try_ms = NULL, reason = $2 \
                    WHERE id = $1 AND status IN ('pending', 'intended')";
        let rest = "UPDATE outbox SET status = 'parked', next_try_ms = NULL, reason = $2 \
                    WHERE status IN ('pending', 'intended') AND (rollout, project, environment, revision) = \
                    (SELECT rollout, project, environment, revision FROM outbox WHERE id = $1 AND state = $3)";
        let mut write = self.begin().await?;
        sqlx::query(park).bind(stored(id.0)).bind(reason).execute(write.on()).await?;
        sqlx::query(rest)
            .bind(stored(id.0))
            .bind(RUNNING_PARKED)
            .bind(State::Running.as_str())
            .execute(write.on())
            .await?;
        write.commit().await
    }

    /// The newest deployment that we made in an environment of a project: what we look for after a crash is above it.
    ///
    /// # Errors
    /// `Io` where the journal could not be read.
    pub async fn last_deployment(&self, project: &str, environment: &str) -> Result<Option<u64>, JournalError> {
        let find = "SELECT MAX(deployment_id) FROM outbox WHERE project = $1 AND environment = $2";
        let id: Option<i64> = sqlx::query_scalar(find).bind(project).bind(environment).fetch_one(&self.readers).await?;
        id.map(|id| number(id, "a deployment's id")).transpose()
    }

    /// Whether this journal ever had to do with a deployment of a project's environment.
    ///
    /// # Errors
    /// `Io` where the journal could not be read.
    pub async fn knows_deployment(&self, project: &str, environment: &str, id: u64) -> Result<bool, JournalError> {
        let find = "SELECT COUNT(*) FROM outbox WHERE project = $1 AND environment = $2 AND deployment_id = $3";
        let n: i64 =
            sqlx::query_scalar(find).bind(project).bind(environment).bind(stored(id)).fetch_one(&self.readers).await?;
        Ok(n > 0)
    }

    /// The deployment that a row is about, where an earlier row of it made one.
    ///
    /// # Errors
    /// `Io` where the journal could not be read.
    pub async fn deployment_of(&self, row: &Row) -> Result<Option<u64>, JournalError> {
        let find = "SELECT MAX(deployment_id) FROM outbox WHERE rollout = $1 AND project = $2 AND environment = $3 \
                    AND revision = $4";
        let id: Option<i64> = sqlx::query_scalar(find)
            .bind(stored(row.rollout.0))
            .bind(&row.project)
            .bind(&row.environment)
            .bind(wire::revision_key(&row.revision)?)
            .fetch_one(&self.readers)
            .await?;
        id.map(|id| number(id, "a deployment's id")).transpose()
    }
}

/// The columns of `rows!`.
type Stored = (i64, String, String, i64, Option<i64>, Option<String>, Option<i64>);

fn read(row: Stored) -> Result<Outgoing, JournalError> {
    let (id, body, status, attempts, next_try, reason, deployment) = row;
    let what = format!("report {id}");
    let RowText(row) = serde_json::from_str(&body).map_err(|error| JournalError::unreadable(&what, &error))?;
    Ok(Outgoing {
        id: RowId(number(id, &what)?),
        row,
        status: RowStatus::parse(&status)
            .ok_or_else(|| JournalError::unreadable(&what, &format_args!("`{status}` is no status")))?,
        attempts: number(attempts, &what)?,
        next_try: next_try.map(|at| time(at, &what)).transpose()?,
        reason,
        deployment: deployment.map(|id| number(id, &what)).transpose()?,
    })
}
