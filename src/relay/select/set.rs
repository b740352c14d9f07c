//! Several images, one release: `together` says which builds belong to each other.
//!
//! `same-tag` needs nothing of this file but its name: images that share their tags are ranked as one. A set is as old
//! as its youngest member.

use super::order::Order;
use super::rank::{Ranked, Ready, rank};
use super::{CANDIDATES_MAX, Chosen, Request, Tags, Tally, revision};
use crate::model::policy::Together;
use crate::model::{Build, ImageName, Release, Tag, Why, text};
use std::cmp::Reverse;
use std::collections::HashSet;

/// The fewest digits by which one revision is taken for the beginning of another.
const REVISION_DIGITS_MIN: usize = 7;

/// Chooses among the tags of all images.
pub(super) fn choose(request: &Request<'_>, order: &mut Order) -> Chosen {
    let depth = request.depth.clamp(1, CANDIDATES_MAX);
    if request.together == Together::SameTag || request.images.len() == 1 {
        let ranked = rank(request, order, request.images, false, depth);
        let releases = ranked.ready.iter().map(|ready| release(ready.builds.iter().copied())).collect();
        let why = request.images.first().and_then(|tags| none_of(request, order, tags, &ranked));
        return finish(releases, why, Vec::new(), vec![ranked]);
    }
    let revisions = request.together == Together::SameRevision;
    let depth_each = if revisions { CANDIDATES_MAX } else { depth };
    let ranked: Vec<Ranked<'_>> =
        request.images.chunks(1).map(|image| rank(request, order, image, revisions, depth_each)).collect();
    let empty = request.images.iter().zip(&ranked).find(|(_, ranked)| ranked.ready.is_empty());
    if let Some((tags, of_it)) = empty {
        let why = none_of(request, order, tags, of_it);
        return finish(Vec::new(), why, Vec::new(), ranked);
    }
    let (releases, incomplete) =
        if revisions { same_revision(order, &ranked, depth) } else { (latest(&ranked, depth), Vec::new()) };
    let why = incomplete.first().map(|(_, _, why)| why.clone());
    finish(releases, why, incomplete, ranked)
}

/// Why there is no candidate of these images: what happened to the best, or that nothing matched.
fn none_of(request: &Request<'_>, order: &mut Order, tags: &Tags<'_>, ranked: &Ranked<'_>) -> Option<Why> {
    if !ranked.ready.is_empty() || !ranked.wanted.is_empty() {
        return None;
    }
    let no_tag = || {
        let detail = Tally::of(request.select, order, tags).to_string();
        Why::NoTagMatches { image: tags.image.name.clone(), detail }
    };
    Some(ranked.passed_over.first().map_or_else(no_tag, |(_, _, why)| why.clone()))
}

/// Puts the outcome together; `why` is the reason where there is no release.
fn finish(releases: Vec<Release>, why: Option<Why>, passed_over: Vec<Passed>, ranked: Vec<Ranked<'_>>) -> Chosen {
    let mut chosen = Chosen { releases, passed_over, ..Chosen::default() };
    for ranked in ranked {
        chosen.wanted.extend(ranked.wanted);
        chosen.passed_over.extend(ranked.passed_over);
    }
    if let Some(want) = chosen.wanted.first() {
        chosen.releases.clear();
        chosen.why = Some(Why::Unread { what: format!("tag {} of `{}`", want.tag, want.image), error: None });
    } else if chosen.releases.is_empty() {
        chosen.why = why;
    }
    chosen
}

/// A tag that was passed over, and why.
type Passed = (ImageName, Tag, Why);

/// The sets whose members come from one source revision, best first, and what is incomplete and stands above them.
///
/// The best of the first image's builds leads where tags are compared; where times are, the set whose youngest member
/// is youngest.
fn same_revision(order: &Order, ranked: &[Ranked<'_>], depth: usize) -> (Vec<Release>, Vec<Passed>) {
    let Some((first, others)) = ranked.split_first() else { return (Vec::new(), Vec::new()) };
    let (mut sets, mut incomplete) = (Vec::new(), Vec::new());
    for lead in &first.ready {
        let mut members = vec![lead];
        members.extend(others.iter().filter_map(|other| other.ready.iter().find(|ready| alike(lead, ready))));
        if members.len() == ranked.len() {
            sets.push(members);
        } else if let Some((image, build)) = only(lead).filter(|_| sets.is_empty()) {
            let from = told_revision(build);
            let tag = &build.tag;
            let detail = format!("`{image}` {tag} is built from {from}, and not every other image has a build of that");
            incomplete.push((image.clone(), tag.clone(), Why::SetIncomplete { detail }));
        }
    }
    if order.is_by_time() {
        sets.sort_by_key(|members| Reverse(members.iter().map(|ready| ready.found.clone()).max()));
    }
    let releases = sets.iter().map(|members| release(members.iter().filter_map(|ready| only(ready))));
    (distinct(releases, depth), incomplete)
}

/// The revision of a build, for people.
pub(super) fn told_revision(build: &Build) -> String {
    revision(build).map_or_else(|| "no revision that is told".to_owned(), |revision| text::shown(&revision))
}

/// The best of each image; each further release steps back from the youngest member, the likeliest culprit.
fn latest(ranked: &[Ranked<'_>], depth: usize) -> Vec<Release> {
    let mut at = vec![0_usize; ranked.len()];
    let mut releases = Vec::new();
    while releases.len() < depth {
        let members = ranked.iter().zip(&at).filter_map(|(ranked, at)| ranked.ready.get(*at).and_then(only));
        releases.push(release(members));
        let movable = ranked.iter().zip(&mut at).filter(|(ranked, at)| **at + 1 < ranked.ready.len());
        let youngest = movable.max_by_key(|(ranked, at)| {
            let build = ranked.ready.get(**at).and_then(only).map(|(_, build)| build);
            build.map(|build| (build.facts.times().arrived(), build.facts.created))
        });
        let Some((_, at)) = youngest else { break };
        *at += 1;
    }
    distinct(releases.into_iter(), depth)
}

fn distinct(releases: impl Iterator<Item = Release>, depth: usize) -> Vec<Release> {
    let mut met = HashSet::new();
    releases.filter(|release| met.insert(release.id().clone())).take(depth).collect()
}

/// The one build of what was ranked alone.
fn only<'a>(ready: &Ready<'a>) -> Option<(&'a ImageName, &'a Build)> {
    ready.builds.first().copied()
}

fn alike(a: &Ready<'_>, b: &Ready<'_>) -> bool {
    let of = |ready: &Ready<'_>| only(ready).and_then(|(_, build)| revision(build));
    of(a).zip(of(b)).is_some_and(|(a, b)| is_same_revision(&a, &b))
}

/// Whether two revisions are one commit: one may be the short form of the other.
#[must_use]
pub fn is_same_revision(a: &str, b: &str) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    short == long || (short.len() >= REVISION_DIGITS_MIN && is_commit(short) && long.starts_with(short))
}

/// Whether a text is a commit sha, whole or short.
pub(super) fn is_commit(text: &str) -> bool {
    let hex = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    hex && (REVISION_DIGITS_MIN..=64).contains(&text.len())
}

/// The release of these builds.
pub(super) fn release<'a>(builds: impl Iterator<Item = (&'a ImageName, &'a Build)>) -> Release {
    Release::new(builds.map(|(name, build)| (name.clone(), build.clone())).collect())
}
