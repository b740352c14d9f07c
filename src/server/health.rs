//! Health: `/healthz` as long as the loop turns, `/readyz` once every source was tried, `/metrics` for Prometheus.
//!
//! Both say from what the loop published last, so that they are answered also where it does not turn. What is wrong
//! outside is named in both bodies and is no reason to restart us.

use super::Server;
use super::access::Reads;
use super::reply::Refused;
use crate::daemon::health::{Health, TURNS_WITHIN};
use crate::relay::health::{Trouble, lines};
use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use std::collections::BTreeMap;

/// Whether the loop turns.
pub(super) async fn healthz(
    State(server): State<Server>,
    Extension(reads): Extension<Reads>,
) -> Result<Response, Refused> {
    let health = server.handle.health()?;
    let still_for = health.turned_at.elapsed();
    let stands = still_for > TURNS_WITHIN;
    let first = if stands { format!("the loop did not turn for {} s", still_for.as_secs()) } else { "ok".to_owned() };
    Ok(answer(!stands, &first, &health, reads))
}

/// Whether every source was tried once, and the journal took its last write.
pub(super) async fn readyz(
    State(server): State<Server>,
    Extension(reads): Extension<Reads>,
) -> Result<Response, Refused> {
    let health = server.handle.health()?;
    let first = match &health.unready {
        None => "ready".to_owned(),
        Some(why) if reads.0 => format!("not ready: {why}"),
        Some(_) => "not ready".to_owned(),
    };
    Ok(answer(health.unready.is_none(), &first, &health, reads))
}

/// The numbers.
pub(super) async fn metrics(State(server): State<Server>) -> Response {
    let text = (server.metrics)();
    ([(header::CONTENT_TYPE, crate::telemetry::metrics::CONTENT_TYPE)], text).into_response()
}

/// The first line, then what is wrong: in words to whoever may read, else by its kinds alone, for the words hold names
/// and errors of servers that are nobody's business.
fn answer(is_good: bool, first: &str, health: &Health, Reads(all): Reads) -> Response {
    let status = if is_good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let wrong = if all { lines(&health.troubles) } else { kinds(&health.troubles) };
    let body: String = std::iter::once(first.to_owned()).chain(wrong).map(|line| line + "\n").collect();
    (status, body).into_response()
}

fn kinds(troubles: &[Trouble]) -> Vec<String> {
    let mut by_kind: BTreeMap<_, (usize, jiff::Timestamp)> = BTreeMap::new();
    for trouble in troubles {
        let (n, since) = by_kind.entry(trouble.finding.kind).or_insert((0, trouble.since));
        *n += 1;
        *since = trouble.since.min(*since);
    }
    by_kind.into_iter().map(|(kind, (n, since))| format!("{} since {since:.0}: {n}", kind.code())).collect()
}
