//! Verdicts that are posted: the rollout that one is about is found, where need be in the branch, and what it says is kept
//! before it is answered.

use crate::clients::git::{Contents, GitError, Mirror, readable};
use crate::daemon::Daemon;
use crate::daemon::edits::Edits;
use crate::daemon::handle::{Refusal, Reply, Signal};
use crate::daemon::inbox::answer;
use crate::daemon::message::Message;
use crate::daemon::requests::commands::{is_unmet, not_kept};
use crate::model::event::{CheckResult, Event, Verdict};
use crate::model::policy::Environment;
use crate::model::{CommitId, Pin, Scope, Sequence, Why, text};
use crate::relay::edit;
use crate::relay::verdict::{self, Counts, Found, Named, Posted, Searched};
use std::sync::Arc;

/// How many verdicts are looked for in branches at once.
pub(in crate::daemon) const SOUGHT_MAX: usize = 64;

/// What a branch says of the commit in a verdict.
pub(in crate::daemon) enum Sought {
    /// The commit stands on the branch at or after the rollout's; this is pinned there.
    Pinned(Pin),
    /// It does not, or what is pinned there cannot be read.
    Not(String),
    /// The branch could not be read.
    Unread(String),
}

impl Daemon {
    /// Takes a verdict in, and answers when it is kept or refused.
    pub(in crate::daemon) async fn signal(&mut self, signal: Signal, reply: Reply) {
        match self.means(&signal) {
            Err(refusal) => answer(reply, Err(refusal)),
            Ok(Meant::Rollout(rollout)) => {
                let kept = self.keep_verdict(signal, rollout).await;
                answer(reply, kept);
            }
            Ok(Meant::Perhaps { rollout, commit, since }) => self.seek(signal, rollout, commit, since, reply),
            Ok(Meant::Nothing) => {
                let refusal = self.fits_nothing(&signal, "it is no rollout here");
                answer(reply, Err(refusal));
            }
        }
    }

    /// Takes in what the branch says of the commit in a verdict.
    pub(in crate::daemon) async fn sought(&mut self, signal: Signal, rollout: Sequence, sought: Sought, reply: Reply) {
        // While the branch was looked into, the rollout that the commit began may have come to be known, or another one.
        let searched = self.place(&signal.target).map(|(_, standing)| {
            let named = Named::read(&signal.rollout, &self.ids.id);
            verdict::searched(&verdict::find(&standing.ledger, &named), rollout)
        });
        match searched {
            Ok(Searched::Known(known)) => {
                let kept = self.keep_verdict(signal, known).await;
                return answer(reply, kept);
            }
            Ok(Searched::Stale) => {
                let why = "what runs there changed meanwhile: post it again".to_owned();
                return answer(reply, Err(Refusal::Unavailable(why)));
            }
            Ok(Searched::Counts) => {}
            Err(refusal) => return answer(reply, Err(refusal)),
        }
        let holds = match sought {
            Sought::Unread(error) => Err(Refusal::Unavailable(format!("the branch could not be read: {error}"))),
            Sought::Not(why) => Err(self.fits_nothing(&signal, &why)),
            Sought::Pinned(pin) => match self.holds(&signal, rollout, &pin) {
                true => Ok(()),
                false => Err(self.fits_nothing(&signal, &format!("it pins {pin}, which is another release"))),
            },
        };
        let kept = match holds {
            Ok(()) => self.keep_verdict(signal, rollout).await,
            Err(refusal) => Err(refusal),
        };
        answer(reply, kept);
    }

    fn means(&self, signal: &Signal) -> Result<Meant, Refusal> {
        let (_, standing) = self.place(&signal.target)?;
        let named = Named::read(&signal.rollout, &self.ids.id);
        Ok(match verdict::find(&standing.ledger, &named) {
            Found::It(arrival) => Meant::Rollout(arrival.rollout),
            Found::Perhaps(arrival, since) => match named {
                Named::Commit(commit) => Meant::Perhaps { rollout: arrival.rollout, commit, since: since.clone() },
                Named::Rollout(_) | Named::Unknown => Meant::Nothing,
            },
            Found::None => Meant::Nothing,
        })
    }

    /// Looks for the commit of a verdict on the branch; the loop goes on meanwhile.
    fn seek(&self, signal: Signal, rollout: Sequence, commit: CommitId, since: CommitId, reply: Reply) {
        let environment = self.place(&signal.target).map(|(environment, _)| environment.clone());
        let environment = match environment {
            Ok(environment) => environment,
            Err(refusal) => return answer(reply, Err(refusal)),
        };
        let Some(reader) = self.readers.get(&environment.deliver.repository) else {
            return answer(
                reply,
                Err(Refusal::Unavailable("its repository is not read yet: post it again".to_owned())),
            );
        };
        let Ok(permit) = Arc::clone(&self.verdicts).try_acquire_owned() else {
            let why = format!("{SOUGHT_MAX} verdicts are being looked for already: post it again");
            return answer(reply, Err(Refusal::Unavailable(why)));
        };
        let (mirror, edits, out) = (reader.mirror.clone(), self.edits.clone(), self.out.clone());
        self.tasks.spawn(async move {
            let sought = look((&mirror, &edits), &environment, &commit, &since).await;
            drop(permit);
            // The loop may have stopped: nothing was kept, and whoever posted is told that nobody answers.
            let _sent = out.send(Message::Verdict { signal, rollout, sought, reply }).await;
        });
    }

