//! What environments and policies mean to each other.

use super::*;
use crate::model::policy::Together;
use crate::model::{EnvironmentName, PinForm, PolicyName};

const DEV_WRITE: &str = "write: [{ kustomize: '{{ environment }}' }]";

/// A policy with these environments, each on a line of its own from line 5.
fn of(environments: &[&str]) -> String {
    with("[reg.io/shop]", "", environments)
}

fn with(images: &str, more: &str, environments: &[&str]) -> String {
    let lines: String = environments.iter().map(|e| format!("  - {{ {e} }}\n")).collect();
    format!(
        "apiVersion: tagrelay/v1\nname: shop\nimages: {images}\nenvironments:\n{lines}defaults: {{ {DEV_WRITE} }}\n{more}"
    )
}

const DEV: &str = "name: dev, select: { newest: seen }, rollout: { webhook: {} }";
const STAGING: &str = "name: staging, promote: { from: dev, retag: staging }, evidence: none";

#[test]
fn where_releases_come_from() {
    for (environments, expected) in [
        (
            &["name: dev"][..],
            &["5 [{] an environment needs `select` or `promote` | `select` chooses among tags, \
            `promote: { from: ... }` takes what is verified in an earlier environment"][..],
        ),
        (
            &[DEV, "name: dev, select: { newest: seen }, write: [{ kustomize: x }]"],
            &["6 [dev] two environments are named `dev`"],
        ),
        (
            &[DEV, "name: prod, promote: { from: dve }"],
            &["6 [dve] no environment is named `dve` | did you mean `dev`?"],
        ),
        (&["name: prod, promote: { from: prod }"], &["5 [prod] an environment is not promoted from itself"]),
        (
            &["name: prod, promote: { from: dev }", DEV],
            &["5 [dev] `dev` stands later: an environment is promoted from one that stands before it"],
        ),
        (
            &[DEV, "name: staging, select: { follow: x }, promote: { from: dev, retag: y }"],
            &["6 [x] an environment follows one tag: here `promote` pushes another with `retag`"],
        ),
        (
            &[DEV, "name: staging, select: { pinned: true }, promote: { from: dev }"],
            &["6 [true] `pinned` is observed and never written, so nothing can be promoted here"],
        ),
        (
            &[DEV, "name: staging, promote: { from: dev }", "name: prod, promote: { from: staging }"],
            &[
                "6 [{] `prod` is promoted from here, and nothing here says when a release is verified | add `rollout` or `verify`, \
             or `evidence: none` if a push by tagrelay is enough",
            ],
        ),
        (
            &[
                "name: dev, select: { newest: seen }, verify: [{ webhook: {} }], evidence: none",
                "name: prod, promote: { from: dev }",
            ],
            &["5 [none] `rollout` or `verify` is the evidence here: leave `evidence: none` out"],
        ),
        (
            &[
                DEV,
                "name: prod, promote: { from: dev, retag: prod }, write: [], report: [{ gitlab: { project: g/p, sha: commit } }]",
            ],
            &["6 [commit] without `write` there is no commit to report: write `sha: revision`"],
        ),
    ] {
        assert_eq!(errors(&of(environments)), expected, "{environments:?}");
    }
}

#[test]
fn a_tag_that_moves_is_written_with_its_digest() {
    let prod = "name: prod, promote: { from: staging }, pin: tag";
    for (environments, at, tag, who) in [
        (&["name: dev, select: { follow: dev }, pin: tag"][..], 5, "dev", "dev"),
        (&[DEV, "name: staging, promote: { from: dev, retag: staging }, pin: tag"], 6, "staging", "staging"),
        (&[DEV, STAGING, prod], 7, "staging", "staging"),
        (
            &["name: dev, select: { follow: main }, evidence: none", "name: prod, promote: { from: dev }, pin: tag"],
            6,
            "main",
            "dev",
        ),
    ] {
        let said = errors(&of(environments));
        let expected = format!("{at} [tag] `pin: tag` would write the tag `{tag}`, which moves: `{who}` follows it");
        assert!(said.len() == 1 && said[0].starts_with(&expected), "{said:?}");
    }
    assert_eq!(errors(&of(&[DEV, "name: prod, promote: { from: dev }, pin: tag"])), [""; 0]);
}

