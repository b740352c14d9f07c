//! The gate `soak`: how long a release was what runs in the environment before, verified, added up; once reached it stays.

use super::{Facts, GateStatus};
use crate::model::{Release, Span, Why};

/// Open when the release has soaked long enough.
pub(super) fn stand(facts: &Facts<'_>, release: &Release) -> Option<GateStatus> {
    let wanted = facts.environment.gates.soak.get();
    let from = facts.from.filter(|_| !wanted.is_zero())?;
    let soaked = from.ledger.soaked(release.id(), facts.now);
    let Some(missing) = wanted.checked_sub(soaked).filter(|missing| !missing.is_zero()) else {
        return Some(GateStatus::Open(format!("soaked {} in {}", Span::from(wanted), from.environment.name)));
    };
    let current = from.ledger.current().filter(|arrival| arrival.is_of(release.id()));
    let counting = current.is_some_and(|arrival| arrival.verified_at().is_some());
    let until = facts.now.checked_add(missing).ok().filter(|_| counting);
    Some(GateStatus::Shut(match until {
        Some(until) => Why::StillSoaking { until },
        None => Why::SoakStopped { from: from.environment.name.to_string(), missing: Span::from(missing) },
    }))
}
