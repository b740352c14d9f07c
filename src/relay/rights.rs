//! Which rights the policies need outside, of which registry, repository, branch and project, and what is missing.

use crate::model::{Policy, Repository, ecr};
use std::collections::{BTreeMap, BTreeSet};

/// GitLab's number of the role Reporter, which reads a private project's repository.
const REPORTER: u64 = 20;
/// GitLab's number of the role Developer, which makes deployments.
const DEVELOPER: u64 = 30;

/// What a right is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Of {
    /// The place of policies: the configuration's name of the repository, or the local directory.
    Policies(Option<String>),
    /// A branch of a GitOps repository, by the configuration's name.
    Branch(String, String),
    /// A repository of images.
    Images(Repository),
    /// A GitLab project.
    Project(String),
}

/// What has to be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// Read tags, manifests and configurations, or a branch, or policies, or a project's repository.
    Read,
    /// Push tags, copies or commits.
    Write,
    /// Read, make and change deployments and environments.
    Deploy,
    /// Keep images from the lifecycle rules of Amazon ECR, which expire what no rule before them selects.
    Spare,
}

impl Right {
    /// The stable name, for JSON.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Deploy => "deploy",
            Self::Spare => "spare",
        }
    }
}

/// Each right that is needed, and the environments that need it (`shop/prod`).
pub type Needs = BTreeMap<(Of, Right), BTreeSet<String>>;

/// The rights that these policies need.
#[must_use]
pub fn needs<'p>(policies: impl IntoIterator<Item = &'p Policy>) -> Needs {
    let mut needs = Needs::new();
    for policy in policies {
        for environment in &policy.environments {
            let mut need = |of: Of, right: Right| {
                let by = needs.entry((of, right)).or_default();
                by.insert(format!("{}/{}", policy.name, environment.name));
            };
            let retags = environment.promote.as_ref().is_some_and(|promote| promote.retag.is_some());
            let copies = environment.is_copied_to();
            for image in &environment.images {
                need(Of::Images(image.repository.clone()), Right::Read);
                if retags || copies || environment.keep > 0 {
                    need(Of::Images(image.repository.clone()), Right::Write);
                }
                if environment.keep > 0 && ecr::Place::of(image.repository.host()).is_some() {
                    need(Of::Images(image.repository.clone()), Right::Spare);
                }
            }
            let before = if copies { policy.images_before(environment) } else { &[] };
            let selected = if environment.select.is_some() { policy.selected_images(environment) } else { &[] };
            for image in before.iter().chain(selected) {
                need(Of::Images(image.repository.clone()), Right::Read);
            }
            if !environment.is_tag_only() {
                let branch = || Of::Branch(environment.deliver.repository.clone(), environment.deliver.branch.clone());
                need(branch(), Right::Read);
                need(branch(), Right::Write);
            }
            for report in &environment.report {
                need(Of::Project(report.project.clone()), Right::Deploy);
            }
            if environment.select.as_ref().is_some_and(|select| select.branch.is_some()) {
                for project in selected.iter().filter_map(|image| image.source.as_ref()) {
                    need(Of::Project(project.clone()), Right::Read);
                }
            }
        }
    }
    needs
}

/// Whether a right is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is, as far as the note says.
    Has(String),
    /// It is not: why.
    Missing(String),
    /// Nobody can tell without changing something: why.
    Untried(String),
    /// Nobody answered, or not so that one could tell: why. It says what to do itself, for no right is missing.
    Unknown(String),
}

impl Answer {
    /// The stable name, for JSON.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Has(_) => "has",
            Self::Missing(_) => "missing",
            Self::Untried(_) => "untried",
            Self::Unknown(_) => "unknown",
        }
    }

    /// What is said of it.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Has(text) | Self::Missing(text) | Self::Untried(text) | Self::Unknown(text) => text,
        }
    }
}

/// What a GitLab token may do in a project, by its role there and its scopes, each where GitLab tells it.
#[must_use]
pub fn in_gitlab(right: Right, role: Option<u64>, scopes: Option<&[String]>) -> Answer {
    let (wanted, name, good): (u64, &str, &[&str]) = match right {
        Right::Read => (REPORTER, "Reporter", &["api", "read_api"]),
        Right::Write | Right::Deploy | Right::Spare => (DEVELOPER, "Developer", &["api"]),
    };
    let lacks_scope = scopes.is_some_and(|scopes| !scopes.iter().any(|scope| good.contains(&scope.as_str())));
    if lacks_scope {
        let has = scopes.unwrap_or_default().join(", ");
        return Answer::Missing(format!("the token lacks the scope {} (it has: {has})", good.join(" or ")));
    }
    match role {
        Some(role) if role < wanted => Answer::Missing(format!(
            "the token's role in the project is {}, which is less than {name}",
            role_name(role)
        )),
        Some(role) => {
            let unread = if scopes.is_none() { "; its scopes could not be read" } else { "" };
            Answer::Has(format!("role {}{unread}; a protected environment may ask for more", role_name(role)))
        }
        None => Answer::Untried(format!(
            "GitLab names no role of this token in the project; it needs {name}, or to be an administrator's"
        )),
    }
}

fn role_name(role: u64) -> String {
    match role {
        10 => "Guest".to_owned(),
        15 => "Planner".to_owned(),
        REPORTER => "Reporter".to_owned(),
        DEVELOPER => "Developer".to_owned(),
        40 => "Maintainer".to_owned(),
        50 => "Owner".to_owned(),
        other => other.to_string(),
    }
}

/// What one does about a right that is missing.
#[must_use]
pub fn remedy(of: &Of, right: Right) -> String {
    match (of, right) {
        (Of::Policies(Some(name)), _) => {
            format!("correct `policies`, `url` or `token` of `repositories.{name}` in the configuration")
        }
        (Of::Policies(None), _) => "correct `policies` in the configuration, or who may read that directory".to_owned(),
        (Of::Branch(name, _), Right::Read) => {
            format!(
                "correct `url`, `branch` or `token` of `repositories.{name}`: the token needs to read (GitLab: read_repository)"
            )
        }
        (Of::Branch(name, branch), _) => format!(
            "let the token of `repositories.{name}` push to {branch} (GitLab: write_repository, and a role that may push to the branch where it is protected)"
        ),
        (Of::Images(repository), Right::Read) => {
            let host = repository.host();
            format!("set `pull` for {host} under `registries`, or let that user read {repository}")
        }
        (Of::Images(_), Right::Spare) => {
            "before each rule that expires images, with a smaller rulePriority, put one that \
             selects `tagStatus: tagged, tagPrefixList: [tagrelay-], countType: imageCountMoreThan, countNumber: 10000`"
                .to_owned()
        }
        (Of::Images(repository), _) => {
            let host = repository.host();
            format!("set `push` for {host} under `registries`, or let that user push to {repository}")
        }
        (Of::Project(project), Right::Read) => {
            format!("give the token of `gitlab` the scope read_api and the role Reporter in {project}")
        }
        (Of::Project(project), _) => {
            format!("give the token of `gitlab` the scope api and the role Developer in {project}")
        }
    }
}
