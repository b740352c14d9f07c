//! Why something happens or does not: one sentence, the same in the log, `explain`, the board and the reports.

use super::{Digest, ImageName, Span, Tag, text};
use jiff::Timestamp;
use std::fmt;

/// The reason for an outcome. Text from outside inside of it was made harmless by `text::shown` where it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the sentence over each reason says what its fields mean")]
pub enum Why {
    /// What is wanted already runs.
    UpToDate,
    /// No tag passes the filters and the strategy; how many each of them rules out.
    NoTagMatches { image: ImageName, detail: String },
    /// The builds found do not make a whole release.
    SetIncomplete { detail: String },
    /// The build is younger than `min_age`.
    TooYoung { until: Timestamp },
    /// A label of the build is missing or is not what `labels` asks for.
    LabelDiffers { image: ImageName, label: String },
    /// A followed set has not stood still long enough.
    Unsettled { until: Timestamp },
    /// What was found is not newer than what runs.
    NotNewer { found: String, current: String },
    /// No release is verified in the environment before.
    NothingVerified { from: String },
    /// The release is not verified in the environment before.
    NotVerified { from: String },
    /// The release has not run there long enough; it goes on counting.
    StillSoaking { until: Timestamp },
    /// The release has not run there long enough, and no longer runs there.
    SoakStopped { from: String, missing: Span },
    /// Votes are missing; and what of those that were given counts no longer, with what to do.
    ApprovalsMissing { have: u32, required: u32, of: String, fallen: Vec<String> },
    /// The window is shut.
    WindowShut { opens: Option<Timestamp> },
    /// A freeze, and whether it lets a rollback pass.
    Frozen { until: Timestamp, reason: String, rollback: bool },
    /// A hold.
    Held { who: String, reason: String, until: Option<Timestamp> },
    /// A HOLD file beside the policies holds the environment: who committed it, and what it says.
    HeldByFile { file: String, who: String, reason: String },
    /// Nobody can tell which HOLD files stand beside the policy.
    HoldsUnread { since: Timestamp, error: String },
    /// The release is not tried here again by itself.
    Refused { release: String, elsewhere: Option<String>, who: String, why: String },
    /// An order waits for what is named beside it.
    OrderWaits { order: String },
    /// A release that is to come back never ran here.
    NeverRanHere { release: String },
    /// The newest commit of ours was not given out by this journal.
    JournalIsNew { commit: Option<String> },
    /// The journal takes no write: its disk is full, or its file was deleted or replaced.
    JournalUnwell { since: Timestamp, why: String },
    /// The clock jumped, or disagrees with the servers'.
    ClockDoubtful { words: String, until: Option<Timestamp> },
    /// The policy file is broken.
    PolicyBroken { at: String },
    /// Another environment has the place, the tag or the report.
    PlaceTaken { place: String, by: String },
    /// `suspend: true`.
    Suspended,
    /// `auto: false`: only a person begins.
    NotAutomatic,
    /// More environments would change for a cause that is no new build than the limit allows.
    TooManyChanges { limit: usize },
    /// As many rollouts as the limit allows are in flight in environments of this name.
    TooManyRollouts { environment: String, limit: usize },
    /// So many policies failed in environments of this name that nothing new begins there.
    ManyFailed { environment: String, reason: String, until: Timestamp },
    /// Rollouts were overtaken one after another, so that none was ever verified.
    AlwaysOvertaken { environment: String, n: usize },
    /// A rollout in flight lets no newer release in yet.
    RolloutInFlight { release: String },
    /// A rollout is followed until its signals say more.
    Following { what: String },
    /// A tag came to name another digest.
    TagMoved { image: ImageName, tag: Tag, was: Digest, now: Digest },
    /// The followed tag was moved back to a digest that ran here before.
    MovedBack { tag: Tag },
    /// The build was made from one of our own commits.
    OwnCommit { revision: String },
    /// A build lacks a platform.
    PlatformMissing { image: ImageName, platform: String },
    /// The source branch does not hold the build's revision.
    NotOnBranch { branch: String },
    /// What runs here cannot be told: the pin names nothing that is known.
    Unbound,
    /// Nothing was read yet, or the last reading failed.
    Unread { what: String, error: Option<String> },
    /// An effect failed and is tried again later.
    Blocked { effect: String, why: String, until: Timestamp },
    /// A build of the release is no longer in the registry; it is looked for again.
    ImageMissing { what: String, until: Timestamp },
    /// A release that waited was passed over by a newer one; it comes only when a person promotes it.
    Superseded { release: String, by: String },
    /// A verdict was posted and fitted no rollout.
    VerdictUnfit { of: String, at: Timestamp, why: String },
    /// No signal came within the deadline; a person decides.
    SignalLost { detail: String },
    /// A release is being copied into the environment's repositories.
    Copying { release: String },
    /// The mode is `observe`: this would have been done.
    Observing { effect: String },
}

