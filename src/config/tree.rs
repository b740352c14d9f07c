//! YAML text as a tree in which every node knows where it stood.
//!
//! Duplicate keys, several documents, foreign tags and texts built to grow are refused here. What a node means is not
//! looked at: a scalar keeps its source text, so the tag `1.10` stays `1.10`.

use crate::model::budget::{POLICY_BYTES, POLICY_NODES};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};
use std::fmt;
use std::ops::Range;

/// The deepest nesting: the contract's own depth is nine.
const DEPTH_MAX: usize = 32;

/// Where in the text something stands, in bytes.
pub(crate) type Place = Range<usize>;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    /// Where to point: the scalar itself, or the first key or bracket of a collection.
    pub(crate) at: Place,
    /// What it is.
    pub(crate) kind: Kind,
}

/// The kinds of nodes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    /// Nothing, `null` or `~`.
    Null,
    /// A scalar.
    Scalar {
        /// The source text of a plain scalar, the content of a quoted one.
        text: String,
        /// Whether YAML reads it as text, not as a number or a boolean.
        is_text: bool,
    },
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the file.
    Map(Vec<(Key, Node)>),
}

/// A key of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Key {
    /// Its text.
    pub(crate) text: String,
    /// Where it stands.
    pub(crate) at: Place,
}

impl Node {
    /// The value under a key; none for other kinds.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        match &self.kind {
            Kind::Map(entries) => entries.iter().find(|(k, _)| k.text == key).map(|(_, node)| node),
            Kind::Null | Kind::Scalar { .. } | Kind::List(_) => None,
        }
    }

    /// What stands directly below it.
    pub(crate) fn children(&self) -> impl Iterator<Item = &Self> {
        let (items, entries): (&[Self], &[(Key, Self)]) = match &self.kind {
            Kind::List(items) => (items, &[]),
            Kind::Map(entries) => (&[], entries),
            Kind::Null | Kind::Scalar { .. } => (&[], &[]),
        };
        items.iter().chain(entries.iter().map(|(_, node)| node))
    }

    /// What kind of node this is, for people.
    pub(crate) fn describe(&self) -> &'static str {
        match &self.kind {
            Kind::Null => "nothing",
            Kind::Scalar { is_text: true, .. } => "text",
            Kind::Scalar { text, is_text: false } if text == "true" || text == "false" => "a boolean",
            Kind::Scalar { is_text: false, .. } => "a number",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a mapping",
        }
    }

    /// This node with `over` laid on top: mappings merge by key, except under the keys that replace; anything else is
    /// replaced by what lies over it.
    pub(crate) fn merged(&self, over: &Self, replacing: &[&str]) -> Self {
        let (Kind::Map(below), Kind::Map(above)) = (&self.kind, &over.kind) else { return over.clone() };
        let mut entries: Vec<(Key, Self)> = Vec::with_capacity(below.len() + above.len());
        for (key, node) in below {
            match above.iter().find(|(k, _)| k.text == key.text) {
                Some((k, n)) if replacing.contains(&k.text.as_str()) => entries.push((k.clone(), n.clone())),
                Some((k, n)) => entries.push((k.clone(), node.merged(n, &[]))),
                None => entries.push((key.clone(), node.clone())),
            }
        }
        let is_new = |key: &Key| below.iter().all(|(k, _)| k.text != key.text);
        entries.extend(above.iter().filter(|(key, _)| is_new(key)).cloned());
        Self { at: over.at.clone(), kind: Kind::Map(entries) }
    }
}

/// A text that is no YAML document of ours, and where that shows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NotYaml {
    /// What is wrong.
    pub(crate) message: String,
    /// Where.
    pub(crate) at: Place,
}

