//! Tables whose columns align. The last column runs on: what stands there is a sentence, and a cut one helps nobody.

use clap::builder::styling::{AnsiColor, Style};
use std::io;

/// One cell.
#[derive(Debug, Clone, Default)]
pub(in crate::cli) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// A cell in a colour.
    pub(in crate::cli) fn in_colour(text: impl Into<String>, colour: AnsiColor) -> Self {
        Self { text: text.into(), style: colour.on_default() }
    }

    /// A cell of a heading.
    pub(in crate::cli) fn heading(text: &str) -> Self {
        Self { text: text.to_owned(), style: Style::new().bold() }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: text.into(), style: Style::new() }
    }
}

/// Prints rows whose columns align.
pub(in crate::cli) fn table(rows: &[Vec<Cell>]) -> io::Result<()> {
    super::bytes(drawn(rows, super::is_coloured()).as_bytes())
}

fn drawn(rows: &[Vec<Cell>], coloured: bool) -> String {
    let n_columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width_of = |cell: &Cell| cell.text.chars().count();
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(width_of).max().unwrap_or(0);
    let widths: Vec<usize> = (0..n_columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let last = row.iter().rposition(|cell| !cell.text.is_empty());
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate().take_while(|(at, _)| Some(*at) <= last) {
            let style = if coloured { cell.style } else { Style::new() };
            text.push_str(&format!("{style}{}{style:#}", cell.text));
            if Some(column) != last {
                text.push_str(&" ".repeat(width - width_of(cell) + 2));
            }
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_and_nothing_trails() {
        let row = |cells: &[&str]| cells.iter().map(|cell| Cell::from(*cell)).collect::<Vec<_>>();
        let rows = [row(&["A", "LONG", "WHY"]), row(&["wide é", "", ""]), row(&["x", "yyyyyy", "a sentence"])];
        assert_eq!(drawn(&rows, false), "A       LONG    WHY\nwide é\nx       yyyyyy  a sentence\n");
        assert_eq!(drawn(&[], false), "");
        let coloured = drawn(&[vec![Cell::in_colour("a", AnsiColor::Red), Cell::from("b")]], true);
        assert_eq!(coloured, "\u{1b}[31ma\u{1b}[0m  b\n", "the padding counts letters, not the colour's bytes");
    }
}