#[test]
fn several_images() {
    let images = "[reg.io/shop, reg.io/worker]";
    let staging = "name: staging, promote: { from: dev, retag: staging }";
    let said = errors(&with(images, "together: same-tag\n", &[DEV, staging]));
    assert_eq!(
        said,
        ["8 [same-tag] `staging` follows a tag, where all images have the same tag always | leave `together` out \
        (it is `same-revision` there, and `same-tag` elsewhere), or write `same-revision`"]
    );
    assert_eq!(errors(&with("[reg.io/shop]", "together: same-tag\n", &[DEV, staging])), [""; 0]);
    let policy = sound(&with(images, "", &[DEV, staging]));
    let together: Vec<Together> = policy.environments.iter().map(|e| policy.together_in(e)).collect();
    assert_eq!(together, [Together::SameTag, Together::SameRevision]);
    let helm = |places: &str| {
        errors(&with(images, "", &[&format!("name: dev, select: {{ newest: seen }}, write: [{places}]")]))
    };
    assert_eq!(
        helm("{ helm: a.yaml }"),
        ["5 [[] no place here writes the image `worker` | add a place with `for: worker`"]
    );
    assert_eq!(helm("{ helm: a.yaml }, { helm: b.yaml, for: worker }"), [""; 0]);
    assert_eq!(helm("{ helm: a.yaml }, { kustomize: b }"), [""; 0]);
}

#[test]
fn the_source_of_an_image_is_the_project_of_its_first_report() {
    let report = "report: [{ gitlab: { project: g/deploys, sha: commit } }, { gitlab: { project: g/shop, sha: revision } }, \
                  { gitlab: { project: g/worker, sha: revision, for: worker } }]";
    let dev = format!("name: dev, select: {{ newest: seen, branch: main }}, {report}");
    let policy = sound(&with("[reg.io/shop, { name: worker, repository: reg.io/w }]", "", &[&dev]));
    let sources: Vec<_> = policy.images.iter().map(|image| image.source.as_deref()).collect();
    assert_eq!(sources, [Some("g/shop"), Some("g/worker")]);
}

fn policy(name: &str, image: &str, keys: &str) -> String {
    format!(
        "apiVersion: tagrelay/v1\nname: {name}\nimages: [reg.io/{image}]\nenvironments:\n  - {{ name: dev, {keys} }}\n"
    )
}

/// Two policies, and what is said of both together.
fn pair(first: &str, second: &str) -> Vec<String> {
    let loaded = loaded(CONFIG, &[("a.yaml", first), ("b.yaml", second)]);
    assert_eq!(loaded.policies.len() + loaded.broken.len(), 2);
    loaded.broken.iter().flat_map(|broken| broken.diagnostics.iter().map(ToString::to_string)).collect()
}

#[test]
fn two_policies_claim_one_thing() {
    let select = "select: { newest: seen }, write: [{ kustomize: x }]";
    assert_eq!(pair(&policy("a", "a", select), &policy("b", "b", select)), [""; 0]);
    assert_eq!(
        pair(&policy("a", "a", select), &policy("a", "b", select)),
        [
            "default:policies/a.yaml:2:7: this takes the name `a`, and so does default:policies/b.yaml",
            "default:policies/b.yaml:2:7: this takes the name `a`, and so does default:policies/a.yaml",
        ]
    );
    let place = "of `x` on branch `main` of gitlab.example.com/group/deploys";
    let file = "select: { newest: seen }, write: [{ kustomize: x/kustomization.yaml }]";
    assert_eq!(
        pair(&policy("a", "shop", select), &policy("b", "shop", file)),
        [
            format!(
                "default:policies/a.yaml:5:52: this writes the entry of `reg.io/shop` {place}, and so does `b/dev` (default:policies/b.yaml)"
            ),
            format!(
                "default:policies/b.yaml:5:52: this writes the entry of `reg.io/shop` {place}, and so does `a/dev` (default:policies/a.yaml)"
            ),
        ]
    );
}

