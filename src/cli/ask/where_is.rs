//! `tagrelay where`: where a build is, how long until it is there, and what an environment does not have yet.

use super::client::{NobodyAnswers, Server};
use super::view::{list, moment, place, release, text};
use super::{Exit, Place, print};
use crate::cli::print::Cell;
use crate::model::Span;
use clap::Args;
use clap::builder::styling::{AnsiColor, Style};
use serde_json::Value;
use std::io;
use std::time::Duration;
use tokio::time::Instant;

/// How often the daemon is asked again while somebody waits.
const ASK_AGAIN: Duration = Duration::from_secs(2);
/// How long a daemon that answered before may be silent: as long as a restart takes, with time to spare.
const SILENCE_MAX: Duration = Duration::from_secs(120);
/// How many characters of a commit are shown: as many as `git log --oneline` shows of a large repository, and a few more.
const COMMIT_CHARS: usize = 12;

/// What to look for.
#[derive(Debug, Args)]
pub(in crate::cli) struct Where {
    /// A tag, a digest, a release, or the commit that the image was built from; ids may be cut short.
    #[arg(value_name = "COMMIT|TAG|DIGEST", required_unless_present = "not_in")]
    of: Option<String>,
    /// List what this environment does not have yet, oldest first.
    #[arg(long, value_name = "POLICY/ENV", conflicts_with_all = ["of", "wait"])]
    not_in: Option<Place>,
    /// Wait until it runs in this environment (with `:verified`: until it is verified there).
    #[arg(long, value_name = "[POLICY/]ENV[:arrived|:verified]", value_parser = goal)]
    wait: Option<Goal>,
    /// How long to wait.
    #[arg(long, value_name = "DURATION", default_value = "30m", requires = "wait", value_parser = span)]
    timeout: Span,
    #[command(flatten)]
    server: Server,
}

/// What is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Goal {
    /// `ENV` or `POLICY/ENV`.
    environment: String,
    verified: bool,
}

fn goal(text: &str) -> Result<Goal, String> {
    let (environment, verified) = match text.split_once(':') {
        None | Some((_, "arrived")) => (text.trim_end_matches(":arrived"), false),
        Some((environment, "verified")) => (environment, true),
        Some((_, other)) => return Err(format!("`{other}` is not waited for: say `arrived` or `verified`")),
    };
    Ok(Goal { environment: environment.to_owned(), verified })
}

fn span(text: &str) -> Result<Span, String> {
    Span::parse(text).map_err(|error| error.to_string())
}

