//! One policy file: from its text to a policy, and every error on the way.
//!
//! What policies mean to each other is looked at in `policies`.

use super::allowance::Allowance;
use super::chain::{self, Drafted};
use super::dates;
use super::diagnostic::{Diagnostics, Hides, Problems};
use super::environment::{Ground, bounded, environment};
use super::read::{At, Field, Read as _};
use super::settings::Config;
use super::tree::{self, Kind, Node};
use super::wire::environment::EnvironmentForm;
use super::wire::policy::{ImageOrRepository, PolicyForm};
use crate::model::budget;
use crate::model::policy::{Environment, Image, Policy, PolicyOrigin, ReportSha, Together};
use crate::model::schedule::{Cron, Poll};
use crate::model::{ImageName, PolicyName, Span};
use jiff::tz::TimeZone;

/// The shortest interval between two readings: webhooks are the way to be quicker.
const POLL_MIN: Span = Span::seconds(1);
/// How long a followed set of several images must have stood still: they are never pushed at one moment. One image alone
/// is whole at once.
const SETTLE_OF_SEVERAL: Span = Span::minutes(1);
/// The keys of an environment that replace those of the defaults even where both are mappings.
const REPLACING: &[&str] = &["select", "rollout", "promote"];

/// A file with which something is wrong.
#[derive(Debug, Clone)]
pub struct Broken {
    /// The file.
    pub origin: PolicyOrigin,
    /// The policy it would be, where its name could be read.
    pub name: Option<PolicyName>,
    /// What is wrong; never empty.
    pub diagnostics: Diagnostics,
}

/// A policy file while it is judged: as much as could be understood, and what is wrong.
pub(crate) struct Draft {
    /// Where it was read.
    pub(crate) origin: PolicyOrigin,
    /// Its name.
    pub(crate) name: Option<At<PolicyName>>,
    /// Its images.
    pub(crate) images: Vec<Image>,
    /// Its environments.
    pub(crate) environments: Vec<Drafted>,
    /// What is wrong with it.
    pub(crate) problems: Problems,
    rest: Option<Rest>,
}

/// What a policy says once for all environments.
struct Rest {
    together: Together,
    settle: Span,
    poll: Poll,
    zone: TimeZone,
    suspend: bool,
}

impl Draft {
    /// Reads a policy file, as far as it can be afforded.
    pub(crate) fn read(config: &Config, origin: &PolicyOrigin, text: &str, allowance: &mut Allowance) -> Self {
        let mut draft = Self {
            origin: origin.clone(),
            name: None,
            images: Vec::new(),
            environments: Vec::new(),
            problems: Problems::of(&origin.to_string(), text, Hides::Nothing),
            rest: None,
        };
        if let Err(message) = allowance.take_file(origin, text) {
            draft.problems.add(&(0..0), message);
            return draft;
        }
        let node = match tree::parse(text) {
            Ok(node) => node,
            Err(error) => {
                draft.problems.not_yaml(error, text);
                return draft;
            }
        };
        if let Err(message) = allowance.take_nodes(&node) {
            draft.problems.add(&(0..0), message);
        } else if is_foreign(&node) {
            let help = "delete it from the folder of the policies, or name the policies by a pattern in the configuration, as \
                        in `policies: \"policies/*.policy.yaml\"`";
            draft.problems.add_with_help(&node.at, "this is no policy: `apiVersion: tagrelay/v1` is missing", help);
        } else if let Some(form) = PolicyForm::read(&node, &mut draft.problems) {
            draft.fill(config, &form, allowance);
            if allowance.is_over() {
                // Nothing of it is kept, so that what it compiled is free for others.
                allowance.give_back();
                draft.environments.clear();
            }
        }
        draft
    }

