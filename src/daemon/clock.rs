//! The only reader of the time: the system's clock, or one that a sandbox moves.

use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// How far the clock may be from where it should be before no gate opens.
pub const DOUBT: Duration = Duration::from_secs(60);

/// Where the time comes from.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The system.
    System,
    /// The system's clock, this many milliseconds later: a sandbox lets days pass by it.
    Shifted(Arc<AtomicI64>),
}

impl Clock {
    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let system = Self::machine();
        match self {
            Self::System => system,
            Self::Shifted(by) => {
                let by = SignedDuration::from_millis(by.load(Ordering::SeqCst));
                system.saturating_add(by).unwrap_or(system)
            }
        }
    }

    /// What the machine's own clock says: time that a sandbox lets pass is no jump of it.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one reader of the time")]
    pub fn machine() -> Timestamp {
        Timestamp::now()
    }

    /// How long it is from now to a moment; nothing if it has passed.
    #[must_use]
    pub fn until(&self, moment: Timestamp) -> Duration {
        Duration::try_from(moment.duration_since(self.now())).unwrap_or_default()
    }
}

/// Watches the clock for jumps: wall time that passes otherwise than the machine's monotonic time.
///
/// A clock that jumped is doubted until it has run evenly again for as long as it jumped, at most an hour.
#[derive(Debug)]
pub struct Watch {
    last: (Timestamp, Instant),
    doubted: Option<(Duration, Instant)>,
}

impl Watch {
    /// Begins to watch.
    #[must_use]
    pub fn new(now: Timestamp, monotonic: Instant) -> Self {
        Self { last: (now, monotonic), doubted: None }
    }

    /// Looks at the clock, and at how far the servers' clocks are from it; returns by how much it is doubted, if it is.
    pub fn look(&mut self, now: Timestamp, monotonic: Instant, skew: Option<Duration>) -> Option<Duration> {
        const DOUBT_MAX: Duration = Duration::from_secs(60 * 60);
        let passed = SignedDuration::try_from(monotonic.duration_since(self.last.1)).unwrap_or(SignedDuration::ZERO);
        let jumped = (now.duration_since(self.last.0) - passed).unsigned_abs();
        self.last = (now, monotonic);
        if jumped > DOUBT {
            self.doubted = Some((jumped, monotonic + jumped.min(DOUBT_MAX)));
        }
        self.doubted = self.doubted.filter(|(_, until)| monotonic < *until);
        let jumped = self.doubted.map(|(by, _)| by);
        jumped.max(skew.filter(|skew| *skew > DOUBT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::ToSpan as _;

    #[test]
    fn a_jump_is_doubted_and_time_that_passes_is_not() {
        let (wall, machine): (Timestamp, _) = ("2026-01-05T10:00:00Z".parse().unwrap(), Instant::now());
        let wall = |seconds: i64| wall.checked_add(seconds.seconds()).unwrap();
        let machine = |seconds| machine + Duration::from_secs(seconds);
        let off = |seconds| Some(Duration::from_secs(seconds));
        let mut watch = Watch::new(wall(0), machine(0));
        assert_eq!(watch.look(wall(600), machine(600), None), None);
        assert_eq!(watch.look(wall(1600), machine(600), None), off(1000));
        assert_eq!(watch.look(wall(1601), machine(601), None), off(1000));
        assert_eq!(watch.look(wall(2700), machine(1700), None), None);
        assert_eq!(watch.look(wall(2701), machine(1701), off(61)), off(61));
        assert_eq!(watch.look(wall(2702), machine(1702), off(59)), None);
    }
}
