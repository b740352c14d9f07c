//! Who we are at a registry: nobody, a user of the configuration, or whom docker's config.json names.
//!
//! Identity tokens (docker's OAuth2 logins) are refused with a clear text; provider logins are not made here.

use super::error::RegistryError;
use crate::model::{Repository, text};
use docker_credential::{CredentialRetrievalError, DockerCredential};
use reqwest::RequestBuilder;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::{Mutex, oneshot};
use tokio::time::{Instant, timeout};

/// How long a credential helper may take: cloud helpers make a call of their own.
const HELPER_TIME_MAX: Duration = Duration::from_secs(30);
/// How long a login from docker's file or a helper is kept: a helper is a process, and its answers live for hours.
const LOGIN_KEPT: Duration = Duration::from_secs(5 * 60);
/// The largest config.json that is read: real ones have a few kilobytes.
const CONFIG_BYTES_MAX: usize = 1 << 20;
/// Docker's own name for Docker Hub in its configuration.
const HUB_SERVER: &str = "https://index.docker.io/v1/";

/// What to show a registry.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// Nothing.
    Anonymous,
    /// User and password, or token in its place.
    Basic {
        /// The user.
        username: String,
        /// The password.
        password: SecretString,
    },
    /// What Amazon ECR gives whoever we are at Amazon.
    Amazon,
    /// Whatever docker would use: `auths` (also for a path, `reg.io/team`, as podman writes), helpers, the store.
    Docker {
        /// Docker's config.json, see [`docker_config`]. Where there is none, nothing is shown.
        file: PathBuf,
    },
}

/// Where docker's config.json is, by `DOCKER_CONFIG` and `HOME`.
pub fn docker_config(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let home = || variable("HOME").map(|home| Path::new(&home).join(".docker"));
    let folder = variable("DOCKER_CONFIG").filter(|folder| !folder.is_empty()).map(PathBuf::from).or_else(home);
    folder.map(|folder| folder.join("config.json"))
}

/// Credentials, ready to be shown.
#[derive(Debug, Clone)]
pub(super) struct Login {
    /// What a person calls them.
    pub(super) shown: String,
    user: Option<(String, SecretString)>,
}

impl Login {
    pub(super) fn nobody(why: &str) -> Self {
        Self { shown: format!("nobody ({why})"), user: None }
    }

    pub(super) fn user(username: String, password: SecretString, whose: &str) -> Self {
        Self { shown: format!("`{}`{whose}", text::shown(&username)), user: Some((username, password)) }
    }

    pub(super) fn is_nobody(&self) -> bool {
        self.user.is_none()
    }

    /// Tells logins apart without keeping the secret.
    pub(super) fn id(&self) -> [u8; 32] {
        let user = self.user.as_ref().map(|(user, password)| format!("{user}\0{}", password.expose_secret()));
        text::sha256(user.unwrap_or_default().as_bytes())
    }

    pub(super) fn show(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.user {
            Some((user, password)) => request.basic_auth(user, Some(password.expose_secret())),
            None => request,
        }
    }
}

/// The logins that docker's file or a helper gave lately, by what they were read from.
#[derive(Debug, Default)]
pub(super) struct Logins(Mutex<HashMap<[u8; 32], (Instant, Login)>>);

impl Logins {
    /// The login for a repository.
    pub(super) async fn of(&self, credentials: &Credentials, of: &Repository) -> Result<Login, RegistryError> {
        match credentials {
            Credentials::Anonymous => Ok(Login::nobody("no credentials are configured")),
            Credentials::Basic { username, password } => Ok(Login::user(username.clone(), password.clone(), "")),
            Credentials::Docker { file } => self.docker(file, of).await,
            Credentials::Amazon => Ok(Login::nobody("AWS credentials are for Amazon ECR alone")),
        }
    }

    /// Forgets them, for one was refused: the next is read anew.
    pub(super) async fn forget(&self) {
        self.0.lock().await.clear();
    }

