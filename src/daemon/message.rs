//! What reaches the loop: readings, and what became of effects. Wake-ups carry nothing else.

use crate::clients::registry::ListedTag;
use crate::daemon::effects::retention::Swept;
use crate::daemon::handle::{Reply, Request, Signal, Target};
use crate::daemon::lists::Kept;
use crate::daemon::requests::verdict::Sought;
use crate::daemon::requests::way_back::Before;
use crate::daemon::sources::judge::Judged;
use crate::model::event::CheckResult;
use crate::model::policy::PolicyOrigin;
use crate::model::{
    Build, CommitId, Digest, Pin, PinReading, Release, ReleaseId, Repository, Scope, Sequence, Tag, TagList, Why,
};
use crate::relay::brake::HoldFile;
use crate::relay::edit::Claim;
use crate::relay::facts::Blocked;
use crate::relay::resume::Asked;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// One thing that happened outside of the loop.
pub(super) enum Message {
    /// A repository was read, or could not be; when that began, by the clock and by the machine's own count.
    Observed { repository: Repository, at: Timestamp, begun: Instant, result: Result<Observation, String> },
    /// A tag's build was read, or could not be.
    Learned { repository: Repository, tag: Tag, result: Result<Tagged, Unread> },
    /// Whether a revision is on a branch was read; none where it may be asked again.
    Placed { project: String, revision: String, branch: String, on_branch: Option<bool> },
    /// GitLab did not tell what is on a branch.
    Unplaced { project: String, branch: String, error: String },
    /// A branch of a GitOps repository was read, or could not be.
    Read { repository: String, branch: String, at: Timestamp, result: Result<BranchReading, String> },
    /// Policy files were read, or could not be; and the HOLD files beside them, none where nobody can tell what they are.
    Policies { repository: Option<String>, holds: Option<Vec<HoldFile>>, result: Result<PolicyFiles, String> },
    /// Policy files were judged, or could not be.
    Judged(Result<Box<Judged>, String>),
    /// HOLD files were looked for, and nothing else.
    Holds { repository: Option<String>, holds: Vec<HoldFile> },
    /// An effect came to its end.
    Done { scope: Scope, done: Done },
    /// Somebody asks.
    Asked(Request),
    /// What a rollback would bring back is in the registry.
    BringBack { target: Target, to: Release, reason: String, who: String, reply: Reply },
    /// What ran before in environments that a person resumes was read.
    Resume { asked: Asked, who: String, before: Before, reply: Reply },
    /// The commit in a verdict was looked for on its branch: what that says of the rollout that may be meant.
    Verdict { signal: Signal, rollout: Sequence, sought: Sought, reply: Reply },
    /// Nothing: time passed.
    Tick,
}

/// Why a tag's build could not be read.
#[derive(Debug)]
pub(super) struct Unread {
    /// In words.
    pub(super) error: String,
    /// Whether asking again gives the same, until a person has done something.
    pub(super) lasts: bool,
}

/// What a registry said of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Observation {
    /// Its tags, where anything selects among them; shared with the reading before where nothing changed.
    pub(super) tags: Option<Arc<Kept<TagList>>>,
    /// What it told of tags when it listed them; empty where the list is that of the reading before.
    pub(super) told: Vec<ListedTag>,
    /// Whether it was asked when they were pushed.
    pub(super) times: bool,
    /// The digests under the tags that are followed or retagged.
    pub(super) followed: BTreeMap<Tag, Option<Digest>>,
}

/// What stands under a tag.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tagged {
    /// The build; none = the tag is gone.
    pub(super) build: Option<Build>,
    /// Whether it was made from one of our own commits.
    pub(super) own_commit: bool,
}

/// What a branch says at its tip.
pub(super) struct BranchReading {
    /// The tip.
    pub(super) tip: CommitId,
    /// How many pushes of ours the branch had when it was read: a reading that one of them overtook is dropped.
    pub(super) generation: u64,
    /// What each environment writes that is written there; nothing of those whose files cannot be read.
    pub(super) claims: Vec<(Scope, Vec<Claim>)>,
    /// The pin of each of them; empty where the tip was known.
    pub(super) pins: Vec<(Scope, Result<PinReading, Why>)>,
}

/// The policy files of one place.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct PolicyFiles {
    /// Policies and their cases.
    pub(super) files: Vec<(PolicyOrigin, String)>,
    /// Those that cannot be read, and why.
    pub(super) unread: Vec<(PolicyOrigin, String)>,
}

impl PolicyFiles {
    /// How many files there are.
    pub(super) fn len(&self) -> usize {
        self.files.len() + self.unread.len()
    }
}

/// What became of an effect.
pub(super) enum Done {
    /// A copy: done, or why not; given up where this token was cancelled.
    Copy { release: ReleaseId, stop: CancellationToken, result: Result<(), String> },
    /// Releases were kept by tags, or not all of them; given up where this token was cancelled.
    Keep { stop: CancellationToken, swept: Swept },
    /// A retag: done, or why not.
    Retag { intent: Sequence, tag: Tag, result: Result<(), String> },
    /// A write.
    Write { intent: Sequence, written: Written },
    /// A smoke test; an error where it may not be made at all.
    Check { rollout: Sequence, check: String, result: Result<CheckResult, String> },
    /// What was wrong with the last answer to a smoke test that goes on.
    CheckAnswered { check: String, wrong: String },
    /// A build of the release is not in the registry: the effect was not begun.
    ImageMissing { intent: Sequence, effect: Blocked, why: String },
    /// A tag that a release was chosen by names another digest now.
    TagMoved { intent: Sequence, why: Why },
    /// A HOLD file that was found right before the effect holds it.
    Braked { intent: Sequence, why: Why },
}

/// What became of a write.
#[derive(Debug)]
pub(super) enum Written {
    /// It stands on the branch, where the pin now reads so.
    Committed(CommitId, Pin),
    /// The branch moved, or the pin is not what was judged: read again, judge again.
    Raced,
    /// It was not made.
    Failed(String),
    /// Nobody knows whether it was made: the branch tells.
    Unknown(String),
}
