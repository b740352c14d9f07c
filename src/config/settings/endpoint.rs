//! Where a provider's own API answers, as an entry of the configuration names it.
//!
//! Nothing is asked there yet, and no name is resolved.

use super::read::checked_url;
use crate::config::diagnostic::Problems;
use crate::config::read::{At, Field};
use crate::model::Provider;
use reqwest::Url;

/// What is put for `*` in a pattern of hosts: it can be an account of Amazon's as well as a region.
const ANY: &str = "000000000000";

/// Where an API answers. It may have a path; what follows one would go along with no request.
pub(super) fn checked_endpoint(url: &At<String>, plain_http: bool, problems: &mut Problems) -> Option<Url> {
    let checked = checked_url(url, plain_http, &["https"], problems)?;
    if checked.contains(['?', '#']) {
        problems.add_with_help(&url.at, "where an API answers has no query or fragment", "end it before `?` or `#`");
        return None;
    }
    let parsed = Url::parse(&checked);
    if let Err(error) = &parsed {
        let help = "write it as in `https://api.example.com` or `https://api.example.com:8443`";
        problems.add_with_help(&url.at, format!("this is no address: {error}"), help);
    }
    parsed.ok()
}

/// The address of the API beside the registry of an entry, where its provider has one that can be elsewhere.
pub(super) fn endpoint_beside(
    url: &Field<String>,
    host: &str,
    provider: &Field<Provider>,
    plain_http: bool,
    problems: &mut Problems,
) -> Option<Url> {
    let url = url.get()?;
    let endpoint = checked_endpoint(url, plain_http, problems)?;
    match provider_of(host, provider)? {
        Provider::Ecr if endpoint.path() != "/" => {
            let help = "leave the path out; a proxy gives the API of ECR a host name of its own";
            problems.add_with_help(&url.at, "ECR's API is asked at a host, not below a path of one", help);
        }
        Provider::Ecr | Provider::Dockerhub | Provider::Ghcr | Provider::Harbor | Provider::Quay => {}
        Provider::Acr | Provider::Distribution | Provider::Gar | Provider::Gitlab => {
            let help = "leave `endpoint_url` out, or name the `provider` whose API that is: dockerhub, ecr, ghcr, \
                        harbor or quay";
            problems.add_with_help(
                &url.at,
                "nothing is asked there: the provider of this registry has no API beside it",
                help,
            );
        }
    }
    Some(endpoint)
}

/// Whose registry an entry is about, by what it says or else by its host, or by a pattern that has `*` for an account or a
/// region. None where it says something that cannot be read, or nobody can tell it of a pattern: each host that it matches
/// tells it when it is asked.
fn provider_of(host: &str, provider: &Field<Provider>) -> Option<Provider> {
    if !provider.is_absent() {
        return provider.value().copied();
    }
    let by_name = Provider::of_host(&host.to_ascii_lowercase().replace('*', ANY));
    let is_pattern = host.contains(['*', '?', '[', '{']);
    Some(by_name).filter(|provider| *provider != Provider::Distribution || !is_pattern)
}
