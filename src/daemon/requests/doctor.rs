//! Whether everything outside allows what the policies need: what was read says some of it, the rest is asked; nothing is
//! changed.

use crate::clients::git::{GitError, Mirror};
use crate::clients::gitlab::{GitLab, GitLabError};
use crate::clients::registry::{MayPush, Registry, RegistryError};
use crate::daemon::view::RightView;
use crate::daemon::{Daemon, Rest};
use crate::model::Repository;
use crate::relay::rights::{self, Answer, Needs, Of, Right};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// How long one right may be asked about.
const ASK_WITHIN: Duration = Duration::from_secs(20);
/// How many rights are asked about at once.
const ASKED_AT_ONCE: usize = 8;
/// How many environments are named that need a right.
const NEEDED_BY_SHOWN_MAX: usize = 20;

/// Something that is asked about one right.
enum Question {
    /// Known already.
    Known(Answer),
    Tip(Arc<Mirror>, String),
    Pull(Registry, Repository),
    Push(Registry, Repository),
    Commit(Arc<Mirror>, String),
    Project(GitLab, String, Right),
}

impl Daemon {
    /// Reads until nothing more comes, then asks about every right that the policies need. Also tells what could not be
    /// read.
    pub async fn rights_at_rest(mut self) -> (Vec<RightView>, Rest) {
        let late = self.pass_until_rest().await;
        let mut rest = self.at_rest();
        rest.errors.extend(late);
        let needs = self.needs();
        let (mut asking, slots) = (JoinSet::new(), Arc::new(Semaphore::new(ASKED_AT_ONCE)));
        for (at, (of, right)) in needs.keys().enumerate() {
            let (question, slots) = (self.question(of, *right), slots.clone());
            asking.spawn(async move {
                let _slot = slots.acquire_owned().await;
                (at, answered(question).await)
            });
        }
        let mut answers = asking.join_all().await;
        answers.sort_by_key(|(at, _)| *at);
        let views = needs.iter().zip(answers).map(|(((of, right), by), (_, answer))| view(of, *right, by, &answer));
        let views = views.collect();
        self.finish().await;
        (views, rest)
    }

    /// The rights that the policies need, and that to read the policies.
    fn needs(&self) -> Needs {
        let mut needs = rights::needs(self.memory.policies.values().map(|known| &*known.policy));
        let holders = self.config.repositories.iter().filter(|(_, settings)| settings.policies.is_some());
        let mut sources: Vec<Option<String>> = holders.map(|(name, _)| Some(name.clone())).collect();
        if self.config.policies.is_some() {
            sources = vec![None];
        }
        for source in sources {
            needs.entry((Of::Policies(source), Right::Read)).or_default();
        }
        needs
    }

    fn question(&self, of: &Of, right: Right) -> Question {
        let missing = |why: &str| Question::Known(Answer::Missing(why.to_owned()));
        match (of, right) {
            (Of::Policies(source), _) => Question::Known(match self.memory.unreadable.get(source) {
                Some(why) => Answer::Missing(why.clone()),
                None if self.sources.get(source).is_none_or(|files| files.len() == 0) => {
                    Answer::Unknown("there is no policy file: look at `policies` in the configuration".to_owned())
                }
                None => Answer::Has("they were read".to_owned()),
            }),
            (Of::Branch(repository, branch), Right::Read) => {
                let known = self.memory.branches.get(&(repository.clone(), branch.clone()));
                let is_read = known.is_some_and(|known| known.error.is_none() && known.tip.is_some());
                match self.readers.get(repository) {
                    _ if is_read => Question::Known(Answer::Has("it was read".to_owned())),
                    Some(reader) => Question::Tip(reader.mirror.clone(), branch.clone()),
                    None => missing("the configuration names no such repository"),
                }
            }
            (Of::Branch(repository, branch), _) => match self.readers.get(repository) {
                Some(reader) => Question::Commit(reader.mirror.clone(), branch.clone()),
                None => missing("the configuration names no such repository"),
            },
            (Of::Images(repository), Right::Read) => {
                let known = self.memory.repositories.get(repository);
                match known.is_some_and(|known| known.error.is_none() && known.read_at.is_some()) {
                    true => Question::Known(Answer::Has("it was read".to_owned())),
                    false => Question::Pull(self.clients.registry.clone(), repository.clone()),
                }
            }
            (Of::Images(_), Right::Spare) => Question::Known(Answer::Untried(
                "the lifecycle rules of Amazon ECR are not read: one that expires images also takes what `keep` keeps"
                    .to_owned(),
            )),
            (Of::Images(repository), _) => Question::Push(self.clients.registry.clone(), repository.clone()),
            (Of::Project(project), right) => match &self.clients.gitlab {
                Some(gitlab) => Question::Project(gitlab.clone(), project.clone(), right),
                None => missing("the configuration names no GitLab"),
            },
        }
    }
}

