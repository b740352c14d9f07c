//! Edits turned into bytes: each touches only the scalar it replaces or the entry it adds or removes.
//!
//! New text takes the style of what stands around it: block or flow, indentation, quotes, line ends. Whether the result
//! says what was wanted is for `proof` to show.

use super::graft::{Edit, Edits, New};
use super::scalar::written;
use super::tree::{Kind, Tree};
use granit_parser::ScalarStyle;
use std::ops::Range;

/// How many columns a nested mapping is indented where the file shows no other custom.
const INDENT: usize = 2;

/// One run of bytes that becomes another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Patch {
    /// The bytes that go.
    pub(super) bytes: Range<usize>,
    /// What comes in their place.
    pub(super) text: String,
}

/// The patches that make these edits, in the order of the text; an error says what cannot be written.
pub(super) fn patches(tree: &Tree<'_>, edits: &Edits) -> Result<Vec<Patch>, String> {
    let custom = Custom::of(tree);
    let mut patches = Vec::with_capacity(edits.len());
    for (node, edit) in edits {
        patches.push(match edit {
            Edit::Replace(new) => replace(tree, *node, new, &custom),
            Edit::Append(new) => append(tree, *node, new, &custom),
            Edit::Remove => remove(tree, *node)?,
        });
    }
    patches.sort_by_key(|patch| (patch.bytes.start, patch.bytes.end));
    let overlap = patches.windows(2).any(|pair| matches!(pair, [a, b] if a.bytes.end > b.bytes.start));
    if overlap { Err("two changes touch the same bytes".to_owned()) } else { Ok(patches) }
}

/// The text with its patches.
pub(super) fn apply(text: &str, patches: &[Patch]) -> Option<String> {
    let mut out = String::with_capacity(text.len() + patches.iter().map(|patch| patch.text.len()).sum::<usize>());
    let mut at = 0;
    for patch in patches {
        out.push_str(text.get(at..patch.bytes.start)?);
        out.push_str(&patch.text);
        at = patch.bytes.end;
    }
    out.push_str(text.get(at..)?);
    Some(out)
}

/// How a file is laid out.
struct Custom {
    newline: &'static str,
    /// Columns from a key to a key nested under it.
    step: usize,
    /// Columns from a key to the dashes of its list.
    dash: usize,
}

impl Custom {
    fn of(tree: &Tree<'_>) -> Self {
        let newline =
            if tree.text.find('\n').is_some_and(|at| before(tree.text, at).ends_with('\r')) { "\r\n" } else { "\n" };
        let offset = |wanted: fn(&Kind<'_>) -> bool| {
            (0..tree.len()).flat_map(|node| tree.entries(node)).find_map(|(key, value)| {
                let (key, value) = (tree.node(key), tree.node(value));
                (wanted(&value.kind) && value.span.start != key.span.start)
                    .then(|| value.column.checked_sub(key.column))?
            })
        };
        let step = offset(|kind| matches!(kind, Kind::Mapping { flow: false })).filter(|step| *step > 0);
        let dash = offset(|kind| matches!(kind, Kind::Sequence { flow: false }));
        Self { newline, step: step.unwrap_or(INDENT), dash: dash.unwrap_or(0) }
    }

    /// The lines of something new in block style, the first without its indentation and the last without its end.
    fn block(&self, new: &New, column: usize) -> String {
        let separator = format!("{}{}", self.newline, " ".repeat(column));
        let lines: Vec<String> = match new {
            New::Scalar(text) => vec![written(text, ScalarStyle::Plain)],
            New::Mapping(entries) => entries.iter().map(|(key, value)| self.entry(key, value, column)).collect(),
            New::Sequence(items) => {
                items.iter().map(|item| format!("- {}", self.block(item, column + INDENT))).collect()
            }
        };
        lines.join(&separator)
    }

    fn entry(&self, key: &str, value: &New, column: usize) -> String {
        let key = written(key, ScalarStyle::Plain);
        let inner = match value {
            New::Scalar(text) => return format!("{key}: {}", written(text, ScalarStyle::Plain)),
            New::Mapping(_) => column + self.step,
            New::Sequence(_) => column + self.dash,
        };
        format!("{key}:{}{}{}", self.newline, " ".repeat(inner), self.block(value, inner))
    }
}

