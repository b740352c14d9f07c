//! Readings that a choice lacks: builds under tags.

use crate::clients::git::Mirror;
use crate::clients::registry::{Met, Registry, RegistryError};
use crate::daemon::Daemon;
use crate::daemon::message::{Message, Observation, Tagged, Unread};
use crate::daemon::state::candidates::MissingFact;
use crate::daemon::state::memory::{Failed, RepositoryState};
use crate::journal::Journal;
use crate::model::{Build, Repository, Tag};
use crate::relay::select;
use jiff::{SignedDuration, Timestamp};
use std::collections::HashSet;
use std::sync::Arc;
use tokio::time::Instant;

/// How long a tag that could not be read is left alone, and a place that could not be asked for.
pub(in crate::daemon) const RETRY: SignedDuration = SignedDuration::from_secs(30);
/// How long a tag is left alone at the most that stays unreadable; each failure doubles it. There may be hundreds of such
/// tags, of a format that is no more, and somebody may push one of them anew.
const RETRY_MAX: SignedDuration = SignedDuration::from_mins(10);

impl Daemon {
    /// Has something read that is lacking, unless it is being read already or failed a moment ago.
    pub(in crate::daemon) fn learn(&mut self, lack: MissingFact) {
        match lack {
            MissingFact::Build(repository, tag) => self.learn_build(repository, tag, true),
            MissingFact::Pinned(repository, tag) => self.learn_build(repository, tag, false),
            MissingFact::Branch { project, revision, branch } => self.learn_branch(project, revision, branch),
        }
    }

    /// Has a build read; a tag that `must` be there was named by the registry itself.
    fn learn_build(&mut self, repository: Repository, tag: Tag, must: bool) {
        let now = self.clock.now();
        let shelf = self.memory.repositories.entry(repository.clone()).or_default();
        if shelf.failed.get(&tag).is_some_and(|failed| now < failed.until) || !shelf.learning.insert(tag.clone()) {
            return;
        }
        let must = must && !shelf.followed.contains_key(&tag);
        let known = shelf.digest(&tag).cloned();
        let facts = known.as_ref().and_then(|digest| shelf.facts.get(digest)).cloned();
        let (registry, out, slots) = (self.clients.registry.clone(), self.out.clone(), self.clients.readings.clone());
        let journal = self.journal.clone();
        let mirrors: Vec<Arc<Mirror>> = self.readers.values().map(|reader| reader.mirror.clone()).collect();
        self.tasks.spawn(async move {
            let Some(slot) = slots.take(repository.host()).await else { return };
            let read = async {
                let met = match known {
                    Some(digest) => Some(Met::from(digest)),
                    None => named(&registry, &journal, &repository, &tag).await?,
                };
                let Some(met) = met else {
                    // A followed tag is read with its repository. One that the list names may be there a moment later.
                    return if must { Err(not_there(&repository, &tag)) } else { Ok(None) };
                };
                let facts = match facts {
                    Some(facts) => facts,
                    None => match journal.build(&repository, &met.digest).await {
                        Ok(Some(kept)) => Arc::new(kept),
                        // What the journal cannot tell, the registry tells again.
                        Ok(None) | Err(_) => Arc::new(registry.facts_of(&repository, &met).await?),
                    },
                };
                Ok(Some(Build { tag: tag.clone(), digest: met.digest, facts }))
            };
            // On the heap, and only now: thousands may wait for their slot.
            let read: Result<_, RegistryError> = Box::pin(read).await;
            drop(slot);
            let result = match read {
                Ok(build) => {
                    let own_commit = is_own_commit(&mirrors, build.as_ref().and_then(select::revision)).await;
                    Ok(Tagged { build, own_commit })
                }
                Err(error) => Err(unread(&error)),
            };
            let _sent = out.send(Message::Learned { repository, tag, result }).await;
        });
    }

