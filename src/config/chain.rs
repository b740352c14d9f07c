//! What the environments of one policy mean to each other, and to its images.

use super::diagnostic::Problems;
use super::read::{At, Field, Form as _};
use super::wire::environment::{EnvironmentForm, EvidenceNone};
use super::wire::policy::PolicyForm;
use crate::model::policy::{Environment, HoldNewUntil, Image, OnFailure, ReportSha, Together};
use crate::model::{EnvironmentName, PinForm, Target};

/// An environment as it was written, and as it is understood; none where something is wrong with it.
pub(crate) struct Drafted {
    /// As it was written, the defaults laid under it.
    pub(crate) form: EnvironmentForm,
    /// As it is understood.
    pub(crate) environment: Option<Environment>,
}

impl Drafted {
    fn name(&self) -> Option<&EnvironmentName> {
        self.form.name.value()
    }

    /// Whether it is known which environment it is promoted from, if from any.
    fn is_promote_read(&self) -> bool {
        let promote = &self.form.promote;
        promote.is_absent() || promote.value().is_some_and(|promote| promote.from.get().is_some())
    }

    fn from(&self) -> Option<&EnvironmentName> {
        self.form.promote.value().and_then(|promote| promote.from.value())
    }
}

/// Adds what is wrong with the environments as a whole.
pub(crate) fn check(policy: &PolicyForm, drafted: &[Drafted], images: &[Image], problems: &mut Problems) {
    for (index, draft) in drafted.iter().enumerate() {
        let earlier = drafted.get(..index).unwrap_or_default();
        check_name(draft, earlier, problems);
        check_entry(draft, problems);
        check_from(draft, earlier, drafted, problems);
        check_evidence(draft, drafted, problems);
        check_places(draft, images, problems);
        check_moving_tags(draft, earlier, problems);
        check_sources(draft, images, problems);
    }
    check_together(policy, drafted, images, problems);
}

/// Fills in the defaults that hang on which environments are promoted from which.
///
/// Where releases go on from, each gets the time to be verified: where builds come faster than verdicts, the environments
/// after it would starve otherwise. Where the way ends, a failure is a person's to look at.
pub(crate) fn fill(drafted: &mut [Drafted]) {
    let sources: Vec<EnvironmentName> = drafted.iter().filter_map(Drafted::from).cloned().collect();
    for draft in drafted {
        let Some(environment) = &mut draft.environment else { continue };
        let is_source = sources.contains(&environment.name);
        // A default that does not fit here says nothing.
        environment.pushed_is_verified &= is_source && environment.is_unwatched();
        if draft.form.hold_new_until.is_absent() && is_source && !environment.is_unwatched() {
            environment.hold_new_until = HoldNewUntil::Verified;
        }
        if draft.form.on_failure.is_absent() && environment.promote.is_some() && !is_source {
            environment.on_failure = OnFailure::Hold;
        }
    }
}

fn check_name(draft: &Drafted, earlier: &[Drafted], problems: &mut Problems) {
    let Some(name) = draft.form.name.get() else { return };
    if earlier.iter().any(|other| other.name() == Some(&name.value)) {
        problems.add(&name.at, format!("two environments are named `{}`", name.value));
    }
}

/// How releases come in: by `select`, by `promote`, or by both together.
fn check_entry(draft: &Drafted, problems: &mut Problems) {
    let form = &draft.form;
    if form.select.is_absent() && form.promote.is_absent() {
        let help =
            "`select` chooses among tags, `promote: { from: ... }` takes what is verified in an earlier environment";
        form.lacks("an environment needs `select` or `promote`", help, problems);
    }
    let (Some(select), Some(promote)) = (form.select.value(), form.promote.value()) else { return };
    if let (Some(follow), Some(_)) = (select.follow.get(), promote.retag.get()) {
        problems.add(&follow.at, "an environment follows one tag: here `promote` pushes another with `retag`");
    }
    if let Some(pinned) = select.pinned.get() {
        problems.add(&pinned.at, "`pinned` is observed and never written, so nothing can be promoted here");
    }
}

fn check_from(draft: &Drafted, earlier: &[Drafted], all: &[Drafted], problems: &mut Problems) {
    let Some(from) = draft.form.promote.value().and_then(|promote| promote.from.get()) else { return };
    if earlier.iter().any(|other| other.name() == Some(&from.value)) {
        return;
    }
    if draft.name() == Some(&from.value) {
        problems.add(&from.at, "an environment is not promoted from itself");
    } else if all.iter().any(|other| other.name() == Some(&from.value)) {
        let message =
            format!("`{}` stands later: an environment is promoted from one that stands before it", from.value);
        problems.add(&from.at, message);
    } else {
        let known: Vec<&str> = earlier.iter().filter_map(|other| other.name().map(EnvironmentName::as_str)).collect();
        let help = match super::nearest::nearest(from.value.as_str(), known.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None if known.is_empty() => "no environment stands before this one".to_owned(),
            None => format!("before this one stand {}", super::read::listed(&known)),
        };
        problems.add_with_help(&from.at, format!("no environment is named `{}`", from.value), help);
    }
}

