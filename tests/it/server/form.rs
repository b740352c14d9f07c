//! Holds an answer against the form that the description of the interface gives it.

use serde_json::Value;

/// Holds a value against its described form: the keys of objects, and what stands below them.
pub(super) fn check_form(all: &Value, form: &Value, value: &Value, at: &str) {
    if let Some(reference) = form["$ref"].as_str() {
        let target = all.pointer(reference.trim_start_matches('#')).unwrap_or_else(|| panic!("{reference} is nowhere"));
        return check_form(all, target, value, at);
    }
    if let Some(forms) = form["anyOf"].as_array() {
        let form = if value.is_null() { &forms[1] } else { &forms[0] };
        return check_form(all, form, value, at);
    }
    if let Some(described) = form["properties"].as_object() {
        let shown = value.as_object().unwrap_or_else(|| panic!("{at} is an object"));
        let (described_keys, shown_keys): (Vec<_>, Vec<_>) = (described.keys().collect(), shown.keys().collect());
        assert_eq!(described_keys, shown_keys, "{at}");
        for (key, value) in shown {
            check_form(all, &described[key], value, &format!("{at}.{key}"));
        }
    }
    let kinds: Vec<&str> = match &form["type"] {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        kind => kind.as_str().into_iter().collect(),
    };
    let is = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    assert!(kinds.is_empty() || kinds.contains(&is), "{at} is {is}, and described as {kinds:?}");
    assert!(form["enum"].as_array().is_none_or(|words| words.contains(value)), "{at}: {value}");
    for value in value.as_array().into_iter().flatten() {
        check_form(all, &form["items"], value, &format!("{at}[]"));
    }
}
