//! An environment of a policy as it is written, the defaults of the policy laid under it.

use super::gates::GatesForm;
use crate::config::diagnostic::Problems;
use crate::config::read::Presence::{Default, Optional, Required};
use crate::config::read::{At, Entries, Read, form, words};
use crate::config::scalar::{Alphabetical, Numeric};
use crate::config::tree::{Kind, Node};
use crate::model::place::Missing;
use crate::model::policy::{HoldNewUntil, Newest, OnEdit, OnFailure, ReportSha};
use crate::model::{EnvironmentName, ImageName, PinForm, Repository, Span, Tag};
use serde_json::{Value, json};

form! {
    /// An environment: how it selects, what guards it, where it writes, how its rollout is followed and reported.
    EnvironmentForm("environment") {
        /// Its name: lower-case letters, digits and `-`.
        "name" name: EnvironmentName, Required;
        /// What may be chosen: exactly one strategy, and filters.
        "select" select: SelectForm, Optional;
        /// The earlier environment that releases come from. An environment has `select`, `promote` or both.
        "promote" promote: PromoteForm, Optional;
        /// In which form the pin is written. Default `tag@digest` with `promote` or `follow`, else `tag`.
        "pin" pin: PinForm, Optional;
        /// Where the pin stands in the GitOps repository.
        "write" write: Vec<WriteForm>, Default("[]");
        /// How a change reaches the repository.
        "deliver" deliver: DeliverForm, Default("{}");
        /// How it is known that a release arrived: one signal or a list, which must all hold; none = pushed.
        "rollout" rollout: Signals, Default("[]");
        /// How long the signals may take, counted while they could be read.
        "deadline" deadline: Span, Default("15m");
        /// How long watched signals must stay healthy.
        "stable_for" stable_for: Span, Default("30s");
        /// Smoke tests after it is healthy, in order.
        "verify" verify: Vec<CheckForm>, Default("[]");
        /// `none`: a push by us counts as verified. Required where an environment is promoted from but has neither `rollout`
        /// nor `verify`, an error elsewhere.
        "evidence" evidence: EvidenceNone, Optional;
        /// What a failure does: `next` refuses this release here, `hold` holds, `rollback` brings the last verified release
        /// back. Default `hold` in the last environment of a chain (it has `promote`, and none is promoted from it), else
        /// `next`.
        "on_failure" on_failure: OnFailure, Optional;
        /// What a person's edit of the pin does, where it says something that did not run here before: `hold` holds this
        /// environment, `continue` lets the next release go on. A pin moved back to what ran here before always holds it,
        /// and refuses the release that it left.
        "on_edit" on_edit: OnEdit, Default("hold");
        /// Until when a newer release waits for the rollout in flight. Default `verified` where another environment is
        /// promoted from here and `rollout` or `verify` stand, else `none`.
        "hold_new_until" hold_new_until: HoldNewUntil, Optional;
        /// Whether changes begin by themselves; `false`: only when a person says `promote`.
        "auto" auto: bool, Default("true");
        /// What guards every change of this environment.
        "gates" gates: GatesForm, Default("{}");
        /// How many verified releases besides what runs are kept from the registry's lifecycle rules, by tags
        /// `tagrelay-<environment>-<release>`; 0 = off.
        "keep" keep: Keep, Default("0");
        /// The GitLab deployments that are told of its rollouts.
        "report" report: Vec<ReportForm>, Default("[]");
    }
}

form! {
    /// One strategy and filters.
    SelectForm("select") {
        /// The greatest version inside this range, in the Masterminds grammar of Helm, Flux and Argo CD.
        "semver" semver: String, Optional;
        /// The youngest, by the time it was created, pushed or first seen.
        "newest" newest: Newest, Optional;
        /// The largest or smallest number.
        "numeric" numeric: Numeric, Optional;
        /// The last or first in byte order.
        "alphabetical" alphabetical: Alphabetical, Optional;
        /// One moving tag, by digest.
        "follow" follow: Tag, Optional;
        /// `true`: what the pin says, whoever wrote it; observed, never written.
        "pinned" pinned: bool, Optional;
        /// What a tag must match: a regular expression searched in it, or `glob:` and a pattern over the whole of it.
        "match" matches: String, Optional;
        /// What `semver`, `numeric` or `alphabetical` compare, from the groups of `match`: `$1`, `$name`.
        "extract" extract: String, Optional;
        /// What a tag must not match; written as in `match`.
        "ignore" ignore: Vec<At<String>>, Default("[]");
        /// The branch of the source project that must hold the build's source revision.
        "branch" branch: String, Optional;
        /// Labels of the build and what they must match; written as in `match`.
        "labels" labels: Entries<At<String>>, Default("{}");
        /// How long ago a build must have been pushed or first seen.
        "min_age" min_age: Span, Default("0s");
        /// Whether an older release may follow a newer one.
        "allow_downgrade" allow_downgrade: bool, Default("false");
    }
}

