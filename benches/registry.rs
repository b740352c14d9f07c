//! What registries are asked, and what that costs: `cargo bench --bench registry`, or with the name of one part of it.
//!
//! Requests of a quiet cycle by strategy and authentication, a first meeting with `newest`, what `newest` keeps in memory of
//! ever more tags, a million tags, and five thousand repositories with two million tags, read by the real process. The registry runs on the same machine; its work is part of
//! every time, and of none of the CPU seconds and bytes. It compares nothing and fails for no number.
#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use axum::Router;
use axum::extract::State;
use axum::http::{Method, Uri};
use axum::response::{IntoResponse as _, Response};
use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tagrelay::clients::http::{Transport, client, uncounted};
use tagrelay::clients::registry::{Credentials, HostSettings, Registry};
use tagrelay::daemon::Clock;
use tagrelay::model::policy::{Image, Select, Strategy, Together};
use tagrelay::model::{Digest, ImageName, Provider, Repository, Span};
use tagrelay::relay::select::{Request, Tags, choose};
use tagrelay::sandbox::World;
use tagrelay::sandbox::registry::ecr::ACCESS_KEY;
use tagrelay::sandbox::registry::{Auth, Bearer, ImageSpec};

/// How many cycles of a quiet daemon are counted, and how long each is.
const CYCLES: u32 = 10;
const CYCLE: Duration = Duration::from_secs(1);
/// How many tags a first meeting has, of images and of indexes.
const FIRST: u32 = 500;
/// How many tags a first meeting at the usual pace has.
const COLD: u32 = 200;
/// How many repositories there are, and how many tags each has.
const REPOSITORIES: usize = 5000;
const TAGS: usize = 400;

#[tokio::main]
async fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_wanted = |part: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == part);
    if is_wanted("quiet") {
        for auth in ["Bearer", "Basic"] {
            for select in ["semver: '1.x'", "newest: created", "follow: staging"] {
                for n in [1, 10] {
                    quiet(auth, select, n).await;
                }
            }
        }
    }
    if is_wanted("first") {
        first("single", false).await;
        first("index", false).await;
        first("single", true).await;
    }
    if is_wanted("cold") {
        cold("at the usual pace", "").await;
        cold("at 50 requests in each second", ", requests_per_second: 50").await;
    }
    if is_wanted("newest") {
        for n in [500, 5_000, 50_000] {
            newest(n).await;
        }
        for n in [500, 5_000, 50_000] {
            newest_on_ecr(n).await;
        }
    }
    if is_wanted("million") {
        million().await;
    }
    if is_wanted("many") {
        many().await;
    }
}

/// The real process on these policies and files, in a world of its own.
struct Setup {
    world: World,
    home: tempfile::TempDir,
    port: u16,
    text: String,
}

/// The GitOps repository of these policies; `lines` go into the registry's entry.
async fn setup(world: World, registry: &str, lines: &str, files: &[(String, String)]) -> Setup {
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let deploys = world.git.create("deploys", &files).await.expect("a repository");
    let home = tempfile::tempdir().expect("a directory");
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let password = home.path().join("password");
    std::fs::write(&password, "hunter2").expect("written");
    let text = format!(
        "repositories:\n  default: {{ url: '{}', branch: main, policies: policies/, plain_http: true }}\nregistries: {{ '{registry}': {{ plain_http: true, requests_per_second: 10000{} }} }}\njournal: 'sqlite://{}'\nserver: {{ listen: '127.0.0.1:{port}' }}\nlimits: {{ changes: 100000 }}\n",
        deploys.url(),
        lines.replace("PASSWORD", &format!("{{ file: {} }}", password.display())),
        home.path().join("journal.db").display(),
    );
    Setup { world, home, port, text }
}

