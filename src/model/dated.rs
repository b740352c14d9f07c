//! Tags and the times of their builds as one text: what is left in reach of a build that no choice looks at closely, so
//! that the many which are behind the best cost no memory.
//!
//! It knows no order but that of names; which build is looked at is decided where builds are ranked.

use super::observation::Times;
use super::reference::{Digest, TagRef};
use super::tags::{END, TagList, find};
use jiff::Timestamp;
use std::cmp::Ordering;
use std::fmt::{self, Write as _};

/// What is between two words of a line: less than every character of a tag, so that the lines sort as the names do.
const GAP: char = ' ';
/// What stands for a word that is not there; no digest and no time looks so.
const NONE: &str = "-";

/// What was read of a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Knowledge {
    /// The registry has nothing there that is an image.
    Nothing,
    /// What it names and when that came, but none of the build's own facts.
    Told,
    /// The build and its facts.
    Read,
    /// The build, by an earlier process: the tag may name another by now.
    Remembered,
}

impl Knowledge {
    const ALL: [(Self, &'static str); 4] =
        [(Self::Nothing, "nothing"), (Self::Told, "told"), (Self::Read, "read"), (Self::Remembered, "remembered")];

    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(knowledge, _)| *knowledge == self).map_or(NONE, |(_, word)| word)
    }

    fn of(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == word).map(|(knowledge, _)| *knowledge)
    }
}

/// A tag, what was read of it, and the times of its build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatedTag<'a> {
    /// The tag.
    pub tag: TagRef<'a>,
    /// What was read of it.
    pub knowledge: Knowledge,
    /// The digest that it names, as text.
    pub digest: Option<&'a str>,
    /// When that was made, pushed and seen.
    pub times: Times,
}

impl<'a> DatedTag<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut words = line.split(GAP);
        let mut next = || words.next();
        let (tag, knowledge, digest) = (TagRef::parse(next()?)?, Knowledge::of(next()?)?, next()?);
        let times = Times { created: time(next()?)?, pushed: time(next()?)?, seen: time(next()?)? };
        Some(Self { tag, knowledge, digest: Some(digest).filter(|digest| *digest != NONE), times })
    }

    /// The same, first seen at another time; as it was where no time is known.
    #[must_use]
    pub fn seen_at(self, seen: Option<Timestamp>) -> Self {
        Self { times: Times { seen: seen.or(self.times.seen), ..self.times }, ..self }
    }

    /// The digest that it names; none where none is known.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        self.digest.and_then(|digest| Digest::parse(digest).ok())
    }

    /// Whether its build is this one, and came then.
    #[must_use]
    pub fn is(&self, digest: &Digest, pushed: Option<Timestamp>) -> bool {
        self.digest == Some(digest.as_str()) && self.times.pushed == pushed
    }
}

/// As a line, without its end. Times are in nanoseconds since 1970.
impl fmt::Display for DatedTag<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Times { created, pushed, seen } = self.times;
        write!(f, "{}{GAP}{}{GAP}{}", self.tag, self.knowledge.word(), self.digest.unwrap_or(NONE))?;
        [created, pushed, seen].iter().try_for_each(|time| match time {
            Some(time) => write!(f, "{GAP}{}", time.as_nanosecond()),
            None => write!(f, "{GAP}{NONE}"),
        })
    }
}

/// A time, or that there is none; nothing where the word is neither.
fn time(word: &str) -> Option<Option<Timestamp>> {
    match word {
        NONE => Some(None),
        nanoseconds => Timestamp::from_nanosecond(nanoseconds.parse().ok()?).ok().map(Some),
    }
}

/// Dated tags, sorted by name in byte order, each once.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Dated {
    /// Each with its [`END`].
    lines: String,
    len: usize,
}

impl Dated {
    /// What [`Self::text`] gave.
    #[must_use]
    pub fn of_text(lines: String) -> Self {
        let len = lines.split_terminator(END).count();
        Self { lines, len }
    }