impl Where {
    /// Looks for it.
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        if let Some(place) = &self.not_in {
            return self.not_yet(place).await;
        }
        let of = self.of.as_deref().unwrap_or_default();
        let begun = Instant::now();
        let mut heard_at: Option<Instant> = None;
        loop {
            let asked = self.server.get(&["where"], &[("of", of)]).await;
            let Some(goal) = &self.wait else { return self.show(&asked?, Exit::Done) };
            let is_over = begun.elapsed() >= self.timeout.get();
            // A daemon that answered before may be starting again. One that never did is told at once.
            let is_silent = asked.as_ref().is_err_and(|error| error.is::<NobodyAnswers>());
            if !is_silent {
                heard_at = Some(Instant::now());
            }
            let is_patient = is_silent && heard_at.is_some_and(|at| at.elapsed() < SILENCE_MAX);
            match asked {
                Ok(answer) => {
                    let come = reached(&answer, goal);
                    if come != Some(Exit::Nothing) || is_over {
                        return self.show(&answer, come.unwrap_or(Exit::Wrong));
                    }
                }
                Err(_) if is_patient && !is_over => {}
                // Nobody may have heard of it yet: its image is still being built.
                Err(error) if is_over || crate::cli::exit_of(&error) != Exit::Nothing => return Err(error),
                Err(_) => {}
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    fn show(&self, answer: &Value, exit: Exit) -> anyhow::Result<Exit> {
        if self.server.json {
            print::json(answer)?;
            return Ok(exit);
        }
        for release in list(answer, "releases") {
            print::line(&print::painted(&named(release), Style::new().bold()))?;
        }
        more(answer, "releases", "n_releases")?;
        let row = |standing| vec![place(standing).into(), sentence(standing)];
        print::table(&list(answer, "environments").iter().map(row).collect::<Vec<Vec<Cell>>>())?;
        more(answer, "environments", "n_environments")?;
        if exit == Exit::Wrong {
            print::complain("no environment of that name has to do with it");
        }
        Ok(exit)
    }

    async fn not_yet(&self, place: &Place) -> anyhow::Result<Exit> {
        let name = format!("{}/{}", place.policy, place.environment);
        let answer = self.server.get(&["where"], &[("not_in", &name)]).await?;
        if self.server.json {
            print::json(&answer)?;
        } else {
            print::table(&missing(&answer))?;
            more(&answer, "not_yet", "n_releases")?;
        }
        if list(&answer, "not_yet").is_empty() {
            print::complain(&format!("{name} has all that came before it"));
            return Ok(Exit::Nothing);
        }
        Ok(Exit::Done)
    }
}

/// Whether the release came, failed, or is still to come, by the exit that says so; none where no environment of that name
/// is shown.
fn reached(answer: &Value, goal: &Goal) -> Option<Exit> {
    let is_meant =
        |standing: &&Value| standing["environment"] == goal.environment.as_str() || place(standing) == goal.environment;
    let each = list(answer, "environments").iter().filter(is_meant).map(|standing| {
        let state = &standing["arrival"]["state"];
        match standing["presence"].as_str() {
            Some("runs") if state == "failed" => Exit::Failed,
            Some("runs") if !goal.verified || state == "verified" => Exit::Done,
            // Something newer is there in its place: it counts by its own state.
            Some("newer") if standing["runs_state"] == "failed" => Exit::Failed,
            Some("newer") if !goal.verified || standing["runs_state"] == "verified" => Exit::Done,
            Some("refused") => Exit::Failed,
            Some("ran_before") if state == "failed" || is_refused(standing) => Exit::Failed,
            Some("ran_before")
                if !goal.verified || [state, &standing["runs_state"]].iter().any(|it| *it == "verified") =>
            {
                Exit::Done
            }
            _ => Exit::Nothing,
        }
    });
    let each: Vec<Exit> = each.collect();
    // All of that name must be there, and one that failed is told at once.
    let order = [Exit::Failed, Exit::Nothing, Exit::Done];
    order.into_iter().find(|exit| each.contains(exit))
}

/// Whether the release was taken back there, and is refused since.
fn is_refused(standing: &Value) -> bool {
    list(standing, "why").iter().any(|why| why["code"] == "Refused")
}

/// A release with the commits that its builds name as their source.
fn named(release_of: &Value) -> String {
    let mut commits: Vec<String> = Vec::new();
    for commit in release_of["revisions"].as_object().into_iter().flatten().filter_map(|(_, commit)| commit.as_str()) {
        let short: String = super::view::harmless(commit).chars().take(COMMIT_CHARS).collect();
        if !commits.contains(&short) {
            commits.push(short);
        }
    }
    let from = if commits.is_empty() { String::new() } else { format!(" built from {}", commits.join(", ")) };
    format!("{}{from}", release(release_of))
}

/// How an environment stands to the release, in the daemon's words.
fn sentence(standing: &Value) -> Cell {
    let colour = match text(standing, "presence").as_str() {
        "runs" => super::view::colour_of(&text(&standing["arrival"], "state")),
        "waits" => AnsiColor::Yellow,
        "refused" => AnsiColor::Red,
        _ => AnsiColor::BrightBlack,
    };
    Cell::in_colour(text(standing, "text"), colour)
}

/// The releases that an environment does not have yet, a row each.
fn missing(answer: &Value) -> Vec<Vec<Cell>> {
    let mut rows = vec![["RELEASE", "SINCE", "RUNS IN", "HERE"].map(Cell::heading).to_vec()];
    rows.extend(list(answer, "not_yet").iter().map(|missing| {
        let runs_in: Vec<&str> = list(missing, "runs_in").iter().filter_map(Value::as_str).collect();
        vec![
            named(&missing["standing"]["release"]).into(),
            moment(missing, "since").into(),
            super::view::harmless(&runs_in.join(", ")).into(),
            text(&missing["standing"], "text").into(),
        ]
    }));
    if rows.len() == 1 { Vec::new() } else { rows }
}

fn more(answer: &Value, key: &str, n: &str) -> io::Result<()> {
    let (shown, all) = (list(answer, key).len() as u64, answer[n].as_u64().unwrap_or_default());
    if all > shown { print::line(&format!("and {} more", all - shown)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_waited_for_comes_fails_or_is_not_there_yet() {
        let answer = |rows: &[(&str, &str, &str)]| {
            let row = |(environment, presence, state): &(&str, &str, &str)| json!({ "policy": "shop", "environment": environment, "presence": presence, "arrival": { "state": state } });
            json!({ "environments": rows.iter().map(row).collect::<Vec<_>>() })
        };
        for (wait, rows, expected) in [
            ("prod", &[("prod", "runs", "progressing")][..], Some(Exit::Done)),
            ("shop/prod:arrived", &[("prod", "runs", "progressing")], Some(Exit::Done)),
            ("prod:verified", &[("prod", "runs", "progressing")], Some(Exit::Nothing)),
            ("prod:verified", &[("prod", "runs", "verified")], Some(Exit::Done)),
            ("prod", &[("prod", "runs", "failed")], Some(Exit::Failed)),
            ("prod", &[("prod", "refused", "")], Some(Exit::Failed)),
            ("prod", &[("prod", "waits", "")], Some(Exit::Nothing)),
            ("prod", &[("prod", "never", "")], Some(Exit::Nothing)),
            ("prod", &[("prod", "newer", "")], Some(Exit::Done)),
            ("prod:verified", &[("prod", "newer", "")], Some(Exit::Nothing)),
            ("prod", &[("prod", "ran_before", "failed")], Some(Exit::Failed)),
            ("prod", &[("prod", "runs", "verified"), ("prod", "waits", "")], Some(Exit::Nothing)),
            ("prod", &[("dev", "runs", "verified")], None),
            ("ship/prod", &[("prod", "runs", "verified")], None),
        ] {
            assert_eq!(reached(&answer(rows), &goal(wait).expect("a goal")), expected, "{wait} {rows:?}");
        }
        let one = |presence: &str, runs: &str, why: &str| {
            json!({ "environments": [{ "policy": "shop", "environment": "prod",
            "presence": presence, "runs_state": runs, "arrival": { "state": "canceled" }, "why": [{ "code": why }] }] })
        };
        for (answer, expected) in [
            (one("newer", "verified", "NotNewer"), Exit::Done),
            (one("newer", "failed", "NotNewer"), Exit::Failed),
            (one("newer", "progressing", "NotNewer"), Exit::Nothing),
            (one("ran_before", "verified", "NotNewer"), Exit::Done),
            (one("ran_before", "verified", "Refused"), Exit::Failed),
        ] {
            assert_eq!(reached(&answer, &goal("prod:verified").expect("a goal")), Some(expected), "{answer}");
        }
        assert!(goal("prod:done").is_err());
    }

    #[test]
    fn a_release_with_its_commits() {
        let of = json!({ "id": "ab", "tags": "1.2.0", "digests": { "shop": "sha256:0123456789abcdef" }, "revisions": { "shop": "0123456789abcdef" } });
        assert_eq!(named(&of), "1.2.0 0123456789ab built from 0123456789ab");
    }
}
