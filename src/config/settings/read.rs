//! From the form of the configuration to its values.

use super::endpoint::endpoint_beside;
use super::webhooks::webhooks;
use super::{
    Access, ByName, ClientCert, Config, Egress, GitlabSettings, JournalSettings, Limits, Login, May, Registries,
    RegistrySettings, RepositorySettings, ServerSettings,
};
use crate::config::diagnostic::Problems;
use crate::config::glob::Glob;
use crate::config::policy_files::PolicyNames;
use crate::config::read::{At, Entries, Field, Form as _, Read as _, not_built_yet};
use crate::config::require;
use crate::config::tree::Node;
use crate::config::wire::config::{
    AccessForm, ClientCertForm, ConfigForm, EgressForm, GitlabForm, LimitsForm, LoginForm, MayForm, RegistryForm,
    RepositoryForm, ServerForm, UrlOrJournal,
};
use crate::model::Span;
use crate::model::event::OURSELVES;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

/// The configuration that a tree says; none where something is wrong.
pub(crate) fn read(node: &Node, problems: &mut Problems) -> Option<Config> {
    let form = ConfigForm::read(node, problems)?;
    check_policies(&form, problems);
    let (policies, policy_names) = local_policies(&form, problems);
    let floors = require::floors(&form, problems);
    check_required_repositories(&form, problems);
    let repositories = repositories(form.repositories, problems);
    let registries = registries(form.registries, problems);
    let gitlab = form.gitlab.take().map(|form| gitlab(form, problems));
    let journal = form.journal.take().and_then(|form| journal(&form, problems));
    let limits = form.limits.take().and_then(|form| limits(form, problems));
    let egress = form.egress.take().map(|form| egress(form, problems));
    let server = form.server.take().and_then(|form| server(form, problems));
    let config = Config {
        mode: form.mode.take()?,
        repositories: repositories?,
        policies,
        policy_names,
        floors,
        limits: limits?,
        registries: registries?,
        gitlab: gitlab.flatten(),
        egress: egress?,
        journal: journal?,
        server: server?,
    };
    problems.is_empty().then_some(config)
}

/// Tells of a floor that names a repository which is not there: it would bind nobody.
fn check_required_repositories(form: &ConfigForm, problems: &mut Problems) {
    let Some(repositories) = form.repositories.value() else { return };
    let required = form.require.value().into_iter().flatten().filter_map(|floor| floor.repositories.value());
    for written in required.flatten() {
        if !repositories.0.iter().any(|(name, _)| written.value.matches(&name.value)) {
            let name = written.value.as_str();
            problems.add(&written.at, format!("no repository of this configuration is named `{name}`"));
        }
    }
}

fn check_policies(form: &ConfigForm, problems: &mut Problems) {
    let Some(repositories) = form.repositories.value() else { return };
    let without =
        repositories.0.iter().all(|(_, repository)| repository.policies.is_absent() && !repository.is_unread());
    if without && form.policies.is_absent() {
        let help = "write `policies:` under a repository, or a local directory at the top";
        form.lacks("the configuration names no policies", help, problems);
    }
}

/// The local directory of policies, and which of its files are some.
fn local_policies(form: &ConfigForm, problems: &mut Problems) -> (Option<PathBuf>, PolicyNames) {
    let parted = form.policies.get().and_then(|at| problems.check(&at.at, PolicyNames::parted(&at.value)));
    match parted {
        Some((folder, names)) => (Some(if folder.is_empty() { ".".into() } else { folder.into() }), names),
        None => (None, PolicyNames::default()),
    }
}

/// The folder of a repository's policies, the root being `""`, and which of its files are some.
fn policies_of(form: &RepositoryForm, problems: &mut Problems) -> (Option<String>, PolicyNames) {
    let Some(at) = form.policies.get() else { return (None, PolicyNames::default()) };
    let Some((folder, names)) = problems.check(&at.at, PolicyNames::parted(&at.value)) else {
        return (None, PolicyNames::default());
    };
    let is_root = folder.split('/').all(|part| matches!(part, "" | ".")) && !at.value.starts_with('/');
    let path = if is_root && !at.value.is_empty() { Ok(String::new()) } else { crate::config::place::relative(folder) };
    (problems.check(&at.at, path), names)
}

fn repositories(
    entries: Field<Entries<RepositoryForm>>,
    problems: &mut Problems,
) -> Option<BTreeMap<String, RepositorySettings>> {
    let entries = entries.take()?.0;
    let names: Vec<String> = entries.iter().map(|(name, _)| name.value.clone()).collect();
    let mut read = BTreeMap::new();
    let mut whole = true;
    for (name, form) in entries {
        if name.value == "self" {
            problems.add(&name.at, "`self` means the repository of a policy file: give this one another name");
        }
        match repository(form, &names, problems) {
            Some(repository) => drop(read.insert(name.value, repository)),
            None => whole = false,
        }
    }
    whole.then_some(read)
}

