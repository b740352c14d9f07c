//! `tagrelay run`, told to stop while a git server says nothing, and told twice while it has an effect in hand.

use super::{directory, tagrelay};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
#[cfg(feature = "sandbox")]
use tokio::sync::Notify;

/// Longer than any of this takes, on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(120);

/// Sends SIGTERM.
async fn terminate(daemon: &tokio::process::Child) {
    let pid = daemon.id().expect("it runs").to_string();
    let told = tokio::process::Command::new("kill").args(["-TERM", &pid]).status().await.expect("kill");
    assert!(told.success());
}

#[tokio::test]
async fn a_git_server_that_says_nothing_holds_up_no_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let configuration = format!(
        "repositories: {{ default: {{ url: 'http://127.0.0.1:{port}/deploys.git', policies: p, plain_http: true }} }}\n\
         journal: sqlite://journal.db\nserver: {{ listen: '127.0.0.1:0' }}\n"
    );
    let home = directory(&[("tagrelay.yaml", &configuration)]);
    let mut command: tokio::process::Command = tagrelay(home.path(), ["run"]).into();
    let mut daemon = command.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn().expect("it starts");
    let asked = async {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut byte = [0];
        stream.read_exact(&mut byte).await.expect("a request");
        stream
    };
    let _silent = tokio::time::timeout(PATIENCE, asked).await.expect("the branch is read");
    terminate(&daemon).await;
    let ended = tokio::time::timeout(PATIENCE, daemon.wait()).await.expect("it ends").expect("a status");
    assert!(ended.success(), "{ended}");
}

#[cfg(feature = "sandbox")]
const POLICY: &str = "apiVersion: tagrelay/v1\nname: shop\nimages: [REGISTRY/shop]\nsettle: 0s\npoll: 1s\nenvironments:\n  \
    - { name: dev, select: { follow: dev }, write: [{ kustomize: dev }] }\n";

/// A push that never ends is in hand, which the first signal waits for; the second one does not.
#[cfg(feature = "sandbox")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_twice_it_leaves_at_once_and_says_so() {
    use tagrelay::sandbox::World;
    use tagrelay::sandbox::fault::{Fault, Moment, Rule};
    use tagrelay::sandbox::registry::ImageSpec;

    let world = World::start().await.expect("a world");
    let host = world.registry.host();
    let files = [
        ("policies/shop.yaml", POLICY.replace("REGISTRY", &host)),
        ("dev/kustomization.yaml", format!("images:\n  - name: {host}/shop\n    newTag: old\n")),
    ];
    let files = files.each_ref().map(|(path, text)| (*path, text.as_str()));
    let deploys = world.git.create("deploys", &files).await.expect("a repository");
    world.registry.push_image("shop", "dev", &ImageSpec::new("shop", "2026-01-01T00:00:00Z")).expect("pushed");
    let pushing = std::sync::Arc::new(Notify::new());
    let begun = pushing.clone();
    let hangs = Fault::meanwhile(Moment::Before, move || {
        begun.notify_one();
        std::future::pending()
    });
    world.git.face.faults.add(Rule::every(hangs).path("/deploys.git/git-receive-pack"));
    let configuration = format!(
        "repositories: {{ default: {{ url: '{}', policies: policies/, plain_http: true }} }}\n\
         registries: {{ '{host}': {{ plain_http: true }} }}\n\
         journal: sqlite://journal.db\nserver: {{ listen: '127.0.0.1:0' }}\n",
        deploys.url()
    );
    let home = directory(&[("tagrelay.yaml", &configuration)]);
    let mut command: tokio::process::Command = tagrelay(home.path(), ["run"]).into();
    let mut daemon =
        command.stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true).spawn().expect("it starts");
    let mut says = daemon.stderr.take().expect("a pipe");
    let mut said = String::new();
    let ended = async {
        pushing.notified().await;
        terminate(&daemon).await;
        while !said.contains("told again, leaving at once") {
            let mut bytes = [0; 4096];
            let n = says.read(&mut bytes).await.expect("its log");
            assert_ne!(n, 0, "it left after the first signal: {said}");
            said.push_str(&String::from_utf8_lossy(&bytes[..n]));
        }
        terminate(&daemon).await;
        says.read_to_string(&mut said).await.expect("its log");
        daemon.wait().await.expect("a status")
    };
    let ended = tokio::time::timeout(PATIENCE, ended).await.expect("it ends");
    assert!(!ended.success() && said.contains("told to stop twice"), "{ended}: {said}");
}
