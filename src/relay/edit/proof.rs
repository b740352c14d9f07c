//! Proof of an edit: two parsers that share no code read the result, and each sees the old text but for what was wanted.
//!
//! The first (granit) must find the same nodes in the same styles; the second (libyaml's, in `second`) must have read
//! the old text as the first did, and reads the new text as the old one with the edits. It repairs nothing: what is not
//! shown is an error, and no text is handed out.

use super::EditError;
use super::graft::{Edit, Edits, New};
use super::second::{agreed, reads};
use super::splice::Patch;
use super::tree::{Kind, Node, Tree};
use granit_parser::ScalarStyle;

/// Shows that `after` is `before` with these edits, made by these patches, and nothing else.
///
/// The two parsers read at the same time: together they are nine tenths of the cost of an edit.
///
/// # Errors
/// `Unreadable` where the second parser reads the old text otherwise than the first; `Unproven` where the result says
/// anything else than what is wanted.
pub(super) fn prove(before: &Tree<'_>, edits: &Edits, patches: &[Patch], after: &str) -> Result<(), EditError> {
    let unproven = |why: String| EditError::Unproven { file: before.file.to_owned(), why };
    let wanted = Wanted { tree: before, edits };
    let (first, second) = std::thread::scope(|scope| {
        let second = scope.spawn(|| {
            agreed(before)?;
            reads(&wanted, after).map_err(|second| unproven(second.why))
        });
        let first = same_around(before.text, patches, after).and_then(|()| same_nodes(wanted, after));
        (first, second.join())
    });
    second.map_err(|_| unproven("the second parser gave up".to_owned()))??;
    first.map_err(unproven)
}

/// The first parser finds what is wanted.
fn same_nodes(wanted: Wanted<'_>, after: &str) -> Result<(), String> {
    let tree = Tree::parse(wanted.tree.file, after).map_err(|error| format!("the result does not parse: {error}"))?;
    let mut reading = Reading { wanted, after: &tree, next: 0 };
    for root in wanted.roots() {
        reading.same(root, 0)?;
    }
    if reading.next == tree.len() { Ok(()) } else { Err("the result has a document too many".to_owned()) }
}

/// The bytes before the first and after the last patch stand as they stood.
fn same_around(before: &str, patches: &[Patch], after: &str) -> Result<(), String> {
    let (Some(first), Some(last)) = (patches.first(), patches.last()) else { return Ok(()) };
    let head = before.as_bytes().get(..first.bytes.start);
    let tail = before.as_bytes().get(last.bytes.end..);
    let same = head.is_some_and(|head| after.as_bytes().starts_with(head))
        && tail.is_some_and(|tail| after.as_bytes().ends_with(tail));
    if same { Ok(()) } else { Err("bytes outside of the edit changed".to_owned()) }
}

/// The old tree with the edits: what both parsers must find.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'w> {
    /// The old tree.
    pub(super) tree: &'w Tree<'w>,
    /// The edits.
    pub(super) edits: &'w Edits,
}

/// A node that must be found.
#[derive(Clone, Copy)]
pub(super) enum Want<'w> {
    /// A node of the old tree.
    Old(usize),
    /// A key of ours.
    Key(&'w str),
    /// Something of ours, where an old scalar stood or nothing.
    New(&'w New, Option<usize>),
}

/// What a wanted node is.
pub(super) enum Shape<'w> {
    /// This text.
    Scalar(&'w str),
    /// These keys and values in turn.
    Mapping(Vec<Want<'w>>),
    /// These items.
    Sequence(Vec<Want<'w>>),
    /// What that old node is.
    Alias(usize),
}

impl<'w> Wanted<'w> {
    /// The root of each document.
    pub(super) fn roots(self) -> Vec<Want<'w>> {
        let added = self.edits.get(&0).filter(|_| self.tree.len() == 0);
        let added = added.and_then(|edit| match edit {
            Edit::Replace(new) => Some(Want::New(new, None)),
            Edit::Append(_) | Edit::Remove => None,
        });
        self.tree.roots().map(|root| self.edited(root)).chain(added).collect()
    }

    /// A node of the old tree, or what replaces it.
    pub(super) fn edited(self, node: usize) -> Want<'w> {
        match self.edits.get(&node) {
            Some(Edit::Replace(new)) => Want::New(new, Some(node)),
            Some(Edit::Append(_) | Edit::Remove) | None => Want::Old(node),
        }
    }

    /// What a wanted node is.
    pub(super) fn shape(self, want: Want<'w>) -> Shape<'w> {
        match want {
            Want::Key(key) => Shape::Scalar(key),
            Want::New(New::Scalar(text), _) => Shape::Scalar(text),
            Want::New(New::Mapping(entries), _) => Shape::Mapping(new_entries(entries).collect()),
            Want::New(New::Sequence(items), _) => Shape::Sequence(new_items(items).collect()),
            Want::Old(node) => match &self.tree.node(node).kind {
                Kind::Scalar { text, .. } => Shape::Scalar(text),
                Kind::Alias { of } => Shape::Alias(*of),
                Kind::Mapping { .. } => Shape::Mapping(self.entries(node)),
                Kind::Sequence { .. } => Shape::Sequence(self.items(node)),
            },
        }
    }

    fn entries(self, mapping: usize) -> Vec<Want<'w>> {
        let stays = |(key, _): &(usize, usize)| self.edits.get(key) != Some(&Edit::Remove);
        let old =
            self.tree.entries(mapping).filter(stays).flat_map(|(key, value)| [Want::Old(key), self.edited(value)]);
        match self.edits.get(&mapping) {
            Some(Edit::Append(New::Mapping(entries))) => old.chain(new_entries(entries)).collect(),
            _ => old.collect(),
        }
    }

    fn items(self, sequence: usize) -> Vec<Want<'w>> {
        let old = self.tree.items(sequence).map(|item| self.edited(item));
        match self.edits.get(&sequence) {
            Some(Edit::Append(New::Sequence(items))) => old.chain(new_items(items)).collect(),
            _ => old.collect(),
        }
    }
}

