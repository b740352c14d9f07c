//! What people tell the daemon, turned into facts: each is kept whole in one transaction, or refused with nothing changed.

use crate::daemon::Daemon;
use crate::daemon::effects::precheck as look;
use crate::daemon::handle::{Command, Refusal, Reply, Target};
use crate::daemon::inbox::answer;
use crate::daemon::message::Message;
use crate::daemon::requests::vote::{Vote, Word};
use crate::daemon::requests::way_back::Before;
use crate::daemon::state::meant::{choices, find, one_of};
use crate::daemon::state::memory::EnvironmentState;
use crate::model::event::{Event, Order};
use crate::model::{Environment, Outcome, Pin, Release, ReleaseId, Scope, Sequence, Why, text};
use crate::relay::authority;
use crate::relay::candidate::{self, Candidates};
use crate::relay::facts::Facts;
use crate::relay::resume::{self, Asked, Lifted, Of, Stop};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// How many releases a list of choices names at the most.
const LISTED_MAX: usize = 20;

impl Daemon {
    /// Carries out a command for a person, and answers when it is kept or refused.
    pub(in crate::daemon) async fn command(&mut self, command: Command, who: String, reply: Reply) {
        if self.looks_for(&command) {
            return self.command_later(command, who, reply);
        }
        let done = match command {
            Command::Approve { target, release, reason, by } => {
                self.vote(&target, Vote { word: Word::Approve, release, reason, by }, &who).await
            }
            Command::Reject { target, release, reason, by } => {
                self.vote(&target, Vote { word: Word::Reject, release, reason, by }, &who).await
            }
            Command::Unapprove { target, release, reason, by } => {
                self.vote(&target, Vote { word: Word::TakeBack, release, reason, by }, &who).await
            }
            Command::Hold { scope, reason, until } => self.hold(&scope, &reason, until, who).await,
            Command::Resume { scope, of, every } => {
                let of = of.as_deref().map(Of::parse);
                return self.resume(Asked { scope, of, every }, &who, reply).await;
            }
            Command::Promote { target, release, force } => self.promote(&target, release.as_deref(), force, &who).await,
            Command::Rollback { target, release, reason } => {
                return self.rollback(target, release.as_deref(), &reason, who, reply);
            }
            Command::Verify { target } => self.verify(&target, &who).await,
            Command::VerifyAll { scope } => self.verify_all(&scope, &who).await,
        };
        answer(reply, done);
    }

    async fn hold(
        &mut self,
        scope: &Scope,
        reason: &str,
        until: Option<Timestamp>,
        who: String,
    ) -> Result<String, Refusal> {
        self.must_exist(scope)?;
        if let Some(past) = until.filter(|until| *until <= self.clock.now()) {
            return Err(Refusal::Conflict(format!("a hold until {past:.0} would be over already")));
        }
        self.keep(scope, vec![Event::Held { who, why: text::shown(reason), until }]).await?;
        Ok(format!("{scope} is held until {}", until.map_or("it is resumed".to_owned(), |until| format!("{until:.0}"))))
    }

    /// Lifts what stands in the way in a scope. Where that is another journal's commit, git is asked first which releases ran
    /// there before; the answer comes then.
    async fn resume(&mut self, asked: Asked, who: &str, reply: Reply) {
        let chosen = match self.lifts(&asked) {
            Ok(chosen) => chosen,
            Err(refusal) => return answer(reply, Err(refusal)),
        };
        if let Some(reply) = self.read_before(&chosen.lifts, &asked, who, reply) {
            answer(reply, self.lift(&asked, &Before::default(), who).await);
        }
    }

    /// What a resume lifts as things stand.
    fn lifts(&self, asked: &Asked) -> Result<Lifted, Refusal> {
        self.must_exist(&asked.scope)?;
        let stops = self.stops_in(&asked.scope);
        if let Some(of) = asked.of.as_ref().filter(|of| !stops.iter().any(|stop| stop.of == **of)) {
            let there: Vec<String> = stops.iter().take(LISTED_MAX).map(ToString::to_string).collect();
            let there = if there.is_empty() { "nothing".to_owned() } else { there.join(", ") };
            let (scope, of) = (&asked.scope, text::shown(&of.to_string()));
            return Err(Refusal::NotFound(format!("nothing of `{of}` stands in {scope}; there is: {there}")));
        }
        resume::choose(stops, asked).map_err(Refusal::Ambiguous)
    }