fn repository(form: RepositoryForm, names: &[String], problems: &mut Problems) -> Option<RepositorySettings> {
    let (policies, policy_names) = policies_of(&form, problems);
    let plain_http = form.plain_http.value().copied().unwrap_or_default();
    let url = form.url.get().and_then(|url| checked_url(url, plain_http, &["https", "file"], problems));
    let author = form.author.take()?;
    let may = may(form.may.take()?, names, problems);
    Some(RepositorySettings {
        url: url?,
        branch: form.branch.take()?,
        policies,
        policy_names,
        username: form.username.take()?,
        token: form.token.take(),
        author_name: author.name.take()?,
        author_email: author.email.take()?,
        may,
    })
}

fn may(form: MayForm, names: &[String], problems: &mut Problems) -> May {
    let others = form.repositories.take().unwrap_or_default();
    for other in others.iter().filter(|other| !names.contains(&other.value)) {
        problems.add(&other.at, format!("no repository of this configuration is named `{}`", other.value));
    }
    May {
        write: form.write.take(),
        images: form.images.take(),
        retag: form.retag.take(),
        projects: form.projects.take(),
        repositories: others.into_iter().map(|other| other.value).collect(),
        branches: form.branches.take(),
    }
}

/// A URL of one of these schemes, or `http` where that is allowed, without a user in it.
pub(super) fn checked_url(
    url: &At<String>,
    plain_http: bool,
    schemes: &[&str],
    problems: &mut Problems,
) -> Option<String> {
    let (scheme, rest) = url.value.split_once("://").unwrap_or(("", &url.value));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    if scheme == "ssh" || (scheme.is_empty() && authority.contains('@')) {
        not_built_yet(&url.at, "ssh://", problems);
        return None;
    }
    if authority.contains('@') {
        problems.hide(&url.at);
        problems.add_with_help(&url.at, "a URL has no user or password in it", "write them as `username` and `token`");
    } else if !schemes.contains(&scheme) && scheme != "http" {
        problems.add(&url.at, format!("expected a URL that begins with `{}://`", schemes.join("://` or `")));
    } else if scheme == "http" && !plain_http {
        let help = "write `plain_http: true` beside it if it may go over the network as it is";
        problems.add_with_help(&url.at, "`http://` shows everything, the token too, to whoever listens", help);
    } else if rest.is_empty() || (scheme != "file" && authority.is_empty()) {
        problems.add(&url.at, "this URL names nothing");
    } else {
        return Some(url.value.trim_end_matches('/').to_owned());
    }
    None
}

fn registries(entries: Field<Entries<RegistryForm>>, problems: &mut Problems) -> Option<Registries> {
    let mut read = Vec::new();
    for (host, form) in entries.take()?.0 {
        let glob = problems.check(&host.at, Glob::parse(&host.value.to_ascii_lowercase()));
        if host.value.contains('/') {
            let path = host.value.split_once("://").map_or(host.value.as_str(), |(_, rest)| rest);
            let name = crate::model::text::shown(path.split('/').next().unwrap_or_default());
            let message = "expected the host of a registry, without a scheme or path";
            problems.add_with_help(&host.at, message, format!("write `{name}`"));
        }
        if let (Some(_), Some(second)) = (form.pull.get(), form.docker_config.get()) {
            let help = "keep `pull` for one user, or `docker_config` for what a file says";
            problems.add_with_help(&second.at, "`pull` and `docker_config` both say who reads", help);
        }
        let plain_http = form.plain_http.take().unwrap_or_default();
        let endpoint_url = endpoint_beside(&form.endpoint_url, &host.value, &form.provider, plain_http, problems);
        let settings = RegistrySettings {
            plain_http,
            pull: form.pull.take().and_then(login),
            push: form.push.take().and_then(login),
            docker_config: form.docker_config.take(),
            ca: form.ca.take(),
            client_cert: form.client_cert.take().and_then(client_cert),
            proxy: form.proxy.take(),
            requests_per_second: requests_per_second(&form.requests_per_second, problems),
            provider: form.provider.take(),
            assume_role: form.assume_role.get().and_then(|role| checked_role(role, problems)),
            endpoint_url,
            timeout: timeout(&form.timeout, problems),
        };
        read.extend(glob.map(|glob| (glob, settings)));
    }
    Some(Registries(read))
}

/// A role by its ARN (IAM User Guide, "IAM identifiers").
pub(super) fn checked_role(role: &At<String>, problems: &mut Problems) -> Option<String> {
    let parts: Vec<&str> = role.value.splitn(6, ':').collect();
    let is_role = matches!(parts.as_slice(), ["arn", _, "iam", "", account, name]
        if account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit()) && name.starts_with("role/"));
    if !is_role {
        problems.add(&role.at, "expected the ARN of a role, as arn:aws:iam::123456789012:role/tagrelay");
    }
    is_role.then(|| role.value.clone())
}

fn requests_per_second(field: &Field<u32>, problems: &mut Problems) -> Option<NonZeroU32> {
    let at = field.get()?;
    let number = NonZeroU32::new(at.value);
    if number.is_none() {
        problems.add(&at.at, "expected one request in a second or more");
    }
    number
}

