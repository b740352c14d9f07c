//! The tags that keep what runs, and what was last verified, from lifecycle rules: made and removed beside the loop.
//!
//! What is kept, `relay::keep` says. Nothing waits for this and nothing goes by it: a failure is told, and tried again.

use crate::clients::registry::{Registry, RegistryError, Removed, Retagged};
use crate::daemon::Daemon;
use crate::daemon::effects::perform::pause;
use crate::daemon::effects::precheck as look;
use crate::daemon::message::{Done, Message};
use crate::daemon::state::keeping::Keeping;
use crate::daemon::state::memory::Memory;
use crate::model::policy::Image;
use crate::model::{Digest, Environment, PolicyName, Release, ReleaseId, Repository, Scope, TagList};
use crate::relay::keep::{self, Kept, Lapsed};
use std::collections::{BTreeMap, BTreeSet};
use tokio_util::sync::CancellationToken;

/// How many past releases lose their tags at once, newest first: where tags are not listed, each costs a look.
const LAPSED_MAX: usize = 20;

/// What became of it.
pub(in crate::daemon) struct Swept {
    wanted: Vec<ReleaseId>,
    /// Releases whose tags are gone, or stay for good.
    past: Vec<ReleaseId>,
    /// Repositories that remove no tags, and in which words they said so.
    stays: BTreeMap<Repository, String>,
    result: Result<(), String>,
}

impl Daemon {
    /// Begins to keep what an environment wants kept, if that is not what it kept last.
    pub(in crate::daemon) fn keep_releases(&mut self, policy: &PolicyName, index: usize) {
        let now = self.clock.now();
        if !self.acts {
            return;
        }
        let Some(known) = self.memory.policies.get(policy) else { return };
        let Some((environment, standing)) = known.policy.environments.get(index).zip(known.standings.get(index)) else {
            return;
        };
        if environment.keep == 0 {
            return;
        }
        let kept = keep::rights(&environment.name, &standing.ledger, environment.keep);
        let wanted: Vec<ReleaseId> = kept.iter().map(|kept| kept.release().id().clone()).collect();
        if !standing.keeping.begins(&wanted, now) {
            return;
        }
        let used = used(&self.memory);
        let mut lapsed = keep::lapsed(&environment.name, &standing.ledger, environment.keep, &used);
        if !lapsed.is_empty() {
            let lists = lists(environment, &self.memory);
            lapsed.retain(|lapsed| may_be_there(lapsed, &standing.keeping, &lists));
        }
        lapsed.truncate(LAPSED_MAX);
        let scope = Scope::of(policy, &environment.name);
        let images = environment.images.clone();
        let stays = |image: &Image| {
            let shelf = self.memory.repositories.get(&image.repository);
            Some((image.repository.clone(), shelf?.tags_stay.clone()?))
        };
        let stays = images.iter().filter_map(stays).collect();
        let errand = Errand { registry: self.clients.registry.clone(), scope: scope.clone(), images, kept, lapsed };
        let swept = Swept { wanted, past: Vec::new(), stays, result: Ok(()) };
        self.begin_to_keep(scope, errand, swept);
    }

    fn begin_to_keep(&mut self, scope: Scope, errand: Errand, mut swept: Swept) {
        let stop = self.stop.child_token();
        let Some(standing) = self.memory.standing_mut(&scope) else { return };
        standing.keeping.busy = Some(stop.clone().drop_guard());
        // From here on each may have its tag, whatever becomes of the others.
        standing.keeping.tagged.extend(swept.wanted.iter().cloned().map(|release| (release, true)));
        self.metrics.decided("keep", "");
        let out = self.out.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                result = errand.run(&mut swept) => swept.result = result,
                // Whoever comes next looks at each tag before it makes or removes it.
                () = stop.cancelled() => return,
            }
            let _sent = out.send(Message::Done { scope, done: Done::Keep { stop, swept } }).await;
        });
    }

    /// Takes in what became of it, unless it was given up meanwhile.
    pub(in crate::daemon) fn kept(&mut self, scope: &Scope, stop: &CancellationToken, swept: Swept) {
        for (repository, why) in swept.stays {
            let shelf = self.memory.repositories.get_mut(&repository);
            let Some(shelf) = shelf.filter(|shelf| shelf.tags_stay.is_none()) else { continue };
            tracing::warn!(repository.name = %repository, "{repository}: tags of releases that are kept no longer stay; remove them by a lifecycle rule: {why}");
            shelf.tags_stay = Some(why);
        }
        let now = self.clock.now();
        if stop.is_cancelled() {
            return;
        }
        let Some(standing) = self.memory.standing_mut(scope) else { return };
        let keeping = &mut standing.keeping;
        keeping.busy = None;
        keeping.tagged.extend(swept.past.into_iter().map(|release| (release, false)));
        match swept.result {
            Ok(()) => (keeping.kept, keeping.failed) = (swept.wanted, None),
            Err(why) => {
                let n_failures = keeping.failed.as_ref().map_or(0, |(_, _, n)| *n);
                let until = now.saturating_add(pause(n_failures)).unwrap_or(now);
                tracing::warn!(environment.scope = %scope, error = %why, "{scope}: releases could not be kept by tags, again at {until:.0}: {why}");
                keeping.failed = Some((why, until, n_failures.saturating_add(1)));
                self.metrics.failed(scope.policy.as_ref());
            }
        }
    }
}

