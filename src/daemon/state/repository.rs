//! What a reading means beside what is known of a repository by the time it comes in.
//!
//! It reads nothing and keeps nothing: the loop asks here what became of what was asked for a while ago.

use crate::clients::registry::ListedTag;
use crate::daemon::state::memory::RepositoryState;
use crate::model::{Build, Digest, Tag};

impl RepositoryState {
    /// The digest that a tag names by the readings of its repository, where one told it.
    pub(in crate::daemon) fn digest(&self, tag: &Tag) -> Option<&Digest> {
        let followed = self.followed.get(tag).and_then(Option::as_ref);
        followed.or_else(|| self.build(tag).map(|build| &build.digest))
    }

    /// Whether a followed tag names a digest.
    pub(in crate::daemon) fn follows(&self, digest: &Digest) -> bool {
        self.followed.values().flatten().any(|followed| followed == digest)
    }

    /// Whether a tag came to name another digest while its build was read: what was read counts for nothing then.
    pub(in crate::daemon) fn is_overtaken(&self, tag: &Tag, read: Option<&Digest>) -> bool {
        self.digest(tag).is_some_and(|now| Some(now) != read)
    }

    /// A build that was read, with the time of its push as the list told it, before or meanwhile.
    pub(in crate::daemon) fn with_push(&self, build: Build) -> Build {
        let told = self.build(&build.tag).filter(|told| told.digest == build.digest);
        match told.and_then(|told| told.facts.pushed).filter(|pushed| build.facts.pushed != Some(*pushed)) {
            Some(pushed) => build.with(|facts| facts.pushed = Some(pushed)),
            None => build,
        }
    }

    /// Whether what a list tells of a tag is known. When it was pushed only matters where times are compared: nothing
    /// else asks for that, and what is known of a build came without it.
    pub(in crate::daemon) fn knows(&self, told: &ListedTag, times: bool) -> bool {
        self.build(&told.tag)
            .is_some_and(|build| build.digest == told.digest && (!times || build.facts.pushed == told.pushed))
    }

    fn build(&self, tag: &Tag) -> Option<&Build> {
        self.known.get(tag).and_then(|known| known.build.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::BuildFacts;
    use crate::relay::select::TagFacts;
    use jiff::Timestamp;

    fn tag() -> Tag {
        Tag::parse("1.0").expect("a tag")
    }

    fn digest(of: char) -> Digest {
        Digest::parse(&format!("sha256:{}", of.to_string().repeat(64))).expect("a digest")
    }

    fn time(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn build(of: char, pushed: Option<i64>) -> Build {
        let facts = BuildFacts { pushed: pushed.map(time), ..BuildFacts::default() }.into();
        Build { tag: tag(), digest: digest(of), facts }
    }

    fn shelf(followed: Option<Option<char>>, known: Option<Build>) -> RepositoryState {
        let mut shelf = RepositoryState::default();
        shelf.followed.extend(followed.map(|of| (tag(), of.map(digest))));
        shelf.known.extend(known.map(|build| (tag(), TagFacts::of(build))));
        shelf
    }

    #[test]
    fn a_reading_is_overtaken_by_another_digest_only() {
        let check = |followed, known: Option<char>, read: Option<char>, expected| {
            let shelf = shelf(followed, known.map(|of| build(of, None)));
            let read = read.map(digest);
            assert_eq!(shelf.is_overtaken(&tag(), read.as_ref()), expected, "{followed:?} {known:?} {read:?}");
        };
        check(None, None, Some('a'), false);
        check(None, Some('a'), Some('a'), false);
        check(None, Some('b'), Some('a'), true);
        check(Some(Some('a')), None, Some('a'), false);
        check(Some(Some('b')), None, Some('a'), true);
        check(Some(Some('b')), Some('a'), Some('a'), true);
        check(Some(Some('b')), None, None, true);
        // Nothing was there a moment ago: what was read is newer, and asking again would tell the same.
        check(Some(None), None, Some('a'), false);
        check(Some(None), None, None, false);
    }

    #[test]
    fn push_times_that_were_told_meanwhile_are_kept() {
        let check = |known: Option<Build>, read, expected: Option<i64>| {
            let build = shelf(None, known).with_push(read);
            assert_eq!(build.facts.pushed, expected.map(time));
        };
        check(None, build('a', Some(1)), Some(1));
        check(Some(build('a', Some(2))), build('a', None), Some(2));
        check(Some(build('a', Some(2))), build('a', Some(1)), Some(2));
        check(Some(build('a', None)), build('a', Some(1)), Some(1));
        check(Some(build('b', Some(2))), build('a', None), None);
    }

    #[test]
    fn push_times_make_news_only_where_they_are_compared() {
        let check = |known: Option<Build>, times, expected| {
            let told = ListedTag { tag: tag(), digest: digest('a'), pushed: Some(time(2)) };
            assert_eq!(shelf(None, known.clone()).knows(&told, times), expected, "{known:?} {times}");
        };
        check(None, false, false);
        check(Some(build('a', None)), false, true);
        check(Some(build('b', None)), false, false);
        check(Some(build('a', None)), true, false);
        check(Some(build('a', Some(2))), true, true);
        check(Some(build('b', Some(2))), true, false);
    }
}
