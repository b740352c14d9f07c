//! The JSON form of the daemon's views. Keys may be added; one that stands here keeps its name and meaning.

use crate::daemon::view::{
    ArrivalView, BranchView, ChangedView, EnvironmentView, Explanation, FileView, HistoryView, HostView, MissingView,
    NotYetView, PlanView, PolicyView, ProjectView, ReleaseView, ReportView, RepositoryView, StandingView, Status,
    WhereView, WriterView,
};
use crate::model::Why;
use crate::relay::health::{Finding, Trouble};
use crate::relay::places;
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

/// Everything at one glance. Its lists may be of thousands.
#[derive(Serialize)]
pub(super) struct StatusForm<'a> {
    now: String,
    version: &'static str,
    journal: &'a str,
    mode: &'static str,
    ready: bool,
    unready: Option<&'a str>,
    troubles: Each<'a, Trouble>,
    policies: Each<'a, PolicyView>,
    broken: &'a [String],
    repositories: Each<'a, RepositoryView>,
    hosts: Each<'a, HostView>,
    branches: Each<'a, BranchView>,
    projects: Each<'a, ProjectView>,
}

/// Everything at one glance.
pub(super) fn status(status: &Status) -> StatusForm<'_> {
    StatusForm {
        now: status.now.to_string(),
        version: env!("CARGO_PKG_VERSION"),
        journal: &status.journal,
        mode: status.mode,
        ready: status.health.unready.is_none(),
        unready: status.health.unready.as_deref(),
        troubles: Each(&status.health.troubles, trouble),
        policies: Each(&status.policies, policy),
        broken: &status.broken,
        repositories: Each(&status.repositories, repository),
        hosts: Each(&status.hosts, host),
        branches: Each(&status.branches, branch),
        projects: Each(&status.projects, project),
    }
}

/// All policies.
#[derive(Serialize)]
pub(super) struct PoliciesForm<'a> {
    policies: Each<'a, PolicyView>,
}

/// All policies.
pub(super) fn policies(views: &[PolicyView]) -> PoliciesForm<'_> {
    PoliciesForm { policies: Each(views, policy) }
}

/// A list whose items take their form one after the other, each only while it is written.
struct Each<'a, V>(&'a [V], fn(&V) -> Value);

impl<V> Serialize for Each<'_, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(self.1))
    }
}

fn trouble(trouble: &Trouble) -> Value {
    let Finding { kind, of, text, remedy, .. } = &trouble.finding;
    json!({ "what": kind.code(), "of": of, "since": trouble.since.to_string(), "text": text, "remedy": remedy })
}

fn repository(view: &RepositoryView) -> Value {
    let read_at = view.read_at.map(|at| at.to_string());
    json!({ "repository": view.repository, "read_at": read_at, "tags": view.n_tags, "error": view.error, "note": view.note })
}

fn host(view: &HostView) -> Value {
    json!({ "host": view.host, "requests": view.n_requests, "at_once": view.at_once, "error": view.error })
}

fn branch(view: &BranchView) -> Value {
    json!({ "repository": view.repository, "branch": view.branch, "tip": view.tip,
            "read_at": view.read_at.map(|at| at.to_string()), "error": view.error })
}

fn project(view: &ProjectView) -> Value {
    json!({ "project": view.project, "pending": view.n_pending, "parked": view.parked, "error": view.error })
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
        "concern": view.concern().code(),
        "why": view.why.iter().map(|it| why_since(it, view.why_since.get(it.code()))).collect::<Vec<_>>(),
        "holds": holds.collect::<Vec<_>>(),
        "refusals": refusals.collect::<Vec<_>>(),
    })
}

fn why(why: &Why) -> Value {
    why_since(why, None)
}

fn why_since(why: &Why, since: Option<&Timestamp>) -> Value {
    json!({
        "code": why.code(),
        "text": why.to_string(),
        "until": why.until().map(|until| until.to_string()),
        "since": since.map(ToString::to_string),
        "turn": why.advice().turn.code(),
        "stuck": why.is_stuck(),
    })
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
        "url": view.url,
    })
}

