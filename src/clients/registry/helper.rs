//! Docker's credential helpers: programs that know a login, asked by docker's protocol (`get`, a server, JSON back).
//!
//! It keeps no answer. What a helper prints is shown to nobody, for it may be the login.

use super::credentials::Proof;
use crate::model::text;
use serde::Deserialize;
use std::ffi::OsStr;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::time::timeout;

/// How long a credential helper may take: cloud helpers make a call of their own.
const TIME_MAX: Duration = Duration::from_secs(30);
/// The longest answer that is read: tokens of clouds have a few kilobytes.
const ANSWER_BYTES_MAX: u64 = 64 << 10;
/// The user that helpers give for an identity token.
const IDENTITY_USER: &str = "<token>";
/// What every helper says of a server that it knows no login for (docker-credential-helpers, `credentials/error.go`).
const NOT_FOUND: &str = "credentials not found";

/// What helpers are told of our environment: where programs, files and proxies are.
const NAMES_FOR_HELPERS: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "TMPDIR",
    "DOCKER_CONFIG",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "DBUS_SESSION_BUS_ADDRESS",
    "GNUPGHOME",
    "PASSWORD_STORE_DIR",
];
/// And who the machine is in its cloud, as the helpers of the clouds read it.
const PREFIXES_FOR_HELPERS: &[&str] =
    &["LC_", "XDG_", "AWS_", "ECS_", "AZURE_", "IDENTITY_", "MSI_", "GOOGLE_", "CLOUDSDK_", "GCE_", "OCI_"];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// Asks the helper of this name for a server's login.
///
/// # Errors
/// When it does not run, fails, or does not answer in time; then it is killed.
pub(super) async fn ask(name: &str, server: &str) -> Result<Proof, String> {
    let program = format!("docker-credential-{name}");
    let shown = text::shown(&program);
    if name.contains(['/', '\\']) {
        return Err(format!("{shown} is no name of a credential helper"));
    }
    ask_program(OsStr::new(&program), server, TIME_MAX)
        .await
        .map_err(|why| format!("the credential helper {shown} {why} for {}; run it by hand", text::shown(server)))
}

async fn ask_program(program: &OsStr, server: &str, time_max: Duration) -> Result<Proof, String> {
    let Ok(ran) = timeout(time_max, run(program, server)).await else {
        return Err(format!("took longer than {} s, and was killed", time_max.as_secs()));
    };
    let (status, printed) = ran.map_err(|error| format!("could not be run ({error})"))?;
    if !status.success() {
        let none = String::from_utf8_lossy(&printed).contains(NOT_FOUND);
        return if none { Ok(Proof::Nothing) } else { Err(format!("failed ({status})")) };
    }
    let Answer { username, secret } =
        serde_json::from_slice(&printed).map_err(|_| "gave no user and secret".to_owned())?;
    Ok(if username == IDENTITY_USER {
        Proof::Identity(secret.into())
    } else {
        Proof::Password(username, secret.into())
    })
}

/// Whether a helper is told of a variable of ours: what says where things are and who the machine is in its cloud. Others
/// hold our own secrets, under whatever name the configuration gives them.
fn is_for_helpers(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    NAMES_FOR_HELPERS.contains(&name) || PREFIXES_FOR_HELPERS.iter().any(|prefix| name.starts_with(prefix))
}

