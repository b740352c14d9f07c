//! What reaches the loop is taken into the memory, and marks what must be judged again.

use crate::daemon::handle::Request;
use crate::daemon::message::{BranchReading, Message};
use crate::daemon::requests::history;
use crate::daemon::requests::plan;
use crate::daemon::requests::reports;
use crate::daemon::state::keeping::Keeping;
use crate::daemon::state::memory::{EnvironmentState, PolicyState};
use crate::daemon::{Clock, Daemon};
use crate::model::{Environment, OurCommit, Policy, PolicyName, Scope, Sequence, Why};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

impl Daemon {
    /// Takes one message in.
    pub(super) async fn take(&mut self, message: Message) {
        if matches!(message, Message::Observed { .. }) {
            let hosts = self.clients.registry.hosts();
            self.metrics.hosts(hosts.iter().map(|host| (host.host.as_str(), host.shut.is_some())));
        }
        match message {
            Message::Tick => self.tick(),
            // The last reading of a repository that no policy names any more comes after it was forgotten.
            Message::Observed { repository, .. } | Message::Learned { repository, .. }
                if !self.pollers.contains_key(&repository) => {}
            Message::Observed { repository, at, begun, result: Ok(observation) } => {
                self.observed(repository, (at, begun), observation).await;
            }
            Message::Observed { repository, at: _, begun: _, result: Err(error) } => {
                let shelf = self.memory.repositories.entry(repository.clone()).or_default();
                if shelf.error.as_ref() != Some(&error) {
                    tracing::warn!(repository.name = %repository, error = %error, "{repository} could not be read: {error}");
                }
                shelf.error = Some(error);
                self.mark_users(&repository);
            }
            Message::Learned { repository, tag, result } => self.learned(repository, tag, result).await,
            Message::Placed { project, revision, branch, on_branch } => {
                self.placed((project, revision, branch), on_branch);
            }
            Message::Unplaced { project, branch, error } => self.unplaced(project, branch, error),
            Message::Read { repository, branch, at, result } => {
                let tells = result.as_ref().is_ok_and(|reading| !reading.pins.is_empty());
                if let Ok(reading) = &result {
                    self.keep_ids_apart(reading).await;
                }
                self.read(&repository, &branch, at, result);
                if tells {
                    self.settle_places().await;
                }
            }
            Message::Policies { repository, holds, result } => {
                match holds {
                    Some(holds) => self.holds_read(&repository, holds),
                    None => self.holds_unread(repository.clone(), "the directory cannot be read"),
                }
                match result {
                    Ok(files) => self.policies(repository, files),
                    Err(error) => self.policies_unread(repository, &error),
                }
            }
            Message::Holds { repository, holds } => {
                self.holds_read(&repository, holds);
                self.read_policies_again(repository.as_deref());
            }
            Message::Judged(judged) => self.judged(judged).await,
            Message::Done { scope, done } => self.done(&scope, done).await,
            Message::Asked(request) => self.asked(request).await,
            Message::BringBack { target, to, reason, who, reply } => {
                answer(reply, self.bring_back(&target, &to, reason, who).await);
            }
            Message::Resume { asked, who, before, reply } => {
                answer(reply, self.lift(&asked, &before, &who).await);
            }
            Message::Verdict { signal, rollout, sought, reply } => {
                let policy = signal.target.policy.clone();
                self.sought(signal, rollout, sought, reply).await;
                self.mark(&policy);
            }
        }
    }

    /// Keeps whether the queue that tells of pushes can be read.
    fn queue_was_read(&mut self, read: Result<(), String>) {
        match &read {
            Err(error) if self.memory.queue.as_ref() != Some(error) => tracing::warn!(error = %error, "{error}"),
            Ok(()) if self.memory.queue.is_some() => tracing::info!("the queue is read again"),
            Ok(()) | Err(_) => {}
        }
        self.memory.queue = read.err();
    }

    /// Looks at the clock, before anything is judged by it.
    pub(super) async fn look_at_the_clock(&mut self) {
        let (machine, servers) = (Clock::machine(), self.clients.server_times.all());
        let look = self.watch.look(machine, tokio::time::Instant::now(), &servers);
        if let Some(by) = look.jumped {
            self.clock_was_set(by).await;
        }
        for server in &look.wrong_servers {
            let name = server.split(' ').next().unwrap_or_default();
            if !self.memory.wrong_servers.iter().any(|known| known.starts_with(name)) {
                tracing::warn!("the clock of a server is wrong, most others agree with this machine: {server}");
            }
        }
        self.memory.wrong_servers = look.wrong_servers;
        if self.memory.doubt.is_none()
            && let Some((words, _)) = look.doubt.as_ref()
        {
            tracing::error!("no gate opens: {words}");
        }
        let changed = look.doubt.is_some() != self.memory.doubt.is_some();
        self.memory.doubt = look.doubt;
        if changed {
            self.mark_all();
        }
    }

