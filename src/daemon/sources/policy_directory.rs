//! Policies in a local directory: read again when a file of it changes, its HOLD files too.

use crate::config::PolicyNames;
use crate::daemon::Daemon;
use crate::daemon::message::{Message, PolicyFiles};
use crate::daemon::sources::git_reader::{POLICIES_BYTES_MAX, POLICY_BYTES_MAX};
use crate::daemon::sources::holds::{Holds, in_directory};
use crate::model::policy::PolicyOrigin;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc;

/// How often the directory is looked at.
const EVERY: Duration = Duration::from_secs(2);

impl Daemon {
    /// Starts to watch the directory that the configuration names, if it names one.
    pub(in crate::daemon) fn start_directory(&mut self) {
        if let Some(directory) = self.config.policies.clone() {
            self.holds.insert(None, Holds::Directory(directory.clone()));
            self.readings.spawn(watch(directory, self.config.policy_names.clone(), self.out.clone()));
        }
    }
}

async fn watch(directory: PathBuf, names: PolicyNames, out: mpsc::Sender<Message>) {
    let mut last = None;
    loop {
        let (read, names) = (directory.clone(), names.clone());
        let read = tokio::task::spawn_blocking(move || (in_directory(&read).ok(), policies(&read, &names))).await;
        let (holds, files) = match read {
            Ok((holds, Ok(files))) => (holds, Ok(files)),
            Ok((holds, Err(error))) => (holds, Err(format!("{}: {error}", directory.display()))),
            Err(error) => (None, Err(error.to_string())),
        };
        let read = (holds, files);
        // How often nobody could tell which HOLD files there are is counted. Those that are there are told each time, for a
        // look right before an effect may have told of one that is gone again.
        let message = match &read {
            (Some(holds), _) if last.as_ref() == Some(&read) => {
                Message::Holds { repository: None, holds: holds.clone() }
            }
            (holds, result) => Message::Policies { repository: None, holds: holds.clone(), result: result.clone() },
        };
        last = Some(read);
        if out.send(message).await.is_err() {
            return;
        }
        tokio::time::sleep(EVERY).await;
        if out.is_closed() {
            return;
        }
    }
}

/// Reads the policy files, each by itself. Symbolic links are followed here: mounted directories are made of them.
fn policies(directory: &Path, names: &PolicyNames) -> io::Result<PolicyFiles> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if names.are(&name) && !path.is_dir() {
            paths.push(path);
        }
    }
    paths.sort();
    let (mut read, mut n_left) = (PolicyFiles::default(), POLICIES_BYTES_MAX);
    for path in paths {
        let origin = PolicyOrigin { repository: None, path: path.display().to_string() };
        match policy(&path, &mut n_left) {
            Ok(text) => read.files.push((origin, text)),
            Err(error) => read.unread.push((origin, error.to_string())),
        }
    }
    Ok(read)
}

fn policy(path: &Path, n_left: &mut usize) -> io::Result<String> {
    let metadata = path.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let too_large = |limit: usize| io::Error::other(format!("it is larger than {limit} bytes, the limit"));
    let size = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
    if size > POLICY_BYTES_MAX {
        return Err(too_large(POLICY_BYTES_MAX));
    }
    *n_left = n_left.checked_sub(size).ok_or_else(|| too_large(POLICIES_BYTES_MAX))?;
    std::fs::read_to_string(path)
}
