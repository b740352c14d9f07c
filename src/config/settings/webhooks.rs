//! Who tells of pushes: the senders of webhooks, and the queue that is read.
//!
//! Whether they keep to what they say here is seen when they tell of something.

use super::endpoint::checked_endpoint;
use super::read::checked_role;
use super::{GoogleAccount, QueueSettings, Webhook};
use crate::config::diagnostic::Problems;
use crate::config::read::{At, Field, Form as _};
use crate::config::wire::config::{EcrForm, WebhooksForm};
use crate::model::Repository;
use crate::model::sqs::Queue;
use std::collections::BTreeMap;

/// Senders whose deliveries name no host.
const NAMELESS: [&str; 2] = ["jfrog", "nexus"];

/// The senders of webhooks by their names, and the queue.
pub(super) fn webhooks(
    form: WebhooksForm,
    problems: &mut Problems,
) -> (BTreeMap<String, Webhook>, Option<QueueSettings>) {
    let by_secret = [
        ("acr", form.acr),
        ("distribution", form.distribution),
        ("dockerhub", form.dockerhub),
        ("ghcr", form.ghcr),
        ("gitea", form.gitea),
        ("gitlab", form.gitlab),
        ("harbor", form.harbor),
        ("jfrog", form.jfrog),
        ("nexus", form.nexus),
        ("quay", form.quay),
    ];
    let mut known = BTreeMap::new();
    for (name, field) in by_secret {
        let Some(form) = field.take() else { continue };
        let host = checked_host(&form.registry, problems);
        if form.registry.is_absent() && NAMELESS.contains(&name) {
            let help = "write `registry:` and the host that policies know it by";
            form.lacks(format!("a webhook of `{name}` does not say which registry it is about"), help, problems);
        }
        known.insert(name.to_owned(), Webhook { secret: form.secret.take(), registry: host, google: None });
    }
    let (webhook, queue) = form.ecr.take().map(|form| ecr(form, problems)).unwrap_or_default();
    known.extend(webhook.map(|webhook| ("ecr".to_owned(), webhook)));
    if let Some(form) = form.gar.take()
        && let (Some(audience), Some(email)) = (form.audience.take(), form.email.take())
    {
        let google = Some(GoogleAccount { audience, email });
        known.insert("gar".to_owned(), Webhook { secret: None, registry: None, google });
    }
    (known, queue)
}

/// What tells of pushes to Amazon ECR: an API destination that knows a secret, a queue, or both.
fn ecr(form: EcrForm, problems: &mut Problems) -> (Option<Webhook>, Option<QueueSettings>) {
    let registry = checked_host(&form.registry, problems);
    if form.secret.is_absent() && form.queue.is_absent() {
        let help = "write `secret:` for an API destination of EventBridge, or `queue:` for the URL of an SQS queue";
        form.lacks("this says neither who tells of pushes nor where to look", help, problems);
    }
    let plain_http = form.plain_http.value().copied().unwrap_or_default();
    let assume_role = form.assume_role.get().and_then(|role| checked_role(role, problems));
    let endpoint_url = form.endpoint_url.get().and_then(|url| checked_endpoint(url, plain_http, problems));
    if form.queue.is_absent() {
        let of_queue = [
            ("assume_role", form.assume_role.get().map(|at| &at.at)),
            ("endpoint_url", form.endpoint_url.get().map(|at| &at.at)),
            ("plain_http", form.plain_http.get().map(|at| &at.at)),
        ];
        for (key, at) in of_queue.iter().filter_map(|(key, at)| Some((key, (*at)?))) {
            let help = "write `queue:` and its URL beside it, or leave it out";
            problems.add_with_help(at, format!("`{key}` is about a queue, and none is named"), help);
        }
    }
    let queue = form.queue.get().and_then(|url| checked_queue(url, problems));
    let webhook =
        form.secret.take().map(|secret| Webhook { secret: Some(secret), registry: registry.clone(), google: None });
    (webhook, queue.map(|queue| QueueSettings { queue, registry, assume_role, endpoint_url }))
}

fn checked_queue(url: &At<String>, problems: &mut Problems) -> Option<Queue> {
    let queue = Queue::of(&url.value);
    if queue.is_none() {
        if url.value.contains('@') {
            problems.hide(&url.at);
        }
        let help = "write it as SQS shows it, as in `https://sqs.eu-west-1.amazonaws.com/123456789012/tagrelay`; \
                    where its API answers at another address, write that as `endpoint_url`";
        problems.add_with_help(&url.at, "expected the URL of an SQS queue", help);
    }
    queue
}

/// The host of a registry as policies write it.
fn checked_host(field: &Field<String>, problems: &mut Problems) -> Option<String> {
    let host = field.get()?;
    let is_host = Repository::parse(&format!("{}/x", host.value)).is_ok_and(|it| it.host() == host.value);
    if !is_host {
        problems.add(&host.at, "expected the host of a registry as policies write it, without a scheme or path");
    }
    Some(host.value.clone())
}
