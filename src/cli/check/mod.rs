//! `tagrelay check`: policies, cases and configuration; every error at once, with file, line and caret.
//!
//! It needs no daemon and no network: what only the outside can tell (a branch, a label, an age) is taken as satisfied. Of the
//! files that policies write, those that lie in the current directory are looked at.

mod cases;
mod outlook;
mod targets;

use super::{Exit, Wrong, file, print};
use crate::config::{self, Case, CaseFile, Config, Diagnostic, Loaded, PolicyNames};
use crate::daemon::Clock;
use crate::model::policy::{Policy, PolicyOrigin};
use clap::Args;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where a configuration stands, if nobody says otherwise.
const CONFIGURATION: &str = "tagrelay.yaml";
/// The repository whose policies are meant, where several hold some.
const DEFAULT_REPOSITORY: &str = "default";
/// The configuration of somebody who has none yet: a repository to deliver to, a GitLab to tell, and no bounds.
const NO_CONFIGURATION: &str = "
repositories: { default: { url: 'https://git.example.com/deploys.git', policies: policies/, may: { branches: ['**'] } } }
registries: { '*': {} }
gitlab: { url: 'https://git.example.com', token: { env: GITLAB_TOKEN } }
";
/// The largest file that is read.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What to check.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// Policy files, or directories of them; cases are read beside them. Default where the configuration keeps them,
    /// without one `policies`.
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The configuration, which bounds what policies may do; default tagrelay.yaml where there is one.
    #[arg(long, value_name = "FILE", env = "TAGRELAY_CONFIG")]
    config: Option<PathBuf>,
    /// The repository of the configuration that these policies stand in; default the one that holds policies.
    #[arg(long, value_name = "NAME")]
    repository: Option<String>,
    /// Promised and not built yet.
    #[arg(long, value_name = "REV", hide = true)]
    against: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Check {
    /// Checks.
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        if self.against.is_some() {
            return Err(Wrong::because("`check --against` is not built yet"));
        }
        let mut found = Found::default();
        match self.configuration() {
            Ok(config) => {
                let Home { owner, folder, names } = self.home(&config)?;
                if self.paths.is_empty() && !folder.exists() {
                    return Ok(self.without_policies(&folder));
                }
                let paths = if self.paths.is_empty() { &[folder][..] } else { &self.paths };
                let files = files(paths, owner.as_deref(), &names)?;
                if files.is_empty() {
                    let below = paths.iter().map(|path| path.join("policies")).find(|path| path.is_dir());
                    let below = below.map(|path| format!("; is `tagrelay check {}` meant?", path.display()));
                    print::complain(&format!(
                        "no policy stands there (folders below it are not read): the names of policy files are {}{}",
                        names.in_words(),
                        below.unwrap_or_default()
                    ));
                    return Ok(Exit::Nothing);
                }
                let loaded = config::policies(&config, &files);
                let text_of = |policy: &Policy| {
                    let written = files.iter().find(|(origin, _)| *origin == policy.origin);
                    written.map(|(_, text)| text.clone()).unwrap_or_default()
                };
                found.outlook = outlook::outlook(&config, &loaded.policies, Clock::System.now(), text_of);
                found.unfit = targets::unfit(&config, &loaded.policies, owner.as_deref());
                found.take(&loaded);
            }
            Err(errors) => {
                found.errors.extend(errors.iter().cloned());
                found.unread = true;
            }
        }
        found.tell(self.json)
    }

    fn configuration(&self) -> Result<Config, config::Diagnostics> {
        let read = |path: &Path| file::read(path, FILE_BYTES_MAX).map_err(|error| io::Error::other(error.to_string()));
        match &self.config {
            Some(path) => config::load(path, &read),
            None if Path::new(CONFIGURATION).is_file() => config::load(Path::new(CONFIGURATION), &read),
            None => config::load(Path::new(CONFIGURATION), &|_| Ok(NO_CONFIGURATION.to_owned())),
        }
    }

    /// What is said where the folder of the policies is not here: the configuration was checked all the same.
    fn without_policies(&self, folder: &Path) -> Exit {
        let folder = folder.display();
        let has_configuration = self.config.is_some() || Path::new(CONFIGURATION).is_file();
        if has_configuration {
            print::complain(&format!(
                "nothing is wrong with the configuration. No policy was checked, for there is no folder {folder} here: run \
                 this where the policies lie, or name them (`tagrelay check PATH`)"
            ));
            return Exit::Done;
        }
        print::complain(&format!(
            "error: there is neither a configuration ({CONFIGURATION}) nor a folder {folder} here: name the policies \
             (`tagrelay check PATH`)"
        ));
        Exit::Wrong
    }

    /// Where the policies stand that are meant.
    fn home(&self, config: &Config) -> anyhow::Result<Home> {
        if let (Some(local), None) = (&config.policies, &self.repository) {
            return Ok(Home { owner: None, folder: local.clone(), names: config.policy_names.clone() });
        }
        let holders: BTreeMap<&str, (&str, &PolicyNames)> = config
            .repositories
            .iter()
            .filter_map(|(name, of)| Some((name.as_str(), (of.policies.as_deref()?, &of.policy_names))))
            .collect();
        let only = if holders.len() == 1 { holders.keys().next().copied() } else { None };
        let name = self.repository.as_deref().or(only).unwrap_or(DEFAULT_REPOSITORY);
        let Some((name, (folder, names))) = holders.get_key_value(name) else {
            let names: Vec<&str> = holders.keys().copied().collect();
            let names = names.join(", ");
            return Err(Wrong::because(format!("name the repository of these policies with --repository: {names}")));
        };
        let folder = if folder.is_empty() { "." } else { *folder };
        Ok(Home { owner: Some((*name).to_owned()), folder: folder.into(), names: (*names).clone() })
    }
}

