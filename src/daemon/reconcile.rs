//! A round: every environment that is due is judged, facts that follow are kept, and then effects begin, together or,
//! where they would be too many at once, not at all.

use super::Daemon;
use crate::daemon::journal_watch::JournalTrouble;
use crate::daemon::sources::build_reader::RETRY;
use crate::daemon::state::candidates::{self as choose, DEPTH_MAX, MissingFact};
use crate::daemon::state::limits::Taken;
use crate::daemon::state::memory::{EnvironmentState, Place, RepositoryState};
use crate::model::{Event, Image, PolicyName, ReleaseId, Repository, Scope, Why};
use crate::relay::{self, Cleared, Facts, Step, authority, candidate, change};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// How many facts may follow from one another in one round before the environment is left for the next.
const RECORDS_MAX: usize = 32;
/// How long a change counts for `limits.changes`, where no person says `resume` before.
const CHANGES_WITHIN: SignedDuration = SignedDuration::from_hours(1);
/// How long an environment waits whose facts the journal did not take.
const JOURNAL_RETRY: SignedDuration = SignedDuration::from_secs(5);

impl Daemon {
    /// Judges what is due until nothing more follows, then begins the effects.
    pub(super) async fn round(&mut self) {
        self.look_at_the_clock().await;
        self.look_at_the_journal().await;
        if self.due.is_empty() || self.judging.withholds {
            return;
        }
        let mut effects: Vec<(PolicyName, usize, Step)> = Vec::new();
        while let Some((policy, index)) = self.due.pop_first() {
            effects.retain(|(p, i, _)| (p, *i) != (&policy, index));
            if !self.serves(&policy) {
                continue;
            }
            match self.settle(&policy, index).await {
                Some(step) => effects.push((policy.clone(), index, step)),
                None => self.wants_no_place(&policy, index),
            }
            self.keep_releases(&policy, index);
        }
        if effects.is_empty() {
            return;
        }
        let now = self.clock.now();
        self.causeless.retain(|_, at| now.duration_since(*at) < CHANGES_WITHIN);
        let (limit, mut taken) = (self.config.limits.changes, Taken::default());
        for (policy, index, step) in effects {
            if let Some(trouble) = self.journal_watch.trouble().map(JournalTrouble::why) {
                self.rest_at(&policy, index, trouble);
                continue;
            }
            if let Some(why) = self.waits_for_place((&policy, index), &step, &mut taken) {
                self.rest_at(&policy, index, why);
                continue;
            }
            let release = self.causeless(&policy, index, &step);
            match release {
                Some(release) => self.stop_by_limit(&policy, index, Why::TooManyChanges { limit }, release),
                None => self.perform(&policy, index, step).await,
            }
        }
    }

    /// Nothing is begun there now.
    fn rest_at(&mut self, policy: &PolicyName, index: usize, why: Why) {
        let environment = self.memory.policies.get(policy).and_then(|known| known.policy.environments.get(index));
        if let Some(scope) = environment.map(|environment| Scope::of(policy, &environment.name)) {
            self.rest(&scope, vec![why]);
        }
    }

    /// Counts the environments that rest, by each of their reasons.
    pub(super) fn count_waiting(&self) {
        let mut by_code = BTreeMap::new();
        for standing in self.memory.policies.values().flat_map(|known| &known.standings) {
            let codes: BTreeSet<&'static str> = standing.why.iter().map(Why::code).collect();
            codes.into_iter().for_each(|code| *by_code.entry(code).or_insert(0) += 1);
        }
        self.metrics.waiting(&by_code);
    }

