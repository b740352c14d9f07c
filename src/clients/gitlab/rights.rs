//! What a token may do in a project: its role there, and its scopes. Both are read; nothing is tried.

use super::error::GitLabError;
use super::{GitLab, wire};

/// What GitLab tells of a token.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rights {
    /// Its role in the project, by GitLab's number (30 is Developer). GitLab names none for administrators.
    pub role: Option<u64>,
    /// Its scopes. GitLab tells them of access tokens alone.
    pub scopes: Option<Vec<String>>,
}

impl GitLab {
    /// What the token for a project may do there: two requests.
    ///
    /// # Errors
    /// As [`GitLabError`] says: the project is not there for this token, or the token is good for nothing.
    pub async fn rights(&self, project: &str) -> Result<Rights, GitLabError> {
        let found: wire::Member = self.get(project, self.url(project, &[], &[])).await?;
        let permissions = found.permissions.unwrap_or_default();
        let roles = [permissions.project_access, permissions.group_access];
        let role = roles.into_iter().flatten().map(|access| access.access_level).max();
        let mut url = self.root_url("personal_access_tokens");
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.push("self");
        }
        // Tokens of deployments, jobs and applications are told nothing there.
        let token = self.get::<wire::AccessToken>(project, url).await;
        Ok(Rights { role, scopes: token.ok().map(|token| token.scopes) })
    }
}
