//! The files of the user: text to typed values, every error at once with file, line and caret.
//!
//! The flow is `tree` (YAML, nothing known of its meaning), `wire` (the keys of the contract), then the modules named
//! after what they make. Nothing here is watched or fetched: whoever calls brings the text.

mod allowance;
mod bounds;
mod carry;
mod cases;
mod chain;
mod dates;
mod deliver;
mod diagnostic;
mod environment;
mod follow;
mod gates;
mod glob;
mod hints;
mod nearest;
pub(crate) use nearest::nearest;
mod owners;
mod pattern;
mod place;
mod policies;
mod policy;
mod policy_files;
mod project;
mod read;
mod reload;
mod require;
mod scalar;
mod schema;
mod secrets;
mod select;
mod settings;
mod template;
#[cfg(test)]
mod tests;
mod tree;
mod unbuilt;
mod wire;

pub use bounds::OutOfBounds;
pub use cases::{Case, CaseFile, Expect};
pub use diagnostic::{Diagnostic, Diagnostics};
pub use glob::Glob;
pub use owners::{Owner, Owners};
pub use pattern::pattern;
pub use policies::{Loaded, policies, policies_among};
pub use policy::Broken;
pub use policy_files::PolicyNames;
pub use reload::{Reloaded, reload};
pub use schema::{NAME, ORDER};
pub use secrets::{Secret, SecretError, SecretSource};
pub use settings::{
    Access, Act, ByName, ClientCert, Config, Egress, GitlabSettings, GoogleAccount, JournalSettings, Limits, Login,
    May, Mode, ProxySettings, QueueSettings, ReadAccess, Registries, RegistrySettings, RepositorySettings,
    ServerSettings, Webhook,
};
pub use unbuilt::UNBUILT;

use diagnostic::{Hides, Problems};
use read::Read as _;
use serde_json::Value;
use std::io;
use std::path::Path;

/// Reads the configuration.
///
/// # Errors
/// Everything that is wrong with the file, or that it cannot be read.
pub fn load(path: &Path, read_file: &dyn Fn(&Path) -> io::Result<String>) -> Result<Config, Diagnostics> {
    let file = path.display().to_string();
    let text = read_file(path).map_err(|error| {
        let mut problems = Problems::of(&file, "", Hides::Secrets);
        let why = format!("the configuration cannot be read: {error}");
        problems.add_with_help(&(0..0), why, "name the file with `--config FILE` or TAGRELAY_CONFIG");
        problems.finish()
    })?;
    let mut problems = Problems::of(&file, &text, Hides::Secrets);
    let config = match tree::parse(&text) {
        Ok(node) => settings::read(&node, &mut problems),
        Err(error) => {
            // What is no YAML cannot be told from a secret, so that none of it is drawn.
            problems.hide(&(0..text.len()));
            problems.not_yaml(error, &text);
            None
        }
    };
    config.ok_or_else(|| problems.finish())
}

/// The JSON Schema of policy files.
#[must_use]
pub fn policy_schema() -> Value {
    titled(policy_form(), "tagrelay policy")
}

/// The JSON Schema of the configuration.
#[must_use]
pub fn config_schema() -> Value {
    titled(config_form(), "tagrelay configuration")
}

/// The schema of policy files with the names of its forms (`x-name`) and the order of their keys (`x-order`).
#[must_use]
pub fn policy_form() -> Value {
    wire::policy::PolicyForm::schema()
}

/// The schema of the configuration with the names of its forms (`x-name`) and the order of their keys (`x-order`).
#[must_use]
pub fn config_form() -> Value {
    wire::config::ConfigForm::schema()
}

fn titled(schema: Value, title: &str) -> Value {
    let mut schema = schema::plain(schema);
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = title.into();
    schema
}