/// Parses one document.
pub(crate) fn parse(text: &str) -> Result<Node, NotYaml> {
    if text.len() > POLICY_BYTES {
        return Err(NotYaml { message: format!("the file is larger than {POLICY_BYTES} bytes"), at: 0..0 });
    }
    let options = serde_saphyr::options! {
        strict_booleans: true,
        with_snippet: false,
        reject_unsupported_tags: true,
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::Error,
        budget: serde_saphyr::budget! { max_nodes: POLICY_NODES, max_depth: DEPTH_MAX, max_documents: 1 },
    };
    let raw: Spanned<Raw> = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let at = error.location().map_or(0..0, |location| bytes_of(&location, text));
        NotYaml { message: first_line(&error.to_string()), at }
    })?;
    Ok(located(raw, text))
}

impl NotYaml {
    /// What to write instead, where the slip can be told from the text.
    pub(crate) fn help(&self, text: &str) -> Option<&'static str> {
        let before = text.get(..self.at.start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = text.get(line_start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        let value = line.split_once(": ").map_or(line, |(_, value)| value).trim_start();
        let holds = |words: &[&str]| words.iter().any(|word| self.message.contains(word));
        if holds(&["tabs disallowed"]) {
            Some("YAML is indented with spaces")
        } else if holds(&["one document"]) {
            Some("write what stands behind `---` into a file of its own")
        } else if line.contains("${") {
            Some("`${NAME}` is not filled in here: a secret is `{ env: NAME }` or `{ file: /path/to/it }`")
        } else if value.starts_with("{{") {
            Some("quote a value that begins with `{{`, as in `kustomize: \"{{ environment }}\"`")
        } else if holds(&["anchor", "alias"]) {
            Some("quote a value that begins with `*` or `&`, as in `semver: '*'`")
        } else if holds(&["block collection", "block mapping"]) {
            Some("look at the indentation: the keys of a mapping, and the `-` of a list, begin in one column")
        } else {
            None
        }
    }
}

/// The parser's message without its own position (we show ours) and without advice about its options.
fn first_line(message: &str) -> String {
    let line = message.lines().next().unwrap_or(message);
    let end = [" at line ", ", set DuplicateKeyPolicy"].iter().filter_map(|tail| line.rfind(tail)).min();
    let line = line.get(..end.unwrap_or(line.len())).unwrap_or(line);
    if line.starts_with("budget breached: Documents") {
        return "a file holds one document".to_owned();
    }
    crate::model::text::shown(line)
}

/// The bytes of a location, kept inside the text and on character boundaries.
fn bytes_of(location: &Location, text: &str) -> Place {
    let span = location.span();
    let clamp = |offset: usize| (0..=offset.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    match (span.byte_offset(), span.byte_len()) {
        (Some(start), Some(length)) => clamp(number(start))..clamp(number(start).saturating_add(number(length))),
        // The scanner's own errors carry a line and a column alone.
        _ => {
            let (line, column) = (number(location.line()), number(location.column()));
            let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
            let columns = text.get(start..).unwrap_or_default().chars().take(column.saturating_sub(1));
            let start = clamp(start + columns.map(char::len_utf8).sum::<usize>());
            start..start
        }
    }
}

/// A node as the parser hands it over, before the text of its plain scalars is taken from the source.
enum Raw {
    Null,
    Text(String),
    Plain,
    List(Vec<Spanned<Self>>),
    Map(Vec<(Spanned<String>, Spanned<Self>)>),
}

fn located(raw: Spanned<Raw>, text: &str) -> Node {
    let mut at = bytes_of(&raw.defined, text);
    let kind = match raw.value {
        Raw::Null => Kind::Null,
        Raw::Text(text) => Kind::Scalar { text, is_text: true },
        Raw::Plain => Kind::Scalar { text: text.get(at.clone()).unwrap_or_default().trim().to_owned(), is_text: false },
        Raw::List(items) => Kind::List(items.into_iter().map(|item| located(item, text)).collect()),
        Raw::Map(entries) => {
            let key = |key: Spanned<String>| Key { at: bytes_of(&key.defined, text), text: key.value };
            Kind::Map(entries.into_iter().map(|(k, node)| (key(k), located(node, text))).collect())
        }
    };
    match &kind {
        Kind::Map(entries) => at = pointed_at(at.start, entries.first().map(|(key, _)| &key.at), text),
        Kind::List(_) => at = pointed_at(at.start, None, text),
        Kind::Null | Kind::Scalar { .. } => {}
    }
    Node { at, kind }
}

/// Where to point for a collection: at its first key where it begins with one, else at its first character.
fn pointed_at(start: usize, first_key: Option<&Place>, text: &str) -> Place {
    match first_key {
        Some(key) if key.start == start => key.clone(),
        Some(_) | None => start..start + text.get(start..).and_then(|t| t.chars().next()).map_or(0, char::len_utf8),
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Raw::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar(text: &str, key: &str) -> String {
        match parse(text).expect(text).get(key).map(|node| node.kind.clone()) {
            Some(Kind::Scalar { text, .. }) => text,
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_scalar_keeps_its_source_text() {
        for (written, read) in [
            ("1.10", "1.10"),
            ("0123", "0123"),
            ("1e3", "1e3"),
            ("99999999999999999999999", "99999999999999999999999"),
            ("yes", "yes"),
            ("True", "True"),
            ("2026-12-20", "2026-12-20"),
            ("'it''s'", "it's"),
            ("\"a\\tb\"", "a\tb"),
            ("1.10   # comment", "1.10"),
            ("!!str 5", "5"),
        ] {
            assert_eq!(scalar(&format!("é: 1\na: {written}\n"), "a"), read, "{written}");
        }
    }

    #[test]
    fn aliases_and_merge_keys_point_at_what_they_name() {
        let text = "x: &x {tag: 1.10}\ny: {<<: *x}\nz: *x\n";
        let node = parse(text).expect("parses");
        for key in ["x", "y", "z"] {
            let tag = node.get(key).and_then(|n| n.get("tag")).expect(key);
            assert_eq!(&text[tag.at.clone()], "1.10", "{key}");
        }
    }

    #[test]
    fn what_is_no_document_of_ours_says_where() {
        let bomb = format!("a: &a [{}]\nb: &b [{}]\nc: [{}]\n", "x,".repeat(300), "*a,".repeat(300), "*b,".repeat(300));
        for (text, at, message) in [
            ("a: 1\na: 2\n", 5, "duplicate mapping key: a"),
            ("é: 1\na:\n\tb: 1", 10, "tabs disallowed within this context (block indentation)"),
            ("a: [1, 2", 3, "unclosed bracket '['"),
            ("a: 1\n---\nb: 2\n", 5, "a file holds one document"),
            ("a: !foo 1", 8, "unsupported tag `!foo`"),
            ("a: *x", 3, "alias references unknown anchor"),
            (&"[".repeat(1000), 255, "recursion limit exceeded"),
            ("? [a]\n: b", 2, "expected string scalar"),
            (&bomb, 0, ""),
        ] {
            let error = parse(text).expect_err(text);
            if !message.is_empty() {
                assert_eq!((error.at.start, error.message.as_str()), (at, message), "{text:.40}");
            }
        }
    }

    #[test]
    fn what_lies_over_merges_by_key() {
        let merge =
            |below: &str, above: &str| parse(below).expect("below").merged(&parse(above).expect("above"), &["s"]);
        let shape = |node: &Node| node.get("a").and_then(|a| a.get("y")).map(|n| n.kind.clone());
        let merged = merge("a: {x: 1, y: 2}\nl: [1]\ns: {x: 1}\n", "a: {y: 3}\nl: []\ns: {y: 1}\n");
        assert_eq!(shape(&merged), Some(Kind::Scalar { text: "3".to_owned(), is_text: false }));
        assert!(merged.get("a").and_then(|a| a.get("x")).is_some());
        assert_eq!(merged.get("l").map(|l| l.kind.clone()), Some(Kind::List(vec![])));
        assert!(merged.get("s").is_some_and(|s| s.get("x").is_none() && s.get("y").is_some()));
    }
}
