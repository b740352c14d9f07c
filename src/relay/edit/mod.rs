//! What bytes change? Pins read from the text of files, and the text of files with pins moved: text in, text out.
//!
//! `wanted` lists what must be read, `read` says what is pinned, `plan` lists the places that would change, and `apply`
//! edits the text it is given and proves the edit with two parsers, or hands out nothing. No file is opened here, and
//! nothing is reformatted: an edit replaces a scalar or adds or removes one named entry.

mod change;
mod claim;
pub mod diff;
mod error;
mod graft;
mod guard;
mod helm;
mod kustomize;
mod locate;
mod manual;
pub mod message;
mod parse;
mod path;
mod proof;
mod reference;
mod scalar;
mod second;
mod slot;
mod splice;
pub mod template;
mod tree;
mod whole;
pub mod words;

pub use change::{Change, ChangePlan};
pub use claim::{Claim, claims};
pub use error::EditError;
pub use manual::{plan_image, plan_keys, plan_values, read_value};
pub use path::{PathError, YamlPath};
pub use scalar::is_plain_safe;

use crate::model::budget::TARGET_NODES;
use crate::model::place::Missing;
use crate::model::{Image, ImageName, Pin, PinForm, Pinned, Place, Release, Target};
use crate::relay::gate::Cleared;
use std::collections::BTreeMap;
use tree::Tree;

/// Texts of files by path; a file that does not exist is not in it.
pub type Files = BTreeMap<String, String>;

/// The files to read before anything else is asked: of a kustomize directory all names that kustomize looks for.
#[must_use]
pub fn wanted(places: &[Place]) -> Vec<String> {
    let mut paths: Vec<String> = places.iter().flat_map(|place| candidates(&place.target)).collect();
    paths.sort();
    paths.dedup();
    paths
}

/// What is pinned for each image.
///
/// # Errors
/// Where a file or place is missing or cannot be read, where two places of an image disagree, or where an image has no
/// place.
pub fn read(places: &[Place], images: &[Image], files: &Files) -> Result<Pin, EditError> {
    let trees = trees(places, files)?;
    let mut pins: BTreeMap<ImageName, (String, Pinned)> = BTreeMap::new();
    for place in places {
        let tree = tree_of(&trees, place, files)?;
        for (image, at, pinned) in read_place(place, images, tree)? {
            match pins.get(&image.name) {
                None => drop(pins.insert(image.name.clone(), (at, pinned))),
                Some((_, same)) if *same == pinned => {}
                Some((first, other)) => {
                    return Err(EditError::Disagree {
                        image: image.name.clone(),
                        first: first.clone(),
                        one: other.to_string(),
                        second: at,
                        other: pinned.to_string(),
                    });
                }
            }
        }
    }
    if let Some(image) = images.iter().find(|image| !pins.contains_key(&image.name)) {
        return Err(unplaced(places, image, &trees, files)?);
    }
    Ok(Pin(pins.into_iter().map(|(name, (_, pinned))| (name, pinned)).collect()))
}

/// The changes after which every place says what was cleared; an empty plan where they do.
///
/// # Errors
/// Where a file or place is missing or cannot be edited, where a place cannot hold the form, or where an image has no
/// place.
pub fn plan(
    places: &[Place],
    images: &[Image],
    form: PinForm,
    cleared: &Cleared,
    files: &Files,
) -> Result<ChangePlan, EditError> {
    plan_pin(places, images, &Pin::of(cleared.release(), form), files)
}

/// The same for a release that nothing has cleared: what people look at before they approve it. A write asks [`plan`].
///
/// # Errors
/// As [`plan`].
pub fn preview(
    places: &[Place],
    images: &[Image],
    form: PinForm,
    release: &Release,
    files: &Files,
) -> Result<ChangePlan, EditError> {
    plan_pin(places, images, &Pin::of(release, form), files)
}

/// The text of every file that the plan changes, with the changes made and proved.
///
/// # Errors
/// `Moved` where a place does not say what the plan expects, `Unproven` where an edit could not be shown to be exact,
/// or whatever keeps a file from being edited. Nothing is returned unless all of it is.
pub fn apply(plan: &ChangePlan, files: &Files) -> Result<Files, EditError> {
    let mut by_file: BTreeMap<&str, Vec<&Change>> = BTreeMap::new();
    for change in plan.changes() {
        by_file.entry(change.file()).or_default().push(change);
    }
    let mut changed = Files::new();
    for (file, changes) in by_file {
        let text = files.get(file).ok_or_else(|| no_file(file))?;
        changed.insert(file.to_owned(), apply_to(file, text, &changes)?);
    }
    Ok(changed)
}

fn apply_to(file: &str, text: &str, changes: &[&Change]) -> Result<String, EditError> {
    let unproven = |why: String| EditError::Unproven { file: file.to_owned(), why };
    let tree = Tree::parse(file, text)?;
    guard::is_unsigned(&tree)?;
    let edits = graft::edits(&tree, changes)?;
    let patches = splice::patches(&tree, &edits).map_err(unproven)?;
    let after = splice::apply(text, &patches).ok_or_else(|| unproven("the edit splits a character".to_owned()))?;
    proof::prove(&tree, &edits, &patches, &after)?;
    Ok(after)
}

