//! Which release is best for an environment.
//!
//! One file a strategy, `filter` and `admission` for what may be a candidate, `rank` for the best few of a long list,
//! `front` for the builds that it looks at, `set` for several images.
//!
//! It reads nothing: what is missing is listed in [`Chosen::wanted`], the caller reads that, and asks again until nothing
//! is. It does not know what runs, beyond comparing two builds in [`newer`]; gates, holds and refusals are judged
//! elsewhere.

mod admission;
mod alphabetical;
mod datings;
mod explain;
mod extract;
pub mod filter;
mod follow;
mod front;
mod lines;
mod newer;
mod newest;
mod numeric;
mod objection;
mod order;
pub mod range;
mod rank;
mod semver;
mod set;
mod tally;
#[cfg(test)]
mod tests;
pub mod version;

pub use explain::{Fate, explain, explain_first};
pub use front::front;
pub use lines::{LineError, Picked, pick};
pub use newer::{newer, newer_release};
pub use objection::objection;
pub use order::{Unranked, compared};
pub use set::is_same_revision;
pub use tally::Tally;

use crate::model::policy::{Image, Select, Strategy, Together};
use crate::model::{
    Build, Dated, DatedTag, Digest, ImageName, Knowledge, Release, ReleaseId, Span, Tag, TagList, TagRef, Times, Why,
    text,
};
use jiff::Timestamp;
use order::Order;
use std::collections::{HashMap, HashSet};

/// The most candidates that are looked at in one choice: a person reads about that many, and each costs requests.
pub const CANDIDATES_MAX: usize = 32;
/// The most tags that are told of as passed over.
pub const PASSED_OVER_MAX: usize = 32;
/// The most tags that one choice asks to be read: a first meeting with a long list goes in steps, each remembered.
pub const WANTED_MAX: usize = 512;

/// What is known of a tag of an image.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TagFacts {
    /// What the tag names; none where the registry has nothing there that is an image.
    ///
    /// `facts.pushed` and `facts.seen` are valid from the start; the rest only when `facts_read`. All tags that one
    /// reading showed first have the time of that reading as `seen`: they rank by `created` among themselves.
    pub build: Option<Build>,
    /// Whether the facts of the digest were read.
    pub facts_read: bool,
    /// Whether the policy's `branch` holds the build's source revision; none where nobody asked yet. A build without a
    /// revision is on no branch.
    pub on_branch: Option<bool>,
    /// Whether it was built from one of our own commits; none where nobody asked yet.
    pub own_commit: Option<bool>,
    /// The digest that this tag is known to have named before, where it names another now: such a build is no candidate
    /// (`TagMoved`), except for `follow`.
    pub was: Option<Digest>,
    /// When the tag was first seen at this digest: what is followed is as old as the last move of its tag.
    pub moved_at: Option<Timestamp>,
    /// Why nobody can read it, where that lasts: it is no candidate, and keeps no other one back.
    pub unreadable: Option<String>,
}

impl TagFacts {
    /// A build whose facts were read.
    #[must_use]
    pub fn of(build: Build) -> Self {
        Self { build: Some(build), facts_read: true, ..Self::default() }
    }

    /// Takes in when the tag was first seen, and since when it names what it names: its build is as old as the tag, or,
    /// where the tag moved, as its last move.
    pub fn see(&mut self, first: Timestamp, moved_at: Option<Timestamp>) {
        self.moved_at = moved_at.or(self.moved_at);
        let digest = self.build.as_ref().map(|build| &build.digest);
        let is_first = self.was.is_none() || self.was.as_ref() == digest;
        let seen = if is_first { Some(first) } else { self.moved_at };
        self.build = self.build.take().map(|build| build.with(|facts| facts.seen = seen));
    }

    fn knowledge(&self) -> Knowledge {
        match &self.build {
            None => Knowledge::Nothing,
            Some(_) if self.facts_read => Knowledge::Read,
            Some(_) => Knowledge::Told,
        }
    }

    /// What is left of this in reach where nobody looks at it closely.
    #[must_use]
    pub fn dated<'a>(&'a self, tag: TagRef<'a>) -> DatedTag<'a> {
        let Dating { knowledge, times } = self.dating();
        DatedTag { tag, knowledge, digest: self.build.as_ref().map(|build| build.digest.as_str()), times }
    }

    fn dating(&self) -> Dating {
        Dating {
            knowledge: self.knowledge(),
            times: self.build.as_ref().map(|build| build.facts.times()).unwrap_or_default(),
        }
    }
}

/// What the place of a tag among times hangs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Dating {
    knowledge: Knowledge,
    times: Times,
}

impl From<DatedTag<'_>> for Dating {
    fn from(DatedTag { knowledge, times, .. }: DatedTag<'_>) -> Self {
        Self { knowledge, times }
    }
}

