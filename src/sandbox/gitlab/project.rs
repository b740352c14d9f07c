//! A project: its revisions, environments and deployments, and what a test sees of them.

use super::revisions::{Revisions, Told};
use super::wording::{Refusal, now};
use axum::http::StatusCode;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// The longest name of an environment.
const NAME_CHARS_MAX: usize = 255;

/// The longest slug, and how much of a name stands before its suffix (GitLab's `Gitlab::Slug::Environment`).
const SLUG_CHARS_MAX: usize = 24;
const SLUG_STEM_CHARS_MAX: usize = 17;

/// What somebody may do in a project; each may what those before may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Sees that it exists.
    Guest,
    /// Reads everything.
    Reporter,
    /// Deploys, except to protected environments.
    Developer,
    /// Deploys anywhere.
    Maintainer,
}

/// An environment of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// Its number in the whole instance.
    pub id: u64,
    /// Its name, which never changes.
    pub name: String,
    /// Its tier: as given, else guessed from the name.
    pub tier: String,
    /// Where it is to be seen.
    pub external_url: Option<String>,
    /// What is said about it.
    pub description: Option<String>,
    /// When it was made.
    pub created_at: String,
    /// When it was changed.
    pub updated_at: String,
}

/// The user of every token.
pub(super) const BOT: u64 = 1;

/// A deployment of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// Its number in the whole instance.
    pub id: u64,
    /// The user who made it.
    pub user: u64,
    /// Its number in the project.
    pub iid: u64,
    /// The name of its environment.
    pub environment: String,
    /// What was deployed, as it was given.
    pub sha: String,
    /// The branch or tag it was found on.
    pub reference: String,
    /// Whether that is a tag.
    pub tag: bool,
    /// Where it stands.
    pub status: String,
    /// Every status it had, in order; the last is where it stands.
    pub history: Vec<String>,
    /// When it was made.
    pub created_at: String,
    /// When it was changed.
    pub updated_at: String,
    /// When it last ended.
    pub finished_at: Option<String>,
}

impl Deployment {
    /// Moves on to another status.
    pub(super) fn become_status(&mut self, status: &str) {
        status.clone_into(&mut self.status);
        self.history.push(status.to_owned());
        self.updated_at = now();
        if status != "running" {
            self.finished_at = Some(self.updated_at.clone());
        }
    }
}

/// One project.
#[derive(Debug)]
pub(super) struct Project {
    pub(super) id: u64,
    pub(super) path: String,
    pub(super) revisions: Revisions,
    pub(super) environments: Vec<Environment>,
    pub(super) deployments: Vec<Deployment>,
    pub(super) protected: BTreeSet<String>,
    /// Token to role.
    pub(super) members: BTreeMap<String, Role>,
}

impl Project {
    /// The project as the member with this role sees it.
    pub(super) fn json_for(&self, host: &str, role: Role) -> Value {
        let mut project = self.json(host);
        let level = match role {
            Role::Guest => 10,
            Role::Reporter => 20,
            Role::Developer => 30,
            Role::Maintainer => 40,
        };
        let access = json!({ "access_level": level, "notification_level": 3 });
        project["permissions"] = json!({ "project_access": access, "group_access": null });
        project
    }

    pub(super) fn json(&self, host: &str) -> Value {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        let web_url = format!("http://{host}/{}", self.path);
        json!({
            "id": self.id,
            "name": name,
            "path": name,
            "path_with_namespace": self.path,
            "default_branch": "main",
            "visibility": "private",
            "archived": false,
            "web_url": web_url,
            "http_url_to_repo": format!("{web_url}.git"),
        })
    }

    /// Makes an environment; the id is the caller's to give.
    pub(super) fn add_environment(&mut self, id: u64, name: &str) -> Result<&mut Environment, Refusal> {
        check_name(name)?;
        let at = now();
        self.environments.push(Environment {
            id,
            name: name.to_owned(),
            tier: guessed_tier(name).to_owned(),
            external_url: None,
            description: None,
            created_at: at.clone(),
            updated_at: at,
        });
        self.environments.last_mut().ok_or_else(|| Refusal::not_found("Not found"))
    }

