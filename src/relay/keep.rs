//! What is kept from a registry's lifecycle rules: the builds of what runs and of what was last verified, under tags of
//! our own.
//!
//! It is no promotion: such a tag is never a candidate, and nothing runs by it. It removes nothing; it says which tags of
//! this environment have had their time, and only those that stand for a release which the journal knows to have run here.

use crate::model::event::Order;
use crate::model::{Digest, EnvironmentName, Ledger, Release, ReleaseId, Tag};
use std::collections::BTreeSet;

/// The beginning of the tags that this program keeps builds alive with.
pub const PREFIX: &str = "tagrelay-";

/// The right to tag the builds of one release, so that no lifecycle rule deletes them. Only this module makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    tag: Tag,
    release: Release,
    runs: bool,
}

impl Kept {
    /// The tag: `tagrelay-<environment>-<first digits of the release>`.
    #[must_use]
    pub fn tag(&self) -> &Tag {
        &self.tag
    }

    /// The release whose builds it names.
    #[must_use]
    pub fn release(&self) -> &Release {
        &self.release
    }

    /// Whether it is what runs, or is on its way.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.runs
    }
}

/// The right to remove the tag of one release that is kept no longer. Only this module makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lapsed {
    tag: Tag,
    release: Release,
}

impl Lapsed {
    /// The tag: `tagrelay-<environment>-<first digits of the release>`.
    #[must_use]
    pub fn tag(&self) -> &Tag {
        &self.tag
    }

    /// The release whose builds it named.
    #[must_use]
    pub fn release(&self) -> &Release {
        &self.release
    }
}

/// The releases that are kept: what runs, then, newest first, the last `n` others that were verified here and not refused
/// since. So `n = 1` keeps what a rollback goes back to.
#[must_use]
pub fn keep(ledger: &Ledger, n: u32) -> Vec<&Release> {
    let mut kept: Vec<&Release> = ledger.current().and_then(|arrival| arrival.release.as_ref()).into_iter().collect();
    let most = kept.len().saturating_add(usize::try_from(n).unwrap_or(usize::MAX));
    for arrival in ledger.arrivals.iter().rev().filter(|arrival| arrival.verified_at().is_some()) {
        if kept.len() >= most {
            break;
        }
        let Some(release) = &arrival.release else { continue };
        if !kept.contains(&release) && ledger.verified_at(release.id()).is_some() {
            kept.push(release);
        }
    }
    kept
}

/// The rights to keep these releases.
#[must_use]
pub fn rights(environment: &EnvironmentName, ledger: &Ledger, n: u32) -> Vec<Kept> {
    let right = |release: &Release| {
        let runs = ledger.current().is_some_and(|arrival| arrival.is_of(release.id()));
        Some(Kept { tag: tag(environment, release.id())?, release: release.clone(), runs })
    };
    keep(ledger, n).into_iter().filter_map(right).collect()
}

/// The builds that an environment keeps or is about to need: no tag is taken from these, whoever's it is, for not every
/// registry removes a tag and nothing else.
pub fn used(ledger: &Ledger, n: u32) -> impl Iterator<Item = &Digest> {
    let ordered = ledger.order.as_ref().and_then(|standing| match &standing.order {
        Order::Promote { release, force: _, holds: _ } | Order::Rollback { to: release, why: _ } => Some(release),
        Order::Verify => None,
    });
    let begun = ledger.open_intent().map(|intent| &intent.release);
    let releases = keep(ledger, n).into_iter().chain(ordered).chain(begun);
    releases.flat_map(|release| release.builds().values().map(|build| &build.digest))
}

/// The releases that ran here and are kept no longer, newest first, but for those with a build that is [`used`] somewhere;
/// none as long as nobody can tell what runs.
#[must_use]
pub fn lapsed(environment: &EnvironmentName, ledger: &Ledger, n: u32, used: &BTreeSet<Digest>) -> Vec<Lapsed> {
    if ledger.current().is_none_or(|arrival| arrival.release.is_none()) {
        return Vec::new();
    }
    let mut seen: BTreeSet<&ReleaseId> = keep(ledger, n).into_iter().map(Release::id).collect();
    let is_used = |release: &Release| release.builds().values().any(|build| used.contains(&build.digest));
    let mut past = Vec::new();
    for release in ledger.arrivals.iter().rev().filter_map(|arrival| arrival.release.as_ref()) {
        if seen.insert(release.id()) && !is_used(release) {
            past.extend(tag(environment, release.id()).map(|tag| Lapsed { tag, release: release.clone() }));
        }
    }
    past
}

