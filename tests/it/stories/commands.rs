//! A person at the command line, asking a running daemon over HTTP: the real binary, the real server.

use super::new_tag::{KUSTOMIZATION, POLICY};
use super::world::Story;
use crate::cli::{Said, said, tagrelay};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tagrelay::config;
use tagrelay::server::{self, Server};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const FILE: &str = "deployment/dev/kustomization.yaml";
/// Who may do what at this server.
const ACCESS: &str = "
repositories: { default: { url: 'https://git.example.com/deploys.git', policies: policies/ } }
server:
  access:
    - { who: { name: alice, token: { file: ALICE } }, may: [approve, reject, hold, resume, promote, force, rollback, verify], on: ['*'] }
    - { who: { name: bob, token: { file: BOB } }, may: [hold], on: ['shop/*'] }
";

/// A daemon that answers at an address.
struct Desk {
    story: Story,
    address: SocketAddr,
    stop: CancellationToken,
}

impl Desk {
    async fn open() -> Self {
        Self::of(Story::new(POLICY, &[(FILE, KUSTOMIZATION)]).await).await
    }

    async fn of(mut story: Story) -> Self {
        story.start().await;
        story.until_state("dev", "adopted").await;
        let mut text = ACCESS.to_owned();
        for (name, token) in [("ALICE", "t0ken-of-alice"), ("BOB", "t0ken-of-bob")] {
            let file = story.home.path().join(name);
            std::fs::write(&file, token).expect("written");
            text = text.replace(&format!("file: {name}"), &format!("file: {}", file.display()));
        }
        let config = config::load(Path::new("tagrelay.yaml"), &|_| Ok(text.clone()));
        let config = config.unwrap_or_else(|errors| panic!("{}", errors.render(false)));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let (address, stop) = (listener.local_addr().expect("an address"), CancellationToken::new());
        let server = Server::new(story.handle().clone(), config.server.access, Arc::new(String::new));
        tokio::spawn(server::serve(listener, server, stop.clone()));
        Self { story, address, stop }
    }

    /// What the binary says to a person with this token.
    async fn says(&self, token: &str, arguments: &[&str]) -> Said {
        let mut command = tagrelay(self.story.home.path(), arguments);
        command.env("TAGRELAY_SERVER", format!("http://{}/", self.address)).env("TAGRELAY_TOKEN", token);
        tokio::task::spawn_blocking(move || said(&mut command, "")).await.expect("it ends")
    }

    async fn alice(&self, arguments: &[&str]) -> Said {
        self.says("t0ken-of-alice", arguments).await
    }

    async fn close(mut self) {
        self.stop.cancel();
        self.story.stop().await;
    }
}