fn plan_pin(places: &[Place], images: &[Image], pin: &Pin, files: &Files) -> Result<ChangePlan, EditError> {
    let trees = trees(places, files)?;
    let mut changes = Vec::new();
    let mut placed: Vec<&ImageName> = Vec::new();
    for place in places {
        let tree = tree_of(&trees, place, files)?;
        for image in images.iter().filter(|image| is_for(place, image)) {
            let Some(pinned) = pin.0.get(&image.name) else {
                let why = format!("there is no build of image {} to write", image.name);
                return Err(EditError::Unfit { file: tree.file.to_owned(), why });
            };
            if let Some(of_place) = write_place(place, image, pinned, tree)? {
                changes.extend(of_place);
                placed.push(&image.name);
            }
        }
    }
    if let Some(image) = images.iter().find(|image| !placed.contains(&&image.name)) {
        return Err(unplaced(places, image, &trees, files)?);
    }
    Ok(ChangePlan::of(changes))
}

/// What one place pins, for each image that it is for and names.
fn read_place<'i>(
    place: &Place,
    images: &'i [Image],
    tree: &Tree<'_>,
) -> Result<Vec<(&'i Image, String, Pinned)>, EditError> {
    let mut pins = Vec::new();
    for image in images.iter().filter(|image| is_for(place, image)) {
        let at = |path: &str| format!("{} {path}", tree.file);
        match &place.target {
            Target::Kustomize { .. } => {
                let found = kustomize::read(tree, image)?;
                if found.is_empty() && place.missing == Missing::Add {
                    pins.push((image, at("images"), Pinned::default()));
                }
                pins.extend(found.into_iter().map(|(at, pinned)| (image, at, pinned)));
            }
            Target::Helm { keys, document, .. } => {
                let key = keys.image.as_ref().or(keys.tag.as_ref()).or(keys.digest.as_ref());
                let pinned = helm::read(tree, keys, document.as_ref(), image, place.missing)?;
                pins.push((image, at(key.map_or("", String::as_str)), pinned));
            }
            Target::Yaml { path, document, .. } => {
                let pinned = whole::read(tree, path, document.as_ref(), image, place.missing)?;
                pins.push((image, at(path), pinned));
            }
        }
    }
    Ok(pins)
}

/// The changes of one place for one image; none where the file does not name the image.
fn write_place(
    place: &Place,
    image: &Image,
    pinned: &Pinned,
    tree: &Tree<'_>,
) -> Result<Option<Vec<Change>>, EditError> {
    match &place.target {
        Target::Kustomize { .. } => kustomize::write(tree, image, pinned, place.missing),
        Target::Helm { keys, document, .. } => {
            let holds = keys.image.is_some() || keys.digest.is_some() || (keys.tag.is_some() && pinned.tag.is_some());
            if !holds {
                let why =
                    "`keys` has nowhere to write this pin; name `image`, or `digest` for `pin: digest`".to_owned();
                return Err(EditError::Unfit { file: tree.file.to_owned(), why });
            }
            helm::write(tree, keys, document.as_ref(), image, pinned, place.missing).map(Some)
        }
        Target::Yaml { path, document, .. } => {
            whole::write(tree, path, document.as_ref(), image, pinned, place.missing).map(Some)
        }
    }
}

fn is_for(place: &Place, image: &Image) -> bool {
    match &place.target {
        Target::Kustomize { .. } => true,
        Target::Helm { image: name, .. } | Target::Yaml { image: name, .. } => *name == image.name,
    }
}

fn candidates(target: &Target) -> Vec<String> {
    match target {
        Target::Kustomize { path } => kustomize::candidates(path),
        Target::Helm { file, .. } | Target::Yaml { file, .. } => vec![file.clone()],
    }
}

/// The file of a target, by its name among the files.
fn file_of<'f>(target: &Target, files: &'f Files) -> Result<(&'f str, &'f str), EditError> {
    match target {
        Target::Kustomize { path } => kustomize::file(path, files),
        Target::Helm { file, .. } | Target::Yaml { file, .. } => {
            files.get_key_value(file).map(|(name, text)| (name.as_str(), text.as_str())).ok_or_else(|| no_file(file))
        }
    }
}

fn no_file(path: &str) -> EditError {
    EditError::NoFile { path: path.to_owned(), hint: String::new() }
}

/// Each file of the places, parsed once; all of them together have no more nodes than one may.
fn trees<'f>(places: &[Place], files: &'f Files) -> Result<BTreeMap<&'f str, Tree<'f>>, EditError> {
    let (mut trees, mut n_left) = (BTreeMap::new(), TARGET_NODES);
    for place in places {
        let (name, text) = file_of(&place.target, files)?;
        if !trees.contains_key(name) {
            let tree = Tree::parse_within(name, text, n_left)?;
            guard::is_unsigned(&tree)?;
            n_left = n_left.saturating_sub(tree.len());
            trees.insert(name, tree);
        }
    }
    Ok(trees)
}

fn tree_of<'t, 'f>(
    trees: &'t BTreeMap<&'f str, Tree<'f>>,
    place: &Place,
    files: &'f Files,
) -> Result<&'t Tree<'f>, EditError> {
    let (name, _) = file_of(&place.target, files)?;
    trees.get(name).ok_or_else(|| no_file(name))
}

/// The error for an image that no place names.
fn unplaced(
    places: &[Place],
    image: &Image,
    trees: &BTreeMap<&str, Tree<'_>>,
    files: &Files,
) -> Result<EditError, EditError> {
    let of_all = places.iter().find(|place| is_for(place, image));
    let Some(place) = of_all else {
        let file = places.first().map_or_else(String::new, |place| place.target.path().to_owned());
        let why = format!("no place of `write` is for image {}; add one with `for: {}`", image.name, image.name);
        return Ok(EditError::Unfit { file, why });
    };
    let (name, _) = file_of(&place.target, files)?;
    Ok(trees.get(name).map_or_else(|| no_file(name), |tree| kustomize::not_named(tree, &image.repository)))
}

#[cfg(test)]
mod tests;
