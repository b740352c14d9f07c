//! Who set a pin: the newest commit with our trailers among those that touched an environment's places.
//!
//! It tells what it found, or that it stopped looking; what that means is decided elsewhere.

use super::cache;
use super::error::Fault;
use super::messages::Messages;
use super::source::Source;
use super::tree;
use crate::model::pin::{Touch, Trailers};
use crate::model::{CommitId, EnvironmentName, OurCommit, PolicyName, text};
use git2::{Commit, Oid, Repository, Sort, Tree};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// How deep history is fetched, one after another, as long as the search comes to where it is cut. Behind the last one,
/// the messages alone are read.
pub(super) const DEPTHS: [u32; 3] = [50, 500, 5_000];

/// The same for who committed a file, which no decision hangs on.
const COMMITTER_DEPTHS: [u32; 2] = [50, 500];

/// The most commits that are looked at: side branches count too, so more than [`DEPTHS`].
const COMMITS_MAX: usize = 20_000;

/// What is sought.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// Files or directories.
    pub(super) places: Vec<String>,
    /// Whose trailers are sought.
    pub(super) of: (PolicyName, EnvironmentName),
    /// A commit up to which history was searched before.
    pub(super) stop_at: Option<Oid>,
}

/// The messages that were read last: a long history is the same for every environment.
pub(super) type SharedMessages = Arc<Mutex<Option<Arc<Messages>>>>;

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// The newest commit with our trailers for the environment. With `reached_stop`, none is newer than the commit
    /// that the search was to stop at.
    pub ours: OurCommit,
    /// The newest commit that touched the places: none where none did before the search ended.
    pub last_touch: Option<Touch>,
    /// Whether the search ended at the commit that it was to stop at, without a find.
    pub reached_stop: bool,
}

/// Searches back from a tip, and asks for more history as long as it is needed and allowed.
pub(super) fn search(source: &dyn Source, tip: Oid, wanted: &Wanted, known: &SharedMessages) -> Result<History, Fault> {
    let history = near(source, tip, wanted)?;
    if history.ours != OurCommit::LimitReached {
        return Ok(history);
    }
    let ours = messages(source, tip, known)?.newest(&wanted.of);
    Ok(History { ours, ..history })
}

/// The messages behind a tip. Those of an older tip serve as well: what came since was just looked at.
fn messages(source: &dyn Source, tip: Oid, known: &SharedMessages) -> Result<Arc<Messages>, Fault> {
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(messages) = known.as_ref()
        && is_behind(&source.repository()?, messages.tip, tip)
    {
        return Ok(Arc::clone(messages));
    }
    let messages = Arc::new(source.messages(tip)?);
    *known = Some(Arc::clone(&messages));
    Ok(messages)
}

/// The same among the newest commits.
fn near(source: &dyn Source, tip: Oid, wanted: &Wanted) -> Result<History, Fault> {
    for depth in DEPTHS {
        let repository = source.repository()?;
        let cuts = cache::cuts_of(repository.path())?;
        let (history, end) = walk(&repository, &cuts, tip, wanted)?;
        if end != End::Cut {
            return Ok(history);
        }
        // Asking for less than is here would cut history where it is whole.
        if distance(&repository, &cuts, tip)? < depth {
            source.deepen(tip, depth)?;
        }
    }
    let repository = source.repository()?;
    let cuts = cache::cuts_of(repository.path())?;
    Ok(walk(&repository, &cuts, tip, wanted)?.0)
}

/// Who committed the last change of each of these files, as far as history is here or comes in a few steps: one walk for all
/// of them. A file whose last change is not found is left out.
pub(super) fn committers(
    source: &dyn Source,
    tip: Oid,
    directory: &str,
    names: &[String],
) -> Result<BTreeMap<String, String>, Fault> {
    let mut found = BTreeMap::new();
    for depth in COMMITTER_DEPTHS {
        let repository = source.repository()?;
        let cuts = cache::cuts_of(repository.path())?;
        let end = walk_for_committers(&repository, &cuts, tip, (directory, names), &mut found)?;
        if end != End::Cut {
            break;
        }
        if distance(&repository, &cuts, tip)? < depth {
            source.deepen(tip, depth)?;
        }
    }
    Ok(found)
}

