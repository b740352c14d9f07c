//! `tagrelay run`: the daemon, until it is told to stop.
//!
//! SIGTERM and Ctrl-C finish the effect in hand, for 30 seconds at the most, and exit 0; a second one leaves at once and
//! exits 1. SIGHUP reads the configuration and the policies again.

use super::reload;
use crate::clients::aws::Caller;
use crate::clients::aws::sqs::Sqs;
use crate::clients::http::{Counter, Transport};
use crate::clients::kind::kind;
use crate::config::{self, Config, QueueSettings};
use crate::daemon::{Clients, Clock, Daemon, Handle, journal_path};
use crate::journal::{Journal, make_folder};
use crate::server::{self, Google, Queue, Server, Tally};
use crate::telemetry::logs::{self, Format};
use crate::telemetry::metrics::Metrics;
use anyhow::{Context as _, bail};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

/// How long the server may take to answer what it was asked before the daemon stops.
const FAREWELL: std::time::Duration = std::time::Duration::from_secs(3);

/// A daemon that is ready to run, and the ways into it.
pub(super) struct Opened {
    /// The loop.
    pub(super) daemon: Daemon,
    /// The way in.
    pub(super) handle: Handle,
    /// What it counts.
    pub(super) metrics: Metrics,
    /// The journal's id.
    journal: String,
}

/// Reads a configuration; what is wrong with it is drawn on standard error.
pub(super) fn configuration(path: &Path) -> Result<Arc<Config>, config::Diagnostics> {
    config::load(path, &|path| std::fs::read_to_string(path)).map(Arc::new)
}

