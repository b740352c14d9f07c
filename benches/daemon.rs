//! What the whole daemon costs in a sandbox world: `cargo bench --bench daemon`.
//!
//! Requests in a quiet cycle, the time from a pushed image to a pushed commit, start-up and resident memory. The world runs
//! on the same machine, so its work is part of every time. It compares nothing and fails for no number.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tagrelay::config::{self, Config};
use tagrelay::daemon::{Clients, Clock, Daemon, Handle, journal_path};
use tagrelay::journal::Journal;
use tagrelay::model::Repository;
use tagrelay::sandbox::World;
use tagrelay::sandbox::registry::{Auth, Bearer, ImageSpec};
use tagrelay::telemetry::metrics::Metrics;
use tokio_util::sync::CancellationToken;

/// How long a quiet daemon is watched.
const QUIET: Duration = Duration::from_secs(20);
/// How many pushes are timed.
const PUSHES: u32 = 20;

struct Setup {
    world: World,
    deploys: tagrelay::sandbox::git::Repository,
    home: tempfile::TempDir,
    port: u16,
}

fn image(n: u32) -> ImageSpec {
    ImageSpec::new(&format!("build {n}"), "2026-01-01T00:00:00Z")
}

fn policy(name: &str, host: &str, repository: &str, poll: &str) -> String {
    format!(
        "apiVersion: tagrelay/v1\nname: {name}\nimages: [{host}/{repository}]\nsettle: 0s\npoll: {poll}\nenvironments:\n  - name: dev\n    select: {{ semver: '1.x' }}\n    write: [{{ kustomize: {name} }}]\n  - name: staging\n    select: {{ follow: staging }}\n    write: [{{ kustomize: {name}-staging }}]\n"
    )
}

/// A world with so many policies, each on its own repository or all on one, whose pins say what is wanted already.
async fn setup(n: usize, shared: bool, poll: &str, bearer: bool) -> Setup {
    let world = World::start().await.expect("a world");
    let host = world.registry.host();
    let mut files = Vec::new();
    for at in 0..n {
        let (name, repository) = (format!("p{at}"), if shared { "shop".to_owned() } else { format!("shop-{at}") });
        if at == 0 || !shared {
            world.registry.push_image(&repository, "1.0.0", &image(0)).expect("pushed");
            world.registry.push_image(&repository, "staging", &image(0)).expect("pushed");
        }
        let digest = world.registry.digest_of(&repository, "staging").expect("a digest");
        files.push((format!("policies/{name}.yaml"), policy(&name, &host, &repository, poll)));
        let entry = |tag: &str| format!("images:\n  - name: {host}/{repository}\n    newTag: {tag}\n");
        files.push((format!("{name}/kustomization.yaml"), entry("1.0.0")));
        files.push((
            format!("{name}-staging/kustomization.yaml"),
            format!("{}    digest: {digest}\n", entry("staging")),
        ));
    }
    if bearer {
        world.registry.require(Auth::Bearer(Bearer { anonymous_pull: true, expires_in: 300, ..Bearer::default() }));
    }
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let deploys = world.git.create("deploys", &files).await.expect("a repository");
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    Setup { world, deploys, home: tempfile::tempdir().expect("a directory"), port }
}

impl Setup {
    fn text(&self) -> String {
        format!(
            "repositories:\n  default: {{ url: '{}', branch: main, policies: policies/, plain_http: true }}\nregistries: {{ '{}': {{ plain_http: true }} }}\njournal: 'sqlite://{}'\nserver: {{ listen: '127.0.0.1:{}' }}\n",
            self.deploys.url(),
            self.world.registry.host(),
            self.home.path().join("journal.db").display(),
            self.port,
        )
    }

    async fn start(&self) -> (Handle, CancellationToken, tokio::task::JoinHandle<()>) {
        let text = self.text();
        let config: Arc<Config> =
            Arc::new(config::load(Path::new("tagrelay.yaml"), &move |_| Ok(text.clone())).expect("sound"));
        let (clock, metrics) = (Clock::System, Metrics::new("bench"));
        let journal = Arc::new(Journal::open(&config.journal, clock.now()).await.expect("a journal"));
        let clients = Clients::new(&config, &metrics, &journal_path(&config.journal)).expect("clients");
        let daemon = Daemon::open(config, journal, clients, clock, metrics).await.expect("a daemon");
        let (handle, stop) = (daemon.handle(), CancellationToken::new());
        let task = tokio::spawn(daemon.run(stop.clone()));
        (handle, stop, task)
    }
}

