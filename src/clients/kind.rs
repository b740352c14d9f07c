//! What kind a request is, told by its path: a closed list, so that it can be counted by.
//!
//! It reads nothing else of the URL, and what it does not know is `other`.

use reqwest::Url;

/// The kind of a request. The first part of the list that its path holds counts; order matters.
const KINDS: [(&str, &str); 17] = [
    ("/api/v2.0/projects/", "times"),
    ("/v2/namespaces/", "times"),
    ("/api/v1/repository/", "times"),
    ("/acr/v1/", "times"),
    ("/gitlab/v1/", "times"),
    ("/packages/container/", "times"),
    ("/v2/auth/token", "token"),
    ("/tags/list", "tags"),
    ("/manifests/", "manifest"),
    ("/blobs/uploads", "upload"),
    ("/blobs/", "blob"),
    ("/referrers/", "referrers"),
    ("/api/v4/", "gitlab"),
    ("/info/refs", "git"),
    ("/git-upload-pack", "git"),
    ("/git-receive-pack", "git"),
    ("/oauth2/", "token"),
];

/// `tags`, `manifest`, `blob`, `upload`, `referrers`, `times`, `ping`, `token`, `gitlab`, `git` or `other`.
#[must_use]
pub fn kind(url: &Url) -> &'static str {
    let path = url.path();
    if let Some((_, kind)) = KINDS.iter().find(|(part, _)| path.contains(part)) {
        return kind;
    }
    match path {
        "/v2/" | "/v2" => "ping",
        // Token services have any path; what they are asked has these names (distribution, "Token Authentication").
        _ if url.query_pairs().any(|(name, _)| name == "scope") => "token",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        let check = |path: &str, expected: &str| {
            let url = Url::parse(&format!("https://reg.example.com{path}")).expect("a URL");
            assert_eq!(kind(&url), expected, "{path}");
        };
        check("/v2/", "ping");
        check("/v2/team/shop/tags/list?n=1000", "tags");
        check("/v2/team/shop/manifests/1.0", "manifest");
        check("/v2/team/shop/blobs/sha256:00", "blob");
        check("/v2/team/shop/blobs/uploads/?mount=a&from=b", "upload");
        check("/v2/team/shop/referrers/sha256:00", "referrers");
        check("/jwt/auth?service=reg&scope=repository:a:pull", "token");
        check("/oauth2/token", "token");
        check("/api/v4/projects/1/deployments", "gitlab");
        check("/group/deploys.git/info/refs?service=git-upload-pack", "git");
        check("/group/deploys.git/git-receive-pack", "git");
        check("/api/v2.0/projects/team/repositories/shop/artifacts", "times");
        check("/v2/namespaces/team/repositories/shop/tags?page_size=100", "times");
        check("/api/v1/repository/team/shop/tag/", "times");
        check("/acr/v1/team/shop/_tags", "times");
        check("/gitlab/v1/repositories/team/shop/tags/list/", "times");
        check("/api/v3/orgs/team/packages/container/shop/versions", "times");
        check("/v2/auth/token", "token");
        check("/bucket/0123?signature=abc", "other");
    }
}
