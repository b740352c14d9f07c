//! The only reader of secrets: from an environment variable or a file, when they are used, never from the text of a
//! configuration.
//!
//! A secret is not printed by anything here, not even by `Debug`.

use super::diagnostic::Problems;
use super::read::Presence::Optional;
use super::read::{Form as _, Read, form, hide_all};
use super::tree::{Kind, Node};
use secrecy::SecretString;
use serde_json::{Value, json};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// The longest secret: a bundle of CA certificates is the largest thing that is read here.
const SECRET_BYTES_MAX: u64 = 1 << 20;

/// Where a secret is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// In this environment variable of the process.
    Env(String),
    /// In this file, less the line end after it.
    File(PathBuf),
}

/// A secret that is read when it is used; a file again when it changed. Clones share what was read.
#[derive(Clone)]
pub struct Secret {
    source: SecretSource,
    kept: Arc<Mutex<Option<Kept>>>,
}

/// What a file held, and what it looked like then.
struct Kept {
    modified: Option<SystemTime>,
    length: u64,
    secret: SecretString,
}

/// Why a secret could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The variable is not set, or empty.
    #[error("the environment variable {0}, which the configuration names for a secret, is not set: set it and restart")]
    Unset(String),
    /// The file cannot be read.
    #[error("the secret file {path} cannot be read: {why}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system said.
        why: String,
    },
    /// The file holds nothing that can be used.
    #[error("the secret file {0} is empty, larger than 1 MiB, or no UTF-8 text")]
    Unusable(String),
}

impl Secret {
    /// A secret found there.
    #[must_use]
    pub fn new(source: SecretSource) -> Self {
        Self { source, kept: Arc::default() }
    }

    /// Where it is found.
    #[must_use]
    pub fn source(&self) -> &SecretSource {
        &self.source
    }

    /// The secret as it is now.
    ///
    /// # Errors
    /// When the variable is unset or the file cannot be used; the error names them and nothing of the content.
    pub fn read(&self) -> Result<SecretString, SecretError> {
        match &self.source {
            SecretSource::Env(name) => read_variable(name),
            SecretSource::File(path) => self.read_file(path),
        }
    }

    fn read_file(&self, path: &Path) -> Result<SecretString, SecretError> {
        let shown = || crate::model::text::shown(&path.display().to_string());
        let unreadable = |error: std::io::Error| SecretError::Unreadable { path: shown(), why: error.to_string() };
        let mut file = fs::File::open(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        let (modified, length) = (metadata.modified().ok(), metadata.len());
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) =
            kept.as_ref().filter(|k| k.modified.is_some() && k.modified == modified && k.length == length)
        {
            return Ok(kept.secret.clone());
        }
        let mut bytes = Vec::new();
        (&mut file).take(SECRET_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        let text = String::from_utf8(bytes).ok().filter(|text| text.len() as u64 <= SECRET_BYTES_MAX);
        let text = text.map(|text| text.trim_end_matches(['\n', '\r']).to_owned()).filter(|text| !text.is_empty());
        let secret = SecretString::from(text.ok_or_else(|| SecretError::Unusable(shown()))?);
        *kept = Some(Kept { modified, length, secret: secret.clone() });
        Ok(secret)
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place where secrets are read from the environment")]
fn read_variable(name: &str) -> Result<SecretString, SecretError> {
    let value = std::env::var(name).ok().filter(|value| !value.is_empty());
    value.map(SecretString::from).ok_or_else(|| SecretError::Unset(crate::model::text::shown(name)))
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Secret").field(&self.source).finish()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

form! {
    /// Where a secret is found: exactly one of `env` and `file`.
    SecretForm("secret") {
        /// The environment variable that holds it.
        "env" env: String, Optional;
        /// The file that holds it; read again when it changes.
        "file" file: String, Optional;
    }
}

impl Read for Secret {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let help = "write `{ env: NAME }` or `{ file: /path/to/it }`";
        if matches!(node.kind, Kind::List(_)) {
            hide_all(node, problems);
            problems.add_with_help(&node.at, "a list of secrets is not built yet", format!("name one: {help}"));
            return None;
        }
        if !matches!(node.kind, Kind::Map(_)) {
            hide_all(node, problems);
            problems.add_with_help(&node.at, "a secret does not stand in the configuration", help);
            return None;
        }
        let form = SecretForm::read(node, problems)?;
        let is_unread = form.is_unread();
        match (form.env.take(), form.file.take()) {
            (Some(name), None) => Some(Self::new(SecretSource::Env(name))),
            (None, Some(path)) => Some(Self::new(SecretSource::File(path.into()))),
            (None, None) if is_unread => None,
            _ => {
                problems.add_with_help(&node.at, "a secret is found in exactly one place", help);
                None
            }
        }
    }

    fn schema() -> Value {
        let mut schema = SecretForm::schema();
        schema["oneOf"] = json!([{ "required": ["env"] }, { "required": ["file"] }]);
        schema
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    fn in_file(path: &Path) -> Secret {
        Secret::new(SecretSource::File(path.to_owned()))
    }

    #[test]
    fn a_file_is_read_again_when_it_changes() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("token");
        let secret = in_file(&path);
        assert!(matches!(secret.read(), Err(SecretError::Unreadable { .. })));
        for (content, read) in [("first\n", "first"), ("second, longer\r\n", "second, longer"), (" kept ", " kept ")] {
            fs::write(&path, content).expect("write");
            assert_eq!(secret.read().expect("read").expose_secret(), read);
            assert_eq!(secret.clone().read().expect("read").expose_secret(), read);
        }
        for content in [&b"\n"[..], b"", &[0xff, 0xfe, 0xfd]] {
            fs::write(&path, content).expect("write");
            assert!(matches!(in_file(&path).read(), Err(SecretError::Unusable(_))));
        }
    }

    #[test]
    fn a_secret_is_not_printed() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("token");
        fs::write(&path, "hunter2").expect("write");
        let secret = in_file(&path);
        secret.read().expect("read");
        assert!(!format!("{secret:?}").contains("hunter2"));
    }

    #[test]
    fn a_variable_that_is_not_set_is_named() {
        let secret = Secret::new(SecretSource::Env("TAGRELAY_TEST_NO_SUCH_VARIABLE".to_owned()));
        let error = secret.read().map(|_| ()).expect_err("unset");
        assert!(error.to_string().contains("TAGRELAY_TEST_NO_SUCH_VARIABLE"));
    }
}
