//! Something new: the newest candidate whose gates are open takes the tag, then the pin.

use super::authority::{Right, stops};
use super::facts::Facts;
use super::gate::{Cleared, Verdict, judge};
use super::{Step, Turn, candidate, order};
use crate::model::event::Event;
use crate::model::policy::HoldNewUntil;
use crate::model::{Arrival, Origin, Release, Why};

/// Begins a change, if nothing stops the environment and a candidate's gates are open.
pub(super) fn turn(facts: &Facts<'_>) -> Turn {
    if let Some(held) = moved_back(facts) {
        return Turn::Act(Step::Record(vec![held]));
    }
    // Nothing new begins beside an order that goes before everything: it is on its way, or waits.
    if matches!(Right::of(facts.ledger.order.as_ref()), Right::Failure | Right::Rollback | Right::Force) {
        return Turn::Pass(Vec::new());
    }
    match next(facts) {
        Ok(cleared) => order::step(facts, cleared),
        Err(why) => Turn::Pass(why),
    }
}

/// Whether a choice that holds more may hold a release that can move, where none of this one can.
#[must_use]
pub fn looks_deeper(facts: &Facts<'_>) -> bool {
    let free = stops(facts).is_empty() && begins(facts).is_empty() && facts.ledger.order.is_none();
    free && facts.environment.promote.is_none() && candidate::all_newer(facts)
}

/// Whether this release may be behind what is chosen, and what would be written once that was looked at.
#[must_use]
pub fn may_be_behind(facts: &Facts<'_>, release: &Release) -> bool {
    let newer = |select| candidate::is_newer(facts, select, release);
    looks_deeper(facts) && facts.refused(release.id()).is_none() && facts.environment.select.as_ref().is_some_and(newer)
}

/// Whether this release is what would be written now.
pub(super) fn would_move_to(facts: &Facts<'_>, release: &Release) -> bool {
    next(facts).is_ok_and(|cleared| cleared.release() == release)
}

/// The release that may move now, or everything that stands in the way.
fn next(facts: &Facts<'_>) -> Result<Cleared, Vec<Why>> {
    let found = candidate::candidates(facts);
    let mut why = stops(facts);
    why.extend(begins(facts));
    let stopped = !why.is_empty();
    why.extend(found.passed_over.iter().cloned());
    let mut waits = Vec::new();
    for (place, release) in found.releases.iter().enumerate() {
        match judge(facts, release) {
            Verdict::Cleared(cleared) if !stopped => return Ok(cleared),
            Verdict::Cleared(_) => {}
            Verdict::Wait(shut) if place == 0 => waits.extend(shut),
            // What a lower release waits for is told only where time ends it: what one reads and types is about the best.
            Verdict::Wait(shut) => waits.extend(shut.into_iter().filter(|why| why.until().is_some())),
        }
    }
    why.extend(first_of_each(waits));
    Err(why)
}

/// Of reasons of one kind the first, which is the best release's, and that which time ends soonest, so that the lower
/// release is judged again then. Twenty releases that wait for the same would hide all else.
fn first_of_each(waits: Vec<Why>) -> Vec<Why> {
    let mut told: Vec<(Why, Option<Why>)> = Vec::new();
    for why in waits {
        match told.iter_mut().find(|(first, _)| first.code() == why.code()) {
            None => told.push((why, None)),
            Some((first, soonest)) => {
                let known = soonest.as_ref().unwrap_or(first).until();
                if why.until().is_some_and(|until| known.is_none_or(|known| until < known)) {
                    *soonest = Some(why);
                }
            }
        }
    }
    told.into_iter().flat_map(|(first, soonest)| [Some(first), soonest]).flatten().collect()
}

/// What keeps a change from beginning by itself just now: an order begins it all the same.
fn begins(facts: &Facts<'_>) -> Vec<Why> {
    let requested = facts.tagged().is_some_and(|tagged| facts.ledger.tagged.as_ref() != Some(&tagged));
    let requested = requested && facts.environment.promote.is_some();
    let mut why = Vec::new();
    if !facts.environment.auto && !requested {
        why.push(Why::NotAutomatic);
    }
    why.extend(in_flight(facts));
    Right::of(facts.ledger.order.as_ref()).stopped_by(why)
}

