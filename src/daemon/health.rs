//! How the daemon is: facts for [`crate::relay::health`] out of the memory, and what it found for whoever asks without the loop.

use super::Daemon;
use crate::daemon::state::memory::Memory;
use crate::daemon::state::policy_sources as sources;
use crate::model::{Repository, Scope, Why, text};
use crate::relay::candidate;
use crate::relay::health::{self, Facts, Holds, Kind, PolicyPlace, Reports, Source, Trouble};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How often the daemon looks at how it is.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long the loop may take from one turn to the next before it counts as stuck: a pass over everything takes far less.
pub const TURNS_WITHIN: Duration = Duration::from_secs(30);

/// How the daemon is, as its loop last said.
#[derive(Debug, Clone)]
pub struct Health {
    /// When the loop last turned.
    pub turned_at: Instant,
    /// Why nobody should be led here yet, if nobody should.
    pub unready: Option<String>,
    /// What is wrong, the worst first.
    pub troubles: Arc<[Trouble]>,
}

impl Default for Health {
    fn default() -> Self {
        Self { turned_at: Instant::now(), unready: Some("the daemon begins".to_owned()), troubles: Arc::default() }
    }
}

/// What the loop needs to say how it is.
pub(super) struct Pulse {
    health: watch::Sender<Health>,
    watch: health::Watch,
    /// Whether every source was tried once.
    was_ready: bool,
    looked_at: Option<Instant>,
    /// How many policy files each place held at the most.
    n_files: BTreeMap<Option<String>, usize>,
    /// When each HOLD file was first seen.
    hold_files: BTreeMap<(Option<String>, String), Timestamp>,
}

impl Pulse {
    pub(super) fn new() -> Self {
        Self {
            health: watch::Sender::new(Health::default()),
            watch: health::Watch::default(),
            was_ready: false,
            looked_at: None,
            n_files: BTreeMap::new(),
            hold_files: BTreeMap::new(),
        }
    }

    /// What the loop says of itself from now on.
    pub(super) fn subscribe(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    /// What it said last.
    pub(super) fn health(&self) -> Health {
        self.health.borrow().clone()
    }

    /// The loop turned.
    pub(super) fn beat(&self) {
        self.health.send_modify(|health| health.turned_at = Instant::now());
    }
}

impl Daemon {
    /// Looks at how the daemon is, where that is due, and says what changed.
    pub(super) async fn look_at_health(&mut self) {
        if self.pulse.looked_at.is_some_and(|at| at.elapsed() < LOOK_EVERY) {
            return;
        }
        self.pulse.looked_at = Some(Instant::now());
        let facts = self.health_facts().await;
        let unready = health::unready(&facts, self.pulse.was_ready);
        self.pulse.was_ready |= unready.is_none();
        let look = self.pulse.watch.look(self.clock.now(), health::findings(&facts));
        for trouble in &look.began {
            tracing::warn!(trouble.what = trouble.finding.kind.code(), "{trouble}");
        }
        for trouble in &look.ended {
            let Trouble { finding, since } = trouble;
            tracing::info!(trouble.what = finding.kind.code(), "over, since {since:.0} it was so: {}", finding.text);
        }
        self.count_troubles(&look.troubles);
        self.count_holds();
        let troubles = Arc::from(look.troubles);
        self.pulse.health.send_modify(|health| {
            health.unready = unready;
            health.troubles = troubles;
        });
    }

    fn count_troubles(&self, troubles: &[Trouble]) {
        let n = |kind: Kind| troubles.iter().filter(|trouble| trouble.finding.kind == kind).count();
        self.metrics.config_stale(n(Kind::ConfigurationStale) > 0);
        self.metrics.unwell(Kind::ALL.map(|kind| (kind.code(), n(kind))));
        let stuck = troubles.iter().filter(|trouble| trouble.finding.kind == Kind::Stuck);
        let stuck = stuck.filter_map(|trouble| trouble.finding.at.as_ref());
        self.metrics.stuck(
            stuck.filter_map(|(scope, code)| {
                Some((scope.policy.as_ref()?, scope.environment.as_ref()?.as_str(), *code))
            }),
        );
    }

