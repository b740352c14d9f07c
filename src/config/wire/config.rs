//! The configuration file as it is written.

use super::gates::{FreezeForm, GatesForm};
use crate::config::diagnostic::Problems;
use crate::config::glob::Glob;
use crate::config::read::Presence::{Default, Optional, Required};
use crate::config::read::{At, Entries, Read, form, words};
use crate::config::secrets::Secret;
use crate::config::settings::{Act, Mode, ProxySettings, ReadAccess};
use crate::config::tree::{Kind, Node};
use crate::model::{PinForm, Provider, Span};
use serde_json::{Value, json};

form! {
    /// The configuration of tagrelay: which repositories, registries and GitLab it speaks to, and what bounds policies.
    ConfigForm("configuration") {
        /// `act`, or `observe`: tagrelay polls, selects, follows and judges, changes nothing anywhere, and says what it
        /// would have done.
        "mode" mode: Mode, Default("act");
        /// The GitOps repositories by name; policies write to `default` unless they name another.
        "repositories" repositories: Entries<RepositoryForm>, Required;
        /// A local directory of policies instead of `repositories.*.policies`, or a pattern of its files, as in
        /// `policies/*.policy.yaml`.
        "policies" policies: String, Optional;
        /// Floors under every policy, which policies can only add to.
        "require" require: Vec<RequireForm>, Default("[]");
        /// Freezes by name, added to the policies' own.
        "calendars" calendars: Entries<CalendarForm>, Default("{}");
        /// Limits on how much changes at once.
        "limits" limits: LimitsForm, Default("{}");
        /// Registries by host or pattern; the most specific wins. Credentials otherwise from docker's config.json.
        "registries" registries: Entries<RegistryForm>, Default("{}");
        /// The GitLab that is told of deployments and asked for branches.
        "gitlab" gitlab: GitlabForm, Optional;
        /// Hosts that policies may name.
        "egress" egress: EgressForm, Default("{}");
        /// The journal: the URL of its SQLite file, or a mapping.
        "journal" journal: UrlOrJournal, Default("{}");
        /// The page, the API and the webhooks.
        "server" server: ServerForm, Default("{}");
    }
}

/// The journal: its URL alone, or a mapping.
#[derive(Debug, Clone)]
pub(crate) enum UrlOrJournal {
    /// Only the URL.
    Url(At<String>),
    /// The whole form.
    Form(JournalForm),
}

impl Read for UrlOrJournal {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        match node.kind {
            Kind::Map(_) => JournalForm::read(node, problems).map(Self::Form),
            Kind::Null | Kind::Scalar { .. } | Kind::List(_) => At::read(node, problems).map(Self::Url),
        }
    }

    fn schema() -> Value {
        json!({ "anyOf": [String::schema(), JournalForm::schema()] })
    }
}

form! {
    /// The journal.
    JournalForm("journal") {
        /// Its SQLite file, as a URL. It must lie on a disk of this machine.
        "url" url: String, Default("sqlite:///var/lib/tagrelay/journal.db");
        /// For how long entries are kept one by one, at least `1d`. Older ones are folded into a checkpoint: every decision
        /// and every rollback stays as it was, `history` begins later. Default: for ever.
        "keep" keep: Span, Optional;
    }
}

form! {
    /// A GitOps repository.
    RepositoryForm("repository") {
        /// Its URL: `https://`, `file://`, or `http://` with `plain_http: true`.
        "url" url: String, Required;
        /// The branch that policies are read from and, by default, written to.
        "branch" branch: String, Default("main");
        /// The directory of its policies, whose `*.yaml` and `*.yml` all are policies and cases, or a pattern of files in a
        /// directory, as in `policies/*.policy.yaml`; HOLD files stand in that directory. Left out, the repository holds
        /// none.
        "policies" policies: String, Optional;
        /// The user name that goes with the token.
        "username" username: String, Default("oauth2");
        /// The token or password.
        "token" token: Secret, Optional;
        /// `true`: `http://` is allowed, where everybody on the way can read the token.
        "plain_http" plain_http: bool, Default("false");
        /// Who commits are made by.
        "author" author: AuthorForm, Default("{}");
        /// What policies of this repository may do; a key left out bounds nothing, `[]` forbids all.
        "may" may: MayForm, Default("{}");
    }
}

