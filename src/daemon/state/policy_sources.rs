//! What is known of the places where policies stand: whether they can be read, what HOLD files stand beside them, and
//! whether any policy is left.

use crate::daemon::Daemon;
use crate::daemon::message::PolicyFiles;
use crate::daemon::state::memory::Unheld;
use crate::relay::brake::HoldFile;

impl Daemon {
    /// Whether policies stand on this branch.
    pub(in crate::daemon) fn has_policies(&self, repository: &str, branch: &str) -> bool {
        let settings = self.config.repositories.get(repository).filter(|_| self.config.policies.is_none());
        settings.is_some_and(|settings| settings.policies.is_some() && settings.branch == branch)
    }

    /// Takes in the HOLD files of a place.
    pub(in crate::daemon) fn holds_read(&mut self, source: &Option<String>, holds: Vec<HoldFile>) {
        self.policies_found(source);
        let before = self.memory.holds.insert(source.clone(), holds);
        if before.as_ref() == self.memory.holds.get(source) {
            return;
        }
        self.memory.find_brakes();
        let place = place(source.as_deref());
        for file in self.memory.holds.get(source).into_iter().flatten() {
            if !before.iter().flatten().any(|known| known == file) {
                let (name, who, reason) = (crate::model::text::shown(&file.name), &file.who, &file.reason);
                tracing::warn!("{who} holds by the file {name} beside {place}: {reason}");
            }
        }
        self.mark_all();
    }

    /// Has the branch with these policies read again: a look right before an effect told of a HOLD file there, and the branch
    /// may meanwhile stand again where it was read last.
    pub(in crate::daemon) fn read_policies_again(&self, repository: Option<&str>) {
        let Some(reader) = repository.and_then(|repository| self.readers.get(repository)) else { return };
        let policies = reader.orders.borrow().policies.clone();
        if let Some((branch, _, _)) = policies {
            reader.tips.forget(&branch);
            reader.wake.notify_one();
        }
    }

    /// Nobody could tell which HOLD files stand in a place.
    pub(in crate::daemon) fn holds_unread(&mut self, source: Option<String>, error: &str) {
        let now = self.clock.now();
        let unheld = Unheld::again(self.memory.unheld.get(&source), now, error.to_owned());
        self.memory.unheld.insert(source, unheld);
    }

    /// The place of policies can be read.
    pub(in crate::daemon) fn policies_found(&mut self, source: &Option<String>) {
        let unheld = self.memory.unheld.remove(source);
        if unheld.is_some() {
            // The tip may be the one whose policies are known: then nothing else says that they are well.
            self.memory.unreadable.remove(source);
        }
        if unheld.is_some_and(|unheld| unheld.why(self.clock.now()).is_some()) {
            tracing::info!("{} can be read again", place(source.as_deref()));
            self.mark_all();
        }
    }

    /// The policies of a place could not be read, and stay as they were.
    pub(in crate::daemon) fn policies_unread(&mut self, source: Option<String>, error: &str) {
        let place = place(source.as_deref());
        let error = format!("{place} could not be read, and stay as they were: {error}");
        if self.memory.unreadable.get(&source) != Some(&error) {
            tracing::error!("{error}");
        }
        self.memory.unreadable.insert(source, error);
    }

    /// Says in the log that a place has no policies, or has them no more.
    pub(in crate::daemon) fn count_policies(
        &self,
        source: &Option<String>,
        before: Option<&PolicyFiles>,
        now: &PolicyFiles,
    ) {
        if now.len() > 0 {
            return;
        }
        let place = place(source.as_deref());
        let (folder, names) = match source {
            None => {
                let folder = self.config.policies.as_ref().map(|directory| directory.display().to_string());
                (folder, self.config.policy_names.in_words())
            }
            Some(name) => {
                let settings = self.config.repositories.get(name);
                let names = settings.map(|settings| settings.policy_names.in_words()).unwrap_or_default();
                (settings.and_then(|settings| settings.policies.clone()), names)
            }
        };
        let folder = crate::model::text::shown(&folder.unwrap_or_default());
        let error = match before.map_or(0, PolicyFiles::len) {
            0 => format!(
                "{place}: there is no policy file ({names}) in `{folder}`: look at `policies` in the configuration"
            ),
            n => format!(
                "{place}: the last of {n} policy files of `{folder}` is gone, so nothing is done for them any more"
            ),
        };
        tracing::error!("{error}");
    }
}

/// A place of policies, in words.
pub(in crate::daemon) fn place(source: Option<&str>) -> String {
    match source {
        None => "the policies of the local directory".to_owned(),
        Some(repository) => format!("the policies of {repository}"),
    }
}
