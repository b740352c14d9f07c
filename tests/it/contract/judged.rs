//! The right to move a release, for tests and benches of what effects do with it: the gates hand it out, and nobody else can.

use std::collections::BTreeMap;
use std::path::Path;
use tagrelay::config;
use tagrelay::model::policy::PolicyOrigin;
use tagrelay::model::{JournalIds, Ledger, Release};
use tagrelay::relay::Cleared;
use tagrelay::relay::facts::Facts;
use tagrelay::relay::gate::{self, Verdict};

/// The right to move a release into an environment that asks for no gate.
pub(crate) fn judged(release: &Release) -> Cleared {
    let settings = "repositories: { default: { url: 'https://git.example.com/a.git', policies: policies/ } }";
    let config = config::load(Path::new("tagrelay.yaml"), &|_| Ok(settings.to_owned())).expect("a configuration");
    let origin = PolicyOrigin { repository: Some("default".to_owned()), path: "policies/shop.yaml".to_owned() };
    let text = "apiVersion: tagrelay/v1\nname: shop\nimages: [reg.io/shop]\nenvironments:\n  \
        - { name: dev, select: { newest: seen }, write: [{ kustomize: a }] }\n";
    let policy = config::policies(&config, &[(origin, text.to_owned())]).policies.remove(0);
    let facts = Facts {
        now: jiff::Timestamp::UNIX_EPOCH,
        journal: &JournalIds { id: "aaaabbbbcccc".to_owned(), former: Vec::new() },
        policy: &policy,
        environment: &policy.environments[0],
        ledger: &Ledger::default(),
        from: None,
        before: Vec::new(),
        pin: Ok(None),
        named: Ok(None),
        tag: Ok(None),
        chosen: Ok(&[]),
        may_approve: Vec::new(),
        stops: Vec::new(),
        taken: None,
        unfit: &BTreeMap::new(),
        moved: None,
        checking: &BTreeMap::new(),
        followed_since: jiff::Timestamp::UNIX_EPOCH,
        copied: None,
        copying: None,
        blocks: &[],
    };
    match gate::judge(&facts, release) {
        Verdict::Cleared(cleared) => cleared,
        Verdict::Wait(why) => panic!("{why:?}"),
    }
}
