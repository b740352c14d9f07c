//! A remote behind git's smart HTTP protocol (gitprotocol-http(5)): fetching in protocol version 2 into a cache, pushing
//! as compare-and-swap.
//!
//! It needs no git binary and no libgit2 transport. It follows no redirect, so a token reaches no other host.

use super::cache::Cache;
use super::error::Fault;
use super::messages::{self, Messages};
use super::pkt::Packets;
use super::receive::{self, Report};
use super::remote::Remote;
use super::source::{Move, Source, reference};
use super::upload::{self, Abilities, Ask, Cut};
use crate::clients::http::{self, Counter};
use crate::model::text;
use git2::{Oid, Repository};
use jiff::Timestamp;
use reqwest::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use secrecy::ExposeSecret as _;
use std::io::{self, Cursor, Read};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;

/// The longest capability advertisement or list of references: the prefix keeps the list to a few lines.
const LIST_BYTES_MAX: u64 = 4 << 20;

/// The largest answer with objects: a server that cannot leave contents away sends the whole tree at first.
const PACK_BYTES_MAX: u64 = 2 << 30;

/// The longest report on a push, hook output included.
const REPORT_BYTES_MAX: u64 = 1 << 20;

/// The longest explanation that is read of a refused request.
const WORDS_BYTES_MAX: usize = 64 << 10;

/// How long an answer with objects may take: a full tree of [`PACK_BYTES_MAX`] over 3 MB/s.
const PACK_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// How long a push may take: the server's hooks run before it answers.
const PUSH_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// A git server, and what is known of one repository there.
pub(super) struct Smart {
    remote: Remote,
    client: Client,
    counter: Counter,
    cache: Cache,
    abilities: Mutex<Option<Abilities>>,
}

impl Smart {
    /// A remote with its cache.
    pub(super) fn new(remote: Remote, counter: Counter, cache: Cache) -> Result<Self, Fault> {
        let client = http::client(&remote.transport)?;
        Ok(Self { remote, client, counter, cache, abilities: Mutex::new(None) })
    }

    /// What the server can, asked once.
    fn abilities(&self) -> Result<Abilities, Fault> {
        let mut known = self.abilities.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(abilities) = *known {
            return Ok(abilities);
        }
        let mut url = self.at("info/refs");
        url.set_query(Some("service=git-upload-pack"));
        let request = self.client.get(url).header("Git-Protocol", "version=2");
        let answer = self.send(request, self.remote.transport.timeout)?;
        let abilities = upload::abilities(Packets::new(answer, LIST_BYTES_MAX))?;
        *known = Some(abilities);
        Ok(abilities)
    }

    /// Asks for objects and stores them. False: the server found no common ground and sent none.
    fn bring(&self, ask: &Ask<'_>) -> Result<bool, Fault> {
        let brought = self.ask(ask, &self.cache);
        if brought.is_err() {
            // The server may be another one by now.
            *self.abilities.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        brought
    }

    fn ask(&self, ask: &Ask<'_>, into: &Cache) -> Result<bool, Fault> {
        let answer = self.post("git-upload-pack", ask.body(), PACK_TIMEOUT)?;
        let mut packets = Packets::new(answer, ask.bytes_max.unwrap_or(PACK_BYTES_MAX).min(PACK_BYTES_MAX));
        let Some(cut) = upload::until_pack(&mut packets)? else { return Ok(false) };
        into.store(&cut, |mut store| upload::copy_pack(&mut packets, &mut store))?;
        Ok(true)
    }

    fn post(&self, service: &str, body: Vec<u8>, timeout: Duration) -> Result<Body, Fault> {
        let mut request = self
            .client
            .post(self.at(service))
            .header(CONTENT_TYPE, format!("application/x-{service}-request"))
            .header(ACCEPT, format!("application/x-{service}-result"));
        if service == "git-upload-pack" {
            request = request.header("Git-Protocol", "version=2");
        }
        self.send(request.body(body), timeout)
    }

    fn send(&self, mut request: RequestBuilder, timeout: Duration) -> Result<Body, Fault> {
        if let Some(token) = &self.remote.token {
            let token = token().map_err(Fault::Refused)?;
            request = request.basic_auth(&self.remote.username, Some(token.expose_secret()));
        }
        let request = request.timeout(timeout.max(self.remote.transport.timeout)).build();
        let request = request.map_err(|error| http::failure(&Method::POST, &self.remote.url, &error))?;
        let runtime = Handle::try_current().map_err(|error| Fault::Invalid(error.to_string()))?;
        let response = runtime.block_on(http::send(&self.client, request, &self.counter))?;
        if response.status().is_success() {
            return Ok(Body { runtime, response, chunk: Cursor::default() });
        }
        Err(refusal(&runtime, response))
    }

    /// The URL of a part of the protocol.
    fn at(&self, part: &str) -> Url {
        let mut url = self.remote.url.clone();
        url.set_path(&format!("{}/{part}", url.path().trim_end_matches('/')));
        url.set_query(None);
        url.set_fragment(None);
        url
    }

    /// Keeps what was pushed, so that it need not be fetched. A failure loses nothing but this.
    fn keep(&self, branch: &str, new: Oid, pack: &[u8]) -> Result<(), Fault> {
        if !pack.is_empty() {
            let copy = |to: &mut dyn io::Write| to.write_all(pack).map_err(|error| Fault::Store(error.to_string()));
            self.cache.store(&Cut::default(), copy)?;
        }
        self.cache.note(&self.cache.repository()?, branch, Some(new))
    }
}

impl Source for Smart {
    fn repository(&self) -> Result<Repository, Fault> {
        self.cache.repository()
    }

