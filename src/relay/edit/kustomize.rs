//! The `images:` entries of a kustomization: found by `newName`, else `name`; their `newTag` and `digest` are the pin.
//!
//! `newName` stays as it is, but where the entry still names a repository that the image was copied from; `tagSuffix`
//! stays always. How kustomize applies an entry: sigs.k8s.io/kustomize, `imagetag`
//! updater: with both, `name:tag@digest`; a digest alone drops the tag.

use super::change::Change;
use super::locate::{Found, find};
use super::path::{Step, YamlPath};
use super::reference::{familiar, names, tag_and_digest};
use super::slot::Slot;
use super::tree::{Kind, Tree};
use super::{EditError, Files};
use crate::model::place::Missing;
use crate::model::text::shown;
use crate::model::{Image, Pinned, Repository};

/// The names that kustomize looks for in a directory (kustomize `konfig.RecognizedKustomizationFileNames`).
const FILE_NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// The files that a place may mean: itself, or the three names in the directory.
pub(super) fn candidates(path: &str) -> Vec<String> {
    let path = path.trim_end_matches('/').trim_start_matches("./");
    let last = path.rsplit('/').next().unwrap_or(path);
    if FILE_NAMES.contains(&last) || last.ends_with(".yaml") || last.ends_with(".yml") {
        return vec![path.to_owned()];
    }
    let directory = if path.is_empty() || path == "." { String::new() } else { format!("{path}/") };
    FILE_NAMES.iter().map(|name| format!("{directory}{name}")).collect()
}

/// The one file of them that exists.
///
/// # Errors
/// `NoFile` where none does, `TwoKustomizations` where several do.
pub(super) fn file<'f>(path: &str, files: &'f Files) -> Result<(&'f str, &'f str), EditError> {
    let candidates = candidates(path);
    let mut there = candidates.iter().filter_map(|name| files.get_key_value(name));
    match (there.next(), there.next()) {
        (Some((first, _)), Some((second, _))) => {
            Err(EditError::TwoKustomizations { first: first.clone(), second: second.clone() })
        }
        (Some((name, text)), None) => Ok((name, text)),
        (None, _) => {
            let hint =
                if candidates.len() > 1 { format!(" (looked for {})", candidates.join(", ")) } else { String::new() };
            Err(EditError::NoFile { path: path.to_owned(), hint })
        }
    }
}

/// An entry of `images:`.
struct Entry {
    name: String,
    /// What it makes of the image: `newName`, else `name`.
    image: String,
}

/// The entries of an image; where there are none, those that still name a repository it was copied from.
fn of_image(entries: Vec<Entry>, image: &Image) -> (Vec<Entry>, bool) {
    let (here, others): (Vec<_>, Vec<_>) = entries.into_iter().partition(|e| names(&e.image, &image.repository));
    if !here.is_empty() {
        return (here, false);
    }
    let was = |entry: &Entry| image.before.iter().any(|before| names(&entry.image, before));
    (others.into_iter().filter(was).collect(), true)
}

/// What each entry of this image pins, with its place. What is pinned in a repository before is no pin here.
pub(super) fn read(tree: &Tree<'_>, image: &Image) -> Result<Vec<(String, Pinned)>, EditError> {
    let mut found = Vec::new();
    let (entries, elsewhere) = of_image(entries(tree)?, image);
    for entry in entries {
        if elsewhere {
            let at = format!("{} {}", tree.file, YamlPath::of(entry_steps(&entry.name)));
            found.push((at, Pinned::default()));
            continue;
        }
        let tag = slot(tree, &entry.name, "newTag").get()?.unwrap_or_default();
        let digest = slot(tree, &entry.name, "digest").get()?.unwrap_or_default();
        let pinned = tag_and_digest(&tag, &digest);
        found.push((format!("{} {}", tree.file, YamlPath::of(entry_steps(&entry.name))), pinned));
    }
    Ok(found)
}

