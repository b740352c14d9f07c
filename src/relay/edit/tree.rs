//! A YAML text as a flat tree of nodes with byte spans, in the order in which they stand.
//!
//! It resolves nothing: a scalar is its text and its style, an alias names the node it repeats. `parse` makes it.

use super::EditError;
use granit_parser::ScalarStyle;
use std::borrow::Cow;
use std::ops::Range;

/// What a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    /// Keys and values, each a child in turn.
    Mapping {
        /// Whether it is written `{..}`.
        flow: bool,
    },
    /// Items, each a child.
    Sequence {
        /// Whether it is written `[..]`.
        flow: bool,
    },
    /// A text; an absent value is an empty plain text.
    Scalar {
        /// The text after unescaping and folding.
        text: Cow<'a, str>,
        /// How it is written.
        style: ScalarStyle,
    },
    /// A repetition of an earlier node.
    Alias {
        /// That node.
        of: usize,
    },
}

/// One node.
#[derive(Debug, Clone)]
pub(super) struct Node<'a> {
    /// What it is.
    pub(super) kind: Kind<'a>,
    /// Its bytes, without anchor, tag and comment. An absent value has an empty span where it would stand.
    pub(super) span: Range<usize>,
    /// The column of its first character; of its dashes for a block sequence.
    pub(super) column: usize,
    /// How many collections hold it.
    pub(super) depth: usize,
    /// The index after its last descendant.
    pub(super) end: usize,
    /// Its tag, resolved.
    pub(super) tag: Option<Box<str>>,
    /// Whether it has an anchor.
    pub(super) anchored: bool,
}

/// The nodes of a text, parents before children.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    /// The text.
    pub(super) text: &'a str,
    /// The file it is from, for messages.
    pub(super) file: &'a str,
    /// The nodes; only `parse` adds some.
    pub(super) nodes: Vec<Node<'a>>,
}

impl<'a> Tree<'a> {
    /// How many nodes there are.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// A node; past the end (the place of the first node of an empty file) stands an absent value.
    pub(super) fn node(&self, index: usize) -> &Node<'a> {
        static NOTHING: Node<'static> = Node {
            kind: Kind::Scalar { text: Cow::Borrowed(""), style: ScalarStyle::Plain },
            span: 0..0,
            column: 0,
            depth: 0,
            end: usize::MAX,
            tag: None,
            anchored: false,
        };
        self.nodes.get(index).unwrap_or(&NOTHING)
    }

    /// The root node of each document.
    pub(super) fn roots(&self) -> impl Iterator<Item = usize> {
        self.siblings(0..self.nodes.len())
    }

    /// The direct children of a collection: items, or keys and values in turn.
    pub(super) fn children(&self, parent: usize) -> impl Iterator<Item = usize> {
        self.siblings(parent + 1..self.node(parent).end)
    }

    /// The keys and values of a mapping; nothing for anything else.
    pub(super) fn entries(&self, mapping: usize) -> impl Iterator<Item = (usize, usize)> {
        let mut keys = match self.node(mapping).kind {
            Kind::Mapping { .. } => Some(self.children(mapping)),
            Kind::Sequence { .. } | Kind::Scalar { .. } | Kind::Alias { .. } => None,
        };
        std::iter::from_fn(move || keys.as_mut().and_then(|keys| Some((keys.next()?, keys.next()?))))
    }

    /// The items of a sequence; nothing for anything else.
    pub(super) fn items(&self, sequence: usize) -> impl Iterator<Item = usize> {
        let is_sequence = matches!(self.node(sequence).kind, Kind::Sequence { .. });
        self.children(sequence).filter(move |_| is_sequence)
    }

    /// The entry of this key.
    pub(super) fn entry(&self, mapping: usize, key: &str) -> Option<(usize, usize)> {
        self.entries(mapping).find(|(k, _)| self.scalar(*k) == Some(key))
    }

    /// The text of a scalar; none for anything else.
    pub(super) fn scalar(&self, node: usize) -> Option<&str> {
        match &self.node(node).kind {
            Kind::Scalar { text, .. } => Some(text),
            Kind::Mapping { .. } | Kind::Sequence { .. } | Kind::Alias { .. } => None,
        }
    }

    /// Whether a node is an absent value, `~` or `null`.
    pub(super) fn is_null(&self, node: usize) -> bool {
        match &self.node(node).kind {
            Kind::Scalar { text, style: ScalarStyle::Plain } => matches!(&**text, "" | "~" | "null" | "Null" | "NULL"),
            Kind::Scalar { .. } | Kind::Mapping { .. } | Kind::Sequence { .. } | Kind::Alias { .. } => false,
        }
    }

    /// The line of a byte, counted from one.
    pub(super) fn line(&self, byte: usize) -> usize {
        1 + self.text.bytes().take(byte).filter(|b| *b == b'\n').count()
    }

    /// The error that says what is wrong at a byte.
    pub(super) fn unreadable(&self, byte: usize, why: String) -> EditError {
        EditError::Unreadable { file: self.file.to_owned(), line: self.line(byte), why }
    }

    fn siblings(&self, range: Range<usize>) -> impl Iterator<Item = usize> {
        let mut next = range.start;
        let end = range.end.min(self.nodes.len());
        std::iter::from_fn(move || {
            let here = (next < end).then_some(next)?;
            next = self.node(here).end.max(here + 1);
            Some(here)
        })
    }
}
