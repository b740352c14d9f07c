//! The reader of one GitOps repository: its policies, and the pins of every environment that is written there.
//!
//! A branch whose tip is known is not read again; a tip that only our writer moved is not even looked into.

use crate::clients::git::{Contents, GitError, History, Limits, Mirror, readable};
use crate::config::PolicyNames;
use crate::daemon::edits::Edits;
use crate::daemon::message::{BranchReading, Message, PolicyFiles};
use crate::daemon::sources::holds::{Found, OnBranch};
use crate::daemon::sources::registry_poller::pause;
use crate::journal::{Journal, JournalError, Searched};
use crate::model::budget;
use crate::model::policy::PolicyOrigin;
use crate::model::{CommitId, Environment, OurCommit, Pin, PinReading, Policy, Scope, Why};
use crate::relay::edit::{self, Claim};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The largest policy file.
pub(in crate::daemon) const POLICY_BYTES_MAX: usize = budget::POLICY_BYTES;
/// How large the policy files of one place may be together.
pub(in crate::daemon) const POLICIES_BYTES_MAX: usize = budget::POLICIES_OF_REPOSITORY_BYTES;
/// How many bytes of them are fetched at once.
const FETCHED_BYTES_MAX: u64 = 64 << 20;

/// What is to be read of a repository.
#[derive(Clone, Default)]
pub(in crate::daemon) struct Orders {
    /// The branch and the directory of its policies, and which files there are some.
    pub(in crate::daemon) policies: Option<(String, String, PolicyNames)>,
    /// The environments that are written there: which, its place in its policy, and the newest commit of another journal
    /// that a person accepted.
    pub(in crate::daemon) environments: Vec<(Arc<Policy>, usize, Option<CommitId>)>,
    /// How old a reading may be.
    pub(in crate::daemon) every: Duration,
    /// Grows when the above changes: then every branch is read again.
    pub(in crate::daemon) version: u64,
}

impl Orders {
    /// The branches that are read, each with the one that it begins at.
    fn branches(&self) -> BTreeMap<&str, &str> {
        let policies = self.policies.iter().map(|(branch, _, _)| (branch.as_str(), branch.as_str()));
        let written = self.environments.iter().filter_map(|(policy, index, _)| policy.environments.get(*index));
        let written =
            written.map(|environment| (environment.deliver.branch.as_str(), environment.deliver.base.as_str()));
        policies.chain(written).collect()
    }
}

/// The tips that are known, shared with the loop: a push of ours moves one without a reading.
#[derive(Debug, Clone, Default)]
pub(in crate::daemon) struct Tips(Arc<Mutex<BTreeMap<String, KnownTip>>>);

#[derive(Debug, Clone, Default)]
struct KnownTip {
    tip: Option<CommitId>,
    generation: u64,
    orders: u64,
}

impl Tips {
    /// Notes a push of ours.
    pub(in crate::daemon) fn pushed(&self, branch: &str, tip: &CommitId) {
        self.with(branch, |known| {
            known.tip = Some(tip.clone());
            known.generation += 1;
        });
    }

    /// Forgets a tip, so that the branch is read again.
    pub(in crate::daemon) fn forget(&self, branch: &str) {
        self.with(branch, |known| known.tip = None);
    }

    /// How many pushes of ours the branch had.
    pub(in crate::daemon) fn generation(&self, branch: &str) -> u64 {
        self.with(branch, |known| known.generation)
    }

    fn with<R>(&self, branch: &str, look: impl FnOnce(&mut KnownTip) -> R) -> R {
        let mut tips = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        look(tips.entry(branch.to_owned()).or_default())
    }
}

/// Reads one repository.
pub(in crate::daemon) struct Reader {
    pub(in crate::daemon) name: String,
    pub(in crate::daemon) mirror: Arc<Mirror>,
    pub(in crate::daemon) edits: Edits,
    /// The HOLD files beside its policies, where it has policies.
    pub(in crate::daemon) holds: Option<Arc<OnBranch>>,
    pub(in crate::daemon) journal: Arc<Journal>,
    pub(in crate::daemon) clock: crate::daemon::clock::Clock,
    pub(in crate::daemon) tips: Tips,
    pub(in crate::daemon) wake: Arc<Notify>,
    pub(in crate::daemon) stop: CancellationToken,
    pub(in crate::daemon) out: mpsc::Sender<Message>,
}

