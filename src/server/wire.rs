//! The JSON form of the daemon's views. Keys may be added; one that stands here keeps its name and meaning.

use crate::daemon::view::{
    ArrivalView, EnvironmentView, Explanation, HistoryView, PlanView, PolicyView, ReleaseView, Status,
};
use crate::model::Why;
use serde_json::{Map, Value, json};

/// Everything at one glance.
pub(super) fn status(status: &Status) -> Value {
    let repositories = status.repositories.iter().map(|view| {
        json!({ "repository": view.repository, "read_at": view.read_at.map(|at| at.to_string()), "tags": view.n_tags, "error": view.error, "note": view.note })
    });
    let hosts = status.hosts.iter().map(
        |view| json!({ "host": view.host, "requests": view.n_requests, "at_once": view.at_once, "error": view.error }),
    );
    let branches = status.branches.iter().map(|view| {
        json!({ "repository": view.repository, "branch": view.branch, "tip": view.tip,
                "read_at": view.read_at.map(|at| at.to_string()), "error": view.error })
    });
    let projects = status.projects.iter().map(|view| {
        json!({ "project": view.project, "pending": view.n_pending, "parked": view.parked, "error": view.error })
    });
    json!({
        "now": status.now.to_string(),
        "version": env!("CARGO_PKG_VERSION"),
        "journal": status.journal,
        "mode": status.mode,
        "policies": status.policies.iter().map(policy).collect::<Vec<_>>(),
        "broken": status.broken,
        "repositories": repositories.collect::<Vec<_>>(),
        "hosts": hosts.collect::<Vec<_>>(),
        "branches": branches.collect::<Vec<_>>(),
        "projects": projects.collect::<Vec<_>>(),
    })
}

/// One policy.
pub(super) fn policy(view: &PolicyView) -> Value {
    json!({
        "name": view.name.as_str(),
        "origin": view.origin,
        "broken": view.broken,
        "images": view.images,
        "environments": view.environments.iter().map(environment).collect::<Vec<_>>(),
    })
}

/// One environment.
pub(super) fn environment(view: &EnvironmentView) -> Value {
    let holds = view.holds.iter().map(|hold| {
        json!({ "scope": hold.scope, "who": hold.who, "why": hold.why, "since": hold.since.to_string(),
                "until": hold.until.map(|until| until.to_string()) })
    });
    let refusals = view
        .refusals
        .iter()
        .map(|refusal| json!({ "release": release(&refusal.release), "who": refusal.who, "why": refusal.why }));
    json!({
        "policy": view.policy.as_str(),
        "environment": view.environment.as_str(),
        "pin": view.pin,
        "current": view.current.as_ref().map(arrival),
        "candidate": view.candidate.as_ref().map(release),
        "gates": view.gates.iter().map(|gate| json!({ "open": gate.open, "words": gate.words })).collect::<Vec<_>>(),
        "waits_for_approval": view.waits_for_approval,
        "why": view.why.iter().map(why).collect::<Vec<_>>(),
        "holds": holds.collect::<Vec<_>>(),
        "refusals": refusals.collect::<Vec<_>>(),
    })
}

fn why(why: &Why) -> Value {
    json!({ "code": why.code(), "text": why.to_string(), "until": why.until().map(|until| until.to_string()) })
}

fn release(view: &ReleaseView) -> Value {
    let digests: Map<String, Value> =
        view.digests.iter().map(|(name, d)| (name.to_string(), json!(d.as_str()))).collect();
    let revisions: Map<String, Value> = view.revisions.iter().map(|(name, r)| (name.to_string(), json!(r))).collect();
    json!({ "id": view.id.as_str(), "tags": view.tags, "digests": digests, "revisions": revisions })
}

fn arrival(view: &ArrivalView) -> Value {
    json!({
        "rollout": view.rollout,
        "release": view.release.as_ref().map(release),
        "since": view.since.to_string(),
        "because": view.because,
        "commit": view.commit,
        "state": view.state,
        "why": view.why,
    })
}

/// Why an environment runs what it runs.
pub(super) fn explanation(view: &Explanation) -> Value {
    let tags = view.tags.iter().map(|tag| json!({ "image": tag.image.as_str(), "tag": tag.tag, "fate": tag.fate }));
    json!({ "environment": environment(&view.environment), "tags": tags.collect::<Vec<_>>(), "n_tags": view.n_tags, "notes": view.notes })
}

/// What a pass would do in each environment.
pub(crate) fn plans(plans: &[PlanView]) -> Value {
    json!({ "plans": plans.iter().map(plan).collect::<Vec<Value>>() })
}

fn plan(view: &PlanView) -> Value {
    let diffs = view.diffs.iter().map(|diff| json!({ "path": diff.path, "before": diff.before, "after": diff.after }));
    json!({
        "environment": environment(&view.environment),
        "effects": view.effects,
        "diffs": diffs.collect::<Vec<_>>(),
        "reports": view.reports,
        "message": view.message,
    })
}

/// One line of history.
pub(super) fn history(view: &HistoryView) -> Value {
    json!({
        "sequence": view.sequence,
        "at": view.at.to_string(),
        "scope": view.scope,
        "kind": view.kind,
        "text": view.text,
        "release": view.release.as_ref().map(|id| id.as_str()),
    })
}
