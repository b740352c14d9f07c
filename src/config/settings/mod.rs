//! The configuration of the process, complete and checked: what every other part is told at the start.
//!
//! Secrets stand here as places to read them from, never as text.

mod endpoint;
mod read;
mod webhooks;

use super::glob::{Glob, most_specific};
use super::policy_files::PolicyNames;
use super::require::Floor;
use super::secrets::Secret;
use crate::model::address::{self, Reach};
use crate::model::sqs::Queue;
use crate::model::{EnvironmentName, Network, Provider, Span};
use reqwest::Url;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) use read::read;

/// The whole configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Whether anything is changed outside.
    pub mode: Mode,
    /// The GitOps repositories, by name.
    pub repositories: BTreeMap<String, RepositorySettings>,
    /// The local directory of policies, which stands instead of those in repositories.
    pub policies: Option<PathBuf>,
    /// Which files of that directory are policies.
    pub policy_names: PolicyNames,
    /// What is required of every policy, calendars included.
    pub(crate) floors: Vec<Floor>,
    /// How much may change at once.
    pub limits: Limits,
    /// How registries are spoken to.
    pub registries: Registries,
    /// The GitLab that is told of deployments.
    pub gitlab: Option<GitlabSettings>,
    /// Where requests that policies ask for may go.
    pub egress: Egress,
    /// Where the journal is kept, and for how long.
    pub journal: JournalSettings,
    /// The board, the API and the webhooks.
    pub server: ServerSettings,
}

/// Where the journal is kept, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalSettings {
    /// Its file: `sqlite://` and a path.
    pub url: String,
    /// For how long entries are kept one by one; none = for ever.
    pub keep: Option<Span>,
}

/// How much may change at once.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// How many environments may change for a cause that is no new build before a person is asked.
    pub changes: usize,
    /// How many rollouts may be in flight in environments of a name.
    pub rollouts: ByName,
    /// How many policies may fail within an hour in environments of a name.
    pub failures: ByName,
}

/// A number for environments, by patterns over their names.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ByName(Vec<(Glob, usize)>);

impl ByName {
    /// The number for environments of this name: that of the most specific pattern.
    #[must_use]
    pub fn of(&self, name: &EnvironmentName) -> Option<usize> {
        most_specific(&self.0, name.as_str()).copied()
    }
}

/// Whether anything is changed outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It is.
    Act,
    /// It is only said what would have been done.
    Observe,
}

/// A GitOps repository.
#[derive(Debug, Clone, PartialEq)]
pub struct RepositorySettings {
    /// Its URL: `https://`, `http://` or `file://`.
    pub url: String,
    /// The branch that policies are read from and, by default, written to.
    pub branch: String,
    /// The directory of its policies; none holds none.
    pub policies: Option<String>,
    /// Which files of that directory are policies.
    pub policy_names: PolicyNames,
    /// The user name that goes with the token.
    pub username: String,
    /// The token or password.
    pub token: Option<Secret>,
    /// The name that commits are made by.
    pub author_name: String,
    /// The mail address that commits are made by.
    pub author_email: String,
    /// What policies of this repository may do.
    pub may: May,
}

impl RepositorySettings {
    /// Where it is, the same for every way to write its URL: two names of one repository are one repository.
    pub(crate) fn location(&self) -> String {
        let (address, of_host) = match Url::parse(&self.url) {
            Ok(url) if url.scheme() == "file" => (url.path().to_owned(), false),
            Ok(url) => {
                let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
                (format!("{}{port}{}", url.host_str().unwrap_or_default(), url.path()), true)
            }
            Err(_) => (self.url.clone(), false),
        };
        let segments: Vec<&str> = address.split('/').filter(|segment| !segment.is_empty()).collect();
        let joined = segments.join("/");
        let path = joined.strip_suffix(".git").unwrap_or(&joined);
        // Servers take the paths of projects in any case.
        if of_host { path.to_lowercase() } else { format!("/{path}") }
    }
}