impl Reader {
    /// Reads until the daemon stops. A branch that could not be read is left alone for ever longer; where the server asks
    /// for patience, all are.
    pub(in crate::daemon) async fn run(self, mut orders: watch::Receiver<Orders>) {
        let mut rests: BTreeMap<String, Rest> = BTreeMap::new();
        let mut left_alone_until = Instant::now();
        loop {
            let wanted = orders.borrow_and_update().clone();
            let branches = wanted.branches();
            rests.retain(|branch, _| branches.contains_key(branch.as_str()));
            for (branch, base) in &branches {
                let rest = rests.get(*branch).copied().unwrap_or_else(Rest::over);
                if rest.until.max(left_alone_until) > Instant::now() {
                    continue;
                }
                let read = tokio::select! {
                    read = self.branch(&wanted, branch, base) => read,
                    // A reading changes nothing outside: the next start makes it again.
                    () = self.stop.cancelled() => return,
                };
                let Some(read) = read else { return };
                let rest = rest.after(&read, wanted.every);
                if let Err(Unread { retry_after: Some(_), .. }) = read {
                    left_alone_until = rest.until;
                }
                rests.insert((*branch).to_owned(), rest);
            }
            let first =
                branches.keys().map(|branch| rests.get(*branch).map_or(left_alone_until, |rest| rest.until)).min();
            let next = first.unwrap_or_else(|| Instant::now() + wanted.every).max(left_alone_until);
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                () = self.wake.notified() => rests.values_mut().for_each(Rest::wake),
                changed = orders.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    rests.clear();
                }
            }
        }
    }

    /// Reads one branch and tells the loop; none when the loop is gone.
    async fn branch(&self, orders: &Orders, branch: &str, base: &str) -> Option<Result<(), Unread>> {
        let at = self.clock.now();
        let generation = self.tips.generation(branch);
        let result = match self.tip(branch, base).await {
            Err(error) => Err(error),
            Ok(tip) => {
                let same = |known: &mut KnownTip| known.tip.as_ref() == Some(&tip) && known.orders == orders.version;
                if self.tips.with(branch, same) {
                    Ok(BranchReading { tip, generation, claims: Vec::new(), pins: Vec::new() })
                } else {
                    self.read(orders, branch, tip, generation).await
                }
            }
        };
        let read = result.as_ref().map(drop).map_err(Clone::clone);
        let (repository, branch) = (self.name.clone(), branch.to_owned());
        let result = result.map_err(|unread| unread.error);
        self.out.send(Message::Read { repository, branch, at, result }).await.is_ok().then_some(read)
    }

    async fn tip(&self, branch: &str, base: &str) -> Result<CommitId, Unread> {
        let tip = match self.mirror.tip(branch).await? {
            None if branch != base => self.mirror.tip(base).await?,
            tip => tip,
        };
        Ok(tip.ok_or_else(|| format!("repository `{}` has no branch {branch}", self.name))?)
    }

    /// Reads a tip that is new.
    async fn read(
        &self,
        orders: &Orders,
        branch: &str,
        tip: CommitId,
        generation: u64,
    ) -> Result<BranchReading, Unread> {
        self.mirror.fetch(branch, &tip).await?;
        let mut whole = true;
        if let Some((_, directory, names)) = orders.policies.as_ref().filter(|(of, _, _)| of == branch) {
            whole &= self.beside(&tip, directory, names).await?;
        }
        let here = |(policy, index, _): &&(Arc<Policy>, usize, _)| policy.environments[*index].deliver.branch == branch;
        let environments: Vec<_> = orders.environments.iter().filter(here).collect();
        let of: Vec<&Environment> =
            environments.iter().map(|(policy, index, _)| &policy.environments[*index]).collect();
        let written = self.written(&tip, &of).await?;
        let (mut claims, mut pins) = (Vec::new(), Vec::with_capacity(environments.len()));
        for ((policy, index, met), written) in environments.into_iter().zip(written) {
            let scope = Scope::of(&policy.name, &policy.environments[*index].name);
            whole &= written.lasts;
            claims.extend(written.claims.map(|claimed| (scope.clone(), claimed)));
            let reading = self.pin(policy, *index, met.as_ref(), &tip, written.pin).await?;
            pins.push((scope, reading));
        }
        // Policies and holds that could not be read are read again, though the tip stays.
        self.tips.with(branch, |known| {
            if whole && known.generation == generation {
                (known.tip, known.orders) = (Some(tip.clone()), orders.version);
            }
        });
        Ok(BranchReading { tip, generation, claims, pins })
    }

    /// Reads what is written for each of these environments. Few texts are held at once: those of an environment are dropped
    /// before the next ones are read.
    async fn written(&self, tip: &CommitId, environments: &[&Environment]) -> Result<Vec<Written>, GitError> {
        let groups: Vec<Vec<String>> =
            environments.iter().map(|environment| edit::wanted(&environment.write)).collect();
        let mut written = Vec::with_capacity(groups.len());
        while let (Some(rest), Some(of)) = (groups.get(written.len()..), environments.get(written.len()..))
            && !rest.is_empty()
        {
            let look = |contents: Contents<String>, n_groups| -> Vec<Written> {
                of.iter().take(n_groups).map(|environment| Written::of(environment, &contents)).collect()
            };
            let more = self.edits.read(&self.mirror, tip, rest, look).await?;
            written.extend(more);
        }
        Ok(written)
    }

    /// Reads who set an environment's pin.
    async fn pin(
        &self,
        policy: &Policy,
        index: usize,
        met: Option<&CommitId>,
        tip: &CommitId,
        pin: Result<Pin, String>,
    ) -> Result<Result<PinReading, Why>, Unread> {
        let environment = &policy.environments[index];
        let paths = edit::wanted(&environment.write);
        let pin = match pin {
            Ok(pin) => pin,
            Err(error) => {
                let what = format!("the pin of {}/{}", policy.name, environment.name);
                return Ok(Err(Why::Unread { what, error: Some(error) }));
            }
        };
        let known = self.journal.searched(&policy.name, &environment.name).await;
        let known = known?;
        let stop_at = known.as_ref().map(|known| &known.tip).or(met);
        let found = self.mirror.search(tip, &paths, &policy.name, &environment.name, stop_at).await?;
        let History { ours, last_touch, reached_stop } = found;
        let ours = match (ours, known) {
            (OurCommit::None, Some(known)) if reached_stop => known.ours,
            (ours, _) => ours,
        };
        if ours != OurCommit::LimitReached {
            let searched = Searched { tip: tip.clone(), ours: ours.clone() };
            let kept = self.journal.set_searched(&policy.name, &environment.name, &searched).await;
            kept?;
        }
        Ok(Ok(PinReading { tip: tip.clone(), pin, ours, last_touch }))
    }

    /// Reads the policy files and the HOLD files, and tells the loop; false where some of it is to be read again.
    ///
    /// # Errors
    /// When nobody can tell which HOLD files there are. Whatever the files beside them are, these are read.
    async fn beside(&self, tip: &CommitId, directory: &str, names: &PolicyNames) -> Result<bool, Unread> {
        let holds = match &self.holds {
            Some(holds) => holds.at(tip).await?,
            None => Found { files: Vec::new(), whole: true },
        };
        let read = self.policies(tip, directory, names).await;
        let whole = holds.whole && read.as_ref().is_ok_and(|(_, whole)| *whole);
        let result = read.map(|(files, _)| files).map_err(|unread| unread.error);
        let (repository, holds) = (Some(self.name.clone()), Some(holds.files));
        // The loop may be gone; the reading of the branch finds that out.
        let _sent = self.out.send(Message::Policies { repository, holds, result }).await;
        Ok(whole)
    }

    /// Reads the policy files of a directory, each by itself, and says whether what cannot be read stays so.
    async fn policies(
        &self,
        tip: &CommitId,
        directory: &str,
        names: &PolicyNames,
    ) -> Result<(PolicyFiles, bool), Unread> {
        let listed = self.mirror.list(tip, directory.trim_matches('/'), is_yaml).await?;
        let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        let paths: Vec<String> =
            listed.into_iter().map(|file| file.path).filter(|path| names.are(&name(path))).collect();
        let limits = Limits { file: POLICY_BYTES_MAX, all: POLICIES_BYTES_MAX, fetched: FETCHED_BYTES_MAX };
        let (mut read, mut whole) = (PolicyFiles::default(), true);
        for (path, content) in self.mirror.read_bytes(tip, &paths, limits).await? {
            let origin = PolicyOrigin { repository: Some(self.name.clone()), path };
            match content.map(String::from_utf8) {
                Ok(Ok(text)) => read.files.push((origin, text)),
                Ok(Err(error)) => read.unread.push((origin, format!("it is not UTF-8: {}", error.utf8_error()))),
                Err(unread) => {
                    whole &= unread.lasts;
                    read.unread.push((origin, unread.reason));
                }
            }
        }
        Ok((read, whole))
    }
}

