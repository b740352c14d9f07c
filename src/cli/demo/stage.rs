//! The stage of the demo: a world, a policy of three environments, and the configuration of a daemon on it.

use crate::config::{self, Config};
use crate::daemon::{Handle, Target};
use crate::model::{EnvironmentName, PolicyName};
use crate::sandbox::World;
use crate::sandbox::cluster::Watch;
use crate::sandbox::git::Repository;
use crate::sandbox::gitlab::{Commits, Role};
use crate::sandbox::registry::ImageSpec;
use anyhow::Context as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// The person who approves, and the token that proves it: this world ends with the process.
pub(super) const PERSON: &str = "alice";
pub(super) const PERSON_TOKEN: &str = "the-token-of-alice-in-the-demo";
/// The token of the cluster's signals.
pub(super) const SIGNAL_TOKEN: &str = "demo-cluster";
/// The token of the GitLab stand-in.
const GITLAB_TOKEN: &str = "demo-gitlab";
/// How long a rollout takes in the cluster stand-in.
const ROLLOUT: Duration = Duration::from_millis(800);
/// The GitLab project that the image is built from, and that of the GitOps repository.
pub(super) const SOURCE: &str = "group/shop";
pub(super) const DEPLOYS: &str = "group/deploys";

const POLICY: &str = include_str!("policy.yaml");
const KUSTOMIZATION: &str = include_str!("kustomization.yaml");
const VALUES: &str = include_str!("values.yaml");

/// A world and how a daemon is set up on it.
pub(super) struct Stage {
    pub(super) world: World,
    pub(super) deploys: Repository,
    pub(super) config: Arc<Config>,
    /// The commits that images are built from.
    source: Commits,
    /// The journal and the secrets; removed with the stage.
    _home: TempDir,
}

impl Stage {
    /// Builds the world, with nothing pushed yet.
    pub(super) async fn build() -> anyhow::Result<Self> {
        let world = World::start().await?;
        let home = tempfile::tempdir().context("cannot make a temporary directory")?;
        let host = world.registry.host();
        let fill = |text: &str| {
            let health = world.cluster.health_url("shop", "staging");
            text.replace("REGISTRY", &host).replace("HEALTH", &health)
        };
        let (policy, kustomization, values) = (fill(POLICY), fill(KUSTOMIZATION), fill(VALUES));
        let files = [
            ("policies/shop.yaml", policy.as_str()),
            ("deployment/dev/kustomization.yaml", kustomization.as_str()),
            ("deployment/staging/kustomization.yaml", kustomization.as_str()),
            ("deployment/values-prod.yaml", values.as_str()),
        ];
        let deploys = world.git.create("deploys", &files).await?;
        world.gitlab.add_token(GITLAB_TOKEN, &["api"]);
        let source = world.gitlab.add_project(SOURCE);
        world.gitlab.add_project_of(DEPLOYS, &deploys);
        for project in [SOURCE, DEPLOYS] {
            world.gitlab.grant(GITLAB_TOKEN, project, Role::Maintainer)?;
        }
        for environment in ["dev", "staging", "prod"] {
            world.cluster.watch(Watch {
                policy: "shop".to_owned(),
                environment: environment.to_owned(),
                repository: deploys.clone(),
                branch: "main".to_owned(),
                delay: ROLLOUT,
                pins: None,
            });
        }
        let config = configuration(&world, &deploys, home.path())?;
        Ok(Self { world, deploys, config, source, _home: home })
    }

    /// Pushes build `n`, as a pipeline does: a commit in the source project, an image with its revision.
    pub(super) fn push(&self, n: u32) -> anyhow::Result<String> {
        let revision = format!("{:040x}", 0x5000_0000_u64 + u64::from(n));
        self.source.add_commit(&revision, "main");
        let created = format!("2026-01-01T{:02}:{:02}:00Z", (n / 60) % 24, n % 60);
        let image = ImageSpec::new(&format!("shop {n}"), &created).revision(&revision);
        Ok(self.world.registry.push_image("shop", &format!("1.0.{n}"), &image)?)
    }

