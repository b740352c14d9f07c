//! What a cycle on a large GitOps repository costs: `cargo bench --bench git`.
//!
//! With `-- race`, the race of pushers alone. 20 000 files of 2 KB behind `git http-backend` on this machine, so the server's work is part of every number. It
//! compares nothing and fails for no number.

#[expect(dead_code, reason = "the tests' remotes; the bench needs a part of them")]
#[path = "../tests/it/contract/git_world.rs"]
mod git_world;

use git_world::{World, author, ours};
use jiff::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tagrelay::clients::git::{Mirror, Pushed};
use tagrelay::model::{EnvironmentName, OurCommit, PolicyName};

/// Files in the repository.
const FILES: usize = 20_000;

/// Updates that share one push.
const UPDATES: usize = 200;

/// Others who push to the same branch as fast as they can, and for how long.
const RACERS: usize = 20;
const RACE: Duration = Duration::from_secs(30);

/// Releases that are pushed one by one, and how many after them, as at first, are counted.
const RELEASES: usize = 200;
const COUNTED: usize = 20;

/// Commits behind which ours stands.
const FOREIGN: usize = 400;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "a bench prints what it measured")]
async fn main() {
    let world = World::sandbox().await;
    if std::env::args().any(|argument| argument == "race") {
        return race(&world).await;
    }
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
    releases(&mirror, &paths[0]).await;
    race(&world).await;
}

/// What a release costs at first and after many, each read, committed and pushed by itself. The sandbox's server is a part of
/// this process; the git that it runs is not counted.
#[expect(clippy::print_stdout, reason = "a bench prints what it measured")]
async fn releases(mirror: &Mirror, path: &str) {
    let paths = [path.to_owned()];
    let mut tip = mirror.tip("main").await.expect("asked").expect("a tip");
    let mut before = cpu_ms();
    for n in 1..=RELEASES + COUNTED {
        mirror.fetch("main", &tip).await.expect("fetched");
        mirror.read(&tip, &paths).await.expect("read");
        let text = format!("tag: release-{n}\n");
        let commits = vec![ours(&[(path, Some(text.as_str()))], "Deploy")];
        let pushed = mirror.push("main", &tip, commits, &author(), Timestamp::UNIX_EPOCH).await.expect("pushed");
        let Pushed::Done(commits) = pushed else { panic!("nobody else pushes: {pushed:?}") };
        tip = commits.last().expect("one").clone();
        if n == COUNTED || n == RELEASES + COUNTED {
            println!("release {:>3}: {:.1} ms of CPU each", n + 1 - COUNTED, (cpu_ms() - before) / COUNTED as f64);
        }
        if n == RELEASES {
            before = cpu_ms();
        }
    }
}

/// The CPU time of this process so far.
fn cpu_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or_default();
    (ticks(11) + ticks(12)) * 10.0
}

/// Which share of the pushes is won among racers: ours, each on the tip that the lost one named, and theirs by plain git.
#[expect(clippy::print_stdout, reason = "a bench prints what it measured")]
async fn race(world: &World) {
    let repository = world.repository().await;
    repository.write("main", &[], &[("app/values.yaml", "tag: v1\n")], "Begin");
    let mirror = repository.mirror("race");
    let url = repository.url.replace("http://", &format!("http://oauth2:{}@", git_world::TOKEN));
    let (over, tried, won) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let racers: Vec<_> = (0..RACERS)
        .map(|n| {
            let (url, over, tried, won) = (url.clone(), over.clone(), tried.clone(), won.clone());
            std::thread::spawn(move || racer(&url, n, &over, &tried, &won))
        })
        .collect();
    let begun = Instant::now();
    let (mut n_tried, mut n_won, mut n_locked, mut tip) = (0, 0, 0, None);
    while begun.elapsed() < RACE {
        let mine = mirror.keep_turn().await;
        let at = match tip.take() {
            Some(at) => at,
            None => mine.tip("main").await.expect("asked").expect("a tip"),
        };
        if mine.fetch("main", &at).await.is_err() {
            continue;
        }
        let text = format!("tag: race-{n_tried}\n");
        let commits = vec![ours(&[("app/values.yaml", Some(text.as_str()))], "Deploy")];
        n_tried += 1;
        match mine.push("main", &at, commits, &author(), Timestamp::UNIX_EPOCH).await {
            Ok(Pushed::Done(_)) => n_won += 1,
            Ok(Pushed::Raced(next)) => tip = next,
            Ok(Pushed::Locked(_)) => n_locked += 1,
            Err(error) => println!("{error}"),
        }
    }
    over.store(true, Ordering::Relaxed);
    racers.into_iter().for_each(|racer| racer.join().expect("ended"));
    let share = |won: usize, tried: usize| format!("{won} of {tried} pushes won ({} %)", won * 100 / tried.max(1));
    println!("{RACERS} racing pushers, {} s: ours {}, {n_locked} met a lock", RACE.as_secs(), share(n_won, n_tried));
    println!("theirs {}", share(won.load(Ordering::Relaxed), tried.load(Ordering::Relaxed)));
}

/// Pushes commits onto the branch by plain git until it is over.
fn racer(url: &str, n: usize, over: &AtomicBool, tried: &AtomicUsize, won: &AtomicUsize) {
    let home = tempfile::tempdir().expect("a directory");
    let git = |arguments: &[&str]| {
        let git = std::process::Command::new("git")
            .args(["-C", &home.path().display().to_string(), "-c", "user.name=a", "-c", "user.email=a@example.com"])
            .args(arguments)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .expect("git");
        (git.status.success(), String::from_utf8_lossy(&git.stderr).into_owned())
    };
    if !git(&["clone", "-q", "--depth", "1", "--no-checkout", "--filter=blob:none", url, "."]).0 {
        return;
    }
    let name = n.to_string();
    while !over.load(Ordering::Relaxed) {
        let prepare = [
            &["fetch", "-q", "origin", "main"][..],
            &["reset", "-q", "--soft", "FETCH_HEAD"],
            &["read-tree", "FETCH_HEAD"],
            &["commit", "-q", "--allow-empty", "-m", &name],
        ];
        if !prepare.iter().all(|arguments| git(arguments).0) {
            continue;
        }
        tried.fetch_add(1, Ordering::Relaxed);
        let (pushed, said) = git(&["push", "-q", "origin", "HEAD:main"]);
        won.fetch_add(usize::from(pushed), Ordering::Relaxed);
        assert!(pushed || said.contains("rejected") || said.contains("lock"), "lost otherwise than by a race: {said}");
    }
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
