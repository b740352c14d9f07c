//! `docs/reference` says what the program says: it is written by it, and compared here.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference")
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn written() -> tempfile::TempDir {
    let fresh = tempfile::tempdir().expect("a folder");
    let status = Command::new(env!("CARGO_BIN_EXE_tagrelay")).arg("reference").arg(fresh.path()).status();
    assert!(status.expect("the binary starts").success());
    fresh
}

#[test]
fn the_reference_is_what_the_program_says() {
    let fresh = written();
    let command = "cargo run -- reference docs/reference";
    assert_eq!(names(&folder()), names(fresh.path()), "write it anew: {command}");
    for name in names(fresh.path()) {
        let read = |folder: &Path| fs::read_to_string(folder.join(&name)).expect("UTF-8");
        let (new, old) = (read(fresh.path()), read(&folder()));
        let differs = new.lines().zip(old.lines()).find(|(new, old)| new != old);
        assert!(
            new == old,
            "docs/reference/{name} is not what the program says, write it anew: {command}\n{differs:?}"
        );
    }
}

/// What GitLab and GitHub make of a heading when they link to it.
fn anchor(heading: &str) -> String {
    let heading = heading.to_lowercase().replace(' ', "-");
    heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
}

#[test]
fn each_link_of_the_reference_leads_somewhere() {
    let mut wrong = Vec::new();
    let text = |name: &str| fs::read_to_string(folder().join(name)).unwrap_or_default();
    let anchors = |text: &str| -> Vec<String> {
        let headings = text.lines().filter(|line| line.starts_with('#'));
        headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
    };
    for name in names(&folder()) {
        let page = text(&name);
        let own = anchors(&page);
        let different: BTreeSet<&String> = own.iter().collect();
        assert_eq!(different.len(), own.len(), "{name} has two headings with one anchor");
        for target in page.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (file, at) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { name.as_str() } else { file };
            if !folder().join(file).is_file() || !(at.is_empty() || anchors(&text(file)).iter().any(|it| it == at)) {
                wrong.push(format!("{name}: {target}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_examples_of_the_reference_are_sound() {
    let fresh = tempfile::tempdir().expect("a folder");
    let example = |page: &str| {
        let page = fs::read_to_string(folder().join(page)).expect("the page");
        page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example").to_owned()
    };
    fs::create_dir(fresh.path().join("policies")).expect("a folder");
    fs::write(fresh.path().join("policies/shop.yaml"), example("policy.md")).expect("written");
    fs::write(fresh.path().join("tagrelay.yaml"), example("configuration.md")).expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_tagrelay"))
        .args(["check", "--config", "tagrelay.yaml", "policies"])
        .current_dir(fresh.path())
        .output()
        .expect("the binary starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
