//! Posted verdicts: which rollout one is about, and whether it counts there.
//!
//! Argo CD and Flux report the commit that they synced, which is the tip of the branch at that moment: mostly a later one
//! than the commit that began the rollout. Such a commit stands for the rollout as long as the rollout's pin stands in it.

use super::facts;
use crate::model::event::{CheckResult, Verdict};
use crate::model::policy::{CheckMethod, Signal};
use crate::model::{Arrival, CommitId, Digest, Environment, ImageName, Ledger, Origin, Sequence, text};
use std::collections::BTreeMap;

/// By what a sender names a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// By its id, which this journal gave out.
    Rollout(Sequence),
    /// By a commit of its branch.
    Commit(CommitId),
    /// By a text that is neither.
    Unknown,
}

impl Named {
    /// Reads `<journal>-<sequence>`, `<journal>/<sequence>`, or the full id of a commit.
    #[must_use]
    pub fn read(text: &str, journal: &str) -> Self {
        if let Some(commit) = CommitId::parse(&text.to_ascii_lowercase()) {
            return Self::Commit(commit);
        }
        let of_journal = text.rsplit_once(['-', '/']).filter(|(of, _)| *of == journal);
        let sequence = of_journal.and_then(|(_, sequence)| sequence.parse().ok());
        sequence.map_or(Self::Unknown, |sequence| Self::Rollout(Sequence(sequence)))
    }
}

/// The rollout that a sender means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Found<'a> {
    /// This one.
    It(&'a Arrival),
    /// This one, if the commit stands on the branch at or after this one and still holds the rollout's pin.
    Perhaps(&'a Arrival, &'a CommitId),
    /// None.
    None,
}

/// Finds the rollout that a sender means: the last that has this id or began with this commit, else the one that came last,
/// if the branch says so.
#[must_use]
pub fn find<'a>(ledger: &'a Ledger, named: &Named) -> Found<'a> {
    let arrivals = || ledger.arrivals.iter().rev();
    match named {
        Named::Unknown => Found::None,
        Named::Rollout(sequence) => {
            arrivals().find(|arrival| arrival.rollout == *sequence).map_or(Found::None, Found::It)
        }
        Named::Commit(commit) => match arrivals().find(|arrival| arrival.commit.as_ref() == Some(commit)) {
            Some(arrival) => Found::It(arrival),
            None => {
                let last = ledger.current().and_then(|last| Some((last, last.commit.as_ref()?)));
                last.map_or(Found::None, |(last, since)| Found::Perhaps(last, since))
            }
        },
    }
}

/// What becomes of a verdict whose commit was looked for on the branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Searched {
    /// It is kept for this rollout, whose commit came to be known meanwhile.
    Known(Sequence),
    /// What the search found counts.
    Counts,
    /// Another rollout began meanwhile, about which the search says nothing: the sender posts again.
    Stale,
}

/// What becomes of a verdict that was looked for as if it were about the rollout `searched`, where it means this by now.
#[must_use]
pub fn searched(found: &Found<'_>, searched: Sequence) -> Searched {
    match found {
        Found::It(arrival) => Searched::Known(arrival.rollout),
        Found::Perhaps(last, _) if last.rollout != searched => Searched::Stale,
        Found::Perhaps(..) | Found::None => Searched::Counts,
    }
}

/// What a sender says of a rollout.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Posted<'a> {
    /// The smoke test it is about; none = the rollout's signals.
    pub check: Option<&'a str>,
    /// The digests that were looked at, where they are said.
    pub digests: Option<&'a BTreeMap<ImageName, Digest>>,
    /// What it says; for a check, `Healthy` is passed.
    pub verdict: Verdict,
}

/// Whether a verdict counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Counts {
    /// It is new, and kept.
    New,
    /// It was said already.
    Repeated,
    /// It does not, and why.
    Not(String),
}

/// Whether a verdict counts for a rollout of an environment.
#[must_use]
pub fn counts(environment: &Environment, arrival: &Arrival, posted: &Posted<'_>) -> Counts {
    if let Some(objection) = unasked(environment, arrival, posted).or_else(|| other_digests(arrival, posted.digests)) {
        return Counts::Not(objection);
    }
    if is_said(arrival, posted) {
        return Counts::Repeated;
    }
    match &arrival.end {
        Some(end) => Counts::Not(format!(
            "rollout {} is over: {} at {:.0} ({}); `tagrelay verify` has what runs judged anew",
            arrival.rollout, end.outcome, end.at, end.why
        )),
        None if arrival.origin == Origin::Adopted => {
            let why = "what runs there was met as it is, and nothing of it is followed: `tagrelay verify` begins that";
            Counts::Not(why.to_owned())
        }
        None => Counts::New,
    }
}

