//! A policy file as it is written.

use super::environment::EnvironmentForm;
use crate::config::diagnostic::Problems;
use crate::config::read::Presence::{Default, Optional, Required};
use crate::config::read::{At, Read, form, words};
use crate::config::schema::named;
use crate::config::tree::{Kind, Node};
use crate::model::policy::Together;
use crate::model::{ImageName, Platform, PolicyName, Repository, Span};
use serde_json::{Value, json};

form! {
    /// A tagrelay policy: one or more images that move together, and the environments they go through.
    PolicyForm("policy") {
        /// The version of this format.
        "apiVersion" api_version: ApiVersion, Required;
        /// The policy's name, unique over all policies: lower-case letters, digits and `-`.
        "name" name: PolicyName, Required;
        /// The images; they move together as one release.
        "images" images: Vec<ImageOrRepository>, Required;
        /// What makes builds of several images one release. Default `same-tag`, and `same-revision` in environments that
        /// follow a tag.
        "together" together: Together, Optional;
        /// Where tags are followed: how long a new set of digests must stand still before it is taken. Default 0 with
        /// one image, 1m with several.
        "settle" settle: Span, Optional;
        /// How old a reading of the registry may be: a duration, or a cron expression with five fields. Of policies
        /// that share a repository the shortest counts.
        "poll" poll: String, Default("1m");
        /// The time zone of all cron expressions and dates of the policy, by its IANA name: `Europe/Berlin`.
        "timezone" timezone: String, Default("UTC");
        /// `true`: the policy begins nothing new; what is in flight is finished.
        "suspend" suspend: bool, Default("false");
        /// Any key of an environment but `name`, merged under every environment: mappings merge by key; lists, `select`,
        /// `rollout`, `promote` and scalars are replaced.
        "defaults" defaults: Defaults, Optional;
        /// The environments, in order; each may be promoted from an earlier one.
        "environments" environments: Vec<EnvironmentNode>, Required;
    }
}

form! {
    /// An image of the policy.
    ImageForm("image") {
        /// Its name in the policy. Default the last segment of the repository's path.
        "name" name: ImageName, Optional;
        /// Where its builds are pushed: `host/path`.
        "repository" repository: Repository, Required;
        /// The platforms that a build must hold, as in `linux/amd64`.
        "platforms" platforms: Vec<Platform>, Default("[]");
        /// The GitLab project that it is built from. Default the project of the first report with `sha: revision` for it.
        "source" source: String, Optional;
    }
}

/// The one version of the format.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ApiVersion;
words!(ApiVersion, "apiVersion", { "tagrelay/v1" => Self, });

/// An image: its repository alone, or a mapping.
#[derive(Debug, Clone)]
pub(crate) enum ImageOrRepository {
    /// Only the repository.
    Repository(At<Repository>),
    /// The whole form.
    Form(ImageForm),
}

impl Read for ImageOrRepository {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        match node.kind {
            Kind::Map(_) => ImageForm::read(node, problems).map(Self::Form),
            Kind::Null | Kind::Scalar { .. } | Kind::List(_) => At::read(node, problems).map(Self::Repository),
        }
    }

    fn schema() -> Value {
        json!({ "anyOf": [Repository::schema(), ImageForm::schema()] })
    }
}

/// An environment before the defaults are laid under it.
#[derive(Debug, Clone)]
pub(crate) struct EnvironmentNode(pub(crate) Node);

impl Read for EnvironmentNode {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        mapping(node, problems).map(Self)
    }

    fn schema() -> Value {
        EnvironmentForm::schema()
    }
}

/// What is laid under every environment.
#[derive(Debug, Clone)]
pub(crate) struct Defaults(pub(crate) Node);

impl Read for Defaults {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let node = mapping(node, problems)?;
        if let Some(name) = node.get("name") {
            problems.add(&name.at, "`name` has no default: each environment has its own");
            return None;
        }
        Some(Self(node))
    }

    fn schema() -> Value {
        let mut schema = EnvironmentForm::schema();
        schema["required"] = json!([]);
        if let Some(properties) = schema["properties"].as_object_mut() {
            properties.remove("name");
        }
        named("defaults", schema)
    }
}

fn mapping(node: &Node, problems: &mut Problems) -> Option<Node> {
    if matches!(node.kind, Kind::Map(_)) {
        return Some(node.clone());
    }
    problems.add(&node.at, format!("expected a mapping with the keys of an environment, found {}", node.describe()));
    None
}