/// What policies of a repository may do; `None` bounds nothing, an empty list forbids all.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct May {
    /// The paths that they may write.
    pub write: Option<Vec<Glob>>,
    /// The image repositories (`host/path`) that they may name.
    pub images: Option<Vec<Glob>>,
    /// The tags (`host/path:tag`) that they may push.
    pub retag: Option<Vec<Glob>>,
    /// The GitLab projects that they may name.
    pub projects: Option<Vec<Glob>>,
    /// The repositories that they may write to besides their own.
    pub repositories: Vec<String>,
    /// The branches that they may write to; none = the repository's own, and those named after the environment.
    pub branches: Option<Vec<Glob>>,
}

/// Registries by host or pattern.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Registries(pub(crate) Vec<(Glob, RegistrySettings)>);

impl Registries {
    /// What is set for a host (with its port); the most specific pattern wins.
    #[must_use]
    pub fn of(&self, host: &str) -> Option<&RegistrySettings> {
        most_specific(&self.0, host)
    }

    /// Whether a host (with its port) is named, be it by a pattern. One that fits every host names none.
    #[must_use]
    pub fn names(&self, host: &str) -> bool {
        self.0.iter().any(|(glob, _)| glob.specificity() > 0 && glob.matches(host))
    }
}

/// How a registry is spoken to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RegistrySettings {
    /// Whether it is spoken to over plain HTTP.
    pub plain_http: bool,
    /// Who reads; none takes docker's credentials.
    pub pull: Option<Login>,
    /// A docker configuration that says who reads, where `pull` does not.
    pub docker_config: Option<Secret>,
    /// Who moves tags and receives copies; none is whoever docker or Amazon says where neither `pull` nor `docker_config`
    /// is set, and nobody where one is.
    pub push: Option<Login>,
    /// Certificates of the authorities that are trusted besides the system's, as PEM.
    pub ca: Option<Secret>,
    /// The certificate that it is shown when it asks for one.
    pub client_cert: Option<ClientCert>,
    /// The proxy that it is reached through; none is what the environment says.
    pub proxy: Option<ProxySettings>,
    /// How many requests it gets in a second at the most; none leaves it to the client.
    pub requests_per_second: Option<NonZeroU32>,
    /// Whose registry it is, where its name does not say so.
    pub provider: Option<Provider>,
    /// Amazon ECR: the ARN of the role that is assumed.
    pub assume_role: Option<String>,
    /// Where its provider's own API answers; none is the usual place, or that there is none.
    pub endpoint_url: Option<Url>,
    /// How long one request may take; none leaves it to the client.
    pub timeout: Option<Duration>,
}

/// A certificate that a server knows us by.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientCert {
    /// The certificate, and those between it and an authority that the server knows, as PEM.
    pub cert: Secret,
    /// Its private key, as PEM without a passphrase.
    pub key: Secret,
}

/// The proxy that a host is reached through.
#[derive(Debug, Clone, PartialEq)]
pub enum ProxySettings {
    /// None, whatever the environment says.
    Direct,
    /// The one at this URL, which has no user in it.
    At(String),
    /// The one at the URL that is found there.
    Secret(Secret),
}

/// A user of a registry.
#[derive(Debug, Clone, PartialEq)]
pub struct Login {
    /// The name.
    pub username: String,
    /// The password or token.
    pub password: Secret,
}

/// A GitLab.
#[derive(Debug, Clone, PartialEq)]
pub struct GitlabSettings {
    /// Its URL, without a slash at the end.
    pub url: String,
    /// The token for every project without one of its own.
    pub token: Option<Secret>,
    /// Certificates of the authorities that are trusted besides the system's, as PEM.
    pub ca: Option<Secret>,
    pub(crate) projects: Vec<(Glob, Secret)>,
}

impl GitlabSettings {
    /// The token for a project; the most specific pattern wins.
    #[must_use]
    pub fn token_for(&self, project: &str) -> Option<&Secret> {
        most_specific(&self.projects, project).or(self.token.as_ref())
    }
}

/// Where requests that policies ask for may go.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Egress {
    /// The hosts; none bounds nothing.
    pub allow: Option<Vec<Glob>>,
    /// Whether private addresses are allowed.
    pub private: bool,
}

impl Egress {
    /// Whether a policy may name this host (without its port).
    #[must_use]
    pub fn allows(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let address = host.trim_matches(['[', ']']).parse().ok();
        // Which network a name leads to is not known before it is resolved.
        let named = |glob: &Glob| match Network::parse(glob.as_str()) {
            Some(network) => address.is_none_or(|address| network.contains(address)),
            None => glob.matches(&host),
        };
        self.allow.as_ref().is_none_or(|allowed| allowed.iter().any(named))
    }

