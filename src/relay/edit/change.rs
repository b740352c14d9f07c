//! A change plan: places with the value that is expected there and the value that is wanted.
//!
//! It holds no bytes, so that plans made on one tip can be applied one after another.

use super::path::YamlPath;
use crate::model::place::Document;
use crate::model::text::shown;
use std::fmt;

/// A list of changes that would move a pin.
///
/// Only `plan`, and what stands behind the `edit` command, makes one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChangePlan(Vec<Change>);

impl ChangePlan {
    /// The plan of these changes; equal ones count once.
    pub(super) fn of(changes: Vec<Change>) -> Self {
        let mut kept: Vec<Change> = Vec::with_capacity(changes.len());
        for change in changes {
            if !kept.contains(&change) {
                kept.push(change);
            }
        }
        Self(kept)
    }

    /// Its changes, in the order of the places.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.0
    }

    /// Whether nothing is to be changed: the files already say it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// One place that is to say something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub(super) file: String,
    pub(super) path: YamlPath,
    pub(super) document: Option<Document>,
    pub(super) old: Option<String>,
    pub(super) new: Option<String>,
    /// How many steps of the path existed when the plan was made: fewer later mean that the place moved.
    pub(super) existing: usize,
}

impl Change {
    /// The file.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The place, for people: `images[name=shop].newTag`.
    #[must_use]
    pub fn place(&self) -> String {
        self.path.to_string()
    }

    /// What is expected there: none where nothing stands, empty where a key has no value.
    #[must_use]
    pub fn before(&self) -> Option<&str> {
        self.old.as_deref()
    }

    /// What is wanted there: none where the entry is removed.
    #[must_use]
    pub fn after(&self) -> Option<&str> {
        self.new.as_deref()
    }
}

/// `deploy/kustomization.yaml images[name=shop].newTag: v1 -> v2`.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: &Option<String>| value.as_deref().map_or_else(|| "nothing".to_owned(), said);
        write!(f, "{} {}: {} -> {}", self.file, self.path, text(&self.old), text(&self.new))
    }
}

/// A value for people: an empty one is named.
pub(super) fn said(value: &str) -> String {
    if value.is_empty() { "an empty value".to_owned() } else { shown(value) }
}
