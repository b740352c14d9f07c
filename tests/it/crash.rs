//! The crash matrix: one whole journey, the real binary killed by SIGKILL before and after every mutating request and
//! every journal commit; git, tags, GitLab's rows and the journal must end the same as when nothing happened.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tagrelay::journal::Journal;
use tagrelay::model::{Event, Scope};
use tagrelay::sandbox::World;
use tagrelay::sandbox::cluster::Watch;
use tagrelay::sandbox::fault::Moment;
use tagrelay::sandbox::git::Repository;
use tagrelay::sandbox::gitlab::{Commits, Role};
use tagrelay::sandbox::registry::ImageSpec;
use tempfile::TempDir;

/// How long one journey may take, its restart included.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many journeys are made at once: they wait more than they work.
const AT_ONCE: usize = 8;

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
enum Point {
    Nowhere,
    Effect(u64, Moment),
    Commit(u64, Moment),
}

/// What a journey leaves behind.
#[derive(Debug, Clone, PartialEq)]
struct End {
    files: Vec<String>,
    commits: Vec<String>,
    tags: Vec<(String, Option<String>)>,
    deployments: Vec<(String, String, Vec<String>)>,
    journal: Vec<String>,
}

/// A world, and the process in it.
struct Journey {
    world: World,
    deploys: Repository,
    _source: Commits,
    home: TempDir,
    address: SocketAddr,
    process: Arc<Mutex<Option<Child>>>,
    n_commits: Arc<AtomicU64>,
    watch: SocketAddr,
}

impl Journey {
    async fn new(point: Point) -> Self {
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
        let revision = "0".repeat(39) + "1";
        source.add_commit(&revision, "main");
        let image = ImageSpec::new("shop 1", "2026-01-01T00:00:00Z").revision(&revision);
        world.registry.push_image("shop", "1.0.1", &image).expect("pushed");
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
        let journey = Self { world, deploys, _source: source, home, address, process, n_commits, watch };
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

    /// Starts the process where none runs.
    fn keep_running(&self) {
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

    /// Lives through the whole journey; returns what it leaves behind.
    async fn travel(&self, point: Point) -> End {
        let begun = Instant::now();
        let client = reqwest_client();
        while !self.is_over() {
            self.keep_running();
            let url = format!("http://{}/api/v1/policies/shop/environments/prod/approve", self.address);
            // Nobody listens while the process is down, and nothing waits most of the time.
            let _voted = client.post(url).bearer_auth("alice").json(&serde_json::json!({})).send().await;
            tokio::time::sleep(Duration::from_millis(100)).await;
            if begun.elapsed() > PATIENCE {
                let log = std::fs::read_to_string(self.file("log")).unwrap_or_default();
                let tail: Vec<&str> = log.lines().rev().take(60).collect();
                let log = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
                panic!(
                    "{point:?}: the journey does not end\n{:#?}\n{log}",
                    self.world.gitlab.deployments("group/shop")
                );
            }
        }
        // The last journal commits follow the last answer of GitLab.
        tokio::time::sleep(Duration::from_millis(300)).await;
        kill(&self.process);
        self.end().await
    }

    /// Whether GitLab has the success of the last environment, and of all before.
    fn is_over(&self) -> bool {
        let gitlab = &self.world.gitlab;
        let told: Vec<_> =
            gitlab.deployments("group/shop").into_iter().chain(gitlab.deployments("group/deploys")).collect();
        ["development", "staging", "production"].iter().all(|environment| {
            told.iter().any(|d| d.environment == *environment && d.history.last().is_some_and(|last| last == "success"))
        })
    }

    async fn end(&self) -> End {
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
        let gitlab = &self.world.gitlab;
        let mut deployments: Vec<_> = ["group/shop", "group/deploys"]
            .iter()
            .flat_map(|project| {
                gitlab.deployments(project).into_iter().map(move |d| ((*project).to_owned(), d.environment, d.history))
            })
            .collect();
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
        let entries = journal.entries(&Scope::default(), None, 1000).await.expect("entries");
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

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address")
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

async fn journey(point: Point) -> (End, u64, u64) {
    let journey = Journey::new(point).await;
    let end = journey.travel(point).await;
    (end, journey.world.effects.count(), journey.n_commits.load(Ordering::SeqCst))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_kill_at_any_moment_ends_in_the_same_world() {
    let (calm, n_effects, n_commits) = journey(Point::Nowhere).await;
    assert_eq!(calm.commits.len(), 4, "one commit for each environment, above the first: {calm:#?}");
    assert_eq!(calm.deployments.len(), 3, "one deployment for each environment: {calm:#?}");
    let moments = [Moment::Before, Moment::After];
    let effects = (1..=n_effects).flat_map(|n| moments.map(|moment| Point::Effect(n, moment)));
    let commits = (1..=n_commits).flat_map(|n| moments.map(|moment| Point::Commit(n, moment)));
    let points: Vec<Point> = effects.chain(commits).collect();
    println!("{n_effects} mutating requests, {n_commits} journal commits: {} kills", points.len());
    let slots = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
    let mut runs = tokio::task::JoinSet::new();
    for point in points {
        let slots = slots.clone();
        runs.spawn(async move {
            let _slot = slots.acquire_owned().await.expect("a slot");
            (point, journey(point).await.0)
        });
    }
    let mut wrong = Vec::new();
    while let Some(run) = runs.join_next().await {
        let (point, end) = run.expect("a journey");
        if end != calm {
            wrong.push(format!("{point:?}: {end:#?}"));
        }
    }
    assert!(wrong.is_empty(), "calm: {calm:#?}\n{} of the kills ended elsewhere:\n{}", wrong.len(), wrong.join("\n"));
}