    /// How many tags there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The tags, each with what is known of it on a line of its own.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.lines
    }

    /// The tags by name.
    pub fn iter(&self) -> impl Iterator<Item = DatedTag<'_>> {
        self.lines.split_terminator(END).filter_map(DatedTag::parse)
    }

    /// What is known of a tag.
    #[must_use]
    pub fn get(&self, tag: TagRef<'_>) -> Option<DatedTag<'_>> {
        find(&self.lines, tag, name).and_then(DatedTag::parse)
    }

    /// The same, for whoever asks tag after tag in the order of their names.
    #[must_use]
    pub fn walk(&self) -> Walk<'_> {
        Walk { rest: &self.lines }
    }

    /// Adds a tag that comes after all others by name; any other is left out.
    pub fn push(&mut self, dated: &DatedTag<'_>) {
        let last = self.lines.trim_end_matches(END).rsplit(END).next().filter(|last| !last.is_empty());
        if last.is_none_or(|last| name(last) < dated.tag.as_str()) && write!(self.lines, "{dated}{END}").is_ok() {
            self.len += 1;
        }
    }

    /// These with what is news, which counts where both know of a tag; only tags that are listed stay.
    #[must_use]
    pub fn with(&self, news: &Self, listed: &TagList) -> Self {
        let mut lines = String::with_capacity(self.lines.len() + news.lines.len());
        let [mut old, mut news] = [self, news].map(|dated| dated.lines.split_terminator(END).peekable());
        let mut len = 0;
        for tag in listed.iter() {
            let [old, new] = [&mut old, &mut news].map(|dated| {
                while dated.next_if(|line| name(line) < tag.as_str()).is_some() {}
                dated.next_if(|line| name(line) == tag.as_str())
            });
            if let Some(line) = new.or(old) {
                lines.push_str(line);
                lines.push(END);
                len += 1;
            }
        }
        Self { lines, len }
    }
}

impl<'d> FromIterator<DatedTag<'d>> for Dated {
    fn from_iter<I: IntoIterator<Item = DatedTag<'d>>>(tags: I) -> Self {
        let mut tags: Vec<DatedTag<'d>> = tags.into_iter().collect();
        tags.sort_unstable_by_key(|dated| dated.tag);
        let mut dated = Self::default();
        tags.iter().for_each(|tag| dated.push(tag));
        dated
    }
}

/// Dated tags from the one that was asked for last.
#[derive(Debug, Clone)]
pub struct Walk<'a> {
    rest: &'a str,
}

