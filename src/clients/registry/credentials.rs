//! Who we are at a registry: nobody, a user of the configuration, or whom docker's configuration names.
//!
//! What is named there is read in `docker`, and helpers are run in `helper`; provider logins are not made here.

use super::docker::{Named, named};
use super::error::RegistryError;
use super::helper;
use crate::model::{Repository, text};
use reqwest::RequestBuilder;
use secrecy::{ExposeSecret as _, SecretString};
use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long a login from docker's file or a helper is kept: a helper is a process, and its answers live for hours.
const LOGIN_KEPT: Duration = Duration::from_secs(5 * 60);
/// How long it is kept that there is none, or why: long enough that a helper that fails is not run for every request,
/// and short enough that a person who mended it need not wait.
const NO_LOGIN_KEPT: Duration = Duration::from_secs(30);
/// The largest config.json that is read: real ones have a few kilobytes.
const CONFIG_BYTES_MAX: usize = 1 << 20;

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
    /// The same, from a text that was read elsewhere: an image pull secret, or the older `.dockercfg`.
    DockerConfig {
        /// The text.
        config: SecretString,
        /// Where it was found, as a person knows it.
        whose: String,
    },
    /// There are some, and they cannot be read: nothing is asked without them.
    Unreadable {
        /// Why, and what to do.
        why: String,
    },
}

impl Credentials {
    /// Whether they may be others when they are read anew.
    pub(super) fn may_change(&self) -> bool {
        matches!(self, Self::Docker { .. } | Self::DockerConfig { .. } | Self::Amazon)
    }
}

/// Where docker's config.json is, by `DOCKER_CONFIG` and `HOME`.
pub fn docker_config(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let home = || variable("HOME").map(|home| Path::new(&home).join(".docker"));
    let folder = variable("DOCKER_CONFIG").filter(|folder| !folder.is_empty()).map(PathBuf::from).or_else(home);
    folder.map(|folder| folder.join("config.json"))
}

/// What proves who we are.
#[derive(Debug, Clone)]
pub(super) enum Proof {
    Nothing,
    Password(String, SecretString),
    /// A token that the realm gives bearer tokens for, and nobody else anything.
    Identity(SecretString),
}

impl Proof {
    fn id(&self) -> [u8; 32] {
        text::sha256(&match self {
            Self::Nothing => Vec::new(),
            Self::Password(user, password) => [user.as_bytes(), b"\0", password.expose_secret().as_bytes()].concat(),
            Self::Identity(token) => [b"\0", token.expose_secret().as_bytes()].concat(),
        })
    }
}

/// Credentials, ready to be shown.
#[derive(Debug, Clone)]
pub(super) struct Login {
    /// What a person calls them.
    pub(super) shown: String,
    proof: Proof,
}

impl Login {
    pub(super) fn nobody(why: &str) -> Self {
        Self { shown: format!("nobody ({why})"), proof: Proof::Nothing }
    }

    pub(super) fn named(proof: Proof, whose: &str) -> Self {
        match &proof {
            Proof::Nothing => Self::nobody(&format!("{whose} names no login for it")),
            Proof::Password(user, _) => Self { shown: format!("`{}` of {whose}", text::shown(user)), proof },
            Proof::Identity(_) => Self { shown: format!("the identity token of {whose}"), proof },
        }
    }

    fn user(username: String, password: SecretString) -> Self {
        Self { shown: format!("`{}`", text::shown(&username)), proof: Proof::Password(username, password) }
    }

    /// Whether it can be shown with a request as it is.
    pub(super) fn has_password(&self) -> bool {
        matches!(self.proof, Proof::Password(..))
    }

    /// The identity token that the realm is to be given.
    pub(super) fn identity(&self) -> Option<&SecretString> {
        match &self.proof {
            Proof::Identity(token) => Some(token),
            Proof::Nothing | Proof::Password(..) => None,
        }
    }

    /// User and password.
    pub(super) fn password(&self) -> Option<(&str, &SecretString)> {
        match &self.proof {
            Proof::Password(user, password) => Some((user, password)),
            Proof::Nothing | Proof::Identity(_) => None,
        }
    }

    /// Tells logins apart without keeping the secret.
    pub(super) fn id(&self) -> [u8; 32] {
        self.proof.id()
    }

    pub(super) fn show(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.proof {
            Proof::Password(user, password) => request.basic_auth(user, Some(password.expose_secret())),
            Proof::Nothing | Proof::Identity(_) => request,
        }
    }
}

