//! What stands in the repository at a commit: files by path, and the files of a directory.
//!
//! It parses no file, and follows no symlink and no submodule.

use super::cache;
use super::error::Fault;
use super::source::Source;
use crate::model::text;
use git2::{ErrorCode, ObjectType, Odb, Oid, Repository, Tree, TreeEntry};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// The largest file that is read: a values file of a megabyte is already unusual, and each is held in memory.
const FILE_BYTES_MAX: usize = 8 << 20;

/// The most files that one directory may have: more are no configuration written by people.
const FILES_LISTED_MAX: usize = 10_000;

/// How often contents are asked for in ever smaller parts: enough to find two of thousands that do not come.
const ASKED_MAX: usize = 32;

/// And for how long: a server that does not answer at all is not asked for every part.
const ASKED_WITHIN: Duration = Duration::from_secs(20);

/// The mode of a symbolic link in a tree.
pub(super) const LINK: i32 = 0o120_000;

/// What became of the files that exist, each by itself.
pub type Contents<T> = BTreeMap<String, Result<T, Unreadable>>;

/// Why one file cannot be read, where the others beside it can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// In words, with the file's path.
    pub reason: String,
    /// Whether it stays so until somebody commits something else.
    pub lasts: bool,
}

/// How much is read.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many bytes a file may have.
    pub file: usize,
    /// How many bytes all files together may have. A file that goes beyond it is reported as unreadable.
    pub all: usize,
    /// How many bytes one answer of the server may have.
    pub fetched: u64,
}

/// The texts of those of these files that exist, where every one of them can be read.
///
/// # Errors
/// The first that cannot.
pub fn readable<'p>(
    contents: &Contents<String>,
    paths: impl IntoIterator<Item = &'p String>,
) -> Result<BTreeMap<String, String>, Unreadable> {
    let there = paths.into_iter().filter_map(|path| Some((path, contents.get(path)?)));
    there.map(|(path, content)| Ok((path.clone(), content.clone()?))).collect()
}

/// What is directly in a directory and no directory itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// Its path from the root.
    pub path: String,
    /// The id of its content: another content has another one.
    pub content: String,
}

/// Contents that were asked for: why some of them did not come.
#[derive(Debug, Clone)]
pub struct Brought(BTreeMap<Oid, String>);

/// Brings the contents of those of these files that exist, as far as they are not here yet, in one request.
pub(super) fn bring(source: &dyn Source, at: Oid, paths: &[String], bytes_max: u64) -> Result<Brought, Fault> {
    let repository = source.repository()?;
    let tree = cache::commit(&repository, at)?.tree()?;
    let odb = repository.odb()?;
    let mut missing = Vec::new();
    for (_, id) in ids(&tree, paths)? {
        missing.extend(id.ok().filter(|id| !odb.exists(*id)));
    }
    missing.sort_unstable();
    missing.dedup();
    obtain(source, missing, bytes_max).map(Brought)
}

/// A path, and the id of its content or why it is no file.
type Identified<'p> = (&'p String, Result<Oid, Unreadable>);

/// The contents' ids of those of these paths where something stands, and why some of it is no file.
fn ids<'p>(tree: &Tree<'_>, paths: impl IntoIterator<Item = &'p String>) -> Result<Vec<Identified<'p>>, Fault> {
    let mut ids = Vec::new();
    for path in paths {
        match place(tree, path).and_then(|entry| entry.map(|entry| file(&entry, path)).transpose()) {
            Ok(None) => {}
            Ok(Some(id)) => ids.push((path, Ok(id))),
            Err(Fault::Invalid(reason)) => ids.push((path, Err(lasting(reason)))),
            Err(fault) => return Err(fault),
        }
    }
    Ok(ids)
}

