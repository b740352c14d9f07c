//! How long a copy between two registries takes, and how much memory: `cargo bench --bench copy` with
//! `TAGRELAY_REAL_REGISTRY` and `TAGRELAY_REAL_REGISTRY_2` set as for the contract tests, and the image of the first as the
//! argument: `cargo bench --bench copy -- bench/large sha256:...`.
//!
//! It does not start registries, and pushes nothing but the copy.

#![expect(clippy::print_stdout, reason = "a measurement is printed")]

use reqwest::Url;
use std::time::Instant;
use tagrelay::clients::http::{Transport, uncounted};
use tagrelay::clients::registry::{Carriage, Credentials, HostSettings, Registry};
use tagrelay::model::{Build, BuildFacts, Digest, ImageName, Provider, Release, Repository, Tag};

#[path = "../tests/it/contract/judged.rs"]
mod judged;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let (Some(path), Some(digest)) = (arguments.next(), arguments.next()) else {
        println!("skipped: copy (no image is named)");
        return;
    };
    let named = |variable| std::env::var_os(variable).and_then(|url| Url::parse(&url.into_string().ok()?).ok());
    let (Some(one), Some(other)) = (named("TAGRELAY_REAL_REGISTRY"), named("TAGRELAY_REAL_REGISTRY_2")) else {
        println!("skipped: copy (TAGRELAY_REAL_REGISTRY and TAGRELAY_REAL_REGISTRY_2 are not set)");
        return;
    };
    let image = ImageName::parse("shop").expect("a name");
    let from = Repository::parse(&format!("{}/{path}", host(&one))).expect("a repository");
    let to = format!("{}/{path}-{}", host(&other), std::process::id());
    let carriage =
        Carriage { image: image.clone(), from, to: Repository::parse(&to).expect("a repository"), tag: None };
    let tag = Tag::parse("1.0").expect("a tag");
    let build = Build { tag, digest: Digest::parse(&digest).expect("a digest"), facts: BuildFacts::default().into() };
    let registry = Registry::new(move |host| settings(host, &[&one, &other]), uncounted());
    let cleared = judged::judged(&Release::new([(image, build)].into()));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let begun = Instant::now();
    let copied = runtime.block_on(registry.copy(&cleared, &carriage)).expect("copied");
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("VmHWM unknown");
    println!("{copied:?} in {:?}, {peak}", begun.elapsed());
}

fn host(url: &Url) -> String {
    format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(80))
}

fn settings(asked: &str, known: &[&Url]) -> HostSettings {
    let url = known.iter().find(|url| host(url) == asked);
    let credentials = match url.and_then(|url| Some((url.username(), url.password()?))) {
        Some((user, password)) => Credentials::Basic { username: user.to_owned(), password: password.into() },
        None => Credentials::Anonymous,
    };
    let transport = Transport { plain_http: true, ..Transport::default() };
    HostSettings {
        provider: Provider::Distribution,
        amazon: None,
        endpoint: None,
        transport,
        pull: credentials.clone(),
        push: Some(credentials),
    }
}