    /// Time passed: whatever time alone can change is judged again.
    fn tick(&mut self) {
        self.place_again();
        self.attach_again();
        self.ask_for_places_again();
        self.count_waiting();
        self.fold_when_due();
        let now = self.clock.now();
        let waits = |standing: &EnvironmentState| {
            let due = standing.why.iter().filter_map(Why::until).any(|until| until <= now);
            let unread = standing.why.iter().any(|why| matches!(why, Why::Unread { .. }));
            due || unread
                || standing.ledger.in_flight().is_some()
                || standing.keeping.is_due(now)
                || standing.blocks.iter().any(|block| block.until <= now)
        };
        for known in self.memory.policies.values() {
            for (index, standing) in known.standings.iter().enumerate() {
                if waits(standing) {
                    self.due.insert((known.policy.name.clone(), index));
                }
            }
        }
    }

    /// Takes a new id where git shows a commit of this id with a number that this journal never gave out: another copy of
    /// it went on, and no number may be given out twice.
    async fn keep_ids_apart(&mut self, reading: &BranchReading) {
        let last = self.past.last().unwrap_or(Sequence(0));
        let ahead = reading.pins.iter().find_map(|(_, pin)| match &pin.as_ref().ok()?.ours {
            OurCommit::Found(trailers) if trailers.journal == self.ids.id && trailers.sequence > last => {
                Some((trailers.commit.clone(), trailers.sequence))
            }
            OurCommit::Found(_) | OurCommit::LimitReached | OurCommit::None => None,
        });
        let Some((commit, sequence)) = ahead else { return };
        match self.journal.take_new_id().await {
            Ok(ids) => {
                tracing::warn!(
                    "commit {} has number {sequence} of journal {}, which went only to {last} here: another copy of it \
                     went on, so this one is {} from now on",
                    commit.short(),
                    self.ids.id,
                    ids.id
                );
                self.ids = ids;
                self.mark_all();
            }
            Err(error) => tracing::error!(%error, "the journal could not take a new id: {error}"),
        }
    }

    /// Takes in the reading of a branch.
    fn read(&mut self, repository: &str, branch: &str, at: Timestamp, result: Result<BranchReading, String>) {
        let key = (repository.to_owned(), branch.to_owned());
        if self.has_policies(repository, branch) {
            match &result {
                Ok(_) => self.policies_found(&Some(repository.to_owned())),
                Err(error) => {
                    self.holds_unread(Some(repository.to_owned()), error);
                    self.policies_unread(Some(repository.to_owned()), error);
                }
            }
        }
        let known = self.memory.branches.entry(key).or_default();
        let reading = match result {
            Err(error) => {
                if known.error.as_ref() != Some(&error) {
                    tracing::warn!(error = %error, "branch {branch} of {repository} could not be read: {error}");
                }
                known.error = Some(error);
                self.policies_on(repository, branch).iter().for_each(|policy| self.mark(policy));
                return;
            }
            Ok(reading) => reading,
        };
        let generation = self.readers.get(repository).map(|reader| reader.tips.generation(branch));
        if generation != Some(reading.generation) {
            return;
        }
        let moved = known.tip.as_ref() != Some(&reading.tip);
        (known.tip, known.read_at, known.error) = (Some(reading.tip), Some(at), None);
        for (scope, claims) in reading.claims {
            let found = scope.policy.as_ref().zip(scope.environment.as_ref()).and_then(|(p, e)| self.memory.find(p, e));
            let environment = found.and_then(|(known, index)| known.policy.environments.get(index));
            let places = environment.map(|environment| self.places_in_files(environment, &claims));
            if let Some(standing) = self.memory.standing_mut(&scope) {
                standing.places = places;
            }
        }
        for (scope, pin) in reading.pins {
            if let Some(standing) = self.memory.standing_mut(&scope) {
                let tip = pin.as_ref().ok().map(|reading| &reading.tip);
                if tip.is_some() && tip != standing.tried_at.as_ref() {
                    standing.blocks.clear();
                }
                if moved {
                    standing.unfit.clear();
                }
                standing.pin = pin.map(Some);
            }
        }
        for policy in self.policies_on(repository, branch) {
            self.mark(&policy);
        }
    }

