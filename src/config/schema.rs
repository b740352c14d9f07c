//! The JSON Schema of forms (draft 2020-12), put together from what they declare.

use super::read::Presence;
use super::tree::{self, Kind, Node};
use serde_json::{Value, json};

/// The schema of a form: `(key, presence, description, schema)` for each of its keys.
pub(crate) fn form(about: &str, keys: Vec<(&str, Presence, String, Value)>) -> Value {
    let mut properties = serde_json::Map::new();
    let mut required = Vec::new();
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
        "additionalProperties": false,
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