impl Setup {
    fn start(&self, arguments: &[&str]) -> Child {
        let file = self.home.path().join("tagrelay.yaml");
        std::fs::write(&file, &self.text).expect("written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_tagrelay"));
        command.args(arguments).arg("--config").arg(&file);
        command.env("AWS_ACCESS_KEY_ID", ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", "x").env("AWS_REGION", "eu-west-1");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary")
    }

    /// Waits until the daemon says that so many repositories were read at `since` or later.
    async fn read(&self, n: usize, since: jiff::Timestamp) {
        let client = client(&Transport::default()).expect("a client");
        loop {
            // To tell of thousands is work too.
            tokio::time::sleep(Duration::from_millis(if n > 100 { 5000 } else { 250 })).await;
            let url = format!("http://127.0.0.1:{}/api/v1/status", self.port);
            let Ok(answer) = client.get(url).send().await else { continue };
            let Ok(text) = answer.text().await else { continue };
            let status: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
            let read = status["repositories"].as_array().into_iter().flatten().filter(|repository| {
                let at = repository["read_at"].as_str().and_then(|at| at.parse::<jiff::Timestamp>().ok());
                at.is_some_and(|at| at >= since)
            });
            if read.count() >= n {
                return;
            }
        }
    }
}

fn policy(name: &str, repository: &str, poll: &str, select: &str) -> (String, String) {
    let text = format!(
        "apiVersion: tagrelay/v1\nname: {name}\nimages: [{repository}]\nsettle: 0s\npoll: {poll}\nenvironments:\n  - name: dev\n    select: {{ {select} }}\n    write: [{{ kustomize: {name} }}]\n"
    );
    (format!("policies/{name}.yaml"), text)
}

fn pin(name: &str, repository: &str, rest: &str) -> (String, String) {
    (format!("{name}/kustomization.yaml"), format!("images:\n  - name: {repository}\n    {rest}\n"))
}

/// Requests of a quiet cycle: so many policies with one strategy on one repository.
async fn quiet(auth: &str, select: &str, n: usize) {
    let world = World::start().await.expect("a world");
    let registry = &world.registry;
    registry.add_account("bot", "hunter2", true);
    registry.push_image("shop", "1.0.0", &ImageSpec::new("a", "2026-01-01T00:00:00Z")).expect("pushed");
    registry.push_image("shop", "staging", &ImageSpec::new("a", "2026-01-01T00:00:00Z")).expect("pushed");
    registry.require(if auth == "Basic" { Auth::Basic } else { Auth::Bearer(Bearer::default()) });
    let (host, repository) = (registry.host(), format!("{}/shop", registry.host()));
    let digest = registry.digest_of("shop", "1.0.0").expect("a digest");
    let files: Vec<(String, String)> = (0..n)
        .flat_map(|at| {
            let name = format!("p{at}");
            let rest = if select.contains("follow") { format!("digest: {digest}") } else { "newTag: 1.0.0".to_owned() };
            [policy(&name, &repository, "1s", select), pin(&name, &repository, &rest)]
        })
        .collect();
    let setup = setup(world, &host, ", pull: { username: bot, password: PASSWORD }", &files).await;
    let begun = Clock::System.now();
    let mut child = setup.start(&["run"]);
    setup.read(1, begun).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    setup.world.registry.face.forget();
    let tokens = setup.world.registry.token_requests();
    tokio::time::sleep(CYCLE * CYCLES).await;
    let asked = setup.world.registry.face.requests();
    let count =
        |method: &Method, part: &str| asked.iter().filter(|a| a.method == method && a.path.contains(part)).count();
    println!(
        "quiet, {auth}, {select}, {n:>2} policies: {:.1} requests a cycle ({:.1} tags/list, {:.1} HEAD, {} tokens in {CYCLES} cycles)",
        asked.len() as f64 / f64::from(CYCLES),
        count(&Method::GET, "/tags/list") as f64 / f64::from(CYCLES),
        count(&Method::HEAD, "/manifests/") as f64 / f64::from(CYCLES),
        setup.world.registry.token_requests() - tokens,
    );
    child.kill().expect("killed");
    child.wait().expect("gone");
}

