//! Effects: one exhaustive match from a step to the client call that makes it, and what becomes of each.

use crate::daemon::Daemon;
use crate::daemon::effects::git_writer::{RACE_MAX, WriteOrder, Writer};
use crate::daemon::effects::precheck::{Look, Unfit};
use crate::daemon::message::{Done, Message, Written};
use crate::daemon::sources::holds::Precheck;
use crate::model::event::{CheckResult, Effect};
use crate::model::pin::Trailers;
use crate::model::policy::CheckMethod;
use crate::model::{
    CommitId, Environment, Event, Image, OurCommit, Pin, PinReading, Policy, PolicyName, Release, Scope, Sequence, Tag,
    Why,
};
use crate::relay::edit::template::{Template, TemplateError};
use crate::relay::edit::words::{Vocabulary, Words};
use crate::relay::facts::{self, Block, Blocked};
use crate::relay::{Cleared, Step, meet};
use jiff::SignedDuration;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// How long a failed effect waits at first; each further failure doubles it.
const BLOCK_MIN: SignedDuration = SignedDuration::from_secs(2);
/// How long it waits at the most.
const BLOCK_MAX: SignedDuration = SignedDuration::from_secs(600);
/// How many races in a row a write may lose before it waits: a server whose copies disagree loses it every one.
const RACES_MAX: u32 = 5;
/// How many orders may wait for one branch's writer.
const ORDERS_MAX: usize = 4096;

impl Daemon {
    /// Begins the effect of one step.
    pub(in crate::daemon) async fn perform(&mut self, policy: &PolicyName, index: usize, step: Step) {
        let Some(known) = self.memory.policies.get(policy) else { return };
        let policy = known.policy.clone();
        let Some(environment) = policy.environments.get(index) else { return };
        let scope = Scope::of(&policy.name, &environment.name);
        if !self.acts {
            return self.would(&scope, &step);
        }
        self.metrics.decided(name_of(&step), "");
        match step {
            Step::Rest(_) | Step::Record(_) => {}
            Step::Copy(cleared) => self.copy(&policy, environment, &scope, cleared),
            Step::Retag(cleared, tag) => self.retag(&policy, environment, &scope, cleared, tag).await,
            Step::Write(cleared) => self.write(&policy, index, &scope, cleared).await,
            Step::Check { rollout, check } => self.check(&policy, environment, &scope, rollout, &check),
        }
    }

    /// In `mode: observe` an effect is said and not made.
    fn would(&mut self, scope: &Scope, step: &Step) {
        let effect = match step {
            Step::Rest(_) | Step::Record(_) => return,
            Step::Copy(cleared) => format!("copy {}", cleared.release()),
            Step::Retag(cleared, tag) => format!("push tag {tag} at {}", cleared.release()),
            Step::Write(cleared) => format!("write {}", cleared.release()),
            Step::Check { rollout: _, check } => format!("run check {check}"),
        };
        let (why, now) = (vec![Why::Observing { effect }], self.clock.now());
        let Some(standing) = self.memory.standing_mut(scope) else { return };
        if standing.why != why {
            tracing::info!(environment.scope = %scope, "{scope}: {}", why[0]);
            standing.waits_for(why, now);
        }
    }

    fn set_busy(&mut self, scope: &Scope, effect: Option<&'static str>) {
        if let Some(standing) = self.memory.standing_mut(scope) {
            standing.busy = effect;
            standing.why.clear();
        }
    }

    /// The number of the effect: the one that stands open for it, else a new one, in the journal before anything is made.
    async fn intend(&mut self, scope: &Scope, effect: Effect, cleared: &Cleared) -> Option<Sequence> {
        let open = self.memory.standing_mut(scope)?.ledger.open_intent();
        if let Some(open) = open.filter(|open| open.effect == effect && open.release == *cleared.release()) {
            return Some(open.sequence);
        }
        let (release, because) = (cleared.release().clone(), cleared.because().clone());
        let entries = vec![(scope.clone(), Event::Intended { effect, release, because })];
        self.record_all(entries).await?.first().map(|entry| entry.sequence)
    }

