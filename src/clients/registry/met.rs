//! A tag that nothing is known of: what it names, asked by the fewest requests, and the facts of that.
//!
//! Whether anything is known is the caller's to say.

use super::error::RegistryError;
use super::facts;
use super::manifest::{self, Manifest};
use super::session::Session;
use crate::model::{BuildFacts, Digest, Provider, Tag};

/// What a tag was found to name.
pub struct Met {
    /// The digest: the index, where there is one.
    pub digest: Digest,
    /// Its manifest, where that came with it and need not be asked for again.
    manifest: Option<Manifest>,
}

impl From<Digest> for Met {
    fn from(digest: Digest) -> Self {
        Self { digest, manifest: None }
    }
}

/// What a tag names; none where there is no such tag.
pub(super) async fn meet(session: &Session<'_>, provider: Provider, tag: &Tag) -> Result<Option<Met>, RegistryError> {
    if asks_before_it_pulls(provider) {
        return Ok(manifest::digest(session, tag).await?.map(Met::from));
    }
    let found = manifest::by_reference(session, tag.as_str()).await?;
    Ok(found.map(|(digest, manifest)| Met { digest, manifest: Some(manifest) }))
}

/// The facts of what was met.
pub(super) async fn facts(session: &Session<'_>, met: &Met) -> Result<BuildFacts, RegistryError> {
    match &met.manifest {
        Some(manifest) => facts::of_manifest(session, &met.digest, manifest).await,
        None => facts::read(session, &met.digest).await,
    }
}

/// Whether a GET of a manifest is dear: Docker Hub counts it as a pull, of which there are few, and counts no HEAD
/// (Docker Hub, "Docker Hub pull usage and limits"), so that a second tag of a known build costs nothing there.
fn asks_before_it_pulls(provider: Provider) -> bool {
    provider == Provider::Dockerhub
}