fn tag(environment: &EnvironmentName, release: &ReleaseId) -> Option<Tag> {
    Tag::parse(&format!("{PREFIX}{environment}-{release}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::{Origin, Outcome};
    use crate::model::ledger::{Arrival, End, Refusal};
    use crate::model::{Build, BuildFacts, ImageName, Pin, Sequence};
    use jiff::Timestamp;

    fn release(n: u64) -> Release {
        let digest = Digest::of(&n.to_be_bytes());
        let build = Build { tag: Tag::parse("v1").unwrap(), digest, facts: BuildFacts::default().into() };
        Release::new([(ImageName::parse("shop").unwrap(), build)].into())
    }

    /// A time when these releases arrived, one after the other: `+` verified, `-` failed, `.` on its way; 0 is one that
    /// nobody knows.
    fn ledger(arrivals: &[(u64, char)]) -> Ledger {
        let at = |n: usize| Timestamp::from_second(n.try_into().unwrap()).unwrap();
        let arrival = |(n, (release_n, state)): (usize, &(u64, char))| Arrival {
            rollout: Sequence(n.try_into().unwrap()),
            sequence: Sequence(n.try_into().unwrap()),
            at: at(n),
            release: (*release_n > 0).then(|| release(*release_n)),
            pin: Pin::default(),
            commit: None,
            origin: Origin::Other("alice".to_owned()),
            signal: None,
            checks: Default::default(),
            url: None,
            lost: None,
            end: [('+', Outcome::Verified), ('-', Outcome::Failed)].into_iter().find(|(c, _)| c == state).map(
                |(_, outcome)| End {
                    outcome,
                    sequence: Sequence(n.try_into().unwrap()),
                    at: at(n),
                    why: String::new(),
                },
            ),
            rules: None,
            resumed: None,
        };
        Ledger { arrivals: arrivals.iter().enumerate().map(arrival).collect(), ..Ledger::default() }
    }

    fn prod() -> EnvironmentName {
        EnvironmentName::parse("prod").unwrap()
    }

    fn numbers<'r>(releases: impl IntoIterator<Item = &'r Release>) -> Vec<u64> {
        let number = |of: &Release| (1..9).find(|n| release(*n) == *of).unwrap();
        releases.into_iter().map(number).collect()
    }

    #[test]
    fn what_runs_and_the_last_verified_ones() {
        let check = |arrivals: &[(u64, char)], n: u32, kept: &[u64], past: &[u64]| {
            let ledger = ledger(arrivals);
            assert_eq!(numbers(keep(&ledger, n)), kept, "{arrivals:?} {n}");
            let lapsed = lapsed(&prod(), &ledger, n, &BTreeSet::new());
            assert_eq!(numbers(lapsed.iter().map(Lapsed::release)), past, "{arrivals:?} {n}");
        };
        check(&[], 1, &[], &[]);
        check(&[(1, '.')], 1, &[1], &[]);
        check(&[(1, '+'), (2, '+'), (3, '+')], 1, &[3, 2], &[1]);
        check(&[(1, '+'), (2, '+'), (3, '.')], 1, &[3, 2], &[1]);
        check(&[(1, '+'), (2, '-'), (3, '.')], 1, &[3, 1], &[2]);
        check(&[(1, '+'), (2, '+'), (3, '+')], 2, &[3, 2, 1], &[]);
        check(&[(1, '+'), (2, '+'), (1, '.')], 1, &[1, 2], &[]);
        check(&[(1, '+'), (1, '+'), (2, '+'), (2, '+'), (3, '-')], 1, &[3, 2], &[1]);
        check(&[(1, '+'), (2, '+'), (0, '.')], 1, &[2], &[]);
        check(&[(1, '+'), (2, '+')], u32::MAX, &[2, 1], &[]);
    }

    #[test]
    fn a_refused_release_is_not_kept() {
        let mut ledger = ledger(&[(1, '+'), (2, '+'), (1, '+')]);
        let (who, why) = ("alice".to_owned(), "it smokes".to_owned());
        let at = Timestamp::from_second(9).unwrap();
        let refusal = Refusal { release: release(2), sequence: Sequence(9), who, why, at };
        ledger.refusals.insert(release(2).id().clone(), refusal);
        assert_eq!(numbers(keep(&ledger, 5)), [1]);
    }

    #[test]
    fn no_tag_is_taken_from_what_is_used() {
        let ours = ledger(&[(1, '+'), (2, '+'), (3, '+'), (4, '+')]);
        let theirs = ledger(&[(2, '+')]);
        let used = used(&theirs, 0).cloned().collect();
        assert_eq!(numbers(lapsed(&prod(), &ours, 1, &used).iter().map(Lapsed::release)), [1]);
    }

    #[test]
    fn a_tag_is_of_one_environment_and_one_release() {
        let ledger = ledger(&[(1, '+'), (2, '+'), (3, '.')]);
        let kept = rights(&prod(), &ledger, 1);
        let of = |kept: &Kept| (kept.tag().to_string(), kept.runs());
        let expected = |n, runs| (format!("tagrelay-prod-{}", release(n).id()), runs);
        assert_eq!(kept.iter().map(of).collect::<Vec<_>>(), [expected(3, true), expected(2, false)]);
        // The last twelve digits are the release, so what stands before them is the whole name.
        let longer = format!("prod-{}", release(1).id());
        let longer = tag(&EnvironmentName::parse(&longer).unwrap(), release(1).id());
        assert_ne!(longer, tag(&prod(), release(1).id()));
        let longest = EnvironmentName::parse(&"a".repeat(63)).unwrap();
        assert!(tag(&longest, release(1).id()).is_some(), "no name makes it too long");
    }
}
