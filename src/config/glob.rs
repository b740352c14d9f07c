//! Patterns over paths, references, hosts, projects and names: `*` stays inside a segment, `**` crosses segments.

use super::diagnostic::Problems;
use super::read::Read;
use super::scalar::text;
use super::tree::Node;
use crate::model::text::shown;
use globset::{GlobBuilder, GlobMatcher};
use serde_json::{Value, json};

/// The longest pattern: a path of a repository is shorter.
const PATTERN_BYTES_MAX: usize = 1_000;

/// A pattern that was compiled once.
#[derive(Debug, Clone)]
pub struct Glob {
    text: String,
    matcher: GlobMatcher,
}

impl Glob {
    /// Compiles a pattern with `*`, `**`, `?`, `[a-z]` and `{a,b}`.
    ///
    /// # Errors
    /// A sentence, when it is no pattern or longer than 1000 bytes.
    pub fn parse(pattern: &str) -> Result<Self, String> {
        if pattern.is_empty() || pattern.len() > PATTERN_BYTES_MAX {
            return Err(format!("a pattern has 1 to {PATTERN_BYTES_MAX} bytes"));
        }
        let glob = GlobBuilder::new(pattern).literal_separator(true).empty_alternates(true).build();
        let glob = glob.map_err(|error| format!("`{}` is no pattern: {}", shown(pattern), error.kind()))?;
        Ok(Self { text: pattern.to_owned(), matcher: glob.compile_matcher() })
    }

    /// Whether the whole of the text matches.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.matcher.is_match(text)
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How much of the pattern is literal: the most specific of several matches has the most.
    #[must_use]
    pub fn specificity(&self) -> usize {
        self.text.chars().filter(|c| !"*?[]{}".contains(*c)).count()
    }
}

/// Two patterns are one where they are written alike.
impl PartialEq for Glob {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// The most specific pattern that matches, of several with their values; the earlier one of two equals.
pub(crate) fn most_specific<'a, T>(entries: &'a [(Glob, T)], text: &str) -> Option<&'a T> {
    let matching = entries.iter().rev().filter(|(glob, _)| glob.matches(text));
    matching.max_by_key(|(glob, _)| (glob.as_str() == text, glob.specificity())).map(|(_, value)| value)
}

impl Read for Glob {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let pattern = text(node, "a pattern", problems)?;
        problems.check(&node.at, Self::parse(pattern))
    }

    fn schema() -> Value {
        super::schema::named("a pattern", json!({ "type": ["string", "number"], "minLength": 1 }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, text, matches) in [
            ("deployment/**", "deployment/dev/kustomization.yaml", true),
            ("deployment/**", "deployments/dev", false),
            ("deployment/*", "deployment/dev/x.yaml", false),
            ("*/shop", "123.dkr.ecr.eu-west-1.amazonaws.com/shop", true),
            ("*/shop", "reg.io/team/shop", false),
            ("*/shop*:staging", "reg.io/shop-worker:staging", true),
            ("*.dkr.ecr.*.amazonaws.com", "1.dkr.ecr.eu-west-1.amazonaws.com", true),
            ("prod*", "prod-eu", true),
            ("team-b/**", "team-b/x/y", true),
        ] {
            assert_eq!(Glob::parse(pattern).expect(pattern).matches(text), matches, "{pattern} {text}");
        }
        assert!(Glob::parse("a[").is_err());
        assert!(Glob::parse("").is_err());
    }

    #[test]
    fn the_most_specific_wins() {
        let entries: Vec<(Glob, &str)> =
            [("*", "any"), ("*.io", "io"), ("reg.io", "exact")].map(|(p, v)| (Glob::parse(p).expect(p), v)).into();
        for (host, expected) in [("reg.io", "exact"), ("x.io", "io"), ("x.com", "any")] {
            assert_eq!(most_specific(&entries, host), Some(&expected));
        }
    }
}
