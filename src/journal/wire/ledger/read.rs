//! A stored ledger, put together again. What is read passes the model's parsers, so that it is as valid as a new one.

use super::write::reasons;
use super::{
    ArrivalText, EndText, FateText, HoldKindText, HoldText, IntentText, LedgerText, OriginText, PinFormText, PinOfText,
    RefusalText, ReleaseText, SignalText, StandingOrderText, VoteText,
};
use crate::model::ledger::{
    Arrival, End, Fate, Hold, HoldKind, Intent, Ledger, Refusal, SignalFact, StandingOrder, Vote,
};
use crate::model::{Because, CommitId, EnvironmentName, Origin, Pin, PolicyName, Release, ReleaseId, Scope, Sequence};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;

/// What stands once and is named by its place.
struct Shared {
    releases: Vec<Release>,
    terms: Vec<String>,
}

impl Shared {
    fn release(&self, place: usize) -> Result<Release, String> {
        self.releases.get(place).cloned().ok_or_else(|| format!("there is no release {place}"))
    }

    fn arrival(&self, text: ArrivalText) -> Result<Arrival, String> {
        let release = text.release.map(|place| self.release(place)).transpose()?;
        let pin = match (text.pin, &release) {
            (PinOfText::Pinned(pin), _) => pin.0,
            (PinOfText::Form(PinFormText(form)), Some(release)) => Pin::of(release, form),
            (PinOfText::Form(_), None) => return Err("a pin has the form of a release that is not there".to_owned()),
        };
        Ok(Arrival {
            rollout: Sequence(text.rollout),
            sequence: Sequence(text.sequence.unwrap_or(text.rollout)),
            at: text.at,
            release,
            pin,
            commit: text.commit.as_deref().map(commit).transpose()?,
            origin: match text.origin {
                OriginText::Ours(because) => Origin::Ours(because.0),
                OriginText::Adopted => Origin::Adopted,
                OriginText::Other(who) => Origin::Other(who),
                OriginText::Asked(who) => Origin::Asked(who),
            },
            signal: text.signal.map(signal),
            checks: text.checks.into_iter().map(|(name, result)| (name, result.0)).collect(),
            url: text.url,
            lost: text.lost,
            end: text.end.map(end),
            rules: text.rules.map(|rules| Arc::new(rules.0)),
            resumed: text.resumed,
        })
    }

    fn intent(
        &self,
        text: IntentText,
        reasons: &BTreeMap<Sequence, &Because>,
    ) -> Result<(Sequence, Box<Intent>), String> {
        let sequence = Sequence(text.sequence);
        let said = || reasons.get(&sequence).copied().cloned();
        let because = text.because.map(|because| because.0).or_else(said);
        let intent = Intent {
            sequence,
            at: text.at,
            effect: text.effect.0,
            release: self.release(text.release)?,
            because: because.ok_or_else(|| format!("nothing says why {sequence} was allowed"))?,
            fate: match text.fate {
                FateText::Open => Fate::Open,
                FateText::Made => Fate::Made,
                FateText::Withdrawn => Fate::Withdrawn,
            },
        };
        Ok((sequence, Box::new(intent)))
    }

    fn refusal(&self, text: RefusalText) -> Result<(ReleaseId, Refusal), String> {
        let release = self.release(text.release)?;
        let sequence = Sequence(text.sequence);
        let refusal = Refusal { release: release.clone(), sequence, who: text.who, why: text.why, at: text.at };
        Ok((release.id().clone(), refusal))
    }

    fn vote(&self, text: VoteText) -> Result<Vote, String> {
        let id = ReleaseId::parse(&text.release).or_else(|| ReleaseId::parse_short(&text.release));
        Ok(Vote {
            sequence: Sequence(text.sequence),
            release: id.ok_or_else(|| format!("`{}` is no id of a release", text.release))?,
            rules: self.terms.get(text.terms).cloned().ok_or_else(|| format!("there are no terms {}", text.terms))?,
            approve: text.approve,
            who: text.who,
            by: text.by.0,
            why: text.why,
            at: text.at,
        })
    }
}

/// The ledger that was stored, or what is wrong with it.
pub(super) fn ledger(text: LedgerText) -> Result<Ledger, String> {
    let releases = text.releases.into_iter().map(|ReleaseText(release)| release).collect();
    let shared = Shared { releases, terms: text.terms };
    let arrivals: Vec<Arrival> =
        text.arrivals.into_iter().map(|arrival| shared.arrival(arrival)).collect::<Result<_, _>>()?;
    let reasons = reasons(&arrivals);
    let intents = text.intents.into_iter().map(|intent| shared.intent(intent, &reasons)).collect::<Result<_, _>>()?;
    Ok(Ledger {
        arrivals,
        intents,
        refusals: text.refusals.into_iter().map(|refusal| shared.refusal(refusal)).collect::<Result<_, _>>()?,
        holds: text.holds.into_iter().map(hold).collect::<Result<_, _>>()?,
        votes: text.votes.into_iter().map(|vote| shared.vote(vote)).collect::<Result<_, _>>()?,
        order: text.order.map(order),
        met: text.met.as_deref().map(commit).transpose()?,
        tagged: text.tagged.map(|place| shared.release(place)).transpose()?,
        lifted: text.lifted,
        holds_next: text.holds_next.map(|(after, kind)| (Sequence(after), hold_kind(&kind))),
        many_failed: text.many_failed.map(Sequence),
        places: text.places.map(Vec::into_boxed_slice),
    })
}

fn commit(text: &str) -> Result<CommitId, String> {
    CommitId::parse(text).ok_or_else(|| format!("`{text}` is no commit"))
}

fn signal(text: SignalText) -> SignalFact {
    SignalFact { verdict: text.verdict.0, at: text.at, who: text.who, evidence: text.evidence }
}

fn end(text: EndText) -> End {
    End { outcome: text.outcome.0, sequence: Sequence(text.sequence), at: text.at, why: text.why }
}

fn hold(text: HoldText) -> Result<Hold, String> {
    let words = |error: &dyn Display| error.to_string();
    let policy = text.policy.as_deref().map(PolicyName::parse).transpose().map_err(|error| words(&error))?;
    let environment = text.environment.as_deref().map(EnvironmentName::parse).transpose();
    let environment = environment.map_err(|error| words(&error))?;
    Ok(Hold {
        sequence: Sequence(text.sequence),
        kind: hold_kind(&text.kind),
        scope: Scope { policy, environment },
        who: text.who,
        why: text.why,
        at: text.at,
        until: text.until,
    })
}

fn hold_kind(text: &HoldKindText) -> HoldKind {
    match text {
        HoldKindText::Plain => HoldKind::Plain,
        HoldKindText::Rollback => HoldKind::Rollback,
        HoldKindText::Unknown => HoldKind::Unknown,
        HoldKindText::ManyFailed => HoldKind::ManyFailed,
    }
}

fn order(text: StandingOrderText) -> StandingOrder {
    StandingOrder { sequence: Sequence(text.sequence), order: text.order.0, who: text.who, at: text.at }
}
