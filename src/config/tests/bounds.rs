//! What policies may write, and what is required of whoever writes there.

use super::*;
use crate::model::PinForm;

const HERE: &str = "
repositories:
  default: { url: 'https://git.example.com/Group/deploys.git', policies: policies/ }
  alias: { url: 'http://git.example.com:80/group/deploys/', plain_http: true, branch: other, policies: more/policies }
  values: { url: 'https://git.example.com/group/values' }
registries: { reg.io: {}, read.io: { pull: { username: a, password: { env: A } } }, '*.both.io': { pull: { username: a, password: { env: A } }, push: { username: b, password: { env: B } } } }
";

fn policy(write: &str, more: &str) -> String {
    format!("{HEAD}environments: [{{ name: dev, select: {{ newest: seen }}, write: [{write}]{more} }}]\n")
}

/// The first error, or nothing.
fn said(configuration: &str, text: &str) -> String {
    errors_under(configuration, text).into_iter().next().unwrap_or_default()
}

#[test]
fn no_policy_writes_policies_or_what_steers_git() {
    let unbound = HERE.replace("policies: policies/ }", "policies: policies/, may: { write: ['**'] } }");
    for (path, why) in [
        ("policies/shop.yaml", "the policies of repository `default` stand there"),
        ("./policies//shop.yaml", "the policies of repository `default` stand there"),
        ("Policies/values.yaml", "the policies of repository `default` stand there"),
        ("more/policies/values.yaml", "the policies of repository `alias` stand there"),
        (".gitlab-ci.yml", "`.gitlab-ci.yml` steers git or its server"),
        ("app/.GitLab-CI.yml", "`.GitLab-CI.yml` steers git or its server"),
        (".git/x.yaml", "`.git` steers git or its server"),
        ("a/.GIT/x.yaml", "`.GIT` steers git or its server"),
        (".github/workflows/x.yaml", "`.github` steers git or its server"),
        (".gitlab/x.yaml", "`.gitlab` steers git or its server"),
        ("a/../../x.yaml", "`..` leads out of it"),
        ("deployment/dev.yaml", ""),
        ("other-policies/dev.yaml", ""),
    ] {
        for configuration in [HERE, &unbound] {
            for write in [format!("{{ helm: '{path}' }}"), format!("{{ yaml: '{path}', path: image }}")] {
                let said = said(configuration, &policy(&write, ""));
                assert!(said.contains(why) && said.is_empty() == why.is_empty(), "{path}: {said}");
            }
        }
    }
    let directory = said(HERE, &policy("{ kustomize: policies }", ""));
    assert!(directory.contains("no policy may write `policies/kustomization.yaml`"), "{directory}");
    let elsewhere = said(
        &HERE.replace("policies: policies/ }", "policies: policies/, may: { repositories: [values] } }"),
        &policy("{ helm: policies/x.yaml }", ", deliver: { repository: values }"),
    );
    assert_eq!(elsewhere, "", "no policies of that repository stand there");
}

#[test]
fn the_judge_is_asked_again_for_the_file_itself() {
    let config = config(
        &HERE.replace("policies: policies/ }", "policies: policies/, may: { write: ['a/kustomization.yml'] } }"),
    );
    let judge = |file: &str| config.judge_write(&origin("shop.yaml"), "default", file).map_err(|why| why.to_string());
    assert_eq!(judge("a/kustomization.yml"), Ok(()));
    let why = judge("a/kustomization.yaml").expect_err("refused");
    assert!(why.contains("`may.write` in the configuration): allowed: `a/kustomization.yml`"), "{why}");
    assert!(judge("policies/kustomization.yml").is_err());
    let local = PolicyOrigin { repository: None, path: "shop.yaml".to_owned() };
    assert!(config.judge_write(&local, "default", "x.yaml").is_ok());
    assert!(config.judge_write(&local, "default", ".gitlab-ci.yml").is_err());
}