#[derive(Debug)]
struct Kept {
    at: Instant,
    answer: Result<Proof, String>,
}

impl Kept {
    fn lasts(&self) -> bool {
        let is_login = matches!(self.answer, Ok(Proof::Password(..) | Proof::Identity(_)));
        self.at.elapsed() < if is_login { LOGIN_KEPT } else { NO_LOGIN_KEPT }
    }
}

/// What helpers answered lately, by their names and the servers that they were asked for.
#[derive(Debug, Default)]
pub(super) struct Logins(Mutex<HashMap<(String, String), Kept>>);

impl Logins {
    /// The login for a repository.
    pub(super) async fn of(&self, credentials: &Credentials, of: &Repository) -> Result<Login, RegistryError> {
        match credentials {
            Credentials::Anonymous => Ok(Login::nobody("no credentials are configured")),
            Credentials::Basic { username, password } => Ok(Login::user(username.clone(), password.clone())),
            Credentials::Docker { file } => self.in_file(file, of).await,
            Credentials::DockerConfig { config, whose } => {
                self.in_config(config.expose_secret().as_bytes(), whose, whose, of).await
            }
            Credentials::Unreadable { why } => Err(RegistryError::Refused(format!("{of}: not asked, for {why}"))),
            Credentials::Amazon => Ok(Login::nobody("AWS credentials are for Amazon ECR alone")),
        }
    }

    /// Forgets the one that was refused: it is read anew. Those of others stay, and failures for as long as they are kept.
    pub(super) async fn forget(&self, refused: &Login) {
        let refused = refused.id();
        self.0.lock().await.retain(|_, kept| kept.answer.as_ref().map_or(true, |proof| proof.id() != refused));
    }

    async fn in_file(&self, file: &Path, of: &Repository) -> Result<Login, RegistryError> {
        let place = file.display().to_string();
        match tokio::fs::read(file).await {
            Ok(config) if config.len() <= CONFIG_BYTES_MAX => {
                self.in_config(&config, "docker's config.json", &place, of).await
            }
            Ok(_) => Err(refused(of, &place, &format!("is larger than {CONFIG_BYTES_MAX} bytes"))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Ok(Login::nobody("no credentials are configured, and docker has no config.json"))
            }
            Err(error) => Err(refused(of, &place, &error.to_string())),
        }
    }

    async fn in_config(
        &self,
        config: &[u8],
        whose: &str,
        place: &str,
        of: &Repository,
    ) -> Result<Login, RegistryError> {
        let named = named(config, of).map_err(|why| refused(of, place, &why))?;
        let proof = match named {
            Named::Nothing => Proof::Nothing,
            Named::Login(proof) => proof,
            Named::Helper { name, server } => {
                self.ask_helper(name, server).await.map_err(|why| refused(of, place, &why))?
            }
        };
        Ok(Login::named(proof, whose))
    }

    async fn ask_helper(&self, name: String, server: String) -> Result<Proof, String> {
        let mut kept = self.0.lock().await;
        kept.retain(|_, kept| kept.lasts());
        let asked = (name, server);
        if let Some(kept) = kept.get(&asked) {
            return kept.answer.clone();
        }
        let answer = helper::ask(&asked.0, &asked.1).await;
        kept.insert(asked, Kept { at: Instant::now(), answer: answer.clone() });
        answer
    }
}

