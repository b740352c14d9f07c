//! The commits of tagrelay that set the pins of environments before, whichever journal gave them out: one walk for all
//! environments of a branch.

use super::source::Source;
use super::{cache, history};
use crate::clients::git::error::Fault;
use crate::model::pin::Trailers;
use crate::model::{EnvironmentName, PolicyName};
use git2::{Oid, Sort};
use std::collections::BTreeMap;

/// How deep history is fetched for this, one after another, as long as a commit is missing.
const DEPTHS: [u32; 2] = [50, 500];
/// The most commits that are looked at.
const COMMITS_MAX: usize = 20_000;

/// The commits found for each environment, the newest first.
pub type FormerCommits = BTreeMap<(PolicyName, EnvironmentName), Vec<Trailers>>;

/// Walks back from a tip until every one of these environments has `most` commits with trailers, or history ends.
pub(super) fn search(
    source: &dyn Source,
    tip: Oid,
    of: &[(PolicyName, EnvironmentName)],
    most: usize,
) -> Result<FormerCommits, Fault> {
    let mut found = FormerCommits::new();
    for depth in DEPTHS {
        found = of.iter().map(|of| (of.clone(), Vec::new())).collect();
        let repository = source.repository()?;
        let cuts = cache::cuts_of(repository.path())?;
        if !walk(source, tip, most, &mut found)? {
            break;
        }
        if history::distance(&repository, &cuts, tip)? < depth {
            source.deepen(tip, depth)?;
        }
    }
    Ok(found)
}

/// Whether the walk came to where history is cut.
fn walk(source: &dyn Source, tip: Oid, most: usize, found: &mut FormerCommits) -> Result<bool, Fault> {
    let repository = source.repository()?;
    let cuts = cache::cuts_of(repository.path())?;
    let mut order = repository.revwalk()?;
    order.set_sorting(Sort::TOPOLOGICAL | Sort::TIME)?;
    order.push(tip)?;
    let mut lacking = found.len();
    for id in order.take(COMMITS_MAX) {
        if lacking == 0 {
            return Ok(false);
        }
        let id = id?;
        let commit = repository.find_commit(id)?;
        let message = String::from_utf8_lossy(commit.message_bytes());
        if let Some(trailers) = Trailers::read(&cache::name(id)?, &message)
            && let Some(commits) = found.get_mut(&(trailers.policy.clone(), trailers.environment.clone()))
            && commits.len() < most
        {
            commits.push(trailers);
            lacking -= usize::from(commits.len() == most);
        }
        if cuts.contains(&id) {
            return Ok(true);
        }
    }
    Ok(false)
}
