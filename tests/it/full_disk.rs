//! A disk that takes nothing more, and then has room again: the real binary under a limit on the size of its files.

use crate::port::free_address;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(240);
/// How large a file of the process may become: some dozens of commits fit in, in blocks of 512 bytes.
const BLOCKS: u32 = 512;

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().expect("killed");
        self.0.wait().expect("gone");
    }
}

#[tokio::test]
async fn holds_are_kept_again_as_soon_as_the_disk_has_room() {
    if Command::new("prlimit").arg("--version").output().is_err() {
        eprintln!("skipped: there is no prlimit on this machine");
        return;
    }
    let home = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(home.path().join("policies")).expect("made");
    std::fs::write(home.path().join("token"), "alice-alice-alice-alice").expect("written");
    let address = free_address();
    let home_path = home.path().display();
    let config = format!(
        "repositories: {{ default: {{ url: 'file://{home_path}/none.git' }} }}\npolicies: '{home_path}/policies'\n\
         journal: 'sqlite://{home_path}/journal.db'\nserver:\n  listen: '{address}'\n  access:\n\
         \x20   - {{ who: {{ name: alice, token: {{ file: '{home_path}/token' }} }}, may: [hold], on: ['*'] }}\n"
    );
    std::fs::write(home.path().join("tagrelay.yaml"), config).expect("written");
    // A write beyond the limit is an error, as on a full disk, where the signal is ignored.
    let limited = format!("trap '' XFSZ; ulimit -S -f {BLOCKS}; exec \"$0\" run --config \"$1\"");
    let child = Command::new("sh")
        .args(["-c", &limited, env!("CARGO_BIN_EXE_tagrelay")])
        .arg(home.path().join("tagrelay.yaml"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(home.path().join("log")).expect("a log"))
        .spawn()
        .expect("the binary");
    let process = Process(child);
    let client = tagrelay::clients::http::client(&tagrelay::clients::http::Transport::default()).expect("a client");
    let hold = || async {
        let url = format!("http://{address}/api/v1/hold");
        let body = serde_json::json!({ "reason": "x".repeat(400) });
        let request = client.post(url).bearer_auth("alice-alice-alice-alice").json(&body);
        request.send().await.ok().map(|answer| answer.status().as_u16())
    };
    let until = |wanted: u16| async move {
        let begun = Instant::now();
        loop {
            let got = hold().await;
            if got == Some(wanted) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{wanted} was never answered, at last {got:?}");
            if got.is_none() || wanted == 200 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    };
    until(200).await;
    until(503).await;
    let status = client.get(format!("http://{address}/api/v1/status")).send().await.expect("answered");
    let status = status.text().await.expect("a status");
    assert!(status.contains("the journal takes no write since"), "{status}");
    let named = |path: &'static str, wanted: u16| {
        let (client, begun) = (&client, Instant::now());
        async move {
            loop {
                let answered = client.get(format!("http://{address}{path}")).send().await.expect("answered");
                let (status, text) = (answered.status().as_u16(), answered.text().await.expect("a text"));
                if status == wanted && text.contains("journal_takes_no_write since") {
                    return;
                }
                assert!(begun.elapsed() < PATIENCE, "{path} {status}: {text}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    };
    // A full disk is no reason to be restarted; but nothing that needs the journal is answered.
    named("/readyz", 503).await;
    named("/healthz", 200).await;
    let lifted = Command::new("prlimit").args(["--fsize=unlimited", "--pid", &process.0.id().to_string()]).status();
    assert!(lifted.expect("prlimit").success());
    until(200).await;
}
