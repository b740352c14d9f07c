//! Every key of the contract with the user either works or is refused with "not built yet" and its line; the schema says
//! the same.
//!
//! The list is written by hand from the contract, so that a key that gets lost in the code is missed here.

mod schema;

use schema::accepts;
use std::path::Path;
use tagrelay::config::{self, Config, Diagnostics};
use tagrelay::model::policy::PolicyOrigin;

/// What becomes of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Is {
    Built,
    NotBuiltYet,
}
use Is::{Built, NotBuiltYet};

const CONFIG: &str = "
repositories:
  default: { url: 'https://gitlab.example.com/group/deploys.git', policies: policies/ }
gitlab: { url: 'https://gitlab.example.com', token: { env: GITLAB } }
registries: { '*': {} }
";

/// Section 1: the file that holds the key (`@` is where it stands), and each key there.
const POLICY: &[(&str, &[(Is, &str)])] = &[
    (
        "apiVersion: tagrelay/v1\nname: shop\nimages: [reg.io/shop]\n@\nenvironments: [{ name: dev, select: { newest: seen }, write: [{ kustomize: a }] }]\n",
        &[
            (Built, "together: same-tag"),
            (Built, "together: same-revision"),
            (Built, "together: latest"),
            (Built, "settle: 1m"),
            (Built, "poll: 1m"),
            (Built, "poll: '*/5 * * * *'"),
            (Built, "timezone: Asia/Seoul"),
            (Built, "suspend: true"),
            (Built, "defaults: {}"),
            (Built, "defaults: { write: [], gates: { approvals: { required: 1 } }, deadline: 1h30m }"),
            (Built, "defaults: { keep: 5 }"),
        ],
    ),
    (
        "apiVersion: tagrelay/v1\nname: shop\nimages:\n  - @\nenvironments: [{ name: dev, select: { newest: seen }, write: [{ kustomize: a }] }]\n",
        &[
            (Built, "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/shop"),
            (Built, "{ repository: reg.io/shop }"),
            (Built, "{ name: worker, repository: reg.io/shop-worker }"),
            (Built, "{ repository: reg.io/shop, platforms: [linux/amd64] }"),
            (Built, "{ repository: reg.io/shop, source: group/worker }"),
        ],
    ),
    (
        "apiVersion: tagrelay/v1\nname: shop\nimages: [{ repository: reg.io/shop, source: g/p }]\nenvironments:\n  - name: dev\n    select: { @ }\n    write: [{ kustomize: a }]\n",
        &[
            (Built, "semver: '>=1 <2 || ~3.1'"),
            (Built, "newest: created"),
            (Built, "newest: pushed"),
            (Built, "newest: seen"),
            (Built, "numeric: largest"),
            (Built, "numeric: smallest"),
            (Built, "alphabetical: last"),
            (Built, "alphabetical: first"),
            (Built, "follow: staging"),
            (Built, "pinned: true"),
            (Built, "newest: seen, match: '^[0-9a-f]{8}$'"),
            (Built, "numeric: largest, match: '([0-9]+)', extract: '$1'"),
            (Built, "newest: seen, ignore: ['-debug$', 'glob:*-rc*']"),
            (Built, "newest: seen, branch: dev"),
            (Built, "newest: seen, labels: { key: regex }"),
            (Built, "newest: seen, min_age: 10m"),
            (Built, "newest: seen, allow_downgrade: true"),
        ],
    ),
    (
        "apiVersion: tagrelay/v1\nname: shop\nimages: [reg.io/shop]\nenvironments:\n  - name: dev\n    select: { newest: seen }\n    write: [@]\n",
        &[
            (Built, "{ kustomize: 'deployment/{{ environment }}' }"),
            (Built, "{ kustomize: a, missing: error }"),
            (Built, "{ kustomize: a, missing: add }"),
            (Built, "{ helm: 'application-x/values-{{ environment }}.yaml' }"),
            (Built, "{ helm: a.yaml, for: shop }"),
            (Built, "{ helm: a.yaml, keys: { tag: image.tag } }"),
            (Built, "{ helm: a.yaml, keys: { image: image } }"),
            (Built, "{ helm: a.yaml, keys: { registry: r, repository: p, tag: t, digest: d } }"),
            (Built, "{ yaml: a.yaml, path: 'spec.template.spec.containers[name=web].image' }"),
            (Built, "{ helm: a.yaml, document: { kind: HelmRelease, name: shop }, keys: { tag: image.tag } }"),
            (Built, "{ yaml: a.yaml, path: a, document: { kind: Deployment, name: shop } }"),
            (NotBuiltYet, "{ markers: 'clusters/{{ environment }}' }"),
            (NotBuiltYet, "{ kustomize: a, policy: 'apps:shop' }"),
            (NotBuiltYet, "{ json: config/images.json, path: images.shop }"),
            (NotBuiltYet, "{ env: deploy/.env, key: SHOP_IMAGE }"),
            (NotBuiltYet, "{ yaml: a.yaml, path: spec.source.helm.values, within: image.tag }"),
            (NotBuiltYet, "{ yaml: a.yaml, path: a.image, part: tag }"),
            (NotBuiltYet, "{ helm: 'apps/*/values.yaml' }"),
        ],
    ),
    (
        "apiVersion: tagrelay/v1\nname: shop\nimages: [reg.io/shop]\nenvironments:\n  - name: dev\n    select: { newest: seen }\n    write: [{ kustomize: a }]\n    @\n",
        &[
            (Built, "pin: tag"),
            (Built, "pin: digest"),
            (Built, "pin: tag@digest"),
            (Built, "deliver: { repository: default }"),
            (Built, "deliver: { repository: self }"),
            (Built, "deliver: { branch: 'env/{{ environment }}', base: main }"),
            (Built, "deliver: { mode: push }"),
            (
                Built,
                "deliver: { commit: { message: '[skip ci] {{ environment | upper }} {{ policy }} {{ old.tag }} -> {{ new.tag }}' } }",
            ),
            (NotBuiltYet, "deliver: { commit: { sign_off: true } }"),
            (NotBuiltYet, "deliver: { commit: { per: push } }"),
            (NotBuiltYet, "deliver: { mode: merge_request }"),
            (NotBuiltYet, "deliver: { merge_request: { labels: [deploy], reviewers: [alice], auto_merge: false } }"),
            (Built, "rollout: { webhook: {} }"),
            (Built, "rollout: [{ webhook: {} }]"),
            (NotBuiltYet, "rollout: [{ argocd: { application: shop-dev, namespace: argocd, cluster: eu } }]"),
            (NotBuiltYet, "rollout: { kubernetes: { namespace: shop, deployment: web } }"),
            (NotBuiltYet, "rollout: { flux: { kustomization: flux-system/shop-dev } }"),
            (NotBuiltYet, "rollout: { argo_rollouts: { namespace: shop, rollout: web, on_pause: wait } }"),
            (Built, "deadline: 15m"),
            (NotBuiltYet, "pickup: 30m"),
            (NotBuiltYet, "notify: [{ to: team-shop, on: [waiting, failed] }]"),
            (Built, "stable_for: 30s"),
            (
                Built,
                "verify: [{ name: health, http: { url: 'https://dev.example.com/', status: 200, times: 3, every: 5s }, timeout: 2m }]",
            ),
            (Built, "verify: [{ webhook: {} }]"),
            (Built, "verify: [{ http: { url: 'https://dev.example.com/' }, retries: 2 }]"),
            (NotBuiltYet, "verify: [{ name: smoke, gitlab_pipeline: { project: group/shop, ref: main } }]"),
            (NotBuiltYet, "verify: [{ kubernetes_job: { namespace: shop, from_cronjob: smoke } }]"),
            (NotBuiltYet, "verify: [{ command: smoke }]"),
            (NotBuiltYet, "verify: [{ analysis_run: { namespace: shop, rollout: web } }]"),
            (NotBuiltYet, "verify: [{ parallel: [{ webhook: {} }] }]"),
            (NotBuiltYet, "verify: [{ http: { url: 'https://a.b/', headers: { Authorization: { secret: smoke } } } }]"),
            (NotBuiltYet, "verify: [{ http: { url: 'https://a.b/', json: { status.db: ok } } }]"),
            (NotBuiltYet, "verify: [{ http: { url: 'https://a.b/', body_contains: ready } }]"),
            (Built, "on_failure: next"),
            (Built, "on_failure: hold"),
            (Built, "on_failure: rollback"),
            (Built, "on_edit: continue"),
            (Built, "hold_new_until: none"),
            (Built, "hold_new_until: arrived"),
            (Built, "hold_new_until: verified"),
            (Built, "hold_new_until: soaked"),
            (Built, "auto: false"),
            (
                Built,
                "gates: { approvals: { required: 2, approvers: [alice, bob], exclude: [carol], expire: 24h, by: [cli, page] } }",
            ),
            (NotBuiltYet, "gates: { approvals: { approvers: [{ gitlab_group: group/release }] } }"),
            (NotBuiltYet, "gates: { approvals: { approvers: [{ gitlab_user: bob }] } }"),
            (NotBuiltYet, "gates: { approvals: { self_approval: false } }"),
            (NotBuiltYet, "gates: { external: [change-ticket] }"),
            (NotBuiltYet, "gates: { approvals: { by: [merge_request] } }"),
            (NotBuiltYet, "gates: { approvals: { by: [merge] } }"),
            (Built, "gates: { window: { open: '0 9 * * MON-FRI', for: 8h } }"),
            (Built, "gates: { freeze: [{ from: 2026-12-20, until: 2027-01-03, reason: 'year end', rollback: true }] }"),
            (NotBuiltYet, "gates: { signature: { key: cosign.pub } }"),
            (NotBuiltYet, "gates: { source: { protected: true, pipeline: success } }"),
            (Built, "keep: 0"),
            (Built, "keep: 5"),
            (
                Built,
                "report: [{ gitlab: { project: g/p, sha: revision, environment: d, tier: development, url: 'https://a.b', ref: main, for: shop } }]",
            ),
            (Built, "report: [{ gitlab: { project: g/p, sha: revision, git_tag: 'web-v{{ new.tag }}' } }]"),
            (Built, "report: [{ gitlab: { project: g/p, sha: commit } }]"),
            (NotBuiltYet, "report: [{ gitlab: { project: g/p, sha: commit, status: true } }]"),
            (NotBuiltYet, "report: [{ gitlab: { project: g/p, sha: commit, note: true } }]"),
        ],
    ),
    (
        "apiVersion: tagrelay/v1\nname: shop\nimages: [reg.io/shop]\nenvironments:\n  - { name: dev, select: { newest: seen }, write: [{ kustomize: a }], evidence: none }\n  - name: prod\n    write: [{ kustomize: b }]\n    @\n",
        &[
            (Built, "promote: { from: dev }"),
            (Built, "promote: { from: dev, retag: prod }"),
            (Built, "promote: { from: dev, prefer: ready }"),
            (Built, "promote: { from: dev, prefer: newest }"),
            (Built, "promote: { from: dev, retag: prod, trust_tag: true }"),
            (Built, "promote: { from: dev, to: reg.io/prod/shop }"),
            (Built, "promote: { from: dev, to: { shop: reg.io/prod/shop }, retag: prod }"),
            (Built, "promote: { from: dev }\n    select: { semver: '*' }"),
            (Built, "promote: { from: dev }\n    gates: { soak: 1h }"),
        ],
    ),
];

