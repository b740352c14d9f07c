//! The facts of a build: what its manifest and its config say, and nobody can change.
//!
//! Layers are never read. What a build says about itself is a claim; who weighs it is elsewhere.

use super::error::{RegistryError, no_json, nonsense};
use super::manifest::{self, Descriptor, Manifest, WirePlatform};
use super::session::{Call, Session};
use crate::model::{BuildFacts, Digest, Platform};
use jiff::Timestamp;
use reqwest::Method;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The largest config that is read: real ones have some kilobytes, and the history of a long build some more.
const CONFIG_BYTES_MAX: usize = 4 << 20;
/// How many platforms of an index are kept: the largest official images have about a dozen.
const PLATFORMS_MAX: usize = 64;
/// How many manifests of an index are read that it names no platform of, which it need not: such indexes are small, and
/// each costs two requests.
const UNNAMED_MAX: usize = 8;
/// How many labels are kept, for they stay in the journal for ever.
const LABELS_MAX: usize = 128;
/// The longest label that is kept. A longer one (build tools keep whole documents there) is left out, not cut.
const LABEL_BYTES_MAX: usize = 1024;
/// The longest revision that is kept: a SHA-256 commit id has 64 digits, and some tools put `branch@commit`.
const REVISION_BYTES_MAX: usize = 200;
/// The label that names the commit (OCI image-spec, "Pre-Defined Annotation Keys").
const REVISION: &str = "org.opencontainers.image.revision";
/// What buildx annotates the attestations in an index with; they are no images.
const ATTESTATION: &str = "vnd.docker.reference.type";
/// The configs of images. Other artifacts (charts, policies) have configs of their own kind, which say nothing here.
const IMAGE_CONFIGS: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];

