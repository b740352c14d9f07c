//! How the model's own values are read from a scalar, and their schemas.

use super::diagnostic::Problems;
use super::read::{Read, words};
use super::schema::named;
use super::tree::{Kind, Node};
use crate::model::policy::{Ballot, Extreme, HoldNewUntil, Newest, OnEdit, OnFailure, ReportSha, Together};
use crate::model::{EnvironmentName, ImageName, PinForm, Platform, PolicyName, Repository, Span, Tag};
use serde_json::{Value, json};

/// The text of a scalar; what it is called is for the message.
pub(crate) fn text<'a>(node: &'a Node, what: &str, problems: &mut Problems) -> Option<&'a str> {
    match &node.kind {
        Kind::Scalar { text, .. } => Some(text),
        Kind::Null | Kind::List(_) | Kind::Map(_) => {
            problems.add(&node.at, format!("expected {what}, found {}", node.describe()));
            None
        }
    }
}

impl Read for String {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let text = text(node, "text", problems)?;
        if text.is_empty() {
            problems.add(&node.at, "expected text, found an empty one");
            return None;
        }
        Some(text.to_owned())
    }

    fn schema() -> Value {
        json!({ "type": ["string", "number", "boolean"], "minLength": 1 })
    }
}

impl Read for bool {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.kind {
            Kind::Scalar { text, is_text: false } if text == "true" => Some(true),
            Kind::Scalar { text, is_text: false } if text == "false" => Some(false),
            _ => {
                problems.add(&node.at, format!("expected `true` or `false`, found {}", node.describe()));
                None
            }
        }
    }

    fn schema() -> Value {
        json!({ "type": "boolean" })
    }
}

impl Read for u32 {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let number = match &node.kind {
            Kind::Scalar { text, is_text: false } => text.parse().ok(),
            Kind::Scalar { is_text: true, .. } | Kind::Null | Kind::List(_) | Kind::Map(_) => None,
        };
        if number.is_none() {
            problems.add(&node.at, format!("expected a whole number from 0 to {}, found {}", Self::MAX, shown(node)));
        }
        number
    }

    fn schema() -> Value {
        json!({ "type": "integer", "minimum": 0, "maximum": Self::MAX })
    }
}

/// A scalar as a message quotes it, anything else by its kind.
fn shown(node: &Node) -> String {
    match &node.kind {
        Kind::Scalar { text, .. } => format!("`{}`", crate::model::text::shown(text)),
        Kind::Null | Kind::List(_) | Kind::Map(_) => node.describe().to_owned(),
    }
}

/// Reads a value by the parser of the model.
macro_rules! parsed {
    ($type:ty, $what:literal, $parse:expr, $schema:tt) => {
        impl Read for $type {
            fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
                let text = text(node, $what, problems)?;
                problems.check(&node.at, $parse(text))
            }

            fn schema() -> Value {
                named($what, json!($schema))
            }
        }
    };
}

parsed!(Span, "a duration", Span::parse, { "type": "string", "pattern": "^([0-9]+(d|h|ms|m|s))+$" });
parsed!(PolicyName, "a name", PolicyName::parse, { "type": ["string", "number"], "pattern": "^[a-z0-9-]+$" });
parsed!(EnvironmentName, "a name", EnvironmentName::parse, { "type": ["string", "number"], "pattern": "^[a-z0-9-]+$" });
parsed!(ImageName, "the name of an image", ImageName::parse, { "type": ["string", "number"], "pattern": "^[a-z0-9._-]+$" });
parsed!(Tag, "a tag", Tag::parse, { "type": ["string", "number", "boolean"] });
parsed!(Repository, "an image repository", Repository::parse, { "type": "string" });
parsed!(
    Platform,
    "a platform",
    |text: &str| Platform::parse(text)
        .ok_or_else(|| format!("`{}` is no platform: write it like `linux/amd64`", crate::model::text::shown(text))),
    { "type": "string" }
);

words!(PinForm, "pin", { "tag" => Self::Tag, "digest" => Self::Digest, "tag@digest" => Self::TagAtDigest, });
words!(Together, "together", {
    "same-tag" => Self::SameTag, "same-revision" => Self::SameRevision, "latest" => Self::Latest,
});
words!(Newest, "newest", { "created" => Self::Created, "pushed" => Self::Pushed, "seen" => Self::Seen, });
words!(OnFailure, "on_failure", { "next" => Self::Next, "hold" => Self::Hold, "rollback" => Self::Rollback, });
words!(OnEdit, "on_edit", { "hold" => Self::Hold, "continue" => Self::Continue, });
words!(HoldNewUntil, "hold_new_until", {
    "none" => Self::None, "arrived" => Self::Arrived, "verified" => Self::Verified, "soaked" => Self::Soaked,
});
words!(Ballot, "approvals.by", { "cli" => Self::Cli, "page" => Self::Page, });
words!(ReportSha, "sha", { "revision" => Self::Revision, "commit" => Self::Commit, });

/// The end of an order by numbers, as it is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Numeric(pub(crate) Extreme);
words!(Numeric, "numeric", { "largest" => Self(Extreme::Largest), "smallest" => Self(Extreme::Smallest), });

/// The end of an order by letters, as it is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Alphabetical(pub(crate) Extreme);
words!(Alphabetical, "alphabetical", { "last" => Self(Extreme::Largest), "first" => Self(Extreme::Smallest), });