/// Section 2, in the same way.
const CONFIGURATION: &[(&str, &[(Is, &str)])] = &[
    (
        "repositories: { default: { url: 'file:///srv/deploys.git', policies: p } }\n@\n",
        &[
            (Built, "mode: act"),
            (Built, "mode: observe"),
            (Built, "policies: null"),
            (Built, "policies: ./policies"),
            (Built, "policies: './policies/*.policy.yaml'"),
            (
                Built,
                "require: [{ environments: ['prod*'], pin: tag@digest, gates: { approvals: { required: 1 } }, promote: { trust_tag: false } }]",
            ),
            (
                Built,
                "require: [{ writes: ['deployment/prod/**', 'apps/*/prod.yaml'], branches: [main], repositories: [default], retags: ['*/shop:prod'] }]",
            ),
            (NotBuiltYet, "require: [{ clusters: [eu] }]"),
            (NotBuiltYet, "require: [{ namespaces: [shop] }]"),
            (
                Built,
                "calendars: { year-end: { environments: ['prod*'], freeze: [{ from: 2026-12-20, until: 2027-01-03 }] } }",
            ),
            (Built, "limits: { changes: 20 }"),
            (Built, "limits: { rollouts: { prod: 5, '*': 50 } }"),
            (Built, "limits: { failures: { prod: 3 } }"),
            (Built, "registries: { 'localhost:5000': { plain_http: true } }"),
            (
                Built,
                "registries: { reg.io: { pull: { username: bot, password: { env: A } }, push: { username: p, password: { file: /b } }, ca: { file: /c } } }",
            ),
            (Built, "registries: { '*.dkr.ecr.*.amazonaws.com': { provider: ecr } }"),
            (Built, "registries: { '*.dkr.ecr.*.amazonaws.com': { assume_role: 'arn:aws:iam::123456789012:role/r' } }"),
            (Built, "registries: { '*.dkr.ecr.*.amazonaws.com': { assume_role: null } }"),
            (Built, "registries: { '*.dkr.ecr.*.amazonaws.com': { endpoint_url: 'https://vpce.example.com' } }"),
            (Built, "registries: { reg.io: { docker_config: { file: /run/secrets/pull.json } } }"),
            (Built, "registries: { reg.io: { client_cert: { cert: { file: /c.pem }, key: { env: KEY } } } }"),
            (Built, "registries: { reg.io: { proxy: none } }"),
            (Built, "registries: { reg.io: { proxy: 'http://proxy.corp:3128' } }"),
            (Built, "registries: { reg.io: { proxy: { env: PROXY } } }"),
            (Built, "registries: { '*.dkr.ecr.*.amazonaws.com': { requests_per_second: 20 } }"),
            (Built, "registries: { reg.io: { timeout: 30s } }"),
            (
                Built,
                "gitlab: { url: 'https://gitlab.example.com', token: { file: /t }, projects: { 'team-b/**': { token: { env: B } } } }",
            ),
            (NotBuiltYet, "signing_keys: { release: { file: /etc/tagrelay/cosign.pub } }"),
            (NotBuiltYet, "alerts: { to: [platform], remind: 1d }"),
            (NotBuiltYet, "notify: { team-shop: { slack: { token: { env: SLACK }, channel: '#shop' } } }"),
            (NotBuiltYet, "server: { url: 'https://tagrelay.example.com' }"),
            (NotBuiltYet, "server: { sign_in: { gitlab: { client_id: tagrelay, client_secret: { env: OIDC } } } }"),
            (NotBuiltYet, "server: { gitlab_api: { forward: [] } }"),
            (NotBuiltYet, "server: { access: [{ who: { gitlab_user: alice }, may: [hold], on: ['*'] }] }"),
            (NotBuiltYet, "server: { access: [{ who: { gitlab_group: group/release }, may: [hold], on: ['*'] }] }"),
            (NotBuiltYet, "server: { access: [{ who: { ci: { project: group/shop } }, may: [hold], on: ['*'] }] }"),
            (NotBuiltYet, "server: { access: [{ who: { name: a, token: { env: A } }, may: [read], on: ['*'] }] }"),
            (NotBuiltYet, "server: { access: [{ who: { name: a, token: [{ env: A }] }, may: [hold], on: ['*'] }] }"),
            (NotBuiltYet, "clusters: { eu: { kubeconfig: { file: /etc/kube/eu }, context: eu } }"),
            (NotBuiltYet, "secrets: { smoke: { from: { env: SMOKE_TOKEN }, hosts: ['*.example.com'] } }"),
            (Built, "egress: { allow: ['*.example.com'], private: true }"),
            (NotBuiltYet, "checks: { commands: { smoke: { run: [/opt/smoke.sh], timeout: 5m } } }"),
            (Built, "journal: sqlite:///var/lib/tagrelay/journal.db"),
            (Built, "journal: { url: 'sqlite:///var/lib/tagrelay/journal.db', keep: 400d }"),
            (Built, "journal: { keep: 400d }"),
            (Built, "server: { listen: '127.0.0.1:8080' }"),
            (Built, "server: { read: token }"),
            (Built, "server: { read: open }"),
            (Built, "server: { webhooks: { acr: { secret: { env: HARBOR_SECRET } } } }"),
            (Built, "server: { webhooks: { distribution: { secret: { env: HARBOR_SECRET } } } }"),
            (Built, "server: { webhooks: { dockerhub: { secret: { env: HARBOR_SECRET } } } }"),
            (Built, "server: { webhooks: { ecr: { secret: { env: HARBOR_SECRET } } } }"),
            (
                Built,
                "server: { webhooks: { ecr: { queue: 'https://sqs.eu-west-1.amazonaws.com/123456789012/tagrelay' } } }",
            ),
            (
                Built,
                "server: { webhooks: { ecr: { queue: 'https://sqs.eu-west-1.amazonaws.com/123456789012/q', secret: { env: S }, registry: ecr.corp, assume_role: 'arn:aws:iam::123456789012:role/r', endpoint_url: 'https://vpce.example.com' } } }",
            ),
            (Built, "server: { webhooks: { ghcr: { secret: { env: HARBOR_SECRET } } } }"),
            (Built, "server: { webhooks: { gitea: { secret: { env: HARBOR_SECRET } } } }"),
            (Built, "server: { webhooks: { gitlab: { secret: { env: HARBOR_SECRET } } } }"),
            (Built, "server: { webhooks: { harbor: { secret: { env: HARBOR_SECRET } } } }"),
            (Built, "server: { webhooks: { quay: { secret: { env: HARBOR_SECRET } } } }"),
            (Built, "server: { webhooks: { nexus: { secret: { env: S }, registry: 'nexus.corp:8082' } } }"),
            (Built, "server: { webhooks: { jfrog: { secret: { env: S }, registry: corp.jfrog.io } } }"),
            (
                Built,
                "server: { webhooks: { gar: { audience: 'https://tagrelay.example.com', email: push@p.iam.gserviceaccount.com } } }",
            ),
            (NotBuiltYet, "server: { webhooks: { argocd: { secret: { env: S } } } }"),
            (NotBuiltYet, "server: { webhooks: { flux: { secret: { env: S } } } }"),
            (
                Built,
                "server: { access: [{ who: { name: alice, token: { env: A } }, may: [approve, reject, hold, resume, promote, force, rollback, verify, canary, signal], on: ['*'] }] }",
            ),
        ],
    ),
    (
        "repositories:\n  default: { policies: p, @ }\n",
        &[
            (Built, "url: 'https://gitlab.example.com/group/deploys.git'"),
            (Built, "url: 'file:///srv/deploys.git'"),
            (Built, "url: 'http://gitlab.example.com/d.git', plain_http: true"),
            (NotBuiltYet, "url: 'ssh://git@gitlab.example.com/d.git'"),
            (Built, "url: 'https://a.b', branch: main"),
            (Built, "url: 'https://a.b', username: oauth2, token: { env: GIT_TOKEN }"),
            (Built, "url: 'https://a.b', author: { name: tagrelay, email: tagrelay@example.com }"),
            (NotBuiltYet, "url: 'https://a.b', project: group/deploys"),
            (NotBuiltYet, "url: 'https://a.b', ssh: { key: { file: /run/secrets/ssh } }"),
            (NotBuiltYet, "url: 'https://a.b', sign: { ssh_key: { file: /etc/tagrelay/signing } }"),
            (
                Built,
                "url: 'https://a.b', may: { write: ['deployment/**'], images: ['*/shop'], retag: ['*/shop*:staging'], projects: [g/p] }",
            ),
            (Built, "url: 'https://a.b', may: { repositories: [default], branches: ['env/*'] }"),
            (NotBuiltYet, "url: 'https://a.b', may: { namespaces: [shop] }"),
        ],
    ),
];

