//! When a daemon that makes one pass is at rest: nothing is asked, read, made or told any more.

use crate::daemon::state::memory::EnvironmentState;
use crate::daemon::state::memory::RepositoryState;
use crate::daemon::{Daemon, Rest, TICK};
use crate::model::policy::Deliver;
use crate::model::{Repository, Why};
use std::time::Duration;
use tokio::time::Instant;

/// How long nothing must happen where nothing is waited for.
const CALM: Duration = Duration::from_millis(300);
/// How long where something failed: it is tried again once or twice meanwhile.
const CALM_AFTER_FAILURE: Duration = Duration::from_secs(5);
/// How long it may take until everything is read and told.
const READ_WITHIN: Duration = Duration::from_secs(10 * 60);
/// How long all of it may take, where releases are copied or pushed.
const REST_WITHIN: Duration = Duration::from_secs(60 * 60);

impl Daemon {
    /// Makes passes until the daemon is at rest. Returns what was still going on when it was given up.
    pub(super) async fn pass_until_rest(&mut self) -> Option<String> {
        let mut tick = tokio::time::interval(TICK.min(CALM));
        let begun = Instant::now();
        loop {
            let turn = self.next(&mut tick).await;
            self.turn(turn).await;
            let calm = if self.has_failed() { CALM_AFTER_FAILURE } else { CALM };
            let (within, what) = if self.is_busy() || self.is_copying() {
                (REST_WITHIN, "an effect".to_owned())
            } else if let Some(what) = self.reading() {
                (READ_WITHIN, what)
            } else if self.active.elapsed() < calm {
                continue;
            } else if self.is_told().await {
                return None;
            } else {
                (READ_WITHIN, "telling GitLab".to_owned())
            };
            if begun.elapsed() >= within {
                return Some(format!("gave up after {} s: {what} did not come to an end", begun.elapsed().as_secs()));
            }
        }
    }

    /// Whether nothing is being read, judged or made, and no message waits.
    pub(super) fn is_idle(&self) -> bool {
        let is_checking = |standing: &EnvironmentState| !standing.checking.is_empty();
        let mut standings = self.memory.policies.values().flat_map(|known| &known.standings);
        let is_making = self.is_busy() || self.is_copying() || standings.any(is_checking);
        let is_judging = !self.due.is_empty() || !self.inbox.is_empty() || !self.requests.orders.is_empty();
        !is_making && !is_judging && self.reading().is_none() && self.memory.placing.is_empty()
    }

    /// What is needed and was neither read yet nor failed to be read.
    fn reading(&self) -> Option<String> {
        let with_policies = self.config.repositories.iter().filter(|(_, settings)| settings.policies.is_some());
        let mut sources: Vec<Option<String>> = with_policies.map(|(name, _)| Some(name.clone())).collect();
        if self.config.policies.is_some() {
            sources = vec![None];
        }
        let unheard = |of: &Option<String>| !self.sources.contains_key(of) && !self.memory.unreadable.contains_key(of);
        if sources.iter().any(unheard) {
            return Some("the reading of policies".to_owned());
        }
        if self.judging.is_begun {
            return Some("the judging of policies".to_owned());
        }
        let unpolled = |repository: &&Repository| match self.memory.repositories.get(*repository) {
            Some(shelf) => (shelf.read_at.is_none() && shelf.error.is_none()) || !shelf.learning.is_empty(),
            None => true,
        };
        if let Some(repository) = self.pollers.keys().find(unpolled) {
            return Some(format!("the reading of {repository}"));
        }
        self.memory.policies.values().filter(|known| self.serves(&known.policy.name)).find_map(|known| {
            known.policy.environments.iter().zip(&known.standings).find_map(|(environment, standing)| {
                let unread = !environment.is_tag_only() && self.is_pin_unread(&environment.deliver, &standing.pin);
                let what = if unread { "the reading of the pin of" } else { "a check of" };
                let goes_on = unread || !standing.checking.is_empty();
                goes_on.then(|| format!("{what} {}/{}", known.policy.name, environment.name))
            })
        })
    }

