//! A rollout in flight: followed by its signals, then verified by its smoke tests, to its end.

use super::facts::{self, Facts};
use super::{Step, Turn, candidate};
use crate::model::event::{CheckResult, Event, OURSELVES, Order, Verdict};
use crate::model::ledger::Arrival;
use crate::model::policy::{CheckMethod, OnFailure, RolloutRules, Signal};
use crate::model::{Origin, Outcome, Release, Span, Why, text};
use jiff::Timestamp;
use std::time::Duration;

/// How the signals of a rollout read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rollout {
    /// All are healthy; since when.
    Healthy(Timestamp),
    /// One failed.
    Failed(String),
    /// None failed, not all are there.
    Progressing(String),
}

/// Follows the rollout in flight, and says so where releases come faster than any is verified here.
pub(super) fn turn(facts: &Facts<'_>) -> Turn {
    let Some(arrival) = facts.ledger.in_flight() else { return Turn::Pass(Vec::new()) };
    match follow(facts, arrival) {
        Turn::Pass(mut why) => {
            why.extend(candidate::always_overtaken(&facts.environment.name, facts.ledger));
            Turn::Pass(why)
        }
        turn => turn,
    }
}

fn follow(facts: &Facts<'_>, arrival: &Arrival) -> Turn {
    let Some(release) = &arrival.release else { return Turn::Pass(vec![Why::Unbound]) };
    if arrival.rules.is_none() {
        return Turn::Act(Step::Record(vec![facts.keep_rules()]));
    }
    let rules = facts::rules(facts.environment, arrival);
    if rules.is_unwatched() && matches!(arrival.origin, Origin::Other(_)) {
        // A push is evidence only where we made it: what a person set counts when a person says so.
        let what = format!("{release} was not set by us and nothing watches it: `tagrelay verify` makes it count");
        return Turn::Pass(vec![Why::Following { what }]);
    }
    match read(facts, arrival) {
        Rollout::Failed(why) => Turn::Act(Step::Record(failed(facts, arrival, release, &why, rules.on_failure))),
        Rollout::Healthy(_) if facts.moved.is_some() => Turn::Pass(facts.moved.iter().cloned().collect()),
        Rollout::Healthy(since) => verify(facts, arrival, release, since, &rules),
        Rollout::Progressing(what) => wait(facts, arrival, facts.environment.deadline, arrival.counts_from(), &what),
    }
}

/// Reads the signals that the rollout began with.
#[must_use]
pub fn read(facts: &Facts<'_>, arrival: &Arrival) -> Rollout {
    let mut healthy = arrival.at;
    for signal in &facts::rules(facts.environment, arrival).rollout {
        match (signal, &arrival.signal) {
            (Signal::Webhook, Some(signal)) if signal.verdict == Verdict::Failed => {
                let evidence = text::after_colon(&signal.evidence);
                return Rollout::Failed(format!("{} says that it failed{evidence}", signal.who));
            }
            (Signal::Webhook, Some(signal)) => healthy = healthy.max(signal.at),
            (Signal::Webhook, None) => return Rollout::Progressing("a posted verdict".to_owned()),
        }
    }
    Rollout::Healthy(healthy)
}

/// Runs the smoke tests in order, then ends the rollout.
fn verify(facts: &Facts<'_>, arrival: &Arrival, release: &Release, healthy: Timestamp, rules: &RolloutRules) -> Turn {
    let failure = arrival.checks.iter().find_map(|(name, result)| match result {
        CheckResult::Failed(why) => Some(format!("check {name} failed: {why}")),
        CheckResult::Passed => None,
    });
    if let Some(why) = failure {
        return Turn::Act(Step::Record(failed(facts, arrival, release, &why, rules.on_failure)));
    }
    let Some(check) = facts::next_check(rules, arrival) else {
        let (rollout, outcome) = (arrival.rollout, Outcome::Verified);
        let why = match &arrival.origin {
            Origin::Asked(who) if rules.is_unwatched() => format!("{who} says so"),
            _ if rules.is_unwatched() => "pushed".to_owned(),
            _ => "all signals healthy, all checks passed".to_owned(),
        };
        return Turn::Act(Step::Record(vec![Event::Ended { rollout, outcome, why }]));
    };
    match check.method {
        CheckMethod::Webhook => {
            let what = format!("the posted verdict of check {}", check.name);
            wait(facts, arrival, check.timeout, healthy.max(arrival.counts_from()), &what)
        }
        CheckMethod::Http(_) => match facts.checking.get(&check.name) {
            None => Turn::Act(Step::Check { rollout: arrival.rollout, check: check.name.clone() }),
            Some(wrong) => {
                let wrong = wrong.as_ref().map(|wrong| format!("; the last wrong answer: {wrong}")).unwrap_or_default();
                Turn::Pass(vec![Why::Following { what: format!("{release}: check {} is running{wrong}", check.name) }])
            }
        },
    }
}

/// Waits for a signal, as long as its deadline lets; a deadline that ends without one is a person's to decide.
///
/// Only time in which this process could hear counts, so a deadline begins again with the process: later, never earlier.
fn wait(facts: &Facts<'_>, arrival: &Arrival, deadline: Span, since: Timestamp, what: &str) -> Turn {
    if let Some((_, detail)) = &arrival.lost {
        return Turn::Pass(vec![Why::SignalLost { detail: detail.clone() }]);
    }
    let from = since.max(facts.followed_since);
    let counted = Duration::try_from(facts.now.duration_since(from)).unwrap_or_default();
    if counted < deadline.get() {
        let what =
            format!("waits for {what}, at most until {:.0}", from.saturating_add(deadline.get()).unwrap_or(from));
        return Turn::Pass(vec![Why::Following { what }]);
    }
    let why = format!("{what} did not come within {deadline}");
    let held = Event::Held { who: OURSELVES.to_owned(), why: why.clone(), until: None };
    Turn::Act(Step::Record(vec![Event::Lost { rollout: arrival.rollout, why }, held]))
}

/// The facts of a failed rollout: its end, and what `on_failure` says.
fn failed(facts: &Facts<'_>, arrival: &Arrival, release: &Release, why: &str, on_failure: OnFailure) -> Vec<Event> {
    let who = OURSELVES.to_owned();
    let why = why.to_owned();
    let mut events = vec![Event::Ended { rollout: arrival.rollout, outcome: Outcome::Failed, why: why.clone() }];
    let refused = Event::Refused { release: release.clone(), who: who.clone(), why: why.clone() };
    let held = Event::Held { who: who.clone(), why: format!("{release} failed: {why}"), until: None };
    match on_failure {
        OnFailure::Next => events.push(refused),
        OnFailure::Hold => events.push(held),
        OnFailure::Rollback => match facts.ledger.last_verified(Some(release.id())) {
            None => events.push(held),
            Some(to) => {
                let order = Order::Rollback { to: to.clone(), why };
                events.extend([Event::Ordered { order, who }, held, refused]);
            }
        },
    }
    events
}
