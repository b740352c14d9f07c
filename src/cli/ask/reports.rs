//! `tagrelay reports [retry]`: what GitLab was told, what waits and why; and all of that tried again at once.

use super::client::Server;
use super::view::{list, text};
use super::{Exit, kept, print};
use crate::cli::print::Cell;
use clap::{Args, Subcommand};
use serde_json::json;

/// What to show or do.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(in crate::cli) struct Reports {
    #[command(subcommand)]
    what: Option<What>,
    /// Only what waits or is parked.
    #[arg(long)]
    unsent: bool,
    #[command(flatten)]
    server: Server,
}

/// What is done with reports.
#[derive(Debug, Subcommand)]
enum What {
    /// Try all that wait or are parked at once: what stood in the way is mended.
    Retry {
        #[command(flatten)]
        server: Server,
    },
}

impl Reports {
    /// Shows them, or has them tried again.
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        if let Some(What::Retry { server }) = self.what {
            let answer = server.post(&["reports", "retry"], &json!({})).await?;
            return kept(&server, &answer);
        }
        let query: &[(&str, &str)] = if self.unsent { &[("unsent", "true")] } else { &[] };
        let answer = self.server.get(&["reports"], query).await?;
        if self.server.json {
            print::json(&answer)?;
        } else {
            let row = |report| -> Vec<Cell> {
                let place = format!("{}/{}", text(report, "project"), text(report, "environment"));
                vec![
                    text(report, "id").into(),
                    place.into(),
                    text(report, "rollout").into(),
                    text(report, "state").into(),
                    text(report, "status").into(),
                    text(report, "reason").into(),
                ]
            };
            print::table(&list(&answer, "reports").iter().map(row).collect::<Vec<_>>())?;
        }
        if list(&answer, "reports").is_empty() {
            print::complain(if self.unsent { "no report waits" } else { "nothing was reported yet" });
            return Ok(Exit::Nothing);
        }
        Ok(Exit::Done)
    }
}
