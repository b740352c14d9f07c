//! When windows and freezes let something change: looked at ahead of time.

use crate::model::policy::Gates;
use jiff::Timestamp;
use std::time::Duration;

/// How many changes of windows and freezes are looked at: more than 400 days of hourly ones.
const STEPS_MAX: usize = 10_000;

/// The first moment, from `now` until `until`, at which every window is open and no freeze holds.
#[must_use]
pub fn opens(gates: &Gates, now: Timestamp, until: Timestamp) -> Option<Timestamp> {
    let mut at = now;
    for _ in 0..STEPS_MAX {
        let frozen = gates.freezes.iter().filter(|freeze| freeze.holds(at)).map(|freeze| Some(freeze.until));
        let shut = gates.windows.iter().filter(|window| window.open_until(at).is_none());
        let waits = frozen.chain(shut.map(|window| window.opens_at(at))).collect::<Option<Vec<_>>>()?;
        match waits.into_iter().max() {
            None => return Some(at),
            Some(next) if next > until => return None,
            Some(next) => at = next,
        }
    }
    None
}

/// The longest time between two openings, from `now` until `until`, in which the windows are shut; none where there is no
/// window, or where they never open.
#[must_use]
pub fn longest_shut(gates: &Gates, now: Timestamp, until: Timestamp) -> Option<Duration> {
    let windows = Gates { windows: gates.windows.clone(), ..Gates::default() };
    let (mut at, mut longest) = (opens(&windows, now, until)?, Duration::ZERO);
    for _ in 0..STEPS_MAX {
        let closes = windows.windows.iter().filter_map(|window| window.open_until(at)).min()?;
        let Some(next) = opens(&windows, closes, until) else { break };
        longest = longest.max(Duration::try_from(next.duration_since(closes)).unwrap_or_default());
        at = next;
    }
    Some(longest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Span;
    use crate::model::schedule::{Cron, Freeze, Window};
    use jiff::tz::TimeZone;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn window(open: &str, hours: i64) -> Window {
        let open = Cron::parse(open, TimeZone::UTC).expect("an expression");
        Window { open, length: Span::seconds(hours as u64 * 3600) }
    }

    #[test]
    fn the_next_opening_of_all_together() {
        // A Monday.
        let (now, until) = (at("2026-01-05T12:00:00Z"), at("2027-02-09T12:00:00Z"));
        let freeze = |from: &str, until: &str| Freeze {
            from: at(from),
            until: at(until),
            reason: "year end".to_owned(),
            allows_rollback: true,
        };
        let check = |windows: &[Window], freezes: &[Freeze], expected: Option<&str>| {
            let gates = Gates { windows: windows.to_vec(), freezes: freezes.to_vec(), ..Gates::default() };
            assert_eq!(opens(&gates, now, until), expected.map(at), "{gates:?}");
        };
        check(&[], &[], Some("2026-01-05T12:00:00Z"));
        check(&[window("0 9 * * MON-FRI", 8)], &[], Some("2026-01-05T12:00:00Z"));
        check(&[window("0 9 * * TUE", 8)], &[], Some("2026-01-06T09:00:00Z"));
        check(&[window("0 9 * * TUE", 8), window("0 9 * * WED", 8)], &[], None);
        check(
            &[window("0 9 * * TUE", 8)],
            &[freeze("2026-01-01T00:00:00Z", "2026-01-06T10:00:00Z")],
            Some("2026-01-06T10:00:00Z"),
        );
        check(&[window("0 9 * * TUE", 8)], &[freeze("2026-01-01T00:00:00Z", "2028-01-06T10:00:00Z")], None);
        check(&[], &[freeze("2026-01-01T00:00:00Z", "2028-01-06T10:00:00Z")], None);
        check(&[window("0 0 29 2 *", 8)], &[], None);
    }

    #[test]
    fn the_longest_time_that_windows_are_shut() {
        let (now, until) = (at("2026-01-05T12:00:00Z"), at("2026-03-05T12:00:00Z"));
        for (windows, hours) in [
            (vec![], None),
            (vec![window("0 9 * * MON-FRI", 8)], Some(64)),
            (vec![window("0 9 * * *", 8)], Some(16)),
            (vec![window("0 0 * * *", 24)], Some(0)),
            (vec![window("0 9 * * TUE", 8), window("0 9 * * WED", 8)], None),
        ] {
            let gates = Gates { windows, ..Gates::default() };
            let expected = hours.map(|hours| Duration::from_secs(hours * 3600));
            assert_eq!(longest_shut(&gates, now, until), expected, "{gates:?}");
        }
    }
}
