//! The `tagrelay` program: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    tagrelay::cli::main()
}
