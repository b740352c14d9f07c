//! When what is attached to a copied release is looked for once more: a signature is mostly pushed after the image.

use crate::model::{Environment, Ledger, Origin, Release};
use jiff::{SignedDuration, Timestamp};

/// How long after its arrival a release is looked at for the first time; then after twice as long each time.
const FIRST: SignedDuration = SignedDuration::from_mins(1);
/// How long after its arrival a release is looked at for the last time.
const LAST: SignedDuration = SignedDuration::from_hours(24);

/// The right to bring after a release what is attached to it: it was copied into these repositories under a right of its own,
/// and no tag or pin that anybody runs moves.
#[derive(Debug, Clone, PartialEq)]
pub struct Attach {
    release: Release,
}

impl Attach {
    /// The release.
    #[must_use]
    pub fn release(&self) -> &Release {
        &self.release
    }
}

/// Whether it is time to look again at what is attached to the release that we brought here, which was looked at last at
/// this time.
#[must_use]
pub fn due(environment: &Environment, ledger: &Ledger, last: Option<Timestamp>, now: Timestamp) -> Option<Attach> {
    let current = ledger.current().filter(|_| environment.is_copied_to())?;
    let is_ours = matches!(current.origin, Origin::Ours(_) | Origin::Asked(_));
    let age = now.duration_since(current.at);
    let wait = last.map_or(SignedDuration::ZERO, |last| last.duration_since(current.at)).max(FIRST);
    let is_due = age <= LAST && now.duration_since(last.unwrap_or(current.at)) >= wait;
    let release = current.release.clone().filter(|_| is_ours && is_due)?;
    Some(Attach { release })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::Because;
    use crate::model::{Entry, Event, Pin, Scope, Sequence};
    use crate::relay::tests::world::{environment, promotes, release};

    #[test]
    fn a_copied_release_is_looked_at_ever_more_seldom() {
        let at = |minutes: i64| Timestamp::from_second(minutes * 60).expect("a time");
        let arrived = |because: Option<Because>| {
            let (pin, release) = (Pin::default(), Some(release(1)));
            let event = match because {
                Some(_) => Event::Moved { pin, release, commit: None, who: "bob".to_owned() },
                None => Event::Adopted { pin, release, commit: None },
            };
            let entry = Entry { sequence: Sequence(1), at: at(0), scope: Scope::default(), event };
            let mut ledger = Ledger::of(&Scope::default(), [&entry]);
            if let (Some(because), Some(arrival)) = (because, ledger.arrivals.last_mut()) {
                arrival.origin = Origin::Ours(because);
            }
            ledger
        };
        let mut promote = promotes("dev", None);
        promote.copies = true;
        let prod = crate::model::Environment { promote: Some(promote), ..environment("prod") };
        let ours = arrived(Some(Because::NoGates));
        let (mut last, mut looked) = (None, Vec::new());
        for minute in 0..3000 {
            if due(&prod, &ours, last, at(minute)).is_some() {
                last = Some(at(minute));
                looked.push(minute);
            }
        }
        assert_eq!(looked, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]);
        assert!(due(&prod, &ours, None, at(700)).is_some(), "a process that has just begun looks once");
        assert!(due(&prod, &arrived(None), None, at(700)).is_none(), "nobody copied what was met");
        assert!(due(&environment("prod"), &ours, None, at(700)).is_none(), "nothing is copied there");
    }
}
