//! The places of the tags that some images share, for whoever goes through their list by name: what is known of their
//! times is read once from front to back.

use super::admission::{Admission, judge};
use super::newest::Age;
use super::order::{Key, Order};
use super::rank::Found;
use super::{Dating, Request, Tags};
use crate::model::{ImageName, TagRef, Walk, Why};

/// The images, and how far what is left in reach of each was read.
pub(super) struct Datings<'a>(Vec<(&'a Tags<'a>, Option<Walk<'a>>)>);

impl<'a> Datings<'a> {
    pub(super) fn of(images: &'a [Tags<'a>]) -> Self {
        Self(images.iter().map(|tags| (tags, tags.dated.map(|dated| dated.walk()))).collect())
    }

    /// The key of a set of builds under one tag: as old as its youngest member, where times are compared.
    pub(super) fn key<'t>(&mut self, order: &mut Order, tag: TagRef<'t>) -> Option<Key<'t>> {
        if order.is_by_time() {
            self.of_each(tag).filter_map(|(_, dating)| order.key(tag, dating).ok()).max()
        } else {
            order.key(tag, None).ok()
        }
    }

    /// The place of a tag that has this key: of several builds under it the youngest breaks a tie.
    pub(super) fn found<'t>(&mut self, key: Key<'t>, tag: TagRef<'t>) -> Found<'t> {
        let tie = self.of_each(tag).map(|(_, dating)| Age::tie(dating)).max().unwrap_or(Age::Unread);
        Found { key, tie, tag }
    }

    /// The first image whose build under this tag is known to be no candidate.
    pub(super) fn failure(
        &mut self,
        request: &Request<'a>,
        tag: TagRef<'_>,
        facts_wanted: bool,
    ) -> Option<(&'a ImageName, Why)> {
        self.of_each(tag).find_map(|(tags, dating)| match judge(request, tags, tag, dating, facts_wanted, false) {
            Admission::Failed(why) => Some((&tags.image.name, why)),
            Admission::Passed(_) | Admission::Missing(_) => None,
        })
    }

    fn of_each(&mut self, tag: TagRef<'_>) -> impl Iterator<Item = (&'a Tags<'a>, Option<Dating>)> {
        self.0.iter_mut().map(move |(tags, walk)| {
            let dating = match tags.known.get(tag.as_str()) {
                Some(known) => Some(known.dating()),
                None => walk.as_mut().and_then(|walk| walk.get(tag)).map(Dating::from),
            };
            (*tags, dating)
        })
    }
}
