//! A build copied from one repository to another: the same bytes under the same digest, with what is attached to it.
//!
//! The manifest comes last, after everything that it names and everything that is about it: a repository that has it has
//! all of it, so that a copy that was broken off is begun again and finds what is there. No tag is moved.

mod attached;
mod blob;
mod source;

use super::error::{RegistryError, nonsense};
use super::manifest::{self, Descriptor, Manifest};
use super::session::{Answer, Call, Session};
use crate::model::{Digest, ImageName, Repository, Tag};
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use reqwest::Method;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many blobs are carried at once: each holds one piece in memory, and one stream rarely fills a line.
const BLOBS_AT_ONCE: usize = 2;
/// How many manifests one build may have, attached ones included: the largest official images have about forty.
const MANIFESTS_MAX: u64 = 256;
/// How many layers one manifest may have: overlay file systems take 127, artifacts some more.
const LAYERS_MAX: usize = 512;
/// How deep an index may hold indexes: one level is usual, and tools know two.
const DEPTH_MAX: usize = 4;
/// The largest blob that is carried: registries take layers up to about 50 GB.
const BLOB_BYTES_MAX: u64 = 64 << 30;
/// In the media types of layers that are not to be handed on (OCI image-spec, "Non-Distributable Layers"; Docker's
/// `foreign` ones): they are fetched from where they always were.
const NOT_TO_BE_HANDED_ON: [&str; 2] = ["nondistributable", ".foreign."];

/// What goes where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carriage {
    /// The image of the release.
    pub image: ImageName,
    /// Where its build is.
    pub from: Repository,
    /// Where it goes.
    pub to: Repository,
    /// The tag that it gets there, where no other build has it: lifecycle rules delete what has none.
    pub tag: Option<Tag>,
}

/// What was copied.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Copied {
    /// How many manifests were pushed.
    pub manifests: u64,
    /// How many blobs were carried over.
    pub blobs: u64,
    /// How many bytes they had.
    pub bytes: u64,
    /// How many blobs the host took over by itself.
    pub mounted: u64,
    /// The other build that the tag names there, where it names one: it was left so.
    pub tag_names: Option<Digest>,
}

/// A copy under way.
struct Copy<'a> {
    source: &'a Session<'a>,
    target: &'a Session<'a>,
    seen: AtomicU64,
    manifests: AtomicU64,
    blobs: AtomicU64,
    bytes: AtomicU64,
    mounted: AtomicU64,
}

/// Copies a build.
pub(super) async fn copy(
    source: &Session<'_>,
    target: &Session<'_>,
    digest: &Digest,
    tag: Option<&Tag>,
) -> Result<Copied, RegistryError> {
    let what = format!("copying {} from {} to {}", digest.short(), source.repository, target.repository);
    let copy = Copy::new(source, target);
    let tag_names = copy.whole(digest, tag).await.map_err(|error| error.during(&what))?;
    Ok(Copied { tag_names, ..copy.counted() })
}

/// Copies what came to be attached to a build after the build was copied.
pub(super) async fn attach(
    source: &Session<'_>,
    target: &Session<'_>,
    digest: &Digest,
) -> Result<Copied, RegistryError> {
    let what = format!("copying what is about {} from {} to {}", digest.short(), source.repository, target.repository);
    let copy = Copy::new(source, target);
    copy.attached(digest).await.map_err(|error| error.during(&what))?;
    Ok(copy.counted())
}

impl<'a> Copy<'a> {
    fn new(source: &'a Session<'a>, target: &'a Session<'a>) -> Self {
        let [seen, manifests, blobs, bytes, mounted] = std::array::from_fn(|_| AtomicU64::new(0));
        Self { source, target, seen, manifests, blobs, bytes, mounted }
    }

    /// What was copied so far.
    fn counted(&self) -> Copied {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Copied {
            manifests: count(&self.manifests),
            blobs: count(&self.blobs),
            bytes: count(&self.bytes),
            mounted: count(&self.mounted),
            tag_names: None,
        }
    }

