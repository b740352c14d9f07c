//! Every command that a message, a page, a help text or a document prints can be typed as it is printed.

use super::Cli;
use clap::Parser as _;
use clap::error::ErrorKind;
use std::fs;
use std::path::{Path, PathBuf};

/// What stands for a name, and a name.
const NAMES: [(&str, &str); 27] = [
    ("POLICY/ENV", "shop/prod"),
    ("POLICY/FROM", "shop/dev"),
    ("{policy}/{environment}", "shop/prod"),
    ("--env {environment}", "--env prod"),
    ("--env ENV", "--env prod"),
    ("--env NAME", "--env prod"),
    ("--color WHEN", "--color never"),
    ("--until WHEN", "--until 2h"),
    ("RELEASE", "1.2.0"),
    ("TEXT", "words"),
    ("POLICY", "shop"),
    ("FILE", "a.yaml"),
    ("PATH", "policies"),
    ("SHELL", "bash"),
    ("COMMAND", "run"),
    ("URL", "http://127.0.0.1:8080"),
    ("{scope}", "shop/prod"),
    ("{place}", "shop/prod"),
    ("{target}", "shop/prod"),
    ("{policy}", "shop"),
    ("{release}", "1.2.0"),
    ("{id}", "1.2.0"),
    ("{url}", "http://127.0.0.1:8080"),
    ("{of}", "unknown"),
    ("{command}", "resume"),
    ("{} {}", "shop/prod 1.2.0"),
    ("{}", "shop/prod"),
];

/// Titles of schemas, which begin like a command.
const TITLES: [&str; 2] = ["policy", "configuration"];

/// The texts that a person reads: code with its messages, documents, examples.
fn texts() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut left: Vec<PathBuf> = ["src", "docs", "deploy", "policies", "README.md"].map(|name| root.join(name)).into();
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(fs::read_dir(&path).expect("readable").map(|entry| entry.expect("an entry").path()));
        } else if !path.ends_with("printed.rs") && !path.iter().any(|part| part == "tests" || part == "tests.rs") {
            found.extend(fs::read_to_string(&path).ok().map(|text| (path, text)));
        }
    }
    found
}

/// The longest command that is looked for.
const COMMAND_CHARS_MAX: usize = 160;

/// The commands of a text, each as it is printed.
fn commands(path: &Path, text: &str) -> Vec<String> {
    let is = |ending: &str| path.extension().is_some_and(|found| found == ending);
    let comment = |line: &str| line.trim_start().trim_start_matches("///").trim_start_matches("//!").trim().to_owned();
    // A text of several lines is one line where it is read.
    let joined = text.lines().map(comment).collect::<Vec<_>>().join(" ").replace("\\ ", "");
    let mut found = between(&joined, "`tagrelay ", '`');
    if is("rs") {
        found.extend(between(&joined, "\"tagrelay ", '"').into_iter().filter(|name| !TITLES.contains(&name.as_str())));
    }
    // The usage lines of that page are clap's own.
    if is("md") && !path.ends_with("reference/commands.md") {
        let blocks = text.split("```").skip(1).step_by(2);
        for line in blocks.flat_map(|block| block.replace("\\\n", " ").lines().map(str::to_owned).collect::<Vec<_>>()) {
            let starts = line.match_indices("tagrelay ").map(|(at, _)| at);
            let begins =
                |at: &usize| matches!(line[..*at].trim_end().chars().last(), None | Some('|' | '$' | ';' | '(' | '&'));
            let commands = starts.filter(begins).map(|at| &line[at + "tagrelay ".len()..]);
            let ended = commands.map(|command| command.split(['|', '#', ';', '>', ')']).next().unwrap_or_default());
            found.extend(ended.map(|command| command.trim().to_owned()).filter(|command| !command.is_empty()));
        }
    }
    found
}

/// What stands between these two, where it begins as a subcommand does.
fn between(text: &str, begin: &str, end: char) -> Vec<String> {
    let rests = text.match_indices(begin).filter_map(|(at, _)| text.get(at + begin.len()..));
    let command = |rest: &str| rest.split_once(end).map(|(command, _)| command.to_owned());
    let is_command = |command: &String| {
        command.starts_with(|c: char| c.is_ascii_lowercase()) && command.chars().count() <= COMMAND_CHARS_MAX
    };
    rests.filter_map(command).filter(is_command).collect()
}

/// The words of a command as a shell parts them; of several commands in one breath the first.
fn words(printed: &str) -> Vec<String> {
    let first = printed.split(" | ").next().unwrap_or_default().split(", ").next().unwrap_or_default();
    let named = NAMES.iter().fold(first.to_owned(), |text, (name, value)| text.replace(name, value));
    let named = named.replace(['[', ']'], "");
    let (mut words, mut quote) = (vec![String::new()], None);
    for c in named.chars() {
        match quote {
            None if c == '"' || c == '\'' => quote = Some(c),
            None if c.is_whitespace() => words.push(String::new()),
            Some(open) if c == open => quote = None,
            _ => words.last_mut().expect("a word").push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn commands_can_be_typed_as_they_are_printed() {
    let mut n_found = 0;
    let mut wrong = Vec::new();
    for (path, text) in texts() {
        for printed in commands(&path, &text) {
            let words = words(&printed);
            n_found += 1;
            let Err(error) = Cli::try_parse_from(std::iter::once("tagrelay").chain(words.iter().map(String::as_str)))
            else {
                continue;
            };
            // A command that is only mentioned stands alone, without what it is given.
            let is_mentioned = matches!(
                error.kind(),
                ErrorKind::MissingRequiredArgument
                    | ErrorKind::DisplayHelp
                    | ErrorKind::DisplayVersion
                    | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            );
            if !is_mentioned || words.len() > 2 {
                let error = error.to_string();
                wrong.push(format!("{}: `tagrelay {printed}`: {}", path.display(), error.lines().next().unwrap_or("")));
            }
        }
    }
    assert!(n_found > 100, "{n_found} commands were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
