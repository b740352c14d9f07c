//! Parser events gathered into a tree.
//!
//! What is past a limit, has a key twice, or is a template rather than YAML is refused here, with its line; spans that
//! the parser gives otherwise than an editor needs them are put right.

use super::EditError;
use super::tree::{Kind, Node, Tree};
use crate::model::budget::{TARGET_BYTES, TARGET_NODES};
use granit_parser::{Event, Options, Parser, ScalarStyle, Span, StructureStyle};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// How deep collections may nest: below the 128 of the second parser, far above any manifest.
const NESTING_MAX: usize = 100;
/// How the files begin that Git LFS leaves in place of large ones (git-lfs, `docs/spec.md`, and its name before 2014).
const POINTERS: [&str; 2] = ["version https://git-lfs.github.com/spec/", "version https://hawser.github.com/spec/"];
/// Mappings up to this size are searched for a key that stands twice without a table, which costs more than it saves.
const SMALL_MAPPING: usize = 8;

impl<'a> Tree<'a> {
    /// Parses a text.
    ///
    /// # Errors
    /// `Unreadable` when it is no YAML, a template, too large or too deep, or has a key twice.
    pub(super) fn parse(file: &'a str, text: &'a str) -> Result<Self, EditError> {
        Self::parse_within(file, text, TARGET_NODES)
    }

    /// The same for a text that may have so many nodes, because others are held beside it.
    ///
    /// # Errors
    /// As [`Tree::parse`].
    pub(super) fn parse_within(file: &'a str, text: &'a str, nodes_max: usize) -> Result<Self, EditError> {
        let tree = Self { text, file, nodes: Vec::new() };
        let mut builder = Builder { tree, nodes_max, open: Vec::new(), anchors: HashMap::new() };
        if text.len() > TARGET_BYTES {
            return Err(builder.tree.unreadable(0, "it is larger than 8 MiB; split it".to_owned()));
        }
        if POINTERS.iter().any(|start| text.starts_with(start)) {
            let why = "this is a pointer of Git LFS, whose content is kept elsewhere; take the file out of LFS, or name another";
            return Err(builder.tree.unreadable(0, why.to_owned()));
        }
        let mut options = Options::default();
        options.set_emit_comments(false);
        options.flow_nesting_limit = NESTING_MAX;
        options.block_nesting_limit = NESTING_MAX;
        for event in Parser::new_from_str_with_options(text, options) {
            let (event, span) = event.map_err(|e| builder.tree.scan_error(&e))?;
            builder.take(event, &span)?;
        }
        Ok(builder.tree)
    }

    fn scan_error(&self, error: &granit_parser::ScanError) -> EditError {
        let line = error.marker().line();
        let near = |n: usize, text: &str| n + 2 >= line && n < line && text.contains("{{");
        let mut at = 0;
        for (n, text) in self.text.split_inclusive('\n').enumerate() {
            if near(n, text) || text.trim_start().starts_with("{{") {
                return self.template(at);
            }
            at += text.len();
        }
        let why = format!("this is no YAML: {}", crate::model::text::shown(&error.info()));
        EditError::Unreadable { file: self.file.to_owned(), line, why }
    }

    fn template(&self, at: usize) -> EditError {
        let why = "`{{` makes this a template, which is no YAML; name the values file that feeds it";
        self.unreadable(at, why.to_owned())
    }
}

/// A tree while events come in.
struct Builder<'a> {
    tree: Tree<'a>,
    nodes_max: usize,
    open: Vec<usize>,
    anchors: HashMap<usize, usize>,
}

impl<'a> Builder<'a> {
    fn take(&mut self, event: Event<'a>, span: &Span) -> Result<(), EditError> {
        let name = |tag: Option<Cow<'_, granit_parser::Tag>>| {
            tag.map(|tag| format!("{}{}", tag.handle(), tag.suffix()).into_boxed_str())
        };
        match event {
            Event::Scalar(text, style, anchor, tag) => self.scalar((text, style), anchor, name(tag), span),
            Event::Alias(id) => {
                let of = self.anchors.get(&id).copied().unwrap_or(0);
                self.push(Kind::Alias { of }, 0, None, span).map(drop)
            }
            Event::SequenceStart(style, anchor, tag) => {
                self.open(Kind::Sequence { flow: style == StructureStyle::Flow }, anchor, name(tag), span)
            }
            Event::MappingStart(style, anchor, tag) => {
                self.open(Kind::Mapping { flow: style == StructureStyle::Flow }, anchor, name(tag), span)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
            _ => Ok(()),
        }
    }