/// What is written for an environment.
struct Written {
    /// Its pin, or why that cannot be read.
    pin: Result<Pin, String>,
    /// Which values of its files are its own, where that can be told.
    claims: Option<Vec<Claim>>,
    /// Whether all of it stays so until somebody commits something else.
    lasts: bool,
}

impl Written {
    fn of(environment: &Environment, contents: &Contents<String>) -> Self {
        let paths = edit::wanted(&environment.write);
        let mut unread = paths.iter().filter_map(|path| contents.get(path)?.as_ref().err());
        let lasts = unread.all(|unreadable| unreadable.lasts);
        let (places, images) = (&environment.write, &environment.images);
        match readable(contents, &paths) {
            Ok(files) => Self {
                pin: edit::read(places, images, &files).map_err(|error| error.to_string()),
                claims: edit::claims(places, images, &files).ok(),
                lasts,
            },
            Err(unreadable) => Self { pin: Err(unreadable.reason), claims: None, lasts },
        }
    }
}

/// Whether a file of this name may be a policy, or cases of one.
fn is_yaml(name: &str) -> bool {
    name.ends_with(".yaml") || name.ends_with(".yml")
}

/// A reading that failed: it is told, and tried again later.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Unread {
    error: String,
    /// How long the server asks to be left alone.
    retry_after: Option<Duration>,
}

