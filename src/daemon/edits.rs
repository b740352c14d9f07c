//! The files that changes are written into: one look at them at a time in the whole process, and room for what is pushed.
//!
//! A file takes many times its size while it is parsed and edited, and any repository may hold the largest. So whoever reads,
//! plans or writes waits for its turn, and holds no text while it waits.

use crate::clients::git::{Contents, GitError, Mirror};
use crate::model::CommitId;
use crate::model::budget::{PUSH_SMALL_BYTES, PUSHES_SMALL_BYTES};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// In which steps room for small pushes is taken.
const STEP_BYTES: usize = 1 << 10;

/// The turns of all who look at such files.
#[derive(Debug, Clone)]
pub(super) struct Edits {
    bytes: usize,
    one: Arc<Semaphore>,
    small_pushes: Arc<Semaphore>,
    large_push: Arc<Semaphore>,
}

/// Room for the texts of one push, until it is dropped.
#[derive(Debug)]
pub(super) struct Room {
    bytes: usize,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Room {
    /// Whether so much text fits.
    pub(super) fn holds(&self, bytes: usize) -> bool {
        bytes <= self.bytes
    }
}

impl Edits {
    /// One look holds so many bytes of text at the most, and so does one push.
    pub(super) fn new(bytes: usize) -> Self {
        let semaphore = |n| Arc::new(Semaphore::new(n));
        let small_pushes = semaphore(PUSHES_SMALL_BYTES / STEP_BYTES);
        Self { bytes, one: semaphore(1), small_pushes, large_push: semaphore(1) }
    }

    /// How many bytes of text one look, or one push, holds at the most.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Reads the files of the first of these groups at a fetched commit, as many as one look may hold and those of the first
    /// group in any case, and has them looked at. The look is told how many groups were read.
    ///
    /// # Errors
    /// When none of the files can be read for a reason that lies in the server or the mirror.
    pub(super) async fn read<T>(
        &self,
        mirror: &Mirror,
        tip: &CommitId,
        groups: &[Vec<String>],
        look: impl FnOnce(Contents<String>, usize) -> T,
    ) -> Result<T, GitError> {
        // A mirror's turn may be kept for as long as a push takes. It is taken first, so that nobody waits for it who keeps
        // all others from their look; and what has to come from the server comes before the look begins.
        let mirror = mirror.keep_turn().await;
        let brought = mirror.bring(tip, &groups.concat()).await?;
        let _one = self.one.acquire().await;
        let (contents, n_groups) = mirror.read_groups(tip, &brought, groups, self.bytes).await?;
        Ok(look(contents, n_groups))
    }

    /// Room for a push of so much text, where there is some now.
    pub(super) fn try_room(&self, bytes: usize) -> Option<Room> {
        let (of, n_steps, bytes) = self.room_of(bytes);
        Some(Room { bytes, _permit: Some(Arc::clone(of).try_acquire_many_owned(n_steps).ok()?) })
    }

    /// Waits for room for a push of so much text.
    pub(super) async fn room(&self, bytes: usize) -> Room {
        let (of, n_steps, bytes) = self.room_of(bytes);
        // The semaphores are never closed.
        Room { bytes, _permit: Arc::clone(of).acquire_many_owned(n_steps).await.ok() }
    }

