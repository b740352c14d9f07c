//! The architecture as a test: floors, documents, names. A failure says what to do instead.

use std::fs;
use std::path::{Path, PathBuf};

/// The floors, lowest first; folders of one floor do not know each other.
const FLOORS: [&[&str]; 7] =
    [&["model"], &["relay"], &["config", "journal", "telemetry"], &["clients"], &["daemon"], &["server"], &["cli"]];

/// Words that a pure floor has no use for.
const IMPURE: [&str; 8] =
    ["tokio::", "reqwest::", "std::fs", "std::net", "std::env", "SystemTime", "Timestamp::now", "sqlx::"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below a folder, with its text.
fn sources(folder: &str) -> Vec<(String, String)> {
    fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(folder), &mut found);
    found.sort();
    let name = |path: &Path| path.strip_prefix(root()).expect("below the root").display().to_string();
    found.iter().map(|path| (name(path), fs::read_to_string(path).expect("UTF-8"))).collect()
}

fn floor_of(folder: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&folder))
}

/// The code of a file, without its comments.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(at, line)| (at + 1, line.split("//").next().unwrap_or_default()))
}

#[test]
fn a_folder_uses_only_what_stands_below_it() {
    let mut wrong = Vec::new();
    for (file, text) in sources("src") {
        let Some(folder) = file.strip_prefix("src/").and_then(|rest| rest.split('/').next()) else { continue };
        let Some(floor) = floor_of(folder) else { continue };
        for (line, code) in code(&text) {
            for used in code.match_indices("crate::").map(|(at, _)| &code[at + 7..]) {
                let used: String = used.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                let above = floor_of(&used).is_some_and(|other| other > floor || (other == floor && used != folder));
                if above {
                    wrong.push(format!("{file}:{line} uses {used}: hand it in as a value, or move the code up"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The rooms of the daemon, lowest first: one uses none above it. What stands beside them is common ground.
const ROOMS: [&str; 4] = ["state", "sources", "effects", "requests"];

#[test]
fn a_room_of_the_daemon_uses_none_above_it() {
    let mut wrong = Vec::new();
    for (at, room) in ROOMS.iter().enumerate() {
        for (file, text) in sources(&format!("src/daemon/{room}")) {
            for (line, code) in code(&text) {
                let uses = |above: &&&str| code.contains(&format!("daemon::{above}::"));
                if let Some(above) = ROOMS[at + 1..].iter().find(uses) {
                    wrong.push(format!("{file}:{line} uses {above}: move the type down, or the code up"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_pure_floors_are_pure() {
    let mut wrong = Vec::new();
    for (file, text) in sources("src/model").into_iter().chain(sources("src/relay")) {
        for (line, code) in code(&text) {
            for word in IMPURE.iter().filter(|word| code.contains(**word)) {
                wrong.push(format!("{file}:{line} names {word}: let a client read it and hand the value in"));
            }
        }
        if file.starts_with("src/model") && text.contains("serde::") {
            wrong.push(format!("{file} names serde: whoever crosses a boundary owns its wire form"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_sandbox_shares_no_code_with_what_it_tests() {
    let mut wrong = Vec::new();
    for (file, text) in sources("src/sandbox") {
        for folder in FLOORS.iter().skip(1).flat_map(|floor| floor.iter()) {
            if text.contains(&format!("crate::{folder}")) {
                wrong.push(format!("{file} uses {folder}: a stand-in that shares our code agrees with our mistakes"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_says_what_it_is_for() {
    let files = ["src", "tests", "benches"].into_iter().flat_map(sources);
    let wrong: Vec<String> = files.filter(|(_, text)| !text.starts_with("//!")).map(|(file, _)| file).collect();
    assert!(wrong.is_empty(), "open with a sentence of purpose (`//! ...`):\n{}", wrong.join("\n"));
}

#[test]
fn each_test_that_the_model_of_trust_names_is_there() {
    let text = fs::read_to_string(root().join("docs/security.md")).expect("the page");
    let code: Vec<(String, String)> = ["src", "tests"].into_iter().flat_map(sources).collect();
    let rows = text.lines().filter(|line| line.starts_with('|'));
    let cells = rows.filter_map(|row| row.trim_end_matches('|').rsplit('|').next());
    let named: Vec<&str> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    assert!(named.len() > 30, "the tables name their tests in the last column");
    let is_test = |name: &str| {
        let head = format!("fn {name}() {{");
        let before = |text: &str| text.split(&head).next().unwrap_or_default().trim_end().len();
        code.iter().filter(|(_, text)| text.contains(&head)).any(|(_, text)| {
            let above = text[..before(text)].trim_end().trim_end_matches("async").trim_end();
            above.ends_with(']') && above.lines().next_back().is_some_and(|line| line.contains("test"))
        })
    };
    let missing: Vec<&str> = named.into_iter().filter(|name| !is_test(name)).collect();
    assert!(missing.is_empty(), "docs/security.md names tests that are not there:\n{}", missing.join("\n"));
}

#[test]
fn no_file_is_a_drawer() {
    let drawers = ["utils", "util", "helpers", "common", "misc", "manager", "handler"];
    let stem = |file: &str| Path::new(file).file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let wrong: Vec<String> = sources("src")
        .into_iter()
        .map(|(file, _)| file)
        .filter(|f| drawers.contains(&stem(f).unwrap_or_default().as_str()))
        .collect();
    assert!(wrong.is_empty(), "name it for what it answers: {wrong:?}");
}

#[test]
fn nothing_loose_is_left() {
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("dbg", "!("),
    ];
    let mut wrong = Vec::new();
    for (file, text) in ["src", "tests", "benches"].into_iter().flat_map(sources) {
        for (at, line) in text.lines().enumerate() {
            if marks.iter().any(|mark| line.contains(mark)) {
                wrong.push(format!("{file}:{}: {}", at + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "finish it or take it out:\n{}", wrong.join("\n"));
}

#[test]
fn the_lock_file_names_crates_io_alone() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).expect("Cargo.lock");
    let other = lock.lines().filter(|line| line.starts_with("source = "));
    let other: Vec<&str> =
        other.filter(|line| !line.contains("registry+https://github.com/rust-lang/crates.io-index")).collect();
    assert!(other.is_empty(), "{other:?}");
}
