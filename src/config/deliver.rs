//! How a change reaches a repository: which one, which branch, with which message.

use super::bounds::allowed_are;
use super::diagnostic::Problems;
use super::environment::{Ground, whole};
use super::read::{At, listed};
use super::settings::RepositorySettings;
use super::template;
use super::wire::environment::DeliverForm;
use crate::model::EnvironmentName;
use crate::model::policy::Deliver;
use crate::relay::edit::words::Words;

/// The way that a form says; none where something is wrong.
pub(crate) fn deliver(
    form: &At<DeliverForm>,
    name: Option<&EnvironmentName>,
    words: &Words,
    ground: &Ground<'_>,
    problems: &mut Problems,
) -> Option<Deliver> {
    if let Some(message) = form.value.commit.value().and_then(|commit| commit.message.get()) {
        problems.check(&message.at, template::check(&message.value));
    }
    let branch = form.value.branch.get().map(|branch| {
        let resolved = template::resolved(branch, words, problems)?;
        problems.check(&branch.at, branch_name(&resolved))
    });
    let base = form.value.base.get().and_then(|base| problems.check(&base.at, branch_name(&base.value)));
    let (repository, settings) = repository(&form.value, ground, problems)?;
    form.value.mode.value()?;
    let branch = whole(branch)?.unwrap_or_else(|| settings.branch.clone());
    if let (Some(written), Some(name)) = (form.value.branch.get(), name) {
        branch_is_allowed(written, &branch, name, settings, ground, problems)?;
    }
    Some(Deliver { repository, branch, base: base?, message: form.value.commit.value()?.message.value().cloned() })
}

/// The repository that is written to: its name in the configuration, and what is set for it.
fn repository<'a>(
    form: &DeliverForm,
    ground: &'a Ground<'_>,
    problems: &mut Problems,
) -> Option<(String, &'a RepositorySettings)> {
    let At { value: written, at } = form.repository.get()?;
    let name = match (written.as_str(), &ground.origin.repository) {
        ("self", Some(own)) => own,
        ("self", None) => {
            problems
                .add(at, "`self` means the repository of the policy file, and this one stands in a local directory");
            return None;
        }
        _ => written,
    };
    let Some(settings) = ground.config.repositories.get(name) else {
        let known: Vec<&str> = ground.config.repositories.keys().map(String::as_str).collect();
        let name = crate::model::text::shown(name);
        let help = format!("its repositories: {}", listed(&known));
        problems.add_with_help(at, format!("the configuration has no repository `{name}`"), help);
        return None;
    };
    let is_own = ground.origin.repository.as_ref().is_none_or(|own| own == name);
    if !is_own && !ground.may().is_some_and(|may| may.repositories.contains(name)) {
        let message = format!("policies of this repository may not write to `{name}` (`may.repositories`)");
        problems.add_with_help(at, message, "write `repository: self` for the repository of the policy file");
        return None;
    }
    Some((name.clone(), settings))
}

/// Tells of a branch that policies of this repository may not write to; a policy of a local directory is not bounded.
fn branch_is_allowed(
    written: &At<String>,
    branch: &str,
    environment: &EnvironmentName,
    settings: &RepositorySettings,
    ground: &Ground<'_>,
    problems: &mut Problems,
) -> Option<()> {
    let Some(may) = ground.may() else { return Some(()) };
    let help = match &may.branches {
        Some(allowed) if allowed.iter().any(|glob| glob.matches(branch)) => return Some(()),
        Some(allowed) => allowed_are(allowed),
        None if branch == settings.branch || is_named_after(&written.value, branch, environment) => return Some(()),
        None => format!(
            "allowed by default: `{}`, and branches named after the environment, as in `env/{{{{ environment }}}}`",
            settings.branch
        ),
    };
    let branch = crate::model::text::shown(branch);
    let message = format!(
        "policies of this repository may not write to the branch `{branch}` (`may.branches` in the configuration)"
    );
    problems.add_with_help(&written.at, message, help);
    None
}

/// Whether a template names a branch after its environment: a condition on the environment around a fixed name does not.
fn is_named_after(written: &str, branch: &str, environment: &EnvironmentName) -> bool {
    template::uses(written, "environment") && branch.to_lowercase().contains(environment.as_str())
}

/// A name that git takes for a branch (git-check-ref-format).
fn branch_name(name: &str) -> Result<String, String> {
    let bad_character = |c: char| c.is_control() || " ~^:?*[\\".contains(c);
    let bad_segment = |s: &str| s.is_empty() || s.starts_with('.') || s.ends_with(".lock") || s.ends_with('.');
    let is_bad = name.contains(bad_character)
        || name.contains("..")
        || name.contains("@{")
        || name == "@"
        || name.starts_with('-')
        || name.split('/').any(bad_segment);
    if is_bad {
        Err(format!("`{}` is no name for a branch", crate::model::text::shown(name)))
    } else {
        Ok(name.to_owned())
    }
}
