//! `tagrelay explain`: why this release; every tag and what became of it, every gate and when it opens.

use super::client::Server;
use super::view::{self, harmless, list, text};
use super::{Exit, Part, Place, print};
use clap::Args;
use serde_json::{Value, json};
use std::io;

/// What to explain.
#[derive(Debug, Args)]
pub(in crate::cli) struct Explain {
    /// One environment, or all of a policy.
    #[arg(value_name = "POLICY[/ENV]")]
    part: Part,
    #[command(flatten)]
    server: Server,
}

impl Explain {
    /// Explains.
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        let mut explanations = Vec::new();
        for place in self.places().await? {
            explanations.push(self.server.get(&place.path("explain"), &[]).await?);
        }
        if explanations.is_empty() {
            print::complain(&format!("there is no policy {}", self.part.policy));
            return Ok(Exit::Nothing);
        }
        if self.server.json {
            print::json(&json!({ "explanations": explanations }))?;
        } else {
            explanations.iter().try_for_each(explanation)?;
        }
        Ok(Exit::Done)
    }

    /// The environments that are meant.
    async fn places(&self) -> anyhow::Result<Vec<Place>> {
        if let Some(environment) = &self.part.environment {
            return Ok(vec![Place { policy: self.part.policy.clone(), environment: environment.clone() }]);
        }
        let status = self.server.get(&["status"], &[]).await?;
        let environments = list(&status, "policies").iter().flat_map(|policy| list(policy, "environments"));
        Ok(environments
            .filter(|view| self.part.contains(view))
            .filter_map(|view| view::place(view).parse().ok())
            .collect())
    }
}

fn explanation(explanation: &Value) -> io::Result<()> {
    view::environment(&explanation["environment"])?;
    for advice in list(explanation, "advice").iter().filter(|advice| advice["turn"] != "nobody") {
        print::line(&format!("  do       {}", text(advice, "remedy")))?;
    }
    for note in list(explanation, "notes").iter().filter_map(Value::as_str) {
        print::line(&format!("  note     {}", harmless(note)))?;
    }
    let tags = list(explanation, "tags");
    let n_tags = explanation["n_tags"].as_u64().unwrap_or_default();
    if n_tags > 0 {
        print::line(&format!("  tags     {n_tags}"))?;
    }
    let row = |tag: &Value| {
        vec![format!("    {}", text(tag, "image")).into(), text(tag, "tag").into(), text(tag, "fate").into()]
    };
    print::table(&tags.iter().map(row).collect::<Vec<_>>())?;
    if n_tags > tags.len() as u64 {
        print::line(&format!("    and {} more", n_tags - tags.len() as u64))?;
    }
    Ok(())
}
