//! `follow: TAG`: what one moving tag names, by digest, in each image.
//!
//! A set that this policy knows as a release is taken at once: somebody moved the tag to something that was a release
//! before. Any other set must hold `together` and must have stood still for `settle`, because several images are never
//! pushed at one moment. Whether the tag may be trusted is not asked here.

use super::admission::{Admission, judge};
use super::set::{is_same_revision, release, told_revision};
use super::{Chosen, Request, Want, revision};
use crate::model::policy::Together;
use crate::model::{Build, ImageName, Tag, Why};
use jiff::Timestamp;

/// The release that the tag names, or why there is none.
pub(super) fn choose(request: &Request<'_>, tag: &Tag) -> Chosen {
    let mut chosen = Chosen::default();
    let facts_wanted = request.together == Together::SameRevision && request.images.len() > 1;
    let (mut builds, mut unread, mut moved_at) = (Vec::new(), Vec::new(), None);
    for tags in request.images {
        let image = &tags.image.name;
        let known = tags.known.get(tag);
        // What nobody saw arrive arrives now.
        moved_at = moved_at.max(Some(known.and_then(|known| known.moved_at).unwrap_or(request.now)));
        let present = known.and_then(|known| known.build.as_ref());
        builds.extend(present.map(|build| (image, build)));
        match judge(request, tags, tag.by_ref(), None, false, true) {
            Admission::Missing(need) => chosen.wanted.push(Want { image: image.clone(), tag: tag.clone(), need }),
            Admission::Failed(why) => chosen.passed_over.push((image.clone(), tag.clone(), why)),
            Admission::Passed(_) => {}
        }
        if let Admission::Missing(need) = judge(request, tags, tag.by_ref(), None, facts_wanted, true) {
            unread.push(Want { image: image.clone(), tag: tag.clone(), need });
        }
    }
    let whole = builds.len() == request.images.len();
    let followed = release(builds.iter().copied());
    let known = whole && request.known_releases.contains(followed.id());
    if whole && !known && chosen.passed_over.is_empty() {
        chosen.wanted = unread;
    }
    chosen.why = if let Some(want) = chosen.wanted.first() {
        Some(Why::Unread { what: format!("tag {tag} of `{}`", want.image), error: None })
    } else if let Some((_, _, why)) = chosen.passed_over.first() {
        Some(why.clone())
    } else if known {
        None
    } else {
        apart(request.together, &builds).or_else(|| unsettled(request, moved_at))
    };
    if chosen.why.is_none() {
        chosen.releases.push(followed);
    }
    chosen
}

/// Why the builds do not belong together.
fn apart(together: Together, builds: &[(&ImageName, &Build)]) -> Option<Why> {
    let ((first_image, first), others) = builds.split_first()?;
    if together != Together::SameRevision {
        return None;
    }
    let other = others
        .iter()
        .find(|(_, build)| !revision(first).zip(revision(build)).is_some_and(|(a, b)| is_same_revision(&a, &b)));
    other.map(|(image, build)| Why::SetIncomplete {
        detail: format!(
            "`{first_image}` is built from {}, `{image}` from {}",
            told_revision(first),
            told_revision(build)
        ),
    })
}

/// Until when the set must still stand, of which the last tag moved at that time.
fn unsettled(request: &Request<'_>, moved_at: Option<Timestamp>) -> Option<Why> {
    let until = moved_at?.saturating_add(request.settle.get()).unwrap_or(Timestamp::MAX);
    (until > request.now).then_some(Why::Unsettled { until })
}
