//! Printing: results to standard output, complaints to standard error.
//!
//! Colour is for terminals; `--color`, `NO_COLOR` and `CLICOLOR_FORCE` overrule that. What goes into a pipe or a file is
//! never touched.

mod diff;
mod table;

pub(super) use diff::diff;
pub(super) use table::{Cell, table};

use anstream::{AutoStream, ColorChoice};
use clap::builder::styling::Style;
use serde_json::Value;
use std::io::{self, Write as _};

/// Decides about colour for the rest of this process.
pub(super) fn colour(when: clap::ColorChoice) {
    let choice = match when {
        clap::ColorChoice::Auto => ColorChoice::Auto,
        clap::ColorChoice::Always => ColorChoice::Always,
        clap::ColorChoice::Never => ColorChoice::Never,
    };
    choice.write_global();
}

/// Whether standard output takes colour.
pub(super) fn is_coloured() -> bool {
    AutoStream::choice(&io::stdout()) != ColorChoice::Never
}

/// Whether standard error takes colour.
pub(super) fn complains_in_colour() -> bool {
    AutoStream::choice(&io::stderr()) != ColorChoice::Never
}

/// Text in a style, where standard output takes colour.
pub(super) fn painted(text: &str, style: Style) -> String {
    if is_coloured() { format!("{style}{text}{style:#}") } else { text.to_owned() }
}

/// Prints bytes as they are.
pub(super) fn bytes(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// Prints one line.
pub(super) fn line(text: &str) -> io::Result<()> {
    bytes(format!("{text}\n").as_bytes())
}

/// Prints JSON, indented.
pub(super) fn json(value: &Value) -> io::Result<()> {
    line(&format!("{value:#}"))
}

/// Says something on standard error; there is nowhere to complain if that fails.
pub(super) fn complain(text: &str) {
    let _said = writeln!(io::stderr().lock(), "{}", text.trim_end());
}

/// Whether an error is only that the reader of our output went away.
pub(super) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>()).any(|e| e.kind() == io::ErrorKind::BrokenPipe)
}
