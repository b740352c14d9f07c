//! Whether revisions are on branches: asked of GitLab when a choice lacks it, and again of those that were not.
//!
//! Only what a choice passed over for it, above what it chose, is asked again, each place ever more seldom.

use crate::clients::gitlab::GitLabError;
use crate::daemon::Daemon;
use crate::daemon::message::Message;
use crate::daemon::sources::build_reader::RETRY;
use crate::daemon::state::branch_answer::Placed;
use crate::daemon::state::candidates as choose;
use crate::daemon::state::memory::Place;
use jiff::{SignedDuration, Timestamp};
use std::collections::{HashMap, HashSet};

/// How often what no known build is made from is forgotten: that goes through all of them.
const FORGET_EVERY: SignedDuration = SignedDuration::from_mins(1);

/// Which of the places that were passed over is asked again now: that which waits longest.
fn due<'m>(
    elsewhere: impl Iterator<Item = &'m Place>,
    placed: &HashMap<Place, Placed>,
    now: Timestamp,
) -> Option<&'m Place> {
    let known = elsewhere.filter_map(|place| Some((placed.get(place)?, place)));
    let due = known.filter(|(placed, _)| !placed.on_branch && placed.again_at <= now);
    due.min_by_key(|(placed, _)| placed.again_at).map(|(_, place)| place)
}

impl Daemon {
    /// Asks GitLab whether a revision is on a branch, unless it is being asked.
    pub(in crate::daemon) fn learn_branch(&mut self, project: String, revision: String, branch: String) {
        let Some(gitlab) = self.clients.gitlab.clone() else { return };
        let key = (project.clone(), revision.clone(), branch.clone());
        if !self.memory.placing.insert(key) {
            return;
        }
        let (out, slots) = (self.out.clone(), self.clients.placings.clone());
        self.tasks.spawn(async move {
            let Ok(slot) = slots.acquire().await else { return };
            let read = async {
                let Some(sha) = gitlab.resolve(&project, &revision).await? else { return Ok(false) };
                gitlab.is_on_branch(&project, &sha, &branch).await
            };
            let result = read.await.map_err(|error: GitLabError| error.to_string());
            drop(slot);
            if let Err(error) = &result {
                let (project, branch, error) = (project.clone(), branch.clone(), error.clone());
                let _sent = out.send(Message::Unplaced { project, branch, error }).await;
                // It counts as being asked until then, so that nobody asks again at once.
                tokio::time::sleep(RETRY.unsigned_abs()).await;
            }
            let on_branch = result.ok();
            let _sent = out.send(Message::Placed { project, revision, branch, on_branch }).await;
        });
    }

    /// Asks again of a revision that was not on its branch a while ago: merges bring them there, and commits of which GitLab
    /// does not know yet. It is one a tick, sixty a minute, of up to three requests each: a tenth of what gitlab.com takes.
    pub(in crate::daemon) fn place_again(&mut self) {
        let now = self.clock.now();
        self.forget_places(now);
        let standings = self.memory.policies.values().flat_map(|known| &known.standings);
        let elsewhere = standings.flat_map(|standing| &standing.elsewhere);
        let Some(place) = due(elsewhere, &self.memory.placed, now).cloned() else { return };
        if let Some(placed) = self.memory.placed.get_mut(&place) {
            *placed = placed.asked(now);
        }
        let (project, revision, branch) = place;
        self.learn_branch(project, revision, branch);
    }

    fn forget_places(&mut self, now: Timestamp) {
        if now.duration_since(self.memory.forgot_at).abs() >= FORGET_EVERY {
            self.memory.forgot_at = now;
            let used = choose::places(&self.memory);
            self.memory.placed.retain(|place, _| used.contains(place));
            let branches: HashSet<_> = used.into_iter().map(|(project, _, branch)| (project, branch)).collect();
            self.memory.unplaced.retain(|of, _| branches.contains(of));
        }
    }

    /// Takes in whether a revision is on a branch; none where GitLab did not tell, and may be asked again.
    pub(in crate::daemon) fn placed(&mut self, key: Place, on_branch: Option<bool>) {
        self.memory.placing.remove(&key);
        let Some(on_branch) = on_branch else { return };
        if self.memory.unplaced.remove(&(key.0.clone(), key.2.clone())).is_some() {
            self.mark_all();
        }
        let now = self.clock.now();
        let was = self.memory.placed.get(&key).copied();
        let known = was.filter(|placed| placed.on_branch == on_branch);
        self.memory.placed.insert(key, known.unwrap_or_else(|| Placed::new(on_branch, now)));
        if known.is_none() {
            self.mark_all();
        }
    }

    /// Takes in why GitLab did not tell what is on a branch.
    pub(in crate::daemon) fn unplaced(&mut self, project: String, branch: String, error: String) {
        let of = (project, branch);
        if self.memory.unplaced.get(&of) != Some(&error) {
            tracing::warn!(gitlab.project = %of.0, error = %error, "what is on branch {} could not be asked", of.1);
            self.memory.unplaced.insert(of, error);
            self.mark_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(minutes: i64) -> Timestamp {
        Timestamp::from_second(minutes * 60).expect("a time")
    }

    #[test]
    fn a_place_is_asked_again_ever_more_seldom() {
        let mut placed = Placed::new(false, minute(0));
        let mut waits = Vec::new();
        for _ in 0..40 {
            let at = placed.again_at;
            placed = placed.asked(at);
            waits.push(placed.again_at.duration_since(at).as_mins());
        }
        assert_eq!(waits[..7], [2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(waits[39], 60);
    }

    #[test]
    fn only_what_was_passed_over_is_asked_again_and_first_what_waits_longest() {
        let place = |n: i64| ("shop/app".to_owned(), format!("{n:040}"), "main".to_owned());
        let answers = (1..=4).map(|n| (place(n), Placed::new(n == 4, minute(10 - n))));
        let placed: HashMap<Place, Placed> = answers.collect();
        let check = |elsewhere: &[i64], at, expected: Option<i64>| {
            let elsewhere: Vec<Place> = elsewhere.iter().copied().map(place).collect();
            let due = due(elsewhere.iter(), &placed, minute(at)).cloned();
            assert_eq!(due, expected.map(place), "{elsewhere:?} at {at}");
        };
        check(&[], 100, None);
        check(&[1, 2, 3, 4, 5], 100, Some(3));
        check(&[1, 2], 100, Some(2));
        check(&[1, 2], 9, Some(2));
        check(&[1, 2], 8, None);
        check(&[4, 5], 100, None);
    }
}
