//! `tagrelay verify --all`: what runs is judged everywhere, a few environments at a time.
//!
//! After the journal was lost, everything that runs was adopted and nothing of it is verified. A person who has looked says
//! so once, for all; what is verified already is left alone, so the same command goes on where it was broken off.

use crate::model::{Arrival, Ledger, Origin, Why};
use jiff::{SignedDuration, Timestamp};

/// How many environments of one name are judged at once: their checks, and GitLab, see no more than that.
pub const AT_ONCE: usize = 10;
/// How long a rollout whose signals do not come keeps its place.
const GIVES_BACK_AFTER: SignedDuration = SignedDuration::from_mins(10);

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

/// Whether an environment takes one of the places: a person asked for what runs there, and it has no verdict yet.
///
/// One without a verdict, and one that waits for long, gives its place to the next.
#[must_use]
pub fn takes_a_place(ledger: &Ledger, now: Timestamp) -> bool {
    let waits = |arrival: &&Arrival| {
        let is_asked = matches!(arrival.origin, Origin::Asked(_));
        is_asked && arrival.lost.is_none() && now.duration_since(arrival.at) < GIVES_BACK_AFTER
    };
    ledger.in_flight().filter(waits).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::{Event, Order, Outcome, Sequence};
    use crate::model::{Entry, Pin, Scope};
    use crate::relay::tests::world::release;

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
        let rows: [(&str, Vec<Event>, Turn, bool); 7] = [
            ("nothing", vec![], Turn::Unknown, false),
            ("adopted", vec![adopted(true)], Turn::Judge, false),
            ("an unknown pin", vec![adopted(false)], Turn::Unknown, false),
            ("asked", vec![adopted(true), asked()], Turn::InFlight, true),
            ("no verdict", vec![adopted(true), asked(), lost()], Turn::InFlight, false),
            ("verified", vec![adopted(true), asked(), ended(Outcome::Verified)], Turn::Verified, false),
            ("failed", vec![adopted(true), asked(), ended(Outcome::Failed)], Turn::Judge, false),
        ];
        for (what, events, expected, takes) in rows {
            let ledger = ledger(events);
            assert_eq!((turn(&ledger, &[]), takes_a_place(&ledger, at(5))), (expected, takes), "{what}");
            let new = [Why::JournalIsNew { commit: None }];
            assert_eq!(turn(&ledger, &new), Turn::Unknown, "{what}: a person has not looked yet");
            assert!(!takes_a_place(&ledger, at(12)), "{what}: a place is not kept for ever");
        }
    }
}
