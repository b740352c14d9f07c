//! What stands outside, met with what the journal says: our own commits are taken up, a stranger's pin is kept and holds.
//!
//! A person wins: a pin that is neither ours nor what would be written now stops the environment until it is resumed. The
//! one exception is the first meeting, where any pin is simply the old value of an ordinary change.

use super::facts::Facts;
use super::{Step, Turn, change};
use crate::model::event::{Effect, Event, OURSELVES, Order};
use crate::model::ledger::{Arrival, Fate, Intent};
use crate::model::policy::{OnEdit, Strategy};
use crate::model::{CommitId, OurCommit, Outcome, Pin, PinForm, PinReading, Release, Why};

/// Takes up what is met.
pub(super) fn turn(facts: &Facts<'_>) -> Turn {
    if facts.environment.is_tag_only() {
        return tag(facts);
    }
    match &facts.pin {
        Err(why) => Turn::Stop(why.clone()),
        Ok(None) => Turn::Stop(Why::Unread { what: "the GitOps repository".to_owned(), error: None }),
        Ok(Some(reading)) => match newest_commit(facts, reading) {
            Turn::Pass(_) => pin(facts, reading),
            turn => turn,
        },
    }
}

/// The newest commit with our trailers: given out by this journal, and taken up if it was not yet known to be pushed.
fn newest_commit(facts: &Facts<'_>, reading: &PinReading) -> Turn {
    let ledger = facts.ledger;
    let open = ledger.open_intent().filter(|intent| matches!(intent.effect, Effect::Commit { .. }));
    let trailers = match &reading.ours {
        OurCommit::LimitReached if ledger.met.is_none() => return Turn::Stop(Why::JournalIsNew { commit: None }),
        OurCommit::LimitReached | OurCommit::None => return withdraw(open),
        OurCommit::Found(trailers) => trailers,
    };
    let given = ledger.intents.get(&trailers.sequence).filter(|intent| {
        let digests = intent.release.builds().iter().map(|(name, build)| (name, &build.digest));
        facts.journal.may_have_given(&trailers.journal, trailers.sequence) && digests.eq(trailers.digests.iter())
    });
    match given {
        None if ledger.met.as_ref() == Some(&trailers.commit) => withdraw(open),
        None => Turn::Stop(Why::JournalIsNew { commit: Some(trailers.commit.short().to_owned()) }),
        Some(intent) if intent.fate == Fate::Made => withdraw(open),
        Some(intent) => Turn::Act(Step::Record(committed(facts, intent, &trailers.commit))),
    }
}

/// A commit that was about to be pushed and does not stand on the branch was not pushed: its number is not used again.
fn withdraw(open: Option<&Intent>) -> Turn {
    let Some(intent) = open else { return Turn::Pass(Vec::new()) };
    let why = "the branch does not have it".to_owned();
    Turn::Act(Step::Record(vec![Event::Withdrawn { intent: intent.sequence, why }]))
}

/// The facts of a commit of ours that stands on its branch.
#[must_use]
pub fn committed(facts: &Facts<'_>, intent: &Intent, commit: &CommitId) -> Vec<Event> {
    let mut events = overtaken(facts, &format!("overtaken by {}", facts.name(&intent.release)));
    events.push(Event::Committed { intent: intent.sequence, commit: commit.clone() });
    events.push(facts.keep_rules());
    events.extend(hold_of_order(facts, &intent.release));
    events
}

/// An order that the policy would not have given holds the environment from its arrival on.
pub(super) fn hold_of_order(facts: &Facts<'_>, arrived: &Release) -> Option<Event> {
    let standing = facts.ledger.order.as_ref()?;
    match &standing.order {
        Order::Promote { release, force: _, holds: true } if release == arrived => {
            let why = format!("{release} was promoted by order; the policy would choose another");
            Some(Event::Held { who: standing.who.clone(), why, until: None })
        }
        Order::Promote { .. } | Order::Rollback { .. } | Order::Verify => None,
    }
}

/// The end of the rollout in flight, where there is one, because something else took its place.
fn overtaken(facts: &Facts<'_>, why: &str) -> Vec<Event> {
    let ended =
        |arrival: &Arrival| Event::Ended { rollout: arrival.rollout, outcome: Outcome::Canceled, why: why.to_owned() };
    facts.ledger.in_flight().map(ended).into_iter().collect()
}

