//! Who writes a file of a GitOps repository, or why nobody does.

use crate::config::nearest;
use crate::daemon::Daemon;
use crate::daemon::state::memory::PolicyState;
use crate::daemon::view::{FileView, WriterView};
use crate::model::{Environment, text};
use crate::relay::{edit, places};
use std::collections::{BTreeMap, BTreeSet};

/// How many environments one answer shows.
const WRITERS_SHOWN_MAX: usize = 1000;
/// How many files that may be meant are shown.
const NEAR_SHOWN_MAX: usize = 10;
/// How many files that stand in the way of an answer are named.
const NOTES_SHOWN_MAX: usize = 20;

impl Daemon {
    /// Who writes a file, or what stands below a folder.
    pub(in crate::daemon) fn writers_of(&self, path: &str) -> FileView {
        let asked = path.trim().trim_start_matches("./").trim_matches('/');
        let moment = self.moment();
        let mut view = FileView { writers: Vec::new(), n_writers: 0, notes: Vec::new(), near: Vec::new() };
        let (mut near, mut unread) = (BTreeSet::new(), 0_usize);
        for known in self.memory.policies.values() {
            for (index, environment) in known.policy.environments.iter().enumerate() {
                let files = written(known, index, environment);
                unread += usize::from(!environment.is_tag_only() && files.values().any(Vec::is_empty));
                for (file, keys) in files {
                    if !is_meant(asked, &file) {
                        near.insert(file);
                        continue;
                    }
                    view.n_writers += 1;
                    if view.writers.len() < WRITERS_SHOWN_MAX
                        && let Some(shown) = self.environment(known, index, &moment)
                    {
                        let (repository, branch) =
                            (environment.deliver.repository.clone(), environment.deliver.branch.clone());
                        view.writers.push(WriterView { environment: shown, repository, branch, file, keys });
                    }
                }
            }
        }
        if view.n_writers == 0 {
            view.notes = self.why_nobody(asked, unread);
            view.near = like(asked, &near);
        }
        view
    }

    /// Why no environment writes a file, as far as that is known.
    fn why_nobody(&self, asked: &str, unread: usize) -> Vec<String> {
        let mut notes = vec![format!("no environment of a loaded policy names {} in `write`", text::shown(asked))];
        let policies = self.memory.policies.values().filter(|known| is_meant(asked, &known.policy.origin.path));
        notes.extend(
            policies.map(|known| format!("it is the file of policy {}, which people write", known.policy.name)),
        );
        let broken = &self.memory.broken;
        notes.extend(broken.iter().take(NOTES_SHOWN_MAX).map(|file| {
            format!("the policy file {} is broken, and what it would write is not known: {}", file.file, file.at)
        }));
        notes.extend(self.memory.unreadable.values().take(NOTES_SHOWN_MAX).map(|why| format!("policies: {why}")));
        if unread > 0 {
            notes.push(format!(
                "{unread} environments could not be read yet: `tagrelay status` names them, and what they write may change this"
            ));
        }
        notes
    }
}

/// The files that an environment writes, and where in each; nowhere where that could not be read yet.
fn written(known: &PolicyState, index: usize, environment: &Environment) -> BTreeMap<String, Vec<String>> {
    let mut files: BTreeMap<String, Vec<String>> = BTreeMap::new();
    match known.standings.get(index).and_then(|standing| standing.places.as_ref()) {
        Some(places) => {
            for place in places.iter().filter_map(|place| places::in_file(place)) {
                files.entry(place.file.to_owned()).or_default().push(place.key.to_owned());
            }
        }
        None => files.extend(edit::wanted(&environment.write).into_iter().map(|file| (file, Vec::new()))),
    }
    files
}

/// Whether a path names a file: all of it, its end, or a folder that it stands in.
fn is_meant(asked: &str, file: &str) -> bool {
    let is_end = || file.strip_suffix(asked).is_some_and(|before| before.ends_with('/'));
    let is_below = || file.strip_prefix(asked).is_some_and(|rest| rest.starts_with('/'));
    // A path of a checkout on somebody's machine ends with the path in the repository.
    let is_longer = || file.contains('/') && asked.strip_suffix(file).is_some_and(|before| before.ends_with('/'));
    asked == file || is_end() || is_below() || is_longer()
}

/// Files that may be meant: those in the same folder, those of the same name, and those that are a slip of the hand away.
fn like(asked: &str, files: &BTreeSet<String>) -> Vec<String> {
    let (folder, name) = asked.rsplit_once('/').unwrap_or(("", asked));
    let is_like = |file: &&String| {
        let (of, at) = file.rsplit_once('/').unwrap_or(("", file));
        (of == folder && !folder.is_empty()) || at == name
    };
    let mut near: Vec<String> =
        nearest(asked, files.iter().map(String::as_str)).map(str::to_owned).into_iter().collect();
    near.extend(files.iter().filter(is_like).cloned());
    near.dedup();
    near.truncate(NEAR_SHOWN_MAX);
    near
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_file_by_its_end_and_a_folder_by_what_is_below() {
        for (asked, file, expected) in [
            ("apps/prod.yaml", "apps/prod.yaml", true),
            ("prod.yaml", "apps/prod.yaml", true),
            ("rod.yaml", "apps/prod.yaml", false),
            ("apps", "apps/prod.yaml", true),
            ("app", "apps/prod.yaml", false),
            ("home/ada/deploys/apps/prod.yaml", "apps/prod.yaml", true),
            ("home/ada/deploys/prod.yaml", "prod.yaml", false),
            ("apps/dev.yaml", "apps/prod.yaml", false),
        ] {
            assert_eq!(is_meant(asked, file), expected, "{asked} {file}");
        }
    }

    #[test]
    fn files_that_may_be_meant() {
        let files: BTreeSet<String> =
            ["apps/dev/kustomization.yaml", "apps/prod/kustomization.yaml", "values-prod.yaml"]
                .map(str::to_owned)
                .into();
        for (asked, expected) in [
            ("apps/prod/deployment.yaml", &["apps/prod/kustomization.yaml"][..]),
            ("valeus-prod.yaml", &["values-prod.yaml"]),
            ("elsewhere.txt", &[]),
        ] {
            assert_eq!(like(asked, &files), expected, "{asked}");
        }
    }
}
