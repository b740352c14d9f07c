//! Runs a policy's cases through the same decisions as the daemon: tags in, choice out; facts in, gates out.
//!
//! A fact that a case does not name is taken as satisfied, except `verified` and `approvals`, which are none.

use crate::config::{Case, Expect};
use crate::model::event::{Event, Order};
use crate::model::ledger::Vote;
use crate::model::policy::{Ballot, Environment, Policy, Select, Strategy};
use crate::model::{
    Build, BuildFacts, Digest, Entry, Image, JournalIds, Ledger, Outcome, Pin, PinForm, Release, Scope, Sequence, Span,
    Tag, TagList, Why,
};
use crate::relay::facts::{Facts, From};
use crate::relay::gate::{self, GateStatus};
use crate::relay::select::{self, Request, TagFacts, Tags};
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// What comes out of a case, where it is not what the case expects.
pub(super) fn contradiction(policies: &[Policy], policy: &Policy, case: &Case) -> Option<String> {
    let environment = policy.environment(&case.environment)?;
    let of_select = matches!(case.expect, Expect::Tag(_) | Expect::Nothing);
    if of_select && environment.select.as_ref().is_none_or(|select| select.strategy == Strategy::Pinned) {
        return Some("an environment that chooses no tag: expect `go` or `wait GATE` there".to_owned());
    }
    match &case.expect {
        Expect::Tag(expected) => match chosen(policies, policy, environment, case) {
            Ok(found) if found == *expected => None,
            Ok(found) => Some(found.to_string()),
            Err(why) => Some(why),
        },
        Expect::Nothing => chosen(policies, policy, environment, case).ok().map(|found| found.to_string()),
        Expect::Go => Some(waits(policy, environment, case)).filter(|shut| !shut.is_empty()).map(|shut| listed(&shut)),
        Expect::Wait(gate) => {
            Some(waits(policy, environment, case)).filter(|shut| !shut.contains(gate)).map(|shut| listed(&shut))
        }
    }
}

/// What a case expects, as it is written.
pub(super) fn in_words(expect: &Expect) -> String {
    match expect {
        Expect::Tag(tag) => tag.to_string(),
        Expect::Nothing => "none".to_owned(),
        Expect::Go => "go".to_owned(),
        Expect::Wait(gate) => format!("wait {gate}"),
    }
}

fn listed(shut: &[String]) -> String {
    if shut.is_empty() { "go".to_owned() } else { format!("wait {}", shut.join(", wait ")) }
}

/// The tag that the environment chooses among the case's; an error says why there is none.
fn chosen(policies: &[Policy], policy: &Policy, environment: &Environment, case: &Case) -> Result<Tag, String> {
    let select = environment.select.as_ref().ok_or("none")?;
    // Branch, labels and age are facts that a case cannot name, so they are satisfied.
    let select = Select { branch: None, labels: Vec::new(), min_age: Span::ZERO, ..select.clone() };
    let images = policy.selected_images(environment);
    let known: Vec<(HashMap<Tag, TagFacts>, HashSet<Tag>)> =
        images.iter().map(|image| (known(image, case), reserved(policies, image))).collect();
    let lists: Vec<TagList> = images.iter().map(|image| tags_of(image, case).iter().collect()).collect();
    let images = images.iter().zip(&lists).zip(&known);
    let images: Vec<Tags<'_>> =
        images.map(|((image, tags), (known, reserved))| Tags { image, tags, known, dated: None, reserved }).collect();
    let request = Request {
        select: &select,
        images: &images,
        together: policy.together_in(environment),
        settle: Span::ZERO,
        known_releases: &HashSet::new(),
        own_commits: false,
        depth: 1,
        now: case.now,
    };
    let chosen = select::choose(&request);
    let first = policy.images.first().map(|image| &image.name);
    let build = chosen.releases.first().zip(first).and_then(|(release, name)| release.builds().get(name));
    build.map(|build| build.tag.clone()).ok_or_else(|| match chosen.why {
        Some(why) => format!("none: {why}"),
        None => "none".to_owned(),
    })
}

/// Tags of an image's repository that some policy follows or retags: candidates of no other strategy.
fn reserved(policies: &[Policy], image: &Image) -> HashSet<Tag> {
    let shares = |environment: &&Environment| environment.images.iter().any(|o| o.repository == image.repository);
    let environments = policies.iter().flat_map(|policy| &policy.environments).filter(shares);
    environments.filter_map(Environment::followed_tag).cloned().collect()
}

fn tags_of<'a>(image: &Image, case: &'a Case) -> &'a [Tag] {
    case.images.get(&image.name).unwrap_or(&case.tags)
}

