//! Docker Hub's webhooks: a repository and a tag, no digest. Its `callback_url` is never followed (Docker docs, "Webhooks").

use super::push::{Delivery, Push};
use serde::Deserialize;

/// The names by which policies may know Docker Hub's registry.
const NAMES: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

#[derive(Deserialize)]
struct Pushed {
    push_data: Data,
    repository: Named,
}

#[derive(Deserialize)]
struct Data {
    tag: String,
}

#[derive(Deserialize)]
struct Named {
    repo_name: String,
}

/// The tag that was pushed.
pub(super) fn read(delivery: &Delivery<'_>) -> Result<Vec<Push>, serde_json::Error> {
    let pushed: Pushed = delivery.json()?;
    let (path, tag) = (&pushed.repository.repo_name, Some(pushed.push_data.tag.as_str()));
    let names = delivery.registry.map_or_else(|| NAMES.to_vec(), |registry| vec![registry]);
    Ok(names.into_iter().map(|name| Push::of(name, path, tag)).collect())
}

#[cfg(test)]
mod tests {
    use super::super::push::tests::read as heard;
    use super::*;

    #[test]
    fn pushes() {
        let body = r#"{"push_data":{"pushed_at":1497467660,"tag":"0.1.7","pusher":"x"},"callback_url":"https://evil.example/","repository":{"repo_name":"karolisr/keel","owner":"karolisr"}}"#;
        let named = |name: &str| format!("{name}/karolisr/keel:0.1.7");
        assert_eq!(heard(read, &[], None, body), Ok(NAMES.map(named).to_vec()));
        assert_eq!(heard(read, &[], Some("mirror.corp"), body), Ok(vec![named("mirror.corp")]));
        assert!(heard(read, &[], None, r#"{"repository":{"repo_name":"a/b"}}"#).is_err());
    }
}