    /// Lifts it; an environment that met another journal's commit adopts its pin as it is.
    pub(in crate::daemon) async fn lift(
        &mut self,
        asked: &Asked,
        before: &Before,
        who: &str,
    ) -> Result<String, Refusal> {
        let lifted = self.lifts(asked)?;
        self.record_all(resumed(&lifted.lifts, who)).await.ok_or_else(not_kept)?;
        let adopted = self.adopt_what_runs(&lifted.lifts, before, who).await?;
        let let_through = |of: &Scope| lifted.lifts.iter().any(|stop| stop.of == Of::TooMany && stop.scope == *of);
        for known in self.memory.policies.values_mut() {
            for (environment, standing) in known.policy.environments.iter().zip(&mut known.standings) {
                let of = Scope::of(&known.policy.name, &environment.name);
                if !asked.scope.contains(&of) {
                    continue;
                }
                if let Some((_, release)) = standing.too_many.take_if(|_| let_through(&of)) {
                    standing.let_through = Some(release);
                }
                standing.blocks.clear();
            }
        }
        self.mark_all();
        Ok(resume::told(&asked.scope, &lifted, &adopted) + &before.told())
    }

    /// Everything in a scope that a person may lift, each once.
    fn stops_in(&self, scope: &Scope) -> Vec<Stop> {
        let now = self.clock.now();
        let mut stops: Vec<Stop> = Vec::new();
        let mut seen = BTreeSet::new();
        for known in self.memory.policies.values() {
            for (environment, standing) in known.policy.environments.iter().zip(&known.standings) {
                let of = Scope::of(&known.policy.name, &environment.name);
                if !scope.contains(&of) {
                    continue;
                }
                let holds = standing.ledger.holds_at(now).filter(|hold| scope.contains(&hold.scope));
                stops.extend(holds.filter(|hold| seen.insert(hold.sequence)).map(Stop::hold));
                let journal =
                    standing.why.iter().find(|why| why.code() == "JournalIsNew").map(|why| (Of::Journal, why));
                let too_many = standing.too_many.as_ref().map(|(why, _)| (Of::TooMany, why));
                stops.extend(journal.into_iter().chain(too_many).map(|(kind, why)| Stop {
                    scope: of.clone(),
                    of: kind,
                    why: why.to_string(),
                    hold: None,
                    is_of_rollback: false,
                }));
            }
        }
        stops
    }

    async fn promote(
        &mut self,
        target: &Target,
        named: Option<&str>,
        force: Option<String>,
        who: &str,
    ) -> Result<String, Refusal> {
        let scope = Scope::of(&target.policy, &target.environment);
        let force = force.map(|reason| text::shown(&reason));
        let (release, holds) = self.with_facts(target, |facts| {
            let held = authority::stops(facts).into_iter().find(|why| why.is_hold() || why.code() == "ManyFailed");
            if force.is_none()
                && let Some(held) = held
            {
                let cure = if matches!(held, Why::HeldByFile { .. }) { "delete the file" } else { "resume it" };
                return Err(Refusal::Conflict(format!("{held}; {cure} first, or promote with --force and a reason")));
            }
            let found = candidate::by_policy(facts);
            let release = match named {
                Some(named) => find(facts, named)?,
                None => newest(&found)?,
            };
            if facts.ledger.current().is_some_and(|current| current.is_of(release.id())) {
                return Err(Refusal::Conflict(format!("{release} is what runs there")));
            }
            // The order lifts a refusal of the release here.
            let mut ledger = facts.ledger.clone();
            ledger.refusals.remove(release.id());
            let chosen = candidate::by_policy(&Facts { ledger: &ledger, ..facts.clone() });
            Ok((release.clone(), !chosen.releases.contains(&release)))
        })?;
        let forced = force.is_some();
        let order = Order::Promote { release: release.clone(), force, holds };
        self.keep(&scope, vec![Event::Ordered { order, who: who.to_owned() }]).await?;
        let then = if forced { "at once, past its gates" } else { "when its gates are open" };
        let held = if holds { "; the policy would choose another, so its arrival holds the environment" } else { "" };
        Ok(format!("{release} ({}) goes to {scope} {then}{held}", release.short()))
    }

    /// Finds what a rollback would bring back, and whether the registry still has it; the loop goes on meanwhile.
    pub(in crate::daemon) fn rollback(
        &self,
        target: Target,
        named: Option<&str>,
        reason: &str,
        who: String,
        reply: Reply,
    ) {
        let found = self.with_facts(&target, |facts| {
            let to = brought_back(facts, named)?;
            Ok((look::builds(&facts.environment.images, &to), to))
        });
        let (builds, to) = match found {
            Ok(found) => found,
            Err(refusal) => return answer(reply, Err(refusal)),
        };
        let (registry, out, reason) = (self.clients.registry.clone(), self.out.clone(), text::shown(reason));
        self.tasks.spawn(async move {
            match look::must_be_there(&registry, &builds, true).await {
                Err(gone) => answer(reply, Err(Refusal::Conflict(format!("{to} cannot be brought back: {gone}")))),
                Ok(()) => {
                    // The loop may have stopped: nothing was kept, and whoever asked is told that nobody answers.
                    let _sent = out.send(Message::BringBack { target, to, reason, who, reply }).await;
                }
            }
        });
    }

