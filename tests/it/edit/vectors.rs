//! The vectors taken from Argo CD Image Updater and Flux: each passes, or stands in the table of differences.
//!
//! They lie beside the repository in the project's shared folder; without it these tests skip themselves.

use super::{FILE, after, helm_keys, image, one, pinned, set};
use serde_json::Value;
use std::path::PathBuf;
use tagrelay::model::place::Missing;
use tagrelay::model::{Place, Target};
use tagrelay::relay::edit::{apply, is_plain_safe, plan_image, read_value};

/// Where we do otherwise on purpose, and why.
const DIFFERENCES: [(&str, &str); 12] = [
    (
        "ys-aliases-to-mappings-are-followed",
        "an alias is refused: what it repeats is edited where it stands, by its own path",
    ),
    ("ys-aliases-to-scalars-are-followed", "an alias is refused: the anchored value may be somebody else's"),
    ("yg-get-value-from-alias-node", "an alias is not read through either: what is read can be written"),
    ("hv-empty-value-keeps", "an empty value is refused, not passed over in silence"),
    ("hv-empty-value-not-created", "an empty value is refused, not passed over in silence"),
    ("kf-simple", "an entry without a tag and digest is no pin"),
    ("kf-rename", "newName belongs to the person who wrote the kustomization; it is never written"),
    ("kf-digest", "newName is never written"),
    ("kf-all", "newName is never written"),
    ("ku-create-images", "newName is never written"),
    ("ku-merge-images", "an entry is edited, never replaced as a whole"),
    ("flux-yaml-preserve-002", "nothing is edited there"),
];

/// The digests of the vectors are no digests; these stand for them.
const DIGESTS: [(&str, char); 2] = [("sha12345", 'a'), ("sha23456", 'b')];

#[expect(clippy::print_stdout, reason = "a test that skips itself says so")]
fn vectors(file: &str) -> Option<Vec<Value>> {
    let shared = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/vectors"));
    let folder = std::env::var_os("TAGRELAY_VECTORS").map_or(shared, PathBuf::from);
    let Ok(text) = std::fs::read_to_string(folder.join(file)) else {
        println!("skipped: {file} is not at {}", folder.display());
        return None;
    };
    Some(serde_json::from_str(&text).expect("vectors are JSON"))
}

