//! What a pass would do: the step that comes next, the bytes it would change, and what GitLab would be told. Nothing is
//! made.

use super::Daemon;
use super::memory::Known;
use super::view::{FileDiff, PlanView};
use super::writer::message;
use crate::model::policy::ReportSha;
use crate::model::{Environment, Sequence};
use crate::relay::edit;
use crate::relay::{Cleared, Step, next_step};

impl Daemon {
    /// What would be done in an environment.
    pub(super) async fn plan_of(&self, known: &Known, index: usize) -> Option<PlanView> {
        let moment = self.moment();
        let view = self.environment(known, index, &moment)?;
        let step = next_step(&self.memory.facts(known, index, &moment)?);
        let environment = known.policy.environments.get(index)?;
        let mut plan =
            PlanView { environment: view, effects: Vec::new(), diffs: Vec::new(), reports: Vec::new(), message: None };
        match step {
            Step::Rest(_) => {}
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
                    self.diffs(known, index, &cleared, &mut plan).await;
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
                self.diffs(known, index, &cleared, &mut plan).await;
            }
        }
        Some(plan)
    }

    /// The files that a write would change, and its message.
    async fn diffs(&self, known: &Known, index: usize, cleared: &Cleared, plan: &mut PlanView) {
        let Some((environment, standing)) = known.policy.environments.get(index).zip(known.standings.get(index)) else {
            return;
        };
        let Ok(Some(reading)) = &standing.pin else { return };
        let Some(reader) = self.readers.get(&environment.deliver.repository) else { return };
        let files = match reader.mirror.read(&reading.tip, &edit::wanted(&environment.write)).await {
            Ok(files) => files,
            Err(error) => return plan.effects.push(format!("but its files could not be read: {error}")),
        };
        let planned = edit::plan(&environment.write, &environment.images, environment.pin, cleared, &files);
        match planned.and_then(|planned| edit::apply(&planned, &files)) {
            Ok(changed) => plan.diffs.extend(changed.into_iter().map(|(path, after)| {
                let before = files.get(&path).cloned().unwrap_or_default();
                FileDiff { path, before, after }
            })),
            Err(error) => plan.effects.push(format!("but it cannot be written: {error}")),
        }
        let next = self.past.last().map_or(0, |Sequence(last)| last) + 1;
        let text = message(&known.policy, environment, cleared, &reading.pin, self.journal.id(), Sequence(next));
        plan.message = text.ok();
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
