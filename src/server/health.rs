//! Health: `/healthz` as long as the loop answers, `/readyz` once it has read policies, `/metrics` for Prometheus.
//!
//! What is broken outside (a registry, a policy file) is on the page and in the metrics; it is no reason to restart us.

use super::Server;
use super::reply::Refused;
use crate::daemon::view::Status;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use std::time::Duration;

/// How long the loop may take to answer before it counts as stuck: a pass over everything takes far less.
const LOOP_ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// Whether the loop answers.
pub(super) async fn healthz(State(server): State<Server>) -> Result<&'static str, Refused> {
    looked_at(&server).await.map(|_| "ok\n")
}

/// Whether policies were read, good or broken, be it that there are none.
pub(super) async fn readyz(State(server): State<Server>) -> Result<&'static str, Refused> {
    let status = looked_at(&server).await?;
    if !status.is_loaded {
        return Err(Refused::unavailable("the policies are not read yet"));
    }
    Ok("ready\n")
}

/// The numbers.
pub(super) async fn metrics(State(server): State<Server>) -> Response {
    let text = (server.metrics)();
    ([(header::CONTENT_TYPE, crate::telemetry::metrics::CONTENT_TYPE)], text).into_response()
}

async fn looked_at(server: &Server) -> Result<Status, Refused> {
    match tokio::time::timeout(LOOP_ANSWERS_WITHIN, server.handle.status()).await {
        Ok(status) => Ok(status?),
        Err(_) => {
            Err(Refused::unavailable(format!("the loop did not answer within {} s", LOOP_ANSWERS_WITHIN.as_secs())))
        }
    }
}
