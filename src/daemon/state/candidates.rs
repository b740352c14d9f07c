//! From readings to a choice: what `select` asks to be read is read, and asked again, until it answers.

use crate::daemon::state::memory::{EnvironmentState, Memory, Place, PolicyState, RepositoryState};
use crate::model::ledger::Fate;
use crate::model::policy::{Environment, Image, Select, Strategy};
use crate::model::{
    Build, Builds, Dated, ImageName, Pin, PinForm, Release, ReleaseId, Repository, Tag, TagList, TagRef, Why,
};
use crate::relay::select::{self, Chosen, Need, Request, Tags, Want};
use jiff::Timestamp;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

/// How many candidates a choice holds at the most: the best may be refused or wait for a gate, and the next one goes on.
pub(in crate::daemon) const DEPTH_MAX: usize = 8;

/// What is to be read for a choice.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::daemon) enum MissingFact {
    /// The build under a tag that a list names.
    Build(Repository, Tag),
    /// The build under a tag that a pin names, be it there or not.
    Pinned(Repository, Tag),
    /// Whether a revision is on a branch of a project.
    Branch { project: String, revision: String, branch: String },
}

/// Tags that some policy follows or retags in a repository: candidates of no other strategy.
fn reserved(memory: &Memory, repository: &Repository) -> HashSet<Tag> {
    let environments = memory.users(repository).flat_map(|known| &known.policy.environments);
    let here =
        environments.filter(|environment| environment.images.iter().any(|image| image.repository == *repository));
    here.filter_map(|environment| environment.followed_tag().cloned()).collect()
}

/// The tags of one image and what is known of them, for one environment.
struct Shown<'m> {
    tags: TagList,
    known: Cow<'m, HashMap<Tag, select::TagFacts>>,
    dated: Option<Dated>,
    reserved: HashSet<Tag>,
}