form! {
    /// How releases come from an earlier environment.
    PromoteForm("promote") {
        /// The earlier environment.
        "from" from: EnvironmentName, Required;
        /// The tag that is pushed at the release's digests; this environment follows it.
        "retag" retag: Tag, Optional;
        /// The repository that releases are copied to first, or `{ image: repository }` where there are several images: this
        /// environment reads, follows and pins there. Default: where `from` has them.
        "to" to: Destination, Optional;
        /// `newest`: only the newest verified release is a candidate; `ready`: the newest whose gates are open.
        "prefer" prefer: Prefer, Default("ready");
        /// Whether a push of the tag by somebody else stands for `verified`; never for approval.
        "trust_tag" trust_tag: bool, Default("false");
    }
}

form! {
    /// One place that is written: exactly one of `kustomize`, `helm` and `yaml`.
    WriteForm("write") {
        /// A kustomization file or its directory: the entry whose `newName` (or `name`) is the image's repository.
        "kustomize" kustomize: String, Optional;
        /// A Helm values file.
        "helm" helm: String, Optional;
        /// Any YAML file.
        "yaml" yaml: String, Optional;
        /// The image that `helm` or `yaml` write. Default the first image.
        "for" image: ImageName, Optional;
        /// Which keys of the values file hold which part. Default `{ tag: image.tag }`.
        "keys" keys: KeysForm, Optional;
        /// Where in the YAML file: `spec.template.spec.containers[name=web].image`; or a list of `[name=]image[:tag][@digest]`,
        /// as Argo CD's `spec.source.kustomize.images`, or one entry of it.
        "path" path: String, Optional;
        /// Which of several documents of the file; `helm` finds its keys below `spec.values` of a Flux HelmRelease.
        "document" document: DocumentForm, Optional;
        /// What to do where the entry, key or path does not exist.
        "missing" missing: Missing, Default("error");
    }
}

form! {
    /// Paths of keys in a Helm values file.
    KeysForm("keys") {
        /// Holds the whole reference.
        "image" image: String, Optional;
        /// Holds the registry's host.
        "registry" registry: String, Optional;
        /// Holds the repository, without the host where `registry` is set.
        "repository" repository: String, Optional;
        /// Holds the tag; without `digest`, `TAG@sha256:...` for `pin: tag@digest`.
        "tag" tag: String, Optional;
        /// Holds the digest.
        "digest" digest: String, Optional;
    }
}

form! {
    /// What a document must say to be the one that is meant.
    DocumentForm("document") {
        /// Its `apiVersion`.
        "apiVersion" api_version: String, Optional;
        /// Its `kind`.
        "kind" kind: String, Optional;
        /// Its `metadata.name`.
        "name" name: String, Optional;
        /// Its `metadata.namespace`.
        "namespace" namespace: String, Optional;
    }
}

form! {
    /// How a change reaches the repository.
    DeliverForm("deliver") {
        /// A repository of the configuration, or `self`: where the policy file stands.
        "repository" repository: String, Default("default");
        /// The branch; may use `{{ environment }}`. Default the repository's branch in the configuration.
        "branch" branch: String, Optional;
        /// The branch that it is created from when it is missing.
        "base" base: String, Default("main");
        /// How a commit reaches the branch.
        "mode" mode: DeliverMode, Default("push");
        /// The commit that is made.
        "commit" commit: CommitForm, Default("{}");
    }
}

form! {
    /// The commit that is made.
    CommitForm("commit") {
        /// Its message, a template over policy, environment, release, images, old, new, mr and commit.
        "message" message: String, Optional;
    }
}

form! {
    /// A source of evidence that a release arrived.
    SignalForm("rollout") {
        /// Somebody posts the verdict.
        "webhook" webhook: Nothing, Optional;
    }
}

form! {
    /// A smoke test: exactly one of `http` and `webhook`.
    CheckForm("verify") {
        /// Its name, unique in the environment. Default its kind.
        "name" name: String, Optional;
        /// A URL answers as expected, several times in a row.
        "http" http: HttpForm, Optional;
        /// Somebody posts the verdict.
        "webhook" webhook: Nothing, Optional;
        /// How long it may take, counted like `deadline`; each time it is made again as long.
        "timeout" timeout: Span, Default("5m");
        /// How often it is made again when it failed. Default 1 for `http`; a verdict that is posted has none.
        "retries" retries: u32, Optional;
    }
}

