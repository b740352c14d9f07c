//! The exit codes.

use super::table::{code, table};
use crate::cli::Exit;
use std::fmt::Write as _;

/// What exit code 3 says of a command, where it may end so.
const NOTHING: [(&str, &str); 8] = [
    ("tagrelay select", "no tag of the input passes"),
    ("tagrelay check", "no policy file stands where it was told to look"),
    ("tagrelay once POLICY", "no policy has that name"),
    ("tagrelay status, plan, explain", "no policy or environment has that name"),
    ("tagrelay history", "the journal keeps nothing of what was asked for"),
    ("tagrelay reports", "there is no such report"),
    (
        "tagrelay approve, reject, unapprove, promote, rollback, verify",
        "no policy, environment or release has that name",
    ),
    ("tagrelay hold, resume", "no policy or environment has that name"),
];

/// The page of exit codes.
pub(super) fn page() -> String {
    let mut text =
        "# Exit codes\n\nAll commands end with one of these codes. What went wrong stands on standard error.\n\n"
            .to_owned();
    let rows = Exit::ALL.map(|exit| [code(&exit.code().to_string()), meaning(exit).to_owned()]);
    let _ = writeln!(text, "{}", table(["code", "meaning"], &rows));
    let rows = NOTHING.map(|(command, meaning)| [code(command), meaning.to_owned()]);
    let _ = write!(text, "## Where code 3 comes from\n\n{}", table(["command", "3 means"], &rows));
    text
}

/// What a code means, and what a script does about it.
fn meaning(exit: Exit) -> &'static str {
    match exit {
        Exit::Done => {
            "The command did what it was asked. For `tagrelay run`: it was told to stop, and stopped in order."
        }
        Exit::Failed => {
            "Something failed: a server did not answer, a disk took no write, a case of `tagrelay check` failed. The same \
             command may work later."
        }
        Exit::Wrong => {
            "The command was typed wrongly, a file is invalid, or what was named means several things, which are listed. The \
             same command fails again: correct it."
        }
        Exit::Nothing => "There was nothing to find or to select.",
    }
}
