//! Cases beside a policy (`shop.cases.yaml` for `shop.yaml`): what is given, and what should come out.
//!
//! They are read here and run elsewhere.

use super::dates::DateBound;
use super::diagnostic::{Diagnostics, Hides, Problems};
use super::read::Presence::{Default, Optional, Required};
use super::read::{At, Entries, Field, Form as _, Read, form, listed};
use super::scalar::text;
use super::tree::{self, Node};
use crate::model::policy::{Policy, PolicyOrigin};
use crate::model::{EnvironmentName, ImageName, PolicyName, Span, Tag};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The gates that a case may expect to wait for.
const GATES: &[&str] = &["verified", "soak", "approvals", "window", "freeze"];

/// The cases of one file.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseFile {
    /// The file.
    pub origin: PolicyOrigin,
    /// The policy beside it.
    pub policy: PolicyName,
    /// Its cases, in order.
    pub cases: Vec<Case>,
}

/// What is given and what should come out. A fact that is not given is taken as satisfied, except votes and `verified`.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// The line it begins on, from 1.
    pub line: usize,
    /// The environment that is asked.
    pub environment: EnvironmentName,
    /// The tags of every image that `images` does not name.
    pub tags: Vec<Tag>,
    /// The tags of single images.
    pub images: BTreeMap<ImageName, Vec<Tag>>,
    /// When tags were pushed.
    pub pushed: BTreeMap<Tag, Timestamp>,
    /// For how long the release has been verified in the environment before; none = it is not.
    pub verified: Option<Span>,
    /// Who approved.
    pub approvals: Vec<String>,
    /// The moment of asking: an hour after the latest time in the case, unless it says otherwise.
    pub now: Timestamp,
    /// Whether the case names that moment: otherwise windows and freezes are taken as satisfied.
    pub names_now: bool,
    /// What should come out.
    pub expect: Expect,
}

/// What should come out of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// This tag is chosen.
    Tag(Tag),
    /// No tag is chosen.
    Nothing,
    /// Every gate is open.
    Go,
    /// It waits for this gate: verified, soak, approvals, window or freeze.
    Wait(String),
}

form! {
    /// A case.
    CaseForm("case") {
        /// The environment that is asked.
        "environment" environment: EnvironmentName, Required;
        /// The tags of every image that `images` does not name.
        "tags" tags: Vec<Tag>, Default("[]");
        /// The tags of single images.
        "images" images: Entries<Vec<Tag>>, Default("{}");
        /// When tags were pushed.
        "pushed" pushed: Entries<DateBound>, Default("{}");
        /// For how long the release has been verified in the environment before.
        "verified" verified: Span, Optional;
        /// Who approved.
        "approvals" approvals: Vec<String>, Default("[]");
        /// The moment of asking.
        "now" now: DateBound, Optional;
        /// What should come out: a tag, `none`, `go` or `wait GATE`.
        "expect" expect: Expect, Required;
    }
}

impl Read for Expect {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let written = text(node, "a tag, `none`, `go` or `wait GATE`", problems)?;
        match (written, written.strip_prefix("wait ").map(str::trim)) {
            ("none", _) => Some(Self::Nothing),
            ("go", _) => Some(Self::Go),
            (_, Some(gate)) if GATES.contains(&gate) => Some(Self::Wait(gate.to_owned())),
            (_, Some(gate)) => {
                let help = format!("the gates are {}", listed(GATES));
                problems.add_with_help(&node.at, format!("`{}` is no gate", crate::model::text::shown(gate)), help);
                None
            }
            (tag, None) => problems.check(&node.at, Tag::parse(tag)).map(Self::Tag),
        }
    }

    fn schema() -> Value {
        json!({ "type": ["string", "number", "boolean"] })
    }
}

/// The path of the policy that a file of cases stands beside; none for any other file.
pub(crate) fn policy_path(path: &str) -> Option<String> {
    let stem = path.strip_suffix(".cases.yaml").or_else(|| path.strip_suffix(".cases.yml"))?;
    Some(format!("{stem}."))
}

/// Reads a file of cases; a policy that is broken itself leaves its cases unread, without an error of theirs.
pub(crate) fn read(origin: &PolicyOrigin, source: &str, policies: &[Policy]) -> Result<CaseFile, Diagnostics> {
    let mut problems = Problems::of(&origin.to_string(), source, Hides::Nothing);
    let stem = policy_path(&origin.path).unwrap_or_default();
    let beside = |policy: &&Policy| {
        let rest = policy.origin.path.strip_prefix(&stem);
        policy.origin.repository == origin.repository && rest.is_some_and(|rest| rest == "yaml" || rest == "yml")
    };
    let policy = policies.iter().find(beside);
    let forms = match tree::parse(source) {
        Ok(node) => Vec::<CaseForm>::read(&node, &mut problems).unwrap_or_default(),
        Err(error) => {
            problems.not_yaml(error, source);
            Vec::new()
        }
    };
    let cases: Vec<Case> = forms.into_iter().filter_map(|form| case(form, source, policy, &mut problems)).collect();
    if policy.is_none() {
        problems.add(&(0..0), format!("no policy that can be read stands beside these cases: {stem}yaml"));
    }
    match policy.filter(|_| problems.is_empty()) {
        Some(policy) => Ok(CaseFile { origin: origin.clone(), policy: policy.name.clone(), cases }),
        None => Err(problems.finish()),
    }
}

fn case(form: CaseForm, source: &str, policy: Option<&Policy>, problems: &mut Problems) -> Option<Case> {
    let environment = form.environment.get()?;
    if policy.is_some_and(|policy| policy.environment(&environment.value).is_none()) {
        problems.add(&environment.at, format!("the policy has no environment `{}`", environment.value));
    }
    let mut images = BTreeMap::new();
    for (name, tags) in form.images.value()?.0.clone() {
        let Some(image) = problems.check(&name.at, ImageName::parse(&name.value)) else { continue };
        if policy.is_some_and(|policy| policy.image(&image).is_none()) {
            problems.add(&name.at, format!("the policy has no image `{image}`"));
        }
        images.insert(image, tags);
    }
    let mut pushed = BTreeMap::new();
    for (tag, moment) in &form.pushed.value()?.0 {
        let at = problems.check(&tag.at, Tag::parse(&tag.value)).zip(moment.start(&TimeZone::UTC));
        pushed.extend(at);
    }
    let before = source.get(..form.at().start).unwrap_or_default();
    Some(Case {
        line: 1 + before.bytes().filter(|b| *b == b'\n').count(),
        environment: environment.value.clone(),
        now: now(&form.now, &pushed)?,
        names_now: !form.now.is_absent(),
        tags: form.tags.take()?,
        images,
        pushed,
        verified: form.verified.take(),
        approvals: form.approvals.take()?,
        expect: form.expect.take()?,
    })
}

/// The moment that is given, else an hour after the latest push, else an hour into 1970.
fn now(given: &Field<DateBound>, pushed: &BTreeMap<Tag, Timestamp>) -> Option<Timestamp> {
    match given {
        Field::Given(At { value, at: _ }) => value.start(&TimeZone::UTC),
        Field::Broken => None,
        Field::Absent => {
            let latest = pushed.values().max().copied().unwrap_or(Timestamp::UNIX_EPOCH);
            latest.checked_add(Span::minutes(60).get()).ok()
        }
    }
}
