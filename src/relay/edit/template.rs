//! Templates in messages, URLs, paths and branches: a small part of Jinja, checked when it is loaded.
//!
//! Names, `if`, `for` and five filters; nothing that builds long texts out of short ones. An undefined name, an unknown
//! filter or a text past a limit is an error at load, so that rendering can only fail where a value is at fault.

use super::words::{Vocabulary, Words};
use crate::model::text::shown;
use minijinja::value::Value;
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior};
use std::io;

/// The longest template: a merge request's body with room to spare.
const TEMPLATE_BYTES_MAX: usize = 4096;
/// The longest rendered text, far above any message.
const RENDERED_BYTES_MAX: usize = 16 * 1024;
/// How many instructions a rendering may take: a loop over a hundred images takes a few thousand.
const FUEL: u64 = 20_000;
/// How deep blocks may nest.
const RECURSION_MAX: usize = 20;
/// The blocks that a template may use; the others assign or capture texts, which can double them again and again.
const BLOCKS: [&str; 6] = ["if", "elif", "else", "endif", "for", "endfor"];
/// A text that is no template, or one that could not be rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the template `{template}` {why}")]
pub struct TemplateError {
    template: String,
    why: String,
}

/// A template that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    source: String,
    vocabulary: Vocabulary,
}

impl Template {
    /// Parses a template and tries it, with and without an old release.
    ///
    /// # Errors
    /// When it is no template, uses a name, filter or block that is not there, or is past a limit.
    pub fn parse(source: &str, vocabulary: Vocabulary) -> Result<Self, TemplateError> {
        let template = Self { source: source.to_owned(), vocabulary };
        if source.len() > TEMPLATE_BYTES_MAX {
            return Err(template.error("is longer than 4096 bytes".to_owned()));
        }
        refuse_growth(source).map_err(|why| template.error(why))?;
        let environment = environment();
        let parsed = environment.template_from_str(source).map_err(|error| template.error(reason(&error)))?;
        let mut used: Vec<String> = parsed.undeclared_variables(true).into_iter().collect();
        used.sort();
        if let Some(unknown) = used.iter().find(|name| !vocabulary.knows(name)) {
            let names = vocabulary.names().join(", ");
            return Err(
                template.error(format!("uses `{}`, which is not defined here; the names are {names}", shown(unknown)))
            );
        }
        for with_old in [true, false] {
            template.render(&Words::sample(with_old))?;
        }
        Ok(template)
    }

    /// The text with the values in their places.
    ///
    /// # Errors
    /// When the result is past a limit.
    pub fn render(&self, words: &Words) -> Result<String, TemplateError> {
        let environment = environment();
        let mut text = Bounded(Vec::new());
        environment
            .template_from_str(&self.source)
            .and_then(|parsed| parsed.render_captured_to(words.value(self.vocabulary), &mut text).map(drop))
            .map_err(|error| self.error(reason(&error)))?;
        String::from_utf8(text.0).map_err(|_| self.error("does not give text".to_owned()))
    }

    /// Whether it uses this name.
    #[must_use]
    pub fn uses(&self, name: &str) -> bool {
        let environment = environment();
        let parsed = environment.template_from_str(&self.source);
        parsed.is_ok_and(|parsed| parsed.undeclared_variables(false).contains(name))
    }

    fn error(&self, why: String) -> TemplateError {
        TemplateError { template: shown(&self.source), why }
    }
}

