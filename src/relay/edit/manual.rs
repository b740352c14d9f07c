//! Plans that a person makes with `tagrelay edit`, on files of their own: no gate stands before them.
//!
//! They are made of the same slots and entries as the plans of the daemon, and applied by the same `apply`.

use super::slot::Slot;
use super::tree::Tree;
use super::{ChangePlan, EditError, Files, no_file, plan_pin};
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
