//! The bare repository on our own disk in which a remote is mirrored: objects, known tips, and where history is cut.
//!
//! It speaks to no server. It is a cache: what is broken is emptied and comes again. A process may be killed at any
//! time, so objects are written before whatever names them, and everything else by renaming.

use super::error::Fault;
use super::upload::Cut;
use crate::model::CommitId;
use git2::{ErrorCode, Odb, Oid, Repository};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Marks a directory as ours to empty. Nothing is ever removed from a directory without it.
const MARKER: &str = "tagrelay-mirror";

/// More packs than this are made one: each fetch and each push adds one, and each look-up asks them all.
const PACKS_MAX: usize = 50;

/// How many tips are told to the server as known: more only lengthens each request.
const TIPS_TOLD_MAX: usize = 32;

/// How many tips are kept. Branches of proposals come and go without our being told; forgetting costs a longer fetch.
const TIPS_MAX: usize = 1_000;

/// Commits at which history may be cut. All are told at each fetch; a mirror with more of them is cheaper made anew.
const CUTS_MAX: usize = 10_000;

/// The directory of a store that is needed for a moment.
const ASIDE: &str = "aside";

/// Where known tips stand. A branch is one level here, so that `a` and `a/b` do not get into each other's way.
const TIPS: &str = "refs/tips/";

/// A mirror's directory.
#[derive(Debug)]
pub(super) struct Cache {
    directory: PathBuf,
}

impl Cache {
    /// Opens a mirror, or makes it. What a killed process left behind is swept, and a broken mirror is emptied.
    pub(super) fn open(directory: &Path) -> Result<Self, Fault> {
        let cache = Self { directory: directory.to_owned() };
        if !cache.directory.join(MARKER).exists() {
            cache.claim()?;
            cache.empty()?;
        }
        cache.sweep().map_err(|error| cache.on_disk(&error))?;
        if let Err(fault) = cache.check() {
            tracing::warn!(directory = %directory.display(), ?fault, "the git mirror is broken; it is emptied and fetched again");
            cache.empty()?;
        }
        Ok(cache)
    }

    /// The repository. It is opened for each use, for only opening reads where history is cut.
    pub(super) fn repository(&self) -> Result<Repository, Fault> {
        // `Repository::open_bare` would not read the file `shallow`.
        Ok(Repository::open(&self.directory)?)
    }

    /// Takes everything out, so that it comes again from the remote.
    pub(super) fn empty(&self) -> Result<(), Fault> {
        let emptied = || -> io::Result<()> {
            for entry in fs::read_dir(&self.directory)? {
                let entry = entry?;
                if entry.file_name() == MARKER {
                    continue;
                }
                if entry.file_type()?.is_dir() {
                    fs::remove_dir_all(entry.path())?;
                } else {
                    fs::remove_file(entry.path())?;
                }
            }
            Ok(())
        };
        emptied().map_err(|error| self.on_disk(&error))?;
        drop(Repository::init_bare(&self.directory)?);
        Ok(())
    }

    /// The commits whose parents are not here.
    pub(super) fn cuts(&self) -> Result<BTreeSet<Oid>, Fault> {
        cuts_of(&self.directory)
    }

    /// Stores objects that come with a new cut of history.
    ///
    /// A commit is named as cut before it is there, and no longer named only after its parents are: killed in between,
    /// the mirror knows less history than it holds, never the other way round.
    pub(super) fn store(
        &self,
        cut: &Cut,
        copy: impl FnOnce(&mut dyn io::Write) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut cuts = self.cuts()?;
        let before = cuts.len();
        cuts.extend(&cut.shallow);
        if cuts.len() > CUTS_MAX {
            return Err(Fault::Store(format!("its history is cut at more than {CUTS_MAX} commits")));
        }
        if cuts.len() > before {
            self.write_cuts(&cuts)?;
        }
        let repository = self.repository()?;
        let odb = repository.odb()?;
        write_pack(&odb, copy)?;
        let left = &cuts - &cut.unshallow.iter().copied().collect();
        if left.len() < cuts.len() {
            self.write_cuts(&left)?;
        }
        self.gather(&repository, &odb)
    }