    /// Keeps the order, the hold and the refusal of the release that is left, in one transaction.
    pub(in crate::daemon) async fn bring_back(
        &mut self,
        target: &Target,
        to: &Release,
        why: String,
        who: String,
    ) -> Result<String, Refusal> {
        let scope = Scope::of(&target.policy, &target.environment);
        let left = self.with_facts(target, left)?;
        if left == *to {
            return Err(Refusal::Conflict(format!("{to} is what runs there")));
        }
        let words = format!("rolled back to {to}: {why}");
        let events = vec![
            Event::Ordered { order: Order::Rollback { to: to.clone(), why }, who: who.clone() },
            Event::Held { who: who.clone(), why: words.clone(), until: None },
            Event::Refused { release: left.clone(), who, why: words },
        ];
        self.keep(&scope, events).await?;
        Ok(format!("{scope} goes back from {left} to {to} ({}), is held, and refuses {left}", to.short()))
    }

    pub(in crate::daemon) async fn verify(&mut self, target: &Target, who: &str) -> Result<String, Refusal> {
        let scope = Scope::of(&target.policy, &target.environment);
        let (environment, standing) = self.place(target)?;
        let current =
            standing.ledger.current().ok_or_else(|| Refusal::Conflict("nothing is pinned there".to_owned()))?;
        let release = current.release.clone();
        let release = release.ok_or_else(|| Refusal::Conflict("the pin names nothing that is known".to_owned()))?;
        let in_flight = standing.ledger.in_flight().map(|arrival| arrival.rollout);
        let words = if environment.is_unwatched() {
            "your word is the evidence"
        } else {
            "its signals and checks are read again"
        };
        let why = format!("{who} asked to verify it again");
        let ended = |rollout| Event::Ended { rollout, outcome: Outcome::Canceled, why: why.clone() };
        let mut events: Vec<Event> = in_flight.map(ended).into_iter().collect();
        events.push(Event::Ordered { order: Order::Verify, who: who.to_owned() });
        events.push(Event::RulesKept { rules: environment.rollout_rules() });
        self.keep(&scope, events).await?;
        Ok(format!("{release} in {scope}: {words}"))
    }

    pub(in crate::daemon) async fn keep(&mut self, scope: &Scope, events: Vec<Event>) -> Result<(), Refusal> {
        if !self.record(scope, events).await {
            return Err(not_kept());
        }
        match &scope.policy {
            Some(policy) => self.mark(&policy.clone()),
            None => self.mark_all(),
        }
        Ok(())
    }

    pub(in crate::daemon) fn place(&self, target: &Target) -> Result<(&Environment, &EnvironmentState), Refusal> {
        let found = self.memory.find(&target.policy, &target.environment);
        let (known, index) = found.ok_or_else(|| self.no_such(target))?;
        known.policy.environments.get(index).zip(known.standings.get(index)).ok_or_else(|| self.no_such(target))
    }

