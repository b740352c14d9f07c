//! Lists of tags, put away on disk: a list is read, judged, and takes no memory until it is judged again.
//!
//! They are copies of what registries said and live as long as the process: the next start asks anew.

use crate::model::{TagList, text};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::{fmt, fs, io};

/// What the directory's name has besides the journal's, whose lock makes it ours alone.
const SUFFIX: &str = ".lists";

/// Where lists are put away. Clones share it; the last one takes it away.
#[derive(Clone)]
pub(super) struct Lists(Arc<Room>);

struct Room {
    directory: PathBuf,
    n_kept: AtomicU64,
}

impl Drop for Room {
    fn drop(&mut self) {
        // What stays is removed by the next start.
        let _removed = fs::remove_dir_all(&self.directory);
    }
}

impl Lists {
    /// An empty room beside this journal: what a process left there that was killed is removed.
    pub(super) fn open(journal: &Path) -> io::Result<Self> {
        let mut directory = journal.as_os_str().to_owned();
        directory.push(SUFFIX);
        let directory = PathBuf::from(directory);
        match fs::remove_dir_all(&directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => fs::create_dir_all(&directory)?,
        }
        Ok(Self(Arc::new(Room { directory, n_kept: AtomicU64::new(0) })))
    }

    /// Puts a list away.
    pub(super) async fn keep(&self, tags: &TagList) -> Result<Kept, String> {
        let number = self.0.n_kept.fetch_add(1, Ordering::Relaxed);
        let kept = Kept {
            room: Arc::clone(&self.0),
            number,
            len: tags.len(),
            hash: text::sha256(tags.text().as_bytes()),
            lost: AtomicBool::new(false),
        };
        let written = async {
            tokio::fs::create_dir_all(&self.0.directory).await?;
            tokio::fs::write(kept.path(), tags.text()).await
        };
        let told = |error| format!("a list of tags could not be put away in {}: {error}", kept.path().display());
        written.await.map_err(told)?;
        Ok(kept)
    }
}

/// A list that was put away; it is removed with this.
pub(super) struct Kept {
    room: Arc<Room>,
    number: u64,
    len: usize,
    hash: [u8; 32],
    /// Whether it could not be read the last time.
    lost: AtomicBool,
}

impl Kept {
    /// How many tags it has.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The list.
    pub(super) fn read(&self) -> Result<TagList, String> {
        let read = self.read_file();
        self.lost.store(read.is_err(), Ordering::Relaxed);
        read
    }

    fn read_file(&self) -> Result<TagList, String> {
        let told = |why: &str| format!("the list of tags in {} cannot be read again: {why}", self.path().display());
        let lines = fs::read_to_string(self.path()).map_err(|error| told(&error.to_string()))?;
        if text::sha256(lines.as_bytes()) != self.hash {
            return Err(told("it was changed"));
        }
        Ok(TagList::of(lines.lines()).0)
    }

    /// Whether its file is still there, and was not found damaged.
    pub(super) fn is_there(&self) -> bool {
        !self.lost.load(Ordering::Relaxed) && self.path().exists()
    }

    fn path(&self) -> PathBuf {
        self.room.directory.join(self.number.to_string())
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // What stays is removed with the room.
        let _removed = fs::remove_file(self.path());
    }
}

/// Two that hold the same tags.
impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
    }
}

impl Eq for Kept {}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("len", &self.len).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[&str]) -> TagList {
        TagList::of(names.iter().copied()).0
    }

    #[tokio::test]
    async fn a_list_is_as_it_was_and_leaves_nothing_behind() {
        let home = tempfile::tempdir().expect("a directory");
        let journal = home.path().join("journal.db");
        let directory = home.path().join("journal.db.lists");
        fs::create_dir(&directory).expect("created");
        fs::write(directory.join("0"), "left by a process that was killed").expect("written");

        let lists = Lists::open(&journal).expect("a room");
        assert_eq!(fs::read_dir(&directory).expect("a directory").count(), 0);
        let (one, same, none) = (list(&["b", "a"]), list(&["a", "b"]), list(&[]));
        let kept =
            [lists.keep(&one).await, lists.keep(&same).await, lists.keep(&none).await].map(|kept| kept.expect("kept"));
        assert_eq!(kept.each_ref().map(Kept::len), [2, 2, 0]);
        assert_eq!(kept.each_ref().map(|kept| kept.read().expect("a list")), [one, same, none]);
        assert!(kept[0] == kept[1] && kept[0] != kept[2]);

        drop(lists);
        assert!(kept[0].is_there(), "the room lasts as long as a list in it");
        drop(kept);
        assert!(!directory.exists());
    }

    #[tokio::test]
    async fn what_was_changed_or_removed_is_said() {
        let home = tempfile::tempdir().expect("a directory");
        let lists = Lists::open(&home.path().join("journal.db")).expect("a room");
        let kept = lists.keep(&list(&["a", "b"])).await.expect("kept");
        fs::write(kept.path(), "a\n$(rm -rf /)\n").expect("written");
        assert!(
            kept.read().is_err_and(|error| error.ends_with("journal.db.lists/0 cannot be read again: it was changed"))
        );
        fs::remove_dir_all(home.path().join("journal.db.lists")).expect("removed");
        assert!(kept.read().is_err() && !kept.is_there());
        assert_eq!(lists.keep(&list(&["a"])).await.map(|kept| kept.len()), Ok(1), "the room is made again");

        fs::remove_dir_all(home.path().join("journal.db.lists")).expect("removed");
        fs::write(home.path().join("journal.db.lists"), "no directory").expect("written");
        let full = lists.keep(&list(&["a"])).await;
        assert!(
            full.is_err_and(|error| error.contains("could not be put away in") && error.contains("journal.db.lists/2"))
        );
    }
}
