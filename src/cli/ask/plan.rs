//! `tagrelay plan`: what a pass would do; nothing is changed.

use super::client::{NobodyAnswers, Server};
use super::view::{self, harmless, list, text};
use super::{Exit, Part, Wrong, absent, print};
use crate::cli::{once, run};
use crate::server;
use clap::Args;
use serde_json::Value;
use std::io;
use std::path::Path;

/// What to plan.
#[derive(Debug, Args)]
pub(in crate::cli) struct Plan {
    /// One policy or environment; default all.
    #[arg(value_name = "POLICY[/ENV]")]
    part: Option<Part>,
    #[command(flatten)]
    server: Server,
}

impl Plan {
    /// Plans.
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        let policy = self.part.as_ref().map(|part| part.policy.as_str());
        let query: Vec<(&str, &str)> = policy.iter().map(|policy| ("policy", *policy)).collect();
        let mut answer = match self.server.get(&["plan"], &query).await {
            Ok(answer) => answer,
            Err(error) => match (error.downcast_ref::<NobodyAnswers>(), self.server.configuration()) {
                (Some(nobody), Some(file)) => self.by_itself(&nobody.server, &file).await?,
                _ => return Err(error),
            },
        };
        let there: Vec<String> = list(&answer, "plans").iter().map(|plan| view::place(&plan["environment"])).collect();
        if let (Some(part), Some(plans)) = (&self.part, answer["plans"].as_array_mut()) {
            plans.retain(|plan| part.contains(&plan["environment"]));
        }
        let plans = list(&answer, "plans");
        if self.server.json {
            print::json(&answer)?;
        } else {
            plans.iter().try_for_each(plan)?;
        }
        if plans.is_empty() {
            absent(self.part.as_ref(), &there);
            return Ok(Exit::Nothing);
        }
        Ok(Exit::Done)
    }

    /// Plans without a daemon: on what is outside, and what the journal says.
    async fn by_itself(&self, server: &str, file: &Path) -> anyhow::Result<Value> {
        print::complain(&format!("no daemon answers at {server}: planned here, by {} and its journal", file.display()));
        let config =
            run::configuration(file).map_err(|errors| Wrong::because(errors.render(print::complains_in_colour())))?;
        let policy = self.part.as_ref().map(|part| &part.policy);
        Ok(server::plans(&once::plan(config, policy).await?))
    }
}

fn plan(plan: &Value) -> io::Result<()> {
    view::environment(&plan["environment"])?;
    let effects = list(plan, "effects");
    if effects.is_empty() {
        print::line("  would    do nothing")?;
    }
    for effect in effects.iter().filter_map(Value::as_str) {
        print::line(&format!("  would    {}", harmless(effect)))?;
    }
    for effect in list(plan, "later").iter().filter_map(Value::as_str) {
        print::line(&format!("  later    {}, once the gates are open and nothing holds", harmless(effect)))?;
    }
    for report in list(plan, "reports").iter().filter_map(Value::as_str) {
        print::line(&format!("  tells    {}", harmless(report)))?;
    }
    for (at, line) in plan["message"].as_str().unwrap_or_default().lines().enumerate() {
        print::line(format!("  {:7}  {}", if at == 0 { "message" } else { "" }, harmless(line)).trim_end())?;
    }
    for diff in list(plan, "diffs") {
        let (before, after) = (diff["before"].as_str().unwrap_or_default(), diff["after"].as_str().unwrap_or_default());
        print::diff(&text(diff, "path"), before, after)?;
    }
    Ok(())
}