/// Why an environment runs what it runs.
pub(super) fn explanation(view: &Explanation) -> Value {
    let tags = view.tags.iter().map(|tag| json!({ "image": tag.image.as_str(), "tag": tag.tag, "fate": tag.fate }));
    json!({
        "environment": environment(&view.environment),
        "advice": advice(&view.environment),
        "tags": tags.collect::<Vec<_>>(),
        "n_tags": view.n_tags,
        "notes": view.notes,
        "opens": view.opens.as_ref().map(|(at, local)| json!({ "at": at.to_string(), "local": local })),
        "before": view.before.iter().map(arrival).collect::<Vec<_>>(),
        "way_back": view.way_back.as_ref().map(release),
    })
}

/// Whose turn it is for each reason why nothing happens, and what one types; each piece of advice once. A command names the
/// release that the reason is about: the one that it names, else the candidate where one of its gates says the same.
fn advice(view: &EnvironmentView) -> Vec<Value> {
    let mut told: Vec<Value> = Vec::new();
    for why in &view.why {
        let advice = why.advice();
        let words = why.to_string();
        let is_its_gate = view.gates.iter().any(|gate| !gate.open && gate.words == words);
        let candidate = view.candidate.as_ref().filter(|_| is_its_gate).map(ReleaseView::short);
        let release = why.release().or(candidate.as_deref());
        let remedy = advice.remedy_for(view.policy.as_str(), view.environment.as_str(), release);
        let row = json!({ "turn": advice.turn.code(), "meaning": advice.meaning, "remedy": remedy });
        if !told.contains(&row) {
            told.push(row);
        }
    }
    told
}

/// Where a build is.
pub(super) fn where_is(view: &WhereView) -> Value {
    json!({
        "releases": view.releases.iter().map(release).collect::<Vec<_>>(),
        "n_releases": view.n_releases,
        "environments": view.environments.iter().map(standing).collect::<Vec<_>>(),
        "n_environments": view.n_environments,
    })
}

/// What an environment does not have yet.
pub(super) fn not_yet(view: &NotYetView) -> Value {
    let missing = |missing: &MissingView| {
        json!({
            "standing": standing(&missing.standing),
            "since": missing.since.map(|since| since.to_string()),
            "runs_in": missing.runs_in.iter().map(ToString::to_string).collect::<Vec<_>>(),
        })
    };
    json!({
        "policy": view.policy.as_str(),
        "environment": view.environment.as_str(),
        "runs": view.runs.as_ref().map(release),
        "not_yet": view.releases.iter().map(missing).collect::<Vec<_>>(),
        "n_releases": view.n_releases,
    })
}

fn standing(view: &StandingView) -> Value {
    json!({
        "policy": view.policy.as_str(),
        "environment": view.environment.as_str(),
        "presence": view.presence,
        "runs_state": view.runs_state,
        "text": view.text,
        "release": release(&view.release),
        "runs": view.runs.as_ref().map(release),
        "arrival": view.arrival.as_ref().map(arrival),
        "until": view.until.map(|until| until.to_string()),
        "why": view.why.iter().map(why).collect::<Vec<_>>(),
    })
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
        "later": view.later,
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
        "changed": view.changed.as_ref().map(changed),
    })
}

fn changed(view: &ChangedView) -> Value {
    let files = view
        .places
        .iter()
        .filter_map(|place| places::in_file(place))
        .map(|it| json!({ "repository": it.repository, "branch": it.branch, "file": it.file, "key": it.key }));
    let values = view.values.iter().map(|it| json!({ "image": it.image.as_str(), "was": it.was, "is": it.is }));
    json!({
        "commit": view.commit,
        "files": files.collect::<Vec<_>>(),
        "tags": view.places.iter().filter_map(|place| places::tag(place)).collect::<Vec<_>>(),
        "values": values.collect::<Vec<_>>(),
    })
}

/// Who writes a file.
pub(super) fn file(view: &FileView) -> Value {
    let writer = |writer: &WriterView| {
        json!({
            "environment": environment(&writer.environment),
            "repository": writer.repository,
            "branch": writer.branch,
            "file": writer.file,
            "keys": writer.keys,
        })
    };
    json!({
        "writers": view.writers.iter().map(writer).collect::<Vec<_>>(),
        "n_writers": view.n_writers,
        "notes": view.notes,
        "near": view.near,
    })
}

