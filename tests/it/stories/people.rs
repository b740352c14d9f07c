//! What people do in a story: commands, commits by hand, a second look.

use super::new_tag::KUSTOMIZATION;
use super::world::{PATIENCE, Story, target};
use std::time::Duration;
use tagrelay::daemon::view::EnvironmentView;
use tagrelay::daemon::{Clock, Command, Refusal, Signal};
use tagrelay::model::event::Verdict;
use tagrelay::model::policy::Ballot;
use tagrelay::model::{EnvironmentName, PolicyName, Repository, Scope};
use tagrelay::sandbox::cluster::Watch;

/// A person who commits by hand.
pub(crate) const BOB: &str = "Bob <bob@example.com>";

impl Story {
    /// The view of an environment of the policy `shop`.
    pub(crate) async fn view(&self, environment: &str) -> Option<EnvironmentView> {
        self.view_of("shop", environment).await
    }

    /// The view of an environment of any policy.
    pub(crate) async fn view_of(&self, policy: &str, environment: &str) -> Option<EnvironmentView> {
        let status = self.status().await;
        let mut views = status.policies.into_iter().flat_map(|policy| policy.environments);
        views.find(|view| view.policy.as_str() == policy && view.environment.as_str() == environment)
    }

    /// Has everything read at once, and again, until nothing follows from it any more: what has not happened by then does
    /// not happen by itself before time passes. To be used before one says that something did *not* happen; where
    /// something is to come about, `until` waits for it.
    pub(crate) async fn looked_again(&self) {
        let mut before = self.stands().await;
        loop {
            let begun = Clock::Shifted(self.shift.clone()).now();
            self.read_now().await;
            self.until("everything is read again", || async {
                let status = self.status().await;
                let later = |read: Option<jiff::Timestamp>| read.is_some_and(|at| at > begun);
                let repositories = status.repositories.iter().all(|it| it.error.is_some() || later(it.read_at));
                repositories
                    && !status.branches.is_empty()
                    && status.branches.iter().all(|it| it.error.is_some() || later(it.read_at))
            })
            .await;
            self.idle().await;
            let after = self.stands().await;
            if before == after {
                return;
            }
            before = after;
        }
    }

    /// Waits until the daemon reads, judges and makes nothing just now. What is polled later may still change something:
    /// where that matters, `looked_again` has it read first.
    pub(crate) async fn idle(&self) {
        let idle = tokio::time::timeout(PATIENCE, self.handle().idle()).await;
        match idle {
            Ok(idle) => idle.expect("a running daemon"),
            Err(_) => panic!("it never came to rest\n{}", self.account().await),
        }
    }

    /// Has all repositories and branches read now, as webhooks do.
    pub(crate) async fn read_now(&self) {
        self.handle().reload();
        for view in self.status().await.repositories {
            let repository = Repository::parse(&view.repository).expect("a repository");
            self.handle().wake(repository, None).await.expect("a running daemon");
        }
    }

    /// How far things have come: the number of the journal's last entry, and how often the GitOps repository changed.
    async fn stands(&self) -> (Option<u64>, u64) {
        let history = self.handle().history(None, None, 1).await.expect("a history");
        (history.first().map(|entry| entry.sequence), *self.deploys.moves().borrow())
    }

    /// Gives a command as `who`.
    pub(crate) async fn command(&self, who: &str, command: Command) -> Result<String, Refusal> {
        self.handle().command(command, who).await
    }

    pub(crate) async fn approve(&self, who: &str, environment: &str) -> Result<String, Refusal> {
        let approve =
            Command::Approve { target: target(environment), release: None, reason: String::new(), by: Ballot::Cli };
        self.command(who, approve).await
    }

    pub(crate) async fn hold(&self, scope: &str, until: Option<jiff::Timestamp>) {
        let hold = Command::Hold { scope: named(scope), reason: "the fair".to_owned(), until };
        self.command("alice", hold).await.expect("held");
    }

    pub(crate) async fn resume(&self, scope: &str) {
        self.command("alice", Command::Resume { scope: named(scope), of: None, every: true }).await.expect("resumed");
    }

    pub(crate) async fn promote(&self, environment: &str, release: Option<&str>) -> Result<String, Refusal> {
        let release = release.map(str::to_owned);
        self.command("alice", Command::Promote { target: target(environment), release, force: None }).await
    }

    pub(crate) async fn force(&self, environment: &str, release: Option<&str>) -> Result<String, Refusal> {
        let (release, force) = (release.map(str::to_owned), Some("the pager".to_owned()));
        self.command("alice", Command::Promote { target: target(environment), release, force }).await
    }

    pub(crate) async fn rollback(&self, environment: &str, release: Option<&str>) -> Result<String, Refusal> {
        let (release, reason) = (release.map(str::to_owned), "it smokes".to_owned());
        self.command("alice", Command::Rollback { target: target(environment), release, reason }).await
    }

    /// A person commits a file, or removes it.
    pub(crate) async fn commit(&self, path: &str, text: Option<&str>) -> String {
        let text = text.map(|text| text.replace("REGISTRY", &self.world.registry.host()));
        let commit = self.deploys.commit("main", &[(path, text.as_deref())], "by hand\n", BOB).await;
        commit.expect("committed")
    }

