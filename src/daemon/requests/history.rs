//! What happened, newest first, and what each release changed in files and tags: read from the journal beside the loop.

use crate::daemon::handle::Refusal;
use crate::daemon::requests::status::{release_of, sentence};
use crate::daemon::view::{ChangedView, HistoryView, ValueView};
use crate::journal::{ENTRIES_MAX, Folded, Journal, JournalError};
use crate::model::{Entry, Scope, Sequence};
use crate::relay::changed::{self, Changed};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// How many entries of all environments together are read to say what those that are shown changed.
const READ_MAX: usize = 100_000;
/// How many entries before the oldest one that is shown are read of an environment at the least: among them is most often
/// the one that says what was pinned before.
const BEFORE_MIN: usize = 20;

/// Which part of the history is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistoryOf {
    /// About what; all where it names nothing.
    pub scope: Scope,
    /// Only entries with a smaller number.
    pub before: Option<u64>,
    /// Only entries that were written then or later.
    pub since: Option<Timestamp>,
    /// How many at the most.
    pub limit: u32,
    /// Whether to say what each release changed in files and tags.
    pub with_files: bool,
}

/// What happened, newest first.
pub(in crate::daemon) async fn history(journal: &Journal, of: &HistoryOf) -> Result<Vec<HistoryView>, Refusal> {
    let mut entries = entries(journal, &of.scope, of.before.map(Sequence), of.limit).await?;
    entries.retain(|entry| of.since.is_none_or(|since| entry.at >= since));
    let changes = if of.with_files { changes(journal, &entries).await? } else { BTreeMap::new() };
    let view = |entry: &Entry| {
        let (kind, text) = sentence(&entry.event);
        let (sequence, at, scope) = (entry.sequence.0, entry.at, entry.scope.to_string());
        let (release, changed) = (release_of(&entry.event), changes.get(&entry.sequence).map(changed_view));
        HistoryView { sequence, at, scope, kind, text, release, changed }
    };
    let mut views: Vec<HistoryView> = entries.iter().map(view).collect();
    let is_asked = |folded: &Folded| {
        let is_before = of.before.is_none_or(|before| folded.last.0 < before);
        is_before && of.since.is_none_or(|since| folded.at >= since)
    };
    // Entries about more than one environment are kept for ever, so that some may stand below this line.
    if let Some(folded) = journal.folded().await.map_err(|error| unavailable(&error))?.filter(is_asked) {
        let limit = usize::try_from(of.limit).unwrap_or(usize::MAX);
        let place = views.iter().position(|view| view.sequence <= folded.last.0).unwrap_or(views.len());
        if place < limit {
            views.insert(place, begins(folded, &of.scope));
            views.truncate(limit);
        }
    }
    Ok(views)
}

/// The line below which entries are not kept one by one.
fn begins(folded: Folded, of: &Scope) -> HistoryView {
    HistoryView {
        sequence: folded.last.0,
        at: folded.at,
        scope: of.to_string(),
        kind: "folded",
        text: "older entries, up to this one, were folded into a checkpoint (journal.keep): what they decided still counts"
            .to_owned(),
        release: None,
        changed: None,
    }
}

fn unavailable(error: &JournalError) -> Refusal {
    Refusal::Unavailable(error.to_string())
}

async fn entries(
    journal: &Journal,
    scope: &Scope,
    before: Option<Sequence>,
    limit: u32,
) -> Result<Vec<Entry>, Refusal> {
    let read = journal.history(scope, before, limit).await;
    read.map_err(|error| unavailable(&error))
}

/// What these entries changed. What was pinned before, and which places were written, stands in older entries of the same
/// environment.
async fn changes(journal: &Journal, shown: &[Entry]) -> Result<BTreeMap<Sequence, Changed>, Refusal> {
    let Some(newest) = shown.first().map(|entry| entry.sequence) else { return Ok(BTreeMap::new()) };
    let mut n_shown: BTreeMap<&Scope, usize> = BTreeMap::new();
    for entry in shown.iter().filter(|entry| entry.scope.policy.is_some() && entry.scope.environment.is_some()) {
        *n_shown.entry(&entry.scope).or_default() += 1;
    }
    let share = READ_MAX / n_shown.len().max(1);
    let mut changes = BTreeMap::new();
    for (scope, n) in n_shown {
        let limit = u32::try_from(share.max(n + BEFORE_MIN)).unwrap_or(ENTRIES_MAX);
        let mut all = entries(journal, scope, Some(Sequence(newest.0.saturating_add(1))), limit).await?;
        all.reverse();
        let oldest = all.first().map_or(newest, |entry| entry.sequence);
        let places = journal.places_before(scope, oldest).await.map_err(|error| unavailable(&error))?;
        changes.extend(changed::of(&all, places));
    }
    Ok(changes)
}

fn changed_view(changed: &Changed) -> ChangedView {
    let values = changed.is.0.iter().filter_map(|(image, is)| {
        let was = changed.was.as_ref().and_then(|was| was.0.get(image));
        let value = || ValueView { image: image.clone(), was: was.map(ToString::to_string), is: is.to_string() };
        (was != Some(is)).then(value)
    });
    ChangedView {
        commit: changed.commit.as_ref().map(ToString::to_string),
        places: changed.places.clone(),
        values: values.collect(),
    }
}
