//! The journal's commits, seen by the sandbox: a process that was told an address asks there before and after each.
//!
//! It carries one line each way over a plain socket, so that whoever listens can kill the asker at exactly that moment.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The environment variable that names the address.
pub const VARIABLE: &str = "TAGRELAY_SANDBOX_COMMITS";
/// How long the listener may think.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks the listener at an address before (`true`) and after (`false`) each commit, and waits for its word.
///
/// # Errors
/// When nobody listens there.
pub fn watch(address: &str) -> io::Result<impl Fn(u64, bool) + Send + Sync + 'static> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let line = Mutex::new((stream.try_clone()?, BufReader::new(stream)));
    Ok(move |number: u64, before: bool| {
        let mut line = line.lock().unwrap_or_else(PoisonError::into_inner);
        let moment = if before { "before" } else { "after" };
        // A listener that went away has nothing more to say: the process goes on.
        if line.0.write_all(format!("{moment} {number}\n").as_bytes()).is_ok() {
            let mut word = String::new();
            let _heard = line.1.read_line(&mut word);
        }
    })
}
