//! The places of the tags that some images share, for whoever goes through their list by name: what is known of their
//! times is read once from front to back.

use super::newest::Age;
use super::order::{Key, Order};
use super::rank::Found;
use super::{Dating, Tags};
use crate::model::{TagRef, Walk};

/// The images, and how far what is left in reach of each was read.
pub(super) struct Datings<'a>(Vec<(&'a Tags<'a>, Option<Walk<'a>>)>);

impl<'a> Datings<'a> {
    pub(super) fn of(images: &'a [Tags<'a>]) -> Self {
        Self(images.iter().map(|tags| (tags, tags.dated.map(|dated| dated.walk()))).collect())
    }

    /// The key of a set of builds under one tag: as old as its youngest member, where times are compared.
    pub(super) fn key<'t>(&mut self, order: &mut Order, tag: TagRef<'t>) -> Option<Key<'t>> {
        if order.is_by_time() {
            self.of_each(tag).filter_map(|dating| order.key(tag, dating).ok()).max()
        } else {
            order.key(tag, None).ok()
        }
    }

    /// The place of a tag that has this key: of several builds under it the youngest breaks a tie.
    pub(super) fn found<'t>(&mut self, key: Key<'t>, tag: TagRef<'t>) -> Found<'t> {
        let tie = self.of_each(tag).map(Age::tie).max().unwrap_or(Age::Unread);
        Found { key, tie, tag }
    }

    fn of_each(&mut self, tag: TagRef<'_>) -> impl Iterator<Item = Option<Dating>> {
        self.0.iter_mut().map(move |(tags, walk)| match tags.known.get(tag.as_str()) {
            Some(known) => Some(known.dating()),
            None => walk.as_mut()?.get(tag).map(Dating::from),
        })
    }
}