/// The tags of one image, and what is known of them.
#[derive(Debug, Clone, Copy)]
pub struct Tags<'a> {
    /// The image.
    pub image: &'a Image,
    /// All tags of its repository; `follow` does not read them.
    pub tags: &'a TagList,
    /// What was read of them so far.
    pub known: &'a HashMap<Tag, TagFacts>,
    /// What is left in reach of the others that were read.
    pub dated: Option<&'a Dated>,
    /// Followed or retagged by any policy: never candidates, except for `follow`.
    pub reserved: &'a HashSet<Tag>,
}

impl Tags<'_> {
    /// What is known of the times of a tag's build; none where nothing of it was read.
    fn dating(&self, tag: TagRef<'_>) -> Option<Dating> {
        match self.known.get(tag.as_str()) {
            Some(known) => Some(known.dating()),
            None => self.dated.and_then(|dated| dated.get(tag)).map(Dating::from),
        }
    }
}

/// What is to be chosen.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The strategy and its filters.
    pub select: &'a Select,
    /// The policy's images, in its order.
    pub images: &'a [Tags<'a>],
    /// What makes several builds one release.
    pub together: Together,
    /// How long a followed set that is no known release must have stood still.
    pub settle: Span,
    /// The releases that this policy knows.
    pub known_releases: &'a HashSet<ReleaseId>,
    /// Whether builds may come from a repository that we write to: then each candidate is asked for [`Need::OwnCommit`].
    pub own_commits: bool,
    /// How many candidates are wanted, 1 to [`CANDIDATES_MAX`]: more than one where the best may not be taken.
    pub depth: usize,
    /// The time.
    pub now: Timestamp,
}

/// Something to read before a choice can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// Of which image.
    pub image: ImageName,
    /// Under which tag.
    pub tag: Tag,
    /// What.
    pub need: Need,
}

/// What must be read of a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// The digest that it names: [`TagFacts::build`].
    Digest,
    /// The facts of that digest, and the digest itself where it is not known: [`TagFacts::facts_read`].
    Facts,
    /// Whether the branch holds the revision: [`TagFacts::on_branch`].
    Branch,
    /// Whether the revision is one of our own commits: [`TagFacts::own_commit`].
    OwnCommit,
}

/// The outcome of a choice.
#[derive(Debug, Clone, Default)]
pub struct Chosen {
    /// The candidates, best first.
    pub releases: Vec<Release>,
    /// What would have been better but failed, best first, at most [`PASSED_OVER_MAX`] of each image. A `TooYoung` among
    /// them says when to look again.
    pub passed_over: Vec<(ImageName, Tag, Why)>,
    /// Why there is no candidate.
    pub why: Option<Why>,
    /// What must be read first: as long as it holds anything, there are no releases.
    pub wanted: Vec<Want>,
}

/// What is wrong with a `select`, for the person who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// The range is none.
    #[error(transparent)]
    Range(#[from] range::RangeError),
    /// The range is blank.
    #[error("the semver range is empty: write `*` for every version")]
    EmptyRange,
    /// The template is wrong or names a group that is not there.
    #[error("extract `{0}` is wrong: {1}")]
    Extract(String, String),
    /// A template needs groups.
    #[error("`extract` takes the groups of `match`, and there is no `match`")]
    ExtractWithoutMatch,
    /// Only texts are extracted from.
    #[error("`extract` is for semver, numeric and alphabetical: this strategy compares no part of the tag")]
    NothingToExtractFor,
    /// The filters contradict the strategy.
    #[error("the followed tag `{0}` can never pass `match` and `ignore` of its own policy")]
    FollowedTagDropped(Tag),
}

impl SelectError {
    fn extract(template: &str, problem: &str) -> Self {
        Self::Extract(text::shown(template), problem.to_owned())
    }
}

/// Parses and validates a `select` once, when the policy is loaded.
///
/// # Errors
/// A range that is none (with its column), a template over groups that do not exist, filters that contradict.
pub fn check(select: &Select) -> Result<(), SelectError> {
    Order::of(select).map(drop)
}

/// The best candidates of an environment, or what must be read to tell, or why there is none.
#[must_use]
pub fn choose(request: &Request<'_>) -> Chosen {
    if let Strategy::Follow(tag) = &request.select.strategy {
        return follow::choose(request, tag);
    }
    match Order::of(request.select) {
        Ok(Some(mut order)) => set::choose(request, &mut order),
        Ok(None) => Chosen { why: Some(Why::UpToDate), ..Chosen::default() },
        Err(error) => Chosen { why: Some(Why::PolicyBroken { at: error.to_string() }), ..Chosen::default() },
    }
}

/// The source revision of a build: its label, else a tag that is a commit sha of 7 to 64 digits. Tags of the source
/// repository are resolved by whoever can ask it.
#[must_use]
pub fn revision(build: &Build) -> Option<String> {
    let tag = || Some(build.tag.as_str()).filter(|tag| set::is_commit(tag)).map(str::to_owned);
    build.facts.revision.clone().or_else(tag)
}
