//! The files that policies write, where they lie in the directory that is checked: what would make a pin useless or break
//! the file is told before anything runs.
//!
//! Files that are not there are no error: policies may be checked anywhere.

use crate::cli::file;
use crate::config::Config;
use crate::model::policy::{Environment, Policy};
use crate::relay::edit::{self, EditError, Files};
use std::path::Path;

/// The largest file that is read.
const FILE_BYTES_MAX: u64 = 8 << 20;

/// A file that must not be written as a policy says.
pub(super) struct Unfit {
    /// The policy's file.
    pub(super) file: String,
    /// The environment.
    pub(super) environment: String,
    /// What is wrong with the target.
    pub(super) why: EditError,
}

/// The targets that must not be written, of policies that stand in the repository `owner` and write its own branch.
pub(super) fn unfit(config: &Config, policies: &[Policy], owner: Option<&str>) -> Vec<Unfit> {
    let mut found = Vec::new();
    for policy in policies {
        for environment in policy.environments.iter().filter(|environment| is_here(config, environment, owner)) {
            found.extend(objection(environment).map(|why| Unfit {
                file: policy.origin.path.clone(),
                environment: environment.name.to_string(),
                why,
            }));
        }
    }
    found
}

/// Whether what an environment writes stands in the repository and on the branch that is most likely checked out here.
fn is_here(config: &Config, environment: &Environment, owner: Option<&str>) -> bool {
    let deliver = &environment.deliver;
    let branch = config.repositories.get(&deliver.repository).map(|repository| &repository.branch);
    owner == Some(deliver.repository.as_str()) && branch == Some(&deliver.branch)
}

fn objection(environment: &Environment) -> Option<EditError> {
    let mut files = Files::new();
    for path in edit::wanted(&environment.write) {
        if let Ok(text) = file::read(Path::new(&path), FILE_BYTES_MAX) {
            files.insert(path, text);
        }
    }
    match edit::read(&environment.write, &environment.images, &files) {
        Err(why @ (EditError::Outranked { .. } | EditError::Signed { .. })) => Some(why),
        Ok(_) | Err(_) => None,
    }
}
