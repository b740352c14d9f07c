//! The reference for users: pages of Markdown, each written from what the program itself says. Nothing stands in them by
//! hand but the few sentences above each table.
//!
//! `tagrelay reference docs/reference` writes them; a test compares what is written there with what would be.

mod commands;
mod exits;
mod forms;
mod http;
mod metrics;
mod outcomes;
mod table;

use clap::Command;
use std::path::Path;
use std::{fs, io};

/// One page of the reference.
struct Page {
    /// Its file, without the folder.
    file: &'static str,
    /// Its text.
    text: String,
}

/// What every page says at its end.
const MADE: &str = "---\n\nWritten by `tagrelay reference docs/reference`; a test compares it with the program. \
     Correct the program, not this page.\n";

/// All pages. The command is that of the program, built.
fn pages(command: &Command) -> [Page; 7] {
    [
        Page { file: "policy.md", text: forms::policy() },
        Page { file: "configuration.md", text: forms::configuration() },
        Page { file: "commands.md", text: commands::page(command) },
        Page { file: "exit-codes.md", text: exits::page() },
        Page { file: "http-api.md", text: http::page() },
        Page { file: "metrics.md", text: metrics::page() },
        Page { file: "outcomes.md", text: outcomes::page() },
    ]
}

/// Writes all pages into a folder.
///
/// # Errors
/// When the folder takes no file.
pub(super) fn write(mut command: Command, folder: &Path) -> io::Result<()> {
    command.build();
    fs::create_dir_all(folder)?;
    for Page { file, text } in pages(&command) {
        fs::write(folder.join(file), format!("{}\n\n{MADE}", text.trim_end()))?;
    }
    Ok(())
}
