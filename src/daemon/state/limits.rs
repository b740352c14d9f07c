//! The limits that go by an environment's name, across all policies: places for rollouts, and the hold that many failures
//! make. What they mean is said in [`crate::relay::limits`].

use crate::daemon::Daemon;
use crate::daemon::state::memory::{EnvironmentState, PolicyState};
use crate::model::{Environment, EnvironmentName, Event, Outcome, PolicyName, Scope, Why};
use crate::relay::facts::Blocked;
use crate::relay::limits::{self, Evidence};
use crate::relay::{Cleared, Step, verify_all};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// How many places are taken, by the name of the environments, as counted in one round.
#[derive(Default)]
pub(in crate::daemon) struct Taken(BTreeMap<EnvironmentName, usize>);

impl Daemon {
    /// Why a step that would begin a rollout has to wait for a place, if it does.
    pub(in crate::daemon) fn waits_for_place(
        &mut self,
        (policy, index): (&PolicyName, usize),
        step: &Step,
        taken: &mut Taken,
    ) -> Option<Why> {
        let (Step::Retag(cleared, _) | Step::Write(cleared)) = step else { return None };
        let known = self.memory.policies.get(policy)?;
        let (environment, standing) = (known.policy.environments.get(index)?, known.standings.get(index)?);
        let name = environment.name.clone();
        let limit = self.config.limits.rollouts.of(&name).filter(|_| self.acts)?;
        let now = self.clock.now();
        if self.takes_place(environment, standing, now) || !needs_place(standing, cleared) {
            self.places.leave(&name, cleared.scope());
            return None;
        }
        let n_taken = match taken.0.get(&name) {
            Some(n_taken) => *n_taken,
            None => self.n_taken(&name, now),
        };
        let begins = self.places.ask(&name, cleared.scope(), limit.saturating_sub(n_taken));
        taken.0.insert(name.clone(), n_taken + usize::from(begins));
        (!begins).then(|| Why::TooManyRollouts { environment: name.to_string(), limit })
    }

    /// How many environments of a name `verify --all` has judged at once.
    pub(in crate::daemon) fn verified_at_once(&self, name: &EnvironmentName) -> usize {
        self.config.limits.rollouts.of(name).unwrap_or(verify_all::AT_ONCE)
    }

    /// How many of them it may begin with now: rollouts that wait for a place come first.
    pub(in crate::daemon) fn free_to_verify(&self, name: &EnvironmentName) -> usize {
        let n_taken = self.n_taken(name, self.clock.now());
        self.verified_at_once(name).saturating_sub(n_taken + self.places.n_waiting(name))
    }

    fn n_taken(&self, name: &EnvironmentName, now: Timestamp) -> usize {
        let takes =
            |(environment, standing): &(&Environment, &EnvironmentState)| self.takes_place(environment, standing, now);
        self.named(name).map(|(_, environment, standing)| (environment, standing)).filter(takes).count()
    }

    /// The environments of a name, of all policies.
    fn named<'a>(
        &'a self,
        name: &'a EnvironmentName,
    ) -> impl Iterator<Item = (&'a PolicyName, &'a Environment, &'a EnvironmentState)> {
        self.memory.policies.iter().flat_map(move |(policy, PolicyState { policy: known, standings, .. })| {
            let standings = known.environments.iter().zip(standings);
            standings.filter(|(environment, _)| environment.name == *name).map(move |(of, at)| (policy, of, at))
        })
    }

    fn takes_place(&self, environment: &Environment, standing: &EnvironmentState, now: Timestamp) -> bool {
        let unread = standing.blocks.iter().find(|block| block.effect == Blocked::Check);
        let has_moved = self.memory.moved(environment, &standing.ledger).is_some();
        let evidence = Evidence { has_moved, unread_since: unread.map(|block| block.since) };
        standing.busy.is_some() || limits::takes_place(environment, &standing.ledger, evidence, now)
    }

    /// An environment was judged: where it begins nothing, it waits for no place.
    pub(in crate::daemon) fn wants_no_place(&mut self, policy: &PolicyName, index: usize) {
        let environment = self.memory.policies.get(policy).and_then(|known| known.policy.environments.get(index));
        if let Some(environment) = environment {
            self.places.leave(&environment.name, &Scope::of(policy, &environment.name));
        }
    }

    /// Judges those again that wait for a place: one may be free by now.
    pub(in crate::daemon) fn ask_for_places_again(&mut self) {
        let memory = &self.memory;
        let find = |scope: &Scope| memory.find(scope.policy.as_ref()?, scope.environment.as_ref()?);
        let waiting = self.places.waiting(|scope| find(scope).is_some());
        for scope in waiting {
            let index = find(&scope).map(|(_, index)| index);
            self.due.extend(scope.policy.zip(index));
        }
    }

    /// The hold that these facts of an environment make of all that have its name, where too many policies failed there.
    pub(in crate::daemon) fn held_by_failures(&self, scope: &Scope, events: &[Event]) -> Option<(Scope, Event)> {
        let fails = |event: &Event| matches!(event, Event::Ended { outcome: Outcome::Failed, .. });
        let (policy, name) = scope.policy.as_ref().zip(scope.environment.as_ref())?;
        let limit = self.config.limits.failures.of(name).filter(|_| events.iter().any(fails))?;
        let now = self.clock.now();
        if self.named(name).any(|(_, _, standing)| limits::is_held(&standing.ledger, now)) {
            return None;
        }
        let failed = self
            .named(name)
            .filter(|(of, _, standing)| *of == policy || limits::has_failed_lately(&standing.ledger, now));
        let failed: Vec<&PolicyName> = failed.map(|(policy, _, _)| policy).collect();
        limits::held(limit, name, &failed, now)
    }
}

fn needs_place(standing: &EnvironmentState, cleared: &Cleared) -> bool {
    limits::needs_place(&standing.ledger, cleared.release().id(), cleared.because())
}
