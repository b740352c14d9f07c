//! Fetching in git's protocol version 2 (gitprotocol-v2(5)): the requests as bytes, the answers as values.
//!
//! It sends nothing and stores nothing: `smart.rs` carries the bytes, `cache.rs` keeps what came.

use super::error::Fault;
use super::pkt::{self, Band, DELIMITER, FLUSH, Packet, Packets};
use crate::clients::http::USER_AGENT;
use crate::model::text;
use git2::Oid;
use std::io::{Read, Write};

/// What of the server's abilities matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Abilities {
    /// Whether it can leave file contents away (`filter blob:none`).
    pub(super) filter: bool,
    /// Whether it can cut history (`deepen`).
    pub(super) shallow: bool,
}

/// Reads the capability advertisement that answers `GET info/refs?service=git-upload-pack`.
pub(super) fn abilities(mut packets: Packets<impl Read>) -> Result<Abilities, Fault> {
    let (mut version_2, mut fetch) = (false, None);
    while let Some(packet) = packets.next()? {
        let Some(line) = packet.text() else { continue };
        match line.split_once('=').unwrap_or((line, "")) {
            ("version 2", _) => version_2 = true,
            ("fetch", features) => fetch = Some(features.to_owned()),
            ("object-format", format) if format != "sha1" => {
                return Err(Fault::Invalid(format!(
                    "the repository names its objects by {}; only SHA-1 repositories can be read",
                    text::shown(format)
                )));
            }
            _ => {}
        }
    }
    let Some(fetch) = fetch.filter(|_| version_2) else {
        return Err(Fault::Invalid(
            "the server does not speak git's protocol version 2; git 2.18 or later, or a proxy that passes the header \
             Git-Protocol on, is needed"
                .to_owned(),
        ));
    };
    let has = |feature: &str| fetch.split(' ').any(|each| each == feature);
    Ok(Abilities { filter: has("filter"), shallow: has("shallow") })
}

/// Asks for the reference of this name; the server adds those that merely begin so.
pub(super) fn ls_refs(reference: &str) -> Vec<u8> {
    let mut request = command("ls-refs");
    pkt::put(&mut request, &format!("ref-prefix {reference}\n"));
    request.extend_from_slice(FLUSH);
    request
}

/// Reads what `ls-refs` answers: where the reference of exactly this name stands.
pub(super) fn listed(mut packets: Packets<impl Read>, reference: &str) -> Result<Option<Oid>, Fault> {
    let mut found = None;
    loop {
        match packets.next()? {
            Some(Packet::Flush) => return Ok(found),
            None => return Err(Fault::Unreachable("the list of references breaks off; try again".to_owned())),
            Some(packet) => {
                let mut words = packet.text().unwrap_or_default().split(' ');
                if let (Some(id), Some(name)) = (words.next(), words.next())
                    && name == reference
                {
                    found = Some(id_of(id)?);
                }
            }
        }
    }
}

/// What is asked of `fetch`.
#[derive(Debug, Clone, Default)]
pub(super) struct Ask<'a> {
    /// The objects that are wanted.
    pub(super) wants: &'a [Oid],
    /// The commits that we have.
    pub(super) haves: &'a [Oid],
    /// The commits whose parents we do not have.
    pub(super) shallow: Vec<Oid>,
    /// How many commits deep history is to be from the wanted ones on.
    pub(super) depth: Option<u32>,
    /// Whether file contents are left away.
    pub(super) blobless: bool,
    /// Whether trees are left away, too.
    pub(super) treeless: bool,
    /// Whether the server is to send at once, without first saying whether it knows what we have.
    pub(super) done: bool,
    /// How many bytes the answer may have; none = as many as any answer may.
    pub(super) bytes_max: Option<u64>,
}

