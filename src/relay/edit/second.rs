//! The second parser: libyaml's, in the YAML organisation's fork of `serde_yaml`, held against what is wanted.
//!
//! It builds no values: a text streams past and each node is compared as it comes, so that numbers which no type holds
//! and large files cost nothing.

use super::EditError;
use super::graft::Edits;
use super::proof::{Shape, Want, Wanted};
use super::tree::Tree;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// Shows that the second parser reads the text, as it is, like the first.
///
/// # Errors
/// `Unreadable` where it does not: kustomize, Helm and Argo CD may then read it in a third way.
pub(super) fn agreed(tree: &Tree<'_>) -> Result<(), EditError> {
    let untouched = Edits::new();
    let read = reads(&Wanted { tree, edits: &untouched }, tree.text);
    read.map_err(|Second { line, why }| EditError::Unreadable { file: tree.file.to_owned(), line, why })
}

/// Where and why the second parser reads something else.
pub(super) struct Second {
    /// The line, counted from one.
    pub(super) line: usize,
    /// What it reads.
    pub(super) why: String,
}

/// Reads every document of a text with the second parser, against what is wanted.
pub(super) fn reads(wanted: &Wanted<'_>, text: &str) -> Result<(), Second> {
    let roots = wanted.roots();
    if roots.is_empty() {
        return Ok(());
    }
    let count = |why: &str| Second { line: 1, why: format!("parsers disagree: the second one {why}") };
    // A byte order mark is no content, but libyaml counts it as a column and loses the mapping that begins there.
    let mut text = Cow::Borrowed(text.strip_prefix('\u{feff}').unwrap_or(text));
    // The end of the text ends its last line (YAML 1.2.2, 8.1.1.2). For libyaml a block scalar that ends there has no
    // newline, so it is given one; nothing else changes by it.
    if !text.ends_with('\n') {
        text.to_mut().push('\n');
    }
    let mut documents = serde_yaml::Deserializer::from_str(&text);
    for root in roots {
        let document = documents.next().ok_or_else(|| count("misses a document"))?;
        let expected = Expected { wanted: *wanted, want: root };
        expected.deserialize(document).map_err(|error| Second {
            line: error.location().map_or(1, |at| at.line()),
            why: format!("parsers disagree: the second one says {}", crate::model::text::shown(&error.to_string())),
        })?;
    }
    if documents.next().is_some() { Err(count("sees a document too many")) } else { Ok(()) }
}

/// A wanted node, held against what the second parser reads.
#[derive(Clone, Copy)]
struct Expected<'w> {
    wanted: Wanted<'w>,
    want: Want<'w>,
}

impl<'de> DeserializeSeed<'de> for Expected<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let tree = self.wanted.tree;
        match (self.wanted.shape(self.want), self.want) {
            (Shape::Alias(of), _) => Expected { want: self.wanted.edited(of), ..self }.deserialize(deserializer),
            // What we wrote must be a string; a tag on it stands as it stood and says what it says.
            (Shape::Scalar(text), Want::Key(_) | Want::New(_, None)) => deserializer.deserialize_any(Text(text)),
            (Shape::Scalar(text), Want::New(_, Some(old))) if tree.node(old).tag.is_none() => {
                deserializer.deserialize_any(Text(text))
            }
            (Shape::Scalar(text), _) => deserializer.deserialize_str(Text(text)),
            (Shape::Mapping(children), _) => deserializer.deserialize_map(Children { wanted: self.wanted, children }),
            (Shape::Sequence(children), _) => deserializer.deserialize_seq(Children { wanted: self.wanted, children }),
        }
    }
}

/// A string that must be read.
struct Text<'w>(&'w str);

impl Visitor<'_> for Text<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Escaped, so that a newline or blank that makes the difference is seen.
        write!(f, "the string {:?}", self.0)
    }

    fn visit_str<E: serde::de::Error>(self, read: &str) -> Result<(), E> {
        if read == self.0 { Ok(()) } else { Err(E::invalid_value(serde::de::Unexpected::Str(read), &self)) }
    }
}

/// The children of a collection, which must be read in this order.
struct Children<'w> {
    wanted: Wanted<'w>,
    children: Vec<Want<'w>>,
}

impl<'de> Visitor<'de> for Children<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a collection of {} nodes", self.children.len())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        for want in &self.children {
            let seed = Expected { wanted: self.wanted, want: *want };
            items.next_element_seed(seed)?.ok_or_else(|| A::Error::custom("an item is missing"))?;
        }
        let more = items.next_element::<serde::de::IgnoredAny>()?;
        if more.is_some() { Err(A::Error::custom("an item too many")) } else { Ok(()) }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        for pair in self.children.chunks(2) {
            let [key, value] = pair else { return Err(A::Error::custom("a key without a value")) };
            let seed = |want: &_| Expected { wanted: self.wanted, want: *want };
            entries.next_key_seed(seed(key))?.ok_or_else(|| A::Error::custom("an entry is missing"))?;
            entries.next_value_seed(seed(value))?;
        }
        let more = entries.next_key::<serde::de::IgnoredAny>()?;
        if more.is_some() { Err(A::Error::custom("an entry too many")) } else { Ok(()) }
    }
}
