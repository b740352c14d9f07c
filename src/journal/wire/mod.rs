//! How events stand in the journal: a kind and a JSON object, both kept readable for ever.
//!
//! The forms mirror the model with `serde(remote)`, so a variant or field that the model gains does not compile until
//! it has a place here. The text of each kind is pinned by a test: what was written once must be read by every later
//! version. A change of shape is a new kind, and the old one goes on being read.

mod ledger;
mod report;
mod rules;
mod values;

pub(super) use ledger::{decode_ledger, encode_ledger};
pub(super) use report::{RowRef, RowText, revision_key};
pub(super) use values::{BuildFactsText, OurCommitText};

use super::JournalError;
use crate::model::event::{CheckResult, Effect, Order, Verdict};
use crate::model::policy::{Ballot, RolloutRules};
use crate::model::{Because, CommitId, Event, Outcome, Pin, PinForm, Release, ReleaseId, Sequence, Tag};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use values::{option, pin, release, text};

/// The kind of an event and its body.
pub(super) fn encode(event: &Event) -> Result<(String, String), JournalError> {
    let unwritable = |why: String| JournalError::Io(format!("an event cannot be written: {why}"));
    match serde_json::to_value(EventRef(event)).map_err(|error| unwritable(error.to_string()))? {
        serde_json::Value::Object(one) => one
            .into_iter()
            .next()
            .map(|(kind, body)| (kind, body.to_string()))
            .ok_or_else(|| unwritable("it has no kind".to_owned())),
        other => Err(unwritable(format!("it is no object: {other}"))),
    }
}

/// The event of a kind and body that `encode` wrote, now or years ago.
pub(super) fn decode(sequence: Sequence, kind: &str, body: &str) -> Result<Event, JournalError> {
    let whole = format!("{{{}:{body}}}", serde_json::Value::from(kind));
    let read: Result<EventText, serde_json::Error> = serde_json::from_str(&whole);
    let EventText(event) =
        read.map_err(|error| JournalError::unreadable(format!("entry {sequence} (`{kind}`)"), &error))?;
    Ok(event)
}

#[derive(Serialize)]
struct EventRef<'a>(#[serde(with = "EventForm")] &'a Event);

#[derive(Deserialize)]
struct EventText(#[serde(with = "EventForm")] Event);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Event", rename_all = "snake_case", deny_unknown_fields)]
enum EventForm {
    Adopted {
        #[serde(with = "pin")]
        pin: Pin,
        #[serde(with = "option::release")]
        release: Option<Release>,
        #[serde(with = "option::text")]
        commit: Option<CommitId>,
    },
    Intended {
        #[serde(with = "EffectForm")]
        effect: Effect,
        #[serde(with = "release")]
        release: Release,
        #[serde(with = "BecauseForm")]
        because: Because,
    },
    Committed {
        #[serde(with = "values::SequenceForm")]
        intent: Sequence,
        #[serde(with = "text")]
        commit: CommitId,
    },
    Retagged {
        #[serde(with = "values::SequenceForm")]
        intent: Sequence,
    },
    Withdrawn {
        #[serde(with = "values::SequenceForm")]
        intent: Sequence,
        why: String,
    },
    Moved {
        #[serde(with = "pin")]
        pin: Pin,
        #[serde(with = "option::release")]
        release: Option<Release>,
        #[serde(with = "option::text")]
        commit: Option<CommitId>,
        who: String,
    },
    Signalled {
        #[serde(with = "values::SequenceForm")]
        rollout: Sequence,
        #[serde(with = "VerdictForm")]
        verdict: Verdict,
        who: String,
        evidence: String,
        url: Option<String>,
    },
    Checked {
        #[serde(with = "values::SequenceForm")]
        rollout: Sequence,
        check: String,
        #[serde(with = "CheckResultForm")]
        result: CheckResult,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url: Option<String>,
    },
    Lost {
        #[serde(with = "values::SequenceForm")]
        rollout: Sequence,
        why: String,
    },
    Ended {
        #[serde(with = "values::SequenceForm")]
        rollout: Sequence,
        #[serde(with = "OutcomeForm")]
        outcome: Outcome,
        why: String,
    },
    RulesKept {
        #[serde(with = "rules::RulesForm")]
        rules: RolloutRules,
    },
    Voted {
        #[serde(with = "values::voted")]
        release: ReleaseId,
        rules: String,
        approve: bool,
        who: String,
        #[serde(with = "BallotForm")]
        by: Ballot,
        /// Left out where nothing is said, as by the versions that took no reason.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        why: String,
    },
    Held {
        who: String,
        why: String,
        until: Option<Timestamp>,
    },
    Claimed {
        places: Vec<String>,
    },
    Resumed {
        who: String,
        #[serde(with = "option::text")]
        met: Option<CommitId>,
        /// Left out where all are lifted, as by the versions that knew nothing else.
        #[serde(default, skip_serializing_if = "Option::is_none", with = "option::sequences")]
        holds: Option<Vec<Sequence>>,
    },
    Refused {
        #[serde(with = "release")]
        release: Release,
        who: String,
        why: String,
    },
    Ordered {
        #[serde(with = "OrderForm")]
        order: Order,
        who: String,
    },
    ClockSet {
        by_ms: i64,
        #[serde(with = "values::SequenceForm")]
        since: Sequence,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Effect", rename_all = "snake_case", deny_unknown_fields)]
enum EffectForm {
    Commit {
        #[serde(with = "PinFormForm")]
        form: PinForm,
    },
    Retag {
        #[serde(with = "text")]
        tag: Tag,
        is_pin: bool,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "PinForm", rename_all = "snake_case")]
enum PinFormForm {
    Tag,
    Digest,
    TagAtDigest,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Because", rename_all = "snake_case", deny_unknown_fields)]
enum BecauseForm {
    NoGates,
    GatesOpen(Vec<String>),
    Rollback { who: String, why: String },
    Forced { who: String, reason: String },
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Verdict", rename_all = "snake_case")]
enum VerdictForm {
    Healthy,
    Failed,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "CheckResult", rename_all = "snake_case")]
enum CheckResultForm {
    Passed,
    Failed(String),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Outcome", rename_all = "snake_case")]
enum OutcomeForm {
    Verified,
    Failed,
    Canceled,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Ballot", rename_all = "snake_case")]
enum BallotForm {
    Cli,
    Page,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Order", rename_all = "snake_case", deny_unknown_fields)]
enum OrderForm {
    Promote {
        #[serde(with = "release")]
        release: Release,
        force: Option<String>,
        holds: bool,
    },
    Rollback {
        #[serde(with = "release")]
        to: Release,
        why: String,
    },
    Verify,
}

#[cfg(test)]
mod tests;
