//! `tagrelay plan`: what a pass would do; nothing is changed.

use super::client::{NobodyAnswers, Server};
use super::view::{self, harmless, list, text};
use super::{Exit, Wrong, print};
use crate::cli::{ConfigFile, once, policy_name, run};
use crate::model::PolicyName;
use crate::server;
use clap::Args;
use serde_json::Value;
use std::io;

/// What to plan.
#[derive(Debug, Args)]
pub(in crate::cli) struct Plan {
    /// One policy; default all.
    #[arg(value_parser = policy_name)]
    policy: Option<PolicyName>,
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    file: ConfigFile,
}

impl Plan {
    /// Plans.
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        let query: Vec<(&str, &str)> = self.policy.iter().map(|policy| ("policy", policy.as_str())).collect();
        let answer = match self.server.get(&["plan"], &query).await {
            Ok(answer) => answer,
            Err(error) => match error.downcast_ref::<NobodyAnswers>() {
                Some(nobody) if self.file.config.exists() => self.by_itself(&nobody.server).await?,
                _ => return Err(error),
            },
        };
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

impl Plan {
    /// Plans without a daemon: on what is outside, and what the journal says.
    async fn by_itself(&self, server: &str) -> anyhow::Result<Value> {
        let file = self.file.config.display();
        print::complain(&format!("no daemon answers at {server}: planned here, by {file} and its journal"));
        let config = run::configuration(&self.file.config)
            .map_err(|errors| Wrong::because(errors.render(print::complains_in_colour())))?;
        Ok(server::plans(&once::plan(config, self.policy.as_ref()).await?))
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
