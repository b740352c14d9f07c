//! Unified diffs: as `patch` reads them in a pipe, in colour on a terminal.

use crate::relay::edit::diff::{FileDiff, Sign};
use clap::builder::styling::{AnsiColor, Style};
use std::io;

/// Prints what changed in a file; nothing where nothing did.
pub(in crate::cli) fn diff(file: &str, before: &str, after: &str) -> io::Result<()> {
    let diff = FileDiff::between(file, before, after);
    let text = if super::is_coloured() { coloured(&diff) } else { diff.to_string() };
    super::bytes(text.as_bytes())
}

fn coloured(diff: &FileDiff) -> String {
    if diff.hunks.is_empty() {
        return String::new();
    }
    let bold = Style::new().bold();
    let mut text = painted(&format!("--- a/{}", diff.file), bold) + &painted(&format!("+++ b/{}", diff.file), bold);
    for hunk in &diff.hunks {
        let ((old, n_old), (new, n_new)) = (hunk.before, hunk.after);
        text.push_str(&painted(&format!("@@ -{old},{n_old} +{new},{n_new} @@"), AnsiColor::Cyan.on_default()));
        for line in &hunk.lines {
            let style = match line.sign {
                Sign::Removed => AnsiColor::Red.on_default(),
                Sign::Added => AnsiColor::Green.on_default(),
                Sign::Context => Style::new(),
            };
            // "No newline at end of file" is a second line of the same piece.
            line.to_string().lines().for_each(|line| text.push_str(&painted(line, style)));
        }
    }
    text
}

/// A line in a style. A file's own escape sequences are not handed to the terminal.
fn painted(line: &str, style: Style) -> String {
    let harmless = |c: char| if c.is_control() && c != '\t' { char::REPLACEMENT_CHARACTER } else { c };
    let line: String = line.chars().map(harmless).collect();
    format!("{style}{line}{style:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_changes_nothing_but_colour() {
        let diff = FileDiff::between("values.yaml", "a: 1\ntag: v1", "a: 1\ntag: v2");
        let text = coloured(&diff);
        assert!(text.contains("\u{1b}[31m-tag: v1\u{1b}[0m\n") && text.contains("\u{1b}[32m+tag: v2\u{1b}[0m\n"));
        let plain = anstream::adapter::strip_str(&text).to_string();
        assert_eq!(plain, diff.to_string());
        assert_eq!(coloured(&FileDiff::between("x", "same", "same")), "");
    }

    #[test]
    fn a_file_cannot_paint_the_terminal() {
        let text = coloured(&FileDiff::between("x", "a\n", "\u{1b}]0;owned\u{7}\n"));
        assert!(!text.contains("\u{1b}]"), "{text:?}");
    }
}
