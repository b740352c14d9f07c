//! What is known of the tags that keep what runs in an environment.

use crate::model::{ReleaseId, Why};
use jiff::Timestamp;
use std::collections::BTreeMap;
use tokio_util::sync::DropGuard;

/// What is known of the tags that keep an environment's releases.
#[derive(Default)]
pub(in crate::daemon) struct Keeping {
    /// The releases that were kept when it last went well.
    pub(in crate::daemon) kept: Vec<ReleaseId>,
    /// Whether a release may have its tag, as far as this process knows; not so where nothing more can be done about it.
    pub(in crate::daemon) tagged: BTreeMap<ReleaseId, bool>,
    /// What is being done, which is given up with the guard.
    pub(in crate::daemon) busy: Option<DropGuard>,
    /// Why it did not go well, when it may be tried again, and how often in a row that was so.
    pub(in crate::daemon) failed: Option<(String, Timestamp, u32)>,
}

impl Keeping {
    pub(in crate::daemon) fn is_busy(&self) -> bool {
        self.busy.is_some()
    }

    /// Whether what failed may be tried again.
    pub(in crate::daemon) fn is_due(&self, now: Timestamp) -> bool {
        self.failed.as_ref().is_some_and(|(_, until, _)| *until <= now) && !self.is_busy()
    }

    /// Why releases are not kept, if that failed.
    pub(in crate::daemon) fn why(&self) -> Option<Why> {
        let (why, until, _) = self.failed.as_ref()?;
        Some(Why::Blocked { effect: "keeping releases by tags".to_owned(), why: why.clone(), until: *until })
    }

    pub(in crate::daemon) fn begins(&self, wanted: &[ReleaseId], now: Timestamp) -> bool {
        let waits = self.failed.is_some() && !self.is_due(now);
        !self.is_busy() && !waits && !wanted.is_empty() && (self.kept != wanted || self.failed.is_some())
    }
}
