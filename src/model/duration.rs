//! Durations as people write them: `90s`, `15m`, `1h30m`, `7d`.

use std::fmt;
use std::time::Duration;

/// The longest duration that is taken: ten years.
const SPAN_MAX: Duration = Duration::from_secs(10 * 365 * 86_400);

/// A duration with the text form of the policy files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Span(Duration);

/// A text that is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no duration: write it like `90s`, `15m`, `1h30m` or `7d`, at most 3650d")]
pub struct SpanError(String);

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(Duration::ZERO);

    /// A span of whole seconds.
    #[must_use]
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// A span of whole minutes.
    #[must_use]
    pub const fn minutes(minutes: u64) -> Self {
        Self::seconds(minutes * 60)
    }

    /// Parses one or more numbers with their units, largest first: `d`, `h`, `m`, `s`, `ms`.
    ///
    /// # Errors
    /// When a unit is missing, unknown, repeated or out of order, or the whole is above ten years.
    pub fn parse(text: &str) -> Result<Self, SpanError> {
        const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
        let wrong = || SpanError(super::text::shown(text));
        let (mut rest, mut millis, mut largest) = (text, 0_u64, 0);
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let letters = rest[digits..].bytes().take_while(u8::is_ascii_alphabetic).count();
            let (number, unit) = (&rest[..digits], &rest[digits..digits + letters]);
            let at = UNITS.iter().position(|(name, _)| *name == unit).filter(|at| *at >= largest).ok_or_else(wrong)?;
            let part = number.parse::<u64>().ok().and_then(|n| n.checked_mul(UNITS[at].1)).ok_or_else(wrong)?;
            millis = millis.checked_add(part).ok_or_else(wrong)?;
            (largest, rest) = (at + 1, &rest[digits + letters..]);
        }
        let span = Duration::from_millis(millis);
        if text.is_empty() || span > SPAN_MAX { Err(wrong()) } else { Ok(Self(span)) }
    }

    /// The duration.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl From<Duration> for Span {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut seconds, millis) = (self.0.as_secs(), self.0.subsec_millis());
        if seconds == 0 {
            return if millis == 0 { f.write_str("0s") } else { write!(f, "{millis}ms") };
        }
        for (unit, length) in [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)] {
            if seconds >= length {
                write!(f, "{}{unit}", seconds / length)?;
                seconds %= length;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        for (text, seconds, back) in [
            ("90s", 90, "1m30s"),
            ("15m", 900, "15m"),
            ("1h30m", 5400, "1h30m"),
            ("7d", 604_800, "7d"),
            ("0s", 0, "0s"),
        ] {
            let span = Span::parse(text).expect(text);
            assert_eq!((span.get().as_secs(), span.to_string().as_str()), (seconds, back));
        }
        assert_eq!(Span::parse("250ms").map(|s| s.to_string()), Ok("250ms".to_owned()));
        for wrong in ["", "5", "m", "1m1h", "1h1h", "-1s", "1.5h", "1 h", "99999999999999999999s", "4000d"] {
            assert!(Span::parse(wrong).is_err(), "{wrong}");
        }
    }
}
