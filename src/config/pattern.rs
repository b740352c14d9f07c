//! Patterns over tags and labels: regular expressions searched in the text, `glob:` over the whole of it.

use crate::model::policy::Pattern;
use crate::model::text::shown;
use globset::GlobBuilder;
use regex::RegexBuilder;
use regex_automata::meta;

/// The longest pattern: a list of some hundred alternatives.
const PATTERN_BYTES_MAX: usize = 4_096;
/// The most memory that one compiled pattern takes: enough for some Unicode classes, too little for nested repetitions.
const COMPILED_BYTES_MAX: usize = 256 << 10;
/// What may be remembered of texts that were searched, in each direction; past that it is forgotten and built anew. Tags
/// are short, and their patterns know a dozen states.
const CACHE_BYTES_MAX: usize = 8 << 10;
/// What a compiled pattern takes besides.
const OVERHEAD_BYTES: usize = 2 << 10;

/// A pattern, and how much memory it may take.
pub(crate) struct Compiled {
    pub(crate) pattern: Pattern,
    pub(crate) bytes: usize,
}

/// Compiles a pattern.
///
/// # Errors
/// When it is no regular expression or glob, or takes too much memory; the text says why.
pub fn pattern(text: &str) -> Result<Pattern, String> {
    compiled(text).map(|compiled| compiled.pattern)
}

/// Compiles a pattern, and says what it may take.
///
/// # Errors
/// When it is no regular expression or glob, or takes too much memory; the text says why.
pub(crate) fn compiled(text: &str) -> Result<Compiled, String> {
    if text.len() > PATTERN_BYTES_MAX {
        return Err(format!("a pattern has at most {PATTERN_BYTES_MAX} bytes"));
    }
    let expression = match text.strip_prefix("glob:") {
        Some(glob) => translated(glob)?,
        None => text.to_owned(),
    };
    let builder = RegexBuilder::new(&expression).size_limit(COMPILED_BYTES_MAX).dfa_size_limit(CACHE_BYTES_MAX).build();
    let hint = match &expression {
        look if look.contains("(?!") || look.contains("(?<!") => {
            ": write what must not match under `ignore`".to_owned()
        }
        glob if glob.starts_with('*') => format!(": for a pattern of names write `glob:{}`", shown(text)),
        _ => String::new(),
    };
    let wrong = |error| format!("`{}` is no regular expression: {}{hint}", shown(text), reason(&error));
    let regex = builder.map_err(wrong)?;
    let bytes = bytes_of(&expression) + 2 * CACHE_BYTES_MAX + OVERHEAD_BYTES;
    Ok(Compiled { pattern: Pattern { text: text.to_owned(), regex }, bytes })
}

/// What an expression takes once it is compiled. `regex` does not say; the crate that it is made of does.
fn bytes_of(expression: &str) -> usize {
    let limits = meta::Config::new().nfa_size_limit(Some(COMPILED_BYTES_MAX)).hybrid_cache_capacity(CACHE_BYTES_MAX);
    let compiled = meta::Builder::new().configure(limits).build(expression);
    compiled.map_or(2 * COMPILED_BYTES_MAX, |compiled| compiled.memory_usage())
}

/// The regular expression that means the same as a glob. The translation speaks of bytes, which tags and labels are not.
fn translated(glob: &str) -> Result<String, String> {
    let built = GlobBuilder::new(glob).build();
    let built = built.map_err(|error| format!("`{}` is no glob: {}", shown(glob), error.kind()))?;
    Ok(built.regex().trim_start_matches("(?-u)").to_owned())
}

/// The last line of the error: those before it draw the expression, which is drawn in its file already.
fn reason(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => "it takes too much memory".to_owned(),
        error => {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            shown(last.strip_prefix("error: ").unwrap_or(last))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (text, tag, matches) in [
            ("^[0-9a-f]{8}$", "abcdef01", true),
            ("-debug$", "v1-debug", true),
            ("glob:*-rc*", "v1-rc.2", true),
            ("glob:*-rc*", "v1", false),
            ("glob:v?", "v1-rc", false),
        ] {
            assert_eq!(pattern(text).expect(text).matches(tag), matches, "{text} {tag}");
        }
        for (wrong, message) in [
            ("(", "`(` is no regular expression: unclosed group"),
            ("(a{1000}){1000}", "`(a{1000}){1000}` is no regular expression: it takes too much memory"),
            ("glob:[", "`[` is no glob: unclosed character class; missing ']'"),
        ] {
            assert_eq!(pattern(wrong).map(|_| ()), Err(message.to_owned()));
        }
    }
}
