//! What the daemon says of itself: views made from the memory, and one sentence for each event.

use crate::clients::registry::HostState;
use crate::config::Mode;
use crate::daemon::Daemon;
use crate::daemon::handle::{Refusal, Target};
use crate::daemon::state::memory::Branch;
use crate::daemon::state::memory::RepositoryState;
use crate::daemon::state::memory::{PassContext, PolicyState};
use crate::daemon::view::{
    ArrivalView, BranchView, EnvironmentView, Explanation, GateView, HoldView, HostView, PolicyView, ProjectView,
    RefusalView, ReleaseView, RepositoryView, Status,
};
use crate::model::event::{CheckResult, Effect, Event, Order, Verdict};
use crate::model::policy::{RolloutRules, Signal};
use crate::model::{Arrival, Origin, Release, ReleaseId, Why, text};
use crate::relay::gate::{self, GateStatus};
use crate::relay::{authority, candidate, facts::Facts, since};
use jiff::Timestamp;

/// How many releases that ran before `explain` lists.
const BEFORE_SHOWN_MAX: usize = 5;
/// How many tags `explain` lists.
const TAGS_SHOWN_MAX: usize = 1000;
/// How many parked reports of a project are shown.
const PARKED_SHOWN_MAX: usize = 20;

impl Daemon {
    /// Everything at one glance.
    pub(in crate::daemon) async fn status(&self) -> Status {
        let moment = self.moment();
        let mode = if self.config.mode == Mode::Act { "act" } else { "observe" };
        Status {
            now: moment.now,
            journal: self.ids.id.clone(),
            mode,
            health: self.pulse.health(),
            policies: self.memory.policies.values().map(|known| self.policy(known, &moment)).collect(),
            broken: self
                .memory
                .unreadable
                .values()
                .chain(self.memory.broken.iter().map(|broken| &broken.text))
                .chain(&self.memory.contested)
                .chain(&self.memory.queue)
                .cloned()
                .chain(self.journal_watch.trouble().map(|trouble| trouble.why().to_string()))
                .collect(),
            repositories: self.repositories(),
            hosts: self.hosts(),
            branches: self.branches(),
            projects: self.projects().await,
        }
    }

    fn policy(&self, known: &PolicyState, moment: &PassContext<'_>) -> PolicyView {
        let indexes = 0..known.policy.environments.len();
        // Exactly as many as there are: they are large, and there is one such list for each of thousands of policies.
        let mut environments = Vec::with_capacity(indexes.len());
        environments.extend(indexes.filter_map(|index| self.environment(known, index, moment)));
        PolicyView {
            name: known.policy.name.clone(),
            origin: known.policy.origin.to_string(),
            broken: known.broken.as_ref().map(Why::to_string),
            images: known.policy.images.iter().map(|image| image.repository.to_string()).collect(),
            environments,
        }
    }

    /// One environment as it stands.
    pub(in crate::daemon) fn environment(
        &self,
        known: &PolicyState,
        index: usize,
        moment: &PassContext<'_>,
    ) -> Option<EnvironmentView> {
        let facts = self.memory.facts(known, index, moment)?;
        let standing = known.standings.get(index)?;
        let found = candidate::candidates(&facts);
        let candidate = found.releases.first();
        let gates: Vec<GateStatus> = candidate.map(|release| gate::standings(&facts, release)).unwrap_or_default();
        let shut = |standing: &&GateStatus| matches!(standing, GateStatus::Shut(_));
        let votes = |standing: &GateStatus| matches!(standing, GateStatus::Shut(Why::ApprovalsMissing { .. }));
        let waits_for_approval = gates.iter().any(votes) && gates.iter().filter(shut).all(votes);
        let hold = |hold: &crate::model::ledger::Hold| HoldView {
            scope: hold.scope.to_string(),
            who: hold.who.clone(),
            why: hold.why.clone(),
            since: hold.at,
            until: hold.until,
        };
        let refusal = |refusal: &crate::model::ledger::Refusal| RefusalView {
            release: release_view(&refusal.release),
            who: refusal.who.clone(),
            why: refusal.why.clone(),
        };
        let mut why_since = standing.why_since.clone();
        for why in &standing.why {
            if let Some(at) = since::since(&facts, candidate, why) {
                why_since.insert(why.code(), at);
            }
        }
        Some(EnvironmentView {
            policy: known.policy.name.clone(),
            environment: facts.environment.name.clone(),
            pin: facts.pin.as_ref().ok().copied().flatten().map(|reading| reading.pin.to_string()),
            current: facts.ledger.current().map(|arrival| arrival_view(arrival, &facts)),
            candidate: candidate.map(release_view),
            gates: gates.iter().map(gate_view).collect(),
            waits_for_approval,
            why: standing.why.clone(),
            why_since,
            holds: facts.ledger.holds_at(moment.now).map(hold).collect(),
            refusals: facts.ledger.refusals.values().map(refusal).collect(),
        })
    }

