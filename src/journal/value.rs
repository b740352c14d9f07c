//! Columns to values of the model and back: numbers, times and parsed texts.

use super::JournalError;
use jiff::Timestamp;
use std::fmt::Display;

/// A number of ours as the engines keep it; both count to 2^63.
pub(super) fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number as it was stored; `what` names the part for the error.
pub(super) fn number(stored: i64, what: &str) -> Result<u64, JournalError> {
    u64::try_from(stored).map_err(|_| JournalError::unreadable(what, &format_args!("{stored} is negative")))
}

/// A time as it was stored, in milliseconds; `what` names the part for the error.
pub(super) fn time(millis: i64, what: &str) -> Result<Timestamp, JournalError> {
    Timestamp::from_millisecond(millis).map_err(|error| JournalError::unreadable(what, &error))
}

/// A text that the model's own parser wrote; `what` names the part for the error.
pub(super) fn parsed<T, E: Display>(read: Result<T, E>, what: &str) -> Result<T, JournalError> {
    read.map_err(|error| JournalError::unreadable(what, &error))
}
