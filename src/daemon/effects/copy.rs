//! The copy of a release into an environment's own repositories: begun beside the loop, and what became of it.
//!
//! What is copied, and in which order, the registry client knows; that it may be copied, `Cleared` says.

use crate::clients::registry::{Carriage, Copied, Registry};
use crate::daemon::Daemon;
use crate::daemon::effects::perform::held;
use crate::daemon::message::{Done, Message};
use crate::model::{Environment, PinForm, Policy, Release, ReleaseId, Scope, Tag};
use crate::relay::Cleared;
use crate::relay::attach::{self, Attach};
use crate::relay::facts::Blocked;
use tokio_util::sync::CancellationToken;

impl Daemon {
    /// Begins to copy a release; another that is being copied here is given up.
    pub(in crate::daemon) fn copy(
        &mut self,
        policy: &Policy,
        environment: &Environment,
        scope: &Scope,
        cleared: Cleared,
    ) {
        let stop = self.stop.child_token();
        let brake = self.precheck(policy, environment, cleared.because());
        let now = self.clock.now();
        let Some(standing) = self.memory.standing_mut(scope) else { return };
        standing.copying = Some((cleared.release().clone(), stop.clone().drop_guard()));
        standing.waits_for(vec![crate::model::Why::Copying { release: cleared.release().to_string() }], now);
        let (carriages, is_by_tag) =
            (carriages(policy, environment, cleared.release()), environment.pin == PinForm::Tag);
        let (registry, scope, out) = (self.clients.registry.clone(), scope.clone(), self.out.clone());
        tracing::info!(environment.scope = %scope, "{scope}: {} is copied", cleared.release());
        self.tasks.spawn(async move {
            let release = cleared.release().id().clone();
            let carried = async {
                held(brake.as_ref()).await.map_err(|unfit| unfit.to_string())?;
                carry(&registry, &cleared, &carriages, is_by_tag).await
            };
            let result = tokio::select! {
                result = carried => result,
                // The next one finds what is there already, and goes on from that.
                () = stop.cancelled() => return,
            };
            let _sent = out.send(Message::Done { scope, done: Done::Copy { release, stop, result } }).await;
        });
    }

    /// Takes in what became of a copy, unless it was given up meanwhile: perhaps for another copy of the same release.
    pub(in crate::daemon) fn copied(
        &mut self,
        scope: &Scope,
        release: ReleaseId,
        stop: &CancellationToken,
        result: Result<(), String>,
    ) {
        if stop.is_cancelled() {
            return;
        }
        let Some(standing) = self.memory.standing_mut(scope) else { return };
        standing.copying = None;
        match result {
            Ok(()) => {
                standing.blocks.retain(|block| block.effect != Blocked::Copy);
                standing.copied = Some(release);
            }
            Err(why) => self.block(scope, Blocked::Copy, why),
        }
    }

    /// Looks again, where it is time, at what is attached to the releases that were copied: what came after the copy is
    /// brought along.
    pub(in crate::daemon) fn attach_again(&mut self) {
        let (now, mut due) = (self.clock.now(), Vec::new());
        for (name, known) in self.memory.policies.iter().filter(|_| self.acts) {
            for (environment, standing) in known.policy.environments.iter().zip(&known.standings) {
                let Some(rollout) = standing.ledger.current().map(|current| current.rollout) else { continue };
                let last = standing.attached.filter(|(of, _)| *of == rollout).map(|(_, at)| at);
                if let Some(right) = attach::due(environment, &standing.ledger, last, now) {
                    let carriages = carriages(&known.policy, environment, right.release());
                    due.push((Scope::of(name, &environment.name), rollout, right, carriages));
                }
            }
        }
        for (scope, rollout, right, carriages) in due {
            if let Some(standing) = self.memory.standing_mut(&scope) {
                standing.attached = Some((rollout, now));
            }
            let (registry, stop) = (self.clients.registry.clone(), self.stop.clone());
            self.tasks.spawn(async move {
                // Nothing waits for it: what was not brought this time is looked for the next time.
                tokio::select! {
                    () = bring(&registry, &scope, &right, &carriages) => {}
                    () = stop.cancelled() => {}
                }
            });
        }
    }
}

/// Brings along what came to be attached to a release, image by image.
async fn bring(registry: &Registry, scope: &Scope, right: &Attach, carriages: &[Carriage]) {
    let release = right.release();
    for carriage in carriages {
        match registry.attach(right, carriage).await {
            Ok(Copied { manifests: 0, .. }) => {}
            Ok(Copied { manifests, .. }) => {
                tracing::info!(environment.scope = %scope, "{scope}: {manifests} manifests about {release} came after it was copied");
            }
            Err(error) => {
                tracing::warn!(environment.scope = %scope, error = %error, "{scope}: {error}; it is looked for again");
            }
        }
    }
}

/// What goes where, image by image, and under which tag: the one that it was chosen by, unless that tag is meant to move.
fn carriages(policy: &Policy, environment: &Environment, release: &Release) -> Vec<Carriage> {
    let moving: Vec<&Tag> = policy.environments.iter().filter_map(Environment::followed_tag).collect();
    let from = policy.images_before(environment);
    let of = |(from, to): (&crate::model::policy::Image, &crate::model::policy::Image)| {
        let tag = release.builds().get(&to.name).map(|build| &build.tag);
        Carriage {
            image: to.name.clone(),
            from: from.repository.clone(),
            to: to.repository.clone(),
            tag: tag.filter(|tag| !moving.contains(tag)).cloned(),
        }
    };
    from.iter().zip(&environment.images).map(of).collect()
}

async fn carry(registry: &Registry, cleared: &Cleared, carriages: &[Carriage], is_by_tag: bool) -> Result<(), String> {
    for carriage in carriages {
        let copied = registry.copy(cleared, carriage).await.map_err(|error| error.to_string())?;
        let (Carriage { to, tag: Some(tag), .. }, Some(other), true) = (carriage, &copied.tag_names, is_by_tag) else {
            continue;
        };
        return Err(format!(
            "{to}:{tag} names {} there, and `pin: tag` would run that: remove the tag, or pin tag@digest",
            other.short()
        ));
    }
    Ok(())
}
