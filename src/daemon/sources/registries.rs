//! How each registry is spoken to, from the configuration: credentials, TLS, proxy, pace.
//!
//! Secrets are read anew for each operation, so that a renewed file counts at once. Nothing is sent here.

use crate::clients::aws::Caller;
use crate::clients::egress::Egress;
use crate::clients::http::{ClientCertificate, Proxy, Transport};
use crate::clients::registry::{Bounds, Credentials, HostSettings, docker_config};
use crate::config::{ClientCert, Config, Login, ProxySettings, RegistrySettings, Secret, SecretError, SecretSource};
use crate::model::Provider;
use reqwest::Url;
use secrecy::{ExposeSecret as _, SecretString};
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// How the registry at a host is spoken to, as the configuration and what it names are at the time of the call.
pub fn registry_settings(
    config: watch::Receiver<Arc<Config>>,
) -> impl Fn(&str) -> HostSettings + Send + Sync + 'static {
    let docker = docker_config(|name| std::env::var_os(name));
    let callers: Mutex<HashMap<Option<String>, Caller>> = Mutex::default();
    move |host| {
        let settings = config.borrow().registries.of(host).cloned().unwrap_or_default();
        let provider = settings.provider.unwrap_or_else(|| Provider::of_host(host));
        let pull = match (&settings.pull, &settings.docker_config, provider) {
            (Some(login), _, _) => credentials(login),
            (None, Some(config), _) => pull_secret(config),
            (None, None, Provider::Ecr) => Credentials::Amazon,
            (None, None, _) => docker.clone().map_or(Credentials::Anonymous, |file| Credentials::Docker { file }),
        };
        // Who was named to read was not named to push.
        let is_named = settings.pull.is_some() || settings.docker_config.is_some();
        let push = settings.push.as_ref().map(credentials).or_else(|| (!is_named).then(|| pull.clone()));
        let amazon = (provider == Provider::Ecr).then(|| {
            let mut callers = callers.lock().unwrap_or_else(PoisonError::into_inner);
            let caller = callers.entry(settings.assume_role.clone());
            caller.or_insert_with_key(|role| Caller::of_chain(role.clone())).clone()
        });
        let (endpoint, transport) = (settings.endpoint_url.clone(), transport(&settings));
        HostSettings { provider, amazon, endpoint, transport, pull, push }
    }
}

/// What bounds the requests to the registry at a host: what the configuration names may be anywhere, what only policies
/// name may be where `egress` says.
pub(in crate::daemon) fn registry_bounds(
    config: watch::Receiver<Arc<Config>>,
    egress: Arc<Egress>,
) -> impl Fn(&str) -> Bounds + Send + Sync + 'static {
    move |host| {
        // Nobody but the cloud itself says where its registries are, and inside of it they are often at private addresses.
        let is_of_cloud = matches!(Provider::of_host(host), Provider::Ecr | Provider::Gar | Provider::Acr);
        let is_named = is_of_cloud || config.borrow().registries.names(host);
        let config = config.clone();
        Bounds {
            egress: (!is_named).then(|| egress.clone()),
            names: Arc::new(move |realm| names(&config.borrow(), realm)),
        }
    }
}

/// Whether the configuration names a host (with its port): as a registry, or as its GitLab.
fn names(config: &Config, host: &str) -> bool {
    let gitlab = config.gitlab.as_ref().and_then(|gitlab| Url::parse(&gitlab.url).ok());
    let name = host.split(':').next().unwrap_or(host);
    config.registries.names(host) || gitlab.is_some_and(|url| url.host_str() == Some(name))
}

fn credentials(login: &Login) -> Credentials {
    match login.password.read() {
        Ok(password) => Credentials::Basic { username: login.username.clone(), password },
        Err(error) => Credentials::Unreadable { why: error.to_string() },
    }
}

fn pull_secret(secret: &Secret) -> Credentials {
    let whose = match secret.source() {
        SecretSource::Env(name) => format!("the variable {name}"),
        SecretSource::File(path) => path.display().to_string(),
    };
    match secret.read() {
        Ok(config) => Credentials::DockerConfig { config, whose },
        Err(error) => Credentials::Unreadable { why: error.to_string() },
    }
}

fn transport(settings: &RegistrySettings) -> Transport {
    let read = || -> Result<Transport, SecretError> {
        Ok(Transport {
            ca: settings.ca.as_ref().map(pem).transpose()?.into_iter().collect(),
            client_certificate: settings.client_cert.as_ref().map(client_certificate).transpose()?,
            proxy: settings.proxy.as_ref().map_or(Ok(Proxy::Environment), proxy)?,
            ..Transport::default()
        })
    };
    let usual =
        read().unwrap_or_else(|error| Transport { unreadable: Some(error.to_string()), ..Transport::default() });
    let requests_per_second = settings.requests_per_second.unwrap_or(usual.requests_per_second);
    // Who names a rate wants it to be kept at first, too.
    let requests_at_first = settings.requests_per_second.map_or(usual.requests_at_first, NonZeroU32::get);
    let timeout = settings.timeout.unwrap_or(usual.timeout);
    Transport { plain_http: settings.plain_http, requests_per_second, requests_at_first, timeout, ..usual }
}

fn client_certificate(settings: &ClientCert) -> Result<ClientCertificate, SecretError> {
    Ok(ClientCertificate { chain: pem(&settings.cert)?, key: settings.key.read()? })
}

fn proxy(settings: &ProxySettings) -> Result<Proxy, SecretError> {
    Ok(match settings {
        ProxySettings::Direct => Proxy::Direct,
        ProxySettings::At(url) => Proxy::At(SecretString::from(url.as_str())),
        ProxySettings::Secret(secret) => Proxy::At(secret.read()?),
    })
}

/// Certificates from where they are found.
pub(in crate::daemon) fn pem(secret: &Secret) -> Result<Vec<u8>, SecretError> {
    secret.read().map(|pem| pem.expose_secret().as_bytes().to_vec())
}