/// A verdict counts only where the rules of the rollout wait for one.
fn unasked(environment: &Environment, arrival: &Arrival, posted: &Posted<'_>) -> Option<String> {
    let rules = facts::rules(environment, arrival);
    let is_asked = match posted.check {
        None => rules.rollout.contains(&Signal::Webhook),
        Some(check) => rules.verify.iter().any(|spec| spec.name == check && spec.method == CheckMethod::Webhook),
    };
    let what = match posted.check {
        None => "waits for no posted verdict: it would have `webhook: {}` in `rollout`".to_owned(),
        Some(check) => format!("has no check `{}` with `webhook: {{}}`", text::shown(check)),
    };
    (!is_asked).then(|| format!("environment {} {what}", environment.name))
}

/// Where digests are said, all images of the release must be among them, and each must be right.
fn other_digests(arrival: &Arrival, digests: Option<&BTreeMap<ImageName, Digest>>) -> Option<String> {
    let digests = digests?;
    let Some(release) = &arrival.release else {
        return Some("nobody can tell which builds this rollout brought".to_owned());
    };
    let builds = release.builds();
    if let Some((image, _)) = builds.iter().find(|(image, _)| !digests.contains_key(image)) {
        return Some(format!("`digests` does not name the image `{image}`: name every image, or leave `digests` out"));
    }
    let is_right = |(image, digest): &(&ImageName, &Digest)| builds.get(image).is_some_and(|b| b.digest == **digest);
    let (image, digest) = digests.iter().find(|said| !is_right(said))?;
    Some(match builds.get(image) {
        Some(build) => {
            let (said, brought) = (digest.short(), build.digest.short());
            format!("rollout {} brought `{image}` at {brought}, not at {said}", arrival.rollout)
        }
        None => format!("the policy has no image `{image}`"),
    })
}

