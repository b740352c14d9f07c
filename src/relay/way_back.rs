//! The way back after the journal was lost or restored: what a person's `resume` adopts, and which releases ran there
//! before, as git still tells.
//!
//! A former release is kept as one that was adopted, right before the one that runs: nobody knows how it ended, so a
//! person may go back to it by its name, and nothing goes back to it by itself (`authority::way_back`).

use super::facts::Facts;
use crate::model::pin::Trailers;
use crate::model::{
    Build, Builds, CommitId, Event, ImageName, OurCommit, Outcome, Pin, PinForm, PinReading, Pinned, Release, Scope,
    text,
};
use std::sync::Arc;

/// How many releases of an environment are read back from git, the one that runs among them.
pub const FORMER_MAX: usize = 4;
/// How many environments an answer names.
const NAMED_MAX: usize = 300;

/// A commit of tagrelay that set an environment's pin, whichever journal gave it out.
#[derive(Debug, Clone, PartialEq)]
pub struct Former {
    /// What the commit says of itself.
    pub trailers: Trailers,
    /// The pin that stands in it.
    pub pin: Pin,
}

/// What a resumed environment adopts.
#[derive(Debug, Clone, PartialEq)]
pub struct Adoption {
    /// Where.
    pub scope: Scope,
    /// What is kept of it.
    pub events: Vec<Event>,
    /// What runs there, in words.
    what: String,
    /// The releases that ran there before, the newest first.
    before: Vec<Release>,
}

/// The release that a pin stands for, by the digests of the commit that set it. None where the pin says something else
/// than that commit: then somebody edited it since.
#[must_use]
pub fn bound(pin: &Pin, trailers: &Trailers) -> Option<Release> {
    let build = |(image, pinned): (&ImageName, &Pinned)| {
        let digest = trailers.digests.get(image)?;
        let is_same = pinned.digest.as_ref().is_none_or(|written| written == digest);
        let tag = pinned.tag.clone().filter(|_| is_same)?;
        Some((image.clone(), Build { tag, digest: digest.clone(), facts: Arc::default() }))
    };
    let builds: Builds = pin.0.iter().map(build).collect::<Option<_>>()?;
    (!builds.is_empty() && builds.len() == trailers.digests.len()).then(|| Release::new(builds))
}

/// What it takes to accept what stands, written under a journal that is not this one. None where the pin cannot be read.
///
/// The rollout in flight is over, what ran before is kept as former, and the pin is adopted as it is.
#[must_use]
pub fn adoption(facts: &Facts<'_>, former: &[Former], who: &str) -> Option<Adoption> {
    match facts.pin {
        Ok(Some(reading)) => Some(adopt_pin(facts, reading, former, who)),
        Ok(None) | Err(_) => {
            let release = facts.tagged().filter(|_| facts.environment.is_tag_only())?;
            let pin = Pin::of(&release, PinForm::Digest);
            let what = named(Some(&release), &pin);
            let mut events = left_in_flight(facts, who);
            events.push(Event::Resumed { who: who.to_owned(), met: None, holds: Some(Vec::new()) });
            events.push(Event::Adopted { pin, release: Some(release), commit: None });
            Some(Adoption { scope: facts.scope(), events, what, before: Vec::new() })
        }
    }
}

fn adopt_pin(facts: &Facts<'_>, reading: &PinReading, former: &[Former], who: &str) -> Adoption {
    let release = release_of(facts, reading);
    let met = match &reading.ours {
        OurCommit::Found(trailers) => trailers.commit.clone(),
        OurCommit::None | OurCommit::LimitReached => reading.tip.clone(),
    };
    let mut before: Vec<(Release, &Former)> = Vec::new();
    for former in former {
        let Some(ran) = bound(&former.pin, &former.trailers) else { continue };
        let is_known = facts.ledger.first_arrival(ran.id()).is_some() || before.iter().any(|(known, _)| *known == ran);
        if !is_known && release.as_ref() != Some(&ran) {
            before.push((ran, former));
        }
    }
    let mut events = left_in_flight(facts, who);
    events.extend(before.iter().rev().map(|(release, former)| {
        let commit = Some(former.trailers.commit.clone());
        Event::Adopted { pin: former.pin.clone(), release: Some(release.clone()), commit }
    }));
    let what = named(release.as_ref(), &reading.pin);
    events.push(Event::Resumed { who: who.to_owned(), met: Some(met), holds: Some(Vec::new()) });
    events.push(Event::Adopted { pin: reading.pin.clone(), release, commit: Some(reading.tip.clone()) });
    let before = before.into_iter().map(|(release, _)| release).collect();
    Adoption { scope: facts.scope(), events, what, before }
}

