//! `tagrelay verify --all`: what runs is judged everywhere, a few environments at a time.
//!
//! After the journal was lost, everything that runs was adopted and nothing of it is verified. A person who has looked says
//! so once, for all; what is verified already is left alone, so the same command goes on where it was broken off.

use crate::model::{Ledger, Why};

/// How many environments of one name are judged at once where `limits.rollouts` says nothing of that name.
///
/// Their checks, and GitLab, see no more than that. The places themselves are counted by [`crate::relay::limits`].
pub const AT_ONCE: usize = 10;

/// What `verify --all` does in an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Turn {
    /// What runs there is judged.
    Judge,
    /// It is verified already.
    Verified,
    /// Its rollout has not ended yet.
    InFlight,
    /// Nobody knows which release runs there, or a person must look first.
    Unknown,
}

/// What `verify --all` does in an environment of which the journal says this, and which waits for these reasons.
#[must_use]
pub fn turn(ledger: &Ledger, why: &[Why]) -> Turn {
    if why.iter().any(|why| matches!(why, Why::JournalIsNew { .. })) {
        return Turn::Unknown;
    }
    let Some(release) = ledger.current().and_then(|current| current.release.as_ref()) else { return Turn::Unknown };
    if ledger.in_flight().is_some() {
        return Turn::InFlight;
    }
    match ledger.verified_at(release.id()) {
        Some(_) => Turn::Verified,
        None => Turn::Judge,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::{Event, Order, Outcome, Sequence};
    use crate::model::{Entry, Pin, Scope};
    use crate::relay::tests::world::release;
    use jiff::Timestamp;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(minute * 60).expect("a time")
    }

    /// One event a minute.
    fn ledger(events: Vec<Event>) -> Ledger {
        let entries = events.into_iter().zip(1..).map(|(event, n)| {
            let minute = i64::try_from(n).expect("small");
            Entry { sequence: Sequence(n), at: at(minute), scope: Scope::default(), event }
        });
        Ledger::of(&Scope::default(), &entries.collect::<Vec<_>>())
    }

    #[test]
    fn what_is_adopted_is_judged_and_what_is_verified_is_left_alone() {
        let adopted =
            |known: bool| Event::Adopted { pin: Pin::default(), release: known.then(|| release(1)), commit: None };
        let asked = || Event::Ordered { order: Order::Verify, who: "alice".to_owned() };
        let ended = |outcome| Event::Ended { rollout: Sequence(2), outcome, why: String::new() };
        let lost = || Event::Lost { rollout: Sequence(2), why: "no verdict came".to_owned() };
        let rows: [(&str, Vec<Event>, Turn); 7] = [
            ("nothing", vec![], Turn::Unknown),
            ("adopted", vec![adopted(true)], Turn::Judge),
            ("an unknown pin", vec![adopted(false)], Turn::Unknown),
            ("asked", vec![adopted(true), asked()], Turn::InFlight),
            ("no verdict", vec![adopted(true), asked(), lost()], Turn::InFlight),
            ("verified", vec![adopted(true), asked(), ended(Outcome::Verified)], Turn::Verified),
            ("failed", vec![adopted(true), asked(), ended(Outcome::Failed)], Turn::Judge),
        ];
        for (what, events, expected) in rows {
            let ledger = ledger(events);
            assert_eq!(turn(&ledger, &[]), expected, "{what}");
            let new = [Why::JournalIsNew { commit: None }];
            assert_eq!(turn(&ledger, &new), Turn::Unknown, "{what}: a person has not looked yet");
        }
    }
}