    fn tip(&self, branch: &str) -> Result<Option<Oid>, Fault> {
        // Only a server that speaks version 2 understands the one small request.
        self.abilities()?;
        let name = reference(branch);
        let answer = self.post("git-upload-pack", upload::ls_refs(&name), self.remote.transport.timeout)?;
        let tip = upload::listed(Packets::new(answer, LIST_BYTES_MAX), &name)?;
        if tip.is_none() {
            self.cache.note(&self.cache.repository()?, branch, None)?;
        }
        Ok(tip)
    }

    fn fetch(&self, branch: &str, tip: Oid) -> Result<(), Fault> {
        let repository = self.cache.repository()?;
        if !repository.odb()?.exists(tip) {
            let abilities = self.abilities()?;
            let haves = self.cache.tips(&repository, branch)?;
            let shallow: Vec<Oid> = self.cache.cuts()?.into_iter().collect();
            let wants = [tip];
            let ask = Ask { wants: &wants, haves: &haves, shallow, blobless: abilities.filter, ..Ask::default() };
            // What lies between the last known tip and this one comes whole. Where the server knows no way from there,
            // as at first or after a forced push, only the newest commit comes: the way could be all of history.
            if haves.is_empty() || !self.bring(&ask)? {
                let depth = abilities.shallow.then_some(1);
                self.bring(&Ask { depth, done: true, ..ask })?;
            }
        }
        // A new opening: the old one has read the packs and the cut before they changed.
        let repository = self.cache.repository()?;
        super::cache::commit(&repository, tip)?;
        self.cache.note(&repository, branch, Some(tip))
    }

    fn obtain(&self, contents: &[Oid], bytes_max: u64) -> Result<(), Fault> {
        let bytes_max = Some(bytes_max);
        self.bring(&Ask { wants: contents, done: true, bytes_max, ..Ask::default() }).map(drop)
    }

    fn deepen(&self, tip: Oid, depth: u32) -> Result<(), Fault> {
        let abilities = self.abilities()?;
        let shallow: Vec<Oid> = self.cache.cuts()?.into_iter().collect();
        if shallow.is_empty() || !abilities.shallow {
            return Ok(());
        }
        let known = [tip];
        let depth = Some(depth);
        let blobless = abilities.filter;
        let ask = Ask { wants: &known, haves: &known, shallow, depth, blobless, done: true, ..Ask::default() };
        self.bring(&ask).map(drop)
    }

    fn messages(&self, tip: Oid) -> Result<Messages, Fault> {
        let abilities = self.abilities()?;
        if !abilities.filter || !abilities.shallow {
            return Ok(Messages::unknown(tip));
        }
        let wants = [tip];
        let (depth, bytes_max) = (Some(messages::COMMITS_MAX), Some(messages::BYTES_MAX));
        let ask = Ask { wants: &wants, depth, bytes_max, treeless: true, done: true, ..Ask::default() };
        let read = self.cache.aside(|aside| {
            self.ask(&ask, aside)?;
            Messages::read(&aside.repository()?, &aside.cuts()?, tip)
        });
        match read {
            Err(fault @ (Fault::Refused(_) | Fault::Absent(_) | Fault::Invalid(_))) => {
                let (remote, reason) = (self.remote.shown(), fault.reason());
                tracing::warn!(%remote, %reason, "the commit messages of the whole history could not be read: {reason}");
                Ok(Messages::unknown(tip))
            }
            read => read,
        }
    }