/// The pin as it stands, against what last came here.
fn pin(facts: &Facts<'_>, reading: &PinReading) -> Turn {
    if reading.pin.0.is_empty() {
        return Turn::Pass(Vec::new());
    }
    let current = facts.ledger.current();
    let same = |current: &Arrival| {
        current.pin == reading.pin || current.release.as_ref().is_some_and(|release| facts.says(&reading.pin, release))
    };
    if current.is_some_and(same) {
        return Turn::Pass(Vec::new());
    }
    if let Err(unread) = &facts.named {
        return Turn::Stop(unread.clone());
    }
    let release = facts.bind(&reading.pin);
    let Some(current) = current else {
        let commit = Some(reading.tip.clone());
        return Turn::Act(Step::Record(vec![Event::Adopted { pin: reading.pin.clone(), release, commit }]));
    };
    let touch = reading.last_touch.as_ref();
    // A commit of ours that is not what came last was brought to the top again by whoever moved the branch.
    let ours = |commit: &CommitId| matches!(&reading.ours, OurCommit::Found(trailers) if trailers.commit == *commit);
    let author = touch.filter(|touch| !ours(&touch.commit)).map(|touch| touch.author.clone());
    let person = author.filter(|author| author != OURSELVES);
    let who = person.unwrap_or_else(|| "somebody".to_owned());
    let commit = touch.map_or_else(|| reading.tip.clone(), |touch| touch.commit.clone());
    let edit = edit(facts, &reading.pin, release.as_ref(), current);
    Turn::Act(Step::Record(moved(facts, &reading.pin, release, Some(commit), &who, edit)))
}

/// What a pin that somebody else moved means.
enum Edit {
    /// It says what would have been written, or what the policy leaves to others, or the policy lets the next release go on.
    GoesOn,
    /// It says what ran here before, and left this release.
    Back(Option<Release>),
    /// It says something new.
    New,
}

/// What a moved pin means, against the arrivals before it.
fn edit(facts: &Facts<'_>, pin: &Pin, release: Option<&Release>, current: &Arrival) -> Edit {
    let strategy = facts.environment.select.as_ref().map(|select| &select.strategy);
    let is_free = facts.environment.promote.is_none() && strategy == Some(&Strategy::Pinned);
    if is_free || release.is_some_and(|release| change::would_move_to(facts, release)) {
        return Edit::GoesOn;
    }
    let says = |arrival: &Arrival| match (release, &arrival.release) {
        (Some(now), Some(then)) => now.id() == then.id(),
        _ => arrival.pin == *pin,
    };
    if facts.ledger.arrivals.iter().any(says) {
        return Edit::Back(current.release.clone());
    }
    match facts.environment.on_edit {
        OnEdit::Hold => Edit::New,
        OnEdit::Continue => Edit::GoesOn,
    }
}

/// The facts of a pin that somebody else moved: the rollout in flight is over and the new one is followed. Moved back, it
/// holds the environment and refuses the release that was left, here and in later environments that do not run it yet; moved
/// to something new, it holds this environment alone.
fn moved(
    facts: &Facts<'_>,
    pin: &Pin,
    release: Option<Release>,
    commit: Option<CommitId>,
    who: &str,
    edit: Edit,
) -> Vec<Event> {
    let who = who.to_owned();
    let mut events = overtaken(facts, &format!("{who} moved the pin"));
    let to = release.as_ref().map_or_else(|| pin.to_string(), Release::to_string);
    events.push(Event::Moved { pin: pin.clone(), release, commit, who: who.clone() });
    events.push(facts.keep_rules());
    let (why, left) = match edit {
        Edit::GoesOn => return events,
        Edit::Back(left) => (format!("{who} moved the pin back to {to}"), left),
        Edit::New => (format!("{who} moved the pin to {to}"), None),
    };
    events.push(Event::Held { who: who.clone(), why: why.clone(), until: None });
    events.extend(left.map(|release| Event::Refused { release, who, why }));
    events
}

/// The tag as it stands, where the tag itself is the pin.
fn tag(facts: &Facts<'_>) -> Turn {
    if let Err(why) = &facts.tag {
        return Turn::Stop(why.clone());
    }
    let Some(tagged) = facts.tagged() else { return Turn::Pass(Vec::new()) };
    let ours = facts.ledger.open_intent().is_some_and(|intent| intent.release == tagged);
    let current = facts.ledger.current();
    let same = current.is_some_and(|current| current.is_of(tagged.id()));
    if ours || same {
        return Turn::Pass(Vec::new());
    }
    if facts.known(tagged.id()).is_none() {
        return Turn::Stop(Why::JournalIsNew { commit: None });
    }
    let back = facts.ledger.first_arrival(tagged.id()).is_some();
    let edit = match current {
        Some(current) if back => Edit::Back(current.release.clone()),
        Some(_) | None => Edit::GoesOn,
    };
    let pin = Pin::of(&tagged, PinForm::Digest);
    Turn::Act(Step::Record(moved(facts, &pin, Some(tagged), None, "somebody who pushed the tag past the gates", edit)))
}
