//! A set of policy files: each by itself, then what they mean to each other. A broken file stops itself alone.

use super::allowance::Allowance;
use super::cases::{self, CaseFile};
use super::owners::{self, Owners};
use super::policy::{Broken, Draft};
use super::read::Form as _;
use super::settings::{Config, RepositorySettings};
use super::tree::Place as At;
use crate::model::Target;
use crate::model::place::Document;
use crate::model::policy::{Environment, Policy, PolicyOrigin};
use std::collections::{BTreeMap, BTreeSet};

/// What a set of files says.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// The policies with which nothing is wrong, in the order of the files.
    pub policies: Vec<Policy>,
    /// The files with which something is wrong.
    pub broken: Vec<Broken>,
    /// The cases beside the policies.
    pub cases: Vec<CaseFile>,
}

/// Reads policies, and the cases beside them (`*.cases.yaml`), where nobody knows which was there first: what two of them
/// want is an error in both.
#[must_use]
pub fn policies(config: &Config, files: &[(PolicyOrigin, String)]) -> Loaded {
    read_all(config, files, None)
}

/// Reads policies where it is known from which files they were loaded before.
///
/// A name stays with its file, and the newcomer is refused. What else two files want is no error of either here: who may
/// have it is known once the places are read.
#[must_use]
pub fn policies_among(config: &Config, files: &[(PolicyOrigin, String)], owners: &Owners) -> Loaded {
    read_all(config, files, Some(owners))
}

fn read_all(config: &Config, files: &[(PolicyOrigin, String)], owners: Option<&Owners>) -> Loaded {
    let is_cases = |origin: &PolicyOrigin| cases::policy_path(&origin.path).is_some();
    let mut allowance = Allowance::default();
    let read = |(origin, text): &(PolicyOrigin, String)| Draft::read(config, origin, text, &mut allowance);
    let mut drafts: Vec<Draft> = files.iter().filter(|(origin, _)| !is_cases(origin)).map(read).collect();
    for conflict in conflicts(config, &drafts, owners.is_some()) {
        if let Some(draft) = drafts.get_mut(conflict.draft) {
            draft.problems.add(&conflict.at, conflict.message);
        }
    }
    for (index, message) in owners.map(|owners| owners::refused(&drafts, owners)).unwrap_or_default() {
        if let Some(draft) = drafts.get_mut(index) {
            let at = draft.name.as_ref().map_or(0..0, |name| name.at.clone());
            draft.problems.add_with_help(&at, message, "give this policy another name, or delete the other file first");
        }
    }
    let mut loaded = Loaded::default();
    for draft in drafts {
        match draft.finish() {
            Ok(policy) => loaded.policies.push(policy),
            Err(broken) => loaded.broken.push(broken),
        }
    }
    for (origin, text) in files.iter().filter(|(origin, _)| is_cases(origin)) {
        match cases::read(origin, text, &loaded.policies) {
            Ok(file) => loaded.cases.push(file),
            Err(diagnostics) => loaded.broken.push(Broken { origin: origin.clone(), name: None, diagnostics }),
        }
    }
    loaded
}

/// What is wrong with one draft because of another.
struct Conflict {
    draft: usize,
    at: At,
    message: String,
}

/// Something outside that only one environment may have.
struct Claim {
    draft: usize,
    /// Its owner, as a message names it.
    owner: String,
    at: At,
    /// Which of several documents is claimed, where there may be several.
    document: Option<Document>,
}

/// Everything that two claim, told to both; `within_files` leaves out what two files claim.
fn conflicts(config: &Config, drafts: &[Draft], within_files: bool) -> Vec<Conflict> {
    let mut claims: BTreeMap<String, Vec<Claim>> = BTreeMap::new();
    for (index, draft) in drafts.iter().enumerate() {
        claim(config, index, draft, &mut claims);
    }
    let mut conflicts = Vec::new();
    for (thing, claims) in &claims {
        for (index, one) in claims.iter().enumerate() {
            let is_other =
                |(other, claim): &(usize, &Claim)| *other != index && (!within_files || claim.draft == one.draft);
            let mut others = claims.iter().enumerate().filter(is_other).map(|(_, other)| other);
            if let Some(other) = others.find(|other| may_be_one(one.document.as_ref(), other.document.as_ref())) {
                let message = format!("{thing}, and so does {}", other.owner);
                conflicts.push(Conflict { draft: one.draft, at: one.at.clone(), message });
            }
        }
    }
    conflicts
}