/// The changes after which every entry of this image pins this, in its repository; with `Missing::Add` at least one does.
pub(super) fn write(
    tree: &Tree<'_>,
    image: &Image,
    pinned: &Pinned,
    missing: Missing,
) -> Result<Option<Vec<Change>>, EditError> {
    let (entries, elsewhere) = of_image(entries(tree)?, image);
    let mut of_image: Vec<String> = entries.into_iter().map(|entry| entry.name).collect();
    let repository = familiar(&image.repository);
    let moved = elsewhere && !of_image.is_empty();
    match (of_image.is_empty(), missing) {
        (true, Missing::Error) => return Ok(None),
        (true, Missing::Add) => of_image.push(repository.clone()),
        (false, _) => {}
    }
    let mut changes = Vec::new();
    for name in &of_image {
        if moved {
            changes.extend(slot(tree, name, "newName").set(&repository, Missing::Add)?);
        }
        let values = [
            ("newTag", pinned.tag.as_ref().map(ToString::to_string)),
            ("digest", pinned.digest.as_ref().map(ToString::to_string)),
        ];
        for (field, value) in values {
            let slot = slot(tree, name, field);
            changes.extend(match &value {
                Some(value) => slot.set(value, Missing::Add)?,
                None => slot.remove()?,
            });
        }
    }
    Ok(Some(changes))
}

/// Where the entries of this image stand; with `Missing::Add` where one would be added.
pub(super) fn entries_of(tree: &Tree<'_>, image: &Image, missing: Missing) -> Result<Vec<YamlPath>, EditError> {
    let (entries, _) = of_image(entries(tree)?, image);
    let mut names: Vec<String> = entries.into_iter().map(|entry| entry.name).collect();
    if names.is_empty() && missing == Missing::Add {
        names.push(familiar(&image.repository));
    }
    Ok(names.iter().map(|name| YamlPath::of(entry_steps(name))).collect())
}

/// The error that says that no entry names this repository, and what the entries name.
pub(super) fn not_named(tree: &Tree<'_>, repository: &Repository) -> EditError {
    let there: Vec<String> = entries(tree).unwrap_or_default().iter().map(|entry| shown(&entry.image)).collect();
    let there = if there.is_empty() {
        "it has no entries".to_owned()
    } else {
        format!("its entries name {}", there.join(", "))
    };
    EditError::NotThere { file: tree.file.to_owned(), place: format!("images: {repository}"), there }
}

fn entries(tree: &Tree<'_>) -> Result<Vec<Entry>, EditError> {
    let images = YamlPath::of([Step::Key("images".to_owned())]);
    let node = match find(tree, &images, None)? {
        Found::Here { node, .. } => node,
        Found::Missing { .. } => return Ok(Vec::new()),
    };
    if !matches!(tree.node(node).kind, Kind::Sequence { .. }) && !tree.is_null(node) {
        let line = tree.line(tree.node(node).span.start);
        let why = "is not a list of entries".to_owned();
        return Err(EditError::Refused { file: tree.file.to_owned(), line, place: "images".to_owned(), why });
    }
    let text = |item: usize, key: &str| {
        tree.entry(item, key)
            .and_then(|(_, value)| tree.scalar(value))
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    let entry = |item: usize| {
        let name = text(item, "name")?;
        Some(Entry { image: text(item, "newName").unwrap_or_else(|| name.clone()), name })
    };
    Ok(tree.items(node).filter_map(entry).collect())
}

fn entry_steps(name: &str) -> [Step; 2] {
    [Step::Key("images".to_owned()), Step::Select { key: "name".to_owned(), value: name.to_owned() }]
}

fn slot<'t>(tree: &'t Tree<'t>, name: &str, field: &str) -> Slot<'t> {
    let path = YamlPath::of(entry_steps(name).into_iter().chain([Step::Key(field.to_owned())]));
    Slot { tree, path, document: None }
}