fn policy(text: &str) -> Result<(), Diagnostics> {
    let config = load(CONFIG).expect("configuration");
    let origin = PolicyOrigin { repository: Some("default".to_owned()), path: "policies/shop.yaml".to_owned() };
    let loaded = config::policies(&config, &[(origin, text.to_owned())]);
    loaded.broken.into_iter().next().map_or(Ok(()), |broken| Err(broken.diagnostics))
}

fn load(text: &str) -> Result<Config, Diagnostics> {
    config::load(Path::new("tagrelay.yaml"), &|_| Ok(text.to_owned()))
}

/// Checks a key against what reading it says and what the schema says.
fn check(is: Is, file: &str, key: &str, read: &dyn Fn(&str) -> Result<(), Diagnostics>, schema: &serde_json::Value) {
    let text = file.replace('@', key);
    let value: serde_json::Value = serde_yaml::from_str(&text).expect("the test's own YAML");
    match (is, read(&text)) {
        (Built, Err(errors)) => panic!("`{key}` is built:\n{}", errors.render(false)),
        (NotBuiltYet, Ok(())) => panic!("`{key}` is not built, and was read"),
        (Built, Ok(())) => assert_eq!(accepts(schema, &value), Ok(()), "{key}"),
        (NotBuiltYet, Err(errors)) => {
            let told: Vec<_> = errors.iter().map(|error| (error.message.as_str(), error.line)).collect();
            let line = 1 + file.split('@').next().unwrap_or_default().matches('\n').count();
            let is_told = |(message, at): &(&str, usize)| message.ends_with("is not built yet") && *at == line;
            assert!(!told.is_empty() && told.iter().all(is_told), "`{key}`: {told:?}");
            // The schema of a URL or a path is that of any text: which of them are built is not its business.
            let is_of_value = key.contains("ssh://") || key.contains('*');
            assert!(accepts(schema, &value).is_err() || is_of_value, "the schema knows `{key}`");
        }
    }
}