/// Whether the rollout knows this already, so that a sender who repeats itself adds nothing.
fn is_said(arrival: &Arrival, posted: &Posted<'_>) -> bool {
    match posted.check {
        None => arrival.signal.as_ref().is_some_and(|signal| signal.verdict == posted.verdict),
        Some(check) => arrival.checks.get(check).is_some_and(|result| match result {
            CheckResult::Passed => posted.verdict == Verdict::Healthy,
            CheckResult::Failed(_) => posted.verdict == Verdict::Failed,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::{Because, Effect, Event, Outcome};
    use crate::model::policy::Check;
    use crate::model::{Entry, PinForm, Release, Scope, Span};
    use crate::relay::tests::world::{environment, release};

    fn commit(n: u8) -> CommitId {
        CommitId::parse(&format!("{n:040x}")).expect("a commit")
    }

    fn ledger(events: Vec<Event>) -> Ledger {
        let entries = events.into_iter().zip(1..).map(|(event, sequence)| {
            let at = "2026-01-05T10:00:00Z".parse().expect("a time");
            Entry { sequence: Sequence(sequence), at, scope: Scope::default(), event }
        });
        Ledger::of(&Scope::default(), &entries.collect::<Vec<_>>())
    }

    /// Two releases came, the first by commit 1 as rollout 1, the second by commit 5 as rollout 4.
    fn two() -> Vec<Event> {
        let intended = |release: Release| Event::Intended {
            effect: Effect::Commit { form: PinForm::TagAtDigest },
            release,
            because: Because::NoGates,
        };
        let ended = |rollout| Event::Ended { rollout, outcome: Outcome::Canceled, why: "overtaken".to_owned() };
        vec![
            intended(release(1)),
            Event::Committed { intent: Sequence(1), commit: commit(1) },
            ended(Sequence(1)),
            intended(release(2)),
            Event::Committed { intent: Sequence(4), commit: commit(5) },
        ]
    }

    #[test]
    fn a_rollout_is_named_by_its_id_or_by_a_commit_that_holds_its_pin() {
        let ledger = ledger(two());
        let check = |named: &str, expected: &str| {
            let said = match find(&ledger, &Named::read(named, "aaaa-bbbb")) {
                Found::It(arrival) => format!("it {}", arrival.rollout),
                Found::Perhaps(arrival, since) => format!("perhaps {} since {}", arrival.rollout, since.short()),
                Found::None => "none".to_owned(),
            };
            assert_eq!(said, expected, "{named}");
        };
        check("aaaa-bbbb-4", "it 4");
        check("aaaa-bbbb/4", "it 4");
        check("aaaa-bbbb/1", "it 1");
        check("aaaa-bbbb/7", "none");
        check("other-4", "none");
        check("aaaa-bbbb-x", "none");
        check("", "none");
        check(commit(5).as_str(), "it 4");
        check(commit(1).as_str(), "it 1");
        check(commit(9).as_str(), "perhaps 4 since 00000000");
        check(&commit(0xab).as_str().to_uppercase(), "perhaps 4 since 00000000");
    }

    #[test]
    fn a_verdict_for_a_push_that_came_to_be_known_meanwhile_is_not_lost() {
        let before = ledger(two());
        let mut events = two();
        events.push(Event::Intended {
            effect: Effect::Commit { form: PinForm::TagAtDigest },
            release: release(3),
            because: Because::NoGates,
        });
        events.push(Event::Committed { intent: Sequence(6), commit: commit(9) });
        let after = ledger(events);
        let check = |ledger: &Ledger, named: u8, expected: Searched| {
            let found = find(ledger, &Named::Commit(commit(named)));
            assert_eq!(searched(&found, Sequence(4)), expected, "{named}");
        };
        // It was posted before our push was known, so it was looked for as if it were about rollout 4.
        check(&before, 9, Searched::Counts);
        check(&after, 9, Searched::Known(Sequence(6)));
        check(&after, 8, Searched::Stale);
        check(&ledger(Vec::new()), 9, Searched::Counts);
    }

    #[test]
    fn a_verdict_counts_where_it_is_waited_for_and_says_what_came() {
        let mut dev = environment("dev");
        let smoke =
            Check { name: "smoke".to_owned(), method: CheckMethod::Webhook, timeout: Span::minutes(5), retries: 0 };
        dev.verify.push(smoke);
        let mut unwatched = dev.clone();
        unwatched.rollout.clear();
        let flying = ledger(two());
        let verified = |outcome| {
            let mut events = two();
            let (who, evidence, rollout) = ("argocd".to_owned(), String::new(), Sequence(4));
            events.push(Event::Signalled { rollout, verdict: Verdict::Healthy, who, evidence, url: None });
            events.push(Event::Ended { rollout, outcome, why: "over".to_owned() });
            ledger(events)
        };
        let is = |dev: &Environment, ledger: &Ledger, posted: Posted<'_>, expected: &str| {
            let said = match counts(dev, ledger.current().expect("a rollout"), &posted) {
                Counts::New => "new".to_owned(),
                Counts::Repeated => "repeated".to_owned(),
                Counts::Not(why) => why,
            };
            assert!(said.contains(expected), "{posted:?}: {said}");
        };
        let plain = Posted { check: None, digests: None, verdict: Verdict::Healthy };
        is(&dev, &flying, plain, "new");
        is(&unwatched, &flying, plain, "waits for no posted verdict");
        is(&unwatched, &flying, Posted { check: Some("smoke"), ..plain }, "new");
        is(&dev, &flying, Posted { check: Some("soak"), ..plain }, "has no check `soak`");
        is(&dev, &verified(Outcome::Verified), plain, "repeated");
        is(
            &dev,
            &verified(Outcome::Verified),
            Posted { verdict: Verdict::Failed, ..plain },
            "rollout 4 is over: verified",
        );
        is(&dev, &verified(Outcome::Verified), Posted { check: Some("smoke"), ..plain }, "rollout 4 is over");

        let (shop, other) = (ImageName::parse("shop").expect("a name"), ImageName::parse("other").expect("a name"));
        let build = |n: u8| Digest::of(&[n]);
        for (digests, expected) in [
            (vec![(shop.clone(), build(2))], "new"),
            (vec![(shop.clone(), build(1))], "brought `shop` at"),
            (vec![(other.clone(), build(2))], "does not name the image `shop`"),
            (vec![(shop, build(2)), (other, build(2))], "no image `other`"),
            (vec![], "does not name the image `shop`"),
        ] {
            let digests = digests.into_iter().collect();
            is(&dev, &flying, Posted { digests: Some(&digests), ..plain }, expected);
        }
    }
}
