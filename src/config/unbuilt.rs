//! The part of the contract that this version refuses: named here once, absent from the schema, never read and ignored.

/// What is promised and not built yet: the form or word list it belongs to (as in `config::read`), and its name there.
/// `ssh://` is a value of a key that is built: whoever reads that key refuses it.
pub const UNBUILT: &[(&str, &str)] = &[
    ("write", "markers"),
    ("write", "policy"),
    ("deliver", "merge_request"),
    ("deliver.mode", "merge_request"),
    ("rollout", "argocd"),
    ("rollout", "kubernetes"),
    ("rollout", "flux"),
    ("rollout", "argo_rollouts"),
    ("verify", "gitlab_pipeline"),
    ("verify", "kubernetes_job"),
    ("verify", "command"),
    ("gates", "signature"),
    ("gates", "source"),
    ("approvals.by", "merge_request"),
    ("approvals.by", "merge"),
    ("approver", "gitlab_group"),
    ("repository", "sign"),
    ("repository.url", "ssh://"),
    ("may", "namespaces"),
    ("require", "clusters"),
    ("require", "namespaces"),
    ("configuration", "clusters"),
    ("configuration", "secrets"),
    ("configuration", "checks"),
    ("server.webhooks", "argocd"),
    ("server.webhooks", "flux"),
];

/// Whether a key or word of a form is promised and not built yet.
pub(crate) fn is_unbuilt(form: &str, name: &str) -> bool {
    UNBUILT.contains(&(form, name))
}
