//! When: cron expressions in a time zone, windows and freezes.
//!
//! A window is a cron expression and how long it stays open from each of its moments. Whether `now` is inside is asked by
//! looking back for the last opening, so a change of summer time opens it once, on the wall clock of its zone.

use super::Span;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use std::fmt;

/// The longest time that a window may stay open, and so the longest look back for its last opening.
pub const WINDOW_MAX: Span = Span::seconds(31 * 86_400);

/// A cron expression with five fields (`minute hour day month weekday`), read in a time zone.
#[derive(Debug, Clone)]
pub struct Cron {
    text: String,
    parsed: croner::Cron,
    zone: TimeZone,
}

/// A text that is no cron expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no cron expression: {why}")]
pub struct CronError {
    text: String,
    why: String,
}

impl Cron {
    /// Parses a crontab expression of five fields, or `@daily` and its kin.
    ///
    /// # Errors
    /// When it has another number of fields, a field is out of range, or no moment ever matches.
    pub fn parse(text: &str, zone: TimeZone) -> Result<Self, CronError> {
        let wrong = |why: String| CronError { text: super::text::shown(text), why: super::text::shown(&why) };
        if !text.starts_with('@') && text.split_whitespace().count() != 5 {
            return Err(wrong("write five fields: minute, hour, day of month, month, day of week".to_owned()));
        }
        let parsed: croner::Cron = text.parse().map_err(|e: croner::errors::CronError| wrong(e.to_string()))?;
        let cron = Self { text: text.to_owned(), parsed, zone };
        match cron.next_after(Timestamp::UNIX_EPOCH) {
            Some(_) => Ok(cron),
            None => Err(wrong("no moment ever matches it".to_owned())),
        }
    }

    /// The zone that it is read in.
    #[must_use]
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The first moment after `now` that matches.
    #[must_use]
    pub fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        let now = now.to_zoned(self.zone.clone());
        self.parsed.find_next_occurrence(&now, false).ok().map(|at| at.timestamp())
    }

    /// The last moment at or before `now` that matches.
    #[must_use]
    pub fn last_until(&self, now: Timestamp) -> Option<Timestamp> {
        let now = now.to_zoned(self.zone.clone());
        self.parsed.find_previous_occurrence(&now, true).ok().map(|at| at.timestamp())
    }
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.zone == other.zone
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// How old a reading of the registry may grow.
#[derive(Debug, Clone, PartialEq)]
pub enum Poll {
    /// At most this old.
    Every(Span),
    /// Read at the moments of this expression.
    Cron(Box<Cron>),
}

/// A time in which changes are allowed: `length` from each moment of `open`.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// When it opens.
    pub open: Cron,
    /// How long it stays open.
    pub length: Span,
}

impl Window {
    /// When the window that holds `now` closes; none if it is shut.
    #[must_use]
    pub fn open_until(&self, now: Timestamp) -> Option<Timestamp> {
        let opened = self.open.last_until(now)?;
        let closes = opened.checked_add(self.length.get()).ok()?;
        (now < closes).then_some(closes)
    }

    /// When it opens next, `now` being outside of it.
    #[must_use]
    pub fn opens_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.open.next_after(now)
    }
}

/// A time in which nothing may change.
#[derive(Debug, Clone, PartialEq)]
pub struct Freeze {
    /// Its first moment.
    pub from: Timestamp,
    /// The first moment after it.
    pub until: Timestamp,
    /// Why, for people.
    pub reason: String,
    /// Whether a rollback passes.
    pub allows_rollback: bool,
}

impl Freeze {
    /// Whether `now` is inside.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        self.from <= now && now < self.until
    }
}

/// The first moment of a date, and the first after it, in a zone: "dates without a time cover the whole day".
#[must_use]
pub fn day(date: jiff::civil::Date, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
    let start = date.to_zoned(zone.clone()).ok()?;
    let end = date.checked_add(1.day()).ok()?.to_zoned(zone.clone()).ok()?;
    Some((start.timestamp(), end.timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn berlin() -> TimeZone {
        TimeZone::get("Europe/Berlin").expect("bundled zone")
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect(text)
    }

    #[test]
    fn a_window_is_open_for_its_length_on_the_wall_clock_of_its_zone() {
        let open = Cron::parse("0 9 * * MON-FRI", berlin()).expect("cron");
        let window = Window { open, length: Span::seconds(8 * 3600) };
        for (now, until) in [
            ("2026-01-05T08:00:00Z", Some("2026-01-05T16:00:00Z")), // Monday 09:00 in winter
            ("2026-01-05T07:59:59Z", None),
            ("2026-01-05T15:59:59Z", Some("2026-01-05T16:00:00Z")),
            ("2026-01-05T16:00:00Z", None),
            ("2026-07-06T07:00:00Z", Some("2026-07-06T15:00:00Z")), // Monday 09:00 in summer
            ("2026-01-04T10:00:00Z", None),                         // Sunday
        ] {
            assert_eq!(window.open_until(at(now)), until.map(at), "{now}");
        }
        assert_eq!(window.opens_at(at("2026-01-09T20:00:00Z")), Some(at("2026-01-12T08:00:00Z")));
    }

    #[test]
    fn a_moment_that_summer_time_skips_still_happens_once() {
        let cron = Cron::parse("30 2 * * *", berlin()).expect("cron");
        assert_eq!(cron.next_after(at("2026-03-28T12:00:00Z")), Some(at("2026-03-29T01:00:00Z")));
        let overlap = cron.next_after(at("2026-10-24T12:00:00Z")).expect("first");
        assert_eq!(overlap, at("2026-10-25T00:30:00Z"));
        assert_eq!(cron.next_after(overlap), Some(at("2026-10-26T01:30:00Z")));
    }

    #[test]
    fn five_fields_and_nothing_else() {
        for wrong in ["", "* * * *", "0 0 * * * *", "61 * * * *", "x * * * *", "0 0 31 2 *"] {
            assert!(Cron::parse(wrong, TimeZone::UTC).is_err(), "{wrong}");
        }
        assert!(Cron::parse("@daily", TimeZone::UTC).is_ok());
    }

    #[test]
    fn a_date_is_the_whole_day() {
        let (from, until) = day("2026-10-25".parse().expect("date"), &berlin()).expect("day");
        assert_eq!(until.duration_since(from).as_hours(), 25);
    }
}
