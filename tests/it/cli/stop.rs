//! `tagrelay run`, told to stop while a git server says nothing.

use super::{directory, tagrelay};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

/// Longer than any of this takes, on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(120);

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
    let pid = daemon.id().expect("it runs").to_string();
    let told = tokio::process::Command::new("kill").args(["-TERM", &pid]).status().await.expect("kill");
    assert!(told.success());
    let ended = tokio::time::timeout(PATIENCE, daemon.wait()).await.expect("it ends").expect("a status");
    assert!(ended.success(), "{ended}");
}
