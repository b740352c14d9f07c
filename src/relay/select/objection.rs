//! What a `select` beside a `promote` has against a release: only releases that satisfy both may come.
//!
//! The release is judged under the tags that it travels with; no list of tags is read, and nothing is ranked.

use super::admission::{Admission, judge};
use super::filter;
use super::order::Order;
use super::{Fate, Request, Want};
use crate::model::policy::Strategy;
use crate::model::{ImageName, Release, text};

/// The first objection against a release, and what must be read to have none. `follow` and `pinned` object to nothing.
#[must_use]
pub fn objection(request: &Request<'_>, release: &Release) -> (Option<(ImageName, Fate)>, Vec<Want>) {
    let mut wanted = Vec::new();
    if matches!(request.select.strategy, Strategy::Follow(_) | Strategy::Pinned) {
        return (None, wanted);
    }
    let mut order = Order::of(request.select).ok().flatten();
    for tags in request.images {
        let image = &tags.image.name;
        let Some(build) = release.builds().get(image) else { continue };
        if let Err(dropped) = filter::by_patterns(request.select, build.tag.as_str()) {
            return (Some((image.clone(), Fate::Dropped(dropped))), Vec::new());
        }
        if let Some(order) = &mut order
            && let Err(why) = order.key(build.tag.by_ref(), None)
        {
            let compared = text::shown(&order.compared(build.tag.by_ref()));
            return (Some((image.clone(), Fate::Unranked { why, compared })), Vec::new());
        }
        match judge(request, tags, build.tag.by_ref(), tags.dating(build.tag.by_ref()), false, true) {
            Admission::Failed(why) => return (Some((image.clone(), Fate::PassedOver(why))), Vec::new()),
            Admission::Missing(need) => wanted.push(Want { image: image.clone(), tag: build.tag.clone(), need }),
            Admission::Passed(_) => {}
        }
    }
    (None, wanted)
}
