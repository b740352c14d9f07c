//! Builds that no choice looks at: their times lie on disk, beside the list of tags, and they come back when they are
//! wanted.
//!
//! Which builds are looked at is [`select::front`]'s to say.

use crate::clients::registry::ListedTag;
use crate::daemon::Daemon;
use crate::daemon::lists::Kept;
use crate::daemon::state::candidates::{MissingFact, compares_times, looked_at};
use crate::daemon::state::memory::RepositoryState;
use crate::journal::JournalError;
use crate::model::{Build, BuildFacts, Dated, DatedTag, Knowledge, Repository, Tag, TagList, Times};
use crate::relay::select;
use jiff::Timestamp;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::time::Instant;

/// How many builds of a repository are known before those are put away that nothing looks at: most repositories never
/// have as many, and putting away costs as much as a choice does.
const KNOWN_MAX: usize = 256;
/// The same, where very many are put away already: all of them are written anew each time.
const KNOWN_MAX_OF_MANY: usize = 4096;
/// Of how many tags what was told is looked at together.
const TOLD_AT_A_TIME: usize = 500;

impl Daemon {
    /// Takes in what a list told of its tags, and what the journal remembers of them where times are compared; whether any
    /// of it is news. Where nothing is compared, only what is known of other builds matters: a tag is asked for its digest
    /// when it is a candidate.
    pub(in crate::daemon) async fn date(
        &mut self,
        repository: &Repository,
        (mut told, asked): (Vec<ListedTag>, bool),
        listed: bool,
    ) -> bool {
        // What is told once is kept, though whoever wanted it may just be gone.
        let times = self.times_matter(repository) || (asked && !told.is_empty());
        let shelf = self.memory.repositories.entry(repository.clone()).or_default();
        if shelf.dated.as_ref().is_some_and(|dated| !dated.is_there()) {
            shelf.lose_dated();
            // What it held was told with the whole list, and is told again with it alone.
            shelf.tags.iter().for_each(|tags| tags.lose());
            self.wake_poller(repository);
            return true;
        }
        if !told.is_empty() {
            shelf.tells_pushes = told.iter().any(|told| told.pushed.is_some());
        }
        let changed = shelf.forget_changed(&told, times);
        told.retain(|told| !shelf.known.contains_key(&told.tag));
        told.sort_unstable_by(|a, b| a.tag.cmp(&b.tag));
        let fills = times && !shelf.remembered;
        let dates =
            fills || (!told.is_empty() && (times || shelf.dated.is_some())) || (listed && shelf.dated.is_some());
        if !dates {
            return changed;
        }
        let Some(tags) = shelf.tags.clone() else { return changed };
        let news = self.date_list(repository, &tags, &told, (times, fills)).await;
        let news = news.unwrap_or_else(|error| {
            tracing::error!(repository.name = %repository, error = %error, "{repository}: what its list told of its tags is not kept: {error}");
            // With the list it is told again. What is kept knows nothing of this list: a tag may have gone and come again.
            tags.lose();
            let shelf = self.memory.repositories.entry(repository.clone()).or_default();
            shelf.lose_dated();
            true
        });
        changed || news
    }

