//! What the configuration requires of every policy: a floor that policies can only add to.

use super::diagnostic::Problems;
use super::gates::{freezes, gates, shortage};
use super::glob::Glob;
use super::read::{At, Field};
use super::wire::config::{ConfigForm, RequireForm};
use super::wire::gates::{FreezeForm, GatesForm};
use crate::model::policy::{Approvals, Gates};
use crate::model::{EnvironmentName, PinForm, Repository, Tag};
use jiff::tz::TimeZone;

/// A floor under every environment that matches. Its dates and expressions are read in each policy's time zone.
#[derive(Debug, Clone)]
pub(crate) struct Floor {
    binds: Binds,
    pin: Option<PinForm>,
    forbids_trusted_tags: bool,
    gates: Option<GatesForm>,
    freeze: Field<Vec<FreezeForm>>,
}

/// Where a floor binds: each key that stands there must match, by any of its patterns.
#[derive(Debug, Clone, Default)]
struct Binds {
    environments: Vec<Glob>,
    writes: Option<Vec<Glob>>,
    branches: Option<Vec<Glob>>,
    repositories: Option<Vec<Glob>>,
    retags: Option<Vec<Glob>>,
}

/// What an environment is and writes, as far as its policy says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    /// Its name.
    pub(crate) environment: &'a EnvironmentName,
    /// The files that its targets could name.
    pub(crate) writes: &'a [String],
    /// The branch that they are written on.
    pub(crate) branch: Option<&'a str>,
    /// All names of the repository that they are written in.
    pub(crate) repositories: &'a [&'a str],
    /// The repositories in which it pushes tags: one tag, or any.
    pub(crate) pushes: &'a [(&'a Repository, Option<&'a Tag>)],
}

impl Binds {
    fn matches(&self, subject: &Subject<'_>) -> bool {
        let any = |globs: &[Glob], text: &str| globs.iter().any(|glob| glob.matches(text));
        // Who writes no file writes to no branch and no repository either.
        let written = |key: &Option<Vec<Glob>>, texts: &[&str]| match key {
            None => true,
            Some(globs) => !subject.writes.is_empty() && texts.iter().any(|text| any(globs, text)),
        };
        let writes: Vec<&str> = subject.writes.iter().map(String::as_str).collect();
        let pushed =
            |globs: &Vec<Glob>| subject.pushes.iter().any(|push| globs.iter().any(|glob| is_pushed(glob, push)));
        any(&self.environments, subject.environment.as_str())
            && written(&self.writes, &writes)
            && written(&self.branches, subject.branch.as_slice())
            && written(&self.repositories, subject.repositories)
            && self.retags.as_ref().is_none_or(pushed)
    }
}

/// Whether a push matches a pattern over `host/path:tag`. A push of any tag matches where its repository does.
fn is_pushed(glob: &Glob, (repository, tag): &(&Repository, Option<&Tag>)) -> bool {
    if let Some(tag) = tag {
        return glob.matches(&format!("{repository}:{tag}"));
    }
    let pattern = glob.as_str();
    let repositories = pattern.rsplit_once(':').map_or(pattern, |(repositories, _)| repositories);
    Glob::parse(repositories).is_ok_and(|glob| glob.matches(&repository.to_string()))
        || glob.matches(&format!("{repository}:*"))
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
        let environments = calendar.environments.value().cloned().unwrap_or_default();
        floors.push(Floor {
            binds: Binds { environments, ..Binds::default() },
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
        binds: binds(form, problems),
        pin: form.pin.value().copied(),
        forbids_trusted_tags: trust_tag.is_some(),
        gates: form.gates.value().cloned(),
        freeze: Field::Absent,
    }
}

fn binds(form: &RequireForm, problems: &mut Problems) -> Binds {
    for written in form.writes.value().into_iter().flatten() {
        check_path(written, problems);
    }
    Binds {
        environments: some_of(&form.environments, |glob| glob.clone(), problems).unwrap_or_default(),
        writes: some_of(&form.writes, |written| written.value.clone(), problems),
        branches: some_of(&form.branches, |glob| glob.clone(), problems),
        repositories: some_of(&form.repositories, |written| written.value.clone(), problems),
        retags: some_of(&form.retags, |glob| glob.clone(), problems),
    }
}

/// The patterns of a key; an empty list would bind nobody, without a word.
fn some_of<T>(field: &Field<Vec<T>>, glob: impl Fn(&T) -> Glob, problems: &mut Problems) -> Option<Vec<Glob>> {
    let at = field.get()?;
    if at.value.is_empty() {
        problems.add(&at.at, "an empty list matches nothing, so that this would bind nobody: leave the key out");
    }
    Some(at.value.iter().map(glob).collect())
}

/// Tells of a pattern over paths that no path can match.
fn check_path(written: &At<Glob>, problems: &mut Problems) {
    let pattern = written.value.as_str();
    let help = if pattern.ends_with('/') {
        format!("for all that stands below it write `{pattern}**`")
    } else if pattern.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        "write it from the root of the repository, as in `deployment/prod/**`".to_owned()
    } else {
        return;
    };
    problems.add_with_help(&written.at, "no path matches this pattern", help);
}

/// What the floors require of an environment, in its policy's time zone.
pub(crate) fn required(floors: &[Floor], subject: &Subject<'_>, zone: &TimeZone) -> Required {
    let here = |floor: &&Floor| floor.binds.matches(subject);
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
