//! From the form of an environment to the environment: each by itself, bounds and floors of the configuration applied.
//!
//! What environments mean to each other is looked at in `chain`.

use super::allowance::Allowance;
use super::bounds::allowed_are;
use super::carry;
use super::deliver::deliver;
use super::diagnostic::Problems;
use super::follow::{checks, report, signal};
use super::gates::gates;
use super::glob::Glob;
use super::place::{Site, files_named, place};
use super::require::{self, Required, Subject};
use super::select::{reserved, select};
use super::settings::{Config, May};
use super::wire::environment::{EnvironmentForm, Prefer, PromoteForm};
use crate::model::policy::{Deliver, Environment, HoldNewUntil, Image, OnFailure, PolicyOrigin, Promote};
use crate::model::{EnvironmentName, PinForm, PolicyName};
use crate::relay::edit::words::Words;
use crate::relay::keep::PREFIX;
use jiff::tz::TimeZone;

/// What every environment of a policy stands on.
pub(crate) struct Ground<'a> {
    /// The configuration.
    pub(crate) config: &'a Config,
    /// Where the policy was read.
    pub(crate) origin: &'a PolicyOrigin,
    /// Its name, where it could be read.
    pub(crate) policy: Option<&'a PolicyName>,
    /// Its images; none where they could not be read.
    pub(crate) images: &'a [Image],
    /// Its time zone.
    pub(crate) zone: &'a TimeZone,
    /// What it may cost.
    pub(crate) allowance: &'a Allowance,
}

impl Ground<'_> {
    /// What the repository of the policy allows; nothing bounds a policy of a local directory.
    pub(crate) fn may(&self) -> Option<&May> {
        self.config.may_of(self.origin)
    }
}

/// The environment that a form says; none where something is wrong.
///
/// `earlier` are the environments that stand before it, as far as they are sound.
pub(crate) fn environment(
    form: &EnvironmentForm,
    earlier: &[&Environment],
    ground: &Ground<'_>,
    problems: &mut Problems,
) -> Option<Environment> {
    let name = form.name.value();
    let words = ground.policy.zip(name).map(|(policy, name)| Words::of_place(policy, name, ground.images));
    let words = &words.unwrap_or_default();
    let selected = form.select.value().map(|form| select(form, ground.allowance, problems));
    let images = match form.promote.value() {
        Some(form) => carry::images(form, earlier, ground, problems),
        None => Some(ground.images.to_vec()),
    };
    let here = images.as_deref().unwrap_or(ground.images);
    let deliver = form.deliver.get().and_then(|form| deliver(form, name, words, ground, problems));
    let required = name.map(|name| required(form, name, here, deliver.as_ref(), words, ground)).unwrap_or_default();
    let promoted = form.promote.value().map(|form| promote(form, here, &required, ground, problems));
    let pin = pin(form, &required);
    let repository = deliver.as_ref().map_or("", |deliver| deliver.repository.as_str());
    let judge = |file: &str| ground.config.judge_write(ground.origin, repository, file);
    let site = Site { words, images: ground.images, pin, judge: &judge };
    let write: Option<Vec<_>> = form.write.value().and_then(|list| {
        let places: Vec<_> = list.iter().map(|form| place(form, &site, problems)).collect();
        places.into_iter().collect()
    });
    let rollout = form.rollout.value().map(|signals| signals.0.iter().filter_map(|s| signal(s, problems)).collect());
    let verify = form.verify.value().map(|list| checks(list, words, ground, problems));
    let gates = raised_gates(form, &required, ground, problems);
    let report = form.report.value().map(|list| {
        let reports = list.iter().filter_map(|form| form.gitlab.value());
        reports.filter_map(|form| report(form, name, words, ground, problems)).collect()
    });
    let keep = keep(form, here, ground, problems);
    Some(Environment {
        name: name?.clone(),
        select: whole(selected)?,
        promote: whole(promoted)?,
        images: images?,
        pin,
        write: write?,
        deliver: deliver?,
        rollout: rollout?,
        deadline: *form.deadline.value()?,
        stable_for: *form.stable_for.value()?,
        verify: verify?,
        pushed_is_verified: form.evidence.get().is_some(),
        on_failure: form.on_failure.value().copied().unwrap_or(OnFailure::Next),
        on_edit: *form.on_edit.value()?,
        hold_new_until: form.hold_new_until.value().copied().unwrap_or(HoldNewUntil::None),
        auto: *form.auto.value()?,
        gates: gates?,
        keep: keep?,
        report: report?,
    })
}

