//! Policies in a local directory: read again when a file of it changes, its HOLD files too.

use super::Daemon;
use super::message::{HoldFile, Message, PolicyFiles};
use crate::model::policy::PolicyOrigin;
use crate::model::text;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc;

/// How often the directory is looked at.
const EVERY: Duration = Duration::from_secs(2);
/// The largest policy file.
const FILE_BYTES_MAX: u64 = 1 << 20;

impl Daemon {
    /// Starts to watch the directory that the configuration names, if it names one.
    pub(super) fn start_directory(&self) {
        if let Some(directory) = self.config.policies.clone() {
            self.readings.spawn(watch(directory, self.out.clone()));
        }
    }
}

async fn watch(directory: PathBuf, out: mpsc::Sender<Message>) {
    let mut last = None;
    loop {
        let read = directory.clone();
        let files = tokio::task::spawn_blocking(move || read_all(&read)).await;
        let result = match files {
            Ok(Ok(files)) => Ok(files),
            Ok(Err(error)) => Err(format!("{}: {error}", directory.display())),
            Err(error) => Err(error.to_string()),
        };
        if last.as_ref() != Some(&result) {
            last = Some(result.clone());
            if out.send(Message::Policies { repository: None, result }).await.is_err() {
                return;
            }
        }
        tokio::time::sleep(EVERY).await;
        if out.is_closed() {
            return;
        }
    }
}

fn read_all(directory: &Path) -> io::Result<PolicyFiles> {
    let (mut files, mut holds) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let is_hold = name == "HOLD" || name.starts_with("HOLD.");
        if !path.is_file() || !(is_hold || name.ends_with(".yaml") || name.ends_with(".yml")) {
            continue;
        }
        if path.metadata()?.len() > FILE_BYTES_MAX {
            return Err(io::Error::other(format!("{} is larger than {FILE_BYTES_MAX} bytes", path.display())));
        }
        let content = std::fs::read_to_string(&path)?;
        if is_hold {
            holds.push(HoldFile { name, reason: text::shown(&content), who: "whoever wrote the file".to_owned() });
        } else {
            files.push((PolicyOrigin { repository: None, path: path.display().to_string() }, content));
        }
    }
    files.sort();
    holds.sort();
    Ok(PolicyFiles { files, holds })
}
