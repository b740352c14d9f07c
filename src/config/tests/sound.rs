//! What sound policies come out as: every default, every template resolved.

use super::*;
use crate::model::policy::{
    Ballot, CheckMethod, HoldNewUntil, HttpCheck, OnFailure, ReportSha, Signal, Strategy, Together,
};
use crate::model::schedule::Poll;
use crate::model::{HelmKeys, PinForm, Span, Target};

/// A policy with most of what there is.
const SHOP: &str = include_str!("shop.yaml");

#[test]
fn the_defaults() {
    let policy = sound(&format!("{HEAD}{DEV}"));
    assert_eq!((policy.settle, &policy.poll, policy.suspend), (Span::ZERO, &Poll::Every(Span::minutes(1)), false));
    assert_eq!((policy.together, policy.zone.iana_name()), (Together::SameTag, Some("UTC")));
    let dev = &policy.environments[0];
    assert_eq!((dev.deadline, dev.stable_for, dev.auto), (Span::minutes(15), Span::seconds(30), true));
    assert_eq!((dev.on_failure, dev.hold_new_until), (OnFailure::Next, HoldNewUntil::None));
    assert_eq!((dev.pin, dev.pushed_is_verified, dev.report.len(), dev.rollout.len()), (PinForm::Tag, false, 0, 0));
    assert_eq!(
        (dev.deliver.repository.as_str(), dev.deliver.branch.as_str(), dev.deliver.base.as_str()),
        ("default", "main", "main")
    );
    assert_eq!(dev.gates, crate::model::policy::Gates::default());
    let select = dev.select.as_ref().expect("select");
    assert_eq!((select.min_age, select.allow_downgrade, select.labels.len()), (Span::ZERO, false, 0));
}

#[test]
fn the_example() {
    let policy = sound(SHOP);
    let [dev, staging, prod] = policy.environments.as_slice() else { panic!("three environments") };
    let places: Vec<&str> = policy.environments.iter().map(|e| e.write[0].target.path()).collect();
    assert_eq!(places, ["deployment/dev", "deployment/staging", "deployment/prod"]);
    assert_eq!(policy.images.iter().map(|i| i.name.as_str()).collect::<Vec<_>>(), ["shop", "worker"]);
    assert_eq!((dev.pin, staging.pin, prod.pin), (PinForm::Tag, PinForm::TagAtDigest, PinForm::TagAtDigest));
    assert_eq!((staging.on_failure, staging.pushed_is_verified), (OnFailure::Next, true), "a step on the way");
    let holds = [dev, staging, prod].map(|environment| environment.hold_new_until);
    assert_eq!(holds, [HoldNewUntil::Verified, HoldNewUntil::None, HoldNewUntil::None]);
    assert_eq!((policy.settle, dev.verify[0].retries), (Span::minutes(1), 1), "two images");
    let last = sound(&SHOP.replace("    on_failure: rollback\n", ""));
    assert_eq!(last.environments[2].on_failure, OnFailure::Hold, "where the way ends");
    assert_eq!((prod.on_failure, &prod.rollout), (OnFailure::Rollback, &vec![Signal::Webhook]));
    assert_eq!(staging.followed_tag().map(|tag| tag.as_str()), Some("staging"));
    let http = HttpCheck {
        url: "https://{{ environment }}.shop.example.com/healthz".to_owned(),
        status: 200,
        times: 3,
        every: Span::seconds(5),
    };
    assert_eq!(dev.verify[0].method, CheckMethod::Http(http));
    let approvals = prod.gates.approvals.as_ref().expect("approvals");
    assert_eq!((approvals.required, approvals.expire), (2, Span::seconds(7 * 86_400)));
    assert_eq!(approvals.by, [Ballot::Cli, Ballot::Page]);
    let freeze = &prod.gates.freezes[0];
    assert_eq!((freeze.from.to_string().as_str(), freeze.allows_rollback), ("2026-12-19T15:00:00Z", true));
    assert_eq!(freeze.until.to_string(), "2027-01-03T15:00:00Z", "the whole last day, in the policy's zone");
}

#[test]
fn defaults_lie_under_every_environment() {
    let policy = sound(&format!(
        "{HEAD}timezone: Europe/Berlin
poll: '*/5 * * * *'
defaults:
  select: {{ semver: '^1', min_age: 10m }}
  gates: {{ approvals: {{ required: 1, approvers: [alice] }}, window: {{ open: '0 9 * * *', for: 8h }} }}
  deliver: {{ branch: 'env/{{{{ environment }}}}', commit: {{ message: 'hello {{{{ new.tag }}}}' }} }}
  rollout: {{ webhook: {{}} }}
  verify: [{{ webhook: {{}} }}]
environments:
  - {{ name: dev, write: [{{ kustomize: a }}], select: {{ newest: seen }}, rollout: [], gates: {{ approvals: {{ required: 2, approvers: [b, c] }} }} }}
  - {{ name: prod, write: [{{ kustomize: b }}], gates: null, verify: null, deliver: {{ base: dev }} }}
"
    ));
    let [dev, prod] = policy.environments.as_slice() else { panic!("two environments") };
    assert!(matches!(&policy.poll, Poll::Cron(cron) if cron.to_string() == "*/5 * * * *"));
    let select = dev.select.as_ref().expect("select");
    assert_eq!((&select.strategy, select.min_age), (&Strategy::Newest(crate::model::policy::Newest::Seen), Span::ZERO));
    assert_eq!((dev.rollout.len(), dev.verify.len(), dev.gates.windows.len()), (0, 1, 1));
    let approvals = dev.gates.approvals.as_ref().map(|a| (a.required, a.approvers.clone()));
    assert_eq!(approvals, Some((2, vec!["b".to_owned(), "c".to_owned()])));
    assert_eq!((prod.rollout.len(), prod.verify.len(), prod.gates.windows.len()), (1, 0, 0));
    assert_eq!((prod.deliver.branch.as_str(), prod.deliver.base.as_str()), ("env/prod", "dev"));
    assert_eq!(prod.deliver.message.as_deref(), Some("hello {{ new.tag }}"));
}