    fn push(&mut self, kind: Kind<'a>, anchor: usize, tag: Option<Box<str>>, span: &Span) -> Result<usize, EditError> {
        let (index, bytes) = (self.tree.len(), span.byte_range().unwrap_or(0..0));
        if index >= self.nodes_max {
            let why = match self.nodes_max {
                TARGET_NODES => format!("it has more than {TARGET_NODES} nodes; split it"),
                _ => format!(
                    "with the files before it, this environment writes into more than {TARGET_NODES} nodes; write into \
                     fewer or smaller files"
                ),
            };
            return Err(self.tree.unreadable(bytes.start, why));
        }
        if self.open.len() > NESTING_MAX {
            return Err(self.tree.unreadable(bytes.start, "it nests more than 100 levels deep".to_owned()));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, index);
        }
        let column = span.start.col();
        let (depth, anchored) = (self.open.len(), anchor != 0);
        self.tree.nodes.push(Node { kind, span: bytes, column, depth, end: index + 1, tag, anchored });
        Ok(index)
    }

    fn open(&mut self, kind: Kind<'a>, anchor: usize, tag: Option<Box<str>>, span: &Span) -> Result<(), EditError> {
        let index = self.push(kind, anchor, tag, span)?;
        self.open.push(index);
        Ok(())
    }

    /// Takes a scalar. An absent value comes as `~` and becomes an empty text.
    fn scalar(
        &mut self,
        (text, style): (Cow<'a, str>, ScalarStyle),
        anchor: usize,
        tag: Option<Box<str>>,
        span: &Span,
    ) -> Result<(), EditError> {
        let absent = style == ScalarStyle::Plain && span.byte_range().is_some_and(|bytes| bytes.is_empty());
        let text = if absent { Cow::Borrowed("") } else { text };
        let index = self.push(Kind::Scalar { text, style }, anchor, tag, span)?;
        if absent {
            let at = absent_at(self.tree.text, self.tree.node(index).span.start);
            if let Some(node) = self.tree.nodes.get_mut(index) {
                node.span = at..at;
            }
        }
        Ok(())
    }

    /// Closes a collection: its last byte is its bracket's, or that of its last descendant.
    fn close(&mut self, span: &Span) -> Result<(), EditError> {
        let Some(index) = self.open.pop() else { return Ok(()) };
        let (len, parent) = (self.tree.len(), self.open.last().map(|parent| self.tree.node(*parent).column));
        if let Some(node) = self.tree.nodes.get_mut(index) {
            node.end = len;
        }
        let last = self.tree.children(index).last().map_or(0, |last| self.tree.node(last).span.end);
        let first = self.tree.children(index).next().map_or(usize::MAX, |first| self.tree.node(first).span.start);
        if let Some(node) = self.tree.nodes.get_mut(index) {
            match node.kind {
                Kind::Mapping { flow: true } | Kind::Sequence { flow: true } => {
                    node.span.end = span.byte_range().map_or(node.span.end, |bytes| bytes.end);
                }
                Kind::Sequence { flow: false } => {
                    // A sequence that is not indented under its key comes with the span of its first item.
                    node.column = if first == node.span.start { parent.unwrap_or(0) } else { node.column };
                    node.span.end = node.span.end.max(last);
                }
                Kind::Mapping { flow: false } | Kind::Scalar { .. } | Kind::Alias { .. } => {
                    node.span.end = node.span.end.max(last);
                }
            }
        }
        self.refuse_template(index)?;
        self.refuse_duplicate(index)
    }

    /// `{{ x }}` outside of quotes parses as a mapping that is the key of a mapping: nobody means that.
    fn refuse_template(&self, index: usize) -> Result<(), EditError> {
        let start = self.tree.node(index).span.start;
        let inner = self.tree.children(index).next().map(|first| self.tree.node(first));
        let braces = matches!(inner, Some(Node { kind: Kind::Mapping { flow: true }, .. }))
            && self.tree.text.get(start..).is_some_and(|rest| rest.starts_with("{{"));
        if braces { Err(self.tree.template(start)) } else { Ok(()) }
    }

    fn refuse_duplicate(&self, index: usize) -> Result<(), EditError> {
        let keys = || self.tree.entries(index).filter_map(|(key, _)| Some((key, self.tree.scalar(key)?)));
        let twice = if keys().count() <= SMALL_MAPPING {
            keys()
                .enumerate()
                .find(|(n, (_, key))| keys().take(*n).any(|(_, other)| other == *key))
                .map(|(_, twice)| twice)
        } else {
            let mut seen = HashSet::new();
            keys().find(|(_, key)| !seen.insert(*key))
        };
        match twice {
            Some((node, key)) => {
                let why = format!("the key `{}` stands twice here; delete one", crate::model::text::shown(key));
                Err(self.tree.unreadable(self.tree.node(node).span.start, why))
            }
            None => Ok(()),
        }
    }
}

