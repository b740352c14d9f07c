//! The board: a summary, then a table of all environments, those that need a person first.

use super::look::{Look, summary};
use crate::daemon::view::{ArrivalView, Concern, EnvironmentView, HoldView, PolicyView, ReleaseView, Status};
use crate::model::{Span, Why};
use crate::relay::health::lines;
use jiff::Timestamp;
use maud::{Markup, html};
use std::time::Duration;

/// How many troubles are shown: one cause can make a hundred, and the board stands below.
const TROUBLES_MAX: usize = 5;

/// Everything that the page shows of this status.
pub(super) fn board(status: &Status, look: &Look) -> Markup {
    let policies = look.chosen(status);
    html! {
        header {
            h1 { "tagrelay" }
            @if status.mode == "observe" { span.badge.wait { "observing: nothing is changed" } }
            p { (status.now.strftime("%F %H:%M UTC")) " · " @let (address, word) = look.pause(); @if look.text().is_empty() { a href=(address) { (word) } " · " } "journal " code { (status.journal) } }
        }
        @if !status.policies.is_empty() { (finder(status, look)) }
        (troubles(status, look))
        @if status.policies.is_empty() {
            p.empty { "No policy is loaded. " @if !status.broken.is_empty() { "Mend what stands above." } }
        } @else {
            @if policies.is_empty() {
                p.empty { "Nothing here has “" (look.text()) "”. " a href="/" { "Show all" } }
            } @else {
                (table(&policies, status.now, look))
            }
        }
        (outside(status))
        footer {
            "tagrelay " (env!("CARGO_PKG_VERSION")) " · "
            a href="/api/v1/status" { "JSON" } " · " a href="/api/v1/openapi.json" { "API" } " · " a href="/metrics" { "metrics" }
        }
    }
}

/// What is wrong with the daemon and its policies. Whoever looks for something gets that, and how much else there is.
fn troubles(status: &Status, look: &Look) -> Markup {
    let troubles = lines(&status.health.troubles);
    let n_more = troubles.len().saturating_sub(TROUBLES_MAX);
    html! {
        @if look.text().is_empty() {
            @for trouble in troubles.iter().take(TROUBLES_MAX) { p.alert { (trouble) } }
            @if n_more > 0 { p.alert { "and " (n_more) " more: " code { "tagrelay status" } " lists all" } }
            @for broken in &status.broken { pre.alert { (broken) } }
            @for policy in &status.policies {
                @if let Some(broken) = &policy.broken { p.alert { strong { (policy.name) } " " (broken) } }
            }
        } @else if !troubles.is_empty() || !status.broken.is_empty() {
            @let n = troubles.len() + status.broken.len();
            p.alert { a href="/" { "unwell: " (n) @if n == 1 { " trouble" } @else { " troubles" } } }
        }
    }
}

/// How many environments there are of each kind, and the field that looks for some.
fn finder(status: &Status, look: &Look) -> Markup {
    html! {
        div.finder {
            p {
                @for (n, words, concern) in summary(status) {
                    a.count.(tone(concern)) href={ "/?q=is:" (concern.code()) } { (n) " " (words) } " "
                }
            }
            form method="get" action="/" {
                input type="search" name="q" value=(look.text()) maxlength="200" aria-label="Find"
                    placeholder="policy, environment, tag, digest, commit";
                button { "Find" }
                @if !look.text().is_empty() { " " a href="/" { "Show all" } }
            }
        }
    }
}

fn tone(concern: Concern) -> &'static str {
    match concern {
        Concern::Failed | Concern::Stuck | Concern::Held => "bad",
        Concern::Waits | Concern::OnItsWay => "wait",
        Concern::Well => "good",
    }
}

fn table(policies: &[(&PolicyView, Vec<&EnvironmentView>)], now: Timestamp, look: &Look) -> Markup {
    html! {
        table.board {
            thead { tr { th { "Environment" } th { "Runs" } th { "Rollout" } th { "Next" } th { "Why nothing else happens" } } }
            @for (policy, environments) in policies {
                tbody {
                    (heading(policy))
                    @for environment in environments { (row(environment, now, look)) }
                }
            }
        }
    }
}