    async fn retag(
        &mut self,
        policy: &Arc<Policy>,
        environment: &Environment,
        scope: &Scope,
        cleared: Cleared,
        tag: Tag,
    ) {
        let effect = Effect::Retag { tag: tag.clone(), is_pin: environment.is_tag_only() };
        let Some(standing) = self.memory.standing_mut(scope) else { return };
        // What was begun is finished, whatever its tags name by now: a set that is half moved is worse.
        let begun = standing.ledger.open_intent().is_some_and(|open| open.effect == effect);
        let ordered = begun || standing.ledger.order.is_some();
        let look = Look::of(policy, environment, &cleared, ordered, &self.clients.registry);
        let brake = self.precheck(policy, environment, cleared.because()).filter(|_| !begun);
        let Some(intent) = self.intend(scope, effect, &cleared).await else { return };
        self.set_busy(scope, Some("retag"));
        let (registry, images, scope, out) =
            (self.clients.registry.clone(), environment.images.clone(), scope.clone(), self.out.clone());
        self.tasks.spawn(async move {
            let moved = async {
                look.again().await?;
                held(brake.as_ref()).await?;
                for image in &images {
                    let moved = registry.retag(&cleared, &image.name, &image.repository, &tag).await;
                    moved.map_err(|error| Unfit::Unknown(error.to_string()))?;
                }
                Ok(())
            };
            let done = match moved.await {
                Ok(()) => Done::Retag { intent, tag, result: Ok(()) },
                Err(Unfit::Moved(why)) => Done::TagMoved { intent, why },
                Err(Unfit::Held(why)) => Done::Braked { intent, why },
                Err(Unfit::Missing(why)) => Done::ImageMissing { intent, effect: Blocked::Retag, why },
                Err(Unfit::Unknown(error)) => Done::Retag { intent, tag, result: Err(error) },
            };
            // The loop may have stopped; the next start reads the tags and goes on from there.
            let _sent = out.send(Message::Done { scope, done }).await;
        });
    }

    async fn write(&mut self, policy: &Arc<Policy>, index: usize, scope: &Scope, cleared: Cleared) {
        let environment = &policy.environments[index];
        let Some(standing) = self.memory.standing_mut(scope) else { return };
        let Ok(Some(reading)) = &standing.pin else { return };
        let judged = (reading.tip.clone(), reading.pin.clone());
        let ordered = standing.ledger.order.is_some();
        standing.tried_at = Some(reading.tip.clone());
        let Some(orders) = self.writer(environment) else { return };
        let effect = Effect::Commit { form: environment.pin };
        let Some(intent) = self.intend(scope, effect, &cleared).await else { return };
        self.set_busy(scope, Some("write"));
        let (journal, at) = (self.ids.id.clone(), self.clock.now());
        let order = WriteOrder { policy: policy.clone(), index, cleared, intent, journal, judged, at };
        let look = Look::of(policy, environment, &order.cleared, ordered, &self.clients.registry);
        let brake = self.precheck_of_write(policy, environment, order.cleared.because());
        let (scope, out) = (scope.clone(), self.out.clone());
        self.tasks.spawn(async move {
            let sent = async {
                look.again().await?;
                held(brake.as_ref()).await?;
                orders.send(order).await.map_err(|_| Unfit::Unknown("the writer stopped".to_owned()))
            };
            let done = match sent.await {
                Ok(()) => None,
                Err(Unfit::Unknown(why)) => Some(Done::Write { intent, written: Written::Failed(why) }),
                Err(Unfit::Missing(why)) => Some(Done::ImageMissing { intent, effect: Blocked::Write, why }),
                Err(Unfit::Moved(why)) => Some(Done::TagMoved { intent, why }),
                Err(Unfit::Held(why)) => Some(Done::Braked { intent, why }),
            };
            if let Some(done) = done {
                let _sent = out.send(Message::Done { scope, done }).await;
            }
        });
    }