/// A first meeting with `newest`: so many tags that nothing is known of, and one round of the real process.
async fn first(kind: &str, amazon: bool) {
    let world = World::start().await.expect("a world");
    for n in 0..FIRST {
        let created = format!("2026-01-{:02}T{:02}:00:00Z", n % 28 + 1, n / 28);
        let image = ImageSpec::new(&format!("build {n}"), &created);
        let image = if kind == "index" { image.platforms(&["linux/amd64", "linux/arm64"]) } else { image };
        let digest = world.registry.push_image("shop", &format!("b-{n}"), &image).expect("pushed");
        world.registry.pushed_at("shop", &digest, f64::from(n) + 1.0);
    }
    let (host, repository) = (world.registry.host(), format!("{}/shop", world.registry.host()));
    let (select, entry) = match amazon {
        true => ("newest: pushed", format!(", provider: ecr, endpoint_url: '{}'", world.registry.face.url())),
        false => ("newest: created", String::new()),
    };
    if amazon {
        world.registry.require(Auth::Ecr);
    }
    let files = [policy("p", &repository, "1h", select), pin("p", &repository, "newTag: none")];
    let setup = setup(world, &host, &entry, &files).await;
    setup.world.registry.face.forget();
    let begun = Instant::now();
    let ended = setup.start(&["once"]).wait().expect("it ends");
    let asked = setup.world.registry.face.requests();
    let count =
        |method: &Method, part: &str| asked.iter().filter(|a| a.method == method && a.path.contains(part)).count();
    println!(
        "first meeting, {FIRST} {kind} tags, {select}{}: {} requests ({} lists, {} HEAD, {} manifests, {} blobs, {} of Amazon's API) in {:.1} s, {ended}",
        if amazon { " on ECR" } else { "" },
        asked.len(),
        count(&Method::GET, "/tags/list"),
        count(&Method::HEAD, "/manifests/"),
        count(&Method::GET, "/manifests/"),
        count(&Method::GET, "/blobs/"),
        asked.iter().filter(|asked| asked.method == Method::POST && asked.path == "/").count(),
        begun.elapsed().as_secs_f64(),
    );
}

/// A first meeting with `newest` at the pace that an entry with these lines asks for.
async fn cold(pace: &str, lines: &str) {
    let world = World::start().await.expect("a world");
    for n in 0..COLD {
        let created = format!("2026-01-{:02}T{:02}:00:00Z", n % 28 + 1, n / 28);
        let image = ImageSpec::new(&format!("build {n}"), &created);
        world.registry.push_image("shop", &format!("b-{n}"), &image).expect("pushed");
    }
    let (host, repository) = (world.registry.host(), format!("{}/shop", world.registry.host()));
    let files = [policy("p", &repository, "1h", "newest: created"), pin("p", &repository, "newTag: none")];
    let mut setup = setup(world, &host, "", &files).await;
    setup.text = setup.text.replace(", requests_per_second: 10000", lines);
    setup.world.registry.face.forget();
    let begun = Instant::now();
    let ended = setup.start(&["once"]).wait().expect("it ends");
    let n_asked = setup.world.registry.face.requests().len();
    let took = begun.elapsed().as_secs_f64();
    println!("first meeting {pace}, {COLD} tags, newest: created: {n_asked} requests in {took:.1} s, {ended}");
}

