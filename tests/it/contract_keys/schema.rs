//! Just enough of JSON Schema to hold our own schemas against values: a word that it does not know is an error.

use serde_json::Value;

/// Whether a schema accepts a value, and why not.
pub(super) fn accepts(schema: &Value, value: &Value) -> Result<(), String> {
    let words = schema.as_object().ok_or("a schema is an object")?;
    for (word, argument) in words {
        let holds = match word.as_str() {
            "description" | "title" | "default" | "$schema" => true,
            "type" => is_of(argument, value),
            "enum" => argument.as_array().is_some_and(|list| list.contains(value)),
            "const" => argument == value,
            "anyOf" => alternatives(argument, value) > 0,
            "oneOf" => alternatives(argument, value) == 1,
            "required" => value.as_object().is_none_or(|object| {
                argument
                    .as_array()
                    .is_some_and(|keys| keys.iter().all(|key| key.as_str().is_some_and(|k| object.contains_key(k))))
            }),
            "properties" => {
                for (key, schema) in argument.as_object().ok_or("properties")? {
                    value
                        .get(key)
                        .map_or(Ok(()), |value| accepts(schema, value).map_err(|why| format!("{key}: {why}")))?;
                }
                true
            }
            "additionalProperties" => {
                let known = words.get("properties").and_then(Value::as_object);
                for (key, value) in value.as_object().into_iter().flatten() {
                    if known.is_none_or(|known| !known.contains_key(key)) {
                        match argument {
                            Value::Bool(false) => return Err(format!("unknown key {key}")),
                            schema => accepts(schema, value).map_err(|why| format!("{key}: {why}"))?,
                        }
                    }
                }
                true
            }
            "items" => {
                for item in value.as_array().into_iter().flatten() {
                    accepts(argument, item)?;
                }
                true
            }
            "pattern" => value
                .as_str()
                .zip(argument.as_str())
                .is_none_or(|(text, pattern)| regex::Regex::new(pattern).is_ok_and(|r| r.is_match(text))),
            "minLength" => value.as_str().is_none_or(|text| text.len() as u64 >= argument.as_u64().unwrap_or(u64::MAX)),
            "minimum" => value.as_f64().is_none_or(|n| n >= argument.as_f64().unwrap_or(f64::INFINITY)),
            "maximum" => value.as_f64().is_none_or(|n| n <= argument.as_f64().unwrap_or(f64::NEG_INFINITY)),
            other => return Err(format!("the word `{other}` is not known to this test")),
        };
        if !holds {
            return Err(format!("{word} {argument} does not hold for {value}"));
        }
    }
    Ok(())
}

fn alternatives(schemas: &Value, value: &Value) -> usize {
    schemas.as_array().into_iter().flatten().filter(|schema| accepts(schema, value).is_ok()).count()
}

fn is_of(kinds: &Value, value: &Value) -> bool {
    let is = |kind: &str| match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    };
    match kinds {
        Value::Array(kinds) => kinds.iter().any(|kind| kind.as_str().is_some_and(is)),
        kind => kind.as_str().is_some_and(is),
    }
}

/// Every key of every form in a schema.
pub(super) fn keys(schema: &Value) -> Vec<String> {
    let own = schema.get("properties").and_then(Value::as_object).into_iter().flatten().map(|(key, _)| key.clone());
    own.chain(inner(schema).flat_map(|(_, schema)| keys(schema))).collect()
}

/// Fails at a key without a description, with its path.
pub(super) fn described(schema: &Value, path: &str) {
    for (key, schema) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let description = schema.get("description").and_then(Value::as_str).unwrap_or_default();
        assert!(description.ends_with('.'), "{path}.{key}: `{description}`");
    }
    for (key, schema) in inner(schema) {
        described(schema, &format!("{path}.{key}"));
    }
}

fn inner(schema: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let any = ["anyOf", "oneOf"].iter().filter_map(|word| schema.get(*word)).filter_map(Value::as_array).flatten();
    let single = ["items", "additionalProperties"].iter().filter_map(|word| schema.get(*word));
    properties.map(|(key, schema)| (key.as_str(), schema)).chain(any.chain(single).map(|schema| ("", schema)))
}
