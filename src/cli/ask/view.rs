//! What several answers have in common: an environment in a few lines, releases and moments as people read them.

use crate::cli::print;
use crate::model::text::is_unseen;
use clap::builder::styling::{AnsiColor, Style};
use jiff::{Timestamp, Unit};
use serde_json::Value;
use std::io;

/// How many characters of a digest or a release's id are shown: as many as `docker images` does.
const DIGEST_CHARS: usize = 12;

/// The list under a key; empty where there is none.
pub(super) fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The text under a key, without anything that a terminal would obey.
pub(super) fn text(value: &Value, key: &str) -> String {
    match &value[key] {
        Value::Null => String::new(),
        Value::String(text) => harmless(text),
        other => other.to_string(),
    }
}

/// One line without control characters. It is not cut: the daemon bounds what it says.
pub(super) fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || is_unseen(c) { ' ' } else { c }).collect()
}

/// `shop/prod`.
pub(super) fn place(environment: &Value) -> String {
    format!("{}/{}", text(environment, "policy"), text(environment, "environment"))
}

/// A release's tags, and its digest; of several images its id, which commands take.
pub(super) fn release(release: &Value) -> String {
    let mut digests = release["digests"].as_object().into_iter().flatten().filter_map(|(_, digest)| digest.as_str());
    let named = match (digests.next(), digests.next()) {
        (Some(digest), None) => short(digest.trim_start_matches("sha256:")),
        _ => short(&text(release, "id")),
    };
    format!("{} {named}", text(release, "tags")).trim().to_owned()
}

/// The beginning of a digest or an id, without anything that a terminal would obey.
fn short(whole: &str) -> String {
    harmless(whole).chars().take(DIGEST_CHARS).collect()
}

/// Why nothing happens there, each reason once: two releases may wait for the same thing.
pub(super) fn whys(environment: &Value) -> Vec<String> {
    let mut whys = Vec::new();
    for why in list(environment, "why") {
        let words = text(why, "text");
        if !whys.contains(&words) {
            whys.push(words);
        }
    }
    whys
}

/// The same, each with the time since when it is so, and whether anything ends it by itself.
fn whys_since(environment: &Value) -> Vec<String> {
    let mut whys: Vec<(String, String)> = Vec::new();
    for why in list(environment, "why") {
        let words = text(why, "text");
        let since = if why["since"].is_null() { String::new() } else { format!(" (since {})", moment(why, "since")) };
        let stuck = if why["stuck"] == true { ": nothing ends this by itself" } else { "" };
        if !whys.iter().any(|(known, _)| *known == words) {
            whys.push((words, format!("{since}{stuck}")));
        }
    }
    whys.into_iter().map(|(words, since)| words + &since).collect()
}

/// A moment to the second.
pub(super) fn moment(value: &Value, key: &str) -> String {
    let written = text(value, key);
    let parsed: Option<Timestamp> = written.parse().ok();
    let rounded = parsed.and_then(|at| at.round(Unit::Second).ok());
    rounded.map_or(written, |at| at.to_string())
}

