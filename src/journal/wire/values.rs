//! The values inside of events: names and digests as their own text, releases and pins as maps by image.
//!
//! What is read passes the model's parsers again, so a value that came back is as valid as a new one.

use crate::model::pin::Trailers;
use crate::model::{
    Build, BuildFacts, ByImage, CommitId, Digest, EnvironmentName, ImageName, OurCommit, Pin, Pinned, Platform,
    PolicyName, Release, ReleaseId, Sequence, Tag,
};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A value that is kept as its own text.
pub(super) trait Text: Sized {
    /// The whole of it.
    fn written(&self) -> &str;

    /// Reads what was written.
    fn read(text: &str) -> Option<Self>;
}

macro_rules! text {
    ($($value:ty),*; $($optional:ty),*) => {
        $(impl Text for $value {
            fn written(&self) -> &str {
                self.as_str()
            }

            fn read(text: &str) -> Option<Self> {
                Self::parse(text).ok()
            }
        })*
        $(impl Text for $optional {
            fn written(&self) -> &str {
                self.as_str()
            }

            fn read(text: &str) -> Option<Self> {
                Self::parse(text)
            }
        })*
    };
}

text!(Tag, Digest, ImageName, PolicyName, EnvironmentName; CommitId, ReleaseId);

fn read<T: Text, E: de::Error>(text: &str) -> Result<T, E> {
    T::read(text).ok_or_else(|| E::custom(format_args!("`{text}` is not a valid value here")))
}

/// Puts the names of images back on what was read under them.
fn named<T, U, E: de::Error>(read_map: BTreeMap<String, T>, value: impl Fn(T) -> U) -> Result<ByImage<U>, E> {
    read_map.into_iter().map(|(name, it)| Ok((read(&name)?, value(it)))).collect()
}

/// A value as its text.
pub(super) mod text {
    use super::*;

    pub(in super::super) fn serialize<T: Text, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(value.written())
    }

    pub(in super::super) fn deserialize<'de, T: Text, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        read(&String::deserialize(deserializer)?)
    }
}

/// The release that a vote is for. The first votes named it by the digits that people see: they come back, and count for
/// no release.
pub(super) mod voted {
    use super::*;