#[test]
fn branches_are_the_repositorys_or_the_environments() {
    let some = HERE.replace("policies: policies/ }", "policies: policies/, may: { branches: ['release/*'] } }");
    for (configuration, branch, allowed) in [
        (HERE, "main", true),
        (HERE, "release/stable", false),
        (HERE, "env/{{ environment }}", true),
        (HERE, "ENV-{{ environment | upper }}", true),
        (HERE, "{% if environment %}release/stable{% endif %}", false),
        (HERE, "{{ policy }}", false),
        (&some, "release/stable", true),
        (&some, "main", false),
        (&some, "env/{{ environment }}", false),
    ] {
        let said = said(configuration, &policy("{ kustomize: a }", &format!(", deliver: {{ branch: '{branch}' }}")));
        assert_eq!(said.is_empty(), allowed, "{branch}: {said}");
        assert!(allowed || said.contains("(`may.branches` in the configuration)"), "{said}");
    }
    let local =
        HERE.replace("policies: policies/ }", "}").replace(", policies: more/policies", "") + "policies: here\n";
    let files = [(
        PolicyOrigin { repository: None, path: "here/shop.yaml".to_owned() },
        policy("{ kustomize: a }", ", deliver: { branch: x }"),
    )];
    assert!(policies(&config(&local), &files).broken.is_empty(), "nothing bounds a local directory");
}

#[test]
fn copies_go_where_the_configuration_says() {
    let copies = |to: &str| {
        format!(
            "{HEAD}environments:\n  - {{ name: dev, select: {{ newest: seen }}, write: [{{ kustomize: a }}], evidence: none }}\n  \
                 - {{ name: prod, promote: {{ from: dev, to: {to} }}, write: [{{ kustomize: b }}] }}\n"
        )
    };
    let retag = HERE.replace("policies: policies/ }", "policies: policies/, may: { retag: ['evil.io/mine/*:*'] } }");
    for (configuration, to, why) in [
        (HERE, "reg.io/prod/shop", ""),
        (HERE, "eu.both.io/shop", ""),
        (HERE, "evil.io/shop", "`evil.io`: the configuration does not name it"),
        (HERE, "read.io/shop", "`registries` says who reads there, and not who pushes"),
        (&retag, "evil.io/mine/shop", ""),
        (&retag, "reg.io/prod/shop", "`may.retag` in the configuration"),
    ] {
        let said = said(configuration, &copies(to));
        assert!(said.contains(why) && said.is_empty() == why.is_empty(), "{to}: {said}");
    }
}

