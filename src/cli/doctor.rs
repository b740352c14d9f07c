//! `tagrelay doctor`: whether registries, repositories and GitLab allow what the policies need, and what to do where they do
//! not.

use super::print::Cell;
use super::{ConfigFile, Exit, once, print, with_config};
use crate::config::Config;
use crate::daemon::view::RightView;
use crate::model::text::is_unseen;
use clap::Args;
use clap::builder::styling::AnsiColor;
use serde_json::{Value, json};
use std::io;
use std::sync::Arc;

/// Where the configuration stands, and how to print.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    file: ConfigFile,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Doctor {
    /// Asks about everything; nothing outside is changed.
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        with_config(&self.file, |config| self.examine(config))
    }

    async fn examine(&self, config: Arc<Config>) -> anyhow::Result<Exit> {
        let (rights, rest) = once::rights(config).await?;
        if self.json {
            let rights: Vec<Value> = rights.iter().map(form).collect();
            print::json(&json!({ "rights": rights, "errors": rest.errors }))?;
        } else {
            table(&rights)?;
            for error in &rest.errors {
                print::complain(&format!("error: {error}"));
            }
            summary(&rights);
        }
        let is_ill = rights.iter().any(|right| matches!(right.answer, "missing" | "unknown"));
        Ok(match (is_ill || !rest.errors.is_empty(), rest.policies.is_empty()) {
            (true, _) => Exit::Failed,
            (false, true) => Exit::Nothing,
            (false, false) => Exit::Done,
        })
    }
}

fn form(right: &RightView) -> Value {
    json!({
        "kind": right.kind,
        "name": right.name,
        "right": right.right,
        "needed_by": right.needed_by,
        "n_needed_by": right.n_needed_by,
        "answer": right.answer,
        "text": right.text,
        "remedy": right.remedy,
    })
}

/// What is missing comes first, each with what to do.
fn table(rights: &[RightView]) -> io::Result<()> {
    let mut sorted: Vec<&RightView> = rights.iter().collect();
    sorted.sort_by_key(|right| match right.answer {
        "missing" => 0,
        "unknown" => 1,
        "untried" => 2,
        _ => 3,
    });
    let mut rows = Vec::new();
    for right in sorted {
        let colour = match right.answer {
            "missing" | "unknown" => AnsiColor::Red,
            "untried" => AnsiColor::Yellow,
            _ => AnsiColor::Green,
        };
        rows.push(vec![
            Cell::in_colour(right.answer, colour),
            right.kind.into(),
            one_line(&right.name).into(),
            right.right.into(),
            one_line(&right.text).into(),
        ]);
        for line in [right.remedy.as_ref().map(|remedy| format!("-> {remedy}")), needed_by(right)].into_iter().flatten()
        {
            let mut row = vec![Cell::default(); 4];
            row.push(line.into());
            rows.push(row);
        }
    }
    print::table(&rows)
}

/// Who needs a right that is not there, or cannot be tried.
fn needed_by(right: &RightView) -> Option<String> {
    if right.answer == "has" || right.needed_by.is_empty() {
        return None;
    }
    let more = right.n_needed_by.saturating_sub(right.needed_by.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Some(format!("needed by {}{more}", right.needed_by.join(", ")))
}

fn summary(rights: &[RightView]) {
    let n = |answer: &str| rights.iter().filter(|right| right.answer == answer).count();
    print::complain(&format!(
        "{} rights: {} there, {} missing, {} unknown, {} that cannot be tested without a push",
        rights.len(),
        n("has"),
        n("missing"),
        n("unknown"),
        n("untried")
    ));
}

/// Text without breaks and control characters: it comes from servers, too.
fn one_line(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().filter(|c| !c.is_control() && !is_unseen(*c)).collect()
}
