//! Policy files are judged beside the loop: parsing them and compiling their expressions takes as long as their bounds let,
//! and nothing that is decided meanwhile waits for it.
//!
//! One set of files is judged at a time. What changes meanwhile is judged once that is done, so that many changes in a row
//! cost two rounds of judging and no more memory than one.

use crate::config::{self, Config, Loaded, Owners};
use crate::daemon::Daemon;
use crate::daemon::message::{Message, PolicyFiles};
use crate::daemon::state::memory::BrokenFile;
use crate::journal::Journal;
use crate::model::policy::PolicyOrigin;
use crate::model::{Policy, PolicyName, Why};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What of the judging is under way.
#[derive(Debug, Default)]
pub(in crate::daemon) struct Judging {
    /// Whether files are being judged.
    pub(in crate::daemon) is_begun: bool,
    /// Whether they, or the configuration, changed since that began.
    is_stale: bool,
    /// Whether the configuration changed: until the policies are judged by it, nothing is begun that it may forbid.
    pub(in crate::daemon) withholds: bool,
    /// The sources whose files were judged since the start, and those whose files are being judged.
    done: BTreeSet<Option<String>>,
    doing: BTreeSet<Option<String>>,
}

impl Judging {
    /// Whether the files of a source were judged since the start: until then nobody knows what they say.
    pub(in crate::daemon) fn has_judged(&self, source: &Option<String>) -> bool {
        self.done.contains(source)
    }
}

/// Policy files, judged.
pub(in crate::daemon) struct Judged {
    files: PolicyFiles,
    loaded: Loaded,
    /// The last good policies of files that are broken or cannot be read.
    last_good: Vec<(PolicyOrigin, Vec<Policy>)>,
}

impl Daemon {
    /// Takes in policy files: good ones replace what was known, a broken one keeps its last good text and says so.
    pub(in crate::daemon) fn policies(&mut self, repository: Option<String>, files: PolicyFiles) {
        self.memory.unreadable.remove(&repository);
        // The branch is read anew whenever the policies change, so what is the same must change nothing.
        let before = self.sources.get(&repository);
        if before == Some(&files) {
            return;
        }
        self.count_policies(&repository, before, &files);
        self.sources.insert(repository, files);
        self.judge_policies();
    }

    /// Judges all policy files anew by a configuration that is in use from now on. Nothing begins until that is done.
    pub(in crate::daemon) fn judge_by_new_configuration(&mut self) {
        self.judging.withholds = true;
        self.judge_policies();
    }

    /// Has all policy files that were read judged by the configuration in use.
    fn judge_policies(&mut self) {
        if self.judging.is_begun {
            self.judging.is_stale = true;
            return;
        }
        self.judging.is_begun = true;
        self.judging.doing = self.sources.keys().cloned().collect();
        let files = PolicyFiles {
            files: self.sources.values().flat_map(|files| &files.files).cloned().collect(),
            unread: self.sources.values().flat_map(|files| &files.unread).cloned().collect(),
        };
        let (config, owners, journal, out) =
            (self.config.clone(), self.owners(), self.journal.clone(), self.out.clone());
        self.tasks.spawn(async move {
            let judged = judge(config, owners, journal, files).await;
            // The loop may have stopped: then nobody needs the policies.
            let _sent = out.send(Message::Judged(judged.map(Box::new))).await;
        });
    }

    /// Takes in what policy files say; an error changes nothing.
    pub(in crate::daemon) async fn judged(&mut self, judged: Result<Box<Judged>, String>) {
        self.judging.is_begun = false;
        match judged {
            Ok(judged) => {
                let judged_now = std::mem::take(&mut self.judging.doing);
                self.judging.done.extend(judged_now);
                self.take_judged(*judged).await;
            }
            Err(error) => {
                tracing::error!(error = %error, "the policies could not be judged, and stay as they were: {error}");
            }
        }
        if std::mem::take(&mut self.judging.is_stale) {
            self.judge_policies();
        } else {
            self.judging.withholds = false;
        }
    }

