//! Hosts that give out tokens for a registry of another name: known to everybody, and so safe to show credentials to.
//!
//! A registry that has its realm elsewhere names it itself, and could name anybody: then the configuration has to.

/// Registries, each with the host of its realm.
const REALMS: &[(&str, &str)] = &[
    ("registry-1.docker.io", "auth.docker.io"),
    ("registry.gitlab.com", "gitlab.com"),
    ("registry.redhat.io", "sso.redhat.com"),
    ("registry.connect.redhat.com", "sso.redhat.com"),
];

/// The hosts of those realms: names that lead into public.
pub(super) const ALL: &[&str] = &["auth.docker.io", "gitlab.com", "sso.redhat.com"];

/// Whether everybody knows that this registry has its realm there.
pub(super) fn is_known(registry: &str, realm: &str) -> bool {
    REALMS.contains(&(registry, realm))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_realm_is_in_public() {
        for (registry, realm) in REALMS {
            assert!(ALL.contains(realm), "{realm} of {registry}");
        }
        assert!(is_known("registry-1.docker.io", "auth.docker.io"));
        assert!(!is_known("reg.example.com", "auth.docker.io"));
        assert!(!is_known("registry-1.docker.io", "gitlab.com"));
    }
}