/// Reads groups of files as text; [`super::Mirror::read_groups`] says how many. It makes no request.
pub(super) fn read_groups(
    source: &dyn Source,
    at: Oid,
    brought: &Brought,
    groups: &[Vec<String>],
    bytes_max: usize,
) -> Result<(Contents<String>, usize), Fault> {
    let repository = source.repository()?;
    let tree = cache::commit(&repository, at)?.tree()?;
    let odb = repository.odb()?;
    let (mut contents, mut n_left) = (BTreeMap::new(), bytes_max);
    for (index, group) in groups.iter().enumerate() {
        let ids = ids(&tree, group.iter().filter(|path| !contents.contains_key(*path)))?;
        let size = |id: &Oid| odb.read_header(*id).map_or(0, |(size, _)| size);
        let sizes = ids.iter().filter_map(|(_, id)| id.as_ref().ok()).map(size);
        if index > 0 && sizes.filter(|size| *size <= FILE_BYTES_MAX).sum::<usize>() > n_left {
            return Ok((contents, index));
        }
        for (path, id) in ids {
            let content = id.and_then(|id| brought.content(&odb, path, id, FILE_BYTES_MAX));
            let content = content.and_then(|content| counted(path, content, bytes_max, &mut n_left));
            contents.insert(path.clone(), content.and_then(|content| decoded(path, content)));
        }
    }
    Ok((contents, groups.len()))
}

fn decoded(path: &str, content: Vec<u8>) -> Result<String, Unreadable> {
    String::from_utf8(content).map_err(|error| {
        let error = error.utf8_error();
        lasting(format!("`{}` is not UTF-8: {error}", text::shown(path)))
    })
}

/// The content, where there is still room for it.
fn counted(path: &str, content: Vec<u8>, all: usize, n_left: &mut usize) -> Result<Vec<u8>, Unreadable> {
    *n_left = n_left.checked_sub(content.len()).ok_or_else(|| {
        let shown = text::shown(path);
        lasting(format!("`{shown}` is not read: with the files before it there are more than {all} bytes, the limit"))
    })?;
    Ok(content)
}

/// Reads those of these files that exist, within limits.
pub(super) fn read_bytes(
    source: &dyn Source,
    at: Oid,
    paths: &[String],
    limits: Limits,
) -> Result<Contents<Vec<u8>>, Fault> {
    let brought = bring(source, at, paths, limits.fetched)?;
    // A new opening knows what came.
    let repository = source.repository()?;
    let tree = cache::commit(&repository, at)?.tree()?;
    let odb = repository.odb()?;
    let (mut contents, mut n_left) = (BTreeMap::new(), limits.all);
    let ids: BTreeMap<_, _> = ids(&tree, paths)?.into_iter().collect();
    for (path, id) in ids {
        let content = id.and_then(|id| brought.content(&odb, path, id, limits.file));
        let content = content.and_then(|content| counted(path, content, limits.all, &mut n_left));
        contents.insert(path.clone(), content);
    }
    Ok(contents)
}

impl Brought {
    /// A content, where it came.
    fn content(&self, odb: &Odb<'_>, path: &str, id: Oid, bytes_max: usize) -> Result<Vec<u8>, Unreadable> {
        match self.0.get(&id) {
            Some(reason) => Err(Unreadable { reason: format!("`{}`: {reason}", text::shown(path)), lasts: false }),
            None => content(odb, path, id, bytes_max),
        }
    }
}

fn lasting(reason: String) -> Unreadable {
    Unreadable { reason, lasts: true }
}

fn content(odb: &Odb<'_>, path: &str, id: Oid, bytes_max: usize) -> Result<Vec<u8>, Unreadable> {
    let shown = text::shown(path);
    let damaged = |error: git2::Error| Unreadable {
        reason: format!("`{shown}` cannot be read from the repository: {}", text::shown(error.message())),
        lasts: false,
    };
    let (size, _) = odb.read_header(id).map_err(damaged)?;
    if size > bytes_max {
        return Err(lasting(format!("`{shown}` has {size} bytes; {bytes_max} are the limit")));
    }
    Ok(odb.read(id).map_err(damaged)?.data().to_vec())
}