/// Runs a helper to its end. It does not outlive this future.
async fn run(program: &OsStr, server: &str) -> io::Result<(ExitStatus, Vec<u8>)> {
    let mut command = Command::new(program);
    command.env_clear().envs(std::env::vars_os().filter(|(name, _)| is_for_helpers(name)));
    command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut helper = command.spawn()?;
    if let Some(mut stdin) = helper.stdin.take() {
        // A helper that needs no server may end without reading it.
        stdin.write_all(server.as_bytes()).await.ok();
    }
    let mut printed = Vec::new();
    if let Some(stdout) = helper.stdout.take() {
        stdout.take(ANSWER_BYTES_MAX).read_to_end(&mut printed).await?;
    }
    Ok((helper.wait().await?, printed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;
    use std::path::PathBuf;
    use std::time::Instant;

    /// A helper with this script. A shell writes it: what this process has open for writing cannot be run meanwhile.
    fn helper(folder: &tempfile::TempDir, script: &str) -> PathBuf {
        let program = folder.path().join("docker-credential-test");
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", r#"printf '#!/bin/sh\n%s\n' "$2" >"$1" && chmod +x "$1""#, "sh"]).arg(&program).arg(script);
        assert!(shell.status().expect("a shell").success());
        program
    }

    async fn asked(script: &str) -> Result<String, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let program = helper(&folder, script);
        ask_program(program.as_os_str(), "reg.io", Duration::from_secs(20)).await.map(|proof| match proof {
            Proof::Nothing => "nothing".to_owned(),
            Proof::Password(user, password) => format!("{user}:{}", password.expose_secret()),
            Proof::Identity(token) => format!("token {}", token.expose_secret()),
        })
    }

    #[tokio::test]
    async fn helpers_answer_or_fail_without_a_word_of_theirs() {
        let check = async |script: &str, expected: Result<&str, &str>| {
            let asked = asked(script).await;
            assert_eq!(asked.as_deref().map_err(String::as_str), expected, "{script}");
        };
        check(
            r#"read -r server || true; echo "{\"ServerURL\":\"$server\",\"Username\":\"$1-$server\",\"Secret\":\"pw\"}""#,
            Ok("get-reg.io:pw"),
        )
        .await;
        check(r#"echo '{"Username":"<token>","Secret":"t-1"}'"#, Ok("token t-1")).await;
        check("echo 'credentials not found in native keychain'; exit 1", Ok("nothing")).await;
        check("echo hunter2; echo hunter2 >&2; exit 3", Err("failed (exit status: 3)")).await;
        check("echo hunter2", Err("gave no user and secret")).await;
    }

    #[test]
    fn helpers_are_told_where_things_are_and_nothing_else() {
        for (name, told) in [
            ("PATH", true),
            ("HOME", true),
            ("LC_ALL", true),
            ("AWS_PROFILE", true),
            ("GOOGLE_APPLICATION_CREDENTIALS", true),
            ("GIT_TOKEN", false),
            ("TAGRELAY_TOKEN", false),
            ("ALICE", false),
            ("PATHOLOGY", false),
            ("GITLAB_TOKEN", false),
        ] {
            assert_eq!(is_for_helpers(OsStr::new(name)), told, "{name}");
        }
    }

    #[tokio::test]
    async fn a_helper_sees_no_variable_of_ours() {
        // Cargo sets the variable for every test.
        let script = r#"echo "{\"Username\":\"u${CARGO_MANIFEST_DIR}\",\"Secret\":\"${PATH:+path}\"}""#;
        assert_eq!(asked(script).await, Ok("u:path".to_owned()));
    }

    #[tokio::test]
    async fn a_helper_that_hangs_is_killed() {
        let folder = tempfile::tempdir().expect("a folder");
        let program = helper(&folder, "echo $$ >\"$0.pid\"; exec sleep 600");
        let begun = Instant::now();
        let why = ask_program(program.as_os_str(), "reg.io", Duration::from_secs(3)).await.expect_err("too long");
        assert_eq!(why, "took longer than 3 s, and was killed");
        let pid = std::fs::read_to_string(program.with_extension("pid")).expect("it ran");
        let process = PathBuf::from(format!("/proc/{}/stat", pid.trim()));
        let lives = || std::fs::read_to_string(&process).is_ok_and(|stat| !stat.contains(") Z "));
        while lives() {
            assert!(begun.elapsed() < Duration::from_secs(30), "it lives on");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    #[tokio::test]
    async fn only_a_program_on_the_path_is_run() {
        let why = ask("tagrelay-test-no-such-helper", "reg.io").await.expect_err("no program");
        assert!(why.contains("docker-credential-tagrelay-test-no-such-helper could not be run (No such file"), "{why}");
        let why = ask("x/../../tmp/evil", "reg.io").await.expect_err("a path");
        assert!(why.contains("is no name of a credential helper"), "{why}");
    }
}
