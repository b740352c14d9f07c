//! Contract tests: the same functions on the sandbox and on real servers, so that the sandbox stays honest.

#[cfg(feature = "sandbox")]
mod git;
#[cfg(feature = "sandbox")]
mod git_world;
#[cfg(feature = "sandbox")]
mod gitlab;
mod gitlab_openapi;
mod registry;
mod registry_copy;
mod registry_faults;
mod webhooks;

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