fn heading(policy: &PolicyView) -> Markup {
    html! {
        tr.policy id=(policy.name) {
            th colspan="5" scope="rowgroup" {
                (policy.name)
                @if policy.broken.is_some() { " " span.badge.bad { "broken" } }
                small { (policy.images.join(", ")) " · " (policy.origin) }
            }
        }
    }
}

fn row(view: &EnvironmentView, now: Timestamp, look: &Look) -> Markup {
    let concern = view.concern();
    html! {
        tr.waits[concern == Concern::Waits].held[concern < Concern::Waits] id={ (view.policy) "/" (view.environment) } {
            th scope="row" { (view.environment) }
            td data-label="Runs" { (runs(view)) }
            td data-label="Rollout" { @if let Some(current) = &view.current { (rollout(current, now)) } @else { (nothing()) } }
            td data-label="Next" { (next(view)) }
            td data-label="Why" { (reasons(view, now, look)) }
        }
    }
}

fn runs(view: &EnvironmentView) -> Markup {
    let release = view.current.as_ref().and_then(|current| current.release.as_ref());
    match (release, &view.pin) {
        (Some(known), _) => release_cell(known),
        (None, Some(pin)) => html! { span.tag { (pin) } },
        (None, None) => nothing(),
    }
}

/// A release by its tags, with a short digest for each image; the whole digest is a touch away.
fn release_cell(release: &ReleaseView) -> Markup {
    html! {
        span.tag { (release.tags) }
        @for (image, digest) in &release.digests {
            " " code title={ (image) " " (digest) } { (digest.short()) }
        }
    }
}

fn rollout(current: &ArrivalView, now: Timestamp) -> Markup {
    let tone = match current.state {
        "verified" => "good",
        "failed" => "bad",
        "progressing" | "unknown" => "wait",
        _ => "dim",
    };
    html! {
        span class={ "badge " (tone) } title={ "rollout " (current.rollout) } { (current.state) }
        " " (since(current.since, now))
        small { (current.because) }
        @if let Some(why) = current.why.as_ref().filter(|_| tone == "bad" || tone == "dim") { small { (why) } }
        @if let Some(url) = &current.url { small { a href=(url) rel="noopener noreferrer nofollow" { "what was posted" } } }
        @if let Some(commit) = &current.commit { small { "commit " code title=(commit) { (commit.get(..8).unwrap_or(commit)) } } }
    }
}

fn next(view: &EnvironmentView) -> Markup {
    let place = format!("{}/{}", view.policy, view.environment);
    html! {
        @if let Some(candidate) = &view.candidate {
            (release_cell(candidate))
            ul.gates { @for gate in &view.gates { li class=(if gate.open { "open" } else { "shut" }) { (gate.words) } } }
            @if view.waits_for_approval { p.command { code { "tagrelay approve " (place) " " (candidate.short()) } } }
        } @else {
            (nothing())
        }
    }
}

/// Why nothing else happens: holds first, each with the command that lifts it, then what they do not say already.
fn reasons(view: &EnvironmentView, now: Timestamp, look: &Look) -> Markup {
    let told = |why: &&Why| {
        let is =
            |hold: &HoldView| matches!(why, Why::Held { who, reason, .. } if *who == hold.who && *reason == hold.why);
        !view.holds.iter().any(is)
    };
    html! {
        @for hold in &view.holds { (held(hold, now)) }
        @for why in view.why.iter().filter(told) { p title=(why.code()) { (why) } }
        @if !view.refusals.is_empty() { (refusals(view, look)) }
    }
}

/// The refusals of an environment, where the address says that they are open; else how many there are.
fn refusals(view: &EnvironmentView, look: &Look) -> Markup {
    let place = format!("{}/{}", view.policy, view.environment);
    let n = view.refusals.len();
    html! {
        @if look.has_open(&place) {
            p.more { (n) " refused here " a href={ (look.without(&place)) "#" (place) } { "close" } }
            @for refusal in &view.refusals { p.more { span.tag { (refusal.release.tags) } " by " (refusal.who) ": " (refusal.why) } }
        } @else {
            p.more { a href={ (look.with(&place)) "#" (place) } { (n) " refused here" } }
        }
    }
}

