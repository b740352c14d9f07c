//! What is wrong with the daemon itself: one list with one set of words, for `/healthz`, `/readyz`, `tagrelay status`,
//! the metrics and the log.
//!
//! [`findings`] reads plain facts. [`Watch`] remembers since when each finding is so, and keeps back what may pass by
//! itself. Nothing here decides what the daemon does.

use crate::model::{Scope, Why, text};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// How long an environment may stand at something that no clock and no gate will end before it counts as stuck.
pub const STUCK_AFTER: Duration = Duration::from_secs(60 * 60);
/// How long a report may wait for its turn without an error.
const REPORT_MAY_WAIT: Duration = Duration::from_secs(30);
/// How many troubles of one kind a text names; the rest is counted.
const NAMED_MAX: usize = 20;

/// A kind of trouble. Its code is a stable name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The journal did not take its last write.
    JournalTakesNoWrite,
    /// The clock is in doubt.
    ClockDoubtful,
    /// What stands on the disk as configuration is not what is in use.
    ConfigurationStale,
    /// The place of the policies cannot be read.
    PoliciesUnread,
    /// The place of the policies holds none.
    PoliciesGone,
    /// Nobody can tell which HOLD files stand somewhere, or what one of them says.
    HoldsUnread,
    /// A HOLD file's name fits nothing, so it holds everything beside it.
    HoldMisnamed,
    /// A policy file is broken.
    PolicyBroken,
    /// A branch of a GitOps repository cannot be read.
    BranchUnread,
    /// A repository of a registry cannot be read.
    RegistryUnread,
    /// The queue that tells of pushes cannot be read.
    QueueUnread,
    /// The pin of an environment cannot be read.
    PinUnread,
    /// Several policies failed in environments of one name, and nothing new begins there.
    ManyFailed,
    /// An effect failed and is tried again.
    EffectFails,
    /// Reports to GitLab wait.
    ReportsWait,
    /// An environment stands at something that no clock and no gate will end.
    Stuck,
}

impl Kind {
    /// All kinds, the worst first.
    pub const ALL: [Self; 16] = [
        Self::JournalTakesNoWrite,
        Self::ClockDoubtful,
        Self::ConfigurationStale,
        Self::PoliciesUnread,
        Self::PoliciesGone,
        Self::HoldsUnread,
        Self::HoldMisnamed,
        Self::PolicyBroken,
        Self::BranchUnread,
        Self::RegistryUnread,
        Self::QueueUnread,
        Self::PinUnread,
        Self::ManyFailed,
        Self::EffectFails,
        Self::ReportsWait,
        Self::Stuck,
    ];

    /// The stable name, for JSON and metrics.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::JournalTakesNoWrite => "journal_takes_no_write",
            Self::ClockDoubtful => "clock_doubtful",
            Self::ConfigurationStale => "configuration_stale",
            Self::PoliciesUnread => "policies_unread",
            Self::PoliciesGone => "policies_gone",
            Self::HoldsUnread => "holds_unread",
            Self::HoldMisnamed => "hold_misnamed",
            Self::PolicyBroken => "policy_broken",
            Self::BranchUnread => "branch_unread",
            Self::RegistryUnread => "registry_unread",
            Self::QueueUnread => "queue_unread",
            Self::PinUnread => "pin_unread",
            Self::ManyFailed => "many_failed",
            Self::EffectFails => "effect_fails",
            Self::ReportsWait => "reports_wait",
            Self::Stuck => "stuck",
        }
    }
}

/// What is known of the daemon's surroundings at one moment.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Why the journal did not take its last write.
    pub journal: Option<String>,
    /// Why the clock is in doubt.
    pub clock: Option<String>,
    /// What of the configuration on the disk is not in use.
    pub configuration: Option<Configuration>,
    /// The places that policies are read from.
    pub policies: Vec<PolicyPlace>,
    /// What is wrong with the HOLD files of each place.
    pub holds: Vec<Holds>,
    /// The policy files that are broken, each with what is wrong with it.
    pub broken: Vec<(String, String)>,
    /// The branches that are read.
    pub branches: Vec<Source>,
    /// The repositories of registries that are read.
    pub registries: Vec<Source>,
    /// Why the queue that tells of pushes cannot be read.
    pub queue: Option<String>,
    /// The pins that cannot be read on a branch that can be.
    pub pins: Vec<(Scope, String)>,
    /// Why each environment does nothing just now.
    pub environments: Vec<(Scope, Vec<Why>)>,
    /// The GitLab projects that are still to be told something.
    pub reports: Vec<Reports>,
}