    fn repositories(&self) -> Vec<RepositoryView> {
        // What nobody needs just now is not read, and its last reading says nothing.
        let is_needed = |repository: &crate::model::Repository| {
            self.pollers.get(repository).is_some_and(|(need, _)| !need.borrow().is_nothing())
        };
        let shelves = self.memory.repositories.iter().filter(|(repository, _)| is_needed(repository));
        let now = self.clock.now();
        let view = |(repository, shelf): (&crate::model::Repository, &RepositoryState)| RepositoryView {
            repository: repository.to_string(),
            read_at: shelf.read_at,
            n_tags: shelf.tags.as_ref().map(|tags| tags.len()),
            error: shelf.trouble(now).cloned(),
            note: self.note(repository),
        };
        shelves.map(view).collect()
    }

    fn hosts(&self) -> Vec<HostView> {
        let view = |state: HostState| HostView {
            host: state.host,
            n_requests: state.requests,
            at_once: state.at_once,
            error: state.shut,
        };
        self.clients.registry.hosts().into_iter().map(view).collect()
    }

    fn branches(&self) -> Vec<BranchView> {
        let view = |((repository, branch), known): (&(String, String), &Branch)| BranchView {
            repository: repository.clone(),
            branch: branch.clone(),
            tip: known.tip.as_ref().map(|tip| tip.short().to_owned()),
            read_at: known.read_at,
            error: known.error.clone(),
        };
        self.memory.branches.iter().map(view).collect()
    }

    async fn projects(&self) -> Vec<ProjectView> {
        let mut views = Vec::new();
        for project in self.outboxes.keys() {
            let pending = self.journal.pending(project).await.unwrap_or_default();
            let parked = self.journal.parked(project).await.unwrap_or_default();
            let told = |row: &crate::journal::Outgoing| {
                let reason = row.reason.clone().unwrap_or_default();
                format!(
                    "rollout {} in {}: {} was refused: {reason}",
                    row.row.rollout, row.row.environment, row.row.state
                )
            };
            views.push(ProjectView {
                project: project.clone(),
                n_pending: u64::try_from(pending.len()).unwrap_or(u64::MAX),
                parked: parked.iter().take(PARKED_SHOWN_MAX).map(told).collect(),
                error: pending.first().and_then(|row| row.reason.clone()),
            });
        }
        views
    }

    /// Why an environment runs what it runs.
    pub(in crate::daemon) fn explain(&self, target: &Target) -> Result<Explanation, Refusal> {
        let found = self.memory.find(&target.policy, &target.environment);
        self.with_facts(target, |_| Ok(()))?;
        let missing = || Refusal::NotFound("there is no such environment".to_owned());
        let (known, index) = found.ok_or_else(missing)?;
        let moment = self.moment();
        let (tags, n_tags) =
            crate::daemon::state::candidates::explain(&self.memory, known, index, moment.now, TAGS_SHOWN_MAX);
        let environment = self.environment(known, index, &moment).ok_or_else(missing)?;
        let facts = self.memory.facts(known, index, &moment).ok_or_else(missing)?;
        let way_back = facts
            .ledger
            .current()
            .and_then(|current| authority::way_back(facts.ledger, current.release.as_ref()?.id()));
        Ok(Explanation {
            environment,
            tags,
            n_tags,
            notes: self.notes(known, index),
            opens: opens(&facts),
            before: before(&facts),
            way_back: way_back.map(release_view),
        })
    }
}

