//! Who may write a place that several environments want, and which file a policy's name belongs to, as this journal knows
//! it. What is decided stands in `relay::places` and `config`.

use crate::config::{Owner, Owners};
use crate::daemon::Daemon;
use crate::daemon::state::memory::EnvironmentState;
use crate::daemon::state::memory::PolicyState;
use crate::model::policy::PolicyOrigin;
use crate::model::{Environment, Event, Ledger, PolicyName, Scope, Why};
use crate::relay::edit::Claim;
use crate::relay::places::{self, Claimant};
use std::collections::BTreeMap;

/// One environment that wants places, before it is known who has them.
struct Wish<'a> {
    scope: Scope,
    origin: PolicyOrigin,
    places: Vec<String>,
    ledger: &'a Ledger,
    /// Whether all its places are known: then they are kept once they are its own.
    is_read: bool,
}

impl Daemon {
    /// From where policies were loaded before, and whether those files can be read yet.
    pub(in crate::daemon) fn owners(&self) -> Owners {
        let owner = |origin: &String| Owner { origin: origin.clone(), is_unread: self.is_unread(origin) };
        self.origins.iter().map(|(name, origin)| (name.clone(), owner(origin))).collect()
    }

    /// Whether nobody can tell what a file says: its source was not read since the start, or the file itself cannot be read.
    fn is_unread(&self, origin: &str) -> bool {
        self.source_of(origin).is_some_and(|source| {
            let files = self.sources.get(&source);
            files.is_none_or(|files| files.unread.iter().any(|(of, _)| of.to_string() == origin))
        })
    }

    /// Whether it is not known yet what a file says: it was not read, or was not judged since the start.
    fn is_unknown(&self, origin: &str) -> bool {
        self.is_unread(origin) || self.source_of(origin).is_some_and(|source| !self.judging.has_judged(&source))
    }

    /// The source that holds a file, as `sources` names it; none where it stands nowhere any more.
    fn source_of(&self, origin: &str) -> Option<Option<String>> {
        if self.config.policies.is_some() {
            return Some(None);
        }
        let holders = self.config.repositories.iter().filter(|(_, settings)| settings.policies.is_some());
        let mut names = holders.map(|(name, _)| name);
        names.find(|name| origin.starts_with(&format!("{name}:"))).map(|name| Some(name.clone()))
    }

    /// Takes in from where policies were loaded before this start.
    pub(in crate::daemon) async fn remember_origins(&mut self) -> Result<(), crate::journal::JournalError> {
        for good in self.journal.good_policies().await? {
            if let Ok(name) = PolicyName::parse(&good.name) {
                self.origins.insert(name, good.origin);
            }
        }
        Ok(())
    }

    /// What an environment writes in files, as its branch was read.
    pub(in crate::daemon) fn places_in_files(&self, environment: &Environment, claims: &[Claim]) -> Vec<String> {
        let deliver = &environment.deliver;
        let Some(settings) = self.config.repositories.get(&deliver.repository) else { return Vec::new() };
        let repository = settings.location();
        claims.iter().map(|it| places::of_file(&repository, &deliver.branch, &it.file, &it.path)).collect()
    }

    /// Finds out anew which environments have their places, tells of those that must leave one, and keeps what the others
    /// have.
    pub(in crate::daemon) async fn settle_places(&mut self) {
        let wishes = self.wishes();
        let claimants: Vec<Claimant<'_>> = wishes.iter().map(claimant).collect();
        let taken = places::taken(&claimants);
        let mut reasons: BTreeMap<Scope, Why> = BTreeMap::new();
        let mut told = Vec::new();
        for (index, taken) in &taken {
            let (loser, winner) = (&wishes[*index], &wishes[taken.by]);
            let (by, place) = (format!("{} ({})", winner.scope, winner.origin), places::shown(&taken.place));
            told.push(format!(
                "error: {} ({}) and {by} both want {place}: the first is stopped, the second goes on",
                loser.scope, loser.origin
            ));
            reasons.insert(loser.scope.clone(), Why::PlaceTaken { place, by });
        }
        let mut events = Vec::new();
        for (index, wish) in wishes.iter().enumerate() {
            if wish.is_read && !taken.contains_key(&index) && wish.ledger.places.as_deref() != Some(&wish.places) {
                events.push((wish.scope.clone(), Event::Claimed { places: wish.places.clone() }));
            }
        }
        self.set_taken(&reasons);
        for text in told.iter().filter(|text| !self.memory.contested.contains(text)) {
            tracing::error!("{text}");
        }
        self.memory.contested = told;
        if !events.is_empty() {
            // What the journal does not take is kept with the next reading.
            let _kept = self.record_all(events).await;
        }
    }

