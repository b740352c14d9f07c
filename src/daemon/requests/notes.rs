//! What a reader of `explain` has to know besides the rules: where a word of the policy means less than it says.
//!
//! A note stops nothing; what stops is a reason, and those are the relay's.

use crate::daemon::Daemon;
use crate::daemon::state::memory::PolicyState;
use crate::model::event::Order;
use crate::model::ledger::StandingOrder;
use crate::model::policy::{Environment, Newest, Strategy};
use crate::model::{Policy, Repository};

impl Daemon {
    /// The notes on an environment's choice.
    pub(in crate::daemon) fn notes(&self, known: &PolicyState, index: usize) -> Vec<String> {
        let Some(environment) = known.policy.environments.get(index) else { return Vec::new() };
        let compared = compared(&known.policy, environment);
        let mut notes: Vec<String> = compared.filter_map(|repository| self.timeless(repository)).collect();
        notes.dedup();
        let kept = environment.images.iter().filter(|_| environment.keep > 0);
        notes.extend(kept.filter_map(|image| self.stays(&image.repository)));
        if let Some(ledger) = known.standings.get(index).map(|standing| &standing.ledger) {
            notes.extend(ledger.order.as_ref().map(order));
            let before = ledger.arrivals.iter().rev().nth(1).filter(|before| before.release.is_none());
            notes.extend(before.map(|before| {
                format!("it ran {} before, and its digest is not known: to go back, commit that by hand", before.pin)
            }));
        }
        notes
    }

    /// The note on a repository: on the push times, where some policy seeks the last pushed, else on tags that stay.
    pub(in crate::daemon) fn note(&self, repository: &Repository) -> Option<String> {
        let policies = self.memory.policies.values().map(|known| &known.policy);
        let mut compared = policies.flat_map(|policy| policy.environments.iter().flat_map(|e| compared(policy, e)));
        let timeless = compared.any(|used| used == repository).then(|| self.timeless(repository)).flatten();
        timeless.or_else(|| self.stays(repository))
    }

    /// That tags of ours stay in a repository when their time is over.
    fn stays(&self, repository: &Repository) -> Option<String> {
        let why = self.memory.repositories.get(repository)?.tags_stay.as_ref()?;
        Some(format!(
            "{repository} lets tags of releases that are kept no longer stay: remove them by a lifecycle rule ({why})"
        ))
    }

    /// What `pushed` means where nothing, or nothing any more, is told of when tags were pushed.
    fn timeless(&self, repository: &Repository) -> Option<String> {
        let shelf = self.memory.repositories.get(repository)?;
        shelf.tags.as_ref().filter(|tags| tags.len() > 0)?;
        if let Some(why) = self.clients.registry.no_times(repository) {
            return Some(format!("{repository} has no push times: `pushed` means first seen here ({why})"));
        }
        let host = repository.host();
        (!shelf.tells_pushes).then(|| format!("{host} tells no push times: `pushed` means first seen here"))
    }
}

/// What was ordered and did not happen yet.
fn order(standing: &StandingOrder) -> String {
    let (who, at) = (&standing.who, standing.at);
    match &standing.order {
        Order::Promote { release, .. } => format!("{who} ordered {release} ({}) at {at:.0}", release.short()),
        Order::Rollback { to, .. } => format!("{who} ordered to go back to {to} ({}) at {at:.0}", to.short()),
        Order::Verify => format!("{who} asked at {at:.0} for what runs to be verified"),
    }
}

/// The repositories in which an environment seeks what was pushed last.
fn compared<'p>(policy: &'p Policy, environment: &'p Environment) -> impl Iterator<Item = &'p Repository> {
    let select = environment.select.as_ref();
    let by_push = select.is_some_and(|select| select.strategy == Strategy::Newest(Newest::Pushed));
    let images = if by_push { policy.selected_images(environment) } else { &[] };
    images.iter().map(|image| &image.repository)
}