form! {
    /// A check over HTTP.
    HttpForm("http") {
        /// The URL, a template.
        "url" url: String, Required;
        /// The status that is expected.
        "status" status: u32, Default("200");
        /// How many times in a row.
        "times" times: u32, Default("1");
        /// How long between two times.
        "every" every: Span, Default("5s");
    }
}

form! {
    /// A GitLab project that is told of rollouts.
    ReportForm("report") {
        /// The deployment.
        "gitlab" gitlab: DeploymentForm, Required;
    }
}

form! {
    /// A GitLab deployment.
    DeploymentForm("gitlab") {
        /// The project's path.
        "project" project: String, Required;
        /// `revision`: the commit the image was built from; `commit`: the GitOps commit.
        "sha" sha: ReportSha, Required;
        /// GitLab's name of the environment. Default the environment's name.
        "environment" environment: String, Optional;
        /// GitLab's tier of the environment.
        "tier" tier: Tier, Optional;
        /// The environment's address; may use policy, environment and image.
        "url" url: String, Optional;
        /// The ref that is named. Default the deliver branch, or the project's default branch for `revision`.
        "ref" git_ref: String, Optional;
        /// Whether the ref is a tag.
        "tag" is_tag: bool, Default("false");
        /// The git tag that the image was built from, a template (`web-v{{ new.tag }}`). Where the project has it, it says
        /// the commit; else the image's label, annotation or tag does.
        "git_tag" git_tag: String, Optional;
        /// The image whose revision is meant. Default the first image.
        "for" image: ImageName, Optional;
    }
}

form! {
    /// `{}`: it has nothing to set.
    Nothing("webhook") {}
}

/// One signal or several.
#[derive(Debug, Clone)]
pub(crate) struct Signals(pub(crate) Vec<SignalForm>);

impl Read for Signals {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        match node.kind {
            Kind::Map(_) => SignalForm::read(node, problems).map(|one| Self(vec![one])),
            Kind::Null | Kind::Scalar { .. } | Kind::List(_) => Vec::read(node, problems).map(Self),
        }
    }

    fn schema() -> Value {
        json!({ "anyOf": [SignalForm::schema(), Vec::<SignalForm>::schema()] })
    }
}

/// Where releases are copied to: one repository, or one for each image.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Destination {
    /// The repository of the only image.
    One(At<Repository>),
    /// By the image's name.
    Each(Vec<(At<String>, At<Repository>)>),
}

impl Read for Destination {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        match node.kind {
            Kind::Map(_) => Entries::read(node, problems).map(|entries| Self::Each(entries.0)),
            Kind::Null | Kind::Scalar { .. } | Kind::List(_) => At::read(node, problems).map(Self::One),
        }
    }

    fn schema() -> Value {
        json!({ "anyOf": [Repository::schema(), Entries::<At<Repository>>::schema()] })
    }
}

/// The most releases that an environment keeps: each is looked at in the registry whenever one is added.
const KEEP_MAX: u32 = 100;

/// How many verified releases are kept by tags.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keep(pub(crate) u32);

impl Read for Keep {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let n = u32::read(node, problems)?;
        if n > KEEP_MAX {
            problems.add(&node.at, format!("expected at most {KEEP_MAX} releases"));
            return None;
        }
        Some(Self(n))
    }

    fn schema() -> Value {
        json!({ "type": "integer", "minimum": 0, "maximum": KEEP_MAX })
    }
}

/// `evidence: none`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EvidenceNone;
words!(EvidenceNone, "evidence", { "none" => Self, });

/// How a commit reaches the branch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DeliverMode;
words!(DeliverMode, "deliver.mode", { "push" => Self, });

/// Which verified releases are candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prefer {
    /// The newest whose gates are open.
    Ready,
    /// Only the newest.
    Newest,
}
words!(Prefer, "prefer", { "ready" => Self::Ready, "newest" => Self::Newest, });

words!(Missing, "missing", { "error" => Self::Error, "add" => Self::Add, });

/// A tier of GitLab (its API, `tier` of an environment).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tier(pub(crate) &'static str);
words!(Tier, "tier", {
    "production" => Self("production"), "staging" => Self("staging"), "testing" => Self("testing"),
    "development" => Self("development"), "other" => Self("other"),
});