#[test]
fn places_and_reports() {
    let policy = sound(&format!(
        "{HEAD}environments:
  - name: dev
    select: {{ numeric: largest, match: 'build-(?P<n>[0-9]+)', extract: '$n', labels: {{ tier: '^gold$' }} }}
    pin: digest
    write:
      - {{ helm: 'values-{{{{ environment | upper }}}}.yaml', keys: {{ registry: r, repository: p, digest: d }}, missing: add }}
      - {{ yaml: ./a//b.yaml, path: 'spec.containers[name=web].image', document: {{ kind: Deployment }} }}
    deliver: {{ repository: self }}
    report:
      - gitlab: {{ project: g/p, sha: revision, url: 'https://{{{{ environment }}}}.io', ref: 'env/{{{{ environment }}}}' }}
      - gitlab: {{ project: g/d, sha: commit, environment: '{{{{ policy }}}}/x', tier: production }}
"
    ));
    let dev = &policy.environments[0];
    let [helm, yaml] = dev.write.as_slice() else { panic!("two places") };
    let Target::Helm { file, image: _, keys, document: None } = &helm.target else { panic!("helm") };
    assert_eq!((file.as_str(), keys.digest.as_deref(), keys.tag.as_deref()), ("values-DEV.yaml", Some("d"), None));
    assert_ne!(*keys, HelmKeys::default());
    assert_eq!(yaml.target.path(), "a/b.yaml");
    assert_eq!(dev.deliver.repository, "default");
    let [revision, commit] = dev.report.as_slice() else { panic!("two reports") };
    assert_eq!((revision.environment.as_str(), revision.url.as_deref()), ("dev", Some("https://dev.io")));
    assert_eq!((revision.sha, revision.git_ref.as_deref()), (ReportSha::Revision, Some("env/dev")));
    assert_eq!((commit.environment.as_str(), commit.tier.as_deref()), ("shop/x", Some("production")));
    assert_eq!(policy.images[0].source.as_deref(), Some("g/p"));
}

#[test]
fn cases_stand_beside_their_policy() {
    let cases = "\
- { environment: dev, tags: [aaaaaaaa, 1.10], pushed: { aaaaaaaa: 2026-01-01T00:00:00Z, 1.10: 2026-01-02 }, expect: 1.10 }
- { environment: dev, tags: [latest], expect: none }
- { environment: prod, verified: 30m, approvals: [alice], now: 2026-01-05T10:00:00Z, expect: wait soak }
- { environment: prod, images: { worker: [x] }, expect: go }
";
    let read = loaded(CONFIG, &[("shop.yaml", SHOP), ("shop.cases.yaml", cases)]);
    assert_eq!(read.broken.len(), 0);
    let [file] = read.cases.as_slice() else { panic!("one file") };
    assert_eq!(file.policy.as_str(), "shop");
    let said: Vec<_> = file.cases.iter().map(|case| (case.line, case.now.to_string(), case.expect.clone())).collect();
    let tag = |text: &str| Expect::Tag(crate::model::Tag::parse(text).expect("tag"));
    assert_eq!(
        said,
        [
            (1, "2026-01-02T01:00:00Z".to_owned(), tag("1.10")),
            (2, "1970-01-01T01:00:00Z".to_owned(), Expect::Nothing),
            (3, "2026-01-05T10:00:00Z".to_owned(), Expect::Wait("soak".to_owned())),
            (4, "1970-01-01T01:00:00Z".to_owned(), Expect::Go),
        ]
    );
}

#[test]
fn broken_cases_break_no_policy() {
    let cases = "\
- { environment: prd, expect: none }
- { environment: dev, images: { wroker: [] }, expect: wait lunch }
- { environment: dev, expect: a b, tgas: [] }
";
    let read = loaded(CONFIG, &[("shop.yaml", SHOP), ("shop.cases.yaml", cases)]);
    assert_eq!((read.policies.len(), read.cases.len()), (1, 0));
    assert_eq!(
        marked(cases, &read.broken[0].diagnostics),
        [
            "1 [prd] the policy has no environment `prd`",
            "2 [wroker] the policy has no image `wroker`",
            "2 [wait lunch] `lunch` is no gate | the gates are `verified`, `soak`, `approvals`, `window`, `freeze`",
            "3 [a b] `a b` is no tag: letters, digits, `_`, `.` and `-`, at most 128, not starting with `.` or `-`",
            "3 [tgas] unknown key `tgas` in `case` | did you mean `tags`?",
        ]
    );
    let alone = loaded(CONFIG, &[("other.cases.yaml", "[]")]);
    assert!(alone.broken[0].diagnostics.to_string().contains("no policy that can be read stands beside these cases"));
}
