//! What a pass would do: the step that comes next, the bytes it would change, and what GitLab would be told. Nothing is
//! made.

use crate::clients::git::{Contents, Mirror, readable};
use crate::daemon::Daemon;
use crate::daemon::edits::Edits;
use crate::daemon::effects::git_writer::message;
use crate::daemon::handle::Refusal;
use crate::daemon::requests::status::sentence;
use crate::daemon::state::memory::PolicyState;
use crate::daemon::view::{FileDiff, PlanView};
use crate::model::policy::ReportSha;
use crate::model::{Environment, PinReading, Policy, PolicyName, Release, Sequence};
use crate::relay::candidate;
use crate::relay::edit::{self, Files};
use crate::relay::{Cleared, Step, next_step};
use std::sync::Arc;

/// How many bytes of files the diffs of one answer have, before and after the change together.
const DIFFS_BYTES: usize = 4 << 20;

/// A plan whose files are still to be read: the loop waits for no git server.
pub(in crate::daemon) struct Draft {
    plan: PlanView,
    change: Option<Change>,
}

/// The change of files that a plan makes.
struct Change {
    mirror: Arc<Mirror>,
    edits: Edits,
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
pub(in crate::daemon) async fn finished(drafts: Vec<Draft>) -> Vec<PlanView> {
    let mut plans = Vec::with_capacity(drafts.len());
    let mut n_left = DIFFS_BYTES;
    for Draft { mut plan, change } in drafts {
        if let Some(change) = change {
            change.show(&mut plan, &mut n_left).await;
        }
        plans.push(plan);
    }
    plans
}

impl Daemon {
    /// What a pass would do in each environment.
    pub(in crate::daemon) fn plan(&self, policy: Option<&PolicyName>) -> Result<Vec<Draft>, Refusal> {
        let known: Vec<&PolicyState> = match policy {
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
    fn plan_of(&self, known: &PolicyState, index: usize) -> Option<Draft> {
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
            Step::Record(events) => plan.effects.extend(events.iter().map(|event| sentence(event).1)),
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
    fn behind_gates(&self, known: &PolicyState, index: usize, plan: &mut PlanView) -> Option<Change> {
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
    fn change(&self, known: &PolicyState, index: usize, what: What) -> Option<Change> {
        let deliver = &known.policy.environments.get(index)?.deliver;
        let reading = known.standings.get(index)?.pin.as_ref().ok()?.clone()?;
        let mirror = self.readers.get(&deliver.repository)?.mirror.clone();
        let next = Sequence(self.past.last().map_or(0, |Sequence(last)| last) + 1);
        let (policy, journal) = (known.policy.clone(), self.ids.id.clone());
        let edits = self.edits.clone();
        Some(Change { mirror, edits, policy, index, what, reading, journal, next })
    }
}

impl Change {
    /// The files that would change, as far as so many bytes of them are left to be shown, and the message.
    async fn show(self, plan: &mut PlanView, n_left: &mut usize) {
        let Self { mirror, edits, policy, index, what, reading, journal, next } = self;
        let Some(environment) = policy.environments.get(index) else { return };
        let paths = edit::wanted(&environment.write);
        let look = |contents: Contents<String>, _| match readable(&contents, &paths) {
            Ok(files) => what.diffs(environment, files),
            Err(unreadable) => Err(format!("but its files could not be read: {}", unreadable.reason)),
        };
        let looked = edits.read(&mirror, &reading.tip, std::slice::from_ref(&paths), look).await;
        match looked.unwrap_or_else(|error| Err(format!("but its files could not be read: {error}"))) {
            Ok(diffs) => diffs.into_iter().for_each(|diff| show(diff, plan, n_left)),
            Err(error) => plan.effects.push(error),
        }
        if let What::Cleared(cleared) = &what {
            plan.message = message(&policy, environment, cleared, &reading.pin, &journal, next).ok();
        }
    }
}

impl What {
    /// The files as they are and as they would be.
    fn diffs(&self, environment: &Environment, mut files: Files) -> Result<Vec<FileDiff>, String> {
        let (places, images, form) = (&environment.write, &environment.images, environment.pin);
        let planned = match self {
            Self::Cleared(cleared) => edit::plan(places, images, form, cleared, &files),
            Self::Waits(release) => edit::preview(places, images, form, release, &files),
        };
        let changed = planned.and_then(|planned| edit::apply(&planned, &files));
        let changed = changed.map_err(|error| format!("but it cannot be written: {error}"))?;
        let diff = |(path, after)| {
            let before = files.remove(&path).unwrap_or_default();
            FileDiff { path, before, after }
        };
        Ok(changed.into_iter().map(diff).collect())
    }
}

/// Shows a diff, where there is room for it in the answer.
fn show(diff: FileDiff, plan: &mut PlanView, n_left: &mut usize) {
    match n_left.checked_sub(diff.before.len() + diff.after.len()) {
        Some(left) => {
            *n_left = left;
            plan.diffs.push(diff);
        }
        None => plan.effects.push(format!(
            "changes {}, which is not shown: an answer shows {} MiB of files at the most; ask for one policy, or look at \
             the file with `tagrelay edit`",
            diff.path,
            DIFFS_BYTES >> 20
        )),
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
