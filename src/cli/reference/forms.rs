//! The keys of policies and of the configuration, from their schemas: a section for each mapping, its keys in the order
//! in which one writes them.

use super::table::{code, link, table};
use crate::config::{self, NAME, ORDER, UNBUILT};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// What stands above the keys of a policy.
const POLICY: &str = concat!(
    "# Policy files\n\n",
    "A policy names images that move together, and the environments that they go through. It is a YAML file in the folder\n",
    "that `repositories.NAME.policies` of the [configuration](configuration.md) names. `tagrelay check FILE` shows every\n",
    "error with its line. Whole examples stand in `policies/`; this one shows most of the keys:\n\n",
    "```yaml\n",
    include_str!("policy.yaml"),
    "```\n\n",
);

/// What stands above the keys of the configuration.
const CONFIGURATION: &str = concat!(
    "# Configuration\n\n",
    "One YAML file, `tagrelay.yaml`; `--config FILE` or `TAGRELAY_CONFIG` names another. `tagrelay check` reads it too.\n",
    "`docs/operating.md` says which keys count at once and which need a restart. An example:\n\n",
    "```yaml\n",
    include_str!("configuration.yaml"),
    "```\n\n",
);

/// What is the same in both files.
const VALUES: &str = concat!(
    "## How values are written\n\n",
    "| value | how it is written |\n|---|---|\n",
    "| duration | a number and a unit, or several: `90s`, `15m`, `1h30m`, `7d`; units `ms`, `s`, `m`, `h`, `d` |\n",
    "| date | `2026-12-20` (the whole day), or with a time: `2026-12-20T18:00` |\n",
    "| pattern | `*` stands for any text within one segment between `/`, `**` for any number of segments |\n",
    "| expression | a regular expression, found anywhere in the text unless `^` and `$` bind it; or `glob:` and a pattern |\n",
    "| template | text with `{{ environment }}`, `{{ policy }}`, `{{ new.tag }}` and the like |\n\n",
    "A key that is left out, or left empty, has its default. An unknown key is an error. A key that is named as \"not built\n",
    "yet\" is an error too: it is promised, and this version would not do it.\n\n",
);

/// Forms that many keys share: each has one section, after all others.
const SHARED: [(&str, &str); 3] = [("secret", "Secrets"), ("login", "Logins"), ("webhook", "Senders of webhooks")];

/// The page of policies.
pub(super) fn policy() -> String {
    format!("{POLICY}{VALUES}{}", Pages::of(&config::policy_form(), "Keys of a policy"))
}

/// The page of the configuration.
pub(super) fn configuration() -> String {
    format!("{CONFIGURATION}{VALUES}{}", Pages::of(&config::config_form(), "Keys of the configuration"))
}

/// The sections of one page while they are written.
struct Pages {
    text: String,
    /// The forms that have a section, or are about to, each with its heading.
    headings: Vec<(String, String)>,
    /// Forms whose section comes last.
    later: Vec<(String, Value)>,
}

impl Pages {
    fn of(form: &Value, heading: &str) -> String {
        let mut pages = Self { text: String::new(), headings: Vec::new(), later: Vec::new() };
        for (name, heading) in SHARED {
            pages.headings.push((name.to_owned(), heading.to_owned()));
        }
        pages.section(form, heading, "");
        let mut written = BTreeSet::new();
        for (heading, form) in std::mem::take(&mut pages.later) {
            if written.insert(heading.clone()) {
                pages.section(&form, &heading, "");
            }
        }
        pages.text
    }

    /// Writes the section of a form, and after it those of the forms that its keys hold.
    fn section(&mut self, form: &Value, heading: &str, path: &str) {
        let name = word(form, NAME);
        let level = if path.contains('.') { "###" } else { "##" };
        let _ = write!(self.text, "{level} {heading}\n\n{}\n\n", sentence(word(form, "description")));
        let keys: Vec<&str> = form[ORDER].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mut inside = Vec::new();
        let mut rows = Vec::new();
        for key in &keys {
            let schema = &form["properties"][key];
            let below = if path.is_empty() { (*key).to_owned() } else { format!("{path}.{key}") };
            let kind = self.kind(schema, &below, &mut inside);
            rows.push([code(key), kind, presence(form, key), meaning(name, key, schema)]);
        }
        if !rows.is_empty() {
            let _ = writeln!(self.text, "{}", table(["key", "value", "default", "meaning"], &rows));
        }
        let unbuilt: Vec<String> = unbuilt(name).collect();
        if !unbuilt.is_empty() {
            let _ = write!(self.text, "Not built yet: {}.\n\n", unbuilt.join(", "));
        }
        for (form, heading, path) in inside {
            self.section(&form, &heading, &path);
        }
    }

