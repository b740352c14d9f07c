//! A whole reference in one scalar, or in the entries of a list of references that name the image.
//!
//! An entry reads `[name=]image[:tag][@digest]`, as Argo CD has it under `spec.source.kustomize.images`: what stands in
//! front of the image stays as it is, and `*` for the image means that it is called as the name says.

use super::EditError;
use super::change::Change;
use super::graft::value;
use super::locate::{Found, find};
use super::path::{Step, YamlPath};
use super::reference::{ImageText, image_text, names};
use super::slot::Slot;
use super::tree::{Kind, Tree};
use crate::model::place::{Document, Missing};
use crate::model::text::shown;
use crate::model::{Image, Pinned};

/// What stands at the place pins for the image.
pub(super) fn read(
    tree: &Tree<'_>,
    path: &str,
    document: Option<&Document>,
    image: &Image,
    missing: Missing,
) -> Result<Pinned, EditError> {
    let mut first: Option<(String, Pinned)> = None;
    for slot in slots(tree, path, document, image)? {
        let place = slot.path.to_string();
        let pinned = match slot.get()? {
            Some(text) => pinned(tree, &place, &text, image)?,
            None if missing == Missing::Add => Pinned::default(),
            None => return Err(slot.not_there()),
        };
        match &first {
            None => first = Some((place, pinned)),
            Some((_, same)) if *same == pinned => {}
            Some((one, other)) => {
                return Err(EditError::Disagree {
                    image: image.name.clone(),
                    first: format!("{} {one}", tree.file),
                    one: other.to_string(),
                    second: format!("{} {place}", tree.file),
                    other: pinned.to_string(),
                });
            }
        }
    }
    Ok(first.map(|(_, pinned)| pinned).unwrap_or_default())
}

/// The changes after which the place holds this reference, in the spelling of the repository that it has.
pub(super) fn write(
    tree: &Tree<'_>,
    path: &str,
    document: Option<&Document>,
    image: &Image,
    pinned: &Pinned,
    missing: Missing,
) -> Result<Vec<Change>, EditError> {
    let mut changes = Vec::new();
    for slot in slots(tree, path, document, image)? {
        let old = slot.get()?.unwrap_or_default();
        self::pinned(tree, &slot.path.to_string(), &old, image)?;
        let entry = Entry::of(&old);
        let whole = image.repository.to_string();
        let spelled = if entry.is_of(image) { entry.image.repository } else { &whole };
        let text = format!("{}{}", entry.name, image_text(spelled, pinned));
        changes.extend(slot.set(&text, missing)?);
    }
    Ok(changes)
}

/// The scalars that hold the reference: the one at the path, or the entries of the list that stands there.
pub(super) fn slots<'t>(
    tree: &'t Tree<'t>,
    path: &str,
    document: Option<&'t Document>,
    image: &Image,
) -> Result<Vec<Slot<'t>>, EditError> {
    let slot = Slot::at(tree, path, document)?;
    let list = match find(tree, &slot.path, document)? {
        Found::Here { node, .. } if matches!(tree.node(node).kind, Kind::Sequence { .. }) => node,
        Found::Here { .. } | Found::Missing { .. } => return Ok(vec![slot]),
    };
    let at = |index| YamlPath::of(slot.path.steps().iter().cloned().chain([Step::Index(index)]));
    let (mut here, mut there) = (Vec::new(), Vec::new());
    for (index, item) in tree.items(list).enumerate() {
        // What is no text is no reference, and is left alone.
        let Ok(text) = value(tree, item, &at(index)) else { continue };
        let entry = Entry::of(text);
        if entry.is_of(image) || entry.was_of(image) {
            here.push(Slot { tree, path: at(index), document });
        } else {
            there.push(shown(text));
        }
    }
    if here.is_empty() {
        let there = if there.is_empty() {
            "it has no entries".to_owned()
        } else {
            format!("its entries are {}", there.join(", "))
        };
        let place = format!("{path}: {}", image.repository);
        return Err(EditError::NotThere { file: tree.file.to_owned(), place, there });
    }
    Ok(here)
}

/// A reference with what stands in front of it.
struct Entry<'t> {
    /// `name=`, or nothing.
    name: &'t str,
    /// The reference.
    image: ImageText<'t>,
}

impl<'t> Entry<'t> {
    fn of(text: &'t str) -> Self {
        let (name, reference) = text.find('=').and_then(|at| text.split_at_checked(at + 1)).unwrap_or(("", text));
        Self { name, image: ImageText::split(reference) }
    }

    /// The repository that is meant.
    fn repository(&self) -> &'t str {
        match (self.image.repository, self.name.strip_suffix('=')) {
            ("*", Some(name)) => name,
            (repository, _) => repository,
        }
    }

    fn is_of(&self, image: &Image) -> bool {
        names(self.repository(), &image.repository)
    }

    /// Whether it names a repository that the image was copied from.
    fn was_of(&self, image: &Image) -> bool {
        image.before.iter().any(|before| names(self.repository(), before))
    }
}

/// What a reference pins; one of another image is a place that the policy has wrong.
fn pinned(tree: &Tree<'_>, path: &str, text: &str, image: &Image) -> Result<Pinned, EditError> {
    let entry = Entry::of(text);
    if entry.was_of(image) {
        // It was copied from there: the place is moved over, and what it pins there is no pin here.
        return Ok(Pinned::default());
    }
    if !entry.repository().is_empty() && !entry.is_of(image) {
        let (found, name) = (shown(text), &image.name);
        let why =
            format!("`{path}` holds {found}, which is not image {name} ({}); correct one of them", image.repository);
        return Err(EditError::Unfit { file: tree.file.to_owned(), why });
    }
    Ok(entry.image.pinned())
}
