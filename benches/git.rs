//! What a cycle on a large GitOps repository costs: `cargo bench --bench git`.
//!
//! 20 000 files of 2 KB behind `git http-backend` on this machine, so the server's work is part of every number. It
//! compares nothing and fails for no number.

#[expect(dead_code, reason = "the tests' remotes; the bench needs a part of them")]
#[path = "../tests/it/contract/git_world.rs"]
mod git_world;

use git_world::{World, author, ours};
use jiff::Timestamp;
use std::time::Instant;
use tagrelay::clients::git::Pushed;
use tagrelay::model::{EnvironmentName, OurCommit, PolicyName};

/// Files in the repository.
const FILES: usize = 20_000;

/// Updates that share one push.
const UPDATES: usize = 200;

/// Commits behind which ours stands.
const FOREIGN: usize = 400;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "a bench prints what it measured")]
async fn main() {
    let world = World::sandbox().await;
    let repository = world.repository().await;
    let files: Vec<(String, String)> = (0..FILES).map(file).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, content)| (path.as_str(), content.as_str())).collect();
    let base = repository.write("main", &[], &files, "Begin");
    let paths = ["app-7/env-3/values.yaml", "app-19/env-99/values.yaml"].map(str::to_owned);
    let trailers = "Tagrelay-Journal: j/1\nTagrelay-Policy: shop\nTagrelay-Environment: prod\n";
    let deployed = repository.write("main", &[&base], &[(&paths[0], "tag: v1\n")], &format!("Deploy\n\n{trailers}"));
    let top = repository.pile(&deployed, FOREIGN, "app-1/env-1/values.yaml");
    repository.git(&["gc", "-q"]);
    let mirror = repository.mirror("m");
    let disk = || -> u64 {
        let packs = std::fs::read_dir(repository.mirror_path("m").join("objects/pack")).expect("listed");
        packs.map(|entry| entry.expect("an entry").metadata().expect("a size").len()).sum::<u64>() / 1024
    };
    let mut begun = Instant::now();
    let mut lap = |what: &str| {
        println!("{what:<42} {:>7.1} ms  mirror {:>6} KiB", begun.elapsed().as_secs_f64() * 1e3, disk());
        begun = Instant::now();
    };
    assert_eq!(mirror.tip("main").await, Ok(Some(top.clone())));
    lap("tip, with the server's abilities");
    mirror.fetch("main", &top).await.expect("fetched");
    lap("first fetch");
    assert_eq!(mirror.read(&top, &paths).await.expect("read").len(), 2);
    lap("two contents");
    let (policy, environment) =
        (PolicyName::parse("shop").expect("a name"), EnvironmentName::parse("prod").expect("a name"));
    let found = mirror.search(&top, &paths, &policy, &environment, None).await.expect("searched");
    assert!(matches!(found.ours, OurCommit::Found(_)), "{found:?}");
    lap(&format!("search behind {FOREIGN} commits"));
    let commits = vec![ours(&[(paths[0].as_str(), Some("tag: v2\n"))], "Deploy")];
    let pushed = mirror.push("main", &top, commits, &author(), Timestamp::UNIX_EPOCH).await.expect("pushed");
    lap("commit and push");
    let Pushed::Done(pushed) = pushed else { return };
    mirror.tip("main").await.expect("asked");
    lap("nothing new: tip");
    let later = repository.write("main", &[&pushed[0]], &[(&paths[1], "tag: v3\n")], "foreign");
    lap("(the bench itself: somebody commits)");
    mirror.tip("main").await.expect("asked");
    mirror.fetch("main", &later).await.expect("fetched");
    mirror.read(&later, &paths).await.expect("read");
    lap("a foreign commit: tip, fetch, read");
    mirror.search(&later, &paths, &policy, &environment, Some(&top)).await.expect("searched");
    lap("search to the last tip");
    let updates = (0..UPDATES).map(|n| {
        let path = format!("app-{}/env-{}/values.yaml", n % 20, 500 + n);
        ours(&[(path.as_str(), Some("tag: v4\n"))], "Deploy")
    });
    let updates: Vec<_> = updates.collect();
    mirror.push("main", &later, updates, &author(), Timestamp::UNIX_EPOCH).await.expect("pushed");
    lap(&format!("{UPDATES} updates: commits and one push"));
    by_hand(&repository.url.replace("http://", &format!("http://oauth2:{}@", git_world::TOKEN)));
    lap("git clone --depth 1, edit, commit, push");
}

/// What a pipeline does: a shallow clone, an edit, a commit, a push.
fn by_hand(url: &str) {
    let home = tempfile::tempdir().expect("a directory");
    let git = |arguments: &[&str]| {
        let git = std::process::Command::new("git")
            .args(["-C", &home.path().display().to_string(), "-c", "user.name=a", "-c", "user.email=a@example.com"])
            .args(arguments)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .output()
            .expect("git");
        assert!(git.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&git.stderr));
    };
    git(&["clone", "-q", "--depth", "1", "--branch", "main", url, "clone"]);
    let file = home.path().join("clone/app-3/env-3/values.yaml");
    std::fs::write(file, "tag: v5\n").expect("written");
    git(&["-C", "clone", "commit", "-q", "-a", "-m", "Deploy"]);
    git(&["-C", "clone", "push", "-q", "origin", "HEAD:main"]);
}

/// A file's path and its content, which packs badly.
fn file(number: usize) -> (String, String) {
    let mut state = number as u64 + 1;
    let content = (0..128)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            format!("{state:016x}")
        })
        .collect();
    (format!("app-{}/env-{}/values.yaml", number / 1_000, number % 1_000), content)
}
