//! `tagrelay check`: the examples are right, and everything wrong with a set of files is told at once.

use super::{Said, directory, root, said, tagrelay};
use serde_json::{Value, json};

const SHOP: &str = "
apiVersion: tagrelay/v1
name: shop
images: [registry.example.com/shop]
environments:
  - name: dev
    select: { newest: pushed, match: '^[0-9a-z]+$' }
    write: [{ kustomize: deployment/dev }]
    evidence: none
  - name: staging
    promote: { from: dev, retag: staging }
    write: [{ kustomize: deployment/staging }]
    evidence: none
  - name: prod
    promote: { from: staging }
    write: [{ kustomize: deployment/prod }]
    gates: { soak: 1h, approvals: { required: 1, approvers: [alice] }, window: { open: '0 9 * * MON-FRI', for: 8h } }
";

fn check(files: &[(&str, &str)], arguments: &[&str]) -> Said {
    said(&mut tagrelay(directory(files).path(), ["check"].iter().chain(arguments)), "")
}

#[test]
fn the_examples_are_right() {
    let said = said(&mut tagrelay(&root(), ["check", "policies", "--json"]), "");
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    let found: Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!((&found["errors"], &found["failed_cases"]), (&json!([]), &json!([])));
    let files = std::fs::read_dir(root().join("policies")).expect("readable");
    let names: Vec<String> = files.map(|file| file.expect("a file").file_name().display().to_string()).collect();
    let (cases, policies): (Vec<&String>, Vec<&String>) = names.iter().partition(|name| name.ends_with(".cases.yaml"));
    assert_eq!(found["policies"], policies.len());
    assert_eq!(cases.len(), policies.len(), "each example has its cases: {names:?}");
    assert!(found["cases"].as_u64() >= Some(policies.len() as u64));
}

#[test]
fn every_error_is_told_at_once_with_file_line_and_caret() {
    let broken = SHOP.replace("newest: pushed", "newst: pushed").replace("for: 8h", "for: 8 hours");
    let other = "apiVersion: tagrelay/v1\nname: Other!\nimages: []\nenvironments: []\n";
    let said = check(&[("policies/shop.yaml", &broken), ("policies/other.yaml", other)], &[]);
    assert_eq!((said.code, said.out.as_str()), (Some(2), ""));
    for told in [
        "policies/shop.yaml:7:",
        "`newest`",
        "^^^^^",
        "policies/shop.yaml:17:",
        "policies/other.yaml:2:7",
        "policies/other.yaml:3:9",
    ] {
        assert!(said.err.contains(told), "{told} is not told:\n{}", said.err);
    }
    assert!(!said.err.contains('\u{1b}'), "no colour without a terminal");
}

#[test]
fn a_case_that_comes_out_otherwise_says_what_came_out() {
    let cases = "
- { environment: dev, tags: [a, b], pushed: { a: 2026-01-01T00:00:00Z, b: 2026-01-02T00:00:00Z }, expect: b }
- { environment: dev, tags: [a, b], pushed: { a: 2026-01-01T00:00:00Z, b: 2026-01-02T00:00:00Z }, expect: a }
- { environment: dev, tags: [a], expect: none }
- { environment: dev, tags: [A], expect: none }
- { environment: dev, tags: [staging], expect: none }
- { environment: dev, tags: [staging, a], expect: staging }
- { environment: dev, expect: go }
- { environment: prod, expect: wait verified }
- { environment: prod, expect: go }
- { environment: prod, verified: 30m, approvals: [alice], expect: wait soak }
- { environment: prod, verified: 2h, approvals: [mallory], expect: wait approvals }
- { environment: prod, verified: 2h, approvals: [alice], expect: go }
- { environment: prod, verified: 2h, approvals: [alice], expect: wait soak }
- { environment: prod, verified: 2h, approvals: [alice], now: 2026-01-03T10:00:00Z, expect: wait window }
- { environment: prod, verified: 2h, approvals: [alice], now: 2026-01-05T10:00:00Z, expect: go }
- { environment: prod, tags: [a], expect: a }
";
    let said = check(&[("policies/shop.yaml", SHOP), ("policies/shop.cases.yaml", cases)], &["--json"]);
    assert_eq!(said.code, Some(2), "{}", said.err);
    let found: Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!((&found["errors"], &found["cases"]), (&json!([]), &json!(16)));
    let failed = found["failed_cases"].as_array().expect("a list");
    let told: Vec<(u64, &str, &str)> = failed
        .iter()
        .map(|case| {
            assert_eq!(case["file"], "policies/shop.cases.yaml");
            let text = |key: &str| case[key].as_str().expect("a text");
            (case["line"].as_u64().expect("a line"), text("expected"), text("found"))
        })
        .collect();
    let (lines, rest): (Vec<u64>, Vec<(&str, &str)>) = told.iter().map(|(line, a, b)| (*line, (*a, *b))).unzip();
    assert_eq!(lines, [3, 4, 7, 10, 14, 17], "{told:?}");
    assert_eq!(rest[..3], [("a", "b"), ("none", "a"), ("staging", "a")]);
    assert!(rest[3].0 == "go" && rest[3].1.starts_with("wait verified"), "{rest:?}");
    assert_eq!(rest[4], ("wait soak", "go"));
    assert!(rest[5].1.contains("chooses no tag"), "{rest:?}");
}