/// Why the configuration on the disk is not the one in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Configuration {
    /// It cannot be used: the first error, with file and line.
    Broken(String),
    /// These keys of it wait for a restart.
    Waiting(Vec<&'static str>),
}

impl fmt::Display for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(error) => write!(f, "the configuration on disk cannot be used: {error}"),
            Self::Waiting(keys) => {
                write!(f, "of the configuration on disk these keys are not in use yet: {}", keys.join(", "))
            }
        }
    }
}

/// A place that policies are read from.
#[derive(Debug, Clone)]
pub struct PolicyPlace {
    /// Where it is, in words.
    pub name: String,
    /// Whether a reading of it came to an end since the start, well or not.
    pub is_tried: bool,
    /// How many policy files it holds, where it was read.
    pub n_files: Option<usize>,
    /// How many policy files it held at the most since the start.
    pub n_before: usize,
    /// Why it could not be read the last time.
    pub error: Option<String>,
}

/// What is wrong with the HOLD files beside some policies.
#[derive(Debug, Clone)]
pub struct Holds {
    /// Where they stand, in words.
    pub place: String,
    /// Why nobody can tell which there are, where that was so for long.
    pub error: Option<String>,
    /// The files that cannot be read, each with the reason.
    pub unread: Vec<(String, String)>,
    /// The files whose name fits nothing.
    pub misnamed: Vec<String>,
}

/// Something outside that is read again and again.
#[derive(Debug, Clone)]
pub struct Source {
    /// What it is, in words.
    pub name: String,
    /// Whether a reading of it came to an end since the start, well or not.
    pub is_tried: bool,
    /// Why the last reading failed.
    pub error: Option<String>,
}

/// What one GitLab project is still to be told.
#[derive(Debug, Clone)]
pub struct Reports {
    /// Its path.
    pub project: String,
    /// How many reports wait.
    pub n_waiting: u64,
    /// Why the first of them was put off.
    pub error: Option<String>,
}

/// Something that is wrong now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Its kind.
    pub kind: Kind,
    /// What it is about.
    pub of: String,
    /// What is wrong, in a sentence without its end.
    pub text: String,
    /// What to do about it.
    pub remedy: &'static str,
    /// How long it has to be so before it is a trouble.
    pub after: Duration,
    /// The environment and the reason's code, where it is about one.
    pub at: Option<(Scope, &'static str)>,
}

/// A finding that is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What is wrong.
    pub finding: Finding,
    /// Since when.
    pub since: Timestamp,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding { kind, text, remedy, .. } = &self.finding;
        write!(f, "{} since {:.0}: {text}; {remedy}", kind.code(), self.since)
    }
}

/// Everything that is wrong, the worst first.
#[must_use]
pub fn findings(facts: &Facts) -> Vec<Finding> {
    let mut found: Vec<Finding> =
        of_itself(facts).into_iter().chain(of_policies(facts)).chain(of_sources(facts)).collect();
    found.extend(facts.holds.iter().flat_map(of_holds));
    for (scope, whys) in &facts.environments {
        found.extend(whys.iter().flat_map(|why| of_environment(scope, why)));
    }
    found.extend(facts.reports.iter().map(of_reports));
    found.sort_by(|one, other| (one.kind, &one.of).cmp(&(other.kind, &other.of)));
    found.dedup_by(|one, other| (one.kind, &one.of) == (other.kind, &other.of));
    found
}

/// Why people and programs should not be led to this daemon yet, if they should not.
///
/// `was_ready` says that every source was tried once before. A source that is lost later changes nothing: people must
/// still be able to hold and to roll back.
#[must_use]
pub fn unready(facts: &Facts, was_ready: bool) -> Option<String> {
    if let Some(error) = &facts.journal {
        return Some(format!("the journal did not take its last write: {error}"));
    }
    let places = facts.policies.iter().filter(|place| !place.is_tried);
    let places = places.map(|place| place.name.as_str());
    let sources = facts.branches.iter().chain(&facts.registries).filter(|source| !source.is_tried);
    let untried: Vec<&str> = places.chain(sources.map(|source| source.name.as_str())).collect();
    if was_ready || untried.is_empty() {
        return None;
    }
    let named = untried.iter().take(NAMED_MAX).copied().collect::<Vec<_>>().join(", ");
    let rest = untried.len().saturating_sub(NAMED_MAX);
    Some(if rest == 0 { format!("not read yet: {named}") } else { format!("not read yet: {named} and {rest} more") })
}

