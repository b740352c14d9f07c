//! A policy as the decisions see it: complete, resolved, with every default filled in and every floor of the
//! configuration (`require`, `calendars`) already added.

use super::schedule::{Cron, Freeze, Poll, Window};
use super::{EnvironmentName, ImageName, PinForm, Place, Platform, PolicyName, Repository, Span, Tag};
use jiff::tz::TimeZone;
use std::fmt;

/// One file: one or more images that move together, and the environments that they go through.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Its name.
    pub name: PolicyName,
    /// Its images; at least one, the first is the default of places and reports.
    pub images: Vec<Image>,
    /// What makes several builds one release, where nothing is followed: see [`Policy::together_in`].
    pub together: Together,
    /// How long a followed set must have stood still.
    pub settle: Span,
    /// How old a reading of the registry may be.
    pub poll: Poll,
    /// The zone of its dates and expressions.
    pub zone: TimeZone,
    /// Whether it begins nothing new.
    pub suspend: bool,
    /// Its environments, in order.
    pub environments: Vec<Environment>,
    /// Where it was read, for messages.
    pub origin: PolicyOrigin,
}

impl Policy {
    /// The environment of that name.
    #[must_use]
    pub fn environment(&self, name: &EnvironmentName) -> Option<&Environment> {
        self.environments.iter().find(|e| e.name == *name)
    }

    /// The images of the environment that releases come from, in the repositories where they are found there.
    #[must_use]
    pub fn images_before(&self, environment: &Environment) -> &[Image] {
        let from = environment.promote.as_ref().and_then(|promote| self.environment(&promote.from));
        from.map_or(&self.images, |from| &from.images)
    }

    /// The images in the repositories among whose tags an environment selects. A followed tag moves in the environment's
    /// own; any other strategy picks from where releases come from, for they are copied only once they were picked.
    #[must_use]
    pub fn selected_images<'a>(&'a self, environment: &'a Environment) -> &'a [Image] {
        match &environment.select {
            Some(select) if environment.is_copied_to() && !matches!(select.strategy, Strategy::Follow(_)) => {
                self.images_before(environment)
            }
            Some(_) | None => &environment.images,
        }
    }

    /// Every repository that some environment of this policy reads, and those where its builds are pushed.
    pub fn repositories(&self) -> impl Iterator<Item = &Repository> {
        let own = self.environments.iter().flat_map(|environment| &environment.images);
        self.images.iter().chain(own).map(|image| &image.repository)
    }

    /// What makes several builds one release in an environment of this policy: where a tag is followed, every image has
    /// that tag, so that the revision tells them apart.
    #[must_use]
    pub fn together_in(&self, environment: &Environment) -> Together {
        match (self.together, environment.followed_tag()) {
            (Together::SameTag, Some(_)) => Together::SameRevision,
            (together, _) => together,
        }
    }

    /// The image of that name.
    #[must_use]
    pub fn image(&self, name: &ImageName) -> Option<&Image> {
        self.images.iter().find(|i| i.name == *name)
    }
}

/// Where a policy file stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PolicyOrigin {
    /// The configuration's name of the repository that holds it; none for a local directory.
    pub repository: Option<String>,
    /// Its path.
    pub path: String,
}

impl fmt::Display for PolicyOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.repository {
            Some(repository) => write!(f, "{repository}:{}", self.path),
            None => f.write_str(&self.path),
        }
    }
}

/// An image of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its name in the policy.
    pub name: ImageName,
    /// Where its builds are: in a policy where they are pushed, in an environment where it reads and pins them.
    pub repository: Repository,
    /// Where they were before they were copied there, nearest first: a place that still names one of these is moved
    /// over. Empty but in environments that releases are copied to.
    pub before: Vec<Repository>,
    /// The platforms that a build must hold; none asks for none.
    pub platforms: Vec<Platform>,
    /// The GitLab project that it is built from (`group/shop`).
    pub source: Option<String>,
}

impl Image {
    /// The first platform that is asked for and that is not among these.
    #[must_use]
    pub fn lacking<'a>(&'a self, platforms: &[Platform]) -> Option<&'a Platform> {
        self.platforms.iter().find(|wanted| !platforms.iter().any(|has| wanted.admits(has)))
    }
}

/// What makes several builds one release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Together {
    /// All under one tag.
    SameTag,
    /// All from one source revision.
    SameRevision,
    /// The best of each.
    Latest,
}

