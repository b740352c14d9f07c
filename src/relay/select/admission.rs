//! Whether the facts of a build let it be a candidate: moved tag, `min_age`, platforms, labels, own commits, `branch`.
//!
//! It asks for what is missing, the cheapest first, and never for what no longer matters. Names of tags are the
//! business of `filter`.

use super::{Dating, Need, Request, TagFacts, Tags};
use crate::model::policy::{Select, Strategy};
use crate::model::{Build, Knowledge, TagRef, Times, Why, text};
use jiff::Timestamp;

/// What became of a tag.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Admission<'a> {
    /// It is a candidate.
    Passed(&'a Build),
    /// This must be read first.
    Missing(Need),
    /// It is none.
    Failed(Why),
}

/// Judges the tag of one image, of a build that is not known by its `dating`. A followed tag is meant to move, so `may_move`
/// is said of it.
pub(super) fn judge<'a>(
    request: &Request<'a>,
    tags: &Tags<'a>,
    tag: TagRef<'_>,
    dating: Option<Dating>,
    facts_wanted: bool,
    may_move: bool,
) -> Admission<'a> {
    let facts_wanted = facts_wanted || needs_facts(request, tags);
    let first = if facts_wanted { Need::Facts } else { Need::Digest };
    let Some(known) = tags.known.get(tag.as_str()) else {
        let dating = dating.filter(|dating| dating.knowledge != Knowledge::Nothing);
        let until = dating.and_then(|dating| too_young_until(request.select, &dating.times, request.now));
        return until.map_or(Admission::Missing(first), |until| Admission::Failed(Why::TooYoung { until }));
    };
    if let Some(error) = &known.unreadable {
        let what = format!("tag {tag} of `{}`", tags.image.name);
        return Admission::Failed(Why::Unread { what, error: Some(error.clone()) });
    }
    let Some(build) = &known.build else {
        let detail = format!("`{}` has no image under tag {tag}", tags.image.name);
        return Admission::Failed(Why::SetIncomplete { detail });
    };
    if let Some(was) = known.was.as_ref().filter(|was| !may_move && **was != build.digest) {
        let (image, now) = (tags.image.name.clone(), build.digest.clone());
        return Admission::Failed(Why::TagMoved { image, tag: tag.to_tag(), was: was.clone(), now });
    }
    let times = match &request.select.strategy {
        Strategy::Follow(_) if known.moved_at.is_none() && !known.facts_read => return Admission::Missing(first),
        Strategy::Follow(_) => Times { pushed: None, seen: known.moved_at, created: None },
        Strategy::Semver(_)
        | Strategy::Newest(_)
        | Strategy::Numeric(_)
        | Strategy::Alphabetical(_)
        | Strategy::Pinned => build.facts.times(),
    };
    if let Some(until) = too_young_until(request.select, &times, request.now) {
        return Admission::Failed(Why::TooYoung { until });
    }
    if facts_wanted && !known.facts_read {
        return Admission::Missing(Need::Facts);
    }
    by_facts(request, tags, known, build)
}

/// Whether any filter reads more of a build than its digest.
fn needs_facts(request: &Request<'_>, tags: &Tags<'_>) -> bool {
    let select = request.select;
    request.own_commits || !tags.image.platforms.is_empty() || !select.labels.is_empty() || select.branch.is_some()
}

/// When `min_age` is over, if it is not. A build that nobody saw arrive arrives now.
fn too_young_until(select: &Select, times: &Times, now: Timestamp) -> Option<Timestamp> {
    let until = times.arrived().unwrap_or(now).saturating_add(select.min_age.get()).unwrap_or(Timestamp::MAX);
    (until > now).then_some(until)
}

fn by_facts<'a>(request: &Request<'_>, tags: &Tags<'_>, known: &TagFacts, build: &'a Build) -> Admission<'a> {
    let (select, image) = (request.select, tags.image);
    if let Some(platform) = image.lacking(&build.facts.platforms) {
        let platform = platform.to_string();
        return Admission::Failed(Why::PlatformMissing { image: image.name.clone(), platform });
    }
    let holds = |key: &String| build.facts.labels.get(key);
    let differs = select.labels.iter().find(|(key, wanted)| !holds(key).is_some_and(|value| wanted.matches(value)));
    if let Some((label, _)) = differs {
        return Admission::Failed(Why::LabelDiffers { image: image.name.clone(), label: label.clone() });
    }
    match known.own_commit {
        None if request.own_commits => return Admission::Missing(Need::OwnCommit),
        Some(true) => {
            let revision = super::revision(build).unwrap_or_else(|| build.tag.to_string());
            return Admission::Failed(Why::OwnCommit { revision: text::shown(&revision) });
        }
        Some(false) | None => {}
    }
    match (&select.branch, known.on_branch) {
        (None, _) | (Some(_), Some(true)) => Admission::Passed(build),
        (Some(_), None) => Admission::Missing(Need::Branch),
        (Some(branch), Some(false)) => Admission::Failed(Why::NotOnBranch { branch: branch.clone() }),
    }
}
