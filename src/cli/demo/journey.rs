//! One journey of one build, without a person, as a table: every step must have happened.

use super::stage::{self, SOURCE, Stage};
use super::tell::Teller;
use super::{JOURNEY_MAX, LOOK_EVERY, approve, say};
use crate::daemon::view::HistoryView;
use tokio::time::Instant;

/// The steps of a journey: where, what, and the kind of the entry that shows it.
const STEPS: [(&str, &str, &str); 14] = [
    ("dev", "found and chosen", "intended"),
    ("dev", "committed", "committed"),
    ("dev", "rolled out", "signalled"),
    ("dev", "verified", "ended"),
    ("staging", "retagged", "retagged"),
    ("staging", "committed", "committed"),
    ("staging", "rolled out", "signalled"),
    ("staging", "smoke test passed", "checked"),
    ("staging", "verified", "ended"),
    ("prod", "approved", "voted"),
    ("prod", "committed", "committed"),
    ("prod", "rolled out", "signalled"),
    ("prod", "verified", "ended"),
    ("GitLab", "told running and success of all three", ""),
];

/// Sends one build through; returns whether every step happened.
pub(super) async fn travel(stage: &Stage, mut teller: Teller) -> anyhow::Result<bool> {
    let begun = Instant::now();
    let digest = stage.push(1)?;
    let mut seen: Vec<(HistoryView, f64)> = Vec::new();
    let mut told = None;
    while begun.elapsed() < JOURNEY_MAX && (told.is_none() || !arrived(&seen)) {
        tokio::time::sleep(LOOK_EVERY).await;
        let now = begun.elapsed().as_secs_f64();
        seen.extend(teller.news().await?.into_iter().map(|entry| (entry, now)));
        if let Some(release) = stage.asks_for_approval(&teller.handle).await? {
            approve(&teller, &release).await?;
        }
        if told.is_none() && is_told(stage) {
            told = Some(now);
        }
    }
    let mut whole = true;
    say(&format!("one build, 1.0.1 at {digest}\n\n{:<9} {:<40} {:>8}\n", "where", "what", "after"))?;
    for (place, what, kind) in STEPS {
        let at = if kind.is_empty() { told } else { time_of(&seen, place, kind) };
        let shown = at.map_or_else(|| "missing".to_owned(), |at| format!("{at:.2} s"));
        whole &= at.is_some();
        say(&format!("{place:<9} {what:<40} {shown:>8}\n"))?;
    }
    let tag = stage.world.registry.digest_of("shop", "staging");
    let values = stage.deploys.read("main", "deployment/values-prod.yaml").await?.unwrap_or_default();
    whole &= tag.as_deref() == Some(digest.as_str()) && values.contains(&digest);
    say(if whole {
        "\nEvery step happened: the same digest in all three environments.\n"
    } else {
        "\nNot every step happened.\n"
    })?;
    Ok(whole)
}

fn of(entry: &HistoryView, place: &str, kind: &str) -> bool {
    entry.kind == kind && entry.scope == format!("{}/{place}", stage::prod().policy)
}

fn time_of(seen: &[(HistoryView, f64)], place: &str, kind: &str) -> Option<f64> {
    seen.iter().find(|(entry, _)| of(entry, place, kind)).map(|(_, at)| *at)
}

fn arrived(seen: &[(HistoryView, f64)]) -> bool {
    time_of(seen, "prod", "ended").is_some()
}

/// Whether GitLab has each deployment of the source project, begun and ended well, once.
fn is_told(stage: &Stage) -> bool {
    let deployments = stage.world.gitlab.deployments(SOURCE);
    let of = |environment: &str| deployments.iter().filter(|d| d.environment == environment).collect::<Vec<_>>();
    ["development", "staging", "production"]
        .iter()
        .all(|environment| matches!(of(environment).as_slice(), [one] if one.history == ["running", "success"]))
}
