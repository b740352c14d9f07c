//! What the daemon shows of itself: plain values, one sentence each, for the page, the JSON interface and the commands.
//!
//! Whoever prints them owns the form; nothing here is serialised.

use crate::model::{Digest, EnvironmentName, ImageName, PolicyName, ReleaseId, Why};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Everything at one glance.
#[derive(Debug, Clone)]
pub struct Status {
    /// When this was looked at.
    pub now: Timestamp,
    /// The journal's id.
    pub journal: String,
    /// `act` or `observe`.
    pub mode: &'static str,
    /// How the daemon is.
    pub health: crate::daemon::health::Health,
    /// The policies, by name.
    pub policies: Vec<PolicyView>,
    /// Policy files and settings that could not be used, and a queue that could not be read: one text each.
    pub broken: Vec<String>,
    /// The repositories that are polled.
    pub repositories: Vec<RepositoryView>,
    /// The registry hosts that were asked, and how they are spoken to.
    pub hosts: Vec<HostView>,
    /// The branches of GitOps repositories that are read.
    pub branches: Vec<BranchView>,
    /// The GitLab projects that are told.
    pub projects: Vec<ProjectView>,
}

/// A policy.
#[derive(Debug, Clone)]
pub struct PolicyView {
    /// Its name.
    pub name: PolicyName,
    /// Where it stands.
    pub origin: String,
    /// Why its file is broken, where it is.
    pub broken: Option<String>,
    /// The repositories of its images.
    pub images: Vec<String>,
    /// Its environments, in order.
    pub environments: Vec<EnvironmentView>,
}

/// An environment.
#[derive(Debug, Clone)]
pub struct EnvironmentView {
    /// The policy.
    pub policy: PolicyName,
    /// Its name.
    pub environment: EnvironmentName,
    /// What the pin says, as text.
    pub pin: Option<String>,
    /// What runs or is on its way.
    pub current: Option<ArrivalView>,
    /// The release that may be next.
    pub candidate: Option<ReleaseView>,
    /// Every gate as it stands for the candidate.
    pub gates: Vec<GateView>,
    /// Whether the candidate waits for nothing but votes.
    pub waits_for_approval: bool,
    /// Why nothing happens just now.
    pub why: Vec<Why>,
    /// Since when each of these reasons is there, by its code; after a restart at the earliest since then.
    pub why_since: BTreeMap<&'static str, Timestamp>,
    /// Holds that stand.
    pub holds: Vec<HoldView>,
    /// Releases that are refused here.
    pub refusals: Vec<RefusalView>,
}

/// What an environment asks of whoever looks, the gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Concern {
    /// Its last rollout failed.
    Failed,
    /// It stands at something that no clock and no gate ends.
    Stuck,
    /// Somebody holds it.
    Held,
    /// A release waits for votes alone.
    Waits,
    /// A rollout is under way.
    OnItsWay,
    /// None of these.
    Well,
}

impl Concern {
    /// All of them, the gravest first.
    pub const ALL: [Self; 6] = [Self::Failed, Self::Stuck, Self::Held, Self::Waits, Self::OnItsWay, Self::Well];

    /// Its stable name.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Stuck => "stuck",
            Self::Held => "held",
            Self::Waits => "waits",
            Self::OnItsWay => "rollout",
            Self::Well => "well",
        }
    }

    /// What so many environments are, as in `3 wait for approval`.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Stuck => "stuck",
            Self::Held => "held",
            Self::Waits => "waiting for approval",
            Self::OnItsWay => "rolling out",
            Self::Well => "well",
        }
    }

    /// Whether nothing goes on before a person does something.
    #[must_use]
    pub fn needs_a_person(self) -> bool {
        self <= Self::Waits
    }
}

impl EnvironmentView {
    /// The gravest concern of this environment.
    #[must_use]
    pub fn concern(&self) -> Concern {
        let is = |state: &str| self.current.as_ref().is_some_and(|current| current.state == state);
        if is("failed") {
            Concern::Failed
        } else if self.why.iter().any(Why::is_stuck) {
            Concern::Stuck
        } else if !self.holds.is_empty() || self.why.iter().any(Why::is_hold) {
            Concern::Held
        } else if self.waits_for_approval {
            Concern::Waits
        } else if is("progressing") {
            Concern::OnItsWay
        } else {
            Concern::Well
        }
    }
}

/// A release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseView {
    /// Its id.
    pub id: ReleaseId,
    /// Its tags, for people.
    pub tags: String,
    /// Its digests.
    pub digests: Vec<(ImageName, Digest)>,
    /// The source revisions, where they are known.
    pub revisions: Vec<(ImageName, String)>,
}

impl ReleaseView {
    /// What one types to name it, as [`crate::model::Release::short`] says.
    #[must_use]
    pub fn short(&self) -> String {
        match self.digests.as_slice() {
            [(_, digest)] => digest.short().to_owned(),
            _ => self.id.to_string(),
        }
    }
}

