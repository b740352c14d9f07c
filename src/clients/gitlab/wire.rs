//! The JSON of GitLab's API, as far as it is used: unknown fields are passed over, missing ones that matter are errors.
//!
//! Nothing here leaves this folder.

use serde::{Deserialize, Serialize};

/// `GET /projects/:id`.
#[derive(Debug, Deserialize)]
pub(super) struct Project {
    /// None in a repository without commits.
    #[serde(default)]
    pub(super) default_branch: Option<String>,
    pub(super) path_with_namespace: String,
}

/// `GET /projects/:id`, what it says of who asks.
#[derive(Debug, Deserialize)]
pub(super) struct Member {
    #[serde(default)]
    pub(super) permissions: Option<Permissions>,
}

/// The roles of the token's user, one given by the project and one by its group. An administrator may have neither.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Permissions {
    #[serde(default)]
    pub(super) project_access: Option<RoleOf>,
    #[serde(default)]
    pub(super) group_access: Option<RoleOf>,
}

/// A role by its number.
#[derive(Debug, Deserialize)]
pub(super) struct RoleOf {
    pub(super) access_level: u64,
}

/// `GET /personal_access_tokens/self`, which knows project and group access tokens too.
#[derive(Debug, Deserialize)]
pub(super) struct AccessToken {
    pub(super) scopes: Vec<String>,
}

/// A deployment, from any of its endpoints.
#[derive(Debug, Deserialize)]
pub(super) struct Deployment {
    pub(super) id: u64,
    pub(super) sha: String,
    pub(super) status: String,
    /// The job that made it; none for what the API made.
    #[serde(default)]
    pub(super) deployable: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    pub(super) environment: Option<EnvironmentBasic>,
    /// Who made it.
    #[serde(default)]
    pub(super) user: Option<User>,
}

/// A user: the answer of `GET /user`, and the one who made a deployment.
#[derive(Debug, Deserialize)]
pub(super) struct User {
    pub(super) id: u64,
}

/// The environment inside of a deployment.
#[derive(Debug, Deserialize)]
pub(super) struct EnvironmentBasic {
    pub(super) name: String,
}

/// `POST /projects/:id/deployments`: every field is required.
#[derive(Debug, Serialize)]
pub(super) struct CreateDeployment<'a> {
    pub(super) environment: &'a str,
    pub(super) sha: &'a str,
    #[serde(rename = "ref")]
    pub(super) git_ref: &'a str,
    pub(super) tag: bool,
    pub(super) status: &'a str,
}

/// `PUT /projects/:id/deployments/:deployment_id`.
#[derive(Debug, Serialize)]
pub(super) struct UpdateDeployment<'a> {
    pub(super) status: &'a str,
}

/// `GET /projects/:id/environments`.
#[derive(Debug, Deserialize)]
pub(super) struct Environment {
    pub(super) id: u64,
    pub(super) name: String,
    #[serde(default)]
    pub(super) external_url: Option<String>,
    #[serde(default)]
    pub(super) tier: Option<String>,
}

/// `POST` and `PUT` of an environment; the name cannot be changed, so that only `POST` has it.
#[derive(Debug, Serialize)]
pub(super) struct WriteEnvironment<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tier: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) external_url: Option<&'a str>,
}

/// A commit, from any endpoint that gives one.
#[derive(Debug, Deserialize)]
pub(super) struct Commit {
    pub(super) id: String,
}

/// A branch or a tag: the commit is the peeled one, also under an annotated tag.
#[derive(Debug, Deserialize)]
pub(super) struct Ref {
    pub(super) commit: Commit,
}