#[test]
fn a_name_stays_with_the_file_that_it_was_loaded_from() {
    let written = |file: &str, name: &str| {
        let select = format!("select: {{ newest: seen }}, write: [{{ kustomize: {file} }}]");
        (origin(&format!("{file}.yaml")), policy(name, file, &select))
    };
    let files = [written("a", "shop"), written("z", "shop")];
    let nameless = [written("a", "shop"), (origin("z.yaml"), "{".to_owned())];
    let gone = [written("a", "shop")];
    let owned = |path: &str, is_unread: bool| {
        let owner = Owner { origin: origin(path).to_string(), is_unread };
        Owners::from([(PolicyName::parse("shop").expect("name"), owner)])
    };
    for (files, owners, goes_on, told) in [
        (&files[..], Owners::new(), Some("policies/a.yaml"), "the name `shop` belongs to default:policies/a.yaml"),
        (&files, owned("z.yaml", false), Some("policies/z.yaml"), "the name `shop` belongs to default:policies/z.yaml"),
        (&nameless, owned("z.yaml", false), None, "the name `shop` belongs to default:policies/z.yaml"),
        (&gone, owned("z.yaml", true), None, "the name `shop` belongs to default:policies/z.yaml"),
        (&gone, owned("z.yaml", false), Some("policies/a.yaml"), ""),
    ] {
        let loaded = policies_among(&config(CONFIG), files, &owners);
        let paths: Vec<&str> = loaded.policies.iter().map(|policy| policy.origin.path.as_str()).collect();
        assert_eq!(paths, goes_on.as_slice(), "{owners:?}");
        let said: Vec<String> = loaded.broken.iter().flat_map(|broken| lines(&broken.diagnostics)).collect();
        assert!(said.iter().any(|line| line.contains(told)) || told.is_empty(), "{owners:?}: {said:?}");
    }
}

#[test]
fn one_file_does_not_stop_another_by_what_it_wants() {
    let select = "select: { newest: seen }, write: [{ kustomize: x }]";
    let files = [("a", policy("a", "shop", select)), ("b", policy("b", "shop", select))];
    let files = files.map(|(file, text)| (origin(&format!("{file}.yaml")), text));
    let loaded = policies_among(&config(CONFIG), &files, &Owners::new());
    assert_eq!(loaded.policies.len(), 2, "who has the place is known once it is read");
    let twice = of(&["name: dev, select: { newest: seen }, write: [{ kustomize: x }, { kustomize: x }]"]);
    let loaded = policies_among(&config(CONFIG), &[(origin("a.yaml"), twice)], &Owners::new());
    assert_eq!(loaded.broken.len(), 1, "within a file it is an error");
}

#[test]
fn places_apart_are_no_conflict() {
    let yaml = |document: &str| {
        format!("select: {{ newest: seen }}, write: [{{ yaml: x.yaml, path: a.b, document: {document} }}]")
    };
    let said = |one: &str, other: &str| pair(&policy("a", "a", &yaml(one)), &policy("b", "b", &yaml(other))).len();
    assert_eq!(said("{ kind: Deployment, name: a }", "{ kind: Deployment, name: b }"), 0);
    assert_eq!(said("{ kind: Deployment }", "{ name: b }"), 2);
    let helm = |key: &str| format!("select: {{ newest: seen }}, write: [{{ helm: x.yaml, keys: {{ tag: {key} }} }}]");
    assert_eq!(pair(&policy("a", "a", &helm("a.tag")), &policy("b", "b", &helm("b.tag"))).len(), 0);
    assert_eq!(pair(&policy("a", "a", &helm("a.tag")), &policy("b", "b", &helm("a.tag"))).len(), 2);
    let branch = |branch: &str| format!("{}, deliver: {{ branch: {branch} }}", helm("a.tag"));
    assert_eq!(pair(&policy("a", "a", &branch("dev")), &policy("b", "b", &branch("main"))).len(), 0);
}

