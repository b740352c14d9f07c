//! What is needed of image repositories, by all policies together, and what of it is to be read when it changes.

use crate::daemon::state::candidates::compares_times;
use crate::daemon::state::memory::{PolicyState, pinned_by_tag};
use crate::model::policy::Select;
use crate::model::schedule::Poll;
use crate::model::{Repository, Tag};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What is needed of a repository, by all policies together.
#[derive(Debug, Clone, PartialEq, Default)]
pub(in crate::daemon) struct Need {
    /// Whether anything selects among its tags.
    pub(in crate::daemon) tags: bool,
    /// Whether anything compares when they were pushed.
    pub(in crate::daemon) times: bool,
    /// The tags that are followed or retagged there.
    pub(in crate::daemon) followed: BTreeSet<Tag>,
    /// How old a reading may be: the shortest counts.
    pub(in crate::daemon) polls: Vec<Poll>,
}

impl Need {
    /// Whether a push of this tag can change anything.
    pub(in crate::daemon) fn looks_at(&self, tag: &Tag) -> bool {
        self.tags || self.followed.contains(tag)
    }

    /// Whether nobody needs anything just now.
    pub(in crate::daemon) fn is_nothing(&self) -> bool {
        self.polls.is_empty()
    }

    /// What is to be read at once for this, where a reading was made for `served`. Where less is needed the rest is told
    /// again without it: what nobody reads any more is known no longer.
    pub(in crate::daemon) fn beyond(&self, served: &Self) -> Option<Extent> {
        if (self.tags && !served.tags) || (self.times && !served.times) {
            return Some(Extent::Whole);
        }
        let of = |need: &Self| (need.tags, need.times);
        (of(self) != of(served) || self.followed != served.followed).then_some(Extent::Followed)
    }

    /// Whether a cron expression says when: the same minute for many.
    pub(in crate::daemon) fn is_by_cron(&self) -> bool {
        self.polls.iter().any(|poll| matches!(poll, Poll::Cron(_)))
    }

    /// How long it is until a reading is too old that was made at `last`, so long ago by the machine's own count: a clock
    /// that was set back makes no reading young.
    pub(in crate::daemon) fn left(&self, last: Timestamp, now: Timestamp, passed: Duration) -> Duration {
        let until = |moment: Timestamp| Duration::try_from(moment.duration_since(now)).unwrap_or_default();
        let left = |poll: &Poll| match poll {
            Poll::Every(span) => {
                let by_clock = last.saturating_add(span.get()).map_or(Duration::MAX, until);
                Some(by_clock.min(span.get().saturating_sub(passed)))
            }
            Poll::Cron(cron) => cron.next_after(last).map(until),
        };
        self.polls.iter().filter_map(left).min().unwrap_or(Duration::MAX)
    }
}

/// How much is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::daemon) enum Extent {
    /// All that is needed.
    Whole,
    /// All followed tags, and no list: it is as young as it was.
    Followed,
}

/// Which repositories are polled, and what is needed of each.
pub(in crate::daemon) fn needs<'a>(policies: impl Iterator<Item = &'a PolicyState>) -> BTreeMap<Repository, Need> {
    let mut needs: BTreeMap<Repository, Need> = BTreeMap::new();
    for known in policies {
        let policy = &known.policy;
        let mut need = |repository: &Repository, add: &dyn Fn(&mut Need)| {
            let need = needs.entry(repository.clone()).or_default();
            add(need);
            let poll: &Poll = &policy.poll;
            if !need.polls.contains(poll) {
                need.polls.push(poll.clone());
            }
        };
        policy.images.iter().for_each(|image| need(&image.repository, &|_| ()));
        for (environment, standing) in policy.environments.iter().zip(&known.standings) {
            if environment.select.as_ref().is_some_and(Select::lists) {
                let images = policy.selected_images(environment);
                let times = environment.select.as_ref().is_some_and(compares_times);
                let add = |need: &mut Need| (need.tags, need.times) = (true, need.times | times);
                images.iter().for_each(|image| need(&image.repository, &add));
            }
            let pinned = pinned_by_tag(environment, &standing.ledger);
            for image in &environment.images {
                let pinned = pinned.and_then(|release| Some(&release.builds().get(&image.name)?.tag));
                let tags: Vec<&Tag> = environment.followed_tag().into_iter().chain(pinned).collect();
                if !tags.is_empty() {
                    need(&image.repository, &|need| need.followed.extend(tags.iter().copied().cloned()));
                }
            }
        }
    }
    needs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Span;

    #[test]
    fn what_was_told_already_is_not_read_again() {
        let need = |tags, times, followed: &[&str]| Need {
            tags,
            times,
            followed: followed.iter().map(|tag| Tag::parse(tag).expect("a tag")).collect(),
            polls: Vec::new(),
        };
        let check = |needed: &Need, served: &Need, expected| {
            assert_eq!(needed.beyond(served), expected, "{needed:?} after {served:?}");
        };
        let (list, times, one) = (need(true, false, &[]), need(true, true, &[]), need(true, false, &["a"]));
        check(&list, &list, None);
        check(&list, &times, Some(Extent::Followed));
        check(&list, &one, Some(Extent::Followed));
        check(&times, &list, Some(Extent::Whole));
        check(&one, &list, Some(Extent::Followed));
        check(&need(true, true, &["a"]), &one, Some(Extent::Whole));
        check(&need(false, false, &["b"]), &one, Some(Extent::Followed));
    }

    #[test]
    fn a_reading_grows_old_by_the_clock_or_by_the_machines_count() {
        let at = |text: &str| text.parse::<Timestamp>().expect("a time");
        let need =
            Need { polls: vec![Poll::Every(Span::seconds(60)), Poll::Every(Span::seconds(300))], ..Need::default() };
        let check = |now: &str, passed: u64, expected: u64| {
            let left = need.left(at("2026-01-05T12:00:00Z"), at(now), Duration::from_secs(passed));
            assert_eq!(left, Duration::from_secs(expected), "{now} {passed}");
        };
        check("2026-01-05T12:00:00Z", 0, 60);
        check("2026-01-05T12:00:20Z", 20, 40);
        check("2026-01-05T12:01:00Z", 60, 0);
        check("2026-01-05T12:02:00Z", 120, 0);
        // A machine that slept counts on.
        check("2026-01-05T13:00:00Z", 1, 0);
        // A clock that was set back.
        check("2026-01-05T11:00:20Z", 20, 40);
        check("2026-01-05T11:01:00Z", 60, 0);
        assert_eq!(
            Need::default().left(at("2026-01-05T12:00:00Z"), at("2026-01-05T12:00:00Z"), Duration::ZERO),
            Duration::MAX
        );
    }
}
