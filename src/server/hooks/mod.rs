//! Webhooks of registries: a sender proves itself, names what was pushed, and the pollers of exactly that are woken.
//!
//! Nothing that a sender says is believed: a delivery carries no digest to a decision, and one that is replayed, forged by
//! a thief of the secret, or lost costs a reading or the time until the next poll. One file a sender, and one for the queue
//! that is read where nobody can call us.

mod acr;
mod distribution;
mod dockerhub;
mod ecr;
mod gar;
mod ghcr;
mod gitea;
mod google;
mod harbor;
mod jfrog;
mod nexus;
mod proof;
mod push;
mod quay;
mod queue;

use super::Server;
use super::reply::{Answer, Refused};
use crate::config::Webhook;
use crate::model::text;
use crate::telemetry::metrics::Delivered;
use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
pub use google::Google;
use proof::Proof;
use push::{Delivery, Push};
pub use queue::Queue;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The most pushes that one delivery may name: more are left to the next poll.
const PUSHES_MAX: usize = 1000;

/// Who sends, how it proves itself, and how it is read.
struct Sender {
    name: &'static str,
    proof: Proof,
    read: fn(&Delivery<'_>) -> Result<Vec<Push>, serde_json::Error>,
}

/// Every sender, by the name in its path.
const SENDERS: &[Sender] = &[
    Sender { name: "acr", proof: Proof::Header(&["authorization"]), read: acr::read },
    Sender { name: "distribution", proof: Proof::Header(&["authorization"]), read: distribution::read },
    Sender { name: "dockerhub", proof: Proof::Path, read: dockerhub::read },
    Sender { name: "ecr", proof: Proof::Header(&["authorization", "x-webhook-secret"]), read: ecr::read },
    Sender { name: "gar", proof: Proof::Google, read: gar::read },
    Sender { name: "ghcr", proof: Proof::Sha256(&["x-hub-signature-256"]), read: ghcr::read },
    Sender {
        name: "gitea",
        proof: Proof::Sha256(&["x-forgejo-signature", "x-gitea-signature", "x-hub-signature-256"]),
        read: gitea::read,
    },
    Sender { name: "gitlab", proof: Proof::Header(&["authorization", "x-gitlab-token"]), read: distribution::read },
    Sender { name: "harbor", proof: Proof::Header(&["authorization"]), read: harbor::read },
    Sender { name: "jfrog", proof: Proof::HeaderOrSha256("x-jfrog-event-auth"), read: jfrog::read },
    Sender { name: "nexus", proof: Proof::Sha1("x-nexus-webhook-signature"), read: nexus::read },
    Sender { name: "quay", proof: Proof::Path, read: quay::read },
];

/// The senders that may knock, with what each is known by.
#[derive(Clone, Default)]
pub(super) struct Hooks {
    known: Arc<BTreeMap<String, Webhook>>,
    google: Option<Google>,
}

impl Hooks {
    /// Lets these in; Google's tokens are held against these keys.
    pub(super) fn new(known: BTreeMap<String, Webhook>, google: Google) -> Self {
        Self { known: Arc::new(known), google: Some(google) }
    }
}

/// A delivery to `/webhooks/{sender}`.
pub(super) async fn hook(State(server): State<Server>, Path(sender): Path<String>, request: Request) -> Answer {
    deliver(&server, &sender, None, request).await
}

/// A delivery to `/webhooks/{sender}/{secret}`, of a sender that can prove itself in no other way.
pub(super) async fn hook_with_secret(
    State(server): State<Server>,
    Path((sender, secret)): Path<(String, String)>,
    request: Request,
) -> Answer {
    deliver(&server, &sender, Some(&secret), request).await
}

async fn deliver(server: &Server, name: &str, in_path: Option<&str>, request: Request) -> Answer {
    let sender = SENDERS.iter().find(|sender| sender.name == name);
    let known = sender.and_then(|sender| Some((sender, server.hooks.known.get(name)?)));
    let Some((sender, webhook)) = known else {
        return Err(Refused::not_found("no sender of that name is in `server.webhooks` of the configuration"));
    };
    let told = |outcome| (server.delivered)(sender.name, outcome);
    let headers = request.headers().clone();
    let google = server.hooks.google.as_ref();
    let holds = async |body: &[u8]| proof::holds(sender.proof, webhook, google, in_path, &headers, body).await;
    // A stranger's body is not even read, unless it is what was signed.
    if !sender.proof.signs_the_body() && !holds(&[]).await {
        return Err(unproven(server, sender));
    }
    let bodies = &server.bodies;
    let body = match sender.proof.signs_the_body() {
        true => bodies.of_stranger(request).await,
        false => bodies.of_registry(request).await,
    };
    let body = body.inspect_err(|refused| {
        told(Delivered::Unread);
        tracing::warn!(webhook.sender = name, "a delivery of {name} could not be read: {}", refused.message());
    })?;
    if sender.proof.signs_the_body() && !holds(body.bytes()).await {
        return Err(unproven(server, sender));
    }
    let delivery = Delivery { headers: &headers, body: body.bytes(), registry: webhook.registry.as_deref() };
    let pushes = (sender.read)(&delivery).map_err(|error| {
        told(Delivered::Unread);
        tracing::warn!(webhook.sender = name, error = %error, "a delivery of {name} makes no sense: {error}");
        Refused::bad(&format!("this is no delivery of {name}: {error}"))
    })?;
    if let Some(push) = pushes.iter().find(|push| push.parsed().is_none())
        && let Some(n) = server.nameless.ring()
    {
        let (repository, n_others) = (text::shown(push.repository()), n - 1);
        tracing::warn!(
            webhook.sender = name,
            "{name} tells of a push to {repository}, and no policy can name that: where its host is not the one that policies \
             name, write theirs as `registry` under `server.webhooks.{name}` ({n_others} such before, since this was told)"
        );
    }
    let named: BTreeSet<_> = pushes.iter().filter_map(Push::parsed).collect();
    if named.len() > PUSHES_MAX {
        let n = named.len();
        tracing::warn!(webhook.sender = name, "a delivery of {name} names {n} pushes: the rest waits for a poll");
    }
    let read = named.len().min(PUSHES_MAX);
    let named_none = read == 0 && !pushes.is_empty();
    for (repository, tag) in named.into_iter().take(PUSHES_MAX) {
        server.handle.wake(repository, tag).await?;
    }
    // What names nothing that can be read is counted as such, and stands in no queue: the answer is still 200.
    told(if named_none { Delivered::Unread } else { Delivered::Taken });
    // Which of them somebody here is interested in is not told to the sender.
    Ok(Json(json!({ "read": read })))
}

/// Refuses a delivery that does not prove where it comes from. Why it does not is told to nobody who sends.
fn unproven(server: &Server, sender: &Sender) -> Refused {
    let name = sender.name;
    (server.delivered)(name, Delivered::Refused);
    if let Some(n) = server.unproven.ring() {
        tracing::warn!(
            webhook.sender = name,
            "a delivery of {name} was refused: it does not prove that it knows the secret ({n} such since this was told)"
        );
    }
    let message = "the delivery does not prove where it comes from: look at the secret on both sides";
    Refused::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
}
