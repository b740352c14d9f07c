//! The clients, made from the configuration, and the tasks that read and send beside the loop.

use crate::clients::egress::Egress;
use crate::clients::git::{Author, Mirror, Remote, Token, location};
use crate::clients::gitlab::{self, GitLab};
use crate::clients::http::{Counter, ServerTimes, Transport};
use crate::clients::kind::kind;
use crate::clients::registry::Registry;
use crate::config::{Config, Secret};
use crate::daemon::effects::outbox::Outbox;
use crate::daemon::sources::git_reader::{Orders, Reader, Tips};
use crate::daemon::sources::holds::{Holds, OnBranch};
use crate::daemon::sources::registries::{self, registry_bounds, registry_settings};
use crate::daemon::sources::registry_poller::{Poller, spread};
use crate::daemon::sources::slots::Slots;
use crate::daemon::state::need::{self, Need};
use crate::daemon::{Daemon, ReaderTask, StartError};
use crate::model::event::CheckResult;
use crate::model::policy::HttpCheck;
use crate::model::schedule::Poll;
use crate::model::{PolicyName, Repository};
use crate::telemetry::Metrics;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, watch};

/// How many revisions GitLab is asked for at once: it limits requests, and a registry's readings wait for none of them.
const PLACINGS_MAX: usize = 8;
/// How often a GitOps repository is asked for its tip where no policy says `poll` with an interval.
const READ_EVERY: Duration = Duration::from_secs(60);
/// The shortest time between two such questions.
const READ_EVERY_MIN: Duration = Duration::from_millis(250);
/// Where mirrors are kept, beside the journal.
const MIRRORS: &str = "mirrors";

/// The clients of one daemon.
#[derive(Clone)]
pub struct Clients {
    pub(super) registry: Registry,
    pub(super) gitlab: Option<GitLab>,
    pub(super) checks: Checks,
    /// What the clocks of all servers said that were asked: registries, git servers and GitLab.
    pub(super) server_times: ServerTimes,
    pub(super) readings: Slots,
    pub(super) placings: Arc<Semaphore>,
    /// The configuration in use, for whoever looks it up each time.
    pub(super) configuration: watch::Sender<Arc<Config>>,
    mirrors: BTreeMap<String, Arc<Mirror>>,
    authors: BTreeMap<String, Author>,
}

/// The smoke tests' way out.
#[derive(Clone)]
pub(super) struct Checks(Arc<Egress>);

impl Checks {
    /// Does an HTTP check, and again as often as it may be when it failed; an error says why nothing may be asked there.
    /// `tell` hears what was wrong with an answer.
    pub(super) async fn http(
        &self,
        check: &HttpCheck,
        url: &str,
        timeout: Duration,
        retries: u32,
        tell: &(dyn Fn(&str) + Sync),
    ) -> Result<CheckResult, String> {
        let mut tries = 0;
        loop {
            let result = crate::clients::checks::http(check, url, &self.0, timeout, tell).await;
            match result.map_err(|error| error.to_string())? {
                CheckResult::Failed(why) if tries < retries => {
                    tries += 1;
                    tracing::warn!(error = %why, "a check failed and is made again: {why}");
                }
                result => return Ok(result),
            }
        }
    }
}

impl Clients {
    /// Makes the clients that a configuration asks for; mirrors are kept beside the journal.
    ///
    /// # Errors
    /// When a URL, a certificate or a mirror cannot be used.
    pub fn new(config: &Arc<Config>, metrics: &Metrics, journal: &Path) -> Result<Self, StartError> {
        let (counted, server_times) = (metrics.clone(), ServerTimes::default());
        let times = server_times.clone();
        let counter: Counter = Arc::new(move |url, answered| {
            let status = answered.map(|answered| answered.status);
            counted.requested(url.host_str().unwrap_or_default(), kind(url), status);
            if let Some(said) = answered.and_then(|answered| answered.date) {
                times.heard(url, said);
            }
        });
        let directory = journal.parent().unwrap_or(Path::new(".")).join(MIRRORS);
        let folder = crate::journal::take_folder(&directory);
        folder.map_err(|error| {
            StartError::Client(format!("the directory of mirrors {}: {error}", directory.display()))
        })?;
        let (mut mirrors, mut authors) = (BTreeMap::new(), BTreeMap::new());
        for (name, settings) in &config.repositories {
            let failed = |error: String| StartError::Client(format!("repository `{name}`: {error}"));
            let url = location(&settings.url).ok_or_else(|| failed(format!("{} is no URL", settings.url)))?;
            let token = settings.token.clone();
            let remote = Remote {
                url,
                username: settings.username.clone(),
                token: token.map(read_later),
                transport: Transport { plain_http: settings.url.starts_with("http://"), ..Transport::default() },
            };
            let mirror = Mirror::open(&directory.join(name), remote, counter.clone());
            mirrors.insert(name.clone(), Arc::new(mirror.map_err(|error| failed(error.to_string()))?));
            let (name_of, email) = (settings.author_name.clone(), settings.author_email.clone());
            authors.insert(name.clone(), Author { name: name_of, email });
        }
        let allow: Option<Vec<String>> =
            config.egress.allow.as_ref().map(|allow| allow.iter().map(|glob| glob.as_str().to_owned()).collect());
        let egress = Egress::new(allow.as_deref(), config.egress.private, Some(config.server.listen));
        let egress = Arc::new(egress.map_err(|error| StartError::Client(error.to_string()))?);
        let configuration = watch::Sender::new(config.clone());
        let settings = registry_settings(configuration.subscribe());
        let bounds = registry_bounds(configuration.subscribe(), egress.clone());
        Ok(Self {
            registry: Registry::bounded(settings, bounds, counter.clone()),
            configuration,
            gitlab: gitlab(config, counter)?,
            checks: Checks(egress),
            server_times,
            readings: Slots::new(),
            placings: Arc::new(Semaphore::new(PLACINGS_MAX)),
            mirrors,
            authors,
        })
    }

