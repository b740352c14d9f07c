//! One blob carried over: found there, taken over by the host itself, or read from the source and pushed in pieces.
//!
//! A piece that was lost is sent again from where the registry says it stands; an upload that was lost is begun anew, and
//! the registry is told that nobody ends the old one.

use super::Copy;
use super::source::{PAUSE, Source};
use crate::clients::http;
use crate::clients::registry::error::{RegistryError, nonsense};
use crate::clients::registry::origin;
use crate::clients::registry::session::{Answer, Call, Special};
use crate::model::Digest;
use reqwest::header::{CONTENT_RANGE, HeaderMap, HeaderValue, LOCATION, RANGE};
use reqwest::{Method, Response, StatusCode, Url};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How much of a blob is sent at once, and held in memory: object stores want at least 5 MiB for a part.
const PIECE_BYTES: usize = 8 << 20;
/// How often an upload is begun anew.
const UPLOADS_MAX: u32 = 3;
/// How often one piece is sent.
const SENDS_MAX: u32 = 5;
/// How long one piece may take: 8 MiB over a line of 300 kbit/s.
const PIECE_TIME_MAX: Duration = Duration::from_secs(240);
/// How long it may take to say that nobody ends an upload: it is a courtesy.
const ABANDON_TIME_MAX: Duration = Duration::from_secs(10);
/// What blobs are sent as.
const BYTES: &str = "application/octet-stream";

