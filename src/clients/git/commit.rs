//! Commits built in memory: new contents, the trees above them and the commits, as one pack that holds just these.
//!
//! Nothing is written to disk here, so a push that loses its race leaves nothing behind.

use super::cache;
use super::error::Fault;
use super::tree;
use crate::model::text;
use git2::build::TreeUpdateBuilder;
use git2::{Buf, FileMode, ObjectType, Oid, PackBuilder, Repository, Signature, Time, Tree};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Above the priority of every store on disk, so that new objects stay in memory.
const MEMORY_PRIORITY: i32 = 1_000;

/// A commit to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCommit {
    /// The new text of each file by its path from the root; none removes the file. A file keeps its mode, and a new one
    /// is not executable.
    pub files: BTreeMap<String, Option<String>>,
    /// The whole message.
    pub message: String,
}

/// Who makes commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// A name.
    pub name: String,
    /// An e-mail address.
    pub email: String,
}

/// Commits that are nowhere but in this pack.
pub(super) struct Built {
    /// Their ids, the first on the base.
    pub(super) commits: Vec<Oid>,
    pub(super) pack: Vec<u8>,
}

/// Builds commits, each on the one before it and the first on `base`.
pub(super) fn build(
    repository: &Repository,
    base: Oid,
    commits: &[NewCommit],
    author: &Author,
    at: Timestamp,
) -> Result<Built, Fault> {
    let signature = Signature::new(&author.name, &author.email, &Time::new(at.as_second(), 0))
        .map_err(|error| Fault::Invalid(format!("the author of our commits: {}", text::shown(error.message()))))?;
    let odb = repository.odb()?;
    let _memory = odb.add_new_mempack_backend(MEMORY_PRIORITY)?;
    let mut pack = repository.packbuilder()?;
    let mut built = Vec::with_capacity(commits.len());
    let mut parent = cache::commit(repository, base)?;
    for new in commits {
        let before = parent.tree()?;
        let after = repository.find_tree(updated(repository, &before, &new.files)?)?;
        if after.id() == before.id() {
            // A search for our commits passes over one that touches nothing.
            let files = new.files.keys().map(|path| text::shown(path)).collect::<Vec<_>>().join(", ");
            return Err(Fault::Invalid(format!("a commit would change nothing in {files}; read the files again")));
        }
        let id = repository.commit(None, &signature, &signature, &new.message, &after, &[&parent])?;
        pack.insert_object(id, None)?;
        insert_new(repository, &mut pack, Some(&before), &after)?;
        built.push(id);
        parent = repository.find_commit(id)?;
    }
    let mut bytes = Buf::new();
    pack.write_buf(&mut bytes)?;
    Ok(Built { commits: built, pack: bytes.to_vec() })
}

/// The tree with these files changed.
fn updated(repository: &Repository, tree: &Tree<'_>, files: &BTreeMap<String, Option<String>>) -> Result<Oid, Fault> {
    let mut update = TreeUpdateBuilder::new();
    for (path, content) in files {
        let entry = tree::place(tree, path)?;
        if let Some(entry) = &entry {
            tree::file(entry, path)?;
        }
        match (content, entry) {
            (Some(content), entry) => {
                let executable = entry.is_some_and(|entry| entry.filemode() & 0o111 != 0);
                let mode = if executable { FileMode::BlobExecutable } else { FileMode::Blob };
                update.upsert(path.as_str(), repository.blob(content.as_bytes())?, mode);
            }
            (None, Some(_)) => drop(update.remove(path.as_str())),
            (None, None) => {}
        }
    }
    // Names such as `.git`, and a file where a directory would have to be, are the caller's mistake and no broken mirror.
    update.create_updated(repository, tree).map_err(|error| {
        let paths = files.keys().map(|path| text::shown(path)).collect::<Vec<_>>().join(", ");
        Fault::Invalid(format!("{paths} cannot be written: {}", text::shown(error.message())))
    })
}

/// Puts into the pack what is in one tree and not at the same place of the other.
fn insert_new(
    repository: &Repository,
    pack: &mut PackBuilder<'_>,
    before: Option<&Tree<'_>>,
    after: &Tree<'_>,
) -> Result<(), Fault> {
    pack.insert_object(after.id(), None)?;
    for entry in after {
        let old = before.and_then(|before| before.get_name_bytes(entry.name_bytes()));
        if old.as_ref().is_some_and(|old| old.id() == entry.id()) {
            continue;
        }
        match entry.kind() {
            Some(ObjectType::Tree) => {
                let old =
                    old.filter(|old| old.kind() == Some(ObjectType::Tree)).map(|old| repository.find_tree(old.id()));
                insert_new(repository, pack, old.transpose()?.as_ref(), &repository.find_tree(entry.id())?)?;
            }
            _ => pack.insert_object(entry.id(), None)?,
        }
    }
    Ok(())
}

/// A pack without objects, for a push of what the server has.
pub(super) fn empty_pack(repository: &Repository) -> Result<Vec<u8>, Fault> {
    let mut bytes = Buf::new();
    repository.packbuilder()?.write_buf(&mut bytes)?;
    Ok(bytes.to_vec())
}

/// Whether a message carries our trailers, whatever they say.
pub(super) fn is_marked(message: &str) -> bool {
    let last = message.trim_end().rsplit("\n\n").next().unwrap_or_default();
    last.lines().any(|line| line.starts_with("Tagrelay-Journal: "))
}
