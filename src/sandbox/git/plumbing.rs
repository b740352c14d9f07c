//! The machine's own git as a subprocess, in a clean room.
//!
//! What it is asked to do is decided elsewhere.

use crate::sandbox::Error;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::LazyLock;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// Where git is. A program that is named by its path is started without copying this process first, which is large.
static GIT: LazyLock<PathBuf> = LazyLock::new(|| {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("git")).find(|file| file.is_file());
    found.unwrap_or_else(|| PathBuf::from("git"))
});

/// Git in a clean room: no configuration, no home, no language of the machine's.
pub(super) fn command(folder: &Path) -> Command {
    let mut command = Command::new(GIT.as_path());
    command
        .current_dir(folder)
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("HOME", folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("LC_ALL", "C");
    command
}

/// Runs git in a folder, with this on its standard input; what it said.
pub(super) async fn run(
    folder: &Path,
    variables: &[(&str, &str)],
    arguments: &[&str],
    input: &str,
) -> Result<String, Error> {
    let mut child = command(folder)
        .args(arguments)
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(Error::io("run git"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A git that reads no input closes the pipe: its exit status tells whether that was right.
        stdin.write_all(input.as_bytes()).await.ok();
    }
    let output = child.wait_with_output().await.map_err(Error::io("read what git says"))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Error::Git { command: arguments.join(" "), folder: folder.to_owned(), stderr });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