    /// Who writes commits to a repository.
    pub(super) fn author(&self, repository: &str) -> Author {
        let default = || Author { name: "tagrelay".to_owned(), email: "tagrelay@localhost".to_owned() };
        self.authors.get(repository).cloned().unwrap_or_else(default)
    }
}

/// A secret that is read when it is used, so that a renewed file counts at once.
fn read_later(secret: Secret) -> Token {
    Arc::new(move || secret.read().map_err(|error| error.to_string()))
}

fn gitlab(config: &Config, counter: Counter) -> Result<Option<GitLab>, StartError> {
    let Some(settings) = config.gitlab.clone() else { return Ok(None) };
    let ca = settings.ca.as_ref().map(registries::pem).transpose();
    let ca = ca.map_err(|error| StartError::Client(format!("gitlab.ca: {error}")))?.into_iter().collect();
    let plain_http = settings.url.starts_with("http://");
    let url = settings.url.parse().map_err(|error| StartError::Client(format!("gitlab.url: {error}")))?;
    let tokens = Arc::new(move |project: &str| match settings.token_for(project) {
        Some(secret) => secret.read().map_err(|error| error.to_string()),
        None => Err(format!("no token of the configuration is for project {project}: set gitlab.token")),
    });
    let transport = Transport { ca, plain_http, ..Transport::default() };
    let gitlab = GitLab::new(gitlab::Settings { url, tokens, transport, counter });
    gitlab.map(Some).map_err(|error| StartError::Client(format!("gitlab: {error}")))
}

/// Where the file of a journal's address is.
#[must_use]
pub fn journal_path(address: &str) -> PathBuf {
    PathBuf::from(address.trim_start_matches("sqlite://").split('?').next().unwrap_or_default())
}

impl Daemon {
    /// Starts the reader of each GitOps repository.
    pub(super) fn start_readers(&mut self) {
        for (name, mirror) in self.clients.mirrors.clone() {
            let (orders, wanted) = watch::channel(self.orders(&name, 0));
            let (wake, tips) = (Arc::new(Notify::new()), Tips::default());
            let policies = wanted.borrow().policies.clone();
            let holds =
                policies.map(|(branch, directory, _)| Arc::new(OnBranch::new(mirror.clone(), branch, &directory)));
            if let Some(holds) = &holds {
                self.holds.insert(Some(name.clone()), Holds::Branch(holds.clone()));
            }
            let reader = Reader {
                name: name.clone(),
                mirror: mirror.clone(),
                edits: self.edits.clone(),
                holds,
                journal: self.journal.clone(),
                clock: self.clock.clone(),
                tips: tips.clone(),
                wake: wake.clone(),
                stop: self.stop.clone(),
                out: self.out.clone(),
            };
            self.readings.spawn(reader.run(wanted));
            self.readers.insert(name, ReaderTask { orders, wake, tips, mirror });
        }
    }

    /// What is to be read of a repository, as the policies are now.
    fn orders(&self, name: &str, version: u64) -> Orders {
        let settings = self.config.repositories.get(name);
        let policies = settings.filter(|_| self.config.policies.is_none());
        let policies = policies.and_then(|s| Some((s.branch.clone(), s.policies.clone()?, s.policy_names.clone())));
        let mut environments = Vec::new();
        let mut every = READ_EVERY;
        for known in self.memory.policies.values() {
            for (index, environment) in known.policy.environments.iter().enumerate() {
                if environment.deliver.repository == name && !environment.is_tag_only() {
                    let met = known.standings.get(index).and_then(|standing| standing.ledger.met.clone());
                    environments.push((known.policy.clone(), index, met));
                    if let Poll::Every(poll) = &known.policy.poll {
                        every = every.min(poll.get());
                    }
                }
            }
        }
        Orders { policies, environments, every: every.max(READ_EVERY_MIN), version }
    }