/// Opens the journal and the clients of a configuration.
pub(super) async fn open(config: Arc<Config>, clock: Clock) -> anyhow::Result<Opened> {
    let metrics = Metrics::new(env!("CARGO_PKG_VERSION"));
    let file = journal_path(&config.journal.url);
    if let Some(directory) = file.parent() {
        make_folder(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    }
    if !file.exists() {
        tracing::info!("a new journal begins at {}", file.display());
    }
    let journal = Arc::new(open_journal(&config.journal.url, &clock).await?);
    let clients = Clients::new(&config, &metrics, &file)?;
    let id = journal.id().to_owned();
    let daemon = Daemon::open(config, journal, clients, clock, metrics.clone()).await?;
    let handle = daemon.handle();
    Ok(Opened { daemon, handle, metrics, journal: id })
}

async fn open_journal(address: &str, clock: &Clock) -> anyhow::Result<Journal> {
    #[cfg(feature = "sandbox")]
    if let Some(watcher) = std::env::var_os(crate::sandbox::commits::VARIABLE) {
        let watch = crate::sandbox::commits::watch(&watcher.to_string_lossy())?;
        let watch = move |number, moment| watch(number, moment == crate::journal::Phase::Before);
        return Ok(Journal::open_watched(address, clock.now(), Arc::new(watch)).await?);
    }
    Ok(Journal::open(address, clock.now()).await?)
}

/// Runs the daemon and its server until a signal.
pub(super) async fn run(config: Arc<Config>, path: PathBuf) -> anyhow::Result<()> {
    let Opened { daemon, handle, metrics, journal } = open(config.clone(), Clock::System).await?;
    let listener = TcpListener::bind(config.server.listen).await;
    let listener = listener.with_context(|| format!("cannot listen on {}", config.server.listen))?;
    tracing::info!("listening on http://{}", listener.local_addr()?);
    let (stop, leave, hurry) = (CancellationToken::new(), CancellationToken::new(), CancellationToken::new());
    let (counted, requested, refusing) = (metrics.clone(), metrics.clone(), metrics.clone());
    let refused = Arc::new(move || refusing.refused_token());
    let counter: Counter = Arc::new(move |url, answered| {
        let status = answered.map(|answered| answered.status);
        requested.requested(url.host_str().unwrap_or_default(), kind(url), status);
    });
    let delivered: Tally = Arc::new(move |sender, outcome| counted.delivered(sender, outcome));
    let queue = config.server.queue.clone();
    let queue =
        queue.map(|settings| queue_of(settings, handle.clone(), delivered.clone(), counter.clone())).transpose()?;
    let google = Google::published(Transport::default(), counter, Clock::System);
    let server = Server::new(handle.clone(), config.server.access.clone(), Arc::new(move || metrics.encode()));
    let server = server.following(daemon.configuration());
    let server = server.with_webhooks(config.server.webhooks.clone(), google, delivered);
    let server = server.with_reading(config.server.read, refused).of_journal(&journal);
    let warnings = server::weak_secrets(&config.server).into_iter().chain(server::unread_tokens(&config.server));
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let serving = serve_apart(listener, server, leave.clone())?;
    let listening = queue.map(|queue| tokio::spawn(queue.run(stop.clone())));
    let asked = Arc::new(Notify::new());
    let reloading = tokio::spawn(reload::watch(path, handle.clone(), asked.clone()));
    let signals = tokio::spawn(signals((stop.clone(), hurry.clone()), handle, asked));
    if hurry.run_until_cancelled(daemon.run(stop)).await.is_none() {
        bail!("told to stop twice: what was in hand is looked for at the next start");
    }
    if let Some(listening) = listening {
        listening.abort();
    }
    signals.abort();
    reloading.abort();
    leave.cancel();
    // What the server still had to say does not hold up the exit.
    let _served = tokio::time::timeout(FAREWELL, serving).await;
    tracing::info!("stopped; what was begun is in the journal");
    Ok(())
}

/// The queue that tells of pushes to Amazon ECR, read as whoever we are there.
fn queue_of(settings: QueueSettings, handle: Handle, delivered: Tally, counter: Counter) -> anyhow::Result<Queue> {
    let caller = Caller::of_chain(settings.assume_role);
    let sqs = Sqs::new(settings.queue, settings.endpoint_url, caller, &Transport::default(), counter);
    Ok(Queue::new(sqs.context("server.webhooks.ecr")?, settings.registry, handle, delivered))
}

/// Serves on a thread of its own, so that strangers take no time from the loop and its effects; what comes when it ends.
fn serve_apart(
    listener: TcpListener,
    server: Server,
    leave: CancellationToken,
) -> anyhow::Result<oneshot::Receiver<()>> {
    let (ended, when_ended) = oneshot::channel();
    let listener = listener.into_std()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let serve = move || {
        let served = runtime.block_on(async { server::serve(TcpListener::from_std(listener)?, server, leave).await });
        if let Err(error) = served {
            tracing::error!(error = %error, "the server failed: {error}");
        }
        runtime.shutdown_background();
        let _heard = ended.send(());
    };
    std::thread::Builder::new().name("server".to_owned()).spawn(serve)?;
    Ok(when_ended)
}

/// Turns signals into words: stop, stop at once, read the configuration and the policies again.
async fn signals(
    (stop, hurry): (CancellationToken, CancellationToken),
    handle: Handle,
    reload: Arc<Notify>,
) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {
                tracing::info!("SIGHUP: reading the configuration and the policies again");
                reload.notify_one();
                handle.reload();
                continue;
            }
        }
        if stop.is_cancelled() {
            tracing::warn!("told to stop twice: leaving at once");
            hurry.cancel();
            return Ok(());
        }
        tracing::info!("stopping: the effect in hand is finished first; told again, leaving at once");
        stop.cancel();
    }
}

/// Begins to log.
pub(super) fn begin_logs(json: bool) -> anyhow::Result<()> {
    let filter =
        std::env::var_os("TAGRELAY_LOG").map_or_else(|| "info".to_owned(), |f| f.to_string_lossy().into_owned());
    logs::begin(&filter, if json { Format::Json } else { Format::Text })?;
    Ok(())
}
