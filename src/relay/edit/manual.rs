//! Plans that a person makes with `tagrelay edit`, on files of their own: no gate stands before them.
//!
//! They are made of the same slots and entries as the plans of the daemon, and applied by the same `apply`.

use super::path::{Step, YamlPath};
use super::slot::Slot;
use super::tree::Tree;
use super::{ChangePlan, EditError, Files, guard, no_file, plan_pin};
use crate::model::place::{Document, Missing};
use crate::model::{Image, Pin, Pinned, Place};

/// The changes after which each path of a file holds its value.
///
/// # Errors
/// Where the file or a path is missing, a path cannot be edited, or a value is empty.
pub fn plan_values(
    file: &str,
    document: Option<&Document>,
    values: &[(&str, &str)],
    missing: Missing,
    files: &Files,
) -> Result<ChangePlan, EditError> {
    let text = files.get(file).ok_or_else(|| no_file(file))?;
    let tree = Tree::parse(file, text)?;
    guard::is_unsigned(&tree)?;
    let mut changes = Vec::new();
    for (path, value) in values {
        if value.is_empty() {
            let why = format!("the value for `{path}` is empty; an empty value is never written");
            return Err(EditError::Unfit { file: file.to_owned(), why });
        }
        changes.extend(Slot::at(&tree, path, document)?.set(value, missing)?);
    }
    Ok(ChangePlan::of(changes))
}

/// The same for keys of a values file: a tag that a digest beside it outranks is refused, unless that is written too.
///
/// # Errors
/// As [`plan_values`], and `Outranked`.
pub fn plan_keys(file: &str, values: &[(&str, &str)], files: &Files) -> Result<ChangePlan, EditError> {
    let text = files.get(file).ok_or_else(|| no_file(file))?;
    let tree = Tree::parse(file, text)?;
    let paths = values.iter().map(|(path, _)| YamlPath::parse(path)).collect::<Result<Vec<_>, _>>()?;
    let written: Vec<&YamlPath> = paths.iter().collect();
    let is_tag =
        |path: &&YamlPath| matches!(path.steps().last(), Some(Step::Key(key)) if key.to_lowercase().contains("tag"));
    for path in paths.iter().filter(is_tag) {
        guard::is_not_outranked(&tree, None, path, &written)?;
    }
    plan_values(file, None, values, Missing::Error, files)
}

/// The changes after which a place pins this for an image.
///
/// # Errors
/// Where the file or place is missing or cannot be edited, or cannot hold this.
pub fn plan_image(place: &Place, image: &Image, pinned: &Pinned, files: &Files) -> Result<ChangePlan, EditError> {
    let pin = Pin([(image.name.clone(), pinned.clone())].into());
    plan_pin(std::slice::from_ref(place), std::slice::from_ref(image), &pin, files)
}

/// What stands at a path of a file: none where nothing does, empty where a key has no value.
///
/// # Errors
/// Where the file is missing or no YAML, or what stands there is no plain value.
pub fn read_value(
    file: &str,
    document: Option<&Document>,
    path: &str,
    files: &Files,
) -> Result<Option<String>, EditError> {
    let text = files.get(file).ok_or_else(|| no_file(file))?;
    let tree = Tree::parse(file, text)?;
    Slot::at(&tree, path, document)?.get()
}