/// Where an absent value would stand: the parser says before the colon of its key, or after the comment of its dash.
fn absent_at(text: &str, said: usize) -> usize {
    let (before, after) = text.split_at_checked(said).unwrap_or((text, ""));
    let blank = after.len() - after.trim_start_matches([' ', '\t']).len();
    if after.get(blank..).is_some_and(|rest| rest.starts_with(':')) {
        return said + blank + 1;
    }
    let line = before.rfind('\n').map_or(0, |newline| newline + 1);
    let comment = before.get(line..).and_then(|line| line.find('#')).map(|at| line + at);
    let dashes =
        comment.and_then(|comment| text.get(line..comment)).filter(|dashes| dashes.bytes().all(|b| b" -".contains(&b)));
    dashes.and_then(|dashes| dashes.rfind('-')).map_or(said, |dash| line + dash + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slices(text: &str) -> Vec<(&str, usize)> {
        let tree = Tree::parse("f", text).expect("parses");
        (0..tree.len()).map(|i| (&text[tree.node(i).span.clone()], tree.node(i).column)).collect()
    }

    #[test]
    fn spans_are_the_bytes_of_each_node() {
        assert_eq!(
            slices("a:\n- name: \"x\" # c\n  tag:\n"),
            [
                ("a:\n- name: \"x\" # c\n  tag:", 0),
                ("a", 0),
                ("name: \"x\" # c\n  tag:", 0),
                ("name: \"x\" # c\n  tag:", 2),
                ("name", 2),
                ("\"x\"", 8),
                ("tag", 2),
                ("", 5)
            ]
        );
        assert_eq!(slices("{b: , c: [1]}").first(), Some(&("{b: , c: [1]}", 0)));
    }

    #[test]
    fn what_cannot_be_edited_is_refused_with_its_line() {
        let check = |text: &str, line: usize, part: &str| match Tree::parse("f.yaml", text) {
            Err(EditError::Unreadable { line: at, why, .. }) => {
                assert_eq!(at, line, "{text}");
                assert!(why.contains(part), "{why}");
            }
            other => panic!("{text}: {other:?}"),
        };
        check("a: 1\nb: 2\na: 3\n", 3, "`a` stands twice");
        check("a: 1\nb: {{ .Values.x }}\n", 2, "template");
        check("a: 1\n{{- if .x }}\nb: 1\n{{- end }}\n", 2, "template");
        check("a: [1\nb: 2\n", 2, "no YAML");
        check("a: '{{ x }}'\nb:\nc: 1\nd: [1\ne: 2\n", 5, "no YAML");
        check(&"[".repeat(200), 1, "no YAML");
        check(&" ".repeat(TARGET_BYTES + 1), 1, "8 MiB");
        assert!(Tree::parse("f", "a: '{{ tpl }}' # {{ c }}\n").is_ok());
    }
}