/// Something new in flow style.
fn flow(new: &New, quotes: ScalarStyle) -> String {
    match new {
        New::Scalar(text) => written(text, quotes),
        New::Mapping(_) => format!("{{{}}}", flow_parts(new, quotes).join(", ")),
        New::Sequence(_) => format!("[{}]", flow_parts(new, quotes).join(", ")),
    }
}

fn flow_parts(new: &New, quotes: ScalarStyle) -> Vec<String> {
    match new {
        New::Scalar(text) => vec![written(text, quotes)],
        New::Mapping(entries) => {
            entries.iter().map(|(key, value)| format!("{}: {}", written(key, quotes), flow(value, quotes))).collect()
        }
        New::Sequence(items) => items.iter().map(|item| flow(item, quotes)).collect(),
    }
}

fn replace(tree: &Tree<'_>, index: usize, new: &New, custom: &Custom) -> Patch {
    let node = tree.node(index);
    if index >= tree.len() {
        // A file without a document: the new one comes after whatever comments it has.
        let gap = if tree.text.is_empty() || tree.text.ends_with('\n') { "" } else { custom.newline };
        let text = format!("{gap}{}{}", custom.block(new, 0), custom.newline);
        return Patch { bytes: tree.text.len()..tree.text.len(), text };
    }
    let style = match node.kind {
        Kind::Scalar { style, .. } => style,
        Kind::Mapping { .. } | Kind::Sequence { .. } | Kind::Alias { .. } => ScalarStyle::Plain,
    };
    let text = match new {
        New::Scalar(text) => written(text, style),
        New::Mapping(_) | New::Sequence(_) => flow_or_block(tree, index, new, custom),
    };
    let stands_free =
        before(tree.text, node.span.start).ends_with([' ', '\t', '\n', '[', '{']) || text.starts_with(['\n', '\r']);
    let gap = if node.span.is_empty() && !stands_free && node.span.start > 0 { " " } else { "" };
    Patch { bytes: node.span.clone(), text: format!("{gap}{text}") }
}

/// A collection where a key has no value: on lines of its own in block style, else in place.
fn flow_or_block(tree: &Tree<'_>, index: usize, new: &New, custom: &Custom) -> String {
    let parent =
        (0..index).rev().find(|p| tree.node(*p).end > index && tree.node(*p).depth + 1 == tree.node(index).depth);
    let entry = parent.and_then(|p| tree.entries(p).find(|(_, value)| *value == index).map(|(key, _)| (p, key)));
    let rest = tree.text.get(tree.node(index).span.end..).unwrap_or("");
    let ends_line = rest.trim_start_matches([' ', '\t', '\r']).starts_with('\n') || rest.trim().is_empty();
    match entry {
        Some((parent, key)) if matches!(tree.node(parent).kind, Kind::Mapping { flow: false }) && ends_line => {
            let offset = if matches!(new, New::Sequence(_)) { custom.dash } else { custom.step };
            let column = tree.node(key).column + offset;
            format!("{}{}{}", custom.newline, " ".repeat(column), custom.block(new, column))
        }
        _ => flow(new, ScalarStyle::Plain),
    }
}

fn append(tree: &Tree<'_>, index: usize, new: &New, custom: &Custom) -> Patch {
    let node = tree.node(index);
    let last = tree.children(index).last();
    if matches!(node.kind, Kind::Mapping { flow: true } | Kind::Sequence { flow: true }) {
        return append_flow(tree, index, last, new);
    }
    let at = after_line(tree.text, node.span.end);
    let indent = " ".repeat(node.column);
    let block = match (new, last.map(|last| tree.node(last))) {
        (New::Sequence(items), Some(last)) if matches!(last.kind, Kind::Mapping { flow: true }) => {
            let items: Vec<String> = items.iter().map(|item| format!("- {}", flow(item, ScalarStyle::Plain))).collect();
            items.join(&format!("{}{indent}", custom.newline))
        }
        _ => custom.block(new, node.column),
    };
    let text = if at == 0 || before(tree.text, at).ends_with('\n') {
        format!("{indent}{block}{}", custom.newline)
    } else {
        format!("{}{indent}{block}", custom.newline)
    };
    Patch { bytes: at..at, text }
}

