//! What a doctor finds: the rights that are there, those that are missing, and those that nobody can try.

use super::new_tag::{KUSTOMIZATION, POLICY};
use super::without_daemon::says;
use super::world::Story;
use serde_json::Value;
use tagrelay::sandbox::gitlab::Role;

const FILE: &str = "deployment/dev/kustomization.yaml";

/// The answer to each right.
fn answers(json: &str) -> Vec<(String, String)> {
    let value: Value = serde_json::from_str(json).expect("JSON");
    let word = |right: &Value, key: &str| right[key].as_str().unwrap_or_default().to_owned();
    let rights = value["rights"].as_array().expect("rights").iter();
    rights.map(|it| (format!("{} {}", word(it, "kind"), word(it, "right")), word(it, "answer"))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_doctor_says_which_rights_are_missing_and_changes_nothing() {
    let policy = POLICY.replace("    select: { follow: dev }", "    select: { follow: dev }\n    keep: 2");
    let story = Story::new(&policy, &[(FILE, KUSTOMIZATION)]).await;
    story.push("dev", 1);
    let well = says(&story, &["doctor", "--json"]).await;
    assert_eq!(well.code, Some(0), "{}{}", well.out, well.err);
    let expected = [
        ("policies read", "has"),
        ("branch read", "has"),
        ("branch write", "has"),
        ("images read", "has"),
        ("images write", "untried"),
        ("gitlab deploy", "has"),
        ("gitlab deploy", "has"),
    ];
    let expected: Vec<(String, String)> =
        expected.iter().map(|(of, is)| ((*of).to_owned(), (*is).to_owned())).collect();
    assert_eq!(answers(&well.out), expected);

    story.world.gitlab.grant("glpat-test", "group/shop", Role::Reporter).expect("a grant");
    let git =
        ["-C", &story.deploys.path().display().to_string(), "config", "http.receivepack", "false"].map(str::to_owned);
    let done = std::process::Command::new("git").args(git).status().expect("git");
    assert!(done.success());
    let ill = says(&story, &["doctor"]).await;
    assert_eq!(ill.code, Some(1), "{}{}", ill.out, ill.err);
    for told in [
        "missing  gitlab    group/shop",
        "less than Developer",
        "-> give the token of `gitlab` the scope api and the role Developer in group/shop",
        "needed by shop/dev",
        "missing  branch    default:main",
        "-> let the token of `repositories.default` push to main",
        "cannot be tried without a push",
    ] {
        assert!(ill.out.contains(told), "`{told}` is not in:\n{}", ill.out);
    }
    assert!(!ill.out.contains("glpat-test") && !ill.err.contains("glpat-test"), "no secret is printed");
    assert!(!story.home.path().join("journal.db").exists(), "it leaves no journal behind");
    assert_eq!(story.n_commits().await, 0);
    assert!(story.told("group/shop", "development").is_empty());
}