    /// Keeps the facts that follow for one environment, until an effect is next or it rests.
    async fn settle(&mut self, policy: &PolicyName, index: usize) -> Option<Step> {
        for _ in 0..RECORDS_MAX {
            self.refresh(policy, index);
            let known = self.memory.policies.get(policy)?;
            let standing = known.standings.get(index)?;
            if standing.busy.is_some() {
                return None;
            }
            let facts = self.memory.facts(known, index, &self.moment())?;
            let step = relay::next_step(&facts);
            let scope = facts.scope();
            match step {
                // What would be done by itself holds nothing, be it behind the best.
                Step::Record(events) if self.acts && may_hold_too_soon(standing, &facts, &events) => {
                    if !standing.whole {
                        self.rest(
                            &scope,
                            vec![Why::Unread { what: "what is behind the best tag".to_owned(), error: None }],
                        );
                        return None;
                    }
                    self.look_deeper(policy, index);
                }
                Step::Rest(_) if standing.whole && standing.depth < DEPTH_MAX && change::looks_deeper(&facts) => {
                    self.look_deeper(policy, index);
                }
                Step::Rest(mut why) => {
                    let settled = settles(standing.settled, &facts);
                    let unheard = self.memory.unheard(known, index, self.clock.now());
                    why.retain(|why| !unheard.iter().any(|unheard| is_same_error(why, unheard)));
                    why.extend(unheard);
                    why.extend(standing.keeping.why());
                    why.extend(
                        standing.unfit_verdict.iter().filter(|_| standing.ledger.in_flight().is_some()).cloned(),
                    );
                    self.rest(&scope, why);
                    if let Some(standing) = self.memory.standing_mut(&scope) {
                        standing.settled = settled;
                    }
                    return None;
                }
                Step::Record(events) => {
                    let kept = if self.acts { Ok(events) } else { shadowed(events) };
                    let events = match kept {
                        Ok(events) => events,
                        Err(effect) => {
                            self.rest(&scope, vec![Why::Observing { effect }]);
                            return None;
                        }
                    };
                    let held = self.held_by_failures(&scope, &events).filter(|_| self.acts);
                    let holds_others = held.is_some();
                    let events = events.into_iter().map(|event| (scope.clone(), event)).chain(held).collect();
                    if self.record_all(events).await.is_none() {
                        let until = self.clock.now().saturating_add(JOURNAL_RETRY).unwrap_or(Timestamp::MAX);
                        let (effect, why) = ("keeping a fact".to_owned(), "the journal did not take it".to_owned());
                        self.rest(&scope, vec![Why::Blocked { effect, why, until }]);
                        return None;
                    }
                    self.mark(policy);
                    if holds_others {
                        self.mark_all();
                    }
                    self.due.remove(&(policy.clone(), index));
                }
                step => return Some(step),
            }
        }
        tracing::error!(policy.name = %policy, "an environment did not come to rest; the next tick goes on");
        None
    }

    /// Keeps why an environment rests, and says so in the log where that changed.
    fn rest(&mut self, scope: &Scope, why: Vec<Why>) {
        let now = self.clock.now();
        let Some(standing) = self.memory.standing_mut(scope) else { return };
        if standing.why != why {
            let words: Vec<String> = why.iter().map(Why::to_string).collect();
            let outcome = why.first().map_or("UpToDate", Why::code);
            tracing::info!(environment.scope = %scope, decision.outcome = outcome, "{scope} rests: {}", words.join("; "));
            standing.waits_for(why, now);
            self.metrics.decided("rest", outcome);
        }
    }

    /// Brings the choice and the tag of an environment up to date with the readings, and has read what they lack.
    fn refresh(&mut self, policy: &PolicyName, index: usize) {
        let now = self.clock.now();
        let Some(known) = self.memory.policies.get(policy) else { return };
        let Some(environment) = known.policy.environments.get(index) else { return };
        let (mut lacks, mut elsewhere): (Vec<MissingFact>, Vec<Place>) = (Vec::new(), Vec::new());
        let mut behind = Vec::new();
        let chosen = choose::choose(&self.memory, known, index, now).map(|(chosen, wanted)| {
            behind.clone_from(&wanted);
            lacks.extend(wanted);
            elsewhere = choose::elsewhere(&self.memory, known, index, &chosen);
            choose::releases(chosen)
        });
        let tag = match environment.followed_tag() {
            None => Ok(None),
            Some(tag) => choose::tagged(&self.memory, environment, tag).and_then(|(builds, wanted)| {
                let what = format!("the build under tag {tag}");
                let missing = !wanted.is_empty();
                lacks.extend(wanted);
                if missing { Err(Why::Unread { what, error: None }) } else { Ok(Some(builds)) }
            }),
        };
        if let Some(Err(Why::Unread { error: Some(_), .. })) = &chosen {
            self.read_lost(known.policy.selected_images(environment));
        }
        let is_polled = |repository: &Repository| self.pollers.contains_key(repository);
        let (named, wanted) = choose::named(&self.memory, known, index, now, is_polled);
        let is_naming = !wanted.is_empty();
        lacks.extend(wanted);
        if let Some(standing) = self.memory.policies.get_mut(policy).and_then(|known| known.standings.get_mut(index)) {
            standing.tag = tag;
            standing.named = match standing.naming.waits(is_naming) {
                true => Err(Why::Unread { what: "the build that is pinned".to_owned(), error: None }),
                false => Ok(named),
            };
            standing.chosen = chosen.unwrap_or_else(|| Ok(Vec::new()));
            standing.elsewhere = elsewhere;
        }
        self.bring_near(&lacks);
        for lack in lacks {
            self.learn(lack);
        }
        let is_reading = behind.iter().any(|lack| self.memory.is_reading(lack));
        if let Some(standing) = self.memory.policies.get_mut(policy).and_then(|known| known.standings.get_mut(index)) {
            standing.whole = !standing.deepening.waits(is_reading);
        }
    }

    /// Has the lists of these images read again, and what they told, where any of it vanished or was damaged, however
    /// seldom they are polled; not at once where it was just read, for a disk that takes nothing does not take it again.
    fn read_lost(&self, images: &[Image]) {
        let now = self.clock.now();
        let is_old = |shelf: &RepositoryState| shelf.read_at.is_none_or(|at| now.duration_since(at) >= RETRY);
        for image in images {
            let shelf = self.memory.repositories.get(&image.repository);
            if let Some(shelf) = shelf.filter(|shelf| !shelf.is_whole() && is_old(shelf)) {
                shelf.tags.iter().for_each(|tags| tags.lose());
                self.wake_poller(&image.repository);
            }
        }
    }

