//! `tagrelay journal`: looks after the journal.

use super::{ConfigFile, Exit, print, with_config};
use crate::daemon::Clock;
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
    /// Put a copy in the journal's place, while no daemon runs on it; what stood there is moved aside.
    Restore {
        /// The copy, as `backup` wrote it.
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
        let (file, config, json) = match self {
            Self::Backup { file, config, json } => (file, config, json),
            Self::Restore { file, config, json } => return restore(file, &config, json),
        };
        with_config(&config, |config| async move {
            let journal = crate::journal::Journal::open_for_reading(&config.journal.url).await?;
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

fn restore(file: PathBuf, config: &ConfigFile, json: bool) -> anyhow::Result<Exit> {
    with_config(config, |config| async move {
        let restored = crate::journal::restore(&config.journal.url, &file, Clock::System.now()).await?;
        let before = restored.before.as_ref().map(|before| before.display().to_string());
        if json {
            print::json(&serde_json::json!({ "journal": restored.id, "before": before }))?;
            return Ok(Exit::Done);
        }
        let aside = before.map(|before| format!("; the one before is at {before}")).unwrap_or_default();
        print::line(&format!("{} is the journal now, under the new id {}{aside}", file.display(), restored.id))?;
        print::line(
            "start the daemon: an environment that went on after the copy waits (JournalIsNew) until you looked at it \
             and said `tagrelay resume --all`; `tagrelay verify --all` then judges what runs",
        )?;
        Ok(Exit::Done)
    })
}
