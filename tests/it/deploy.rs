//! What is deployed holds together: the configuration in it loads, its secrets are mounted, nothing runs with rights.

use serde_yaml::Value;
use std::collections::BTreeMap;
use std::path::Path;
use tagrelay::config;

const MANIFESTS: &str = include_str!("../../deploy/kubernetes/tagrelay.yaml");
const DOCKERFILE: &str = include_str!("../../Dockerfile");

/// The manifests by their kind.
fn manifests() -> BTreeMap<String, Value> {
    let documents = serde_yaml::Deserializer::from_str(MANIFESTS);
    let values = documents.map(|document| serde::Deserialize::deserialize(document).expect("YAML"));
    values.map(|value: Value| (value["kind"].as_str().expect("a kind").to_owned(), value)).collect()
}

#[test]
fn the_configuration_in_the_manifests_loads() {
    let text = manifests()["ConfigMap"]["data"]["tagrelay.yaml"].as_str().expect("a file").to_owned();
    let read = move |_: &Path| Ok(text.clone());
    let config = config::load(Path::new("tagrelay.yaml"), &read);
    let config = config.unwrap_or_else(|errors| panic!("{}", errors.render(false)));
    assert!(!config.server.listen.ip().is_loopback(), "the Service must reach it");
}

#[test]
fn every_secret_that_the_configuration_names_is_mounted() {
    let all = manifests();
    let text = all["ConfigMap"]["data"]["tagrelay.yaml"].as_str().expect("a file");
    let mounted = "/run/secrets/tagrelay/";
    let keys = all["Secret"]["stringData"].as_mapping().expect("a mapping");
    let named: Vec<&str> =
        text.split(mounted).skip(1).map(|rest| rest.split([' ', '}', '\n']).next().unwrap()).collect();
    assert!(!named.is_empty());
    for name in named {
        assert!(keys.contains_key(name), "no key `{name}` in the Secret");
    }
    let container = &all["Deployment"]["spec"]["template"]["spec"]["containers"][0];
    let mounts = container["volumeMounts"].as_sequence().expect("mounts");
    assert!(mounts.iter().any(|mount| mount["mountPath"].as_str() == Some(mounted.trim_end_matches('/'))));
}

#[test]
fn one_process_without_rights() {
    let all = manifests();
    for kind in ["Deployment", "Role", "ConfigMap", "Secret", "Service", "NetworkPolicy", "ServiceAccount"] {
        assert!(all.contains_key(kind), "{kind}");
    }
    let deployment = &all["Deployment"]["spec"];
    assert_eq!((deployment["replicas"].as_u64(), deployment["strategy"]["type"].as_str()), (Some(1), Some("Recreate")));
    let pod = &deployment["template"]["spec"];
    assert_eq!(pod["securityContext"]["runAsNonRoot"].as_bool(), Some(true));
    assert_eq!(pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"].as_bool(), Some(true));
    assert_eq!(all["Role"]["rules"].as_sequence().map(Vec::len), Some(0));
}

#[test]
fn the_image_is_built_from_what_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let copied =
        DOCKERFILE.lines().filter_map(|line| line.strip_prefix("COPY ")).filter(|line| !line.starts_with("--"));
    for line in copied {
        let names: Vec<&str> = line.split_whitespace().collect();
        for name in &names[..names.len() - 1] {
            assert!(root.join(name).exists(), "{name} of `COPY {line}`");
        }
    }
    assert!(DOCKERFILE.lines().any(|line| line == "USER 65532:65532"));
}