/// `newest` over so many tags with a build each: what stays in memory of them, at first and after a restart.
async fn newest(n: usize) {
    let tags: Vec<String> = (0..n).map(|n| format!("main-{n:07}-{:08x}", n * 2_654_435_761 % 0xffff_ffff)).collect();
    let mut shelves = Shelves::new(tags.clone(), 1000);
    shelves.images = Arc::new(tags.iter().enumerate().map(|(at, tag)| (tag.clone(), Served::built(at))).collect());
    shelves.configs =
        Arc::new(shelves.images.values().map(|image| (image.config.0.clone(), image.config.1.clone())).collect());
    let host = shelves.serve().await;
    let repository = format!("{host}/shop");
    let files = [policy("p", &repository, "1h", "newest: created"), pin("p", &repository, "newTag: none")];
    let setup = setup(World::start().await.expect("a world"), &host, "", &files).await;
    for start in ["first start", "restart"] {
        shelves.requests.store(0, Ordering::Relaxed);
        let (begun, since) = (Instant::now(), Clock::System.now());
        let mut child = setup.start(&["run"]);
        setup.read(1, since).await;
        let (mut last, mut ended) = (0, Instant::now());
        while std::mem::replace(&mut last, shelves.requests.load(Ordering::Relaxed)) != last {
            ended = Instant::now();
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        println!(
            "newest: created among {n} tags, {start}: {} requests in about {:.0} s, {:.1} CPU seconds, peak {}",
            shelves.requests.load(Ordering::Relaxed),
            (ended - begun).as_secs_f64(),
            cpu_seconds(&child),
            peak(&child),
        );
        child.kill().expect("killed");
        child.wait().expect("gone");
    }
}

/// The same where the list tells of every tag when it was pushed.
async fn newest_on_ecr(n: usize) {
    let world = World::start().await.expect("a world");
    for at in 0..n {
        let image = ImageSpec::new(&format!("build {at}"), "2026-01-01T00:00:00Z");
        let digest = world.registry.push_image("shop", &format!("main-{at:07}"), &image).expect("pushed");
        world.registry.pushed_at("shop", &digest, at as f64 + 1.0);
    }
    world.registry.require(Auth::Ecr);
    let (host, repository) = (world.registry.host(), format!("{}/shop", world.registry.host()));
    let entry = format!(", provider: ecr, endpoint_url: '{}'", world.registry.face.url());
    let files = [policy("p", &repository, "1h", "newest: pushed"), pin("p", &repository, "newTag: none")];
    let setup = setup(world, &host, &entry, &files).await;
    setup.world.registry.face.forget();
    let since = Clock::System.now();
    let mut child = setup.start(&["run"]);
    setup.read(1, since).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    println!(
        "newest: pushed among {n} tags on ECR: {} requests, {:.1} CPU seconds, peak {}",
        setup.world.registry.face.requests().len(),
        cpu_seconds(&child),
        peak(&child),
    );
    child.kill().expect("killed");
    child.wait().expect("gone");
}

/// An image as a registry gives it.
#[derive(Clone)]
struct Served {
    manifest: (Digest, String),
    config: (Digest, String),
}

impl Served {
    fn new(config: String) -> Self {
        let config = (Digest::of(config.as_bytes()), config);
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","size":{},"digest":"{}"}},"layers":[]}}"#,
            config.1.len(),
            config.0
        );
        Self { manifest: (Digest::of(manifest.as_bytes()), manifest), config }
    }

    /// One that was built so many minutes after another, with the labels that builds have.
    fn built(minutes: usize) -> Self {
        let at =
            jiff::Timestamp::from_second(1_700_000_000 + 60 * i64::try_from(minutes).expect("few")).expect("a time");
        let labels: Vec<String> =
            ["revision", "version", "created", "source", "title", "vendor", "licenses", "url", "description"]
                .map(|label| format!(r#""org.opencontainers.image.{label}":"{label} of {minutes:040x}""#))
                .to_vec();
        Self::new(format!(
            r#"{{"os":"linux","architecture":"amd64","created":"{at}","config":{{"Labels":{{{}}}}}}}"#,
            labels.join(",")
        ))
    }
}

/// A registry of nothing but lists, and one image under every tag, or one each.
#[derive(Clone)]
struct Shelves {
    tags: Arc<Vec<String>>,
    page: usize,
    image: Arc<Served>,
    images: Arc<HashMap<String, Served>>,
    configs: Arc<HashMap<Digest, String>>,
    requests: Arc<AtomicUsize>,
}

impl Shelves {
    fn new(tags: Vec<String>, page: usize) -> Self {
        let config = r#"{"os":"linux","architecture":"amd64","created":"2026-01-01T00:00:00Z"}"#;
        Self {
            tags: Arc::new(tags),
            page,
            image: Arc::new(Served::new(config.to_owned())),
            images: Arc::default(),
            configs: Arc::default(),
            requests: Arc::default(),
        }
    }

    /// Serves on a runtime of its own; the host.
    async fn serve(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let host = listener.local_addr().expect("an address").to_string();
        let service = Router::new().fallback(answer).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, service).await.expect("served") });
        host
    }
}

