//! `tagrelay history`: what happened, newest first.

use super::client::Server;
use super::view::{list, moment, text};
use super::{Exit, Part, print};
use crate::cli::print::Cell;
use clap::Args;

/// What to show.
#[derive(Debug, Args)]
pub(in crate::cli) struct History {
    /// One policy or environment; default all.
    #[arg(value_name = "POLICY[/ENV]")]
    part: Option<Part>,
    /// How many entries, at most 1000.
    #[arg(short, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    n: u32,
    /// Only entries before this one: the number in the first column.
    #[arg(long, value_name = "NUMBER")]
    before: Option<u64>,
    #[command(flatten)]
    server: Server,
}

impl History {
    /// Shows it.
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        let (limit, before) = (self.n.to_string(), self.before.map(|before| before.to_string()));
        let policy = self.part.as_ref().map(|part| part.policy.as_str());
        let environment = self.part.as_ref().and_then(|part| part.environment.as_ref()).map(|name| name.as_str());
        let mut query = vec![("limit", limit.as_str())];
        query.extend(before.as_deref().map(|before| ("before", before)));
        query.extend(policy.map(|policy| ("policy", policy)));
        query.extend(environment.map(|environment| ("environment", environment)));
        let answer = self.server.get(&["history"], &query).await?;
        if self.server.json {
            print::json(&answer)?;
        } else {
            let row = |entry| -> Vec<Cell> {
                vec![
                    text(entry, "sequence").into(),
                    moment(entry, "at").into(),
                    text(entry, "scope").into(),
                    text(entry, "kind").into(),
                    text(entry, "text").into(),
                ]
            };
            print::table(&list(&answer, "history").iter().map(row).collect::<Vec<_>>())?;
        }
        if list(&answer, "history").is_empty() {
            print::complain("nothing is kept of that");
            return Ok(Exit::Nothing);
        }
        Ok(Exit::Done)
    }
}
