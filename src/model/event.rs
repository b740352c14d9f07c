//! What the journal keeps: one event each time something happened that nothing outside could tell again.
//!
//! Events are only ever added, and deleted only where the journal's checkpoint holds what they came to. Where a release stands
//! is read from them each time (`ledger`).

use super::place::PinForm;
use super::policy::{Ballot, RolloutRules};
use super::{CommitId, EnvironmentName, Pin, PolicyName, Release, ReleaseId, Tag};
use jiff::Timestamp;
use std::fmt;

/// Who is named for what the daemon does by itself. No person can have this name: the configuration refuses it, and an author
/// of a commit who is called so is written otherwise.
pub const OURSELVES: &str = "tagrelay";

/// The number of an entry in the journal: it grows by one, is given out once, and stands in our commits' trailers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sequence(pub u64);

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One entry of the journal.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its number.
    pub sequence: Sequence,
    /// When it was written.
    pub at: Timestamp,
    /// What it is about.
    pub scope: Scope,
    /// What happened.
    pub event: Event,
}

/// Which environments an entry is about: a part that is not named means all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Scope {
    /// The policy; none = every policy.
    pub policy: Option<PolicyName>,
    /// The environment; none = every environment.
    pub environment: Option<EnvironmentName>,
}

impl Scope {
    /// One environment of one policy.
    #[must_use]
    pub fn of(policy: &PolicyName, environment: &EnvironmentName) -> Self {
        Self { policy: Some(policy.clone()), environment: Some(environment.clone()) }
    }

    /// Whether everything that `other` names is named by this one too.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        (self.policy.is_none() || self.policy == other.policy)
            && (self.environment.is_none() || self.environment == other.environment)
    }
}

/// `shop/prod`, `shop`, `*/prod` or `*`.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.policy {
            Some(policy) => write!(f, "{policy}")?,
            None => f.write_str("*")?,
        }
        self.environment.iter().try_for_each(|environment| write!(f, "/{environment}"))
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A pin was met that we did not make, and left as it is.
    Adopted {
        /// What it says.
        pin: Pin,
        /// The release it stands for, where that is known.
        release: Option<Release>,
        /// The commit it was met at.
        commit: Option<CommitId>,
    },
    /// An effect is about to be made. The number of this entry is its natural key, and its rollout's.
    Intended {
        /// What is about to be made.
        effect: Effect,
        /// The release that moves.
        release: Release,
        /// Why it may.
        because: Because,
    },
    /// An intended commit stands on its branch: the rollout begins.
    Committed {
        /// The intent.
        intent: Sequence,
        /// The commit.
        commit: CommitId,
    },
    /// All tags of an intended retag name the release's digests.
    Retagged {
        /// The intent.
        intent: Sequence,
    },
    /// An intended effect was not made and will not be.
    Withdrawn {
        /// The intent.
        intent: Sequence,
        /// Why not.
        why: String,
    },
    /// Somebody else moved the pin (or, where the tag is the pin, the tag): a rollout begins that is not ours.
    Moved {
        /// What it says now.
        pin: Pin,
        /// The release it stands for, where that is known.
        release: Option<Release>,
        /// The commit that moved it.
        commit: Option<CommitId>,
        /// Who.
        who: String,
    },
    /// Evidence came about the signals of a rollout.
    Signalled {
        /// The rollout.
        rollout: Sequence,
        /// What it says.
        verdict: Verdict,
        /// Who said it.
        who: String,
        /// What they say of it.
        evidence: String,
        /// Where one reads more.
        url: Option<String>,
    },
    /// A smoke test ended.
    Checked {
        /// The rollout.
        rollout: Sequence,
        /// The check's name.
        check: String,
        /// How it ended.
        result: CheckResult,
        /// Where one reads more.
        url: Option<String>,
    },
    /// The deadline ran out without a signal: a person decides.
    Lost {
        /// The rollout.
        rollout: Sequence,
        /// What did not come.
        why: String,
    },
    /// A rollout came to its end.
    Ended {
        /// The rollout.
        rollout: Sequence,
        /// How.
        outcome: Outcome,
        /// Why.
        why: String,
    },
    /// The rollout that began last is judged by these rules to its end, whatever its policy says later.
    RulesKept {
        /// The rules.
        rules: RolloutRules,
    },
    /// A person voted.
    Voted {
        /// The release.
        release: ReleaseId,
        /// The terms that the vote was given under: gates and places, one a line.
        rules: String,
        /// For; else against, or taken back where no refusal comes with it.
        approve: bool,
        /// Who.
        who: String,
        /// Where.
        by: Ballot,
        /// Why; empty where nothing is said.
        why: String,
    },
    /// Changes of what the scope names are stopped.
    Held {
        /// Who stopped them.
        who: String,
        /// Why.
        why: String,
        /// Until when; none = until resumed.
        until: Option<Timestamp>,
    },
    /// The environment writes these places, and nobody else does.
    Claimed {
        /// Each as `relay::places` names it, sorted.
        places: Vec<String>,
    },
    /// The holds of what the scope names are lifted.
    Resumed {
        /// Who lifted them.
        who: String,
        /// The newest commit with our trailers at that moment, kept as met where this journal did not give it out.
        met: Option<CommitId>,
        /// Which holds; none = all that the scope contains.
        holds: Option<Vec<Sequence>>,
    },
    /// A release is not tried here again by itself.
    Refused {
        /// The release.
        release: Release,
        /// Who refused it.
        who: String,
        /// Why.
        why: String,
    },
    /// A person (or `on_failure: rollback`) said what to do.
    Ordered {
        /// What.
        order: Order,
        /// Who.
        who: String,
    },
    /// This machine's clock was set, or was found wrong and is right again: times kept before are read by it as it is now.
    ClockSet {
        /// By how many milliseconds it was set, later or earlier.
        by_ms: i64,
        /// The first entry that was written by the clock as it was before; nobody knows how older entries' clock stood.
        since: Sequence,
    },
}