/// Brings contents here, and returns why some did not come. What the server does not give together is asked for in halves,
/// so that one content that it lost, or that is too large, keeps no other back.
///
/// # Errors
/// When nothing of it comes.
fn obtain(source: &dyn Source, missing: Vec<Oid>, bytes_max: u64) -> Result<BTreeMap<Oid, String>, Fault> {
    let (mut failed, mut n_asked, mut n_came) = (BTreeMap::new(), 0, 0);
    let (mut first, begun) = (None, Instant::now());
    let mut parts = if missing.is_empty() { Vec::new() } else { vec![missing] };
    while let Some(mut part) = parts.pop() {
        n_asked += 1;
        match source.obtain(&part, bytes_max) {
            Ok(()) => n_came += 1,
            Err(fault @ (Fault::Busy(..) | Fault::Store(_))) => return Err(fault),
            Err(fault) => {
                if part.len() > 1 && n_asked < ASKED_MAX && begun.elapsed() < ASKED_WITHIN {
                    let second = part.split_off(part.len() / 2);
                    parts.extend([second, part]);
                } else {
                    let reason = fault.reason();
                    failed.extend(part.into_iter().map(|id| (id, reason.clone())));
                }
                first.get_or_insert(fault);
            }
        }
    }
    // With one content alone nobody can tell whether it or the server is at fault: the next reading tells.
    match first {
        Some(fault) if n_came == 0 && failed.len() > 1 => Err(fault),
        _ => Ok(failed),
    }
}

/// What is directly in a directory and has a name that is wanted, sorted; nothing where nothing stands at its path. `""` is
/// the root. Symbolic links and submodules are among it, directories are not.
pub(super) fn list(
    source: &dyn Source,
    at: Oid,
    directory: &str,
    is_wanted: fn(&str) -> bool,
) -> Result<Vec<Listed>, Fault> {
    let repository = source.repository()?;
    let root = cache::commit(&repository, at)?.tree()?;
    let mut listed = match folder(&repository, root, directory)? {
        Some(tree) => listed(&tree, directory, is_wanted)?,
        None => Vec::new(),
    };
    listed.sort_unstable();
    Ok(listed)
}

fn listed(tree: &Tree<'_>, directory: &str, is_wanted: fn(&str) -> bool) -> Result<Vec<Listed>, Fault> {
    let directory = directory.trim_end_matches('/');
    let prefix = if matches!(directory, "" | ".") { String::new() } else { format!("{directory}/") };
    let mut listed = Vec::new();
    for entry in tree.iter().filter(|entry| entry.kind() != Some(ObjectType::Tree)) {
        // A name that is no UTF-8 stands for itself, as far as it can be shown.
        let name = String::from_utf8_lossy(entry.name_bytes());
        if is_wanted(&name) {
            listed.push(Listed { path: format!("{prefix}{name}"), content: entry.id().to_string() });
        }
        if listed.len() > FILES_LISTED_MAX {
            let shown = text::shown(directory);
            return Err(Fault::Invalid(format!("`{shown}` holds more than {FILES_LISTED_MAX} files, the limit")));
        }
    }
    Ok(listed)
}

/// The tree of a directory that people named; nothing where nothing stands at its path.
///
/// # Errors
/// For what is no directory, and for what lies behind a symbolic link or a submodule: it would read as an empty directory.
fn folder<'r>(repository: &'r Repository, root: Tree<'r>, directory: &str) -> Result<Option<Tree<'r>>, Fault> {
    let directory = directory.trim_end_matches('/');
    if matches!(directory, "" | ".") {
        return Ok(Some(root));
    }
    let Some(found) = place(&root, directory)? else { return Ok(None) };
    let what = match found.kind() {
        Some(ObjectType::Tree) => return Ok(Some(repository.find_tree(found.id())?)),
        Some(ObjectType::Blob) if found.filemode() == LINK => {
            "a symbolic link, which is not followed; name the directory that it leads to"
        }
        Some(ObjectType::Commit) => "a submodule, which is not entered; name the submodule's own repository",
        _ => "no directory; name the directory that it lies in",
    };
    Err(Fault::Invalid(format!("`{}` is {what}", text::shown(directory))))
}