impl Why {
    /// Whether a person, the daemon or a file holds the environment.
    #[must_use]
    pub fn is_hold(&self) -> bool {
        matches!(self, Self::Held { .. } | Self::HeldByFile { .. })
    }

    /// The stable name of the reason, for JSON and metrics.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::UpToDate => "UpToDate",
            Self::NoTagMatches { .. } => "NoTagMatches",
            Self::SetIncomplete { .. } => "SetIncomplete",
            Self::TooYoung { .. } => "TooYoung",
            Self::LabelDiffers { .. } => "LabelDiffers",
            Self::Unsettled { .. } => "Unsettled",
            Self::NotNewer { .. } => "NotNewer",
            Self::NothingVerified { .. } => "NothingVerified",
            Self::NotVerified { .. } => "NotVerified",
            Self::StillSoaking { .. } => "StillSoaking",
            Self::SoakStopped { .. } => "SoakStopped",
            Self::ApprovalsMissing { .. } => "ApprovalsMissing",
            Self::WindowShut { .. } => "WindowShut",
            Self::Frozen { .. } => "Frozen",
            Self::Held { .. } => "Held",
            Self::HeldByFile { .. } => "HeldByFile",
            Self::HoldsUnread { .. } => "HoldsUnread",
            Self::Refused { .. } => "Refused",
            Self::OrderWaits { .. } => "OrderWaits",
            Self::NeverRanHere { .. } => "NeverRanHere",
            Self::JournalIsNew { .. } => "JournalIsNew",
            Self::JournalUnwell { .. } => "JournalUnwell",
            Self::ClockDoubtful { .. } => "ClockDoubtful",
            Self::PolicyBroken { .. } => "PolicyBroken",
            Self::PlaceTaken { .. } => "PlaceTaken",
            Self::Suspended => "Suspended",
            Self::NotAutomatic => "NotAutomatic",
            Self::TooManyChanges { .. } => "TooManyChanges",
            Self::TooManyRollouts { .. } => "TooManyRollouts",
            Self::ManyFailed { .. } => "ManyFailed",
            Self::AlwaysOvertaken { .. } => "AlwaysOvertaken",
            Self::RolloutInFlight { .. } => "RolloutInFlight",
            Self::Following { .. } => "Following",
            Self::TagMoved { .. } => "TagMoved",
            Self::MovedBack { .. } => "MovedBack",
            Self::OwnCommit { .. } => "OwnCommit",
            Self::PlatformMissing { .. } => "PlatformMissing",
            Self::NotOnBranch { .. } => "NotOnBranch",
            Self::Unbound => "Unbound",
            Self::Unread { .. } => "Unread",
            Self::Blocked { .. } => "Blocked",
            Self::ImageMissing { .. } => "ImageMissing",
            Self::Superseded { .. } => "Superseded",
            Self::VerdictUnfit { .. } => "VerdictUnfit",
            Self::SignalLost { .. } => "SignalLost",
            Self::Copying { .. } => "Copying",
            Self::Observing { .. } => "Observing",
        }
    }

    /// Whether no clock and no gate ends this: an environment that stands at it for long is stuck, and somebody has to look.
    /// What a person decided (a hold, a refusal) and what the next build ends by itself is not.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        match self {
            Self::SetIncomplete { .. }
            | Self::WindowShut { opens: None }
            | Self::HoldsUnread { .. }
            | Self::JournalIsNew { .. }
            | Self::PolicyBroken { .. }
            | Self::PlaceTaken { .. }
            | Self::TooManyChanges { .. }
            | Self::NeverRanHere { .. }
            | Self::Unbound
            | Self::Unread { .. }
            | Self::Blocked { .. }
            | Self::AlwaysOvertaken { .. }
            | Self::ImageMissing { .. }
            | Self::VerdictUnfit { .. }
            | Self::SignalLost { .. } => true,
            Self::UpToDate
            | Self::NoTagMatches { .. }
            | Self::TooYoung { .. }
            | Self::LabelDiffers { .. }
            | Self::Unsettled { .. }
            | Self::NotNewer { .. }
            | Self::NothingVerified { .. }
            | Self::NotVerified { .. }
            | Self::StillSoaking { .. }
            | Self::SoakStopped { .. }
            | Self::ApprovalsMissing { .. }
            | Self::WindowShut { opens: Some(_) }
            | Self::Frozen { .. }
            | Self::Held { .. }
            | Self::HeldByFile { .. }
            | Self::OrderWaits { .. }
            | Self::Refused { .. }
            | Self::ClockDoubtful { .. }
            | Self::JournalUnwell { .. }
            | Self::Suspended
            | Self::NotAutomatic
            | Self::TooManyRollouts { .. }
            | Self::ManyFailed { .. }
            | Self::RolloutInFlight { .. }
            | Self::Following { .. }
            | Self::TagMoved { .. }
            | Self::MovedBack { .. }
            | Self::OwnCommit { .. }
            | Self::PlatformMissing { .. }
            | Self::NotOnBranch { .. }
            | Self::Superseded { .. }
            | Self::Copying { .. }
            | Self::Observing { .. } => false,
        }
    }

    /// When this reason may go away by itself.
    #[must_use]
    pub fn until(&self) -> Option<Timestamp> {
        match self {
            Self::TooYoung { until }
            | Self::Unsettled { until }
            | Self::StillSoaking { until }
            | Self::Frozen { until, .. }
            | Self::ManyFailed { until, .. }
            | Self::Blocked { until, .. }
            | Self::ImageMissing { until, .. } => Some(*until),
            Self::WindowShut { opens } => *opens,
            Self::ClockDoubtful { until, .. } => *until,
            Self::Held { until, .. } => *until,
            _ => None,
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UpToDate => f.write_str("up to date"),
            Self::NoTagMatches { image, detail } => {
                write!(f, "no tag of `{image}` passes the policy's filters and strategy: {detail}")
            }
            Self::SetIncomplete { detail } => write!(f, "the builds do not make a whole release: {detail}"),
            Self::TooYoung { until } => write!(f, "younger than min_age, until {until:.0}"),
            Self::LabelDiffers { image, label } => {
                write!(f, "label `{}` of `{image}` is not what the policy asks for", text::shown(label))
            }
            Self::Unsettled { until } => write!(f, "the set moved recently: it must stand still until {until:.0}"),
            Self::NotNewer { found, current } => write!(f, "{found} is not newer than {current}, which runs"),
            Self::NothingVerified { from } => write!(f, "no release newer than what runs is verified in {from}"),
            Self::NotVerified { from } => write!(f, "not verified in {from}"),
            Self::StillSoaking { until } => write!(f, "still soaking, until {until:.0}"),
            Self::SoakStopped { from, missing } => write!(f, "it left {from} {missing} before its soak there was over"),
            Self::ApprovalsMissing { have, required, of, fallen } => approvals_missing(f, *have, *required, of, fallen),
            Self::WindowShut { opens: Some(at) } => write!(f, "outside the window, which opens {at:.0}"),
            Self::WindowShut { opens: None } => f.write_str("outside the window, which never opens again"),
            Self::Frozen { until, reason, rollback: _ } => write!(f, "frozen until {until:.0}: {reason}"),
            Self::Held { who, reason, until: Some(until) } => write!(f, "held by {who} until {until:.0}: {reason}"),
            Self::Held { who, reason, until: None } => write!(f, "held by {who}: {reason}"),
            Self::HeldByFile { file, who, reason } => held_by_file(f, file, who, reason),
            Self::HoldsUnread { since, error } => holds_unread(f, *since, error),
            Self::Refused { release, elsewhere, who, why } => refused(f, release, elsewhere.as_deref(), who, why),
            Self::OrderWaits { order } => write!(f, "{order} waits"),
            Self::NeverRanHere { release } => never_ran_here(f, release),
            Self::JournalIsNew { commit } => journal_is_new(f, commit.as_deref()),
            Self::JournalUnwell { since, why } => journal_unwell(f, *since, why),
            Self::ClockDoubtful { words, until: _ } => write!(f, "no gate opens: {words}"),
            Self::PolicyBroken { at } => write!(f, "the policy file is broken, nothing new begins: {at}"),
            Self::PlaceTaken { place, by } => {
                write!(f, "{by} has {place}, so that nothing is written here: name another place in one of them")
            }
            Self::Suspended => f.write_str("the policy says `suspend: true`"),
            Self::NotAutomatic => f.write_str("`auto: false`: it begins when a person says `tagrelay promote`"),
            Self::TooManyChanges { limit } => too_many_changes(f, *limit),
            Self::TooManyRollouts { environment, limit } => too_many_rollouts(f, environment, *limit),
            Self::ManyFailed { environment, reason, until } => many_failed(f, environment, reason, *until),
            Self::AlwaysOvertaken { environment, n } => always_overtaken(f, environment, *n),
            Self::RolloutInFlight { release } => write!(f, "waits for the rollout of {release} (hold_new_until)"),
            Self::Following { what } => write!(f, "{what}"),
            Self::TagMoved { image, tag, was, now } => {
                write!(f, "tag {tag} of `{image}` was moved from {} to {}", was.short(), now.short())
            }
            Self::MovedBack { tag } => write!(f, "tag {tag} was moved back to a digest that ran here before"),
            Self::OwnCommit { revision } => write!(f, "it was built from our own commit {revision}"),
            Self::PlatformMissing { image, platform } => write!(f, "the build of `{image}` lacks {platform}"),
            Self::NotOnBranch { branch } => write!(f, "its source revision is not on branch {branch}"),
            Self::Unbound => f.write_str("the pin names nothing that is known, so it is never verified"),
            Self::Unread { what, error: Some(error) } => write!(f, "{what} could not be read: {error}"),
            Self::Unread { what, error: None } => write!(f, "{what} is not read yet"),
            Self::Blocked { effect, why, until } => {
                write!(f, "{effect} failed and is tried again at {until:.0}: {why}")
            }
            Self::ImageMissing { what, until } => {
                write!(f, "{what}: nothing is written that cannot be pulled; it is looked for again at {until:.0}")
            }
            Self::Superseded { release, by } => {
                write!(f, "{release} was passed over by {by}: it comes only when a person promotes it")
            }
            Self::VerdictUnfit { of, at, why } => {
                write!(f, "a verdict for {of} came at {at:.0} and did not fit: {why}")
            }
            Self::SignalLost { detail } => write!(f, "no verdict came in time ({detail}): a person decides"),
            Self::Copying { release } => {
                write!(f, "{release} is being copied into the repositories of this environment")
            }
            Self::Observing { effect } => write!(f, "mode observe: would {effect}"),
        }
    }
}