/// `evidence: none` stands where a push is all that can be known and somebody builds on it, and nowhere else.
fn check_evidence(draft: &Drafted, all: &[Drafted], problems: &mut Problems) {
    let (form, Some(name)) = (&draft.form, draft.name()) else { return };
    let empty = |len: Option<usize>| len == Some(0);
    let signals = form.rollout.value().map(|signals| signals.0.len());
    let checks = form.verify.value().map(Vec::len);
    let Some(is_unwatched) = signals.zip(checks).map(|_| empty(signals) && empty(checks)) else { return };
    let promoted_to = all.iter().find(|other| other.from() == Some(name) && other.name() != Some(name));
    match (form.evidence.get(), promoted_to) {
        (None, Some(next)) if is_unwatched && form.evidence.is_absent() => {
            let next = next.name().map(ToString::to_string).unwrap_or_default();
            let message = format!("`{next}` is promoted from here, and nothing here says when a release is verified");
            let help = "add `rollout` or `verify`, or `evidence: none` if a push by tagrelay is enough";
            form.lacks(message, help, problems);
        }
        // What stands under `defaults` is meant for those that it fits.
        (Some(evidence), _) if is_default(evidence, all) => {}
        (Some(evidence), Some(_)) if !is_unwatched => {
            problems.add(&evidence.at, "`rollout` or `verify` is the evidence here: leave `evidence: none` out");
        }
        // Where a `promote` could not be read nobody knows what it names.
        (Some(evidence), None) if all.iter().all(|other| other.is_promote_read()) => {
            problems.add(&evidence.at, "no environment is promoted from here: leave `evidence: none` out");
        }
        _ => {}
    }
}

/// Whether it was written once for several environments.
fn is_default(evidence: &At<EvidenceNone>, all: &[Drafted]) -> bool {
    let same = |draft: &&Drafted| draft.form.evidence.get().is_some_and(|other| other.at == evidence.at);
    all.iter().filter(same).count() > 1
}

/// Every image stands somewhere, or the tag itself is the pin.
fn check_places(draft: &Drafted, images: &[Image], problems: &mut Problems) {
    let form = &draft.form;
    let Some(written) = form.write.get() else { return };
    let may_retag = match &form.promote {
        Field::Absent => false,
        Field::Broken => true,
        Field::Given(promote) => !promote.value.retag.is_absent() || promote.value.is_unread(),
    };
    if written.value.is_empty() && !may_retag {
        let help = "name the files that pin it; only with `promote: { retag: ... }` can the tag itself be the pin";
        form.lacks("an environment without `write` has no pin", help, problems);
    }
    let reports = form.report.value().map(Vec::as_slice).unwrap_or_default();
    for sha in reports.iter().filter_map(|report| report.gitlab.value()?.sha.get()) {
        if sha.value == ReportSha::Commit && written.value.is_empty() {
            problems.add(&sha.at, "without `write` there is no commit to report: write `sha: revision`");
        }
    }
    let Some(environment) = &draft.environment else { return };
    if environment.write.is_empty() || environment.write.iter().any(|p| matches!(p.target, Target::Kustomize { .. })) {
        return;
    }
    let stands =
        |image: &&Image| environment.write.iter().all(|place| written_image(&place.target) != Some(&image.name));
    for image in images.iter().filter(stands) {
        let help = format!("add a place with `for: {}`", image.name);
        problems.add_with_help(&written.at, format!("no place here writes the image `{}`", image.name), help);
    }
}

fn written_image(target: &Target) -> Option<&crate::model::ImageName> {
    match target {
        Target::Kustomize { path: _ } => None,
        Target::Helm { image, .. } | Target::Yaml { image, .. } => Some(image),
    }
}

/// A tag that moves is never written without its digest, here or in any environment that releases go on to.
fn check_moving_tags(draft: &Drafted, earlier: &[Drafted], problems: &mut Problems) {
    let Some(environment) = draft.environment.as_ref().filter(|e| e.pin == PinForm::Tag && !e.is_tag_only()) else {
        return;
    };
    let mut behind = draft.environment.as_ref();
    // Every step leads to an environment that stands earlier, so the walk ends.
    for _ in 0..=earlier.len() {
        let Some(current) = behind else { return };
        if let Some(tag) = current.followed_tag() {
            let at = draft.form.pin.get().map_or(draft.form.at(), |pin| &pin.at);
            let message = format!("`pin: tag` would write the tag `{tag}`, which moves: `{}` follows it", current.name);
            let help = format!("write `pin: tag@digest`, or leave `pin` out of `{}`", environment.name);
            return problems.add_with_help(at, message, help);
        }
        let from = current.promote.as_ref().map(|promote| &promote.from);
        behind = earlier.iter().filter_map(|other| other.environment.as_ref()).find(|other| Some(&other.name) == from);
    }
}

fn check_sources(draft: &Drafted, images: &[Image], problems: &mut Problems) {
    let Some(branch) = draft.form.select.value().and_then(|select| select.branch.get()) else { return };
    for image in images.iter().filter(|image| image.source.is_none()) {
        let message = format!("`branch` asks GitLab about the image `{}`, whose project is not known", image.name);
        let help = "write `source: group/project` beside its repository, or a report with `sha: revision` for it";
        problems.add_with_help(&branch.at, message, help);
    }
}

fn check_together(policy: &PolicyForm, drafted: &[Drafted], images: &[Image], problems: &mut Problems) {
    let Some(together) = policy.together.get().filter(|t| t.value == Together::SameTag && images.len() > 1) else {
        return;
    };
    let follows = |environment: &&Environment| environment.followed_tag().is_some();
    if let Some(environment) = drafted.iter().filter_map(|draft| draft.environment.as_ref()).find(follows) {
        let message = format!("`{}` follows a tag, where all images have the same tag always", environment.name);
        let help =
            "leave `together` out (it is `same-revision` there, and `same-tag` elsewhere), or write `same-revision`";
        problems.add_with_help(&together.at, message, help);
    }
}
