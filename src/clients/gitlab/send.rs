//! Sends one row of the outbox, so that GitLab has each state of a rollout once, whenever we were killed.
//!
//! What was sent is the caller's to keep: the intent before, the id after. This file only knows what to do with them.

use super::deployments::{DeploymentId, NewDeployment};
use super::error::GitLabError;
use super::{GitLab, Updated};
use crate::model::{CommitId, text};
use crate::relay::report::{Revision, Row, State};

/// What became of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The deployment that has the row's state now.
    pub id: DeploymentId,
    /// Whether GitLab had it already: an earlier try had arrived.
    pub adopted: bool,
    /// What GitLab refused besides: the environment's tier or address. The state was told all the same.
    pub remark: Option<String>,
}

/// Sends one row.
///
/// `known` is the deployment that the rollout's `running` row made; `last_known` the newest deployment of this project
/// and environment that the caller ever got; `is_intended` whether an earlier try of this row may have reached GitLab,
/// that is, whether its intent stood in the journal before this call.
///
/// Looking before asking again finds what an earlier try made as long as GitLab is done with that try: it gives a
/// request up after a minute, which is also the usual time limit of our transport.
///
/// # Errors
/// As [`GitLabError`] says; after a final one the row is parked, and with a `running` row the rest of its rollout's.
pub async fn send(
    gitlab: &GitLab,
    row: &Row,
    known: Option<DeploymentId>,
    last_known: Option<DeploymentId>,
    is_intended: bool,
) -> Result<Sent, GitLabError> {
    match (row.state, known) {
        (State::Running, Some(id)) => Ok(Sent { id, adopted: true, remark: None }),
        (State::Running, None) => begin(gitlab, row, last_known, is_intended).await,
        (State::Success | State::Failed | State::Canceled, Some(id)) => {
            let updated = gitlab.update_deployment(&row.project, id, row.state).await?;
            Ok(Sent { id, adopted: updated == Updated::AlreadyThere, remark: None })
        }
        (State::Success | State::Failed | State::Canceled, None) => Err(GitLabError::Impossible(format!(
            "rollout {} cannot be told `{}` in {}: its `running` was never told",
            row.rollout, row.state, row.project
        ))),
    }
}

async fn begin(
    gitlab: &GitLab,
    row: &Row,
    last_known: Option<DeploymentId>,
    is_intended: bool,
) -> Result<Sent, GitLabError> {
    let sha = sha_of(gitlab, row).await?;
    if is_intended {
        let found = gitlab.running_since(&row.project, &row.environment, &sha, last_known).await?;
        if let Some(found) = found {
            return Ok(Sent { id: found.id, adopted: true, remark: None });
        }
    }
    let remark = ensure_environment(gitlab, row).await?;
    let git_ref = match &row.git_ref {
        Some(git_ref) => git_ref.clone(),
        None => gitlab.default_branch(&row.project).await?,
    };
    let new = NewDeployment {
        environment: &row.environment,
        sha: &sha,
        git_ref: &git_ref,
        is_tag: row.is_tag,
        status: State::Running,
    };
    let id = gitlab.create_deployment(&row.project, &new).await?;
    Ok(Sent { id, adopted: false, remark })
}

/// The full id of the row's commit in its project: by the policy's own template, else by what the build says of itself,
/// else by the git tag that its tag is named after, with or without a `v`.
async fn sha_of(gitlab: &GitLab, row: &Row) -> Result<String, GitLabError> {
    let mut tried = Vec::new();
    if let Some(name) = &row.git_tag {
        if let Some(sha) = gitlab.git_tag(&row.project, name).await? {
            return Ok(sha);
        }
        tried.push(format!("the git tag `{}` of `git_tag`", text::shown(name)));
    }
    let (said, what) = match &row.revision {
        Revision::Commit(commit) => return Ok(commit.to_string()),
        Revision::Label(label) if CommitId::parse(label).is_some() => return Ok(label.clone()),
        Revision::Label(label) => (label.as_str(), "the build's revision"),
        Revision::Tag(tag) => (tag.as_str(), "the build names no revision, and its tag"),
        Revision::Unknown(why) => return Err(GitLabError::Impossible(why.clone())),
    };
    if let Some(sha) = gitlab.resolve(&row.project, said).await? {
        return Ok(sha);
    }
    tried.push(format!("a commit or git tag `{}`", text::shown(said)));
    let other = said.strip_prefix('v').map_or_else(|| format!("v{said}"), str::to_owned);
    if let Some(sha) = gitlab.git_tag(&row.project, &other).await? {
        return Ok(sha);
    }
    tried.push(format!("the git tag `{}`", text::shown(&other)));
    Err(GitLabError::Impossible(format!(
        "{what} is `{}`, but {} has none of these: {}; push the git tag, name it by `git_tag` in the report, or build \
         images with the label `org.opencontainers.image.revision`, then `tagrelay reports retry`",
        text::shown(said),
        row.project,
        tried.join(", ")
    )))
}

/// Sees to the environment's tier and address, which are worth a remark and not the report.
async fn ensure_environment(gitlab: &GitLab, row: &Row) -> Result<Option<String>, GitLabError> {
    let (tier, url) = (row.tier.as_deref(), row.url.as_deref());
    if tier.is_none() && url.is_none() {
        return Ok(None);
    }
    match gitlab.ensure_environment(&row.project, &row.environment, tier, url).await {
        Ok(_) => Ok(None),
        Err(error @ GitLabError::Refused { .. }) => Ok(Some(error.to_string())),
        Err(error) if error.is_final() => Ok(Some(error.to_string())),
        Err(error) => Err(error),
    }
}
