//! Keys of a values file, and single scalars: the parts of one image's reference.
//!
//! A repository that is written in another spelling of the same one stays as it is. What a chart makes of the keys is
//! not looked at; the common charts let a digest win over a tag, so a tag pin empties the digest key.

use super::EditError;
use super::change::Change;
use super::reference::{ImageText, image_text, names, tag_and_digest, tag_text};
use super::slot::Slot;
use super::tree::Tree;
use crate::model::place::{Document, Missing};
use crate::model::text::shown;
use crate::model::{HelmKeys, Image, Pinned};

/// What the keys pin.
pub(super) fn read(tree: &Tree<'_>, keys: &HelmKeys, image: &Image, missing: Missing) -> Result<Pinned, EditError> {
    let values = Values { tree, missing };
    let (whole, tag, digest) =
        (values.get(keys.image.as_ref())?, values.get(keys.tag.as_ref())?, values.get(keys.digest.as_ref())?);
    if let (None, None, None, Missing::Error, Some(key)) =
        (&whole, &tag, &digest, missing, keys.image.as_ref().or(keys.tag.as_ref()).or(keys.digest.as_ref()))
    {
        return Err(values.not_there(key)?);
    }
    if let (Some(whole), Some(key)) = (&whole, &keys.image) {
        return whole_pinned(tree, key, whole, image);
    }
    if !values.is_of(keys, image)? {
        return Ok(Pinned::default());
    }
    Ok(tag_and_digest(&tag.unwrap_or_default(), &digest.unwrap_or_default()))
}

/// The changes after which the keys pin this.
pub(super) fn write(
    tree: &Tree<'_>,
    keys: &HelmKeys,
    image: &Image,
    pinned: &Pinned,
    missing: Missing,
) -> Result<Vec<Change>, EditError> {
    let values = Values { tree, missing };
    let repository = &image.repository;
    let mut changes = Vec::new();
    if let Some(key) = &keys.image {
        changes.extend(write_whole(tree, key, None, image, pinned, missing)?);
    }
    if !values.is_of(keys, image)? {
        if let Some(key) = &keys.registry {
            changes.extend(values.set(key, repository.host())?);
        }
        if let Some(key) = &keys.repository {
            let whole = repository.to_string();
            changes.extend(values.set(key, if keys.registry.is_some() { repository.path() } else { &whole })?);
        }
    }
    if let Some(key) = &keys.tag {
        if pinned.tag.is_none() {
            let why = format!(
                "`pin: digest` leaves nothing to write to the key `{key}`; take it out of `keys`, or pin tag@digest"
            );
            return Err(EditError::Unfit { file: tree.file.to_owned(), why });
        }
        let part = Pinned { tag: pinned.tag.clone(), digest: pinned.digest.clone().filter(|_| keys.digest.is_none()) };
        changes.extend(values.set(key, &tag_text(&part))?);
    }
    match (&keys.digest, &pinned.digest) {
        (Some(key), Some(digest)) => changes.extend(values.set(key, digest.as_str())?),
        (Some(key), None) if values.get(Some(key))?.is_some() => changes.extend(values.set(key, "")?),
        (Some(_), None) | (None, _) => {}
    }
    Ok(changes)
}

/// What one scalar pins that holds a whole reference.
pub(super) fn read_whole(
    tree: &Tree<'_>,
    path: &str,
    document: Option<&Document>,
    image: &Image,
    missing: Missing,
) -> Result<Pinned, EditError> {
    let slot = Slot::at(tree, path, document)?;
    match slot.get()? {
        Some(text) => whole_pinned(tree, path, &text, image),
        None if missing == Missing::Add => Ok(Pinned::default()),
        None => Err(slot.not_there()),
    }
}

/// The change after which one scalar holds this reference, in the spelling of the repository that it has.
pub(super) fn write_whole(
    tree: &Tree<'_>,
    path: &str,
    document: Option<&Document>,
    image: &Image,
    pinned: &Pinned,
    missing: Missing,
) -> Result<Option<Change>, EditError> {
    let slot = Slot::at(tree, path, document)?;
    let old = slot.get()?.unwrap_or_default();
    whole_pinned(tree, path, &old, image)?;
    let spelled = Some(ImageText::split(&old).repository).filter(|spelled| names(spelled, &image.repository));
    let whole = image.repository.to_string();
    slot.set(&image_text(spelled.unwrap_or(&whole), pinned), missing)
}

/// What a whole reference pins; one of another image is a place that the policy has wrong.
fn whole_pinned(tree: &Tree<'_>, path: &str, text: &str, image: &Image) -> Result<Pinned, EditError> {
    let split = ImageText::split(text);
    if image.before.iter().any(|before| names(split.repository, before)) {
        // It was copied from there: the place is moved over, and what it pins there is no pin here.
        return Ok(Pinned::default());
    }
    if !split.repository.is_empty() && !names(split.repository, &image.repository) {
        let (found, name) = (shown(text), &image.name);
        let why =
            format!("`{path}` holds {found}, which is not image {name} ({}); correct one of them", image.repository);
        return Err(EditError::Unfit { file: tree.file.to_owned(), why });
    }
    Ok(split.pinned())
}

/// The values of a file by key.
struct Values<'v> {
    tree: &'v Tree<'v>,
    missing: Missing,
}

impl Values<'_> {
    fn get(&self, key: Option<&String>) -> Result<Option<String>, EditError> {
        let Some(key) = key else { return Ok(None) };
        Slot::at(self.tree, key, None)?.get()
    }

    fn set(&self, key: &str, value: &str) -> Result<Option<Change>, EditError> {
        Slot::at(self.tree, key, None)?.set(value, self.missing)
    }

    fn not_there(&self, key: &str) -> Result<EditError, EditError> {
        Ok(Slot::at(self.tree, key, None)?.not_there())
    }

    /// Whether the keys of registry and repository say that it is this image, in any spelling.
    fn is_of(&self, keys: &HelmKeys, image: &Image) -> Result<bool, EditError> {
        let (registry, path) = (self.get(keys.registry.as_ref())?, self.get(keys.repository.as_ref())?);
        let host = registry.as_ref().map(|host| if host.is_empty() { "docker.io" } else { host });
        Ok(match (host, &path) {
            (Some(host), Some(path)) => names(&format!("{host}/{path}"), &image.repository),
            (Some(host), None) => keys.repository.is_none() && host == image.repository.host(),
            (None, Some(path)) => keys.registry.is_none() && names(path, &image.repository),
            (None, None) => keys.registry.is_none() && keys.repository.is_none(),
        })
    }
}