    /// Brings what is put away up to date with a list, what it told, and where it `fills` with what the journal remembers.
    async fn date_list(
        &mut self,
        repository: &Repository,
        tags: &Kept<TagList>,
        told: &[ListedTag],
        (times, fills): (bool, bool),
    ) -> Result<bool, String> {
        let listed = tags.read()?;
        let shelf = self.memory.repositories.entry(repository.clone()).or_default();
        let mut old = shelf.dated.as_ref().map(|dated| dated.read()).transpose()?.unwrap_or_default();
        if fills {
            let remembered = self.journal.dated(repository, &listed).await;
            let remembered = remembered.unwrap_or_else(|error| forgotten(repository, &error));
            old = if old.is_empty() { remembered } else { remembered.with(&old, &listed) };
        }
        let (mut news, mut walk) = (Dated::default(), old.walk());
        // As many at a time as fit into little memory: there may be as many as tags.
        for told in told.chunks(TOLD_AT_A_TIME) {
            let told = told.iter().map(|told| (told, walk.get(told.tag.by_ref())));
            let told: Vec<(&ListedTag, Option<DatedTag<'_>>)> = told
                .filter(|(told, dated)| match dated {
                    Some(dated) => dated.knowledge == Knowledge::Remembered || !dated.is(&told.digest, told.pushed),
                    None => times,
                })
                .collect();
            let new: Vec<Tag> =
                told.iter().filter(|(_, dated)| dated.is_none()).map(|(told, _)| told.tag.clone()).collect();
            let seen = self.journal.first_seen(repository, &new).await;
            let seen = seen.unwrap_or_else(|error| forgotten(repository, &error));
            let shelf = self.memory.repositories.entry(repository.clone()).or_default();
            for (told, dated) in told {
                let dated = with_told(told, dated.as_ref(), seen.get(&told.tag).copied());
                // What is being read is judged by what was told meanwhile.
                if shelf.learning.contains(&told.tag) {
                    shelf.bring(&dated);
                }
                shelf.failed.remove(&told.tag);
                news.push(&dated);
            }
        }
        let kept = self.keep_dated(&old.with(&news, &listed)).await?;
        let shelf = self.memory.repositories.entry(repository.clone()).or_default();
        (shelf.dated, shelf.remembered) = (kept, times);
        Ok(!news.is_empty())
    }

    /// Puts away the builds of a repository that no choice looks at, where there are many.
    pub(in crate::daemon) async fn put_away(&mut self, repository: &Repository) {
        let Some(shelf) = self.memory.repositories.get(repository) else { return };
        if shelf.known.len() <= shelf.room.max(KNOWN_MAX) {
            return;
        }
        let put = self.put_away_now(repository).await;
        let Some(shelf) = self.memory.repositories.get_mut(repository) else { return };
        // Those that stay are asked about when they are twice as many; and the more there is away, the more comes to it.
        let n_away = shelf.dated.as_ref().map_or(0, |dated| dated.len());
        let of_many = n_away.isqrt().saturating_mul(4).min(KNOWN_MAX_OF_MANY);
        shelf.room = shelf.known.len().saturating_mul(2).max(of_many);
        if let Err(error) = put {
            tracing::error!(repository.name = %repository, error = %error, "{repository}: builds that nothing looks at stay in memory: {error}");
        }
    }

    async fn put_away_now(&mut self, repository: &Repository) -> Result<(), String> {
        let now = self.clock.now();
        let stays = looked_at(&self.memory, repository, now);
        let Some(shelf) = self.memory.repositories.get(repository) else { return Ok(()) };
        let Some(tags) = &shelf.tags else { return Ok(()) };
        let listed = tags.read()?;
        let old = shelf.dated.as_ref().map(|dated| dated.read()).transpose()?.unwrap_or_default();
        let away = shelf.known.iter().filter(|(tag, _)| !stays.contains(*tag) && !shelf.learning.contains(*tag));
        // What came back and was not read again is there still, where it was not lost meanwhile.
        let news = away.map(|(tag, known)| known.dated(tag.by_ref()));
        let news = news.filter(|dated| dated.knowledge != Knowledge::Told || old.get(dated.tag).is_none()).collect();
        let kept = self.keep_dated(&old.with(&news, &listed)).await?;
        let Some(shelf) = self.memory.repositories.get_mut(repository) else { return Ok(()) };
        let RepositoryState { known, learning, .. } = &mut *shelf;
        known.retain(|tag, _| stays.contains(tag) || learning.contains(tag));
        shelf.known.shrink_to_fit();
        shelf.dated = kept;
        Ok(())
    }

    /// Brings back what was put away of tags that are wanted: nobody is asked for their digests again.
    pub(in crate::daemon) fn bring_near(&mut self, lacks: &[MissingFact]) {
        let mut wanted: HashMap<&Repository, Vec<&Tag>> = HashMap::new();
        for lack in lacks {
            if let MissingFact::Build(repository, tag) | MissingFact::Pinned(repository, tag) = lack {
                wanted.entry(repository).or_default().push(tag);
            }
        }
        for (repository, mut tags) in wanted {
            let Some(shelf) = self.memory.repositories.get_mut(repository) else { continue };
            // A followed tag is read with its repository.
            tags.retain(|tag| !shelf.known.contains_key(*tag) && !shelf.followed.contains_key(*tag));
            // One that cannot be read is read anew with the list.
            let dated = shelf.dated.as_ref().filter(|_| !tags.is_empty()).and_then(|dated| dated.read().ok());
            let Some(dated) = dated else { continue };
            tags.into_iter().filter_map(|tag| dated.get(tag.by_ref())).for_each(|dated| shelf.bring(&dated));
        }
    }

    pub(in crate::daemon) async fn keep_dated(&self, dated: &Dated) -> Result<Option<Box<Kept<Dated>>>, String> {
        if dated.is_empty() {
            return Ok(None);
        }
        Ok(Some(Box::new(self.polling.lists.keep(dated).await?)))
    }

    /// Whether any environment that selects here compares times that only a sighting or the registry tells.
    pub(in crate::daemon) fn times_matter(&self, repository: &Repository) -> bool {
        let environments = self.memory.users(repository).flat_map(|known| &known.policy.environments);
        let mut selects = environments.filter_map(|e| e.select.as_ref());
        selects.any(compares_times)
    }
}

impl RepositoryState {
    /// Brings back the build under a tag, as far as this process was told of it.
    fn bring(&mut self, dated: &DatedTag<'_>) {
        if let Some(build) = named(dated) {
            let tag = build.tag.clone();
            self.known.insert(tag, select::TagFacts { build: Some(build), ..select::TagFacts::default() });
        }
    }

