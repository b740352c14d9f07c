//! How a report's row stands in the outbox: whole, as a JSON object.

use super::values::{SequenceForm, text};
use crate::journal::JournalError;
use crate::model::{CommitId, Sequence, Tag};
use crate::relay::report::{Revision, Row, State};
use serde::{Deserialize, Serialize};

/// A row on its way into the outbox.
#[derive(Serialize)]
pub(in super::super) struct RowRef<'a>(#[serde(with = "RowForm")] pub(in super::super) &'a Row);

/// A row out of the outbox.
#[derive(Deserialize)]
pub(in super::super) struct RowText(#[serde(with = "RowForm")] pub(in super::super) Row);

#[derive(Serialize)]
struct RevisionRef<'a>(#[serde(with = "RevisionForm")] &'a Revision);

/// The revision as a text that is the same for the same revision: it tells the deployments of a rollout apart.
pub(in super::super) fn revision_key(revision: &Revision) -> Result<String, JournalError> {
    serde_json::to_string(&RevisionRef(revision))
        .map_err(|error| JournalError::Io(format!("a report cannot be written: {error}")))
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Row", deny_unknown_fields)]
struct RowForm {
    project: String,
    environment: String,
    #[serde(with = "SequenceForm")]
    rollout: Sequence,
    #[serde(with = "StateForm")]
    state: State,
    #[serde(with = "RevisionForm")]
    revision: Revision,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    git_tag: Option<String>,
    git_ref: Option<String>,
    is_tag: bool,
    tier: Option<String>,
    url: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "State", rename_all = "snake_case")]
enum StateForm {
    Running,
    Success,
    Failed,
    Canceled,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Revision", rename_all = "snake_case")]
enum RevisionForm {
    Commit(#[serde(with = "text")] CommitId),
    Label(String),
    Tag(#[serde(with = "text")] Tag),
    Unknown(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_written_as_ever_and_comes_back_whole() {
        let commit = CommitId::parse(&"1".repeat(40)).expect("commit");
        let revisions = [
            (Revision::Commit(commit), r#"{"commit":"1111111111111111111111111111111111111111"}"#),
            (Revision::Label("abc".to_owned()), r#"{"label":"abc"}"#),
            (Revision::Tag(Tag::parse("v1").expect("tag")), r#"{"tag":"v1"}"#),
            (Revision::Unknown("why".to_owned()), r#"{"unknown":"why"}"#),
        ];
        for ((revision, key), state) in
            revisions.into_iter().zip([State::Running, State::Success, State::Failed, State::Canceled])
        {
            assert_eq!(revision_key(&revision).expect("key"), key);
            let row = Row {
                project: "group/shop".to_owned(),
                environment: "prod".to_owned(),
                rollout: Sequence(7),
                state,
                revision,
                git_tag: None,
                git_ref: Some("main".to_owned()),
                is_tag: false,
                tier: None,
                url: None,
            };
            let expected = format!(
                r#"{{"project":"group/shop","environment":"prod","rollout":7,"state":"{state}","revision":{key},"git_ref":"main","is_tag":false,"tier":null,"url":null}}"#
            );
            assert_eq!(serde_json::to_string(&RowRef(&row)).expect("write"), expected);
            let RowText(back) = serde_json::from_str(&expected).expect("read");
            assert_eq!(back, row);
        }
    }
}
