//! The proxy that the environment names: registries are reached through it, but for those that it excepts.

use super::{directory, said, tagrelay};
use crate::contract::proxy::Proxy;
use std::net::TcpListener;
use std::process::Command;

const CONFIG: &str = "repositories: { default: { url: file:///nowhere, policies: p } }\npolicies: policies\n\
                      journal: sqlite://journal.db\n";
const POLICY: &str = "apiVersion: tagrelay/v1\nname: shop\nimages: [IMAGE]\nenvironments:\n\
                      \x20 - { name: dev, select: { follow: dev }, write: [{ kustomize: dev }] }\n";
const SHOP: &str = "registry.corp.test/shop";

/// What the proxy of the environment was asked by one run, and what the run said.
fn run(image: &str, excepted: &str) -> (Vec<String>, String) {
    // A tunnel ends where everything is hung up on.
    let nothing = TcpListener::bind("127.0.0.1:0").expect("a port");
    let target = nothing.local_addr().expect("an address");
    std::thread::spawn(move || nothing.incoming().for_each(drop));
    let proxy = Proxy::to(target, None);
    let directory = directory(&[
        ("tagrelay.yaml", CONFIG),
        ("policies/shop.yaml", &POLICY.replace("IMAGE", image)),
        ("token", "jwt"),
    ]);
    let mut command: Command = tagrelay(directory.path(), ["once", "--config", "tagrelay.yaml"]);
    for variable in ["ALL_PROXY", "all_proxy", "http_proxy", "https_proxy", "no_proxy"] {
        command.env_remove(variable);
    }
    command.env("TAGRELAY_LOG", "trace");
    command.env("HTTPS_PROXY", format!("http://bob:hunter2@{}", proxy.address)).env("NO_PROXY", excepted);
    command.env("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/tagrelay");
    command.env("AWS_WEB_IDENTITY_TOKEN_FILE", directory.path().join("token"));
    command.env("AWS_REGION", "eu-west-1").env("AWS_EC2_METADATA_DISABLED", "true");
    let said = said(&mut command, "");
    (proxy.asked(), said.out + &said.err)
}

#[test]
fn the_environment_names_a_proxy() {
    let ((through, said), (beside, said_beside)) = std::thread::scope(|scope| {
        let through = scope.spawn(|| run(SHOP, "elsewhere.test"));
        let beside = scope.spawn(|| run(SHOP, "elsewhere.test, .corp.test"));
        (through.join().expect("a run"), beside.join().expect("a run"))
    });
    assert!(!through.is_empty(), "{said}");
    for head in through {
        assert!(head.starts_with("CONNECT registry.corp.test:443 "), "{head}");
        assert!(head.to_ascii_lowercase().contains("proxy-authorization: basic ym9iomh1bnrlcji="), "{head}");
    }
    assert!(said.contains("registry.corp.test/shop could not be read"), "{said}");
    assert!(!said.contains("hunter2") && !said.contains("Ym9iOmh1bnRlcjI"), "{said}");
    assert_eq!(beside, [""; 0], "{said_beside}");
    assert!(said_beside.contains("registry.corp.test/shop could not be read"), "{said_beside}");
}

#[test]
fn who_we_are_at_amazon_is_asked_through_it() {
    let (asked, said) = run("123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop", "elsewhere.test");
    let first = asked.first().map(String::as_str).unwrap_or_default();
    assert!(first.starts_with("CONNECT sts.eu-west-1.amazonaws.com:443 "), "{asked:?}: {said}");
    assert!(first.to_ascii_lowercase().contains("proxy-authorization: basic ym9iomh1bnrlcji="), "{first}");
    assert!(!said.contains("hunter2") && !said.contains("Ym9iOmh1bnRlcjI"), "{said}");
}