    /// The writer of an environment's branch, started where it does not run yet.
    fn writer(&mut self, environment: &Environment) -> Option<mpsc::Sender<WriteOrder>> {
        let deliver = &environment.deliver;
        let key = (deliver.repository.clone(), deliver.branch.clone());
        if let Some(orders) = self.writers.get(&key) {
            return Some(orders.clone());
        }
        let mirror = self.readers.get(&deliver.repository)?.mirror.clone();
        let author = self.clients.author(&deliver.repository);
        let (orders, inbox) = mpsc::channel(ORDERS_MAX);
        let (branch, base, out) = (deliver.branch.clone(), deliver.base.clone(), self.out.clone());
        let (config, edits, metrics) = (self.configuration(), self.edits.clone(), self.metrics.clone());
        let writer = Writer { mirror, edits, config, branch, base, author, race_max: RACE_MAX, metrics, out };
        self.tasks.spawn(writer.run(inbox));
        self.writers.insert(key, orders.clone());
        Some(orders)
    }

    fn check(
        &mut self,
        policy: &Arc<Policy>,
        environment: &Environment,
        scope: &Scope,
        rollout: Sequence,
        check: &str,
    ) {
        let Some(standing) = self.memory.standing_mut(scope) else { return };
        let Some(arrival) = standing.ledger.in_flight() else { return };
        let rules = facts::rules(environment, arrival);
        let Some(spec) = facts::check_to_make(environment, &rules, check, &standing.blocks) else { return };
        let CheckMethod::Http(http) = spec.method.clone() else { return };
        standing.checking.insert(check.to_owned(), None);
        let release = standing.ledger.in_flight().and_then(|arrival| arrival.release.clone());
        let pin = standing.ledger.in_flight().map(|arrival| arrival.pin.clone()).unwrap_or_default();
        let commit = standing.ledger.in_flight().and_then(|arrival| arrival.commit.clone());
        let url = check_url(&http.url, policy, environment, (&pin, release.as_ref(), commit.as_ref()));
        let (timeout, retries, check, scope) = (spec.timeout.get(), spec.retries, check.to_owned(), scope.clone());
        let (checks, out) = (self.clients.checks.clone(), self.out.clone());
        self.tasks.spawn(async move {
            let tell = |wrong: &str| {
                let done = Done::CheckAnswered { check: check.clone(), wrong: wrong.to_owned() };
                // It is for people who look. Where the loop has too much to do it is left out.
                let _sent = out.try_send(Message::Done { scope: scope.clone(), done });
            };
            let result = match url {
                Ok(url) => checks.http(&http, &url, timeout, retries, &tell).await,
                Err(error) => Ok(CheckResult::Failed(error.to_string())),
            };
            let _sent = out.send(Message::Done { scope, done: Done::Check { rollout, check, result } }).await;
        });
    }

