//! Dates and times as people write them; the zone comes later, from the policy.

use super::diagnostic::Problems;
use super::read::Read;
use super::scalar::text;
use super::tree::Node;
use crate::model::schedule;
use crate::model::text::shown;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use serde_json::{Value, json};

/// A moment as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DateBound {
    /// A whole day.
    Day(Date),
    /// A time of day on the wall clock of the policy's zone.
    Wall(DateTime),
    /// A moment with its own offset from UTC.
    Exact(Timestamp),
}

impl DateBound {
    /// Parses `2026-12-20`, `2026-12-20T09:00` or `2026-12-20T09:00:00Z`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let exact = text.parse().map(Self::Exact).ok();
        let day = || text.parse().map(Self::Day).ok().filter(|_| !text.contains(['T', 't', ' ', ':']));
        let wall = || text.parse().map(Self::Wall).ok();
        exact.or_else(day).or_else(wall).ok_or_else(|| {
            let text = shown(text);
            format!("`{text}` is no date: write it like `2026-12-20`, `2026-12-20T09:00` or `2026-12-20T09:00:00Z`")
        })
    }

    /// Its first moment; none beyond the calendar.
    pub(crate) fn start(self, zone: &TimeZone) -> Option<Timestamp> {
        match self {
            Self::Day(date) => schedule::day(date, zone).map(|(start, _)| start),
            Self::Wall(time) => time.to_zoned(zone.clone()).ok().map(|at| at.timestamp()),
            Self::Exact(at) => Some(at),
        }
    }

    /// The first moment after it: a whole day ends with the day.
    pub(crate) fn end(self, zone: &TimeZone) -> Option<Timestamp> {
        match self {
            Self::Day(date) => schedule::day(date, zone).map(|(_, end)| end),
            Self::Wall(_) | Self::Exact(_) => self.start(zone),
        }
    }
}

impl Read for DateBound {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let text = text(node, "a date", problems)?;
        problems.check(&node.at, Self::parse(text))
    }

    fn schema() -> Value {
        super::schema::named("a date", json!({ "type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}" }))
    }
}

/// A time zone by its name in the IANA database, which is compiled in.
pub(crate) fn zone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name)
        .map_err(|_| format!("`{}` is no time zone: write an IANA name like `Europe/Berlin`", shown(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        let seoul = zone("Asia/Seoul").expect("zone");
        for (text, start, end) in [
            ("2026-12-20", "2026-12-19T15:00:00Z", "2026-12-20T15:00:00Z"),
            ("2026-12-20T09:00", "2026-12-20T00:00:00Z", "2026-12-20T00:00:00Z"),
            ("2026-12-20 09:00:30", "2026-12-20T00:00:30Z", "2026-12-20T00:00:30Z"),
            ("2026-12-20T09:00:00Z", "2026-12-20T09:00:00Z", "2026-12-20T09:00:00Z"),
            ("2026-12-20T09:00:00+02:00", "2026-12-20T07:00:00Z", "2026-12-20T07:00:00Z"),
        ] {
            let moment = DateBound::parse(text).expect(text);
            let at = |moment: Option<Timestamp>| moment.map(|at| at.to_string());
            assert_eq!(
                (at(moment.start(&seoul)).as_deref(), at(moment.end(&seoul)).as_deref()),
                (Some(start), Some(end)),
                "{text}"
            );
        }
        for wrong in ["", "2026-13-01", "tomorrow", "20.12.2026", "2026-12-20T25:00"] {
            assert!(DateBound::parse(wrong).is_err(), "{wrong}");
        }
        assert!(zone("Mars/Olympus").is_err());
    }
}