    /// The tips that are known, this branch's first.
    pub(super) fn tips(&self, repository: &Repository, branch: &str) -> Result<Vec<Oid>, Fault> {
        let mut tips = Vec::new();
        if let Ok(reference) = repository.find_reference(&name_of(branch)) {
            tips.extend(reference.target());
        }
        for reference in repository.references_glob(&format!("{TIPS}*"))? {
            tips.extend(reference?.target().filter(|id| tips.len() < TIPS_TOLD_MAX && !tips.contains(id)));
        }
        Ok(tips)
    }

    /// Notes where a branch stands, or that it is gone.
    pub(super) fn note(&self, repository: &Repository, branch: &str, tip: Option<Oid>) -> Result<(), Fault> {
        let name = name_of(branch);
        match (repository.find_reference(&name), tip) {
            (Ok(reference), Some(tip)) if reference.target() == Some(tip) => {}
            (known, Some(tip)) => {
                let glob = format!("{TIPS}*");
                if known.is_err() && repository.references_glob(&glob)?.count() >= TIPS_MAX {
                    repository.references_glob(&glob)?.try_for_each(|reference| reference?.delete())?;
                }
                drop(repository.reference(&name, tip, true, "")?);
            }
            (Ok(mut reference), None) => reference.delete()?,
            (Err(_), None) => {}
        }
        Ok(())
    }

    /// Makes a directory ours: one that does not exist or is empty.
    fn claim(&self) -> Result<(), Fault> {
        fs::create_dir_all(&self.directory).map_err(|error| self.on_disk(&error))?;
        let mut entries = fs::read_dir(&self.directory).map_err(|error| self.on_disk(&error))?;
        if entries.next().is_some() {
            return Err(Fault::Invalid(format!(
                "{} holds something else than a mirror of ours; name an empty directory for it",
                self.directory.display()
            )));
        }
        let note = "A mirror made by tagrelay: a cache that may be removed while tagrelay is not running.\n";
        fs::write(self.directory.join(MARKER), note).map_err(|error| self.on_disk(&error))
    }

    /// Does something with a store beside the mirror, which is gone afterwards; one that a killed process left goes first.
    pub(super) fn aside<T>(&self, work: impl FnOnce(&Self) -> Result<T, Fault>) -> Result<T, Fault> {
        let directory = self.directory.join(ASIDE);
        let remove = || match fs::remove_dir_all(&directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.on_disk(&error)),
            _ => Ok(()),
        };
        remove()?;
        let worked = Self::open(&directory).and_then(|aside| work(&aside));
        remove()?;
        worked
    }

    /// Removes lock files and half-written packs. Their writer is dead: the journal's lock lets one process run.
    fn sweep(&self) -> io::Result<()> {
        let mut directories = vec![self.directory.clone(), self.directory.join("refs")];
        while let Some(directory) = directories.pop() {
            for entry in entries_of(&directory)? {
                let path = entry.path();
                if path.extension() == Some(OsStr::new("lock")) || path.extension() == Some(OsStr::new("new")) {
                    fs::remove_file(&path)?;
                } else if directory != self.directory && entry.file_type()?.is_dir() {
                    directories.push(path);
                }
            }
        }
        for entry in entries_of(&self.packs())? {
            let path = entry.path();
            let whole = path.with_extension("idx").exists() && path.with_extension("pack").exists();
            if !whole && entry.file_type()?.is_file() {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }

    /// Whether what names objects names such as are here.
    fn check(&self) -> Result<(), Fault> {
        let repository = self.repository()?;
        if !repository.is_bare() {
            return Err(Fault::Store("it is not bare".to_owned()));
        }
        self.cuts()?;
        for reference in repository.references_glob(&format!("{TIPS}*"))? {
            reference?.peel_to_commit()?.tree()?;
        }
        Ok(())
    }

    fn write_cuts(&self, cuts: &BTreeSet<Oid>) -> Result<(), Fault> {
        let text: String = cuts.iter().map(|id| format!("{id}\n")).collect();
        let (file, new) = (self.directory.join("shallow"), self.directory.join("shallow.new"));
        let written = if text.is_empty() {
            // An empty file would still make git call the repository shallow.
            fs::remove_file(file)
        } else {
            fs::write(&new, text).and_then(|()| fs::rename(new, file))
        };
        written.map_err(|error| self.on_disk(&error))
    }

    /// Makes many packs one. Everything is kept, for a mirror without contents cannot be walked to tell what is needed.
    fn gather(&self, repository: &Repository, odb: &Odb<'_>) -> Result<(), Fault> {
        let packs =
            || -> io::Result<Vec<PathBuf>> { Ok(entries_of(&self.packs())?.iter().map(fs::DirEntry::path).collect()) };
        let before = packs().map_err(|error| self.on_disk(&error))?;
        let indexes = before.iter().filter(|path| path.extension() == Some(OsStr::new("idx")));
        if indexes.clone().count() <= PACKS_MAX {
            return Ok(());
        }
        let mut builder = repository.packbuilder()?;
        let mut fault = None;
        odb.foreach(|id| {
            fault = builder.insert_object(*id, None).err();
            fault.is_none()
        })
        .map_err(|error| fault.take().unwrap_or(error))?;
        builder.write(&self.packs(), 0)?;
        let Some(name) = builder.name()?.map(|name| format!("pack-{name}.idx")) else { return Ok(()) };
        for index in indexes.filter(|index| index.file_name() != Some(OsStr::new(&name))) {
            // The index goes first: a pack without one is swept at the next start.
            let removed = fs::remove_file(index).and_then(|()| fs::remove_file(index.with_extension("pack")));
            removed.map_err(|error| self.on_disk(&error))?;
        }
        Ok(())
    }

    fn packs(&self) -> PathBuf {
        self.directory.join("objects").join("pack")
    }

    fn on_disk(&self, error: &io::Error) -> Fault {
        Fault::Store(format!("{}: {error}", self.directory.display()))
    }
}

/// Writes a pack into an object store; it is there whole or not at all.
pub(super) fn write_pack(
    odb: &Odb<'_>,
    copy: impl FnOnce(&mut dyn io::Write) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut pack = odb.packwriter()?;
    copy(&mut pack)?;
    pack.flush().map_err(|error| Fault::Store(error.to_string()))?;
    pack.commit()?;
    Ok(())
}

/// A commit that is here. One that is not was never fetched: that is the caller's affair, and no broken mirror.
pub(super) fn commit<'r>(repository: &'r Repository, id: Oid) -> Result<git2::Commit<'r>, Fault> {
    repository.find_commit(id).map_err(|error| match error.code() {
        ErrorCode::NotFound => Fault::Absent(format!("commit {id} is not in the mirror; fetch the branch first")),
        _ => error.into(),
    })
}