    /// The release that a step would bring for a cause that is no new build: the environment was just met, its policy was
    /// edited, or what stopped it was lifted. As long as fewer than the limit do so it is counted, and goes on.
    fn causeless(&mut self, policy: &PolicyName, index: usize, step: &Step) -> Option<ReleaseId> {
        let cleared = changed(step)?;
        let release = cleared.release().id().clone();
        let known = self.memory.policies.get(policy)?;
        // Where people vote, each change has its cause in them.
        let voted = known.policy.environments.get(index)?.gates.approvals.is_some();
        let settled = known.standings.get(index)?.settled || voted;
        let is_counted = self.causeless.contains_key(cleared.scope());
        if settled || is_counted || self.is_let_through(policy, index, &release) {
            return None;
        }
        if self.causeless.len() < self.config.limits.changes {
            self.causeless.insert(cleared.scope().clone(), self.clock.now());
            return None;
        }
        Some(release)
    }

    /// Whether a person let this release come past the limit, or ordered the change.
    fn is_let_through(&self, policy: &PolicyName, index: usize, release: &ReleaseId) -> bool {
        let standing = self.memory.policies.get(policy).and_then(|known| known.standings.get(index));
        let let_through = |standing: &EnvironmentState| standing.let_through.as_ref() == Some(release);
        standing.is_some_and(|standing| let_through(standing) || standing.ledger.order.is_some())
    }

    fn stop_by_limit(&mut self, policy: &PolicyName, index: usize, why: Why, release: ReleaseId) {
        let now = self.clock.now();
        let standing = self.memory.policies.get_mut(policy).and_then(|known| known.standings.get_mut(index));
        let Some(standing) = standing else { return };
        tracing::warn!(policy.name = %policy, decision.outcome = why.code(), "{policy}: {why}");
        standing.waits_for(vec![why.clone()], now);
        standing.too_many = Some((why, release));
    }
}

/// Whether an environment that rests has nothing left to change; what stops it is a cause of its own once it is lifted.
fn settles(settled: bool, facts: &Facts<'_>) -> bool {
    let is_stopped = authority::stops(facts).iter().any(|why| {
        why.is_hold() || matches!(why.code(), "ManyFailed" | "Suspended" | "PolicyBroken" | "TooManyChanges")
    });
    let is_unread = |why: &Why| matches!(why, Why::Unread { .. });
    let is_read = facts.pin.is_ok() && facts.tag.is_ok() && !facts.chosen.as_ref().is_err_and(is_unread);
    let is_done = is_read && candidate::candidates(facts).releases.is_empty();
    !is_stopped && (settled || is_done)
}

/// Whether a person's move of a pin would hold the environment, though it may be what would have been written by itself.
fn may_hold_too_soon(standing: &EnvironmentState, facts: &Facts<'_>, events: &[Event]) -> bool {
    let holds = events.iter().any(|event| matches!(event, Event::Held { .. }));
    let moved_to = events.iter().find_map(|event| match event {
        Event::Moved { release, .. } => release.as_ref(),
        _ => None,
    });
    let may_be_behind = moved_to.is_some_and(|release| change::may_be_behind(facts, release));
    holds && may_be_behind && (standing.depth < DEPTH_MAX || !standing.whole)
}

/// The change that a step makes, if it makes one.
fn changed(step: &Step) -> Option<&Cleared> {
    match step {
        Step::Copy(cleared) | Step::Retag(cleared, _) | Step::Write(cleared) => Some(cleared),
        Step::Rest(_) | Step::Record(_) | Step::Check { .. } => None,
    }
}

/// Whether two readings failed for one reason, which is said once.
fn is_same_error(one: &Why, other: &Why) -> bool {
    match (one, other) {
        (Why::Unread { what: _, error: Some(one) }, Why::Unread { what: _, error: Some(other) }) => one == other,
        _ => false,
    }
}

/// In `mode: observe` another tool moves the pins: they are met again and again, and nothing is held or refused.
///
/// Where nothing is left to keep, the error says what would have been done.
fn shadowed(events: Vec<Event>) -> Result<Vec<Event>, String> {
    let (mut kept, mut would) = (Vec::new(), String::new());
    for event in events {
        match event {
            Event::Moved { pin, release, commit, who: _ } => kept.push(Event::Adopted { pin, release, commit }),
            Event::Held { who: _, why, until: _ } => would = format!("hold it: {why}"),
            Event::Refused { release, who: _, why } => would = format!("refuse {release}: {why}"),
            event => kept.push(event),
        }
    }
    if kept.is_empty() { Err(would) } else { Ok(kept) }
}
