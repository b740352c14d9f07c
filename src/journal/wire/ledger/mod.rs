//! How an environment's ledger stands in the checkpoint: one JSON object, in which each release and each text of terms
//! stands once and is named by its place after that.
//!
//! The ledger is taken apart field by field, so that a field that the model gains does not compile until it has a place
//! here. An unknown field is an error: a program that does not know it would forget what it forbids.

mod read;
#[cfg(test)]
mod tests;
mod write;

use super::values::{pin, release};
use super::{
    BallotForm, BecauseForm, CheckResultForm, EffectForm, OrderForm, OutcomeForm, PinFormForm, VerdictForm, rules,
};
use crate::journal::JournalError;
use crate::model::event::{CheckResult, Effect, Order, Verdict};
use crate::model::policy::{Ballot, RolloutRules};
use crate::model::{Because, Ledger, Outcome, Pin, PinForm, Release, Scope};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

/// A value of the model in the form that events have, too.
macro_rules! texts {
    ($($name:ident($value:ty) as $form:literal;)*) => {
        $(#[derive(Serialize, Deserialize)]
        struct $name(#[serde(with = $form)] $value);)*
    };
}

texts! {
    ReleaseText(Release) as "release";
    PinText(Pin) as "pin";
    PinFormText(PinForm) as "PinFormForm";
    BecauseText(Because) as "BecauseForm";
    EffectText(Effect) as "EffectForm";
    OrderText(Order) as "OrderForm";
    VerdictText(Verdict) as "VerdictForm";
    CheckText(CheckResult) as "CheckResultForm";
    OutcomeText(Outcome) as "OutcomeForm";
    BallotText(Ballot) as "BallotForm";
    RulesText(RolloutRules) as "rules::RulesForm";
}

/// A ledger as it is stored.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct LedgerText {
    releases: Vec<ReleaseText>,
    terms: Vec<String>,
    arrivals: Vec<ArrivalText>,
    intents: Vec<IntentText>,
    refusals: Vec<RefusalText>,
    holds: Vec<HoldText>,
    votes: Vec<VoteText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<StandingOrderText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    met: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tagged: Option<usize>,
    lifted: BTreeSet<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    holds_next: Option<(u64, HoldKindText)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    many_failed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    places: Option<Vec<String>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ArrivalText {
    rollout: u64,
    /// Left out where the entry that says so is the rollout's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sequence: Option<u64>,
    at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    release: Option<usize>,
    pin: PinOfText,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
    origin: OriginText,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signal: Option<SignalText>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    checks: BTreeMap<String, CheckText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lost: Option<(Timestamp, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end: Option<EndText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rules: Option<RulesText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resumed: Option<Timestamp>,
}

/// A pin: nearly always what its release looks like in one of the forms.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PinOfText {
    Form(PinFormText),
    Pinned(PinText),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OriginText {
    Ours(BecauseText),
    Adopted,
    Other(String),
    Asked(String),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignalText {
    verdict: VerdictText,
    at: Timestamp,
    who: String,
    evidence: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EndText {
    outcome: OutcomeText,
    sequence: u64,
    at: Timestamp,
    why: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct IntentText {
    sequence: u64,
    at: Timestamp,
    effect: EffectText,
    release: usize,
    /// Left out where the rollout that it led to says the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    because: Option<BecauseText>,
    fate: FateText,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FateText {
    Open,
    Made,
    Withdrawn,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RefusalText {
    release: usize,
    sequence: u64,
    who: String,
    why: String,
    at: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum HoldKindText {
    Plain,
    Rollback,
    Unknown,
    ManyFailed,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HoldText {
    sequence: u64,
    kind: HoldKindText,
    policy: Option<String>,
    environment: Option<String>,
    who: String,
    why: String,
    at: Timestamp,
    until: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct VoteText {
    sequence: u64,
    release: String,
    terms: usize,
    approve: bool,
    who: String,
    by: BallotText,
    why: String,
    at: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StandingOrderText {
    sequence: u64,
    order: OrderText,
    who: String,
    at: Timestamp,
}

/// A ledger as the checkpoint holds it.
pub(in super::super) fn encode_ledger(ledger: &Ledger) -> Result<String, JournalError> {
    let failed = |error: serde_json::Error| JournalError::Io(format!("a checkpoint cannot be written: {error}"));
    serde_json::to_string(&write::ledger(ledger).map_err(failed)?).map_err(failed)
}

/// The ledger of `scope` that `encode_ledger` wrote.
pub(in super::super) fn decode_ledger(scope: &Scope, text: &str) -> Result<Ledger, JournalError> {
    let unreadable = |why: &dyn Display| JournalError::unreadable(format!("the checkpoint of {scope}"), why);
    let text: LedgerText = serde_json::from_str(text).map_err(|error| unreadable(&error))?;
    read::ledger(text).map_err(|why| unreadable(&why))
}
