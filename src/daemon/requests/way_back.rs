//! What git tells of the releases that ran before, read beside the loop when a person resumes environments whose commits
//! another journal gave out.

use crate::clients::git::{Contents, GitError, Mirror, readable};
use crate::daemon::Daemon;
use crate::daemon::edits::Edits;
use crate::daemon::handle::{Refusal, Reply};
use crate::daemon::message::Message;
use crate::daemon::requests::commands::not_kept;
use crate::model::policy::Policy;
use crate::model::{CommitId, Event, Scope};
use crate::relay::edit;
use crate::relay::resume::{Asked, Of, Stop};
use crate::relay::way_back::{self, Adoption, FORMER_MAX, Former};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long a person waits for it at the most: what was not read by then is left out.
const READ_WITHIN: Duration = Duration::from_secs(60);

/// What is known of the releases that ran before, by environment.
#[derive(Debug, Default)]
pub(in crate::daemon) struct Before {
    former: BTreeMap<Scope, Vec<Former>>,
    /// What could not be read, in words.
    unread: Vec<String>,
}

/// The environments of one branch whose history is read.
struct Branch {
    mirror: Arc<Mirror>,
    edits: Edits,
    tip: CommitId,
    environments: Vec<(Arc<Policy>, usize)>,
}

impl Daemon {
    /// Reads what ran before in the environments of these stops, and goes on with the resume; false where none of them is
    /// about a commit of another journal.
    pub(in crate::daemon) fn read_before(
        &self,
        stops: &[Stop],
        asked: &Asked,
        who: &str,
        reply: Reply,
    ) -> Option<Reply> {
        let branches = self.branches_of(stops);
        if branches.is_empty() {
            return Some(reply);
        }
        let (out, asked, who) = (self.out.clone(), asked.clone(), who.to_owned());
        self.tasks.spawn(async move {
            let mut before = Before::default();
            let read = async {
                for branch in &branches {
                    if let Err(error) = read(branch, &mut before).await {
                        before.unread.push(error.to_string());
                    }
                }
            };
            if tokio::time::timeout(READ_WITHIN, read).await.is_err() {
                before.unread.push(format!("git did not tell within {} s", READ_WITHIN.as_secs()));
            }
            // The loop may have stopped: nothing was kept, and whoever asked is told that nobody answers.
            let _sent = out.send(Message::Resume { asked, who, before, reply }).await;
        });
        None
    }

    fn branches_of(&self, stops: &[Stop]) -> Vec<Branch> {
        let mut branches: BTreeMap<(String, CommitId), Branch> = BTreeMap::new();
        for stop in stops.iter().filter(|stop| stop.of == Of::Journal) {
            let names = stop.scope.policy.as_ref().zip(stop.scope.environment.as_ref());
            let Some((known, index)) = names.and_then(|(policy, of)| self.memory.find(policy, of)) else { continue };
            let Some((environment, standing)) = known.policy.environments.get(index).zip(known.standings.get(index))
            else {
                continue;
            };
            let Ok(Some(reading)) = &standing.pin else { continue };
            let Some(reader) = self.readers.get(&environment.deliver.repository) else { continue };
            let at = (environment.deliver.repository.clone(), reading.tip.clone());
            let branch = branches.entry(at).or_insert_with(|| Branch {
                mirror: reader.mirror.clone(),
                edits: self.edits.clone(),
                tip: reading.tip.clone(),
                environments: Vec::new(),
            });
            branch.environments.push((known.policy.clone(), index));
        }
        branches.into_values().collect()
    }

    /// Adopts what runs where another journal's commit stands. Returns what was adopted.
    pub(in crate::daemon) async fn adopt_what_runs(
        &mut self,
        lifts: &[Stop],
        before: &Before,
        who: &str,
    ) -> Result<Vec<Adoption>, Refusal> {
        let mut adoptions = Vec::new();
        for stop in lifts.iter().filter(|stop| stop.of == Of::Journal) {
            let names = stop.scope.policy.as_ref().zip(stop.scope.environment.as_ref());
            let Some((known, index)) = names.and_then(|(policy, of)| self.memory.find(policy, of)) else { continue };
            let Some(facts) = self.memory.facts(known, index, &self.moment()) else { continue };
            let former = before.former.get(&stop.scope).map(Vec::as_slice).unwrap_or_default();
            adoptions.extend(way_back::adoption(&facts, former, who));
        }
        let events = adoptions.iter().flat_map(|adoption| {
            let scope = adoption.scope.clone();
            adoption.events.iter().map(move |event| (scope.clone(), event.clone()))
        });
        let events: Vec<(Scope, Event)> = events.collect();
        if !events.is_empty() {
            self.record_all(events).await.ok_or_else(not_kept)?;
        }
        Ok(adoptions)
    }
}

impl Before {
    /// What could not be read, in words; empty where all was.
    pub(in crate::daemon) fn told(&self) -> String {
        match self.unread.as_slice() {
            [] => String::new(),
            [first, ..] => format!(
                "\nsome releases that ran before are unknown, and no rollback goes to them: {first}{}",
                if self.unread.len() > 1 { format!(" (and {} more)", self.unread.len() - 1) } else { String::new() }
            ),
        }
    }
}

/// Reads what stood in the former commits of a branch's environments.
async fn read(branch: &Branch, before: &mut Before) -> Result<(), GitError> {
    let names = branch.environments.iter().map(|(policy, index)| {
        let environment = &policy.environments[*index];
        (policy.name.clone(), environment.name.clone())
    });
    let mut commits = branch.mirror.former(&branch.tip, names.collect(), FORMER_MAX).await?;
    for (policy, index) in &branch.environments {
        let environment = &policy.environments[*index];
        let found = commits.remove(&(policy.name.clone(), environment.name.clone())).unwrap_or_default();
        let mut former = Vec::with_capacity(found.len());
        for trailers in found {
            let paths = edit::wanted(&environment.write);
            // What stood elsewhere then, or cannot be read any more, is no release that comes back.
            let look = |contents: Contents<String>, _| {
                let files = readable(&contents, &paths).ok()?;
                edit::read(&environment.write, &environment.images, &files).ok()
            };
            let group = std::slice::from_ref(&paths);
            let pin = branch.edits.read(&branch.mirror, &trailers.commit, group, look).await?;
            former.extend(pin.map(|pin| Former { trailers, pin }));
        }
        before.former.insert(Scope::of(&policy.name, &environment.name), former);
    }
    Ok(())
}