fn refused(of: &Repository, place: &str, why: &str) -> RegistryError {
    RegistryError::Refused(format!("{of}: {place}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"{
        "auths": {
            "reg.io": { "auth": "aG9zdDpwdw==" },
            "reg.io/team/app": { "identitytoken": "secret" },
            "broken.io": { "auth": "%%%" }
        },
        "credHelpers": { "helped.io": "tagrelay-test-no-such-helper" }
    }"#;

    async fn login(credentials: &Credentials, repository: &str) -> Result<String, String> {
        let repository = Repository::parse(repository).expect("a repository");
        let login = Logins::default().of(credentials, &repository).await;
        login.map(|login| login.shown).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn docker_names_the_login() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("config.json");
        std::fs::write(&file, CONFIG).expect("written");
        let own = Credentials::Docker { file: file.clone() };
        let secret = Credentials::DockerConfig { config: CONFIG.into(), whose: "/run/pull.json".to_owned() };
        let check = async |credentials, repository, expected: &str| {
            let (Ok(shown) | Err(shown)) = login(credentials, repository).await;
            assert!(shown.contains(expected) && !shown.contains("secret"), "{repository}: {shown}");
        };
        check(&own, "reg.io/other", "`host` of docker's config.json").await;
        check(&secret, "reg.io/other", "`host` of /run/pull.json").await;
        check(&secret, "reg.io/team/app", "the identity token of /run/pull.json").await;
        check(&own, "elsewhere.io/a", "nobody (docker's config.json names no login").await;
        check(&own, "broken.io/a", &format!("broken.io/a: {}: `broken.io`: its `auth` is no", file.display())).await;
        check(&secret, "broken.io/a", "broken.io/a: /run/pull.json: `broken.io`: its `auth` is no").await;
        check(&own, "helped.io/a", "no-such-helper could not be run").await;
        std::fs::write(&file, "{").expect("written");
        check(&own, "reg.io/a", "is no docker configuration").await;
    }

    #[tokio::test]
    async fn no_file_is_nobody() {
        let nowhere = Credentials::Docker { file: "/nonexistent/config.json".into() };
        assert!(login(&nowhere, "reg.io/a").await.expect("nobody").contains("docker has no config.json"));
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_not_left_out() {
        let unreadable = Credentials::Unreadable { why: "the variable A is not set".to_owned() };
        let why = login(&unreadable, "reg.io/a").await.expect_err("refused");
        assert_eq!(why, "reg.io/a: not asked, for the variable A is not set");
    }

    #[tokio::test(start_paused = true)]
    async fn answers_of_helpers_are_kept_the_longer_the_better_they_are() {
        let password = || Proof::Password("bob".to_owned(), "pw".into());
        let cases = [
            (Ok(password()), LOGIN_KEPT),
            (Ok(Proof::Identity("t".into())), LOGIN_KEPT),
            (Ok(Proof::Nothing), NO_LOGIN_KEPT),
            (Err("failed".to_owned()), NO_LOGIN_KEPT),
        ];
        for (answer, lasts) in cases {
            let kept = Kept { at: Instant::now(), answer };
            tokio::time::advance(lasts - Duration::from_secs(1)).await;
            assert!(kept.lasts(), "{kept:?}");
            tokio::time::advance(Duration::from_secs(1)).await;
            assert!(!kept.lasts(), "{kept:?}");
        }
    }

    #[tokio::test]
    async fn only_the_login_that_was_refused_is_read_anew() {
        let login = |password: &str| Proof::Password("bob".to_owned(), password.into());
        let answers = [Ok(login("old")), Ok(login("other")), Ok(Proof::Nothing), Err("failed".to_owned())];
        let asked = |n: usize| ("helper".to_owned(), format!("{n}.io"));
        let kept = |answer| Kept { at: Instant::now(), answer };
        let kept = answers.into_iter().enumerate().map(|(n, answer)| (asked(n), kept(answer))).collect();
        let logins = Logins(Mutex::new(kept));
        let check = async |refused: Proof, left: &[usize]| {
            logins.forget(&Login::named(refused, "a file")).await;
            let kept = logins.0.lock().await;
            let kept: Vec<usize> = (0..4).filter(|n| kept.contains_key(&asked(*n))).collect();
            assert_eq!(kept, left);
        };
        check(login("older still"), &[0, 1, 2, 3]).await;
        check(login("old"), &[1, 2, 3]).await;
    }

    #[test]
    fn the_file_is_where_docker_has_it() {
        let check = |docker: Option<&str>, home: Option<&str>, expected: Option<&str>| {
            let variable = |name: &str| if name == "HOME" { home } else { docker }.map(OsString::from);
            assert_eq!(docker_config(variable), expected.map(PathBuf::from));
        };
        check(None, Some("/home/ann"), Some("/home/ann/.docker/config.json"));
        check(Some("/etc/docker"), Some("/home/ann"), Some("/etc/docker/config.json"));
        check(Some(""), Some("/home/ann"), Some("/home/ann/.docker/config.json"));
        check(None, None, None);
    }

    #[test]
    fn secrets_are_not_shown() {
        let proofs = [
            Proof::Password("bob".to_owned(), "hunter2".into()),
            Proof::Password("bob".to_owned(), "hunter3".into()),
            Proof::Identity("hunter2".into()),
            Proof::Nothing,
        ];
        let logins = proofs.map(|proof| Login::named(proof, "a file"));
        assert!(!format!("{logins:?}").contains("hunter"));
        let ids: std::collections::BTreeSet<_> = logins.iter().map(Login::id).collect();
        assert_eq!(ids.len(), logins.len());
    }
}
