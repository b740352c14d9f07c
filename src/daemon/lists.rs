//! Lists of tags, and what is left in reach of their builds, put away on disk: they are read, judged, and take no memory
//! until they are judged again.
//!
//! They are copies of what registries said and live as long as the process: the next start asks anew.

use crate::journal::take_folder;
use crate::model::{Dated, TagList, text};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::{fmt, fs, io};
use tokio::io::AsyncWriteExt as _;

/// What the directory's name has besides the journal's, whose lock makes it ours alone.
const SUFFIX: &str = ".lists";

/// What can be put away: lines of text.
pub(super) trait Lines: Sized {
    /// What it is, for people.
    const WHAT: &'static str;

    /// The lines.
    fn text(&self) -> &str;
    /// How many there are.
    fn len(&self) -> usize;
    /// What has these lines.
    fn of_text(lines: String) -> Self;
}

impl Lines for TagList {
    const WHAT: &'static str = "the list of tags";

    fn text(&self) -> &str {
        self.text()
    }

    fn len(&self) -> usize {
        self.len()
    }

    fn of_text(lines: String) -> Self {
        Self::of_text(lines)
    }
}

impl Lines for Dated {
    const WHAT: &'static str = "what is known of tags";

    fn text(&self) -> &str {
        self.text()
    }

    fn len(&self) -> usize {
        self.len()
    }

    fn of_text(lines: String) -> Self {
        Self::of_text(lines)
    }
}

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
            Ok(()) | Err(_) => take_folder(&directory)?,
        }
        Ok(Self(Arc::new(Room { directory, n_kept: AtomicU64::new(0) })))
    }

    /// Puts a list away.
    pub(super) async fn keep<L: Lines>(&self, list: &L) -> Result<Kept<L>, String> {
        let number = self.0.n_kept.fetch_add(1, Ordering::Relaxed);
        let kept = Kept {
            room: Arc::clone(&self.0),
            number,
            len: list.len(),
            hash: text::sha256(list.text().as_bytes()),
            lost: AtomicBool::new(false),
            of: PhantomData,
        };
        let written = async {
            take_folder(&self.0.directory)?;
            // A piece at a time: to write all at once would copy all.
            let mut file = tokio::fs::File::create(kept.path()).await?;
            file.write_all(list.text().as_bytes()).await?;
            file.flush().await
        };
        let told = |error| format!("{} could not be put away in {}: {error}", L::WHAT, kept.path().display());
        written.await.map_err(told)?;
        Ok(kept)
    }
}

/// A list that was put away; it is removed with this.
pub(super) struct Kept<L> {
    room: Arc<Room>,
    number: u64,
    len: usize,
    hash: [u8; 32],
    /// Whether it could not be read the last time.
    lost: AtomicBool,
    of: PhantomData<fn() -> L>,
}

impl<L: Lines> Kept<L> {
    /// How many lines it has.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The list.
    pub(super) fn read(&self) -> Result<L, String> {
        let read = self.read_file();
        self.lost.store(read.is_err(), Ordering::Relaxed);
        read
    }

    fn read_file(&self) -> Result<L, String> {
        let told = |why: &str| format!("{} in {} cannot be read again: {why}", L::WHAT, self.path().display());
        let lines = fs::read_to_string(self.path()).map_err(|error| told(&error.to_string()))?;
        if text::sha256(lines.as_bytes()) != self.hash {
            return Err(told("it was changed"));
        }
        Ok(L::of_text(lines))
    }

    /// Whether its file is still there, and was not found damaged.
    pub(super) fn is_there(&self) -> bool {
        !self.lost.load(Ordering::Relaxed) && self.path().exists()
    }

    /// Loses it, so that it is asked for anew.
    pub(super) fn lose(&self) {
        // What stays is as good as it was.
        let _removed = fs::remove_file(self.path());
    }
}

impl<L> Kept<L> {
    fn path(&self) -> PathBuf {
        self.room.directory.join(self.number.to_string())
    }
}

impl<L> Drop for Kept<L> {
    fn drop(&mut self) {
        // What stays is removed with the room.
        let _removed = fs::remove_file(self.path());
    }
}

/// Two that hold the same lines.
impl<L> PartialEq for Kept<L> {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
    }
}

impl<L> Eq for Kept<L> {}

impl<L> fmt::Debug for Kept<L> {
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
