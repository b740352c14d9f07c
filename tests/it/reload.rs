//! The configuration of a running daemon is changed: the real binary, its file, and SIGHUP.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().expect("killed");
        self.0.wait().expect("gone");
    }
}

/// A running daemon, and how it is asked.
struct Daemon {
    address: SocketAddr,
    client: reqwest::Client,
    process: Process,
}

impl Daemon {
    fn start(home: &Path, address: SocketAddr) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_tagrelay"))
            .args(["run", "--config"])
            .arg(home.join("tagrelay.yaml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(home.join("log")).expect("a log"))
            .spawn()
            .expect("the binary");
        let client = tagrelay::clients::http::client(&tagrelay::clients::http::Transport::default());
        Self { address, client: client.expect("a client"), process: Process(child) }
    }

    /// What a hold by this person is answered; none while nobody listens.
    async fn hold(&self, who: &str) -> Option<u16> {
        let url = format!("http://{}/api/v1/hold", self.address);
        let body = serde_json::json!({ "reason": "lunch", "until": "2099-01-01T00:00:00Z" });
        let request = self.client.post(url).bearer_auth(token(who)).json(&body);
        request.send().await.ok().map(|answer| answer.status().as_u16())
    }

    async fn health(&self) -> String {
        let answer = self.client.get(format!("http://{}/healthz", self.address)).send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), 200, "a configuration on the disk is no reason to be restarted");
        answer.text().await.expect("a text")
    }

    async fn until_hold(&self, who: &str, wanted: u16) {
        let begun = Instant::now();
        while self.hold(who).await != Some(wanted) {
            assert!(begun.elapsed() < PATIENCE, "{who} is never answered {wanted}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the daemon says this of itself, or says it no longer.
    async fn until_said(&self, words: &str, is_said: bool) {
        let begun = Instant::now();
        loop {
            let health = self.health().await;
            if health.contains(words) == is_said {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{words}: {health}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn token(who: &str) -> String {
    format!("token-of-{who}-long-enough")
}

fn config(home: &Path, address: SocketAddr, people: &[&str], more: &str) -> String {
    let home = home.display();
    let mut text = format!(
        "repositories: {{ default: {{ url: 'file://{home}/none.git' }} }}\npolicies: '{home}/policies'\n\
         journal: 'sqlite://{home}/journal.db'\n{more}server:\n  listen: '{address}'\n  access:\n"
    );
    for who in people {
        let who_it_is = format!("{{ name: {who}, token: {{ file: '{home}/{who}' }} }}");
        text.push_str(&format!("    - {{ who: {who_it_is}, may: [hold], on: ['*'] }}\n"));
    }
    text
}

#[tokio::test]
async fn a_token_that_is_taken_out_counts_no_more_and_a_broken_file_changes_nothing() {
    let home = tempfile::tempdir().expect("a directory");
    let home = home.path();
    std::fs::create_dir(home.join("policies")).expect("made");
    for who in ["alice", "bob"] {
        std::fs::write(home.join(who), token(who)).expect("written");
    }
    let address = crate::port::free_address();
    let write = |people: &[&str], more: &str| {
        std::fs::write(home.join("tagrelay.yaml"), config(home, address, people, more)).expect("written");
    };
    write(&["alice", "bob"], "");
    let daemon = Daemon::start(home, address);
    daemon.until_hold("bob", 200).await;
    // A broken file takes nobody out, though it names nobody but alice; SIGHUP has it read at once.
    write(&["alice"], "mode: sometimes\n");
    let hung_up = Command::new("kill").args(["-HUP", &daemon.process.0.id().to_string()]).status();
    assert!(hung_up.expect("kill").success());
    daemon.until_said("tagrelay.yaml:4: ", true).await;
    assert_eq!(daemon.hold("bob").await, Some(200));
    // What waits for a restart is named, and what counts at once counts.
    write(&["alice"], "mode: observe\n");
    daemon.until_hold("bob", 401).await;
    daemon.until_said("not in use yet: mode;", true).await;
    assert_eq!(daemon.hold("alice").await, Some(200));
    write(&["alice"], "");
    daemon.until_said("configuration_stale", false).await;
}
