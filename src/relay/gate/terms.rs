//! The terms of a vote: the gates and places of an environment as they stood when the vote was given.
//!
//! They are text, one term a line, because the journal keeps them with the vote, where people can read them. A vote holds
//! as long as each of its gates stands unchanged and its places are the same: a gate that is added later, or a freeze that
//! is over, changes nothing that was approved.

use crate::model::place::Document;
use crate::model::policy::{Approvals, Ballot, Deliver, Gates, Promote};
use crate::model::{Environment, HelmKeys, ImageName, Place, Span, Target};
use jiff::Timestamp;

/// Stands before a line that says a gate.
const GATE: &str = "gate ";
/// Stands before a line that says a place.
const PLACE: &str = "place ";
/// Stands before the line that says how long a vote holds.
const EXPIRE: &str = "expire ";
/// Stands before a freeze, among the gates.
const FREEZE: &str = "freeze ";

/// The terms of a vote that is given in this environment as it is now.
#[must_use]
pub fn terms(environment: &Environment) -> String {
    let mut lines = Vec::new();
    lines.extend(environment.gates.approvals.as_ref().map(|approvals| format!("{EXPIRE}{}", approvals.expire)));
    lines.extend(gates(environment).into_iter().map(|gate| format!("{GATE}{gate}")));
    lines.extend(places(environment).into_iter().map(|place| format!("{PLACE}{place}")));
    lines.join("\n")
}

/// How long a vote that was given under these terms holds.
pub(super) fn expire(given: &str) -> Option<Span> {
    of(given, EXPIRE).next().and_then(|span| Span::parse(span).ok())
}

/// Why a vote that was given under these terms no longer counts under those of today; none where it does.
pub(super) fn changed(given: &str, today: &str, now: Timestamp) -> Option<String> {
    if of(given, PLACE).next().is_none() {
        return Some("an earlier version of tagrelay did not keep what it was given for".to_owned());
    }
    if !of(given, PLACE).eq(of(today, PLACE)) {
        return Some("the places that are written have changed".to_owned());
    }
    let stands = |gate: &&str| is_over(gate, now) || of(today, GATE).any(|it| it == *gate);
    let gone = of(given, GATE).find(|gate| !stands(gate))?;
    Some(format!("this gate is gone or has changed: {gone}"))
}

/// What follows this word, line by line.
fn of<'a>(terms: &'a str, word: &'a str) -> impl Iterator<Item = &'a str> {
    terms.lines().filter_map(move |line| line.strip_prefix(word))
}

/// Whether a gate is a freeze that has ended.
fn is_over(gate: &str, now: Timestamp) -> bool {
    let until = gate.strip_prefix(FREEZE).and_then(|freeze| freeze.split(' ').nth(1));
    until.and_then(|until| until.parse::<Timestamp>().ok()).is_some_and(|until| until <= now)
}

/// Every gate in words. All of them are taken apart, so that a new one does not compile until it is among them.
fn gates(environment: &Environment) -> Vec<String> {
    let Gates { soak, approvals, windows, freezes } = &environment.gates;
    let mut gates = Vec::new();
    if let Some(Promote { from, retag: _, copies: _, only_newest: _, trust_tag }) = &environment.promote {
        gates.push(format!("verified in {from}, trust_tag {trust_tag}"));
    }
    if *soak != Span::ZERO {
        gates.push(format!("soak {soak}"));
    }
    if let Some(Approvals { required, approvers, exclude, expire: _, by }) = approvals {
        let sorted = |names: &[String]| {
            let mut names = names.to_vec();
            names.sort();
            names
        };
        let mut by: Vec<&str> = by.iter().map(|ballot| word(*ballot)).collect();
        by.sort_unstable();
        let (approvers, exclude) = (sorted(approvers), sorted(exclude));
        gates.push(format!("approvals {required} of {approvers:?} but {exclude:?} by {by:?}"));
    }
    gates.extend(windows.iter().map(|window| {
        let zone = window.open.zone().iana_name().unwrap_or("a zone of its own");
        format!("window {} in {zone} for {}", window.open, window.length)
    }));
    gates.extend(freezes.iter().map(|freeze| format!("{FREEZE}{} {}", freeze.from, freeze.until)));
    gates
}

fn word(ballot: Ballot) -> &'static str {
    match ballot {
        Ballot::Cli => "cli",
        Ballot::Page => "page",
    }
}

/// Where a change lands: repository, branch, the targets as the policy writes them, and the tag that is pushed.
fn places(environment: &Environment) -> Vec<String> {
    let Deliver { repository, branch, base: _, message: _ } = &environment.deliver;
    let mut places = vec![format!("repository {repository:?} branch {branch:?}")];
    let mut targets: Vec<String> = environment.write.iter().map(target).collect();
    targets.sort();
    places.extend(targets);
    if let Some(tag) = environment.promote.as_ref().and_then(|promote| promote.retag.as_ref()) {
        places.extend(environment.images.iter().map(|image| format!("tag {}:{tag}", image.repository)));
    }
    places
}

fn target(place: &Place) -> String {
    let part = |name: &str, value: &Option<String>| value.as_ref().map(|value| format!(" {name} {value:?}"));
    let parts = |parts: &[(&str, &Option<String>)]| -> String {
        parts.iter().filter_map(|(name, value)| part(name, value)).collect()
    };
    let of = |kind: &str, file: &str, image: &ImageName| format!("{kind} {file:?} for {image}");
    let selected = |document: &Option<Document>| -> String {
        document.as_ref().map_or_else(String::new, |document| {
            let Document { api_version, kind, name, namespace } = document;
            parts(&[("apiVersion", api_version), ("kind", kind), ("name", name), ("namespace", namespace)])
        })
    };
    match &place.target {
        Target::Kustomize { path } => format!("kustomize {path:?}"),
        Target::Helm { file, image, keys, document } => {
            let HelmKeys { image: whole, registry, repository, tag, digest } = keys;
            let keys = [
                ("image", whole),
                ("registry", registry),
                ("repository", repository),
                ("tag", tag),
                ("digest", digest),
            ];
            of("helm", file, image) + &parts(&keys) + &selected(document)
        }
        Target::Yaml { file, image, path, document } => {
            format!("{} at {path:?}{}", of("yaml", file, image), selected(document))
        }
    }
}
