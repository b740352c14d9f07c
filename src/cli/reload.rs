//! The configuration of a running daemon is read again when its file changes, and when SIGHUP asks for it.

use crate::config;
use crate::daemon::Handle;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// How often the file is looked at.
const EVERY: Duration = Duration::from_secs(2);

/// Reads the file again and again, and tells the daemon what it says. A file is believed once it stood still from one
/// look to the next, so that a half-written one is not told; where somebody asks, at once.
pub(super) async fn watch(path: PathBuf, handle: Handle, asked: Arc<Notify>) {
    let mut told = text(&path).await;
    let mut last = told.clone();
    loop {
        let is_asked = tokio::select! {
            () = tokio::time::sleep(EVERY) => false,
            () = asked.notified() => true,
        };
        let now = text(&path).await;
        if is_asked || (now == last && now != told) {
            told.clone_from(&now);
            let read = config::load(&path, &|_| now.clone().map_err(io::Error::other));
            let read = read.map_err(|errors| {
                let first = errors.iter().next();
                first.map_or_else(String::new, |first| format!("{}:{}: {}", first.file, first.line, first.message))
            });
            if handle.reconfigure(read).await.is_err() {
                return;
            }
        }
        last = now;
    }
}

async fn text(path: &Path) -> Result<String, String> {
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || std::fs::read_to_string(path)).await;
    read.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
}
