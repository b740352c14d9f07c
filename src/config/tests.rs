//! What comes out of whole files, and what is said of those that are wrong.

mod bounds;
mod broken;
mod configured;
mod garbled;
mod mistakes;
mod sound;
mod together;

use super::*;
use crate::model::policy::PolicyOrigin;

/// A configuration that bounds nothing.
const CONFIG: &str = r#"
repositories:
  default: { url: "https://gitlab.example.com/group/deploys.git", policies: policies/, token: { env: GIT_TOKEN }, may: { branches: ["**"] } }
  other: { url: "https://gitlab.example.com/group/other.git", policies: policies/ }
gitlab: { url: "https://gitlab.example.com", token: { file: /run/secrets/gitlab } }
registries: { "*": {} }
"#;

/// A policy to which a test adds one key: three lines, so that the test's own begin on line 4.
const HEAD: &str = "apiVersion: tagrelay/v1\nname: shop\nimages: [reg.io/shop]\n";
/// An environment with which nothing is wrong.
const DEV: &str = "environments: [{ name: dev, select: { newest: pushed }, write: [{ kustomize: dev }] }]\n";

fn read(text: &str) -> Result<Config, Diagnostics> {
    load(Path::new("tagrelay.yaml"), &|_| Ok(text.to_owned()))
}

fn config(text: &str) -> Config {
    read(text).unwrap_or_else(|errors| panic!("{}", errors.render(false)))
}

fn origin(path: &str) -> PolicyOrigin {
    PolicyOrigin { repository: Some("default".to_owned()), path: format!("policies/{path}") }
}

/// Each error as `line:column message | help`.
fn lines(diagnostics: &Diagnostics) -> Vec<String> {
    let help = |d: &Diagnostic| d.help.as_ref().map(|help| format!(" | {help}")).unwrap_or_default();
    diagnostics.iter().map(|d| format!("{}:{} {}{}", d.line, d.column, d.message, help(d))).collect()
}

/// Each error as `line [what is marked] message | help`.
fn marked(text: &str, diagnostics: &Diagnostics) -> Vec<String> {
    let mark = |(line, d): (String, &Diagnostic)| {
        let (_, message) = line.split_once(' ').expect("message");
        format!("{} [{}] {message}", d.line, &text[d.span.clone()])
    };
    lines(diagnostics).into_iter().zip(diagnostics.iter()).map(mark).collect()
}

fn loaded(configuration: &str, files: &[(&str, &str)]) -> Loaded {
    let files: Vec<_> = files.iter().map(|(path, text)| (origin(path), (*text).to_owned())).collect();
    policies(&config(configuration), &files)
}

/// What is said of one policy, by what is marked.
fn errors(text: &str) -> Vec<String> {
    errors_under(CONFIG, text)
}

fn errors_under(configuration: &str, text: &str) -> Vec<String> {
    let broken = loaded(configuration, &[("shop.yaml", text)]).broken;
    broken.iter().flat_map(|broken| marked(text, &broken.diagnostics)).collect()
}

/// A policy with nothing wrong.
fn sound(text: &str) -> crate::model::Policy {
    let mut loaded = loaded(CONFIG, &[("shop.yaml", text)]);
    assert!(loaded.broken.is_empty(), "{}", loaded.broken[0].diagnostics.render(false));
    loaded.policies.remove(0)
}