#[test]
fn reports_and_tags_have_one_owner() {
    let report = |file: &str, keys: &str| {
        format!(
            "select: {{ newest: seen }}, write: [{{ kustomize: {file} }}], report: [{{ gitlab: {{ project: g/p, sha: commit{keys} }} }}]"
        )
    };
    let said = pair(&policy("a", "a", &report("a", "")), &policy("b", "b", &report("b", "")));
    assert!(
        said.len() == 2
            && said[0].ends_with(
                "this reports to the environment `dev` of `g/p`, and so does `b/dev` (default:policies/b.yaml)"
            ),
        "{said:?}"
    );
    assert_eq!(
        pair(&policy("a", "a", &report("a", "")), &policy("b", "b", &report("b", ", environment: other"))).len(),
        0
    );
    let retag = "select: { newest: seen }, evidence: none, write: [{ kustomize: X }] }\n  - { name: prod, promote: { from: dev, retag: prod }, write: []";
    let [a, b] = ["a", "b"].map(|name| policy(name, "shop", &retag.replace('X', name)));
    let said = pair(&a, &b);
    assert!(
        said.len() == 2
            && said[0]
                .ends_with("this pushes the tag `reg.io/shop:prod`, and so does `b/prod` (default:policies/b.yaml)"),
        "{said:?}"
    );
}

#[test]
fn a_broken_file_stops_itself_alone() {
    let fine = policy("a", "a", "select: { newest: seen }, write: [{ kustomize: a }]");
    let loaded =
        loaded(CONFIG, &[("a.yaml", &fine), ("b.yaml", "apiVersion: tagrelay/v1\nname: b\n"), ("c.yaml", "{")]);
    assert_eq!(loaded.policies.iter().map(|p| p.name.to_string()).collect::<Vec<_>>(), ["a"]);
    let broken: Vec<_> =
        loaded.broken.iter().map(|b| (b.origin.path.as_str(), b.name.as_ref().map(ToString::to_string))).collect();
    assert_eq!(broken, [("policies/b.yaml", Some("b".to_owned())), ("policies/c.yaml", None)]);
    let dev = EnvironmentName::parse("dev").expect("name");
    assert_eq!(loaded.policies[0].environment(&dev).map(|e| e.pin), Some(PinForm::Tag));
}

#[test]
fn where_releases_are_copied_to() {
    let check = |images: &str, to: &str, expected: &[&str]| {
        let prod = format!("name: prod, promote: {{ from: dev, to: {to} }}, rollout: {{ webhook: {{}} }}");
        let dev = "name: dev, select: { newest: seen }, evidence: none";
        assert_eq!(errors(&with(images, "", &[dev, &prod])), expected, "{to}");
    };
    let (one, two) = ("[reg.io/shop]", "[reg.io/shop, reg.io/worker]");
    check(one, "prod.io/shop", &[]);
    check(one, "{ shop: prod.io/shop }", &[]);
    check(two, "{ shop: prod.io/shop, worker: prod.io/worker }", &[]);
    check(
        one,
        "reg.io/shop",
        &["6 [reg.io/shop] `reg.io/shop` is where `shop` is already | leave `to` out where nothing is copied"],
    );
    check(
        two,
        "prod.io/shop",
        &["6 [prod.io/shop] one repository cannot hold several images | write `to: { shop: ..., worker: ... }`"],
    );
    check(
        two,
        "{ shop: prod.io/a, wroker: prod.io/b }",
        &["6 [wroker] no image is named `wroker` | did you mean `worker`?"],
    );
    check(two, "{ shop: prod.io/a }", &["6 [{] `to` names no repository for `worker`"]);
    check(
        two,
        "{ shop: prod.io/a, worker: prod.io/a }",
        &["6 [prod.io/a] `shop` and `worker` would be copied to one repository"],
    );
}

#[test]
fn an_environment_finds_its_images_where_the_one_before_has_them() {
    let text = of(&[
        "name: dev, select: { newest: seen }, evidence: none",
        "name: staging, promote: { from: dev, to: prod.io/shop }, evidence: none",
        "name: prod, promote: { from: staging, retag: prod }",
    ]);
    let policy = sound(&text);
    let found: Vec<_> = policy.environments.iter().map(|e| e.images[0].repository.to_string()).collect();
    assert_eq!(found, ["reg.io/shop", "prod.io/shop", "prod.io/shop"]);
    assert_eq!(policy.environments.iter().map(|e| e.is_copied_to()).collect::<Vec<_>>(), [false, true, false]);
}