fn claim(config: &Config, index: usize, draft: &Draft, claims: &mut BTreeMap<String, Vec<Claim>>) {
    let mut add = |thing: String, owner: String, at: &At, document: Option<Document>| {
        claims.entry(thing).or_default().push(Claim { draft: index, owner, at: at.clone(), document });
    };
    let policy = draft.name.as_ref().map_or_else(|| draft.origin.to_string(), |name| name.value.to_string());
    if let Some(name) = &draft.name {
        add(format!("this takes the name `{}`", name.value), draft.origin.to_string(), &name.at, None);
    }
    for drafted in &draft.environments {
        let (form, Some(environment)) = (&drafted.form, &drafted.environment) else { continue };
        let owner = || format!("`{policy}/{}` ({})", environment.name, draft.origin);
        let forms = form.write.value().map(Vec::as_slice).unwrap_or_default();
        for (place, form) in environment.write.iter().zip(forms) {
            for (what, document) in written(&place.target, environment) {
                add(place_of(config, environment, place.target.path(), &what), owner(), form.at(), document);
            }
        }
        let reports = form.report.value().map(Vec::as_slice).unwrap_or_default();
        let mut told: Vec<(&str, &str)> = Vec::new();
        for (report, form) in environment.report.iter().zip(reports) {
            let here = (report.project.as_str(), report.environment.as_str());
            if !told.contains(&here) {
                told.push(here);
                let thing = format!("this reports to the environment `{}` of `{}`", report.environment, report.project);
                add(thing, owner(), form.at(), None);
            }
        }
        let retag = form.promote.value().and_then(|promote| promote.retag.get());
        for (tag, image) in retag.iter().flat_map(|tag| environment.images.iter().map(move |image| (tag, image))) {
            add(format!("this pushes the tag `{}:{}`", image.repository, tag.value), owner(), &tag.at, None);
        }
    }
}

/// What is written in a file: one entry for each thing that two could write.
fn written(target: &Target, environment: &Environment) -> Vec<(String, Option<Document>)> {
    match target {
        Target::Kustomize { path: _ } => {
            // An entry that names a repository before is moved over, so it is written too.
            let named =
                environment.images.iter().flat_map(|image| std::iter::once(&image.repository).chain(&image.before));
            let entries: BTreeSet<String> = named.map(|repository| format!("the entry of `{repository}`")).collect();
            entries.into_iter().map(|entry| (entry, None)).collect()
        }
        Target::Helm { file: _, image: _, keys, document } => {
            let keys = [&keys.image, &keys.registry, &keys.repository, &keys.tag, &keys.digest];
            keys.into_iter().flatten().map(|key| (format!("`{key}`"), document.clone())).collect()
        }
        Target::Yaml { file: _, image: _, path, document } => vec![(format!("`{path}`"), document.clone())],
    }
}

/// A place as both who write it would name it: two names of one repository are one repository.
fn place_of(config: &Config, environment: &Environment, path: &str, what: &str) -> String {
    let deliver = &environment.deliver;
    let repository = config.repositories.get(&deliver.repository).map(RepositorySettings::location).unwrap_or_default();
    let file = path.trim_end_matches("/kustomization.yaml").trim_end_matches("/kustomization.yml");
    // Where there is one repository alone nobody has to be told which.
    let of = if config.names_of(&deliver.repository).count() == config.repositories.len() {
        String::new()
    } else {
        format!(" of {repository}")
    };
    format!("this writes {what} of `{file}` on branch `{}`{of}", deliver.branch)
}

/// Whether two selections may mean one document: they do unless a field tells them apart.
fn may_be_one(one: Option<&Document>, other: Option<&Document>) -> bool {
    let (Some(one), Some(other)) = (one, other) else { return true };
    let apart = |a: &Option<String>, b: &Option<String>| a.is_some() && b.is_some() && a != b;
    !(apart(&one.api_version, &other.api_version)
        || apart(&one.kind, &other.kind)
        || apart(&one.name, &other.name)
        || apart(&one.namespace, &other.namespace))
}
