//! From a tree to typed values: one declaration of a form says how it is read and what its JSON Schema is, so that the
//! two cannot disagree.
//!
//! Reading goes on after an error: what could not be read is [`Field::Broken`], and is not missed a second time. What
//! the values mean together is not looked at.

use super::diagnostic::Problems;
use super::hints;
use super::nearest::nearest;
use super::tree::{self, Key, Kind, Node, Place};
use super::unbuilt::is_unbuilt;
use serde_json::{Value, json};

/// A value that can be read from a node.
pub(crate) trait Read: Sized {
    /// Reads it; none where something is wrong, which was added to the problems then.
    fn read(node: &Node, problems: &mut Problems) -> Option<Self>;
    /// Its JSON Schema.
    fn schema() -> Value;
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct At<T> {
    /// The value.
    pub(crate) value: T,
    /// Where.
    pub(crate) at: Place,
}

impl<T: Read> Read for At<T> {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        T::read(node, problems).map(|value| Self { value, at: node.at.clone() })
    }

    fn schema() -> Value {
        T::schema()
    }
}

/// What stands under a key of a form.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Field<T> {
    /// Nothing, and it has no default.
    Absent,
    /// Something that could not be read, and was told of.
    Broken,
    /// A value, or the default.
    Given(At<T>),
}

impl<T> Field<T> {
    /// The value and its place.
    pub(crate) fn get(&self) -> Option<&At<T>> {
        match self {
            Self::Given(at) => Some(at),
            Self::Absent | Self::Broken => None,
        }
    }

    /// The value.
    pub(crate) fn value(&self) -> Option<&T> {
        self.get().map(|at| &at.value)
    }

    /// The value itself.
    pub(crate) fn take(self) -> Option<T> {
        match self {
            Self::Given(at) => Some(at.value),
            Self::Absent | Self::Broken => None,
        }
    }

    /// Whether the key is not there; a broken value is there.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

/// A mapping with known keys, once read.
pub(crate) trait Form {
    /// Where to point for the whole of it.
    fn at(&self) -> &Place;
    /// Whether a key was refused, so that what seems to be missing may stand there misspelt or not be built yet.
    fn is_unread(&self) -> bool;

    /// Tells of something that this form lacks, unless a refused key may have been it.
    fn lacks(&self, message: impl Into<String>, help: impl Into<String>, problems: &mut Problems)
    where
        Self: Sized,
    {
        if !self.is_unread() {
            problems.add_with_help(self.at(), message, help);
        }
    }
}

/// What a form asks of a key.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Presence {
    /// It may be left out.
    Optional,
    /// It must stand there.
    Required,
    /// Left out it reads as this YAML.
    Default(&'static str),
}

/// The keys of a mapping while a form takes them.
pub(crate) struct Fields<'a> {
    node: &'a Node,
    /// Whether a key was refused, so that what seems to be missing may stand there misspelt.
    pub(crate) unread: bool,
}

impl<'a> Fields<'a> {
    /// The keys of a mapping; those that the form does not know are told of.
    pub(crate) fn of(node: &'a Node, form: &str, known: &[&str], problems: &mut Problems) -> Option<Self> {
        let Kind::Map(entries) = &node.kind else {
            hide_all(node, problems);
            let keys = if known.is_empty() { "`{}`".to_owned() } else { format!("a mapping with {}", listed(known)) };
            let message = format!("expected {keys}, found {}", node.describe());
            match hints::example(form) {
                Some(example) => problems.add_with_help(&node.at, message, format!("as in `{example}`")),
                None => problems.add(&node.at, message),
            }
            return None;
        };
        let unknown = || entries.iter().filter(|(key, _)| !known.contains(&key.text.as_str()));
        // A key that is not built may bring others with it, of which nothing else is to be said.
        let has_unbuilt = unknown().any(|(key, _)| is_unbuilt(form, &key.text));
        let unread = unknown().next().is_some();
        for (key, value) in unknown() {
            if !has_unbuilt || is_unbuilt(form, &key.text) {
                refuse(key, form, known, problems);
            }
            hide_all(value, problems);
        }
        Some(Self { node, unread })
    }

    /// Reads what stands under a key.
    pub(crate) fn take<T: Read>(&self, key: &str, presence: Presence, problems: &mut Problems) -> Field<T> {
        if let Some(node) = self.node.get(key).filter(|node| node.kind != Kind::Null) {
            return At::read(node, problems).map_or(Field::Broken, Field::Given);
        }
        match presence {
            Presence::Optional => Field::Absent,
            Presence::Required => {
                if !self.unread {
                    problems.add(&self.node.at, format!("`{key}` is missing here"));
                }
                Field::Broken
            }
            Presence::Default(yaml) => {
                let value = tree::parse(yaml).ok().and_then(|node| T::read(&node, problems));
                value.map_or(Field::Broken, |value| Field::Given(At { value, at: self.node.at.clone() }))
            }
        }
    }
}

fn refuse(key: &Key, form: &str, known: &[&str], problems: &mut Problems) {
    if is_unbuilt(form, &key.text) {
        return not_built_yet(&key.at, &key.text, problems);
    }
    let help = match (nearest(&key.text, known.iter().copied()), hints::elsewhere(form, &key.text)) {
        (_, Some(meant)) => meant.to_owned(),
        (Some(meant), None) => format!("did you mean `{meant}`?"),
        (None, None) => format!("known here: {}", listed(known)),
    };
    let shown = crate::model::text::shown(&key.text);
    problems.add_with_help(&key.at, format!("unknown key `{shown}` in `{form}`"), help);
}

