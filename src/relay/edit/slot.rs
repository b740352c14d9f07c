//! One value of a file: what it says, and the change that would make it say something else.
//!
//! It knows paths and values; which of them make up a pin is for the kinds of places.

use super::EditError;
use super::change::Change;
use super::graft::value;
use super::locate::{Found, find, what_is_there};
use super::path::YamlPath;
use super::tree::Tree;
use crate::model::place::{Document, Missing};

/// The longest value that is written: a repository, a tag and a digest stay far below it.
const VALUE_BYTES_MAX: usize = 4096;

/// A place of a file that holds one value.
#[derive(Debug)]
pub(super) struct Slot<'s> {
    /// The file.
    pub(super) tree: &'s Tree<'s>,
    /// Where in the document.
    pub(super) path: YamlPath,
    /// In which document.
    pub(super) document: Option<&'s Document>,
}

impl<'s> Slot<'s> {
    /// The place of this path.
    pub(super) fn at(tree: &'s Tree<'s>, path: &str, document: Option<&'s Document>) -> Result<Self, EditError> {
        Ok(Self { tree, path: YamlPath::parse(path)?, document })
    }

    /// What stands there: none where there is no such key, empty where the key has no value.
    pub(super) fn get(&self) -> Result<Option<String>, EditError> {
        match find(self.tree, &self.path, self.document)? {
            Found::Here { node, .. } => value(self.tree, node, &self.path).map(|value| Some(value.to_owned())),
            Found::Missing { .. } => Ok(None),
        }
    }

    /// The change after which it says this; none where it does.
    pub(super) fn set(&self, new: &str, missing: Missing) -> Result<Option<Change>, EditError> {
        if new.len() > VALUE_BYTES_MAX {
            return Err(EditError::Unfit {
                file: self.tree.file.to_owned(),
                why: "the value is longer than 4096 bytes".to_owned(),
            });
        }
        match find(self.tree, &self.path, self.document)? {
            Found::Here { node, .. } => {
                let old = value(self.tree, node, &self.path)?;
                let change = self.change(Some(old), Some(new), self.path.steps().len());
                Ok((old != new).then_some(change))
            }
            Found::Missing { existing, .. } if missing == Missing::Add => {
                Ok(Some(self.change(None, Some(new), existing)))
            }
            Found::Missing { .. } => Err(self.not_there()),
        }
    }

    /// The change after which its entry is gone; none where there is none.
    pub(super) fn remove(&self) -> Result<Option<Change>, EditError> {
        let old = self.get()?;
        Ok(old.map(|old| self.change(Some(&old), None, self.path.steps().len())))
    }

    /// The error that says that nothing stands there, and what does.
    pub(super) fn not_there(&self) -> EditError {
        let there = match find(self.tree, &self.path, self.document) {
            Ok(Found::Missing { at, existing }) => what_is_there(self.tree, &self.path, at, existing),
            Ok(Found::Here { .. }) => "it has no value".to_owned(),
            Err(error) => return error,
        };
        EditError::NotThere { file: self.tree.file.to_owned(), place: self.path.to_string(), there }
    }

    fn change(&self, old: Option<&str>, new: Option<&str>, existing: usize) -> Change {
        Change {
            file: self.tree.file.to_owned(),
            path: self.path.clone(),
            document: self.document.cloned(),
            old: old.map(str::to_owned),
            new: new.map(str::to_owned),
            existing,
        }
    }
}