/// A request of an environment's `select`, over what is known now; an error where a list cannot be read.
fn with_request<R>(
    memory: &Memory,
    known: &PolicyState,
    index: usize,
    now: Timestamp,
    look: impl FnOnce(&Request<'_>) -> R,
) -> Option<Result<R, Why>> {
    let policy = &*known.policy;
    let (environment, standing) = (policy.environments.get(index)?, known.standings.get(index)?);
    let select = environment.select.as_ref()?;
    let images = policy.selected_images(environment);
    let mut shown = Vec::with_capacity(images.len());
    for image in images {
        let shelf = memory.repositories.get(&image.repository)?;
        let (tags, dated) = match on_disk(shelf, select) {
            Ok(read) => read,
            Err(error) => return Some(Err(Why::Unread { what: image.repository.to_string(), error: Some(error) })),
        };
        let mut known = Cow::Borrowed(&shelf.known);
        let lasting = shelf.failed.iter().filter(|(_, failed)| failed.lasts && now < failed.until);
        for (tag, failed) in lasting.filter(|(tag, _)| !is_pinned(standing, &image.name, tag)) {
            known.to_mut().entry(tag.clone()).or_default().unreadable = Some(failed.error.clone());
        }
        if let (Some(branch), Some(project)) = (&select.branch, &image.source) {
            for entry in known.to_mut().values_mut() {
                let revision = entry.build.as_ref().and_then(select::revision);
                entry.on_branch = match revision {
                    None if entry.facts_read => Some(false),
                    None => None,
                    Some(revision) => {
                        memory.placed.get(&(project.clone(), revision, branch.clone())).map(|placed| placed.on_branch)
                    }
                };
            }
        }
        shown.push(Shown { tags, known, dated, reserved: reserved(memory, &image.repository) });
    }
    let tags = images.iter().zip(&shown).map(|(image, Shown { tags, known, dated, reserved })| {
        let dated = dated.as_ref();
        Tags { image, tags, known, dated, reserved }
    });
    let tags: Vec<Tags<'_>> = tags.collect();
    let known_releases = known_releases(known);
    let request = Request {
        select,
        images: &tags,
        together: policy.together_in(environment),
        settle: policy.settle,
        known_releases: &known_releases,
        own_commits: true,
        depth: depth(environment, standing),
        now,
    };
    Some(Ok(look(&request)))
}

/// The tags of a repository, and what is left in reach of those that were put away, where a selection goes through them.
fn on_disk(shelf: &RepositoryState, select: &Select) -> Result<(TagList, Option<Dated>), String> {
    if !select.lists() {
        return Ok((TagList::default(), None));
    }
    let tags = shelf.tags.as_ref().map(|tags| tags.read()).transpose()?;
    Ok((tags.unwrap_or_default(), shelf.dated.as_ref().map(|dated| dated.read()).transpose()?))
}

/// The tags of a repository whose builds some choice looks at, or a pin names. What cannot be chosen from now is looked at
/// when it can.
pub(in crate::daemon) fn looked_at(memory: &Memory, repository: &Repository, now: Timestamp) -> HashSet<Tag> {
    let followed = memory.repositories.get(repository).map(|shelf| &shelf.followed);
    let mut tags: HashSet<Tag> = followed.into_iter().flat_map(BTreeMap::keys).cloned().collect();
    for known in memory.users(repository) {
        for (index, (environment, standing)) in known.policy.environments.iter().zip(&known.standings).enumerate() {
            let pin = standing.pin.as_ref().ok().and_then(Option::as_ref).map(|reading| &reading.pin);
            tags.extend(pin.into_iter().flat_map(|pin| pin.0.values()).filter_map(|pinned| pinned.tag.clone()));
            if !environment.select.as_ref().is_some_and(Select::lists) {
                continue;
            }
            let images = known.policy.selected_images(environment);
            let is_here = |name: &ImageName| images.iter().any(|i| i.name == *name && i.repository == *repository);
            let front = with_request(memory, known, index, now, |request| {
                let front = select::front(request).into_iter().filter(|(image, _)| is_here(image));
                front.map(|(_, tag)| tag.to_tag()).collect::<Vec<_>>()
            });
            tags.extend(front.and_then(Result::ok).into_iter().flatten());
        }
    }
    tags
}

/// How many candidates the choice of an environment holds: what was verified before may come as long as it is among the
/// best, and not only while it is the best.
fn depth(environment: &Environment, standing: &EnvironmentState) -> usize {
    if environment.promote.is_some() { DEPTH_MAX } else { standing.depth }
}

/// Whether a pin names this tag: where nobody can read what runs, nothing can be told to be newer than it.
fn is_pinned(standing: &EnvironmentState, image: &ImageName, tag: &Tag) -> bool {
    let pin = standing.pin.as_ref().ok().and_then(Option::as_ref).map(|reading| &reading.pin);
    pin.and_then(|pin| pin.0.get(image)).is_some_and(|pinned| pinned.tag.as_ref() == Some(tag))
}

/// The places that the builds which are known may have: what else is remembered of places is of no use.
pub(in crate::daemon) fn places(memory: &Memory) -> HashSet<Place> {
    let mut places = HashSet::new();
    for known in memory.policies.values() {
        for environment in &known.policy.environments {
            let Some(branch) = environment.select.as_ref().and_then(|select| select.branch.as_ref()) else { continue };
            for image in known.policy.selected_images(environment) {
                let Some(project) = &image.source else { continue };
                let Some(shelf) = memory.repositories.get(&image.repository) else { continue };
                let builds = shelf.known.values().filter_map(|known| known.build.as_ref());
                let revisions = builds.filter_map(select::revision);
                places.extend(revisions.map(|revision| (project.clone(), revision, branch.clone())));
            }
        }
    }
    places
}

/// Every release that came to some environment of a policy.
fn known_releases(known: &PolicyState) -> HashSet<ReleaseId> {
    let arrivals = known.standings.iter().flat_map(|standing| &standing.ledger.arrivals);
    arrivals.filter_map(|arrival| arrival.release.as_ref()).map(|release| release.id().clone()).collect()
}

/// The choice of an environment, and what is to be read before there is one; none where it selects nothing.
pub(in crate::daemon) fn choose(
    memory: &Memory,
    known: &PolicyState,
    index: usize,
    now: Timestamp,
) -> Option<(Chosen, Vec<MissingFact>)> {
    if let Some(unread) = unread(memory, known, index) {
        return Some((Chosen { why: Some(unread), ..Chosen::default() }, Vec::new()));
    }
    let environment = known.policy.environments.get(index)?;
    let (chosen, wanted) = match with_request(memory, known, index, now, complete)? {
        Ok(chosen) => chosen,
        Err(unread) => return Some((Chosen { why: Some(unread), ..Chosen::default() }, Vec::new())),
    };
    let branch = environment.select.as_ref().and_then(|select| select.branch.as_ref());
    let images = known.policy.selected_images(environment);
    let lacks = wanted.iter().filter_map(|want| lack(memory, images, want, branch)).collect();
    Some((chosen, lacks))
}

/// The choice of as many candidates as are known, for none waits for what is behind it; and what must be read before it
/// holds as many as are asked for.
fn complete(request: &Request<'_>) -> (Chosen, Vec<Want>) {
    let mut chosen = select::choose(request);
    let (wanted, mut depth) = (chosen.wanted.clone(), request.depth);
    while depth > 1 && !chosen.wanted.is_empty() {
        depth /= 2;
        chosen = select::choose(&Request { depth, ..*request });
    }
    (chosen, wanted)
}

/// The release that an environment's pin names by its tags, where the journal knows no such release, and what is to be
/// read before it is known; where that cannot be read, nothing waits for it. A tag that was moved names no release: nobody
/// can tell which one is meant.
pub(in crate::daemon) fn named(
    memory: &Memory,
    known: &PolicyState,
    index: usize,
    now: Timestamp,
    is_polled: impl Fn(&Repository) -> bool,
) -> (Option<Release>, Vec<MissingFact>) {
    let Some((environment, pin)) = pinned(known, index) else { return (None, Vec::new()) };
    let tags = environment.images.iter().map(|image| Some((image, pin.0.get(&image.name)?.tag.as_ref()?)));
    let Some(tags) = tags.collect::<Option<Vec<_>>>() else { return (None, Vec::new()) };
    let is_moving = |(image, tag): &(&Image, &Tag)| {
        let bare = pin.0.get(&image.name).is_some_and(|pinned| pinned.digest.is_none());
        bare && reserved(memory, &image.repository).contains(*tag)
    };
    if tags.iter().any(is_moving) {
        return (None, Vec::new());
    }
    let shelf = |image: &Image| memory.repositories.get(&image.repository);
    let read = |image: &Image, tag: &Tag| shelf(image)?.known.get(tag).filter(|known| known.facts_read);
    let lacks = tags.iter().filter(|(image, tag)| {
        let failed = shelf(image).and_then(|shelf| shelf.failed.get(*tag));
        is_polled(&image.repository) && read(image, tag).is_none() && failed.is_none_or(|failed| failed.until <= now)
    });
    let lacks: Vec<MissingFact> =
        lacks.map(|(image, tag)| MissingFact::Pinned(image.repository.clone(), (*tag).clone())).collect();
    let builds = tags.iter().map(|(image, tag)| {
        let known = read(image, tag)?;
        let build = known.build.clone().filter(|build| known.was.as_ref().is_none_or(|was| *was == build.digest))?;
        Some((image.name.clone(), build))
    });
    let release = builds.collect::<Option<Builds>>().map(Release::new).filter(|release| pin.says(release));
    (release.filter(|_| lacks.is_empty()), lacks)
}

/// The pin of an environment that the journal knows nothing of yet. One of a tag alone counts where such pins are written,
/// and their tags are watched during rollouts.
fn pinned(known: &PolicyState, index: usize) -> Option<(&Environment, &Pin)> {
    let (environment, standing) = (known.policy.environments.get(index)?, known.standings.get(index)?);
    let pin = &standing.pin.as_ref().ok()?.as_ref()?.pin;
    let ledgers = known.standings.iter().take(index + 1).map(|standing| &standing.ledger);
    let releases = ledgers.flat_map(|ledger| {
        let arrived = ledger.arrivals.iter().filter_map(|arrival| arrival.release.as_ref());
        let intents = ledger.intents.values().filter(|intent| intent.fate != Fate::Withdrawn);
        arrived.chain(intents.map(|intent| &intent.release))
    });
    let is_watched = environment.pin == PinForm::Tag || pin.0.values().all(|pinned| pinned.digest.is_some());
    let met = standing.ledger.current().is_some_and(|current| current.pin == *pin);
    let is_known = met || pin.0.is_empty() || releases.into_iter().any(|release| pin.says(release));
    (is_watched && !is_known).then_some((environment, pin))
}

/// What is not read yet, of what the strategy needs.
fn unread(memory: &Memory, known: &PolicyState, index: usize) -> Option<Why> {
    let environment = known.policy.environments.get(index)?;
    let select = environment.select.as_ref()?;
    let images = known.policy.selected_images(environment);
    let missing = |shelf: Option<&RepositoryState>| match (&select.strategy, shelf) {
        (_, None) => true,
        (Strategy::Follow(tag), Some(shelf)) => !shelf.followed.contains_key(tag),
        (_, Some(shelf)) => shelf.tags.is_none(),
    };
    let image = images.iter().find(|image| missing(memory.repositories.get(&image.repository)))?;
    let error = memory.repositories.get(&image.repository).and_then(|shelf| shelf.error.clone());
    Some(Why::Unread { what: image.repository.to_string(), error })
}

fn lack(memory: &Memory, images: &[Image], want: &Want, branch: Option<&String>) -> Option<MissingFact> {
    let image = images.iter().find(|image| image.name == want.image)?;
    let build = || MissingFact::Build(image.repository.clone(), want.tag.clone());
    Some(match want.need {
        Need::Digest | Need::Facts | Need::OwnCommit => build(),
        Need::Branch => {
            let (project, revision, branch) = place(memory, image, &want.tag, branch?)?;
            MissingFact::Branch { project, revision, branch }
        }
    })
}

/// The place that the build under a tag may have.
fn place(memory: &Memory, image: &Image, tag: &Tag, branch: &str) -> Option<Place> {
    let known = memory.repositories.get(&image.repository)?.known.get(tag)?;
    let revision = select::revision(known.build.as_ref()?)?;
    Some((image.source.clone()?, revision, branch.to_owned()))
}

/// The places of what a choice passed over, above what it chose, because it is not on the branch.
pub(in crate::daemon) fn elsewhere(memory: &Memory, known: &PolicyState, index: usize, chosen: &Chosen) -> Vec<Place> {
    let Some(environment) = known.policy.environments.get(index) else { return Vec::new() };
    let images = known.policy.selected_images(environment);
    let passed_over = chosen.passed_over.iter().filter_map(|(image, tag, why)| {
        let Why::NotOnBranch { branch } = why else { return None };
        place(memory, images.iter().find(|selected| selected.name == *image)?, tag, branch)
    });
    passed_over.collect()
}

/// The tags of an environment's images and what became of them, the best first and at most so many, and how many there are in
/// all.
pub(in crate::daemon) fn explain(
    memory: &Memory,
    known: &PolicyState,
    index: usize,
    now: Timestamp,
    max: usize,
) -> (Vec<crate::daemon::view::TagView>, usize) {
    let told = with_request(memory, known, index, now, |request| {
        let n_tags = request.images.iter().map(|tags| tags.tags.len()).sum();
        let first = select::explain_first(request, max).into_iter();
        let views = first.map(|(image, tag, fate)| crate::daemon::view::TagView {
            image: image.clone(),
            tag: tag.to_string(),
            fate: fate.to_string(),
        });
        (views.collect(), n_tags)
    });
    told.and_then(Result::ok).unwrap_or_default()
}

/// What became of a release's tags in the choice of an environment, where one of them was passed over or is behind: the first
/// of these.
pub(in crate::daemon) fn fate(
    memory: &Memory,
    known: &PolicyState,
    index: usize,
    now: Timestamp,
    release: &Release,
) -> Option<String> {
    let told = with_request(memory, known, index, now, |request| {
        let is_its = |image: &ImageName, tag: TagRef<'_>| {
            release.builds().get(image).is_some_and(|build| build.tag.by_ref() == tag)
        };
        let mut fates = select::explain(request).filter(|(image, tag, _)| is_its(image, *tag));
        fates.next().map(|(_, tag, fate)| format!("tag {tag}: {fate}"))
    });
    told.and_then(Result::ok).flatten()
}

