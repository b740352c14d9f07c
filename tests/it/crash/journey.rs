//! The journey that the kills cut: dev by commit, staging by retag and commit, prod by commit after an approval, made by
//! the real binary in a sandbox world.

use crate::port::free_address;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tagrelay::journal::{ENTRIES_MAX, Journal};
use tagrelay::model::{Entry, Event, Scope};
use tagrelay::sandbox::World;
use tagrelay::sandbox::cluster::Watch;
use tagrelay::sandbox::fault::Moment;
use tagrelay::sandbox::git::Repository;
use tagrelay::sandbox::gitlab::{Commits, Role};
use tagrelay::sandbox::registry::ImageSpec;
use tempfile::TempDir;

/// How long one journey may take, its restart included: long enough for a machine that has much else to do.
pub(super) const PATIENCE: Duration = Duration::from_secs(240);
/// The environments' names at GitLab.
const ENVIRONMENTS: [&str; 3] = ["development", "staging", "production"];

const POLICY: &str = "
apiVersion: tagrelay/v1
name: shop
images: [REGISTRY/shop]
settle: 0s
poll: 1s
environments:
  - name: dev
    select: { semver: '1.x' }
    write: [{ kustomize: deployment/dev }]
    rollout: { webhook: {} }
    report: [{ gitlab: { project: group/shop, sha: revision, environment: development } }]
  - name: staging
    promote: { from: dev, retag: staging }
    write: [{ helm: values-staging.yaml }]
    rollout: { webhook: {} }
    verify: [{ name: health, http: { url: 'HEALTH' } }]
    report: [{ gitlab: { project: group/deploys, sha: commit, environment: staging } }]
  - name: prod
    promote: { from: staging }
    write: [{ kustomize: deployment/prod }]
    gates: { approvals: { required: 1 } }
    rollout: { webhook: {} }
    report: [{ gitlab: { project: group/shop, sha: revision, environment: production } }]
";
const KUSTOMIZATION: &str = "images:\n  - name: REGISTRY/shop\n    newTag: 0.9.0\n";
const VALUES: &str = "image:\n  tag: 0.9.0\n";

/// Where the process dies.
#[derive(Debug, Clone, Copy)]
pub(super) enum Point {
    Nowhere,
    Effect(u64, Moment),
    Commit(u64, Moment),
}

/// What a journey leaves behind.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct End {
    pub(super) files: Vec<String>,
    /// The messages of all commits on the branch, newest first, without numbers and times.
    pub(super) commits: Vec<String>,
    pub(super) tags: Vec<(String, Option<String>)>,
    /// Project, environment and every status that it had, in order.
    pub(super) deployments: Vec<(String, String, Vec<String>)>,
    /// What came about, as the journal keeps it, sorted.
    pub(super) journal: Vec<String>,
}

/// A world, and the process in it.
pub(super) struct Journey {
    pub(super) world: World,
    deploys: Repository,
    source: Commits,
    home: TempDir,
    address: SocketAddr,
    process: Arc<Mutex<Option<Child>>>,
    /// How many commits of its journal the process began.
    pub(super) n_commits: Arc<AtomicU64>,
    watch: SocketAddr,
    client: reqwest::Client,
}

impl Journey {
    /// A world without a release, and no process yet.
    pub(super) async fn new(point: Point) -> Self {
        let world = World::start().await.expect("a world");
        let (host, health) = (world.registry.host(), world.cluster.health_url("shop", "staging"));
        let fill = |text: &str| text.replace("REGISTRY", &host).replace("HEALTH", &health);
        let (policy, kustomization) = (fill(POLICY), fill(KUSTOMIZATION));
        let files = [
            ("policies/shop.yaml", policy.as_str()),
            ("deployment/dev/kustomization.yaml", &kustomization),
            ("deployment/prod/kustomization.yaml", &kustomization),
            ("values-staging.yaml", VALUES),
        ];
        let deploys = world.git.create("deploys", &files).await.expect("a repository");
        world.gitlab.add_token("glpat", &["api"]);
        let source = world.gitlab.add_project("group/shop");
        world.gitlab.add_project_of("group/deploys", &deploys);
        for project in ["group/shop", "group/deploys"] {
            world.gitlab.grant("glpat", project, Role::Maintainer).expect("a grant");
        }
        for environment in ["dev", "staging", "prod"] {
            world.cluster.watch(Watch {
                policy: "shop".to_owned(),
                environment: environment.to_owned(),
                repository: deploys.clone(),
                branch: "main".to_owned(),
                delay: Duration::from_millis(50),
                pins: None,
            });
        }
        let home = tempfile::tempdir().expect("a directory");
        let address = free_address();
        let process: Arc<Mutex<Option<Child>>> = Arc::default();
        let n_commits = Arc::new(AtomicU64::new(0));
        let watch = watch_commits(point, process.clone(), n_commits.clone());
        let client = reqwest_client();
        let journey = Self { world, deploys, source, home, address, process, n_commits, watch, client };
        journey.configure();
        journey.world.cluster.report_to(&format!("http://{address}"), "cluster");
        if let Point::Effect(number, moment) = point {
            let process = journey.process.clone();
            journey.world.effects.stop_at(number, moment, move || kill(&process));
        }
        journey
    }

    fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn configure(&self) {
        for secret in ["glpat", "cluster", "alice"] {
            std::fs::write(self.file(secret), secret).expect("written");
        }
        let config = format!(
            "repositories:\n  default: {{ url: '{}', branch: main, policies: policies/, plain_http: true }}\n\
             registries: {{ '{}': {{ plain_http: true }} }}\n\
             gitlab: {{ url: '{}', plain_http: true, token: {{ file: '{}' }} }}\n\
             egress: {{ private: true }}\n\
             journal: 'sqlite://{}'\n\
             server:\n  listen: '{}'\n  access:\n\
             \x20   - {{ who: {{ name: cluster, token: {{ file: '{}' }} }}, may: [signal], on: ['*'] }}\n\
             \x20   - {{ who: {{ name: alice, token: {{ file: '{}' }} }}, may: [approve], on: ['*'] }}\n",
            self.deploys.url(),
            self.world.registry.host(),
            self.world.gitlab.face.url(),
            self.file("glpat").display(),
            self.file("journal.db").display(),
            self.address,
            self.file("cluster").display(),
            self.file("alice").display(),
        );
        std::fs::write(self.file("tagrelay.yaml"), config).expect("written");
    }

    /// Pushes release `n`, the newest.
    pub(super) fn release(&self, n: usize) {
        let revision = format!("{n:040x}");
        self.source.add_commit(&revision, "main");
        let image = ImageSpec::new(&format!("shop {n}"), "2026-01-01T00:00:00Z").revision(&revision);
        self.world.registry.push_image("shop", &format!("1.0.{n}"), &image).expect("pushed");
    }

    /// Starts the process where none runs.
    pub(super) fn keep_running(&self) {
        let mut process = self.process.lock().expect("a lock");
        let dead = process.as_mut().is_none_or(|child| child.try_wait().expect("a state").is_some());
        if dead {
            let log = std::fs::File::options().create(true).append(true).open(self.file("log")).expect("a log");
            let child = Command::new(env!("CARGO_BIN_EXE_tagrelay"))
                .args(["run", "--config"])
                .arg(self.file("tagrelay.yaml"))
                .env("TAGRELAY_SANDBOX_COMMITS", self.watch.to_string())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(log)
                .spawn()
                .expect("the binary");
            *process = Some(child);
        }
    }

    /// Kills the process.
    pub(super) fn kill(&self) {
        kill(&self.process);
    }

    /// Approves what waits for prod.
    pub(super) async fn approve(&self) {
        let url = format!("http://{}/api/v1/policies/shop/environments/prod/approve", self.address);
        // Nobody listens while the process is down, and nothing waits most of the time.
        let _voted = self.client.post(url).bearer_auth("alice").json(&serde_json::json!({})).send().await;
    }

    /// Lives through the journeys of `n` releases until GitLab has the last success; returns what they leave behind.
    pub(super) async fn travel(&self, point: Point, n: usize) -> End {
        let begun = Instant::now();
        while !self.is_over(n) {
            self.keep_running();
            self.approve().await;
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert!(begun.elapsed() < PATIENCE, "{point:?}: the journey does not end\n{}", self.account());
        }
        self.end(n, begun).await
    }

    /// Waits until the journal has the end of every rollout, for its last entries follow GitLab's last answer; then looks at
    /// everything.
    pub(super) async fn end(&self, n: usize, begun: Instant) -> End {
        let wanted = n * ENVIRONMENTS.len();
        let mut life = Duration::from_millis(300);
        loop {
            tokio::time::sleep(life).await;
            self.kill();
            let end = self.look().await;
            let verified = end.journal.iter().filter(|line| line.ends_with(" verified")).count();
            if verified >= wanted || begun.elapsed() > PATIENCE {
                return end;
            }
            life *= 2;
            self.keep_running();
        }
    }

    /// What a person would read to find out why a journey does not end.
    pub(super) fn account(&self) -> String {
        let log = std::fs::read_to_string(self.file("log")).unwrap_or_default();
        let tail: Vec<&str> = log.lines().rev().take(60).collect();
        let log = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
        format!("{:#?}\n{log}", self.world.gitlab.deployments("group/shop"))
    }

