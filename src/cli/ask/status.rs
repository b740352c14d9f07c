//! `tagrelay status`: what runs where, what waits, and why, as one table.

use super::client::Server;
use super::view::{age, colour_of, harmless, list, place, release, text};
use super::{Exit, Part, absent, print};
use crate::cli::print::Cell;
use crate::daemon::view::Concern;
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
        let there: Vec<String> = environments(&status).map(place).collect();
        if let Some(part) = &self.part {
            narrow(&mut status, part);
        }
        let is_empty = list(&status, "policies").is_empty();
        if self.server.json {
            print::json(&status)?;
        } else if !is_empty || self.part.is_none() {
            health(&status, self.part.as_ref())?;
            complain(&status);
        }
        if is_empty {
            absent(self.part.as_ref(), &there);
            return Ok(Exit::Nothing);
        }
        if !self.server.json {
            if self.part.is_none() {
                print::line(&counts(&status))?;
            }
            print::table(&rows(&status))?;
        }
        Ok(Exit::Done)
    }
}

fn environments(status: &Value) -> impl Iterator<Item = &Value> {
    list(status, "policies").iter().flat_map(|policy| list(policy, "environments"))
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
    let mut rows =
        vec![["ENVIRONMENT", "RUNS", "SINCE", "ROLLOUT", "NEXT", "FOR", "TURN", "WHY"].map(Cell::heading).to_vec()];
    let mut environments: Vec<&Value> = environments(status).collect();
    environments.sort_by_key(|environment| concern(environment));
    for environment in environments {
        let current = &environment["current"];
        let runs = match &current["release"] {
            Value::Null => text(environment, "pin"),
            known => release(known),
        };
        let state = text(current, "state");
        let colour = colour_of(&state);
        // Each reason has a row of its own, so that none pushes another out of sight.
        let mut whys = reasons(environment, &status["now"]).into_iter();
        let mut row: Vec<Cell> = vec![
            place(environment).into(),
            runs.into(),
            age(&current["since"], &status["now"]).into(),
            Cell::in_colour(state, colour),
            text(&environment["candidate"], "tags").into(),
        ];
        row.extend(whys.next().into_iter().flatten().map(Cell::from));
        rows.push(row);
        rows.extend(whys.map(|why| {
            let mut row = vec![Cell::default(); 5];
            row.extend(why.map(Cell::from));
            row
        }));
    }
    rows
}

/// How much an environment asks for a look: first what failed or is stuck, then what waits for a person, then all else.
fn concern(environment: &Value) -> u8 {
    let whys = list(environment, "why");
    let failed = matches!(environment["current"]["state"].as_str(), Some("failed" | "unknown"));
    if failed || whys.iter().any(|why| why["stuck"] == true) {
        0
    } else if whys.iter().any(|why| why["turn"] == "person") {
        1
    } else {
        2
    }
}

/// Why nothing happens there, each reason once: for how long, whose turn it is, and the words.
fn reasons(environment: &Value, now: &Value) -> Vec<[String; 3]> {
    let mut reasons: Vec<[String; 3]> = Vec::new();
    for why in list(environment, "why") {
        let words = text(why, "text");
        if reasons.iter().any(|[_, _, known]| *known == words) {
            continue;
        }
        let turn = text(why, "turn");
        let asks = !matches!(turn.as_str(), "nobody" | "itself");
        reasons.push([age(&why["since"], now), if asks { turn } else { String::new() }, words]);
    }
    reasons
}

/// Says first how the daemon is: one line, and one for each trouble.
/// How many environments ask for what, the gravest first, as the page counts them.
fn counts(status: &Value) -> String {
    let n = |concern: &Concern| environments(status).filter(|it| it["concern"] == concern.code()).count();
    let counted = Concern::ALL.iter().map(|concern| (n(concern), concern.words())).filter(|(n, _)| *n > 0);
    counted.map(|(n, words)| format!("{n} {words}")).collect::<Vec<_>>().join(", ")
}

/// Whether the daemon is well, and its troubles; where a part is asked for, without the pins of others that cannot be read.
fn health(status: &Value, part: Option<&Part>) -> io::Result<()> {
    let troubles = list(status, "troubles");
    let (word, colour) = match troubles.len() {
        0 => ("well".to_owned(), AnsiColor::Green),
        1 => ("unwell: 1 trouble".to_owned(), AnsiColor::Red),
        n => (format!("unwell: {n} troubles"), AnsiColor::Red),
    };
    let ready = match (&status["ready"], text(status, "unready")) {
        (Value::Bool(false), why) if why.is_empty() => ", not ready yet".to_owned(),
        (Value::Bool(false), why) => format!(", not ready yet: {why}"),
        _ => String::new(),
    };
    print::line(&format!("{}{ready}", print::painted(&word, colour.on_default())))?;
    let is_asked = |trouble: &&Value| {
        let names = |part: &Part| text(trouble, "text").contains(&format!("{}/", part.policy));
        trouble["what"] != "pin_unread" || part.is_none_or(names)
    };
    let asked: Vec<&Value> = troubles.iter().filter(is_asked).collect();
    for trouble in &asked {
        print::line(&trouble_line(trouble, &status["now"]))?;
    }
    if asked.len() < troubles.len() {
        print::line(&format!("  {} elsewhere: `tagrelay status` tells them", troubles.len() - asked.len()))?;
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
    fn what_asks_for_a_look_comes_first() {
        let why = |turn: &str, stuck: bool| json!({ "text": turn, "turn": turn, "stuck": stuck });
        let environments = json!({ "environments": [
            { "environment": "quiet", "current": { "state": "verified" }, "why": [why("nobody", false)] },
            { "environment": "waits", "current": null, "why": [why("itself", false), why("person", false)] },
            { "environment": "failed", "current": { "state": "failed" }, "why": [] },
            { "environment": "stuck", "current": { "state": "verified" }, "why": [why("operator", true)] },
        ] });
        let mut sorted: Vec<&Value> = list(&environments, "environments").iter().collect();
        sorted.sort_by_key(|environment| concern(environment));
        let names: Vec<String> = sorted.iter().map(|it| text(it, "environment")).collect();
        assert_eq!(names, ["failed", "stuck", "waits", "quiet"]);
    }

    #[test]
    fn a_reason_says_for_how_long_and_whose_turn_it_is() {
        let since = json!("2026-01-05T10:00:00Z");
        let environment = json!({ "why": [
            { "text": "waits for approval", "turn": "person", "since": since },
            { "text": "soaks", "turn": "itself", "since": null },
            { "text": "soaks", "turn": "itself", "since": since },
        ] });
        let expected = [["3m", "person", "waits for approval"], ["", "", "soaks"]];
        assert_eq!(reasons(&environment, &json!("2026-01-05T10:03:00Z")), expected);
    }

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