    async fn docker(&self, file: &Path, of: &Repository) -> Result<Login, RegistryError> {
        let refuse = |why: String| RegistryError::Refused(format!("{of}: {}: {why}", file.display()));
        let config = match tokio::fs::read(file).await {
            Ok(config) if config.len() <= CONFIG_BYTES_MAX => config,
            Ok(_) => return Err(refuse(format!("is larger than {CONFIG_BYTES_MAX} bytes"))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Login::nobody("no credentials are configured, and docker has no config.json"));
            }
            Err(error) => return Err(refuse(error.to_string())),
        };
        let server = server(&config, of).map_err(|error| refuse(format!("is no docker configuration: {error}")))?;
        // A changed file is another key, so that a rotated password is used at once.
        let key = text::sha256(&[config.as_slice(), b"\0", server.as_bytes()].concat());
        let mut kept = self.0.lock().await;
        kept.retain(|_, (read, _)| read.elapsed() < LOGIN_KEPT);
        if let Some((_, login)) = kept.get(&key) {
            return Ok(login.clone());
        }
        let login = ask_docker(config, server).await.map_err(refuse)?;
        kept.insert(key, (Instant::now(), login.clone()));
        Ok(login)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Keys {
    auths: Option<HashMap<String, IgnoredAny>>,
    cred_helpers: Option<HashMap<String, IgnoredAny>>,
}

/// The key to look a repository up by: the longest prefix of it that the file has (containers-auth.json(5)).
fn server(config: &[u8], of: &Repository) -> Result<String, serde_json::Error> {
    let keys: Keys = serde_json::from_slice(config)?;
    let has = |key: &str| [&keys.auths, &keys.cred_helpers].into_iter().flatten().any(|known| known.contains_key(key));
    let whole = of.to_string();
    let mut prefix = whole.as_str();
    loop {
        if has(prefix) {
            return Ok(prefix.to_owned());
        }
        match prefix.rsplit_once('/') {
            Some((shorter, _)) => prefix = shorter,
            None => return Ok(if of.host() == "docker.io" { HUB_SERVER.to_owned() } else { of.host().to_owned() }),
        }
    }
}

/// Asks docker's file, and the helper that it names, on a thread of its own: a helper that hangs holds up no shutdown.
async fn ask_docker(config: Vec<u8>, server: String) -> Result<Login, String> {
    let (answer, answered) = oneshot::channel();
    let asked = server.clone();
    let ask = move || answer.send(docker_credential::get_credential_from_reader(config.as_slice(), &asked));
    std::thread::Builder::new().name("credential-helper".to_owned()).spawn(ask).map_err(|error| error.to_string())?;
    let found = match timeout(HELPER_TIME_MAX, answered).await {
        Ok(Ok(found)) => found,
        Ok(Err(_)) => return Err(format!("the credential helper for {server} gave up")),
        Err(_) => {
            return Err(format!("the credential helper for {server} took longer than {} s", HELPER_TIME_MAX.as_secs()));
        }
    };
    match found {
        Ok(DockerCredential::UsernamePassword(username, password)) => {
            Ok(Login::user(username, password.into(), " of docker's config.json"))
        }
        Ok(DockerCredential::IdentityToken(_)) => Err(format!(
            "holds an identity token for {server}, which tagrelay cannot use; give user and password under `registries`"
        )),
        Err(CredentialRetrievalError::NoCredentialConfigured | CredentialRetrievalError::ConfigNotFound) => {
            Ok(Login::nobody("docker's config.json names no login for it"))
        }
        // What a helper prints may hold secrets, so none of it is shown.
        Err(CredentialRetrievalError::HelperFailure { helper, stdout, .. }) => {
            if stdout.contains("credentials not found") {
                return Ok(Login::nobody("docker's credential store has no login for it"));
            }
            Err(format!("the credential helper {} failed for {server}; run it by hand", text::shown(&helper)))
        }
        Err(error) => Err(format!("{server}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"{
        "auths": {
            "reg.io": { "auth": "aG9zdDpwdw==" },
            "reg.io/team": { "username": "team", "password": "pw" },
            "reg.io/team/app": { "identitytoken": "secret" },
            "https://index.docker.io/v1/": { "auth": "aHViOnB3" },
            "broken.io": { "auth": "%%%" }
        },
        "credHelpers": { "helped.io": "tagrelay-test-no-such-helper" }
    }"#;

    async fn login(config: &str, repository: &str) -> Result<String, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("config.json");
        std::fs::write(&file, config).expect("written");
        let repository = Repository::parse(repository).expect("a repository");
        let login = Logins::default().of(&Credentials::Docker { file }, &repository).await;
        login.map(|login| login.shown).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn docker_names_the_login() {
        let check = async |repository, expected: &str| {
            let shown = match login(CONFIG, repository).await {
                Ok(shown) | Err(shown) => shown,
            };
            assert!(shown.contains(expected) && !shown.contains("secret"), "{repository}: {shown}");
        };
        check("reg.io/other", "`host` of docker's").await;
        check("reg.io/teams/app", "`host` of docker's").await;
        check("reg.io/team", "`team` of docker's").await;
        check("reg.io/team/web", "`team` of docker's").await;
        check("reg.io/team/app", "identity token for reg.io/team/app").await;
        check("alpine", "`hub` of docker's").await;
        check("elsewhere.io/a", "nobody (docker's config.json names no login").await;
        check("broken.io/a", "Unable to decode").await;
        check("helped.io/a", "Unable to communicate with credential helper").await;
        assert!(login("{", "reg.io/a").await.expect_err("no JSON").contains("is no docker configuration"));
    }

    #[tokio::test]
    async fn no_file_is_nobody() {
        let repository = Repository::parse("reg.io/a").expect("a repository");
        let nowhere = Credentials::Docker { file: "/nonexistent/config.json".into() };
        assert!(Logins::default().of(&nowhere, &repository).await.expect("nobody").is_nobody());
    }

    #[test]
    fn the_file_is_where_docker_has_it() {
        let check = |docker: Option<&str>, home: Option<&str>, expected: Option<&str>| {
            let variable = |name: &str| if name == "HOME" { home } else { docker }.map(OsString::from);
            assert_eq!(docker_config(variable), expected.map(PathBuf::from));
        };
        check(None, Some("/root"), Some("/root/.docker/config.json"));
        check(Some("/etc/docker"), Some("/root"), Some("/etc/docker/config.json"));
        check(Some(""), Some("/root"), Some("/root/.docker/config.json"));
        check(None, None, None);
    }

    #[test]
    fn secrets_are_not_shown() {
        let login = Login::user("bob".to_owned(), "hunter2".into(), "");
        assert!(!format!("{login:?}").contains("hunter2"));
        assert_ne!(login.id(), Login::user("bob".to_owned(), "hunter3".into(), "").id());
    }
}