    /// Why no check can ever reach this host (without its port), as far as its name tells: an address that nobody may be
    /// sent to, or one of a private network where `private` does not allow these and no pattern of `allow` names the host.
    #[must_use]
    pub fn forbids(&self, host: &str) -> Option<&'static str> {
        let host = host.to_ascii_lowercase();
        let bare = host.trim_matches(['[', ']']).trim_end_matches('.');
        let is_in = |zone: &str| bare == zone || bare.strip_suffix(zone).is_some_and(|rest| rest.ends_with('.'));
        let is_here = is_in("localhost");
        let is_of_cluster = is_in("svc") || is_in("svc.cluster.local");
        let is_private = match bare.parse::<IpAddr>().ok().map(address::reach) {
            Some(Reach::Never(what)) => return Some(what),
            Some(Reach::Public) => false,
            Some(Reach::Loopback | Reach::Private) => true,
            None => is_here || is_of_cluster,
        };
        let is_named = self.allow.is_some() && self.allows(&host);
        (is_private && !self.private && !is_named).then_some("a private address")
    }
}

/// The board, the API and the webhooks.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// The address and port.
    pub listen: SocketAddr,
    /// Who may read; none is anybody on this machine where it listens on loopback, else whoever has a token.
    pub read: Option<ReadAccess>,
    /// Who may do what where.
    pub access: Vec<Access>,
    /// The senders of webhooks, by their names.
    pub webhooks: BTreeMap<String, Webhook>,
    /// The queue that tells of pushes to Amazon ECR.
    pub queue: Option<QueueSettings>,
}

/// Who may read pages and the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadAccess {
    /// Whoever has a token.
    Token,
    /// Everybody who can reach the server.
    Open,
}

/// A queue that tells of pushes to Amazon ECR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueSettings {
    /// Which.
    pub queue: Queue,
    /// The host that policies know the registry by, where they call it otherwise than Amazon.
    pub registry: Option<String>,
    /// The ARN of the role that is assumed to read it.
    pub assume_role: Option<String>,
    /// Where SQS's API answers; none is the usual place.
    pub endpoint_url: Option<Url>,
}

/// What a sender of webhooks is known by.
#[derive(Debug, Clone, PartialEq)]
pub struct Webhook {
    /// The secret that it signs with, sends along, or has at the end of its path.
    pub secret: Option<Secret>,
    /// The host that policies know its registry by, where it calls it otherwise or not at all.
    pub registry: Option<String>,
    /// The account that Google vouches for, in the place of a secret.
    pub google: Option<GoogleAccount>,
}

/// A service account of Google's that pushes to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoogleAccount {
    /// The audience of its tokens.
    pub audience: String,
    /// Its address.
    pub email: String,
}

/// What somebody may do.
#[derive(Debug, Clone)]
pub struct Access {
    /// The name that is kept with what they do.
    pub name: String,
    /// The token that proves who it is.
    pub token: Secret,
    /// What.
    pub may: Vec<Act>,
    /// Where: patterns over `policy` or `policy/environment`.
    pub on: Vec<Glob>,
}

impl Access {
    /// Whether this somebody may do `act` in an environment of a policy, or with all of the policy.
    #[must_use]
    pub fn allows(&self, act: Act, policy: &str, environment: Option<&str>) -> bool {
        let whole = environment.map(|environment| format!("{policy}/{environment}"));
        let here = |glob: &Glob| glob.matches(policy) || whole.as_ref().is_some_and(|whole| glob.matches(whole));
        self.may.contains(&act) && self.on.iter().any(here)
    }
}

/// What a person or a program may be allowed to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    /// Vote for a release.
    Approve,
    /// Refuse a release.
    Reject,
    /// Stop changes.
    Hold,
    /// Lift holds.
    Resume,
    /// Order a promotion.
    Promote,
    /// Pass gates and holds.
    Force,
    /// Bring an older release back.
    Rollback,
    /// Have the checks run again.
    Verify,
    /// Continue or abort a canary.
    Canary,
    /// Post verdicts.
    Signal,
}