    /// Whether this is what a rollout, which must still be the last, brought.
    fn holds(&self, signal: &Signal, rollout: Sequence, pin: &Pin) -> bool {
        let held = self.with_facts(&signal.target, |facts| {
            let last = facts.ledger.current().filter(|last| last.rollout == rollout);
            Ok(last.is_some_and(|last| {
                last.pin == *pin || last.release.as_ref().is_some_and(|release| facts.says(pin, release))
            }))
        });
        held.unwrap_or(false)
    }

    /// Keeps a verdict of a rollout that was found.
    async fn keep_verdict(&mut self, signal: Signal, rollout: Sequence) -> Result<String, Refusal> {
        let (environment, standing) = self.place(&signal.target)?;
        let Some(arrival) = standing.ledger.arrivals.iter().rev().find(|arrival| arrival.rollout == rollout) else {
            return Err(self.fits_nothing(&signal, "its rollout is over"));
        };
        let posted =
            Posted { check: signal.check.as_deref(), digests: signal.digests.as_ref(), verdict: signal.verdict };
        let kept = format!("kept for rollout {}-{rollout}", self.ids.id);
        match verdict::counts(environment, arrival, &posted) {
            Counts::Repeated => return Ok(kept),
            Counts::Not(why) => return Err(self.fits_nothing(&signal, &why)),
            Counts::New => {}
        }
        let scope = Scope::of(&signal.target.policy, &signal.target.environment);
        let event = event(signal, rollout);
        if !self.record(&scope, vec![event]).await {
            return Err(not_kept());
        }
        if let Some(standing) = self.memory.standing_mut(&scope) {
            standing.unfit_verdict = None;
        }
        Ok(kept)
    }

    /// The answer to a verdict that fits no rollout. A rollout may have begun that this process does not know yet: its commit
    /// is being pushed, or was pushed right before a restart. Whoever posts about it is asked to post again.
    fn fits_nothing(&mut self, signal: &Signal, why: &str) -> Refusal {
        let now = self.clock.now();
        let scope = Scope::of(&signal.target.policy, &signal.target.environment);
        let Some(standing) = self.memory.standing_mut(&scope) else {
            return Refusal::NotFound(format!("there is no {scope}"));
        };
        if is_unmet(standing) || standing.ledger.open_intent().is_some() {
            return Refusal::Unavailable("what runs there is being read: post it again".to_owned());
        }
        let of = text::shown(&signal.rollout);
        let unfit = Why::VerdictUnfit { of: of.clone(), at: now, why: why.to_owned() };
        let in_flight = standing.ledger.in_flight();
        let flies = match in_flight.map(|arrival| (arrival.rollout, arrival.commit.clone())) {
            None => "nothing is in flight here".to_owned(),
            Some((rollout, None)) => format!("rollout {rollout} is in flight here"),
            Some((rollout, Some(commit))) => {
                format!("rollout {rollout} is in flight here, which began with commit {commit}")
            }
        };
        standing.unfit_verdict = in_flight.is_some().then_some(unfit);
        Refusal::Conflict(format!("the verdict for {of} does not fit: {why}; {flies}"))
    }
}

/// The rollout that a verdict means.
enum Meant {
    /// This one.
    Rollout(Sequence),
    /// This one, if the branch says so.
    Perhaps { rollout: Sequence, commit: CommitId, since: CommitId },
    /// None.
    Nothing,
}

/// What is pinned at a commit, if it stands on the environment's branch at or after another.
async fn look(
    (mirror, edits): (&Mirror, &Edits),
    environment: &Environment,
    commit: &CommitId,
    since: &CommitId,
) -> Sought {
    let branch = &environment.deliver.branch;
    match mirror.is_later(branch, commit, since).await {
        Ok(true) => {}
        Ok(false) => {
            return Sought::Not(format!("it does not stand on branch {branch} at or after commit {}", since.short()));
        }
        Err(error @ GitError::Invalid { .. }) => return Sought::Not(error.to_string()),
        Err(error) => return Sought::Unread(error.to_string()),
    }
    let paths = edit::wanted(&environment.write);
    let look = |contents: Contents<String>, _| match readable(&contents, &paths) {
        Ok(files) => match edit::read(&environment.write, &environment.images, &files) {
            Ok(pin) => Sought::Pinned(pin),
            Err(error) => Sought::Not(error.to_string()),
        },
        Err(unreadable) if unreadable.lasts => Sought::Not(unreadable.reason),
        Err(unreadable) => Sought::Unread(unreadable.reason),
    };
    match edits.read(mirror, commit, std::slice::from_ref(&paths), look).await {
        Ok(sought) => sought,
        Err(error @ GitError::Invalid { .. }) => Sought::Not(error.to_string()),
        Err(error) => Sought::Unread(error.to_string()),
    }
}

/// What is kept of a verdict.
fn event(signal: Signal, rollout: Sequence) -> Event {
    let (evidence, who) = (text::shown(&signal.evidence), signal.who);
    match signal.check {
        None => Event::Signalled { rollout, verdict: signal.verdict, who, evidence, url: signal.url },
        Some(check) => {
            let result = match signal.verdict {
                Verdict::Healthy => CheckResult::Passed,
                Verdict::Failed => CheckResult::Failed(format!("{who} says so{}", text::after_colon(&evidence))),
            };
            Event::Checked { rollout, check, result, url: signal.url }
        }
    }
}
