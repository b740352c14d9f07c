//! The `tagrelay` program: arguments in, exit code out.

fn main() {}
