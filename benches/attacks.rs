//! What strangers, policy authors and repositories can make the real process hold: `cargo bench --bench attacks`.
//!
//! Each attack runs against a process of its own and prints the most memory that it held, and how long `/healthz` took
//! meanwhile. `TAGRELAY_BINARY` names another binary to compare with. It compares nothing itself and fails for no number.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tagrelay::sandbox::World;
use tagrelay::sandbox::fault::{Fault, Rule};
use tagrelay::sandbox::git::Repository;

/// How long an attack lasts.
const LASTS: Duration = Duration::from_secs(20);
/// How long an answer is waited for.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// A daemon under attack, in a world of its own.
struct Target {
    _world: World,
    _deploys: Repository,
    home: tempfile::TempDir,
    address: SocketAddr,
    process: Child,
}

impl Target {
    /// A daemon whose repository holds these files.
    async fn with(files: &[(String, String)]) -> Self {
        Self::with_faults(files, Vec::new()).await
    }

    /// The same, with a registry that answers so.
    async fn with_faults(files: &[(String, String)], faults: Vec<Rule>) -> Self {
        let world = World::start().await.expect("a world");
        faults.into_iter().for_each(|rule| world.registry.face.faults.add(rule));
        let host = world.registry.host();
        let files: Vec<(String, String)> =
            files.iter().map(|(path, text)| (path.clone(), text.replace("REGISTRY", &host))).collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        let deploys = world.git.create("deploys", &files).await.expect("a repository");
        let home = tempfile::tempdir().expect("a directory");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        drop(listener);
        let secret = home.path().join("secret");
        std::fs::write(&secret, "a secret of the registry's\n").expect("written");
        let configuration = format!(
            "repositories:\n  default: {{ url: '{}', policies: policies/, plain_http: true }}\n\
             registries: {{ '{host}': {{ plain_http: true }} }}\njournal: 'sqlite://{}'\n\
             server: {{ listen: '{address}', webhooks: {{ ghcr: {{ secret: {{ file: {} }} }} }} }}\n",
            deploys.url(),
            home.path().join("journal.db").display(),
            secret.display(),
        );
        let file = home.path().join("tagrelay.yaml");
        std::fs::write(&file, configuration).expect("written");
        let binary = std::env::var_os("TAGRELAY_BINARY").map(PathBuf::from);
        let mut command = Command::new(binary.unwrap_or_else(|| env!("CARGO_BIN_EXE_tagrelay").into()));
        command.args(["run", "--config"]).arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().expect("the binary");
        let target = Self { _world: world, _deploys: deploys, home, address, process };
        let begun = Instant::now();
        while target.ask("/healthz").is_none() && begun.elapsed() < ANSWER_WITHIN {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        target
    }

    fn connect(&self) -> Option<TcpStream> {
        let stream = TcpStream::connect_timeout(&self.address, ANSWER_WITHIN).ok()?;
        stream.set_read_timeout(Some(ANSWER_WITHIN)).ok()?;
        stream.set_write_timeout(Some(Duration::from_secs(5))).ok()?;
        Some(stream)
    }

    /// How long an answer of 200 takes; none where there is none.
    fn ask(&self, path: &str) -> Option<Duration> {
        let begun = Instant::now();
        let mut stream = self.connect()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        answer.starts_with(b"HTTP/1.1 200").then(|| begun.elapsed())
    }

    /// The most memory that the process held.
    fn peak(&self) -> String {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or("VmHWM: 0 kB");
        let kib: u64 = line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or(0);
        format!("{} MiB", kib / 1024)
    }

    /// Looks at the process while the attack lasts, and prints what it held.
    #[expect(clippy::print_stdout, reason = "a bench prints what it measured")]
    async fn watch(mut self, attack: &str) {
        let begun = Instant::now();
        let mut slowest = Some(Duration::ZERO);
        while begun.elapsed() < LASTS {
            slowest = slowest.and_then(|slowest| Some(self.ask("/healthz")?.max(slowest)));
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let health = slowest.map_or("no answer".to_owned(), |slowest| format!("{} ms", slowest.as_millis()));
        println!("{attack}: at most {} held, /healthz took at most {health}", self.peak());
        self.process.kill().expect("killed");
        self.process.wait().expect("gone");
        drop(self.home);
    }
}

fn policy(name: &str, environments: &str) -> (String, String) {
    let text = format!("apiVersion: tagrelay/v1\nname: {name}\nimages: [REGISTRY/shop]\nenvironments:\n{environments}");
    (format!("policies/{name}.yaml"), text)
}

fn quiet() -> Vec<(String, String)> {
    vec![policy("shop", "  - { name: dev, select: { newest: seen }, write: [{ kustomize: dev }] }\n")]
}

#[tokio::main]
async fn main() {
    Target::with(&quiet()).await.watch("nothing").await;
    silent().await;
    unproven().await;
    http_2().await;
    one_blob_under_many_names().await;
    expressions().await;
    environments().await;
    dense_target().await;
    large_answers().await;
}

/// Connections that say nothing.
async fn silent() {
    let target = Target::with(&quiet()).await;
    let held: Vec<TcpStream> = (0..900).filter_map(|_| target.connect()).collect();
    target.watch("900 silent connections").await;
    drop(held);
}

/// Deliveries of a mebibyte whose proof would be a signature of the body, and that never come to their end.
async fn unproven() {
    let target = Target::with(&quiet()).await;
    let mut held = Vec::new();
    for _ in 0..500 {
        let Some(mut stream) = target.connect() else { continue };
        let head = "POST /webhooks/ghcr HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1048576\r\n\r\n";
        // The server may hang up before all is sent.
        let _sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&vec![b'x'; 1_048_575]));
        held.push(stream);
    }
    target.watch("500 deliveries of 1 MiB without proof").await;
}

