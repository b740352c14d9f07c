//! What the whole daemon costs in a sandbox world: `cargo bench --bench daemon`.
//!
//! Requests in a quiet cycle, the time from a pushed image to a pushed commit, start-up and resident memory. The world runs
//! on the same machine, so its work is part of every time. It compares nothing and fails for no number.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tagrelay::config::{self, Config};
use tagrelay::daemon::{Clients, Clock, Daemon, Handle, journal_path};
use tagrelay::journal::Journal;
use tagrelay::sandbox::World;
use tagrelay::sandbox::registry::{Auth, Bearer, ImageSpec};
use tagrelay::telemetry::metrics::Metrics;
use tokio_util::sync::CancellationToken;

/// How long a quiet daemon is watched.
const QUIET: Duration = Duration::from_secs(20);
/// How many pushes are timed.
const PUSHES: u32 = 20;
/// How many pushes are timed that a webhook tells of.
const DELIVERIES: u32 = 200;
/// How many times a HOLD file is pushed, and how long effects are looked for after each.
const HOLDS: u32 = 25;
const AFTER_HOLD: Duration = Duration::from_secs(3);
/// How many connections ask without end in a flood.
const ASKERS: usize = 20;
/// How long nothing happens between two of them: longer than a flood of webhooks is gathered.
const BETWEEN: Duration = Duration::from_millis(300);

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
        let journal = Arc::new(Journal::open(&config.journal.url, clock.now()).await.expect("a journal"));
        let clients = Clients::new(&config, &metrics, &journal_path(&config.journal.url)).expect("clients");
        let daemon = Daemon::open(config, journal, clients, clock, metrics).await.expect("a daemon");
        let (handle, stop) = (daemon.handle(), CancellationToken::new());
        let task = tokio::spawn(daemon.run(stop.clone()));
        (handle, stop, task)
    }

    /// The real process.
    fn run(&self, text: &str) -> Child {
        let file = self.home.path().join("tagrelay.yaml");
        std::fs::write(&file, text).expect("written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_tagrelay"));
        command.args(["run", "--config"]).arg(&file);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary")
    }

    fn push(&self, n: u32) {
        self.world.registry.push_image("shop", &format!("1.0.{n}"), &image(n)).expect("pushed");
    }

    /// Waits until the first policy's file says what was pushed.
    async fn committed(&self, n: u32) {
        let wanted = format!("newTag: 1.0.{n}\n");
        loop {
            let text = self.deploys.read("main", "p0/kustomization.yaml").await.expect("readable").unwrap_or_default();
            if text.contains(&wanted) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// The parts that are named after `--`, or all.
#[tokio::main]
async fn main() {
    let named: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if named.is_empty() || named.iter().any(|part| part == "held") {
        held().await;
    }
    if !named.is_empty() {
        return;
    }
    for n in [1, 3, 10] {
        quiet(n).await;
    }
    webhook().await;
    polled("1s").await;
    for path in ["/healthz", "/", "/api/v1/status", "/api/v1/plan", "/api/v1/policies/p0/environments/dev/explain"] {
        flooded(path).await;
    }
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

/// From a pushed image to a pushed commit, by the next poll.
#[expect(clippy::print_stdout, reason = "a bench prints what it measured")]
async fn polled(poll: &str) {
    let setup = setup(1, true, poll, false).await;
    let (_handle, stop, task) = setup.start().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut committed = Vec::new();
    for n in 1..=PUSHES {
        let begun = Instant::now();
        setup.push(n);
        setup.committed(n).await;
        committed.push(begun.elapsed());
        tokio::time::sleep(BETWEEN).await;
    }
    println!("image pushed to commit pushed, poll {poll}: {}", spread(&mut committed));
    stop.cancel();
    task.await.expect("stopped");
}

/// The same of the real process, while many connections ask for this without end.
#[expect(clippy::print_stdout, reason = "a bench prints what it measured")]
async fn flooded(path: &'static str) {
    let setup = setup(1, true, "1s", false).await;
    let mut child = setup.run(&setup.text());
    let client = tagrelay::clients::http::client(&tagrelay::clients::http::Transport::default()).expect("a client");
    answers(&client, &format!("http://127.0.0.1:{}/readyz", setup.port), Instant::now()).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (stop, answered) = (CancellationToken::new(), Arc::new(AtomicU64::new(0)));
    let asking: Vec<_> = (0..ASKERS)
        .map(|_| {
            let (stop, answered, port) = (stop.clone(), answered.clone(), setup.port);
            std::thread::spawn(move || ask_without_end(port, path, &stop, &answered))
        })
        .collect();
    let begun = Instant::now();
    let mut committed = Vec::new();
    for n in 1..=PUSHES {
        let begun = Instant::now();
        setup.push(n);
        setup.committed(n).await;
        committed.push(begun.elapsed());
        tokio::time::sleep(BETWEEN).await;
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let rate = answered.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64();
    println!(
        "image pushed to commit pushed, while {ASKERS} ask {path} ({rate:.0} answers/s): {}",
        spread(&mut committed)
    );
    stop.cancel();
    asking.into_iter().for_each(|thread| thread.join().expect("joined"));
    child.kill().expect("killed");
    child.wait().expect("gone");
}

/// Asks one thing on one connection, again and again.
fn ask_without_end(port: u16, path: &str, stop: &CancellationToken, answered: &AtomicU64) {
    let client = reqwest::blocking::Client::builder().no_proxy().build().expect("a client");
    while !stop.is_cancelled() {
        let answer = client.get(format!("http://127.0.0.1:{port}{path}")).send().and_then(|answer| answer.bytes());
        if answer.is_ok() {
            answered.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The real process, told of each push by a webhook: until it asks the registry, and until the commit is pushed.
#[expect(clippy::print_stdout, reason = "a bench prints what it measured")]
async fn webhook() {
    let setup = setup(1, true, "1h", false).await;
    let secret = setup.home.path().join("secret");
    std::fs::write(&secret, "s3cret").expect("written");
    let listens = format!(
        "server: {{ listen: '127.0.0.1:{}', webhooks: {{ distribution: {{ secret: {{ file: {} }} }} }} }}\n",
        setup.port,
        secret.display()
    );
    let text = setup.text().lines().filter(|line| !line.starts_with("server:")).collect::<Vec<_>>().join("\n");
    let mut child = setup.run(&format!("{text}\n{listens}"));
    let client = tagrelay::clients::http::client(&tagrelay::clients::http::Transport::default()).expect("a client");
    answers(&client, &format!("http://127.0.0.1:{}/readyz", setup.port), Instant::now()).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let lists = || setup.world.registry.face.count(&reqwest::Method::GET, "/tags/list");
    let (mut noticed, mut committed) = (Vec::new(), Vec::new());
    for n in 1..=DELIVERIES {
        let (host, before) = (setup.world.registry.host(), lists());
        let begun = Instant::now();
        setup.push(n);
        let told = format!(
            r#"{{"events":[{{"action":"push","target":{{"mediaType":"application/vnd.oci.image.manifest.v1+json","repository":"shop","tag":"1.0.{n}"}},"request":{{"host":"{host}"}}}}]}}"#
        );
        let request = client.post(format!("http://127.0.0.1:{}/webhooks/distribution", setup.port));
        let answer = request.header("authorization", "s3cret").body(told).send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), 200);
        while lists() == before {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        noticed.push(begun.elapsed());
        setup.committed(n).await;
        committed.push(begun.elapsed());
        tokio::time::sleep(BETWEEN).await;
    }
    println!("image pushed to registry asked, webhook: {}", spread(&mut noticed));
    println!("image pushed to commit pushed, webhook: {}", spread(&mut committed));
    child.kill().expect("killed");
    child.wait().expect("gone");
}

/// Half, 99 of 100, and the worst of these times.
fn spread(times: &mut [Duration]) -> String {
    times.sort();
    let at = |of_100: usize| times[(times.len() - 1) * of_100 / 100].as_secs_f64() * 1e3;
    format!("p50 {:.1} ms, p99 {:.1} ms, worst {:.1} ms of {}", at(50), at(99), at(100), times.len())
}

/// From a pushed HOLD file to the last effect that is seen after it: a commit, or a tag that is moved by a retag. The branch
/// is polled as by default, and no webhook tells of the file; it comes at another moment of each release's way.
#[expect(clippy::print_stdout, reason = "a bench prints what it measured")]
async fn held() {
    let setup = setup(1, true, "1s", false).await;
    let host = setup.world.registry.host();
    let policy = format!(
        "apiVersion: tagrelay/v1\nname: p0\nimages: [{host}/shop]\nsettle: 0s\npoll: 1s\nenvironments:\n  - name: dev\n    select: {{ semver: '1.x' }}\n    write: [{{ kustomize: p0 }}]\n    evidence: none\n  - name: live\n    promote: {{ from: dev, retag: live }}\n"
    );
    let by = "Bob <bob@example.com>";
    setup.deploys.commit("main", &[("policies/p0.yaml", Some(&policy))], "Policy\n", by).await.expect("pushed");
    let (handle, stop, task) = setup.start().await;
    let arrived = async |n: u32| {
        setup.committed(n).await;
        let tag = format!("1.0.{n}");
        while setup.world.registry.digest_of("shop", "live") != setup.world.registry.digest_of("shop", &tag) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let (mut last, mut n_after) = (Vec::new(), 0);
    for n in 1..=HOLDS {
        setup.push(n);
        tokio::time::sleep(Duration::from_millis(u64::from(n * 137 % 2000))).await;
        // The daemon may push between the reading of the tip and ours.
        while setup.deploys.commit("main", &[("policies/HOLD", Some("stop\n"))], "Hold\n", by).await.is_err() {}
        let begun = Instant::now();
        let state = async || (setup.deploys.tip("main").await.ok(), setup.world.registry.digest_of("shop", "live"));
        let (mut seen, mut effect) = (state().await, Duration::ZERO);
        while begun.elapsed() < AFTER_HOLD {
            let now = state().await;
            if now != seen {
                (seen, effect) = (now, begun.elapsed());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        n_after += u32::from(effect > Duration::ZERO);
        last.push(effect);
        while setup.deploys.commit("main", &[("policies/HOLD", None)], "Go on\n", by).await.is_err() {}
        handle.reload();
        arrived(n).await;
    }
    println!(
        "HOLD pushed to the last effect seen after it ({n_after} of {HOLDS} times there was one): {}",
        spread(&mut last)
    );
    stop.cancel();
    task.await.expect("stopped");
}

/// Start-up and resident memory of the real process, idle, each policy on a repository of its own.
#[expect(clippy::print_stdout, reason = "a bench prints what it measured")]
async fn process(n: usize) {
    let setup = setup(n, false, "1h", false).await;
    let begun = Instant::now();
    let mut child = setup.run(&setup.text());
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
