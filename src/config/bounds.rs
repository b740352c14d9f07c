//! Where policies may write: what their repository allows them (`may`), and what no policy ever touches.
//!
//! One judge answers when policies are checked, when they are loaded, and right before a file is written.

use super::place::relative;
use super::policy_files::PolicyNames;
use super::read::listed;
use super::settings::{Config, May, RepositorySettings};
use crate::config::Glob;
use crate::model::policy::PolicyOrigin;
use crate::model::text::shown;
use std::fmt;

/// Names that steer git, GitLab or GitHub: whoever writes them decides what runs, or who must approve.
const STEERING: [&str; 7] =
    [".git", ".gitattributes", ".gitmodules", ".gitlab-ci.yml", ".gitlab", ".github", "codeowners"];

/// Why a policy may not write something, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutOfBounds {
    /// What is refused, and by what.
    pub message: String,
    /// What to do instead.
    pub help: String,
}

impl fmt::Display for OutOfBounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.message, self.help)
    }
}

impl Config {
    /// Judges whether a policy that stands at `origin` may write a file of a repository of the configuration.
    ///
    /// # Errors
    /// Why it may not.
    pub fn judge_write(&self, origin: &PolicyOrigin, repository: &str, file: &str) -> Result<(), OutOfBounds> {
        let refused = |message: String, help: &str| Err(OutOfBounds { message, help: help.to_owned() });
        let file = match relative(file) {
            Ok(file) => file,
            Err(message) => return refused(message, "name a file inside the repository"),
        };
        if let Some(name) = file.split('/').find(|segment| steers(segment)) {
            let message = format!("no policy may write `{}`: `{}` steers git or its server", shown(&file), shown(name));
            return refused(message, "let a person change it");
        }
        if let Some(holder) = self.holder_of_policies(repository, &file) {
            let message =
                format!("no policy may write `{}`: the policies of repository `{holder}` stand there", shown(&file));
            return refused(message, "keep what policies write outside of the folder of the policies");
        }
        match self.may_of(origin).and_then(|may| may.write.as_deref()) {
            Some(allowed) if !allowed.iter().any(|glob| glob.matches(&file)) => {
                let message = format!(
                    "policies of this repository may not write `{}` (`may.write` in the configuration)",
                    shown(&file)
                );
                Err(OutOfBounds { message, help: allowed_are(allowed) })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// What the repository of a policy allows; nothing bounds a policy of a local directory.
    pub(crate) fn may_of(&self, origin: &PolicyOrigin) -> Option<&May> {
        let name = origin.repository.as_deref()?;
        self.repositories.get(name).map(|repository| &repository.may)
    }

    /// All names of one repository: those under which its URL stands in the configuration.
    pub(crate) fn names_of<'a>(&'a self, repository: &str) -> impl Iterator<Item = (&'a str, &'a RepositorySettings)> {
        let location = self.repositories.get(repository).map(RepositorySettings::location);
        let all = self.repositories.iter().map(|(name, settings)| (name.as_str(), settings));
        all.filter(move |(_, settings)| Some(settings.location()) == location)
    }

    /// The name of the repository whose policies, cases and HOLD files stand where a file stands.
    fn holder_of_policies(&self, repository: &str, file: &str) -> Option<&str> {
        let holds = |(_, settings): &(&str, &RepositorySettings)| {
            settings.policies.as_deref().is_some_and(|folder| is_among_policies(folder, &settings.policy_names, file))
        };
        self.names_of(repository).find(holds).map(|(name, _)| name)
    }
}

/// The help that lists what is allowed.
pub(crate) fn allowed_are(allowed: &[Glob]) -> String {
    let allowed: Vec<&str> = allowed.iter().map(Glob::as_str).collect();
    if allowed.is_empty() { "nothing is allowed".to_owned() } else { format!("allowed: {}", listed(&allowed)) }
}

/// Whether a name steers git or its server, under any spelling that some file system takes for it.
fn steers(segment: &str) -> bool {
    let name = folded(segment);
    // Windows calls `.git` also `GIT~1`.
    STEERING.contains(&name.as_str()) || (name.starts_with("git") && name.contains('~'))
}

/// A name as the least careful file system reads it: letters of one case, without characters that nobody sees, without
/// dots and blanks at its end, and without the stream that NTFS lets stand behind a colon.
fn folded(segment: &str) -> String {
    let seen: String = segment.chars().filter(|c| !crate::model::text::is_unseen(*c)).collect();
    let name = seen.split(':').next().unwrap_or_default();
    name.trim_end_matches(['.', ' ']).to_lowercase()
}

/// Whether a file stands in the folder of the policies; or is one of them, or a HOLD file beside them, where that folder is
/// the root or a pattern says which of its files are policies.
fn is_among_policies(folder: &str, names: &PolicyNames, file: &str) -> bool {
    let folded_path = |path: &str| path.split('/').filter(|part| !matches!(*part, "" | ".")).map(folded).collect();
    let (folder, file): (Vec<String>, Vec<String>) = (folded_path(folder), folded_path(file));
    let Some(below) = file.strip_prefix(folder.as_slice()) else { return false };
    if !folder.is_empty() && !names.has_pattern() {
        return true;
    }
    let [name] = below else { return false };
    names.are_folded(name) || name.starts_with("hold")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_steer_are_known_in_every_spelling() {
        for (name, expected) in [
            (".git", true),
            (".GIT", true),
            (".git.", true),
            (".git ", true),
            (".g\u{200c}it", true),
            (".git::$INDEX_ALLOCATION", true),
            ("GIT~1", true),
            (".gitattributes", true),
            (".GitModules", true),
            (".gitlab-ci.yml", true),
            (".gitlab", true),
            (".github", true),
            ("CODEOWNERS", true),
            (".gitignore", false),
            ("git", false),
            ("gitlab-ci.yml", false),
            ("owners", false),
        ] {
            assert_eq!(steers(name), expected, "{name:?}");
        }
    }

    #[test]
    fn the_folder_of_policies_is_theirs_alone() {
        for (folder, file, expected) in [
            ("policies/", "policies/shop.yaml", true),
            ("policies", "policies/sub/values.yaml", true),
            ("policies", "Policies/shop.yaml", true),
            ("policies", "policies-of-others/x.yaml", false),
            ("policies", "a/policies/x.yaml", false),
            ("a/policies", "a/policies/HOLD", true),
            (".", "shop.yaml", true),
            ("", "shop.cases.yml", true),
            ("", "HOLD.prod", true),
            ("", "Kustomization", false),
            ("", "deployment/shop.yaml", false),
            ("deployment/*.policy.yaml", "deployment/Shop.Policy.yaml", true),
            ("deployment/*.policy.yaml", "deployment/shop.policy.cases.yml", true),
            ("deployment/*.policy.yaml", "deployment/Hold.prod", true),
            ("deployment/*.policy.yaml", "deployment/values.yaml", false),
            ("deployment/*.policy.yaml", "deployment/dev/shop.policy.yaml", false),
        ] {
            let (folder, names) = PolicyNames::parted(folder).expect("sound");
            assert_eq!(is_among_policies(folder, &names, file), expected, "{folder} {file}");
        }
    }
}