/// A text that grows no longer than a rendered template may.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > RENDERED_BYTES_MAX {
            return Err(io::Error::other("the text grows past 16 KiB"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Refuses blocks that assign or capture, and operators that join texts: what is left cannot grow past its inputs.
fn refuse_growth(source: &str) -> Result<(), String> {
    for (at, _) in source.match_indices("{%") {
        let block = source.get(at + 2..).unwrap_or("").trim_start_matches(['-', '+', ' ', '\t', '\n']);
        let word = block.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or("");
        if !BLOCKS.contains(&word) {
            return Err(format!("uses the block `{}`; the blocks are {}", shown(word), BLOCKS.join(", ")));
        }
    }
    for inside in source.split("{{").skip(1).chain(source.split("{%").skip(1)) {
        let mut quote = None;
        for c in inside.chars() {
            match (quote, c) {
                (None, '}') => break,
                (None, '"' | '\'') => quote = Some(c),
                (None, '~' | '*') => {
                    return Err(format!("uses the operator `{c}`; texts stand side by side without one"));
                }
                (Some(open), c) if open == c => quote = None,
                _ => {}
            }
        }
    }
    Ok(())
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(RECURSION_MAX);
    environment.add_filter("upper", |text: String| text.to_uppercase());
    environment.add_filter("lower", |text: String| text.to_lowercase());
    environment.add_filter("short", |text: String| short(&text));
    environment.add_filter("default", default);
    environment.add_filter("join", join);
    environment
}

/// Twelve digits of a digest, eight of anything else, as people see them elsewhere.
fn short(text: &str) -> String {
    match text.strip_prefix("sha256:") {
        Some(hex) => hex.chars().take(12).collect(),
        None => text.chars().take(8).collect(),
    }
}

/// The text, or another one where it is empty. An undefined name is an error here as everywhere.
fn default(value: Value, other: String) -> Result<Value, Error> {
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    Ok(if value.as_str() == Some("") || value.is_none() { Value::from(other) } else { value })
}

/// The items with a text between them; of items with names, the one that is asked for.
fn join(items: &Value, between: Option<&str>, name: Option<&str>) -> Result<String, Error> {
    let mut texts = Vec::new();
    for item in items.try_iter()? {
        let item = name.map_or_else(|| Ok(item.clone()), |name| item.get_attr(name))?;
        texts.push(
            item.as_str()
                .map(str::to_owned)
                .ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "join takes texts"))?,
        );
    }
    let joined = texts.join(between.unwrap_or(""));
    if joined.len() > RENDERED_BYTES_MAX {
        return Err(Error::new(ErrorKind::InvalidOperation, "the joined text is longer than 16 KiB"));
    }
    Ok(joined)
}

/// What minijinja says, on one line.
fn reason(error: &Error) -> String {
    let said = error.detail().map_or_else(|| error.kind().to_string(), |detail| format!("{}: {detail}", error.kind()));
    format!("is not right: {}", shown(&said))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EnvironmentName, Image, ImageName, PolicyName, Repository};

    #[test]
    fn what_is_undefined_is_found_at_load() {
        let check = |source: &str, vocabulary, expected: &str| match Template::parse(source, vocabulary) {
            Ok(_) => assert_eq!(expected, "", "{source}"),
            Err(error) => assert!(!expected.is_empty() && error.to_string().contains(expected), "{source}: {error}"),
        };
        check(
            "{{ environment | upper }}: {{ old.tag | default('none') }} -> {{ new.digest | short }}",
            Vocabulary::Release,
            "",
        );
        check(
            "{% for i in images %}{{ i.name }}={{ i.new.tag }} {% endfor %}{{ mr }}{{ commit }}",
            Vocabulary::Release,
            "",
        );
        check("{{ images | join(', ', 'name') }}{{ images[0].name }}", Vocabulary::Place, "");
        check("plain * ~ text", Vocabulary::Place, "");
        check("{{ new.tag }}", Vocabulary::Place, "`new.tag`, which is not defined");
        check("{{ images[0].new.tag }}", Vocabulary::Place, "undefined");
        check("{{ nothing }}", Vocabulary::Release, "the names are policy");
        check("{{ old.tga }}", Vocabulary::Release, "`old.tga`");
        check("{% if old.tag %}{{ x }}{% endif %}", Vocabulary::Release, "`x`");
        check("{% for i in images %}{{ i.tag }}{% endfor %}", Vocabulary::Release, "undefined");
        check("{% for i in images %}{{ i.tag | default('') }}{% endfor %}", Vocabulary::Release, "undefined");
        check("{{ policy | reverse }}", Vocabulary::Release, "unknown filter");
        check("{{ policy", Vocabulary::Release, "not right");
        check("{% set x = policy %}{{ x }}", Vocabulary::Release, "block `set`");
        check("{% include 'x' %}", Vocabulary::Release, "block `include`");
        check("{{ policy ~ policy }}", Vocabulary::Release, "operator `~`");
        check("{{ 'a}' * 9 }}", Vocabulary::Release, "operator `*`");
        check(&"x".repeat(5000), Vocabulary::Release, "longer than 4096");
    }

    #[test]
    fn rendering_is_bounded() {
        let loops = "{% for a in images %}{% for b in images %}{% for c in images %}{{ policy }}{% endfor %}{% endfor %}{% endfor %}";
        let template = Template::parse(loops, Vocabulary::Release).expect("parses");
        let name = |text: &str| ImageName::parse(text).expect("name");
        let repository = Repository::parse("reg.io/shop").expect("repository");
        let image = Image { name: name("shop"), repository, before: Vec::new(), platforms: Vec::new(), source: None };
        let policy = PolicyName::parse(&"p".repeat(63)).expect("name");
        let environment = EnvironmentName::parse("prod").expect("name");
        let words = Words::of_place(&policy, &environment, &vec![image; 100]);
        assert!(template.render(&words).is_err());
    }
}
