//! What stands in the repository at a commit: files by path, and the files of a directory.
//!
//! It parses no file, and follows no symlink and no submodule.

use super::cache;
use super::error::Fault;
use super::source::Source;
use crate::model::text;
use git2::{ErrorCode, ObjectType, Oid, Repository, Tree, TreeEntry};
use std::collections::BTreeMap;
use std::path::Path;

/// The largest file that is read: a values file of a megabyte is already unusual, and each is held in memory.
const FILE_BYTES_MAX: usize = 8 << 20;

/// The most files that one directory may have: more are no configuration written by people.
const FILES_LISTED_MAX: usize = 10_000;

/// The mode of a symbolic link in a tree.
pub(super) const LINK: i32 = 0o120_000;

/// Reads those of these files that exist; contents that are not here yet come in one request.
pub(super) fn read(source: &dyn Source, at: Oid, paths: &[String]) -> Result<BTreeMap<String, String>, Fault> {
    let repository = source.repository()?;
    let tree = cache::commit(&repository, at)?.tree()?;
    let mut files = BTreeMap::new();
    for path in paths {
        if let Some(entry) = entry(&tree, path)? {
            files.insert(path, file(&entry, path)?);
        }
    }
    let odb = repository.odb()?;
    let mut missing: Vec<Oid> = files.values().copied().filter(|id| !odb.exists(*id)).collect();
    missing.sort_unstable();
    missing.dedup();
    if missing.is_empty() {
        return texts(&repository, files);
    }
    source.obtain(&missing)?;
    texts(&source.repository()?, files)
}

/// The paths of the files directly in a directory, sorted; none where there is no such directory. `""` is the root.
pub(super) fn list(source: &dyn Source, at: Oid, directory: &str) -> Result<Vec<String>, Fault> {
    let repository = source.repository()?;
    let root = cache::commit(&repository, at)?.tree()?;
    let directory = directory.trim_end_matches('/');
    let tree = if matches!(directory, "" | ".") {
        root
    } else {
        match entry(&root, directory)?.filter(|entry| entry.kind() == Some(ObjectType::Tree)) {
            Some(entry) => repository.find_tree(entry.id())?,
            None => return Ok(Vec::new()),
        }
    };
    let prefix = if matches!(directory, "" | ".") { String::new() } else { format!("{directory}/") };
    let is_file = |entry: &TreeEntry<'_>| entry.kind() == Some(ObjectType::Blob) && entry.filemode() != LINK;
    let mut files = Vec::new();
    for entry in tree.iter().filter(is_file) {
        // A name that is no UTF-8 cannot be written in a policy either.
        files.extend(entry.name().ok().map(|name| format!("{prefix}{name}")));
        if files.len() > FILES_LISTED_MAX {
            let shown = text::shown(directory);
            return Err(Fault::Invalid(format!("`{shown}` holds more than {FILES_LISTED_MAX} files, the limit")));
        }
    }
    files.sort_unstable();
    Ok(files)
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

fn texts(repository: &Repository, files: BTreeMap<&String, Oid>) -> Result<BTreeMap<String, String>, Fault> {
    let odb = repository.odb()?;
    let mut texts = BTreeMap::new();
    for (path, id) in files {
        let (size, _) = odb.read_header(id)?;
        let shown = text::shown(path);
        if size > FILE_BYTES_MAX {
            return Err(Fault::Invalid(format!("`{shown}` has {size} bytes; {FILE_BYTES_MAX} are the limit")));
        }
        let content = std::str::from_utf8(odb.read(id)?.data()).map(str::to_owned);
        let content = content.map_err(|error| Fault::Invalid(format!("`{shown}` is not UTF-8: {error}")))?;
        texts.insert(path.clone(), content);
    }
    Ok(texts)
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
        let check = |path: &str, expected: Result<Option<&str>, &str>| match (
            read(&source, at, &[path.to_owned()]),
            expected,
        ) {
            (Ok(files), Ok(text)) => assert_eq!(files.get(path).map(String::as_str), text),
            (Err(fault), Err(part)) => assert!(format!("{fault:?}").contains(part), "{fault:?}"),
            (read, _) => panic!("{path}: {read:?}"),
        };
        check("file", Ok(Some("text")));
        check("run", Ok(Some("text")));
        check("missing", Ok(None));
        check("file/below", Ok(None));
        check("link", Err("`link` is a symbolic link"));
        check("link/below", Ok(None));
        check("module", Err("`module` is a submodule"));
        check("latin1", Err("`latin1` is not UTF-8"));
        check("large", Err("`large` has 8388609 bytes; 8388608 are the limit"));
        check("../file", Err("no path inside the repository"));
        assert_eq!(list(&source, at, "").expect("listed"), ["file", "large", "latin1", "run"]);
        assert_eq!(list(&source, at, "file").expect("listed"), [""; 0]);
        assert!(matches!(read(&source, Oid::ZERO_SHA1, &[]), Err(Fault::Absent(_))), "never fetched");
    }

    #[test]
    fn a_directory_has_a_limit() {
        let names: Vec<String> = (0..=FILES_LISTED_MAX).map(|number| number.to_string()).collect();
        let entries: Vec<(&str, i32, &[u8])> = names.iter().map(|name| (name.as_str(), 0o100_644, &b"x"[..])).collect();
        let (_scratch, source, at) = repository(&entries);
        assert!(format!("{:?}", list(&source, at, "")).contains("more than 10000 files"));
    }
}