fn limits(form: LimitsForm, problems: &mut Problems) -> Option<Limits> {
    let (rollouts, failures) = (by_name(form.rollouts.take()?, problems), by_name(form.failures.take()?, problems));
    Some(Limits { changes: number(form.changes.take()?), rollouts, failures })
}

fn by_name(entries: Entries<At<u32>>, problems: &mut Problems) -> ByName {
    let mut read = Vec::with_capacity(entries.0.len());
    for (name, limit) in entries.0 {
        if limit.value == 0 {
            problems.add(&limit.at, "expected 1 or more: with none nothing would ever begin");
        }
        let glob = problems.check(&name.at, Glob::parse(&name.value));
        read.extend(glob.map(|glob| (glob, number(limit.value))));
    }
    ByName(read)
}

fn number(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn client_cert(form: ClientCertForm) -> Option<ClientCert> {
    Some(ClientCert { cert: form.cert.take()?, key: form.key.take()? })
}

fn timeout(field: &Field<Span>, problems: &mut Problems) -> Option<Duration> {
    let at = field.get()?;
    if at.value == Span::ZERO {
        problems.add(&at.at, "a request needs some time");
    }
    Some(at.value.get())
}

fn login(form: LoginForm) -> Option<Login> {
    Some(Login { username: form.username.take()?, password: form.password.take()? })
}

fn gitlab(form: GitlabForm, problems: &mut Problems) -> Option<GitlabSettings> {
    let plain_http = form.plain_http.value().copied().unwrap_or_default();
    let url = form.url.get().and_then(|url| checked_url(url, plain_http, &["https"], problems));
    let mut projects = Vec::new();
    for (project, form) in form.projects.take()?.0 {
        let glob = problems.check(&project.at, Glob::parse(&project.value));
        projects.extend(glob.zip(form.token.take()));
    }
    Some(GitlabSettings { url: url?, token: form.token.take(), ca: form.ca.take(), projects })
}

fn egress(form: EgressForm, problems: &mut Problems) -> Egress {
    let allow = form.allow.take();
    for named in allow.iter().flatten() {
        let text = named.value.as_str();
        if text.contains('/') && crate::model::Network::parse(text).is_none() {
            let what = if text.contains("://") {
                "a URL: write its host alone, as in `*.example.com`"
            } else {
                "no network: write it as in 10.20.0.0/16"
            };
            problems.add(&named.at, format!("`{}` is {what}", crate::model::text::shown(text)));
        }
    }
    let allow = allow.map(|allow| allow.into_iter().map(|named| named.value).collect());
    Egress { allow, private: form.private.take().unwrap_or_default() }
}

/// The shortest time for which entries are kept: what is looked up after an incident is there on the next day.
const KEEP_MIN: Span = Span::minutes(24 * 60);

fn journal(form: &UrlOrJournal, problems: &mut Problems) -> Option<JournalSettings> {
    let (url, keep) = match form {
        UrlOrJournal::Url(url) => (Some(url), None),
        UrlOrJournal::Form(form) => (form.url.get(), form.keep.get()),
    };
    if let Some(keep) = keep.filter(|keep| keep.value < KEEP_MIN) {
        let help = "leave `keep` out to keep all entries for ever";
        problems.add_with_help(&keep.at, format!("entries are kept for at least {KEEP_MIN}"), help);
    }
    let url = url?;
    let path = url.value.strip_prefix("sqlite://").filter(|path| !path.is_empty());
    if path.is_none() {
        let help = "write `sqlite://` and a path, as in `sqlite:///var/lib/tagrelay/journal.db`";
        problems.add_with_help(&url.at, "the journal is kept in SQLite", help);
    }
    path.map(|_| JournalSettings { url: url.value.clone(), keep: keep.map(|keep| keep.value) })
}

fn server(form: ServerForm, problems: &mut Problems) -> Option<ServerSettings> {
    let listen = form.listen.get().and_then(|listen| {
        let address = listen.value.parse().map_err(|_| "expected an address and a port, as in `127.0.0.1:8080`");
        problems.check(&listen.at, address)
    });
    let access: Vec<Access> = form.access.take()?.into_iter().filter_map(|form| access(form, problems)).collect();
    let (webhooks, queue) = webhooks(form.webhooks.take()?, problems);
    Some(ServerSettings { listen: listen?, read: form.read.take(), access, webhooks, queue })
}

fn access(form: AccessForm, problems: &mut Problems) -> Option<Access> {
    let who = form.who.take()?;
    if let Some(name) = who.name.get().filter(|name| name.value == OURSELVES) {
        let message =
            format!("`{OURSELVES}` is the name under which the daemon itself holds and refuses: choose another");
        problems.add(&name.at, message);
    }
    Some(Access { name: who.name.take()?, token: who.token.take()?, may: form.may.take()?, on: form.on.take()? })
}