#[tokio::main]
async fn main() {
    for n in [1, 3, 10] {
        quiet(n).await;
    }
    latency("1h", true).await;
    latency("1s", false).await;
    for n in [1, 100, 1000] {
        process(n).await;
    }
}

/// Requests of a quiet cycle: so many policies on one repository, each with one that selects and one that follows.
#[expect(clippy::print_stdout, reason = "a bench prints what it measured")]
async fn quiet(n: usize) {
    let setup = setup(n, true, "2s", true).await;
    let (_handle, stop, task) = setup.start().await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    setup.world.registry.face.forget();
    let tokens = setup.world.registry.token_requests();
    let begun = Instant::now();
    tokio::time::sleep(QUIET).await;
    let cycles = begun.elapsed().as_secs_f64() / 2.0;
    let asked = setup.world.registry.face.requests();
    let of = |method: &str, part: &str| {
        asked.iter().filter(|a| a.method.as_str() == method && a.path.contains(part)).count()
    };
    println!(
        "quiet, {n:>2} policies on one repository: {} requests in {cycles:.1} cycles: {} tags/list, {} HEAD, {} tokens",
        asked.len(),
        of("GET", "/tags/list"),
        of("HEAD", "/manifests/"),
        setup.world.registry.token_requests() - tokens,
    );
    stop.cancel();
    task.await.expect("stopped");
}

/// From a pushed image to a pushed commit: woken for the repository, or by the next poll.
#[expect(clippy::print_stdout, reason = "a bench prints what it measured")]
async fn latency(poll: &str, woken: bool) {
    let setup = setup(1, true, poll, false).await;
    let (handle, stop, task) = setup.start().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let repository = Repository::parse(&format!("{}/shop", setup.world.registry.host())).expect("a repository");
    let mut times = Vec::new();
    for n in 1..=PUSHES {
        let tag = format!("1.0.{n}");
        setup.world.registry.push_image("shop", &tag, &image(n)).expect("pushed");
        let begun = Instant::now();
        if woken {
            handle.wake(repository.clone(), None);
        }
        loop {
            let text = setup.deploys.read("main", "p0/kustomization.yaml").await.expect("readable").unwrap_or_default();
            if text.contains(&format!("newTag: {tag}\n")) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        tokio::time::sleep(Duration::from_millis(137)).await;
    }
    times.sort_by(f64::total_cmp);
    let how = if woken { "woken".to_owned() } else { format!("poll {poll}") };
    println!(
        "image pushed to commit pushed, {how}: median {:.0} ms, worst {:.0} ms of {PUSHES}",
        times[times.len() / 2],
        times[times.len() - 1]
    );
    stop.cancel();
    task.await.expect("stopped");
}

/// Start-up and resident memory of the real process, idle, each policy on a repository of its own.
#[expect(clippy::print_stdout, reason = "a bench prints what it measured")]
async fn process(n: usize) {
    let setup = setup(n, false, "1h", false).await;
    let file = setup.home.path().join("tagrelay.yaml");
    std::fs::write(&file, setup.text()).expect("written");
    let begun = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_tagrelay"))
        .args(["run", "--config"])
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary");
    let client = tagrelay::clients::http::client(&tagrelay::clients::http::Transport::default()).expect("a client");
    let up = answers(&client, &format!("http://127.0.0.1:{}/metrics", setup.port), begun).await;
    let ready = answers(&client, &format!("http://127.0.0.1:{}/readyz", setup.port), begun).await;
    tokio::time::sleep(Duration::from_secs(if n > 100 { 60 } else { 15 })).await;
    println!(
        "{n:>4} policies: listening after {up:.0} ms, policies loaded after {ready:.0} ms, idle {}",
        resident(&child)
    );
    child.kill().expect("killed");
    child.wait().expect("gone");
}

async fn answers(client: &reqwest::Client, url: &str, begun: Instant) -> f64 {
    loop {
        let answer = client.get(url).send().await;
        if answer.is_ok_and(|answer| answer.status().is_success()) {
            return begun.elapsed().as_secs_f64() * 1e3;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn resident(child: &Child) -> String {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or("VmRSS: unknown");
    line.replace("VmRSS:", "resident").split_whitespace().collect::<Vec<_>>().join(" ")
}