/// When the clock has opened every gate that it keeps shut for the candidate.
fn opens(facts: &Facts<'_>) -> Option<(Timestamp, String)> {
    let candidates = candidate::candidates(facts).releases;
    let gates = gate::standings(facts, candidates.first()?);
    let shut = gates.iter().filter_map(|gate| match gate {
        GateStatus::Shut(why) => why.until(),
        GateStatus::Open(_) => None,
    });
    let at = shut.max()?;
    Some((at, at.to_zoned(facts.policy.zone.clone()).strftime("%a %Y-%m-%d %H:%M %Z").to_string()))
}

/// What ran here before what runs now, newest first, each release once.
fn before(facts: &Facts<'_>) -> Vec<ArrivalView> {
    let current = facts.ledger.current().and_then(|current| current.release.as_ref()).map(Release::id);
    let mut known: Vec<&ReleaseId> = current.into_iter().collect();
    let mut views = Vec::new();
    for arrival in facts.ledger.arrivals.iter().rev() {
        let Some(id) = arrival.release.as_ref().map(Release::id) else { continue };
        if views.len() < BEFORE_SHOWN_MAX && !known.contains(&id) {
            known.push(id);
            views.push(arrival_view(arrival, facts));
        }
    }
    views
}

pub(in crate::daemon) fn release_view(release: &Release) -> ReleaseView {
    let builds = release.builds().iter();
    ReleaseView {
        id: release.id().clone(),
        tags: release.to_string(),
        digests: builds.clone().map(|(name, build)| (name.clone(), build.digest.clone())).collect(),
        revisions: builds
            .filter_map(|(name, build)| Some((name.clone(), crate::relay::select::revision(build)?)))
            .map(|(name, revision)| (name, text::shown(&revision)))
            .collect(),
    }
}

pub(in crate::daemon) fn arrival_view(arrival: &Arrival, facts: &Facts<'_>) -> ArrivalView {
    let because = match &arrival.origin {
        Origin::Ours(because) => because.to_string(),
        Origin::Adopted => "met as it was".to_owned(),
        Origin::Other(who) => format!("set by {who}"),
        Origin::Asked(who) => format!("verified again for {who}"),
    };
    ArrivalView {
        rollout: format!("{}-{}", facts.journal.id, arrival.rollout),
        release: arrival.release.as_ref().map(release_view),
        since: arrival.at,
        because,
        commit: arrival.commit.as_ref().map(ToString::to_string),
        state: crate::relay::find::state(arrival),
        why: arrival.end.as_ref().map(|end| end.why.clone()),
        url: arrival.url.clone(),
    }
}

fn gate_view(standing: &GateStatus) -> GateView {
    match standing {
        GateStatus::Open(words) => GateView { open: true, words: words.clone() },
        GateStatus::Shut(why) => GateView { open: false, words: why.to_string() },
    }
}