    pub(super) fn environment_json(&self, environment: &Environment) -> Value {
        json!({
            "id": environment.id,
            "name": environment.name,
            "slug": slug(&environment.name, environment.id),
            "description": environment.description,
            "external_url": environment.external_url,
            "state": "available",
            "tier": environment.tier,
            "created_at": environment.created_at,
            "updated_at": environment.updated_at,
            "auto_stop_at": null,
            "auto_stop_setting": "always",
            "cluster_agent": null,
            "kubernetes_namespace": null,
            "flux_resource_path": null,
        })
    }

    pub(super) fn deployment_json(&self, deployment: &Deployment) -> Value {
        let environment = self.environments.iter().find(|environment| environment.name == deployment.environment);
        json!({
            "id": deployment.id,
            "iid": deployment.iid,
            "ref": deployment.reference,
            "sha": deployment.sha,
            "created_at": deployment.created_at,
            "updated_at": deployment.updated_at,
            "status": deployment.status,
            "user": { "id": deployment.user, "username": "project_bot", "name": "Bot", "state": "active" },
            "environment": environment.map(|environment| json!({
                "id": environment.id,
                "name": environment.name,
                "slug": slug(&environment.name, environment.id),
                "external_url": environment.external_url,
            })),
            "deployable": null,
        })
    }
}

/// A project in the hands of a test; a clone is the same.
#[derive(Debug, Clone)]
pub struct Commits(pub(super) Arc<Mutex<Told>>);

impl Commits {
    /// Puts a commit on top of a branch, which begins with it where there is none.
    pub fn add_commit(&self, sha: &str, branch: &str) -> &Self {
        crate::sandbox::held(&self.0).add_commit(sha, branch);
        self
    }

    /// Puts a tag on a commit.
    pub fn add_tag(&self, name: &str, sha: &str) -> &Self {
        crate::sandbox::held(&self.0).add_tag(name, sha);
        self
    }
}

fn check_name(name: &str) -> Result<(), Refusal> {
    let why = if name.chars().count() > NAME_CHARS_MAX {
        "is too long (maximum is 255 characters)"
    } else if name.starts_with('/')
        || name.ends_with('/')
        || !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_/${}. ".contains(c))
    {
        "can contain only letters, digits, '-', '_', '/', '$', '{', '}', '.', and spaces, but it cannot start or end with '/'"
    } else {
        return Ok(());
    };
    Err(Refusal::message(StatusCode::BAD_REQUEST, json!({ "name": [why] })))
}

/// The first of GitLab's patterns that the name holds (`Environment#guess_tier`).
fn guessed_tier(name: &str) -> &'static str {
    const PATTERNS: [(&str, &[&str]); 4] = [
        ("development", &["dev", "review", "trunk"]),
        ("testing", &["test", "tst", "int", "accept", "acpt", "qa", "qc", "control", "quality"]),
        ("staging", &["stg", "stag", "model", "modl", "pre", "demo", "non"]),
        ("production", &["prod", "prd", "live"]),
    ];
    let name = name.to_ascii_lowercase();
    let holds = |(_, words): &&(&str, &[&str])| words.iter().any(|word| name.contains(word));
    PATTERNS.iter().find(holds).map_or("other", |(tier, _)| tier)
}

/// The name as DNS takes it; where that changed anything, a suffix keeps it apart from others.
fn slug(name: &str, id: u64) -> String {
    let plain: String =
        name.to_ascii_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    if plain == name && name.len() <= SLUG_CHARS_MAX {
        return plain;
    }
    let stem: String = plain.trim_matches('-').chars().take(SLUG_STEM_CHARS_MAX).collect();
    format!("{}-{id:06x}", stem.trim_end_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiers_and_slugs_are_guessed_as_gitlab_does() {
        for (name, tier) in [("prod", "production"), ("staging", "staging"), ("qa-1", "testing"), ("eu", "other")] {
            assert_eq!(guessed_tier(name), tier, "{name}");
        }
        assert_eq!(slug("production", 7), "production");
        assert_eq!(slug("review/Feature_1", 255), "review-feature-1-0000ff");
    }
}