impl<'a> Walk<'a> {
    /// What is known of a tag, if none was asked for that comes after it.
    pub fn get(&mut self, tag: TagRef<'_>) -> Option<DatedTag<'a>> {
        while let Some((line, rest)) = self.rest.split_once(END) {
            match name(line).cmp(tag.as_str()) {
                Ordering::Less => self.rest = rest,
                Ordering::Equal => return DatedTag::parse(line),
                Ordering::Greater => return None,
            }
        }
        None
    }
}

/// The name in a line.
fn name(line: &str) -> &str {
    line.split(GAP).next().unwrap_or(line)
}

impl fmt::Debug for Dated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dated").field("len", &self.len).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[&str]) -> TagList {
        TagList::of(names.iter().copied()).0
    }

    fn dated<'a>(tag: &'a str, knowledge: Knowledge, digest: Option<&'a str>, pushed: Option<i64>) -> DatedTag<'a> {
        let pushed = pushed.map(|second| Timestamp::from_second(second).expect("a time"));
        let times = Times { created: Some(Timestamp::MIN), pushed, seen: Some(Timestamp::MAX) };
        DatedTag { tag: TagRef::parse(tag).expect(tag), knowledge, digest, times }
    }

    #[test]
    fn a_line_says_all_and_reads_again_as_it_was() {
        let digest = Digest::of(b"a");
        for (knowledge, word) in Knowledge::ALL {
            for digest in [None, Some(digest.as_str())] {
                for pushed in [None, Some(0), Some(-1), Some(1_700_000_000)] {
                    let dated = dated("v1.0-rc.1", knowledge, digest, pushed);
                    let line = dated.to_string();
                    assert_eq!(DatedTag::parse(&line), Some(dated), "{line}");
                    assert!(line.starts_with(&format!("v1.0-rc.1 {word} ")), "{line}");
                }
            }
        }
        let told = dated("a", Knowledge::Told, Some(digest.as_str()), Some(1));
        assert_eq!(told.digest().as_ref(), Some(&digest));
        let pushed = told.times.pushed;
        assert!(told.is(&digest, pushed) && !told.is(&digest, None) && !told.is(&Digest::of(b"b"), pushed));
        for line in ["", "a", "a read", "a said - - - -", "a read - - -", "a read - - - x", "$ read - - - -"] {
            assert_eq!(DatedTag::parse(line), None, "{line}");
        }
    }

    #[test]
    fn what_is_news_counts_and_what_is_not_listed_goes() {
        let of = |dated: &Dated| -> Vec<(String, Option<i64>)> {
            assert_eq!(dated.iter().count(), dated.len());
            dated.iter().map(|d| (d.tag.to_string(), d.times.pushed.map(Timestamp::as_second))).collect()
        };
        let some = |tag: &'static str, at| dated(tag, Knowledge::Read, None, Some(at));
        let old: Dated = [some("b", 1), some("a", 1), some("a-1", 1), some("a", 2)].into_iter().collect();
        assert_eq!(of(&old), [("a".into(), Some(1)), ("a-1".into(), Some(1)), ("b".into(), Some(1))]);
        assert_eq!(Dated::of_text(old.text().to_owned()), old);

        let news = ["a-1", "0", "c", "z"].into_iter().map(|tag| some(tag, 2)).collect();
        let new = old.with(&news, &list(&["0", "a", "a-1", "c", "d"]));
        assert_eq!(
            of(&new),
            [("0".into(), Some(2)), ("a".into(), Some(1)), ("a-1".into(), Some(2)), ("c".into(), Some(2))]
        );
        let get = |tag: &str| new.get(TagRef::parse(tag).expect(tag)).map(|dated| dated.tag.to_string());
        assert_eq!(["0", "a", "a-1", "c"].map(get), ["0", "a", "a-1", "c"].map(|tag| Some(tag.to_owned())));
        assert_eq!(["a-", "b", "z", "a.1"].map(get), [None, None, None, None]);
        let mut walk = new.walk();
        let mut next = |tag: &str| walk.get(TagRef::parse(tag).expect(tag)).map(|dated| dated.tag.to_string());
        let found = ["0", "0", "1", "a-1", "b", "c", "z", "z"].map(|tag| next(tag).is_some());
        assert_eq!(found, [true, true, false, true, false, true, false, false]);
        assert!(new.with(&Dated::default(), &list(&[])).is_empty() && !new.is_empty());
        let mut pushed = new.clone();
        ["a", "c", "d", "c-1"].iter().for_each(|tag| pushed.push(&some(tag, 3)));
        assert_eq!(pushed.iter().map(|dated| dated.tag.as_str()).collect::<Vec<_>>(), ["0", "a", "a-1", "c", "d"]);
    }

    #[test]
    fn a_clock_that_was_set_changes_when_tags_were_seen_and_nothing_else() {
        let digest = Digest::of(b"a");
        let old = dated("a", Knowledge::Read, Some(digest.as_str()), Some(1));
        let now = Timestamp::from_second(7).expect("a time");
        let anew = old.seen_at(Some(now));
        assert_eq!((anew.times.seen, old.seen_at(None)), (Some(now), old));
        assert_eq!(anew.seen_at(old.times.seen), old);
    }
}
