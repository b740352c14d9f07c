//! The interface over HTTP, from its description in `openapi.json`.

use super::table::{code, link, table};
use serde_json::Value;
use std::fmt::Write as _;

/// What stands above the requests.
const HEAD: &str = "\
# HTTP API

The daemon answers at `server.listen`. `GET /api/v1/openapi.json` is this page for programs (OpenAPI 3.1). Beside the API
stand `/` (the page for people), `/healthz`, `/readyz` and `/metrics`.

- A token of `server.access` goes into the header `Authorization: Bearer TOKEN`.
- A request that changes something needs a token, and sends `Content-Type: application/json`.
- Reading needs no token from this machine when `listen` is a loopback address; `server.read` changes that.
- The header `Tagrelay-Journal` of each answer names the journal of the daemon that answered.

";

/// The page of the interface.
pub(super) fn page() -> String {
    let api: Value = serde_json::from_str(include_str!("../../server/openapi.json")).unwrap_or_default();
    let mut text = format!("{HEAD}{}\n\n", string(&api["info"], "description"));
    let requests = requests(&api);
    let rows: Vec<[String; 2]> = requests
        .iter()
        .map(|(heading, _, operation)| [link(&code(heading), heading), sentence(string(operation, "summary"))])
        .collect();
    let _ = writeln!(text, "{}", table(["request", "what it does"], &rows));
    for (heading, path, operation) in &requests {
        request(&mut text, &api, heading, path, operation);
    }
    answers(&mut text, &api);
    schemas(&mut text, &api);
    text
}

/// Each request: its heading, its path and its description.
fn requests(api: &Value) -> Vec<(String, &Value, &Value)> {
    let paths = api["paths"].as_object().into_iter().flatten();
    let methods = paths.flat_map(|(name, path)| {
        let methods = path.as_object().into_iter().flatten().filter(|(method, _)| *method != "parameters");
        methods.map(move |(method, operation)| (format!("{} {name}", method.to_uppercase()), path, operation))
    });
    methods.collect()
}

fn request(text: &mut String, api: &Value, heading: &str, path: &Value, operation: &Value) {
    let _ = write!(text, "## {heading}\n\n{}\n\n", sentence(string(operation, "summary")));
    if let Some(description) = operation["description"].as_str() {
        let _ = write!(text, "{description}\n\n");
    }
    let parameters = [&path["parameters"], &operation["parameters"]].into_iter().filter_map(Value::as_array).flatten();
    let rows: Vec<[String; 4]> = parameters
        .map(|parameter| resolved(api, parameter))
        .map(|it| {
            [code(string(it, "name")), string(it, "in").to_owned(), kind(&it["schema"]), about(it, &it["schema"])]
        })
        .collect();
    if !rows.is_empty() {
        let _ = writeln!(text, "{}", table(["parameter", "in", "value", "meaning"], &rows));
    }
    let body = resolved(api, &operation["requestBody"]);
    let schema = &body["content"]["application/json"]["schema"];
    match schema["properties"].as_object() {
        Some(_) => {
            let _ = writeln!(text, "The body is a JSON object:\n\n{}", keys(schema));
        }
        None if schema["type"] == "object" => text.push_str("The body is `{}`.\n\n"),
        None => {}
    }
    let answer = resolved(api, &operation["responses"]["200"]);
    let schema = &answer["content"]["application/json"]["schema"];
    let what = if schema.is_null() { String::new() } else { format!(": {}", kind(schema)) };
    let whole = string(answer, "description");
    let reference = operation["responses"]["200"]["$ref"].as_str().map(last);
    let words = match reference {
        Some(name) => format!("{whole} ({})", link(&code(name), "Answers")),
        None => format!("{whole}{what}"),
    };
    let _ = write!(text, "Answers 200: {words}. Else {}.\n\n", link("`Refused`", "Answers"));
}