    pub(in crate::daemon) fn with_facts<R>(
        &self,
        target: &Target,
        look: impl FnOnce(&Facts<'_>) -> Result<R, Refusal>,
    ) -> Result<R, Refusal> {
        let found = self.memory.find(&target.policy, &target.environment);
        let (known, index) = found.ok_or_else(|| self.no_such(target))?;
        let moment = self.moment();
        let facts = self.memory.facts(known, index, &moment).ok_or_else(|| self.no_such(target))?;
        look(&facts)
    }

    fn no_such(&self, target: &Target) -> Refusal {
        let Target { policy, environment } = target;
        Refusal::NotFound(format!("there is no {policy}/{environment}; there are: {}", self.all_names()))
    }

    /// The environments that there are, as one types them.
    fn all_names(&self) -> String {
        let names = self.memory.policies.values().flat_map(|known| {
            known
                .policy
                .environments
                .iter()
                .map(move |environment| format!("{}/{}", known.policy.name, environment.name))
        });
        let (listed, n) = (names.clone().take(LISTED_MAX).collect::<Vec<_>>().join(", "), names.count());
        let more = if n > LISTED_MAX { format!(" and {} more", n - LISTED_MAX) } else { String::new() };
        listed + &more
    }

    pub(in crate::daemon) fn must_exist(&self, scope: &Scope) -> Result<(), Refusal> {
        let mut scopes = self.memory.policies.values().flat_map(|known| {
            known.policy.environments.iter().map(|environment| Scope::of(&known.policy.name, &environment.name))
        });
        let named = scope.policy.is_some() || scope.environment.is_some();
        if named && !scopes.any(|of| scope.contains(&of)) {
            return Err(Refusal::NotFound(format!("nothing is named by {scope}; there are: {}", self.all_names())));
        }
        Ok(())
    }
}

/// The facts that lift these holds, one for each scope.
fn resumed(lifts: &[Stop], who: &str) -> Vec<(Scope, Event)> {
    let mut holds: BTreeMap<&Scope, Vec<Sequence>> = BTreeMap::new();
    for stop in lifts {
        if let Some(hold) = stop.hold {
            holds.entry(&stop.scope).or_default().push(hold);
        }
    }
    let lifted = |(scope, holds): (&Scope, Vec<Sequence>)| {
        (scope.clone(), Event::Resumed { who: who.to_owned(), met: None, holds: Some(holds) })
    };
    holds.into_iter().map(lifted).collect()
}

pub(in crate::daemon) fn not_kept() -> Refusal {
    Refusal::Unavailable("the journal did not take it: nothing was changed; the log says why".to_owned())
}

/// Whether a pin stands there that is not read, or not taken up yet.
pub(in crate::daemon) fn is_unmet(standing: &EnvironmentState) -> bool {
    let (Ok(pin), Ok(_)) = (&standing.pin, &standing.named) else { return true };
    let met = |pin: &Pin| {
        let current = standing.ledger.current();
        current.is_some_and(|now| now.pin == *pin || now.release.as_ref().is_some_and(|release| pin.says(release)))
    };
    pin.as_ref().is_some_and(|reading| !reading.pin.0.is_empty() && !met(&reading.pin))
}

/// The release that a rollback leaves.
fn left(facts: &Facts<'_>) -> Result<Release, Refusal> {
    let current = facts.ledger.current().and_then(|current| current.release.clone());
    current.ok_or_else(|| Refusal::Conflict("nothing that is known runs there".to_owned()))
}

/// The release that a rollback brings back: one that ran here, or none.
fn brought_back(facts: &Facts<'_>, named: Option<&str>) -> Result<Release, Refusal> {
    let left = left(facts)?;
    let ran_here = |release: &Release| authority::ran_here(facts.ledger, release.id());
    let to = match named {
        Some(named) => {
            let arrived = facts.ledger.arrivals.iter().rev().filter_map(|arrival| arrival.release.as_ref());
            match one_of(arrived.filter(|release| ran_here(release)), named) {
                Err(Refusal::NotFound(_)) => find(facts, named)?,
                found => found?,
            }
        }
        None => authority::way_back(facts.ledger, left.id()).cloned().ok_or_else(|| no_way_back(facts, left.id()))?,
    };
    if to == left {
        return Err(Refusal::Conflict(format!("{to} is what runs there")));
    }
    if !ran_here(&to) {
        let (scope, id) = (facts.scope(), to.id());
        return Err(Refusal::Conflict(format!(
            "{to} never ran here, or never got as far as a verdict: promote it (`tagrelay promote {scope} {id}`), so that its gates are asked"
        )));
    }
    Ok(to)
}

/// Why nothing goes back by itself, and which releases a person may name.
fn no_way_back(facts: &Facts<'_>, left: &ReleaseId) -> Refusal {
    let arrived = facts.ledger.arrivals.iter().rev().filter_map(|arrival| arrival.release.as_ref());
    let mut named: Vec<&Release> = Vec::new();
    for release in arrived.filter(|release| release.id() != left && authority::ran_here(facts.ledger, release.id())) {
        if !named.contains(&release) {
            named.push(release);
        }
    }
    let none = "no other release was verified there, or adopted: there is none to go back to";
    Refusal::Conflict(match named.first() {
        None => none.to_owned(),
        Some(newest) => {
            let scope = facts.scope();
            let list = choices(&named);
            let command = format!("tagrelay rollback {scope} {} --reason TEXT", newest.short());
            format!("{none} by itself; these ran there, name one: {list} (`{command}`)")
        }
    })
}

fn newest(found: &Candidates) -> Result<Release, Refusal> {
    found.releases.first().cloned().ok_or_else(|| {
        let why: Vec<String> = found.passed_over.iter().map(ToString::to_string).collect();
        Refusal::NotFound(format!("there is no candidate: {}", why.join("; ")))
    })
}