fn new_entries(entries: &[(String, New)]) -> impl Iterator<Item = Want<'_>> {
    entries.iter().flat_map(|(key, value)| [Want::Key(key), Want::New(value, None)])
}

fn new_items(items: &[New]) -> impl Iterator<Item = Want<'_>> {
    items.iter().map(|item| Want::New(item, None))
}

/// The first parser's reading of the result, compared node by node.
struct Reading<'w> {
    wanted: Wanted<'w>,
    after: &'w Tree<'w>,
    next: usize,
}

impl<'w> Reading<'w> {
    fn same(&mut self, want: Want<'w>, depth: usize) -> Result<(), String> {
        if self.next >= self.after.len() {
            return Err("the result ends too early".to_owned());
        }
        let (index, found) = (self.next, self.after.node(self.next));
        self.next += 1;
        let differs = || {
            Err(format!("line {} of the result differs where nothing was edited", self.after.line(found.span.start)))
        };
        if found.depth != depth || !self.same_dress(want, found) {
            return differs();
        }
        let children = match (self.wanted.shape(want), &found.kind) {
            (Shape::Scalar(text), Kind::Scalar { text: read, .. }) if text == read => return Ok(()),
            (Shape::Alias(_), Kind::Alias { .. }) => return Ok(()),
            (Shape::Mapping(children), Kind::Mapping { .. }) | (Shape::Sequence(children), Kind::Sequence { .. }) => {
                children
            }
            _ => return differs(),
        };
        for child in children {
            self.same(child, depth + 1)?;
        }
        if self.next == self.after.node(index).end { Ok(()) } else { differs() }
    }

    /// Style, tag and anchor: of an old node as they were; of an edited scalar all but the quotes.
    fn same_dress(&self, want: Want<'_>, found: &Node<'_>) -> bool {
        let properties = |node: &Node<'_>| node.tag == found.tag && node.anchored == found.anchored;
        let tree = self.wanted.tree;
        match want {
            Want::Key(_) | Want::New(_, None) => found.tag.is_none() && !found.anchored,
            Want::New(_, Some(old)) => properties(tree.node(old)) && !is_block_scalar(found),
            Want::Old(old) => {
                let old = tree.node(old);
                let style = match (&old.kind, &found.kind) {
                    (Kind::Mapping { flow: a }, Kind::Mapping { flow: b }) => a == b,
                    (Kind::Sequence { flow: a }, Kind::Sequence { flow: b }) => a == b,
                    (Kind::Scalar { style: a, .. }, Kind::Scalar { style: b, .. }) => a == b,
                    (Kind::Alias { .. }, Kind::Alias { .. }) => {
                        tree.text.get(old.span.clone()) == self.after.text.get(found.span.clone())
                    }
                    _ => false,
                };
                style && properties(old)
            }
        }
    }
}

fn is_block_scalar(node: &Node<'_>) -> bool {
    matches!(node.kind, Kind::Scalar { style: ScalarStyle::Literal | ScalarStyle::Folded, .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proved(before: &str, patch: (std::ops::Range<usize>, &str), new: &str) -> Result<(), EditError> {
        let tree = Tree::parse("f", before).expect("parses");
        let node = (0..tree.len()).find(|n| tree.node(*n).span == patch.0).expect("a node");
        let edits = Edits::from([(node, Edit::Replace(New::Scalar(new.to_owned())))]);
        let patches = [Patch { bytes: patch.0, text: patch.1.to_owned() }];
        prove(&tree, &edits, &patches, &super::super::splice::apply(before, &patches).expect("applies"))
    }

    #[test]
    fn a_good_edit_is_proved_and_any_other_is_not() {
        let text = "a: v1\nb: x\n";
        assert_eq!(proved(text, (3..5, "v2"), "v2"), Ok(()));
        assert_eq!(proved(text, (3..5, "\"1.10\""), "1.10"), Ok(()));
        for (patch, new) in [
            ("v3", "v2"),
            ("1", "1"),
            ("v2\nc: d", "v2"),
            ("[v2]", "v2"),
            ("&x v2", "v2"),
            ("!!str v2", "v2"),
            ("v2\n---", "v2"),
            ("{", "v2"),
        ] {
            assert!(matches!(proved(text, (3..5, patch), new), Err(EditError::Unproven { .. })), "{patch}");
        }
    }

    #[test]
    fn anchors_carry_the_edit_to_their_aliases() {
        assert_eq!(proved("a: &x v1\nb: *x\nc: {<<: {d: 1}}\n", (6..8, "v2"), "v2"), Ok(()));
    }

    #[test]
    fn what_the_parsers_read_otherwise_is_not_edited() {
        let edited = proved("a: v1\nb: {c:, d: 1}\n", (3..5, "v2"), "v2");
        assert!(matches!(edited, Err(EditError::Unreadable { line: 2, .. })), "{edited:?}");
    }

    #[test]
    fn numbers_that_the_second_parser_cannot_hold_are_no_obstacle() {
        assert_eq!(proved("a: v1\nb: 99999999999999999999\nc: !x y\nd:\n", (3..5, "v2"), "v2"), Ok(()));
    }
}
