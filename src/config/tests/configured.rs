//! Configurations: what they say, what they bound, and what is said of those that are wrong.

use super::*;
use crate::model::policy::Ballot;
use crate::model::{PinForm, Span};

/// What is said of a configuration, by what is marked.
fn said(text: &str) -> Vec<String> {
    read(text).map(|_| Vec::new()).unwrap_or_else(|errors| marked(text, &errors))
}

#[track_caller]
fn check(added: &str, expected: &[&str]) {
    assert_eq!(
        said(&format!("repositories: {{ default: {{ url: file:///srv/d.git, policies: p }} }}\n{added}\n")),
        expected,
        "{added}"
    );
}

#[test]
fn a_limit_is_that_of_the_most_specific_name() {
    let config = config(
        "repositories: { default: { url: https://a.b/c.git/, policies: p } }\n\
         limits: { rollouts: { '*': 50, 'prod-*': 7, prod: 5 }, failures: { 'prod*': 3 } }",
    );
    let of = |by: &ByName, name: &str| by.of(&crate::model::EnvironmentName::parse(name).unwrap());
    for (name, rollouts, failures) in [("prod", 5, Some(3)), ("prod-eu", 7, Some(3)), ("dev", 50, None)] {
        let found = (of(&config.limits.rollouts, name), of(&config.limits.failures, name));
        assert_eq!(found, (Some(rollouts), failures), "{name}");
    }
}

#[test]
fn the_journal_is_a_url_or_a_mapping() {
    let journal = |text: &str| {
        let text = format!("repositories: {{ default: {{ url: https://a.b/c, policies: policies/ }} }}\n{text}");
        let JournalSettings { url, keep } = config(&text).journal;
        (url, keep.map(|keep| keep.to_string()))
    };
    let default = "sqlite:///var/lib/tagrelay/journal.db".to_owned();
    assert_eq!(journal("journal: sqlite:///a.db"), ("sqlite:///a.db".to_owned(), None));
    assert_eq!(journal("journal: { url: 'sqlite:///a.db' }"), ("sqlite:///a.db".to_owned(), None));
    assert_eq!(journal("journal: { keep: 400d }"), (default.clone(), Some("400d".to_owned())));
    assert_eq!(journal("journal: {}"), (default, None));
    check(
        "journal: { keep: 23h }",
        &["2 [23h] entries are kept for at least 1d | leave `keep` out to keep all entries for ever"],
    );
}

#[test]
fn the_defaults() {
    let config = config("repositories: { default: { url: https://a.b/c.git/, policies: ./policies/ } }");
    assert_eq!(
        (config.mode, config.limits.changes, config.journal.url.as_str()),
        (Mode::Act, 20, "sqlite:///var/lib/tagrelay/journal.db")
    );
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    let default = &config.repositories["default"];
    assert_eq!((default.url.as_str(), default.branch.as_str()), ("https://a.b/c.git", "main"));
    assert_eq!((default.policies.as_deref(), default.username.as_str()), (Some("policies"), "oauth2"));
    assert!(config.gitlab.is_none() && config.registries.of("reg.io").is_none() && config.egress.allows("any.where"));
}

