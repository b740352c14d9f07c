//! Changes turned into edits of one tree: what is replaced, added and removed, node by node.
//!
//! It checks that each place says what the plan expects; it writes no bytes.

use super::EditError;
use super::change::{Change, said};
use super::locate::{Found, find};
use super::path::{Step, YamlPath};
use super::tree::{Kind, Tree};
use granit_parser::ScalarStyle;
use std::collections::BTreeMap;

/// Something that is written where nothing was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum New {
    /// A string.
    Scalar(String),
    /// Keys with their values.
    Mapping(Vec<(String, Self)>),
    /// Items.
    Sequence(Vec<Self>),
}

/// What happens to one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Edit {
    /// The node becomes this.
    Replace(New),
    /// These entries or items come after its last one.
    Append(New),
    /// The entry of this key goes.
    Remove,
}

/// What happens to each node that is touched: a key that is removed, else a value or collection.
pub(super) type Edits = BTreeMap<usize, Edit>;

/// Finds the places of the changes in this tree.
///
/// # Errors
/// `Moved` where a place does not say what is expected; `Refused` where it is never edited; `Twice` where two changes
/// want different values in one place.
pub(super) fn edits(tree: &Tree<'_>, changes: &[&Change]) -> Result<Edits, EditError> {
    let mut edits = Edits::new();
    for change in changes {
        let refuse = |node: usize, why: &str| Err(refused(tree, node, &change.path, why));
        let twice = || EditError::Twice { file: change.file.clone(), place: change.place() };
        let moved = |found: &str| EditError::Moved {
            file: change.file.clone(),
            place: change.place(),
            expected: change.old.as_deref().map_or_else(|| "nothing".to_owned(), said),
            found: found.to_owned(),
        };
        match (find(tree, &change.path, change.document.as_ref())?, &change.new) {
            (Found::Here { node, key }, new) => {
                let value = value(tree, node, &change.path)?;
                if change.old.as_deref() != Some(value) {
                    return Err(moved(&said(value)));
                }
                let (target, edit) = match (new, key) {
                    (Some(new), _) => (node, Edit::Replace(New::Scalar(new.clone()))),
                    (None, Some(key)) => (key, Edit::Remove),
                    (None, None) => return refuse(node, "is no entry of a mapping; it is not removed"),
                };
                if edits.insert(target, edit.clone()).is_some_and(|other| other != edit) {
                    return Err(twice());
                }
            }
            (Found::Missing { at, existing }, Some(new)) if change.old.is_none() && existing >= change.existing => {
                let rest = change.path.steps().get(existing..).unwrap_or_default();
                // An empty file has no node; index 0 is where its first one will be.
                let at = at.unwrap_or(0);
                let empty = match tree.node(at).kind {
                    Kind::Mapping { .. } => Edit::Append(New::Mapping(Vec::new())),
                    Kind::Sequence { .. } => Edit::Append(New::Sequence(Vec::new())),
                    Kind::Scalar { .. } | Kind::Alias { .. } => Edit::Replace(New::empty(rest)),
                };
                match edits.entry(at).or_insert(empty) {
                    Edit::Replace(whole) | Edit::Append(whole) => match whole.put(rest, new) {
                        Ok(()) => {}
                        Err(Clash::Twice) => return Err(twice()),
                        Err(Clash::Position) => return refuse(at, "asks for an item that does not exist"),
                    },
                    Edit::Remove => return Err(twice()),
                }
            }
            (Found::Missing { .. }, _) => return Err(moved("nothing")),
        }
    }
    Ok(edits)
}

/// The value that is edited at a node: absent, `~` and `null` are the empty text.
///
/// # Errors
/// `Refused` for what is no scalar, an alias, a block scalar, or a scalar that its tag makes no string.
pub(super) fn value<'t>(tree: &'t Tree<'_>, node: usize, path: &YamlPath) -> Result<&'t str, EditError> {
    let refuse = |why: &str| Err(refused(tree, node, path, why));
    let it = tree.node(node);
    let tag = it.tag.as_deref().and_then(|tag| tag.strip_prefix("tag:yaml.org,2002:"));
    match &it.kind {
        Kind::Alias { .. } => refuse("is an alias; edit the anchored value it repeats"),
        Kind::Mapping { .. } => refuse("is not a scalar value but a mapping; name a key of it"),
        Kind::Sequence { .. } => refuse("is not a scalar value but a list; name an item of it"),
        Kind::Scalar { style: ScalarStyle::Literal | ScalarStyle::Folded, .. } => {
            refuse("is a block scalar (`|` or `>`); write it on one line first")
        }
        Kind::Scalar { .. } if tag.is_some_and(|tag| tag != "str") => {
            refuse("has a tag that makes it no string; delete the tag")
        }
        Kind::Scalar { text, .. } if text.starts_with("ENC[AES256_GCM,") => {
            refuse("is encrypted by SOPS; keep the pin in a value that is not")
        }
        Kind::Scalar { .. } if tree.is_null(node) => Ok(""),
        Kind::Scalar { text, .. } => Ok(text),
    }
}

fn refused(tree: &Tree<'_>, node: usize, path: &YamlPath, why: &str) -> EditError {
    EditError::Refused {
        file: tree.file.to_owned(),
        line: tree.line(tree.node(node).span.start),
        place: path.to_string(),
        why: why.to_owned(),
    }
}

/// Why a value cannot be put into something new.
enum Clash {
    Twice,
    Position,
}

impl New {
    /// What holds the first of these steps.
    fn empty(steps: &[Step]) -> Self {
        match steps.first() {
            Some(Step::Key(_)) => Self::Mapping(Vec::new()),
            Some(Step::Index(_) | Step::Select { .. }) => Self::Sequence(Vec::new()),
            None => Self::Scalar(String::new()),
        }
    }

    /// Puts a value at these steps, adding what leads there.
    fn put(&mut self, steps: &[Step], value: &str) -> Result<(), Clash> {
        let Some((step, rest)) = steps.split_first() else { return Err(Clash::Twice) };
        match (self, step) {
            (Self::Mapping(entries), Step::Key(key)) => {
                if let Some((_, inner)) = entries.iter_mut().find(|(k, _)| k == key) {
                    return inner.put(rest, value);
                }
                entries.push((key.clone(), Self::holding(rest, value)?));
                Ok(())
            }
            (Self::Sequence(items), Step::Select { key, value: name }) => {
                let says = |item: &Self| match item {
                    Self::Mapping(entries) => entries.iter().any(|(k, v)| k == key && *v == Self::Scalar(name.clone())),
                    Self::Scalar(_) | Self::Sequence(_) => false,
                };
                if let Some(item) = items.iter_mut().find(|item| says(item)) {
                    return item.put(rest, value);
                }
                let mut item = Self::Mapping(vec![(key.clone(), Self::Scalar(name.clone()))]);
                item.put(rest, value)?;
                items.push(item);
                Ok(())
            }
            (_, Step::Index(_)) => Err(Clash::Position),
            (_, Step::Key(_) | Step::Select { .. }) => Err(Clash::Twice),
        }
    }

    /// Something new that holds a value at these steps.
    fn holding(steps: &[Step], value: &str) -> Result<Self, Clash> {
        if steps.is_empty() {
            return Ok(Self::Scalar(value.to_owned()));
        }
        let mut new = Self::empty(steps);
        new.put(steps, value)?;
        Ok(new)
    }
}
