//! What is kept of each repository's push times: which tags were sought, and that a provider tells nothing, for a while.
//!
//! The times themselves are the daemon's to keep.

use super::super::error::RegistryError;
use super::super::host::held;
use crate::model::{Tag, TagList, TagRef};
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
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

/// Tags, of which only hashes are kept: a repository may have a hundred thousand.
#[derive(Debug, Clone, Default)]
pub(super) struct Untold(HashSet<u64>);

impl Untold {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn remove(&mut self, tag: &Tag) {
        self.0.remove(&hash(tag.by_ref()));
    }
}

#[derive(Debug)]
enum Known {
    /// These tags were sought.
    Sought(HashSet<u64>),
    /// The last readings failed, so many.
    Failed(u32),
    /// Nothing is told for a while.
    Silent(Silence),
}

/// What is kept of a host's repositories, by path.
#[derive(Debug, Default)]
pub(in crate::clients::registry) struct Times(Mutex<HashMap<String, Known>>);

impl Times {
    /// Why nothing was told of a repository the last time.
    pub(in crate::clients::registry) fn why_none(&self, path: &str) -> Option<String> {
        match held(&self.0).get(path) {
            Some(Known::Silent(silence)) => Some(silence.why.clone()),
            Some(Known::Sought(_) | Known::Failed(_)) | None => None,
        }
    }

    /// Whether nothing was told, and it is time to ask again, be the tags as they were.
    pub(in crate::clients::registry) fn is_due(&self, path: &str) -> bool {
        match held(&self.0).get(path) {
            Some(Known::Silent(silence)) => silence.until <= Instant::now(),
            Some(Known::Failed(_)) => true,
            Some(Known::Sought(_)) | None => false,
        }
    }

    /// Whether nobody is asked now.
    pub(super) fn is_silent(&self, path: &str) -> bool {
        matches!(held(&self.0).get(path), Some(Known::Silent(silence)) if silence.until > Instant::now())
    }

    /// Which of these tags are to be sought: all, or those that were not before.
    pub(super) fn untold(&self, path: &str, tags: &TagList, all: bool) -> Untold {
        let known = held(&self.0);
        let sought = match known.get(path) {
            Some(Known::Sought(sought)) if !all => Some(sought),
            _ => None,
        };
        let is_new = |tag: &u64| sought.is_none_or(|sought| !sought.contains(tag));
        Untold(tags.iter().map(hash).filter(is_new).collect())
    }

    /// Keeps that these tags were sought, be it in vain.
    pub(super) fn sought(&self, path: &str, tags: &TagList) {
        self.keep(path, Known::Sought(tags.iter().map(hash).collect()));
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
            Some(Known::Failed(failures)) => *failures,
            Some(Known::Silent(_)) => FAILURES_MAX,
            Some(Known::Sought(_)) | None => 0,
        };
        let passes = matches!(error, RegistryError::Unreachable(_) | RegistryError::Busy { .. });
        if on_the_registry && passes && failures < FAILURES_MAX {
            self.keep(path, Known::Failed(failures + 1));
            return Err(error);
        }
        let silence = Silence::of(&error);
        let news = Some(silence.why.clone()).filter(|why| self.why_none(path).as_ref() != Some(why));
        self.keep(path, Known::Silent(silence));
        Ok(news)
    }

    fn keep(&self, path: &str, known: Known) {
        let mut all = held(&self.0);
        if all.len() >= REPOSITORIES_MAX && !all.contains_key(path) {
            all.clear();
        }
        all.insert(path.to_owned(), known);
    }
}

fn hash(tag: TagRef<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    tag.as_str().hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
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

    #[tokio::test(start_paused = true)]
    async fn a_repository_is_silent_for_a_while_and_its_tags_are_sought_once() {
        let times = Times::default();
        let list = |names: &[&str]| TagList::of(names.iter().copied()).0;
        let (old, new) = (list(&["1", "2"]), list(&["1", "2", "3"]));
        assert_eq!(times.untold("a", &old, false).0.len(), 2);
        times.sought("a", &old);
        let mut untold = times.untold("a", &new, false);
        assert_eq!(untold.0.len(), 1);
        untold.remove(&Tag::parse("3").expect("a tag"));
        assert!(untold.is_empty());
        assert_eq!(times.untold("a", &new, true).0.len(), 3, "a list that is new to whoever asks");

        let refused = || times.failed("a", RegistryError::Refused("403".to_owned()), true);
        assert_eq!(refused(), Ok(Some("403".to_owned())));
        assert!(times.is_silent("a") && !times.is_silent("b") && !times.is_due("a"));
        tokio::time::advance(REFUSED).await;
        assert!(!times.is_silent("a") && times.is_due("a"));
        assert_eq!(times.why_none("a").as_deref(), Some("403"), "as long as nothing else is known");
        assert_eq!(refused(), Ok(None), "no news");
        assert_eq!(times.untold("a", &old, false).0.len(), 2, "what was sought before is not known any more");
        times.sought("a", &old);
        assert_eq!((times.why_none("a"), times.is_due("a")), (None, false));
    }
}