    fn push(&self, branch: &str, old: Oid, new: Oid, pack: &[u8]) -> Result<Move, Fault> {
        let request = receive::request(&reference(branch), old, new, pack);
        let answer = self.post("git-receive-pack", request, PUSH_TIMEOUT)?;
        let report = receive::report(Packets::new(answer, REPORT_BYTES_MAX)).map_err(|fault| match fault {
            // A proxy's page instead of a report says nothing about the push.
            Fault::Invalid(reason) => Fault::Unreachable(format!("{reason}; the push may have arrived: read the tip")),
            fault => fault,
        })?;
        match report {
            Report::Moved => {}
            // A tip that is already the new one means that something on the way sent the request twice.
            Report::Refused(words) => match self.tip(branch)? {
                Some(tip) if tip == new && !old.is_zero() => {}
                tip if tip.unwrap_or(Oid::ZERO_SHA1) != old => return Ok(Move::Raced(tip)),
                _ if receive::is_about_a_lock(&words) => {
                    return Ok(Move::Locked(format!(
                        "the server could not lock `{branch}`: {words}; if this lasts, look for a lock file that a git \
                         process left on the server"
                    )));
                }
                _ => return Err(Fault::Refused(format!("the server refuses the push to `{branch}`: {words}"))),
            },
        }
        if let Err(fault) = self.keep(branch, new, pack) {
            tracing::warn!(remote = %self.remote.shown(), ?fault, "what was pushed could not be kept; it is fetched again");
        }
        Ok(Move::Done)
    }

    fn may_push(&self) -> Result<(), Fault> {
        let mut url = self.at("info/refs");
        url.set_query(Some("service=git-receive-pack"));
        // The list of references may be long, and only that it comes is of interest.
        self.send(self.client.get(url), self.remote.transport.timeout).map(drop)
    }

    fn forget(&self) -> Result<(), Fault> {
        self.cache.empty()
    }
}

/// What an answer other than success means.
fn refusal(runtime: &Handle, response: Response) -> Fault {
    let status = response.status();
    if status.is_redirection() {
        let target = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        let target = target.and_then(|location| response.url().join(location).ok());
        let target = target.map_or_else(|| "another address".to_owned(), |url| http::shown_url(&url));
        return Fault::Invalid(format!(
            "the server sends us on to {target}; redirects are not followed, for the token is meant for this host: \
             write the new address into the configuration"
        ));
    }
    let headers = response.headers();
    let retry_after = http::retry_after(headers, http::date(headers).unwrap_or(Timestamp::MAX));
    let body = runtime.block_on(http::body(response, WORDS_BYTES_MAX, "explanation")).unwrap_or_default();
    let words = text::shown(&String::from_utf8_lossy(&body));
    let words = if words.is_empty() || words.starts_with('<') { String::new() } else { format!(": {words}") };
    let told = format!("the server answers {status}{words}");
    match status {
        StatusCode::UNAUTHORIZED => Fault::Refused(format!("{told}; are user name and token right, and still valid?")),
        StatusCode::FORBIDDEN => Fault::Refused(format!("{told}; may this token read and write the repository?")),
        StatusCode::NOT_FOUND | StatusCode::GONE => {
            Fault::Absent(format!("{told}; is the URL right, and may this token see the repository?"))
        }
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
            Fault::Busy(format!("{told}; try later"), retry_after)
        }
        status if status.is_server_error() => Fault::Busy(format!("{told}; try later"), retry_after),
        _ => Fault::Invalid(format!("{told}; does the URL name a git repository?")),
    }
}

/// An answer's body, read by code that blocks. The caller's thread is one that may.
struct Body {
    runtime: Handle,
    response: Response,
    chunk: Cursor<Vec<u8>>,
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.chunk.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            let next = self.runtime.block_on(self.response.chunk());
            let next = next.map_err(|error| http::failure(&Method::POST, self.response.url(), &error));
            match next.map_err(io::Error::other)? {
                Some(chunk) => self.chunk = Cursor::new(chunk.to_vec()),
                None => return Ok(0),
            }
        }
    }
}