/// Entries or items after the last one between brackets: on lines of their own where the last one stands on its own.
fn append_flow(tree: &Tree<'_>, index: usize, last: Option<usize>, new: &New) -> Patch {
    let node = tree.node(index);
    let head = tree.children(index).next().filter(|_| last.is_some());
    let quotes = match head.map(|head| &tree.node(head).kind) {
        Some(Kind::Scalar { style: style @ (ScalarStyle::DoubleQuoted | ScalarStyle::SingleQuoted), .. }) => *style,
        _ => ScalarStyle::Plain,
    };
    let Some((head, last)) = head.zip(last) else {
        let at = node.span.start + 1;
        return Patch { bytes: at..at, text: flow_parts(new, quotes).join(", ") };
    };
    let start = tree.node(head).span.start;
    let prefix = tree.text.get(line_start(tree.text, start)..start).unwrap_or("");
    let own_line = prefix.bytes().all(|b| b == b' ' || b == b'\t');
    let newline = if own_line && line_start(tree.text, start) > node.span.start {
        let crlf = before(tree.text, line_start(tree.text, start)).ends_with("\r\n");
        format!(",{}{prefix}", if crlf { "\r\n" } else { "\n" })
    } else {
        ", ".to_owned()
    };
    let at = tree.node(last).span.end;
    let text = flow_parts(new, quotes).iter().map(|part| format!("{newline}{part}")).collect();
    Patch { bytes: at..at, text }
}

/// The patch that takes an entry out, with the rest of its line.
fn remove(tree: &Tree<'_>, key: usize) -> Result<Patch, String> {
    let parent = (0..key).rev().find(|p| tree.node(*p).end > key && tree.node(*p).depth + 1 == tree.node(key).depth);
    let parent = parent.ok_or("the entry has no mapping")?;
    let entries: Vec<(usize, usize)> = tree.entries(parent).collect();
    let position = entries.iter().position(|(k, _)| *k == key).ok_or("the entry is not found again")?;
    let end = entries.get(position).map_or(0, |(_, value)| tree.node(*value).span.end);
    let start = tree.node(key).span.start;
    let previous = position.checked_sub(1).and_then(|p| entries.get(p));
    let next = entries.get(position + 1).map(|(key, _)| tree.node(*key).span.start);
    let cut = |bytes: Range<usize>| Ok(Patch { bytes, text: String::new() });
    if matches!(tree.node(parent).kind, Kind::Mapping { flow: true }) {
        return match (previous, next) {
            (Some((_, value)), _) => cut(tree.node(*value).span.end..end),
            (None, Some(next)) => cut(start..next),
            (None, None) => cut(start..end),
        };
    }
    let line = line_start(tree.text, start);
    let alone = tree.text.get(line..start).is_some_and(|prefix| prefix.bytes().all(|b| b == b' '));
    let after = after_line(tree.text, end);
    match (alone, next) {
        (true, _) if previous.is_some() || next.is_some() => {
            let ends = before(tree.text, after).ends_with('\n');
            let newline = if before(tree.text, line).ends_with("\r\n") { 2 } else { 1 };
            cut(if ends || line == 0 { line..after } else { line - newline..after })
        }
        // The entry on the line of the dash: what follows it moves up there.
        (false, Some(_)) if previous.is_none() => {
            let rest = tree.text.get(after..).unwrap_or("");
            cut(start..after + (rest.len() - rest.trim_start_matches([' ', '\r', '\n']).len()))
        }
        _ => Err("the entry shares its line or is the only one".to_owned()),
    }
}

/// The text before a byte.
fn before(text: &str, byte: usize) -> &str {
    text.get(..byte).unwrap_or("")
}

/// The start of the line that holds a byte.
fn line_start(text: &str, byte: usize) -> usize {
    before(text, byte).rfind('\n').map_or(0, |newline| newline + 1)
}

/// The byte after the line that ends at or after this one; a line that just ended is that line.
fn after_line(text: &str, byte: usize) -> usize {
    if before(text, byte).ends_with('\n') {
        return byte;
    }
    text.get(byte..).and_then(|rest| rest.find('\n')).map_or(text.len(), |newline| byte + newline + 1)
}
