//! A ledger, taken apart into what is stored.

use super::{
    ArrivalText, BallotText, BecauseText, CheckText, EffectText, EndText, FateText, HoldKindText, HoldText, IntentText,
    LedgerText, OrderText, OriginText, OutcomeText, PinFormText, PinOfText, PinText, RefusalText, ReleaseText,
    RulesText, SignalText, StandingOrderText, VerdictText, VoteText,
};
use crate::model::ledger::{
    Arrival, End, Fate, Hold, HoldKind, Intent, Ledger, Refusal, SignalFact, StandingOrder, Vote,
};
use crate::model::{Because, CommitId, Origin, Pin, PinForm, Release, Scope, Sequence};
use std::collections::BTreeMap;

/// The forms that a pin may have, tried in this order.
const FORMS: [PinForm; 3] = [PinForm::Digest, PinForm::Tag, PinForm::TagAtDigest];

/// What stands once and is named by its place.
#[derive(Default)]
struct Shared {
    releases: Vec<ReleaseText>,
    /// By the whole text, since two releases with the same digests may have other tags and facts.
    release_places: BTreeMap<String, usize>,
    terms: Vec<String>,
    term_places: BTreeMap<String, usize>,
}

impl Shared {
    fn release(&mut self, release: &Release) -> Result<usize, serde_json::Error> {
        let stored = ReleaseText(release.clone());
        let text = serde_json::to_string(&stored)?;
        let place = *self.release_places.entry(text).or_insert(self.releases.len());
        if place == self.releases.len() {
            self.releases.push(stored);
        }
        Ok(place)
    }

    fn terms(&mut self, text: &str) -> usize {
        let place = *self.term_places.entry(text.to_owned()).or_insert(self.terms.len());
        if place == self.terms.len() {
            self.terms.push(text.to_owned());
        }
        place
    }

    fn arrival(&mut self, arrival: &Arrival) -> Result<ArrivalText, serde_json::Error> {
        let Arrival {
            rollout,
            sequence,
            at,
            release,
            pin,
            commit,
            origin,
            signal,
            checks,
            url,
            lost,
            end,
            rules,
            resumed,
        } = arrival;
        Ok(ArrivalText {
            rollout: rollout.0,
            sequence: (sequence != rollout).then_some(sequence.0),
            at: *at,
            release: release.as_ref().map(|release| self.release(release)).transpose()?,
            pin: pin_of(release.as_ref(), pin),
            commit: commit.as_ref().map(commit_text),
            origin: match origin {
                Origin::Ours(because) => OriginText::Ours(BecauseText(because.clone())),
                Origin::Adopted => OriginText::Adopted,
                Origin::Other(who) => OriginText::Other(who.clone()),
                Origin::Asked(who) => OriginText::Asked(who.clone()),
            },
            signal: signal.as_ref().map(signal_text),
            checks: checks.iter().map(|(name, result)| (name.clone(), CheckText(result.clone()))).collect(),
            url: url.clone(),
            lost: lost.clone(),
            end: end.as_ref().map(end_text),
            rules: rules.as_ref().map(|rules| RulesText((**rules).clone())),
            resumed: *resumed,
        })
    }

    fn intent(
        &mut self,
        intent: &Intent,
        reasons: &BTreeMap<Sequence, &Because>,
    ) -> Result<IntentText, serde_json::Error> {
        let Intent { sequence, at, effect, release, because, fate } = intent;
        let is_said = reasons.get(sequence).is_some_and(|said| *said == because);
        Ok(IntentText {
            sequence: sequence.0,
            at: *at,
            effect: EffectText(effect.clone()),
            release: self.release(release)?,
            because: (!is_said).then(|| BecauseText(because.clone())),
            fate: match fate {
                Fate::Open => FateText::Open,
                Fate::Made => FateText::Made,
                Fate::Withdrawn => FateText::Withdrawn,
            },
        })
    }

    fn refusal(&mut self, refusal: &Refusal) -> Result<RefusalText, serde_json::Error> {
        let Refusal { release, sequence, who, why, at } = refusal;
        let (release, who, why) = (self.release(release)?, who.clone(), why.clone());
        Ok(RefusalText { release, sequence: sequence.0, who, why, at: *at })
    }

