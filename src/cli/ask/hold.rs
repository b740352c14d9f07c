//! `tagrelay hold | resume`: changes stop, and go on.

use super::client::Server;
use super::{Exit, Part, kept};
use crate::daemon::Clock;
use crate::model::{EnvironmentName, Span};
use clap::Args;
use jiff::{Timestamp, Unit};
use serde_json::{Map, Value, json};

/// What is held or resumed.
#[derive(Debug, Args)]
struct Over {
    /// One policy or environment.
    #[arg(value_name = "POLICY[/ENV]", required_unless_present_any = ["all", "env"], conflicts_with = "all")]
    part: Option<Part>,
    /// Every policy.
    #[arg(long)]
    all: bool,
    /// This environment of every policy.
    #[arg(long, value_name = "ENV", conflicts_with = "part")]
    #[arg(value_parser = |text: &str| EnvironmentName::parse(text).map_err(|error| error.to_string()))]
    env: Option<EnvironmentName>,
}

impl Over {
    /// As the daemon reads it: what is not named means all.
    fn body(self) -> Map<String, Value> {
        let (policy, environment) = match self.part {
            Some(part) => (Some(part.policy), part.environment),
            None => (None, self.env),
        };
        let mut body = Map::new();
        body.extend(policy.map(|policy| ("policy".to_owned(), json!(policy.as_str()))));
        body.extend(environment.map(|environment| ("environment".to_owned(), json!(environment.as_str()))));
        body
    }
}

/// What to hold.
#[derive(Debug, Args)]
pub(in crate::cli) struct Hold {
    #[command(flatten)]
    over: Over,
    /// Why: whoever finds the hold wants to know.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    reason: String,
    /// Until when: RFC 3339, or how long from now (2h, 7d); default until resumed.
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    until: Option<Timestamp>,
    #[command(flatten)]
    server: Server,
}

impl Hold {
    /// Holds.
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        let mut body = self.over.body();
        body.insert("reason".to_owned(), json!(self.reason));
        body.extend(self.until.map(|until| ("until".to_owned(), json!(until.to_string()))));
        let answer = self.server.post(&["hold"], &Value::Object(body)).await?;
        kept(&self.server, &answer)
    }
}

/// What to resume.
#[derive(Debug, Args)]
pub(in crate::cli) struct Resume {
    #[command(flatten)]
    over: Over,
    /// Only these: `unknown` (no verdict came), `journal` (another journal wrote there), `too-many` (the limit on changes),
    /// `failures` (many policies failed),
    /// or the holds of this name.
    #[arg(long, value_name = "unknown|journal|too-many|failures|NAME", conflicts_with = "every")]
    of: Option<String>,
    /// Whatever stands there, of several kinds and authors.
    #[arg(long)]
    every: bool,
    #[command(flatten)]
    server: Server,
}

impl Resume {
    /// Resumes.
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        let mut body = self.over.body();
        body.extend(self.of.map(|of| ("of".to_owned(), json!(of))));
        if self.every {
            body.insert("every".to_owned(), json!(true));
        }
        let answer = self.server.post(&["resume"], &Value::Object(body)).await?;
        kept(&self.server, &answer)
    }
}

/// A moment that is still to come: a hold until the past would stop nothing, and say that it did.
fn moment(text: &str) -> Result<Timestamp, String> {
    let now = Clock::System.now();
    let at = match (text.parse::<Timestamp>(), Span::parse(text)) {
        (Ok(at), _) => at,
        (Err(_), Ok(span)) => now.checked_add(span.get()).map_err(|error| error.to_string())?,
        (Err(_), Err(_)) => {
            return Err("write a moment like 2026-01-31T09:00:00Z, or a duration like 2h or 7d".to_owned());
        }
    };
    if at <= now {
        return Err(format!("{at} is past"));
    }
    at.round(Unit::Second).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_ends_in_the_future() {
        let soon = moment("2h").expect("a moment").duration_since(Clock::System.now()).as_secs();
        assert!((7190..=7201).contains(&soon), "{soon}");
        assert_eq!(moment("2999-01-01T00:00:00Z").map(|at| at.to_string()), Ok("2999-01-01T00:00:00Z".to_owned()));
        for wrong in ["2020-01-01T00:00:00Z", "0s", "tomorrow", "", "2999-01-01"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }
}