/// The troubles as lines: each kind at most so often that the text stays short.
#[must_use]
pub fn lines(troubles: &[Trouble]) -> Vec<String> {
    let mut lines = Vec::new();
    for of_kind in troubles.chunk_by(|one, other| one.finding.kind == other.finding.kind) {
        lines.extend(of_kind.iter().take(NAMED_MAX).map(Trouble::to_string));
        if of_kind.len() > NAMED_MAX {
            let kind = of_kind[0].finding.kind.code();
            lines.push(format!("{kind}: {} more of this kind", of_kind.len() - NAMED_MAX));
        }
    }
    lines
}

fn of_itself(facts: &Facts) -> Vec<Finding> {
    let journal = facts.journal.as_ref().map(|error| {
        let text = format!("the journal did not take its last write: {error}");
        finding(Kind::JournalTakesNoWrite, "journal", &text, "nothing is begun until it takes one")
    });
    let clock = facts.clock.as_ref().map(|words| {
        finding(Kind::ClockDoubtful, "clock", words, "no gate opens until it is right: set the clock (NTP)")
    });
    let queue = facts.queue.as_ref().map(|error| {
        let remedy = "pushes are seen at the next poll instead: look at the queue and at who may read it";
        finding(Kind::QueueUnread, "queue", error, remedy)
    });
    let configuration = facts.configuration.as_ref().map(|stale| {
        let remedy = match stale {
            Configuration::Broken(_) => "the one before stays in use, all of it: correct the file",
            Configuration::Waiting(_) => "restart the daemon to use them",
        };
        finding(Kind::ConfigurationStale, "configuration", &stale.to_string(), remedy)
    });
    journal.into_iter().chain(clock).chain(configuration).chain(queue).collect()
}

fn of_policies(facts: &Facts) -> Vec<Finding> {
    let unread = facts.policies.iter().filter_map(|place| {
        let remedy = "the policies stay as they were, and HOLD files there are not seen: mend what the error names";
        let text = format!("{} cannot be read: {}", place.name, place.error.as_ref()?);
        Some(finding(Kind::PoliciesUnread, &place.name, &text, remedy))
    });
    let gone = facts.policies.iter().filter(|place| place.n_files == Some(0)).map(|place| {
        let before = match place.n_before {
            0 => String::new(),
            n => format!(", and held {n} before"),
        };
        let text = format!("{} holds no policy file{before}", place.name);
        finding(
            Kind::PoliciesGone,
            &place.name,
            &text,
            "nothing is carried from there: bring the files back, or correct the path",
        )
    });
    let broken = facts.broken.iter().map(|(file, words)| {
        finding(Kind::PolicyBroken, file, words, "it begins nothing new: correct the file (`tagrelay check`)")
    });
    unread.chain(gone).chain(broken).collect()
}

fn of_holds(Holds { place, error, unread, misnamed }: &Holds) -> Vec<Finding> {
    let nobody_knows = error.iter().map(|error| {
        let text = format!("nobody can tell which HOLD files stand beside {place}: {error}");
        finding(Kind::HoldsUnread, place, &text, "nothing new begins for these policies: mend what the error names")
    });
    let unread = unread.iter().map(|(file, error)| {
        let text = format!("the file {file} beside {place}: {error}");
        finding(Kind::HoldsUnread, &format!("{place} {file}"), &text, "it holds what its name says: mend or delete it")
    });
    let misnamed = misnamed.iter().map(|file| {
        let text = format!("the file {file} beside {place} fits no policy and no environment, so it holds all of them");
        finding(Kind::HoldMisnamed, &format!("{place} {file}"), &text, "give it the name of what it is to hold")
    });
    nobody_knows.chain(unread).chain(misnamed).collect()
}