/// The release that a pin stands for. Where nobody touched the place since the commit that set it, that commit says which
/// digests its tags meant; the registry may say something else by now.
fn release_of(facts: &Facts<'_>, reading: &PinReading) -> Option<Release> {
    let known = facts.bind(&reading.pin);
    let is_untouched = |commit: &CommitId| reading.last_touch.as_ref().is_some_and(|touch| touch.commit == *commit);
    match &reading.ours {
        OurCommit::Found(trailers) if is_untouched(&trailers.commit) => {
            let written = bound(&reading.pin, trailers);
            // What is known of the same digests has more facts.
            known.filter(|known| written.is_none() || written.as_ref() == Some(known)).or(written)
        }
        OurCommit::Found(_) | OurCommit::None | OurCommit::LimitReached => known,
    }
}

/// The end of a rollout that this journal began, and another journal went on from.
fn left_in_flight(facts: &Facts<'_>, who: &str) -> Vec<Event> {
    let in_flight = facts.ledger.in_flight().map(|arrival| Event::Ended {
        rollout: arrival.rollout,
        outcome: Outcome::Canceled,
        why: format!("another journal went on from there, as {who} saw"),
    });
    in_flight.into_iter().collect()
}

fn named(release: Option<&Release>, pin: &Pin) -> String {
    match release {
        Some(release) => {
            let digests = release.builds().values().map(|build| build.digest.short().to_owned());
            format!("{release} ({})", digests.collect::<Vec<_>>().join(", "))
        }
        None => format!("{pin}, which names no release that is known"),
    }
}

/// What was adopted, one environment a line; empty where nothing was.
#[must_use]
pub fn told(adoptions: &[Adoption]) -> String {
    if adoptions.is_empty() {
        return String::new();
    }
    let mut words = format!("adopted what runs in {} environments, as it is:", adoptions.len());
    for adoption in adoptions.iter().take(NAMED_MAX) {
        words.push_str(&format!("\n  {}: {}", adoption.scope, text::shown(&adoption.what)));
        let before: Vec<String> = adoption.before.iter().map(|ran| format!("{ran} ({})", ran.short())).collect();
        if !before.is_empty() {
            words.push_str(&format!("; before it ran {}", before.join(", ")));
        }
    }
    let more = adoptions.len().saturating_sub(NAMED_MAX);
    if more > 0 {
        words.push_str(&format!("\n  and {more} more"));
    }
    words.push_str("\nnone of it is verified: `tagrelay verify --all` judges what runs");
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ByImage, Digest, EnvironmentName, PolicyName, Sequence, Tag};
    use crate::relay::tests::world::{build, release};

    fn trailers(n: u8) -> Trailers {
        Trailers {
            commit: CommitId::parse(&format!("{n:040x}")).expect("a commit"),
            journal: "ffff".to_owned(),
            sequence: Sequence(u64::from(n)),
            policy: PolicyName::parse("shop").expect("a name"),
            environment: EnvironmentName::parse("prod").expect("a name"),
            digests: ByImage::from([(ImageName::parse("shop").expect("a name"), build(n).digest)]),
        }
    }

    fn pin(tag: Option<&str>, digest: Option<Digest>) -> Pin {
        let pinned = Pinned { tag: tag.map(|tag| Tag::parse(tag).expect("a tag")), digest };
        Pin(ByImage::from([(ImageName::parse("shop").expect("a name"), pinned)]))
    }

    #[test]
    fn a_pin_stands_for_the_digests_of_the_commit_that_set_it() {
        let found = |pin: &Pin| bound(pin, &trailers(1)).map(|release| release.id().clone());
        let one = Some(release(1).id().clone());
        assert_eq!(found(&pin(Some("v1"), None)), one, "the tag may name another digest by now");
        assert_eq!(found(&pin(Some("v1"), Some(build(1).digest))), one);
        assert_eq!(found(&pin(Some("v2"), Some(build(2).digest))), None, "somebody edited it since");
        assert_eq!(found(&pin(None, Some(build(1).digest))), None, "no tag is known that it could be written with");
        assert_eq!(found(&Pin::default()), None);
        let two = [("shop", "v1"), ("worker", "v1")].map(|(image, tag)| {
            let tag = Some(Tag::parse(tag).expect("a tag"));
            (ImageName::parse(image).expect("a name"), Pinned { tag, digest: None })
        });
        assert_eq!(found(&Pin(ByImage::from(two))), None, "an image that the commit did not set");
    }
}
