//! `newest: created | pushed | seen`: the youngest build, by the time that the policy names.
//!
//! On a registry that tells no push time `pushed` means first seen. Builds that one reading showed first were seen at
//! one time; they rank by `created` among themselves, and below every build seen later. That order of (seen, created)
//! is what makes a first meeting sensible, so whoever fills in `seen` gives all tags of one reading the time of that
//! reading. A `created` is the build's own claim and good for ranking alone.

use super::Dating;
use crate::model::policy::Newest;
use crate::model::{Knowledge, Times};
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
    pub(super) fn by(newest: Newest, dating: Option<Dating>) -> Self {
        match dating {
            Some(Dating { knowledge: Knowledge::Nothing, .. }) => Self::Read(None, None),
            Some(Dating { knowledge, times })
                if knowledge != Knowledge::Told || (newest == Newest::Pushed && times.pushed.is_some()) =>
            {
                Self::Read(time(newest, &times), None)
            }
            Some(_) | None => Self::Unread,
        }
    }

    /// The age that breaks a tie: the younger build wins.
    pub(super) fn tie(dating: Option<Dating>) -> Self {
        match dating {
            Some(Dating { knowledge: Knowledge::Nothing, .. }) => Self::Read(None, None),
            Some(Dating { knowledge: Knowledge::Read | Knowledge::Remembered, times }) => Self::of(&times),
            Some(_) | None => Self::Unread,
        }
    }

    /// The age that breaks a tie, of facts that were read.
    pub(super) fn of(times: &Times) -> Self {
        Self::Read(times.created, times.arrived())
    }
}

/// The time of a build that a `newest` policy names.
pub(super) fn time(newest: Newest, times: &Times) -> Option<Timestamp> {
    match newest {
        Newest::Created => times.created,
        Newest::Pushed => times.arrived(),
        Newest::Seen => times.seen,
    }
}
