//! What a long history costs a start, before and after it was folded into a checkpoint.
//!
//! `cargo bench --bench journal -- 100000` writes so many entries in 20 environments, about six for each release, and
//! prints how long it takes to read them all as a start does, to fold them, and to read the checkpoint; and the sizes.
#![expect(clippy::print_stdout, reason = "a bench reports to whoever runs it")]

use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;
use tagrelay::journal::{ENTRIES_MAX, Journal};
use tagrelay::model::event::{Effect, Verdict};
use tagrelay::model::policy::{OnFailure, RolloutRules, Signal};
use tagrelay::model::{
    Because, Build, BuildFacts, CommitId, Digest, EnvironmentName, Event, ImageName, Ledger, Outcome, PinForm,
    PolicyName, Release, Scope, Sequence, Tag,
};

const ENVIRONMENTS: u64 = 20;
/// Releases that one transaction writes: what is measured is reading, not writing.
const AT_ONCE: u64 = 100;

fn scope(n: u64) -> Scope {
    let policy = PolicyName::parse(&format!("shop-{n}")).expect("a name");
    Scope::of(&policy, &EnvironmentName::parse("prod").expect("a name"))
}

fn release(n: u64) -> Release {
    let facts = BuildFacts { revision: Some(format!("{n:040x}")), ..BuildFacts::default() };
    let digest = Digest::of(&n.to_be_bytes());
    let build = Build { tag: Tag::parse(&format!("1.0.{n}")).expect("a tag"), digest, facts: facts.into() };
    Release::new([(ImageName::parse("web").expect("a name"), build)].into_iter().collect())
}

/// What the `n`th release leaves, when its first entry has this number.
fn story(n: u64, intent: Sequence) -> Vec<(Scope, Event)> {
    let because = Because::GatesOpen(vec!["verified in staging".to_owned(), "soaked for 2h".to_owned()]);
    let effect = Effect::Commit { form: PinForm::TagAtDigest };
    let (who, why) = ("argocd".to_owned(), "1 signal, 0 checks".to_owned());
    let rules = RolloutRules { rollout: vec![Signal::Webhook], verify: Vec::new(), on_failure: OnFailure::Hold };
    let (verdict, evidence, url) = (Verdict::Healthy, "Synced, Healthy".to_owned(), None);
    let events = [
        Event::Intended { effect, release: release(n), because },
        Event::Committed { intent, commit: CommitId::parse(&format!("{n:040x}")).expect("a commit") },
        Event::RulesKept { rules },
        Event::Signalled { rollout: intent, verdict, who, evidence, url },
        Event::Ended { rollout: intent, outcome: Outcome::Verified, why },
        Event::Claimed { places: vec!["deploys main deployment/prod".to_owned()] },
    ];
    events.map(|event| (scope(n % ENVIRONMENTS), event)).into()
}

async fn write(journal: &Journal, n_entries: u64, first: Timestamp) {
    let n_releases = n_entries / 6;
    for begin in (0..n_releases).step_by(usize::try_from(AT_ONCE).expect("few")) {
        let releases = begin..n_releases.min(begin + AT_ONCE);
        let events = releases.flat_map(|n| story(n, Sequence(n * 6 + 1))).collect();
        let at = first + SignedDuration::from_mins(i64::try_from(begin).expect("few"));
        journal.append(events, |_| Vec::new(), at).await.expect("written");
    }
}

/// Reads the journal as a daemon that starts does; returns how many releases are known.
async fn read(journal: &Journal) -> usize {
    let mut ledgers: BTreeMap<Scope, Ledger> = BTreeMap::new();
    let mut after = None;
    if let Some(checkpoint) = journal.checkpoint().await.expect("read") {
        after = Some(checkpoint.folded.last);
        ledgers = checkpoint.ledgers.into_iter().collect();
    }
    loop {
        let page = journal.entries(&Scope::default(), after, ENTRIES_MAX).await.expect("read");
        let Some(last) = page.last() else { break };
        after = Some(last.sequence);
        for entry in &page {
            ledgers.entry(entry.scope.clone()).or_default().apply(entry);
        }
    }
    ledgers.values().map(|ledger| ledger.arrivals.len()).sum()
}

async fn measured(journal: &Journal, file: &Path, what: &str) {
    let begun = Instant::now();
    let n = read(journal).await;
    let millis = begun.elapsed().as_millis();
    let copy = file.with_extension(what);
    journal.backup(&copy).await.expect("a copy");
    let kib = std::fs::metadata(&copy).expect("a file").len() / 1024;
    println!("{what}: {n} releases are read in {millis} ms from {kib} KiB");
}

#[tokio::main]
async fn main() {
    let n_entries = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(100_000);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("journal.db");
    let first: Timestamp = "2025-01-01T00:00:00Z".parse().expect("a time");
    let journal = Journal::open(&format!("sqlite://{}", file.display()), first).await.expect("a journal");
    write(&journal, n_entries, first).await;
    measured(&journal, &file, "all").await;
    let (begun, later) = (Instant::now(), first + SignedDuration::from_hours(24 * 3650));
    let (mut n_steps, mut longest) = (0, std::time::Duration::ZERO);
    loop {
        let step = Instant::now();
        if journal.fold_before(later, later).await.expect("folded") == 0 {
            break;
        }
        (n_steps, longest) = (n_steps + 1, longest.max(step.elapsed()));
    }
    println!("folded in {} ms: {n_steps} steps, the longest {} ms", begun.elapsed().as_millis(), longest.as_millis());
    measured(&journal, &file, "folded").await;
}