    fn fill(&mut self, config: &Config, form: &PolicyForm, allowance: &Allowance) {
        let problems = &mut self.problems;
        let zone = form.timezone.get().and_then(|at| problems.check(&at.at, dates::zone(&at.value)));
        let known_zone = zone.clone().unwrap_or(TimeZone::UTC);
        let forms = environments(form, problems);
        let ground = Ground {
            config,
            origin: &self.origin,
            policy: form.name.value(),
            images: &[],
            zone: &known_zone,
            allowance,
        };
        let images = images(form, &forms, &ground, problems);
        let ground = Ground { images: &images, ..ground };
        let mut drafted: Vec<Drafted> = Vec::with_capacity(forms.len());
        for form in forms {
            let earlier: Vec<&Environment> = drafted.iter().filter_map(|draft| draft.environment.as_ref()).collect();
            let environment = environment(&form, &earlier, &ground, problems);
            drafted.push(Drafted { form, environment });
        }
        chain::check(form, &drafted, &images, problems);
        chain::fill(&mut drafted);
        self.rest = rest(form, &known_zone, problems);
        self.name = form.name.get().cloned();
        self.images = images;
        self.environments = drafted;
    }

    /// The policy, if nothing is wrong with it.
    pub(crate) fn finish(mut self) -> Result<Policy, Broken> {
        let whole = self.problems.is_empty() && self.environments.iter().all(|draft| draft.environment.is_some());
        let mut environments: Vec<_> = self.environments.into_iter().filter_map(|draft| draft.environment).collect();
        // A policy is kept: the room that was for drafts, and for images that did not come, is given back.
        environments.shrink_to_fit();
        self.images.shrink_to_fit();
        match (whole, self.name, self.rest) {
            (true, Some(name), Some(rest)) => Ok(Policy {
                name: name.value,
                images: self.images,
                together: rest.together,
                settle: rest.settle,
                poll: rest.poll,
                zone: rest.zone,
                suspend: rest.suspend,
                environments,
                origin: self.origin,
            }),
            (_, name, _) => Err(Broken {
                origin: self.origin,
                name: name.map(|name| name.value),
                diagnostics: self.problems.finish(),
            }),
        }
    }
}

/// The environments as they were written, the defaults laid under each.
fn environments(form: &PolicyForm, problems: &mut Problems) -> Vec<EnvironmentForm> {
    let Some(written) = form.environments.get() else { return Vec::new() };
    if written.value.is_empty() {
        problems.add(&written.at, "a policy needs an environment");
    }
    if written.value.len() > budget::POLICY_ENVIRONMENTS {
        let (n, most) = (written.value.len(), budget::POLICY_ENVIRONMENTS);
        problems.add(&written.at, format!("a policy has at most {most} environments, and this one has {n}: split it"));
        return Vec::new();
    }
    let merged = written.value.iter().map(|node| match form.defaults.value() {
        Some(defaults) => defaults.0.merged(&node.0, REPLACING),
        None => node.0.clone(),
    });
    merged.filter_map(|node| EnvironmentForm::read(&node, problems)).collect()
}

fn images(
    form: &PolicyForm,
    environments: &[EnvironmentForm],
    ground: &Ground<'_>,
    problems: &mut Problems,
) -> Vec<Image> {
    let Some(written) = form.images.get() else { return Vec::new() };
    if written.value.is_empty() {
        problems.add(&written.at, "a policy needs an image");
    }
    let mut images: Vec<Image> = Vec::new();
    for entry in &written.value {
        let Some((mut image, at)) = image(entry, ground, problems) else { return Vec::new() };
        if images.iter().any(|other| other.name == image.name) {
            let help = "give one of them a `name`, as in `{ name: worker, repository: ... }`";
            problems.add_with_help(&at, format!("two images are named `{}`", image.name), help);
        } else if images.iter().any(|other| other.repository == image.repository) {
            problems.add(&at, format!("two images have the repository `{}`", image.repository));
        }
        if image.source.is_none() {
            image.source = reported_project(&image.name, images.is_empty(), environments);
        }
        images.push(image);
    }
    images
}