    /// The release that waits for nothing but an approval in prod.
    pub(super) async fn asks_for_approval(&self, handle: &Handle) -> anyhow::Result<Option<String>> {
        let status = handle.status().await?;
        let views = status.policies.into_iter().flat_map(|policy| policy.environments);
        let prod = views.into_iter().find(|view| view.environment.as_str() == "prod");
        let waits = prod.filter(|view| view.waits_for_approval && view.holds.is_empty());
        Ok(waits.and_then(|view| view.candidate).map(|release| release.short()))
    }

    /// What a person types to approve.
    pub(super) fn approve_words(&self, release: &str, address: &str) -> String {
        format!("TAGRELAY_TOKEN={PERSON_TOKEN} {} approve shop/prod {release} --server {address}", super::program())
    }

    /// Where to look and what to try.
    pub(super) fn guide(&self, address: &str) -> String {
        let git = self.deploys.path().display().to_string();
        let registry = self.world.registry.face.url();
        let gitlab = self.world.gitlab.face.url();
        let tagrelay = super::program();
        format!(
            "tagrelay on an embedded registry, git repository, GitLab and cluster. A build comes every few seconds.\n\n\
             Look:  the page         {address}/\n       \
                    the git log      git -C {git} log --stat main\n       \
                    the tags         curl -s {registry}/v2/shop/tags/list\n       \
                    the deployments  curl -s -H 'PRIVATE-TOKEN: {GITLAB_TOKEN}' '{gitlab}/api/v4/projects/group%2Fshop/deployments'\n\
             Say who you are:     export TAGRELAY_TOKEN={PERSON_TOKEN} TAGRELAY_SERVER={address}\n\
             Try:   approve          {tagrelay} approve shop/prod\n       \
                    stop prod        {tagrelay} hold shop/prod --reason lunch   (and: resume)\n       \
                    go back          {tagrelay} rollback shop/staging --reason try\n       \
                    why              {tagrelay} explain shop/prod\n       \
                    win              edit deployment/dev/kustomization.yaml in a clone of {git} and push it\n\
             Ctrl-C stops it and leaves nothing behind.\n\n"
        )
    }
}

/// The environment that waits for an approval.
pub(super) fn prod() -> Target {
    #[expect(clippy::expect_used, reason = "both are names of the demo's own policy")]
    Target {
        policy: PolicyName::parse("shop").expect("a name"),
        environment: EnvironmentName::parse("prod").expect("a name"),
    }
}

fn configuration(world: &World, deploys: &Repository, home: &Path) -> anyhow::Result<Arc<Config>> {
    let secret = |name: &str, value: &str| -> anyhow::Result<String> {
        let file = home.join(name);
        std::fs::write(&file, value)?;
        Ok(format!("{{ file: {:?} }}", file.display().to_string()))
    };
    let text = format!(
        "repositories:\n  default: {{ url: {:?}, branch: main, policies: policies/, plain_http: true }}\n\
         registries: {{ {:?}: {{ plain_http: true }} }}\n\
         gitlab: {{ url: {:?}, plain_http: true, token: {} }}\n\
         egress: {{ private: true }}\n\
         journal: {:?}\n\
         server:\n  access:\n\
         \x20   - {{ who: {{ name: {PERSON}, token: {} }}, may: [approve, reject, hold, resume, promote, force, rollback, verify], on: [\"*\"] }}\n\
         \x20   - {{ who: {{ name: cluster, token: {} }}, may: [signal], on: [\"*\"] }}\n",
        deploys.url(),
        world.registry.host(),
        world.gitlab.face.url(),
        secret("gitlab", GITLAB_TOKEN)?,
        format!("sqlite://{}", home.join("journal.db").display()),
        secret("person", PERSON_TOKEN)?,
        secret("cluster", SIGNAL_TOKEN)?,
    );
    let read = move |_: &Path| Ok(text.clone());
    let config = config::load(Path::new("demo.yaml"), &read);
    config.map(Arc::new).map_err(|errors| anyhow::anyhow!("{}", errors.render(false)))
}
