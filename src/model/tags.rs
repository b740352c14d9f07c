//! The tags of a repository as one text: a list of any length costs its bytes and nothing more.
//!
//! It knows no registry and no page; what names a tag may have is [`Tag`]'s business.

use super::reference::{Tag, TagRef};
use std::cmp::Ordering;
use std::fmt;

/// What ends a name: less than every character of a tag, so that the lines sort as the names do.
pub(super) const END: char = '\n';

/// Tags, sorted by name in byte order, each once.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct TagList {
    /// The names, each with its [`END`].
    lines: Box<str>,
    len: usize,
}

impl TagList {
    /// The list of these names in any order, and how many of them no tag can have: those are left out.
    #[must_use]
    pub fn of<'n>(names: impl IntoIterator<Item = &'n str>) -> (Self, usize) {
        let mut all = TagNames::default();
        names.into_iter().for_each(|name| all.push(name));
        let dropped = all.dropped();
        (all.list(), dropped)
    }

    /// What [`Self::text`] gave.
    #[must_use]
    pub fn of_text(lines: String) -> Self {
        let len = lines.split_terminator(END).count();
        Self { lines: lines.into(), len }
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

    /// The tags by name.
    pub fn iter(&self) -> impl Iterator<Item = TagRef<'_>> {
        self.lines.split_terminator(END).map(TagRef::listed)
    }

    /// The names as one text, each on a line of its own.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.lines
    }

    /// Whether a tag is in the list.
    #[must_use]
    pub fn contains(&self, tag: TagRef<'_>) -> bool {
        find(&self.lines, tag, |line| line).is_some()
    }
}

/// The line of a tag among lines that are sorted by the names that `name` finds in them.
pub(super) fn find<'l>(lines: &'l str, tag: TagRef<'_>, name: impl Fn(&str) -> &str) -> Option<&'l str> {
    let (mut low, mut high) = (0, lines.len());
    while low < high {
        let before = lines.as_bytes().get(low..low + (high - low) / 2).unwrap_or_default();
        let begin = before.iter().rposition(|byte| *byte == END as u8).map_or(low, |end| low + end + 1);
        let rest = lines.get(begin..high).unwrap_or_default();
        let line = rest.split(END).next().unwrap_or_default();
        match name(line).cmp(tag.as_str()) {
            Ordering::Equal => return Some(line),
            Ordering::Less => low = begin + line.len() + 1,
            Ordering::Greater => high = begin,
        }
    }
    None
}

impl<'t> FromIterator<&'t Tag> for TagList {
    fn from_iter<I: IntoIterator<Item = &'t Tag>>(tags: I) -> Self {
        Self::of(tags.into_iter().map(Tag::as_str)).0
    }
}

/// Names as they come, on their way to a list: they take their bytes, and four more each where they come in no order.
#[derive(Debug, Default)]
pub struct TagNames {
    /// The names, each with its [`END`].
    lines: String,
    len: usize,
    dropped: usize,
    /// Where the last one begins.
    last: usize,
    /// Whether one stands before one that is less, or twice.
    is_mixed: bool,
}

impl TagNames {
    /// Adds a name; one that no tag can have is counted and left out.
    pub fn push(&mut self, name: &str) {
        let Some(tag) = TagRef::parse(name) else {
            self.dropped += 1;
            return;
        };
        self.is_mixed |=
            self.lines.get(self.last..).is_some_and(|last| !last.is_empty() && last.trim_end() >= tag.as_str());
        self.last = self.lines.len();
        self.lines.push_str(tag.as_str());
        self.lines.push(END);
        self.len += 1;
    }

    /// Adds these after the others.
    pub fn append(&mut self, others: Self) {
        if self.lines.is_empty() {
            let dropped = self.dropped;
            *self = others;
            self.dropped += dropped;
            return;
        }
        self.dropped += others.dropped;
        others.iter().for_each(|tag| self.push(tag.as_str()));
    }

    /// How many there were, with those that no tag can have.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len + self.dropped
    }

    /// Whether there was none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many of them no tag can have.
    #[must_use]
    pub fn dropped(&self) -> usize {
        self.dropped
    }

    /// The names that a tag can have, as they came.
    pub fn iter(&self) -> impl Iterator<Item = TagRef<'_>> {
        self.lines.split_terminator(END).map(TagRef::listed)
    }

    /// The list of them.
    #[must_use]
    pub fn list(self) -> TagList {
        // Most registries list by name already, and then nothing is moved.
        if !self.is_mixed {
            return TagList { lines: self.lines.into(), len: self.len };
        }
        // Places in the text instead of names: of a million names they are four megabytes instead of sixteen.
        let name = |begin: u32| {
            let rest = self.lines.get(usize::try_from(begin).unwrap_or(usize::MAX)..).unwrap_or_default();
            rest.split(END).next().unwrap_or_default()
        };
        let ends = self.lines.match_indices(END).map(|(end, _)| end + END.len_utf8());
        let begins = std::iter::once(0).chain(ends).take(self.len);
        let mut begins: Vec<u32> = begins.filter_map(|begin| u32::try_from(begin).ok()).collect();
        begins.sort_unstable_by(|a, b| name(*a).cmp(name(*b)));
        begins.dedup_by(|a, b| name(*a) == name(*b));
        let mut lines = String::with_capacity(self.lines.len());
        for begin in &begins {
            lines.push_str(name(*begin));
            lines.push(END);
        }
        TagList { lines: lines.into(), len: begins.len() }
    }
}

impl fmt::Debug for TagList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TagList").field("len", &self.len).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &TagList) -> Vec<&str> {
        list.iter().map(TagRef::as_str).collect()
    }

    #[test]
    fn a_list_is_sorted_has_each_tag_once_and_no_name_that_is_none() {
        let (list, dropped) = TagList::of(["b", "a-1", "$(rm -rf /)", "a", "b", "a\nb", "", "a.1"]);
        assert_eq!((names(&list), list.len(), dropped), (vec!["a", "a-1", "a.1", "b"], 4, 3));
        assert!(!list.is_empty() && TagList::default().is_empty() && names(&TagList::default()).is_empty());
        let tags = ["b", "a"].map(|name| Tag::parse(name).expect("a tag"));
        assert_eq!(names(&tags.iter().collect()), ["a", "b"]);
        assert_eq!(TagList::of(["b", "a"]), TagList::of(["a", "b"]));
        assert_eq!(TagList::of_text(list.text().to_owned()), list);
    }

    #[test]
    fn every_tag_of_a_list_is_found_and_no_other() {
        for n in 0..40 {
            let all: Vec<String> = (0..n).map(|n| format!("v{}", "x".repeat(n * 7 % 11) + &n.to_string())).collect();
            let (list, _) = TagList::of(all.iter().map(String::as_str));
            assert_eq!(list.len(), n);
            let has = |name: &str| list.contains(TagRef::parse(name).expect("a tag"));
            assert!(all.iter().all(|name| has(name)), "{n}");
            assert!(!has("a") && !has("z") && !has("v") && !has("vxx"), "{n}");
        }
    }
}
