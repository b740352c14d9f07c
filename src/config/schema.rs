//! The JSON Schema of forms (draft 2020-12), put together from what they declare.
//!
//! For the reference, which is written from the same schemas, each also says its own name ([`NAME`]) and the order of
//! its keys ([`ORDER`]); [`plain`] takes both out again before a schema is printed.

use super::read::Presence;
use super::tree::{self, Kind, Node};
use serde_json::{Value, json};

/// Where a schema keeps the name of the form, the list of words or the kind of value that it describes.
pub const NAME: &str = "x-name";
/// Where the schema of a form keeps its keys in the order in which one writes them; a JSON object has none.
pub const ORDER: &str = "x-order";

/// A schema that says its name.
pub(crate) fn named(name: &str, mut schema: Value) -> Value {
    schema[NAME] = name.into();
    schema
}

/// A schema without the names and orders that only the reference asks for.
pub(crate) fn plain(schema: Value) -> Value {
    match schema {
        Value::Object(words) => words
            .into_iter()
            .filter(|(word, _)| word != NAME && word != ORDER)
            .map(|(word, v)| (word, plain(v)))
            .collect(),
        Value::Array(items) => items.into_iter().map(plain).collect(),
        scalar => scalar,
    }
}

/// The schema of a form: `(key, presence, description, schema)` for each of its keys.
pub(crate) fn form(name: &str, about: &str, keys: Vec<(&str, Presence, String, Value)>) -> Value {
    let mut properties = serde_json::Map::new();
    let mut required = Vec::new();
    let order: Vec<&str> = keys.iter().map(|(key, ..)| *key).collect();
    for (key, presence, description, mut schema) in keys {
        match presence {
            Presence::Required => required.push(key),
            Presence::Optional => schema = or_null(schema),
            Presence::Default(yaml) => {
                let default = tree::parse(yaml).map_or(Value::Null, |node| to_json(&node));
                schema = or_null(schema);
                schema["default"] = default;
            }
        }
        schema["description"] = Value::String(description);
        properties.insert(key.to_owned(), schema);
    }
    json!({
        "type": "object", "description": about.trim(), "properties": properties, "required": required,
        "additionalProperties": false, NAME: name, ORDER: order,
    })
}

/// A key that may be left out may also be left empty.
fn or_null(mut schema: Value) -> Value {
    if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
        choices.push(json!({ "type": "null" }));
        return schema;
    }
    json!({ "anyOf": [schema, { "type": "null" }] })
}

fn to_json(node: &Node) -> Value {
    match &node.kind {
        Kind::Null => Value::Null,
        Kind::Scalar { text, is_text: false } => serde_json::from_str(text).unwrap_or_else(|_| text.clone().into()),
        Kind::Scalar { text, is_text: true } => text.clone().into(),
        Kind::List(items) => items.iter().map(to_json).collect(),
        Kind::Map(entries) => {
            Value::Object(entries.iter().map(|(key, value)| (key.text.clone(), to_json(value))).collect())
        }
    }
}