form! {
    /// Who commits are made by.
    AuthorForm("author") {
        /// The name.
        "name" name: String, Default("tagrelay");
        /// The mail address.
        "email" email: String, Default("tagrelay@localhost");
    }
}

form! {
    /// What policies of a repository may do.
    MayForm("may") {
        /// The paths that they may write.
        "write" write: Vec<Glob>, Optional;
        /// The image repositories (`host/path`) that they may name.
        "images" images: Vec<Glob>, Optional;
        /// The tags (`host/path:tag`) that they may push.
        "retag" retag: Vec<Glob>, Optional;
        /// The GitLab projects that they may name.
        "projects" projects: Vec<Glob>, Optional;
        /// The other repositories of the configuration that they may write to. Default: none besides their own.
        "repositories" repositories: Vec<At<String>>, Optional;
        /// The branches that they may write to. Default: the repository's own `branch`, and those that a policy names after
        /// the environment, as in `env/{{ environment }}`.
        "branches" branches: Vec<Glob>, Optional;
    }
}

form! {
    /// A floor under every environment that matches all of the keys that say where it binds, each by any of its patterns.
    /// Several floors add up.
    RequireForm("require") {
        /// Binds by the name of the environment. Default: every name.
        "environments" environments: Vec<Glob>, Default("['*']");
        /// Binds by the files that are written: a target that could name a file that matches is bound.
        "writes" writes: Vec<At<Glob>>, Optional;
        /// Binds by the branch that is written.
        "branches" branches: Vec<Glob>, Optional;
        /// Binds by the repository that is written, under any of its names in the configuration.
        "repositories" repositories: Vec<At<Glob>>, Optional;
        /// Binds by the tags that are pushed: `host/path:tag`.
        "retags" retags: Vec<Glob>, Optional;
        /// The least that the version must be written by.
        "pin" pin: PinForm, Optional;
        /// Gates that are added to those of the policy.
        "gates" gates: GatesForm, Default("{}");
        /// Limits on promotions.
        "promote" promote: RequirePromoteForm, Default("{}");
    }
}

form! {
    /// Limits on promotions.
    RequirePromoteForm("require.promote") {
        /// `false`: a push of the tag by somebody else never stands for `verified`.
        "trust_tag" trust_tag: bool, Optional;
    }
}

form! {
    /// Freezes that several environments share; dates are read in each policy's time zone.
    CalendarForm("calendar") {
        /// Patterns over the names of environments.
        "environments" environments: Vec<Glob>, Default("['*']");
        /// When nothing may change there.
        "freeze" freeze: Vec<FreezeForm>, Required;
    }
}

form! {
    /// Limits on how much changes at once.
    LimitsForm("limits") {
        /// How many environments may change within an hour for a cause that is no new build (they were just met, a policy was
        /// edited, what stopped them was lifted) before a person says `resume`; the others wait.
        "changes" changes: u32, Default("20");
        /// How many rollouts may be in flight at once in all environments of a name, by a pattern over names (the most specific
        /// counts). One without a verdict, or that could not be read for 10 minutes, gives its place back; a rollback needs
        /// none. What `verify --all` judges takes places too; where nothing is said here, that is 10 at once.
        "rollouts" rollouts: Entries<At<u32>>, Default("{}");
        /// How many policies may fail within an hour in environments of a name, by a pattern over names. So many hold all
        /// environments of that name for an hour, and what `on_failure` rolls back waits too.
        "failures" failures: Entries<At<u32>>, Default("{}");
    }
}

