//! Whether a commit stands on a branch at or after another one: what a cluster reports is the tip that it synced.

use super::cache;
use super::error::Fault;
use super::history::DEPTHS;
use super::source::Source;
use super::tree;
use git2::{Oid, Repository, TreeEntry};

/// Whether `commit` is `since` or comes after it, and stands on the branch. A commit that is not here is fetched with the
/// branch, and history is deepened as long as it is cut too short to tell.
pub(super) fn is_later(source: &dyn Source, branch: &str, commit: Oid, since: Oid) -> Result<bool, Fault> {
    let Some(tip) = source.tip(branch)? else { return Ok(false) };
    source.fetch(branch, tip)?;
    for depth in DEPTHS {
        let repository = source.repository()?;
        if is_between(&repository, commit, since, tip) {
            return Ok(true);
        }
        if cache::cuts_of(repository.path())?.is_empty() {
            return Ok(false);
        }
        let is_here = |id: Oid| repository.find_commit(id).is_ok();
        if is_here(commit) && is_here(since) && is_whole(&repository, since, tip) {
            return Ok(false);
        }
        source.deepen(tip, depth)?;
    }
    Ok(is_between(&source.repository()?, commit, since, tip))
}

/// Whether `now` comes after `before`, as far as history is here, and the same stands at these places.
pub(super) fn stands_still(repository: &Repository, before: Oid, now: Oid, places: &[String]) -> Result<bool, Fault> {
    if !is_behind(repository, before, now) {
        return Ok(false);
    }
    let (before, now) = (cache::commit(repository, before)?.tree()?, cache::commit(repository, now)?.tree()?);
    for place in places {
        let place = place.trim_end_matches('/');
        let same = match place {
            "" | "." => before.id() == now.id(),
            place => {
                let at = |entry: TreeEntry<'_>| (entry.id(), entry.filemode());
                tree::entry(&before, place)?.map(at) == tree::entry(&now, place)?.map(at)
            }
        };
        if !same {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is_between(repository: &Repository, commit: Oid, since: Oid, tip: Oid) -> bool {
    is_behind(repository, since, commit) && is_behind(repository, commit, tip)
}

/// Whether the history from the tip back to a commit is here, so that more of it tells nothing new.
fn is_whole(repository: &Repository, since: Oid, tip: Oid) -> bool {
    is_behind(repository, since, tip)
}

fn is_behind(repository: &Repository, old: Oid, new: Oid) -> bool {
    old == new || repository.graph_descendant_of(new, old).unwrap_or(false)
}