/// A release's time in an environment.
#[derive(Debug, Clone)]
pub struct ArrivalView {
    /// The rollout's id: `<journal id>-<sequence>`.
    pub rollout: String,
    /// What arrived, where it is known.
    pub release: Option<ReleaseView>,
    /// Since when.
    pub since: Timestamp,
    /// Who began it, and why it was allowed.
    pub because: String,
    /// The commit that says so.
    pub commit: Option<String>,
    /// `progressing`, `verified`, `failed`, `canceled`, `adopted` or `unknown`.
    pub state: &'static str,
    /// Why, where it came to an end.
    pub why: Option<String>,
    /// Where one reads more of its last verdict, as whoever posted it says: http or https.
    pub url: Option<String>,
}

/// A gate as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateView {
    /// Whether it is open.
    pub open: bool,
    /// In which words.
    pub words: String,
}

/// A hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldView {
    /// What it stops (`shop/prod`, `*`).
    pub scope: String,
    /// Who.
    pub who: String,
    /// Why.
    pub why: String,
    /// Since when.
    pub since: Timestamp,
    /// Until when.
    pub until: Option<Timestamp>,
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusalView {
    /// The release.
    pub release: ReleaseView,
    /// Who.
    pub who: String,
    /// Why.
    pub why: String,
}

/// A registry host, or the host of a provider's own API.
#[derive(Debug, Clone)]
pub struct HostView {
    /// The host, as repositories name it; that of an API by its own name.
    pub host: String,
    /// How many requests were sent to it.
    pub n_requests: u64,
    /// How many requests may be under way at once.
    pub at_once: u32,
    /// Why it is left alone, where it is.
    pub error: Option<String>,
}

/// A repository that is polled.
#[derive(Debug, Clone)]
pub struct RepositoryView {
    /// It.
    pub repository: String,
    /// When it was last read.
    pub read_at: Option<Timestamp>,
    /// How many tags it had, where its tags are listed.
    pub n_tags: Option<usize>,
    /// Why the last reading failed.
    pub error: Option<String>,
    /// What a policy that selects there has to do without.
    pub note: Option<String>,
}

/// A branch that is read.
#[derive(Debug, Clone)]
pub struct BranchView {
    /// The configuration's name of the repository.
    pub repository: String,
    /// The branch.
    pub branch: String,
    /// Its tip.
    pub tip: Option<String>,
    /// When it was last read.
    pub read_at: Option<Timestamp>,
    /// Why the last reading failed.
    pub error: Option<String>,
}

/// A GitLab project that is told.
#[derive(Debug, Clone)]
pub struct ProjectView {
    /// Its path.
    pub project: String,
    /// How many reports wait.
    pub n_pending: u64,
    /// Reports that were refused for good: what and why.
    pub parked: Vec<String>,
    /// Why the last report failed.
    pub error: Option<String>,
}

/// One tag and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagView {
    /// The image.
    pub image: ImageName,
    /// The tag.
    pub tag: String,
    /// What became of it.
    pub fate: String,
}

/// Why this release: an environment with every tag.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// The environment.
    pub environment: EnvironmentView,
    /// Every tag, as far as `explain` lists them.
    pub tags: Vec<TagView>,
    /// How many tags there were in all.
    pub n_tags: usize,
    /// Where a word of the policy means less than it says: one sentence each.
    pub notes: Vec<String>,
    /// When the clock opens what it keeps shut for the candidate: the moment, and the same in the time zone of the policy.
    pub opens: Option<(Timestamp, String)>,
    /// What ran here before, newest first, each release once.
    pub before: Vec<ArrivalView>,
    /// What `tagrelay rollback` goes back to where nothing is named.
    pub way_back: Option<ReleaseView>,
}

/// What a pass would do in an environment.
#[derive(Debug, Clone)]
pub struct PlanView {
    /// The environment as it stands.
    pub environment: EnvironmentView,
    /// What would be done, one sentence each; empty = nothing.
    pub effects: Vec<String>,
    /// What would be done with the candidate once all that stands in its way is gone, one sentence each.
    pub later: Vec<String>,
    /// The files that would change, now or then, as unified diffs.
    pub diffs: Vec<FileDiff>,
    /// What GitLab would be told, one sentence each.
    pub reports: Vec<String>,
    /// The commit message.
    pub message: Option<String>,
}

/// A file as it would change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDiff {
    /// Its path.
    pub path: String,
    /// The text before.
    pub before: String,
    /// The text after.
    pub after: String,
}

/// One line of history.
#[derive(Debug, Clone)]
pub struct HistoryView {
    /// The journal's number.
    pub sequence: u64,
    /// When.
    pub at: Timestamp,
    /// What it is about.
    pub scope: String,
    /// The kind of event, a stable name.
    pub kind: &'static str,
    /// What happened, one sentence.
    pub text: String,
    /// The release it is about, where it names one.
    pub release: Option<ReleaseId>,
    /// What it changed in files or tags, where that was asked for.
    pub changed: Option<ChangedView>,
}

