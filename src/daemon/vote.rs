//! Votes of people: for a release, against it, or taken back.

use super::Daemon;
use super::handle::{Refusal, Target};
use super::meant::{choices, find};
use crate::model::event::Event;
use crate::model::policy::Ballot;
use crate::model::{Release, Scope, text};
use crate::relay::candidate;
use crate::relay::facts::Facts;
use crate::relay::gate::{self, Standing as GateStanding};

/// What a person says of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// It may come.
    Approve,
    /// It must not come.
    Reject,
    /// Whatever they said before counts no longer.
    TakeBack,
}

/// A vote as it is given.
pub(super) struct Vote {
    pub(super) word: Word,
    /// The release as the person names it; none = the one that waits.
    pub(super) release: Option<String>,
    pub(super) reason: String,
    pub(super) by: Ballot,
}

impl Daemon {
    /// Keeps a vote.
    pub(super) async fn vote(&mut self, target: &Target, vote: Vote, who: &str) -> Result<String, Refusal> {
        let Vote { word, release: named, reason, by } = vote;
        let scope = Scope::of(&target.policy, &target.environment);
        let (release, rules, approves) = self.with_facts(target, |facts| {
            let release = match &named {
                Some(named) => find(facts, named)?,
                None => meant(facts, word, who)?,
            };
            let approves = gate::approves(facts, &release, who);
            Ok((release, gate::terms(facts.environment), approves))
        })?;
        let id = release.id().clone();
        match word {
            Word::Approve if approves => return Ok(format!("you approved {release} ({id}) for {scope} before")),
            Word::TakeBack if !has_voted(self.place(target)?.1, &release, who) => {
                let why = format!("you did not approve {release} ({id}) for {scope}, so there is no vote to take back");
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
        let (done, id) = (told(word), release.id());
        Ok(format!("{done} {release} ({id}) for {scope}"))
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
fn meant(facts: &Facts<'_>, word: Word, who: &str) -> Result<Release, Refusal> {
    let found = candidate::candidates(facts);
    let waiting: Vec<&Release> = found.releases.iter().filter(|release| waits(facts, release)).collect();
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

fn waits(facts: &Facts<'_>, release: &Release) -> bool {
    let is_vote =
        |standing: &GateStanding| matches!(standing, GateStanding::Shut(why) if why.code() == "ApprovalsMissing");
    gate::standings(facts, release).iter().any(is_vote)
}

/// Whether this person's last vote is for the release, whether or not it still counts.
fn has_voted(standing: &super::memory::Standing, release: &Release, who: &str) -> bool {
    let mut votes = standing.ledger.votes.iter().rev();
    votes.find(|vote| vote.release == *release.id() && vote.who == who).is_some_and(|vote| vote.approve)
}
