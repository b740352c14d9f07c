//! `extract`: what of a tag is compared, as a template over the groups of `match`: `$1`, `$name`, `${name}`, `$$`.
//!
//! The grammar is that of Go's `Regexp.Expand` and of the `regex` crate, so `$1x` is the group named `1x`. It only puts
//! texts together; which tags match is the filter's business.

use super::SelectError;
use regex::{CaptureLocations, Regex};
use std::borrow::Cow;

/// A template whose groups all exist.
#[derive(Debug)]
pub(super) struct Template {
    regex: Regex,
    pieces: Vec<Piece>,
    /// Where the groups of the last tag stood: kept, so that reading a hundred thousand tags allocates once.
    found: CaptureLocations,
}

#[derive(Debug)]
enum Piece {
    Text(String),
    Group(usize),
}

impl Template {
    /// Parses a template over the groups of `regex`.
    pub(super) fn parse(template: &str, regex: &Regex) -> Result<Self, SelectError> {
        let mut pieces = Vec::new();
        let mut rest = template;
        while let Some((text, after)) = rest.split_once('$') {
            pieces.push(Piece::Text(text.to_owned()));
            let (name, left) = if let Some(braced) = after.strip_prefix('{') {
                braced.split_once('}').ok_or_else(|| SelectError::extract(template, "a `${` is never closed"))?
            } else if let Some(left) = after.strip_prefix('$') {
                pieces.push(Piece::Text("$".to_owned()));
                rest = left;
                continue;
            } else {
                let end = after.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(after.len());
                after.split_at_checked(end).unwrap_or((after, ""))
            };
            pieces.push(Piece::Group(group(name, regex).ok_or_else(|| {
                SelectError::extract(template, &format!("`match` has no group `{name}`{}", hint(name, regex)))
            })?));
            rest = left;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        pieces.retain(|piece| !matches!(piece, Piece::Text(text) if text.is_empty()));
        Ok(Self { found: regex.capture_locations(), regex: regex.clone(), pieces })
    }

    /// What a tag comes out as; none where `match` does not match. A group that took no part is empty.
    pub(super) fn apply<'t>(&mut self, tag: &'t str) -> Option<Cow<'t, str>> {
        self.regex.captures_read(&mut self.found, tag)?;
        let group = |at: usize| self.found.get(at).and_then(|(from, to)| tag.get(from..to)).unwrap_or("");
        if let [Piece::Group(only)] = self.pieces.as_slice() {
            return Some(Cow::Borrowed(group(*only)));
        }
        let text = self.pieces.iter().map(|piece| match piece {
            Piece::Text(text) => text.as_str(),
            Piece::Group(at) => group(*at),
        });
        Some(Cow::Owned(text.collect()))
    }
}

fn group(name: &str, regex: &Regex) -> Option<usize> {
    let named = || regex.capture_names().position(|given| given == Some(name));
    name.parse().ok().filter(|at| *at < regex.captures_len()).or_else(named)
}

/// The trap of `$1-$2x`: the name ends where a letter, digit or `_` is not.
fn hint(name: &str, regex: &Regex) -> String {
    let digits = name.bytes().take_while(u8::is_ascii_digit).count();
    let start = name.get(..digits).unwrap_or("");
    match group(start, regex) {
        Some(at) if digits < name.len() => format!("; write `${{{at}}}` where text follows the group"),
        Some(_) | None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates() {
        let check = |pattern: &str, template: &str, tag: &str, expected: Option<&str>| {
            let mut template = Template::parse(template, &Regex::new(pattern).expect(pattern)).expect(template);
            assert_eq!(template.apply(tag).as_deref(), expected, "{pattern} {tag}");
        };
        check("^v(.*)$", "$1", "v1.2", Some("1.2"));
        check("^v(.*)$", "$1", "1.2", None);
        check("(?P<a>[a-z]+)-(?P<b>[0-9]+)", "${b}.$a", "rel-12", Some("12.rel"));
        check("([a-z])?([0-9]+)", "$1$2", "12", Some("12"));
        check("[0-9]+", "$0", "build-77-x", Some("77"));
        check("x", "$$1", "x", Some("$1"));
        check("x", "fixed", "x", Some("fixed"));
    }

    #[test]
    fn groups_that_do_not_exist() {
        let check = |template: &str, says: &str| {
            let regex = Regex::new("^(a)(?P<num>b)$").expect("regex");
            let error = Template::parse(template, &regex).expect_err(template).to_string();
            assert!(error.contains(says), "{error}");
        };
        check("$3", "no group `3`");
        check("$1x", "write `${1}`");
        check("$none", "no group `none`");
        check("${1", "never closed");
        check("a$", "no group ``");
    }
}
