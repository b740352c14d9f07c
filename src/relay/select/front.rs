//! Which builds a choice looks at: the best few and what stands in their way. Of all others only the times are asked for,
//! so that whoever keeps the builds may let go of them.

use super::datings::Datings;
use super::order::Order;
use super::rank::Best;
use super::{CANDIDATES_MAX, Request, Tags, filter};
use crate::model::policy::{Strategy, Together};
use crate::model::{ImageName, TagRef, Why};

/// The tags, image by image, whose builds are known and may be looked at by a choice of whatever depth.
///
/// These are the best [`CANDIDATES_MAX`], and above the last of them all that are no candidates for what their builds are.
/// What is only too young shows that by its times.
pub fn front<'a>(request: &Request<'a>) -> Vec<(&'a ImageName, TagRef<'a>)> {
    let images = request.images;
    if let Strategy::Follow(tag) = &request.select.strategy {
        return images.iter().map(|tags| (&tags.image.name, tag.by_ref())).collect();
    }
    let Ok(Some(mut order)) = Order::of(request.select) else { return Vec::new() };
    let group = if request.together == Together::SameTag { images.len().max(1) } else { 1 };
    images.chunks(group).flat_map(|images| of_group(request, &mut order, images)).collect()
}

/// The front of images that share their tags.
fn of_group<'a>(request: &Request<'a>, order: &mut Order, images: &'a [Tags<'a>]) -> Vec<(&'a ImageName, TagRef<'a>)> {
    let (mut best, mut failed) = (Best::new(CANDIDATES_MAX), Vec::new());
    let mut datings = Datings::of(images);
    let all = images.first().into_iter().flat_map(|tags| tags.tags.iter());
    for tag in all.filter(|tag| images.iter().any(|tags| tags.known.contains_key(tag.as_str()))) {
        let is_out = |tags: &Tags<'_>| filter::by_name(request.select, tags.reserved, tag).is_err();
        if images.iter().any(|tags| is_out(tags) || !tags.tags.contains(tag)) {
            continue;
        }
        let Some(key) = datings.key(order, tag) else { continue };
        let found = datings.found(key, tag);
        if best.bar().is_some_and(|least| found < *least) {
            continue;
        }
        match datings.failure(request, tag, true) {
            Some((_, Why::TooYoung { .. })) => {}
            Some(_) => failed.push(found),
            None if images.iter().all(|tags| tags.known.contains_key(tag.as_str())) => best.offer(found),
            None => {}
        }
    }
    if let Some(least) = best.bar() {
        failed.retain(|found| found > least);
    }
    let tags = best.best_first().chain(failed).map(|found| found.tag);
    tags.flat_map(|tag| images.iter().map(move |tags| (&tags.image.name, tag))).collect()
}