impl Copy<'_> {
    /// Carries a blob over, unless it is there.
    pub(super) async fn blob(&self, digest: &Digest, size: u64) -> Result<(), RegistryError> {
        let carried = async {
            if self.has(digest).await? {
                return Ok(());
            }
            let mut upload = match self.target.mounts() {
                Some(from) => match self.mount(digest, from.path()).await? {
                    Mount::Done => return Ok(()),
                    Mount::Upload(upload) => Some(upload),
                    Mount::Refused => None,
                },
                None => None,
            };
            let mut uploads = 1;
            loop {
                let mut at = match upload.take() {
                    Some(upload) => upload,
                    None => self.begin().await?,
                };
                let Err(error) = self.pour(digest, size, &mut at).await else { return Ok(()) };
                self.abandon(at).await;
                if !matches!(error, RegistryError::Unreachable(_)) || uploads >= UPLOADS_MAX {
                    return Err(error);
                }
                tokio::time::sleep(PAUSE * 2_u32.pow(uploads)).await;
                uploads += 1;
            }
        };
        let told = |error: RegistryError| error.during(&format!("blob {} of {size} bytes", digest.short()));
        carried.await.map_err(told)
    }

    async fn has(&self, digest: &Digest) -> Result<bool, RegistryError> {
        let url = self.target.url(&format!("blobs/{digest}"));
        let call = Call { method: Method::HEAD, url, accept: "*/*", content: None, special: None };
        match self.target.ask(&call).await? {
            Answer::Yes(_) => Ok(true),
            Answer::No(refusal) if refusal.status == StatusCode::NOT_FOUND => Ok(false),
            Answer::No(refusal) => Err(refusal.into_error()),
        }
    }

    /// Asks the host to take the blob over from another of its repositories.
    async fn mount(&self, digest: &Digest, from: &str) -> Result<Mount, RegistryError> {
        let mut url = self.target.url("blobs/uploads/");
        url.query_pairs_mut().append_pair("mount", digest.as_str()).append_pair("from", from);
        match self.target.ask(&sent(Method::POST, url.clone(), &[], None)).await? {
            Answer::Yes(response) if response.status() == StatusCode::CREATED => {
                self.mounted.fetch_add(1, Ordering::Relaxed);
                Ok(Mount::Done)
            }
            Answer::Yes(response) => self.location(&url, &response).map(Mount::Upload),
            // Who may not read there may still push here.
            Answer::No(refusal) if refusal.status.is_client_error() => Ok(Mount::Refused),
            Answer::No(refusal) => Err(refusal.into_error()),
        }
    }

    async fn begin(&self) -> Result<Url, RegistryError> {
        let url = self.target.url("blobs/uploads/");
        let response = self.target.ask(&sent(Method::POST, url.clone(), &[], None)).await?.accepted()?;
        self.location(&url, &response)
    }

    /// Where the upload goes on: relative to what was asked, and nowhere that the registry should not lead us.
    fn location(&self, asked: &Url, response: &Response) -> Result<Url, RegistryError> {
        let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        let next = location.and_then(|location| asked.join(location).ok());
        let next = next.ok_or_else(|| nonsense(asked, "it names no place for the upload"))?;
        origin::may_lead_to(&self.target.host.base, &next).map_err(|why| {
            nonsense(asked, &format!("its upload place {} is refused: {why}", http::shown_url(&next)))
        })?;
        Ok(next)
    }

    /// Reads the blob and pushes it: a small one whole, a large one in pieces.
    async fn pour(&self, digest: &Digest, size: u64, at: &mut Url) -> Result<(), RegistryError> {
        let mut source = Source::new(self.source, digest, size);
        let (mut piece, mut sent_bytes) = (source.piece(PIECE_BYTES).await?, 0);
        while sent_bytes + (piece.len() as u64) < size {
            self.send(at, &piece, sent_bytes).await?;
            sent_bytes += piece.len() as u64;
            piece = source.piece(PIECE_BYTES).await?;
        }
        if sent_bytes > 0 {
            self.send(at, &piece, sent_bytes).await?;
            piece = Vec::new();
        }
        source.verified()?;
        self.finish(at, digest, &piece).await?;
        self.blobs.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(size, Ordering::Relaxed);
        Ok(())
    }

    /// Ends an upload with its last piece, and its digest.
    async fn finish(&self, at: &Url, digest: &Digest, piece: &[u8]) -> Result<(), RegistryError> {
        let mut end = at.clone();
        end.query_pairs_mut().append_pair("digest", digest.as_str());
        let slow = Special { timeout: Some(PIECE_TIME_MAX), ..Special::default() };
        let ended = self.target.ask(&sent(Method::PUT, end, piece, Some(&slow))).await;
        match ended.and_then(Answer::accepted) {
            Ok(_) => Ok(()),
            // The registry may have said yes before, and been lost on the way.
            Err(error) => {
                if self.has(digest).await == Ok(true) {
                    Ok(())
                } else {
                    Err(error)
                }
            }
        }
    }

    /// Tells the registry that nobody ends this upload. It forgets it by itself some day, so that nothing comes of it
    /// where this cannot be said.
    async fn abandon(&self, at: Url) {
        let quick = Special { timeout: Some(ABANDON_TIME_MAX), ..Special::default() };
        let call = Call { method: Method::DELETE, url: at, accept: "*/*", content: None, special: Some(&quick) };
        let _told = self.target.ask_now(&call).await.is_ok();
    }

    /// Sends one piece; `at` is then where the next one goes.
    async fn send(&self, at: &mut Url, piece: &[u8], begin: u64) -> Result<(), RegistryError> {
        let end = begin + piece.len() as u64;
        let mut special = Special { timeout: Some(PIECE_TIME_MAX), ..Special::default() };
        if let Ok(range) = HeaderValue::from_str(&format!("{begin}-{}", end.saturating_sub(1))) {
            special.headers.insert(CONTENT_RANGE, range);
        }
        let mut sends = 1;
        loop {
            let asked = self.target.ask_now(&sent(Method::PATCH, at.clone(), piece, Some(&special))).await;
            let lost = match asked.and_then(taken) {
                Ok(response) => {
                    *at = self.location(at, &response)?;
                    return Ok(());
                }
                Err(lost @ (RegistryError::Unreachable(_) | RegistryError::Busy { .. })) if sends < SENDS_MAX => lost,
                Err(error) => return Err(error),
            };
            let wait = if let RegistryError::Busy { retry_after, .. } = &lost { *retry_after } else { None };
            tokio::time::sleep(wait.unwrap_or(PAUSE * 2_u32.pow(sends))).await;
            sends += 1;
            // Not every registry looks whether a piece begins where the upload stands, so that is asked first.
            match self.progress(at).await? {
                Some((next, stands_at)) => {
                    *at = next;
                    if stands_at == end {
                        return Ok(());
                    }
                    // Half a piece was taken, or the registry has forgotten: only a new upload is sure.
                    if stands_at != begin {
                        return Err(RegistryError::Unreachable(lost.to_string()));
                    }
                }
                // Where nothing can be asked, a host that said that it is busy took nothing.
                None if matches!(lost, RegistryError::Busy { .. }) => {}
                None => return Err(lost),
            }
        }
    }

    /// Where an upload stands: its place and how many bytes it has; none where the registry does not know it.
    async fn progress(&self, at: &Url) -> Result<Option<(Url, u64)>, RegistryError> {
        let call = Call { method: Method::GET, url: at.clone(), accept: "*/*", content: None, special: None };
        match self.target.ask(&call).await? {
            Answer::Yes(response) => {
                let next = self.location(at, &response).unwrap_or_else(|_| at.clone());
                Ok(stands_at(response.headers()).map(|stands_at| (next, stands_at)))
            }
            Answer::No(refusal) if refusal.status.is_client_error() => Ok(None),
            Answer::No(refusal) => Err(refusal.into_error()),
        }
    }
}

/// What came of asking for a mount.
enum Mount {
    Done,
    /// It was not found there: an upload was begun in its place.
    Upload(Url),
    Refused,
}

fn sent<'a>(method: Method, url: Url, bytes: &'a [u8], special: Option<&'a Special>) -> Call<'a> {
    Call { method, url, accept: "*/*", content: Some((BYTES, bytes)), special }
}

/// The answer to a piece. An upload that does not stand where it begins has taken it, or a part of it, without a word.
fn taken(answer: Answer) -> Result<Response, RegistryError> {
    match answer {
        Answer::No(refusal) if refusal.status == StatusCode::RANGE_NOT_SATISFIABLE => {
            Err(RegistryError::Unreachable(refusal.into_error().to_string()))
        }
        answer => answer.accepted(),
    }
}

/// How many bytes an upload has, by its `Range: 0-<last>`; `0-0` stands for none, as nobody sends one byte.
fn stands_at(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(RANGE)?.to_str().ok()?;
    let last: u64 = range.trim_start_matches("bytes=").strip_prefix("0-")?.trim().parse().ok()?;
    Some(if last == 0 { 0 } else { last + 1 })
}
