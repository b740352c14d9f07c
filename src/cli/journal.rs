//! `tagrelay journal`: looks after the journal.

use super::{ConfigFile, Exit, print, with_config};
use clap::Subcommand;
use std::path::PathBuf;

/// What to do with the journal.
#[derive(Debug, Subcommand)]
pub(super) enum Journal {
    /// Write a whole and consistent copy, also while the daemon runs.
    Backup {
        /// The new file; an existing one is not touched.
        file: PathBuf,
        #[command(flatten)]
        config: ConfigFile,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

impl Journal {
    /// Does it.
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let Self::Backup { file, config, json } = self;
        with_config(&config, |config| async move {
            let journal = crate::journal::Journal::open_for_reading(&config.journal).await?;
            journal.backup(&file).await?;
            if json {
                print::json(&serde_json::json!({ "file": file.display().to_string() }))?;
            } else {
                print::line(&format!("the journal is copied to {}", file.display()))?;
            }
            Ok(Exit::Done)
        })
    }
}
