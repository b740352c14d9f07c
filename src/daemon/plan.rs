//! What a pass would do: the step that comes next, the bytes it would change, and what GitLab would be told. Nothing is
//! made.

use super::Daemon;
use super::handle::Refusal;
use super::memory::Known;
use super::view::{FileDiff, PlanView};
use super::writer::message;
use crate::clients::git::{Mirror, readable};
use crate::model::policy::ReportSha;
use crate::model::{Environment, PinReading, Policy, PolicyName, Release, Sequence};
use crate::relay::{Cleared, Step, next_step};
use crate::relay::{candidate, edit};
use std::sync::Arc;

/// A plan whose files are still to be read: the loop waits for no git server.
pub(super) struct Draft {
    plan: PlanView,
    change: Option<Change>,
}

/// The change of files that a plan makes.
struct Change {
    mirror: Arc<Mirror>,
    policy: Arc<Policy>,
    index: usize,
    what: What,
    /// What it is planned on.
    reading: PinReading,
    journal: String,
    /// The number that it would have.
    next: Sequence,
}

/// What a change would write.
enum What {
    /// What the gates let through.
    Cleared(Cleared),
    /// What still waits for them.
    Waits(Release),
}

/// Reads the files of these plans.
pub(super) async fn finished(drafts: Vec<Draft>) -> Vec<PlanView> {
    let mut plans = Vec::with_capacity(drafts.len());
    for Draft { mut plan, change } in drafts {
        if let Some(change) = change {
            change.show(&mut plan).await;
        }
        plans.push(plan);
    }
    plans
}

impl Daemon {
    /// What a pass would do in each environment.
    pub(super) fn plan(&self, policy: Option<&PolicyName>) -> Result<Vec<Draft>, Refusal> {
        let known: Vec<&Known> = match policy {
            None => self.memory.policies.values().collect(),
            Some(name) => {
                let known = self.memory.policies.get(name);
                vec![known.ok_or_else(|| Refusal::NotFound(format!("there is no policy {name}")))?]
            }
        };
        let all = known.into_iter().flat_map(|known| (0..known.standings.len()).map(move |index| (known, index)));
        Ok(all.filter_map(|(known, index)| self.plan_of(known, index)).collect())
    }

    /// What would be done in an environment.
    fn plan_of(&self, known: &Known, index: usize) -> Option<Draft> {
        let moment = self.moment();
        let view = self.environment(known, index, &moment)?;
        let step = next_step(&self.memory.facts(known, index, &moment)?);
        let environment = known.policy.environments.get(index)?;
        let mut plan = PlanView {
            environment: view,
            effects: Vec::new(),
            later: Vec::new(),
            diffs: Vec::new(),
            reports: Vec::new(),
            message: None,
        };
        let mut change = None;
        match step {
            Step::Rest(_) => change = self.behind_gates(known, index, &mut plan),
            Step::Record(events) => plan.effects.extend(events.iter().map(|event| super::show::sentence(event).1)),
            Step::Check { rollout: _, check } => plan.effects.push(format!("runs check {check}")),
            Step::Copy(cleared) => {
                let to: Vec<String> = environment.images.iter().map(|image| image.repository.to_string()).collect();
                plan.effects.push(format!("copies {} to {} ({})", cleared.release(), to.join(", "), cleared.because()));
                if let Some(tag) = environment.promote.as_ref().and_then(|promote| promote.retag.as_ref()) {
                    plan.effects.push(format!("then moves tag {tag} to {}", cleared.release()));
                }
                plan.reports = reports(environment);
                if !environment.is_tag_only() {
                    plan.effects.push(format!("then writes {}", cleared.release()));
                    change = self.change(known, index, What::Cleared(cleared));
                }
            }
            Step::Retag(cleared, tag) => {
                plan.effects.push(format!("moves tag {tag} to {} ({})", cleared.release(), cleared.because()));
                if environment.is_tag_only() {
                    plan.reports = reports(environment);
                } else {
                    plan.effects.push(format!("then writes {}", cleared.release()));
                }
            }
            Step::Write(cleared) => {
                plan.effects.push(format!("writes {} ({})", cleared.release(), cleared.because()));
                plan.reports = reports(environment);
                change = self.change(known, index, What::Cleared(cleared));
            }
        }
        Some(Draft { plan, change })
    }

    /// What would be done with the candidate once all that stands in its way is gone.
    fn behind_gates(&self, known: &Known, index: usize, plan: &mut PlanView) -> Option<Change> {
        let moment = self.moment();
        let facts = self.memory.facts(known, index, &moment)?;
        let release = candidate::candidates(&facts).releases.first()?.clone();
        let environment = facts.environment;
        if let Some(tag) = environment.promote.as_ref().and_then(|promote| promote.retag.as_ref()) {
            plan.later.push(format!("moves tag {tag} to {release}"));
        }
        plan.reports = reports(environment);
        if environment.is_tag_only() {
            return None;
        }
        plan.later.push(format!("writes {release}"));
        self.change(known, index, What::Waits(release))
    }

    /// The change that a write would make of the files, as they were last read.
    fn change(&self, known: &Known, index: usize, what: What) -> Option<Change> {
        let deliver = &known.policy.environments.get(index)?.deliver;
        let reading = known.standings.get(index)?.pin.as_ref().ok()?.clone()?;
        let mirror = self.readers.get(&deliver.repository)?.mirror.clone();
        let next = Sequence(self.past.last().map_or(0, |Sequence(last)| last) + 1);
        let (policy, journal) = (known.policy.clone(), self.ids.id.clone());
        Some(Change { mirror, policy, index, what, reading, journal, next })
    }
}

impl Change {
    /// The files that would change, and the message.
    async fn show(self, plan: &mut PlanView) {
        let Self { mirror, policy, index, what, reading, journal, next } = self;
        let Some(environment) = policy.environments.get(index) else { return };
        let paths = edit::wanted(&environment.write);
        let files = mirror.read(&reading.tip, &paths).await.map_err(|error| error.to_string());
        let files = match files.and_then(|files| readable(&files, &paths).map_err(|unread| unread.reason)) {
            Ok(files) => files,
            Err(error) => return plan.effects.push(format!("but its files could not be read: {error}")),
        };
        let (places, images, form) = (&environment.write, &environment.images, environment.pin);
        let planned = match &what {
            What::Cleared(cleared) => edit::plan(places, images, form, cleared, &files),
            What::Waits(release) => edit::preview(places, images, form, release, &files),
        };
        match planned.and_then(|planned| edit::apply(&planned, &files)) {
            Ok(changed) => plan.diffs.extend(changed.into_iter().map(|(path, after)| {
                let before = files.get(&path).cloned().unwrap_or_default();
                FileDiff { path, before, after }
            })),
            Err(error) => plan.effects.push(format!("but it cannot be written: {error}")),
        }
        if let What::Cleared(cleared) = &what {
            plan.message = message(&policy, environment, cleared, &reading.pin, &journal, next).ok();
        }
    }
}

/// What GitLab would be told, one sentence each.
fn reports(environment: &Environment) -> Vec<String> {
    let told = |report: &crate::model::policy::Report| {
        let sha = match report.sha {
            ReportSha::Revision => format!("the commit that {} was built from", report.image),
            ReportSha::Commit => "the commit of the GitOps repository".to_owned(),
        };
        format!("{}: {sha} is running in {}", report.project, report.environment)
    };
    environment.report.iter().map(told).collect()
}
