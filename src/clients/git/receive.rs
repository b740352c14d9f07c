//! Pushing (gitprotocol-pack(5), "Pushing Data To a Server"): one command with its pack as bytes, the report as a value.
//!
//! The command names the old id, so the server itself compares and swaps; nothing here can ask it to force.

use super::error::Fault;
use super::pkt::{self, Band, FLUSH, Packet, Packets};
use crate::clients::http::USER_AGENT;
use crate::model::text;
use git2::Oid;
use std::io::Read;

/// How much of a server's words is kept: a hook may print a page, and one line of it is shown.
const WORDS_BYTES_MAX: usize = 4_096;

/// How servers say that they could not lock a reference, in lower case: git, JGit and Gitaly.
const LOCK_WORDS: [&str; 6] =
    ["cannot lock", "failed to lock", "unable to lock", "lock failure", "already locked", "failed to update ref"];

/// The request: move the reference from `old` to `new`, with the objects that this needs.
pub(super) fn request(reference: &str, old: Oid, new: Oid, pack: &[u8]) -> Vec<u8> {
    let mut request = Vec::with_capacity(pack.len() + 512);
    let command = format!("{old} {new} {reference}\0report-status side-band-64k agent={USER_AGENT}");
    pkt::put(&mut request, &command);
    request.extend_from_slice(FLUSH);
    request.extend_from_slice(pack);
    request
}

/// What became of the command.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Report {
    /// The reference moved.
    Moved,
    /// It did not, in the server's own words. A lost race is worded in many ways, and a lock that another push holds reads
    /// the same: the tip tells.
    Refused(String),
}

/// Whether a refusal speaks of a lock. Where the tip stands as before, another push holds the lock at this moment, or a git
/// process died and left it.
pub(super) fn is_about_a_lock(words: &str) -> bool {
    let words = words.to_lowercase();
    LOCK_WORDS.iter().any(|lock| words.contains(lock))
}

/// Reads the report.
///
/// # Errors
/// When there is none: nobody knows then whether the reference moved.
pub(super) fn report(mut packets: Packets<impl Read>) -> Result<Report, Fault> {
    let (mut report, mut words) = (Vec::new(), Vec::new());
    while let Some(packet) = packets.next()? {
        let Packet::Line(line) = packet else { continue };
        match pkt::band(&line)? {
            Band::Data(data) => report.extend_from_slice(data),
            Band::Words(said) if words.len() < WORDS_BYTES_MAX => words.extend_from_slice(said),
            Band::Words(_) => {}
        }
    }
    judge(Packets::new(report.as_slice(), report.len() as u64), &String::from_utf8_lossy(&words))
}

fn judge(mut lines: Packets<impl Read>, words: &str) -> Result<Report, Fault> {
    while let Some(packet) = lines.next()? {
        let line = packet.text().unwrap_or_default();
        if line.starts_with("ok ") {
            return Ok(Report::Moved);
        }
        let unpack = line.strip_prefix("unpack ").filter(|result| *result != "ok");
        let reason = line.strip_prefix("ng ").map(|rest| rest.split_once(' ').unwrap_or((rest, "")).1);
        if let Some(reason) = unpack.or(reason) {
            return Ok(Report::Refused(told(reason, words)));
        }
    }
    Err(Fault::Unreachable("the push was sent and no report came back; read the tip again".to_owned()))
}

/// The reason, and what a hook printed.
fn told(reason: &str, words: &str) -> String {
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.is_empty() { text::shown(reason) } else { format!("{}: {}", text::shown(reason), text::shown(&words)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(report: &[&str], words: &str) -> Vec<u8> {
        let mut inner = String::new();
        for line in report {
            inner.push_str(&format!("{:04x}{line}", line.len() + 4));
        }
        let mut bytes = Vec::new();
        if !words.is_empty() {
            pkt::put(&mut bytes, &format!("\u{2}{words}"));
        }
        // A report may be cut anywhere into side-band lines.
        let (first, second) = inner.split_at(inner.len() / 3);
        pkt::put(&mut bytes, &format!("\u{1}{first}"));
        pkt::put(&mut bytes, &format!("\u{1}{second}"));
        bytes.extend_from_slice(FLUSH);
        bytes
    }

    #[test]
    fn reports() {
        let check = |lines: &[&str], words: &str, expected: Option<Report>| {
            let bytes = answer(lines, words);
            assert_eq!(report(Packets::new(bytes.as_slice(), 10_000)).ok(), expected, "{lines:?}");
        };
        let ng = |reason: &str| format!("ng refs/heads/main {reason}\n");
        check(&["unpack ok\n", "ok refs/heads/main\n"], "", Some(Report::Moved));
        let raced = "cannot lock ref 'refs/heads/main'";
        check(&["unpack ok\n", &ng(raced)], "", Some(Report::Refused(raced.to_owned())));
        let hook = "GitLab: You are not allowed to push\n  code to protected branches.\n";
        let shown = "pre-receive hook declined: GitLab: You are not allowed to push code to protected branches.";
        check(&["unpack ok\n", &ng("pre-receive hook declined")], hook, Some(Report::Refused(shown.to_owned())));
        check(
            &["unpack index-pack failed\n", &ng("unpacker error")],
            "",
            Some(Report::Refused("index-pack failed".to_owned())),
        );
        check(&["unpack ok\n"], "", None);
        assert!(report(Packets::new(&b""[..], 10)).is_err());
    }

    #[test]
    fn refusals_that_speak_of_a_lock() {
        for (words, expected) in [
            ("failed to update ref", true),
            ("failed to update ref: error: cannot lock ref 'refs/heads/main': Unable to create 'main.lock'", true),
            ("LOCK_FAILURE: Failed to lock refs/heads/main", true),
            ("lock failure", true),
            ("pre-receive hook declined", false),
            ("protected branch hook declined: Cannot change this locked branch", false),
            ("index-pack failed", false),
        ] {
            assert_eq!(is_about_a_lock(words), expected, "{words}");
        }
    }

    #[test]
    fn the_command_names_the_old_id() {
        let (old, new) = (Oid::ZERO_SHA1, Oid::from_str(&"a".repeat(40)).expect("an id"));
        let request = request("refs/heads/main", old, new, b"PACK");
        let text = String::from_utf8(request).expect("text");
        let command =
            format!("{} {new} refs/heads/main\0report-status side-band-64k agent={USER_AGENT}", "0".repeat(40));
        assert_eq!(text, format!("{:04x}{command}0000PACK", command.len() + 4));
    }
}