async fn answer(State(shelves): State<Shelves>, method: Method, uri: Uri) -> Response {
    shelves.requests.fetch_add(1, Ordering::Relaxed);
    let path = uri.path();
    if path.ends_with("/tags/list") {
        let from: usize = uri.query().and_then(|query| query.split("from=").nth(1)?.parse().ok()).unwrap_or(0);
        let to = (from + shelves.page).min(shelves.tags.len());
        let mut body = String::from(r#"{"name":"x","tags":["#);
        for (at, tag) in shelves.tags[from..to].iter().enumerate() {
            write!(body, "{}\"{tag}\"", if at > 0 { "," } else { "" }).expect("written");
        }
        body.push_str("]}");
        let json = ("content-type", "application/json");
        return match to < shelves.tags.len() {
            true => ([json, ("link", &format!("<{path}?from={to}>; rel=\"next\""))], body).into_response(),
            false => ([json], body).into_response(),
        };
    }
    let name = path.rsplit('/').next().unwrap_or_default();
    if path.contains("/manifests/") {
        let (digest, manifest) = &shelves.images.get(name).unwrap_or(&shelves.image).manifest;
        let headers = [
            ("content-type", "application/vnd.oci.image.manifest.v1+json"),
            ("docker-content-digest", digest.as_str()),
        ];
        return (headers, if method == Method::HEAD { String::new() } else { manifest.clone() }).into_response();
    }
    if path.contains("/blobs/") {
        let config = Digest::parse(name).ok().and_then(|digest| shelves.configs.get(&digest));
        return config.unwrap_or(&shelves.image.config.1).clone().into_response();
    }
    "{}".into_response()
}

fn versions(n: usize) -> Vec<String> {
    (0..n).map(|n| format!("{}.{}.{}", n / 10_000, n / 100 % 100, n % 100)).collect()
}

/// A million tags, listed and chosen from in this process.
async fn million() {
    let shelves = Shelves::new(versions(1_000_000), 10_000);
    let host = shelves.serve().await;
    let settings = |_: &str| HostSettings {
        provider: Provider::Distribution,
        amazon: None,
        endpoint: None,
        transport: Transport { plain_http: true, ..Transport::default() },
        pull: Credentials::Anonymous,
        push: None,
    };
    let registry = Registry::new(settings, uncounted());
    let repository = Repository::parse(&format!("{host}/shop")).expect("a repository");
    let begun = Instant::now();
    let listing = registry.list(&repository, false, None).await.expect("a list").expect("a new one");
    println!(
        "{} tags listed in {} pages, {:.2} s",
        listing.tags.len(),
        shelves.requests.load(Ordering::Relaxed),
        begun.elapsed().as_secs_f64()
    );
    let begun = Instant::now();
    let again = registry.list(&repository, false, Some(&listing)).await.expect("a list");
    println!(
        "the same again: {} in {:.2} s",
        if again.is_none() { "recognised" } else { "taken for new" },
        begun.elapsed().as_secs_f64()
    );
    let select = Select {
        strategy: Strategy::Semver("^42".to_owned()),
        matches: None,
        extract: None,
        ignore: Vec::new(),
        branch: None,
        labels: Vec::new(),
        min_age: Span::ZERO,
        allow_downgrade: false,
    };
    let image = Image {
        name: ImageName::parse("shop").expect("a name"),
        repository,
        before: Vec::new(),
        platforms: Vec::new(),
        source: None,
    };
    let (known, reserved, known_releases) = (HashMap::new(), HashSet::new(), HashSet::new());
    let images = [Tags { image: &image, tags: &listing.tags, known: &known, dated: None, reserved: &reserved }];
    let request = Request {
        select: &select,
        images: &images,
        together: Together::SameTag,
        settle: Span::ZERO,
        known_releases: &known_releases,
        own_commits: false,
        depth: 1,
        now: jiff::Timestamp::UNIX_EPOCH,
    };
    let begun = Instant::now();
    let chosen = choose(&request);
    let best = chosen.wanted.first().map_or_else(String::new, |want| want.tag.to_string());
    println!("semver ^42 among them: {best} in {:.0} ms", begun.elapsed().as_secs_f64() * 1e3);
}

/// Five thousand repositories with four hundred tags each, a policy each: a cold and a warm cycle of the real process.
async fn many() {
    let tags = versions(TAGS);
    let best = tags.last().expect("a tag").clone();
    let shelves = Shelves::new(tags, 1000);
    let host = shelves.serve().await;
    let files: Vec<(String, String)> = (0..REPOSITORIES)
        .flat_map(|at| {
            let (name, repository) = (format!("p{at}"), format!("{host}/team/app-{at}"));
            [policy(&name, &repository, "60s", "semver: '*'"), pin(&name, &repository, &format!("newTag: {best}"))]
        })
        .collect();
    let world = World::start().await.expect("a world");
    let setup = setup(world, &host, "", &files).await;
    let (begun, since) = (Instant::now(), Clock::System.now());
    let mut child = setup.start(&["run"]);
    setup.read(REPOSITORIES, since).await;
    report("cold", &child, begun, &shelves, 0.0);
    // What was listed is read now: digest and facts of the best tag of each.
    let mut last = 0;
    while std::mem::replace(&mut last, shelves.requests.load(Ordering::Relaxed)) != last {
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    report("cold, with the builds that it chose", &child, begun, &shelves, 0.0);
    let cpu = cpu_seconds(&child);
    shelves.requests.store(0, Ordering::Relaxed);
    let (begun, since) = (Instant::now(), Clock::System.now());
    setup.read(REPOSITORIES, since).await;
    report("warm", &child, begun, &shelves, cpu);
    child.kill().expect("killed");
    child.wait().expect("gone");
}

fn report(what: &str, child: &Child, begun: Instant, shelves: &Shelves, cpu: f64) {
    println!(
        "{REPOSITORIES} repositories, {} tags, {what}: {:.1} s, {} requests, {:.1} CPU seconds, peak {}",
        REPOSITORIES * TAGS,
        begun.elapsed().as_secs_f64(),
        shelves.requests.load(Ordering::Relaxed),
        cpu_seconds(child) - cpu,
        peak(child),
    );
}

/// The CPU time of a process, in user and system, of 100 ticks a second.
fn cpu_seconds(child: &Child) -> f64 {
    let stat =
        std::fs::read_to_string(Path::new("/proc").join(child.id().to_string()).join("stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or_default();
    (ticks(11) + ticks(12)) / 100.0
}

fn peak(child: &Child) -> String {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let of = |key: &str| {
        let line = status.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        line.trim_start_matches(key).split_whitespace().next().and_then(|kb| kb.parse::<f64>().ok()).unwrap_or_default()
            / 1024.0
    };
    format!("{:.0} MB (now {:.0} MB)", of("VmHWM:"), of("VmRSS:"))
}
