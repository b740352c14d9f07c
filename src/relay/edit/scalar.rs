//! How a text is written as a YAML scalar, so that every reader gets that text back as a string.
//!
//! It keeps the style that was there; it knows nothing of places.

use granit_parser::ScalarStyle;

/// Writes a text in this style; a plain one becomes double-quoted where YAML 1.1 or 1.2 would read something else, a
/// single-quoted one where it has a character that needs an escape.
pub(super) fn written(text: &str, style: ScalarStyle) -> String {
    match style {
        ScalarStyle::Plain if is_plain_safe(text) => text.to_owned(),
        ScalarStyle::SingleQuoted if !text.chars().any(needs_escape) => format!("'{}'", text.replace('\'', "''")),
        ScalarStyle::Plain
        | ScalarStyle::SingleQuoted
        | ScalarStyle::DoubleQuoted
        | ScalarStyle::Literal
        | ScalarStyle::Folded => double_quoted(text),
    }
}

/// Whether a text written without quotes is read as that string by YAML 1.1 and 1.2, in block and in flow style.
///
/// It errs on the side of quotes: only texts of the characters of references and versions are called safe.
#[must_use]
pub fn is_plain_safe(text: &str) -> bool {
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '/');
    let inside = |c: char| c.is_ascii_alphanumeric() || "._-/:@+~=$".contains(c);
    begins && text.chars().all(inside) && !text.ends_with(':') && !is_word(text) && !is_number(text) && !is_date(text)
}

fn needs_escape(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

fn double_quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            c if needs_escape(c) => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// The booleans and nulls of YAML 1.1 and 1.2 (yaml.org/type/bool.html, YAML 1.2.2 section 10.3.2).
fn is_word(text: &str) -> bool {
    let words = ["y", "n", "yes", "no", "true", "false", "on", "off", "null"];
    words.iter().any(|word| word.eq_ignore_ascii_case(text))
}

/// The numbers of both versions, generously: decimal with underscores, `0x`, `0o`, `0b`, fractions, exponents and
/// base 60 (yaml.org/type/int.html, yaml.org/type/float.html).
fn is_number(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let radix = |prefix: &str, digits: &str| {
        lower.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| digits.contains(c)))
    };
    if radix("0x", "0123456789abcdef_") || radix("0o", "01234567_") || radix("0b", "01_") {
        return true;
    }
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    if !lower.starts_with(|c: char| c.is_ascii_digit()) {
        return false;
    }
    if lower.contains(':') {
        return lower.split([':', '.']).all(digits);
    }
    let (mantissa, exponent) = lower.split_once('e').unwrap_or((&lower, "0"));
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    digits(whole) && digits(fraction) && digits(exponent) && !exponent.is_empty()
}

/// What begins like a date of YAML 1.1 and is one or goes on with a time (yaml.org/type/timestamp.html).
fn is_date(text: &str) -> bool {
    let mut parts = text.splitn(3, '-');
    let mut digits = |lengths: std::ops::RangeInclusive<usize>| {
        parts.next().filter(|part| {
            let day = part.split(['T', 't']).next().unwrap_or(part);
            lengths.contains(&day.len()) && day.bytes().all(|b| b.is_ascii_digit())
        })
    };
    digits(4..=4).is_some() && digits(1..=2).is_some() && digits(1..=2).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_only_where_every_reader_agrees() {
        let safe = "v1.0.0 1.2.3 1.2.3-rc.1 main-1111111 a1b2c3d4 latest reg.io:5000/a/b:v1 1.27-alpine v1@sha256:ab \
                    sha256:00 2024-01-01-abc 20240101-abcdef 12e 0xfg e10 yess 1.x _1";
        for text in safe.split_whitespace() {
            assert!(is_plain_safe(text), "{text}");
        }
        let read_otherwise = "1.20 16 0755 0o17 0x1f 0b01 1e3 123e4567 1234567e8 1.5e+3 1_000 1. 12:30 1:20:30.5 12345678 \
                              2024-01-01 2024-1-1 2024-01-01T10 true True NO on Off y N null ~ .inf .5 -1 +1 = << *a &a !a \
                              %a @a `a a: {a [a a,b é 'a \"a | > ? : - --- ...";
        let with_blanks = ["", "a: b", "tag #1", " a", "a ", "- a", "a\nb"];
        for text in read_otherwise.split_whitespace().chain(with_blanks) {
            assert!(!is_plain_safe(text), "{text}");
        }
    }

    #[test]
    fn the_style_is_kept() {
        assert_eq!(written("v2", ScalarStyle::Plain), "v2");
        assert_eq!(written("1.10", ScalarStyle::Plain), "\"1.10\"");
        assert_eq!(written("it's", ScalarStyle::SingleQuoted), "'it''s'");
        assert_eq!(written("a\nb", ScalarStyle::SingleQuoted), "\"a\\nb\"");
        assert_eq!(written("a\"\\\u{1}", ScalarStyle::DoubleQuoted), "\"a\\\"\\\\\\u0001\"");
    }
}
