//! How one tag is better than another: a strategy, made ready once, gives each tag a key, and the greatest key is best.
//!
//! One file a strategy says what its keys are. Which tags may have one is the business of `filter` and `admission`.

use super::extract::Template;
use super::newest::{self, Age};
use super::numeric::Decimal;
use super::range::Range;
use super::version::Version;
use super::{Dating, SelectError, alphabetical, filter, numeric, semver};
use crate::model::policy::{Extreme, Newest, Select, Strategy};
use crate::model::{Build, TagRef};
use jiff::Timestamp;
use std::borrow::Cow;
use std::cmp::Reverse;
use std::fmt;

/// The place of a tag in a strategy's order; the greatest is best. All keys of one strategy are of one kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key<'t> {
    Version(Version),
    Number(Decimal),
    SmallestNumber(Reverse<Decimal>),
    Text(Cow<'t, str>),
    FirstText(Reverse<Cow<'t, str>>),
    Age(Age),
}

impl Key<'_> {
    /// The same key, on its own.
    pub(super) fn into_owned(self) -> Key<'static> {
        match self {
            Self::Version(version) => Key::Version(version),
            Self::Number(number) => Key::Number(number),
            Self::SmallestNumber(number) => Key::SmallestNumber(number),
            Self::Text(text) => Key::Text(Cow::Owned(text.into_owned())),
            Self::FirstText(Reverse(text)) => Key::FirstText(Reverse(Cow::Owned(text.into_owned()))),
            Self::Age(age) => Key::Age(age),
        }
    }
}

/// Why a tag that passed the filters has no place in the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unranked {
    /// `semver` compares versions, and this is none.
    NoVersion,
    /// A version outside of the range.
    OutOfRange,
    /// A pre-release, where the range names none.
    Prerelease,
    /// `numeric` compares numbers, and this is none.
    NoNumber,
}

impl fmt::Display for Unranked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoVersion => "no version",
            Self::OutOfRange => "not in the range",
            Self::Prerelease => "a pre-release, and the range names none (`>=1.0.0-0` admits them)",
            Self::NoNumber => "no number",
        })
    }
}

/// What of a tag the strategy compares: the whole of it, or what `extract` makes of it; none where `match` does not match
/// or the template is wrong.
#[must_use]
pub fn compared(select: &Select, tag: &str) -> Option<String> {
    match (&select.extract, &select.matches) {
        (None, Some(pattern)) => pattern.matches(tag).then(|| tag.to_owned()),
        (None, None) => Some(tag.to_owned()),
        (Some(template), Some(pattern)) => {
            Template::parse(template, &pattern.regex).ok()?.apply(tag).map(Cow::into_owned)
        }
        (Some(_), None) => None,
    }
}

/// A strategy that ranks tags, made ready.
#[derive(Debug)]
pub(super) struct Order {
    by: By,
    template: Option<Template>,
}

#[derive(Debug)]
enum By {
    Semver(Range),
    Newest(Newest),
    Numeric(Extreme),
    Alphabetical(Extreme),
}

impl Order {
    /// Makes a strategy ready; none for `follow` and `pinned`, which rank nothing.
    pub(super) fn of(select: &Select) -> Result<Option<Self>, SelectError> {
        let by = match &select.strategy {
            Strategy::Semver(range) if range.trim().is_empty() => return Err(SelectError::EmptyRange),
            Strategy::Semver(range) => By::Semver(Range::parse(range)?),
            Strategy::Newest(newest) => By::Newest(*newest),
            Strategy::Numeric(extreme) => By::Numeric(*extreme),
            Strategy::Alphabetical(extreme) => By::Alphabetical(*extreme),
            Strategy::Follow(tag) if filter::by_patterns(select, tag.as_str()).is_err() => {
                return Err(SelectError::FollowedTagDropped(tag.clone()));
            }
            Strategy::Follow(_) | Strategy::Pinned => return Self::no_template(select).map(|()| None),
        };
        let template = match (&select.extract, &select.matches) {
            (None, _) => None,
            (Some(_), _) if matches!(by, By::Newest(_)) => return Self::no_template(select).map(|()| None),
            (Some(_), None) => return Err(SelectError::ExtractWithoutMatch),
            (Some(template), Some(pattern)) => Some(Template::parse(template, &pattern.regex)?),
        };
        Ok(Some(Self { by, template }))
    }

    fn no_template(select: &Select) -> Result<(), SelectError> {
        if select.extract.is_some() { Err(SelectError::NothingToExtractFor) } else { Ok(()) }
    }

    /// Whether it compares times, so that something must be known of every tag before one is chosen.
    pub(super) fn is_by_time(&self) -> bool {
        matches!(self.by, By::Newest(_))
    }

    /// The place of a tag; `dating` counts where the strategy compares times.
    pub(super) fn key<'t>(&mut self, tag: TagRef<'t>, dating: Option<Dating>) -> Result<Key<'t>, Unranked> {
        if let By::Newest(newest) = self.by {
            return Ok(Key::Age(Age::by(newest, dating)));
        }
        let text = self.compared(tag);
        match &self.by {
            By::Semver(range) => semver::key(range, &text),
            By::Numeric(extreme) => numeric::key(*extreme, &text),
            By::Alphabetical(extreme) => Ok(alphabetical::key(*extreme, text)),
            By::Newest(newest) => Ok(Key::Age(Age::by(*newest, dating))),
        }
    }

    /// What of a tag is compared; empty where `match` does not match.
    pub(super) fn compared<'t>(&mut self, tag: TagRef<'t>) -> Cow<'t, str> {
        match &mut self.template {
            None => Cow::Borrowed(tag.as_str()),
            Some(template) => template.apply(tag.as_str()).unwrap_or(Cow::Borrowed("")),
        }
    }

    /// The place of what runs: a version outside of the range has one too.
    pub(super) fn key_of_current<'t>(&mut self, tag: TagRef<'t>) -> Option<Key<'t>> {
        let text = match &mut self.template {
            None => Cow::Borrowed(tag.as_str()),
            Some(template) => template.apply(tag.as_str())?,
        };
        match &self.by {
            By::Semver(_) => Version::parse(&text).map(Key::Version),
            By::Numeric(extreme) => numeric::key(*extreme, &text).ok(),
            By::Alphabetical(extreme) => Some(alphabetical::key(*extreme, text)),
            By::Newest(_) => None,
        }
    }

    /// The time that is compared, where it is times that are compared.
    pub(super) fn time(&self, build: &Build) -> Option<Timestamp> {
        match self.by {
            By::Newest(newest) => newest::time(newest, &build.facts.times()),
            By::Semver(_) | By::Numeric(_) | By::Alphabetical(_) => None,
        }
    }
}
