//! `tagrelay edit`: one file on disk, edited as the daemon would; the diff is printed, `--write` writes it.

use super::{Exit, Wrong, file, print};
use crate::model::place::Missing;
use crate::model::{Digest, Image, ImageName, Pinned, Place, Repository, Tag, Target};
use crate::relay::edit::{self, ChangePlan, Files};
use clap::{Args, Subcommand};
use serde_json::json;
use std::path::{Path, PathBuf};

/// The largest file that is edited.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// What to edit.
#[derive(Debug, Args)]
pub(super) struct Edit {
    #[command(subcommand)]
    kind: Kind,
    /// Write the file; without it nothing is changed.
    #[arg(long, global = true)]
    write: bool,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Kind {
    /// The `images:` entry of a kustomization, by its image: IMAGE=TAG, IMAGE=TAG@DIGEST or IMAGE=DIGEST.
    Kustomize {
        /// The kustomization file, or its directory.
        path: PathBuf,
        /// The image as the entry names it, and what it shall say.
        #[arg(value_name = "IMAGE=REF")]
        pin: String,
        /// Add the entry where there is none.
        #[arg(long)]
        add: bool,
    },
    /// Keys of a values file.
    Helm {
        /// The file.
        file: PathBuf,
        /// Paths of keys and their values.
        #[arg(value_name = "KEY=VALUE", required = true)]
        values: Vec<String>,
    },
    /// One scalar of any YAML file.
    Yaml {
        /// The file.
        file: PathBuf,
        /// Keys joined by dots, `\.` for a dot inside a key, `[0]`, `[name=web]`.
        #[arg(value_name = "PATH=VALUE", required = true)]
        values: Vec<String>,
    },
}

impl Edit {
    /// Edits.
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let Planned { root, files, plan } = match &self.kind {
            Kind::Kustomize { path, pin, add } => kustomize(path, pin, *add)?,
            Kind::Helm { file, values } => scalars(file, values, true)?,
            Kind::Yaml { file, values } => scalars(file, values, false)?,
        };
        let mut after = edit::apply(&plan, &files).map_err(Wrong::of)?;
        after.retain(|name, text| files.get(name) != Some(text));
        // Written first: somebody who closes the pipe has seen enough, and still wants the file.
        if self.write {
            after.iter().try_for_each(|(name, text)| file::replace(&root.join(name), text))?;
        }
        let before = |name: &String| files.get(name).map_or("", String::as_str);
        let shown = |name: &String| root.join(name).display().to_string();
        if self.json {
            let changed =
                after.iter().map(|(name, text)| json!({ "file": shown(name), "before": before(name), "after": text }));
            print::json(&json!({ "changed": changed.collect::<Vec<_>>(), "written": self.write }))?;
        } else {
            after.iter().try_for_each(|(name, text)| print::diff(&shown(name), before(name), text))?;
        }
        Ok(Exit::Done)
    }
}

/// An edit before it is made.
struct Planned {
    /// The directory that the files' names start from.
    root: PathBuf,
    files: Files,
    plan: ChangePlan,
}

/// The values of a file, which are those of a chart or any.
fn scalars(path: &Path, values: &[String], of_chart: bool) -> anyhow::Result<Planned> {
    let (root, name) = split(path)?;
    let files: Files = [(name.clone(), file::read(path, FILE_BYTES_MAX)?)].into();
    let pairs = values.iter().map(|value| pair(value)).collect::<anyhow::Result<Vec<_>>>()?;
    let plan = match of_chart {
        true => edit::plan_keys(&name, &pairs, &files),
        false => edit::plan_values(&name, None, &pairs, Missing::Error, &files),
    };
    let plan = plan.map_err(Wrong::of)?;
    Ok(Planned { root, files, plan })
}

/// A path and its value: they part at the first `=` outside of brackets, for a path may hold `[name=web]`.
fn pair(text: &str) -> anyhow::Result<(&str, &str)> {
    let (mut bracketed, mut escaped) = (false, false);
    let is_end = |c: char| {
        let was_escaped = escaped;
        escaped = c == '\\' && !was_escaped;
        match c {
            '[' if !was_escaped => bracketed = true,
            ']' if !was_escaped => bracketed = false,
            _ => {}
        }
        c == '=' && !was_escaped && !bracketed
    };
    text.split_once(is_end).ok_or_else(|| Wrong::because(format!("`{text}` is no PATH=VALUE")))
}

fn kustomize(path: &Path, pin: &str, add: bool) -> anyhow::Result<Planned> {
    let parted = pin.split_once('=').ok_or_else(|| Wrong::because(format!("`{pin}` is no IMAGE=REF")));
    let (image, reference) = parted?;
    let repository = Repository::parse(image).map_err(Wrong::of)?;
    let name = ImageName::parse(repository.last_segment()).map_err(Wrong::of)?;
    let image = Image { name, repository, before: Vec::new(), platforms: Vec::new(), source: None };
    let missing = if add { Missing::Add } else { Missing::Error };
    let (root, name) = if path.is_dir() { (path.to_owned(), ".".to_owned()) } else { split(path)? };
    let place = Place { target: Target::Kustomize { path: name }, missing };
    let mut files = Files::new();
    for wanted in edit::wanted(std::slice::from_ref(&place)) {
        let path = root.join(&wanted);
        if path.is_file() {
            files.insert(wanted, file::read(&path, FILE_BYTES_MAX)?);
        }
    }
    let plan = edit::plan_image(&place, &image, &pinned(reference)?, &files).map_err(Wrong::of)?;
    Ok(Planned { root, files, plan })
}

/// `TAG`, `TAG@DIGEST` or `DIGEST`.
fn pinned(reference: &str) -> anyhow::Result<Pinned> {
    let (tag, digest) = match reference.split_once('@') {
        Some((tag, digest)) => (Some(tag), Some(digest)),
        None if reference.starts_with("sha256:") => (None, Some(reference)),
        None => (Some(reference), None),
    };
    Ok(Pinned {
        tag: tag.map(Tag::parse).transpose().map_err(Wrong::of)?,
        digest: digest.map(Digest::parse).transpose().map_err(Wrong::of)?,
    })
}

/// The directory of a file, and its name there.
fn split(path: &Path) -> anyhow::Result<(PathBuf, String)> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| Wrong::because(format!("{} is no file", path.display())))?;
    Ok((path.parent().unwrap_or(Path::new("")).to_owned(), name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_ends_at_the_first_equals_sign_outside_of_brackets() {
        for (text, parted) in [
            ("image.tag=v1", Some(("image.tag", "v1"))),
            ("args[0]=--a=[b]", Some(("args[0]", "--a=[b]"))),
            ("c[name=web].image=x", Some(("c[name=web].image", "x"))),
            (r"a\.b\=c=d", Some((r"a\.b\=c", "d"))),
            ("a=", Some(("a", ""))),
            ("a[b=c", None),
            ("a", None),
        ] {
            assert_eq!(pair(text).ok(), parted, "{text}");
        }
    }
}
