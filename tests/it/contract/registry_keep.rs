//! What tags of our own and a registry owe each other: made by name, removed by name, and nothing else goes with them.

use super::real;
use super::registry::{Place, config, sandbox, tag};
use super::registry_copy::place;
use super::tags;
use reqwest::Method;
use tagrelay::clients::registry::{Registry, RegistryError, Removed, Retagged};
use tagrelay::model::event::{Origin, Outcome};
use tagrelay::model::ledger::{Arrival, End};
use tagrelay::model::{
    Build, BuildFacts, Digest, EnvironmentName, ImageName, Ledger, Pin, Release, Repository, Sequence,
};
use tagrelay::relay::keep::{self, Kept, Lapsed};
use tagrelay::sandbox::fault::{Fault, Rule};
use tagrelay::sandbox::registry::{Auth, Bearer, refusing};

fn shop() -> ImageName {
    ImageName::parse("shop").expect("a name")
}

fn arrival(n: u64, digest: &Digest) -> Arrival {
    let build = Build { tag: tag("1.0"), digest: digest.clone(), facts: BuildFacts::default().into() };
    let at = jiff::Timestamp::UNIX_EPOCH;
    Arrival {
        rollout: Sequence(n),
        sequence: Sequence(n),
        at,
        release: Some(Release::new([(shop(), build)].into())),
        pin: Pin::default(),
        commit: None,
        origin: Origin::Adopted,
        signal: None,
        checks: Default::default(),
        url: None,
        lost: None,
        end: Some(End { outcome: Outcome::Verified, sequence: Sequence(n), at, why: String::new() }),
        rules: None,
        resumed: None,
    }
}

/// The rights of an environment where `old` ran, and `new` runs.
fn rights(old: &Digest, new: &Digest) -> (Kept, Lapsed) {
    let prod = EnvironmentName::parse("prod").expect("a name");
    let before = Ledger { arrivals: vec![arrival(1, old)], ..Ledger::default() };
    let after = Ledger { arrivals: vec![arrival(1, old), arrival(2, new)], ..Ledger::default() };
    let kept = keep::rights(&prod, &before, 0).pop().expect("what runs");
    let lapsed = keep::lapsed(&prod, &after, 0, &Default::default()).pop().expect("what ran");
    assert_eq!(kept.tag(), lapsed.tag());
    (kept, lapsed)
}

/// Two builds in a repository, the rights to keep the first and to let it go, and its tag, which was made.
async fn kept(place: &Place, ours: &Registry) -> (Repository, Digest, Kept, Lapsed) {
    let repository = place.repository("keep");
    let old = place.push(&repository, "1.0", config("amd64")).await;
    let new = place.push(&repository, "2.0", config("arm64")).await;
    let (kept, lapsed) = rights(&old, &new);
    assert_eq!(ours.keep(&kept, &shop(), &repository).await, Ok(Retagged::Moved));
    assert_eq!(ours.keep(&kept, &shop(), &repository).await, Ok(Retagged::AlreadyThere));
    assert_eq!(ours.digest(&repository, kept.tag()).await, Ok(Some(old.clone())));
    (repository, old, kept, lapsed)
}

/// A tag is made and removed, where the registry does that; whatever it does, everything else stays.
async fn keeps_and_lets_go(place: &Place, removes: bool) {
    let ours = place.client();
    let (repository, old, kept, lapsed) = kept(place, &ours).await;
    let removed = ours.let_go(&lapsed, &shop(), &repository).await.expect("an answer");
    let left: Vec<String> = ["1.0", "2.0"].map(str::to_owned).into();
    if removes {
        assert_eq!(removed, Removed::Removed);
        assert_eq!(tags(&ours, &repository).await, Ok(left));
        assert_eq!(ours.let_go(&lapsed, &shop(), &repository).await, Ok(Removed::Absent));
    } else {
        assert!(matches!(&removed, Removed::Unsupported(why) if why.contains("answered 40")), "{removed:?}");
        assert_eq!(ours.digest(&repository, kept.tag()).await, Ok(Some(old.clone())));
    }
    assert_eq!(ours.digest(&repository, &tag("1.0")).await, Ok(Some(old)));
}

#[tokio::test]
async fn the_sandbox_keeps_and_lets_go() {
    for auth in [Auth::None, Auth::Basic, Auth::Bearer(Bearer::default())] {
        let (_registry, place) = sandbox(auth).await;
        keeps_and_lets_go(&place, true).await;
    }
}

/// Distribution 2.8 knows no tag by name when it deletes: 400 (`DIGEST_INVALID`), or 405 where deleting is off.
#[tokio::test]
async fn a_real_registry_keeps_and_does_not_let_go() {
    let Some(url) = real("a_real_registry_keeps_and_does_not_let_go", "TAGRELAY_REAL_REGISTRY") else { return };
    keeps_and_lets_go(&place(&url), false).await;
}

#[tokio::test]
async fn a_tag_that_names_another_build_by_now_is_left() {
    let (registry, place) = sandbox(Auth::None).await;
    let ours = place.client();
    let (repository, _, kept, lapsed) = kept(&place, &ours).await;
    let other = registry.digest_of(repository.path(), "2.0").expect("pushed");
    registry.retag(repository.path(), kept.tag().as_str(), &other).expect("moved");
    assert_eq!(ours.let_go(&lapsed, &shop(), &repository).await, Ok(Removed::Left));
    assert_eq!(registry.face.count(&Method::DELETE, "/"), 0);
}

#[tokio::test]
async fn registries_that_remove_no_tags_say_so_in_many_ways() {
    let (registry, place) = sandbox(Auth::None).await;
    let ours = place.client();
    let (repository, old, _, lapsed) = kept(&place, &ours).await;
    let delete = |fault: Fault| registry.face.faults.add(Rule::every(fault).method(Method::DELETE));
    for status in [307, 400, 401, 403, 404, 405, 409, 412, 501] {
        registry.face.faults.clear();
        delete(refusing(status, "UNSUPPORTED", "The operation is unsupported."));
        let removed = ours.let_go(&lapsed, &shop(), &repository).await;
        assert!(matches!(removed, Ok(Removed::Unsupported(_))), "{status}: {removed:?}");
    }
    registry.face.faults.clear();
    delete(Fault::answer(500));
    let failed = ours.let_go(&lapsed, &shop(), &repository).await;
    assert!(matches!(failed, Err(RegistryError::Unreachable(_))), "{failed:?}");
    registry.face.faults.clear();
    let gone = Rule::every(Fault::answer(404)).path(&format!("/v2/{}/manifests/sha256:", repository.path()));
    registry.face.faults.add(gone);
    let removed = ours.let_go(&lapsed, &shop(), &repository).await;
    assert!(matches!(&removed, Ok(Removed::Unsupported(why)) if why.contains("went away")), "{removed:?}");
    let asked = registry.face.requests();
    let mut deleted = asked.iter().filter(|asked| asked.method == Method::DELETE).map(|asked| &asked.path);
    assert!(deleted.all(|path| path.ends_with(lapsed.tag().as_str())), "by its name alone, not by {old}");
}
