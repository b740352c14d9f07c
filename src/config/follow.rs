//! What happens after a change: the signals that are waited for, the checks that are made, the reports that are sent.

use super::diagnostic::Problems;
use super::environment::{Ground, bounded, whole};
use super::place::image;
use super::project;
use super::read::{At, Form as _};
use super::template;
use super::wire::environment::{CheckForm, DeploymentForm, HttpForm, SignalForm};
use crate::model::policy::{Check, CheckMethod, HttpCheck, Report, ReportSha, Signal};
use crate::model::{EnvironmentName, Span};
use crate::relay::edit::words::Words;

/// The most times that a check asks in a row.
const TIMES_MAX: u32 = 1_000;
/// How often a check over HTTP is made again where nothing is said: one red answer says little of a release.
const RETRIES_DEFAULT: u32 = 1;
/// How often a check is made again at the most.
const RETRIES_MAX: u32 = 10;

/// The signal that a form says.
pub(crate) fn signal(form: &SignalForm, problems: &mut Problems) -> Option<Signal> {
    if form.webhook.is_absent() {
        form.lacks("a signal has exactly one kind", "write `webhook: {}`", problems);
    }
    form.webhook.get().map(|_| Signal::Webhook)
}

/// The checks of a list, each by its own name.
pub(crate) fn checks(list: &[CheckForm], words: &Words, ground: &Ground<'_>, problems: &mut Problems) -> Vec<Check> {
    let mut checks: Vec<Check> = Vec::new();
    for form in list {
        let Some(check) = check(form, words, ground, problems) else { continue };
        if checks.iter().any(|other| other.name == check.name) {
            let at = form.name.get().map_or(form.at(), |name| &name.at);
            problems.add(at, format!("two checks of this environment are named `{}`: name them apart", check.name));
        }
        checks.push(check);
    }
    checks
}

fn check(form: &CheckForm, words: &Words, ground: &Ground<'_>, problems: &mut Problems) -> Option<Check> {
    let timeout = form.timeout.get()?;
    if timeout.value == Span::ZERO {
        problems.add(&timeout.at, "a check needs some time");
    }
    let (kind, method) = match (form.http.get(), form.webhook.get()) {
        (Some(http), None) => ("http", self::http(http, timeout.value, words, ground, problems).map(CheckMethod::Http)),
        (None, Some(_)) => ("webhook", Some(CheckMethod::Webhook)),
        (http, webhook) => {
            let neither = form.http.is_absent() && form.webhook.is_absent();
            if neither || (http.is_some() && webhook.is_some()) {
                form.lacks("a check has exactly one of `http` and `webhook`", "name its kind once", problems);
            }
            return None;
        }
    };
    let name = form.name.value().cloned().unwrap_or_else(|| kind.to_owned());
    let name = crate::model::text::shown(&name);
    Some(Check { name, method: method?, timeout: timeout.value, retries: retries(form, kind, problems)? })
}

/// How often a check that failed is made again; what somebody posts is posted once.
fn retries(form: &CheckForm, kind: &str, problems: &mut Problems) -> Option<u32> {
    let is_posted = kind == "webhook";
    let Some(retries) = form.retries.get() else {
        let default = if is_posted { 0 } else { RETRIES_DEFAULT };
        return form.retries.is_absent().then_some(default);
    };
    if is_posted {
        problems.add(&retries.at, "whoever posts a verdict makes the check again: leave `retries` out");
    } else if retries.value > RETRIES_MAX {
        problems.add(&retries.at, format!("a check is made again at most {RETRIES_MAX} times"));
    }
    Some(retries.value)
}

fn http(
    form: &At<HttpForm>,
    timeout: Span,
    words: &Words,
    ground: &Ground<'_>,
    problems: &mut Problems,
) -> Option<HttpCheck> {
    let form = &form.value;
    let url = form.url.get()?;
    let host = problems.check(&url.at, template::check_url(&url.value, words));
    if let Some(host) = host.filter(|host| !ground.config.egress.allows(host)) {
        let message = format!("policies may not name the host `{host}` (`egress.allow` in the configuration)");
        problems.add(&url.at, message);
    }
    let (status, times, every) = (form.status.get()?, form.times.get()?, form.every.get()?);
    let code = u16::try_from(status.value).ok().filter(|code| (100..600).contains(code));
    if code.is_none() {
        problems.add(&status.at, format!("`{}` is no status of HTTP", status.value));
    }
    if times.value == 0 || times.value > TIMES_MAX {
        problems.add(&times.at, format!("expected 1 to {TIMES_MAX} times"));
    } else if every.value.get().saturating_mul(times.value - 1) >= timeout.get() {
        let message = format!("{} times every {} do not fit into the timeout of {timeout}", times.value, every.value);
        problems.add(&times.at, message);
    }
    Some(HttpCheck { url: url.value.clone(), status: code?, times: times.value, every: every.value })
}

/// The report that a form says; none where something is wrong.
pub(crate) fn report(
    form: &DeploymentForm,
    name: Option<&EnvironmentName>,
    words: &Words,
    ground: &Ground<'_>,
    problems: &mut Problems,
) -> Option<Report> {
    if let Some(project) = form.project.get() {
        let allowed = ground.may().and_then(|may| may.projects.as_deref());
        bounded(&project.at, "name", "may.projects", &project.value, allowed, problems);
        project::check(project, problems);
        if ground.config.gitlab.is_none() {
            problems.add(&project.at, "a report needs `gitlab` in the configuration, which is missing");
        }
    }
    let image = image(&form.image, ground.images, problems);
    let mut resolved = |field: Option<&At<String>>| field.map(|at| template::resolved(at, words, problems));
    let environment = resolved(form.environment.get());
    let (url, git_ref) = (resolved(form.url.get()), resolved(form.git_ref.get()));
    if let (Some(written), Some(Some(environment))) = (form.environment.get(), &environment) {
        problems.check(&written.at, project::environment(environment));
    }
    if let (Some(written), Some(Some(url))) = (form.url.get(), &url) {
        problems.check(&written.at, template::check_url(url, words));
    }
    if let Some(written) = form.git_tag.get() {
        problems.check(&written.at, template::check(&written.value));
        if form.sha.value() == Some(&ReportSha::Commit) {
            problems.add(&written.at, "`git_tag` goes with `sha: revision`: a GitOps commit is known by itself");
        }
    }
    Some(Report {
        project: form.project.value()?.clone(),
        sha: *form.sha.value()?,
        image: image?,
        environment: whole(environment)?.or_else(|| name.map(ToString::to_string))?,
        tier: form.tier.value().map(|tier| tier.0.to_owned()),
        url: whole(url)?,
        git_ref: whole(git_ref)?,
        is_tag: *form.is_tag.value()?,
        git_tag: form.git_tag.value().cloned(),
    })
}
