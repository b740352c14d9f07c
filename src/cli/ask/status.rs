//! `tagrelay status`: what runs where, what waits, and why, as one table.

use super::client::Server;
use super::view::{age, colour_of, harmless, list, place, release, text, whys};
use super::{Exit, Part, print};
use crate::cli::print::Cell;
use clap::Args;
use clap::builder::styling::AnsiColor;
use serde_json::{Value, json};

/// What to show.
#[derive(Debug, Args)]
pub(in crate::cli) struct Status {
    /// One policy or environment; default all.
    #[arg(value_name = "POLICY[/ENV]")]
    part: Option<Part>,
    #[command(flatten)]
    server: Server,
}

impl Status {
    /// Shows it.
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        let mut status = self.server.get(&["status"], &[]).await?;
        if let Some(part) = &self.part {
            narrow(&mut status, part);
        }
        if self.server.json {
            print::json(&status)?;
        } else {
            complain(&status);
        }
        if list(&status, "policies").is_empty() {
            print::complain("no such policy is loaded");
            return Ok(Exit::Nothing);
        }
        if !self.server.json {
            print::table(&rows(&status))?;
        }
        Ok(Exit::Done)
    }
}

/// Keeps one policy, or one environment of it.
fn narrow(status: &mut Value, part: &Part) {
    let Some(policies) = status["policies"].as_array_mut() else { return };
    for policy in policies.iter_mut() {
        if let Some(environments) = policy["environments"].as_array_mut() {
            environments.retain(|environment| part.contains(environment));
        }
    }
    policies.retain(|policy| policy["environments"] != json!([]));
}

fn rows(status: &Value) -> Vec<Vec<Cell>> {
    let mut rows = vec![["ENVIRONMENT", "RUNS", "SINCE", "ROLLOUT", "NEXT", "WHY"].map(Cell::heading).to_vec()];
    for environment in list(status, "policies").iter().flat_map(|policy| list(policy, "environments")) {
        let current = &environment["current"];
        let runs = match &current["release"] {
            Value::Null => text(environment, "pin"),
            known => release(known),
        };
        let state = text(current, "state");
        let colour = colour_of(&state);
        // Each reason has a row of its own, so that none pushes another out of sight.
        let mut whys = whys(environment).into_iter();
        rows.push(vec![
            place(environment).into(),
            runs.into(),
            age(&current["since"], &status["now"]).into(),
            Cell::in_colour(state, colour),
            text(&environment["candidate"], "tags").into(),
            whys.next().unwrap_or_default().into(),
        ]);
        rows.extend(whys.map(|why| {
            let mut row = vec![Cell::default(); 5];
            row.push(why.into());
            row
        }));
    }
    rows
}

/// Says what is wrong with what the daemon reads and tells.
fn complain(status: &Value) {
    let paint = |text: &str| {
        let style = AnsiColor::Red.on_default();
        if print::complains_in_colour() { format!("{style}{text}{style:#}") } else { text.to_owned() }
    };
    let warn = |text: &str| print::complain(&format!("{} {}", paint("warning:"), harmless(text)));
    if status["mode"] == "observe" {
        warn("the daemon observes only: it changes nothing (mode: observe)");
    }
    list(status, "broken").iter().filter_map(Value::as_str).for_each(warn);
    for policy in list(status, "policies").iter().filter(|policy| !policy["broken"].is_null()) {
        warn(&format!("policy {}: {}", text(policy, "name"), text(policy, "broken")));
    }
    for (key, names) in [
        ("hosts", ["host", ""]),
        ("repositories", ["repository", ""]),
        ("branches", ["repository", "branch"]),
        ("projects", ["project", ""]),
    ] {
        for view in list(status, key) {
            let name = names.map(|name| text(view, name)).join(" ");
            let name = name.trim();
            if let Some(error) = view["error"].as_str() {
                warn(&format!("{name}: {error}"));
            }
            list(view, "parked")
                .iter()
                .filter_map(Value::as_str)
                .for_each(|parked| warn(&format!("{name}: not told: {parked}")));
        }
    }
}