    /// Whether GitLab has as many successes of each environment.
    pub(super) fn is_over(&self, n: usize) -> bool {
        let told = self.deployments();
        ENVIRONMENTS.iter().all(|name| {
            let of_it = told.iter().filter(|(_, environment, _)| environment == name);
            of_it.filter(|(_, _, history)| history.last().is_some_and(|last| last == "success")).count() >= n
        })
    }

    /// Project, environment and statuses of every deployment, oldest first for each project.
    fn deployments(&self) -> Vec<(String, String, Vec<String>)> {
        let of = |project: &'static str| {
            let told = self.world.gitlab.deployments(project).into_iter();
            told.map(move |deployment| (project.to_owned(), deployment.environment, deployment.history))
        };
        ["group/shop", "group/deploys"].into_iter().flat_map(of).collect()
    }

    async fn look(&self) -> End {
        let mut files = Vec::new();
        for path in ["deployment/dev/kustomization.yaml", "deployment/prod/kustomization.yaml", "values-staging.yaml"] {
            files.push(self.deploys.read("main", path).await.expect("readable").unwrap_or_default());
        }
        let host = self.world.registry.host();
        let files = files.into_iter().map(|text| text.replace(&host, "REGISTRY")).collect();
        let log = self.deploys.log("main").await.expect("a log");
        // Numbers and times differ from run to run; what moved where does not.
        let shown = |message: &str| {
            let lines =
                message.lines().filter(|line| !line.starts_with("Tagrelay-Journal") && !line.starts_with("Because"));
            lines.collect::<Vec<_>>().join("\n")
        };
        let tags = self.world.registry.tags("shop");
        let tags = tags.into_iter().map(|tag| (tag.clone(), self.world.registry.digest_of("shop", &tag))).collect();
        let mut deployments = self.deployments();
        deployments.sort();
        End {
            files,
            commits: log.iter().map(|c| shown(&c.message)).collect(),
            tags,
            deployments,
            journal: self.journal().await,
        }
    }

    /// What came about, as the journal keeps it. Intents that a kill cut off and votes that were repeated are no part of it.
    async fn journal(&self) -> Vec<String> {
        let address = format!("sqlite://{}", self.file("journal.db").display());
        let now = "2026-01-01T00:00:00Z".parse().expect("a time");
        let journal = Journal::open(&address, now).await.expect("the journal");
        let entries = all_entries(&journal).await;
        journal.close().await;
        let told = entries.iter().filter_map(|entry| {
            let what = match &entry.event {
                Event::Committed { .. } => "committed".to_owned(),
                Event::Retagged { .. } => "retagged".to_owned(),
                Event::Ended { outcome, .. } => format!("{outcome}"),
                Event::Held { why, .. } => format!("held: {why}"),
                Event::Refused { why, .. } => format!("refused: {why}"),
                Event::Moved { who, .. } => format!("moved by {who}"),
                Event::Lost { why, .. } => format!("lost: {why}"),
                _ => return None,
            };
            Some(format!("{} {what}", entry.scope))
        });
        let mut told: Vec<String> = told.collect();
        told.sort();
        told
    }
}

async fn all_entries(journal: &Journal) -> Vec<Entry> {
    let mut all: Vec<Entry> = Vec::new();
    loop {
        let after = all.last().map(|entry| entry.sequence);
        let page = journal.entries(&Scope::default(), after, ENTRIES_MAX).await.expect("entries");
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

impl Drop for Journey {
    fn drop(&mut self) {
        kill(&self.process);
    }
}

fn kill(process: &Mutex<Option<Child>>) {
    if let Some(child) = process.lock().expect("a lock").as_mut() {
        child.kill().expect("killed");
        child.wait().expect("gone");
    }
}

/// Hears of every journal commit; at its point it kills the process instead of answering.
fn watch_commits(point: Point, process: Arc<Mutex<Option<Child>>>, n_commits: Arc<AtomicU64>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            let (process, n_commits) = (process.clone(), n_commits.clone());
            std::thread::spawn(move || {
                let mut answers = stream.try_clone().expect("a stream");
                for line in BufReader::new(stream).lines() {
                    let Ok(line) = line else { return };
                    let moment = if line.starts_with("before") { Moment::Before } else { Moment::After };
                    let number = match moment {
                        Moment::Before => n_commits.fetch_add(1, Ordering::SeqCst) + 1,
                        Moment::After => n_commits.load(Ordering::SeqCst),
                    };
                    if matches!(point, Point::Commit(at, when) if at == number && when == moment) {
                        kill(&process);
                        return;
                    }
                    if answers.write_all(b"go on\n").is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

fn reqwest_client() -> reqwest::Client {
    tagrelay::clients::http::client(&tagrelay::clients::http::Transport::default()).expect("a client")
}