/// How long ago, in its largest unit: `40s`, `12m`, `3h`, `5d`.
pub(super) fn age(since: &Value, now: &Value) -> String {
    let parsed = |value: &Value| value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
    let Some((since, now)) = parsed(since).zip(parsed(now)) else { return String::new() };
    let seconds = now.duration_since(since).as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// The colour of a rollout's state.
pub(super) fn colour_of(state: &str) -> AnsiColor {
    match state {
        "verified" => AnsiColor::Green,
        "failed" | "unknown" => AnsiColor::Red,
        "progressing" => AnsiColor::Yellow,
        _ => AnsiColor::BrightBlack,
    }
}

/// An environment in a few lines: what runs, what is next, every gate, and why nothing happens.
pub(super) fn environment(environment: &Value) -> io::Result<()> {
    print::line(&print::painted(&place(environment), Style::new().bold()))?;
    match &environment["current"] {
        Value::Null => print::line(&format!("  pin      {}", text(environment, "pin")))?,
        current => {
            let runs =
                if current["release"].is_null() { text(environment, "pin") } else { release(&current["release"]) };
            let state = text(current, "state");
            let state = print::painted(&state, colour_of(&state).on_default());
            let because = text(current, "because");
            print::line(&format!("  runs     {runs} since {}: {state} ({because})", moment(current, "since")))?;
            if !current["why"].is_null() {
                print::line(&format!("           {}", text(current, "why")))?;
            }
            if !current["url"].is_null() {
                print::line(&format!("           see {}", text(current, "url")))?;
            }
        }
    }
    if !environment["candidate"].is_null() {
        print::line(&format!("  next     {}", release(&environment["candidate"])))?;
    }
    for gate in list(environment, "gates") {
        let (mark, colour) = if gate["open"] == true { ("open", AnsiColor::Green) } else { ("shut", AnsiColor::Red) };
        print::line(&format!("  gate     {}: {}", print::painted(mark, colour.on_default()), text(gate, "words")))?;
    }
    for why in whys_since(environment) {
        print::line(&format!("  why      {why}"))?;
    }
    for hold in list(environment, "holds") {
        let until = if hold["until"].is_null() { String::new() } else { format!(" until {}", moment(hold, "until")) };
        let (who, why) = (text(hold, "who"), text(hold, "why"));
        print::line(&format!(
            "  held     {} by {who} since {}{until}: {why}",
            text(hold, "scope"),
            moment(hold, "since")
        ))?;
    }
    for refusal in list(environment, "refusals") {
        let (who, why) = (text(refusal, "who"), text(refusal, "why"));
        print::line(&format!("  refused  {} by {who}: {why}", release(&refusal["release"])))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn moments_and_ages() {
        let value = json!({ "at": "2026-01-02T03:04:05.678901234Z", "odd": "\u{1b}[31mred" });
        assert_eq!(moment(&value, "at"), "2026-01-02T03:04:06Z");
        assert_eq!(text(&value, "odd"), " [31mred");
        let now = json!("2026-01-10T00:00:00Z");
        for (since, shown) in [
            ("2026-01-09T23:59:20Z", "40s"),
            ("2026-01-09T23:48:00Z", "12m"),
            ("2026-01-09T21:00:00Z", "3h"),
            ("2026-01-05T00:00:00Z", "5d"),
            ("2026-01-11T00:00:00Z", "0s"),
            ("yesterday", ""),
        ] {
            assert_eq!(age(&json!(since), &now), shown, "{since}");
        }
    }

    #[test]
    fn a_reason_is_given_once() {
        let why = |text: &str| json!({ "code": "C", "text": text });
        let environment = json!({ "why": [why("waits"), why("held"), why("waits")] });
        assert_eq!(whys(&environment), ["waits", "held"]);
    }

    #[test]
    fn a_reason_says_since_when_and_whether_it_ends() {
        let since = json!("2026-01-02T03:04:05Z");
        let environment = json!({ "why": [
            { "text": "waits", "since": since, "stuck": false },
            { "text": "unread", "since": null, "stuck": true },
            { "text": "waits", "since": null },
        ] });
        let expected = ["waits (since 2026-01-02T03:04:05Z)", "unread: nothing ends this by itself"];
        assert_eq!(whys_since(&environment), expected);
    }

    #[test]
    fn a_release_is_its_tags_and_one_name() {
        let one =
            json!({ "id": "ab0123456789cd", "tags": "1.2.0", "digests": { "shop": "sha256:0123456789abcdef0123" } });
        assert_eq!(release(&one), "1.2.0 0123456789ab");
        let two = json!({ "id": "ab0123456789cd", "tags": "1.2.0", "digests": { "shop": "sha256:01", "worker": "sha256:02" } });
        assert_eq!(release(&two), "1.2.0 ab0123456789");
    }
}
