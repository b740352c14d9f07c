//! The clock was set: what was kept by the clock as it was is read by it as it is now, in the journal, in memory and in the
//! lists that are put away.

use super::Daemon;
use crate::daemon::lists::Kept;
use crate::model::{Dated, Event, Repository, Scope, Tag};
use jiff::SignedDuration;

/// How many tags of a list are asked for at once: there may be as many as a registry has.
const TAGS_AT_A_TIME: usize = 4096;

impl Daemon {
    /// Keeps that the clock was set by so much, and reads all times anew.
    pub(super) async fn clock_was_set(&mut self, by: SignedDuration) {
        let by_ms = i64::try_from(by.as_millis()).unwrap_or(0);
        let event = Event::ClockSet { by_ms, since: self.first_of_this_run };
        self.record(&Scope::default(), vec![event]).await;
        if let Err(error) = self.journal.clock_was_set(by, self.clock.now()).await {
            return tracing::error!(%error, "tags that were first seen by a wrong clock keep its time: {error}");
        }
        let repositories: Vec<Repository> = self.memory.repositories.keys().cloned().collect();
        for repository in &repositories {
            self.see_known_anew(repository).await;
            self.see_put_away_anew(repository).await;
        }
        self.mark_all();
    }

    /// Reads anew when the tags that are looked at were first seen, and since when they name what they name.
    async fn see_known_anew(&mut self, repository: &Repository) {
        let Some(shelf) = self.memory.repositories.get_mut(repository) else { return };
        for (tag, known) in &mut shelf.known {
            match self.journal.sighting(repository, tag).await {
                Ok(Some(sighting)) => known.see(sighting.first_seen, sighting.at_last_since),
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(%error, "when {tag} of {repository} was first seen could not be read: {error}");
                }
            }
        }
    }

    /// The same for the tags that are put away. A list that cannot be brought up to date is lost, and asked for anew.
    async fn see_put_away_anew(&mut self, repository: &Repository) {
        let Some(shelf) = self.memory.repositories.get(repository) else { return };
        let Some(dated) = &shelf.dated else { return };
        let anew = match dated.read() {
            Ok(old) => self.seen_anew(repository, &old).await,
            Err(error) => Err(error),
        };
        let Some(shelf) = self.memory.repositories.get_mut(repository) else { return };
        match anew {
            Ok(kept) => shelf.dated = kept,
            Err(error) => {
                tracing::error!(repository.name = %repository, error = %error, "{repository}: when its tags were first seen is asked for anew: {error}");
                shelf.lose_dated();
                shelf.tags.iter().for_each(|tags| tags.lose());
                self.wake_poller(repository);
            }
        }
    }

    async fn seen_anew(&self, repository: &Repository, old: &Dated) -> Result<Option<Box<Kept<Dated>>>, String> {
        let tags: Vec<Tag> = old.iter().map(|dated| dated.tag.to_tag()).collect();
        let (mut anew, mut walk) = (Dated::default(), old.walk());
        for some in tags.chunks(TAGS_AT_A_TIME) {
            let seen = self.journal.first_seen(repository, some).await.map_err(|error| error.to_string())?;
            for tag in some {
                if let Some(dated) = walk.get(tag.by_ref()) {
                    anew.push(&dated.seen_at(seen.get(tag).copied()));
                }
            }
        }
        self.keep_dated(&anew).await
    }
}