/// Connections that speak HTTP/2 without having been asked to, each with as much as its windows allow.
async fn http_2() {
    let target = Target::with(&quiet()).await;
    let mut held = Vec::new();
    for _ in 0..6 {
        let Some(mut stream) = target.connect() else { continue };
        let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00".to_vec();
        for n in 0..200_u32 {
            // POST / without an end, and a body of 16 KiB.
            let block = [0x83, 0x84, 0x86];
            sent.extend([0, 0, 3, 1, 4]);
            sent.extend((2 * n + 1).to_be_bytes());
            sent.extend(block);
            sent.extend([0, 0x40, 0, 0, 0]);
            sent.extend((2 * n + 1).to_be_bytes());
            sent.extend(vec![b'x'; 16_384]);
        }
        let _sent = stream.write_all(&sent);
        held.push(stream);
    }
    target.watch("6 connections of HTTP/2").await;
}

/// Three hundred policies that are one file of 8 MiB.
async fn one_blob_under_many_names() {
    let text = format!("# {}\n", "x".repeat(8 << 20));
    let mut files: Vec<_> = (0..300).map(|n| (format!("policies/p{n}.yaml"), text.clone())).collect();
    files.extend(quiet());
    Target::with(&files).await.watch("300 policy names for one file of 8 MiB").await;
}

/// Two thousand expressions that take a mebibyte each.
async fn expressions() {
    let ignored: Vec<String> = (0..2_000).map(|n| format!(r"'\w{{20}}{n}'")).collect();
    let environments = format!(
        "  - {{ name: dev, select: {{ newest: seen, ignore: [{}] }}, write: [{{ kustomize: dev }}] }}\n",
        ignored.join(", ")
    );
    let mut files = quiet();
    files.push(policy("greedy", &environments));
    Target::with(&files).await.watch("2,000 expressions").await;
}

/// One policy with thousands of environments.
async fn environments() {
    let environments: String = (0..3_400)
        .map(|n| format!("  - {{ name: e{n}, select: {{ newest: seen }}, write: [{{ kustomize: d{n} }}] }}\n"))
        .collect();
    let mut files = quiet();
    files.push(policy("greedy", &environments));
    Target::with(&files).await.watch("3,400 environments in one policy").await;
}

/// A target of 4 MB that is all nodes.
async fn dense_target() {
    let environments =
        "  - { name: dev, select: { newest: seen }, write: [{ helm: values.yaml, keys: { tag: image.tag } }] }\n";
    let mut files = quiet();
    files.push(policy("greedy", environments));
    files.push(("values.yaml".to_owned(), format!("image:\n  tag: '1'\nx: [{}a]\n", "a,".repeat(1_990_000))));
    Target::with(&files).await.watch("a target of two million nodes").await;
}

/// Fifty repositories of a registry that answers each question with as much as is read of it.
async fn large_answers() {
    let mut files = quiet();
    for n in 0..50 {
        let environments = format!(
            "  - {{ name: dev, select: {{ newest: created }}, write: [{{ kustomize: d{n} }}] }}\n  - {{ name: moving, select: {{ follow: latest }}, write: [{{ kustomize: m{n} }}] }}\n"
        );
        let (path, text) = policy(&format!("p{n}"), &environments);
        files.push((path, text.replace("REGISTRY/shop", &format!("REGISTRY/large/{n}"))));
    }
    let dense = format!("{{\"schemaVersion\":2,\"manifests\":[{}{{}}]}}", "{\"digest\":\"\"},".repeat((1 << 20) / 14));
    let list = format!("{{\"name\":\"x\",\"tags\":[{}\"x\"]}}", "\"a\",".repeat((26 << 20) / 4));
    let [dense, list] = [dense, list].map(|text| Fault::answer(200).body("application/json", text));
    let of = |n: usize, below: &str, fault: &Fault| Rule::every(fault.clone()).path(&format!("/v2/large/{n}/{below}"));
    let faults = (0..50).flat_map(|n| [of(n, "manifests/", &dense), of(n, "tags/list", &list)]).collect();
    Target::with_faults(&files, faults).await.watch("50 repositories with the largest answers").await;
}