    /// Keeps for each environment why its places are not its own, and marks those where that changed.
    fn set_taken(&mut self, reasons: &BTreeMap<Scope, Why>) {
        let mut changed = Vec::new();
        for known in self.memory.policies.values_mut() {
            let name = known.policy.name.clone();
            for (environment, standing) in known.policy.environments.iter().zip(&mut known.standings) {
                let reason = reasons.get(&Scope::of(&name, &environment.name)).cloned();
                if standing.taken != reason {
                    standing.taken = reason;
                    changed.push(name.clone());
                }
            }
        }
        changed.iter().for_each(|policy| self.mark(policy));
    }

    /// All environments that want places: those of the policies that are known, and those of files that were not read yet,
    /// or were read and not judged.
    fn wishes(&self) -> Vec<Wish<'_>> {
        let mut wishes: Vec<Wish<'_>> = self.memory.policies.values().flat_map(wishes_of).collect();
        for (scope, ledger) in self.past.ledgers() {
            let Some((policy, held)) = scope.policy.as_ref().zip(ledger.places.as_deref()) else { continue };
            let Some(origin) = self.origins.get(policy).filter(|origin| self.is_unknown(origin)) else { continue };
            if !self.memory.policies.contains_key(policy) {
                let origin = PolicyOrigin { repository: None, path: origin.clone() };
                wishes.push(Wish { scope: scope.clone(), origin, places: held.to_vec(), ledger, is_read: false });
            }
        }
        wishes
    }
}

/// What the environments of a policy want.
fn wishes_of(known: &PolicyState) -> Vec<Wish<'_>> {
    let policy = &known.policy;
    let environments = policy.environments.iter().zip(&known.standings);
    let wish = |(environment, standing): (&Environment, &'_ EnvironmentState)| {
        let mut places = by_name(environment);
        let held = standing.ledger.places.as_deref().unwrap_or_default();
        match &standing.places {
            Some(in_files) => places.extend(in_files.iter().cloned()),
            // Until its branch is read, it has what it had.
            None if !environment.is_tag_only() => places.extend(held.iter().cloned()),
            None => {}
        }
        places.sort();
        places.dedup();
        (Scope::of(&policy.name, &environment.name), places, standing.places.is_some() || environment.is_tag_only())
    };
    environments
        .map(|(environment, standing)| {
            let (scope, places, is_read) = wish((environment, standing));
            Wish { scope, origin: policy.origin.clone(), places, ledger: &standing.ledger, is_read }
        })
        .collect()
}

/// The places that need no file to be known: tags that are pushed, and deployments that GitLab is told of.
fn by_name(environment: &Environment) -> Vec<String> {
    let retag = environment.promote.as_ref().and_then(|promote| promote.retag.as_ref());
    let tags = environment.images.iter().filter_map(|image| Some(places::of_tag(&image.repository, retag?)));
    let reports = environment.report.iter().map(|report| places::of_report(&report.project, &report.environment));
    tags.chain(reports).collect()
}

fn claimant<'w>(wish: &'w Wish<'_>) -> Claimant<'w> {
    Claimant {
        scope: wish.scope.clone(),
        origin: wish.origin.clone(),
        places: wish.places.iter().map(String::as_str).collect(),
        held: wish.ledger.places.as_deref(),
        ran: wish.ledger.current().is_some(),
    }
}