#[test]
fn the_most_specific_setting_wins() {
    let config = config(
        r#"
repositories: { default: { url: file:///srv/d.git, policies: p } }
registries:
  "*.dkr.ecr.*.amazonaws.com": { pull: { username: a, password: { env: A } } }
  "*": { plain_http: true }
  "proxied.io": { proxy: "http://proxy:3128" }
  "direct.io": { proxy: none }
  "secret.io": { proxy: { env: PROXY } }
  "REG.io:5000": { push: { username: b, password: { file: /b } } }
gitlab: { url: "https://gitlab.example.com/", token: { env: G }, projects: { "team-b/**": { token: { env: B } } } }
egress: { allow: ["*.example.com"], private: true }
"#,
    );
    let settings = |host: &str| config.registries.of(host).expect("settings");
    assert!(settings("localhost:5000").plain_http);
    assert_eq!(settings("1.dkr.ecr.eu-west-1.amazonaws.com").pull.as_ref().map(|l| l.username.as_str()), Some("a"));
    assert_eq!(settings("proxied.io").proxy, Some(ProxySettings::At("http://proxy:3128".to_owned())));
    assert_eq!(settings("direct.io").proxy, Some(ProxySettings::Direct));
    let Some(ProxySettings::Secret(secret)) = &settings("secret.io").proxy else { panic!("a secret") };
    assert_eq!(secret.source(), &SecretSource::Env("PROXY".to_owned()));
    assert_eq!(settings("reg.io:5000").push.as_ref().map(|l| l.username.as_str()), Some("b"));
    let gitlab = config.gitlab.as_ref().expect("gitlab");
    assert_eq!(gitlab.url, "https://gitlab.example.com");
    let token = |project: &str| gitlab.token_for(project).map(|secret| secret.source().clone());
    assert_eq!(token("team-b/x/y"), Some(SecretSource::Env("B".to_owned())));
    assert_eq!(token("team-a/x"), Some(SecretSource::Env("G".to_owned())));
    assert!(config.egress.allows("Shop.example.com") && !config.egress.allows("example.org"));
}

#[test]
fn access() {
    let config = config(
        r#"
repositories: { default: { url: file:///srv/d.git, policies: p } }
server:
  access:
    - { who: { name: alice, token: { env: ALICE } }, may: [approve, hold], on: ["*"] }
    - { who: { name: hook, token: { env: HOOK } }, may: [signal], on: ["shop/*"] }
"#,
    );
    let [alice, hook] = config.server.access.as_slice() else { panic!("two") };
    assert!(alice.allows(Act::Approve, "shop", Some("prod")) && alice.allows(Act::Hold, "shop", None));
    assert!(!alice.allows(Act::Promote, "shop", Some("prod")));
    assert!(hook.allows(Act::Signal, "shop", Some("dev")) && !hook.allows(Act::Signal, "shop", None));
    assert!(!hook.allows(Act::Signal, "shop-2", Some("dev")));
}

#[test]
fn what_is_wrong() {
    assert_eq!(
        said("mode: watch\nrepositories: {}\n"),
        [
            "1 [mode] the configuration names no policies | write `policies:` under a repository, or a local directory at the top",
            "1 [watch] `watch` is no value of `mode` | write one of `act`, `observe`",
        ]
    );
    let url = |url: &str| said(&format!("repositories: {{ default: {{ policies: p, url: '{url}' }} }}\n"));
    assert_eq!(
        url("http://a.b/c"),
        [
            "1 ['http://a.b/c'] `http://` shows everything, the token too, to whoever listens | write `plain_http: true` beside it \
         if it may go over the network as it is",
        ]
    );
    for unbuilt in ["ssh://git@a.b/c", "git@a.b:c/d.git"] {
        assert_eq!(
            url(unbuilt),
            [format!(
                "1 ['{unbuilt}'] `ssh://` is not built yet | this version refuses what it would not do: leave it out"
            )]
        );
    }
    assert_eq!(url("ftp://a"), ["1 ['ftp://a'] expected a URL that begins with `https://` or `file://`"]);
    assert_eq!(url("https://"), ["1 ['https://'] this URL names nothing"]);
    check(
        "journal: postgres://x",
        &[
            "2 [postgres://x] the journal is kept in SQLite | write `sqlite://` and a path, as in `sqlite:///var/lib/tagrelay/journal.db`",
        ],
    );
    check("server: { listen: 8080 }", &["2 [8080] expected an address and a port, as in `127.0.0.1:8080`"]);
    check("limits: { rollouts: { prod: 0 } }", &["2 [0] expected 1 or more: with none nothing would ever begin"]);
    check("limits: { failures: { 'a[': 3 } }", &["2 ['a['] `a[` is no pattern: unclosed character class; missing ']'"]);
    check("limits: { changes: many }", &["2 [many] expected a whole number from 0 to 4294967295, found `many`"]);
    check(
        "registries: { 'https://reg.io': {} }",
        &["2 ['https://reg.io'] expected the host of a registry, without a scheme or path | write `reg.io`"],
    );
    check(
        "registries: { reg.io: { pull: { username: a, password: { env: A } }, docker_config: { file: /a } } }",
        &["2 [{] `pull` and `docker_config` both say who reads | keep `pull` for one user, or `docker_config` for \
             what a file says"],
    );
    check("registries: { reg.io: { client_cert: { cert: { file: /c } } } }", &["2 [{] `key` is missing here"]);
    let proxy = |written: &str, expected: &str| {
        check(&format!("registries: {{ reg.io: {{ proxy: {written} }} }}"), &[expected]);
    };
    proxy(
        "'http://bob:hunter2@proxy:3128'",
        "2 ['http://bob:hunter2@proxy:3128'] a URL has no user or password in it | write `{ env: NAME }` or \
         `{ file: /path/to/it }`, with the whole URL there",
    );
    for unknown in ["proxy:3128", "socks5://proxy", "http://", "https:///x", "off"] {
        let expected = format!(
            "2 [{unknown}] expected `none` or the URL of a proxy | write `none`, or a URL as in `http://proxy.example.com:3128`"
        );
        proxy(unknown, &expected);
    }
    check(
        "require: [{ promote: { trust_tag: true } }]",
        &["2 [true] a floor can only forbid: write `trust_tag: false`, or leave it out"],
    );
    check(
        "calendars: { y: { freeze: [{ from: 2026-01-02, until: 2026-01-01 }] } }",
        &["2 [2026-01-01] this freeze ends before it begins"],
    );
}

#[test]
fn a_secret_in_the_wrong_place_is_not_drawn() {
    let shown = |text: &str| read(text).map(|_| String::new()).unwrap_or_else(|errors| errors.render(false));
    for text in [
        "repositories: { default: { url: https://a.b, policies: p, token: hunter2 } }",
        "repositories: { default: { url: https://a.b, policies: p, token: [hunter2] } }",
        "repositories: { default: { url: https://a.b, policies: p, token: { vaule: hunter2 } } }",
        "repositories: { default: { url: https://a.b, policies: p, tokn: hunter2 } }",
        "repositories: { default: { url: 'https://u:hunter2@a.b', policies: p } }",
        "gitlab: hunter2\nrepositories: [hunter2]",
        "token: hunter2\n\tx: [",
        "a: hunter2\na: hunter2",
        "hunter2",
    ] {
        let shown = shown(text);
        assert!(!shown.is_empty() && !shown.contains("hunter2"), "{shown}");
    }
    assert_eq!(
        shown("repositories: { default: { url: https://a.b, policies: p, token: hunter2 } }"),
        "\
error: a secret does not stand in the configuration
 --> tagrelay.yaml:1:66
  |
1 | repositories: { default: { url: https://a.b, policies: p, token: ******* } }
  |                                                                  ^^^^^^^
  |
help: write `{ env: NAME }` or `{ file: /path/to/it }`"
    );
}

#[test]
fn an_unreadable_configuration_says_so() {
    let error =
        load(Path::new("/x/tagrelay.yaml"), &|_| Err(io::Error::from(io::ErrorKind::NotFound))).expect_err("error");
    assert_eq!(error.to_string(), "/x/tagrelay.yaml:1:1: the configuration cannot be read: entity not found");
}

pub(super) const BOUNDED: &str = r#"
repositories:
  default:
    url: "https://gitlab.example.com/group/deploys.git"
    policies: policies/
    may: { write: ["deployment/**"], images: ["*/shop"], retag: ["*/shop:staging"], projects: [g/shop], repositories: [other] }
  other: { url: "https://gitlab.example.com/group/other.git" }
gitlab: { url: "https://gitlab.example.com", token: { env: G } }
egress: { allow: ["*.example.com"] }
"#;

#[test]
fn policies_stay_inside_what_their_repository_may() {
    let text = "\
apiVersion: tagrelay/v1
name: shop
images: [reg.io/shop, { name: w, repository: reg.io/worker, source: g/worker }]
environments:
  - { name: dev, select: { newest: seen }, write: [{ kustomize: deployment/dev }, { helm: apps/x.yaml }], deliver: { repository: other },
      verify: [{ http: { url: 'https://metadata.internal/' } }] }
  - { name: staging, promote: { from: dev, retag: prod }, write: [], report: [{ gitlab: { project: g/other, sha: revision } }] }
";
    let may = "policies of this repository may not";
    assert_eq!(errors_under(BOUNDED, text), [
        format!("3 [reg.io/worker] {may} name `reg.io/worker` (`may.images` in the configuration) | allowed: `*/shop`"),
        format!("3 [g/worker] {may} name `g/worker` (`may.projects` in the configuration) | allowed: `g/shop`"),
        format!("5 [apps/x.yaml] {may} write `apps/x.yaml` (`may.write` in the configuration) | allowed: `deployment/**`"),
        "6 ['https://metadata.internal/'] policies may not name the host `metadata.internal` (`egress.allow` in the configuration)".to_owned(),
        format!("7 [prod] {may} push `reg.io/shop:prod` (`may.retag` in the configuration) | allowed: `*/shop:staging`"),
        format!("7 [prod] {may} push `reg.io/worker:prod` (`may.retag` in the configuration) | allowed: `*/shop:staging`"),
        format!("7 [g/other] {may} name `g/other` (`may.projects` in the configuration) | allowed: `g/shop`"),
    ]);
    let copied = "apiVersion: tagrelay/v1\nname: shop\nimages: [reg.io/shop]\nenvironments:\n  - { name: dev, select: { newest: seen }, write: [{ kustomize: deployment/dev }], evidence: none }\n  \
        - { name: prod, promote: { from: dev, to: prod.io/x }, write: [{ kustomize: deployment/prod }] }\n";
    assert_eq!(
        errors_under(BOUNDED, copied),
        [
            format!("6 [prod.io/x] {may} name `prod.io/x` (`may.images` in the configuration) | allowed: `*/shop`"),
            format!(
                "6 [prod.io/x] {may} push `prod.io/x:*` (`may.retag` in the configuration) | allowed: `*/shop:staging`"
            ),
        ]
    );
    let kept = format!("{HEAD}{}", DEV.replace("kustomize: dev", "kustomize: deployment/dev"));
    let kept = kept.replace("name: dev,", "name: dev, keep: 2,");
    let said = errors_under(BOUNDED, &kept);
    let pushed = format!("{may} push `reg.io/shop:tagrelay-dev-*` (`may.retag` in the configuration)");
    assert_eq!(said, [format!("4 [2] {pushed} | allowed: `*/shop:staging`")]);
    let allowed = BOUNDED.replace("*/shop:staging", "*/shop:tagrelay-dev-*");
    assert!(errors_under(&allowed, &kept).is_empty());
    let nothing = BOUNDED.replace(r#"write: ["deployment/**"]"#, "write: []");
    let said = errors_under(&nothing, &format!("{HEAD}{}", DEV.replace("kustomize: dev", "kustomize: deployment/dev")));
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].ends_with("| nothing is allowed"), "{said:?}");
}

const FLOOR: &str = r#"
repositories: { default: { url: file:///srv/d.git, policies: p } }
require:
  - { environments: ["prod*"], pin: tag@digest, gates: { soak: 2h, approvals: { required: 2, approvers: [a, b, c], expire: 1d, by: [page] } }, promote: { trust_tag: false } }
  - { gates: { window: { open: "0 9 * * *", for: 8h } } }
calendars: { year-end: { environments: ["prod*"], freeze: [{ from: 2026-12-20, until: 2026-12-21 }] } }
"#;

fn floored(prod: &str) -> Result<crate::model::Policy, Vec<String>> {
    let text = format!(
        "{HEAD}timezone: Asia/Seoul\nenvironments:\n  - {{ name: dev, select: {{ newest: seen }}, write: [{{ kustomize: dev }}], evidence: none }}\n  - {{ name: prod, promote: {{ from: dev, trust_tag: true }}, pin: tag, write: [{{ kustomize: prod }}]{prod} }}\n"
    );
    let mut loaded = loaded(FLOOR, &[("shop.yaml", &text)]);
    match loaded.broken.first() {
        Some(broken) => Err(marked(&text, &broken.diagnostics)),
        None => Ok(loaded.policies.remove(0)),
    }
}

#[test]
fn a_floor_is_only_added_to() {
    let policy = floored("").expect("sound");
    let [dev, prod] = policy.environments.as_slice() else { panic!("two") };
    assert_eq!(
        (dev.pin, dev.gates.windows.len(), dev.gates.soak, dev.gates.freezes.len()),
        (PinForm::Tag, 1, Span::ZERO, 0)
    );
    assert_eq!((prod.pin, prod.gates.windows.len(), prod.gates.soak), (PinForm::TagAtDigest, 1, Span::minutes(120)));
    assert!(!prod.promote.as_ref().expect("promote").trust_tag);
    assert_eq!(prod.gates.freezes[0].from.to_string(), "2026-12-19T15:00:00Z", "in the policy's zone");
    assert_eq!(prod.gates.freezes[0].until.to_string(), "2026-12-21T15:00:00Z");
    let approvals = prod.gates.approvals.as_ref().expect("approvals");
    assert_eq!((approvals.required, approvals.approvers.len()), (2, 3));
    let own = ", gates: { soak: 3h, window: { open: '0 8 * * *', for: 1h }, approvals: { required: 1, approvers: [b, c, d], exclude: [x] } }";
    let policy = floored(own).expect("sound");
    let gates = &policy.environments[1].gates;
    assert_eq!((gates.soak, gates.windows.len()), (Span::minutes(180), 2));
    let approvals = gates.approvals.as_ref().expect("approvals");
    assert_eq!((approvals.required, approvals.expire, &approvals.by), (2, Span::seconds(86_400), &vec![Ballot::Page]));
    assert_eq!(
        (&approvals.approvers, &approvals.exclude),
        (&vec!["b".to_owned(), "c".to_owned()], &vec!["x".to_owned()])
    );
    for (approvals, expected) in [
        ("{ approvers: [d] }", "none of these approvers may approve under what the configuration requires"),
        ("{ approvers: [a, d] }", "with what the configuration requires, 2 must approve, and only 1 of these may"),
        ("{ by: [cli] }", "votes are taken nowhere under what the configuration requires"),
    ] {
        let said = floored(&format!(", gates: {{ approvals: {approvals} }}")).expect_err("broken");
        assert_eq!(said, [format!("7 [{{] {expected}")]);
    }
}

#[test]
fn where_an_api_answers() {
    let entry = |host: &str, keys: &str| format!("registries: {{ '{host}': {{ {keys} }} }}");
    let ecr = "*.dkr.ecr.*.amazonaws.com";
    let below = |url: &str| {
        format!(
            "2 ['{url}'] ECR's API is asked at a host, not below a path of one | leave the path out; a proxy gives the \
             API of ECR a host name of its own"
        )
    };
    let no_query =
        |url: &str| format!("2 ['{url}'] where an API answers has no query or fragment | end it before `?` or `#`");
    let proxy = "https://proxy.example.com/ecr";
    for host in [ecr, "111111111111.dkr.ecr.*.amazonaws.com", "123456789012.DKR.ecr.eu-west-1.amazonaws.com"] {
        check(&entry(host, &format!("endpoint_url: '{proxy}'")), &[&below(proxy)]);
        check(&entry(host, &format!("provider: harbor, endpoint_url: '{proxy}'")), &[]);
    }
    check(&entry("reg.io", &format!("provider: ecr, endpoint_url: '{proxy}/'")), &[&below(&format!("{proxy}/"))]);
    for url in ["https://proxy.example.com?a=b", "https://proxy.example.com/#ecr"] {
        check(&entry(ecr, &format!("endpoint_url: '{url}'")), &[&no_query(url)]);
        check(&entry("reg.io", &format!("provider: quay, endpoint_url: '{url}'")), &[&no_query(url)]);
        let queue = "queue: https://sqs.eu-west-1.amazonaws.com/123456789012/tagrelay";
        let queue = format!("server: {{ webhooks: {{ ecr: {{ {queue}, endpoint_url: '{url}' }} }} }}");
        check(&queue, &[&no_query(url)]);
    }
    let user = "https://bob:hunter2@proxy.example.com";
    let no_user = format!("2 ['{user}'] a URL has no user or password in it | write them as `username` and `token`");
    check(&entry(ecr, &format!("endpoint_url: '{user}'")), &[&no_user]);
    let of = |host: &str, keys: &str| {
        let entry = entry(host, keys);
        let config =
            config(&format!("repositories: {{ default: {{ url: file:///srv/d.git, policies: p }} }}\n{entry}\n"));
        config.registries.of(host).and_then(|settings| settings.endpoint_url.clone()).map(String::from)
    };
    assert_eq!(of(ecr, "endpoint_url: 'https://vpce.example.com/'").as_deref(), Some("https://vpce.example.com/"));
    let github = "provider: ghcr, endpoint_url: 'https://git.example.com/api/v3/'";
    assert_eq!(of("reg.io", github).as_deref(), Some("https://git.example.com/api/v3"));
}

#[test]
fn an_api_that_nobody_would_ask() {
    let entry = |host: &str, keys: &str| format!("registries: {{ '{host}': {{ {keys} }} }}");
    let url = "https://api.example.com";
    let unused = format!(
        "2 ['{url}'] nothing is asked there: the provider of this registry has no API beside it | leave `endpoint_url` out, or \
         name the `provider` whose API that is: dockerhub, ecr, ghcr, harbor or quay"
    );
    let endpoint = format!("endpoint_url: '{url}'");
    for host in ["reg.io", "corp.azurecr.io", "*.azurecr.io", "registry.gitlab.com", "GCR.io", "public.ecr.aws"] {
        check(&entry(host, &endpoint), &[&unused]);
        check(&entry(host, &format!("provider: ghcr, {endpoint}")), &[]);
    }
    // Of the last of these nobody can tell whose they are.
    let patterns = ["*.dkr.ecr.*.amazonaws.com", "{111111111111,222222222222}.dkr.ecr.*.amazonaws.com", "*"];
    for host in patterns {
        check(&entry(host, &endpoint), &[]);
    }
    for host in ["docker.io", "ghcr.io", "quay.io"] {
        check(&entry(host, &endpoint), &[]);
        for provider in ["acr", "distribution", "gar", "gitlab"] {
            check(&entry(host, &format!("provider: {provider}, {endpoint}")), &[&unused]);
        }
    }
    for provider in ["dockerhub", "ecr", "ghcr", "harbor", "quay"] {
        check(&entry("reg.io", &format!("provider: {provider}, {endpoint}")), &[]);
    }
    // Whose registry it is was meant to be said: one complaint is enough.
    let misspelt = said(&entry("reg.io", &format!("provider: habor, {endpoint}")));
    assert!(misspelt.iter().any(|said| said.contains("habor")), "{misspelt:?}");
    assert!(!misspelt.iter().any(|said| said.contains("nothing is asked there")), "{misspelt:?}");
}

#[test]
fn an_api_without_an_address() {
    for (url, why) in [
        ("https://api.example.com:99999", "invalid port number"),
        ("https://api example.com", "invalid international domain name"),
        ("https://[::1", "invalid IPv6 address"),
        ("https://:8443", "empty host"),
    ] {
        let said = format!(
            "2 ['{url}'] this is no address: {why} | write it as in `https://api.example.com` or \
             `https://api.example.com:8443`"
        );
        for provider in ["ecr", "harbor", "acr"] {
            check(&format!("registries: {{ reg.io: {{ provider: {provider}, endpoint_url: '{url}' }} }}"), &[&said]);
        }
        let queue = "queue: https://sqs.eu-west-1.amazonaws.com/123456789012/tagrelay";
        check(&format!("server: {{ webhooks: {{ ecr: {{ {queue}, endpoint_url: '{url}' }} }} }}"), &[&said]);
    }
}

#[test]
fn a_queue_of_amazons() {
    let ecr = |keys: &str| format!("server: {{ webhooks: {{ ecr: {{ {keys} }} }} }}");
    let queue = "queue: https://sqs.eu-west-1.amazonaws.com/123456789012/tagrelay";
    let config = |keys: &str| {
        config(&format!("repositories: {{ default: {{ url: file:///srv/d.git, policies: p }} }}\n{}\n", ecr(keys)))
    };
    let alone = config(queue).server;
    assert!(alone.webhooks.is_empty(), "nobody may knock who has no secret");
    assert_eq!(alone.queue.expect("a queue").queue.region, "eu-west-1");
    let both = config(&format!(
        "secret: {{ env: A }}, registry: ecr.corp, {queue}, assume_role: 'arn:aws:iam::123456789012:role/r', \
         endpoint_url: 'http://localhost:5000/', plain_http: true"
    ))
    .server;
    assert_eq!(both.webhooks["ecr"].registry.as_deref(), Some("ecr.corp"));
    let both = both.queue.expect("a queue");
    assert_eq!(both.assume_role.as_deref(), Some("arn:aws:iam::123456789012:role/r"));
    assert_eq!(
        (both.registry.as_deref(), both.endpoint_url.as_ref().map(AsRef::as_ref)),
        (Some("ecr.corp"), Some("http://localhost:5000/"))
    );
    assert!(config("secret: { env: A }").server.queue.is_none());

    check(
        &ecr(""),
        &["2 [{] this says neither who tells of pushes nor where to look | write `secret:` for an API destination of \
             EventBridge, or `queue:` for the URL of an SQS queue"],
    );
    check(
        &ecr("secret: { env: A }, assume_role: 'arn:aws:iam::123456789012:role/r'"),
        &[
            "2 ['arn:aws:iam::123456789012:role/r'] `assume_role` is about a queue, and none is named | write `queue:` and \
             its URL beside it, or leave it out",
        ],
    );
    for wrong in ["arn:aws:sqs:eu-west-1:123456789012:tagrelay", "https://evil.example/123456789012/tagrelay"] {
        check(
            &ecr(&format!("queue: '{wrong}'")),
            &[&format!(
                "2 ['{wrong}'] expected the URL of an SQS queue | write it as SQS shows it, as in \
                 `https://sqs.eu-west-1.amazonaws.com/123456789012/tagrelay`; where its API answers at another address, \
                 write that as `endpoint_url`"
            )],
        );
    }
    check(
        &ecr(&format!("{queue}, endpoint_url: 'http://localhost:5000'")),
        &["2 ['http://localhost:5000'] `http://` shows everything, the token too, to whoever listens | write \
             `plain_http: true` beside it if it may go over the network as it is"],
    );
}