fn refused(f: &mut fmt::Formatter<'_>, release: &str, elsewhere: Option<&str>, who: &str, why: &str) -> fmt::Result {
    match elsewhere {
        Some(environment) => write!(f, "{release} is refused in {environment} by {who}: {why}"),
        None => write!(f, "{release} is refused here by {who}: {why}"),
    }
}

fn holds_unread(f: &mut fmt::Formatter<'_>, since: Timestamp, error: &str) -> fmt::Result {
    write!(
        f,
        "nothing new begins: a HOLD file may stand where this policy stands, which cannot be read since {since:.0}: {error}"
    )
}

fn never_ran_here(f: &mut fmt::Formatter<'_>, release: &str) -> fmt::Result {
    write!(f, "{release} was never verified and never adopted here: promote it, so that its gates are asked")
}

fn journal_unwell(f: &mut fmt::Formatter<'_>, since: Timestamp, why: &str) -> fmt::Result {
    write!(f, "the journal takes no write since {since:.0}, and nothing is begun until it does: {why}")
}

fn journal_is_new(f: &mut fmt::Formatter<'_>, commit: Option<&str>) -> fmt::Result {
    match commit {
        Some(commit) => write!(
            f,
            "commit {commit} was written under a journal that is not this one: look at what runs, then `tagrelay resume`"
        ),
        None => f.write_str(
            "the history is longer than the search for our newest commit: look at what runs, then `tagrelay resume`, or \
             `tagrelay resume --all` for all environments at once",
        ),
    }
}