fn answers(text: &mut String, api: &Value) {
    text.push_str("## Answers\n\n");
    for (name, answer) in api["components"]["responses"].as_object().into_iter().flatten() {
        let schema = &answer["content"]["application/json"]["schema"];
        let _ = write!(text, "### {name}\n\n{}.\n\n", string(answer, "description").trim_end_matches('.'));
        if schema["properties"].is_object() {
            let _ = writeln!(text, "{}", keys(schema));
        } else if schema["$ref"].is_string() {
            let _ = write!(text, "The body is {}.\n\n", kind(schema));
        }
    }
}

fn schemas(text: &mut String, api: &Value) {
    text.push_str("## Objects\n\n");
    for (name, schema) in api["components"]["schemas"].as_object().into_iter().flatten() {
        let _ = write!(text, "### Object {name}\n\n");
        if let Some(description) = schema["description"].as_str() {
            let _ = write!(text, "{}.\n\n", description.trim_end_matches('.'));
        }
        if schema["properties"].is_object() {
            let _ = writeln!(text, "{}", keys(schema));
        }
    }
}

/// The keys of an object; those of an object or a list inside of it follow with a dotted name.
fn keys(schema: &Value) -> String {
    let mut rows = Vec::new();
    collect(schema, "", &mut rows);
    table(["key", "value", "meaning"], &rows)
}

fn collect(schema: &Value, above: &str, rows: &mut Vec<[String; 3]>) {
    let required = schema["required"].as_array();
    for (key, value) in schema["properties"].as_object().into_iter().flatten() {
        let is_required = required.is_some_and(|required| required.iter().any(|it| it == key));
        let mark = if is_required { "; **required**" } else { "" };
        let path = if above.is_empty() { key.clone() } else { format!("{above}.{key}") };
        rows.push([code(&path), format!("{}{mark}", kind(value)), about(value, value)]);
        collect(value, &path, rows);
        collect(&value["items"], &format!("{path}[]"), rows);
    }
}

/// The kind of a value in words.
fn kind(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = last(reference);
        return link(&code(name), &format!("Object {name}"));
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        return choices.iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    if let Some(words) = schema["enum"].as_array() {
        return words.iter().filter_map(Value::as_str).map(code).collect::<Vec<_>>().join(", ");
    }
    let word = |kind: &str| match (kind, schema["format"].as_str()) {
        ("string", Some("date-time")) => "time".to_owned(),
        ("string", Some("uri")) => "URL".to_owned(),
        ("string", _) => "text".to_owned(),
        ("integer", _) => "whole number".to_owned(),
        ("boolean", _) => "`true` or `false`".to_owned(),
        ("null", _) => "`null`".to_owned(),
        ("array", _) => format!("list of: {}", kind_of_items(schema)),
        ("object", _) if schema["additionalProperties"].is_object() => {
            format!("names, each with: {}", self::kind(&schema["additionalProperties"]))
        }
        _ => "object".to_owned(),
    };
    match &schema["type"] {
        Value::String(kind) => word(kind),
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).map(word).collect::<Vec<_>>().join(" or "),
        _ => "JSON".to_owned(),
    }
}

fn kind_of_items(schema: &Value) -> String {
    kind(&schema["items"])
}

/// What is said of a value, with its default.
fn about(described: &Value, schema: &Value) -> String {
    let text = string(described, "description");
    match schema.get("default") {
        Some(default) if text.is_empty() => format!("Default `{default}`"),
        Some(default) => format!("{}. Default `{default}`", text.trim_end_matches('.')),
        None => text.to_owned(),
    }
}

/// What a reference of the description refers to, or the value itself.
fn resolved<'a>(api: &'a Value, value: &'a Value) -> &'a Value {
    let pointer = value["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    pointer.and_then(|pointer| api.pointer(pointer)).unwrap_or(value)
}

fn last(reference: &str) -> &str {
    reference.rsplit('/').next().unwrap_or(reference)
}

fn string<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn sentence(text: &str) -> String {
    format!("{}.", text.trim_end_matches('.'))
}