fn walk_for_committers(
    repository: &Repository,
    cuts: &BTreeSet<Oid>,
    tip: Oid,
    (directory, names): (&str, &[String]),
    found: &mut BTreeMap<String, String>,
) -> Result<End, Fault> {
    let mut left: BTreeSet<&str> = names.iter().map(String::as_str).filter(|name| !found.contains_key(*name)).collect();
    let mut order = repository.revwalk()?;
    order.set_sorting(Sort::TOPOLOGICAL | Sort::TIME)?;
    order.push(tip)?;
    for id in order.take(COMMITS_MAX) {
        let id = id?;
        if left.is_empty() {
            return Ok(End::Told);
        }
        if cuts.contains(&id) {
            return Ok(End::Cut);
        }
        let commit = repository.find_commit(id)?;
        let here = tree::directory_id(&commit.tree()?, directory)?;
        let mut before = Vec::new();
        for parent in commit.parents() {
            before.push(tree::directory_id(&parent.tree()?, directory)?);
        }
        // Most commits leave the whole directory alone: then it is not even read, for it may be large.
        if before.contains(&here) {
            continue;
        }
        let read = |id: Option<Oid>| id.map(|id| repository.find_tree(id)).transpose();
        let here = read(here)?;
        let before = before.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let content = |tree: &Option<Tree<'_>>, name: &str| tree.as_ref()?.get_name(name).map(|entry| entry.id());
        let touched = |name: &&&str| {
            let now = content(&here, name);
            (now.is_some() || !before.is_empty()) && before.iter().all(|before| content(before, name) != now)
        };
        let touched: Vec<&str> = left.iter().filter(touched).copied().collect();
        let who = text::shown(&String::from_utf8_lossy(commit.committer().name_bytes()));
        for name in touched {
            left.remove(name);
            found.insert(name.to_owned(), who.clone());
        }
    }
    Ok(End::Told)
}

/// How many commits deep the history of a tip is whole. Depth is counted by parents and not by the commits' times, for
/// these may be wrong: `deepen-relative` makes git's server go by them.
pub(super) fn distance(repository: &Repository, cuts: &BTreeSet<Oid>, tip: Oid) -> Result<u32, Fault> {
    let (mut depth, mut level, mut seen) = (0, BTreeSet::from([tip]), BTreeSet::from([tip]));
    while !level.is_empty() {
        depth += 1;
        if level.iter().any(|id| cuts.contains(id)) {
            break;
        }
        let mut next = BTreeSet::new();
        for id in level {
            next.extend(repository.find_commit(id)?.parent_ids().filter(|parent| seen.insert(*parent)));
        }
        level = next;
    }
    Ok(depth)
}

/// Why a walk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// With an answer.
    Told,
    /// Where the history that is here is cut: more of it could tell.
    Cut,
}

/// Walks from the tip towards the oldest, children before parents, the newer of two lines first.
fn walk(repository: &Repository, cuts: &BTreeSet<Oid>, tip: Oid, wanted: &Wanted) -> Result<(History, End), Fault> {
    cache::commit(repository, tip)?;
    let mut order = repository.revwalk()?;
    order.set_sorting(Sort::TOPOLOGICAL | Sort::TIME)?;
    order.push(tip)?;
    let stop = wanted.stop_at.filter(|stop| is_behind(repository, *stop, tip));
    if let Some(stop) = stop {
        // All that is behind it was searched with it, by whichever way one comes there.
        order.hide(stop)?;
    }
    let mut places = Places::new(&wanted.places);
    let mut history = History { ours: OurCommit::LimitReached, last_touch: None, reached_stop: false };
    let mut looked_at = 0;
    for id in order.take(COMMITS_MAX) {
        let id = id?;
        if cuts.contains(&id) {
            // Without its parents nobody can tell what it touched.
            return Ok((history, End::Cut));
        }
        looked_at += 1;
        let commit = repository.find_commit(id)?;
        // The order of a walk trusts the commits' times a little, so what is hidden is asked for once more.
        if !places.touched_by(&commit)? || stop.is_some_and(|stop| is_behind(repository, id, stop)) {
            continue;
        }
        let name = cache::name(id)?;
        let ours = ours(&name, &commit, wanted);
        history.last_touch.get_or_insert_with(|| touch(name, &commit));
        if let Some(trailers) = ours {
            history.ours = OurCommit::Found(trailers);
            return Ok((history, End::Told));
        }
    }
    if looked_at < COMMITS_MAX {
        history.ours = OurCommit::None;
        history.reached_stop = stop.is_some();
    }
    Ok((history, End::Told))
}

fn ours(name: &CommitId, commit: &Commit<'_>, wanted: &Wanted) -> Option<Trailers> {
    let (policy, environment) = &wanted.of;
    let message = String::from_utf8_lossy(commit.message_bytes());
    Trailers::read(name, &message).filter(|trailers| trailers.policy == *policy && trailers.environment == *environment)
}

fn touch(name: CommitId, commit: &Commit<'_>) -> Touch {
    Touch {
        commit: name,
        author: text::shown(&String::from_utf8_lossy(commit.author().name_bytes())),
        // A time that no calendar holds is a forgery; the epoch is as good as any other.
        at: Timestamp::from_second(commit.time().seconds()).unwrap_or(Timestamp::UNIX_EPOCH),
    }
}

