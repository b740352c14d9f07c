//! The rules that a rollout keeps, as the journal holds them.

use crate::model::Span;
use crate::model::policy::{Check, CheckMethod, HttpCheck, OnFailure, RolloutRules, Signal};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

#[derive(Serialize, Deserialize)]
#[serde(remote = "RolloutRules")]
pub(super) struct RulesForm {
    #[serde(with = "list::signals")]
    rollout: Vec<Signal>,
    #[serde(with = "list::checks")]
    verify: Vec<Check>,
    #[serde(with = "OnFailureForm")]
    on_failure: OnFailure,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "OnFailure", rename_all = "snake_case")]
enum OnFailureForm {
    Next,
    Hold,
    Rollback,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Signal", rename_all = "snake_case")]
enum SignalForm {
    Webhook,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Check")]
struct CheckForm {
    name: String,
    #[serde(with = "CheckMethodForm")]
    method: CheckMethod,
    #[serde(with = "span")]
    timeout: Span,
    #[serde(default, skip_serializing_if = "is_none")]
    retries: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_none(retries: &u32) -> bool {
    *retries == 0
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "CheckMethod", rename_all = "snake_case")]
enum CheckMethodForm {
    Http(#[serde(with = "HttpCheckForm")] HttpCheck),
    Webhook,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "HttpCheck")]
struct HttpCheckForm {
    url: String,
    status: u16,
    times: u32,
    #[serde(with = "span")]
    every: Span,
}

/// A duration as policies write it.
mod span {
    use super::*;

    pub(super) fn serialize<S: Serializer>(span: &Span, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(span)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
        Span::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// Lists of these.
mod list {
    macro_rules! list {
        ($name:ident, $item:ty, $form:literal) => {
            pub(super) mod $name {
                use super::super::*;

                #[derive(Serialize)]
                struct One<'a>(#[serde(with = $form)] &'a $item);

                #[derive(Deserialize)]
                struct Owned(#[serde(with = $form)] $item);

                pub(in super::super) fn serialize<S: Serializer>(
                    items: &[$item],
                    serializer: S,
                ) -> Result<S::Ok, S::Error> {
                    serializer.collect_seq(items.iter().map(One))
                }

                pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
                    deserializer: D,
                ) -> Result<Vec<$item>, D::Error> {
                    let items = Vec::<Owned>::deserialize(deserializer)?;
                    Ok(items.into_iter().map(|Owned(item)| item).collect())
                }
            }
        };
    }

    list!(signals, Signal, "SignalForm");
    list!(checks, Check, "CheckForm");
}
