//! `newest: created | pushed | seen`: the youngest build, by the time that the policy names.
//!
//! On a registry that tells no push time `pushed` means first seen. Builds that one reading showed first were seen at
//! one time; they rank by `created` among themselves, and below every build seen later. That order of (seen, created)
//! is what makes a first meeting sensible, so whoever fills in `seen` gives all tags of one reading the time of that
//! reading. A `created` is the build's own claim and good for ranking alone.

use super::Known;
use crate::model::policy::Newest;
use crate::model::{Build, BuildFacts};
use jiff::Timestamp;

/// How young a build is; what is not read yet comes out on top, so that it is read before anything is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Age {
    /// The time that counts, then one that breaks a tie.
    Read(Option<Timestamp>, Option<Timestamp>),
    /// Not known yet.
    Unread,
}

impl Age {
    /// The age by the time that a `newest` policy names.
    pub(super) fn by(newest: Newest, known: Option<&Known>) -> Self {
        match known.map(|known| (&known.build, known.facts_read)) {
            Some((Some(build), read)) if read || (newest == Newest::Pushed && build.facts.pushed.is_some()) => {
                Self::Read(time(newest, build), None)
            }
            Some((None, _)) => Self::Read(None, None),
            Some(_) | None => Self::Unread,
        }
    }

    /// The age that breaks a tie: the younger build wins.
    pub(super) fn tie(known: Option<&Known>) -> Self {
        match known.map(|known| (&known.build, known.facts_read)) {
            Some((Some(build), true)) => Self::of(&build.facts),
            Some((None, _)) => Self::Read(None, None),
            Some(_) | None => Self::Unread,
        }
    }

    /// The age that breaks a tie, of facts that were read.
    pub(super) fn of(facts: &BuildFacts) -> Self {
        Self::Read(facts.created, facts.arrived())
    }
}

/// The time of a build that a `newest` policy names.
pub(super) fn time(newest: Newest, build: &Build) -> Option<Timestamp> {
    match newest {
        Newest::Created => build.facts.created,
        Newest::Pushed => build.facts.arrived(),
        Newest::Seen => build.facts.seen,
    }
}