    pub(in super::super) fn serialize<S: Serializer>(id: &ReleaseId, serializer: S) -> Result<S::Ok, S::Error> {
        text::serialize(id, serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ReleaseId, D::Error> {
        let text = String::deserialize(deserializer)?;
        ReleaseId::parse_short(&text).map_or_else(|| read(&text), Ok)
    }
}

/// A release as its builds by image; its id is made of them again.
pub(super) mod release {
    use super::*;

    pub(in super::super) fn serialize<S: Serializer>(release: &Release, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(release.builds().iter().map(|(name, build)| (name.as_str(), BuildRef(build))))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Release, D::Error> {
        let builds = BTreeMap::<String, BuildText>::deserialize(deserializer)?;
        Ok(Release::new(named(builds, |BuildText(build)| build)?))
    }
}

/// A pin as what is pinned of each image.
pub(super) mod pin {
    use super::*;

    pub(in super::super) fn serialize<S: Serializer>(pin: &Pin, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(pin.0.iter().map(|(name, pinned)| (name.as_str(), PinnedRef(pinned))))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Pin, D::Error> {
        let images = BTreeMap::<String, PinnedText>::deserialize(deserializer)?;
        Ok(Pin(named(images, |PinnedText(pinned)| pinned)?))
    }
}

/// Digests by image.
mod digests {
    use super::*;

    pub(super) fn serialize<S: Serializer>(digests: &ByImage<Digest>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(digests.iter().map(|(name, digest)| (name.as_str(), digest.as_str())))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ByImage<Digest>, D::Error> {
        let texts = BTreeMap::<String, String>::deserialize(deserializer)?;
        texts.iter().map(|(name, digest)| Ok((read(name)?, read(digest)?))).collect()
    }
}

/// Values that may be missing: `null`.
pub(super) mod option {
    /// A text that may be missing.
    pub(in super::super) mod text {
        use super::super::*;

        pub(in super::super::super) fn serialize<T: Text, S: Serializer>(
            value: &Option<T>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            value.as_ref().map(T::written).serialize(serializer)
        }

        pub(in super::super::super) fn deserialize<'de, T: Text, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<T>, D::Error> {
            Option::<String>::deserialize(deserializer)?.map(|text| read(&text)).transpose()
        }
    }

    /// Numbers of entries that may be missing.
    pub(in super::super) mod sequences {
        use super::super::*;

        pub(in super::super::super) fn serialize<S: Serializer>(
            value: &Option<Vec<Sequence>>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            let numbers = value.as_ref().map(|sequences| sequences.iter().map(|Sequence(n)| *n).collect::<Vec<_>>());
            numbers.serialize(serializer)
        }

        pub(in super::super::super) fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<Vec<Sequence>>, D::Error> {
            let numbers = Option::<Vec<u64>>::deserialize(deserializer)?;
            Ok(numbers.map(|numbers| numbers.into_iter().map(Sequence).collect()))
        }
    }

    /// A release that may be missing.
    pub(in super::super) mod release {
        use super::super::*;

        #[derive(Serialize)]
        struct ReleaseRef<'a>(#[serde(with = "super::super::release")] &'a Release);

        #[derive(Deserialize)]
        struct ReleaseText(#[serde(with = "super::super::release")] Release);

        pub(in super::super::super) fn serialize<S: Serializer>(
            value: &Option<Release>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            value.as_ref().map(ReleaseRef).serialize(serializer)
        }

        pub(in super::super::super) fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<Release>, D::Error> {
            Ok(Option::<ReleaseText>::deserialize(deserializer)?.map(|ReleaseText(release)| release))
        }
    }
}

/// The platforms of a build, part by part: a registry may have said a text that no policy could.
mod platforms {
    use super::*;

    #[derive(Serialize)]
    struct PlatformRef<'a>(#[serde(with = "PlatformForm")] &'a Platform);

    #[derive(Deserialize)]
    struct PlatformText(#[serde(with = "PlatformForm")] Platform);

    #[derive(Serialize, Deserialize)]
    #[serde(remote = "Platform", deny_unknown_fields)]
    struct PlatformForm {
        os: String,
        architecture: String,
        variant: Option<String>,
    }

    pub(super) fn serialize<S: Serializer>(platforms: &[Platform], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(platforms.iter().map(PlatformRef))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Platform>, D::Error> {
        let platforms = Vec::<PlatformText>::deserialize(deserializer)?;
        Ok(platforms.into_iter().map(|PlatformText(platform)| platform).collect())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Sequence")]
pub(super) struct SequenceForm(u64);

#[derive(Serialize)]
struct BuildRef<'a>(#[serde(with = "BuildForm")] &'a Build);

#[derive(Deserialize)]
struct BuildText(#[serde(with = "BuildForm")] Build);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Build", deny_unknown_fields)]
struct BuildForm {
    #[serde(with = "text")]
    tag: Tag,
    #[serde(with = "text")]
    digest: Digest,
    #[serde(with = "facts")]
    facts: Arc<BuildFacts>,
}

/// Facts that several share, as those who hold them alone write them.
mod facts {
    use super::*;

    pub(super) fn serialize<S: Serializer>(facts: &Arc<BuildFacts>, serializer: S) -> Result<S::Ok, S::Error> {
        BuildFactsForm::serialize(facts, serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<BuildFacts>, D::Error> {
        BuildFactsForm::deserialize(deserializer).map(Arc::new)
    }
}

/// The facts of a digest, as the `builds` table holds them.
#[derive(Serialize, Deserialize)]
pub(in super::super) struct BuildFactsText(#[serde(with = "BuildFactsForm")] pub(in super::super) BuildFacts);

#[derive(Serialize, Deserialize)]
#[serde(remote = "BuildFacts", deny_unknown_fields)]
struct BuildFactsForm {
    created: Option<Timestamp>,
    pushed: Option<Timestamp>,
    seen: Option<Timestamp>,
    revision: Option<String>,
    #[serde(with = "platforms")]
    platforms: Vec<Platform>,
    labels: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct PinnedRef<'a>(#[serde(with = "PinnedForm")] &'a Pinned);

#[derive(Deserialize)]
struct PinnedText(#[serde(with = "PinnedForm")] Pinned);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Pinned", deny_unknown_fields)]
struct PinnedForm {
    #[serde(with = "option::text")]
    tag: Option<Tag>,
    #[serde(with = "option::text")]
    digest: Option<Digest>,
}

/// What a search for our newest commit found, as the `searched` table holds it.
#[derive(Serialize, Deserialize)]
pub(in super::super) struct OurCommitText(#[serde(with = "OurCommitForm")] pub(in super::super) OurCommit);

#[derive(Serialize, Deserialize)]
#[serde(remote = "OurCommit", rename_all = "snake_case")]
enum OurCommitForm {
    None,
    Found(#[serde(with = "TrailersForm")] Trailers),
    LimitReached,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Trailers", deny_unknown_fields)]
struct TrailersForm {
    #[serde(with = "text")]
    commit: CommitId,
    journal: String,
    #[serde(with = "SequenceForm")]
    sequence: Sequence,
    #[serde(with = "text")]
    policy: PolicyName,
    #[serde(with = "text")]
    environment: EnvironmentName,
    #[serde(with = "digests")]
    digests: ByImage<Digest>,
}
