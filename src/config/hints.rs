//! What people mean who write a form in another way: an example of it, and the place of a key that stands elsewhere.

/// A form as one writes it, where a value of another kind was found.
pub(crate) fn example(form: &str) -> Option<&'static str> {
    Some(match form {
        "configuration" => {
            "{ repositories: { default: { url: \"https://gitlab.example.com/group/deploys.git\", policies: policies/ } } }"
        }
        "repository" => "{ url: \"https://gitlab.example.com/group/deploys.git\", policies: policies/ }",
        "select" => "{ semver: '>=1' }",
        "promote" => "{ from: dev }",
        "write" => "{ kustomize: deployment/dev }",
        "keys" => "{ tag: image.tag }",
        "deliver" => "{ branch: main }",
        "rollout" => "{ webhook: {} }",
        "verify" => "{ http: { url: \"https://shop.example.com/healthz\" } }",
        "http" => "{ url: \"https://shop.example.com/healthz\" }",
        "gates" => "{ approvals: { required: 1 } }",
        "approvals" => "{ required: 1 }",
        "window" => "{ open: \"0 9 * * MON-FRI\", for: 8h }",
        "freeze" => "{ from: 2026-12-20, until: 2027-01-03 }",
        "report" => "{ gitlab: { project: group/shop, sha: commit } }",
        "gitlab" => "{ url: \"https://gitlab.example.com\", token: { env: GITLAB_TOKEN } }",
        "calendar" => "{ year-end: { freeze: [{ from: 2026-12-20, until: 2027-01-03 }] } }",
        "egress" => "{ allow: [\"*.example.com\"] }",
        "may" => "{ write: [\"deployment/**\"] }",
        "server.webhooks" => "{ harbor: { secret: { env: HARBOR_SECRET } } }",
        "webhook" => "{ secret: { env: HARBOR_SECRET } }",
        "who" => "{ name: alice, token: { env: ALICE } }",
        _ => return None,
    })
}

/// What to write for a key that other tools know, or that stands one level away.
pub(crate) fn elsewhere(form: &str, key: &str) -> Option<&'static str> {
    Some(match (form, key) {
        ("registry", "insecure" | "http") => "for a registry without TLS write `plain_http: true`",
        ("registry", "username" | "password" | "token") => {
            "write `pull: { username: ..., password: { env: NAME } }`, and `push` for what is pushed"
        }
        ("access", "name" | "token") => "write it under `who`, as in `who: { name: alice, token: { env: ALICE } }`",
        ("server", "port" | "address" | "host") => "write `listen` with an address and a port, as in `127.0.0.1:8080`",
        ("window", "from" | "to" | "start" | "end") => {
            "write when it opens and for how long, as in `{ open: \"0 9 * * MON-FRI\", for: 8h }`"
        }
        ("environment", "approvals" | "window" | "freeze" | "soak") => "write it under `gates`",
        ("environment", "semver" | "newest" | "follow" | "numeric" | "alphabetical" | "match" | "tag") => {
            "write it under `select`"
        }
        ("environment", "from" | "retag") => "write it under `promote`",
        ("environment", "kustomize" | "helm" | "yaml") => {
            "write it in the list `write`, as in `write: [{ kustomize: dev }]`"
        }
        ("environment", "branch" | "repository") => "write it under `deliver`",
        ("environment", "timeout") => "a rollout has a `deadline`, a check its `timeout` beside it in `verify`",
        ("policy", "environment" | "stages") => "did you mean `environments`?",
        ("configuration", "listen") => "write it under `server`",
        ("configuration", "branch" | "url") => {
            "write it under a repository, as in `repositories: { default: { url: ... } }`"
        }
        _ => return None,
    })
}
