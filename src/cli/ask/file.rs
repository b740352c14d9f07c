//! `tagrelay explain --file PATH`: which environments write a file, or why none does.

use super::client::Server;
use super::view::{harmless, list, place, release, text, whys};
use super::{Exit, print};
use clap::builder::styling::{AnsiColor, Style};
use serde_json::Value;
use std::io;

/// Explains a file.
pub(super) async fn explain(server: &Server, path: &str) -> anyhow::Result<Exit> {
    let answer = server.get(&["files"], &[("path", path)]).await?;
    let writers = list(&answer, "writers");
    if server.json {
        print::json(&answer)?;
    } else {
        writers.iter().try_for_each(writer)?;
        let (shown, all) = (writers.len() as u64, answer["n_writers"].as_u64().unwrap_or_default());
        if all > shown {
            print::line(&format!("and {} more", all - shown))?;
        }
    }
    if !writers.is_empty() {
        return Ok(Exit::Done);
    }
    list(&answer, "notes").iter().filter_map(Value::as_str).for_each(|note| print::complain(&harmless(note)));
    for near in list(&answer, "near").iter().filter_map(Value::as_str) {
        print::complain(&format!("is {} meant?", harmless(near)));
    }
    Ok(Exit::Nothing)
}

fn writer(writer: &Value) -> io::Result<()> {
    let environment = &writer["environment"];
    let head = format!("{} in {}", text(writer, "file"), place(environment));
    print::line(&print::painted(&head, Style::new().bold()))?;
    print::line(&format!("  on       branch {} of {}", text(writer, "branch"), text(writer, "repository")))?;
    for key in list(writer, "keys").iter().filter_map(Value::as_str) {
        print::line(&format!("  writes   {}", harmless(key)))?;
    }
    if list(writer, "keys").is_empty() {
        print::line("  writes   where is not known: the file could not be read yet")?;
    }
    let current = &environment["current"];
    let runs = if current["release"].is_null() { text(environment, "pin") } else { release(&current["release"]) };
    let state = print::painted(&text(current, "state"), AnsiColor::BrightBlack.on_default());
    print::line(&format!("  runs     {runs} {state}"))?;
    for why in whys(environment) {
        print::line(&format!("  why      {why}"))?;
    }
    Ok(())
}
