//! The command line: one file a subcommand. Results go to standard output, everything else to standard error.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong use or invalid file, 3 nothing found or selected.

mod about;
mod ask;
mod check;
#[cfg(feature = "sandbox")]
mod demo;
mod doctor;
mod edit;
mod file;
mod journal;
mod once;
mod print;
#[cfg(test)]
mod printed;
mod reference;
mod reload;
mod run;
mod select;

use crate::model::PolicyName;
use clap::{Args, ColorChoice, CommandFactory as _, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// What a command comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It was done.
    Done,
    /// It failed; why was said.
    Failed,
    /// It was used wrongly, or a file is invalid.
    Wrong,
    /// There was nothing to find or select.
    Nothing,
}

impl Exit {
    /// All of them, by their codes.
    const ALL: [Self; 4] = [Self::Done, Self::Failed, Self::Wrong, Self::Nothing];

    /// The code that the process ends with.
    fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Wrong => 2,
            Self::Nothing => 3,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Wrong use, or an invalid file: what to do instead.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Wrong(String);

impl Wrong {
    fn because(why: impl Into<String>) -> anyhow::Error {
        Self(why.into()).into()
    }

    /// What an error says, as wrong use.
    fn of(error: impl std::fmt::Display) -> anyhow::Error {
        Self::because(error.to_string())
    }
}

/// A file that is wrong, drawn line by line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Drawn(String);

/// A refusal that says itself what it comes to.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
struct Failure {
    why: String,
    exit: Exit,
}

/// Carries container images through environments: registry to GitOps repository to GitLab to the next environment.
#[derive(Debug, Parser)]
#[command(name = "tagrelay", version, max_term_width = 110)]
struct Cli {
    /// When to print in colour; NO_COLOR and CLICOLOR_FORCE are honoured.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: ColorChoice,
    #[command(subcommand)]
    command: Command,
}

/// Where the configuration stands.
#[derive(Debug, Args)]
struct ConfigFile {
    /// The configuration.
    #[arg(long, env = "TAGRELAY_CONFIG", default_value = "tagrelay.yaml")]
    config: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon. SIGTERM finishes the effect in hand (30 s at most), a second one leaves at once; SIGHUP reads the
    /// configuration and the policies again.
    Run {
        #[command(flatten)]
        file: ConfigFile,
        /// Log as JSON, one object a line.
        #[arg(long)]
        log_json: bool,
    },
    /// Make passes until nothing more happens by itself, then exit.
    Once {
        /// These policies alone; default all.
        #[arg(value_name = "POLICY", value_parser = policy_name)]
        policies: Vec<PolicyName>,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Check policies, cases and configuration: every error at once, with file, line and caret.
    Check(check::Check),
    /// Ask each registry, repository of images, GitOps repository and GitLab project for the rights that the policies need, and
    /// say which are missing and what to do. Changes nothing.
    Doctor(doctor::Doctor),
    /// Choose a tag: tags on standard input, the chosen one on standard output; exit 3 when there is none.
    Select(select::Select),
    /// Edit one file on disk as the daemon would; prints the diff, --write writes it.
    Edit(edit::Edit),
    #[command(flatten)]
    Ask(Box<ask::Ask>),
    /// The whole daemon on an embedded registry, git repository, GitLab and cluster, with a tour.
    #[cfg(feature = "sandbox")]
    Demo {
        /// One journey without a person, as a table; exit 0 only if every step happened.
        #[arg(long)]
        once: bool,
        /// The page's port; 0 takes a free one.
        #[arg(long, default_value_t = 0)]
        port: u16,
    },
    /// Look after the journal.
    #[command(subcommand)]
    Journal(journal::Journal),
    /// Print the JSON Schema of policies or of the configuration.
    Schema {
        /// Which.
        of: about::SchemaOf,
    },
    /// Print completions for a shell.
    Completions {
        /// Which.
        shell: clap_complete::Shell,
    },
    /// Print a manual page: tagrelay man | man -l -
    Man {
        /// Of this subcommand; default of tagrelay itself.
        command: Vec<String>,
    },
    /// Write the pages of the reference into a folder: what `docs/reference` is made by.
    #[command(hide = true)]
    Reference {
        /// The folder.
        folder: PathBuf,
    },
    /// Print the version.
    Version {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Parses the arguments of this process and does what they say.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too; a closed pipe changes nothing about the code.
            let _printed = error.print();
            return if error.use_stderr() { Exit::Wrong.into() } else { Exit::Done.into() };
        }
    };
    print::colour(cli.color);
    match perform(cli.command) {
        Ok(exit) => exit.into(),
        // Whoever reads our output has seen enough, as `head` has.
        Err(error) if print::is_broken_pipe(&error) => Exit::Done.into(),
        Err(error) => {
            let drawn = error.downcast_ref::<Drawn>().map(ToString::to_string);
            print::complain(&drawn.unwrap_or_else(|| format!("error: {error:#}")));
            exit_of(&error).into()
        }
    }
}

fn policy_name(text: &str) -> Result<PolicyName, String> {
    PolicyName::parse(text).map_err(|error| error.to_string())
}

/// What an error comes to.
fn exit_of(error: &anyhow::Error) -> Exit {
    match error.downcast_ref::<Failure>() {
        Some(failure) => failure.exit,
        None if error.is::<Wrong>() || error.is::<Drawn>() => Exit::Wrong,
        None => Exit::Failed,
    }
}

fn perform(command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Run { file, log_json } => {
            run::begin_logs(log_json)?;
            let path = file.config.clone();
            with_config(&file, |config| async { run::run(config, path).await.map(|()| Exit::Done) })
        }
        Command::Once { policies, file } => {
            run::begin_logs(false)?;
            with_config(&file, |config| once::run(config, policies))
        }
        Command::Check(check) => check.run(),
        Command::Doctor(doctor) => doctor.run(),
        Command::Select(select) => select.run(),
        Command::Edit(edit) => edit.run(),
        Command::Ask(ask) => runtime()?.block_on(ask.run()),
        #[cfg(feature = "sandbox")]
        Command::Demo { once, port } => {
            let came_about = runtime()?.block_on(demo::run(once, port))?;
            Ok(if came_about { Exit::Done } else { Exit::Failed })
        }
        Command::Journal(journal) => journal.run(),
        Command::Schema { of } => {
            print::json(&about::schema(of))?;
            Ok(Exit::Done)
        }
        Command::Completions { shell } => {
            print::bytes(&about::completions(Cli::command(), shell))?;
            Ok(Exit::Done)
        }
        Command::Man { command } => {
            print::bytes(&about::man(Cli::command(), &command)?)?;
            Ok(Exit::Done)
        }
        Command::Reference { folder } => {
            reference::write(Cli::command(), &folder)?;
            Ok(Exit::Done)
        }
        Command::Version { json } => {
            about::version(json)?;
            Ok(Exit::Done)
        }
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Runtime::new()?)
}

/// Does something with a configuration; an invalid one is drawn, and is wrong use.
fn with_config<F: Future<Output = anyhow::Result<Exit>>>(
    file: &ConfigFile,
    then: impl FnOnce(std::sync::Arc<crate::config::Config>) -> F,
) -> anyhow::Result<Exit> {
    match run::configuration(&file.config) {
        Ok(config) => {
            let runtime = runtime()?;
            let exit = runtime.block_on(then(config));
            // What hangs in a call of the system's, a git server that says nothing, does not hold up the exit.
            runtime.shutdown_background();
            exit
        }
        Err(errors) => {
            print::complain(&errors.render(print::complains_in_colour()));
            Ok(Exit::Wrong)
        }
    }
}