/// Checks how a command ended, and that it said these things.
#[track_caller]
fn check(said: &Said, code: i32, told: &[&str]) {
    assert_eq!(said.code, Some(code), "{}{}", said.out, said.err);
    for told in told {
        assert!(said.out.contains(told) || said.err.contains(told), "`{told}` is not in:\n{}{}", said.out, said.err);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_sees_what_runs_and_why() {
    let desk = Desk::open().await;
    desk.story.push("dev", 1);
    desk.story.well("dev", "dev").await;
    let status = desk.alice(&["status"]).await;
    check(&status, 0, &["well", "ENVIRONMENT", "SINCE", "shop/dev", "verified"]);
    let json = desk.alice(&["status", "shop/dev", "--json"]).await;
    let value: Value = serde_json::from_str(&json.out).expect("JSON");
    assert_eq!(value["policies"][0]["environments"][0]["current"]["state"], "verified");
    check(&desk.alice(&["history", "shop/dev", "-n", "2"]).await, 0, &["ended", "verified"]);
    assert_eq!(desk.alice(&["history", "-n", "2"]).await.out.lines().count(), 2);
    let explained = ["shop/dev\n  runs     dev ", "why ", "(since "];
    check(&desk.alice(&["explain", "shop/dev"]).await, 0, &explained);
    let all = desk.alice(&["explain", "shop", "--json"]).await;
    let value: Value = serde_json::from_str(&all.out).expect("JSON");
    assert_eq!(value["explanations"][0]["environment"]["environment"], "dev");
    check(&desk.alice(&["plan", "shop"]).await, 0, &["would    do nothing"]);
    let written = desk.alice(&["history", "--since", "1h", "--files"]).await;
    check(&written, 0, &["commit ", "deployment/dev/kustomization.yaml: images/", "shop: old -> dev@"]);
    check(&desk.alice(&["explain", "--file", FILE]).await, 0, &[&format!("{FILE} in shop/dev"), "writes   images/"]);
    let commit = super::world::revision(1);
    for of in ["dev", &commit, &commit[..8]] {
        check(&desk.alice(&["where", of]).await, 0, &["built from", "shop/dev  runs since", "verified"]);
    }
    let wait = ["where", &commit, "--wait", "dev:verified", "--timeout", "1s", "--json"];
    let there: Value = serde_json::from_str(&desk.alice(&wait).await.out).expect("JSON");
    assert_eq!(there["environments"][0]["presence"], "runs");
    for nothing in [
        &["status", "ship"][..],
        &["explain", "--file", "deployment/dev/service.yaml"],
        &["history", "--since", "2999-01-01T00:00:00Z"],
        &["where", "f00dfeed"],
        &["where", "--not-in", "shop/dev"],
        &["where", "--not-in", "shop/qa"],
        &["explain", "ship"],
        &["explain", "shop/qa"],
        &["plan", "ship"],
        &["history", "ship"],
    ] {
        let said = desk.alice(nothing).await;
        assert_eq!((said.code, said.out.as_str()), (Some(3), ""), "{nothing:?}: {}", said.err);
    }
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_sees_what_ran_before_and_how_to_go_back() {
    let desk = Desk::open().await;
    for n in [1, 2] {
        let digest = desk.story.push("dev", n);
        desk.story.until_written(FILE, &digest).await;
        desk.story.well("dev", "dev").await;
    }
    let before = ["  before   dev ", "  back     `tagrelay rollback shop/dev --reason TEXT` goes back to dev "];
    check(&desk.alice(&["explain", "shop/dev"]).await, 0, &before);
    let left = desk.alice(&["where", &super::world::revision(1)]).await;
    check(&left, 0, &["shop/dev  ran from ", "(verified); dev ("]);
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_shows_what_would_be_done() {
    let desk = Desk::of(Story::with(POLICY, &[(FILE, KUSTOMIZATION)], "mode: observe\n").await).await;
    let digest = desk.story.push("dev", 1);
    let has_candidate = || async { desk.story.view("dev").await.is_some_and(|view| view.candidate.is_some()) };
    desk.story.until("there is a candidate", has_candidate).await;
    let plan = desk.alice(&["plan"]).await;
    check(&plan, 0, &["  would    writes dev", "  tells    group/shop: ", "  message  "]);
    let diff = "--- a/deployment/dev/kustomization.yaml\n+++ b/deployment/dev/kustomization.yaml\n@@ ";
    check(&plan, 0, &[diff, &format!("+    digest: {digest}"), "Tagrelay-Environment: dev"]);
    assert!(!plan.out.contains('\u{1b}'), "no colour in a pipe");
    let coloured = desk.alice(&["plan", "--color", "always"]).await;
    check(&coloured, 0, &[&format!("\u{1b}[32m+    digest: {digest}")]);
    check(&desk.alice(&["status"]).await, 0, &["observe"]);
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_stops_changes_until_it_is_resumed() {
    let desk = Desk::open().await;
    let hold = ["hold", "shop/dev", "--reason", "lunch", "--until", "2h"];
    check(&desk.says("t0ken-of-bob", &hold).await, 0, &["shop/dev is held until"]);
    let digest = desk.story.push("dev", 1);
    desk.story.until_why("dev", "Held").await;
    check(&desk.alice(&["status"]).await, 0, &["held by bob until", "lunch"]);
    check(&desk.alice(&["explain", "shop/dev"]).await, 0, &["  do       `tagrelay resume shop/dev`."]);
    let has_candidate = || async { desk.story.view("dev").await.is_some_and(|view| view.candidate.is_some()) };
    desk.story.until("there is a candidate", has_candidate).await;
    let plan = desk.alice(&["plan", "shop/dev"]).await;
    let diff = format!("+    digest: {digest}");
    check(&plan, 0, &["would    do nothing", "later    writes dev, once the gates are open and nothing holds", &diff]);
    check(&desk.alice(&["promote", "shop/dev"]).await, 1, &["error: "]);
    check(&desk.alice(&["resume", "--all", "--env", "dev"]).await, 0, &["lifted: shop/dev", "held by bob: lunch"]);
    desk.story.until_written(FILE, &digest).await;
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_person_may_not_do_is_refused() {
    let desk = Desk::open().await;
    for (token, arguments, code, told) in [
        ("t0ken-of-bob", &["resume", "shop/dev"][..], 1, "bob may not"),
        ("t0ken-of-bob", &["hold", "--all", "--reason", "x"], 1, "bob may not"),
        ("no-token", &["resume", "shop/dev"], 1, "TAGRELAY_TOKEN"),
        ("t0ken-of-alice", &["approve", "shop/dev"], 3, "nothing waits"),
        ("t0ken-of-alice", &["promote", "shop/dev", "nonsense"], 3, "`nonsense`"),
        ("t0ken-of-alice", &["rollback", "shop/qa", "--reason", "x"], 3, "shop/dev"),
        ("t0ken-of-alice", &["rollback", "shop/dev"], 2, "--reason"),
        ("t0ken-of-alice", &["hold", "shop/dev", "--reason", " "], 2, "reason"),
    ] {
        let said = desk.says(token, arguments).await;
        check(&said, code, &[told]);
        assert!(said.out.is_empty() && !said.err.contains(token), "{arguments:?}: {}", said.err);
    }
    desk.close().await;
}
