//! The commits, branches and tags of a GitLab project: told by a test, or read from a repository of the sandbox.

use crate::sandbox::{Error, git, held};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

/// The shortest abbreviation of a commit that resolves, as in git.
const SHORT_SHA_CHARS_MIN: usize = 4;

/// Where a project's revisions are known from; a clone is the same.
#[derive(Debug, Clone)]
pub(super) enum Revisions {
    /// What a test said.
    Told(Arc<Mutex<Told>>),
    /// A real repository.
    Git(git::Repository),
}

/// Commits that a test made up.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Each commit with its parent.
    commits: BTreeMap<String, Option<String>>,
    branches: BTreeMap<String, String>,
    tags: BTreeMap<String, String>,
}

/// What is shown of a commit.
#[derive(Debug, Clone, Default)]
pub(super) struct Shown {
    pub(super) sha: String,
    pub(super) message: String,
    pub(super) author: String,
    pub(super) parents: Vec<String>,
    pub(super) committed: String,
}

/// Branches or tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Branch,
    Tag,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Branch => "branch",
            Self::Tag => "tag",
        }
    }

    fn folder(self) -> &'static str {
        match self {
            Self::Branch => "heads",
            Self::Tag => "tags",
        }
    }
}

impl Told {
    /// Puts a commit on top of a branch, which begins with it where there is none.
    pub(super) fn add_commit(&mut self, sha: &str, branch: &str) {
        let parent = self.branches.insert(branch.to_owned(), sha.to_owned());
        self.commits.entry(sha.to_owned()).or_insert(parent);
    }

    pub(super) fn add_tag(&mut self, name: &str, sha: &str) {
        self.tags.insert(name.to_owned(), sha.to_owned());
        self.commits.entry(sha.to_owned()).or_default();
    }

    fn named(&self, kind: Kind) -> &BTreeMap<String, String> {
        match kind {
            Kind::Branch => &self.branches,
            Kind::Tag => &self.tags,
        }
    }

    fn resolve(&self, revision: &str) -> Option<String> {
        if let Some(sha) = self.branches.get(revision).or_else(|| self.tags.get(revision)) {
            return Some(sha.clone());
        }
        let mut matching = self.commits.keys().filter(|sha| sha.starts_with(revision));
        let found = matching.next().filter(|_| revision.len() >= SHORT_SHA_CHARS_MIN);
        found.filter(|_| matching.next().is_none()).cloned()
    }

    /// The commit and all before it, newest first.
    fn history(&self, sha: &str) -> Vec<&str> {
        let mut history = Vec::new();
        let mut next = self.commits.get_key_value(sha);
        while let Some((sha, parent)) = next {
            history.push(sha.as_str());
            next = parent.as_ref().and_then(|parent| self.commits.get_key_value(parent));
        }
        history
    }

    fn merge_base(&self, commits: &[String]) -> Option<String> {
        let (first, others) = commits.split_first()?;
        let others: Vec<BTreeSet<&str>> = others.iter().map(|sha| self.history(sha).into_iter().collect()).collect();
        let common = |sha: &&str| others.iter().all(|history| history.contains(sha));
        VecDeque::from(self.history(first)).into_iter().find(common).map(str::to_owned)
    }
}

impl Revisions {
    /// The commit that a branch, tag, id or short id names.
    pub(super) async fn resolve(&self, revision: &str) -> Result<Option<String>, Error> {
        match self {
            Self::Told(told) => Ok(held(told).resolve(revision)),
            Self::Git(repository) => repository.resolve(revision).await,
        }
    }

    /// What is shown of the commit that this names.
    pub(super) async fn commit(&self, revision: &str) -> Result<Option<Shown>, Error> {
        let Some(sha) = self.resolve(revision).await? else { return Ok(None) };
        Ok(Some(match self {
            Self::Told(told) => Shown {
                parents: held(told).commits.get(&sha).cloned().flatten().into_iter().collect(),
                message: format!("Commit {sha}\n"),
                author: "Sandbox <sandbox@example.org>".to_owned(),
                committed: "2026-01-01T00:00:00+00:00".to_owned(),
                sha,
            },
            Self::Git(repository) => {
                let newest = repository.log(&sha).await?.into_iter().next();
                newest.map_or_else(Shown::default, |commit| Shown {
                    sha: commit.sha,
                    message: commit.message,
                    author: commit.author,
                    parents: commit.parents,
                    committed: commit.committed,
                })
            }
        }))
    }

    /// Names and commits of all branches or tags, perhaps only of those that contain a commit.
    pub(super) async fn named(&self, kind: Kind, containing: Option<&str>) -> Result<Vec<(String, String)>, Error> {
        match self {
            Self::Told(told) => {
                let told = held(told);
                let contains = |sha: &str| containing.is_none_or(|wanted| told.history(sha).contains(&wanted));
                let all = told.named(kind).iter().filter(|(_, sha)| contains(sha));
                Ok(all.map(|(name, sha)| (name.clone(), sha.clone())).collect())
            }
            Self::Git(repository) => repository.references(kind.folder(), containing).await,
        }
    }

    /// The best common ancestor of these commits.
    pub(super) async fn merge_base(&self, commits: &[String]) -> Result<Option<String>, Error> {
        match self {
            Self::Told(told) => Ok(held(told).merge_base(commits)),
            Self::Git(repository) => repository.merge_base(commits).await,
        }
    }
}