/// The commits of a repository whose parents are not there.
pub(super) fn cuts_of(directory: &Path) -> Result<BTreeSet<Oid>, Fault> {
    let text = match fs::read_to_string(directory.join("shallow")) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => return Err(Fault::Store(format!("{}: {error}", directory.display()))),
    };
    Ok(text.lines().map(Oid::from_str).collect::<Result<_, _>>()?)
}

/// A commit's id in the model's words.
pub(super) fn name(id: Oid) -> Result<CommitId, Fault> {
    CommitId::parse(&id.to_string()).ok_or_else(|| Fault::Store(format!("{id} is no commit id")))
}

fn entries_of(directory: &Path) -> io::Result<Vec<fs::DirEntry>> {
    match fs::read_dir(directory) {
        Ok(entries) => entries.collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn name_of(branch: &str) -> String {
    format!("{TIPS}{}", branch.replace('%', "%25").replace('/', "%2F"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use git2::Signature;

    /// A commit without parents, stored as a pack.
    fn pack_with_commit(message: &str) -> (Oid, Vec<u8>) {
        let scratch = tempfile::tempdir().expect("a directory");
        let repository = Repository::init_bare(scratch.path()).expect("a repository");
        let mut tree = repository.treebuilder(None).expect("a builder");
        tree.insert("a", repository.blob(message.as_bytes()).expect("a blob"), 0o100_644).expect("inserted");
        let tree = repository.find_tree(tree.write().expect("a tree")).expect("a tree");
        let who = Signature::new("a", "a@example.com", &git2::Time::new(0, 0)).expect("a signature");
        let commit = repository.commit(None, &who, &who, message, &tree, &[]).expect("a commit");
        let mut builder = repository.packbuilder().expect("a builder");
        builder.insert_commit(commit).expect("inserted");
        let mut pack = git2::Buf::new();
        builder.write_buf(&mut pack).expect("written");
        (commit, pack.to_vec())
    }

    fn store(cache: &Cache, message: &str, cut: &Cut) -> Oid {
        let (commit, pack) = pack_with_commit(message);
        cache.store(cut, |to| to.write_all(&pack).map_err(|e| Fault::Store(e.to_string()))).expect("stored");
        commit
    }

    #[test]
    fn what_was_noted_is_known_after_a_restart() {
        let scratch = tempfile::tempdir().expect("a directory");
        let cache = Cache::open(&scratch.path().join("x/mirror")).expect("made");
        let one = store(&cache, "one", &Cut::default());
        let two = store(&cache, "two", &Cut { shallow: vec![one], unshallow: vec![] });
        cache.note(&cache.repository().expect("open"), "a", Some(one)).expect("noted");
        cache.note(&cache.repository().expect("open"), "a/b", Some(two)).expect("no conflict with `a`");
        let cache = Cache::open(&cache.directory).expect("opened");
        assert_eq!(cache.cuts().expect("cuts"), BTreeSet::from([one]));
        assert_eq!(cache.tips(&cache.repository().expect("open"), "a/b").expect("tips"), [two, one]);
        store(&cache, "three", &Cut { shallow: vec![], unshallow: vec![one] });
        assert!(!cache.directory.join("shallow").exists());
        cache.note(&cache.repository().expect("open"), "a", None).expect("noted");
        assert_eq!(cache.tips(&cache.repository().expect("open"), "a").expect("tips"), [two]);
    }

    #[test]
    fn what_a_killed_process_left_is_swept() {
        let scratch = tempfile::tempdir().expect("a directory");
        let cache = Cache::open(&scratch.path().join("mirror")).expect("made");
        let one = store(&cache, "one", &Cut::default());
        cache.note(&cache.repository().expect("open"), "main", Some(one)).expect("noted");
        let left = [
            "shallow.lock",
            "shallow.new",
            "refs/tips/main.lock",
            "objects/pack/pack-1.pack",
            "objects/pack/pack_git2_x",
        ];
        left.iter().for_each(|name| fs::write(cache.directory.join(name), "x").expect("written"));
        let cache = Cache::open(&cache.directory).expect("opened");
        left.iter().for_each(|name| assert!(!cache.directory.join(name).exists(), "{name}"));
        assert!(commit(&cache.repository().expect("open"), one).is_ok());
    }

    #[test]
    fn a_broken_mirror_is_emptied_and_a_foreign_directory_is_not() {
        let breaks: [(&str, Option<&str>); 4] = [
            ("HEAD", None),
            ("shallow", Some("nonsense\n")),
            ("refs/tips/x", Some("0123456789012345678901234567890123456789\n")),
            ("config", Some("[core")),
        ];
        for (file, text) in breaks {
            let scratch = tempfile::tempdir().expect("a directory");
            let cache = Cache::open(&scratch.path().join("mirror")).expect("made");
            let one = store(&cache, "one", &Cut::default());
            cache.note(&cache.repository().expect("open"), "main", Some(one)).expect("noted");
            let path = cache.directory.join(file);
            text.map_or_else(|| fs::remove_file(&path), |text| fs::write(&path, text)).expect("broken");
            let cache = Cache::open(&cache.directory).expect("made again");
            let repository = cache.repository().expect("open");
            let gone = commit(&repository, one);
            assert!(matches!(gone, Err(Fault::Absent(_))), "{file}: {gone:?}");
        }
        let foreign = tempfile::tempdir().expect("a directory");
        fs::write(foreign.path().join("precious"), "").expect("written");
        assert!(matches!(Cache::open(foreign.path()), Err(Fault::Invalid(_))));
        assert!(foreign.path().join("precious").exists());
    }

    #[test]
    fn many_packs_become_one() {
        let scratch = tempfile::tempdir().expect("a directory");
        let cache = Cache::open(&scratch.path().join("mirror")).expect("made");
        let commits: Vec<Oid> = (0..=PACKS_MAX).map(|n| store(&cache, &n.to_string(), &Cut::default())).collect();
        assert_eq!(entries_of(&cache.packs()).expect("listed").len(), 2, "one pack and its index");
        let repository = cache.repository().expect("open");
        commits.into_iter().for_each(|id| drop(commit(&repository, id).expect("kept").tree().expect("kept")));
    }
}
