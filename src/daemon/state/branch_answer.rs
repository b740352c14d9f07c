//! What GitLab said of a revision and a branch, and when it is asked again.

use jiff::{SignedDuration, Timestamp};

/// How long after the first answer a place is asked again; twice as long each further time.
const AGAIN_FIRST: SignedDuration = SignedDuration::from_mins(1);
/// How long it waits at the most: a branch that was pushed and merged much later is taken up within that time.
const AGAIN_MAX: SignedDuration = SignedDuration::from_mins(60);

/// What GitLab said of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::daemon) struct Placed {
    /// Whether the revision is on the branch.
    pub(in crate::daemon) on_branch: bool,
    /// How often it was asked again.
    pub(in crate::daemon) n_again: u32,
    /// When it may be asked again.
    pub(in crate::daemon) again_at: Timestamp,
}

impl Placed {
    pub(in crate::daemon) fn new(on_branch: bool, now: Timestamp) -> Self {
        Self { on_branch, n_again: 0, again_at: after(now, 0) }
    }

    /// The same, when it is asked again now.
    pub(in crate::daemon) fn asked(self, now: Timestamp) -> Self {
        let n_again = self.n_again.saturating_add(1);
        Self { n_again, again_at: after(now, n_again), ..self }
    }
}

/// When a place may be asked again that was asked again so often.
fn after(now: Timestamp, n_again: u32) -> Timestamp {
    let grown = 2_i32.checked_pow(n_again).and_then(|times| AGAIN_FIRST.checked_mul(times)).unwrap_or(AGAIN_MAX);
    now.saturating_add(grown.min(AGAIN_MAX)).unwrap_or(Timestamp::MAX)
}
