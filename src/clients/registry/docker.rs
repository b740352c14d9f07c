//! Docker's configuration of logins: config.json, an image pull secret (`.dockerconfigjson`), the older `.dockercfg`.
//!
//! It reads text and says what is named there. It reads no file, and runs no helper.

use super::credentials::Proof;
use crate::model::Repository;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Docker's own name for Docker Hub in its configuration.
const HUB_SERVER: &str = "https://index.docker.io/v1/";
/// The names that Docker Hub's registry has had.
const HUB_HOSTS: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];
/// `user:password` as docker writes it; others leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What is named for a repository.
#[derive(Debug)]
pub(super) enum Named {
    /// Nothing.
    Nothing,
    /// A login that stands there.
    Login(Proof),
    /// A helper to ask for a server: `docker-credential-` and this name.
    Helper {
        /// The name.
        name: String,
        /// The server.
        server: String,
    },
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    auths: Option<BTreeMap<String, Entry>>,
    cred_helpers: Option<BTreeMap<String, String>>,
    creds_store: Option<String>,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

#[derive(Default, Deserialize)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

/// What docker's configuration names for a repository: under the longest prefix of it that is a key there
/// (containers-auth.json(5)), and with a helper before a login.
///
/// # Errors
/// When it cannot be read; the text holds nothing of it but keys.
pub(super) fn named(config: &[u8], of: &Repository) -> Result<Named, String> {
    let file = read(config)?;
    let (auths, helpers) = (by_scope(file.auths), by_scope(file.cred_helpers));
    let store = file.creds_store.filter(|name| !name.is_empty());
    let whole = scope(&of.to_string());
    let mut listed = None;
    let mut prefix = Some(whole.as_str());
    while let Some(scope) = prefix {
        if let Some((server, name)) = helpers.get(scope).filter(|(_, name)| !name.is_empty()) {
            return Ok(Named::Helper { name: name.clone(), server: server.clone() });
        }
        if let Some((key, entry)) = auths.get(scope) {
            if let Some(proof) = entry.proof().map_err(|why| format!("`{}`: {why}", crate::model::text::shown(key)))? {
                return Ok(Named::Login(proof));
            }
            // What has no login here has it in the store, which is asked by the same key.
            listed = listed.or(Some(key));
        }
        prefix = scope.rsplit_once('/').map(|(shorter, _)| shorter);
    }
    let host = if HUB_HOSTS.contains(&of.host()) { HUB_SERVER } else { of.host() };
    let server = || listed.map_or(host, String::as_str).to_owned();
    Ok(store.map_or(Named::Nothing, |name| Named::Helper { name, server: server() }))
}

fn read(config: &[u8]) -> Result<File, String> {
    // The parser's own words may hold what stands there.
    let told = |error: serde_json::Error| {
        format!("is no docker configuration (line {}, column {})", error.line(), error.column())
    };
    let mut file: File = serde_json::from_slice(config).map_err(told)?;
    if file.auths.is_none() && file.cred_helpers.is_none() && file.creds_store.is_none() {
        let entry = |(key, value): (String, Value)| Some((key, serde_json::from_value(value).ok()?));
        file.auths = Some(std::mem::take(&mut file.others).into_iter().filter_map(entry).collect());
    }
    Ok(file)
}

/// Entries by what they are good for, each with its key as it is written; a key that is written plainly wins.
fn by_scope<T>(entries: Option<BTreeMap<String, T>>) -> BTreeMap<String, (String, T)> {
    let mut found = BTreeMap::new();
    for (key, value) in entries.unwrap_or_default() {
        let scope = scope(&key);
        if key == scope || key == HUB_SERVER || !found.contains_key(&scope) {
            found.insert(scope, (key, value));
        }
    }
    found
}

/// What a key is good for: host and path, without the scheme and API version that older docker wrote.
fn scope(key: &str) -> String {
    let bare = ["https://", "http://"].iter().find_map(|scheme| key.strip_prefix(scheme)).map(|rest| {
        let rest = rest.trim_end_matches('/');
        ["/v1", "/v2"].iter().find_map(|version| rest.strip_suffix(version)).unwrap_or(rest)
    });
    let bare = bare.unwrap_or(key);
    let (host, path) = bare.split_at(bare.find('/').unwrap_or(bare.len()));
    if HUB_HOSTS.contains(&host) { format!("docker.io{path}") } else { bare.to_owned() }
}

impl Entry {
    fn proof(&self) -> Result<Option<Proof>, &'static str> {
        let written = |field: &Option<String>| field.clone().filter(|text| !text.is_empty());
        if let Some(token) = written(&self.identitytoken) {
            return Ok(Some(Proof::Identity(token.into())));
        }
        if let Some(auth) = written(&self.auth) {
            let decoded = BASE64.decode(auth).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let wrong = "its `auth` is no base64 of a user, a colon and a password";
            let decoded = decoded.ok_or(wrong)?;
            let (user, password) = decoded.split_once(':').ok_or(wrong)?;
            return Ok(Some(Proof::Password(user.to_owned(), password.trim_matches('\0').into())));
        }
        let both = written(&self.username).zip(written(&self.password));
        Ok(both.map(|(user, password)| Proof::Password(user, password.into())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    const CONFIG: &str = r#"{
        "auths": {
            "reg.io": { "auth": "aG9zdDpwdw==" },
            "https://reg.io/v2/": { "username": "scheme", "password": "pw" },
            "reg.io/team": { "username": "team", "password": "pw", "email": "team@reg.io" },
            "reg.io/team/app": { "auth": "MDAwMDo=", "identitytoken": "t-1" },
            "reg.io/team/app/deep": {},
            "https://old.io/v1/": { "auth": "b2xkOnB3" },
            "https://index.docker.io/v1/": { "auth": "aHViOnB3" },
            "docker.io/team": { "auth": "dGVhbTpwdw" },
            "broken.io": { "auth": "%%%" }
        },
        "credHelpers": { "helped.io": "ecr-login", "public.ecr.aws": "" }
    }"#;

    fn shown(config: &str, repository: &str) -> String {
        let repository = Repository::parse(repository).expect("a repository");
        match named(config.as_bytes(), &repository) {
            Ok(Named::Nothing) => "nothing".to_owned(),
            Ok(Named::Login(Proof::Nothing)) => panic!("a login that proves nothing"),
            Ok(Named::Login(Proof::Password(user, password))) => format!("{user}:{}", password.expose_secret()),
            Ok(Named::Login(Proof::Identity(token))) => format!("token {}", token.expose_secret()),
            Ok(Named::Helper { name, server }) => format!("{name} for {server}"),
            Err(why) => why,
        }
    }

    #[test]
    fn the_longest_key_names_the_login() {
        let check = |repository, expected: &str| assert_eq!(shown(CONFIG, repository), expected, "{repository}");
        check("reg.io/other", "host:pw");
        check("reg.io/teams/app", "host:pw");
        check("reg.io/team", "team:pw");
        check("reg.io/team/web", "team:pw");
        check("reg.io/team/app", "token t-1");
        check("reg.io/team/app/deep", "token t-1");
        check("old.io/v1/app", "old:pw");
        check("alpine", "hub:pw");
        check("team/app", "team:pw");
        check("helped.io/a", "ecr-login for helped.io");
        check("public.ecr.aws/a", "nothing");
        check("elsewhere.io/a", "nothing");
        check("broken.io/a", "`broken.io`: its `auth` is no base64 of a user, a colon and a password");
    }

    #[test]
    fn a_store_is_asked_for_what_is_not_written_out() {
        let config = r#"{ "auths": { "reg.io/team": {}, "own.io": { "auth": "YTpi" } }, "credsStore": "pass" }"#;
        let check = |repository, expected: &str| assert_eq!(shown(config, repository), expected, "{repository}");
        check("reg.io/team/app", "pass for reg.io/team");
        check("reg.io/app", "pass for reg.io");
        check("alpine", "pass for https://index.docker.io/v1/");
        check("own.io/app", "a:b");
    }

    #[test]
    fn the_older_file_has_the_keys_at_the_top() {
        let config = r#"{ "reg.io": { "auth": "YTpi", "email": "a@b" }, "https://reg.io/team": { "username": "t", "password": "pw" } }"#;
        assert_eq!(shown(config, "reg.io/app"), "a:b");
        assert_eq!(shown(config, "reg.io/team/app"), "t:pw");
        assert_eq!(shown(r#"{ "HttpHeaders": { "User-Agent": "x" }, "detachKeys": "a" }"#, "reg.io/app"), "nothing");
    }

    #[test]
    fn what_is_no_configuration_is_not_shown() {
        assert_eq!(shown("{", "reg.io/a"), "is no docker configuration (line 1, column 1)");
        let number = r#"{ "auths": { "reg.io": { "username": "a", "password": 424242 } } }"#;
        assert!(!shown(number, "reg.io/a").contains("4242"), "{}", shown(number, "reg.io/a"));
    }
}