    /// Takes in a build that was read, unless its tag names another by now: its facts are kept for ever, and the tag's first
    /// digest with them.
    pub(in crate::daemon) async fn learned(
        &mut self,
        repository: Repository,
        tag: Tag,
        result: Result<Tagged, Unread>,
    ) {
        let now = self.clock.now();
        let Tagged { build, own_commit } = match result {
            Ok(tagged) => tagged,
            Err(Unread { error, lasts }) => {
                let shelf = self.memory.repositories.entry(repository.clone()).or_default();
                shelf.learning.remove(&tag);
                tracing::warn!(repository.name = %repository, image.tag = %tag, error = %error, "{repository}:{tag} could not be read: {error}");
                let n_before =
                    shelf.failed.get(&tag).filter(|before| lasts && before.lasts).map_or(0, |before| before.n);
                let until = now.saturating_add(left_alone(n_before)).unwrap_or(now);
                shelf.failed.insert(tag, Failed { error, lasts, n: n_before.saturating_add(1), until });
                self.mark_users(&repository);
                return;
            }
        };
        let digest = build.as_ref().map(|build| build.digest.clone());
        let shelf = self.memory.repositories.entry(repository.clone()).or_default();
        if shelf.is_overtaken(&tag, digest.as_ref()) {
            shelf.learning.remove(&tag);
            self.mark_users(&repository);
            return;
        }
        let build = build.map(|build| shelf.with_push(build));
        let sighting = match self.journal.sight(&repository, &tag, digest.as_ref(), now).await {
            Ok(sighting) => Some(sighting),
            Err(error) => {
                tracing::error!(error = %error, "a sighting was not kept");
                None
            }
        };
        if let Some(build) = &build {
            let facts = [(build.digest.clone(), build.facts.clone())];
            if let Err(error) = self.journal.remember_builds(&repository, &facts).await {
                tracing::error!(error = %error, "the facts of a build were not kept; they are read again after a restart");
            }
        }
        let shelf = self.memory.repositories.entry(repository.clone()).or_default();
        shelf.learning.remove(&tag);
        shelf.failed.remove(&tag);
        let was = sighting.as_ref().and_then(|sighting| sighting.first.clone());
        let moved_at = sighting.as_ref().and_then(|sighting| sighting.at_last_since).or(Some(now));
        if let Some(build) = build.as_ref().filter(|build| shelf.follows(&build.digest)) {
            shelf.facts.insert(build.digest.clone(), build.facts.clone());
        }
        shelf.tells_pushes |= build.as_ref().is_some_and(|build| build.facts.pushed.is_some());
        let own_commit = Some(own_commit);
        let mut known =
            select::TagFacts { build, facts_read: true, own_commit, was, moved_at, ..select::TagFacts::default() };
        known.see(sighting.as_ref().map_or(now, |sighting| sighting.first_seen), moved_at);
        shelf.known.insert(tag.clone(), known);
        self.forget_unlisted(&repository, &tag);
        self.put_away(&repository).await;
        self.mark_users(&repository);
    }

    /// Forgets what is neither followed nor pinned any more where nobody lists, and no list says what is gone.
    fn forget_unlisted(&mut self, repository: &Repository, learned: &Tag) {
        let pins = self.memory.users(repository).flat_map(|known| &known.standings);
        let pins = pins.filter_map(|standing| standing.pin.as_ref().ok()?.as_ref());
        let pinned: HashSet<Tag> =
            pins.flat_map(|reading| reading.pin.0.values()).filter_map(|pinned| pinned.tag.clone()).collect();
        let Some(shelf) = self.memory.repositories.get_mut(repository).filter(|shelf| shelf.tags.is_none()) else {
            return;
        };
        let RepositoryState { followed, known, failed, .. } = shelf;
        let stays = |tag: &Tag| tag == learned || followed.contains_key(tag) || pinned.contains(tag);
        known.retain(|tag, _| stays(tag));
        failed.retain(|tag, _| stays(tag));
    }

