//! Random files, random places, random values: what is edited says the value, and nothing else moved.

use super::set;
use proptest::prelude::*;
use serde_yaml::Value;
use tagrelay::model::place::Missing;

/// A value of a random document, with the ways in which it is written.
#[derive(Debug, Clone)]
enum Node {
    Scalar(&'static str),
    Mapping(Vec<Self>),
    Sequence(Vec<Self>),
}

/// Scalars in every style, each on one line; the comment stays beside its value.
const SCALARS: [&str; 14] = [
    "v1",
    "'v1'",
    "\"v1\" # c",
    "1.10",
    "",
    "# none",
    "~",
    "&a v1",
    "!!str v1  # é",
    "!x 'é'",
    "\"a \\\" b\"",
    "reg.io/a:v1@sha256:ab",
    "plain with words",
    "'it''s'",
];

fn node() -> impl Strategy<Value = Node> {
    let leaf = prop::sample::select(&SCALARS[..]).prop_map(Node::Scalar);
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(Node::Mapping),
            prop::collection::vec(inner, 1..4).prop_map(Node::Sequence),
        ]
    })
}

/// Writes a node in block style and collects the paths of its scalars.
fn write(node: &Node, indent: usize, path: &str, out: &mut String, paths: &mut Vec<String>, newline: &str) {
    let pad = " ".repeat(indent);
    match node {
        Node::Scalar(text) => {
            out.push_str(&format!(" {text}{newline}"));
            paths.push(path.to_owned());
        }
        Node::Mapping(entries) => {
            out.push_str(newline);
            for (i, entry) in entries.iter().enumerate() {
                out.push_str(&format!("{pad}k{i}:"));
                let dot = if path.is_empty() { "" } else { "." };
                write(entry, indent + 2, &format!("{path}{dot}k{i}"), out, paths, newline);
            }
        }
        Node::Sequence(items) => {
            out.push_str(newline);
            for (i, item) in items.iter().enumerate() {
                out.push_str(&format!("{pad}-"));
                write(item, indent + 2, &format!("{path}[{i}]"), out, paths, newline);
            }
        }
    }
}

fn at<'v>(value: &'v mut Value, path: &str) -> Option<&'v mut Value> {
    path.split(['.', '[', ']']).filter(|step| !step.is_empty()).try_fold(value, |value, step| match value {
        Value::Mapping(entries) => entries.get_mut(step),
        Value::Sequence(items) => items.get_mut(step.parse::<usize>().ok()?),
        Value::Tagged(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn one_node_changes_and_no_other(root in node(), pick in any::<prop::sample::Index>(), new in "[a-zA-Z0-9._:@/ #'\"{}\\[\\],&*!|>%~é-]{1,12}", crlf in any::<bool>()) {
        let (mut text, mut paths) = (String::new(), Vec::new());
        write(&Node::Mapping(vec![root]), 0, "", &mut text, &mut paths, if crlf { "\r\n" } else { "\n" });
        let path = pick.get(&paths);
        let edited = set(&text, &[(path, &new)], Missing::Error).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        let (mut before, mut after): (Value, Value) = (serde_yaml::from_str(&text)?, serde_yaml::from_str(&edited)?);
        let found = at(&mut after, path).expect("it is still there");
        let found = match found { Value::Tagged(tagged) => tagged.value.clone(), other => other.clone() };
        prop_assert_eq!(found, Value::String(new));
        *at(&mut before, path).expect("it is there") = Value::Null;
        *at(&mut after, path).expect("it is there") = Value::Null;
        prop_assert_eq!(before, after);
        prop_assert_eq!(text.lines().count(), edited.lines().count());
        prop_assert_eq!(text.lines().zip(edited.lines()).filter(|(a, b)| a != b).count() <= 1, true);
    }

    #[test]
    fn any_text_is_edited_exactly_or_refused(text in "([a-c]: |- |\\{|\\}|\\[|\\]|, |\n|  |v1|'|\"|#| |&x |\\*x|\\||---\n|\\? |: |\r|\t){0,24}", path in "[a-c](\\.[a-c]|\\[0\\])?", add in any::<bool>()) {
        let missing = if add { Missing::Add } else { Missing::Error };
        if let Ok(edited) = set(&text, &[(&path, "v2")], missing) {
            prop_assert!(edited.contains("v2"), "{:?} -> {:?}", text, edited);
        }
    }
}