    /// Counts how long the oldest hold stands. A HOLD file stands since this process first saw it.
    fn count_holds(&mut self) {
        let now = self.clock.now();
        let files =
            self.memory.holds.iter().flat_map(|(of, files)| files.iter().map(|file| (of.clone(), file.name.clone())));
        let seen = std::mem::take(&mut self.pulse.hold_files);
        self.pulse.hold_files = files.map(|file| (file.clone(), seen.get(&file).copied().unwrap_or(now))).collect();
        let standings = self.memory.policies.values().flat_map(|known| &known.standings);
        let holds = standings.flat_map(|standing| standing.ledger.holds_at(now)).map(|hold| hold.at);
        let oldest = holds.chain(self.pulse.hold_files.values().copied()).min();
        self.metrics.oldest_hold(oldest.and_then(|at| Duration::try_from(now.duration_since(at)).ok()));
    }

    async fn health_facts(&mut self) -> Facts {
        let doubt = self.memory.doubt.as_ref().map(|(words, _)| words.clone());
        let policies = self.policy_places();
        let broken = self.memory.broken.iter().map(|broken| (broken.file.clone(), broken.at.clone()));
        Facts {
            journal: self.journal_watch.trouble().map(|trouble| trouble.why.clone()),
            clock: doubt,
            configuration: self.memory.configuration.clone(),
            policies,
            holds: self.holds_in_trouble(),
            broken: broken.collect(),
            branches: self
                .branches_in_use()
                .iter()
                .map(|(repository, branch)| self.branch_source(repository, branch))
                .collect(),
            registries: self.registry_sources(),
            queue: self.memory.queue.clone(),
            pins: pins(&self.memory),
            environments: environments(&self.memory),
            reports: self.reports_that_wait().await,
        }
    }

    /// Where policies are read from, and what of it is known.
    fn policy_places(&mut self) -> Vec<PolicyPlace> {
        let mut places: Vec<(Option<String>, String, bool)> = Vec::new();
        if let Some(directory) = &self.config.policies {
            places.push((None, directory.display().to_string(), false));
        } else {
            for (name, settings) in &self.config.repositories {
                if let Some(policies) = &settings.policies {
                    let words = format!("{policies} on branch {} of {name}", settings.branch);
                    let is_tried = self.branch_source(name, &settings.branch).is_tried;
                    places.push((Some(name.clone()), words, is_tried));
                }
            }
        }
        let is_judging = self.judging.is_begun;
        let view = |(of, name, is_tried): (Option<String>, String, bool)| {
            let n_files = self.sources.get(&of).map(crate::daemon::message::PolicyFiles::len);
            let n_before = self.pulse.n_files.entry(of.clone()).or_default();
            *n_before = n_files.unwrap_or(0).max(*n_before);
            let error = self.memory.unreadable.get(&of).cloned();
            // What policies need is known once they are judged.
            let is_tried = !is_judging && (is_tried || n_files.is_some() || error.is_some());
            PolicyPlace { name, is_tried, n_files, n_before: *n_before, error }
        };
        places.into_iter().map(view).collect()
    }

    /// The places where something is wrong with HOLD files.
    fn holds_in_trouble(&self) -> Vec<Holds> {
        let now = self.clock.now();
        let places: BTreeSet<&Option<String>> = self.memory.holds.keys().chain(self.memory.unheld.keys()).collect();
        let of = |source: &Option<String>| {
            let error = self.memory.unheld.get(source).filter(|unheld| unheld.why(now).is_some());
            let files = self.memory.holds.get(source).into_iter().flatten().filter(|file| file.is_unread);
            // What a name fits is known once the policies are.
            let brakes = self.memory.brakes.get(source).filter(|_| !self.judging.is_begun);
            Holds {
                place: sources::place(source.as_deref()),
                error: error.map(|unheld| unheld.error().to_owned()),
                unread: files.map(|file| (text::shown(&file.name), file.reason.clone())).collect(),
                misnamed: brakes.map(|(brakes, _)| brakes.misnamed().to_vec()).unwrap_or_default(),
            }
        };
        places.into_iter().map(of).collect()
    }

