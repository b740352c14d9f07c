//! Tags as lines of text, for `tagrelay select`: the same filters and order, without a registry.
//!
//! Facts that a line cannot tell (labels, branch, platforms) are not asked for; `follow` and `pinned` choose nothing
//! among lines.

use super::newest::Age;
use super::order::{Key, Order};
use super::{SelectError, Tally, filter};
use crate::model::Tag;
use crate::model::policy::Select;
use jiff::Timestamp;
use std::collections::HashSet;

/// A line that is none, or a strategy that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// The strategy or a filter is wrong.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// The line holds no tag.
    #[error("line {line}: {error}")]
    Tag {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        error: crate::model::reference::ReferenceError,
    },
    /// The line holds no time, and the strategy compares times.
    #[error("line {line}: newest needs lines of a tag, a tab and an RFC 3339 time like 2026-01-31T09:00:00Z")]
    Time {
        /// The line, from 1.
        line: usize,
    },
}

/// The outcome of a choice among lines.
#[derive(Debug, Default)]
pub struct Picked {
    /// The best.
    pub tag: Option<Tag>,
    /// Why the others, or all of them, are none.
    pub tally: Tally,
}

/// The best of these lines: a tag each, and after a tab, where one is there, its RFC 3339 time. Blank lines mean nothing.
///
/// # Errors
/// When the strategy is wrong, a line is no tag, or a line lacks the time that the strategy compares.
pub fn pick<'l>(select: &Select, lines: impl IntoIterator<Item = &'l str>) -> Result<Picked, LineError> {
    let Some(mut order) = Order::of(select)? else { return Ok(Picked::default()) };
    let mut tally = Tally::default();
    let none_reserved = HashSet::new();
    let mut best: Option<Pick> = None;
    for (at, line) in lines.into_iter().enumerate() {
        let line = line.trim_end_matches(['\r', '\n']);
        if line.trim().is_empty() {
            continue;
        }
        let at = at + 1;
        let (tag, time) = line.split_once('\t').map_or((line, None), |(tag, time)| (tag, Some(time.trim())));
        let tag = Tag::parse(tag.trim()).map_err(|error| LineError::Tag { line: at, error })?;
        let time: Option<Timestamp> = time.and_then(|time| time.parse().ok());
        if order.is_by_time() && time.is_none() {
            return Err(LineError::Time { line: at });
        }
        if let Err(dropped) = filter::by_name(select, &none_reserved, tag.by_ref()) {
            tally.count(&mut order, tag.by_ref(), Some(dropped), None);
            continue;
        }
        let key = match order.is_by_time() {
            true => Ok(Key::Age(Age::Read(time, None))),
            false => order.key(tag.by_ref(), None).map(Key::into_owned),
        };
        tally.count(&mut order, tag.by_ref(), None, key.as_ref().err().copied());
        let Ok(key) = key else { continue };
        let found = Pick { key, time, tag };
        if best.as_ref().is_none_or(|best| found > *best) {
            best = Some(found);
        }
    }
    Ok(Picked { tag: best.map(|best| best.tag), tally })
}

/// A line in its order: by key, then by time, then the later tag in byte order.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Pick {
    key: Key<'static>,
    time: Option<Timestamp>,
    tag: Tag,
}