    fn vote(&mut self, vote: &Vote) -> VoteText {
        let Vote { sequence, release, rules, approve, who, by, why, at } = vote;
        VoteText {
            sequence: sequence.0,
            release: release.as_str().to_owned(),
            terms: self.terms(rules),
            approve: *approve,
            who: who.clone(),
            by: BallotText(*by),
            why: why.clone(),
            at: *at,
        }
    }
}

/// A ledger as it is stored.
pub(super) fn ledger(ledger: &Ledger) -> Result<LedgerText, serde_json::Error> {
    let Ledger {
        arrivals,
        intents,
        refusals,
        holds,
        votes,
        order,
        met,
        tagged,
        lifted,
        holds_next,
        many_failed,
        places,
    } = ledger;
    let reasons = reasons(arrivals);
    let mut shared = Shared::default();
    Ok(LedgerText {
        arrivals: arrivals.iter().map(|arrival| shared.arrival(arrival)).collect::<Result<_, _>>()?,
        intents: intents.values().map(|intent| shared.intent(intent, &reasons)).collect::<Result<_, _>>()?,
        refusals: refusals.values().map(|refusal| shared.refusal(refusal)).collect::<Result<_, _>>()?,
        holds: holds.iter().map(hold).collect(),
        votes: votes.iter().map(|vote| shared.vote(vote)).collect(),
        order: order.as_ref().map(order_text),
        met: met.as_ref().map(commit_text),
        tagged: tagged.as_ref().map(|release| shared.release(release)).transpose()?,
        lifted: lifted.clone(),
        holds_next: holds_next.map(|(Sequence(after), kind)| (after, kind_text(kind))),
        many_failed: many_failed.map(|Sequence(held)| held),
        places: places.as_ref().map(|places| places.to_vec()),
        // Last, when all that is shared was met.
        releases: std::mem::take(&mut shared.releases),
        terms: std::mem::take(&mut shared.terms),
    })
}

/// Why the rollouts of ours were allowed, by their numbers.
pub(super) fn reasons(arrivals: &[Arrival]) -> BTreeMap<Sequence, &Because> {
    let mut reasons = BTreeMap::new();
    for arrival in arrivals {
        if let Origin::Ours(because) = &arrival.origin {
            reasons.insert(arrival.rollout, because);
        }
    }
    reasons
}

fn commit_text(commit: &CommitId) -> String {
    commit.as_str().to_owned()
}

fn pin_of(release: Option<&Release>, pin: &Pin) -> PinOfText {
    let form = release.and_then(|release| FORMS.into_iter().find(|form| Pin::of(release, *form) == *pin));
    match form {
        Some(form) => PinOfText::Form(PinFormText(form)),
        None => PinOfText::Pinned(PinText(pin.clone())),
    }
}

fn signal_text(signal: &SignalFact) -> SignalText {
    let SignalFact { verdict, at, who, evidence } = signal;
    SignalText { verdict: VerdictText(*verdict), at: *at, who: who.clone(), evidence: evidence.clone() }
}

fn end_text(end: &End) -> EndText {
    let End { outcome, sequence, at, why } = end;
    EndText { outcome: OutcomeText(*outcome), sequence: sequence.0, at: *at, why: why.clone() }
}

fn hold(hold: &Hold) -> HoldText {
    let Hold { sequence, kind, scope: Scope { policy, environment }, who, why, at, until } = hold;
    HoldText {
        sequence: sequence.0,
        kind: kind_text(*kind),
        policy: policy.as_ref().map(ToString::to_string),
        environment: environment.as_ref().map(ToString::to_string),
        who: who.clone(),
        why: why.clone(),
        at: *at,
        until: *until,
    }
}

fn kind_text(kind: HoldKind) -> HoldKindText {
    match kind {
        HoldKind::Plain => HoldKindText::Plain,
        HoldKind::Rollback => HoldKindText::Rollback,
        HoldKind::Unknown => HoldKindText::Unknown,
        HoldKind::ManyFailed => HoldKindText::ManyFailed,
    }
}

fn order_text(standing: &StandingOrder) -> StandingOrderText {
    let StandingOrder { sequence, order, who, at } = standing;
    StandingOrderText { sequence: sequence.0, order: OrderText(order.clone()), who: who.clone(), at: *at }
}
