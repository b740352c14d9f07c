//! What tagrelay says of itself, without a daemon or a file: schemas, completions, manual pages, its version.

use super::{Wrong, print};
use clap::Command;
use serde_json::Value;
use std::io;

/// Which files a schema describes.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(super) enum SchemaOf {
    /// Policy files.
    Policy,
    /// The configuration.
    Config,
}

/// The JSON Schema of a kind of file.
pub(super) fn schema(of: SchemaOf) -> Value {
    match of {
        SchemaOf::Policy => crate::config::policy_schema(),
        SchemaOf::Config => crate::config::config_schema(),
    }
}

/// The completions for a shell.
pub(super) fn completions(mut command: Command, shell: clap_complete::Shell) -> Vec<u8> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, "tagrelay", &mut text);
    text
}

/// The manual page of a command: `[]` is tagrelay itself, `["edit", "helm"]` a subcommand of a subcommand.
///
/// # Errors
/// When there is no such subcommand.
pub(super) fn man(mut command: Command, names: &[String]) -> anyhow::Result<Vec<u8>> {
    command.build();
    for name in names {
        let found = command.find_subcommand(name).cloned();
        command = found.ok_or_else(|| Wrong::because(format!("{} has no subcommand `{name}`", command.get_name())))?;
    }
    let mut text = Vec::new();
    clap_mangen::Man::new(command).source(concat!("tagrelay ", env!("CARGO_PKG_VERSION"))).render(&mut text)?;
    Ok(text)
}

/// Prints the version.
pub(super) fn version(json: bool) -> io::Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    if json {
        print::json(&serde_json::json!({ "version": version }))
    } else {
        print::line(&format!("tagrelay {version}"))
    }
}
