//! Facts of digests: read once from a registry, kept for ever.

use super::value::parsed;
use super::wire::BuildFactsText;
use super::{Journal, JournalError};
use crate::model::{BuildFacts, Digest, Repository};
use sqlx::{Executor, Sqlite};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Journal {
    /// Keeps what is known of these digests. A fact that is known stays as it is; one that was missing is added. When a
    /// tag was first seen is no fact of a digest and is left out (`sight` keeps it).
    ///
    /// # Errors
    /// `Full` or `Io` where it could not be written.
    pub async fn remember_builds(
        &self,
        repository: &Repository,
        builds: &[(Digest, Arc<BuildFacts>)],
    ) -> Result<(), JournalError> {
        // Most of the time all is known, and then no transaction is begun.
        let mut news = false;
        for (digest, facts) in builds {
            let known = read(&self.readers, repository, digest).await?;
            news |= known.as_ref() != Some(&joined(known.clone(), facts));
        }
        if !news {
            return Ok(());
        }
        let mut write = self.begin().await?;
        for (digest, facts) in builds {
            let facts = joined(read(write.on(), repository, digest).await?, facts);
            let body = serde_json::to_string(&BuildFactsText(facts))
                .map_err(|error| JournalError::Io(format!("the facts of {digest} cannot be written: {error}")))?;
            let keep = "INSERT INTO builds (repository, digest, facts) VALUES ($1, $2, $3) \
                        ON CONFLICT (repository, digest) DO UPDATE SET facts = excluded.facts";
            sqlx::query(keep).bind(repository.to_string()).bind(digest.as_str()).bind(body).execute(write.on()).await?;
        }
        write.commit().await
    }

    /// What is known of a digest.
    ///
    /// # Errors
    /// `Unreadable` where it makes no sense to this version.
    pub async fn build(&self, repository: &Repository, digest: &Digest) -> Result<Option<BuildFacts>, JournalError> {
        read(&self.readers, repository, digest).await
    }

    /// What is known of all digests of a repository.
    ///
    /// # Errors
    /// `Unreadable` where one of them makes no sense to this version.
    pub async fn builds(&self, repository: &Repository) -> Result<BTreeMap<Digest, BuildFacts>, JournalError> {
        let find = "SELECT digest, facts FROM builds WHERE repository = $1";
        let rows: Vec<(String, String)> =
            sqlx::query_as(find).bind(repository.to_string()).fetch_all(&self.readers).await?;
        rows.into_iter()
            .map(|(digest, facts)| Ok((parsed(Digest::parse(&digest), "a build")?, facts_of(&digest, &facts)?)))
            .collect()
    }
}

async fn read<'c>(
    on: impl Executor<'c, Database = Sqlite>,
    repository: &Repository,
    digest: &Digest,
) -> Result<Option<BuildFacts>, JournalError> {
    let find = "SELECT facts FROM builds WHERE repository = $1 AND digest = $2";
    let facts: Option<String> =
        sqlx::query_scalar(find).bind(repository.to_string()).bind(digest.as_str()).fetch_optional(on).await?;
    facts.map(|facts| facts_of(digest.as_str(), &facts)).transpose()
}

fn facts_of(digest: &str, facts: &str) -> Result<BuildFacts, JournalError> {
    let read = serde_json::from_str(facts).map(|BuildFactsText(facts)| facts);
    parsed::<_, serde_json::Error>(read, &format!("what is known of {digest}"))
}

/// What was known, and beside it what only `new` knows.
fn joined(known: Option<BuildFacts>, new: &BuildFacts) -> BuildFacts {
    let known = known.unwrap_or_default();
    let BuildFacts { created, pushed, seen: _, revision, platforms, labels } = new.clone();
    BuildFacts {
        created: known.created.or(created),
        pushed: known.pushed.or(pushed),
        seen: None,
        revision: known.revision.or(revision),
        platforms: if known.platforms.is_empty() { platforms } else { known.platforms },
        labels: if known.labels.is_empty() { labels } else { known.labels },
    }
}
