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
        /// How a release is chosen: exactly one strategy, and filters.
        "select" select: SelectForm, Optional;
        /// How releases come from an earlier environment. An environment has `select`, `promote` or both.
        "promote" promote: PromoteForm, Optional;
        /// How the version is written. Default `tag@digest` with `promote` or `follow`, else `tag`.
        "pin" pin: PinForm, Optional;
        /// The places in the GitOps repository where the version is written.
        "write" write: Vec<WriteForm>, Default("[]");
        /// How a change reaches the repository.
        "deliver" deliver: DeliverForm, Default("{}");
        /// What says that a release arrived: one signal, or a list of which all must hold. Without it a pushed change
        /// counts as arrived.
        "rollout" rollout: Signals, Default("[]");
        /// How long the signals may take. Only time in which tagrelay could hear them counts.
        "deadline" deadline: Span, Default("15m");
        /// How long signals that tagrelay watches itself must stay healthy. A posted verdict counts at once.
        "stable_for" stable_for: Span, Default("30s");
        /// Smoke tests, made in this order once the rollout is healthy.
        "verify" verify: Vec<CheckForm>, Default("[]");
        /// `none`: a push by tagrelay counts as verified. Required where an environment is promoted from but has
        /// neither `rollout` nor `verify`, an error elsewhere.
        "evidence" evidence: EvidenceNone, Optional;
        /// What a failed rollout does: `next` refuses this release here and lets a newer one come, `hold` holds the
        /// environment, `rollback` holds it and brings the last verified release back. Default `hold` in the last
        /// environment of a chain (it has `promote`, and none is promoted from it), else `next`.
        "on_failure" on_failure: OnFailure, Optional;
        /// What a person's edit of the pin does, where it says something that did not run here before: `hold` holds this
        /// environment, `continue` lets the next release go on. A pin moved back to what ran here before always holds it,
        /// and refuses the release that it left.
        "on_edit" on_edit: OnEdit, Default("hold");
        /// How far the rollout in flight must have come before a newer release is let in; `none`: a newer release
        /// overtakes at once. Default `verified` where another environment is promoted from here and `rollout` or
        /// `verify` stand, else `none`.
        "hold_new_until" hold_new_until: HoldNewUntil, Optional;
        /// `false`: a change begins only when a person types `tagrelay promote`.
        "auto" auto: bool, Default("true");
        /// What guards every change of this environment.
        "gates" gates: GatesForm, Default("{}");
        /// How many verified releases, besides what runs, get a tag `tagrelay-<environment>-<release>`, so that no
        /// lifecycle rule of the registry deletes them; 0 = none, and no tag for what runs.
        "keep" keep: Keep, Default("0");
        /// The GitLab deployments that show the rollouts of this environment.
        "report" report: Vec<ReportForm>, Default("[]");
    }
}

form! {
    /// Exactly one strategy (`semver`, `newest`, `numeric`, `alphabetical`, `follow` or `pinned`), and any filters.
    SelectForm("select") {
        /// The greatest version inside this range, in the grammar of Helm, Flux and Argo CD (Masterminds): `1.x`,
        /// `~1.2`, `>=1.0 <2.0`.
        "semver" semver: String, Optional;
        /// The youngest build, by the time it was `created` (as the build claims), `pushed`, or first `seen` by
        /// tagrelay.
        "newest" newest: Newest, Optional;
        /// The largest or smallest number that a tag is, or that `extract` takes from it.
        "numeric" numeric: Numeric, Optional;
        /// The last or first tag in byte order.
        "alphabetical" alphabetical: Alphabetical, Optional;
        /// One tag that moves, as `staging`: the digest that it names now.
        "follow" follow: Tag, Optional;
        /// `true`: whatever the file says now, whoever wrote it. tagrelay observes it, and never writes it.
        "pinned" pinned: bool, Optional;
        /// What a tag must match: a regular expression that is searched in it, or `glob:` and a pattern for the whole
        /// tag.
        "match" matches: String, Optional;
        /// What of a tag `semver`, `numeric` or `alphabetical` compare, from the groups of `match`: `$1`, `$name`.
        /// Default the whole tag.
        "extract" extract: String, Optional;
        /// Tags that match any of these are not chosen; each is written as `match`.
        "ignore" ignore: Vec<At<String>>, Default("[]");
        /// Only builds whose source commit is on this branch of the source project. GitLab is asked.
        "branch" branch: String, Optional;
        /// Only builds with these labels; each names what its value must match, written as `match`.
        "labels" labels: Entries<At<String>>, Default("{}");
        /// Only builds that were pushed, or first seen, at least so long ago. The time that a build claims does not
        /// count.
        "min_age" min_age: Span, Default("0s");
        /// `true`: an older release may follow a newer one.
        "allow_downgrade" allow_downgrade: bool, Default("false");
    }
}

