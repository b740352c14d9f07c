//! `tagrelay explain`: why this release; every tag and what became of it, every gate and when it opens.

use super::client::Server;
use super::view::{self, harmless, list, moment, release, text};
use super::{Exit, Part, Place, Wrong, absent, print};
use crate::model::Turn;
use clap::Args;
use serde_json::{Value, json};
use std::io;

/// What to explain.
#[derive(Debug, Args)]
pub(in crate::cli) struct Explain {
    /// One environment, or all of a policy.
    #[arg(value_name = "POLICY[/ENV]", required_unless_present = "file")]
    part: Option<Part>,
    /// Which environments write this file of a GitOps repository, or why none does.
    #[arg(long, value_name = "PATH", conflicts_with = "part")]
    file: Option<String>,
    #[command(flatten)]
    server: Server,
}

impl Explain {
    /// Explains.
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        if let Some(path) = &self.file {
            return super::file::explain(&self.server, path).await;
        }
        let Some(part) = &self.part else { return Err(Wrong::because("name POLICY[/ENV], or --file PATH")) };
        let mut explanations = Vec::new();
        for place in self.places(part).await? {
            explanations.push(self.server.get(&place.path("explain"), &[]).await?);
        }
        if explanations.is_empty() {
            let status = self.server.get(&["status"], &[]).await?;
            let environments = list(&status, "policies").iter().flat_map(|policy| list(policy, "environments"));
            absent(Some(part), &environments.map(view::place).collect::<Vec<_>>());
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
    async fn places(&self, part: &Part) -> anyhow::Result<Vec<Place>> {
        if let Some(environment) = &part.environment {
            return Ok(vec![Place { policy: part.policy.clone(), environment: environment.clone() }]);
        }
        let status = self.server.get(&["status"], &[]).await?;
        let environments = list(&status, "policies").iter().flat_map(|policy| list(policy, "environments"));
        Ok(environments.filter(|view| part.contains(view)).filter_map(|view| view::place(view).parse().ok()).collect())
    }
}

/// Whose turn it is, in words.
fn turn(advice: &Value) -> String {
    let known = Turn::ALL.into_iter().find(|turn| advice["turn"] == turn.code());
    known.map_or_else(|| text(advice, "turn"), |turn| turn.heading().to_owned())
}

/// What ran before, and what one types to go back.
fn before(explanation: &Value) -> io::Result<()> {
    for arrival in list(explanation, "before") {
        let (since, state) = (moment(arrival, "since"), text(arrival, "state"));
        print::line(&format!("  before   {} from {since}: {state}", release(&arrival["release"])))?;
    }
    if explanation["way_back"].is_null() {
        return Ok(());
    }
    let place = view::place(&explanation["environment"]);
    let to = release(&explanation["way_back"]);
    print::line(&format!("  back     `tagrelay rollback {place} --reason TEXT` goes back to {to}"))
}

fn explanation(explanation: &Value) -> io::Result<()> {
    view::environment(&explanation["environment"])?;
    for advice in list(explanation, "advice").iter().filter(|advice| advice["turn"] != "nobody") {
        print::line(&format!("  turn     {}: {}", turn(advice), text(advice, "meaning")))?;
        print::line(&format!("  do       {}", text(advice, "remedy")))?;
    }
    if !explanation["opens"].is_null() {
        let (opens, at) = (&explanation["opens"], moment(&explanation["opens"], "at"));
        print::line(&format!("  opens    {} ({at}), by the clock", text(opens, "local")))?;
    }
    before(explanation)?;
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
