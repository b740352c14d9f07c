//! The gates `window` and `freeze`: when changes are allowed, and when nothing may change.

use super::{Facts, Standing};
use crate::model::{Release, Why};

/// Open when every window is open.
pub(super) fn window(facts: &Facts<'_>, _: &Release) -> Option<Standing> {
    let windows = &facts.environment.gates.windows;
    if windows.is_empty() {
        return None;
    }
    let shut = windows.iter().filter(|window| window.open_until(facts.now).is_none());
    // A change needs them all, so the one that opens last is the one it waits for.
    let opens = shut.map(|window| window.opens_at(facts.now)).reduce(|a, b| a.zip(b).map(|(a, b)| a.max(b)));
    Some(match opens {
        None => Standing::Open("inside the window".to_owned()),
        Some(opens) => Standing::Shut(Why::WindowShut { opens }),
    })
}

/// Open when no freeze holds.
pub(super) fn freeze(facts: &Facts<'_>, _: &Release) -> Option<Standing> {
    let freezes = &facts.environment.gates.freezes;
    if freezes.is_empty() {
        return None;
    }
    let frozen = freezes.iter().filter(|freeze| freeze.holds(facts.now)).max_by_key(|freeze| freeze.until);
    Some(match frozen {
        None => Standing::Open("no freeze".to_owned()),
        Some(freeze) => Standing::Shut(Why::Frozen { until: freeze.until, reason: freeze.reason.clone() }),
    })
}

/// The freeze that stops even a rollback, if one holds.
pub(super) fn rollback_freeze(facts: &Facts<'_>) -> Option<Why> {
    let freezes = facts.environment.gates.freezes.iter();
    let frozen = freezes.filter(|freeze| freeze.holds(facts.now) && !freeze.allows_rollback).max_by_key(|f| f.until);
    frozen.map(|freeze| Why::Frozen { until: freeze.until, reason: freeze.reason.clone() })
}
