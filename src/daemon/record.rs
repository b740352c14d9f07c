//! Facts are kept: in the journal first, with the reports that tell them in the same transaction, then in memory.

use super::Daemon;
use crate::daemon::requests::status::sentence;
use crate::daemon::state::memory::Memory;
use crate::model::{Entry, Event, PinForm, Scope};
use crate::relay::report::{self, Row};

impl Daemon {
    /// Keeps facts about one environment in one transaction; false when the journal did not take them.
    pub(super) async fn record(&mut self, scope: &Scope, events: Vec<Event>) -> bool {
        self.record_all(events.into_iter().map(|event| (scope.clone(), event)).collect()).await.is_some()
    }

    /// Keeps facts in one transaction and returns their entries; none when the journal did not take them.
    pub(super) async fn record_all(&mut self, events: Vec<(Scope, Event)>) -> Option<Vec<Entry>> {
        let told = self.told_before(&events).await;
        let (memory, now) = (&self.memory, self.clock.now());
        let mut projects = Vec::new();
        let rows = |entries: &[Entry]| {
            let rows = rows(memory, entries, &told);
            projects.extend(rows.iter().map(|row| row.project.clone()));
            rows
        };
        let entries = match self.journal.append(events, rows, now).await {
            Ok(entries) => entries,
            Err(error) => {
                tracing::error!(error = %error, "the journal did not take an entry, and nothing goes on until it does: {error}");
                self.metrics.failed(None);
                return None;
            }
        };
        self.metrics.journaled(entries.len());
        self.active = tokio::time::Instant::now();
        for entry in &entries {
            self.tell(entry);
            self.fold(entry);
        }
        for project in projects {
            self.wake_outbox(&project);
        }
        for entry in &entries {
            if self.is_pinned_by_tag(&entry.scope)
                && let Some(policy) = entry.scope.policy.as_ref()
            {
                self.tell_pollers_of(policy);
            }
        }
        Some(entries)
    }

    /// Whether nothing but a tag says what runs in an environment: then the tag is looked at during rollouts.
    fn is_pinned_by_tag(&self, scope: &Scope) -> bool {
        let named = scope.policy.as_ref().zip(scope.environment.as_ref());
        let found = named.and_then(|(policy, environment)| self.memory.find(policy, environment));
        let environment = found.and_then(|(known, index)| known.policy.environments.get(index));
        environment.is_some_and(|environment| environment.pin == PinForm::Tag)
    }

    /// What GitLab was told of the rollouts that end here.
    async fn told_before(&self, events: &[(Scope, Event)]) -> Vec<Row> {
        let mut told = Vec::new();
        for (_, event) in events {
            if let Event::Ended { rollout, outcome: _, why: _ } = event {
                match self.journal.reports_of(*rollout).await {
                    Ok(rows) => told.extend(rows.into_iter().map(|outgoing| outgoing.row)),
                    Err(error) => {
                        tracing::error!(error = %error, "what was told of rollout {rollout} could not be read");
                    }
                }
            }
        }
        told
    }

    /// Takes an entry into every ledger that it is about.
    fn fold(&mut self, entry: &Entry) {
        let policies = &mut self.memory.policies;
        match &entry.scope.policy {
            Some(policy) => policies.get_mut(policy).into_iter().for_each(|known| known.apply(entry)),
            None => policies.values_mut().for_each(|known| known.apply(entry)),
        }
        self.past.apply(entry);
        if matches!(entry.event, Event::Resumed { .. }) {
            self.causeless.clear();
        }
        // A rollout that ended, or that nobody can judge, gives its place to the next.
        if matches!(entry.event, Event::Ended { .. } | Event::Lost { .. } | Event::Withdrawn { .. }) {
            self.ask_for_places_again();
        }
    }

    /// Says what happened, once, where it is kept.
    fn tell(&self, entry: &Entry) {
        let (kind, text) = sentence(&entry.event);
        let scope = &entry.scope;
        tracing::info!(environment.scope = %scope, journal.sequence = entry.sequence.0, event.kind = kind, "{scope}: {text}");
        if let Event::Ended { rollout: _, outcome, why: _ } = &entry.event {
            self.metrics.ended(*outcome);
        }
    }
}

/// The reports that these entries are told by, each folded into its environment's ledger first.
fn rows(memory: &Memory, entries: &[Entry], told: &[Row]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut ledgers = std::collections::BTreeMap::new();
    for entry in entries {
        let named = entry.scope.policy.as_ref().zip(entry.scope.environment.as_ref());
        let Some((known, at)) = named.and_then(|(policy, environment)| memory.find(policy, environment)) else {
            continue;
        };
        let Some(environment) = known.policy.environments.get(at) else { continue };
        let Some(standing) = known.standings.get(at) else { continue };
        let ledger = ledgers.entry(entry.scope.clone()).or_insert_with(|| standing.ledger.clone());
        ledger.apply(entry);
        let so_far: Vec<Row> = told.iter().chain(&rows).cloned().collect();
        rows.extend(report::rows(environment, ledger, entry, &so_far));
    }
    rows
}