    /// The build, what is attached to it, and its tag; returns what else the tag names. What is attached may have come after
    /// the build, so it is looked for though the build is there.
    async fn whole(&self, digest: &Digest, tag: Option<&Tag>) -> Result<Option<Digest>, RegistryError> {
        if manifest::named(self.target, digest.as_str()).await?.is_some() {
            self.attached(digest).await?;
        } else {
            let manifest = manifest::by_digest(self.source, digest).await?;
            self.parts(&manifest, 0).await?;
            self.attached(digest).await?;
            self.put(digest.as_str(), &manifest).await?;
            match manifest::named(self.target, digest.as_str()).await? {
                Some(found) if found == *digest => {}
                found => {
                    let found = found.map_or("nothing", |_| "another digest");
                    let url = self.target.url(&format!("manifests/{digest}"));
                    return Err(nonsense(&url, &format!("the manifest was accepted, and {found} is there now")));
                }
            }
        }
        let Some(tag) = tag else { return Ok(None) };
        match manifest::digest(self.target, tag).await? {
            Some(found) => Ok((found != *digest).then_some(found)),
            None => {
                let manifest = manifest::by_digest(self.target, digest).await?;
                self.put(tag.as_str(), &manifest).await.map(|()| None)
            }
        }
    }

    /// A manifest by its digest, unless it is there, after everything that it names.
    fn manifest<'f>(&'f self, digest: &'f Digest, depth: usize) -> BoxFuture<'f, Result<(), RegistryError>> {
        Box::pin(async move {
            if manifest::named(self.target, digest.as_str()).await?.is_some() {
                return Ok(());
            }
            let manifest = manifest::by_digest(self.source, digest).await?;
            self.parts(&manifest, depth).await?;
            self.put(digest.as_str(), &manifest).await
        })
    }

    /// Everything that a manifest names.
    async fn parts(&self, manifest: &Manifest, depth: usize) -> Result<(), RegistryError> {
        let here = || self.source.url(&format!("manifests/{}", Digest::of(&manifest.bytes)));
        let digest_of = |descriptor: &Descriptor| {
            Digest::parse(&descriptor.digest).map_err(|error| nonsense(&here(), &error.to_string()))
        };
        if self.seen.fetch_add(1, Ordering::Relaxed) >= MANIFESTS_MAX || depth >= DEPTH_MAX {
            let what = format!("the build has more than {MANIFESTS_MAX} manifests, or they are {DEPTH_MAX} deep");
            return Err(RegistryError::Invalid(format!("{what}; it is not copied")));
        }
        for child in manifest.parts.manifests.iter().flatten() {
            self.manifest(&digest_of(child)?, depth + 1).await?;
        }
        let layers = manifest.parts.layers.iter().flatten();
        let handed_on = |layer: &&Descriptor| !NOT_TO_BE_HANDED_ON.iter().any(|word| layer.media_type.contains(word));
        let mut blobs: Vec<(Digest, u64)> = Vec::new();
        for blob in manifest.parts.config.iter().chain(layers).filter(handed_on) {
            let digest = digest_of(blob)?;
            if blobs.len() > LAYERS_MAX || blob.size > BLOB_BYTES_MAX {
                let what = format!("it has more than {LAYERS_MAX} layers, or one of more than {BLOB_BYTES_MAX} bytes");
                return Err(RegistryError::Invalid(format!("manifest {}: {what}; it is not copied", digest.short())));
            }
            if !blobs.iter().any(|(known, _)| *known == digest) {
                blobs.push((digest, blob.size));
            }
        }
        let carried: Vec<_> = blobs.iter().map(|(digest, size)| self.blob(digest, *size)).collect();
        stream::iter(carried).buffer_unordered(BLOBS_AT_ONCE).try_collect::<()>().await
    }

    /// Pushes a manifest as the bytes that came, under a digest or a tag.
    async fn put(&self, reference: &str, manifest: &Manifest) -> Result<(), RegistryError> {
        self.put_bytes(reference, &manifest.media_type, &manifest.bytes).await
    }

    async fn put_bytes(&self, reference: &str, media_type: &str, bytes: &[u8]) -> Result<(), RegistryError> {
        let url = self.target.url(&format!("manifests/{reference}"));
        let content = Some((media_type, bytes));
        let call = Call { method: Method::PUT, url, accept: "*/*", content, special: None };
        match self.target.ask(&call).await? {
            Answer::Yes(_) => {
                self.manifests.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Answer::No(refusal) if refusal.says_immutable() => Err(RegistryError::Immutable(format!(
                "{}: answered {}{}; let tags be pushed there",
                refusal.request,
                refusal.status.as_u16(),
                refusal.said()
            ))),
            Answer::No(refusal) => Err(refusal.into_error()),
        }
    }
}