#[test]
fn failed_cases_are_told_line_by_line() {
    let case = "- { environment: dev, tags: [a], expect: none }\n";
    let said = check(&[("policies/shop.yaml", SHOP), ("policies/shop.cases.yaml", case)], &["policies/shop.yaml"]);
    assert_eq!((said.code, said.out.as_str()), (Some(2), ""));
    assert_eq!(said.err, "policies/shop.cases.yaml:1: dev: expected none, found a\n");
}

#[test]
fn cases_alone_are_read_with_their_policy() {
    let case = "- { environment: dev, tags: [a], expect: a }\n";
    let files =
        [("policies/shop.yaml", SHOP), ("policies/shop.cases.yaml", case), ("policies/x.yaml", "nothing: good")];
    let said = check(&files, &["policies/shop.cases.yaml"]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    assert_eq!(said.out, "1 policy and 1 case: nothing is wrong\n");
}

#[test]
fn the_configuration_is_checked_and_bounds_the_policies() {
    let bounded = "repositories:\n  default: { url: 'https://git.example.com/d.git', policies: policies/, may: { write: ['other/**'] } }\n";
    let files = [("policies/shop.yaml", SHOP), ("tagrelay.yaml", bounded)];
    let said = check(&files, &[]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("policies/shop.yaml:8:"), "{}", said.err);
    let broken = [("policies/shop.yaml", SHOP), ("conf.yaml", "modus: act\n")];
    let said = check(&broken, &["--config", "conf.yaml"]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("conf.yaml:1:1") && said.err.contains("`mode`"), "{}", said.err);
    let elsewhere =
        bounded.replace("other/**", "deployment/**").replace(" policies: policies/,", "") + "policies: here\n";
    let said = check(&[("here/shop.yaml", SHOP), ("tagrelay.yaml", &elsewhere)], &[]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
}

#[test]
fn policies_of_several_repositories_name_theirs() {
    let two = "repositories:
  a: { url: 'https://git.example.com/a.git', policies: policies/ }
  b: { url: 'https://git.example.com/b.git', policies: policies/, may: { write: [] } }
";
    let shop = SHOP.replace("    evidence: none", "    evidence: none\n    deliver: { repository: self }");
    let shop = shop
        .replace("    promote: { from: staging }", "    promote: { from: staging }\n    deliver: { repository: self }");
    let files = [("policies/shop.yaml", shop.as_str()), ("tagrelay.yaml", two)];
    for (arguments, code, told) in [
        (&[][..], 2, "--repository: a, b"),
        (&["--repository", "c"], 2, "--repository: a, b"),
        (&["--repository", "a"], 0, ""),
        (&["--repository", "b"], 2, "policies/shop.yaml:8:"),
    ] {
        let said = check(&files, arguments);
        assert_eq!(said.code, Some(code), "{arguments:?}: {}", said.err);
        assert!(said.err.contains(told), "{arguments:?}: {}", said.err);
    }
}

#[test]
fn wrong_use_and_nothing_to_check() {
    for (arguments, code, told) in [
        (&["nowhere.yaml"][..], 2, "nowhere.yaml"),
        (&[], 2, "policies"),
        (&["--config", "nowhere.yaml"], 2, "nowhere.yaml"),
        (&["--against", "main"], 2, "not built yet"),
        (&["empty"], 3, "no policy"),
    ] {
        let said = check(&[("empty/README.md", "nothing")], arguments);
        assert_eq!((said.code, said.out.as_str()), (Some(code), ""), "{arguments:?}: {}", said.err);
        assert!(said.err.contains(told), "{arguments:?}: {}", said.err);
    }
}

#[test]
fn targets_that_must_not_be_written_are_told_where_they_lie_here() {
    let policy = "apiVersion: tagrelay/v1\nname: web\nimages: [registry.example.com/web]\nenvironments:\n  - name: dev\n    select: { newest: seen }\n    write: [{ helm: values.yaml }]\n";
    let digest = "image:\n  tag: v1\n  digest: sha256:ab\n";
    let signed = "image:\n  tag: v1\nsops:\n  mac: x\n";
    let branch = "deliver: { branch: other }";
    for (values, more, told) in [
        (digest, "", "policies/web.yaml: dev: values.yaml:3: `image.digest` stands beside `image.tag`"),
        (signed, "", "policies/web.yaml: dev: values.yaml:3: SOPS signs this file"),
        ("image:\n  tag: v1\n", "", ""),
        (digest, branch, ""),
    ] {
        let policy = format!("{policy}    {more}\n");
        let said = check(&[("policies/web.yaml", &policy), ("values.yaml", values)], &[]);
        assert_eq!(said.code, Some(if told.is_empty() { 0 } else { 2 }), "{}", said.err);
        assert!(said.err.contains(told), "{}", said.err);
    }
}

#[test]
fn projects_that_gitlab_cannot_have_are_told() {
    let policy = |project: &str| {
        format!(
            "apiVersion: tagrelay/v1\nname: web\nimages: [registry.example.com/web]\nenvironments:\n  - name: dev\n    select: {{ newest: seen }}\n    write: [{{ kustomize: dev }}]\n    report: [{{ gitlab: {{ project: {project}, sha: commit }} }}]\n"
        )
    };
    for (project, sound) in [
        ("https://gitlab.example.com/group/web", false),
        ("group/web.git", false),
        ("/group/web", false),
        ("'..'", false),
        ("group/sub/web", true),
        ("42", true),
    ] {
        let said = check(&[("policies/web.yaml", &policy(project))], &[]);
        assert_eq!(said.code == Some(0), sound, "{project}: {}", said.err);
        assert!(sound || said.err.contains("policies/web.yaml:8:"), "{}", said.err);
    }
}

#[test]
fn the_configuration_is_checked_where_no_policies_lie() {
    let sound = "repositories: { default: { url: 'https://git.example.com/deploys.git', policies: policies/ } }\n";
    let said = check(&[("tagrelay.yaml", sound)], &[]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let told = "nothing is wrong with the configuration. No policy was checked, for there is no folder policies here";
    assert!(said.err.starts_with(told), "{}", said.err);
    let said = check(&[("tagrelay.yaml", "mode: watch\n")], &[]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("`watch` is no value of `mode`"), "{}", said.err);
    let said = check(&[("README.md", "")], &[]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("neither a configuration (tagrelay.yaml) nor a folder policies"), "{}", said.err);
}

#[test]
fn a_pattern_leaves_files_of_others_alone() {
    let config = |policies: &str| {
        format!(
            "repositories: {{ default: {{ url: 'https://git.example.com/d.git', policies: '{policies}' }} }}\nregistries: {{ '*': {{}} }}\n"
        )
    };
    let case = "- { environment: dev, tags: [a], expect: a }\n";
    for (policies, code) in [("policies/*.policy.yaml", 0), ("policies/", 2)] {
        let files = [
            ("tagrelay.yaml", config(policies)),
            ("policies/shop.policy.yaml", SHOP.to_owned()),
            ("policies/shop.policy.cases.yaml", case.to_owned()),
            ("policies/kustomization.yaml", "resources: [a.yaml]\n".to_owned()),
        ];
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
        let said = check(&files, &[]);
        assert_eq!(said.code, Some(code), "{policies}: {}", said.err);
        assert_eq!(said.err.contains("this is no policy"), code == 2, "{policies}: {}", said.err);
        assert_eq!(said.out.contains("1 policy and 1 case"), code == 0, "{policies}: {}", said.out);
    }
}

#[test]
fn what_can_never_come_about_is_told() {
    let config = "repositories: { default: { url: 'https://git.example.com/deploys.git', policies: policies/ } }\n\
                  registries: { '*': {} }\n\
                  server: { access: [{ who: { name: bob, token: { env: BOB } }, may: [approve], on: ['*'] }] }\n";
    let checked = SHOP.replacen("evidence: none", "verify: [{ http: { url: 'http://10.0.0.5/healthz' } }]", 1);
    let shut = checked
        .replace("approvers: [alice] }", "approvers: [alice], expire: 24h }")
        .replace("for: 8h }", "for: 8h }, freeze: [{ from: 2020-01-01, until: 2999-01-01 }]");
    let files = [("tagrelay.yaml", config), ("policies/shop.yaml", shut.as_str())];
    let said = check(&files, &[]);
    assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{}", said.err);
    for told in [
        "dev: check http would never be made: 10.0.0.5 is a private address",
        "prod: its windows and freezes leave no moment open within the next 400 days",
        "prod: 1 must approve, and nobody may by `server.access`",
        "advice: policies/shop.yaml: prod: a vote is over after",
    ] {
        assert!(said.err.contains(told), "{told} is not told:\n{}", said.err);
    }
    // What is only unwise is advice, and the policies are right.
    let lines = SHOP.lines().filter(|line| !line.contains("gates:"));
    let unguarded: String = lines.map(|line| format!("{line}\n")).collect();
    let said = check(&[("policies/shop.yaml", &unguarded)], &[]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.err.contains("prod: every verified release comes here by itself"), "{}", said.err);
}