    /// Puts these policies in the place of those that were known; what is known of an environment stays.
    pub(super) fn adopt(&mut self, wanted: BTreeMap<PolicyName, (Policy, Option<Why>)>) {
        let mut before = std::mem::take(&mut self.memory.policies);
        let mut left = Vec::new();
        for (name, (policy, broken)) in wanted {
            let mut old = before.remove(&name).map(|known| (known.policy.clone(), known.standings));
            let mut standings = Vec::with_capacity(policy.environments.len());
            for environment in &policy.environments {
                let kept = old.as_mut().and_then(|(policy, standings)| {
                    let at = policy.environments.iter().position(|e| e.name == environment.name)?;
                    let fresh = EnvironmentState::new(crate::model::Ledger::default());
                    // What was edited changes for that, and not for a new build.
                    let same = format!("{:?}", policy.environments[at]) == format!("{environment:?}");
                    let kept = standings.get_mut(at).map(|standing| std::mem::replace(standing, fresh))?;
                    Some(EnvironmentState { settled: kept.settled && same, ..kept })
                });
                let moved = old.as_ref().is_some_and(|(policy, _)| !writes_there(policy, environment));
                let kept = kept.map(|standing| forgetting_places(standing, moved)).map(|standing| EnvironmentState {
                    blocks: Vec::new(),
                    copied: None,
                    copying: None,
                    keeping: Keeping::default(),
                    ..standing
                });
                let remembered = || EnvironmentState::new(self.past.take(&Scope::of(&name, &environment.name)));
                standings.push(kept.unwrap_or_else(remembered));
            }
            left.extend(old.map(|(policy, standings)| (name.clone(), policy, standings)));
            self.memory.policies.insert(name, PolicyState { policy: Arc::new(policy), broken, standings });
        }
        left.extend(before.into_iter().map(|(name, known)| (name, known.policy, known.standings)));
        for (name, policy, standings) in left {
            for (environment, standing) in policy.environments.iter().zip(standings) {
                let scope = Scope::of(&name, &environment.name);
                if self.memory.standing_mut(&scope).is_none() {
                    self.past.put(scope, standing.ledger);
                }
            }
        }
        self.due.clear();
        self.memory.find_users();
        self.memory.find_brakes();
        self.tell_tasks();
        self.mark_all();
    }

    /// Carries out an order, or answers a question.
    pub(super) async fn asked(&mut self, request: Request) {
        match request {
            Request::Command(command, who, reply) => self.command(command, who, reply).await,
            Request::Signal(signal, reply) => {
                let policy = signal.target.policy.clone();
                self.signal(signal, reply).await;
                self.mark(&policy);
            }
            Request::Status(reply) => answer(reply, Arc::new(self.status().await)),
            Request::Explain(target, reply) => answer(reply, self.explain(&target)),
            Request::Where(name, reply) => answer(reply, self.where_is(&name)),
            Request::NotYet(target, reply) => answer(reply, self.not_yet(&target)),
            Request::Plan(policy, reply) => match self.plan(policy.as_ref()) {
                Ok(drafts) => {
                    let reading = self.reading.clone();
                    self.tasks.spawn(async move {
                        let _slot = reading.acquire().await;
                        answer(reply, Ok(plan::finished(drafts).await));
                    });
                }
                Err(refusal) => answer(reply, Err(refusal)),
            },
            Request::File(path, reply) => answer(reply, self.writers_of(&path)),
            Request::History(of, reply) => {
                let (journal, reading) = (self.journal.clone(), self.reading.clone());
                self.tasks.spawn(async move {
                    let _slot = reading.acquire().await;
                    answer(reply, history::history(&journal, &of).await);
                });
            }
            Request::Reports(unsent, reply) => {
                let (journal, reading, id) = (self.journal.clone(), self.reading.clone(), self.ids.id.clone());
                self.tasks.spawn(async move {
                    let _slot = reading.acquire().await;
                    answer(reply, reports::listed(&journal, &id, unsent).await);
                });
            }
            Request::RetryReports(who, reply) => answer(reply, self.retry_reports(&who).await),
            Request::Wake(repository, tag) => self.wake_for(&repository, tag.as_ref()),
            Request::Queue(read) => self.queue_was_read(read),
            Request::Reload => self.tell_tasks(),
            Request::Reconfigure(read) => self.reconfigure(*read).await,
            Request::Idle(reply) => self.idle_waiters.push(reply),
        }
    }
}

/// Whether an environment wrote the same places before.
fn writes_there(before: &Policy, environment: &Environment) -> bool {
    let same = |old: &Environment| {
        let branch = |of: &Environment| (of.deliver.repository.clone(), of.deliver.branch.clone());
        old.write == environment.write && branch(old) == branch(environment)
    };
    before.environment(&environment.name).is_some_and(same)
}

/// What is known of an environment; not of its places where it writes others now: they are read first.
fn forgetting_places(standing: EnvironmentState, moved: bool) -> EnvironmentState {
    if !moved {
        return standing;
    }
    let why = Why::Unread { what: "the GitOps repository".to_owned(), error: None };
    EnvironmentState { places: None, pin: Err(why), ..standing }
}

/// Answers somebody who may have gone away meanwhile.
pub(super) fn answer<T>(reply: tokio::sync::oneshot::Sender<T>, answer: T) {
    if reply.send(answer).is_err() {
        tracing::debug!("somebody asked and did not wait for the answer");
    }
}
