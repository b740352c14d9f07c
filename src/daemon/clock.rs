//! The only reader of the time: the system's clock, or one that a sandbox moves.

use crate::clients::http::ServerTime;
use jiff::{SignedDuration, Timestamp};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// How far the clock may be from where it should be before no gate opens.
pub const DOUBT: Duration = Duration::from_secs(60);
/// How long a jump is doubted at the most where no server says anything.
const DOUBT_MAX: Duration = Duration::from_secs(60 * 60);
/// How long what a server's clock said counts.
const HEARD_LATELY: Duration = Duration::from_secs(60 * 60);
/// How many servers a message names.
const SERVERS_NAMED_MAX: usize = 3;

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

/// Watches the clock: for jumps, which is wall time that passes otherwise than the machine's monotonic time, and for
/// servers whose clocks disagree with it.
///
/// The servers asked lately decide by majority whether this machine's clock is right; no majority is doubt. Where none
/// answered since a jump, a clock that jumped is doubted until it has run evenly again for as long as it jumped, at most
/// an hour.
#[derive(Debug)]
pub struct Watch {
    last: (Timestamp, Instant),
    jump: Option<Jump>,
}

/// A jump of this machine's clock that no server has said anything about yet.
#[derive(Debug, Clone, Copy)]
struct Jump {
    by: SignedDuration,
    seen: Instant,
    doubted_until: Instant,
}

/// What a look at the clock found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Look {
    /// Why the clock is doubted, in words for people, and until when at the latest where that is known.
    pub doubt: Option<(String, Option<Timestamp>)>,
    /// By how much the clock jumped since the look before.
    pub jumped: Option<SignedDuration>,
    /// The servers that disagree though most agree: theirs are the wrong clocks.
    pub wrong_servers: Vec<String>,
}

/// How far a server's clock is from ours.
struct Apart<'a> {
    host: &'a str,
    server: Timestamp,
    ours: Timestamp,
}

impl Apart<'_> {
    fn agrees(&self) -> bool {
        self.server.duration_since(self.ours).unsigned_abs() <= DOUBT
    }
}

impl fmt::Display for Apart<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} says {:.0}", self.host, self.server)
    }
}

impl Watch {
    /// Begins to watch.
    #[must_use]
    pub fn new(now: Timestamp, monotonic: Instant) -> Self {
        Self { last: (now, monotonic), jump: None }
    }

    /// Looks at the clock, and at what the servers' clocks said.
    pub fn look(&mut self, now: Timestamp, monotonic: Instant, servers: &[ServerTime]) -> Look {
        let jumped = self.jumped(now, monotonic);
        self.jump = self.jump.filter(|jump| monotonic < jump.doubted_until);
        let since = |instant: Instant| monotonic.saturating_duration_since(instant);
        let mut heard: Vec<&ServerTime> = servers.iter().filter(|server| since(server.heard) <= HEARD_LATELY).collect();
        // A machine that slept sees every older answer far away; what was heard since tells more.
        if let Some(jump) = self.jump.filter(|jump| heard.iter().any(|server| server.heard > jump.seen)) {
            heard.retain(|server| server.heard > jump.seen);
        }
        let apart = heard.into_iter().map(|server| {
            let passed = SignedDuration::try_from(since(server.heard)).unwrap_or(SignedDuration::ZERO);
            let then = server.said.saturating_add(passed).unwrap_or(server.said);
            Apart { host: &server.host, server: then, ours: now }
        });
        let (agree, differ): (Vec<_>, Vec<_>) = apart.partition(Apart::agrees);
        if agree.len() > differ.len() {
            self.jump = None;
            let wrong_servers = differ.iter().map(ToString::to_string).collect();
            return Look { doubt: None, jumped, wrong_servers };
        }
        let doubt =
            if differ.is_empty() { self.jump_doubt(now, monotonic) } else { Some(disagreement(now, &agree, &differ)) };
        Look { doubt, jumped, wrong_servers: Vec::new() }
    }

    /// Compares the time that passed by the clock with the time that passed.
    fn jumped(&mut self, now: Timestamp, monotonic: Instant) -> Option<SignedDuration> {
        let passed = SignedDuration::try_from(monotonic.duration_since(self.last.1)).unwrap_or(SignedDuration::ZERO);
        let by = now.duration_since(self.last.0) - passed;
        self.last = (now, monotonic);
        let size = by.unsigned_abs();
        if size <= DOUBT {
            return None;
        }
        self.jump = Some(Jump { by, seen: monotonic, doubted_until: monotonic + size.min(DOUBT_MAX) });
        Some(by)
    }

    /// The doubt that a jump leaves where no server says anything.
    fn jump_doubt(&self, now: Timestamp, monotonic: Instant) -> Option<(String, Option<Timestamp>)> {
        let jump = self.jump?;
        let left = SignedDuration::try_from(jump.doubted_until.saturating_duration_since(monotonic)).ok()?;
        let until = now.saturating_add(left).unwrap_or(Timestamp::MAX);
        let words = format!(
            "this machine's clock jumped by {} s, and no server was heard since: gates open again when a server \
             agrees with it, or at {until:.0}",
            jump.by.as_secs()
        );
        Some((words, Some(until)))
    }
}

