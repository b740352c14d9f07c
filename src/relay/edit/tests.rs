//! Pins read and planned over several files; single edits are shown by the gallery in `tests/edit`.

use super::*;
use crate::model::place::Document;
use crate::model::{Build, BuildFacts, Digest, HelmKeys, Release, Repository, Tag};

fn name(text: &str) -> ImageName {
    ImageName::parse(text).expect("name")
}

fn image(text: &str, repository: &str) -> Image {
    let repository = Repository::parse(repository).expect("repository");
    Image { name: name(text), repository, before: Vec::new(), platforms: Vec::new(), source: None }
}

fn files(pairs: &[(&str, &str)]) -> Files {
    pairs.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

fn kustomize(path: &str) -> Place {
    Place { target: Target::Kustomize { path: path.to_owned() }, missing: Missing::Error }
}

fn helm(file: &str, keys: &[(&str, &str)]) -> Place {
    let get = |key: &str| keys.iter().find(|(k, _)| *k == key).map(|(_, path)| (*path).to_owned());
    let [image, registry, repository, tag, digest] = ["image", "registry", "repository", "tag", "digest"].map(get);
    let keys = HelmKeys { image, registry, repository, tag, digest };
    Place {
        target: Target::Helm { file: file.to_owned(), image: name("shop"), keys, document: None },
        missing: Missing::Error,
    }
}

fn yaml(file: &str, path: &str) -> Place {
    let document = Some(Document { kind: Some("Deployment".to_owned()), ..Document::default() });
    let target = Target::Yaml { file: file.to_owned(), image: name("shop"), path: path.to_owned(), document };
    Place { target, missing: Missing::Error }
}

fn release(tags: &[(&str, &str)]) -> Release {
    let build = |tag: &str| Build {
        tag: Tag::parse(tag).expect("tag"),
        digest: Digest::of(tag.as_bytes()),
        facts: BuildFacts::default().into(),
    };
    Release::new(tags.iter().map(|(image, tag)| (name(image), build(tag))).collect())
}

const KUSTOMIZATION: &str =
    "images:\n- name: shop\n  newName: reg.io/shop\n  newTag: v1\n- name: reg.io/worker\n  newTag: v1\n";
const VALUES: &str = "image:\n  repository: reg.io/shop\n  tag: v1\n  digest: \"\"\n";
const DEPLOYMENT: &str =
    "kind: Service\n---\nkind: Deployment\nspec:\n  containers:\n  - name: web\n    image: reg.io/shop:v1\n";

#[test]
fn only_these_files_are_read() {
    let places = [
        kustomize("deploy/prod/"),
        kustomize("./a/kustomization.yml"),
        helm("values.yaml", &[]),
        helm("values.yaml", &[]),
    ];
    let expected = [
        "a/kustomization.yml",
        "deploy/prod/Kustomization",
        "deploy/prod/kustomization.yaml",
        "deploy/prod/kustomization.yml",
        "values.yaml",
    ];
    assert_eq!(wanted(&places), expected);
    assert_eq!(wanted(&[kustomize(".")]).len(), 3);
}

#[test]
fn every_place_is_read_and_written() {
    let images = [image("shop", "reg.io/shop"), image("worker", "reg.io/worker")];
    let keys = [("repository", "image.repository"), ("tag", "image.tag"), ("digest", "image.digest")];
    let places = [kustomize("k"), helm("values.yaml", &keys), yaml("deploy.yaml", "spec.containers[name=web].image")];
    let mut files =
        files(&[("k/kustomization.yaml", KUSTOMIZATION), ("values.yaml", VALUES), ("deploy.yaml", DEPLOYMENT)]);
    let old = read(&places, &images, &files).expect("reads");
    assert_eq!(old.to_string(), "v1");
    let release = release(&[("shop", "v2"), ("worker", "1.10")]);
    for form in [PinForm::TagAtDigest, PinForm::Tag] {
        let wanted = Pin::of(&release, form);
        let plan = plan_pin(&places, &images, &wanted, &files).expect("plans");
        files.extend(apply(&plan, &files).expect("applies"));
        assert_eq!(read(&places, &images, &files), Ok(wanted.clone()), "{form}");
        assert_eq!(plan_pin(&places, &images, &wanted, &files), Ok(ChangePlan::default()), "{form}");
    }
    assert_eq!(files["k/kustomization.yaml"], KUSTOMIZATION.replacen("v1", "v2", 1).replace("v1", "\"1.10\""));
    assert_eq!(files["values.yaml"], VALUES.replace("v1", "v2"));
    assert_eq!(files["deploy.yaml"], DEPLOYMENT.replace("v1", "v2"));
}

#[test]
fn an_entry_is_moved_over_to_the_repository_that_its_image_was_copied_to() {
    let shop =
        Image { before: vec![Repository::parse("reg.io/shop").expect("repository")], ..image("shop", "prod.io/shop") };
    let wanted = Pin::of(&release(&[("shop", "v2")]), PinForm::Tag);
    for (entry, expected) in [
        ("{name: reg.io/shop, newTag: v1}", "{name: reg.io/shop, newTag: v2, newName: prod.io/shop}"),
        ("{name: shop, newName: reg.io/shop, newTag: v1}", "{name: shop, newName: prod.io/shop, newTag: v2}"),
        (
            "{name: prod.io/shop, newName: reg.io/shop, newTag: v1}",
            "{name: prod.io/shop, newName: prod.io/shop, newTag: v2}",
        ),
        ("{name: prod.io/shop, newTag: v1}", "{name: prod.io/shop, newTag: v2}"),
        ("", "{name: prod.io/shop, newTag: v2}"),
    ] {
        let place = [Place { missing: Missing::Add, ..kustomize("k") }];
        let mut files = files(&[("k/kustomization.yaml", &format!("images: [{entry}]\n"))]);
        let plan = plan_pin(&place, std::slice::from_ref(&shop), &wanted, &files).expect("plans");
        files.extend(apply(&plan, &files).expect("applies"));
        assert_eq!(files["k/kustomization.yaml"], format!("images: [{expected}]\n"), "{entry}");
        assert_eq!(read(&place, std::slice::from_ref(&shop), &files), Ok(wanted.clone()), "{entry}");
    }
}

#[test]
fn plans_are_stacked_and_a_moved_place_is_seen() {
    let files = files(&[("k/kustomization.yaml", KUSTOMIZATION)]);
    let plan_one = |name: &str, tag: &str, files: &Files| {
        let images = [image(name, &format!("reg.io/{name}"))];
        plan_pin(&[kustomize("k")], &images, &Pin::of(&release(&[(name, tag)]), PinForm::TagAtDigest), files)
            .expect("plans")
    };
    let (shop, worker, other) =
        (plan_one("shop", "v2", &files), plan_one("worker", "v3", &files), plan_one("shop", "v9", &files));
    let after_shop = apply(&shop, &files).expect("applies");
    let after_both = apply(&worker, &after_shop).expect("applies on top");
    assert!(plan_one("shop", "v2", &after_both).is_empty() && plan_one("worker", "v3", &after_both).is_empty());
    let moved = apply(&other, &after_shop).expect_err("the tag is no longer v1");
    assert!(matches!(&moved, EditError::Moved { expected, found, .. } if expected == "v1" && found == "v2"), "{moved}");
    assert_eq!(shop.changes()[0].to_string(), "k/kustomization.yaml images[name=shop].newTag: v1 -> v2");
}

#[test]
fn errors_say_what_stands_where() {
    let shop = [image("shop", "reg.io/shop")];
    let check = |places: &[Place], images: &[Image], texts: &[(&str, &str)], expected: &str| {
        let error = read(places, images, &files(texts)).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
    };
    let k = ("k/kustomization.yaml", KUSTOMIZATION);
    check(&[kustomize("k")], &shop, &[], "k: no such file (looked for k/kustomization.yaml, k/kustomization.yml");
    check(&[kustomize("k")], &shop, &[k, ("k/Kustomization", "")], "both exist");
    check(&[kustomize("k")], &[image("x", "reg.io/x")], &[k], "its entries name reg.io/shop, reg.io/worker");
    check(
        &[kustomize("k")],
        &shop,
        &[("k/kustomization.yaml", "images: 3\n")],
        "kustomization.yaml:1: `images` is not a list",
    );
    let values = helm("v.yaml", &[("tag", "image.tag")]);
    check(
        &[kustomize("k"), values.clone()],
        &shop,
        &[k, ("v.yaml", "image: {tag: v7}\n")],
        "says v1, v.yaml image.tag says v7",
    );
    check(std::slice::from_ref(&values), &shop, &[("v.yaml", "image: {rag: v7}\n")], "under `image` stand rag");
    check(&[values], &[image("x", "reg.io/x")], &[("v.yaml", "a: 1")], "no place of `write` is for image x");
    let deploy = yaml("d.yaml", "spec.containers[0].image");
    check(
        &[deploy],
        &shop,
        &[("d.yaml", &DEPLOYMENT.replace("shop:", "sidecar:"))],
        "holds reg.io/sidecar:v1, which is not image shop",
    );
}

#[test]
fn a_form_that_no_key_can_hold_is_refused() {
    let files = files(&[("v.yaml", VALUES)]);
    let check = |keys: &[(&str, &str)], expected: &str| {
        let pin = Pin::of(&release(&[("shop", "v2")]), PinForm::Digest);
        let error =
            plan_pin(&[helm("v.yaml", keys)], &[image("shop", "reg.io/shop")], &pin, &files).expect_err(expected);
        assert!(error.to_string().contains(expected), "{error}");
    };
    check(&[("tag", "image.tag")], "nowhere to write this pin");
    check(&[("tag", "image.tag"), ("digest", "image.digest")], "leaves nothing to write to the key `image.tag`");
}

#[test]
fn an_edit_that_would_not_be_exact_is_not_handed_out() {
    // libyaml, and with it kustomize and Helm, refuses what the first parser takes.
    let texts = files(&[("v.yaml", "a: {tag:, x: 1}\n")]);
    let plan = plan_values("v.yaml", None, &[("a.tag", "v1")], Missing::Error, &texts).expect("plans");
    assert!(matches!(apply(&plan, &texts), Err(EditError::Unreadable { line: 1, .. })));
    let texts = files(&[("v.yaml", "a: {tag: , x: 1}\n")]);
    let plan = plan_values("v.yaml", None, &[("a.tag", "v1")], Missing::Error, &texts).expect("plans");
    assert_eq!(apply(&plan, &texts).expect("applies")["v.yaml"], "a: {tag: v1 , x: 1}\n");
    let twice = plan_values("v.yaml", None, &[("a.x", "2"), ("a.x", "3")], Missing::Error, &texts).expect("plans");
    assert!(matches!(apply(&twice, &texts), Err(EditError::Twice { .. })));
}

#[test]
fn the_files_of_one_environment_have_a_limit_together() {
    let text = "image:\n  repository: reg.io/shop\n  tag: v1\n";
    let large = format!("{text}list: [{}]\n", "x,".repeat(TARGET_NODES / 2));
    let keys = [("repository", "image.repository"), ("tag", "image.tag")];
    let places = [helm("a.yaml", &keys), helm("b.yaml", &keys)];
    let images = [image("shop", "reg.io/shop")];
    assert!(read(&places, &images, &files(&[("a.yaml", &large), ("b.yaml", text)])).is_ok());
    match read(&places, &images, &files(&[("a.yaml", &large), ("b.yaml", &large)])) {
        Err(EditError::Unreadable { file, why, .. }) => {
            assert_eq!(file, "b.yaml");
            assert!(why.contains("with the files before it, this environment writes into more than 150000"), "{why}");
        }
        other => panic!("{other:?}"),
    }
}