    /// Takes in what became of an effect.
    pub(in crate::daemon) async fn done(&mut self, scope: &Scope, done: Done) {
        match done {
            Done::Check { rollout, check, result } => self.checked(scope, rollout, check, result).await,
            Done::CheckAnswered { check, wrong } => {
                let standing = self.memory.standing_mut(scope);
                if let Some(last) = standing.and_then(|standing| standing.checking.get_mut(&check)) {
                    *last = Some(wrong);
                }
            }
            Done::Copy { release, stop, result } => self.copied(scope, release, &stop, result),
            Done::Keep { stop, swept } => self.kept(scope, &stop, swept),
            Done::Retag { intent, tag, result } => {
                self.set_busy(scope, None);
                match result {
                    Ok(()) => self.tags_moved(scope, intent, &tag),
                    Err(why) => {
                        self.unread_tag(scope, &tag);
                        self.block(scope, Blocked::Retag, why);
                    }
                }
            }
            Done::Write { intent, written } => {
                self.set_busy(scope, None);
                self.written(scope, intent, written).await;
            }
            Done::ImageMissing { intent, effect, why } => {
                self.set_busy(scope, None);
                // A retag that was begun may have moved some of its tags: it stays to be completed.
                if effect == Blocked::Write {
                    self.record(scope, vec![Event::Withdrawn { intent, why: crate::model::text::shown(&why) }]).await;
                }
                self.block(scope, effect, why);
                let standing = self.memory.standing_mut(scope);
                for block in standing.into_iter().flat_map(|standing| &mut standing.blocks) {
                    block.is_image_missing |= block.effect == effect;
                }
            }
            Done::TagMoved { intent, why } => {
                self.set_busy(scope, None);
                let Some(standing) = self.memory.standing_mut(scope) else { return };
                let release = standing.ledger.intents.get(&intent).map(|intent| intent.release.id().clone());
                standing.unfit.extend(release.map(|release| (release, why.clone())));
                self.record(scope, vec![Event::Withdrawn { intent, why: why.to_string() }]).await;
            }
            Done::Braked { intent, why } => {
                self.set_busy(scope, None);
                self.record(scope, vec![Event::Withdrawn { intent, why: why.to_string() }]).await;
            }
        }
        if let Some(policy) = &scope.policy {
            self.mark(&policy.clone());
        }
    }

    async fn checked(&mut self, scope: &Scope, rollout: Sequence, check: String, result: Result<CheckResult, String>) {
        let Some(standing) = self.memory.standing_mut(scope) else { return };
        standing.checking.remove(&check);
        if result.is_ok() {
            standing.blocks.retain(|block| block.effect != Blocked::Check);
        }
        let in_flight = standing.ledger.in_flight().is_some_and(|arrival| arrival.rollout == rollout);
        match result {
            // What the configuration forbids is no word about the release: it is told, and the release waits.
            Err(why) => self.block(scope, Blocked::Check, why),
            Ok(result) if in_flight => {
                self.record(scope, vec![Event::Checked { rollout, check, result, url: None }]).await;
            }
            Ok(_) => {}
        }
    }

    async fn written(&mut self, scope: &Scope, intent: Sequence, written: Written) {
        match written {
            Written::Committed(commit, pin) => {
                if let Some((repository, branch)) = self.place_of(scope) {
                    self.pushed(&repository, &branch, &commit);
                }
                self.committed(scope, intent, &commit, pin).await;
                self.unblock(scope);
            }
            Written::Raced => {
                self.record(scope, vec![Event::Withdrawn { intent, why: "the branch moved".to_owned() }]).await;
                self.reread(scope);
                self.raced(scope);
            }
            Written::Failed(why) => {
                self.record(scope, vec![Event::Withdrawn { intent, why: crate::model::text::shown(&why) }]).await;
                self.reread(scope);
                self.block(scope, Blocked::Write, why);
            }
            Written::Unknown(why) => {
                self.reread(scope);
                self.block(scope, Blocked::Write, why);
            }
        }
    }

    /// A commit of ours stands: it is kept, and the pin is what it says without a reading.
    async fn committed(&mut self, scope: &Scope, intent: Sequence, commit: &CommitId, pin: Pin) {
        let Some((known, index)) =
            scope.policy.as_ref().zip(scope.environment.as_ref()).and_then(|(p, e)| self.memory.find(p, e))
        else {
            return;
        };
        let Some(facts) = self.memory.facts(known, index, &self.moment()) else { return };
        let Some(standing) = facts.ledger.intents.get(&intent) else { return };
        let release = standing.release.clone();
        let seen = release.builds().values().filter_map(|build| build.facts.seen).max();
        let since_seen = seen.and_then(|seen| Duration::try_from(self.clock.now().duration_since(seen)).ok());
        let events = meet::committed(&facts, standing, commit);
        let reading = reading(scope, &release, &self.ids.id, intent, commit, pin);
        if !self.record(scope, events).await {
            return self.reread(scope);
        }
        self.metrics.committed(since_seen);
        if let Some(standing) = self.memory.standing_mut(scope) {
            standing.pin = Ok(reading);
        }
    }