/// The id of a directory's tree, where it is one. The tree itself is not read.
pub(super) fn directory_id(root: &Tree<'_>, directory: &str) -> Result<Option<Oid>, Fault> {
    let directory = directory.trim_end_matches('/');
    if matches!(directory, "" | ".") {
        return Ok(Some(root.id()));
    }
    let found = entry(root, directory)?.filter(|entry| entry.kind() == Some(ObjectType::Tree));
    Ok(found.map(|entry| entry.id()))
}

/// What stands at a path.
///
/// # Errors
/// For a path that leaves the repository, is absolute, or has empty parts.
pub(super) fn entry(tree: &Tree<'_>, path: &str) -> Result<Option<TreeEntry<'static>>, Fault> {
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        let shown = text::shown(path);
        return Err(Fault::Invalid(format!(
            "`{shown}` is no path inside the repository; write it from its root, like a/b.yaml"
        )));
    }
    match tree.get_path(Path::new(path)) {
        Ok(entry) => Ok(Some(entry)),
        // libgit2 calls a path through a file "invalid" in some versions, and "not found" in others.
        Err(error) if matches!(error.code(), ErrorCode::NotFound | ErrorCode::InvalidSpec) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What stands at a path.
///
/// # Errors
/// As [`entry`], and for a path that leads through a symbolic link or a submodule: what it would lead to is not looked for.
pub(super) fn place(tree: &Tree<'_>, path: &str) -> Result<Option<TreeEntry<'static>>, Fault> {
    if let Some(found) = entry(tree, path)? {
        return Ok(Some(found));
    }
    for (end, _) in path.match_indices('/') {
        let directory = &path[..end];
        let Some(above) = entry(tree, directory)? else { break };
        let (what, now) = match above.kind() {
            Some(ObjectType::Blob) if above.filemode() == LINK => {
                ("a symbolic link, which is not followed", "write the path that it leads to")
            }
            Some(ObjectType::Commit) => ("a submodule, which is not entered", "name the submodule's own repository"),
            _ => continue,
        };
        let (path, directory) = (text::shown(path), text::shown(directory));
        return Err(Fault::Invalid(format!("`{path}` lies behind `{directory}`, {what}; {now}")));
    }
    Ok(None)
}

/// The content's id of an entry that is a file.
pub(super) fn file(entry: &TreeEntry<'_>, path: &str) -> Result<Oid, Fault> {
    let what = match entry.kind() {
        Some(ObjectType::Blob) if entry.filemode() != LINK => return Ok(entry.id()),
        Some(ObjectType::Blob) => "a symbolic link, which is not followed",
        Some(ObjectType::Commit) => "a submodule, which is not entered",
        Some(ObjectType::Tree) => "a directory",
        _ => "no file",
    };
    Err(Fault::Invalid(format!("`{}` is {what}; name the file itself", text::shown(path))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::git::local::Local;
    use git2::{Signature, Time};

    /// A repository on disk with these entries at its root, and its only commit.
    fn repository(entries: &[(&str, i32, &[u8])]) -> (tempfile::TempDir, Local, Oid) {
        let scratch = tempfile::tempdir().expect("a directory");
        let repository = Repository::init_bare(scratch.path()).expect("a repository");
        let mut builder = repository.treebuilder(None).expect("a builder");
        for (name, mode, content) in entries {
            let id = if *mode == 0o160_000 { Oid::from_bytes(&[1; 20]) } else { repository.blob(content) };
            builder.insert(name, id.expect("an id"), *mode).expect("inserted");
        }
        let tree = repository.find_tree(builder.write().expect("a tree")).expect("a tree");
        let who = Signature::new("a", "a@example.com", &Time::new(0, 0)).expect("a signature");
        let commit = repository.commit(None, &who, &who, "x", &tree, &[]).expect("a commit");
        let local = Local::new(scratch.path().to_owned());
        (scratch, local, commit)
    }

    #[test]
    fn what_is_no_text_file_is_refused_by_name() {
        let large = vec![b'x'; FILE_BYTES_MAX + 1];
        let (_scratch, source, at) = repository(&[
            ("file", 0o100_644, b"text"),
            ("run", 0o100_755, b"text"),
            ("link", LINK, b"file"),
            ("module", 0o160_000, b""),
            ("latin1", 0o100_644, b"caf\xe9"),
            ("large", 0o100_644, &large),
        ]);
        let paths = [
            "file",
            "run",
            "missing",
            "file/below",
            "link",
            "link/below",
            "module",
            "module/a/b",
            "latin1",
            "large",
            "../file",
        ];
        let read = |at: Oid, paths: &[String]| {
            let brought = bring(&source, at, paths, u64::MAX)?;
            Ok(read_groups(&source, at, &brought, &[paths.to_vec()], usize::MAX)?.0)
        };
        let files = read(at, &paths.map(str::to_owned)).expect("each by itself");
        let check = |path: &str, expected: Result<Option<&str>, &str>| match (files.get(path), expected) {
            (None, Ok(None)) => {}
            (Some(Ok(text)), Ok(Some(expected))) => assert_eq!(text, expected),
            (Some(Err(unreadable)), Err(part)) => {
                assert!(unreadable.reason.contains(part) && unreadable.lasts, "{unreadable:?}");
            }
            (read, _) => panic!("{path}: {read:?}"),
        };
        check("file", Ok(Some("text")));
        check("run", Ok(Some("text")));
        check("missing", Ok(None));
        check("file/below", Ok(None));
        check("link", Err("`link` is a symbolic link"));
        check("link/below", Err("`link/below` lies behind `link`, a symbolic link"));
        check("module/a/b", Err("`module/a/b` lies behind `module`, a submodule"));
        check("module", Err("`module` is a submodule"));
        check("latin1", Err("`latin1` is not UTF-8"));
        check("large", Err("`large` has 8388609 bytes; 8388608 are the limit"));
        check("../file", Err("no path inside the repository"));
        let names = |directory: &str, is_wanted: fn(&str) -> bool| -> Vec<String> {
            let listed = list(&source, at, directory, is_wanted).expect("listed");
            listed.into_iter().map(|listed| listed.path).collect()
        };
        assert_eq!(names("", |_| true), ["file", "large", "latin1", "link", "module", "run"]);
        assert_eq!(names("", |name| name.starts_with('l')), ["large", "latin1", "link"]);
        assert_eq!(names("missing", |_| true), [""; 0]);
        for (directory, expected) in [
            ("file", "`file` is no directory"),
            ("link/", "`link` is a symbolic link, which is not followed"),
            ("link/below", "`link/below` lies behind `link`, a symbolic link"),
            ("module", "`module` is a submodule, which is not entered"),
            ("module/a", "`module/a` lies behind `module`, a submodule"),
        ] {
            let listed = list(&source, at, directory, |_| true);
            assert!(matches!(&listed, Err(Fault::Invalid(reason)) if reason.contains(expected)), "{listed:?}");
        }
        assert!(matches!(read(Oid::ZERO_SHA1, &[]), Err(Fault::Absent(_))), "never fetched");
    }

    #[test]
    fn a_directory_has_a_limit() {
        let names: Vec<String> = (0..=FILES_LISTED_MAX).map(|number| number.to_string()).collect();
        let entries: Vec<(&str, i32, &[u8])> = names.iter().map(|name| (name.as_str(), 0o100_644, &b"x"[..])).collect();
        let (_scratch, source, at) = repository(&entries);
        assert!(format!("{:?}", list(&source, at, "", |_| true)).contains("more than 10000 files"));
        assert_eq!(list(&source, at, "", |name| name == "77").expect("one").len(), 1, "others do not hide it");
    }
}
