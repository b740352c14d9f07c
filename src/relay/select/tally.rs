//! Why no tag was chosen: how many tags there are, and how many of them each reason rules out.

use super::Tags;
use super::filter::{self, Dropped};
use super::order::{Order, Unranked};
use crate::model::policy::Select;
use crate::model::{TagRef, text};
use std::fmt;

/// The tags of a list, counted by the reason that rules them out by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    n_tags: usize,
    counts: Vec<Count>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Count {
    reason: Reason,
    n_tags: usize,
    /// The text of the first such tag, as it was compared.
    example: String,
}

/// What rules a tag out by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Reason {
    Dropped(Dropped),
    Unranked(Unranked),
}

impl Tally {
    /// Counts the tags of one image. Tags of which something must be read first are in no count but that of all.
    pub(super) fn of(select: &Select, order: &mut Order, tags: &Tags<'_>) -> Self {
        let mut tally = Self::default();
        for tag in tags.tags.iter() {
            let dropped = filter::by_name(select, tags.reserved, tag).err();
            let unranked = if dropped.is_none() { order.key(tag, None).err() } else { None };
            tally.count(order, tag, dropped, unranked);
        }
        tally
    }

    /// Counts one tag, and what rules it out by its name, if anything does.
    pub(super) fn count(
        &mut self,
        order: &mut Order,
        tag: TagRef<'_>,
        dropped: Option<Dropped>,
        unranked: Option<Unranked>,
    ) {
        self.n_tags += 1;
        let Some(reason) = dropped.map(Reason::Dropped).or(unranked.map(Reason::Unranked)) else { return };
        if let Some(count) = self.counts.iter_mut().find(|count| count.reason == reason) {
            count.n_tags += 1;
            return;
        }
        let example = match reason {
            Reason::Dropped(_) => text::shown(tag.as_str()),
            Reason::Unranked(_) => text::shown(&order.compared(tag)),
        };
        self.counts.push(Count { reason, n_tags: 1, example });
    }
}

/// `3 tags: 2 are no number (20260601-000001), 1 does not match (latest)`, the most frequent reason first.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.n_tags {
            0 => return f.write_str("there is no tag"),
            1 => f.write_str("1 tag")?,
            n => write!(f, "{n} tags")?,
        }
        let mut counts: Vec<&Count> = self.counts.iter().collect();
        counts.sort_by_key(|count| std::cmp::Reverse(count.n_tags));
        for (at, count) in counts.into_iter().enumerate() {
            f.write_str(if at == 0 { ": " } else { ", " })?;
            write!(f, "{} {} (", count.n_tags, count.reason.in_words(count.n_tags == 1))?;
            let is_bare = count.example.is_empty();
            write!(f, "{})", if is_bare { "an empty text" } else { &count.example })?;
        }
        Ok(())
    }
}

impl Reason {
    /// The rest of the sentence that begins with the number of tags.
    fn in_words(&self, is_one: bool) -> String {
        let is = if is_one { "is" } else { "are" };
        match self {
            Self::Dropped(Dropped::Unmatched) => format!("{} not match", if is_one { "does" } else { "do" }),
            Self::Dropped(Dropped::Attachment) => format!("{is} attached to a build"),
            Self::Dropped(Dropped::Ours) => format!("{is} tagrelay's own"),
            Self::Dropped(Dropped::Reserved) => format!("{is} followed or retagged by a policy"),
            Self::Dropped(ignored @ Dropped::Ignored(_)) => format!("{is} {ignored}"),
            Self::Unranked(Unranked::NoVersion) => format!("{is} no version"),
            Self::Unranked(Unranked::NoNumber) => format!("{is} no number"),
            Self::Unranked(Unranked::OutOfRange) => format!("{is} outside of the range"),
            Self::Unranked(Unranked::Prerelease) => {
                let what = if is_one { "is a pre-release" } else { "are pre-releases" };
                format!("{what}, and the range names none, as `>=1.0.0-0` does")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::model::Span;
    use crate::model::policy::{Extreme, Pattern, Select, Strategy};
    use crate::relay::select::pick;

    fn told(
        strategy: Strategy,
        matches: Option<&str>,
        extract: Option<&str>,
        ignore: &[&str],
        lines: &[&str],
    ) -> String {
        let pattern = |text: &str| Pattern { text: text.to_owned(), regex: regex::Regex::new(text).expect(text) };
        let select = Select {
            strategy,
            matches: matches.map(pattern),
            extract: extract.map(str::to_owned),
            ignore: ignore.iter().map(|text| pattern(text)).collect(),
            branch: None,
            labels: Vec::new(),
            min_age: Span::ZERO,
            allow_downgrade: false,
        };
        pick(&select, lines.iter().copied()).expect("sound").tally.to_string()
    }

    #[test]
    fn each_reason_is_counted_with_the_text_that_was_compared() {
        let semver = |range: &str| Strategy::Semver(range.to_owned());
        let largest = || Strategy::Numeric(Extreme::Largest);
        for (strategy, matches, extract, ignore, lines, expected) in [
            (
                largest(),
                Some(r"^(?P<ts>\d{8}-\d{6})-[0-9a-f]+$"),
                Some("$ts"),
                &[][..],
                &["20260528-153652-aaaaaaa", "latest", "20260601-000001-ccccccc"][..],
                "3 tags: 2 are no number (20260528-153652), 1 does not match (latest)",
            ),
            (
                semver(">=1"),
                Some("^([0-9.]+)-[0-9a-z]{9}$"),
                Some("$1"),
                &[],
                &["1.9.7.4460-a39b25852", "1.9.6.4429-23901a099"],
                "2 tags: 2 are no version (1.9.7.4460)",
            ),
            (semver("^7"), None, None, &[], &["1.0.0"], "1 tag: 1 is outside of the range (1.0.0)"),
            (
                semver("^1"),
                None,
                None,
                &["-debug$"],
                &["1.0.0-debug", "1.0.0-rc.1"],
                "2 tags: 1 is ignored by `-debug$` (1.0.0-debug), 1 is a pre-release, and the range names none, as \
                 `>=1.0.0-0` does (1.0.0-rc.1)",
            ),
            (largest(), Some("^b([0-9]*)$"), Some("$1"), &[], &["b"], "1 tag: 1 is no number (an empty text)"),
            (
                largest(),
                None,
                None,
                &[],
                &["sha256-0123.sig", "tagrelay-prod-1"],
                "2 tags: 1 is attached to a build (sha256-0123.sig), 1 is tagrelay's own (tagrelay-prod-1)",
            ),
            (semver("*"), None, None, &[], &[], "there is no tag"),
        ] {
            assert_eq!(told(strategy, matches, extract, ignore, lines), expected);
        }
    }
}
