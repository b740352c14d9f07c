//! The bytes of a blob as they come from where it is: piece by piece, taken up again where they broke off, and hashed.
//!
//! It holds no more than one piece; where a host cannot begin in the middle, what was had already is read past.

use crate::clients::http::{self, HttpError};
use crate::clients::registry::error::{RegistryError, nonsense};
use crate::clients::registry::session::{Call, Session, Special};
use crate::model::{Digest, Digesting};
use reqwest::header::{HeaderValue, RANGE};
use reqwest::{Method, Response, StatusCode, Url};
use std::time::Duration;
use tokio::time::timeout;

/// How long one request for a blob may take: the largest layers over slow lines, and then it is taken up again.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(60 * 60);
/// How long a stream may say nothing before it counts as broken.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// How often a stream is taken up again without a byte more in between.
const TRIES_MAX: u32 = 4;
/// The first pause before that; each further one doubles it.
pub(super) const PAUSE: Duration = Duration::from_millis(500);

/// A blob while it is read.
pub(super) struct Source<'a> {
    session: &'a Session<'a>,
    digest: &'a Digest,
    size: u64,
    /// How many bytes were had.
    had: u64,
    hashed: Digesting,
    stream: Option<Response>,
    /// How many bytes of the stream are to be read past.
    past: u64,
}

impl<'a> Source<'a> {
    pub(super) fn new(session: &'a Session<'a>, digest: &'a Digest, size: u64) -> Self {
        Self { session, digest, size, had: 0, hashed: Digesting::default(), stream: None, past: 0 }
    }

    fn url(&self) -> Url {
        self.session.url(&format!("blobs/{}", self.digest))
    }

    /// The next bytes, at least `wanted` but at the end.
    pub(super) async fn piece(&mut self, wanted: usize) -> Result<Vec<u8>, RegistryError> {
        let mut piece = Vec::with_capacity(usize::try_from(self.size - self.had).unwrap_or(wanted).min(wanted));
        let mut tries = 0;
        while piece.len() < wanted && self.had < self.size {
            match self.read(&mut piece).await {
                Ok(true) => tries = 0,
                Ok(false) => {}
                Err(RegistryError::Unreachable(_)) if tries < TRIES_MAX => {
                    self.stream = None;
                    tokio::time::sleep(PAUSE * 2_u32.pow(tries)).await;
                    tries += 1;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(piece)
    }

    /// Reads what comes next; whether it was something new.
    async fn read(&mut self, piece: &mut Vec<u8>) -> Result<bool, RegistryError> {
        if self.stream.is_none() {
            self.stream = Some(self.open().await?);
        }
        let Some(stream) = &mut self.stream else { return Ok(false) };
        let url = stream.url().clone();
        let broken = |reason: &str| {
            let request = http::shown_request(&Method::GET, &url);
            RegistryError::from(HttpError::Unreachable { request, reason: reason.to_owned() })
        };
        let next = timeout(SILENCE_MAX, stream.chunk()).await.map_err(|_| broken("the blob stopped coming"))?;
        let next = next.map_err(|error| RegistryError::from(http::failure(&Method::GET, &url, &error)))?;
        let bytes = next.ok_or_else(|| broken("the blob ended early"))?;
        let skipped = usize::try_from(self.past).unwrap_or(usize::MAX).min(bytes.len());
        let (old, new) = bytes.split_at(skipped);
        self.past -= old.len() as u64;
        if self.had + new.len() as u64 > self.size {
            return Err(nonsense(&self.url(), &format!("the blob is larger than the {} bytes announced", self.size)));
        }
        self.had += new.len() as u64;
        self.hashed.update(new);
        piece.extend_from_slice(new);
        Ok(!new.is_empty())
    }

    async fn open(&mut self) -> Result<Response, RegistryError> {
        let mut special = Special { timeout: Some(REQUEST_TIME_MAX), ..Special::default() };
        if let Ok(range) = HeaderValue::from_str(&format!("bytes={}-", self.had))
            && self.had > 0
        {
            special.headers.insert(RANGE, range);
        }
        let call = Call { method: Method::GET, url: self.url(), accept: "*/*", content: None, special: Some(&special) };
        let response = self.session.ask(&call).await?.accepted()?;
        self.past = if response.status() == StatusCode::PARTIAL_CONTENT { 0 } else { self.had };
        Ok(response)
    }

    /// Whether what was read is what was asked for.
    ///
    /// # Errors
    /// When the bytes have another digest.
    pub(super) fn verified(self) -> Result<(), RegistryError> {
        let url = self.url();
        let found = self.hashed.finish();
        if found == *self.digest {
            return Ok(());
        }
        Err(nonsense(&url, &format!("the {} bytes that came have the digest {}", self.had, found.short())))
    }
}
