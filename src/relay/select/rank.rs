//! The best few tags of a long list, read once from front to back, and what must be read to be sure of them.
//!
//! Only the best few are kept, so a list of any length costs one comparison a tag and no sort. A tag that is known to
//! be no candidate takes no place among them, so that behind any number of such tags the next good one is found.

use super::admission::{Admission, judge};
use super::datings::Datings;
use super::newest::Age;
use super::order::{Key, Order};
use super::{CANDIDATES_MAX, Need, PASSED_OVER_MAX, Request, Tags, WANTED_MAX, Want, filter};
use crate::model::{Build, ImageName, Knowledge, Tag, TagRef, Why};
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// A tag and its place: by key, then the younger build, then the later tag in byte order; the greatest is best.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Found<'a> {
    pub(super) key: Key<'a>,
    pub(super) tie: Age,
    pub(super) tag: TagRef<'a>,
}

/// A tag whose builds, one for each of the images that share it, are candidates.
#[derive(Debug, Clone)]
pub(super) struct Ready<'a> {
    pub(super) found: Found<'a>,
    pub(super) builds: Vec<(&'a ImageName, &'a Build)>,
}

/// The outcome for the images that share their tags.
#[derive(Debug, Default)]
pub(super) struct Ranked<'a> {
    /// The candidates, best first; no more than were asked for.
    pub(super) ready: Vec<Ready<'a>>,
    /// What must be read first; then `ready` is not to be trusted yet.
    pub(super) wanted: Vec<Want>,
    /// What would have been better but failed, best first.
    pub(super) passed_over: Vec<(ImageName, Tag, Why)>,
}

/// What failed, in the order of its tag.
struct PassedOver<'a> {
    found: Found<'a>,
    image: &'a ImageName,
    why: Why,
}

impl PartialEq for PassedOver<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for PassedOver<'_> {}

impl PartialOrd for PassedOver<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for PassedOver<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.found.cmp(&other.found).then_with(|| self.image.cmp(other.image))
    }
}

/// The greatest few of what is offered.
pub(super) struct Best<T> {
    heap: BinaryHeap<Reverse<T>>,
    room: usize,
}

impl<T: Ord> Best<T> {
    pub(super) fn new(room: usize) -> Self {
        Self { heap: BinaryHeap::with_capacity(room), room }
    }

    /// The least of them, when there is no room left.
    pub(super) fn bar(&self) -> Option<&T> {
        self.heap.peek().filter(|_| self.heap.len() >= self.room).map(|Reverse(least)| least)
    }

    pub(super) fn offer(&mut self, item: T) {
        if self.heap.len() < self.room {
            self.heap.push(Reverse(item));
        } else if let Some(mut least) = self.heap.peek_mut()
            && item > least.0
        {
            *least = Reverse(item);
        }
    }

    pub(super) fn best_first(self) -> impl Iterator<Item = T> {
        self.heap.into_sorted_vec().into_iter().map(|Reverse(item)| item)
    }
}

/// Ranks the tags that all these images have. `facts_wanted` asks for the facts of whatever may be chosen.
pub(super) fn rank<'a>(
    request: &Request<'a>,
    order: &mut Order,
    images: &'a [Tags<'a>],
    facts_wanted: bool,
    depth: usize,
) -> Ranked<'a> {
    let (mut best, mut passed_over) = (Best::new(CANDIDATES_MAX), Best::new(PASSED_OVER_MAX));
    let mut wanted = Vec::new();
    let mut datings = Datings::of(images);
    let Some((first, others)) = images.split_first() else { return Ranked::default() };
    for tag in first.tags.iter() {
        if images.iter().any(|tags| filter::by_name(request.select, tags.reserved, tag).is_err()) {
            continue;
        }
        let Some(key) = datings.key(order, tag) else { continue };
        if best.bar().is_some_and(|least: &Found<'_>| key < least.key) {
            continue;
        }
        let found = datings.found(key, tag);
        if let Some(lacking) = others.iter().find(|tags| !tags.tags.contains(tag)) {
            let why = Why::SetIncomplete { detail: format!("`{}` has no tag {tag}", lacking.image.name) };
            passed_over.offer(PassedOver { found, image: &lacking.image.name, why });
            continue;
        }
        match datings.failure(request, tag, facts_wanted) {
            Some((image, why)) => passed_over.offer(PassedOver { found, image, why }),
            None if found.key == Key::Age(Age::Unread) => want_facts(images, tag, &mut wanted),
            None => best.offer(found),
        }
    }
    let mut best: Vec<Found<'_>> = best.best_first().collect();
    best.dedup_by(|a, b| a.tag == b.tag);
    let ready =
        if wanted.is_empty() { walk(request, images, &best, facts_wanted, depth, &mut wanted) } else { Vec::new() };
    wanted.truncate(WANTED_MAX);
    let better = |passed: &PassedOver<'_>| ready.first().is_none_or(|ready| passed.found > ready.found);
    let passed_over = passed_over.best_first().filter(better);
    let passed_over = passed_over.map(|passed| (passed.image.clone(), passed.found.tag.to_tag(), passed.why)).collect();
    Ranked { ready, wanted, passed_over }
}

/// Goes through the best from the top, until as many as were asked for passed or wait to be read.
fn walk<'a>(
    request: &Request<'a>,
    images: &'a [Tags<'a>],
    best: &[Found<'a>],
    facts_wanted: bool,
    depth: usize,
    wanted: &mut Vec<Want>,
) -> Vec<Ready<'a>> {
    let (mut ready, mut waiting) = (Vec::new(), 0);
    for equals in best.chunk_by(|a, b| a.key == b.key) {
        if ready.len() + waiting >= depth {
            break;
        }
        let tied = equals.len() > 1;
        if tied && equals.iter().any(|found| found.tie == Age::Unread) {
            equals.iter().for_each(|found| want_facts(images, found.tag, wanted));
            break;
        }
        for found in equals.iter().take(depth.saturating_sub(ready.len() + waiting)) {
            let (builds, missing) = read(request, images, found.tag, facts_wanted);
            if missing.is_empty() {
                ready.push(Ready { found: found.clone(), builds });
            } else {
                waiting += 1;
                wanted.extend(missing);
            }
        }
    }
    ready
}

fn want_facts(images: &[Tags<'_>], tag: TagRef<'_>, wanted: &mut Vec<Want>) {
    if wanted.len() >= WANTED_MAX {
        return;
    }
    let unread = images.iter().filter(|tags| tags.dating(tag).is_none_or(|dating| dating.knowledge == Knowledge::Told));
    wanted.extend(unread.map(|tags| Want { image: tags.image.name.clone(), tag: tag.to_tag(), need: Need::Facts }));
}

/// The builds under a tag that has not failed, and what is missing of them.
fn read<'a>(
    request: &Request<'a>,
    images: &'a [Tags<'a>],
    tag: TagRef<'_>,
    facts_wanted: bool,
) -> (Vec<(&'a ImageName, &'a Build)>, Vec<Want>) {
    let (mut builds, mut missing) = (Vec::new(), Vec::new());
    for tags in images {
        let image = &tags.image.name;
        match judge(request, tags, tag, tags.dating(tag), facts_wanted, false) {
            Admission::Passed(build) => builds.push((image, build)),
            Admission::Missing(need) => missing.push(Want { image: image.clone(), tag: tag.to_tag(), need }),
            Admission::Failed(_) => {}
        }
    }
    (builds, missing)
}