fn too_many_changes(f: &mut fmt::Formatter<'_>, limit: usize) -> fmt::Result {
    let changed = if limit == 1 { "1 environment".to_owned() } else { format!("{limit} environments") };
    write!(
        f,
        "{changed} changed within a short time for a cause that is no new build, as many as limits.changes allows: a person lets each further one go"
    )
}

fn held_by_file(f: &mut fmt::Formatter<'_>, file: &str, who: &str, reason: &str) -> fmt::Result {
    write!(f, "held by the file {file} beside the policies, which {who} committed: {reason}")
}

fn approvals_missing(f: &mut fmt::Formatter<'_>, have: u32, required: u32, of: &str, fallen: &[String]) -> fmt::Result {
    write!(f, "waits for approval: {have} of {required}, by {of}")?;
    fallen.iter().try_for_each(|fallen| write!(f, "; {fallen}"))
}

fn too_many_rollouts(f: &mut fmt::Formatter<'_>, environment: &str, limit: usize) -> fmt::Result {
    write!(
        f,
        "waits for a place: {limit} rollouts are in flight in environments named {environment}, as many as limits.rollouts allows"
    )
}

fn many_failed(f: &mut fmt::Formatter<'_>, environment: &str, reason: &str, until: Timestamp) -> fmt::Result {
    write!(
        f,
        "nothing new begins in any {environment} until {until:.0} (limits.failures): {reason}; `tagrelay resume --all --env {environment}` ends it"
    )
}

fn always_overtaken(f: &mut fmt::Formatter<'_>, environment: &str, n: usize) -> fmt::Result {
    write!(
        f,
        "{n} rollouts in a row were overtaken in {environment} before they were verified: `hold_new_until: verified` there lets one through"
    )
}