/// The words for servers that disagree with this machine's clock, as many as agree or more.
fn disagreement(now: Timestamp, agree: &[Apart<'_>], differ: &[Apart<'_>]) -> (String, Option<Timestamp>) {
    let named = |all: &[Apart<'_>]| {
        let words: Vec<String> = all.iter().take(SERVERS_NAMED_MAX).map(ToString::to_string).collect();
        let more = all.len().saturating_sub(SERVERS_NAMED_MAX);
        let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{}{rest}", words.join(", "))
    };
    let agreeing = if agree.is_empty() { "none agrees".to_owned() } else { format!("{} agree", agree.len()) };
    let words = format!(
        "this machine's clock says {now:.0}, but {}; {agreeing}: gates open again when most of the servers that are \
         asked agree with it to {} s",
        named(differ),
        DOUBT.as_secs()
    );
    (words, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::ToSpan as _;

    const ONE: &str = "registry.example.com";

    struct Bench {
        wall: Timestamp,
        machine: Instant,
        watch: Watch,
    }

    impl Bench {
        fn new() -> Self {
            let (wall, machine) = ("2026-01-05T10:00:00Z".parse().unwrap(), Instant::now());
            Self { wall, machine, watch: Watch::new(wall, machine) }
        }

        fn wall(&self, second: i64) -> Timestamp {
            self.wall.checked_add(second.seconds()).unwrap()
        }

        fn server(&self, host: &str, said: i64, heard: u64) -> ServerTime {
            let heard = self.machine + Duration::from_secs(heard);
            ServerTime { host: host.to_owned(), said: self.wall(said), heard }
        }

        fn look(&mut self, wall: i64, machine: u64, servers: &[ServerTime]) -> Look {
            let (wall, machine) = (self.wall(wall), self.machine + Duration::from_secs(machine));
            self.watch.look(wall, machine, servers)
        }

        fn doubts(&mut self, wall: i64, machine: u64, servers: &[ServerTime]) -> bool {
            self.look(wall, machine, servers).doubt.is_some()
        }
    }

    #[test]
    fn a_jump_is_doubted_until_it_ran_evenly_where_no_server_is_asked() {
        let mut bench = Bench::new();
        assert_eq!(bench.look(600, 600, &[]), Look::default());
        let look = bench.look(1600, 600, &[]);
        assert_eq!(look.jumped, Some(SignedDuration::from_secs(1000)));
        let (words, until) = look.doubt.unwrap();
        assert!(words.contains("jumped by 1000 s"), "{words}");
        assert_eq!(until, Some(bench.wall(2600)));
        assert!(bench.doubts(1601, 601, &[]));
        assert!(!bench.doubts(2700, 1700, &[]));
    }

    #[test]
    fn the_majority_of_the_servers_judges_the_clock() {
        let mut bench = Bench::new();
        let (right, wrong) = (bench.server("git.example.com", 10, 10), bench.server(ONE, -3600, 10));
        let third = bench.server("gitlab.example.com", 40, 10);
        for (servers, doubted) in [
            (vec![right.clone()], false),
            (vec![wrong.clone()], true),
            (vec![right.clone(), wrong.clone()], true),
            (vec![right.clone(), wrong.clone(), third.clone()], false),
        ] {
            assert_eq!(bench.doubts(20, 20, &servers), doubted, "{servers:?}");
        }
        let words = bench.look(20, 20, &[right.clone(), wrong.clone()]).doubt.unwrap().0;
        for said in ["clock says 2026-01-05T10:00:20Z", "registry.example.com says 2026-01-05T09:00:10Z", "1 agree"] {
            assert!(words.contains(said), "{words}");
        }
        let look = bench.look(20, 20, &[right, wrong, third]);
        assert_eq!(look.wrong_servers, ["registry.example.com says 2026-01-05T09:00:10Z"]);
    }

    #[test]
    fn a_jump_that_is_undone_is_forgotten_with_the_first_server_that_agrees() {
        let mut bench = Bench::new();
        let before = bench.server(ONE, 10, 10);
        assert!(bench.doubts(2_592_020, 20, std::slice::from_ref(&before)), "30 days ahead");
        assert!(!bench.doubts(30, 30, &[before]), "right again, as what was heard before says");
        let mut bench = Bench::new();
        assert!(bench.doubts(7200, 10, &[]));
        assert!(bench.doubts(20, 20, &[]), "right again, but nobody says so");
        let after = bench.server(ONE, 30, 30);
        assert!(!bench.doubts(31, 31, &[after]));
    }

    #[test]
    fn a_machine_that_slept_listens_to_what_it_heard_since() {
        let mut bench = Bench::new();
        let before = [bench.server(ONE, 10, 10), bench.server("git.example.com", 10, 10)];
        assert!(bench.doubts(3600, 20, &before), "an hour passed that the machine did not count");
        let after = [before[0].clone(), bench.server("git.example.com", 3605, 25)];
        assert!(!bench.doubts(3606, 26, &after));
    }

    #[test]
    fn what_was_heard_long_ago_says_nothing() {
        let mut bench = Bench::new();
        let old = bench.server(ONE, -3600, 0);
        let later = HEARD_LATELY.as_secs() + 10;
        assert!(!bench.doubts(i64::try_from(later).unwrap(), later, &[old]));
    }
}
