//! A path walked in a tree: the node that stands there, or how far the path exists.
//!
//! It follows no alias: what an alias repeats is edited where it is written.

use super::EditError;
use super::path::{Step, YamlPath};
use super::tree::{Kind, Tree};
use crate::model::place::Document;
use crate::model::text::shown;

/// How many keys or items an error lists.
const LISTED_MAX: usize = 12;

/// Where a path leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// To a node.
    Here {
        /// The node.
        node: usize,
        /// Its key, where it is the value of one.
        key: Option<usize>,
    },
    /// Into nothing.
    Missing {
        /// The deepest node that exists; none in an empty file.
        at: Option<usize>,
        /// How many steps lead there.
        existing: usize,
    },
}

/// A step that cannot be taken: it is no question of adding something.
struct Blocked {
    node: usize,
    why: String,
}

/// Walks a path in the document that the selector names, or in the only one that has it.
///
/// # Errors
/// `Refused` where a step meets an alias, a scalar, a wrong position or several items; `NotThere` where no document
/// matches or none of several has the path.
pub(super) fn find(tree: &Tree<'_>, path: &YamlPath, document: Option<&Document>) -> Result<Found, EditError> {
    let roots = documents(tree, document);
    let not_there = |there: String| EditError::NotThere { file: tree.file.to_owned(), place: path.to_string(), there };
    match (roots.as_slice(), document) {
        ([], None) => Ok(Found::Missing { at: None, existing: 0 }),
        ([], Some(_)) => Err(not_there(format!("none of its {} documents matches `document`", tree.roots().count()))),
        ([root], _) => walk(tree, *root, None, path.steps(), 0).map_err(|blocked| refused(tree, path, &blocked)),
        ([_, second, ..], Some(_)) => {
            let why = "stands in several documents that match `document`; name more of its fields".to_owned();
            Err(refused(tree, path, &Blocked { node: *second, why }))
        }
        (several, None) => {
            let found = several.iter().filter_map(|root| walk(tree, *root, None, path.steps(), 0).ok());
            let here: Vec<Found> = found.filter(|found| matches!(found, Found::Here { .. })).collect();
            match here.as_slice() {
                [only] => Ok(*only),
                [] => {
                    Err(not_there(format!("none of its {} documents has it; name one with `document`", several.len())))
                }
                [_, Found::Here { node, .. } | Found::Missing { at: Some(node), .. }, ..] => {
                    let why = "stands in several documents; name one with `document`".to_owned();
                    Err(refused(tree, path, &Blocked { node: *node, why }))
                }
                [_, Found::Missing { at: None, .. }, ..] => Err(not_there("nothing".to_owned())),
            }
        }
    }
}

/// The roots of the documents that the selector means; all where there is none.
pub(super) fn documents(tree: &Tree<'_>, document: Option<&Document>) -> Vec<usize> {
    tree.roots().filter(|root| document.is_none_or(|document| matches(tree, *root, document))).collect()
}

/// What stands at the end of a path that leads into nothing, for the error that says so.
pub(super) fn what_is_there(tree: &Tree<'_>, path: &YamlPath, at: Option<usize>, existing: usize) -> String {
    let Some(at) = at else { return "the file is empty".to_owned() };
    let place = match existing {
        0 => "at the top".to_owned(),
        n => format!("under `{}`", YamlPath::of(path.steps().iter().take(n).cloned())),
    };
    let names: Vec<String> = match tree.node(at).kind {
        Kind::Mapping { .. } => tree.entries(at).filter_map(|(key, _)| tree.scalar(key)).map(shown).collect(),
        Kind::Sequence { .. } => tree.items(at).map(|item| item_name(tree, item)).collect(),
        Kind::Scalar { .. } | Kind::Alias { .. } => Vec::new(),
    };
    if names.is_empty() {
        return format!("{place} stands nothing");
    }
    let more = if names.len() > LISTED_MAX { format!(" and {} more", names.len() - LISTED_MAX) } else { String::new() };
    let listed: Vec<String> = names.into_iter().take(LISTED_MAX).collect();
    format!("{place} stand {}{more}", listed.join(", "))
}

fn item_name(tree: &Tree<'_>, item: usize) -> String {
    let named = tree.entry(item, "name").and_then(|(_, value)| tree.scalar(value)).or_else(|| tree.scalar(item));
    named.map_or_else(|| "an item without a name".to_owned(), shown)
}

fn refused(tree: &Tree<'_>, path: &YamlPath, blocked: &Blocked) -> EditError {
    EditError::Refused {
        file: tree.file.to_owned(),
        line: tree.line(tree.node(blocked.node).span.start),
        place: path.to_string(),
        why: blocked.why.clone(),
    }
}

fn matches(tree: &Tree<'_>, root: usize, document: &Document) -> bool {
    let says = |wanted: &Option<String>, keys: [&str; 2]| {
        let Some(wanted) = wanted else { return true };
        let found =
            keys.iter().filter(|key| !key.is_empty()).try_fold(root, |node, key| Some(tree.entry(node, key)?.1));
        found.and_then(|node| tree.scalar(node)) == Some(wanted)
    };
    says(&document.api_version, ["apiVersion", ""])
        && says(&document.kind, ["kind", ""])
        && says(&document.name, ["metadata", "name"])
        && says(&document.namespace, ["metadata", "namespace"])
}

