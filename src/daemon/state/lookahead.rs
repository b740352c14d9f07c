//! When a choice holds more candidates than the best: each costs requests, so they are looked at when they may matter.

use crate::daemon::Daemon;
use crate::daemon::handle::{Command, Refusal, Reply, Request, Target};
use crate::daemon::message::Message;
use crate::daemon::state::candidates::{DEPTH_MAX, MissingFact};
use crate::daemon::state::meant::find;
use crate::daemon::state::memory::Memory;
use crate::model::policy::Select;
use crate::model::{PolicyName, ReleaseId, Tag};
use std::time::Duration;
use tokio::time::Instant;

/// How long a command waits until it is looked at again: a build is read in a few requests.
const COMMAND_WAIT: Duration = Duration::from_millis(200);

/// How long a decision waits for builds that are being read: a registry that stalls, or fails each time, keeps no person's
/// move from being kept, and no command without an answer.
const WAIT_MAX: Duration = Duration::from_secs(20);

/// Since when something is waited for.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::daemon) struct Waiting(Option<Instant>);

impl Waiting {
    /// Whether to wait, where something is being read or not: no longer than may be.
    pub(in crate::daemon) fn waits(&mut self, is_reading: bool) -> bool {
        if !is_reading {
            self.0 = None;
            return false;
        }
        self.0.get_or_insert_with(Instant::now).elapsed() < WAIT_MAX
    }
}

impl Daemon {
    /// Lets the choice of an environment hold twice as many candidates.
    pub(in crate::daemon) fn look_deeper(&mut self, policy: &PolicyName, index: usize) {
        let known = self.memory.policies.get_mut(policy);
        if let Some(standing) = known.and_then(|known| known.standings.get_mut(index)) {
            (standing.depth, standing.whole) = ((standing.depth * 2).min(DEPTH_MAX), false);
        }
    }

    /// Has all candidates looked at for a release that a person names and that nobody looked at yet; whether the command
    /// waits for that.
    pub(in crate::daemon) fn looks_for(&mut self, command: &Command) -> bool {
        let Some((target, named)) = command.release() else { return false };
        let found = self.with_facts(target, |facts| find(facts, named));
        if !matches!(found, Err(Refusal::NotFound(_))) || !self.may_be_found(target, named) {
            return false;
        }
        let Some((_, index)) = self.memory.find(&target.policy, &target.environment) else { return false };
        let known = self.memory.policies.get_mut(&target.policy);
        let Some(standing) = known.and_then(|known| known.standings.get_mut(index)) else { return false };
        if standing.depth == DEPTH_MAX && standing.whole {
            return false;
        }
        if standing.depth < DEPTH_MAX {
            (standing.depth, standing.whole) = (DEPTH_MAX, false);
        }
        self.mark(&target.policy);
        true
    }

    /// Looks at a command again in a moment, unless whoever gave it has gone away.
    pub(in crate::daemon) fn command_later(&self, command: Command, who: String, reply: Reply) {
        let out = self.out.clone();
        self.tasks.spawn(async move {
            tokio::time::sleep(COMMAND_WAIT).await;
            if !reply.is_closed() {
                let _sent = out.send(Message::Asked(Request::Command(command, who, reply))).await;
            }
        });
    }

    /// Whether what a person names may be a candidate of an environment: a tag that is listed, or what no list tells.
    fn may_be_found(&self, target: &Target, named: &str) -> bool {
        let Some((known, index)) = self.memory.find(&target.policy, &target.environment) else { return false };
        let Some(environment) = known.policy.environments.get(index) else { return false };
        if environment.promote.is_some() || !environment.select.as_ref().is_some_and(Select::lists) {
            return false;
        }
        let digits = named.strip_prefix("sha256:").unwrap_or(named);
        if digits.len() >= ReleaseId::SHOWN && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return true;
        }
        let Ok(tag) = Tag::parse(named) else { return false };
        let images = known.policy.selected_images(environment).iter();
        let lists = images.filter_map(|image| self.memory.repositories.get(&image.repository)?.tags.as_ref());
        lists.filter_map(|tags| tags.read().ok()).any(|tags| tags.contains(tag.by_ref()))
    }
}

impl Memory {
    /// Whether what is lacking is being read, or asked of GitLab.
    pub(in crate::daemon) fn is_reading(&self, lack: &MissingFact) -> bool {
        match lack {
            MissingFact::Build(repository, tag) | MissingFact::Pinned(repository, tag) => {
                self.repositories.get(repository).is_some_and(|shelf| shelf.learning.contains(tag))
            }
            MissingFact::Branch { project, revision, branch } => {
                self.placing.contains(&(project.clone(), revision.clone(), branch.clone()))
            }
        }
    }
}
