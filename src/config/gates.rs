//! From the form of gates to the gates of the model, in the policy's time zone.

use super::dates::DateBound;
use super::diagnostic::Problems;
use super::read::Field;
use super::wire::gates::{ApprovalsForm, FreezeForm, GatesForm, WindowForm};
use crate::model::Span;
use crate::model::policy::{Approvals, Gates};
use crate::model::schedule::{Cron, Freeze, WINDOW_MAX, Window};
use jiff::tz::TimeZone;

/// The gates that a form says; what is wrong with it is added to the problems and left out.
pub(crate) fn gates(form: &GatesForm, zone: &TimeZone, problems: &mut Problems) -> Gates {
    let window = form.window.value().and_then(|form| window(form, zone, problems));
    Gates {
        soak: form.soak.value().copied().unwrap_or_default(),
        approvals: form.approvals.value().and_then(|form| approvals(form, problems)),
        windows: window.into_iter().collect(),
        freezes: freezes(&form.freeze, zone, problems),
    }
}

/// The freezes of a list.
pub(crate) fn freezes(list: &Field<Vec<FreezeForm>>, zone: &TimeZone, problems: &mut Problems) -> Vec<Freeze> {
    let forms = list.value().map(Vec::as_slice).unwrap_or_default();
    forms.iter().filter_map(|form| freeze(form, zone, problems)).collect()
}

fn window(form: &WindowForm, zone: &TimeZone, problems: &mut Problems) -> Option<Window> {
    let (open, length) = (form.open.get()?, form.length.get()?);
    if length.value == Span::ZERO || length.value > WINDOW_MAX {
        problems.add(&length.at, format!("a window stays open for more than nothing and at most {WINDOW_MAX}"));
    }
    let open = problems.check(&open.at, Cron::parse(&open.value, zone.clone()))?;
    Some(Window { open, length: length.value })
}

fn freeze(form: &FreezeForm, zone: &TimeZone, problems: &mut Problems) -> Option<Freeze> {
    let (from, until) = (form.from.get()?, form.until.get()?);
    let bounds = DateBound::start(from.value, zone).zip(DateBound::end(until.value, zone));
    let Some((start, end)) = bounds.filter(|(start, end)| start < end) else {
        problems.add(&until.at, "this freeze ends before it begins");
        return None;
    };
    let reason = crate::model::text::shown(form.reason.value()?);
    Some(Freeze { from: start, until: end, reason, allows_rollback: *form.rollback.value()? })
}

fn approvals(form: &ApprovalsForm, problems: &mut Problems) -> Option<Approvals> {
    let required = form.required.get()?;
    if required.value == 0 {
        problems.add(&required.at, "no vote is asked for: leave `approvals` out, or require at least 1");
    }
    let approvals = Approvals {
        required: required.value,
        approvers: form.approvers.value()?.iter().map(|approver| approver.0.value.clone()).collect(),
        exclude: form.exclude.value()?.clone(),
        expire: *form.expire.value()?,
        by: form.by.value()?.clone(),
    };
    if approvals.by.is_empty() {
        problems.add(&form.by.get()?.at, "votes are taken nowhere: name `cli` or `page`");
    }
    if approvals.expire == Span::ZERO {
        problems.add(&form.expire.get()?.at, "a vote that expires at once is none");
    }
    if let Some(shortage) = shortage(&approvals) {
        problems.add(&form.approvers.get()?.at, shortage);
    }
    Some(approvals)
}

/// What is wrong with a rule that its own approvers can never meet.
pub(crate) fn shortage(approvals: &Approvals) -> Option<String> {
    let mut able: Vec<&String> = approvals.approvers.iter().filter(|who| !approvals.exclude.contains(who)).collect();
    able.sort();
    able.dedup();
    let short =
        !approvals.approvers.is_empty() && able.len() < usize::try_from(approvals.required).unwrap_or(usize::MAX);
    short.then(|| format!("{} must approve, and only {} of these may", approvals.required, able.len()))
}