fn is_behind(repository: &Repository, stop: Oid, tip: Oid) -> bool {
    stop == tip || repository.graph_descendant_of(tip, stop).unwrap_or(false)
}

/// What stands at the places, commit by commit; a commit is asked once as itself and once by each child.
struct Places<'a> {
    places: &'a [String],
    known: HashMap<Oid, Vec<Option<Oid>>>,
}

impl<'a> Places<'a> {
    fn new(places: &'a [String]) -> Self {
        Self { places, known: HashMap::new() }
    }

    /// Whether what stands at the places differs from what stands there in every parent.
    fn touched_by(&mut self, commit: &Commit<'_>) -> Result<bool, Fault> {
        let here = self.at(commit)?;
        // Children come before their parents, so nobody asks for this one again.
        self.known.remove(&commit.id());
        for parent in commit.parents() {
            if self.at(&parent)? == here {
                return Ok(false);
            }
        }
        Ok(commit.parent_count() > 0 || here.iter().any(Option::is_some))
    }

    fn at(&mut self, commit: &Commit<'_>) -> Result<Vec<Option<Oid>>, Fault> {
        if let Some(known) = self.known.get(&commit.id()) {
            return Ok(known.clone());
        }
        let tree = commit.tree()?;
        let entries: Vec<Option<Oid>> = self
            .places
            .iter()
            .map(|place| {
                let place = place.trim_matches('/');
                if place.is_empty() {
                    Some(tree.id())
                } else {
                    tree.get_path(Path::new(place)).ok().map(|entry| entry.id())
                }
            })
            .collect();
        self.known.insert(commit.id(), entries.clone());
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::git::local::Local;
    use crate::clients::git::source::Move;
    use git2::{Signature, Time};
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A repository on disk that counts how often it is opened: once for each walk.
    struct Counted(Local, AtomicUsize);

    impl Source for Counted {
        fn repository(&self) -> Result<Repository, Fault> {
            self.1.fetch_add(1, Ordering::Relaxed);
            self.0.repository()
        }
        fn tip(&self, branch: &str) -> Result<Option<Oid>, Fault> {
            self.0.tip(branch)
        }
        fn fetch(&self, branch: &str, tip: Oid) -> Result<(), Fault> {
            self.0.fetch(branch, tip)
        }
        fn obtain(&self, contents: &[Oid], bytes_max: u64) -> Result<(), Fault> {
            self.0.obtain(contents, bytes_max)
        }
        fn deepen(&self, tip: Oid, depth: u32) -> Result<(), Fault> {
            self.0.deepen(tip, depth)
        }
        fn messages(&self, tip: Oid) -> Result<Messages, Fault> {
            self.0.messages(tip)
        }
        fn push(&self, branch: &str, old: Oid, new: Oid, pack: &[u8]) -> Result<Move, Fault> {
            self.0.push(branch, old, new, pack)
        }
        fn may_push(&self) -> Result<(), Fault> {
            self.0.may_push()
        }
        fn forget(&self) -> Result<(), Fault> {
            self.0.forget()
        }
    }

    #[test]
    fn who_committed_three_thousand_files_is_found_in_one_walk_of_three_thousand_commits() {
        const N: usize = 3_000;
        let scratch = tempfile::tempdir().expect("a directory");
        let repository = Repository::init_bare(scratch.path()).expect("a repository");
        let blob = repository.blob(b"stop").expect("a blob");
        let names: Vec<String> = (0..N).map(|n| format!("HOLD.{n}")).collect();
        let mut folder = repository.treebuilder(None).expect("a tree");
        for name in &names {
            folder.insert(name, blob, 0o100_644).expect("inserted");
        }
        let folder = folder.write().expect("written");
        let root = |name: &str| {
            let mut root = repository.treebuilder(None).expect("a tree");
            root.insert("policies", folder, 0o040_000).expect("inserted");
            root.insert(name, blob, 0o100_644).expect("inserted");
            repository.find_tree(root.write().expect("written")).expect("a tree")
        };
        let roots = [root("a"), root("b")];
        let who = |name: &str| Signature::new(name, "x@example.com", &Time::new(0, 0)).expect("a name");
        let mut tip = repository.commit(None, &who("Ann"), &who("Ann"), "hold", &roots[0], &[]).expect("committed");
        for n in 1..N {
            let parent = repository.find_commit(tip).expect("a commit");
            tip = repository.commit(None, &who("Bob"), &who("Bob"), "x", &roots[n % 2], &[&parent]).expect("committed");
        }
        let source = Counted(Local::new(scratch.path().to_owned()), AtomicUsize::new(0));
        let found = committers(&source, tip, "policies", &names).expect("walked");
        assert_eq!((found.len(), source.1.load(Ordering::Relaxed)), (N, 1));
        assert!(found.values().all(|who| who == "Ann"));
    }
}