    async fn take_judged(&mut self, Judged { files, loaded, last_good }: Judged) {
        let Loaded { policies, broken, cases: _ } = loaded;
        let mut last_good: BTreeMap<String, Vec<Policy>> =
            last_good.into_iter().map(|(origin, policies)| (origin.to_string(), policies)).collect();
        self.memory.broken.clear();
        let mut wanted: BTreeMap<PolicyName, (Policy, Option<Why>)> = BTreeMap::new();
        for policy in policies {
            if let Some((_, text)) = files.files.iter().find(|(origin, _)| *origin == policy.origin) {
                self.keep_good(&policy, text).await;
            }
            wanted.insert(policy.name.clone(), (policy, None));
        }
        for broken in broken {
            let why = broken
                .diagnostics
                .iter()
                .next()
                .map(|first| format!("{}:{}: {}", first.file, first.line, first.message));
            let at = why.unwrap_or_else(|| broken.origin.to_string());
            tracing::error!(policy.file = %broken.origin, "a policy is broken and begins nothing new: {at}");
            self.metrics.failed(broken.name.as_ref());
            let text = broken.diagnostics.render(false);
            let good = last_good.remove(&broken.origin.to_string()).unwrap_or_default();
            self.keep_last_good(&broken.origin, &at, text, good, &mut wanted);
        }
        for (origin, why) in files.unread {
            let at = format!("{origin}: {why}");
            tracing::error!(policy.file = %origin, "a policy cannot be read and begins nothing new: {at}");
            self.metrics.failed(None);
            let text = format!("error: the policy cannot be read: {at}");
            let good = last_good.remove(&origin.to_string()).unwrap_or_default();
            self.keep_last_good(&origin, &at, text, good, &mut wanted);
        }
        self.adopt(wanted);
        self.settle_places().await;
    }

    /// Keeps the text of a policy with which nothing is wrong.
    async fn keep_good(&mut self, policy: &Policy, text: &str) {
        let origin = policy.origin.to_string();
        let kept = self.journal.set_last_good_policy(&origin, policy.name.as_str(), text, self.clock.now()).await;
        match kept {
            Ok(()) => drop(self.origins.insert(policy.name.clone(), origin)),
            Err(error) => tracing::error!(error = %error, "the text of policy {} was not kept", policy.name),
        }
    }

    /// Goes on under the last good texts of a file that says nothing now, and says why.
    fn keep_last_good(
        &mut self,
        origin: &PolicyOrigin,
        at: &str,
        text: String,
        good: Vec<Policy>,
        wanted: &mut BTreeMap<PolicyName, (Policy, Option<Why>)>,
    ) {
        self.memory.broken.push(BrokenFile { file: origin.to_string(), at: at.to_owned(), text });
        for policy in good {
            let why = Some(Why::PolicyBroken { at: at.to_owned() });
            wanted.entry(policy.name.clone()).or_insert((policy, why));
        }
    }
}

/// Judges these files, and reads the last good texts of those that are broken.
async fn judge(
    config: Arc<Config>,
    owners: Owners,
    journal: Arc<Journal>,
    files: PolicyFiles,
) -> Result<Judged, String> {
    let judged_by = config.clone();
    let (files, loaded) = beside(move || {
        let loaded = config::policies_among(&judged_by, &files.files, &owners);
        (files, loaded)
    })
    .await?;
    let broken = loaded.broken.iter().map(|broken| &broken.origin);
    let origins: Vec<PolicyOrigin> = broken.chain(files.unread.iter().map(|(origin, _)| origin)).cloned().collect();
    let mut texts: Vec<(PolicyOrigin, Vec<(PolicyOrigin, String)>)> = Vec::with_capacity(origins.len());
    for origin in origins {
        match journal.last_good_policies(&origin.to_string()).await {
            Ok(good) => {
                let good = good.into_iter().map(|good| (origin.clone(), good.text)).collect();
                texts.push((origin, good));
            }
            Err(error) => tracing::error!(error = %error, "the last good text of {origin} could not be read"),
        }
    }
    let last_good = beside(move || {
        let judged = |(origin, texts): (PolicyOrigin, Vec<_>)| (origin, config::policies(&config, &texts).policies);
        texts.into_iter().map(judged).collect()
    })
    .await?;
    Ok(Judged { files, loaded, last_good })
}

/// Does work beside the loop that keeps a processor busy.
async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())
}
