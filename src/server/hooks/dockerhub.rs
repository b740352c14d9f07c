//! Docker Hub's webhooks: a repository and a tag, no digest. Its `callback_url` is never followed (Docker docs, "Webhooks").

use super::push::{Delivery, Push};
use serde::Deserialize;

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
    Ok(vec![Push::of(delivery.host("docker.io"), &pushed.repository.repo_name, Some(&pushed.push_data.tag))])
}

#[cfg(test)]
mod tests {
    use super::super::push::tests::read as heard;
    use super::*;

    #[test]
    fn pushes() {
        let body = r#"{"push_data":{"pushed_at":1497467660,"tag":"0.1.7","pusher":"x"},"callback_url":"https://evil.example/","repository":{"repo_name":"karolisr/keel","owner":"karolisr"}}"#;
        assert_eq!(heard(read, &[], None, body), Ok(vec!["docker.io/karolisr/keel:0.1.7".to_owned()]));
        assert!(heard(read, &[], None, r#"{"repository":{"repo_name":"a/b"}}"#).is_err());
    }
}