impl Ask<'_> {
    /// The request's body.
    pub(super) fn body(&self) -> Vec<u8> {
        let mut request = command("fetch");
        let mut put = |line: &str| pkt::put(&mut request, line);
        put("ofs-delta\n");
        put("no-progress\n");
        self.wants.iter().for_each(|id| put(&format!("want {id}\n")));
        self.shallow.iter().for_each(|id| put(&format!("shallow {id}\n")));
        if let Some(depth) = self.depth {
            put(&format!("deepen {depth}\n"));
        }
        if self.treeless {
            put("filter tree:0\n");
        } else if self.blobless {
            put("filter blob:none\n");
        }
        self.haves.iter().for_each(|id| put(&format!("have {id}\n")));
        if self.done {
            put("done\n");
        }
        request.extend_from_slice(FLUSH);
        request
    }
}

/// How an answer moves the place where our history is cut.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Cut {
    /// Commits whose parents do not come.
    pub(super) shallow: Vec<Oid>,
    /// Commits whose parents come now.
    pub(super) unshallow: Vec<Oid>,
}

/// Reads the answer of `fetch` up to its pack. Nothing: the server found no common ground, and sends no pack.
pub(super) fn until_pack(packets: &mut Packets<impl Read>) -> Result<Option<Cut>, Fault> {
    let mut cut = Cut::default();
    while let Some(packet) = packets.next()? {
        if packet == Packet::Flush {
            return Ok(None);
        }
        match packet.text().map(|line| line.split_once(' ').unwrap_or((line, ""))) {
            Some(("packfile", _)) => return Ok(Some(cut)),
            Some(("shallow", id)) => cut.shallow.push(id_of(id)?),
            Some(("unshallow", id)) => cut.unshallow.push(id_of(id)?),
            // Section titles and the acknowledgments tell nothing that the pack, or its absence, does not.
            _ => {}
        }
    }
    Err(Fault::Unreachable("the answer breaks off before the objects; try again".to_owned()))
}

/// Copies the pack, in side-bands, to where it is stored.
pub(super) fn copy_pack(packets: &mut Packets<impl Read>, store: &mut impl Write) -> Result<(), Fault> {
    loop {
        match packets.next()? {
            Some(Packet::Line(line)) => {
                if let Band::Data(data) = pkt::band(&line)? {
                    store.write_all(data).map_err(|error| Fault::Store(error.to_string()))?;
                }
            }
            Some(Packet::Flush) => return Ok(()),
            Some(Packet::Delimiter) => {}
            None => return Err(Fault::Unreachable("the pack breaks off; try again".to_owned())),
        }
    }
}

fn command(name: &str) -> Vec<u8> {
    let mut request = Vec::new();
    pkt::put(&mut request, &format!("command={name}\n"));
    pkt::put(&mut request, &format!("agent={USER_AGENT}\n"));
    request.extend_from_slice(DELIMITER);
    request
}