/// The builds of a case: each tag its own, one revision, the platforms that are asked for.
fn known(image: &Image, case: &Case) -> HashMap<Tag, TagFacts> {
    let build = |tag: &Tag| {
        let pushed = case.pushed.get(tag).copied();
        let facts = BuildFacts {
            created: pushed,
            pushed,
            seen: pushed.or(Some(Timestamp::UNIX_EPOCH)),
            revision: Some("0".repeat(40)),
            platforms: image.platforms.clone(),
            labels: BTreeMap::new(),
        };
        Build { tag: tag.clone(), digest: Digest::of(tag.as_str().as_bytes()), facts: facts.into() }
    };
    tags_of(image, case).iter().map(|tag| (tag.clone(), TagFacts::of(build(tag)))).collect()
}

/// The gates that are shut for a release of which the case says this much.
fn waits(policy: &Policy, environment: &Environment, case: &Case) -> Vec<String> {
    let from = environment.promote.as_ref().and_then(|promote| policy.environment(&promote.from));
    let release = a_release(policy);
    let before = from.map(|from| arrived(policy, from, &release, case)).unwrap_or_default();
    let mut ledger = Ledger::default();
    ledger.votes.extend(case.approvals.iter().map(|who| Vote {
        sequence: Sequence(0),
        release: release.id().clone(),
        rules: gate::terms(environment),
        approve: true,
        who: who.clone(),
        by: environment.gates.approvals.as_ref().and_then(|a| a.by.first().copied()).unwrap_or(Ballot::Cli),
        why: String::new(),
        at: case.now,
    }));
    let (unfit, checking) = (BTreeMap::new(), BTreeMap::new());
    let facts = Facts {
        taken: None,
        now: case.now,
        journal: &JournalIds::default(),
        policy,
        environment,
        ledger: &ledger,
        from: from.map(|environment| From { environment, ledger: &before }),
        before: vec![&before],
        pin: Ok(None),
        named: Ok(None),
        tag: Ok(None),
        chosen: Ok(&[]),
        may_approve: case.approvals.iter().map(String::as_str).collect(),
        stops: Vec::new(),
        unfit: &unfit,
        moved: None,
        checking: &checking,
        followed_since: Timestamp::UNIX_EPOCH,
        copied: None,
        copying: None,
        blocks: &[],
    };
    let shut = gate::standings(&facts, &release).into_iter().filter_map(|standing| match standing {
        GateStatus::Open(_) => None,
        GateStatus::Shut(why) => name_of(&why),
    });
    let on_the_clock = |name: &String| case.names_now || (name != "window" && name != "freeze");
    shut.filter(on_the_clock).collect()
}

/// Some release of the policy: its gates look at digests, and any will do.
fn a_release(policy: &Policy) -> Release {
    let build = |image: &Image| {
        let digest = Digest::of(image.name.as_str().as_bytes());
        #[expect(clippy::expect_used, reason = "the text is a tag")]
        let tag = Tag::parse("case").expect("a tag");
        Build { tag, digest, facts: Arc::default() }
    };
    Release::new(policy.images.iter().map(|image| (image.name.clone(), build(image))).collect())
}

/// The environment before, with the release verified there for as long as the case says.
fn arrived(policy: &Policy, from: &Environment, release: &Release, case: &Case) -> Ledger {
    let since = case.verified.and_then(|span| case.now.saturating_sub(span.get()).ok());
    let at = since.unwrap_or(case.now);
    let scope = Scope::of(&policy.name, &from.name);
    let pin = Pin::of(release, PinForm::TagAtDigest);
    let entry = |sequence, event| Entry { sequence: Sequence(sequence), at, scope: scope.clone(), event };
    let mut entries = vec![
        entry(1, Event::Adopted { pin, release: Some(release.clone()), commit: None }),
        entry(2, Event::Ordered { order: Order::Verify, who: "case".to_owned() }),
    ];
    if since.is_some() {
        let (rollout, outcome) = (Sequence(2), Outcome::Verified);
        entries.push(entry(3, Event::Ended { rollout, outcome, why: "the case says so".to_owned() }));
    }
    Ledger::of(&scope, &entries)
}

/// The name that cases call a gate by.
fn name_of(why: &Why) -> Option<String> {
    let name = match why {
        Why::NotVerified { .. } => "verified",
        Why::StillSoaking { .. } | Why::SoakStopped { .. } => "soak",
        Why::ApprovalsMissing { .. } => "approvals",
        Why::WindowShut { .. } => "window",
        Why::Frozen { .. } => "freeze",
        _ => return None,
    };
    Some(name.to_owned())
}