/// An effect outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// A commit that moves the pin, written in this form.
    Commit {
        /// The form.
        form: PinForm,
    },
    /// This tag, moved to the release's digest in each image's repository.
    Retag {
        /// The tag.
        tag: Tag,
        /// Whether the tag itself is the environment's pin, so that the rollout begins with it.
        is_pin: bool,
    },
}

/// Why an effect was allowed: it stands in the journal, in the commit and on the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Because {
    /// No gate is asked for.
    NoGates,
    /// These gates were open.
    GatesOpen(Vec<String>),
    /// A rollback was ordered.
    Rollback {
        /// Who ordered it.
        who: String,
        /// Why.
        why: String,
    },
    /// A person passed the gates.
    Forced {
        /// Who.
        who: String,
        /// Why.
        reason: String,
    },
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoGates => f.write_str("no gate is asked for"),
            Self::GatesOpen(gates) => write!(f, "open: {}", gates.join(", ")),
            Self::Rollback { who, why } => write!(f, "rollback ordered by {who}: {why}"),
            Self::Forced { who, reason } => write!(f, "forced by {who}: {reason}"),
        }
    }
}

/// Who began a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// We did.
    Ours(Because),
    /// Nobody: the pin was met and left.
    Adopted,
    /// Somebody else.
    Other(String),
    /// A person asked for what runs to be verified again.
    Asked(String),
}

/// What a posted or watched signal says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It arrived and is well.
    Healthy,
    /// It will not arrive.
    Failed,
}

/// How a smoke test ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckResult {
    /// It passed.
    Passed,
    /// It failed, and how.
    Failed(String),
}

/// How a rollout ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All signals healthy, all checks passed.
    Verified,
    /// A signal or a check failed.
    Failed,
    /// Overtaken, reverted or rolled back before its end.
    Canceled,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Verified => "verified",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        })
    }
}

/// What a person told us to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Order {
    /// Bring this release here.
    Promote {
        /// The release.
        release: Release,
        /// Passes gates and holds, for this reason.
        force: Option<String>,
        /// Whether the policy would not choose it, so that its arrival holds the environment.
        holds: bool,
    },
    /// Bring this release back, whatever is held.
    Rollback {
        /// The release that comes back.
        to: Release,
        /// Why.
        why: String,
    },
    /// Read the signals and run the checks again for what the pin says.
    Verify,
}
