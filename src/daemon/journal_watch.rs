//! Whether the journal takes writes. While it does not, nothing is begun: what cannot be kept must not be made.

use super::Daemon;
use crate::model::Why;
use jiff::Timestamp;
use std::time::Duration;
use tokio::time::Instant;

/// How often a journal that took no write is tried: a person who made room waits no longer than this.
const TRY_EVERY: Duration = Duration::from_secs(5);

/// What is known of the journal's writes.
#[derive(Debug, Default)]
pub(super) struct JournalWatch {
    trouble: Option<JournalTrouble>,
    tried: Option<Instant>,
}

/// Why the journal takes no write, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct JournalTrouble {
    pub(super) since: Timestamp,
    pub(super) why: String,
}

impl JournalTrouble {
    /// The reason that environments wait for.
    pub(super) fn why(&self) -> Why {
        Why::JournalUnwell { since: self.since, why: self.why.clone() }
    }
}

impl JournalWatch {
    /// Why the journal takes no write; none while it does.
    pub(super) fn trouble(&self) -> Option<&JournalTrouble> {
        self.trouble.as_ref()
    }

    /// Takes in what the journal says of its last write. Returns whether it fell ill, changed its reason, or recovered.
    fn take(&mut self, why: Option<String>, now: Timestamp) -> bool {
        if self.trouble.as_ref().map(|trouble| &trouble.why) == why.as_ref() {
            return false;
        }
        let since = self.trouble.as_ref().map_or(now, |trouble| trouble.since);
        self.trouble = why.map(|why| JournalTrouble { since, why });
        true
    }

    /// Whether it is time to try a write: the failure itself was the first try.
    fn is_try_due(&mut self, now: Instant) -> bool {
        let is_due = now.duration_since(*self.tried.get_or_insert(now)) >= TRY_EVERY;
        if is_due {
            self.tried = Some(now);
        }
        is_due
    }
}

impl Daemon {
    /// Looks at the journal before anything is begun, and tries a write where the last one failed.
    pub(super) async fn look_at_the_journal(&mut self) {
        let mut why = self.journal.trouble();
        if why.is_some() && self.journal_watch.is_try_due(Instant::now()) {
            why = self.journal.try_write().await.err().map(|error| error.to_string());
        }
        if why.is_none() {
            self.journal_watch.tried = None;
        }
        if !self.journal_watch.take(why, self.clock.now()) {
            return;
        }
        match self.journal_watch.trouble() {
            Some(trouble) => {
                tracing::error!(error = %trouble.why, "the journal takes no write, and nothing is begun until it does: {}", trouble.why);
            }
            None => {
                tracing::info!("the journal takes writes again");
                self.mark_all();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_the_first_failure_and_recovery_ends_it() {
        let at = |second| Timestamp::from_second(second).expect("time");
        let since = |watch: &JournalWatch| watch.trouble().map(|trouble| (trouble.since, trouble.why.clone()));
        let mut watch = JournalWatch::default();
        assert!(!watch.take(None, at(1)));
        assert!(watch.take(Some("full".to_owned()), at(2)));
        assert!(!watch.take(Some("full".to_owned()), at(3)));
        assert!(watch.take(Some("deleted".to_owned()), at(4)));
        assert_eq!(since(&watch), Some((at(2), "deleted".to_owned())));
        assert!(watch.take(None, at(5)));
        assert_eq!(since(&watch), None);
    }

    #[test]
    fn a_write_is_tried_once_in_a_while() {
        let (mut watch, begin) = (JournalWatch::default(), Instant::now());
        assert!(!watch.is_try_due(begin));
        assert!(!watch.is_try_due(begin + TRY_EVERY / 2));
        assert!(watch.is_try_due(begin + TRY_EVERY));
        assert!(!watch.is_try_due(begin + TRY_EVERY + TRY_EVERY / 2));
    }
}