form! {
    /// How releases come from an earlier environment.
    PromoteForm("promote") {
        /// The earlier environment, by its name.
        "from" from: EnvironmentName, Required;
        /// A tag that tagrelay pushes at the release's digests. This environment follows it.
        "retag" retag: Tag, Optional;
        /// The repository that releases are copied to first, or `{ image: repository }` where there are several images: this
        /// environment reads, follows and pins there. Default: where `from` has them.
        "to" to: Destination, Optional;
        /// `newest`: only the newest verified release is a candidate; `ready`: the newest whose gates are open.
        "prefer" prefer: Prefer, Default("ready");
        /// `true`: a push of the tag of `retag` by somebody else counts as `verified`. It never counts as approval.
        "trust_tag" trust_tag: bool, Default("false");
    }
}

form! {
    /// One place that is written: exactly one of `kustomize`, `helm` and `yaml`.
    WriteForm("write") {
        /// A kustomization file or its directory. Written is the entry of `images` whose `newName` (or `name`) is the
        /// image's repository.
        "kustomize" kustomize: String, Optional;
        /// A Helm values file; `keys` says where in it.
        "helm" helm: String, Optional;
        /// Any YAML file; `path` says where in it.
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
        /// Where the entry, key or path does not exist: `error` writes nothing and says so, `add` adds it.
        "missing" missing: Missing, Default("error");
    }
}

form! {
    /// Where a Helm values file holds what, each as a path of keys joined by dots: `image.tag`.
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
    /// Which document of the file is meant: all that is given here must stand in it.
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
        /// The branch from which a missing `branch` is created.
        "base" base: String, Default("main");
        /// How a commit reaches the branch: `push` pushes it there.
        "mode" mode: DeliverMode, Default("push");
        /// The commit that is made.
        "commit" commit: CommitForm, Default("{}");
    }
}

form! {
    /// The commit that is made.
    CommitForm("commit") {
        /// Its message, a template that may use `policy`, `environment`, `release`, `images`, `old`, `new`, `mr` and
        /// `commit`: `{{ policy }} {{ old.tag }} -> {{ new.tag }}`.
        "message" message: String, Optional;
    }
}

form! {
    /// What says that a release arrived.
    SignalForm("rollout") {
        /// `{}`: somebody posts the verdict, to `POST /api/v1/policies/POLICY/environments/ENV/signal`.
        "webhook" webhook: Nothing, Optional;
    }
}

form! {
    /// A smoke test: exactly one of `http` and `webhook`.
    CheckForm("verify") {
        /// Its name, unique in the environment. Default its kind.
        "name" name: String, Optional;
        /// A URL must answer as expected.
        "http" http: HttpForm, Optional;
        /// `{}`: somebody posts the verdict, as for `rollout`, with `check` naming this one.
        "webhook" webhook: Nothing, Optional;
        /// How long one try may take, counted as `deadline` is.
        "timeout" timeout: Span, Default("5m");
        /// How often a failed check is tried again. Default 1 for `http`; a verdict that is posted has none.
        "retries" retries: u32, Optional;
    }
}

form! {
    /// A check over HTTP.
    HttpForm("http") {
        /// The URL, a template; a release may not choose its host.
        "url" url: String, Required;
        /// The HTTP status that must come.
        "status" status: u32, Default("200");
        /// How many times in a row it must come.
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
        /// `true`: the ref is a tag.
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