#[test]
fn every_key_of_a_policy() {
    let schema = config::policy_schema();
    for (file, keys) in POLICY {
        for (is, key) in *keys {
            check(*is, file, key, &policy, &schema);
        }
    }
}

#[test]
fn every_key_of_the_configuration() {
    let schema = config::config_schema();
    for (file, keys) in CONFIGURATION {
        for (is, key) in *keys {
            check(*is, file, key, &|text| load(text).map(drop), &schema);
        }
    }
}

#[test]
fn every_key_of_the_schemas_stands_in_the_contract() {
    let listed: String = POLICY
        .iter()
        .chain(CONFIGURATION)
        .flat_map(|(file, keys)| std::iter::once(*file).chain(keys.iter().map(|(_, key)| *key)))
        .collect::<Vec<_>>()
        .join("\n");
    let words: std::collections::BTreeSet<&str> = listed.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
    // Keys that were added to the contract's own.
    let added = ["tag", "ca", "plain_http", "apiVersion", "namespace"];
    for schema in [config::policy_schema(), config::config_schema()] {
        for key in schema::keys(&schema) {
            assert!(words.contains(key.as_str()) || added.contains(&key.as_str()), "`{key}` is not listed above");
        }
    }
}

#[test]
fn every_description_says_something() {
    for schema in [config::policy_schema(), config::config_schema()] {
        schema::described(&schema, "");
    }
}

#[test]
fn the_schema_accepts_the_examples() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    for entry in std::fs::read_dir(folder).expect("policies").flatten() {
        let path = entry.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.ends_with(".yaml") && !name.ends_with(".cases.yaml") {
            let text = std::fs::read_to_string(&path).expect("example");
            let value = serde_yaml::from_str(&text).expect("YAML");
            assert_eq!(accepts(&config::policy_schema(), &value), Ok(()), "{name}");
            policy(&text).unwrap_or_else(|errors| panic!("{}", errors.render(false)));
        }
    }
}