/// Runs every vector of these kinds; `run` gives what is wrong.
fn check(file: &str, kinds: &[&str], run: impl Fn(&Value) -> Option<String>) {
    let Some(vectors) = vectors(file) else { return };
    let of_kind = |vector: &&Value| kinds.iter().any(|kind| vector["kind"] == *kind);
    let mut wrong = Vec::new();
    for vector in vectors.iter().filter(of_kind) {
        let id = vector["id"].as_str().expect("id");
        let difference = DIFFERENCES.iter().any(|(differs, _)| *differs == id);
        match run(vector) {
            Some(why) if !difference => wrong.push(format!("{id}: {why}")),
            None if difference => wrong.push(format!("{id}: passes, and stands in the table of differences")),
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn text<'v>(vector: &'v Value, part: &str, key: &str) -> Option<&'v str> {
    vector[part][key].as_str()
}

/// Compares a result with what a vector expects: text, text but for blank ends, data, or an error.
fn compare(vector: &Value, made: Result<String, String>) -> Option<String> {
    let before = text(vector, "input", "file").expect("file");
    let unchanged = vector["expect"]["unchanged"].as_bool() == Some(true);
    let better =
        text(vector, "better", "file").or_else(|| text(vector, "expect", "file")).or(unchanged.then_some(before));
    let (expected, made) = match (better, made) {
        (None, Err(_)) => return None,
        (None, Ok(made)) => return Some(format!("expected an error, got {made:?}")),
        (Some(_), Err(error)) => return Some(error),
        (Some(expected), Ok(made)) => (real_digests(expected), made),
    };
    let data = |text: &str| serde_yaml::from_str::<serde_yaml::Value>(text).expect("YAML");
    let how = vector["compare"].as_str().unwrap_or("bytes");
    let same = match how {
        "trimmed text" => expected.trim() == made.trim(),
        how if how.starts_with("yaml-equal") => data(&expected) == data(&made),
        _ => expected == made,
    };
    (!same).then(|| format!("expected {expected:?}, got {made:?}"))
}

fn real_digests(text: &str) -> String {
    DIGESTS.iter().fold(text.to_owned(), |text, (fake, hex)| {
        text.replace(fake, &format!("sha256:{}", hex.to_string().repeat(64)))
    })
}

#[test]
fn argocd_values_are_set() {
    check("argocd-image-updater.json", &["yaml_set"], |vector| {
        let get = |key| text(vector, "input", key).expect("input");
        compare(
            vector,
            set(get("file"), &[(get("path"), get("value"))], Missing::Add).map_err(|error| error.to_string()),
        )
    });
}

#[test]
fn argocd_values_are_read() {
    check("argocd-image-updater.json", &["yaml_get"], |vector| {
        let get = |key| text(vector, "input", key).expect("input");
        let read = read_value(FILE, None, get("path"), &one(get("file")));
        match (read, text(vector, "expect", "value")) {
            (Ok(Some(read)), Some(expected)) if read == expected => None,
            (Ok(None) | Err(_), None) => None,
            (read, expected) => Some(format!("expected {expected:?}, got {read:?}")),
        }
    });
}

#[test]
fn argocd_plain_scalars_are_safe() {
    check("argocd-image-updater.json", &["plain_scalar_safe"], |vector| {
        let value = text(vector, "input", "value").expect("value");
        (Some(is_plain_safe(value)) != vector["expect"]["safe"].as_bool()).then(|| format!("{value:?}"))
    });
}

#[test]
fn argocd_helm_values_are_written() {
    check("argocd-image-updater.json", &["helm_values_write"], |vector| {
        let before = text(vector, "input", "file").expect("file");
        let writes = vector["input"]["writes"].as_array().expect("writes");
        let writes: Vec<_> = writes
            .iter()
            .map(|write| (write["path"].as_str().expect("path"), write["value"].as_str().expect("value")))
            .collect();
        // These two write an image name whose spelling in the file is kept: a place, not plain values.
        let made = match vector["id"].as_str() {
            Some("hv-short-form-kept" | "hv-long-form-kept") => short_or_long(before),
            _ => set(before, &writes, Missing::Add),
        };
        compare(vector, made.map_err(|error| error.to_string()))
    });
}

fn short_or_long(before: &str) -> Result<String, tagrelay::relay::edit::EditError> {
    let (image, files) = (image("docker.io/bitnami/nginx"), one(before));
    let registry = before.contains("registry:").then(|| "image.registry".to_owned());
    let keys = helm_keys(|key| match key {
        "repository" => Some("image.name".to_owned()),
        "tag" => Some("image.tag".to_owned()),
        "registry" => registry.clone(),
        _ => None,
    });
    let target = Target::Helm { file: FILE.to_owned(), image: image.name.clone(), keys, document: None };
    let plan = plan_image(&Place { target, missing: Missing::Error }, &image, &pinned("v1.0.0"), &files)?;
    after(before, apply(&plan, &files)?)
}

#[test]
fn argocd_kustomizations_are_written() {
    check("argocd-image-updater.json", &["kustomize_set"], |vector| {
        let mut made = Ok(real_digests(text(vector, "input", "file").expect("file")));
        for argument in vector["input"]["images"].as_array().expect("images") {
            made = made.and_then(|text| set_image(&text, &real_digests(argument.as_str().expect("image"))));
        }
        let mut vector = vector.clone();
        let before = real_digests(text(&vector, "input", "file").expect("file"));
        vector["input"]["file"] = Value::from(before);
        compare(&vector, made)
    });
}

/// `image[=newName][:tag][@digest]` as `kustomize edit set image` takes it.
fn set_image(before: &str, argument: &str) -> Result<String, String> {
    let argument = argument.split_once('=').map_or(argument, |(_, new)| new);
    let end = argument.find([':', '@']).unwrap_or(argument.len());
    let pin = argument[end..].trim_start_matches(':');
    if pin.is_empty() {
        return Err("no pin".to_owned());
    }
    let (image, files) = (image(&argument[..end]), one(before));
    let place = Place { target: Target::Kustomize { path: FILE.to_owned() }, missing: Missing::Add };
    let made = plan_image(&place, &image, &pinned(pin), &files).and_then(|plan| after(before, apply(&plan, &files)?));
    made.map_err(|error| error.to_string())
}

#[test]
fn flux_files_are_preserved() {
    // Markers are a way to name a place; here the same places are named by their paths.
    const PLACES: [(&str, &str, &str); 5] = [
        ("flux-yaml-preserve-003", "data.image", "app:1.0.1"),
        ("flux-yaml-preserve-004", "spec.image", "harbor.com/docs:1.10.80"),
        ("flux-yaml-preserve-005", "values.image", "a:2"),
        ("flux-yaml-preserve-006", "spec.image", "a:2"),
        ("flux-yaml-preserve-007", "spec.image", "a:2"),
    ];
    check("flux.json", &["yaml-preserve"], |vector| {
        let before = text(vector, "input", "file").expect("file");
        let by_id = PLACES.iter().find(|(id, ..)| vector["id"] == *id).map(|(_, path, value)| (*path, *value));
        let given = text(vector, "input", "setPath").zip(text(vector, "input", "value"));
        let Some((path, value)) = given.or(by_id) else { return Some("no place".to_owned()) };
        compare(vector, set(before, &[(path, value)], Missing::Error).map_err(|error| error.to_string()))
    });
}
