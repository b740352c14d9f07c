//! Where a build is, and what an environment does not have yet: the memory is asked, nothing is read.

use crate::daemon::Daemon;
use crate::daemon::handle::{Refusal, Target};
use crate::daemon::requests::status::{arrival_view, release_view};
use crate::daemon::state::candidates as choose;
use crate::daemon::state::memory::EnvironmentState;
use crate::daemon::state::memory::{PassContext, PolicyState};
use crate::daemon::view::{MissingView, NotYetView, StandingView, WhereView};
use crate::model::{Release, Why};
use crate::relay::facts::Facts;
use crate::relay::find::{self, Found, Name, Presence};
use std::collections::HashSet;

/// How many environments one answer shows.
const ENVIRONMENTS_SHOWN_MAX: usize = 1000;
/// How many releases one answer shows.
const RELEASES_SHOWN_MAX: usize = 100;
/// How many environments are asked why they do not choose a build: each goes through all tags of its images.
const FATES_MAX: usize = 20;

impl Daemon {
    /// Where a build is: each environment of the policies that know it.
    pub(in crate::daemon) fn where_is(&self, name: &Name) -> Result<WhereView, Refusal> {
        let moment = self.moment();
        let mut view = WhereView { releases: Vec::new(), n_releases: 0, environments: Vec::new(), n_environments: 0 };
        let (mut releases, mut fates_left) = (HashSet::new(), FATES_MAX);
        for known in self.memory.policies.values() {
            let built = self.built(known, name);
            let ledgers = known.standings.iter();
            let named = ledgers.flat_map(|standing| {
                let chosen = standing.chosen.as_ref().map(Vec::as_slice).unwrap_or_default();
                find::named(name, &standing.ledger, chosen)
            });
            let mut ids = HashSet::new();
            let meant: Vec<&Release> = named.chain(&built).filter(|release| ids.insert(release.id())).collect();
            for release in &meant {
                if releases.insert(release.id().clone()) && view.releases.len() < RELEASES_SHOWN_MAX {
                    view.releases.push(release_view(release));
                }
            }
            if meant.is_empty() {
                continue;
            }
            view.n_environments += known.standings.len();
            for index in 0..known.standings.len().min(ENVIRONMENTS_SHOWN_MAX - view.environments.len()) {
                view.environments.extend(self.standing_of(known, index, &meant, &moment, &mut fates_left));
            }
        }
        view.n_releases = releases.len();
        if releases.is_empty() {
            return Err(Refusal::NotFound(
                "no environment had, has or awaits such a build: name a tag, a digest, or the commit that an image names \
                 as its source (label org.opencontainers.image.revision)"
                    .to_owned(),
            ));
        }
        Ok(view)
    }

    /// What an environment does not have yet, oldest first.
    pub(in crate::daemon) fn not_yet(&self, target: &Target) -> Result<NotYetView, Refusal> {
        self.with_facts(target, |_| Ok(()))?;
        let missing = || Refusal::NotFound("there is no such environment".to_owned());
        let (known, index) = self.memory.find(&target.policy, &target.environment).ok_or_else(missing)?;
        let moment = self.moment();
        let facts = self.memory.facts(known, index, &moment).ok_or_else(missing)?;
        let up_to_here = known.standings.iter().take(index + 1);
        let chosen: Vec<Release> =
            up_to_here.filter_map(|standing| standing.chosen.as_ref().ok()).flatten().cloned().collect();
        let releases = find::not_yet(&facts, &chosen);
        let shown = releases.iter().take(RELEASES_SHOWN_MAX).filter_map(|release| {
            let standing = self.standing_of(known, index, &[release], &moment, &mut 0)?;
            Some(missing_view(known, index, release, standing))
        });
        Ok(NotYetView {
            policy: target.policy.clone(),
            environment: target.environment.clone(),
            runs: facts.ledger.current().and_then(|current| current.release.as_ref()).map(release_view),
            releases: shown.collect(),
            n_releases: releases.len(),
        })
    }

