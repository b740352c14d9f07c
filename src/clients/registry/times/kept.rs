//! What is kept of each repository's push times: that its tags were sought, or that a provider tells nothing, for a while.
//!
//! The times themselves, and the list whose tags were sought, are the daemon's to keep: nothing here grows with the tags.

use super::super::error::RegistryError;
use super::super::host::held;
use super::super::tags::Last;
use crate::model::{Tag, TagList, TagRef};
use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::time::Duration;
use tokio::time::Instant;

/// How long a list that was refused is left alone: rights change when a person changes them.
const REFUSED: Duration = Duration::from_secs(60 * 60);
/// How long a list is left alone that gave no answer: a firewall may be in the way for ever, and nobody should wait for
/// it at each reading.
const UNREACHED: Duration = Duration::from_secs(5 * 60);
/// How many readings in a row fail with the registry's own list: they back off for a minute in all. What was pushed last
/// is not guessed for a restart's sake, nor waited for through a whole outage of that list alone.
const FAILURES_MAX: u32 = 5;
/// How many repositories of a host are remembered; past it all are forgotten and asked anew.
const REPOSITORIES_MAX: usize = 4096;

/// Why nothing is told, and until when nobody is asked.
#[derive(Debug)]
struct Silence {
    why: String,
    until: Instant,
}

impl Silence {
    /// For how long a failure means that nothing is told.
    fn of(error: &RegistryError) -> Self {
        let wait = match error {
            RegistryError::Unreachable(_) => UNREACHED,
            RegistryError::Busy { retry_after, .. } => retry_after.unwrap_or(UNREACHED).max(UNREACHED),
            RegistryError::Refused(_)
            | RegistryError::Absent(_)
            | RegistryError::Invalid(_)
            | RegistryError::Immutable(_) => REFUSED,
        };
        Self { why: error.to_string(), until: Instant::now() + wait }
    }
}

/// The tags of a list that are sought, for as long as one reading lasts.
#[derive(Debug, Clone)]
pub(super) struct Untold<'t>(HashSet<&'t str>);

impl<'t> Untold<'t> {
    /// Those that were not listed before.
    fn of(tags: &'t TagList, before: Option<&TagList>) -> Self {
        // Both are sorted by name.
        let mut before = before.into_iter().flat_map(TagList::iter).map(TagRef::as_str).peekable();
        let is_new = |tag: &&str| {
            while before.next_if(|listed| listed < tag).is_some() {}
            before.peek() != Some(tag)
        };
        Self(tags.iter().map(TagRef::as_str).filter(is_new).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn remove(&mut self, tag: &Tag) {
        self.0.remove(tag.as_str());
    }
}

#[derive(Debug)]
enum PushTimeStatus {
    /// The tags of the last list were sought, be it in vain.
    Sought,
    /// The last readings failed, so many.
    Failed(u32),
    /// Nothing is told for a while.
    Silent(Silence),
}

/// What is kept of a host's repositories, by path.
#[derive(Debug, Default)]
pub(in crate::clients::registry) struct Times(Mutex<HashMap<String, PushTimeStatus>>);

impl Times {
    /// Why nothing was told of a repository the last time.
    pub(in crate::clients::registry) fn why_none(&self, path: &str) -> Option<String> {
        match held(&self.0).get(path) {
            Some(PushTimeStatus::Silent(silence)) => Some(silence.why.clone()),
            Some(PushTimeStatus::Sought | PushTimeStatus::Failed(_)) | None => None,
        }
    }

    /// Whether nothing was told, and it is time to ask again, be the tags as they were.
    pub(in crate::clients::registry) fn is_due(&self, path: &str) -> bool {
        match held(&self.0).get(path) {
            Some(PushTimeStatus::Silent(silence)) => silence.until <= Instant::now(),
            Some(PushTimeStatus::Failed(_)) => true,
            Some(PushTimeStatus::Sought) | None => false,
        }
    }

    /// Whether nobody is asked now.
    pub(super) fn is_silent(&self, path: &str) -> bool {
        matches!(held(&self.0).get(path), Some(PushTimeStatus::Silent(silence)) if silence.until > Instant::now())
    }

    /// Which of these tags are to be sought: those that are not in the last list, whose tags were. All, where that is not
    /// known or cannot be had.
    pub(super) fn untold<'t>(&self, path: &str, tags: &'t TagList, last: Option<&dyn Last>) -> Untold<'t> {
        let were_sought = matches!(held(&self.0).get(path), Some(PushTimeStatus::Sought));
        let before = last.filter(|_| were_sought).and_then(Last::tags);
        Untold::of(tags, before.as_ref())
    }

    /// Keeps that the tags of a list were sought.
    pub(super) fn sought(&self, path: &str) {
        self.keep(path, PushTimeStatus::Sought);
    }

