//! `tagrelay history`: what happened, newest first.

use super::client::Server;
use super::view::{harmless, list, moment, text};
use super::{Exit, Part, print};
use crate::cli::print::Cell;
use crate::daemon::Clock;
use crate::model::Span;
use clap::Args;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::Value;

/// How many entries are shown where nothing is said.
const ENTRIES_DEFAULT: u32 = 50;
/// How many entries are shown at the most.
const ENTRIES_MAX: u32 = 1000;

/// What to show.
#[derive(Debug, Args)]
pub(in crate::cli) struct History {
    /// One policy or environment; default all.
    #[arg(value_name = "POLICY[/ENV]")]
    part: Option<Part>,
    /// How many entries, at most 1000; default 50, and with --since as many as there are.
    #[arg(short, value_parser = clap::value_parser!(u32).range(1..=i64::from(ENTRIES_MAX)))]
    n: Option<u32>,
    /// Only what happened since: how long ago (1h, 2d), a day (from midnight UTC) or RFC 3339.
    #[arg(long, value_name = "WHEN", value_parser = since)]
    since: Option<Timestamp>,
    /// Show what each release changed: the commit, the files and keys or the tags, and the values before and after.
    #[arg(long)]
    files: bool,
    /// Only entries before this one: the number in the first column.
    #[arg(long, value_name = "NUMBER")]
    before: Option<u64>,
    #[command(flatten)]
    server: Server,
}

impl History {
    /// Shows it.
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        let limit = self.n.unwrap_or(if self.since.is_some() { ENTRIES_MAX } else { ENTRIES_DEFAULT });
        let (shown, before) = (limit.to_string(), self.before.map(|before| before.to_string()));
        let since = self.since.map(|since| since.to_string());
        let policy = self.part.as_ref().map(|part| part.policy.as_str());
        let environment = self.part.as_ref().and_then(|part| part.environment.as_ref()).map(|name| name.as_str());
        let mut query = vec![("limit", shown.as_str())];
        query.extend(before.as_deref().map(|before| ("before", before)));
        query.extend(since.as_deref().map(|since| ("since", since)));
        query.extend(self.files.then_some(("files", "true")));
        query.extend(policy.map(|policy| ("policy", policy)));
        query.extend(environment.map(|environment| ("environment", environment)));
        let answer = self.server.get(&["history"], &query).await?;
        if self.server.json {
            print::json(&answer)?;
        } else {
            print::table(&list(&answer, "history").iter().flat_map(rows).collect::<Vec<_>>())?;
        }
        let entries = list(&answer, "history");
        let Some(oldest) = entries.last() else {
            print::complain(&match self.since {
                Some(since) => format!("nothing happened since {since:.0}"),
                None => "nothing is kept of that".to_owned(),
            });
            return Ok(Exit::Nothing);
        };
        if self.since.is_some() && entries.len() >= limit as usize {
            let before = text(oldest, "sequence");
            print::complain(&format!("there may be more: say --before {before} besides"));
        }
        Ok(Exit::Done)
    }
}

/// A moment that is past: as it is written, the beginning of a day in UTC, or so long ago.
fn since(text: &str) -> Result<Timestamp, String> {
    let ago = || Clock::System.now().checked_sub(Span::parse(text).ok()?.get()).ok();
    let day = || Some(Date::strptime("%Y-%m-%d", text).ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp());
    let at = text.parse::<Timestamp>().ok().or_else(ago).or_else(day);
    at.ok_or_else(|| {
        "write how long ago, like 1h or 2d, a day like 2026-01-31, or a moment like 2026-01-31T09:00:00Z".to_owned()
    })
}

/// An entry, and a row for each thing that it changed.
fn rows(entry: &Value) -> Vec<Vec<Cell>> {
    let mut rows: Vec<Vec<Cell>> = vec![vec![
        text(entry, "sequence").into(),
        moment(entry, "at").into(),
        text(entry, "scope").into(),
        text(entry, "kind").into(),
        text(entry, "text").into(),
    ]];
    rows.extend(changes(&entry["changed"]).into_iter().map(|change| {
        let mut row = vec![Cell::default(); 4];
        row.push(change.into());
        row
    }));
    rows
}

/// What an entry changed, a line each: first the commit, then the files and tags, then the values.
fn changes(changed: &Value) -> Vec<String> {
    let commit = changed["commit"].as_str().map(|_| format!("commit {}", text(changed, "commit")));
    let file = |it: &Value| format!("{}: {}", text(it, "file"), text(it, "key"));
    let tag = |it: &Value| format!("tag {}", harmless(it.as_str().unwrap_or_default()));
    let value = |it: &Value| {
        let was = if it["was"].is_null() { "?".to_owned() } else { text(it, "was") };
        format!("{}: {was} -> {}", text(it, "image"), text(it, "is"))
    };
    let mut lines: Vec<String> = commit.into_iter().collect();
    lines.extend(list(changed, "files").iter().map(file));
    lines.extend(list(changed, "tags").iter().map(tag));
    lines.extend(list(changed, "values").iter().map(value));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_moment_that_is_past() {
        let hour = Clock::System.now().duration_since(since("1h").expect("a moment")).as_secs();
        assert!((3599..=3610).contains(&hour), "{hour}");
        assert_eq!(since("2026-01-01T00:00:00Z").map(|at| at.to_string()), Ok("2026-01-01T00:00:00Z".to_owned()));
        assert_eq!(since("2026-01-01").map(|at| at.to_string()), Ok("2026-01-01T00:00:00Z".to_owned()));
        for wrong in ["yesterday", "", "1", "2026-01-32", "2026-01-01T09:00"] {
            assert!(since(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_a_release_changed() {
        let changed = json!({
            "commit": "c0ffee",
            "files": [{ "repository": "r", "branch": "main", "file": "prod.yaml", "key": "spec/image" }],
            "tags": ["reg.io/shop:prod"],
            "values": [{ "image": "shop", "was": "1.0", "is": "1.1" }, { "image": "db", "was": null, "is": "2" }],
        });
        let lines =
            ["commit c0ffee", "prod.yaml: spec/image", "tag reg.io/shop:prod", "shop: 1.0 -> 1.1", "db: ? -> 2"];
        assert_eq!(changes(&changed), lines);
        assert!(changes(&Value::Null).is_empty());
    }
}