    /// Tells the readers and pollers what the policies need now.
    pub(super) fn tell_tasks(&mut self) {
        for name in self.readers.keys().cloned().collect::<Vec<_>>() {
            let Some(version) = self.readers.get(&name).map(|reader| reader.orders.borrow().version) else { continue };
            let orders = self.orders(&name, version + 1);
            if let Some(reader) = self.readers.get(&name) {
                reader.orders.send_replace(orders);
            }
        }
        self.tell_pollers();
        self.start_outboxes_of_policies();
    }

    /// Tells the pollers of a policy's repositories what is needed now of what runs under it.
    pub(super) fn tell_pollers_of(&mut self, policy: &PolicyName) {
        let Some(known) = self.memory.policies.get(policy) else { return };
        let repositories: BTreeSet<Repository> = known.policy.repositories().cloned().collect();
        for repository in repositories {
            // A poller of which nothing is needed for now rests until something is.
            let need = need::needs(self.memory.users(&repository)).remove(&repository);
            if need.is_some() || self.pollers.contains_key(&repository) {
                self.need(repository, need.unwrap_or_default(), 0);
            }
        }
        self.polling.n_pollers.store(self.pollers.len(), Ordering::Relaxed);
    }

    /// Tells the pollers what the policies need now.
    fn tell_pollers(&mut self) {
        let needs = need::needs(self.memory.policies.values());
        self.pollers.retain(|repository, _| needs.contains_key(repository));
        self.memory.repositories.retain(|repository, _| needs.contains_key(repository));
        let n_new = needs.len() - self.pollers.len();
        self.polling.n_pollers.store(needs.len(), Ordering::Relaxed);
        for (repository, need) in needs {
            self.need(repository, need, n_new);
        }
    }

    /// Tells the poller of a repository what is needed, or starts one, among so many new ones.
    fn need(&mut self, repository: Repository, need: Need, n_new: usize) {
        if let Some((needs, _)) = self.pollers.get(&repository) {
            needs.send_if_modified(|known| {
                let changed = *known != need;
                *known = need;
                changed
            });
            return;
        }
        let (needs, wanted) = watch::channel(need);
        let wake = Arc::new(Notify::new());
        let poller = Poller {
            repository: repository.clone(),
            wake: wake.clone(),
            first: spread(&repository, n_new),
            shared: self.polling.clone(),
        };
        self.readings.spawn(poller.run(wanted));
        self.pollers.insert(repository, (needs, wake));
    }

    /// Has a repository read now.
    pub(super) fn wake_poller(&self, repository: &Repository) {
        if let Some((_, wake)) = self.pollers.get(repository) {
            wake.notify_one();
        }
    }

    /// Starts the senders (none in `mode: observe`) of the projects that are still to be told something.
    pub(super) async fn start_outboxes(&mut self) -> Result<(), StartError> {
        for project in self.journal.projects_to_tell().await? {
            self.start_outbox(project);
        }
        Ok(())
    }

    fn start_outboxes_of_policies(&mut self) {
        let environments = self.memory.policies.values().flat_map(|known| &known.policy.environments);
        let projects: BTreeSet<String> =
            environments.flat_map(|e| &e.report).map(|report| report.project.clone()).collect();
        projects.into_iter().for_each(|project| self.start_outbox(project));
    }

    fn start_outbox(&mut self, project: String) {
        if self.outboxes.contains_key(&project) || !self.acts {
            return;
        }
        let Some(gitlab) = self.clients.gitlab.clone() else {
            tracing::warn!(gitlab.project = %project, "reports for {project} are kept, and not sent: the configuration has no `gitlab`");
            return;
        };
        let wake = Arc::new(Notify::new());
        let outbox = Outbox {
            project: project.clone(),
            gitlab,
            journal: self.journal.clone(),
            clock: self.clock.clone(),
            metrics: self.metrics.clone(),
            wake: wake.clone(),
            stop: self.stop.clone(),
        };
        self.senders.spawn(outbox.run());
        self.outboxes.insert(project, wake);
    }

    /// Has a project's sender look at its rows.
    pub(super) fn wake_outbox(&mut self, project: &str) {
        self.start_outbox(project.to_owned());
        if let Some(wake) = self.outboxes.get(project) {
            wake.notify_one();
        }
    }

    /// The names of the policies that some environment of which is written to a branch.
    pub(super) fn policies_on(&self, repository: &str, branch: &str) -> Vec<PolicyName> {
        let here = |environment: &crate::model::Environment| {
            environment.deliver.repository == repository && environment.deliver.branch == branch
        };
        let policies = self.memory.policies.values().filter(|known| known.policy.environments.iter().any(here));
        policies.map(|known| known.policy.name.clone()).collect()
    }
}
