//! What may be read: status, policies, plan, history, where a build is, explanations, and the description of the interface.
//!
//! Everything comes from the daemon's views; nothing is looked up besides.

use super::reply::{Answer, Refused};
use super::request::{Asked, At, Of, policy, scope, target};
use super::{Server, wire};
use crate::daemon::HistoryOf;
use crate::relay::find::Name;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The headers of a large answer.
const JSON: &[(HeaderName, &str)] = &[(header::CONTENT_TYPE, "application/json")];
/// How many entries of history are shown where the question does not say.
const HISTORY_DEFAULT: u32 = 100;
/// How many are shown at the most.
const HISTORY_MAX: u32 = 1000;
/// The longest path that is asked about.
const PATH_BYTES_MAX: usize = 4096;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlanQuery {
    policy: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HistoryQuery {
    policy: Option<String>,
    environment: Option<String>,
    before: Option<u64>,
    limit: Option<u32>,
    since: Option<Timestamp>,
    #[serde(default)]
    files: bool,
}

/// The description of the interface.
pub(super) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], include_str!("openapi.json")).into_response()
}

/// Everything at one glance.
pub(super) async fn status(State(server): State<Server>, asked: HeaderMap) -> Result<Response, Refused> {
    let rendered = server.rendered().await?;
    Ok(rendered.json(|status| written(&wire::status(status))).answer(&asked, JSON))
}

/// All policies.
pub(super) async fn policies(State(server): State<Server>, asked: HeaderMap) -> Result<Response, Refused> {
    let rendered = server.rendered().await?;
    Ok(rendered.policies(|status| written(&wire::policies(&status.policies))).answer(&asked, JSON))
}

/// A form as JSON; nothing in one can fail to be written.
fn written(form: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(form).unwrap_or_default()
}

/// One policy.
pub(super) async fn one_policy(State(server): State<Server>, Of(name): Of) -> Answer {
    let status = server.handle.shared_status().await?;
    let view = status.policies.iter().find(|view| view.name == name);
    view.map(|view| Json(wire::policy(view)))
        .ok_or_else(|| Refused::not_found(format!("there is no policy {name}: /api/v1/policies lists them")))
}

/// One environment as it stands.
pub(super) async fn environment(State(server): State<Server>, At(target): At) -> Answer {
    let status = server.handle.shared_status().await?;
    let mut views = status.policies.iter().flat_map(|policy| &policy.environments);
    let view = views.find(|view| view.policy == target.policy && view.environment == target.environment);
    view.map(|view| Json(wire::environment(view))).ok_or_else(|| {
        let (policy, environment) = (target.policy, target.environment);
        Refused::not_found(format!("there is no {policy}/{environment}: /api/v1/policies lists all"))
    })
}

/// Why an environment runs what it runs.
pub(super) async fn explain(State(server): State<Server>, At(target): At) -> Answer {
    Ok(Json(wire::explanation(&server.handle.explain(target).await?)))
}

/// What a pass would do.
pub(super) async fn plan(State(server): State<Server>, Asked(query): Asked<PlanQuery>) -> Answer {
    let of = query.policy.as_deref().map(policy).transpose()?;
    Ok(Json(wire::plans(&server.handle.plan(of).await?)))
}

/// What happened, newest first.
pub(super) async fn history(State(server): State<Server>, Asked(query): Asked<HistoryQuery>) -> Answer {
    let scope = scope(query.policy.as_deref(), query.environment.as_deref())?;
    let limit = query.limit.unwrap_or(HISTORY_DEFAULT).min(HISTORY_MAX);
    let HistoryQuery { before, since, files, .. } = query;
    let entries = server.handle.history_of(HistoryOf { scope, before, since, limit, with_files: files }).await?;
    Ok(Json(json!({ "history": entries.iter().map(wire::history).collect::<Vec<Value>>() })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileQuery {
    path: String,
}

/// Who writes a file, or why nobody does.
pub(super) async fn file(State(server): State<Server>, Asked(query): Asked<FileQuery>) -> Answer {
    if query.path.trim_matches(['.', '/', ' ']).is_empty() || query.path.len() > PATH_BYTES_MAX {
        return Err(Refused::bad(&format!("`path` names one file or folder, in at most {PATH_BYTES_MAX} bytes")));
    }
    Ok(Json(wire::file(&server.handle.file(query.path).await?)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WhereQuery {
    of: Option<String>,
    not_in: Option<String>,
}

/// Where a build is, or what an environment does not have yet.
pub(super) async fn where_is(State(server): State<Server>, Asked(query): Asked<WhereQuery>) -> Answer {
    match (query.of, query.not_in) {
        (Some(of), None) => {
            let name = Name::parse(&of).map_err(|error| Refused::bad(&error))?;
            Ok(Json(wire::where_is(&server.handle.where_is(name).await?)))
        }
        (None, Some(place)) => Ok(Json(wire::not_yet(&server.handle.not_yet(target(&place)?).await?))),
        _ => Err(Refused::bad("say either `of`: a commit, tag or digest; or `not_in`: POLICY/ENV")),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReportsQuery {
    #[serde(default)]
    unsent: bool,
}

/// What GitLab was told, what waits and why.
pub(super) async fn reports(State(server): State<Server>, Asked(query): Asked<ReportsQuery>) -> Answer {
    let reports = server.handle.reports(query.unsent).await?;
    Ok(Json(json!({ "reports": reports.iter().map(wire::report).collect::<Vec<Value>>() })))
}