/// The builds that some environment of some policy runs, keeps or is about to need.
fn used(memory: &Memory) -> BTreeSet<Digest> {
    let standings = memory.policies.values().flat_map(|known| known.policy.environments.iter().zip(&known.standings));
    standings.flat_map(|(environment, standing)| keep::used(&standing.ledger, environment.keep)).cloned().collect()
}

/// The tags of an environment's images; none of an image whose tags nobody lists, or whose list cannot be read.
fn lists(environment: &Environment, memory: &Memory) -> Vec<Option<TagList>> {
    let shelves = environment.images.iter().map(|image| memory.repositories.get(&image.repository));
    shelves.map(|shelf| shelf?.tags.as_ref()?.read().ok()).collect()
}

/// Whether a release may still have its tag: where this process does not know, the lists of tags tell; an image without
/// one is asked for.
fn may_be_there(lapsed: &Lapsed, keeping: &Keeping, lists: &[Option<TagList>]) -> bool {
    let is_listed = |tags: &Option<TagList>| tags.as_ref().is_none_or(|tags| tags.contains(lapsed.tag().by_ref()));
    let known = keeping.tagged.get(lapsed.release().id()).copied();
    known.unwrap_or_else(|| lists.iter().any(is_listed))
}

/// What is done beside the loop.
struct Errand {
    registry: Registry,
    scope: Scope,
    images: Vec<Image>,
    kept: Vec<Kept>,
    lapsed: Vec<Lapsed>,
}

impl Errand {
    /// Tags what is kept, and only when all of it is, lets go of what is past.
    async fn run(&self, swept: &mut Swept) -> Result<(), String> {
        let mut failed = None;
        for kept in &self.kept {
            for image in self.images_of(kept.release()) {
                match self.registry.keep(kept, &image.name, &image.repository).await {
                    Ok(Retagged::AlreadyThere) => {}
                    Ok(Retagged::Moved) => {
                        tracing::info!(environment.scope = %self.scope, "{}: {} is kept by {}:{}", self.scope, kept.release(), image.repository, kept.tag());
                    }
                    // What went before it could be kept comes back no more; for what runs that is worth an alarm.
                    Err(RegistryError::Absent(why)) if !kept.runs() => {
                        tracing::info!(environment.scope = %self.scope, "{}: {} is not kept: {why}", self.scope, kept.release());
                    }
                    Err(error) => {
                        failed.get_or_insert_with(|| error.to_string());
                    }
                }
            }
        }
        match failed {
            Some(why) => Err(why),
            None => self.let_go(swept).await,
        }
    }

    async fn let_go(&self, swept: &mut Swept) -> Result<(), String> {
        for lapsed in &self.lapsed {
            for image in self.images_of(lapsed.release()) {
                let (repository, tag) = (&image.repository, lapsed.tag());
                if swept.stays.contains_key(repository) {
                    continue;
                }
                let removed = self.registry.let_go(lapsed, &image.name, repository).await;
                match removed.map_err(|error| error.to_string())? {
                    Removed::Removed => {
                        tracing::info!(environment.scope = %self.scope, "{}: {} is kept no longer, and {repository}:{tag} removed", self.scope, lapsed.release());
                    }
                    Removed::Absent | Removed::Left => {}
                    Removed::Unsupported(why) => {
                        swept.stays.insert(repository.clone(), why);
                    }
                }
            }
            swept.past.push(lapsed.release().id().clone());
        }
        Ok(())
    }

    /// The images that a release has builds of: those of a policy change.
    fn images_of(&self, release: &Release) -> impl Iterator<Item = Image> {
        look::builds(&self.images, release).into_iter().map(|(image, _)| image)
    }
}