/// The kind of an event, a stable name, and what happened in one sentence.
pub(in crate::daemon) fn sentence(event: &Event) -> (&'static str, String) {
    match event {
        Event::Adopted { pin, .. } => ("adopted", format!("met {pin} and left it as it is")),
        Event::Intended { effect: Effect::Commit { .. }, release, because } => {
            ("intended", format!("writes {release} ({because})"))
        }
        Event::Intended { effect: Effect::Retag { tag, .. }, release, because } => {
            ("intended", format!("moves tag {tag} to {release} ({because})"))
        }
        Event::Committed { intent, commit } => {
            ("committed", format!("rollout {intent} begins with commit {}", commit.short()))
        }
        Event::Retagged { intent } => ("retagged", format!("the tags of {intent} are moved")),
        Event::Withdrawn { intent, why } => ("withdrawn", format!("{intent} was not made: {why}")),
        Event::Moved { pin, who, .. } => ("moved", format!("{who} moved the pin to {pin}")),
        Event::Signalled { rollout, verdict, who, evidence, url } => {
            let verdict = if *verdict == Verdict::Healthy { "healthy" } else { "failed" };
            let evidence = text::after_colon(evidence);
            ("signalled", format!("{who} says that rollout {rollout} is {verdict}{evidence}{}", see(url.as_deref())))
        }
        Event::Checked { rollout, check, result: CheckResult::Passed, url } => {
            ("checked", format!("check {check} of rollout {rollout} passed{}", see(url.as_deref())))
        }
        Event::Checked { rollout, check, result: CheckResult::Failed(why), url } => {
            ("checked", format!("check {check} of rollout {rollout} failed: {why}{}", see(url.as_deref())))
        }
        Event::Lost { rollout, why } => ("lost", format!("rollout {rollout}: {why}")),
        Event::Ended { rollout, outcome, why } => ("ended", format!("rollout {rollout} is {outcome}: {why}")),
        Event::RulesKept { rules } => ("rules_kept", rules_kept(rules)),
        Event::Voted { release, approve, who, why, .. } => {
            let says = if *approve { "approves" } else { "does not approve" };
            ("voted", format!("{who} {says} {release}{}", text::after_colon(why)))
        }
        Event::Held { who, why, .. } => ("held", format!("held by {who}: {why}")),
        Event::Claimed { places } => {
            let places: Vec<String> = places.iter().map(|place| crate::relay::places::shown(place)).collect();
            ("claimed", format!("writes {}", places.join(", ")))
        }
        Event::Resumed { who, .. } => ("resumed", format!("resumed by {who}")),
        Event::Refused { release, who, why } => ("refused", format!("{who} refuses {release}: {why}")),
        Event::Ordered { order, who } => ("ordered", ordered(order, who)),
        Event::ClockSet { by_ms, .. } => (
            "clock_set",
            format!("this machine's clock was set by {} s: times kept before are read by it", by_ms / 1000),
        ),
    }
}

/// Where one reads more of what somebody posted.
fn see(url: Option<&str>) -> String {
    url.map_or_else(String::new, |url| format!(" ({url})"))
}

fn rules_kept(rules: &RolloutRules) -> String {
    let checks = rules.verify.iter().map(|check| format!("check {}", check.name));
    let signals = rules.rollout.iter().map(|Signal::Webhook| "a posted verdict".to_owned());
    let asked: Vec<String> = signals.chain(checks).collect();
    match asked.as_slice() {
        [] => "the rollout counts as verified once it is pushed".to_owned(),
        asked => format!("the rollout is verified by {}", asked.join(", ")),
    }
}

fn ordered(order: &Order, who: &str) -> String {
    match order {
        Order::Promote { release, force: None, .. } => format!("{who} orders {release}"),
        Order::Promote { release, force: Some(reason), .. } => format!("{who} forces {release}: {reason}"),
        Order::Rollback { to, why } => format!("{who} orders back {to}: {why}"),
        Order::Verify => format!("{who} asks to verify what runs"),
    }
}

pub(in crate::daemon) fn release_of(event: &Event) -> Option<ReleaseId> {
    match event {
        Event::Intended { release, .. } | Event::Refused { release, .. } => Some(release.id().clone()),
        Event::Adopted { release, .. } | Event::Moved { release, .. } => release.as_ref().map(|r| r.id().clone()),
        Event::Voted { release, .. } => Some(release.clone()),
        Event::Ordered { order: Order::Promote { release, .. } | Order::Rollback { to: release, .. }, .. } => {
            Some(release.id().clone())
        }
        _ => None,
    }
}
