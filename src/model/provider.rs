//! Whose registry a host is: what it tells beyond the specification, and by which door.
//!
//! A host that no table knows speaks the specification alone; Harbor, and anything behind a name of one's own, is named
//! in the configuration.

/// Whose registry it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Provider {
    /// The specification alone.
    #[default]
    Distribution,
    /// Azure Container Registry.
    Acr,
    /// Docker Hub.
    Dockerhub,
    /// Amazon Elastic Container Registry.
    Ecr,
    /// Google Artifact Registry, and gcr.io.
    Gar,
    /// GitHub's container registry.
    Ghcr,
    /// GitLab's container registry.
    Gitlab,
    /// Harbor.
    Harbor,
    /// Quay.
    Quay,
}

impl Provider {
    /// The provider of a host (its port does not matter) that has its own name in the world.
    ///
    /// `public.ecr.aws` is not among Amazon's here: everybody may read it, and only its owner may describe it.
    #[must_use]
    pub fn of_host(host: &str) -> Self {
        let host = host.split(':').next().unwrap_or_default();
        let ends = |suffix: &str| host.strip_suffix(suffix).is_some_and(|rest| !rest.is_empty());
        match host {
            "docker.io" | "index.docker.io" | "registry-1.docker.io" => Self::Dockerhub,
            "ghcr.io" => Self::Ghcr,
            "quay.io" => Self::Quay,
            "registry.gitlab.com" => Self::Gitlab,
            "gcr.io" => Self::Gar,
            _ if ends(".gcr.io") || ends("-docker.pkg.dev") => Self::Gar,
            _ if ends(".azurecr.io") || ends(".azurecr.cn") || ends(".azurecr.us") => Self::Acr,
            _ if super::ecr::Place::of(host).is_some() => Self::Ecr,
            _ => Self::Distribution,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_their_providers() {
        let check = |host, expected| assert_eq!(Provider::of_host(host), expected, "{host}");
        check("docker.io", Provider::Dockerhub);
        check("ghcr.io", Provider::Ghcr);
        check("quay.io", Provider::Quay);
        check("registry.gitlab.com", Provider::Gitlab);
        check("gcr.io", Provider::Gar);
        check("eu.gcr.io", Provider::Gar);
        check("europe-west1-docker.pkg.dev", Provider::Gar);
        check("corp.azurecr.io", Provider::Acr);
        check("123456789012.dkr.ecr.eu-west-1.amazonaws.com", Provider::Ecr);
        check("public.ecr.aws", Provider::Distribution);
        check(".azurecr.io", Provider::Distribution);
        check("reg.example.com:5000", Provider::Distribution);
        check("quay.io.evil.example", Provider::Distribution);
    }
}