    /// The branches that policies are read from or written to.
    fn branches_in_use(&self) -> BTreeSet<(String, String)> {
        let sources = self.config.repositories.iter().filter(|(_, settings)| settings.policies.is_some());
        let sources = sources.filter(|_| self.config.policies.is_none());
        let sources = sources.map(|(name, settings)| (name.clone(), settings.branch.clone()));
        let environments = self.memory.policies.values().flat_map(|known| &known.policy.environments);
        let written = environments.filter(|environment| !environment.is_tag_only());
        let written = written.map(|e| (e.deliver.repository.clone(), e.deliver.branch.clone()));
        sources.chain(written).collect()
    }

    fn branch_source(&self, repository: &str, branch: &str) -> Source {
        let known = self.memory.branches.get(&(repository.to_owned(), branch.to_owned()));
        Source {
            name: format!("branch {branch} of {repository}"),
            is_tried: known.is_some_and(|known| known.read_at.is_some() || known.error.is_some()),
            error: known.and_then(|known| known.error.clone()),
        }
    }

    fn registry_sources(&self) -> Vec<Source> {
        let now = self.clock.now();
        // Of what nobody needs just now nothing is read.
        let needed = self.pollers.iter().filter(|(_, (need, _))| !need.borrow().is_nothing());
        let source = |repository: &Repository| {
            let known = self.memory.repositories.get(repository);
            Source {
                name: repository.to_string(),
                is_tried: known.is_some_and(|known| known.read_at.is_some() || known.error.is_some()),
                error: known.and_then(|known| known.trouble(now).cloned()),
            }
        };
        needed.map(|(repository, _)| source(repository)).collect()
    }

    async fn reports_that_wait(&self) -> Vec<Reports> {
        // A journal that cannot be read shows itself where it takes no write.
        let projects = self.journal.projects_to_tell().await.unwrap_or_default();
        let mut reports = Vec::with_capacity(projects.len());
        for project in projects {
            let waiting = self.journal.pending(&project).await.unwrap_or_default();
            let n_waiting = u64::try_from(waiting.len()).unwrap_or(u64::MAX);
            reports.push(Reports { project, n_waiting, error: waiting.iter().find_map(|row| row.reason.clone()) });
        }
        reports
    }
}

/// The pins that cannot be read on a branch that can be.
fn pins(memory: &Memory) -> Vec<(Scope, String)> {
    let mut unread = Vec::new();
    for known in memory.policies.values() {
        for (environment, standing) in known.policy.environments.iter().zip(&known.standings) {
            if let Err(Why::Unread { what: _, error: Some(error) }) = &standing.pin {
                unread.push((Scope::of(&known.policy.name, &environment.name), error.clone()));
            }
        }
    }
    unread
}

/// Why each environment does nothing just now.
fn environments(memory: &Memory) -> Vec<(Scope, Vec<Why>)> {
    let mut all = Vec::new();
    for known in memory.policies.values() {
        for (environment, standing) in known.policy.environments.iter().zip(&known.standings) {
            let mut why = standing.why.clone();
            // Where releases come fast an environment hardly ever rests, and has no reasons while it writes.
            let overtaken = candidate::always_overtaken(&environment.name, &standing.ledger);
            why.extend(overtaken.filter(|overtaken| !why.contains(overtaken)));
            all.push((Scope::of(&known.policy.name, &environment.name), why));
        }
    }
    all
}
