//! The first page: what runs where, what waits and why, and what to type about it. No script, nothing from elsewhere.
//!
//! It changes nothing: what a person may do is shown as the command that does it. Who has no token is asked for one.

use super::Server;
use crate::daemon::view::{ArrivalView, EnvironmentView, HoldView, PolicyView, ReleaseView, Status};
use crate::model::{Span, Why};
use crate::relay::health::lines;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use maud::{DOCTYPE, Markup, html};
use std::time::Duration;

/// How often the page reads itself again, in seconds.
const REFRESH_SECONDS: u32 = 5;
/// How the page looks.
const STYLE: &str = include_str!("style.css");
/// How long a browser keeps the style: long enough to spare a request at each refresh, short enough after an upgrade.
const STYLE_IS_KEPT: &str = "max-age=300";

/// The style.
pub(super) async fn style() -> Response {
    let headers = [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, STYLE_IS_KEPT)];
    (headers, STYLE).into_response()
}

/// The page. Without the daemon's answer it says so, and goes on reading itself again.
pub(super) async fn page(State(server): State<Server>) -> Response {
    match server.rendered().await {
        Ok(rendered) => {
            let page = rendered.page(|status| document(&board(status)).into_string());
            ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response()
        }
        Err(refused) => {
            let words = html! { header { h1 { "tagrelay" } } p.alert { (refused.message()) } };
            (StatusCode::SERVICE_UNAVAILABLE, document(&words)).into_response()
        }
    }
}

/// The form that asks for a token.
pub(super) async fn sign_in_form() -> Response {
    sign_in(StatusCode::OK, "")
}

/// The form that asks for a token, and what was wrong with the last one.
pub(super) fn sign_in(status: StatusCode, wrong: &str) -> Response {
    let form = html! {
        header { h1 { "tagrelay" } }
        form.sign-in method="post" action="/sign-in" {
            @if !wrong.is_empty() { p.alert { (wrong) } }
            label { "Your token" input type="password" name="token" autocomplete="current-password" required autofocus; }
            button { "Sign in" }
            p { "It reads for 12 hours, and changes nothing. " code { "server.access" } " of the configuration says who has which token." }
        }
    };
    let mut response = (status, page_of(&form, None)).into_response();
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// A page that reads itself again.
fn document(body: &Markup) -> Markup {
    page_of(body, Some(REFRESH_SECONDS))
}

fn page_of(body: &Markup, refresh: Option<u32>) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                @if let Some(seconds) = refresh { meta http-equiv="refresh" content=(seconds); }
                meta name="color-scheme" content="light dark";
                title { "tagrelay" }
                link rel="stylesheet" href="/style.css";
            }
            body { (body) }
        }
    }
}

fn board(status: &Status) -> Markup {
    html! {
        header {
            h1 { "tagrelay" }
            @if status.mode == "observe" { span.badge.wait { "observing: nothing is changed" } }
            p { (status.now.strftime("%F %T UTC")) " · journal " code { (status.journal) } }
        }
        @for trouble in lines(&status.health.troubles) { p.alert { (trouble) } }
        @for broken in &status.broken { pre.alert { (broken) } }
        @for policy in &status.policies {
            @if let Some(broken) = &policy.broken { p.alert { strong { (policy.name) } " " (broken) } }
        }
        @if status.policies.is_empty() {
            p.empty { "No policy is loaded. " @if !status.broken.is_empty() { "Mend what stands above." } }
        } @else {
            (table(status))
        }
        (outside(status))
        footer {
            "tagrelay " (env!("CARGO_PKG_VERSION")) " · "
            a href="/api/v1/status" { "JSON" } " · " a href="/api/v1/openapi.json" { "API" } " · " a href="/metrics" { "metrics" }
        }
    }
}

fn table(status: &Status) -> Markup {
    html! {
        table.board {
            thead { tr { th { "Environment" } th { "Runs" } th { "Rollout" } th { "Next" } th { "Why nothing else happens" } } }
            @for policy in &status.policies {
                tbody {
                    (heading(policy))
                    @for environment in &policy.environments { (row(environment, status.now)) }
                }
            }
        }
    }
}

fn heading(policy: &PolicyView) -> Markup {
    html! {
        tr.policy {
            th colspan="5" scope="rowgroup" {
                (policy.name)
                @if policy.broken.is_some() { " " span.badge.bad { "broken" } }
                small { (policy.images.join(", ")) " · " (policy.origin) }
            }
        }
    }
}

fn row(view: &EnvironmentView, now: Timestamp) -> Markup {
    html! {
        tr.waits[view.waits_for_approval].held[!view.holds.is_empty()] {
            th scope="row" { (view.environment) }
            td data-label="Runs" { (runs(view)) }
            td data-label="Rollout" { @if let Some(current) = &view.current { (rollout(current, now)) } @else { (nothing()) } }
            td data-label="Next" { (next(view)) }
            td data-label="Why" { (reasons(view, now)) }
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
            @if view.waits_for_approval { p.command { code { "tagrelay approve " (place) " " (candidate.id) } } }
        } @else {
            (nothing())
        }
    }
}

/// Why nothing else happens: holds first, each with the command that lifts it, then what they do not say already.
fn reasons(view: &EnvironmentView, now: Timestamp) -> Markup {
    let told = |why: &&Why| {
        let is =
            |hold: &HoldView| matches!(why, Why::Held { who, reason, .. } if *who == hold.who && *reason == hold.why);
        !view.holds.iter().any(is)
    };
    html! {
        @for hold in &view.holds { (held(hold, now)) }
        @for why in view.why.iter().filter(told) { p title=(why.code()) { (why) } }
        @if !view.refusals.is_empty() {
            details {
                summary { (view.refusals.len()) " refused here" }
                @for refusal in &view.refusals { p { span.tag { (refusal.release.tags) } " by " (refusal.who) ": " (refusal.why) } }
            }
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

/// How long ago, in the largest unit that fits, as whole as a person reads it.
fn ago(at: Timestamp, now: Timestamp) -> Span {
    let seconds = u64::try_from(now.duration_since(at).as_secs()).unwrap_or(0);
    let unit = [86_400, 3_600, 60, 1].into_iter().find(|unit| seconds >= *unit).unwrap_or(1);
    Span::from(Duration::from_secs(seconds / unit * unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_ago() {
        let now: Timestamp = "2026-01-02T00:00:00Z".parse().expect("a time");
        for (seconds, expected) in
            [(0, "0s"), (59, "59s"), (61, "1m"), (3_599, "59m"), (86_399, "23h"), (200_000, "2d"), (-5, "0s")]
        {
            assert_eq!(ago(now - jiff::SignedDuration::from_secs(seconds), now).to_string(), expected);
        }
    }
}