    /// Where room is taken, how much of it, and how much text it is for.
    fn room_of(&self, bytes: usize) -> (&Arc<Semaphore>, u32, usize) {
        if bytes > PUSH_SMALL_BYTES {
            return (&self.large_push, 1, usize::MAX);
        }
        let n_steps = bytes.div_ceil(STEP_BYTES).max(1);
        (&self.small_pushes, u32::try_from(n_steps).unwrap_or(u32::MAX), n_steps * STEP_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::git::{Remote, location};
    use crate::clients::http::{Transport, uncounted};
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A bare repository with so many files that hold one content of so many bytes, and its tip.
    fn repository(n_files: usize, bytes: usize) -> (tempfile::TempDir, Mirror, CommitId) {
        let scratch = tempfile::tempdir().expect("a directory");
        let path = scratch.path().join("r.git");
        let repository = git2::Repository::init_bare(&path).expect("a repository");
        let blob = repository.blob(&vec![b'#'; bytes]).expect("a blob");
        let mut tree = repository.treebuilder(None).expect("a tree");
        for n in 0..n_files {
            tree.insert(format!("f{n}"), blob, 0o100_644).expect("inserted");
        }
        let tree = repository.find_tree(tree.write().expect("written")).expect("a tree");
        let who = git2::Signature::new("a", "a@example.com", &git2::Time::new(0, 0)).expect("a name");
        let tip = repository.commit(Some("refs/heads/main"), &who, &who, "x", &tree, &[]).expect("committed");
        let remote = Remote {
            url: location(&path.display().to_string()).expect("a location"),
            username: String::new(),
            token: None,
            transport: Transport::default(),
        };
        let mirror = Mirror::open(&scratch.path().join("m"), remote, uncounted()).expect("a mirror");
        (scratch, mirror, CommitId::parse(&tip.to_string()).expect("an id"))
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn however_many_files_there_are_one_look_holds_few_of_them_and_is_alone() {
        const BYTES: usize = 10_000;
        let (_scratch, mirror, tip) = repository(300, BYTES);
        let groups: Vec<Vec<String>> = (0..300).map(|n| vec![format!("f{n}"), format!("missing{n}")]).collect();
        let edits = Edits::new(7 * BYTES + 1);
        let (n_at_once, n_looks, most) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        let reader = || async {
            let mut done = 0;
            while let Some(rest) = groups.get(done..).filter(|rest| !rest.is_empty()) {
                let look = |contents: Contents<String>, n_groups| {
                    assert_eq!(n_at_once.fetch_add(1, Ordering::SeqCst), 0, "alone");
                    let held = contents.values().map(|text| text.as_ref().map_or(0, String::len)).sum();
                    most.fetch_max(held, Ordering::SeqCst);
                    n_looks.fetch_add(1, Ordering::SeqCst);
                    std::thread::yield_now();
                    n_at_once.fetch_sub(1, Ordering::SeqCst);
                    n_groups
                };
                done += edits.read(&mirror, &tip, rest, look).await.expect("read");
            }
        };
        tokio::join!(reader(), reader(), reader());
        assert_eq!(most.load(Ordering::SeqCst), 7 * BYTES);
        assert_eq!(n_looks.load(Ordering::SeqCst), 3 * 300_usize.div_ceil(7));
    }

    #[tokio::test]
    async fn a_group_that_is_too_large_alone_is_told_and_the_next_is_read() {
        let (_scratch, mirror, tip) = repository(3, 100);
        let groups = [vec!["f0".to_owned(), "f1".to_owned()], vec!["f2".to_owned()]];
        let edits = Edits::new(150);
        let contents = edits.read(&mirror, &tip, &groups, |contents, n| (contents, n)).await.expect("read");
        assert_eq!(contents.1, 1);
        assert!(contents.0["f0"].is_ok());
        let unreadable = contents.0["f1"].as_ref().expect_err("too much");
        assert!(unreadable.lasts && unreadable.reason.contains("`f1` is not read"), "{unreadable:?}");
        assert!(unreadable.reason.contains("150 bytes"), "{unreadable:?}");
        let (contents, n) = edits.read(&mirror, &tip, &groups[1..], |contents, n| (contents, n)).await.expect("read");
        assert!(contents["f2"].is_ok() && n == 1);
    }

    #[tokio::test]
    async fn a_large_push_waits_for_another_and_keeps_no_small_one_waiting() {
        let edits = Edits::new(1 << 20);
        let large = edits.try_room(PUSH_SMALL_BYTES + 1).expect("the first");
        assert!(large.holds(usize::MAX) && edits.try_room(1 << 20).is_none());
        let small = edits.try_room(5_000).expect("small ones go on");
        assert!(small.holds(5_000) && !small.holds(6_000));
        let mut more = Vec::new();
        while let Some(room) = edits.try_room(PUSH_SMALL_BYTES) {
            more.push(room);
        }
        assert_eq!(more.len(), (PUSHES_SMALL_BYTES - 5 * STEP_BYTES) / PUSH_SMALL_BYTES);
        drop(large);
        assert!(edits.room(1 << 20).await.holds(1 << 23));
    }
}
