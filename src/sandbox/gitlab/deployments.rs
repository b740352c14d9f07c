//! The Deployments API, by the rules of GitLab's `lib/api/deployments.rb` and `app/models/deployment.rb`.
//!
//! Deployments made by CI jobs, approvals and deletion are not here: tagrelay makes none of them.

use super::project::{BOT, Deployment, Project, Role};
use super::wording::{Answer, Params, Refusal, now, page};
use super::{Asker, State};
use crate::sandbox::held;
use axum::Json;
use axum::body::Bytes;
use axum::http::{Request, StatusCode};
use axum::response::IntoResponse as _;
use jiff::Timestamp;
use serde_json::json;

/// What can be posted; created, blocked and skipped are for CI alone.
const POSTABLE: [&str; 4] = ["running", "success", "failed", "canceled"];

/// All that can be asked for.
const STATUSES: [&str; 7] = ["created", "running", "success", "failed", "canceled", "skipped", "blocked"];

const ORDERS: [&str; 6] = ["id", "iid", "created_at", "updated_at", "finished_at", "ref"];

/// `GET /projects/:id/deployments`.
pub(super) fn list(state: &State, asker: &Asker, request: &Request<Bytes>) -> Answer {
    asker.may(Role::Reporter)?;
    let params = Params::of(request)?;
    let order = params.one_of("order_by", &ORDERS)?.unwrap_or_else(|| "id".to_owned());
    let sort = params.one_of("sort", &["asc", "desc"])?;
    let status = params.one_of("status", &STATUSES)?;
    let environment = params.text("environment");
    let updated = period(&params, "updated")?;
    let finished = period(&params, "finished")?;
    let bad = |text: &str| Err(Refusal::message(StatusCode::BAD_REQUEST, text));
    if updated.is_given() && order != "updated_at" {
        return bad("`updated_at` filter requires `updated_at` sort");
    }
    if finished.is_given() && order != "finished_at" {
        return bad("`finished_at` filter requires `finished_at` sort");
    }
    if finished.is_given() && status.as_deref() != Some("success") {
        return bad("`finished_at` filter must be combined with `success` status filter.");
    }
    let projects = held(&state.projects);
    let project = asker.project(&projects)?;
    let fits = |deployment: &&Deployment| {
        environment.as_ref().is_none_or(|name| *name == deployment.environment)
            && status.as_ref().is_none_or(|status| *status == deployment.status)
            && updated.holds(Some(&deployment.updated_at))
            && finished.holds(deployment.finished_at.as_deref())
    };
    let mut found: Vec<&Deployment> = project.deployments.iter().filter(fits).collect();
    // Ids grow with time, so they decide between equal times.
    match order.as_str() {
        "created_at" => found.sort_by_key(|deployment| (&deployment.created_at, deployment.id)),
        "updated_at" => found.sort_by_key(|deployment| (&deployment.updated_at, deployment.id)),
        "finished_at" => found.sort_by_key(|deployment| (&deployment.finished_at, deployment.id)),
        "ref" => found.sort_by_key(|deployment| (&deployment.reference, deployment.id)),
        _ => found.sort_by_key(|deployment| deployment.id),
    }
    if sort.as_deref() == Some("desc") {
        found.reverse();
    }
    Ok(page(request, found.into_iter().map(|deployment| project.deployment_json(deployment)).collect()))
}

/// `GET /projects/:id/deployments/:deployment_id`.
pub(super) fn get(state: &State, asker: &Asker, id: &str) -> Answer {
    asker.may(Role::Reporter)?;
    let projects = held(&state.projects);
    let project = asker.project(&projects)?;
    let found = project.deployments.iter().find(|deployment| deployment.id.to_string() == id);
    let found = found.ok_or_else(|| Refusal::not_found("Not found"))?;
    Ok(Json(project.deployment_json(found)).into_response())
}

