//! `tagrelay demo`: the whole daemon on an embedded registry, git repository, GitLab and cluster, with a tour.
//!
//! Nothing outside of this machine is touched, and nothing is left behind.

mod journey;
mod stage;
mod tell;

use crate::daemon::{Clock, Command};
use crate::model::policy::Ballot;
use crate::server::{self, Server};
use anyhow::Context as _;
use stage::Stage;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tell::Teller;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often a build is pushed.
const BUILD_EVERY: Duration = Duration::from_secs(12);
/// How long a release waits for a person before the demo approves it itself.
const NOBODY_APPROVES: Duration = Duration::from_secs(25);
/// How often the tour looks at what happened.
const LOOK_EVERY: Duration = Duration::from_millis(150);
/// How long one journey may take.
const JOURNEY_MAX: Duration = Duration::from_secs(60);

/// Runs the demo until Ctrl-C, or one journey; returns whether it came about.
pub(super) async fn run(once: bool, port: u16) -> anyhow::Result<bool> {
    let stage = Stage::build().await?;
    let opened = super::run::open(stage.config.clone(), Clock::System).await?;
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await;
    let listener = listener.with_context(|| format!("cannot listen on port {port}: choose another with --port"))?;
    let address = format!("http://{}", listener.local_addr()?);
    let (stop, metrics) = (CancellationToken::new(), opened.metrics.clone());
    let access = stage.config.server.access.clone();
    let server = Server::new(opened.handle.clone(), access, Arc::new(move || metrics.encode()));
    let serving = tokio::spawn(server::serve(listener, server, stop.clone()));
    let running = tokio::spawn(opened.daemon.run(stop.clone()));
    stage.world.cluster.report_to(&address, stage::SIGNAL_TOKEN);
    let teller = Teller::new(opened.handle.clone());
    let came_about =
        if once { journey::travel(&stage, teller).await } else { tour(&stage, &address, teller).await.map(|()| true) };
    stop.cancel();
    running.await?;
    // The page's last answers do not hold up the exit.
    let _served = tokio::time::timeout(Duration::from_secs(2), serving).await;
    came_about
}

/// Pushes builds and tells what becomes of them, until Ctrl-C.
async fn tour(stage: &Stage, address: &str, mut teller: Teller) -> anyhow::Result<()> {
    say(&stage.guide(address))?;
    let (mut n, mut next_build) = (0, Instant::now());
    let mut waiting: Option<(String, Instant)> = None;
    loop {
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => {
                interrupted?;
                return say(&farewell());
            }
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        if next_build <= Instant::now() {
            n += 1;
            say(&format!("{:>9}  build      1.0.{n} is pushed to the registry\n", ""))?;
            stage.push(n)?;
            next_build = Instant::now() + BUILD_EVERY;
        }
        teller.tell().await?;
        let asks = stage.asks_for_approval(&teller.handle).await?;
        match (&asks, &waiting) {
            (Some(release), Some((known, since))) if release == known => {
                if since.elapsed() > NOBODY_APPROVES {
                    say("           (nobody approved it for a while, so the demo does)\n")?;
                    approve(&teller, release).await?;
                    waiting = None;
                }
            }
            (Some(release), _) => {
                say(&format!(
                    "{:>9}  waiting    for an approval: {}\n",
                    "prod",
                    stage.approve_words(release, address)
                ))?;
                waiting = Some((release.clone(), Instant::now()));
            }
            (None, _) => waiting = None,
        }
    }
}

/// What to do after the demo.
fn farewell() -> String {
    let tagrelay = program();
    format!(
        "\nStopped, and nothing is left behind. With images and a repository of your own:\n  \
         1. copy the recipe that is most like what you have, of docs/recipes/README.md, and put your hosts into it\n  \
         2. {tagrelay} check --config tagrelay.yaml deploys/policies   says what is wrong in it\n  \
         3. {tagrelay} plan --config tagrelay.yaml    shows what it would write; then `run` in the place of `plan`\n"
    )
}

/// How this program is called from here: by its name where the shell finds it, else by its path.
fn program() -> String {
    let Ok(here) = std::env::current_exe() else { return "tagrelay".to_owned() };
    let search = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&search).map(|folder| folder.join("tagrelay")).find(|file| file.is_file());
    let is_this = found.and_then(|file| file.canonicalize().ok()).is_some_and(|file| file == here);
    if is_this { "tagrelay".to_owned() } else { here.display().to_string() }
}

/// Votes as the demo's person does.
async fn approve(teller: &Teller, release: &str) -> anyhow::Result<()> {
    let command = Command::Approve {
        target: stage::prod(),
        release: Some(release.to_owned()),
        reason: String::new(),
        by: Ballot::Cli,
    };
    match teller.handle.command(command, stage::PERSON).await {
        Ok(_) => Ok(()),
        // It was approved, rejected or overtaken in this very moment.
        Err(error) => say(&format!("           ({error})\n")),
    }
}

/// Prints; somebody who closed the pipe has seen enough.
fn say(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}
