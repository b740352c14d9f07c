//! Markdown: tables, cells, links to headings.

use std::fmt::Write as _;

/// A table; a cell may hold any text.
pub(super) fn table<const N: usize>(heads: [&str; N], rows: &[[String; N]]) -> String {
    let mut text = format!("| {} |\n|{}\n", heads.join(" | "), "---|".repeat(N));
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| cell_of(cell)).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text
}

/// Text as one cell of a table: on one line, its bars escaped.
fn cell_of(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// A link to a heading of the same page.
pub(super) fn link(words: &str, heading: &str) -> String {
    format!("[{words}](#{})", anchor(heading))
}

/// What GitLab and GitHub make of a heading when they link to it.
pub(super) fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase().replace(' ', "-");
    kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
}

/// Words as code.
pub(super) fn code(text: &str) -> String {
    format!("`{text}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_and_anchors() {
        let rows = [["a | b".to_owned(), "two\nlines".to_owned()]];
        assert_eq!(table(["x", "y"], &rows), "| x | y |\n|---|---|\n| a \\| b | two lines |\n");
        assert_eq!(anchor("`environments[].hold_new_until`"), "environmentshold_new_until");
        assert_eq!(anchor("GET /api/v1/status"), "get-apiv1status");
    }
}