/// `POST /projects/:id/deployments`.
pub(super) async fn create(state: &State, asker: &Asker, request: &Request<Bytes>) -> Answer {
    let params = Params::of(request)?;
    let (environment, sha) = (params.required("environment")?, params.required("sha")?);
    let (reference, tag) = (params.required("ref")?, params.required_bool("tag")?);
    params.required("status")?;
    let status = params.one_of("status", &POSTABLE)?.unwrap_or_default();
    asker.may(Role::Developer)?;
    let invalid = |field: &str, why: &str| Refusal::message(StatusCode::BAD_REQUEST, json!({ field: [why] }));
    if asker.revisions.resolve(&reference).await?.is_none() {
        return Err(invalid("ref", "The branch or tag does not exist"));
    }
    let sha_is_known = asker.revisions.resolve(&sha).await?.is_some();

    let mut projects = held(&state.projects);
    let project = asker.project_mut(&mut projects)?;
    if !project.environments.iter().any(|known| known.name == environment) {
        project.add_environment(state.next_id(), &environment)?;
    }
    may_deploy(project, asker, &environment)?;
    if !sha_is_known {
        return Err(invalid("sha", "The commit does not exist"));
    }
    let standing = project.deployments.iter().rfind(|made| made.environment == environment && made.status == "success");
    let equal = |made: &&Deployment| {
        (made.reference == reference, made.tag == tag, made.sha == sha, made.status == status)
            == (true, true, true, true)
    };
    if let Some(existing) = standing.filter(equal) {
        return Ok((StatusCode::CREATED, Json(project.deployment_json(existing))).into_response());
    }
    let at = now();
    let mut made = Deployment {
        id: state.next_id(),
        user: BOT,
        iid: project.deployments.last().map_or(0, |last| last.iid) + 1,
        environment,
        sha,
        reference,
        tag,
        status: String::new(),
        history: Vec::new(),
        created_at: at.clone(),
        updated_at: at,
        finished_at: None,
    };
    made.become_status(&status);
    let answer = project.deployment_json(&made);
    project.deployments.push(made);
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// `PUT /projects/:id/deployments/:deployment_id`.
pub(super) fn update(state: &State, asker: &Asker, id: &str, request: &Request<Bytes>) -> Answer {
    let params = Params::of(request)?;
    params.required("status")?;
    let status = params.one_of("status", &POSTABLE)?.unwrap_or_default();
    let mut projects = held(&state.projects);
    let project = asker.project_mut(&mut projects)?;
    asker.may(Role::Developer)?;
    let place = project.deployments.iter().position(|deployment| deployment.id.to_string() == id);
    let found =
        place.and_then(|place| project.deployments.get(place)).ok_or_else(|| Refusal::not_found("Not found"))?;
    may_deploy(project, asker, &found.environment)?;
    let event = match status.as_str() {
        "running" => "run",
        "success" => "succeed",
        "failed" => "drop",
        _ => "cancel",
    };
    let allowed = match event {
        "run" => ["created", "blocked"].contains(&found.status.as_str()),
        _ => found.status != status,
    };
    if !allowed {
        // The backslashes are GitLab's own: the text is quoted twice there.
        let why = format!(r#"cannot transition via \"{event}\""#);
        return Err(Refusal::message(StatusCode::BAD_REQUEST, json!({ "status": [why] })));
    }
    if let Some(found) = place.and_then(|place| project.deployments.get_mut(place)) {
        found.become_status(&status);
    }
    let found =
        place.and_then(|place| project.deployments.get(place)).ok_or_else(|| Refusal::not_found("Not found"))?;
    Ok(Json(project.deployment_json(found)).into_response())
}

fn may_deploy(project: &Project, asker: &Asker, environment: &str) -> Result<(), Refusal> {
    if project.protected.contains(environment) { asker.may(Role::Maintainer) } else { Ok(()) }
}

/// The time between `<key>_after` and `<key>_before`.
struct Period {
    after: Option<Timestamp>,
    before: Option<Timestamp>,
}

impl Period {
    fn is_given(&self) -> bool {
        self.after.is_some() || self.before.is_some()
    }

    fn holds(&self, at: Option<&str>) -> bool {
        let at = at.and_then(|at| at.parse::<Timestamp>().ok());
        self.after.is_none_or(|after| at.is_some_and(|at| at >= after))
            && self.before.is_none_or(|before| at.is_some_and(|at| at <= before))
    }
}

fn period(params: &Params, key: &str) -> Result<Period, Refusal> {
    let time = |key: &str| match params.text(key).map(|text| text.parse()) {
        Some(Err(_)) => Err(Refusal::parameter(&format!("{key} is invalid"))),
        Some(Ok(time)) => Ok(Some(time)),
        None => Ok(None),
    };
    Ok(Period { after: time(&format!("{key}_after"))?, before: time(&format!("{key}_before"))? })
}
