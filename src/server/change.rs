//! What people tell the daemon over HTTP: each with a token that may do it there, each kept and logged with their name.
//!
//! It checks who may and hands the command on; whether it can be done is the daemon's to say.

use super::Server;
use super::access::Somebody;
use super::reply::{Answer, Refused};
use super::request::{At, Body, said, scope};
use crate::config::Act;
use crate::daemon::{Command, Refusal, Target};
use crate::model::Scope;
use crate::model::policy::Ballot;
use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reasoned {
    release: Option<String>,
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Promotion {
    release: Option<String>,
    #[serde(default)]
    force: bool,
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hold {
    policy: Option<String>,
    environment: Option<String>,
    reason: Option<String>,
    until: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Over {
    policy: Option<String>,
    environment: Option<String>,
    of: Option<String>,
    #[serde(default)]
    every: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    policy: Option<String>,
    environment: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Votes for a release.
pub(super) async fn approve(State(server): State<Server>, somebody: Somebody, At(target): At, body: Body) -> Answer {
    let errand = Errand::at(&server, &somebody, Act::Approve, &target)?;
    let Reasoned { release, reason } = body.read()?;
    errand.carry_out(Command::Approve { target, release, reason, by: Ballot::Cli }).await
}

/// Takes back one's own vote for a release.
pub(super) async fn unapprove(State(server): State<Server>, somebody: Somebody, At(target): At, body: Body) -> Answer {
    let errand = Errand::at(&server, &somebody, Act::Approve, &target)?;
    let Reasoned { release, reason } = body.read()?;
    errand.carry_out(Command::Unapprove { target, release, reason, by: Ballot::Cli }).await
}

/// Refuses a release.
pub(super) async fn reject(State(server): State<Server>, somebody: Somebody, At(target): At, body: Body) -> Answer {
    let errand = Errand::at(&server, &somebody, Act::Reject, &target)?;
    let Reasoned { release, reason } = body.read()?;
    errand.carry_out(Command::Reject { target, release, reason, by: Ballot::Cli }).await
}

/// Orders a release.
pub(super) async fn promote(State(server): State<Server>, somebody: Somebody, At(target): At, body: Body) -> Answer {
    let errand = Errand::at(&server, &somebody, Act::Promote, &target)?;
    let Promotion { release, force, reason } = body.read()?;
    let force = match (force, said(reason)) {
        (false, None) => None,
        (false, Some(_)) => {
            return Err(Refused::bad("`reason` goes with `force: true`: an order that waits for its gates has none"));
        }
        (true, None) => return Err(Refused::bad("a forced promotion needs a `reason`: it is kept with your name")),
        (true, Some(reason)) => {
            somebody.must(Act::Force, &errand.scope)?;
            Some(reason)
        }
    };
    errand.carry_out(Command::Promote { target, release, force }).await
}

/// Brings a release back.
pub(super) async fn rollback(State(server): State<Server>, somebody: Somebody, At(target): At, body: Body) -> Answer {
    let errand = Errand::at(&server, &somebody, Act::Rollback, &target)?;
    let Reasoned { release, reason } = body.read()?;
    let reason = said(Some(reason)).ok_or_else(|| {
        Refused::bad("a rollback needs a `reason`: it is kept with your name and stands in the commit")
    })?;
    errand.carry_out(Command::Rollback { target, release, reason }).await
}

/// Has what runs verified again.
pub(super) async fn verify(State(server): State<Server>, somebody: Somebody, At(target): At, body: Body) -> Answer {
    let errand = Errand::at(&server, &somebody, Act::Verify, &target)?;
    let Nothing {} = body.read()?;
    errand.carry_out(Command::Verify { target }).await
}

/// Has all that runs and is not verified judged, some environments at a time.
pub(super) async fn verify_all(State(server): State<Server>, somebody: Somebody, body: Body) -> Answer {
    let Part { policy, environment } = body.read()?;
    let scope = scope(policy.as_deref(), environment.as_deref())?;
    let errand = Errand::over(&server, &somebody, Act::Verify, scope.clone())?;
    errand.carry_out(Command::VerifyAll { scope }).await
}

/// Stops changes.
pub(super) async fn hold(State(server): State<Server>, somebody: Somebody, body: Body) -> Answer {
    let Hold { policy, environment, reason, until } = body.read()?;
    let scope = scope(policy.as_deref(), environment.as_deref())?;
    let errand = Errand::over(&server, &somebody, Act::Hold, scope.clone())?;
    let reason = said(reason).ok_or_else(|| Refused::bad("a hold needs a `reason`: whoever finds it wants to know"))?;
    errand.carry_out(Command::Hold { scope, reason, until }).await
}

/// Lifts holds.
pub(super) async fn resume(State(server): State<Server>, somebody: Somebody, body: Body) -> Answer {
    let Over { policy, environment, of, every } = body.read()?;
    if every && of.is_some() {
        return Err(Refused::bad("`of` names one kind, `every` all of them: say one of the two"));
    }
    let scope = scope(policy.as_deref(), environment.as_deref())?;
    let errand = Errand::over(&server, &somebody, Act::Resume, scope.clone())?;
    errand.carry_out(Command::Resume { scope, of, every }).await
}

/// Has reports tried again: it changes nothing but when GitLab is asked, and is for whoever may resume everything.
pub(super) async fn retry_reports(State(server): State<Server>, somebody: Somebody, body: Body) -> Answer {
    let errand = Errand::over(&server, &somebody, Act::Resume, Scope::default())?;
    let Nothing {} = body.read()?;
    let kept = server.handle.retry_reports(somebody.name()).await;
    errand.told(kept)
}

/// Something that somebody may do.
pub(super) struct Errand<'a> {
    server: &'a Server,
    somebody: &'a Somebody,
    act: Act,
    scope: Scope,
}

impl<'a> Errand<'a> {
    /// What somebody wants in one environment, if they may.
    pub(super) fn at(server: &'a Server, somebody: &'a Somebody, act: Act, target: &Target) -> Result<Self, Refused> {
        Self::over(server, somebody, act, Scope::of(&target.policy, &target.environment))
    }

    /// What somebody wants over a scope, if they may.
    fn over(server: &'a Server, somebody: &'a Somebody, act: Act, scope: Scope) -> Result<Self, Refused> {
        somebody.must(act, &scope)?;
        Ok(Self { server, somebody, act, scope })
    }

    async fn carry_out(self, command: Command) -> Answer {
        let kept = self.server.handle.command(command, self.somebody.name()).await;
        self.told(kept)
    }

    /// Logs who did what, once, and says what was kept.
    pub(super) fn told(self, kept: Result<String, Refusal>) -> Answer {
        let (name, scope) = (self.somebody.name(), &self.scope);
        let act = format!("{:?}", self.act).to_lowercase();
        match kept {
            Ok(words) => {
                tracing::info!(access.name = %name, environment.scope = %scope, "{name}: {act} at {scope}: {words}");
                Ok(Json(json!({ "kept": words })))
            }
            Err(refusal) => {
                tracing::info!(access.name = %name, environment.scope = %scope, error = %refusal, "{name}: {act} at {scope} was refused: {refusal}");
                Err(refusal.into())
            }
        }
    }
}
