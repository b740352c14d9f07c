//! `tagrelay verify --all`: the environments whose turn is still to come, and the next of them, as places get free.
//!
//! The queue lives as long as the process. What was begun is in the journal, and the command is for what is not verified
//! yet: said again after a restart, it goes on where it was.

use crate::daemon::Daemon;
use crate::daemon::handle::{Refusal, Target};
use crate::daemon::message::Message;
use crate::daemon::state::memory::EnvironmentState;
use crate::model::{Environment, EnvironmentName, Scope};
use crate::relay::verify_all::{Turn, turn};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How many environments an answer names.
const NAMED_MAX: usize = 20;

/// The environments that wait for their turn, and who asked.
#[derive(Debug, Default)]
pub(in crate::daemon) struct ToVerify(VecDeque<(Target, String)>);

impl Daemon {
    /// Has all that runs in a scope judged, as far as it is not verified yet.
    pub(in crate::daemon) async fn verify_all(&mut self, scope: &Scope, who: &str) -> Result<String, Refusal> {
        self.must_exist(scope)?;
        let mut by_turn: BTreeMap<Turn, Vec<Target>> = BTreeMap::new();
        let mut n_unwatched = 0;
        for (target, environment, standing) in self.in_scope(scope) {
            let turn = turn(&standing.ledger, &standing.why);
            n_unwatched += usize::from(turn == Turn::Judge && environment.is_unwatched());
            by_turn.entry(turn).or_default().push(target);
        }
        let mut take = |turn| by_turn.remove(&turn).unwrap_or_default();
        let (judged, verified) = (take(Turn::Judge), take(Turn::Verified).len());
        let (in_flight, unknown) = (take(Turn::InFlight).len(), take(Turn::Unknown));
        let n_judged = judged.len();
        let at_once: BTreeSet<usize> = judged.iter().map(|target| self.verified_at_once(&target.environment)).collect();
        self.to_verify.0.retain(|(waiting, _)| !judged.contains(waiting));
        self.to_verify.0.extend(judged.into_iter().map(|target| (target, who.to_owned())));
        self.verify_next().await;
        let mut words = format!("{n_judged} environments are judged");
        match (at_once.first(), at_once.last()) {
            (Some(least), Some(most)) if least == most => {
                words.push_str(&format!(", at most {most} of one name at once"));
            }
            (Some(least), Some(most)) => {
                words.push_str(&format!(", at most {least} to {most} of one name at once, as limits.rollouts says"));
            }
            (None, _) | (_, None) => {}
        }
        let mut also = |n: usize, what: &str| {
            if n > 0 {
                words.push_str(&format!("; {n} {what}"));
            }
        };
        also(n_unwatched, "of them have neither signals nor checks: your word is the evidence");
        also(verified, "are verified already");
        also(in_flight, "have a rollout in flight");
        also(unknown.len(), &format!("are left out, for nobody has said yet what runs there: {}", named(&unknown)));
        Ok(words)
    }

    /// Begins with as many of those that wait as there are places.
    pub(in crate::daemon) async fn verify_next(&mut self) {
        if self.to_verify.0.is_empty() {
            return;
        }
        let mut free: BTreeMap<EnvironmentName, usize> = BTreeMap::new();
        let (mut rest, n_waiting) = (VecDeque::new(), self.to_verify.0.len());
        while let Some((target, who)) = self.to_verify.0.pop_front() {
            let n_free = match free.get(&target.environment) {
                Some(n_free) => *n_free,
                None => self.free_to_verify(&target.environment),
            };
            if n_free == 0 {
                free.insert(target.environment.clone(), n_free);
                rest.push_back((target, who));
                continue;
            }
            let is_due =
                self.place(&target).is_ok_and(|(_, standing)| turn(&standing.ledger, &standing.why) == Turn::Judge);
            if !is_due {
                continue;
            }
            free.insert(target.environment.clone(), n_free - 1);
            if let Err(refusal) = self.verify(&target, &who).await {
                tracing::warn!(error = %refusal, "{}/{} is not judged: {refusal}", target.policy, target.environment);
            }
        }
        if rest.len() < n_waiting && !rest.is_empty() {
            // Those that nothing watches are over at once: the next turn goes on. A full inbox turns the loop anyway.
            let _sent = self.out.try_send(Message::Tick);
        }
        self.to_verify.0 = rest;
    }

    fn in_scope(&self, scope: &Scope) -> impl Iterator<Item = (Target, &Environment, &EnvironmentState)> {
        let all = self.memory.policies.values().flat_map(|known| {
            let environments = known.policy.environments.iter().zip(&known.standings);
            environments.map(move |(environment, standing)| {
                let target = Target { policy: known.policy.name.clone(), environment: environment.name.clone() };
                (target, environment, standing)
            })
        });
        all.filter(move |(target, _, _)| scope.contains(&Scope::of(&target.policy, &target.environment)))
    }
}

fn named(targets: &[Target]) -> String {
    let shown = targets.iter().take(NAMED_MAX).map(|target| format!("{}/{}", target.policy, target.environment));
    let more = targets.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    shown.collect::<Vec<_>>().join(", ") + &more
}