/// Refuses a part of the contract that this version does not do.
pub(crate) fn not_built_yet(at: &Place, name: &str, problems: &mut Problems) {
    let help = "this version refuses what it would not do: leave it out";
    problems.add_with_help(at, format!("`{name}` is not built yet"), help);
}

/// Keeps every scalar below a node from being drawn, where the file may hold secrets.
pub(crate) fn hide_all(node: &Node, problems: &mut Problems) {
    match &node.kind {
        Kind::Null => {}
        // Nobody's secret is one of these two words.
        Kind::Scalar { text, is_text: false } if matches!(text.as_str(), "true" | "false") => {}
        Kind::Scalar { .. } => problems.hide(&node.at),
        Kind::List(items) => items.iter().for_each(|item| hide_all(item, problems)),
        Kind::Map(entries) => entries.iter().for_each(|(_, value)| hide_all(value, problems)),
    }
}

/// Words as a sentence lists them.
pub(crate) fn listed(words: &[&str]) -> String {
    match words {
        [] => "no keys".to_owned(),
        words => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
    }
}

impl<T: Read> Read for Vec<T> {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let Kind::List(items) = &node.kind else {
            hide_all(node, problems);
            problems.add_with_help(
                &node.at,
                format!("expected a list, found {}", node.describe()),
                "write `[...]`, or one line for each item beginning with `- `",
            );
            return None;
        };
        let read: Vec<Option<T>> = items.iter().map(|item| T::read(item, problems)).collect();
        read.into_iter().collect()
    }

    fn schema() -> Value {
        json!({ "type": "array", "items": T::schema() })
    }
}

/// A mapping whose keys are names or patterns, in the order of the file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entries<T>(pub(crate) Vec<(At<String>, T)>);

impl<T: Read> Read for Entries<T> {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let Kind::Map(entries) = &node.kind else {
            hide_all(node, problems);
            let help = "write `{ NAME: ... }`, or one line for each name";
            problems.add_with_help(&node.at, format!("expected a mapping, found {}", node.describe()), help);
            return None;
        };
        let mut read = |(key, node): &(Key, Node)| {
            let key = At { value: key.text.clone(), at: key.at.clone() };
            T::read(node, problems).map(|value| (key, value))
        };
        let entries: Vec<Option<_>> = entries.iter().map(&mut read).collect();
        entries.into_iter().collect::<Option<Vec<_>>>().map(Self)
    }

    fn schema() -> Value {
        json!({ "type": "object", "additionalProperties": T::schema() })
    }
}

/// Declares a form: a mapping with known keys. The doc comments are the schema's descriptions.
macro_rules! form {
    ($(#[doc = $about:literal])* $name:ident ($form:literal) {
        $($(#[doc = $doc:literal])* $key:literal $field:ident: $type:ty, $presence:expr;)*
    }) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone)]
        pub(crate) struct $name {
            $($(#[doc = $doc])* pub(crate) $field: $crate::config::read::Field<$type>,)*
            at: $crate::config::tree::Place,
            unread: bool,
        }

        impl $crate::config::read::Form for $name {
            fn at(&self) -> &$crate::config::tree::Place {
                &self.at
            }

            fn is_unread(&self) -> bool {
                self.unread
            }
        }

        impl $crate::config::read::Read for $name {
            fn read(
                node: &$crate::config::tree::Node,
                problems: &mut $crate::config::diagnostic::Problems,
            ) -> Option<Self> {
                let fields = $crate::config::read::Fields::of(node, $form, &[$($key),*], problems)?;
                let (at, unread) = (node.at.clone(), fields.unread);
                Some(Self { $($field: fields.take($key, $presence, problems),)* at, unread })
            }

            fn schema() -> serde_json::Value {
                let about = concat!($($about),*);
                let keys = vec![$((
                    $key,
                    $presence,
                    [$($doc),*].map(str::trim).join(" "),
                    <$type as $crate::config::read::Read>::schema(),
                )),*];
                $crate::config::schema::form($form, about, keys)
            }
        }
    };
}

/// Declares the words by which a value of the model is written.
macro_rules! words {
    ($type:ty, $list:literal, { $($word:literal => $value:expr,)* }) => {
        impl $crate::config::read::Read for $type {
            fn read(
                node: &$crate::config::tree::Node,
                problems: &mut $crate::config::diagnostic::Problems,
            ) -> Option<Self> {
                match $crate::config::read::word(node, $list, &[$($word),*], problems)? {
                    $($word => Some($value),)*
                    _ => None,
                }
            }

            fn schema() -> serde_json::Value {
                $crate::config::schema::named($list, serde_json::json!({ "type": "string", "enum": [$($word),*] }))
            }
        }
    };
}

pub(crate) use {form, words};

/// Reads one of several words.
pub(crate) fn word<'a>(node: &'a Node, list: &str, known: &[&str], problems: &mut Problems) -> Option<&'a str> {
    let Kind::Scalar { text, .. } = &node.kind else {
        problems.add(&node.at, format!("expected one of {}, found {}", listed(known), node.describe()));
        return None;
    };
    if known.contains(&text.as_str()) {
        return Some(text);
    }
    if is_unbuilt(list, text) {
        not_built_yet(&node.at, text, problems);
        return None;
    }
    let help = match nearest(text, known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None if known.len() == 1 => format!("write {}", listed(known)),
        None => format!("write one of {}", listed(known)),
    };
    let shown = crate::model::text::shown(text);
    problems.add_with_help(&node.at, format!("`{shown}` is no value of `{list}`"), help);
    None
}