/// What we read of an image's config.
#[derive(Default, Deserialize)]
struct Config {
    created: Option<String>,
    #[serde(flatten)]
    platform: Option<WirePlatform>,
    config: Option<Execution>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Execution {
    labels: Option<BTreeMap<String, Option<String>>>,
}

/// Reads the facts of a digest.
pub(super) async fn read(session: &Session<'_>, digest: &Digest) -> Result<BuildFacts, RegistryError> {
    of_manifest(session, digest, &manifest::by_digest(session, digest).await?).await
}

/// Reads the facts of a digest whose manifest is there already.
pub(super) async fn of_manifest(
    session: &Session<'_>,
    digest: &Digest,
    manifest: &Manifest,
) -> Result<BuildFacts, RegistryError> {
    let Some(children) = &manifest.parts.manifests else {
        let config = config(session, manifest).await?;
        let platforms = config.platform.as_ref().and_then(platform).into_iter().collect();
        return Ok(facts(config, platforms, &[manifest.parts.annotations.as_ref()]));
    };
    let named: Vec<(&Descriptor, Platform)> =
        children.iter().filter_map(|child| Some((child, image_platform(child)?))).collect();
    let mut first = match named.first() {
        Some((child, _)) => Some(child_of(session, digest, child).await?),
        None => None,
    };
    let mut platforms: Vec<Platform> = named.into_iter().map(|(_, platform)| platform).take(PLATFORMS_MAX).collect();
    for child in children.iter().filter(|child| child.platform.is_none() && !attests(child)).take(UNNAMED_MAX) {
        let (config, annotations) = child_of(session, digest, child).await?;
        if let Some(platform) = config.platform.as_ref().and_then(platform) {
            platforms.push(platform);
            first.get_or_insert((config, annotations));
        }
    }
    let (config, of_child) = first.unwrap_or_default();
    Ok(facts(config, platforms, &[manifest.parts.annotations.as_ref(), of_child.as_ref()]))
}

/// What a manifest is annotated with.
type Annotations = Option<BTreeMap<String, String>>;

/// The config and the annotations of one manifest of an index.
async fn child_of(
    session: &Session<'_>,
    index: &Digest,
    child: &Descriptor,
) -> Result<(Config, Annotations), RegistryError> {
    let child = Digest::parse(&child.digest)
        .map_err(|error| nonsense(&session.url(&format!("manifests/{index}")), &error.to_string()))?;
    let manifest = manifest::by_digest(session, &child).await?;
    let config = config(session, &manifest).await?;
    Ok((config, manifest.parts.annotations))
}

/// The config of a manifest; an empty one where it is no image.
async fn config(session: &Session<'_>, manifest: &Manifest) -> Result<Config, RegistryError> {
    let descriptor = manifest.parts.config.as_ref();
    let Some(descriptor) = descriptor.filter(|config| IMAGE_CONFIGS.contains(&config.media_type.as_str())) else {
        return Ok(Config::default());
    };
    let here = session.url(&format!("manifests/{}", Digest::of(&manifest.bytes)));
    let digest = Digest::parse(&descriptor.digest).map_err(|error| nonsense(&here, &error.to_string()))?;
    let url = session.url(&format!("blobs/{digest}"));
    let call = Call { method: Method::GET, url: url.clone(), accept: "*/*", content: None, special: None };
    let response = session.ask(&call).await?.accepted()?;
    let mut room = session.host.answers.room();
    let bytes = room.read_json(response, CONFIG_BYTES_MAX, "config").await?;
    if Digest::of(&bytes) != digest {
        return Err(no_json(&url, &bytes, "the config does not have the digest that it was asked by"));
    }
    serde_json::from_slice(&bytes).map_err(|_| nonsense(&url, "the config is no JSON of an image"))
}

fn image_platform(child: &Descriptor) -> Option<Platform> {
    child.platform.as_ref().filter(|_| !attests(child)).and_then(platform)
}

fn attests(child: &Descriptor) -> bool {
    child.annotations.as_ref().is_some_and(|annotations| annotations.contains_key(ATTESTATION))
}

fn platform(wire: &WirePlatform) -> Option<Platform> {
    let variant = wire.variant.as_deref().filter(|variant| !variant.is_empty()).map(|v| format!("/{v}"));
    let platform = Platform::parse(&format!("{}/{}{}", wire.os, wire.architecture, variant.unwrap_or_default()))?;
    (platform.os != "unknown" && platform.architecture != "unknown").then_some(platform)
}

/// The facts of a config and of the annotations above it, outermost first: the label names the commit, else they do.
fn facts(config: Config, platforms: Vec<Platform>, annotations: &[Option<&BTreeMap<String, String>>]) -> BuildFacts {
    let labels = config.config.unwrap_or_default().labels.unwrap_or_default();
    let labels = labels.into_iter().map(|(key, value)| (key, value.unwrap_or_default()));
    let labels: BTreeMap<String, String> =
        labels.filter(|(key, value)| key.len() + value.len() <= LABEL_BYTES_MAX).take(LABELS_MAX).collect();
    let annotated = annotations.iter().filter_map(|annotations| annotations.as_ref()?.get(REVISION));
    let mut revisions = labels.get(REVISION).into_iter().chain(annotated).map(|revision| revision.trim().to_owned());
    BuildFacts {
        created: config.created.as_deref().and_then(created),
        pushed: None,
        seen: None,
        revision: revisions.find(|revision| !revision.is_empty() && revision.len() <= REVISION_BYTES_MAX),
        platforms,
        labels,
    }
}

/// A time that means one: Go writes the year 1 where there was none.
fn created(text: &str) -> Option<Timestamp> {
    text.parse().ok().filter(|created: &Timestamp| created.as_second() >= 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(config: &str) -> BuildFacts {
        let config: Config = serde_json::from_str(config).expect("a config");
        let platforms = config.platform.as_ref().and_then(platform).into_iter().collect();
        facts(config, platforms, &[])
    }

    #[test]
    fn a_revision_is_the_label_else_the_annotation_of_the_index_else_of_its_first_manifest() {
        let annotated = |revision: &str| BTreeMap::from([(REVISION.to_owned(), revision.to_owned())]);
        let (index, first, none) = (annotated(" index "), annotated("first"), BTreeMap::new());
        let labelled = format!("{{\"config\":{{\"Labels\":{{\"{REVISION}\":\"label\"}}}}}}");
        for (config, annotations, expected) in [
            (labelled.as_str(), vec![Some(&index)], Some("label")),
            ("{}", vec![Some(&index), Some(&first)], Some("index")),
            ("{}", vec![Some(&none), Some(&first)], Some("first")),
            ("{}", vec![None, None], None),
        ] {
            let config: Config = serde_json::from_str(config).expect("a config");
            assert_eq!(facts(config, Vec::new(), &annotations).revision.as_deref(), expected);
        }
    }

    #[test]
    fn configs() {
        let facts =
            of(r#"{"created":"2026-01-02T03:04:05.678901234Z","architecture":"arm","os":"linux","variant":"v7",
            "config":{"Env":["A=b"],"Labels":{"team":"shop","empty":null,"org.opencontainers.image.revision":" abc\n"}},
            "rootfs":{"type":"layers","diff_ids":[]}}"#);
        assert_eq!(facts.created, "2026-01-02T03:04:05.678901234Z".parse().ok());
        assert_eq!(facts.platforms, [Platform::parse("linux/arm/v7").expect("a platform")]);
        assert_eq!(facts.revision.as_deref(), Some("abc"));
        assert_eq!(facts.labels.get("team").map(String::as_str), Some("shop"));
        assert_eq!(facts.labels.get("empty").map(String::as_str), Some(""));
    }

    #[test]
    fn odd_configs_have_few_facts() {
        for odd in ["{}", r#"{"created":"soon","os":"","config":null}"#, r#"{"config":{"Labels":null}}"#] {
            assert_eq!(of(odd), BuildFacts::default(), "{odd}");
        }
        assert_eq!(of(r#"{"created":"0001-01-01T00:00:00Z"}"#).created, None);
        assert_eq!(of(r#"{"created":"1970-01-01T00:00:00Z"}"#).created, Some(Timestamp::UNIX_EPOCH));
        let long = "x".repeat(LABEL_BYTES_MAX);
        assert!(of(&format!(r#"{{"config":{{"Labels":{{"sbom":"{long}"}}}}}}"#)).labels.is_empty());
    }

    #[test]
    fn attestations_are_no_platforms() {
        let check = |descriptor: &str, expected: Option<&str>| {
            let child: Descriptor = serde_json::from_str(descriptor).expect("a descriptor");
            assert_eq!(image_platform(&child), expected.and_then(Platform::parse), "{descriptor}");
        };
        check(r#"{"digest":"a","platform":{"os":"linux","architecture":"amd64"}}"#, Some("linux/amd64"));
        check(
            r#"{"digest":"a","platform":{"os":"linux","architecture":"arm64","variant":"v8"}}"#,
            Some("linux/arm64/v8"),
        );
        check(r#"{"digest":"a","platform":{"os":"unknown","architecture":"unknown"}}"#, None);
        check(
            r#"{"digest":"a","platform":{"os":"linux","architecture":"amd64"},"annotations":{"vnd.docker.reference.type":"attestation-manifest"}}"#,
            None,
        );
        check(r#"{"digest":"a"}"#, None);
    }
}