    /// Lets go of what was put away, for it is lost or knows nothing of the list.
    pub(in crate::daemon) fn lose_dated(&mut self) {
        (self.dated, self.remembered, self.lost_at) = (None, false, Some(Instant::now()));
    }

    /// Forgets the builds whose tags were told to name others by now; whether there was any.
    fn forget_changed(&mut self, told: &[ListedTag], times: bool) -> bool {
        let changed = told.iter().filter(|told| self.known.contains_key(&told.tag) && !self.knows(told, times));
        let changed: Vec<&Tag> = changed.map(|told| &told.tag).collect();
        for tag in &changed {
            self.known.remove(*tag);
            self.failed.remove(*tag);
        }
        !changed.is_empty()
    }
}

/// Nothing, where the journal cannot tell what it remembers: it is asked of the registry then.
fn forgotten<T: Default>(repository: &Repository, error: &JournalError) -> T {
    tracing::error!(repository.name = %repository, error = %error, "{repository}: what is remembered of its tags cannot be read: {error}");
    T::default()
}

/// What is left in reach of a tag of which this was told, first seen then where nothing was known of it.
fn with_told<'a>(told: &'a ListedTag, before: Option<&DatedTag<'_>>, seen: Option<Timestamp>) -> DatedTag<'a> {
    let digest = told.digest.as_str();
    let same = before.filter(|before| before.digest == Some(digest));
    let knowledge = match same.map(|same| same.knowledge) {
        Some(Knowledge::Read | Knowledge::Remembered) => Knowledge::Read,
        Some(Knowledge::Told | Knowledge::Nothing) | None => Knowledge::Told,
    };
    let created = same.and_then(|same| same.times.created);
    let times = Times { created, pushed: told.pushed, seen: before.map_or(seen, |before| before.times.seen) };
    DatedTag { tag: told.tag.by_ref(), knowledge, digest: Some(digest), times }
}

/// The build under a tag, as far as this process was told of it.
fn named(dated: &DatedTag<'_>) -> Option<Build> {
    let is_told = matches!(dated.knowledge, Knowledge::Told | Knowledge::Read);
    let digest = dated.digest().filter(|_| is_told)?;
    let Times { created: _, pushed, seen } = dated.times;
    let facts = BuildFacts { pushed, seen, ..BuildFacts::default() };
    Some(Build { tag: dated.tag.to_tag(), digest, facts: Arc::new(facts) })
}