/// The builds under an environment's tag, image by image; an error where a reading is missing.
pub(in crate::daemon) fn tagged(
    memory: &Memory,
    environment: &Environment,
    tag: &Tag,
) -> Result<(Builds, Vec<MissingFact>), Why> {
    let (mut builds, mut lacks) = (BTreeMap::new(), Vec::new());
    for image in &environment.images {
        let shelf = memory.repositories.get(&image.repository);
        let unread = || Why::Unread {
            what: format!("tag {tag} of {}", image.repository),
            error: shelf.and_then(|shelf| shelf.error.clone()),
        };
        let shelf = shelf.ok_or_else(unread)?;
        let Some(digest) = shelf.followed.get(tag).ok_or_else(unread)? else { continue };
        match shelf.facts.get(digest) {
            Some(facts) => {
                let build = Build { tag: tag.clone(), digest: digest.clone(), facts: facts.clone() };
                builds.insert(image.name.clone(), build);
            }
            None => lacks.push(MissingFact::Build(image.repository.clone(), tag.clone())),
        }
    }
    Ok((builds.into_iter().collect(), lacks))
}

/// Whether a selection compares when something was pushed or first seen.
pub(in crate::daemon) fn compares_times(select: &Select) -> bool {
    matches!(select.strategy, Strategy::Newest(_)) || !select.min_age.get().is_zero()
}

/// The releases of a choice, or why there is none.
pub(in crate::daemon) fn releases(chosen: Chosen) -> Result<Vec<Release>, Why> {
    match chosen.why {
        Some(why) if chosen.releases.is_empty() => Err(why),
        Some(_) | None => Ok(chosen.releases),
    }
}