    /// A push of ours moved the tip of a branch: every pin on it stands as it was read, at the new tip. One that is to be
    /// read again is still to be read.
    fn pushed(&mut self, repository: &str, branch: &str, tip: &CommitId) {
        if let Some(reader) = self.readers.get(repository) {
            reader.tips.pushed(branch, tip);
        }
        let key = (repository.to_owned(), branch.to_owned());
        self.memory.branches.entry(key).or_default().tip = Some(tip.clone());
        let mut is_unread = false;
        for known in self.memory.policies.values_mut() {
            let policy = known.policy.clone();
            for (environment, standing) in policy.environments.iter().zip(&mut known.standings) {
                if environment.deliver.repository == repository && environment.deliver.branch == branch {
                    match &mut standing.pin {
                        Ok(Some(reading)) => reading.tip = tip.clone(),
                        Ok(None) => {}
                        Err(_) => is_unread |= !environment.is_tag_only(),
                    }
                }
            }
        }
        if is_unread && let Some(reader) = self.readers.get(repository) {
            reader.tips.forget(branch);
            reader.wake.notify_one();
        }
    }

    /// Forgets the pin of an environment and has its branch read again.
    fn reread(&mut self, scope: &Scope) {
        if let Some(standing) = self.memory.standing_mut(scope) {
            standing.pin = Err(Why::Unread { what: "the GitOps repository".to_owned(), error: None });
        }
        let Some((repository, branch)) = self.place_of(scope) else { return };
        if let Some(reader) = self.readers.get(&repository) {
            reader.tips.forget(&branch);
            reader.wake.notify_one();
        }
    }

    fn place_of(&self, scope: &Scope) -> Option<(String, String)> {
        let (known, index) = self.memory.find(scope.policy.as_ref()?, scope.environment.as_ref()?)?;
        let deliver = &known.policy.environments.get(index)?.deliver;
        Some((deliver.repository.clone(), deliver.branch.clone()))
    }

    /// All tags of a retag were moved: memory says so, and the next pass keeps it.
    fn tags_moved(&mut self, scope: &Scope, intent: Sequence, tag: &Tag) {
        let Some(standing) = self.memory.standing_mut(scope) else { return };
        let Some(release) = standing.ledger.intents.get(&intent).map(|intent| intent.release.clone()) else { return };
        for image in self.images_of(scope) {
            let Some(build) = release.builds().get(&image.name) else { continue };
            let shelf = self.memory.repositories.entry(image.repository.clone()).or_default();
            shelf.followed.insert(tag.clone(), Some(build.digest.clone()));
            shelf.retagged = Some(Instant::now());
            shelf.facts.entry(build.digest.clone()).or_insert_with(|| build.facts.clone());
        }
        self.unblock(scope);
    }

    /// The images of the environment that a scope names.
    fn images_of(&self, scope: &Scope) -> Vec<Image> {
        let names = scope.policy.as_ref().zip(scope.environment.as_ref());
        let found = names.and_then(|(policy, environment)| self.memory.find(policy, environment));
        let environment = found.and_then(|(known, index)| known.policy.environments.get(index));
        environment.map(|environment| environment.images.clone()).unwrap_or_default()
    }

    /// Forgets what a tag names, and has it read again.
    fn unread_tag(&mut self, scope: &Scope, tag: &Tag) {
        for image in self.images_of(scope) {
            if let Some(shelf) = self.memory.repositories.get_mut(&image.repository) {
                shelf.followed.remove(tag);
                shelf.retagged = Some(Instant::now());
            }
            self.wake_poller(&image.repository);
        }
    }

