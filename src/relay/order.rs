//! What was begun and must come to its end before anything new: a retag of a set, and an order that passes the gates.

use super::facts::Facts;
use super::{Step, Turn, gate, meet};
use crate::model::event::{Effect, Event, Order};
use crate::model::ledger::Intent;
use crate::model::{Because, Release, Tag, Why};

/// Completes a begun retag, then carries out a standing order that passes the gates.
pub(super) fn turn(facts: &Facts<'_>) -> Turn {
    let retag = facts.ledger.open_intent().and_then(|intent| match &intent.effect {
        Effect::Retag { tag, is_pin: _ } => Some((intent, tag)),
        Effect::Commit { form: _ } => None,
    });
    match retag {
        Some((intent, tag)) => complete(facts, intent, tag),
        None => order(facts),
    }
}

/// A retag whose fate is not known: made, half-made (then it is completed forward), or not begun (then it is judged anew).
fn complete(facts: &Facts<'_>, intent: &Intent, tag: &Tag) -> Turn {
    let builds = match &facts.tag {
        Err(why) => return Turn::Stop(why.clone()),
        Ok(builds) => *builds,
    };
    let wanted = intent.release.builds();
    let moved = |name| builds.and_then(|builds| builds.get(name)).map(|build| &build.digest);
    let n_moved = wanted.iter().filter(|(name, build)| moved(name) == Some(&build.digest)).count();
    Turn::Act(if n_moved == wanted.len() {
        Step::Record(retagged(facts, intent))
    } else if n_moved > 0 {
        Step::Retag(gate::of_intent(&facts.scope(), intent), tag.clone())
    } else {
        let why = "no tag was moved".to_owned();
        Step::Record(vec![Event::Withdrawn { intent: intent.sequence, why }])
    })
}

/// The facts of a retag that was made; where it is the arrival itself, what it overtook ends, and its order holds.
fn retagged(facts: &Facts<'_>, intent: &Intent) -> Vec<Event> {
    let arrives = matches!(intent.effect, Effect::Retag { is_pin: true, .. });
    let in_flight = facts.ledger.in_flight().filter(|arrival| arrives && !arrival.is_of(intent.release.id()));
    let ended = in_flight.map(|arrival| Event::Ended {
        rollout: arrival.rollout,
        outcome: crate::model::Outcome::Canceled,
        why: format!("overtaken by {}", facts.name(&intent.release)),
    });
    let held = meet::hold_of_order(facts, &intent.release).filter(|_| arrives);
    let rules = arrives.then(|| facts.keep_rules());
    ended.into_iter().chain([Event::Retagged { intent: intent.sequence }]).chain(rules).chain(held).collect()
}

/// A standing order that passes the gates, and the holds with them.
fn order(facts: &Facts<'_>) -> Turn {
    let Some(standing) = &facts.ledger.order else { return Turn::Pass(Vec::new()) };
    match gate::judge_order(facts, standing) {
        None => Turn::Pass(Vec::new()),
        Some(gate::Verdict::Wait(why)) => {
            let order = match &standing.order {
                Order::Rollback { to, why: _ } => format!("the rollback to {to} that {} ordered", standing.who),
                Order::Promote { .. } | Order::Verify => format!("the order of {}", standing.who),
            };
            Turn::Pass([Why::OrderWaits { order }].into_iter().chain(why).collect())
        }
        Some(gate::Verdict::Cleared(cleared)) => step(facts, cleared),
    }
}

/// A copy is under way or begins. It is no intent in the journal: it moves no tag and no pin, it is made at the digests
/// themselves, and made again it finds what is there; so whoever does not know its fate simply copies.
///
/// It takes minutes where other effects take a moment, so the stages before this one go on meanwhile. A newer release
/// waits for its end, or releases that come faster than copies would never arrive; what a person orders does not wait.
fn copy(facts: &Facts<'_>, cleared: gate::Cleared) -> Turn {
    let ordered = matches!(cleared.because(), Because::Forced { .. } | Because::Rollback { .. });
    match facts.copying {
        Some(release) if release == cleared.release() || !ordered => {
            Turn::Pass(vec![Why::Copying { release: release.to_string() }])
        }
        Some(_) | None => Turn::Act(Step::Copy(cleared)),
    }
}

/// The effect that brings a cleared release nearer: first its builds, where they are copied, then the tag, then the pin.
pub(super) fn step(facts: &Facts<'_>, cleared: gate::Cleared) -> Turn {
    if facts.environment.is_copied_to() && facts.copied != Some(cleared.release().id()) {
        return copy(facts, cleared);
    }
    let retag = facts.environment.promote.as_ref().and_then(|promote| promote.retag.as_ref());
    let names_it = |release: &Release| facts.tagged().as_ref() == Some(release);
    match retag {
        Some(_) if facts.tag.is_err() => Turn::Pass(facts.tag.clone().err().into_iter().collect()),
        Some(tag) if !names_it(cleared.release()) => Turn::Act(Step::Retag(cleared, tag.clone())),
        Some(_) if facts.environment.is_tag_only() => Turn::Pass(Vec::new()),
        Some(_) | None => Turn::Act(Step::Write(cleared)),
    }
}
