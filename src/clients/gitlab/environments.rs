//! Environments: there, with the tier and the address that a report asks for.
//!
//! It stops, deletes and renames none.

use super::call::Page;
use super::error::GitLabError;
use super::{GitLab, wire};
use reqwest::Method;

/// What was done about an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ensured {
    /// It was made.
    Created,
    /// Its tier or its address was changed.
    Updated,
    /// It was as it is wanted.
    Unchanged,
}

impl GitLab {
    /// Makes sure that an environment is there with this tier and address; what is none is left as it is.
    ///
    /// # Errors
    /// As [`GitLabError`] says.
    pub async fn ensure_environment(
        &self,
        project: &str,
        name: &str,
        tier: Option<&str>,
        url: Option<&str>,
    ) -> Result<Ensured, GitLabError> {
        if let Some(found) = self.environment(project, name).await? {
            return self.adjust(project, &found, tier, url).await;
        }
        let body = wire::WriteEnvironment { name: Some(name), tier, external_url: url };
        let address = self.url(project, &["environments"], &[]);
        let made: Result<wire::Environment, _> = self.write(project, Method::POST, address, &body).await;
        match made {
            Ok(_) => Ok(Ensured::Created),
            Err(GitLabError::Refused { status: 400, said, .. }) if said.contains("already been taken") => {
                // Somebody else made it meanwhile; it is looked at once more, and no more.
                match self.environment(project, name).await? {
                    Some(found) => self.adjust(project, &found, tier, url).await,
                    None => Ok(Ensured::Unchanged),
                }
            }
            Err(error) => Err(error),
        }
    }

    async fn environment(&self, project: &str, name: &str) -> Result<Option<wire::Environment>, GitLabError> {
        let url = self.url(project, &["environments"], &[("name", name)]);
        let page: Page<wire::Environment> = self.page(project, url).await?;
        Ok(page.entries.into_iter().find(|environment| environment.name == name))
    }

    async fn adjust(
        &self,
        project: &str,
        found: &wire::Environment,
        tier: Option<&str>,
        url: Option<&str>,
    ) -> Result<Ensured, GitLabError> {
        let tier = tier.filter(|tier| found.tier.as_deref() != Some(tier));
        let url = url.filter(|url| found.external_url.as_deref() != Some(url));
        if tier.is_none() && url.is_none() {
            return Ok(Ensured::Unchanged);
        }
        let body = wire::WriteEnvironment { name: None, tier, external_url: url };
        let address = self.url(project, &["environments", &found.id.to_string()], &[]);
        let written: Result<wire::Environment, _> = self.write(project, Method::PUT, address, &body).await;
        written.map(|_| Ensured::Updated)
    }
}