form! {
    /// How one registry is asked.
    RegistryForm("registry") {
        /// `true`: the registry is asked over `http://`.
        "plain_http" plain_http: bool, Default("false");
        /// The user who reads. Default docker's login; at Amazon ECR the identity of this machine.
        "pull" pull: LoginForm, Optional;
        /// A docker configuration that says who reads, instead of `pull`: an image pull secret, or a config.json.
        "docker_config" docker_config: Secret, Optional;
        /// The user who pushes tags and copies. Default as `pull`; nobody where `pull` or `docker_config` is set.
        "push" push: LoginForm, Optional;
        /// Certificates of the authorities that are trusted besides the system's, as PEM.
        "ca" ca: Secret, Optional;
        /// The certificate that the registry is shown when it asks for one.
        "client_cert" client_cert: ClientCertForm, Optional;
        /// The proxy on the way to it: its URL, or `none`. Default what the variables of the environment say.
        "proxy" proxy: ProxySettings, Optional;
        /// How many requests a second it gets at most, from the first second on. Default 50, and up to 500 quickly at first
        /// and after a rest, as long as it answers well.
        "requests_per_second" requests_per_second: u32, Optional;
        /// Which kind of registry it is, where its name does not say so.
        "provider" provider: Provider, Optional;
        /// Amazon ECR: the role that is assumed, by its ARN.
        "assume_role" assume_role: String, Optional;
        /// Where its provider's own API answers, where that is not the usual place.
        "endpoint_url" endpoint_url: String, Optional;
        /// How long one request may take, to the last byte of its answer. Default 1m.
        "timeout" timeout: Span, Optional;
    }
}

form! {
    /// The certificate by which a server knows tagrelay.
    ClientCertForm("client_cert") {
        /// The certificate, and those between it and an authority that the server knows, as PEM.
        "cert" cert: Secret, Required;
        /// Its private key, as PEM without a passphrase.
        "key" key: Secret, Required;
    }
}

form! {
    /// A user of a registry.
    LoginForm("login") {
        /// The name.
        "username" username: String, Required;
        /// The password or token.
        "password" password: Secret, Required;
    }
}

form! {
    /// The GitLab that is told of deployments and asked for branches.
    GitlabForm("gitlab") {
        /// Its URL.
        "url" url: String, Required;
        /// The token for every project that `projects` does not name.
        "token" token: Secret, Optional;
        /// Tokens by project path or pattern; the most specific wins.
        "projects" projects: Entries<ProjectForm>, Default("{}");
        /// `true`: `http://` is allowed, where everybody on the way can read the token.
        "plain_http" plain_http: bool, Default("false");
        /// Certificates of the authorities that are trusted besides the system's, as PEM.
        "ca" ca: Secret, Optional;
    }
}

form! {
    /// What holds for some projects alone.
    ProjectForm("gitlab.projects") {
        /// The token.
        "token" token: Secret, Required;
    }
}

form! {
    /// Which hosts the checks of policies may ask, and which registries that `registries` does not name. Metadata
    /// services, link-local addresses and the address that tagrelay listens on are never asked.
    EgressForm("egress") {
        /// Patterns of hosts, and networks (`10.20.0.0/16`). What they name may be private. Checks ask nothing else;
        /// without this key they ask any public host. Registries that `registries` does not name must be public, or be
        /// named here.
        "allow" allow: Vec<At<Glob>>, Optional;
        /// `true`: all private addresses are allowed.
        "private" private: bool, Default("false");
    }
}

form! {
    /// The page, the API and the webhooks.
    ServerForm("server") {
        /// The address and port to listen on.
        "listen" listen: String, Default("127.0.0.1:8080");
        /// Who may read pages and the API: `token` (whoever has one) or `open` (everybody who can reach them). Default
        /// `token`, but for who asks from this machine where `listen` is a loopback address.
        "read" read: ReadAccess, Optional;
        /// Who may change what.
        "access" access: Vec<AccessForm>, Default("[]");
        /// Registries that tell at once what was pushed, each by its kind; what is not named here is not listened to.
        "webhooks" webhooks: WebhooksForm, Default("{}");
    }
}

