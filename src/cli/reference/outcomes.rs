//! The reasons why an environment does what it does, from [`Why`]: each with the sentence that `tagrelay status` shows.

use super::table::{code, link, table};
use crate::model::{Digest, ImageName, Span, Tag, Turn, Why};
use jiff::Timestamp;
use std::fmt::Write as _;
use std::time::Duration;

/// What stands above the reasons.
const HEAD: &str = "\
# Outcomes

Why an environment does what it does, or nothing. `tagrelay status` shows the sentence, `tagrelay explain POLICY/ENV` shows
all of them; the name stands in `--json`, in the API (`why[].code`) and in the labels of [metrics](metrics.md). Several may
stand at once. In the commands, write your own POLICY, ENV and RELEASE; FROM is the environment that releases come from.

A reason marked *stuck* is not ended by a clock or a gate. An environment that stands at it for an hour is listed as
`stuck` in `tagrelay status`, `/healthz` and `tagrelay_stuck`.

";

/// The page of outcomes.
pub(super) fn page() -> String {
    let samples = samples();
    let mut text = HEAD.to_owned();
    let mut rows: Vec<[String; 2]> = samples
        .iter()
        .map(|why| [link(&code(why.code()), &heading(why)), why.advice().turn.heading().to_owned()])
        .collect();
    rows.sort();
    let _ = writeln!(text, "{}", table(["name", "whose turn"], &rows));
    for turn in Turn::ALL {
        let _ = write!(text, "## {}\n\n", turn.heading());
        let mut of_turn: Vec<&Why> = samples.iter().filter(|why| why.advice().turn == turn).collect();
        of_turn.sort_by_key(|why| heading(why));
        for why in of_turn {
            let advice = why.advice();
            let stuck = if why.is_stuck() { " *Stuck.*" } else { "" };
            let _ = write!(
                text,
                "### {}\n\n> {why}\n\n{}{stuck}\n\n**What to do:** {}\n\n",
                heading(why),
                advice.meaning,
                advice.remedy
            );
        }
    }
    text
}

/// The heading of a reason: its name; a window that never opens again has its own.
fn heading(why: &Why) -> String {
    match why {
        Why::WindowShut { opens: None } => format!("{} for ever", why.code()),
        why => why.code().to_owned(),
    }
}

/// One of each reason, with values as they are met.
fn samples() -> Vec<Why> {
    let mut samples = of_builds();
    samples.extend(of_gates());
    samples.extend(of_troubles());
    samples.extend(of_rollouts());
    samples
}

fn at() -> Timestamp {
    Timestamp::from_second(1_767_607_200).unwrap_or_default()
}

fn tag() -> Option<Tag> {
    Tag::parse("1.4.2").ok()
}

fn digest(of: char) -> Option<Digest> {
    Digest::parse(&format!("sha256:{}", of.to_string().repeat(64))).ok()
}

fn of_builds() -> Vec<Why> {
    let (text, until) = (str::to_owned, at());
    let Ok(image) = ImageName::parse("shop") else { return Vec::new() };
    let moved = tag().zip(digest('a').zip(digest('b')));
    let back = tag().map(|tag| Why::MovedBack { tag });
    let mut samples = vec![
        Why::UpToDate,
        Why::NoTagMatches { image: image.clone(), detail: "1 tag: 1 is no version (latest)".to_owned() },
        Why::SetIncomplete { detail: text("`worker` has no build with tag 1.4.2") },
        Why::TooYoung { until },
        Why::LabelDiffers { image: image.clone(), label: text("org.opencontainers.image.vendor") },
        Why::Unsettled { until },
        Why::NotNewer { found: text("1.4.1"), current: text("1.4.2") },
        Why::OwnCommit { revision: text("3f2a9c1d") },
        Why::PlatformMissing { image: image.clone(), platform: text("linux/arm64") },
        Why::NotOnBranch { branch: text("main") },
        Why::ImageMissing { what: text("shop:1.4.2 is not in the registry"), until },
        Why::Superseded { release: text("1.4.1"), by: text("1.4.2") },
    ];
    samples.extend(moved.map(|(tag, (was, now))| Why::TagMoved { image, tag, was, now }));
    samples.extend(back);
    samples
}

fn of_gates() -> Vec<Why> {
    let (text, until) = (str::to_owned, at());
    vec![
        Why::NothingVerified { from: text("dev") },
        Why::NotVerified { from: text("dev") },
        Why::StillSoaking { until },
        Why::SoakStopped { from: text("staging"), missing: Span::from(Duration::from_secs(1_200)) },
        Why::ApprovalsMissing { have: 1, required: 2, of: text("alice, bob"), fallen: Vec::new() },
        Why::WindowShut { opens: Some(until) },
        Why::WindowShut { opens: None },
        Why::Frozen { until, reason: text("year end"), rollback: true },
        Why::Held { who: text("alice"), reason: text("load test"), until: None },
        Why::HeldByFile { file: text("HOLD.prod"), who: text("bob"), reason: text("the fair") },
        Why::Refused {
            release: text("1.4.2"),
            who: text("tagrelay"),
            why: text("check health failed"),
            elsewhere: None,
        },
        Why::OrderWaits { order: text("alice's order of 1.4.2") },
        Why::NeverRanHere { release: text("1.3.0") },
        Why::Suspended,
        Why::NotAutomatic,
        Why::TooManyRollouts { environment: text("prod"), limit: 5 },
        Why::ManyFailed {
            environment: text("prod"),
            reason: text("3 policies failed within an hour: cart, search, shop"),
            until,
        },
        Why::TooManyChanges { limit: 20 },
    ]
}

fn of_troubles() -> Vec<Why> {
    let (text, until) = (str::to_owned, at());
    vec![
        Why::HoldsUnread { since: until, error: text("the git server does not answer") },
        Why::JournalIsNew { commit: Some(text("3f2a9c1d")) },
        Why::JournalUnwell { since: until, why: text("the disk is full") },
        Why::ClockDoubtful { words: text("3 of 3 servers say that this clock is 5m ahead"), until: None },
        Why::PolicyBroken { at: text("policies/shop.yaml:12:5: unknown key `selct`") },
        Why::PlaceTaken { place: text("overlays/prod/kustomization.yaml"), by: text("web/prod") },
        Why::Unbound,
        Why::Unread { what: text("registry.example.com/team/shop"), error: Some(text("401 Unauthorized")) },
        Why::Blocked { effect: text("the push"), why: text("the branch is protected"), until },
        Why::VerdictUnfit { of: text("commit 3f2a9c1d"), at: until, why: text("no rollout here has that commit") },
    ]
}

fn of_rollouts() -> Vec<Why> {
    let text = str::to_owned;
    vec![
        Why::AlwaysOvertaken { environment: text("dev"), n: 5 },
        Why::RolloutInFlight { release: text("1.4.1") },
        Why::Following { what: text("waits for a posted verdict, at most until 2026-01-05T10:15:00Z") },
        Why::SignalLost { detail: text("a posted verdict did not come within 15m") },
        Why::Copying { release: text("1.4.2") },
        Why::Observing { effect: text("push 1.4.2 to prod") },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_reason_has_a_sample() {
        // The one place that names every code, and that the compiler keeps whole, is `Why::code`.
        let source = include_str!("../../model/why.rs");
        let named = source.lines().filter(|line| line.trim_start().starts_with("Self::"));
        let codes: BTreeSet<&str> = named.filter_map(|line| line.split_once("=> \"")?.1.strip_suffix("\",")).collect();
        let sampled: BTreeSet<&str> = samples().iter().map(Why::code).collect();
        assert_eq!(codes, sampled);
    }
}
