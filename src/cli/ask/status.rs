//! `tagrelay status`: what runs where, what waits, and why, as one table.

use super::client::Server;
use super::view::{age, colour_of, harmless, list, place, release, text, whys};
use super::{Exit, Part, print};
use crate::cli::print::Cell;
use clap::Args;
use clap::builder::styling::AnsiColor;
use serde_json::{Value, json};
use std::io;

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
        let is_empty = list(&status, "policies").is_empty();
        if self.server.json {
            print::json(&status)?;
        } else if !is_empty || self.part.is_none() {
            health(&status)?;
            complain(&status);
        }
        if is_empty {
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

/// Says first how the daemon is: one line, and one for each trouble.
fn health(status: &Value) -> io::Result<()> {
    let troubles = list(status, "troubles");
    let (word, colour) = match troubles.len() {
        0 => ("well".to_owned(), AnsiColor::Green),
        1 => ("unwell: 1 trouble".to_owned(), AnsiColor::Red),
        n => (format!("unwell: {n} troubles"), AnsiColor::Red),
    };
    let ready = if status["ready"] == false { ", not ready yet" } else { "" };
    print::line(&format!("{}{ready}", print::painted(&word, colour.on_default())))?;
    for trouble in troubles {
        print::line(&trouble_line(trouble, &status["now"]))?;
    }
    Ok(())
}

fn trouble_line(trouble: &Value, now: &Value) -> String {
    let since = age(&trouble["since"], now);
    format!("  {} for {since}: {}; {}", text(trouble, "what"), text(trouble, "text"), text(trouble, "remedy"))
}

/// Says what else does not go as one may think: what is no trouble of the daemon, and is not in its list.
fn complain(status: &Value) {
    let paint = |text: &str| {
        let style = AnsiColor::Red.on_default();
        if print::complains_in_colour() { format!("{style}{text}{style:#}") } else { text.to_owned() }
    };
    let warn = |text: &str| print::complain(&format!("{} {}", paint("warning:"), harmless(text)));
    if status["mode"] == "observe" {
        warn("the daemon observes only: it changes nothing (mode: observe)");
    }
    for host in list(status, "hosts") {
        if let Some(error) = host["error"].as_str() {
            warn(&format!("{}: {error}", text(host, "host")));
        }
    }
    for project in list(status, "projects") {
        let name = text(project, "project");
        let parked = list(project, "parked").iter().filter_map(Value::as_str);
        parked.for_each(|parked| warn(&format!("{name}: not told: {parked}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_in_one_line() {
        let trouble = json!({
            "what": "branch_unread", "since": "2026-01-05T10:00:00Z",
            "text": "branch main of default cannot be read: refused", "remedy": "look at the server",
        });
        let line = trouble_line(&trouble, &json!("2026-01-05T10:03:00Z"));
        assert_eq!(line, "  branch_unread for 3m: branch main of default cannot be read: refused; look at the server");
    }
}