/// What the configuration requires of an environment that is called so and writes there.
fn required(
    form: &EnvironmentForm,
    name: &EnvironmentName,
    images: &[Image],
    deliver: Option<&Deliver>,
    words: &Words,
    ground: &Ground<'_>,
) -> Required {
    let written = form.write.value().map(Vec::as_slice).unwrap_or_default();
    let writes: Vec<String> = written.iter().flat_map(|form| files_named(form, words)).collect();
    let repositories: Vec<&str> =
        deliver.into_iter().flat_map(|to| ground.config.names_of(&to.repository)).map(|(name, _)| name).collect();
    let promote = form.promote.value();
    let retag = promote.and_then(|promote| promote.retag.value());
    let copies = promote.is_some_and(|promote| !promote.to.is_absent());
    let mut pushes = Vec::new();
    for image in images {
        pushes.extend(retag.map(|tag| (&image.repository, Some(tag))));
        pushes.extend(copies.then_some((&image.repository, None)));
    }
    let subject = Subject {
        environment: name,
        writes: &writes,
        branch: deliver.map(|deliver| deliver.branch.as_str()),
        repositories: &repositories,
        pushes: &pushes,
    };
    require::required(&ground.config.floors, &subject, ground.zone)
}

/// What may be left out: none where it stands there and could not be read.
pub(crate) fn whole<T>(field: Option<Option<T>>) -> Option<Option<T>> {
    match field {
        Some(None) => None,
        Some(Some(value)) => Some(Some(value)),
        None => Some(None),
    }
}

fn pin(form: &EnvironmentForm, required: &Required) -> PinForm {
    let moves = !form.promote.is_absent() || form.select.value().is_some_and(|select| !select.follow.is_absent());
    let default = if moves { PinForm::TagAtDigest } else { PinForm::Tag };
    required.raise_pin(form.pin.value().copied().unwrap_or(default))
}

fn promote(
    form: &PromoteForm,
    images: &[Image],
    required: &Required,
    ground: &Ground<'_>,
    problems: &mut Problems,
) -> Option<Promote> {
    let allowed = ground.may().and_then(|may| may.retag.as_deref());
    if let Some(tag) = form.retag.get() {
        reserved(tag.value.as_str(), &tag.at, problems);
        for image in images {
            let pushed = format!("{}:{}", image.repository, tag.value);
            bounded(&tag.at, "push", "may.retag", &pushed, allowed, problems);
        }
    }
    Some(Promote {
        from: form.from.value()?.clone(),
        retag: form.retag.value().cloned(),
        copies: !form.to.is_absent(),
        only_newest: *form.prefer.value()? == Prefer::Newest,
        trust_tag: *form.trust_tag.value()? && !required.forbids_trusted_tags,
    })
}

/// How many releases are kept: their tags are pushed, so what bounds pushing bounds them.
fn keep(form: &EnvironmentForm, images: &[Image], ground: &Ground<'_>, problems: &mut Problems) -> Option<u32> {
    let keep = form.keep.get()?;
    let allowed = ground.may().and_then(|may| may.retag.as_deref());
    if keep.value.0 > 0
        && let Some(name) = form.name.value()
    {
        for image in images {
            let pushed = format!("{}:{PREFIX}{name}-*", image.repository);
            bounded(&keep.at, "push", "may.retag", &pushed, allowed, problems);
        }
    }
    Some(keep.value.0)
}

/// Tells of something that the repository of the policy does not allow it to do.
pub(crate) fn bounded(
    at: &super::tree::Place,
    act: &str,
    key: &str,
    what: &str,
    allowed: Option<&[Glob]>,
    problems: &mut Problems,
) {
    let Some(allowed) = allowed.filter(|allowed| !allowed.iter().any(|glob| glob.matches(what))) else { return };
    let help = allowed_are(allowed);
    let what = crate::model::text::shown(what);
    let message = format!("policies of this repository may not {act} `{what}` (`{key}` in the configuration)");
    problems.add_with_help(at, message, help);
}

fn raised_gates(
    form: &EnvironmentForm,
    required: &Required,
    ground: &Ground<'_>,
    problems: &mut Problems,
) -> Option<crate::model::policy::Gates> {
    let written = form.gates.get()?;
    let own = gates(&written.value, ground.zone, problems);
    if form.promote.is_absent()
        && let Some(soak) = written.value.soak.get()
    {
        let message = "`soak` is time spent in the environment that `promote` names, and there is no `promote`";
        problems.add_with_help(&soak.at, message, "leave it out, or write `promote: { from: ... }`");
    }
    let at = written.value.approvals.get().map_or(&written.at, |approvals| &approvals.at);
    problems.check(at, required.raise_gates(own, !form.promote.is_absent()))
}
