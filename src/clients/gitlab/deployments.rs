//! Deployments: made once, moved on, and found again after a crash.
//!
//! GitLab makes a new one each time it is asked, so that whoever asks twice must look first: see `send`.

use super::call::{PAGE_ENTRIES, Page};
use super::error::GitLabError;
use super::{GitLab, wire};
use crate::model::text;
use crate::relay::report::State;
use reqwest::{Method, Url};
use std::fmt;

/// How many pages of running deployments are read, newest first: a thousand in one environment are no honest work.
const PAGES_MAX: usize = 10;

/// GitLab's number of a deployment; it grows over all projects of a GitLab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeploymentId(pub u64);

impl fmt::Display for DeploymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A deployment that is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewDeployment<'a> {
    /// GitLab's name of the environment; it is made where it is missing.
    pub environment: &'a str,
    /// The full id of a commit of the project.
    pub sha: &'a str,
    /// A branch or tag of the project.
    pub git_ref: &'a str,
    /// Whether that ref is a tag.
    pub is_tag: bool,
    /// The state that it begins in.
    pub status: State,
}

/// A deployment, as GitLab has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// Its number.
    pub id: DeploymentId,
    /// The commit.
    pub sha: String,
    /// GitLab's name of the environment; none where GitLab does not say.
    pub environment: Option<String>,
    /// Its state; none for one that the API does not set (`created`, `blocked`, `skipped`).
    pub status: Option<State>,
    /// Whether a CI job made it: then the API cannot move it on.
    pub is_of_ci: bool,
    /// The id in GitLab of the user who made it; none where GitLab does not tell it.
    pub user: Option<u64>,
}

/// What an update found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Updated {
    /// The deployment moved on.
    Done,
    /// It had that state already.
    AlreadyThere,
}

impl From<wire::Deployment> for Deployment {
    fn from(wire: wire::Deployment) -> Self {
        Self {
            id: DeploymentId(wire.id),
            sha: wire.sha,
            environment: wire.environment.map(|environment| environment.name),
            status: State::parse(&wire.status),
            is_of_ci: wire.deployable.is_some(),
            user: wire.user.map(|user| user.id),
        }
    }
}

impl GitLab {
    /// Makes a deployment. Asked twice, GitLab makes two.
    ///
    /// # Errors
    /// As [`GitLabError`] says; after one that is not final, the deployment may have been made all the same.
    pub async fn create_deployment(&self, project: &str, new: &NewDeployment<'_>) -> Result<DeploymentId, GitLabError> {
        let body = wire::CreateDeployment {
            environment: new.environment,
            sha: new.sha,
            git_ref: new.git_ref,
            tag: new.is_tag,
            status: new.status.as_str(),
        };
        let url = self.url(project, &["deployments"], &[]);
        let made: wire::Deployment = self.write(project, Method::POST, url, &body).await?;
        Ok(DeploymentId(made.id))
    }

    /// Moves a deployment on. GitLab refuses to set the state that it has; that is no error here.
    ///
    /// # Errors
    /// As [`GitLabError`] says; [`GitLabError::Refused`] also where it has a state from which none leads to `status`.
    pub async fn update_deployment(
        &self,
        project: &str,
        id: DeploymentId,
        status: State,
    ) -> Result<Updated, GitLabError> {
        let url = self.url(project, &["deployments", &id.to_string()], &[]);
        let body = wire::UpdateDeployment { status: status.as_str() };
        let written: Result<wire::Deployment, _> = self.write(project, Method::PUT, url.clone(), &body).await;
        let refusal = match written {
            Ok(_) => return Ok(Updated::Done),
            Err(GitLabError::Refused { request, status: 400, said, .. }) if said.contains("cannot transition") => {
                (request, said)
            }
            Err(error) => return Err(error),
        };
        let found: wire::Deployment = self.get(project, url).await?;
        if found.status == status.as_str() {
            return Ok(Updated::AlreadyThere);
        }
        let (request, said) = refusal;
        let has = text::shown(&found.status);
        let advice = format!("it is `{has}` there, and cannot become `{status}`: somebody else moved it on");
        Err(GitLabError::Refused { request, status: 400, said, advice })
    }

    /// A deployment; none where it was deleted.
    ///
    /// # Errors
    /// As [`GitLabError`] says.
    pub async fn deployment(&self, project: &str, id: DeploymentId) -> Result<Option<Deployment>, GitLabError> {
        let found = self.get(project, self.url(project, &["deployments", &id.to_string()], &[])).await;
        found.map_or_else(GitLabError::absent, |found: wire::Deployment| Ok(Some(found.into())))
    }

    /// The oldest running deployment of this commit in this environment that was made after `after` and not by CI.
    ///
    /// # Errors
    /// As [`GitLabError`] says.
    pub async fn running_since(
        &self,
        project: &str,
        environment: &str,
        sha: &str,
        after: Option<DeploymentId>,
    ) -> Result<Option<Deployment>, GitLabError> {
        let mut next = Some(self.running_url(project, environment));
        let mut oldest = None;
        for _ in 0..PAGES_MAX {
            let Some(url) = next else { break };
            let page: Page<wire::Deployment> = self.page(project, url).await?;
            for deployment in page.entries.into_iter().map(Deployment::from) {
                if after.is_some_and(|after| deployment.id <= after) {
                    return Ok(oldest);
                }
                // What was asked for is looked at again: a GitLab that passes over a filter must not lend us a stranger's.
                let is_here = deployment.environment.as_deref().is_none_or(|name| name == environment);
                let is_running = deployment.status == Some(State::Running);
                if is_here && is_running && deployment.sha == sha && !deployment.is_of_ci {
                    oldest = Some(deployment);
                }
            }
            next = page.next;
        }
        Ok(oldest)
    }

    /// The running deployments of this environment that the token's own user made and no CI job, newest first.
    ///
    /// # Errors
    /// As [`GitLabError`] says.
    pub async fn running_of_our_token(
        &self,
        project: &str,
        environment: &str,
    ) -> Result<Vec<DeploymentId>, GitLabError> {
        let ours: wire::User = self.get(project, self.root_url("user")).await?;
        let mut next = Some(self.running_url(project, environment));
        let mut found = Vec::new();
        for _ in 0..PAGES_MAX {
            let Some(url) = next else { break };
            let page: Page<wire::Deployment> = self.page(project, url).await?;
            for deployment in page.entries.into_iter().map(Deployment::from) {
                // What was asked for is looked at again, as above.
                let is_here = deployment.environment.as_deref() == Some(environment);
                let is_running = deployment.status == Some(State::Running);
                if is_here && is_running && deployment.user == Some(ours.id) && !deployment.is_of_ci {
                    found.push(deployment.id);
                }
            }
            next = page.next;
        }
        Ok(found)
    }

    /// The running deployments of an environment, newest first.
    fn running_url(&self, project: &str, environment: &str) -> Url {
        let query = [
            ("environment", environment),
            ("status", State::Running.as_str()),
            ("order_by", "id"),
            ("sort", "desc"),
            ("per_page", PAGE_ENTRIES),
        ];
        self.url(project, &["deployments"], &query)
    }
}
