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
        let (mut tags, mut dropped) = (Vec::new(), 0);
        for name in names {
            match TagRef::parse(name) {
                Some(tag) => tags.push(tag),
                None => dropped += 1,
            }
        }
        (Self::sorted(tags), dropped)
    }

    /// What [`Self::text`] gave.
    #[must_use]
    pub fn of_text(lines: String) -> Self {
        let len = lines.split_terminator(END).count();
        Self { lines: lines.into(), len }
    }

    fn sorted(mut tags: Vec<TagRef<'_>>) -> Self {
        // Most registries list by name already, and then nothing is moved.
        tags.sort_unstable();
        tags.dedup();
        let mut lines = String::with_capacity(tags.iter().map(|tag| tag.as_str().len() + END.len_utf8()).sum());
        for tag in &tags {
            lines.push_str(tag.as_str());
            lines.push(END);
        }
        Self { lines: lines.into(), len: tags.len() }
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
        Self::sorted(tags.into_iter().map(Tag::by_ref).collect())
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
