//! Every tag and what became of it, for `explain`: one pass over the list, nothing kept but the few best.
//!
//! It says what [`super::choose`] did and decides nothing of its own.

use super::filter::{self, Dropped};
use super::order::{Order, Unranked};
use super::{Chosen, Request, Tags, choose};
use crate::model::policy::{Strategy, Together};
use crate::model::{ImageName, Tag, TagRef, Why, text};
use std::cmp::Reverse;
use std::fmt;

/// What became of a tag.
#[derive(Debug, Clone, PartialEq)]
pub enum Fate {
    /// The best: part of the release that is chosen.
    Chosen,
    /// A candidate, this many places behind the best.
    Candidate(usize),
    /// It matches, and better ones were found before it was looked at.
    Behind,
    /// It matches and is to be read first.
    Unread,
    /// It matches, but its build is no candidate.
    PassedOver(Why),
    /// It passed the filters and has no place in the strategy's order.
    Unranked {
        /// Why.
        why: Unranked,
        /// What of the tag was compared.
        compared: String,
    },
    /// Its name alone rules it out.
    Dropped(Dropped),
    /// The strategy follows another tag, or none.
    NotFollowed,
}

impl Fate {
    /// How far from the best a tag is, for a list that begins with the best: what was chosen, what comes next, what was a
    /// candidate but for something, and all that is none.
    #[must_use]
    pub fn rank(&self) -> (u8, usize) {
        match self {
            Self::Chosen => (0, 0),
            Self::Candidate(place) => (1, *place),
            Self::Unread | Self::PassedOver(_) => (2, 0),
            Self::Behind => (3, 0),
            Self::Unranked { .. } | Self::Dropped(_) => (4, 0),
            Self::NotFollowed => (5, 0),
        }
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chosen => f.write_str("chosen"),
            Self::Candidate(place) => write!(f, "candidate, {place} behind the best"),
            Self::Behind => f.write_str("matches, behind the best"),
            Self::Unread => f.write_str("matches, not read yet"),
            Self::PassedOver(why) => write!(f, "passed over: {why}"),
            Self::Unranked { why, compared } => write!(f, "{why}: `{compared}`"),
            Self::Dropped(why) => write!(f, "{why}"),
            Self::NotFollowed => f.write_str("not the tag that is followed"),
        }
    }
}

/// So many tags of all images with their fates, the best first; of those that are equally far from it, the last ones of the
/// lists, which are most often the newest.
#[must_use]
pub fn explain_first<'a>(request: &Request<'a>, max: usize) -> Vec<(&'a ImageName, TagRef<'a>, Fate)> {
    let mut first: Vec<(usize, (&ImageName, TagRef<'_>, Fate))> = Vec::new();
    let order = |(index, (_, _, fate)): &(usize, (&ImageName, TagRef<'_>, Fate))| (fate.rank(), Reverse(*index));
    for told in explain(request).enumerate() {
        first.push(told);
        // A list may have a million tags: only so many more than are shown are kept at a time.
        if first.len() >= max.saturating_mul(2).max(1_024) {
            first.sort_by_key(order);
            first.truncate(max);
        }
    }
    first.sort_by_key(order);
    first.truncate(max);
    first.into_iter().map(|(_, told)| told).collect()
}

/// Every tag of every image with its fate, in the order of the lists.
pub fn explain<'a>(request: &Request<'a>) -> impl Iterator<Item = (&'a ImageName, TagRef<'a>, Fate)> {
    let chosen = choose(request);
    let mut order = Order::of(request.select).ok().flatten();
    let request = *request;
    request
        .images
        .iter()
        .flat_map(|tags| tags.tags.iter().map(move |tag| (tags, tag)))
        .map(move |(tags, tag)| (&tags.image.name, tag, fate(&request, order.as_mut(), &chosen, tags, tag)))
}

fn fate(request: &Request<'_>, order: Option<&mut Order>, chosen: &Chosen, tags: &Tags<'_>, tag: TagRef<'_>) -> Fate {
    let image = &tags.image.name;
    let shared = request.together == Together::SameTag;
    let is = |(of, other, _): &&(ImageName, Tag, Why)| (shared || of == image) && other.by_ref() == tag;
    let place =
        chosen.releases.iter().position(|r| r.builds().get(image).is_some_and(|build| build.tag.by_ref() == tag));
    if let Strategy::Follow(followed) = &request.select.strategy
        && followed.by_ref() != tag
    {
        return Fate::NotFollowed;
    }
    if let Some(order) = order {
        if let Err(dropped) = filter::by_name(request.select, tags.reserved, tag) {
            return Fate::Dropped(dropped);
        }
        // Every time has a place.
        if let Err(unranked) = order.key(tag, None) {
            return Fate::Unranked { why: unranked, compared: text::shown(&order.compared(tag)) };
        }
    }
    match place {
        Some(0) => Fate::Chosen,
        Some(place) => Fate::Candidate(place),
        None => match chosen.passed_over.iter().find(is) {
            Some((_, _, why)) => Fate::PassedOver(why.clone()),
            None if chosen.wanted.iter().any(|want| want.image == *image && want.tag.by_ref() == tag) => Fate::Unread,
            None => Fate::Behind,
        },
    }
}
