//! A release: the builds, one for each image, that move as a whole.

use super::{Build, ImageName, text};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The name of a release: a short hash of its sorted (image name, digest) pairs, the same in every repository.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReleaseId(Box<str>);

impl ReleaseId {
    /// How many hexadecimal digits an id has.
    pub const LENGTH: usize = 12;

    /// Parses an id as it was printed.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let hex = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        (text.len() == Self::LENGTH && hex).then(|| Self(text.into()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ReleaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One build for each image of a policy; it is told apart by its digests alone.
#[derive(Debug, Clone)]
pub struct Release {
    id: ReleaseId,
    builds: Arc<BTreeMap<ImageName, Build>>,
}

impl Release {
    /// The release of these builds.
    #[must_use]
    pub fn new(builds: BTreeMap<ImageName, Build>) -> Self {
        let pairs: Vec<String> = builds.iter().map(|(name, build)| format!("{name}={}", build.digest)).collect();
        let mut hash = text::hex(&text::sha256(pairs.join("\n").as_bytes()));
        hash.truncate(ReleaseId::LENGTH);
        Self { id: ReleaseId(hash.into()), builds: Arc::new(builds) }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &ReleaseId {
        &self.id
    }

    /// Its builds by image.
    #[must_use]
    pub fn builds(&self) -> &BTreeMap<ImageName, Build> {
        &self.builds
    }
}

impl PartialEq for Release {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Release {}

/// The tags for people: `1.4.2`, or `1.4.2, worker 1.4.1` where they differ.
impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut builds = self.builds.iter();
        let Some((_, first)) = builds.next() else { return f.write_str("nothing") };
        write!(f, "{}", first.tag)?;
        for (name, build) in builds.filter(|(_, build)| build.tag != first.tag) {
            write!(f, ", {name} {}", build.tag)?;
        }
        Ok(())
    }
}