/// Asks, for a while.
async fn answered(question: Question) -> Answer {
    let late = |_| Answer::Unknown(format!("no answer within {} s", ASK_WITHIN.as_secs()));
    tokio::time::timeout(ASK_WITHIN, ask(question)).await.unwrap_or_else(late)
}

async fn ask(question: Question) -> Answer {
    match question {
        Question::Known(answer) => answer,
        Question::Tip(mirror, branch) => match mirror.tip(&branch).await {
            Ok(Some(_)) => Answer::Has("it was read".to_owned()),
            Ok(None) => Answer::Missing("there is no such branch".to_owned()),
            Err(error) => git_error(&error),
        },
        Question::Pull(registry, repository) => pull(registry.may_pull(&repository).await),
        Question::Push(registry, repository) => push(registry.may_push(&repository).await),
        Question::Commit(mirror, branch) => commit(&branch, mirror.may_push().await),
        Question::Project(gitlab, project, right) => match gitlab.rights(&project).await {
            Ok(told) => rights::in_gitlab(right, told.role, told.scopes.as_deref()),
            Err(error @ GitLabError::Refused { .. }) => Answer::Missing(error.to_string()),
            Err(error) => Answer::Unknown(error.to_string()),
        },
    }
}

/// What a git server's error says of a right.
fn git_error(error: &GitError) -> Answer {
    match error {
        GitError::Refused { .. } | GitError::Absent { .. } => Answer::Missing(error.to_string()),
        _ => Answer::Unknown(error.to_string()),
    }
}

/// What a registry's error says of a right.
fn registry_error(error: &RegistryError) -> Answer {
    match error {
        RegistryError::Refused(_) | RegistryError::Absent(_) => Answer::Missing(error.to_string()),
        _ => Answer::Unknown(error.to_string()),
    }
}

fn pull(asked: Result<(), RegistryError>) -> Answer {
    match asked {
        Ok(()) => Answer::Has("it was read".to_owned()),
        // A repository that releases are copied into comes with the first copy.
        Err(RegistryError::Absent(why)) => Answer::Untried(format!("there is nothing to read yet: {why}")),
        Err(error) => registry_error(&error),
    }
}

fn push(asked: Result<MayPush, RegistryError>) -> Answer {
    match asked {
        Ok(MayPush::Yes) => Answer::Has("the registry's token grants it".to_owned()),
        Ok(MayPush::No) => Answer::Missing("the registry's token was asked for it, and grants less".to_owned()),
        Ok(MayPush::Untold) => Answer::Untried(
            "the registry takes the login; whether it may push cannot be tried without a push".to_owned(),
        ),
        Ok(MayPush::NoLogin) => Answer::Untried(
            "the registry asks for no login; whether it takes a push cannot be tried without a push".to_owned(),
        ),
        Err(error) => registry_error(&error),
    }
}

fn commit(branch: &str, asked: Result<(), GitError>) -> Answer {
    match asked {
        Ok(()) => Answer::Has(format!(
            "the server lets it push to the repository; a rule that protects {branch} shows itself only at a push"
        )),
        Err(error) => git_error(&error),
    }
}

fn view(of: &Of, right: Right, by: &BTreeSet<String>, answer: &Answer) -> RightView {
    let (kind, name) = match of {
        Of::Policies(Some(repository)) => ("policies", repository.clone()),
        Of::Policies(None) => ("policies", "local directory".to_owned()),
        Of::Branch(repository, branch) => ("branch", format!("{repository}:{branch}")),
        Of::Images(repository) => ("images", repository.to_string()),
        Of::Project(project) => ("gitlab", project.clone()),
    };
    RightView {
        kind,
        name,
        right: right.code(),
        needed_by: by.iter().take(NEEDED_BY_SHOWN_MAX).cloned().collect(),
        n_needed_by: by.len(),
        answer: answer.code(),
        text: answer.text().to_owned(),
        remedy: (matches!(answer, Answer::Missing(_)) || right == Right::Spare).then(|| rights::remedy(of, right)),
    }
}
