//! What an edit changes, as a unified diff in pieces that a terminal or a page can colour.
//!
//! It prints plain text at most; colour is whoever's who shows it.

use similar::{ChangeTag, TextDiff};
use std::fmt;

/// How many unchanged lines stand around each change.
const CONTEXT_LINES: usize = 3;

/// The difference of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDiff {
    /// The file.
    pub file: String,
    /// Its changed regions.
    pub hunks: Vec<Hunk>,
}

/// A changed region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hunk {
    /// Its first line before, counted from one, and how many.
    pub before: (usize, usize),
    /// Its first line after, counted from one, and how many.
    pub after: (usize, usize),
    /// Its lines.
    pub lines: Vec<Line>,
}

/// A line of a region, without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What became of it.
    pub sign: Sign,
    /// The line.
    pub text: String,
    /// Whether the file ends here without a line end.
    pub unterminated: bool,
}

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// It stands in both.
    Context,
    /// It went.
    Removed,
    /// It came.
    Added,
}

impl FileDiff {
    /// The difference between two texts of a file; without hunks where they are equal.
    #[must_use]
    pub fn between(file: &str, before: &str, after: &str) -> Self {
        let diff = TextDiff::from_lines(before, after);
        let hunks = diff.grouped_ops(CONTEXT_LINES).into_iter().map(|ops| {
            let lines = ops.iter().flat_map(|op| diff.iter_changes(op)).map(|change| Line {
                sign: match change.tag() {
                    ChangeTag::Equal => Sign::Context,
                    ChangeTag::Delete => Sign::Removed,
                    ChangeTag::Insert => Sign::Added,
                },
                text: change.value().trim_end_matches(['\n', '\r']).to_owned(),
                unterminated: change.missing_newline(),
            });
            let first = ops.first().map_or((0, 0), |op| (op.old_range().start, op.new_range().start));
            let last = ops.last().map_or((0, 0), |op| (op.old_range().end, op.new_range().end));
            let (before, after) = ((first.0 + 1, last.0 - first.0), (first.1 + 1, last.1 - first.1));
            Hunk { before, after, lines: lines.collect() }
        });
        Self { file: file.to_owned(), hunks: hunks.collect() }
    }
}

impl fmt::Display for FileDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.hunks.is_empty() {
            return Ok(());
        }
        write!(f, "--- a/{0}\n+++ b/{0}\n", self.file)?;
        self.hunks.iter().try_for_each(|hunk| write!(f, "{hunk}"))
    }
}

/// `@@ -1,3 +1,3 @@` and its lines.
impl fmt::Display for Hunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "@@ -{},{} +{},{} @@", self.before.0, self.before.1, self.after.0, self.after.1)?;
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.sign {
            Sign::Context => ' ',
            Sign::Removed => '-',
            Sign::Added => '+',
        };
        write!(f, "{sign}{}", self.text)?;
        if self.unterminated { f.write_str("\n\\ No newline at end of file") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_reads_as_unified() {
        let before = "a: 1\nb: 2\nc: 3\nd: 4\ntag: v1\ne: 5\nf: 6\ng: 7\nh: 8";
        let diff = FileDiff::between("x/values.yaml", before, &before.replace("v1", "v2"));
        assert_eq!(
            diff.to_string(),
            "--- a/x/values.yaml\n+++ b/x/values.yaml\n@@ -2,7 +2,7 @@\n b: 2\n c: 3\n d: 4\n-tag: v1\n+tag: v2\n e: 5\n f: 6\n g: 7\n"
        );
        assert_eq!(FileDiff::between("x", before, before).to_string(), "");
        let last = FileDiff::between("x", "a: 1", "a: 2").to_string();
        assert_eq!(last.matches("No newline at end of file").count(), 2);
    }
}