/// Where policies stand.
struct Home {
    /// The repository that they belong to, whose bounds are theirs; a local directory has none.
    owner: Option<String>,
    folder: PathBuf,
    /// Which files there are some.
    names: PolicyNames,
}

/// The files that the paths name, each with its text: of a directory all, of a policy its cases too, of cases their policy.
fn files(paths: &[PathBuf], owner: Option<&str>, names: &PolicyNames) -> anyhow::Result<Vec<(PolicyOrigin, String)>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let unreadable = |error: io::Error| Wrong::because(format!("cannot read {}: {error}", path.display()));
            let is_policy = |file: &Path| file.file_name().is_some_and(|name| names.are(&name.to_string_lossy()));
            for entry in fs::read_dir(path).map_err(unreadable)? {
                files.push(entry.map_err(unreadable)?.path());
                files.pop_if(|file| !file.is_file() || !is_policy(file));
            }
        } else {
            files.push(path.clone());
            files.extend(beside(path).into_iter().filter(|beside| beside.is_file()));
        }
    }
    files.sort();
    files.dedup();
    let origin = |path: &Path| PolicyOrigin { repository: owner.map(str::to_owned), path: path.display().to_string() };
    files.iter().map(|path| Ok((origin(path), file::read(path, FILE_BYTES_MAX)?))).collect()
}

/// What belongs to a file: its cases, or the policy that they are cases of.
fn beside(file: &Path) -> Vec<PathBuf> {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let stem = name.strip_suffix(".yaml").or_else(|| name.strip_suffix(".yml")).unwrap_or(name);
    let endings = match stem.strip_suffix(".cases") {
        Some(policy) => [format!("{policy}.yaml"), format!("{policy}.yml")],
        None => [format!("{stem}.cases.yaml"), format!("{stem}.cases.yml")],
    };
    endings.iter().map(|name| file.with_file_name(name)).collect()
}

/// A case that comes out otherwise than it says.
struct FailedCase {
    file: String,
    line: usize,
    environment: String,
    expected: String,
    found: String,
}