/// The rollout that a newer release must wait for.
fn in_flight(facts: &Facts<'_>) -> Option<Why> {
    // A rollout whose tag names another build by now is never verified, so nothing waits for it.
    let current = facts.ledger.current().filter(|_| facts.moved.is_none())?;
    let release = current.release.as_ref()?;
    let verified = current.verified_at().is_some();
    let ended = facts.ledger.in_flight().is_none();
    let arrived = ended || matches!(super::follow::read(facts, current), super::follow::Rollout::Healthy(_));
    let free = match facts.environment.hold_new_until {
        HoldNewUntil::None => true,
        HoldNewUntil::Arrived => arrived,
        HoldNewUntil::Verified => ended,
        HoldNewUntil::Soaked => (ended && !verified) || soaked_for_all(facts, release),
    };
    (!free).then(|| Why::RolloutInFlight { release: facts.name(release) })
}

/// Whether what runs here has soaked as long as each environment promoted from here asks.
fn soaked_for_all(facts: &Facts<'_>, release: &Release) -> bool {
    let soaked = facts.ledger.soaked(release.id(), facts.now);
    let mut after = facts.policy.environments.iter().filter(|environment| {
        environment.promote.as_ref().is_some_and(|promote| promote.from == facts.environment.name)
    });
    facts.ledger.verified_at(release.id()).is_some() && after.all(|environment| soaked >= environment.gates.soak.get())
}

fn is_by_hand(arrival: &Arrival) -> bool {
    matches!(arrival.origin, Origin::Other(_))
}

/// A followed or retagged tag that was moved back to a digest that ran here before holds the environment, once.
fn moved_back(facts: &Facts<'_>) -> Option<Event> {
    let tag = facts.environment.followed_tag()?;
    let tagged = facts.tagged()?;
    let select = facts.environment.select.as_ref();
    let current = facts.ledger.current()?;
    let ran_before = facts.ledger.first_arrival(tagged.id()).is_some() && !current.is_of(tagged.id());
    let ran_before = ran_before && !facts.is_bare(&current.pin);
    // A person who set the pin left the tag where it was: it was not moved.
    let before_the_hand = facts.ledger.arrivals.iter().rev().find(|arrival| !is_by_hand(arrival));
    let stayed = is_by_hand(current) && before_the_hand.is_some_and(|arrival| arrival.is_of(tagged.id()));
    let ours = facts.ledger.tagged.as_ref() == Some(&tagged) || facts.ledger.order.is_some() || stayed;
    let allowed = select.is_some_and(|select| select.allow_downgrade);
    let held = facts.ledger.holds_at(facts.now).next().is_some() || facts.refused(tagged.id()).is_some();
    let why = format!("{} ({})", Why::MovedBack { tag: tag.clone() }, tagged.id());
    let seen = facts.ledger.lifted.contains(&why);
    let moved_back = ran_before && !ours && !allowed && !held && !seen && !facts.environment.is_tag_only();
    moved_back.then(|| Event::Held { who: "somebody who pushed the tag".to_owned(), why, until: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_releases_that_wait_for_the_same_say_it_once() {
        let soaks = |seconds| Why::StillSoaking { until: jiff::Timestamp::from_second(seconds).expect("a time") };
        let votes = |of: &str| Why::ApprovalsMissing { have: 0, required: 1, of: of.to_owned(), fallen: Vec::new() };
        for (waits, told) in [
            (vec![], vec![]),
            (vec![votes("a"), votes("b"), votes("c")], vec![votes("a")]),
            (vec![soaks(30), votes("a"), soaks(40), votes("b")], vec![soaks(30), votes("a")]),
            (vec![soaks(30), soaks(20), soaks(10), soaks(15)], vec![soaks(30), soaks(10)]),
        ] {
            assert_eq!(first_of_each(waits), told);
        }
    }
}