    /// Takes in a failure. Where the registry's own list gave no answer, the reading is to be made again, and the error is
    /// handed back; else nothing is told for a while, for a reason that is returned where it is news.
    pub(super) fn failed(
        &self,
        path: &str,
        error: RegistryError,
        on_the_registry: bool,
    ) -> Result<Option<String>, RegistryError> {
        let failures = match held(&self.0).get(path) {
            Some(PushTimeStatus::Failed(failures)) => *failures,
            Some(PushTimeStatus::Silent(_)) => FAILURES_MAX,
            Some(PushTimeStatus::Sought) | None => 0,
        };
        let passes = matches!(error, RegistryError::Unreachable(_) | RegistryError::Busy { .. });
        if on_the_registry && passes && failures < FAILURES_MAX {
            self.keep(path, PushTimeStatus::Failed(failures + 1));
            return Err(error);
        }
        let silence = Silence::of(&error);
        let news = Some(silence.why.clone()).filter(|why| self.why_none(path).as_ref() != Some(why));
        self.keep(path, PushTimeStatus::Silent(silence));
        Ok(news)
    }

    fn keep(&self, path: &str, known: PushTimeStatus) {
        let mut all = held(&self.0);
        if all.len() >= REPOSITORIES_MAX && !all.contains_key(path) {
            all.clear();
        }
        all.insert(path.to_owned(), known);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tags::Mark;
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_a_failure_means() {
        let text = || "no".to_owned();
        let busy = |seconds| RegistryError::Busy { message: text(), retry_after: Some(Duration::from_secs(seconds)) };
        let check = |error: RegistryError, passes: bool, seconds: u64| {
            assert_eq!(Silence::of(&error).until - Instant::now(), Duration::from_secs(seconds), "{error}");
            let times = Times::default();
            let failed = |on_the_registry| times.failed("a", error.clone(), on_the_registry);
            for _ in 0..if passes { FAILURES_MAX } else { 0 } {
                assert_eq!(failed(true), Err(error.clone()), "the reading is made again");
                assert!(times.is_due("a") && times.why_none("a").is_none());
            }
            assert_eq!(failed(true), Ok(Some(text())), "{error}");
            assert_eq!(failed(true), Ok(None), "no news, and no reading fails for what is silent");
            assert_eq!(Times::default().failed("a", error.clone(), false), Ok(Some(text())), "elsewhere");
        };
        check(RegistryError::Refused(text()), false, 3600);
        check(RegistryError::Absent(text()), false, 3600);
        check(RegistryError::Invalid(text()), false, 3600);
        check(RegistryError::Unreachable(text()), true, 300);
        check(busy(5), true, 300);
        check(busy(900), true, 900);
    }

    /// The last list, and whether its tags can be had.
    struct Before(Option<TagList>, Mark);

    impl Last for Before {
        fn mark(&self) -> &Mark {
            &self.1
        }

        fn tags(&self) -> Option<TagList> {
            self.0.clone()
        }
    }

    fn list(names: &[&str]) -> TagList {
        TagList::of(names.iter().copied()).0
    }

    #[test]
    fn what_was_not_listed_before_is_sought() {
        let check = |before: &[&str], tags: &[&str], expected: &[&str]| {
            let tags = list(tags);
            let untold = Untold::of(&tags, Some(&list(before)));
            let mut untold: Vec<&str> = untold.0.into_iter().collect();
            untold.sort_unstable();
            assert_eq!(untold, expected, "{before:?} {tags:?}");
        };
        check(&[], &[], &[]);
        check(&[], &["a", "b"], &["a", "b"]);
        check(&["a", "b"], &[], &[]);
        check(&["a", "b"], &["a", "b"], &[]);
        check(&["b", "d"], &["a", "b", "c", "d", "e"], &["a", "c", "e"]);
        check(&["a", "b", "c", "e", "f"], &["b", "d", "f"], &["d"]);
        check(&["1.10", "1.9"], &["1.1", "1.10", "1.9"], &["1.1"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_repository_is_silent_for_a_while_and_its_tags_are_sought_once() {
        let times = Times::default();
        let (old, new) = (list(&["1", "2"]), list(&["1", "2", "3"]));
        let last = |tags: Option<&TagList>| Before(tags.cloned(), Mark::of(&[], None));
        let untold = |tags: &TagList, last: Option<&dyn Last>| times.untold("a", tags, last).0.len();
        assert_eq!(untold(&old, None), 2);
        assert_eq!(untold(&new, Some(&last(Some(&old)))), 3, "what was listed was not sought");
        times.sought("a");
        let since = last(Some(&old));
        let mut news = times.untold("a", &new, Some(&since));
        assert_eq!(news.0.len(), 1);
        news.remove(&Tag::parse("3").expect("a tag"));
        assert!(news.is_empty());
        assert_eq!(untold(&new, None), 3, "a list that is new to whoever asks");
        assert_eq!(untold(&new, Some(&last(None))), 3, "the last list cannot be had any more");

        let refused = || times.failed("a", RegistryError::Refused("403".to_owned()), true);
        assert_eq!(refused(), Ok(Some("403".to_owned())));
        assert!(times.is_silent("a") && !times.is_silent("b") && !times.is_due("a"));
        tokio::time::advance(REFUSED).await;
        assert!(!times.is_silent("a") && times.is_due("a"));
        assert_eq!(times.why_none("a").as_deref(), Some("403"), "as long as nothing else is known");
        assert_eq!(refused(), Ok(None), "no news");
        assert_eq!(untold(&new, Some(&since)), 3, "what was sought before is not known any more");
        times.sought("a");
        assert_eq!((times.why_none("a"), times.is_due("a")), (None, false));
    }
}