fn image(entry: &ImageOrRepository, ground: &Ground<'_>, problems: &mut Problems) -> Option<(Image, tree::Place)> {
    let (repository, form) = match entry {
        ImageOrRepository::Repository(repository) => (repository, None),
        ImageOrRepository::Form(form) => (form.repository.get()?, Some(form)),
    };
    let allowed = ground.may().and_then(|may| may.images.as_deref());
    bounded(&repository.at, "name", "may.images", &repository.value.to_string(), allowed, problems);
    let source = form.and_then(|form| form.source.get());
    if let Some(source) = source {
        let allowed = ground.may().and_then(|may| may.projects.as_deref());
        bounded(&source.at, "name", "may.projects", &source.value, allowed, problems);
        super::project::check(source, problems);
    }
    let name = match form.map(|form| &form.name).filter(|name| !name.is_absent()) {
        Some(name) => name.value()?.clone(),
        None => problems.check(&repository.at, ImageName::parse(repository.value.last_segment()))?,
    };
    let image = Image {
        name,
        repository: repository.value.clone(),
        before: Vec::new(),
        platforms: form.and_then(|form| form.platforms.value().cloned()).unwrap_or_default(),
        source: source.map(|source| source.value.clone()),
    };
    Some((image, repository.at.clone()))
}

/// The project of the first report with `sha: revision` for an image; a report without `for` is of the first image.
fn reported_project(image: &ImageName, is_first: bool, environments: &[EnvironmentForm]) -> Option<String> {
    let reports = environments.iter().filter_map(|form| form.report.value()).flatten();
    let mut deployments = reports.filter_map(|report| report.gitlab.value());
    let of_image = deployments.find(|deployment| {
        let is_of = if deployment.image.is_absent() { is_first } else { deployment.image.value() == Some(image) };
        is_of && deployment.sha.value() == Some(&ReportSha::Revision)
    });
    of_image.and_then(|deployment| deployment.project.value().cloned())
}

fn rest(form: &PolicyForm, zone: &TimeZone, problems: &mut Problems) -> Option<Rest> {
    let poll = form.poll.get().and_then(|at| problems.check(&at.at, poll(&at.value, zone)));
    form.api_version.value()?;
    let settle = match &form.settle {
        Field::Absent if form.images.value().is_some_and(|images| images.len() > 1) => SETTLE_OF_SEVERAL,
        Field::Absent => Span::ZERO,
        Field::Broken | Field::Given(_) => *form.settle.value()?,
    };
    Some(Rest {
        together: form.together.value().copied().unwrap_or(Together::SameTag),
        settle,
        poll: poll?,
        zone: zone.clone(),
        suspend: *form.suspend.value()?,
    })
}

/// An interval, or a cron expression: the one has no spaces, the other is made of fields or begins with `@`.
fn poll(text: &str, zone: &TimeZone) -> Result<Poll, String> {
    if text.contains(char::is_whitespace) || text.starts_with('@') {
        let cron = Cron::parse(text, zone.clone()).map_err(|error| error.to_string())?;
        return Ok(Poll::Cron(Box::new(cron)));
    }
    let every = Span::parse(text).map_err(|error| error.to_string())?;
    if every < POLL_MIN { Err(format!("a registry is read at most every {POLL_MIN}")) } else { Ok(Poll::Every(every)) }
}

/// Whether a file is of somebody else (a kustomization, a values file): it says so itself, or nothing in it says that it is a
/// policy. Each of its keys would be an error, and none of them would say that.
fn is_foreign(node: &Node) -> bool {
    let Kind::Map(entries) = &node.kind else { return false };
    let version = node.get("apiVersion").and_then(|version| match &version.kind {
        Kind::Scalar { text, is_text: _ } => Some(text.as_str()),
        Kind::Null | Kind::List(_) | Kind::Map(_) => None,
    });
    match version {
        Some(version) => !version.starts_with("tagrelay/"),
        None => !entries.iter().any(|(key, _)| matches!(key.text.as_str(), "environments" | "apiVersion" | "poll")),
    }
}
