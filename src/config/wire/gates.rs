//! The gates of an environment as they are written, in policies and in the floors of the configuration.

use crate::config::dates::DateBound;
use crate::config::diagnostic::Problems;
use crate::config::read::Presence::{Default, Optional, Required};
use crate::config::read::{At, Read, form};
use crate::config::schema::named;
use crate::config::tree::{Kind, Node};
use crate::model::Span;
use crate::model::policy::Ballot;
use serde_json::Value;

form! {
    /// Conditions on every change of an environment, besides `verified`.
    GatesForm("gates") {
        /// How long a release must have run in the environment `from` after it was verified there; its times there add
        /// up.
        "soak" soak: Span, Optional;
        /// Votes of people for the release.
        "approvals" approvals: ApprovalsForm, Optional;
        /// When changes are allowed.
        "window" window: WindowForm, Optional;
        /// When nothing may change.
        "freeze" freeze: Vec<FreezeForm>, Default("[]");
    }
}

form! {
    /// How many votes of whom.
    ApprovalsForm("approvals") {
        /// How many people must approve.
        "required" required: u32, Default("1");
        /// Who may vote, by the names in `server.access`. Default whoever may `approve` there.
        "approvers" approvers: Vec<Approver>, Default("[]");
        /// Who may not vote, also where `approvers` names them.
        "exclude" exclude: Vec<String>, Default("[]");
        /// How long a vote counts.
        "expire" expire: Span, Default("7d");
        /// Where votes are taken: `cli` (commands and the API), `page`.
        "by" by: Vec<Ballot>, Default("[cli, page]");
    }
}

form! {
    /// A time in which changes are allowed.
    WindowForm("window") {
        /// When it opens: a cron expression with five fields.
        "open" open: String, Required;
        /// How long it stays open, at most 31d.
        "for" length: Span, Required;
    }
}

form! {
    /// A time in which nothing may change.
    FreezeForm("freeze") {
        /// When it begins; a date without a time is the beginning of that day.
        "from" from: DateBound, Required;
        /// When it ends; a date without a time is the end of that day.
        "until" until: DateBound, Required;
        /// Why; `status` shows it.
        "reason" reason: String, Default("freeze");
        /// `false`: the freeze stops rollbacks too, by a person and by `on_failure`.
        "rollback" rollback: bool, Default("true");
    }
}

form! {
    /// An approver who is no single person.
    ApproverKind("approver") {}
}

/// Who may vote.
#[derive(Debug, Clone)]
pub(crate) struct Approver(pub(crate) At<String>);

impl Read for Approver {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        if let Kind::Map(entries) = &node.kind {
            ApproverKind::read(node, problems);
            if entries.is_empty() {
                problems.add(&node.at, "expected the name of an approver, found an empty mapping");
            }
            return None;
        }
        At::read(node, problems).map(Self)
    }

    fn schema() -> Value {
        named("approver", String::schema())
    }
}