/// An environment, complete.
#[derive(Debug, Clone)]
pub struct Environment {
    /// Its name.
    pub name: EnvironmentName,
    /// What may be chosen; at least one of `select` and `promote` is there.
    pub select: Option<Select>,
    /// Where releases come from.
    pub promote: Option<Promote>,
    /// The policy's images, in the repositories that this environment reads, follows and pins.
    pub images: Vec<Image>,
    /// In which form the pin is written.
    pub pin: PinForm,
    /// Where the pin stands; empty where the tag itself is the pin.
    pub write: Vec<Place>,
    /// How a change reaches the repository.
    pub deliver: Deliver,
    /// The signals that must all be healthy; none = pushed.
    pub rollout: Vec<Signal>,
    /// How long signals may take, counted while they could be read.
    pub deadline: Span,
    /// How long watched signals must stay healthy.
    pub stable_for: Span,
    /// The smoke tests, in order.
    pub verify: Vec<Check>,
    /// Whether a push by us counts as verified (`evidence: none`).
    pub pushed_is_verified: bool,
    /// What a failure does.
    pub on_failure: OnFailure,
    /// What a pin that a person moved to something new does.
    pub on_edit: OnEdit,
    /// Until when a newer release must wait for the one in flight.
    pub hold_new_until: HoldNewUntil,
    /// Whether changes begin by themselves.
    pub auto: bool,
    /// What guards every change.
    pub gates: Gates,
    /// How many verified releases besides what runs are kept by tags of ours; 0 keeps none, nor what runs.
    pub keep: u32,
    /// What GitLab is told.
    pub report: Vec<Report>,
}

impl Environment {
    /// The tag that this environment follows: selected by `follow`, or pushed by its own promotion.
    #[must_use]
    pub fn followed_tag(&self) -> Option<&Tag> {
        let selected = self.select.as_ref().and_then(|select| match &select.strategy {
            Strategy::Follow(tag) => Some(tag),
            Strategy::Semver(_)
            | Strategy::Newest(_)
            | Strategy::Numeric(_)
            | Strategy::Alphabetical(_)
            | Strategy::Pinned => None,
        });
        self.promote.as_ref().and_then(|promote| promote.retag.as_ref()).or(selected)
    }

    /// The image of that name, as this environment reads and pins it.
    #[must_use]
    pub fn image(&self, name: &ImageName) -> Option<&Image> {
        self.images.iter().find(|i| i.name == *name)
    }

    /// Whether releases are copied into repositories of its own before anything else here moves.
    #[must_use]
    pub fn is_copied_to(&self) -> bool {
        self.promote.as_ref().is_some_and(|promote| promote.copies)
    }

    /// Whether the tag itself is the pin.
    #[must_use]
    pub fn is_tag_only(&self) -> bool {
        self.write.is_empty()
    }

    /// Whether nothing but a push says that a release arrived.
    #[must_use]
    pub fn is_unwatched(&self) -> bool {
        self.rollout.is_empty() && self.verify.is_empty()
    }

    /// By what a rollout that begins now is judged.
    #[must_use]
    pub fn rollout_rules(&self) -> RolloutRules {
        RolloutRules { rollout: self.rollout.clone(), verify: self.verify.clone(), on_failure: self.on_failure }
    }
}

/// By what a rollout is judged from its beginning to its end, whatever its policy says later. `evidence` needs no place
/// here: it is said where both lists are empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutRules {
    /// The signals that must all be healthy; none = pushed.
    pub rollout: Vec<Signal>,
    /// The smoke tests, in order.
    pub verify: Vec<Check>,
    /// What a failure does.
    pub on_failure: OnFailure,
}

impl RolloutRules {
    /// Whether nothing but a push says that a release arrived.
    #[must_use]
    pub fn is_unwatched(&self) -> bool {
        self.rollout.is_empty() && self.verify.is_empty()
    }
}

/// A strategy and its filters.
#[derive(Debug, Clone)]
pub struct Select {
    /// How one candidate is better than another.
    pub strategy: Strategy,
    /// What a tag must match, searched.
    pub matches: Option<Pattern>,
    /// What semver, numeric or alphabetical compare, as a template over the groups of `matches` (`$1`, `$name`).
    pub extract: Option<String>,
    /// What a tag must not match.
    pub ignore: Vec<Pattern>,
    /// The branch of the source project that must hold the build's revision.
    pub branch: Option<String>,
    /// Labels that must match.
    pub labels: Vec<(String, Pattern)>,
    /// How long ago a build must have been pushed or first seen.
    pub min_age: Span,
    /// Whether an older release may follow a newer one.
    pub allow_downgrade: bool,
}

impl Select {
    /// Whether it chooses among the tags that a repository lists.
    #[must_use]
    pub fn lists(&self) -> bool {
        match self.strategy {
            Strategy::Semver(_) | Strategy::Newest(_) | Strategy::Numeric(_) | Strategy::Alphabetical(_) => true,
            Strategy::Follow(_) | Strategy::Pinned => false,
        }
    }
}

/// How one candidate is better than another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Strategy {
    /// The greatest version inside a range, in the Masterminds grammar; the text was parsed once at load.
    Semver(String),
    /// The youngest.
    Newest(Newest),
    /// The largest or smallest number.
    Numeric(Extreme),
    /// The last or first in byte order: `Largest` is last.
    Alphabetical(Extreme),
    /// What one moving tag names, by digest.
    Follow(Tag),
    /// What the pin says, whoever wrote it.
    Pinned,
}

