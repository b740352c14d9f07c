//! Templates of paths, branches and hosts, resolved at load; those that speak of a release are only tried here.
//!
//! The language itself is `relay::edit`'s, which renders the rest when there is a release to speak of.

use super::diagnostic::Problems;
use super::read::At;
use crate::relay::edit::template::{Template, TemplateError};
use crate::relay::edit::words::{Vocabulary, Words};

/// The text of a template that names nothing but policy, environment and images.
pub(crate) fn resolve(text: &str, words: &Words) -> Result<String, TemplateError> {
    Template::parse(text, Vocabulary::Place)?.render(words)
}

/// Whether the text of a template that names nothing but policy, environment and images uses this name.
pub(crate) fn uses(text: &str, name: &str) -> bool {
    Template::parse(text, Vocabulary::Place).is_ok_and(|template| template.uses(name))
}

/// The same of a value in a file; none where it was told of.
pub(crate) fn resolved(written: &At<String>, words: &Words, problems: &mut Problems) -> Option<String> {
    problems.check(&written.at, resolve(&written.value, words))
}

/// Tries a template out that is rendered later, with a release to speak of.
pub(crate) fn check(text: &str) -> Result<(), TemplateError> {
    Template::parse(text, Vocabulary::Release).map(drop)
}

/// Tries the template of a URL out and resolves its host (without the port), so that nothing a registry says chooses
/// where a request goes.
pub(crate) fn check_url(text: &str, words: &Words) -> Result<String, String> {
    check(text).map_err(|error| error.to_string())?;
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    if scheme != "http" && scheme != "https" {
        return Err("a URL begins with `https://` or `http://`".to_owned());
    }
    let host = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let host = resolve(host, words).map_err(|error| error.to_string())?;
    if host.is_empty() || host.contains(['@', ' ', '\\']) {
        return Err("a URL has a host, and no user or password in it".to_owned());
    }
    let without_port = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    Ok(without_port.map_or(host.as_str(), |(host, _)| host).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EnvironmentName, PolicyName};

    #[test]
    fn a_release_does_not_choose_the_host() {
        let (policy, environment) = (PolicyName::parse("shop"), EnvironmentName::parse("dev"));
        let words = Words::of_place(&policy.expect("name"), &environment.expect("name"), &[]);
        let url = "https://{{ environment }}.example.com:8443/{{ new.tag }}?x={{ release }}";
        assert_eq!(check_url(url, &words), Ok("dev.example.com".to_owned()));
        for wrong in [
            "https://{{ new.tag }}.example.com/",
            "https://{{ new.tag }}",
            "example.com",
            "https://",
            "https://u:p@example.com",
            "https://example.com\\@evil.example",
            "ftp://x",
            "https://example.com/{{ nothing }}",
        ] {
            assert!(check_url(wrong, &words).is_err(), "{wrong}");
        }
    }
}
