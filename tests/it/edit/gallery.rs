//! `tests/edit/<case>/`: `before.yaml` becomes `after.yaml` by `change.yaml`, or is refused with the words it gives.

use super::{FILE, after, helm_keys, image, one, pinned};
use serde_yaml::Value;
use std::fs;
use std::path::Path;
use tagrelay::model::place::{Document, Missing};
use tagrelay::model::{Place, Target};
use tagrelay::relay::edit::{ChangePlan, EditError, Files, apply, plan_image, plan_values};

#[test]
fn every_case_of_the_gallery() {
    let gallery = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/edit");
    let mut cases: Vec<_> =
        fs::read_dir(gallery).expect("the gallery").map(|case| case.expect("a case").path()).collect();
    cases.retain(|case| case.is_dir());
    cases.sort();
    assert!(cases.len() > 80, "the gallery is there");
    let failures: Vec<String> = cases.iter().filter_map(|case| failure(case)).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn failure(case: &Path) -> Option<String> {
    let read = |file: &str| fs::read_to_string(case.join(file)).ok();
    let before = read("before.yaml").expect("before.yaml");
    let change: Value = serde_yaml::from_str(&read("change.yaml").expect("change.yaml")).expect("change.yaml is YAML");
    let files = one(&before);
    let made = plan(&change, &files).and_then(|plan| after(&before, apply(&plan, &files)?));
    let expected = match text(&change, "error") {
        Some(words) => Err(words),
        None => Ok(read("after.yaml").expect("after.yaml, or an error in change.yaml")),
    };
    let good = match (&made, &expected) {
        (Ok(made), Ok(expected)) => made == expected,
        (Err(error), Err(words)) => error.to_string().contains(words),
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => false,
    };
    (!good).then(|| {
        format!("{}: expected {expected:?}, got {:?}", case.display(), made.map_err(|error| error.to_string()))
    })
}

fn plan(change: &Value, files: &Files) -> Result<ChangePlan, EditError> {
    let missing = if text(change, "missing").is_some() { Missing::Add } else { Missing::Error };
    let document = change.get("document").map(|document| Document {
        api_version: text(document, "apiVersion"),
        kind: text(document, "kind"),
        name: text(document, "name"),
        namespace: text(document, "namespace"),
    });
    let kind = text(change, "kind").expect("kind");
    if kind == "values" {
        let values = change.get("set").and_then(Value::as_mapping).expect("set");
        let values: Vec<_> = values
            .iter()
            .map(|(path, value)| (path.as_str().expect("a path"), value.as_str().expect("a string")))
            .collect();
        return plan_values(FILE, document.as_ref(), &values, missing, files);
    }
    let image = image(&text(change, "image").expect("image"));
    let (file, name) = (FILE.to_owned(), image.name.clone());
    let target = match kind.as_str() {
        "kustomize" => Target::Kustomize { path: file },
        "helm" => {
            let keys = change.get("keys").expect("keys");
            Target::Helm { file, image: name, keys: helm_keys(|key| text(keys, key)), document }
        }
        "yaml" => Target::Yaml { file, image: name, path: text(change, "path").expect("path"), document },
        other => panic!("no kind {other}"),
    };
    plan_image(&Place { target, missing }, &image, &pinned(&text(change, "pin").expect("pin")), files)
}

fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key).map(|value| value.as_str().expect("a string").to_owned())
}