/// What a release, or a person, changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedView {
    /// The commit; none where a tag was moved.
    pub commit: Option<String>,
    /// What was written, each as `relay::places` names it; empty where the journal does not say.
    pub places: Vec<String>,
    /// What was pinned before and since, of each image whose pin is another one.
    pub values: Vec<ValueView>,
}

/// The pin of an image before and since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueView {
    /// The image.
    pub image: ImageName,
    /// Before; none where the journal does not say.
    pub was: Option<String>,
    /// Since.
    pub is: String,
}

/// A right that the policies need outside, and whether it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RightView {
    /// `policies`, `branch`, `images` or `gitlab`.
    pub kind: &'static str,
    /// The repository of policies, `REPOSITORY:BRANCH`, the repository of images, or the project.
    pub name: String,
    /// `read`, `write`, `deploy` or `spare`.
    pub right: &'static str,
    /// The environments that need it, or the first of them.
    pub needed_by: Vec<String>,
    /// How many there are in all.
    pub n_needed_by: usize,
    /// `has`, `missing`, or `untried`: nobody can tell without a change.
    pub answer: &'static str,
    /// What was found.
    pub text: String,
    /// What one does where it is missing, or where only a person can look.
    pub remedy: Option<String>,
}

/// Who writes a file.
#[derive(Debug, Clone)]
pub struct FileView {
    /// The environments that write it, or files below it.
    pub writers: Vec<WriterView>,
    /// How many there are in all.
    pub n_writers: usize,
    /// Why none does, one sentence each; empty where one does.
    pub notes: Vec<String>,
    /// Files that somebody writes and that may be meant.
    pub near: Vec<String>,
}

/// An environment that writes a file.
#[derive(Debug, Clone)]
pub struct WriterView {
    /// The environment as it stands.
    pub environment: EnvironmentView,
    /// The configuration's name of the repository.
    pub repository: String,
    /// The branch.
    pub branch: String,
    /// The file.
    pub file: String,
    /// Where in it; empty where the file could not be read yet.
    pub keys: Vec<String>,
}

/// Where a build is.
#[derive(Debug, Clone)]
pub struct WhereView {
    /// The releases that are meant.
    pub releases: Vec<ReleaseView>,
    /// How many there are in all.
    pub n_releases: usize,
    /// How each environment of the policies that know one of them stands to it.
    pub environments: Vec<StandingView>,
    /// How many there are in all.
    pub n_environments: usize,
}

/// How an environment stands to a release.
#[derive(Debug, Clone)]
pub struct StandingView {
    /// The policy.
    pub policy: PolicyName,
    /// The environment.
    pub environment: EnvironmentName,
    /// How, by its stable name: `runs`, `waits`, `ran_before`, `refused`, `newer` or `never`.
    pub presence: &'static str,
    /// The same in one sentence.
    pub text: String,
    /// The release that is meant.
    pub release: ReleaseView,
    /// What runs there or is on its way, where it is known.
    pub runs: Option<ReleaseView>,
    /// The state of that, as in [`ArrivalView::state`].
    pub runs_state: Option<&'static str>,
    /// The last time that the release came there.
    pub arrival: Option<ArrivalView>,
    /// When something else took its place.
    pub until: Option<Timestamp>,
    /// What it waits for, or why it does not come.
    pub why: Vec<Why>,
}

/// What an environment does not have yet.
#[derive(Debug, Clone)]
pub struct NotYetView {
    /// The policy.
    pub policy: PolicyName,
    /// The environment.
    pub environment: EnvironmentName,
    /// What runs there or is on its way, where it is known.
    pub runs: Option<ReleaseView>,
    /// The releases that it does not have, oldest first.
    pub releases: Vec<MissingView>,
    /// How many there are in all.
    pub n_releases: usize,
}

/// A release that an environment does not have yet.
#[derive(Debug, Clone)]
pub struct MissingView {
    /// The release, and how the environment stands to it.
    pub standing: StandingView,
    /// When it first came to an environment of the policy.
    pub since: Option<Timestamp>,
    /// The environments that run it now.
    pub runs_in: Vec<EnvironmentName>,
}

/// A report to GitLab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportView {
    /// Its number: a project's environment is told in this order.
    pub id: u64,
    /// The GitLab project.
    pub project: String,
    /// GitLab's name of the environment.
    pub environment: String,
    /// The rollout that is told of.
    pub rollout: String,
    /// What is told of it.
    pub state: String,
    /// `sent`, `waits` or `parked`.
    pub status: &'static str,
    /// How often it was put off.
    pub attempts: u64,
    /// When it is tried again.
    pub next_try: Option<Timestamp>,
    /// Why it waits or is parked.
    pub reason: Option<String>,
    /// GitLab's id of the deployment.
    pub deployment: Option<u64>,
}