    /// The builds of this name that the registry shows and no environment knows, where one build is a release.
    fn built(&self, known: &PolicyState, name: &Name) -> Vec<Release> {
        let [image] = known.policy.images.as_slice() else { return Vec::new() };
        let Some(repository) = self.memory.repositories.get(&image.repository) else { return Vec::new() };
        let builds = repository.known.values().filter_map(|known| known.build.as_ref());
        let named = builds.filter(|build| name.is_of_build(build)).take(RELEASES_SHOWN_MAX);
        named.map(|build| Release::new([(image.name.clone(), build.clone())].into_iter().collect())).collect()
    }

    /// How an environment stands to the release that is best placed there.
    fn standing_of(
        &self,
        known: &PolicyState,
        index: usize,
        meant: &[&Release],
        moment: &PassContext<'_>,
        fates_left: &mut usize,
    ) -> Option<StandingView> {
        let facts = self.memory.facts(known, index, moment)?;
        let mut found = find::best(&facts, meant)?;
        if found.presence == Presence::Waits && found.why.is_empty() {
            found.why.clone_from(&known.standings.get(index)?.why);
        }
        let mut fate = None;
        if found.presence == Presence::Never && found.why.is_empty() && *fates_left > 0 {
            *fates_left -= 1;
            fate = choose::fate(&self.memory, known, index, moment.now, found.release);
        }
        Some(StandingView {
            policy: known.policy.name.clone(),
            environment: facts.environment.name.clone(),
            presence: found.presence.code(),
            text: sentence(&facts, &found, fate.as_deref()),
            release: release_view(found.release),
            runs: facts.ledger.current().and_then(|current| current.release.as_ref()).map(release_view),
            runs_state: facts.ledger.current().map(find::state),
            arrival: found.arrival.map(|arrival| arrival_view(arrival, &facts)),
            until: found.until,
            why: found.why,
        })
    }
}

/// A release that an environment does not have, and where else in the policy it is.
fn missing_view(known: &PolicyState, index: usize, release: &Release, standing: StandingView) -> MissingView {
    let ledgers = known.standings.iter().take(index).map(|standing| &standing.ledger);
    let first = ledgers.filter_map(|ledger| ledger.arrivals.get(ledger.first_arrival(release.id())?));
    let environments = known.policy.environments.iter().zip(&known.standings);
    let runs = |standing: &EnvironmentState| standing.ledger.current().is_some_and(|it| it.is_of(release.id()));
    MissingView {
        standing,
        since: first.map(|arrival| arrival.at).min(),
        runs_in: environments.filter(|(_, standing)| runs(standing)).map(|(it, _)| it.name.clone()).collect(),
    }
}

/// How an environment stands to a release, in one sentence.
fn sentence(facts: &Facts<'_>, found: &Found<'_>, fate: Option<&str>) -> String {
    let mut words: Vec<String> = Vec::new();
    for why in found.why.iter().map(Why::to_string).chain(fate.map(str::to_owned)) {
        if !words.contains(&why) {
            words.push(why);
        }
    }
    let why = if words.is_empty() { String::new() } else { format!(": {}", words.join("; ")) };
    let current = facts.ledger.current().map_or_else(
        || "nothing that is known runs".to_owned(),
        |current| match &current.release {
            Some(release) => format!("{} runs", facts.name(release)),
            None => format!("{} runs", current.pin),
        },
    );
    let state = found.arrival.map(find::state).unwrap_or_default();
    match found.presence {
        Presence::Runs => {
            let since = found.arrival.map(|arrival| format!(" since {:.0}", arrival.at)).unwrap_or_default();
            format!("runs{since}: {state}")
        }
        Presence::Waits => match &found.behind {
            Some(ahead) => format!("waits behind {ahead}, and is skipped once that runs here"),
            None => format!("comes next{why}"),
        },
        Presence::RanBefore => {
            let from = found.arrival.map(|arrival| format!("{:.0}", arrival.at)).unwrap_or_default();
            let until = found.until.map(|until| format!(" to {until:.0}")).unwrap_or_default();
            format!("ran from {from}{until} ({state}); {current}{why}")
        }
        Presence::Refused => format!("does not come{why}; {current}"),
        Presence::Newer => format!("overtaken: {current}, which is newer"),
        Presence::Never => format!("never had it{why}; {current}"),
    }
}
