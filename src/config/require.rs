//! What the configuration requires of every policy: a floor that policies can only add to.

use super::diagnostic::Problems;
use super::gates::{freezes, gates, shortage};
use super::glob::Glob;
use super::read::Field;
use super::wire::config::{ConfigForm, RequireForm};
use super::wire::gates::{FreezeForm, GatesForm};
use crate::model::policy::{Approvals, Gates};
use crate::model::{EnvironmentName, PinForm};
use jiff::tz::TimeZone;

/// A floor under every environment that matches. Its dates and expressions are read in each policy's time zone.
#[derive(Debug, Clone)]
pub(crate) struct Floor {
    environments: Vec<Glob>,
    pin: Option<PinForm>,
    forbids_trusted_tags: bool,
    gates: Option<GatesForm>,
    freeze: Field<Vec<FreezeForm>>,
}

/// All that is required of one environment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Required {
    pin: Option<PinForm>,
    /// Whether `trust_tag: true` is without effect.
    pub(crate) forbids_trusted_tags: bool,
    gates: Vec<Gates>,
}

/// The floors of a configuration, its calendars last; what is wrong with them is found here, in its own file.
pub(crate) fn floors(form: &ConfigForm, problems: &mut Problems) -> Vec<Floor> {
    let required = form.require.value().map(Vec::as_slice).unwrap_or_default();
    let mut floors: Vec<Floor> = required.iter().map(|form| floor(form, problems)).collect();
    for (_, calendar) in form.calendars.value().map(|entries| entries.0.as_slice()).unwrap_or_default() {
        freezes(&calendar.freeze, &TimeZone::UTC, problems);
        floors.push(Floor {
            environments: calendar.environments.value().cloned().unwrap_or_default(),
            pin: None,
            forbids_trusted_tags: false,
            gates: None,
            freeze: calendar.freeze.clone(),
        });
    }
    floors
}

fn floor(form: &RequireForm, problems: &mut Problems) -> Floor {
    form.gates.value().map(|form| gates(form, &TimeZone::UTC, problems));
    let trust_tag = form.promote.value().and_then(|promote| promote.trust_tag.get());
    if let Some(trust_tag) = trust_tag.filter(|trust_tag| trust_tag.value) {
        problems.add(&trust_tag.at, "a floor can only forbid: write `trust_tag: false`, or leave it out");
    }
    Floor {
        environments: form.environments.value().cloned().unwrap_or_default(),
        pin: form.pin.value().copied(),
        forbids_trusted_tags: trust_tag.is_some(),
        gates: form.gates.value().cloned(),
        freeze: Field::Absent,
    }
}

/// What the floors require of an environment, in its policy's time zone.
pub(crate) fn required(floors: &[Floor], environment: &EnvironmentName, zone: &TimeZone) -> Required {
    let here = |floor: &&Floor| floor.environments.iter().any(|glob| glob.matches(environment.as_str()));
    let mut required = Required::default();
    // Floors were found sound when the configuration was read; a time zone makes none of them wrong.
    let mut sound = Problems::of("", "", super::diagnostic::Hides::Secrets);
    for floor in floors.iter().filter(here) {
        required.pin = required.pin.max(floor.pin);
        required.forbids_trusted_tags |= floor.forbids_trusted_tags;
        required.gates.extend(floor.gates.as_ref().map(|form| gates(form, zone, &mut sound)));
        let freezes = freezes(&floor.freeze, zone, &mut sound);
        required.gates.push(Gates { freezes, ..Gates::default() });
    }
    required
}

impl Required {
    /// The pin's form, raised to what is required: `digest` meets `tag@digest`, as both say the digest.
    pub(crate) fn raise_pin(&self, pin: PinForm) -> PinForm {
        self.pin.filter(|floor| floor.has_digest() && !pin.has_digest()).unwrap_or(pin)
    }

    /// The gates with everything added that is required; soak only where releases come `from` somewhere.
    ///
    /// An error says that nobody could ever pass what comes out.
    pub(crate) fn raise_gates(&self, own: Gates, is_promoted: bool) -> Result<Gates, String> {
        let mut raised = own;
        for floor in &self.gates {
            if is_promoted {
                raised.soak = raised.soak.max(floor.soak);
            }
            raised.windows.extend(floor.windows.iter().cloned());
            raised.freezes.extend(floor.freezes.iter().cloned());
            raised.approvals = match (raised.approvals.take(), &floor.approvals) {
                (Some(own), Some(floor)) => Some(both(own, floor)?),
                (own, floor) => own.or_else(|| floor.clone()),
            };
        }
        Ok(raised)
    }
}

/// Votes that meet both rules: as many as the greater asks, of those who may vote under either.
fn both(own: Approvals, floor: &Approvals) -> Result<Approvals, String> {
    let named = !own.approvers.is_empty() && !floor.approvers.is_empty();
    let mut approvers = if own.approvers.is_empty() { floor.approvers.clone() } else { own.approvers };
    if named {
        approvers.retain(|who| floor.approvers.contains(who));
    }
    let mut exclude = own.exclude;
    exclude.extend(floor.exclude.iter().cloned());
    let mut by = own.by;
    by.retain(|ballot| floor.by.contains(ballot));
    let required = own.required.max(floor.required);
    let merged = Approvals { required, approvers, exclude, expire: own.expire.min(floor.expire), by };
    if named && merged.approvers.is_empty() {
        return Err("none of these approvers may approve under what the configuration requires".to_owned());
    }
    if merged.by.is_empty() {
        return Err("votes are taken nowhere under what the configuration requires".to_owned());
    }
    match shortage(&merged) {
        Some(shortage) => Err(format!("with what the configuration requires, {shortage}")),
        None => Ok(merged),
    }
}