/// One report to GitLab.
pub(super) fn report(view: &ReportView) -> Value {
    json!({
        "id": view.id,
        "project": view.project,
        "environment": view.environment,
        "rollout": view.rollout,
        "state": view.state,
        "status": view.status,
        "attempts": view.attempts,
        "next_try": view.next_try.map(|at| at.to_string()),
        "reason": view.reason,
        "deployment": view.deployment,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::health::Health;
    use crate::daemon::view::{GateView, HoldView, RefusalView};
    use crate::model::{Digest, EnvironmentName, ImageName, PolicyName, ReleaseId};
    use crate::relay::health::Kind;
    use std::collections::BTreeMap;
    use std::sync::Arc;

    fn at(text: &str) -> jiff::Timestamp {
        text.parse().expect("a time")
    }

    fn environment_view(name: &str) -> EnvironmentView {
        EnvironmentView {
            policy: PolicyName::parse("shop").expect("a name"),
            environment: EnvironmentName::parse(name).expect("a name"),
            pin: None,
            current: None,
            candidate: None,
            gates: Vec::new(),
            waits_for_approval: false,
            why: Vec::new(),
            why_since: BTreeMap::new(),
            holds: Vec::new(),
            refusals: Vec::new(),
        }
    }

    fn release_view() -> ReleaseView {
        let image = ImageName::parse("web").expect("a name");
        ReleaseView {
            id: ReleaseId::parse(&"a".repeat(64)).expect("an id"),
            tags: "1.0".to_owned(),
            digests: vec![(image.clone(), Digest::of(b"x"))],
            revisions: vec![(image, "abc".to_owned())],
        }
    }

    fn full(name: &str) -> EnvironmentView {
        let current = ArrivalView {
            rollout: "j-1".to_owned(),
            release: Some(release_view()),
            since: at("2026-01-02T00:00:00Z"),
            because: "a new tag".to_owned(),
            commit: Some("c0ffee".to_owned()),
            state: "failed",
            why: Some("no signal".to_owned()),
            url: Some("https://ci.example.com/jobs/1".to_owned()),
        };
        let hold = |until| HoldView {
            scope: "shop/prod".to_owned(),
            who: "ada".to_owned(),
            why: "a \"quoted\" reason".to_owned(),
            since: at("2026-01-02T00:00:00Z"),
            until,
        };
        EnvironmentView {
            pin: Some("1.0".to_owned()),
            current: Some(current),
            candidate: Some(release_view()),
            gates: vec![GateView { open: true, words: "soaked".to_owned() }],
            waits_for_approval: true,
            why: vec![
                Why::Unread { what: "the registry".to_owned(), error: None },
                Why::Blocked {
                    effect: "a push".to_owned(),
                    why: "refused".to_owned(),
                    until: at("2026-01-03T00:00:00Z"),
                },
            ],
            why_since: BTreeMap::from([("Unread", at("2026-01-04T00:00:00Z"))]),
            holds: vec![hold(None), hold(Some(at("2026-01-04T00:00:00Z")))],
            refusals: vec![RefusalView { release: release_view(), who: "ada".to_owned(), why: "slow".to_owned() }],
            ..environment_view(name)
        }
    }

    fn status_view() -> Status {
        let repository = |read_at, n_tags, error: Option<&str>| RepositoryView {
            repository: "reg.io/web".to_owned(),
            read_at,
            n_tags,
            error: error.map(str::to_owned),
            note: error.map(str::to_owned),
        };
        let policy = |environments, broken| PolicyView {
            name: PolicyName::parse("shop").expect("a name"),
            origin: "default:policies/shop.yaml".to_owned(),
            broken,
            images: vec!["reg.io/web".to_owned()],
            environments,
        };
        Status {
            now: at("2026-01-05T12:00:00Z"),
            journal: "j".to_owned(),
            mode: "act",
            health: Health {
                turned_at: tokio::time::Instant::now(),
                unready: Some("not read yet: reg.io/web".to_owned()),
                troubles: Arc::from([Trouble {
                    finding: Finding {
                        kind: Kind::RegistryUnread,
                        of: "reg.io/web".to_owned(),
                        text: "reg.io/web cannot be read: gone".to_owned(),
                        remedy: "look at it",
                        after: std::time::Duration::ZERO,
                        at: None,
                    },
                    since: at("2026-01-05T11:00:00Z"),
                }]),
            },
            policies: vec![
                policy(vec![full("prod"), environment_view("dev")], None),
                policy(Vec::new(), Some("line 1".to_owned())),
            ],
            broken: vec!["a file".to_owned()],
            repositories: vec![
                repository(None, None, None),
                repository(Some(at("2026-01-05T11:00:00Z")), Some(3), Some("gone")),
            ],
            hosts: vec![HostView { host: "reg.io".to_owned(), n_requests: 7, at_once: 16, error: None }],
            branches: vec![BranchView {
                repository: "default".to_owned(),
                branch: "main".to_owned(),
                tip: Some("c0ffee".to_owned()),
                read_at: None,
                error: None,
            }],
            projects: vec![ProjectView {
                project: "group/shop".to_owned(),
                n_pending: 2,
                parked: vec!["one".to_owned()],
                error: None,
            }],
        }
    }

    #[test]
    fn everything_at_one_glance() {
        let release = json!({
            "id": "a".repeat(64),
            "tags": "1.0",
            "digests": { "web": Digest::of(b"x").as_str() },
            "revisions": { "web": "abc" },
        });
        let full = json!({
            "policy": "shop", "environment": "prod", "pin": "1.0",
            "current": {
                "rollout": "j-1", "release": release, "since": "2026-01-02T00:00:00Z", "because": "a new tag",
                "commit": "c0ffee", "state": "failed", "why": "no signal", "url": "https://ci.example.com/jobs/1",
            },
            "candidate": release,
            "gates": [{ "open": true, "words": "soaked" }],
            "waits_for_approval": true,
            "concern": "failed",
            "why": [
                { "code": "Unread", "text": "the registry is not read yet", "until": null,
                  "since": "2026-01-04T00:00:00Z", "turn": "operator", "stuck": true },
                { "code": "Blocked", "text": "a push failed and is tried again at 2026-01-03T00:00:00Z: refused", "until": "2026-01-03T00:00:00Z",
                  "since": null, "turn": "operator", "stuck": true },
            ],
            "holds": [
                { "scope": "shop/prod", "who": "ada", "why": "a \"quoted\" reason", "since": "2026-01-02T00:00:00Z", "until": null },
                { "scope": "shop/prod", "who": "ada", "why": "a \"quoted\" reason", "since": "2026-01-02T00:00:00Z", "until": "2026-01-04T00:00:00Z" },
            ],
            "refusals": [{ "release": release, "who": "ada", "why": "slow" }],
        });
        let bare = json!({
            "policy": "shop", "environment": "dev", "pin": null, "current": null, "candidate": null, "gates": [],
            "waits_for_approval": false, "concern": "well", "why": [], "holds": [], "refusals": [],
        });
        let expected = json!({
            "now": "2026-01-05T12:00:00Z",
            "version": env!("CARGO_PKG_VERSION"),
            "journal": "j",
            "mode": "act",
            "ready": false,
            "unready": "not read yet: reg.io/web",
            "troubles": [{
                "what": "registry_unread", "of": "reg.io/web", "since": "2026-01-05T11:00:00Z",
                "text": "reg.io/web cannot be read: gone", "remedy": "look at it",
            }],
            "policies": [
                { "name": "shop", "origin": "default:policies/shop.yaml", "broken": null, "images": ["reg.io/web"], "environments": [full, bare] },
                { "name": "shop", "origin": "default:policies/shop.yaml", "broken": "line 1", "images": ["reg.io/web"], "environments": [] },
            ],
            "broken": ["a file"],
            "repositories": [
                { "repository": "reg.io/web", "read_at": null, "tags": null, "error": null, "note": null },
                { "repository": "reg.io/web", "read_at": "2026-01-05T11:00:00Z", "tags": 3, "error": "gone", "note": "gone" },
            ],
            "hosts": [{ "host": "reg.io", "requests": 7, "at_once": 16, "error": null }],
            "branches": [{ "repository": "default", "branch": "main", "tip": "c0ffee", "read_at": null, "error": null }],
            "projects": [{ "project": "group/shop", "pending": 2, "parked": ["one"], "error": null }],
        });
        let written = serde_json::to_value(status(&status_view())).expect("JSON");
        assert_eq!(written, expected, "{written:#}");
    }
}
