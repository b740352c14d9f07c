//! The commands, from clap's own tree of them.

use super::table::{code, link, table};
use clap::{Arg, Command};
use std::fmt::Write as _;

/// The heading of the options that every command has which asks a daemon. The page lists them once.
const SHARED: &str = "The running daemon";

/// The page of commands.
pub(super) fn page(command: &Command) -> String {
    let mut text = format!(
        "# Commands\n\n{}\n\nResults go to standard output, everything else to standard error. [Exit codes](exit-codes.md) are the \
         same for all commands. `tagrelay man COMMAND | man -l -` shows a manual page, `tagrelay completions SHELL` prints \
         completions.\n\n",
        about(command)
    );
    let commands = leaves(command, "tagrelay");
    let rows: Vec<[String; 2]> =
        commands.iter().map(|(name, command)| [link(&code(name), name), first_sentence(&about(command))]).collect();
    let _ = writeln!(text, "{}", table(["command", "what it does"], &rows));
    let global: Vec<&Arg> = command.get_arguments().filter(|arg| arg.is_global_set() || is_automatic(arg)).collect();
    let _ = write!(text, "## Options of every command\n\n{}\n", options(&global));
    let asking = commands.iter().find(|(_, command)| command.get_arguments().any(is_shared));
    let shared: Vec<&Arg> =
        asking.iter().flat_map(|(_, command)| command.get_arguments().filter(|a| is_shared(a))).collect();
    let _ = write!(
        text,
        "## Options of commands that ask a daemon\n\nWithout them the daemon of `tagrelay.yaml` is asked, at its \
         `server.listen`.\n\n{}\n",
        options(&shared)
    );
    for (name, command) in &commands {
        section(&mut text, name, command);
    }
    text
}

/// The commands that do something, each with its whole name; hidden ones are left out.
fn leaves<'a>(command: &'a Command, name: &str) -> Vec<(String, &'a Command)> {
    let shown = command.get_subcommands().filter(|it| !it.is_hide_set() && it.get_name() != "help");
    let named = shown.map(|it| (format!("{name} {}", it.get_name()), it));
    named
        .flat_map(|(name, it)| {
            let below = leaves(it, &name);
            let acts = below.is_empty() || !it.is_subcommand_required_set();
            acts.then_some((name, it)).into_iter().chain(below).collect::<Vec<_>>()
        })
        .collect()
}

fn section(text: &mut String, name: &str, command: &Command) {
    let mut command = command.clone();
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    let _ = write!(text, "## {name}\n\n{}\n\n```text\n{usage}\n```\n\n", about(&command));
    let own: Vec<&Arg> = command
        .get_arguments()
        .filter(|arg| !arg.is_hide_set() && !arg.is_global_set() && !is_automatic(arg) && !is_shared(arg))
        .collect();
    if !own.is_empty() {
        let _ = writeln!(text, "{}", options(&own));
    }
    if command.get_arguments().any(is_shared) {
        let _ = write!(
            text,
            "It also takes the {}.\n\n",
            link("options that name the daemon", "Options of commands that ask a daemon")
        );
    }
}

/// A table of arguments and options.
fn options(arguments: &[&Arg]) -> String {
    let rows: Vec<[String; 3]> = arguments.iter().map(|arg| [code(&form(arg)), default(arg), help(arg)]).collect();
    table(["option", "default", "meaning"], &rows)
}

/// An argument as one types it.
fn form(arg: &Arg) -> String {
    let values = arg.get_value_names().unwrap_or_default().join(" ");
    let takes = arg.get_action().takes_values();
    let many =
        if arg.get_num_args().is_some_and(|range| range.max_values() > 1) && arg.is_positional() { "..." } else { "" };
    match (arg.get_short(), arg.get_long()) {
        (None, None) => format!("{values}{many}"),
        (short, long) => {
            let names: Vec<String> =
                short.map(|it| format!("-{it}")).into_iter().chain(long.map(|it| format!("--{it}"))).collect();
            let value = if takes { format!(" {values}") } else { String::new() };
            format!("{}{value}", names.join(", "))
        }
    }
}

/// The default, and the variable of the environment that stands for it.
fn default(arg: &Arg) -> String {
    if !arg.get_action().takes_values() {
        return String::new();
    }
    let values: Vec<String> = arg.get_default_values().iter().map(|it| code(&it.to_string_lossy())).collect();
    let variable = arg.get_env().map(|name| format!("variable `{}`", name.to_string_lossy()));
    let required = arg.is_required_set().then(|| "**required**".to_owned());
    required.into_iter().chain(variable).chain(values).collect::<Vec<_>>().join(", else ")
}

fn help(arg: &Arg) -> String {
    let text = sentence(&arg.get_help().map(ToString::to_string).unwrap_or_default());
    let values = arg.get_possible_values();
    if values.is_empty() || !arg.get_action().takes_values() {
        return text;
    }
    let values: Vec<String> = values.iter().filter(|it| !it.is_hide_set()).map(|it| code(it.get_name())).collect();
    format!("{text} One of {}.", values.join(", "))
}

/// Whether clap adds it by itself to every command.
fn is_automatic(arg: &Arg) -> bool {
    matches!(arg.get_id().as_str(), "help" | "version")
}

fn is_shared(arg: &Arg) -> bool {
    arg.get_help_heading() == Some(SHARED)
}

fn about(command: &Command) -> String {
    let about = command.get_long_about().or_else(|| command.get_about()).map(ToString::to_string).unwrap_or_default();
    sentence(&about)
}

fn sentence(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() || text.ends_with(['.', ':']) { text.to_owned() } else { format!("{text}.") }
}

fn first_sentence(text: &str) -> String {
    let text = text.lines().next().unwrap_or_default();
    text.split_once(". ").map_or_else(|| text.to_owned(), |(first, _)| format!("{first}."))
}
