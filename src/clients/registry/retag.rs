//! Moving a tag: the very same bytes under another name, looked at before and after.
//!
//! It moves only what was cleared, and only within one repository, where every blob is already at hand.

use super::error::{RegistryError, nonsense};
use super::manifest;
use super::session::{Answer, Call, Session};
use crate::model::{Digest, Tag};
use reqwest::Method;

/// What became of a retag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retagged {
    /// The tag was moved.
    Moved,
    /// The tag had this digest already; nothing was sent.
    AlreadyThere,
}

/// Makes a tag name this digest.
pub(super) async fn retag(session: &Session<'_>, digest: &Digest, tag: &Tag) -> Result<Retagged, RegistryError> {
    if manifest::digest(session, tag).await?.as_ref() == Some(digest) {
        return Ok(Retagged::AlreadyThere);
    }
    let manifest = manifest::by_digest(session, digest).await?;
    let url = session.url(&format!("manifests/{tag}"));
    let content = Some((manifest.media_type.as_str(), manifest.bytes.as_slice()));
    let call = Call { method: Method::PUT, url: url.clone(), accept: "*/*", content, special: None };
    match session.ask(&call).await? {
        Answer::Yes(_) => (),
        Answer::No(refusal) if refusal.says_immutable() => {
            return Err(RegistryError::Immutable(format!(
                "{}: answered {}{}; promote into a tag that may move (name it in an exclusion filter, where the registry has them), or by a commit",
                refusal.request,
                refusal.status.as_u16(),
                refusal.said()
            )));
        }
        Answer::No(refusal) => return Err(refusal.into_error()),
    }
    match manifest::digest(session, tag).await? {
        Some(found) if found == *digest => Ok(Retagged::Moved),
        Some(found) => {
            let what = format!(
                "the tag was pushed as {} and now names {}; has somebody moved it",
                digest.short(),
                found.short()
            );
            Err(nonsense(&url, &what))
        }
        None => Err(nonsense(&url, "the push was accepted, and there is no such tag")),
    }
}