#[test]
fn a_floor_binds_by_what_is_written() {
    let promoted = |promote: &str, write: &str, more: &str| {
        format!(
            "{HEAD}environments:\n  - {{ name: dev, select: {{ newest: seen }}, write: [{{ kustomize: dev }}], evidence: none }}\n  \
                 - {{ name: live, promote: {{ from: dev{promote} }}, write: [{write}], pin: tag{more} }}\n"
        )
    };
    let alias = ", deliver: { repository: alias }";
    for (floor, text, binds) in [
        ("environments: ['prod*']", promoted("", "{ kustomize: prod }", ""), false),
        ("writes: ['prod/**']", promoted("", "{ kustomize: prod }", ""), true),
        ("writes: ['prod/kustomization.yml']", promoted("", "{ kustomize: './prod/' }", ""), true),
        (
            "writes: ['prod/*.yaml']",
            promoted("", "{ helm: prod/kustomization.yaml, keys: { tag: 'images[0].newTag' } }", ""),
            true,
        ),
        ("writes: ['other.yaml', 'live.yaml']", promoted("", "{ helm: '{{ environment }}.yaml' }", ""), true),
        ("writes: ['prod/**']", promoted("", "{ kustomize: staging }", ""), false),
        ("environments: ['prod'], writes: ['prod/**']", promoted("", "{ kustomize: prod }", ""), false),
        ("writes: ['prod/**'], branches: [main]", promoted("", "{ kustomize: prod }", ""), true),
        ("writes: ['prod/**'], branches: [other]", promoted("", "{ kustomize: prod }", ""), false),
        ("branches: ['m*']", promoted("", "{ kustomize: x }", ""), true),
        ("repositories: [alias]", promoted("", "{ kustomize: x }", ""), true),
        ("repositories: [default]", promoted("", "{ kustomize: x }", alias), true),
        ("repositories: [values]", promoted("", "{ kustomize: x }", ""), false),
        (
            "retags: ['*/shop:prod']",
            promoted(", retag: prod", "{ kustomize: x }", "").replace("pin: tag", "pin: tag@digest"),
            true,
        ),
        (
            "retags: ['*/shop:prod']",
            promoted(", retag: other", "{ kustomize: x }", "").replace("pin: tag", "pin: tag@digest"),
            false,
        ),
        ("retags: ['reg.io/prod/*:prod']", promoted(", to: reg.io/prod/shop", "{ kustomize: x }", ""), true),
        ("retags: ['*/shop:prod']", promoted("", "{ kustomize: x }", ""), false),
    ] {
        let configuration =
            format!("{HERE}require: [{{ {floor}, pin: digest, gates: {{ approvals: {{ required: 2 }} }} }}]\n")
                .replace(
                    "policies: policies/ }",
                    "policies: policies/, may: { repositories: [alias], branches: ['**'] } }",
                );
        let loaded = loaded(&configuration, &[("shop.yaml", &text)]);
        let told: Vec<String> = loaded.broken.iter().flat_map(|broken| lines(&broken.diagnostics)).collect();
        // A floor of `pin: digest` breaks what has nowhere to write it.
        if text.contains("helm") {
            assert_eq!(
                told.iter().any(|line| line.contains("`pin: digest` has nowhere to go")),
                binds,
                "{floor}: {told:?}"
            );
            continue;
        }
        let live = &loaded.policies.first().unwrap_or_else(|| panic!("{floor}: {told:?}")).environments[1];
        let required = live.gates.approvals.as_ref().map(|approvals| approvals.required);
        assert_eq!(required, binds.then_some(2), "{floor}: {text}");
        assert!(!binds || live.pin != PinForm::Tag, "{floor}");
    }
}

#[test]
fn floors_that_match_add_up_and_those_that_cannot_are_errors() {
    let floors = "require: [{ writes: ['prod/**'], gates: { approvals: { required: 1 } } }, { branches: [main], gates: { soak: 2h } }, { gates: { soak: 1h } }]\n";
    let text = format!(
        "{HEAD}environments:\n  - {{ name: dev, select: {{ newest: seen }}, write: [{{ kustomize: dev }}], evidence: none }}\n  \
                        - {{ name: live, promote: {{ from: dev }}, write: [{{ kustomize: prod }}] }}\n"
    );
    let loaded = loaded(&format!("{HERE}{floors}"), &[("shop.yaml", &text)]);
    let gates = &loaded.policies[0].environments[1].gates;
    assert_eq!(
        (gates.soak, gates.approvals.as_ref().map(|a| a.required)),
        (crate::model::Span::seconds(7200), Some(1))
    );
    for (floor, why) in [
        ("writes: []", "an empty list matches nothing"),
        ("environments: []", "an empty list matches nothing"),
        ("writes: ['prod/']", "no path matches this pattern"),
        ("writes: ['/prod/**']", "no path matches this pattern"),
        ("writes: ['./prod/**']", "no path matches this pattern"),
        ("repositories: [valeus]", "no repository of this configuration is named `valeus`"),
        ("clusters: [eu]", "`clusters` is not built yet"),
        ("namespaces: [shop]", "`namespaces` is not built yet"),
    ] {
        let errors = read(&format!("{HERE}require: [{{ {floor} }}]\n")).expect_err(floor);
        assert!(lines(&errors).iter().any(|line| line.contains(why)), "{floor}: {:?}", lines(&errors));
    }
}