/// Which time makes a build young.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Newest {
    /// The config's `created`.
    Created,
    /// The registry's push time; first seen where it gives none.
    Pushed,
    /// When this journal first saw it.
    Seen,
}

/// Which end of an order is best.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extreme {
    /// The largest, or last.
    Largest,
    /// The smallest, or first.
    Smallest,
}

/// A pattern over tags or labels: a regular expression searched in the text, or a glob over the whole of it.
#[derive(Debug, Clone)]
pub struct Pattern {
    /// As it was written.
    pub text: String,
    /// What matches; a glob was translated.
    pub regex: regex::Regex,
}

impl Pattern {
    /// Whether the text matches.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

/// How releases come from an earlier environment.
#[derive(Debug, Clone)]
pub struct Promote {
    /// The environment they come from.
    pub from: EnvironmentName,
    /// The tag that is pushed at the release's digests.
    pub retag: Option<Tag>,
    /// Whether a release is copied into the environment's repositories first (`to`).
    pub copies: bool,
    /// Whether only the newest verified release is a candidate (`prefer: newest`).
    pub only_newest: bool,
    /// Whether a stranger's push of the tag stands for `verified`.
    pub trust_tag: bool,
}

/// How a change reaches the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deliver {
    /// The configuration's name of the repository.
    pub repository: String,
    /// The branch, its template resolved.
    pub branch: String,
    /// The branch that it is created from when it is missing.
    pub base: String,
    /// The template of the commit message; none = the built-in one.
    pub message: Option<String>,
}

/// A source of evidence that a release arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal {
    /// Somebody posts the verdict.
    Webhook,
}

/// A smoke test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Its name, unique in its environment.
    pub name: String,
    /// How it is done.
    pub method: CheckMethod,
    /// How long it may take, each time.
    pub timeout: Span,
    /// How often it is made again when it failed.
    pub retries: u32,
}

/// How a smoke test is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckMethod {
    /// A URL answers as expected, several times in a row.
    Http(HttpCheck),
    /// Somebody posts the verdict.
    Webhook,
}

/// An HTTP check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpCheck {
    /// The URL, a template.
    pub url: String,
    /// The status that is expected.
    pub status: u16,
    /// How many times in a row.
    pub times: u32,
    /// How long between two times.
    pub every: Span,
}

/// What a failed rollout does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// Refuse this release here; a newer one goes on.
    Next,
    /// Hold the environment.
    Hold,
    /// Refuse, hold, and bring back the last verified release.
    Rollback,
}

/// What a pin does that a person moved to something that did not run there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnEdit {
    /// Hold the environment.
    Hold,
    /// Nothing: the next release goes on.
    Continue,
}

/// Until when a newer release waits for the one in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HoldNewUntil {
    /// It does not wait.
    None,
    /// Until the signals are healthy.
    Arrived,
    /// Until it is verified.
    Verified,
    /// Until it has soaked as long as the environments promoted from here ask.
    Soaked,
}

/// The conditions on a change of an environment, besides `verified`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Gates {
    /// How long a release must have been what runs in `from`, verified.
    pub soak: Span,
    /// Votes of people.
    pub approvals: Option<Approvals>,
    /// When changes are allowed; all must be open (the policy's and those required of it).
    pub windows: Vec<Window>,
    /// When nothing may change.
    pub freezes: Vec<Freeze>,
}

/// How many votes of whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approvals {
    /// How many people must approve.
    pub required: u32,
    /// Who may vote; empty = whoever may approve there.
    pub approvers: Vec<String>,
    /// Who may not; it wins.
    pub exclude: Vec<String>,
    /// How long a vote holds.
    pub expire: Span,
    /// Where votes are taken.
    pub by: Vec<Ballot>,
}

/// Where a vote is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ballot {
    /// The command line.
    Cli,
    /// The page.
    Page,
}

/// A GitLab project that is told of an environment's rollouts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The project's path.
    pub project: String,
    /// Which commit is reported.
    pub sha: ReportSha,
    /// The image whose revision is meant.
    pub image: ImageName,
    /// GitLab's name of the environment.
    pub environment: String,
    /// GitLab's tier.
    pub tier: Option<String>,
    /// The environment's address, a template resolved at load.
    pub url: Option<String>,
    /// The ref that is named; none = the deliver branch for a commit, the project's default branch for a revision.
    pub git_ref: Option<String>,
    /// Whether that ref is a tag.
    pub is_tag: bool,
    /// A template for the name of the git tag that the image was built from; it is asked for before all else.
    pub git_tag: Option<String>,
}

/// Which commit a report names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportSha {
    /// The commit the image was built from.
    Revision,
    /// The GitOps commit.
    Commit,
}

/// When a policy's cron expression fires next; an interval has no such moment.
impl Poll {
    /// The next moment of a cron expression.
    #[must_use]
    pub fn cron(&self) -> Option<&Cron> {
        match self {
            Self::Cron(cron) => Some(cron),
            Self::Every(_) => None,
        }
    }
}