fn of_sources(facts: &Facts) -> Vec<Finding> {
    let lost = |kind: Kind, source: &Source, remedy| {
        let text = format!("{} cannot be read: {}", source.name, source.error.as_ref()?);
        Some(finding(kind, &source.name, &text, remedy))
    };
    let branch = "what is written there stays as it is: look at the server, the network and the token";
    let registry = "no new tag of it is seen: look at the registry, the network and who may pull";
    let branches = facts.branches.iter().filter_map(|source| lost(Kind::BranchUnread, source, branch));
    let registries = facts.registries.iter().filter_map(|source| lost(Kind::RegistryUnread, source, registry));
    let pins = facts.pins.iter().map(|(scope, error)| {
        let text = format!("the pin of {scope} cannot be read: {error}");
        finding(
            Kind::PinUnread,
            &scope.to_string(),
            &text,
            "this environment alone waits: correct the file or the policy's `write`",
        )
    });
    branches.chain(registries).chain(pins).collect()
}

fn of_environment(scope: &Scope, why: &Why) -> Vec<Finding> {
    let at = Some((scope.clone(), why.code()));
    let mut found = Vec::new();
    if let Why::Blocked { effect, why: error, until: _ } = why {
        let text = format!("{scope}: {effect} failed: {error}");
        let remedy = "it is tried again by itself, and nothing else waits for it";
        let failed = finding(Kind::EffectFails, &format!("{scope} {effect}"), &text, remedy);
        found.push(Finding { at: at.clone(), ..failed });
    }
    if let Why::ImageMissing { .. } = why {
        let remedy = "it is looked for again by itself: push the image again, or promote another release";
        let missing = finding(Kind::EffectFails, &format!("{scope} image"), &format!("{scope}: {why}"), remedy);
        found.push(Finding { at: at.clone(), ..missing });
    }
    if let Why::ManyFailed { environment, reason: _, until: _ } = why {
        let remedy = "a rollback by `on_failure` waits too: look at what these policies share";
        found.push(finding(Kind::ManyFailed, environment, &why.to_string(), remedy));
    }
    if why.is_stuck() {
        let remedy = "no clock and no gate will end this: `tagrelay explain` says more";
        let stuck = finding(Kind::Stuck, &format!("{scope} {}", why.code()), &format!("{scope}: {why}"), remedy);
        found.push(Finding { at, after: STUCK_AFTER, ..stuck });
    }
    found
}

fn of_reports(reports: &Reports) -> Finding {
    let Reports { project, n_waiting, error } = reports;
    let n = if *n_waiting == 1 { "1 report waits".to_owned() } else { format!("{n_waiting} reports wait") };
    let (error, after) = match error {
        Some(error) => (format!(": {error}"), Duration::ZERO),
        None => (String::new(), REPORT_MAY_WAIT),
    };
    let remedy =
        "they are kept and go out in order once GitLab takes them: look at the token, its role and the project";
    let waiting = finding(Kind::ReportsWait, project, &format!("{n} for {project}{error}"), remedy);
    Finding { after, ..waiting }
}

fn finding(kind: Kind, of: &str, text: &str, remedy: &'static str) -> Finding {
    Finding { kind, of: of.to_owned(), text: text::shown(text), remedy, after: Duration::ZERO, at: None }
}

/// Since when each finding is so.
#[derive(Debug, Default)]
pub struct Watch {
    since: BTreeMap<(Kind, String), Timestamp>,
    told: BTreeMap<(Kind, String), Trouble>,
}

/// What a look at the findings brought.
#[derive(Debug, Default)]
pub struct Look {
    /// Everything that is wrong, the worst first.
    pub troubles: Vec<Trouble>,
    /// What was not told before.
    pub began: Vec<Trouble>,
    /// What was told before and is over.
    pub ended: Vec<Trouble>,
}

impl Watch {
    /// Compares what is found now with what was found before.
    pub fn look(&mut self, now: Timestamp, findings: Vec<Finding>) -> Look {
        let mut since = BTreeMap::new();
        let mut look = Look::default();
        let mut told = BTreeMap::new();
        for finding in findings {
            let key = (finding.kind, finding.of.clone());
            let begun = self.since.get(&key).copied().unwrap_or(now);
            since.insert(key.clone(), begun);
            let lasted = Duration::try_from(now.duration_since(begun)).unwrap_or_default();
            if lasted < finding.after {
                continue;
            }
            let trouble = Trouble { finding, since: begun };
            if self.told.remove(&key).is_none() {
                look.began.push(trouble.clone());
            }
            told.insert(key, trouble.clone());
            look.troubles.push(trouble);
        }
        look.ended = std::mem::take(&mut self.told).into_values().collect();
        (self.since, self.told) = (since, told);
        look
    }
}

#[cfg(test)]
mod tests;
