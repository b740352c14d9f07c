//! The gates `window` and `freeze`: when changes are allowed, and when nothing may change.

use super::{Facts, GateStatus};
use crate::model::{Release, Why};

/// Open when every window is open.
pub(super) fn window(facts: &Facts<'_>, _: &Release) -> Option<GateStatus> {
    let windows = &facts.environment.gates.windows;
    if windows.is_empty() {
        return None;
    }
    let shut = windows.iter().filter(|window| window.open_until(facts.now).is_none());
    // A change needs them all, so the one that opens last is the one it waits for.
    let opens = shut.map(|window| window.opens_at(facts.now)).reduce(|a, b| a.zip(b).map(|(a, b)| a.max(b)));
    Some(match opens {
        None => GateStatus::Open("inside the window".to_owned()),
        Some(opens) => GateStatus::Shut(Why::WindowShut { opens }),
    })
}

/// Open when no freeze holds that lets a rollback pass.
pub(super) fn freeze(facts: &Facts<'_>, _: &Release) -> Option<GateStatus> {
    frozen(facts, true)
}

/// Open when no freeze holds that stops a rollback too. It is a gate of its own, for both may hold at once.
pub(super) fn strict_freeze(facts: &Facts<'_>, _: &Release) -> Option<GateStatus> {
    frozen(facts, false)
}

fn frozen(facts: &Facts<'_>, rollback: bool) -> Option<GateStatus> {
    let mut freezes =
        facts.environment.gates.freezes.iter().filter(|freeze| freeze.allows_rollback == rollback).peekable();
    freezes.peek()?;
    let last = freezes.filter(|freeze| freeze.holds(facts.now)).max_by_key(|freeze| freeze.until);
    Some(match last {
        None => GateStatus::Open("no freeze".to_owned()),
        Some(freeze) => GateStatus::Shut(Why::Frozen { until: freeze.until, reason: freeze.reason.clone(), rollback }),
    })
}