/// What the check found.
#[derive(Default)]
struct Found {
    errors: Vec<Diagnostic>,
    failed: Vec<FailedCase>,
    unfit: Vec<targets::Unfit>,
    outlook: Vec<outlook::Outlook>,
    n_policies: usize,
    n_cases: usize,
    /// Whether the policies were left unread, for the configuration is broken.
    unread: bool,
}

impl Found {
    fn take(&mut self, loaded: &Loaded) {
        for file in &loaded.cases {
            let Some(policy) = loaded.policies.iter().find(|policy| policy.name == file.policy) else { continue };
            self.n_cases += file.cases.len();
            let failed = file.cases.iter().filter_map(|case| failed(&loaded.policies, policy, file, case));
            self.failed.extend(failed);
        }
        self.n_policies = loaded.policies.len();
        for file in &loaded.broken {
            self.errors.extend(file.diagnostics.iter().cloned().map(|mut error| {
                // A file on disk is named by its path alone, so that an editor finds it.
                error.file.clone_from(&file.origin.path);
                error
            }));
        }
    }

    fn tell(&self, json: bool) -> anyhow::Result<Exit> {
        let is_fine = self.errors.is_empty() && self.failed.is_empty() && self.unfit.is_empty();
        let is_fine = is_fine && !self.outlook.iter().any(|outlook| outlook.is_wrong);
        if json {
            print::json(&self.as_json())?;
        } else {
            for error in &self.errors {
                print::complain(&format!("{}\n\n", error.render(print::complains_in_colour())));
            }
            for FailedCase { file, line, environment, expected, found } in &self.failed {
                print::complain(&format!("{file}:{line}: {environment}: expected {expected}, found {found}"));
            }
            for targets::Unfit { file, environment, why } in &self.unfit {
                print::complain(&format!("{file}: {environment}: {why}"));
            }
            for outlook::Outlook { file, environment, message, is_wrong } in &self.outlook {
                let advice = if *is_wrong { "" } else { "advice: " };
                print::complain(&format!("{advice}{file}: {environment}: {message}"));
            }
            if self.unread {
                print::complain("the policies are read once the configuration can be");
            }
            if is_fine {
                let (policies, cases) =
                    (counted(self.n_policies, "policy", "policies"), counted(self.n_cases, "case", "cases"));
                print::line(&format!("{policies} and {cases}: nothing is wrong"))?;
            }
        }
        Ok(if is_fine { Exit::Done } else { Exit::Wrong })
    }

    fn as_json(&self) -> Value {
        let errors = self.errors.iter().map(|error| {
            json!({ "file": error.file, "line": error.line, "column": error.column, "message": error.message, "help": error.help })
        });
        let failed = self.failed.iter().map(|FailedCase { file, line, environment, expected, found }| {
            json!({ "file": file, "line": line, "environment": environment, "expected": expected, "found": found })
        });
        let unfit = self.unfit.iter().map(|targets::Unfit { file, environment, why }| {
            json!({ "file": file, "environment": environment, "message": why.to_string() })
        });
        let outlook = |is_wrong: bool| {
            let of_kind = self.outlook.iter().filter(move |outlook| outlook.is_wrong == is_wrong);
            let each = of_kind.map(|outlook| {
                json!({ "file": outlook.file, "environment": outlook.environment, "message": outlook.message })
            });
            each.collect::<Vec<_>>()
        };
        json!({
            "policies": self.n_policies,
            "cases": self.n_cases,
            "errors": errors.collect::<Vec<_>>(),
            "failed_cases": failed.collect::<Vec<_>>(),
            "unfit_targets": unfit.collect::<Vec<_>>(),
            "never": outlook(true),
            "advice": outlook(false),
        })
    }
}

fn failed(policies: &[Policy], policy: &Policy, file: &CaseFile, case: &Case) -> Option<FailedCase> {
    let found = cases::contradiction(policies, policy, case)?;
    let (environment, expected) = (case.environment.to_string(), cases::in_words(&case.expect));
    Some(FailedCase { file: file.origin.path.clone(), line: case.line, environment, expected, found })
}

fn counted(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}