impl From<GitError> for Unread {
    fn from(error: GitError) -> Self {
        let retry_after = match &error {
            GitError::Unreachable { retry_after, .. } => *retry_after,
            GitError::Refused { .. } | GitError::Absent { .. } | GitError::Invalid { .. } | GitError::Mirror { .. } => {
                None
            }
        };
        Self { error: error.to_string(), retry_after }
    }
}

impl From<JournalError> for Unread {
    fn from(error: JournalError) -> Self {
        error.to_string().into()
    }
}

impl From<String> for Unread {
    fn from(error: String) -> Self {
        Self { error, retry_after: None }
    }
}

/// How long a branch rests until it is read again.
#[derive(Debug, Clone, Copy)]
struct Rest {
    until: Instant,
    /// How many readings failed in a row.
    failures: u32,
}

impl Rest {
    fn over() -> Self {
        Self { until: Instant::now(), failures: 0 }
    }

    /// The rest after a reading.
    fn after(self, read: &Result<(), Unread>, every: Duration) -> Self {
        let (pause, failures) = match read {
            Ok(()) => (every, 0),
            Err(unread) => (pause(unread.retry_after, self.failures), self.failures.saturating_add(1)),
        };
        Self { until: Instant::now() + pause, failures }
    }

    /// Ends the rest of a branch that can be read.
    fn wake(&mut self) {
        if self.failures == 0 {
            *self = Self::over();
        }
    }
}
