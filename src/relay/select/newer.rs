//! Whether one build is newer than another by the strategy, so that a pin never moves back by itself.
//!
//! It compares and judges nothing: who may go back, and what a promotion calls newer, is decided elsewhere.

use super::newest::Age;
use super::order::Order;
use crate::model::policy::{Select, Strategy, Together};
use crate::model::{Build, Builds, Pin, Pinned, Release};
use std::cmp::Ordering;

/// How `found` compares with what is pinned, by the strategy: `Greater` is newer.
///
/// `bound` is the build that the pin is known to name. None where the two cannot be ranked (the pin is no version, its
/// build is unknown to a strategy that compares times, `follow` names another digest): then the pin is older than all.
/// One digest is one build, whatever tags name it.
#[must_use]
pub fn newer(select: &Select, found: &Build, pinned: &Pinned, bound: Option<&Build>) -> Option<Ordering> {
    let digest = pinned.digest.as_ref().or(bound.map(|build| &build.digest));
    if digest == Some(&found.digest) {
        return Some(Ordering::Equal);
    }
    if matches!(select.strategy, Strategy::Follow(_) | Strategy::Pinned) {
        return None;
    }
    let mut order = Order::of(select).ok()??;
    if order.is_by_time() {
        let Some(bound) = bound else { return pinned.says(found).then_some(Ordering::Equal) };
        let age = |build| order.time(build).map(|time| (Some(time), Age::of(&build.facts.times())));
        return age(found).zip(age(bound)).map(|(found, bound)| found.cmp(&bound));
    }
    let tag = pinned.tag.as_ref().or(bound.map(|build| &build.tag))?;
    let current = order.key_of_current(tag.by_ref())?;
    let key = order.key_of_current(found.tag.by_ref())?;
    let tie =
        || bound.map_or(Ordering::Equal, |bound| Age::of(&found.facts.times()).cmp(&Age::of(&bound.facts.times())));
    Some(key.cmp(&current).then_with(tie))
}

/// How a release compares with what is pinned, image by image.
///
/// Where builds of one tag or revision are compared by time, the set is as old as its youngest member. Otherwise it is
/// older as soon as one member is, and newer when none is older and one is newer or cannot be ranked.
#[must_use]
pub fn newer_release(
    select: &Select,
    together: Together,
    found: &Release,
    pin: &Pin,
    bound: &Builds,
) -> Option<Ordering> {
    if let Strategy::Newest(newest) = select.strategy
        && together != Together::Latest
        && !pin.says(found)
    {
        let youngest = |builds: &Builds| {
            builds
                .values()
                .map(|build| Some((super::newest::time(newest, &build.facts.times())?, Age::of(&build.facts.times()))))
                .max()
                .flatten()
        };
        return youngest(found.builds()).zip(youngest(bound)).map(|(found, bound)| found.cmp(&bound));
    }
    let nothing = Pinned::default();
    let each: Vec<Option<Ordering>> = found
        .builds()
        .iter()
        .map(|(image, build)| newer(select, build, pin.0.get(image).unwrap_or(&nothing), bound.get(image)))
        .collect();
    if each.contains(&Some(Ordering::Less)) {
        Some(Ordering::Less)
    } else if each.iter().all(Option::is_none) {
        None
    } else if each.iter().all(|one| *one == Some(Ordering::Equal)) {
        Some(Ordering::Equal)
    } else {
        Some(Ordering::Greater)
    }
}