fn held(hold: &HoldView, now: Timestamp) -> Markup {
    // What was held together is resumed together: by the scope that was named.
    let scope = match hold.scope.strip_prefix('*') {
        None => hold.scope.clone(),
        Some("") => "--all".to_owned(),
        Some(environment) => format!("--all --env {}", environment.trim_start_matches('/')),
    };
    html! {
        p {
            span.badge.bad { "held" } " by " (hold.who) ": " (hold.why) " "
            (since(hold.since, now))
            @if let Some(until) = hold.until { small { "until " (until.strftime("%F %T UTC")) } }
        }
        p.command { code { "tagrelay resume " (scope) } }
    }
}

fn outside(status: &Status) -> Markup {
    html! {
        section.outside {
            div {
                h2 { "Registries" }
                @for view in status.hosts.iter().filter(|view| view.error.is_some()) {
                    (reading(&view.host, "left alone", view.error.as_deref(), &[]))
                }
                @for view in &status.repositories {
                    @let note = view.note.as_ref().map_or(String::new(), |note| format!("; {note}"));
                    @let stands = read(view.read_at, status.now) + &note;
                    (reading(&view.repository, &stands, view.error.as_deref(), &[]))
                }
            }
            div {
                h2 { "Git branches" }
                @for view in &status.branches {
                    @let tip = view.tip.as_deref().map_or(String::new(), |tip| format!(" at {tip}"));
                    @let name = format!("{} {}{tip}", view.repository, view.branch);
                    (reading(&name, &read(view.read_at, status.now), view.error.as_deref(), &[]))
                }
            }
            div {
                h2 { "GitLab projects" }
                @for view in &status.projects {
                    @let waits = if view.n_pending == 0 { "all told".to_owned() } else { format!("{} to tell", view.n_pending) };
                    (reading(&view.project, &waits, view.error.as_deref(), &view.parked))
                }
            }
        }
    }
}

/// One thing that is read or told: its name, how it stands, and what went wrong last.
fn reading(name: &str, stands: &str, error: Option<&str>, parked: &[String]) -> Markup {
    html! {
        p.reading {
            span class=(if error.is_none() && parked.is_empty() { "dot good" } else { "dot bad" }) {}
            span { (name) } small { (stands) }
        }
        @if let Some(error) = error { p.error { (error) } }
        @for parked in parked { p.error { (parked) } }
    }
}

fn read(at: Option<Timestamp>, now: Timestamp) -> String {
    at.map_or_else(|| "not read yet".to_owned(), |at| format!("read {} ago", ago(at, now)))
}

fn since(at: Timestamp, now: Timestamp) -> Markup {
    html! { time datetime=(at) title=(at.strftime("%F %T UTC")) { "for " (ago(at, now)) } }
}

fn nothing() -> Markup {
    html! { span.nothing { "–" } }
}

/// How long ago, in the largest unit that fits, as whole as a person reads it. Seconds are not told: a page on which nothing
/// else changed is then the same for a minute, and is not sent again.
fn ago(at: Timestamp, now: Timestamp) -> String {
    let seconds = u64::try_from(now.duration_since(at).as_secs()).unwrap_or(0);
    let unit = [86_400, 3_600, 60].into_iter().find(|unit| seconds >= *unit);
    unit.map_or_else(
        || "under a minute".to_owned(),
        |unit| Span::from(Duration::from_secs(seconds / unit * unit)).to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_ago() {
        let now: Timestamp = "2026-01-02T00:00:00Z".parse().expect("a time");
        for (seconds, expected) in [
            (0, "under a minute"),
            (59, "under a minute"),
            (61, "1m"),
            (3_599, "59m"),
            (86_399, "23h"),
            (200_000, "2d"),
            (-5, "under a minute"),
        ] {
            assert_eq!(ago(now - jiff::SignedDuration::from_secs(seconds), now), expected);
        }
    }
}
