//! How far the history of an environment's places was searched for commits of ours, so that no search begins anew.

use super::wire::OurCommitText;
use super::{Journal, JournalError};
use crate::model::{CommitId, EnvironmentName, OurCommit, PolicyName};

/// A search that was made.
#[derive(Debug, Clone, PartialEq)]
pub struct Searched {
    /// The tip that it began at. What is searched later ends here, if the tip is still in the history.
    pub tip: CommitId,
    /// What it found.
    pub ours: OurCommit,
}

impl Journal {
    /// The last search in an environment.
    ///
    /// # Errors
    /// `Unreadable` where it makes no sense to this version.
    pub async fn searched(
        &self,
        policy: &PolicyName,
        environment: &EnvironmentName,
    ) -> Result<Option<Searched>, JournalError> {
        let find = "SELECT tip, ours FROM searched WHERE policy = $1 AND environment = $2";
        let row: Option<(String, String)> =
            sqlx::query_as(find).bind(policy.as_str()).bind(environment.as_str()).fetch_optional(&self.readers).await?;
        let Some((tip, ours)) = row else { return Ok(None) };
        let what = format!("the last search in {policy}/{environment}");
        let OurCommitText(ours) =
            serde_json::from_str(&ours).map_err(|error| JournalError::unreadable(&what, &error))?;
        let tip = CommitId::parse(&tip)
            .ok_or_else(|| JournalError::unreadable(&what, &format_args!("`{tip}` is no commit")))?;
        Ok(Some(Searched { tip, ours }))
    }

    /// Keeps the last search in an environment in place of the one before.
    ///
    /// # Errors
    /// `Full` or `Io` where it could not be written.
    pub async fn set_searched(
        &self,
        policy: &PolicyName,
        environment: &EnvironmentName,
        searched: &Searched,
    ) -> Result<(), JournalError> {
        let ours = serde_json::to_string(&OurCommitText(searched.ours.clone()))
            .map_err(|error| JournalError::Io(format!("a search cannot be written: {error}")))?;
        let keep = "INSERT INTO searched (policy, environment, tip, ours) VALUES ($1, $2, $3, $4) \
                    ON CONFLICT (policy, environment) DO UPDATE SET tip = excluded.tip, ours = excluded.ours";
        let mut write = self.begin().await?;
        sqlx::query(keep)
            .bind(policy.as_str())
            .bind(environment.as_str())
            .bind(searched.tip.as_str())
            .bind(ours)
            .execute(write.on())
            .await?;
        write.commit().await
    }
}