fn id_of(text: &str) -> Result<Oid, Fault> {
    let malformed = || Fault::Invalid(format!("`{}` is no object id", text::shown(text)));
    if text.len() == 40 { Oid::from_str(text).map_err(|_| malformed()) } else { Err(malformed()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    /// `|` is a flush, `:` a delimiter, all else a line.
    fn answer(lines: &[&str]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for line in lines {
            match *line {
                "|" => bytes.extend_from_slice(FLUSH),
                ":" => bytes.extend_from_slice(DELIMITER),
                line => pkt::put(&mut bytes, line),
            }
        }
        bytes
    }

    fn packets(bytes: &[u8]) -> Packets<&[u8]> {
        Packets::new(bytes, 10_000)
    }

    #[test]
    fn a_server_tells_its_abilities() {
        let check = |lines: &[&str], expected: Option<(bool, bool)>| {
            let abilities = abilities(packets(&answer(lines))).ok();
            assert_eq!(abilities.map(|a| (a.filter, a.shallow)), expected, "{lines:?}");
        };
        check(&["# service=git-upload-pack\n", "|", "version 2\n", "fetch=shallow filter\n", "|"], Some((true, true)));
        check(&["version 2\n", "agent=git/2.39\n", "fetch=shallow wait-for-done\n", "|"], Some((false, true)));
        check(&["version 2\n", "fetch\n", "object-format=sha1\n", "|"], Some((false, false)));
        check(&["version 2\n", "fetch=filter\n", "object-format=sha256\n", "|"], None);
        check(&["# service=git-upload-pack\n", "|", &format!("{A} HEAD\0ofs-delta\n"), "|"], None);
    }

    #[test]
    fn a_reference_is_found_by_its_whole_name() {
        let listing = [&format!("{B} refs/heads/main-2\n"), &format!("{A} refs/heads/main peeled:{B}\n"), "|"];
        let check = |name: &str, expected: Option<&str>| {
            let found = listed(packets(&answer(&listing)), name).expect("well-formed");
            assert_eq!(found.map(|id| id.to_string()).as_deref(), expected);
        };
        check("refs/heads/main", Some(A));
        check("refs/heads/main-2", Some(B));
        check("refs/heads/mai", None);
        assert!(listed(packets(&answer(&listing[..1])), "refs/heads/main").is_err(), "no flush: the list broke off");
        assert!(listed(packets(&answer(&["zz refs/heads/main\n", "|"])), "refs/heads/main").is_err());
    }

    #[test]
    fn answers_with_and_without_a_pack() {
        let check = |lines: &[&str], expected: Option<Option<(usize, usize)>>| {
            let bytes = answer(lines);
            let cut = until_pack(&mut packets(&bytes)).ok();
            assert_eq!(cut.map(|cut| cut.map(|c| (c.shallow.len(), c.unshallow.len()))), expected, "{lines:?}");
        };
        let (shallow, unshallow) = (format!("shallow {A}\n"), format!("unshallow {B}\n"));
        check(&["packfile\n"], Some(Some((0, 0))));
        check(&["shallow-info\n", &shallow, &unshallow, ":", "packfile\n"], Some(Some((1, 1))));
        check(&["acknowledgments\n", &format!("ACK {A}\n"), "ready\n", ":", "packfile\n"], Some(Some((0, 0))));
        check(&["acknowledgments\n", "NAK\n", "|"], Some(None));
        check(&["acknowledgments\n"], None);
        check(&["shallow nothing\n"], None);
    }

    #[test]
    fn a_pack_ends_with_a_flush_or_is_half() {
        let check = |lines: &[&str], expected: Option<&str>| {
            let mut pack = Vec::new();
            let copied = copy_pack(&mut packets(&answer(lines)), &mut pack).ok();
            assert_eq!(copied.map(|()| String::from_utf8(pack).expect("text")).as_deref(), expected);
        };
        check(&["\u{1}PA", "\u{2}counting", "\u{1}CK", "|"], Some("PACK"));
        check(&["\u{1}PA"], None);
        check(&["\u{3}out of memory", "|"], None);
    }

    #[test]
    fn an_ask_as_bytes() {
        let (a, b) = (Oid::from_str(A).expect("an id"), Oid::from_str(B).expect("an id"));
        let ask = Ask {
            wants: &[a],
            haves: &[b],
            shallow: vec![b],
            depth: Some(50),
            blobless: true,
            treeless: false,
            done: true,
            bytes_max: None,
        };
        let body = String::from_utf8(ask.body()).expect("text");
        let lines: Vec<&str> =
            body.lines().map(|line| line.trim_start_matches("0001").get(4..).unwrap_or("")).collect();
        let agent = format!("agent={USER_AGENT}");
        let (want, shallow, have) = (format!("want {A}"), format!("shallow {B}"), format!("have {B}"));
        assert_eq!(
            lines,
            [
                "command=fetch",
                &agent,
                "ofs-delta",
                "no-progress",
                &want,
                &shallow,
                "deepen 50",
                "filter blob:none",
                &have,
                "done",
                ""
            ]
        );
        assert!(body.ends_with("0009done\n0000"));
    }
}
