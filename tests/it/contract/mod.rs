//! Contract tests: the same functions on the sandbox and on real servers, so that the sandbox stays honest.

#[cfg(feature = "sandbox")]
mod git;
#[cfg(feature = "sandbox")]
mod git_world;
#[cfg(feature = "sandbox")]
mod gitlab;
mod gitlab_openapi;
mod judged;
pub(crate) mod proxy;
mod registry;
mod registry_copy;
mod registry_credentials;
mod registry_ecr;
mod registry_faults;
mod registry_keep;
mod registry_met;
mod registry_times;
mod registry_tls;
mod sqs;
mod webhooks;

use tagrelay::clients::registry::{Registry, RegistryError};
use tagrelay::model::Repository;

/// The address of a real server, or none where the tests on it are skipped.
///
/// A server is named by an environment variable; `TAGRELAY_REAL=required` makes a missing one a failure.
#[expect(clippy::print_stdout, reason = "a skipped test is named to whoever reads the output")]
fn real(test: &str, variable: &str) -> Option<String> {
    let named = std::env::var_os(variable).map(|value| value.into_string().expect("UTF-8"));
    if named.is_none() {
        let required = std::env::var_os("TAGRELAY_REAL").is_some_and(|value| value == "required");
        assert!(!required, "{test}: TAGRELAY_REAL=required, and {variable} is not set");
        println!("skipped: {test} ({variable} is not set)");
    }
    named
}

/// The tags that a registry lists, by name.
async fn tags(registry: &Registry, repository: &Repository) -> Result<Vec<String>, RegistryError> {
    let listing = registry.list(repository, false, None).await?.expect("a first list is new");
    Ok(listing.tags.iter().map(|tag| tag.to_string()).collect())
}
