//! Amazon ECR's events, as EventBridge sends them to an API destination, plain or made CloudEvents by an input transformer
//! (AWS docs, "Amazon ECR events and EventBridge").

use super::push::{Delivery, Push};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(untagged)]
enum Event {
    Bridge { account: String, region: String, detail: Detail },
    Cloud { source: String, data: Data },
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Detail {
    repository_name: String,
    #[serde(default)]
    image_tag: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    repository_name: String,
    registry_id: String,
    #[serde(default)]
    image_tag: String,
}

/// The tag that was pushed or deleted, under every host that policies may know the registry by.
pub(super) fn read(delivery: &Delivery<'_>) -> Result<Vec<Push>, serde_json::Error> {
    let (account, region, path, tag) = match delivery.json()? {
        Event::Bridge { account, region, detail } => (account, region, detail.repository_name, detail.image_tag),
        Event::Cloud { source, data } => {
            let region = source.split(':').nth(3).unwrap_or_default().to_owned();
            (data.registry_id, region, data.repository_name, data.image_tag)
        }
    };
    let hosts = match delivery.registry {
        Some(host) => vec![host.to_owned()],
        None => hosts(&account, &region),
    };
    Ok(hosts.iter().map(|host| Push::of(host, &path, Some(&tag))).collect())
}

/// The hosts of an account's registry in a region: plain, FIPS, and both with IPv6 (AWS docs, "Amazon ECR endpoints").
fn hosts(account: &str, region: &str) -> Vec<String> {
    let (plain, dual) = match region.starts_with("cn-") {
        true => ("amazonaws.com.cn", "on.amazonwebservices.com.cn"),
        false => ("amazonaws.com", "on.aws"),
    };
    vec![
        format!("{account}.dkr.ecr.{region}.{plain}"),
        format!("{account}.dkr.ecr-fips.{region}.{plain}"),
        format!("{account}.dkr-ecr.{region}.{dual}"),
        format!("{account}.dkr-ecr-fips.{region}.{dual}"),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::push::tests::read as heard;
    use super::*;

    #[test]
    fn events() {
        let bridge = |region: &str| {
            format!(
                r#"{{"version":"0","detail-type":"ECR Image Action","source":"aws.ecr","account":"123456789012","region":"{region}","detail":{{"result":"SUCCESS","repository-name":"team/shop","image-digest":"sha256:00","action-type":"PUSH","image-tag":"latest"}}}}"#
            )
        };
        let cloud = r#"{"specversion":"1.0","type":"com.amazon.ecr.image.push","source":"urn:aws:ecr:us-west-2:123456789012:repository/team/shop","data":{"repositoryName":"team/shop","registryId":"123456789012","imageTag":"latest"}}"#;
        for (body, host) in [
            (bridge("us-west-2"), "123456789012.dkr.ecr.us-west-2.amazonaws.com"),
            (bridge("us-west-2"), "123456789012.dkr-ecr.us-west-2.on.aws"),
            (bridge("cn-north-1"), "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn"),
            (cloud.to_owned(), "123456789012.dkr.ecr-fips.us-west-2.amazonaws.com"),
        ] {
            let heard = heard(read, &[], None, &body).expect("an event");
            assert!(heard.contains(&format!("{host}/team/shop:latest")), "{body} {heard:?}");
            assert_eq!(heard.len(), 4);
        }
        let heard_as = heard(read, &[], Some("ecr.corp"), cloud);
        assert_eq!(heard_as, Ok(vec!["ecr.corp/team/shop:latest".to_owned()]));
        assert!(heard(read, &[], None, r#"{"detail":{}}"#).is_err());
    }
}