    /// The kind of a value in words; forms that have no section yet are added to `inside`.
    fn kind(&mut self, schema: &Value, path: &str, inside: &mut Vec<(Value, String, String)>) -> String {
        let name = word(schema, NAME);
        if name == "defaults" {
            return format!("mapping, as {}", link("`environments[]`", "environments[]"));
        }
        if schema[ORDER].as_array().is_some_and(Vec::is_empty) {
            return "`{}`".to_owned();
        }
        if schema[ORDER].is_array() {
            return self.mapping(name, schema, path, inside);
        }
        if let Some(choices) = schema["anyOf"].as_array() {
            let mut kinds: Vec<String> = Vec::new();
            for choice in choices.iter().filter(|choice| choice["type"] != "null") {
                let of_it = !kinds.is_empty() && choice["items"][ORDER].is_array();
                let kind = if of_it { "a list of it".to_owned() } else { self.kind(choice, path, inside) };
                if !kinds.contains(&kind) {
                    kinds.push(kind);
                }
            }
            return kinds.join(" or ");
        }
        if let Some(words) = schema["enum"].as_array() {
            return words.iter().filter_map(Value::as_str).map(code).collect::<Vec<_>>().join(", ");
        }
        match schema["type"].as_str() {
            Some("array") => format!("list of: {}", self.kind(&schema["items"], &format!("{path}[]"), inside)),
            Some("object") => {
                format!(
                    "names, each with: {}",
                    self.kind(&schema["additionalProperties"], &format!("{path}.NAME"), inside)
                )
            }
            Some("boolean") => "`true` or `false`".to_owned(),
            Some("integer") => number(schema),
            _ if name.is_empty() => "text".to_owned(),
            _ if name == "the name of an image" => "name of an image".to_owned(),
            _ => name.trim_start_matches("a ").trim_start_matches("an ").to_owned(),
        }
    }

    /// A mapping with known keys: a link to its section.
    fn mapping(&mut self, name: &str, schema: &Value, path: &str, inside: &mut Vec<(Value, String, String)>) -> String {
        let known = self.headings.iter().find(|(known, _)| known == name).map(|(_, heading)| heading.clone());
        if let Some(heading) = known {
            if SHARED.iter().any(|(shared, _)| *shared == name) {
                self.later.push((heading.clone(), schema.clone()));
                return link(name, &heading);
            }
            return format!("mapping, as {}", link(&code(&heading), &heading));
        }
        self.headings.push((name.to_owned(), path.to_owned()));
        inside.push((schema.clone(), path.to_owned(), path.to_owned()));
        link("mapping", path)
    }
}

fn word<'a>(schema: &'a Value, key: &str) -> &'a str {
    schema[key].as_str().unwrap_or_default()
}

/// A description of a form as a sentence of its own.
fn sentence(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn number(schema: &Value) -> String {
    match schema["maximum"].as_u64() {
        Some(most) if most < u64::from(u32::MAX) => format!("whole number from 0 to {most}"),
        _ => "whole number".to_owned(),
    }
}

/// The default of a key as one writes it, or that there is none.
fn presence(form: &Value, key: &str) -> String {
    let is_required = form["required"].as_array().is_some_and(|required| required.iter().any(|it| it == key));
    match form["properties"][key].get("default") {
        _ if is_required => "**required**".to_owned(),
        Some(default) => code(&written(default)),
        None => String::new(),
    }
}

/// A value as YAML on one line.
fn written(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(written).collect::<Vec<_>>().join(", ")),
        Value::String(text) if text.contains('*') => format!("\"{text}\""),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What a key means, and which of its values are not built yet.
fn meaning(form: &str, key: &str, schema: &Value) -> String {
    let text = word(schema, "description");
    let items = schema["anyOf"][0]["items"][NAME].as_str().filter(|name| *name == "approver");
    let lists = [Some(format!("{form}.{key}")), items.map(str::to_owned)];
    let unbuilt: Vec<String> = lists.iter().flatten().flat_map(|list| unbuilt(list)).collect();
    if unbuilt.is_empty() { text.to_owned() } else { format!("{text} Not built yet: {}.", unbuilt.join(", ")) }
}

/// The keys or words of a form that are not built yet.
fn unbuilt(form: &str) -> impl Iterator<Item = String> {
    UNBUILT.iter().filter(move |(of, _)| *of == form).map(|(_, name)| code(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_built_yet_is_named() {
        let text = format!("{}{}", policy(), configuration());
        for (form, name) in UNBUILT {
            let named = text.lines().any(|line| line.contains("Not built yet:") && line.contains(&code(name)));
            assert!(named, "{form}: {name}");
        }
    }
}
