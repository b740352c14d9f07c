//! A daemon in a sandbox world, and the words that stories are told in.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;
use tagrelay::config::{self, Config};
use tagrelay::daemon::view::Status;
use tagrelay::daemon::{Clients, Clock, Daemon, Handle, Refusal, Signal, Target, journal_path};
use tagrelay::journal::{Journal, JournalError};
use tagrelay::model::event::Verdict;
use tagrelay::model::{EnvironmentName, PolicyName};
use tagrelay::sandbox::World;
use tagrelay::sandbox::git::{Commit, Repository};
use tagrelay::sandbox::gitlab::{Commits, Role};
use tagrelay::sandbox::registry::ImageSpec;
use tagrelay::telemetry::metrics::Metrics;
use tokio_util::sync::CancellationToken;

/// How long a story waits for anything before it fails: long enough for a machine that has much else to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(240);
/// How soon it looks again at first; each time it waits twice as long, up to the most. Looking costs the daemon time, and
/// many stories wait at once.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// How long it waits between two looks at the most.
const LOOK_AGAIN_MAX: Duration = Duration::from_millis(80);

/// A world with one GitOps repository, two GitLab projects, and perhaps a daemon.
pub(crate) struct Story {
    pub(crate) world: World,
    pub(crate) deploys: Repository,
    pub(crate) home: tempfile::TempDir,
    pub(crate) shift: Arc<AtomicI64>,
    pub(crate) config: String,
    pub(crate) shop: Commits,
    running: Option<Running>,
    branch: tokio::sync::Mutex<Branch>,
}

/// What was read of `main` since it last moved: git is a process for each question, and stories ask again and again.
#[derive(Default)]
struct Branch {
    /// How often the repository had changed when this was read.
    moves: u64,
    files: BTreeMap<String, String>,
    log: Option<Vec<Commit>>,
}