    /// Waits until this digest is what came last to an environment, in this state.
    pub(crate) async fn until_at(&self, environment: &str, digest: &str, state: &str) {
        let what = format!("{digest} is {state} in {environment}");
        let is = || async {
            let Some(current) = self.current(environment).await else { return false };
            let digests = current.release.map(|release| release.digests).unwrap_or_default();
            current.state == state && digests.iter().any(|(_, it)| it.as_str() == digest)
        };
        self.until(&what, is).await;
    }

    /// The messages of our commits for an environment, newest first.
    pub(crate) async fn log_of(&self, environment: &str) -> Vec<String> {
        let log = self.log().await;
        let trailer = format!("Tagrelay-Environment: {environment}\n");
        log.into_iter().map(|commit| commit.message).filter(|message| message.contains(&trailer)).collect()
    }

    /// Waits until an environment says this among its reasons for doing nothing.
    pub(crate) async fn until_said(&self, environment: &str, words: &str) {
        let what = format!("{environment} says {words}");
        let is = || async {
            let why = self.view(environment).await.map(|view| view.why).unwrap_or_default();
            why.iter().any(|why| why.to_string().contains(words))
        };
        self.until(&what, is).await;
    }

    /// What the cluster runs for an environment of the policy `shop`.
    pub(crate) fn watch(&self, environment: &str) -> Watch {
        Watch {
            policy: "shop".to_owned(),
            environment: environment.to_owned(),
            repository: self.deploys.clone(),
            branch: "main".to_owned(),
            delay: Duration::ZERO,
            pins: None,
        }
    }

    /// How many commits of ours the branch has.
    pub(crate) async fn n_commits(&self) -> usize {
        let log = self.log().await;
        log.iter().filter(|commit| commit.message.contains("Tagrelay-Journal: ")).count()
    }
}

/// A verdict on the rollout in flight, or on a check of it.
pub(crate) async fn signal(story: &Story, environment: &str, check: Option<&str>, verdict: Verdict) -> Signal {
    Signal {
        target: target(environment),
        rollout: story.rollout(environment).await,
        check: check.map(str::to_owned),
        digests: None,
        verdict,
        evidence: "seen by the story".to_owned(),
        url: None,
        who: "story".to_owned(),
    }
}

/// Posts a verdict.
pub(crate) async fn post(
    story: &Story,
    environment: &str,
    check: Option<&str>,
    verdict: Verdict,
) -> Result<String, Refusal> {
    story.handle().signal(signal(story, environment, check, verdict).await).await
}

/// What `shop/prod`, `shop`, `*/prod` or `*` names.
pub(crate) fn named(scope: &str) -> Scope {
    let (policy, environment) = scope.split_once('/').map_or((scope, None), |(policy, of)| (policy, Some(of)));
    Scope {
        policy: (policy != "*").then(|| PolicyName::parse(policy).expect("a name")),
        environment: environment.map(|name| EnvironmentName::parse(name).expect("a name")),
    }
}

/// A policy of two environments: what is pushed as `dev` counts as verified in dev at once, and goes to prod by these
/// further lines of prod (each indented as its keys are).
pub(crate) fn chain(prod: &str) -> String {
    let lines: Vec<String> = prod.trim().lines().map(|line| format!("    {line}\n")).collect();
    format!(
        "apiVersion: tagrelay/v1
name: shop
images: [REGISTRY/shop]
settle: 0s
poll: 1s
timezone: Asia/Seoul
environments:
  - name: dev
    select: {{ follow: dev }}
    write: [{{ kustomize: deployment/dev }}]
    evidence: none
  - name: prod
    promote: {{ from: dev }}
    write: [{{ kustomize: deployment/prod }}]
    report: [{{ gitlab: {{ project: group/deploys, sha: commit }} }}]
{}",
        lines.concat()
    )
}

/// The files of both environments, before anything was written.
pub(crate) const BOTH: &[(&str, &str)] = &[(DEV, KUSTOMIZATION), (PROD, KUSTOMIZATION)];
/// Where the pin of dev stands.
pub(crate) const DEV: &str = "deployment/dev/kustomization.yaml";
/// Where the pin of prod stands.
pub(crate) const PROD: &str = "deployment/prod/kustomization.yaml";

/// The files of both environments, and a second policy, `other`, with the files of its own.
pub(crate) fn with_other() -> Vec<(String, String)> {
    let other = chain("").replace("name: shop", "name: other").replace("/shop]", "/other]");
    let other = other.replace("deployment/", "other/").replace("group/deploys", "group/shop");
    let kustomization = KUSTOMIZATION.replace("/shop", "/other").replace("name: shop", "name: other");
    let mut files: Vec<(String, String)> =
        BOTH.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
    files.push(("policies/other.yaml".to_owned(), other));
    for environment in ["dev", "prod"] {
        files.push((format!("other/{environment}/kustomization.yaml"), kustomization.clone()));
    }
    files
}

/// The same, as a world takes them.
pub(crate) fn borrowed(files: &[(String, String)]) -> Vec<(&str, &str)> {
    files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect()
}