    /// Whether a pin is still to be read: its branch was not, or before the policy was known.
    fn is_pin_unread(&self, deliver: &Deliver, pin: &Result<Option<crate::model::PinReading>, Why>) -> bool {
        let branch = self.memory.branches.get(&(deliver.repository.clone(), deliver.branch.clone()));
        let failed = branch.is_some_and(|branch| branch.error.is_some());
        let read = branch.is_some_and(|branch| branch.read_at.is_some());
        !failed && (!read || matches!(pin, Err(Why::Unread { error: None, .. })))
    }

    /// Whether something failed that is tried again soon, or may take for ever.
    fn has_failed(&self) -> bool {
        let mut standings = self.memory.policies.values().flat_map(|known| &known.standings);
        !self.memory.unreadable.is_empty()
            // GitLab is asked again and again, for as long as it takes.
            || !self.memory.placing.is_empty()
            || self.memory.branches.values().any(|branch| branch.error.is_some())
            || self.memory.repositories.values().any(|shelf| shelf.error.is_some() || !shelf.failed.is_empty())
            || standings.any(|standing| !standing.blocks.is_empty())
    }

    /// Whether nothing is to be told any more, or all of it was tried in vain for a while.
    async fn is_told(&self) -> bool {
        if self.untold().await.is_empty() {
            return true;
        }
        let mut put_off = self.active.elapsed() >= CALM_AFTER_FAILURE;
        for project in self.outboxes.keys() {
            let rows = self.journal.pending(project).await.unwrap_or_default();
            put_off &= rows.first().is_none_or(|row| row.next_try.is_some());
        }
        put_off
    }

    /// What could not be read.
    pub(super) fn at_rest(&self) -> Rest {
        // What lasts is passed over: it was told, and kept nothing back.
        let passing = |shelf: &RepositoryState| shelf.failed.values().find(|failed| !failed.lasts).cloned();
        let error = |shelf: &RepositoryState| shelf.error.clone().or_else(|| Some(passing(shelf)?.error));
        let shelves = self.memory.repositories.values().filter_map(error);
        let branches = self.memory.branches.values().filter_map(|branch| branch.error.clone());
        let broken = self.memory.broken.iter().map(|broken| &broken.text);
        let broken = self.memory.unreadable.values().chain(broken).cloned();
        let served = self.memory.policies.values().filter(|known| self.serves(&known.policy.name));
        let pins = served.flat_map(|known| &known.standings).filter_map(|standing| match &standing.pin {
            Err(why @ Why::Unread { error: Some(_), .. }) => Some(why.to_string()),
            Ok(_) | Err(_) => None,
        });
        let mut errors: Vec<String> = broken.collect();
        for error in shelves.chain(branches).chain(pins) {
            // A branch with policies that cannot be read is told as such.
            if !errors.iter().any(|told| told.contains(&error)) {
                errors.push(error);
            }
        }
        Rest { errors, policies: self.memory.policies.keys().filter(|name| self.serves(name)).cloned().collect() }
    }

    /// The effects that failed.
    pub(super) fn unmade(&self) -> Vec<String> {
        let served = self.memory.policies.values().filter(|known| self.serves(&known.policy.name));
        let standings = served.flat_map(|known| {
            let names = known.policy.environments.iter().map(|environment| &environment.name);
            names.zip(&known.standings).map(|(name, standing)| (format!("{}/{name}", known.policy.name), standing))
        });
        let failed = standings.flat_map(|(scope, standing)| {
            standing.blocks.iter().map(move |block| format!("{scope}: {:?} failed: {}", block.effect, block.why))
        });
        failed.collect()
    }

    /// The projects that are still to be told something, and why they are not.
    pub(super) async fn untold(&self) -> Vec<String> {
        let mut untold = Vec::new();
        let projects = if self.acts { self.journal.projects_to_tell().await } else { Ok(Vec::new()) };
        match projects {
            Err(error) => untold.push(format!("what GitLab is still to be told could not be read: {error}")),
            Ok(projects) => {
                for project in projects {
                    let rows = self.journal.pending(&project).await.unwrap_or_default();
                    let why = rows.iter().find_map(|row| row.reason.clone());
                    let why = why.unwrap_or_else(|| "nothing was tried yet".to_owned());
                    untold.push(format!("{} reports for {project} are not told yet: {why}", rows.len()));
                }
            }
        }
        untold
    }
}
