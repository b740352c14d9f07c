//! Files of the user: read up to a limit, replaced whole or not at all.

use super::Wrong;
use anyhow::Context as _;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

/// Reads a file that the user named, up to `max` bytes.
///
/// # Errors
/// [`Wrong`] when it cannot be read or is larger.
pub(super) fn read(file: &Path, max: u64) -> anyhow::Result<String> {
    let read = || {
        let mut text = String::new();
        let n_read = File::open(file)?.take(max + 1).read_to_string(&mut text)?;
        if n_read as u64 > max { Err(io::Error::other(format!("it is larger than {max} bytes"))) } else { Ok(text) }
    };
    read().map_err(|error| Wrong::because(format!("cannot read {}: {error}", file.display())))
}

/// Writes a file whole or not at all: a new one beside it takes its place and keeps its permissions. A link stays a link.
pub(super) fn replace(file: &Path, text: &str) -> anyhow::Result<()> {
    let replaced = || {
        let file = fs::canonicalize(file)?;
        let mut name = file.file_name().unwrap_or_default().to_owned();
        name.push(format!(".tagrelay-{}", std::process::id()));
        let beside = file.with_file_name(name);
        written(&beside, &file, text).inspect_err(|_| {
            // The half-made file is ours; if it cannot be removed, the first error is still the one that matters.
            let _removed = fs::remove_file(&beside);
        })
    };
    replaced().with_context(|| format!("cannot write {}", file.display()))
}

fn written(beside: &Path, file: &Path, text: &str) -> io::Result<()> {
    let mut new = File::create_new(beside)?;
    new.set_permissions(file.metadata()?.permissions())?;
    new.write_all(text.as_bytes())?;
    new.sync_all()?;
    fs::rename(beside, file)
}
