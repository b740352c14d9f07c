//! Removing a tag of our own: by its name, never by a digest, and only where nothing else goes with it.
//!
//! Whose time is over was decided before; making such a tag is a retag like any other.

use super::error::{Refusal, RegistryError};
use super::manifest;
use super::session::{Answer, Call, Session};
use crate::clients::http;
use crate::model::{Digest, Tag};
use reqwest::{Method, StatusCode};

/// What became of a tag that was to be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    /// It was removed.
    Removed,
    /// There was no such tag.
    Absent,
    /// It names another build by now, so it is no tag of ours, and was left.
    Left,
    /// The registry does not let tags be removed one by one, in these words: whoever asks again hears the same.
    Unsupported(String),
}

/// Removes a tag, if it names this digest (distribution-spec 1.1, "Deleting tags").
pub(super) async fn remove(session: &Session<'_>, digest: &Digest, tag: &Tag) -> Result<Removed, RegistryError> {
    match manifest::digest(session, tag).await? {
        None => return Ok(Removed::Absent),
        Some(found) if found != *digest => return Ok(Removed::Left),
        Some(_) => {}
    }
    let url = session.url(&format!("manifests/{tag}"));
    let request = http::shown_request(&Method::DELETE, &url);
    let call = Call { method: Method::DELETE, url, accept: "*/*", content: None, special: None };
    match session.ask(&call).await? {
        // Some registries take away the build, with all its tags: they are asked only once.
        Answer::Yes(_) if manifest::named(session, digest.as_str()).await?.is_none() => {
            Ok(Removed::Unsupported(format!("{request}: the build went away with its tag")))
        }
        Answer::Yes(_) => Ok(Removed::Removed),
        Answer::No(refusal) if refusal.status == StatusCode::NOT_FOUND => {
            let is_gone = manifest::digest(session, tag).await?.is_none();
            Ok(if is_gone { Removed::Absent } else { Removed::Unsupported(told(&refusal)) })
        }
        Answer::No(refusal) if lasts(refusal.status) => Ok(Removed::Unsupported(told(&refusal))),
        Answer::No(refusal) => Err(refusal.into_error()),
    }
}

/// Whether the same is answered to whoever asks again.
fn lasts(status: StatusCode) -> bool {
    let passes = matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
    status == StatusCode::NOT_IMPLEMENTED || (!status.is_server_error() && !passes)
}

fn told(refusal: &Refusal) -> String {
    format!("{}: answered {}{}", refusal.request, refusal.status.as_u16(), refusal.said())
}
