//! The pkt-line framing of the git wire protocol (gitprotocol-common(5)): lines with their length in front.
//!
//! It knows no command and no answer, only where a line begins and ends, and how much may come.

use super::error::Fault;
use crate::clients::http::HttpError;
use crate::model::text;
use std::io::{self, Read};

/// Ends a message.
pub(super) const FLUSH: &[u8] = b"0000";

/// Stands between the sections of a message (protocol v2).
pub(super) const DELIMITER: &[u8] = b"0001";

/// The largest line: 65520 bytes with its length, as gitprotocol-common(5) has it.
const LINE_BYTES_MAX: usize = 65_520;

/// Appends a line to a request. Requests are made of ids and names, far below the largest line.
pub(super) fn put(request: &mut Vec<u8>, line: &str) {
    request.extend_from_slice(format!("{:04x}{line}", line.len() + 4).as_bytes());
}

/// One packet of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Packet {
    /// A line, as it came.
    Line(Vec<u8>),
    /// The end of a message.
    Flush,
    /// The end of a section.
    Delimiter,
}

impl Packet {
    /// A line's text without its newline; nothing for what is no line.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Line(line) => std::str::from_utf8(line).ok().map(|line| line.trim_end_matches('\n')),
            Self::Flush | Self::Delimiter => None,
        }
    }
}

/// The packets of an answer, up to a number of bytes.
pub(super) struct Packets<R> {
    input: R,
    left: u64,
    max: u64,
}

impl<R: Read> Packets<R> {
    /// Reads an answer that may be `max` bytes long.
    pub(super) fn new(input: R, max: u64) -> Self {
        Self { input, left: max, max }
    }

    /// The next packet; nothing at the end of the answer. A line that tells of an error is the error.
    pub(super) fn next(&mut self) -> Result<Option<Packet>, Fault> {
        let mut head = [0; 4];
        if self.fill(&mut head)? == 0 {
            return Ok(None);
        }
        let length = std::str::from_utf8(&head).ok().and_then(|head| usize::from_str_radix(head, 16).ok());
        match length {
            Some(0) => Ok(Some(Packet::Flush)),
            // The response-end packet closes a section too, and nothing that is asked here tells them apart.
            Some(1 | 2) => Ok(Some(Packet::Delimiter)),
            Some(length @ 4..=LINE_BYTES_MAX) => {
                let mut line = vec![0; length - 4];
                if self.fill(&mut line)? < line.len() {
                    return Err(cut_short());
                }
                match line.strip_prefix(b"ERR ") {
                    Some(error) => Err(refusal(&String::from_utf8_lossy(error))),
                    None => Ok(Some(Packet::Line(line))),
                }
            }
            _ => Err(Fault::Invalid(format!(
                "the answer is not git's protocol (it begins with `{}`); does the URL name a repository?",
                text::shown(&String::from_utf8_lossy(&head))
            ))),
        }
    }

    /// Fills the buffer; 0 at a clean end.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Fault> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.input.read(rest) {
                Ok(0) if filled == 0 => return Ok(0),
                Ok(0) => return Err(cut_short()),
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(broken_off(error)),
            }
        }
        match self.left.checked_sub(filled as u64) {
            Some(left) => self.left = left,
            None => {
                return Err(Fault::Invalid(format!(
                    "the server's answer is larger than {} bytes, the limit",
                    self.max
                )));
            }
        }
        Ok(filled)
    }
}

/// What is in a side-band line (gitprotocol-pack(5)).
pub(super) enum Band<'a> {
    /// The pack or the report.
    Data(&'a [u8]),
    /// What the server tells the person at the terminal, a hook's words among it.
    Words(&'a [u8]),
}

/// Takes a side-band line apart; the error band is an error.
pub(super) fn band(line: &[u8]) -> Result<Band<'_>, Fault> {
    match line.split_first() {
        Some((1, data)) => Ok(Band::Data(data)),
        Some((2, words)) => Ok(Band::Words(words)),
        Some((3, error)) => Err(refusal(&String::from_utf8_lossy(error))),
        _ => Err(Fault::Invalid("the server's answer has an unknown side-band".to_owned())),
    }
}

/// A server's error line. An id that the server has no more means that the branch moved while we looked.
fn refusal(words: &str) -> Fault {
    let shown = text::shown(words);
    if words.contains("not our ref") || words.contains("unadvertised object") {
        return Fault::Unreachable(format!("the server has no such object any more ({shown}); read the tip again"));
    }
    Fault::Refused(format!("the server says: {shown}"))
}

fn cut_short() -> Fault {
    Fault::Unreachable("the server's answer breaks off; try again".to_owned())
}

fn broken_off(error: io::Error) -> Fault {
    match error.downcast::<HttpError>() {
        Ok(error) => error.into(),
        Err(error) => Fault::Unreachable(text::shown(&error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], max: u64) -> Result<Vec<Packet>, Fault> {
        let mut packets = Packets::new(bytes, max);
        let mut all = Vec::new();
        while let Some(packet) = packets.next()? {
            all.push(packet);
        }
        Ok(all)
    }

    #[test]
    fn lines_flushes_and_delimiters() {
        let mut bytes = Vec::new();
        put(&mut bytes, "command=fetch\n");
        bytes.extend_from_slice(DELIMITER);
        put(&mut bytes, "");
        bytes.extend_from_slice(FLUSH);
        assert_eq!(bytes, b"0012command=fetch\n000100040000");
        let packets = read(&bytes, 100).expect("well-formed");
        let line = |text: &[u8]| Packet::Line(text.to_vec());
        assert_eq!(packets, [line(b"command=fetch\n"), Packet::Delimiter, line(b""), Packet::Flush]);
        assert_eq!(packets[0].text(), Some("command=fetch"));
    }

    #[test]
    fn what_is_no_protocol_is_said() {
        let check = |bytes: &[u8], max: u64, expected: &str| {
            let fault = format!("{:?}", read(bytes, max).expect_err("malformed"));
            assert!(fault.contains(expected), "{fault}");
        };
        check(b"<!DOCTYPE html>", 100, "Invalid(\"the answer is not git's protocol (it begins with `<!DO`)");
        check(b"0003", 100, "not git's protocol");
        check(b"fff9", 100, "not git's protocol");
        check(b"0012comm", 100, "Unreachable(\"the server's answer breaks off");
        check(b"00", 100, "breaks off");
        check(b"0012command=fetch\n", 10, "larger than 10 bytes");
        check(b"000cERR \x1bno\n", 100, "Refused(\"the server says: no");
        check(b"0023ERR upload-pack: not our ref ab", 100, "Unreachable(\"the server has no such object");
    }
}
