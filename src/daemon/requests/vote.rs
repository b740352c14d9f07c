//! Votes of people: for a release, against it, or taken back.

use crate::daemon::Daemon;
use crate::daemon::handle::{Refusal, Target};
use crate::daemon::state::meant::{self, choices};
use crate::daemon::state::memory::EnvironmentState;
use crate::model::event::Event;
use crate::model::policy::Ballot;
use crate::model::{Release, Scope, text};
use crate::relay::candidate;
use crate::relay::facts::Facts;
use crate::relay::find::{self, Presence};
use crate::relay::gate::{self, GateStatus};

/// What a person says of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::daemon) enum Word {
    /// It may come.
    Approve,
    /// It must not come.
    Reject,
    /// Whatever they said before counts no longer.
    TakeBack,
}

/// A vote as it is given.
pub(in crate::daemon) struct Vote {
    pub(in crate::daemon) word: Word,
    /// The release as the person names it; none = the one that waits.
    pub(in crate::daemon) release: Option<String>,
    pub(in crate::daemon) reason: String,
    pub(in crate::daemon) by: Ballot,
}

impl Daemon {
    /// Keeps a vote.
    pub(in crate::daemon) async fn vote(&mut self, target: &Target, vote: Vote, who: &str) -> Result<String, Refusal> {
        let Vote { word, release: named, reason, by } = vote;
        let scope = Scope::of(&target.policy, &target.environment);
        let (release, rules, approves) = self.with_facts(target, |facts| {
            let release = match &named {
                Some(named) => meant::find(facts, named)?,
                None => the_one(facts, word, who)?,
            };
            let approves = gate::approves(facts, &release, who);
            if word == Word::Approve && !approves {
                may_come(facts, &release).map_err(Refusal::Conflict)?;
            }
            Ok((release, gate::terms(facts.environment), approves))
        })?;
        let (id, short) = (release.id().clone(), release.short());
        match word {
            Word::Approve if approves => return Ok(format!("you approved {release} ({short}) for {scope} before")),
            Word::TakeBack if !has_voted(self.place(target)?.1, &release, who) => {
                let why =
                    format!("you did not approve {release} ({short}) for {scope}, so there is no vote to take back");
                return Err(Refusal::NotFound(why));
            }
            Word::Approve | Word::Reject | Word::TakeBack => {}
        }
        let why = text::shown(&reason);
        let approve = word == Word::Approve;
        let mut events = vec![Event::Voted { release: id, rules, approve, who: who.to_owned(), by, why: why.clone() }];
        if word == Word::Reject {
            let why = format!("rejected{}", text::after_colon(&why));
            events.push(Event::Refused { release: release.clone(), who: who.to_owned(), why });
        }
        self.keep(&scope, events).await?;
        Ok(format!("{} {release} ({short}) for {scope}", told(word)))
    }
}

fn told(word: Word) -> &'static str {
    match word {
        Word::Approve => "approved",
        Word::Reject => "rejected",
        Word::TakeBack => "your vote is taken back for",
    }
}

/// The release that a vote is about where none is named.
///
/// Who approves means what waits for votes; who rejects or takes back may also mean what they approved, which then waits
/// for votes no longer.
fn the_one(facts: &Facts<'_>, word: Word, who: &str) -> Result<Release, Refusal> {
    let found = candidate::candidates(facts);
    // What runs already is written once more where its pin lacks the digest. Nobody means that by a vote without a name.
    let is_new = |release: &&Release| facts.ledger.current().is_none_or(|current| !current.is_of(release.id()));
    let new = || found.releases.iter().filter(is_new);
    let mut waiting: Vec<&Release> = new().filter(|release| waits(facts, release)).collect();
    if waiting.is_empty() {
        waiting = found.releases.iter().filter(|release| waits(facts, release)).collect();
    }
    let approved: Vec<&Release> = found.releases.iter().filter(|release| gate::approves(facts, release, who)).collect();
    let choice = match word {
        Word::Approve if waiting.is_empty() => approved,
        Word::Approve => waiting,
        Word::Reject | Word::TakeBack if !approved.is_empty() => approved,
        Word::Reject => waiting,
        Word::TakeBack => approved,
    };
    match choice.as_slice() {
        [] if word == Word::TakeBack => Err(Refusal::NotFound("no vote of yours counts there".to_owned())),
        [] => Err(Refusal::NotFound("nothing waits for approval there".to_owned())),
        [one] => Ok((*one).clone()),
        several => Err(Refusal::Ambiguous(format!("more than one release waits, name one: {}", choices(several)))),
    }
}

/// Whether a vote can let a release in, now or later.
///
/// # Errors
/// The reason why the release does not come, whoever approves it, and what to type.
fn may_come(facts: &Facts<'_>, release: &Release) -> Result<(), String> {
    let Some(found) = find::best(facts, &[release]) else { return Ok(()) };
    let id = release.short();
    let place = format!("{}/{}", facts.policy.name, facts.environment.name);
    let ordered = format!("A vote counts once it is ordered: `tagrelay promote {place} {id}`");
    match found.presence {
        Presence::Waits | Presence::Never => Ok(()),
        Presence::Runs => Err(format!("{release} ({id}) runs in {place} already: it waits for no vote")),
        Presence::RanBefore => {
            Err(format!("{release} ({id}) ran in {place} before and does not come again by itself. {ordered}"))
        }
        Presence::Newer => Err(format!("{place} runs something newer than {release} ({id}). {ordered}")),
        Presence::Refused => {
            let why = found.why.first().map_or_else(|| format!("{release} is refused here"), ToString::to_string);
            Err(format!("{why}. {ordered}"))
        }
    }
}

fn waits(facts: &Facts<'_>, release: &Release) -> bool {
    let is_vote = |standing: &GateStatus| matches!(standing, GateStatus::Shut(why) if why.code() == "ApprovalsMissing");
    gate::standings(facts, release).iter().any(is_vote)
}

/// Whether this person's last vote is for the release, whether or not it still counts.
fn has_voted(standing: &EnvironmentState, release: &Release, who: &str) -> bool {
    let mut votes = standing.ledger.votes.iter().rev();
    votes.find(|vote| vote.release == *release.id() && vote.who == who).is_some_and(|vote| vote.approve)
}