struct Running {
    handle: Handle,
    metrics: Metrics,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Story {
    /// A world with this policy and these files in its GitOps repository. `REGISTRY` in them is the registry's host.
    pub(crate) async fn new(policy: &str, files: &[(&str, &str)]) -> Self {
        Self::with(policy, files, "").await
    }

    /// The same, with more lines of configuration.
    pub(crate) async fn with(policy: &str, files: &[(&str, &str)], settings: &str) -> Self {
        let world = World::start().await.expect("a world");
        let host = world.registry.host();
        let filled: Vec<(String, String)> =
            files.iter().map(|(path, text)| ((*path).to_owned(), text.replace("REGISTRY", &host))).collect();
        let mut all: Vec<(&str, &str)> = filled.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        let policy = policy.replace("REGISTRY", &host);
        all.push(("policies/shop.yaml", &policy));
        let deploys = world.git.create("deploys", &all).await.expect("a repository");
        let gitlab = &world.gitlab;
        gitlab.add_token("glpat-test", &["api"]);
        let shop = gitlab.add_project("group/shop");
        shop.add_commit(&revision(1), "main");
        gitlab.add_project_of("group/deploys", &deploys);
        for project in ["group/shop", "group/deploys"] {
            gitlab.grant("glpat-test", project, Role::Maintainer).expect("a grant");
        }
        let home = tempfile::tempdir().expect("a directory");
        let mut config = config_text(&world, &deploys, home.path()) + settings;
        if !settings.contains("server:") {
            config += &access_text(home.path());
        }
        Self {
            world,
            deploys,
            home,
            shift: Arc::default(),
            config,
            shop,
            running: None,
            branch: tokio::sync::Mutex::default(),
        }
    }

    /// Starts the daemon, or starts it again.
    pub(crate) async fn start(&mut self) {
        let config = self.config();
        let clock = Clock::Shifted(self.shift.clone());
        let metrics = Metrics::new("test");
        let counted = metrics.clone();
        let journal = Arc::new(self.open_journal().await);
        let clients = Clients::new(&config, &metrics, &journal_path(&config.journal.url)).expect("clients");
        let daemon = Daemon::open(config, journal, clients, clock, metrics).await.expect("a daemon");
        let (handle, stop) = (daemon.handle(), CancellationToken::new());
        let task = tokio::spawn(daemon.run(stop.clone()));
        self.running = Some(Running { handle, metrics: counted, stop, task });
    }

    /// Opens the journal. The sandbox's git runs in processes that are forked from this one, and until such a process
    /// becomes git it shares the lock of the daemon that was just stopped here.
    pub(crate) async fn open_journal(&self) -> Journal {
        let (config, clock) = (self.config(), Clock::Shifted(self.shift.clone()));
        let begun = std::time::Instant::now();
        loop {
            match Journal::open(&config.journal.url, clock.now()).await {
                Ok(journal) => return journal,
                Err(JournalError::Locked { .. }) if begun.elapsed() < PATIENCE => {
                    tokio::time::sleep(LOOK_AGAIN_MAX).await;
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Stops the daemon as SIGTERM does.
    pub(crate) async fn stop(&mut self) {
        let Running { handle, metrics: _, stop, task } = self.running.take().expect("a running daemon");
        drop(handle);
        stop.cancel();
        tokio::time::timeout(PATIENCE, task).await.expect("it stops in time").expect("it stops well");
    }

    fn config(&self) -> Arc<Config> {
        let text = self.config.clone();
        let read = move |_: &Path| Ok(text.clone());
        let config = config::load(Path::new("tagrelay.yaml"), &read);
        Arc::new(config.unwrap_or_else(|errors| panic!("{}", errors.render(false))))
    }

    /// What the daemon counted, as Prometheus reads it.
    pub(crate) fn numbers(&self) -> String {
        self.running.as_ref().expect("a running daemon").metrics.encode()
    }

    /// Everything at one glance, as it is now: a daemon that has too much to do says so, or shows what it published
    /// before, and is asked again.
    pub(crate) async fn status(&self) -> Status {
        let asked = Clock::Shifted(self.shift.clone()).now();
        let begun = std::time::Instant::now();
        loop {
            match self.handle().status().await {
                Ok(status) if status.now >= asked => return status,
                Ok(_) | Err(Refusal::Unavailable(_)) if begun.elapsed() < PATIENCE => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Ok(status) => panic!("no status since {asked}, the last is of {}", status.now),
                Err(refusal) => panic!("no status: {refusal:?}"),
            }
        }
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.running.as_ref().expect("a running daemon").handle
    }

    /// Lets time pass.
    pub(crate) fn wait(&self, by: Duration) {
        let millis = i64::try_from(by.as_millis()).expect("a short time");
        self.shift.fetch_add(millis, std::sync::atomic::Ordering::SeqCst);
    }

    /// Pushes build `n` of the image `shop` under a tag; returns its digest.
    pub(crate) fn push(&self, tag: &str, n: u32) -> String {
        self.push_image("shop", tag, n)
    }

    pub(crate) fn push_image(&self, image: &str, tag: &str, n: u32) -> String {
        let spec =
            ImageSpec::new(&format!("{image} {n}"), &format!("2026-01-01T00:{:02}:00Z", n % 60)).revision(&revision(n));
        self.shop.add_commit(&revision(n), "main");
        self.world.registry.push_image(image, tag, &spec).expect("pushed")
    }

    /// The text of a file on `main`.
    pub(crate) async fn file(&self, path: &str) -> String {
        let mut branch = self.branch().await;
        if let Some(text) = branch.files.get(path) {
            return text.clone();
        }
        let text = self.deploys.read("main", path).await.expect("readable").unwrap_or_default();
        branch.files.insert(path.to_owned(), text.clone());
        text
    }

    /// The commits of `main`, newest first.
    pub(crate) async fn log(&self) -> Vec<Commit> {
        let mut branch = self.branch().await;
        if let Some(log) = &branch.log {
            return log.clone();
        }
        let log = self.deploys.log("main").await.expect("a log");
        branch.log = Some(log.clone());
        log
    }

    /// What was read of `main` as it is now.
    async fn branch(&self) -> tokio::sync::MutexGuard<'_, Branch> {
        let mut branch = self.branch.lock().await;
        let moves = *self.deploys.moves().borrow();
        if branch.moves != moves {
            *branch = Branch { moves, ..Branch::default() };
        }
        branch
    }

    /// Waits until a file of the GitOps repository holds a text.
    pub(crate) async fn until_written(&self, path: &str, text: &str) {
        let what = format!("{path} holds {text}");
        self.until(&what, || async { self.file(path).await.contains(text) }).await;
    }

    /// Waits until something is so.
    pub(crate) async fn until<F: Future<Output = bool>>(&self, what: &str, is: impl Fn() -> F) {
        let so = async {
            let mut pause = LOOK_AGAIN;
            while !is().await {
                tokio::time::sleep(pause).await;
                pause = LOOK_AGAIN_MAX.min(pause * 2);
            }
        };
        if tokio::time::timeout(PATIENCE, so).await.is_err() {
            panic!("it never came about that {what}\n{}", self.account().await);
        }
    }

    /// Waits until an environment gives this reason for doing nothing.
    pub(crate) async fn until_why(&self, environment: &str, code: &str) {
        let what = format!("{environment} says {code}");
        self.until(&what, || async { self.why(environment).await.iter().any(|why| why == code) }).await;
    }

    /// The reasons that an environment gives.
    pub(crate) async fn why(&self, environment: &str) -> Vec<String> {
        let why = self.view(environment).await.map(|view| view.why).unwrap_or_default();
        why.iter().map(|why| why.code().to_owned()).collect()
    }

    /// What a person would see if they looked at everything, for a story that fails.
    pub(crate) async fn account(&self) -> String {
        let mut account = String::new();
        if let Some(running) = &self.running {
            let status = running.handle.status().await;
            account.push_str(&format!("{status:#?}\n"));
            let history = running.handle.history(None, None, 50).await.expect("a history");
            for line in history.iter().rev() {
                account.push_str(&format!("{} {} {} {}\n", line.sequence, line.scope, line.kind, line.text));
            }
        }
        for commit in self.log().await {
            account.push_str(&format!("{} {}\n", commit.sha, commit.message));
        }
        account
    }

    /// Posts a verdict on the rollout in flight.
    pub(crate) async fn signal(&self, environment: &str, verdict: Verdict) {
        let rollout = self.rollout(environment).await;
        let signal = Signal {
            target: target(environment),
            rollout,
            check: None,
            digests: None,
            verdict,
            evidence: "seen by the story".to_owned(),
            url: None,
            who: "story".to_owned(),
        };
        self.handle().signal(signal).await.expect("kept");
    }

    /// Takes a release through an environment: waits for its rollout and says that it is healthy.
    pub(crate) async fn well(&self, environment: &str, tag: &str) {
        let what = format!("{tag} is on its way to {environment}");
        let on_its_way = || async {
            let current = self.current(environment).await;
            current.is_some_and(|c| c.state == "progressing" && c.release.is_some_and(|release| release.tags == tag))
        };
        self.until(&what, on_its_way).await;
        self.signal(environment, Verdict::Healthy).await;
        self.until_state(environment, "verified").await;
    }

    /// The id of the last rollout of an environment.
    pub(crate) async fn rollout(&self, environment: &str) -> String {
        self.current(environment).await.expect("a rollout").rollout
    }

    /// What runs or is on its way.
    pub(crate) async fn current(&self, environment: &str) -> Option<tagrelay::daemon::view::ArrivalView> {
        self.view(environment).await?.current
    }

    /// Waits until what runs in an environment is in this state.
    pub(crate) async fn until_state(&self, environment: &str, state: &str) {
        let what = format!("{environment} is {state}");
        let is = || async { self.current(environment).await.is_some_and(|current| current.state == state) };
        self.until(&what, is).await;
    }

    /// The statuses of the deployments of a project's environment, oldest first.
    pub(crate) fn told(&self, project: &str, environment: &str) -> Vec<Vec<String>> {
        let deployments = self.world.gitlab.deployments(project);
        deployments.into_iter().filter(|d| d.environment == environment).map(|d| d.history).collect()
    }
}

/// An environment of the policy `shop`.
pub(crate) fn target(environment: &str) -> Target {
    Target {
        policy: PolicyName::parse("shop").expect("a name"),
        environment: EnvironmentName::parse(environment).expect("a name"),
    }
}

/// The revision that build `n` was made from.
pub(crate) fn revision(n: u32) -> String {
    format!("{n:040x}")
}

fn config_text(world: &World, deploys: &Repository, home: &Path) -> String {
    format!(
        "repositories:\n  default: {{ url: \"{}\", branch: main, policies: policies/, plain_http: true }}\n\
         registries:\n  \"{}\": {{ plain_http: true }}\n\
         gitlab: {{ url: \"{}\", plain_http: true, token: {{ file: {} }} }}\n\
         egress: {{ private: true }}\n\
         journal: sqlite://{}\n",
        deploys.url(),
        world.registry.host(),
        world.gitlab.face.url(),
        token_file(home),
        home.join("journal.db").display(),
    )
}

/// Who votes in stories that say nothing of `server`.
fn access_text(home: &Path) -> String {
    let person = |name: &str| {
        let file = home.join(format!("token-of-{name}"));
        std::fs::write(&file, format!("the long token of {name}")).expect("written");
        let file = file.display();
        format!("{{ who: {{ name: {name}, token: {{ file: '{file}' }} }}, may: [approve, reject], on: ['*'] }}")
    };
    let people = ["alice", "bob", "carol", "dave", "eve"].map(person);
    format!("server: {{ access: [{}] }}\n", people.join(", "))
}

fn token_file(home: &Path) -> String {
    let file = home.join("gitlab-token");
    std::fs::write(&file, "glpat-test").expect("written");
    file.display().to_string()
}