    /// Takes in what a registry said of a repository. What it said of followed tags counts for nothing where an effect of
    /// ours moved one meanwhile: else that would seem moved back by a person.
    pub(in crate::daemon) async fn observed(
        &mut self,
        repository: Repository,
        (now, begun): (Timestamp, Instant),
        observation: Observation,
    ) {
        let retagged = self.memory.repositories.get(&repository).and_then(|shelf| shelf.retagged);
        let overtaken = retagged.is_some_and(|retagged| begun <= retagged);
        if overtaken {
            self.wake_poller(&repository);
        }
        let shelf = self.memory.repositories.entry(repository.clone()).or_default();
        let Observation { tags, told, times, followed } = observation;
        let followed = if overtaken { shelf.followed.clone() } else { followed };
        let lost = !shelf.is_whole();
        // What was lost may have been lost while it was taken in.
        let listed = tags.is_some() && (lost || shelf.tags != tags);
        // Of two that are the same the newer is there.
        shelf.tags = tags.or(shelf.tags.take());
        let too_early = shelf.lost_at.is_some_and(|lost| begun <= lost);
        if !too_early {
            shelf.lost_at = None;
        }
        let changed = shelf.read_at.is_none() || shelf.error.is_some() || listed || lost || shelf.followed != followed;
        shelf.error = None;
        shelf.read_at = Some(now);
        shelf.sighted &= !listed;
        if let Some(Ok(tags)) = shelf.tags.as_ref().filter(|_| listed).map(|tags| tags.read()) {
            let names = |tag: &Tag| tags.contains(tag.by_ref()) || followed.contains_key(tag);
            shelf.known.retain(|tag, _| names(tag));
            shelf.failed.retain(|tag, _| names(tag));
        }
        self.sight_list(&repository, now).await;
        let told_more = self.date(&repository, (told, times), listed).await;
        if too_early {
            // It may have told only what a list had not that is lost by now.
            let shelf = self.memory.repositories.get(&repository);
            shelf.and_then(|shelf| shelf.tags.as_ref()).into_iter().for_each(|tags| tags.lose());
            self.wake_poller(&repository);
        }
        if !changed && !told_more {
            return;
        }
        let shelf = self.memory.repositories.entry(repository.clone()).or_default();
        for (tag, digest) in &followed {
            let known = shelf.known.get(tag).and_then(|known| known.build.as_ref()).map(|build| &build.digest);
            if known != digest.as_ref() {
                shelf.known.remove(tag);
                shelf.failed.remove(tag);
            }
        }
        shelf.followed = followed;
        let RepositoryState { followed, facts, .. } = shelf;
        facts.retain(|digest, _| followed.values().flatten().any(|followed| followed == digest));
        self.mark_users(&repository);
    }

    /// Keeps when the tags of a new list were first seen, where anything compares that.
    async fn sight_list(&mut self, repository: &Repository, now: Timestamp) {
        let Some(shelf) = self.memory.repositories.get(repository).filter(|shelf| !shelf.sighted) else { return };
        if !self.times_matter(repository) {
            return;
        }
        let Some(tags) = shelf.tags.clone() else { return };
        let tags = match tags.read() {
            Ok(tags) => tags,
            Err(error) => {
                return tracing::error!(error = %error, "when the tags of {repository} were first seen is not kept");
            }
        };
        match self.journal.sight_list(repository, &tags, now).await {
            Ok(()) => self.memory.repositories.entry(repository.clone()).or_default().sighted = true,
            Err(error) => tracing::error!(error = %error, "the tags of {repository} were not kept"),
        }
    }

    /// Marks the policies that use a repository.
    pub(in crate::daemon) fn mark_users(&mut self, repository: &Repository) {
        let users: Vec<_> = self.memory.users(repository).map(|known| known.policy.name.clone()).collect();
        users.iter().for_each(|user| self.mark(user));
    }
}

/// What a tag names. Where it was seen before, the facts are most likely in the journal, and its digest is all that is
/// asked for; else they are asked for next.
async fn named(
    registry: &Registry,
    journal: &Journal,
    repository: &Repository,
    tag: &Tag,
) -> Result<Option<Met>, RegistryError> {
    let seen = journal.sighting(repository, tag).await.ok().flatten();
    match seen.and_then(|sighting| sighting.last) {
        Some(_) => Ok(registry.digest(repository, tag).await?.map(Met::from)),
        None => registry.meet(repository, tag).await,
    }
}

/// Whether a revision is one of our own commits, in any of the repositories that we write to.
async fn is_own_commit(mirrors: &[Arc<Mirror>], revision: Option<String>) -> bool {
    let Some(revision) = revision else { return false };
    for mirror in mirrors {
        if mirror.is_ours(&revision).await.unwrap_or(false) {
            return true;
        }
    }
    false
}

/// How long a tag is left alone that failed so often before, each time for what lasts.
fn left_alone(n_before: u32) -> SignedDuration {
    let doubled = 2_i32.checked_pow(n_before).and_then(|times| RETRY.checked_mul(times));
    doubled.map_or(RETRY_MAX, |wait| wait.min(RETRY_MAX))
}

fn unread(error: &RegistryError) -> Unread {
    let lasts = matches!(error, RegistryError::Invalid(_) | RegistryError::Absent(_));
    Unread { error: error.to_string(), lasts }
}

/// A tag that its registry's list names, and that is not there.
fn not_there(repository: &Repository, tag: &Tag) -> RegistryError {
    RegistryError::Absent(format!("{repository} has no image under tag {tag}, which its list of tags names"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_unreadable_is_asked_for_ever_more_seldom() {
        let seconds = [0, 1, 2, 3, 4, 5, 30, 31, u32::MAX].map(|n| left_alone(n).as_secs());
        assert_eq!(seconds, [30, 60, 120, 240, 480, 600, 600, 600, 600]);
    }
}
