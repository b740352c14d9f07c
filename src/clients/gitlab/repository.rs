//! What a revision and a branch mean in a project's repository.
//!
//! It reads; tags and commits are written in git, not here.

use super::error::GitLabError;
use super::{GitLab, wire};
use crate::model::CommitId;

/// The shortest abbreviation that is taken for a commit: git's own default. Below it any number would be one.
const SHORT_SHA_MIN: usize = 7;

impl GitLab {
    /// The full id of the commit that a revision names: a commit id, whole or short, else the git tag of that name.
    ///
    /// A branch is never meant: GitLab would resolve one too, and an image tag `main` would mean whatever is its tip now.
    ///
    /// # Errors
    /// As [`GitLabError`] says; a revision that names nothing is none.
    pub async fn resolve(&self, project: &str, revision: &str) -> Result<Option<String>, GitLabError> {
        if let Some(sha) = self.commit_of(project, revision).await? {
            return Ok(Some(sha));
        }
        self.git_tag(project, revision).await
    }

    /// The full id of the commit that the git tag of this name stands for; none where the project has no such tag.
    ///
    /// # Errors
    /// As [`GitLabError`] says.
    pub async fn git_tag(&self, project: &str, name: &str) -> Result<Option<String>, GitLabError> {
        let is_name = !name.is_empty() && name != "." && name != "..";
        if !is_name {
            return Ok(None);
        }
        let found = self.get(project, self.url(project, &["repository", "tags", name], &[])).await;
        found.map_or_else(GitLabError::absent, |tag: wire::Ref| Ok(Some(tag.commit.id)))
    }

    /// The commit whose id begins with this text, if the text can be one.
    async fn commit_of(&self, project: &str, text: &str) -> Result<Option<String>, GitLabError> {
        let short = text.to_ascii_lowercase();
        if short.len() < SHORT_SHA_MIN || !short.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(None);
        }
        let url = self.url(project, &["repository", "commits", &short], &[("stats", "false")]);
        let found: Option<wire::Commit> = match self.get(project, url).await {
            Ok(commit) => Some(commit),
            Err(error) => error.absent()?,
        };
        // A branch or a git tag whose name is hexadecimal resolves too: its commit has another id.
        Ok(found.map(|commit| commit.id).filter(|id| CommitId::parse(id).is_some() && id.starts_with(&short)))
    }

    /// Whether a branch holds a commit: it is the tip, or the tip's ancestor. Two requests, however many branches.
    ///
    /// # Errors
    /// As [`GitLabError`] says; a missing branch is [`GitLabError::Refused`], a missing commit is on no branch.
    pub async fn is_on_branch(&self, project: &str, sha: &str, branch: &str) -> Result<bool, GitLabError> {
        let url = self.url(project, &["repository", "branches", branch], &[]);
        let tip = self.get::<wire::Ref>(project, url).await.map_err(|error| missing_branch(error, project, branch))?;
        if tip.commit.id == sha {
            return Ok(true);
        }
        // The tip's id and not the branch's name, for a git tag of that name would win.
        let refs = [("refs[]", sha), ("refs[]", tip.commit.id.as_str())];
        let base = self.get::<wire::Commit>(project, self.url(project, &["repository", "merge_base"], &refs)).await;
        match base {
            Ok(base) => Ok(base.id == sha),
            // The tip exists, so that the ref that GitLab does not find is the commit.
            Err(GitLabError::Refused { status: 400, said, .. }) if said.contains("ould not find ref") => Ok(false),
            Err(error) => error.absent::<()>().map(|_| false),
        }
    }

    /// The project's default branch.
    ///
    /// # Errors
    /// As [`GitLabError`] says; [`GitLabError::Impossible`] where the repository is empty.
    pub async fn default_branch(&self, project: &str) -> Result<String, GitLabError> {
        let found: wire::Project = self.get(project, self.url(project, &[], &[])).await?;
        found.default_branch.filter(|branch| !branch.is_empty()).ok_or_else(|| {
            GitLabError::Impossible(format!("GitLab project {project} has no default branch: set `ref` of this report"))
        })
    }
}

fn missing_branch(error: GitLabError, project: &str, branch: &str) -> GitLabError {
    match error {
        GitLabError::Refused { request, status: 404, said, .. } if said.contains("Branch") => {
            let advice = format!("project {project} has no branch `{branch}`: correct `branch` in the policy");
            GitLabError::Refused { request, status: 404, said, advice }
        }
        other => other,
    }
}
