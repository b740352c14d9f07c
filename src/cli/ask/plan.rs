//! `tagrelay plan`: what a pass would do; nothing is changed.

use super::client::Server;
use super::view::{self, harmless, list, text};
use super::{Exit, print};
use crate::model::PolicyName;
use clap::Args;
use serde_json::Value;
use std::io;

/// What to plan.
#[derive(Debug, Args)]
pub(in crate::cli) struct Plan {
    /// One policy; default all.
    #[arg(value_parser = |text: &str| PolicyName::parse(text).map_err(|error| error.to_string()))]
    policy: Option<PolicyName>,
    #[command(flatten)]
    server: Server,
}

impl Plan {
    /// Plans.
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        let query: Vec<(&str, &str)> = self.policy.iter().map(|policy| ("policy", policy.as_str())).collect();
        let answer = self.server.get(&["plan"], &query).await?;
        let plans = list(&answer, "plans");
        if self.server.json {
            print::json(&answer)?;
        } else {
            plans.iter().try_for_each(plan)?;
        }
        if plans.is_empty() {
            print::complain("no policy is loaded");
            return Ok(Exit::Nothing);
        }
        Ok(Exit::Done)
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