form! {
    /// Registries that tell at once what was pushed, at `/webhooks/<name>`. A delivery wakes a poll and does nothing else.
    WebhooksForm("server.webhooks") {
        /// Azure Container Registry.
        "acr" acr: WebhookForm, Optional;
        /// CNCF distribution (Docker's own registry).
        "distribution" distribution: WebhookForm, Optional;
        /// Docker Hub.
        "dockerhub" dockerhub: WebhookForm, Optional;
        /// Amazon ECR, by EventBridge: an API destination, a queue, or both.
        "ecr" ecr: EcrForm, Optional;
        /// Google's registries, by a push subscription of Pub/Sub.
        "gar" gar: GoogleForm, Optional;
        /// GitHub's container registry.
        "ghcr" ghcr: WebhookForm, Optional;
        /// Gitea or Forgejo.
        "gitea" gitea: WebhookForm, Optional;
        /// GitLab's container registry.
        "gitlab" gitlab: WebhookForm, Optional;
        /// Harbor.
        "harbor" harbor: WebhookForm, Optional;
        /// JFrog Artifactory.
        "jfrog" jfrog: WebhookForm, Optional;
        /// Sonatype Nexus.
        "nexus" nexus: WebhookForm, Optional;
        /// Quay.
        "quay" quay: WebhookForm, Optional;
    }
}

form! {
    /// How a sender of webhooks is known.
    WebhookForm("webhook") {
        /// The secret that it signs with, sends along, or has at the end of its path.
        "secret" secret: Secret, Required;
        /// The host that policies know its registry by, where it calls it otherwise or not at all.
        "registry" registry: String, Optional;
    }
}

form! {
    /// What tells of pushes to Amazon ECR: whoever knows `secret`, the queue `queue`, or both.
    EcrForm("webhook.ecr") {
        /// The secret that EventBridge's API destination sends along.
        "secret" secret: Secret, Optional;
        /// The host that policies know the registry by, where they call it otherwise than Amazon.
        "registry" registry: String, Optional;
        /// The URL of an SQS queue that an EventBridge rule sends to; it is read and emptied.
        "queue" queue: String, Optional;
        /// The role that is assumed to read the queue, by its ARN.
        "assume_role" assume_role: String, Optional;
        /// Where SQS's API answers, where that is not the usual place.
        "endpoint_url" endpoint_url: String, Optional;
        /// Whether `http://` is allowed there.
        "plain_http" plain_http: bool, Optional;
    }
}

form! {
    /// How the push subscription of Google is known.
    GoogleForm("webhook.gar") {
        /// The audience of its tokens, as the subscription says.
        "audience" audience: String, Required;
        /// The service account that it pushes as.
        "email" email: String, Required;
    }
}

form! {
    /// What one token may do.
    AccessForm("access") {
        /// The person or program.
        "who" who: WhoForm, Required;
        /// What they may do: the commands by their names, and `signal` (post verdicts). `force` is needed besides
        /// `promote` for `--force`.
        "may" may: Vec<Act>, Required;
        /// Where they may: patterns for `POLICY` or `POLICY/ENV`; `*` alone is everywhere.
        "on" on: Vec<Glob>, Required;
    }
}

form! {
    /// A person or a program.
    WhoForm("who") {
        /// The name that is kept with all that they do.
        "name" name: String, Required;
        /// Their token.
        "token" token: Secret, Required;
    }
}

words!(Provider, "provider", {
    "distribution" => Self::Distribution,
    "acr" => Self::Acr,
    "dockerhub" => Self::Dockerhub,
    "ecr" => Self::Ecr,
    "gar" => Self::Gar,
    "ghcr" => Self::Ghcr,
    "gitlab" => Self::Gitlab,
    "harbor" => Self::Harbor,
    "quay" => Self::Quay,
});
words!(ReadAccess, "server.read", { "token" => Self::Token, "open" => Self::Open, });
words!(Mode, "mode", { "act" => Self::Act, "observe" => Self::Observe, });
words!(Act, "may", {
    "approve" => Self::Approve, "reject" => Self::Reject, "hold" => Self::Hold, "resume" => Self::Resume,
    "promote" => Self::Promote, "force" => Self::Force, "rollback" => Self::Rollback, "verify" => Self::Verify,
    "canary" => Self::Canary, "signal" => Self::Signal,
});