fn walk(tree: &Tree<'_>, node: usize, key: Option<usize>, steps: &[Step], taken: usize) -> Result<Found, Blocked> {
    let Some(step) = steps.get(taken) else { return Ok(Found::Here { node, key }) };
    let missing = Ok(Found::Missing { at: Some(node), existing: taken });
    let blocked = |why: String| Err(Blocked { node, why });
    match (&tree.node(node).kind, step) {
        (Kind::Alias { of }, _) => {
            let line = tree.line(tree.node(*of).span.start);
            blocked(format!("leads through an alias of line {line}; edit what stands there"))
        }
        (Kind::Scalar { .. }, _) if tree.is_null(node) => missing,
        (Kind::Scalar { .. }, _) => blocked("leads into a value that is neither a mapping nor a list".to_owned()),
        (Kind::Mapping { .. }, Step::Key(_)) => walk_keys(tree, node, steps, taken),
        (Kind::Mapping { .. }, Step::Index(_) | Step::Select { .. }) => {
            blocked("has brackets where a mapping stands; name a key".to_owned())
        }
        (Kind::Sequence { .. }, Step::Key(key)) => {
            blocked(format!("has the key `{}` where a list stands; write `[0]` or `[name=..]` first", shown(key)))
        }
        (Kind::Sequence { .. }, Step::Index(index)) => match tree.items(node).nth(*index) {
            Some(item) => walk(tree, item, None, steps, taken + 1),
            None => blocked(format!("asks for item {index} of a list of {}", tree.items(node).count())),
        },
        (Kind::Sequence { .. }, Step::Select { key, value }) => {
            let says = |item: &usize| tree.entry(*item, key).and_then(|(_, v)| tree.scalar(v)) == Some(value);
            let mut items = tree.items(node).filter(says);
            match (items.next(), items.next()) {
                (None, _) => missing,
                (Some(item), None) => walk(tree, item, None, steps, taken + 1),
                (Some(_), Some(_)) => blocked(format!("names two items: `{}` stands twice", shown(value))),
            }
        }
    }
}

/// Takes keys in a mapping: each by itself first, then as one key that holds the dots (`image.tag: v1`).
fn walk_keys(tree: &Tree<'_>, mapping: usize, steps: &[Step], taken: usize) -> Result<Found, Blocked> {
    let mut best = Ok(Found::Missing { at: Some(mapping), existing: taken });
    let mut dotted = String::new();
    let keys = steps.iter().skip(taken).map_while(|step| match step {
        Step::Key(key) => Some(key),
        Step::Index(_) | Step::Select { .. } => None,
    });
    for (n, key) in keys.enumerate() {
        if n > 0 {
            dotted.push('.');
        }
        dotted.push_str(key);
        let Some((key, value)) = tree.entry(mapping, &dotted) else { continue };
        match walk(tree, value, Some(key), steps, taken + n + 1) {
            Ok(here @ Found::Here { .. }) => return Ok(here),
            found if n == 0 => best = found,
            _ => {}
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find_in(text: &str, path: &str) -> String {
        let tree = Tree::parse("f", text).expect("parses");
        match find(&tree, &YamlPath::parse(path).expect("path"), None) {
            Ok(Found::Here { node, .. }) => format!("here {}", &text[tree.node(node).span.clone()]),
            Ok(Found::Missing { existing, .. }) => format!("missing after {existing}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn paths_lead_where_they_say() {
        let check = |text: &str, path: &str, expected: &str| {
            let found = find_in(text, path);
            assert!(found.contains(expected), "{path} in {text:?}: {found}");
        };
        check("a: {b: 1}", "a.b", "here 1");
        check("a.b: 1", "a.b", "here 1");
        check("a.b: 1\na: {b: 2}", "a.b", "here 2");
        check("a.b: 1\na: 2", "a.b", "here 1");
        check("a: {b.c: {d: 3}}", "a.b.c.d", "here 3");
        check("a: [x, y]", "a[1]", "here y");
        check("a: [{name: x, v: 1}, {name: y, v: 2}]", "a[name=y].v", "here 2");
        check("a: 1\n---\nb: 2", "b", "here 2");
        check("a: {b: 1}", "a.c", "missing after 1");
        check("a: {b: 1}", "c.d", "missing after 0");
        check("a:", "a.b", "missing after 1");
        check("", "a", "missing after 0");
        check("a: [{name: x}]", "a[name=z].v", "missing after 1");
        check("a: 1\n---\na: 2", "a", "stands in several documents");
        check("a: 1\n---\nb: 2", "c", "none of its 2 documents");
        check("a: &x {b: 1}\nc: *x", "c.b", "alias of line 1");
        check("a: 1", "a.b", "neither a mapping nor a list");
        check("a: [1]", "a[1]", "item 1 of a list of 1");
        check("a: [1]", "a.b", "where a list stands");
        check("a: {b: 1}", "a[0]", "where a mapping stands");
        check("a: [{n: 1}, {n: 1}]", "a[n=1]", "stands twice");
    }
}