    /// An effect failed: it is stepped over until later, ever longer.
    pub(in crate::daemon) fn block(&mut self, scope: &Scope, effect: Blocked, why: String) {
        let now = self.clock.now();
        self.metrics.failed(scope.policy.as_ref());
        let Some(standing) = self.memory.standing_mut(scope) else { return };
        let until = now.saturating_add(pause(standing.n_failures)).unwrap_or(now);
        standing.n_failures = standing.n_failures.saturating_add(1);
        // What was copied may be gone again: that may be why, and looking costs little.
        standing.copied = None;
        let before = standing.blocks.extract_if(.., |block| block.effect == effect).next();
        let since = before.map_or(now, |before| before.since);
        tracing::warn!(environment.scope = %scope, error = %why, "{scope}: {effect:?} failed, again at {until:.0}: {why}");
        standing.blocks.push(Block { effect, why, since, is_image_missing: false, until });
    }

    /// A write lost a race: it is made again at once, unless it lost many.
    fn raced(&mut self, scope: &Scope) {
        let Some(standing) = self.memory.standing_mut(scope) else { return };
        standing.n_races = standing.n_races.saturating_add(1);
        if standing.n_races > RACES_MAX {
            let why = format!("{} pushes in a row found the branch moved", standing.n_races);
            self.block(scope, Blocked::Write, why);
        }
    }

    fn unblock(&mut self, scope: &Scope) {
        if let Some(standing) = self.memory.standing_mut(scope) {
            standing.blocks.clear();
            (standing.n_failures, standing.n_races) = (0, 0);
        }
    }
}

/// Finds out right before an effect whether a HOLD file holds it.
///
/// # Errors
/// When one does, or nobody can tell.
pub(in crate::daemon) async fn held(brake: Option<&Precheck>) -> Result<(), Unfit> {
    let Some(brake) = brake else { return Ok(()) };
    match brake.run().await.map_err(Unfit::Unknown)? {
        Some(why) => Err(Unfit::Held(why)),
        None => Ok(()),
    }
}

/// How long what failed waits that had failed so often before, in a row.
pub(in crate::daemon) fn pause(n_failures: u32) -> SignedDuration {
    let doubled = 2_i32.saturating_pow(n_failures);
    BLOCK_MIN.checked_mul(doubled).map_or(BLOCK_MAX, |pause| pause.min(BLOCK_MAX))
}

/// What an effect is called where it is counted.
fn name_of(step: &Step) -> &'static str {
    match step {
        Step::Rest(_) => "rest",
        Step::Record(_) => "record",
        Step::Copy(_) => "copy",
        Step::Retag(..) => "retag",
        Step::Write(_) => "write",
        Step::Check { .. } => "check",
    }
}

/// The URL of a smoke test, its template filled in.
fn check_url(
    url: &str,
    policy: &Policy,
    environment: &Environment,
    (pin, release, commit): (&Pin, Option<&Release>, Option<&CommitId>),
) -> Result<String, TemplateError> {
    let words = match release {
        Some(release) => Words::of_change(&policy.name, &environment.name, &environment.images, (pin, None), release),
        None => Words::of_place(&policy.name, &environment.name, &environment.images),
    };
    let words = commit.map_or_else(|| words.clone(), |commit| words.clone().with_commit(commit));
    Template::parse(url, Vocabulary::Release)?.render(&words)
}

/// The reading of a pin that we just pushed.
fn reading(
    scope: &Scope,
    release: &Release,
    journal: &str,
    intent: Sequence,
    commit: &CommitId,
    pin: Pin,
) -> Option<PinReading> {
    let digests = release.builds().iter().map(|(name, build)| (name.clone(), build.digest.clone())).collect();
    let trailers = Trailers {
        commit: commit.clone(),
        journal: journal.to_owned(),
        sequence: intent,
        policy: scope.policy.clone()?,
        environment: scope.environment.clone()?,
        digests,
    };
    Some(PinReading { tip: commit.clone(), pin, ours: OurCommit::Found(trailers), last_touch: None })
}
