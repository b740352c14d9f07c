//! When a choice holds more candidates than the best: each costs requests, so they are looked at when they may matter.

use super::Daemon;
use super::choose::DEPTH_MAX;
use super::command::find;
use super::handle::{Command, Refusal, Target};
use crate::model::{PolicyName, Tag, text};

impl Daemon {
    /// Lets the choice of an environment hold this many candidates.
    pub(super) fn look_deeper(&mut self, policy: &PolicyName, index: usize, depth: usize) {
        let known = self.memory.policies.get_mut(policy);
        if let Some(standing) = known.and_then(|known| known.standings.get_mut(index)) {
            standing.depth = depth.min(DEPTH_MAX);
        }
    }

    /// Has looked deeper for the tag that a command names, where nobody looked yet; what whoever asks is told then.
    pub(super) fn look_for(&mut self, command: &Command) -> Option<Refusal> {
        let (target, named) = command.named()?;
        let (_, index) = self.memory.find(&target.policy, &target.environment)?;
        let found = self.with_facts(target, |facts| find(facts, named));
        if !matches!(found, Err(Refusal::NotFound(_))) || !self.may_be_found(target, named) {
            return None;
        }
        self.look_deeper(&target.policy, index, DEPTH_MAX);
        self.mark(&target.policy);
        let tag = text::shown(named);
        Some(Refusal::Unavailable(format!("tag `{tag}` was not looked at yet, and is now: ask again in a moment")))
    }

    /// Whether what a person names is a tag of an image that is selected here, and fewer were looked at than may be.
    fn may_be_found(&self, target: &Target, named: &str) -> bool {
        let Some((known, index)) = self.memory.find(&target.policy, &target.environment) else { return false };
        let standing = known.standings.get(index).filter(|standing| standing.depth < DEPTH_MAX);
        let (Some(environment), Some(_), Ok(tag)) = (known.policy.environments.get(index), standing, Tag::parse(named))
        else {
            return false;
        };
        let images = known.policy.selected_images(environment).iter();
        let lists = images.filter_map(|image| self.memory.repositories.get(&image.repository)?.tags.as_ref());
        lists.filter_map(|tags| tags.read().ok()).any(|tags| tags.contains(tag.by_ref()))
    }
}
