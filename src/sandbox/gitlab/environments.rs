//! The Environments API: list, read, make, change. Nothing is stopped or deleted here.

use super::project::{Environment, Role};
use super::wording::{Answer, Params, Refusal, now, page};
use super::{Asker, State};
use crate::sandbox::held;
use axum::Json;
use axum::body::Bytes;
use axum::http::{Request, StatusCode};
use axum::response::IntoResponse as _;
use serde_json::json;

const TIERS: [&str; 5] = ["production", "staging", "testing", "development", "other"];

/// The shortest text that is searched for.
const SEARCH_CHARS_MIN: usize = 3;

/// `GET /projects/:id/environments`.
pub(super) fn list(state: &State, asker: &Asker, request: &Request<Bytes>) -> Answer {
    asker.may(Role::Reporter)?;
    let params = Params::of(request)?;
    let (name, search) = (params.text("name"), params.text("search"));
    if name.is_some() && search.is_some() {
        return Err(Refusal::parameter("name, search are mutually exclusive"));
    }
    if search.as_ref().is_some_and(|search| search.chars().count() < SEARCH_CHARS_MIN) {
        let text = "Search query is less than 3 characters";
        return Err(Refusal::message(StatusCode::BAD_REQUEST, text));
    }
    let states = params.one_of("states", &["available", "stopping", "stopped"])?;
    let projects = held(&state.projects);
    let project = asker.project(&projects)?;
    let fits = |environment: &&Environment| {
        name.as_ref().is_none_or(|name| *name == environment.name)
            && search.as_ref().is_none_or(|search| environment.name.contains(search))
            && states.as_ref().is_none_or(|states| states == "available")
    };
    let found = project.environments.iter().filter(fits).map(|environment| project.environment_json(environment));
    Ok(page(request, found.collect()))
}

/// `GET /projects/:id/environments/:environment_id`.
pub(super) fn get(state: &State, asker: &Asker, id: &str) -> Answer {
    asker.may(Role::Reporter)?;
    let projects = held(&state.projects);
    let project = asker.project(&projects)?;
    let found = project.environments.iter().find(|environment| environment.id.to_string() == id);
    let found = found.ok_or_else(|| Refusal::not_found("Not found"))?;
    let last = project.deployments.iter().rfind(|made| made.environment == found.name && made.status == "success");
    let mut json = project.environment_json(found);
    json["last_deployment"] = last.map(|last| project.deployment_json(last)).into();
    Ok(Json(json).into_response())
}

/// `POST /projects/:id/environments`.
pub(super) fn create(state: &State, asker: &Asker, request: &Request<Bytes>) -> Answer {
    let params = Params::of(request)?;
    let name = params.required("name")?;
    let tier = params.one_of("tier", &TIERS)?;
    asker.may(Role::Developer)?;
    let mut projects = held(&state.projects);
    let project = asker.project_mut(&mut projects)?;
    if project.environments.iter().any(|known| known.name == name) {
        let taken = "has already been taken";
        return Err(Refusal::message(StatusCode::BAD_REQUEST, json!({ "name": [taken], "slug": [taken] })));
    }
    let made = project.add_environment(state.next_id(), &name)?;
    change(made, &params, tier);
    let made = made.clone();
    Ok((StatusCode::CREATED, Json(project.environment_json(&made))).into_response())
}

/// `PUT /projects/:id/environments/:environment_id`; its name cannot change, and is not looked at.
pub(super) fn update(state: &State, asker: &Asker, id: &str, request: &Request<Bytes>) -> Answer {
    let params = Params::of(request)?;
    let tier = params.one_of("tier", &TIERS)?;
    asker.may(Role::Developer)?;
    let mut projects = held(&state.projects);
    let project = asker.project_mut(&mut projects)?;
    let found = project.environments.iter_mut().find(|environment| environment.id.to_string() == id);
    let found = found.ok_or_else(|| Refusal::not_found("Not found"))?;
    change(found, &params, tier);
    found.updated_at = now();
    let found = found.clone();
    Ok(Json(project.environment_json(&found)).into_response())
}

fn change(environment: &mut Environment, params: &Params, tier: Option<String>) {
    environment.tier = tier.unwrap_or_else(|| environment.tier.clone());
    environment.external_url = params.text("external_url").or_else(|| environment.external_url.take());
    environment.description = params.text("description").or_else(|| environment.description.take());
}
