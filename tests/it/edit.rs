//! Edits of YAML as the world writes it: the gallery of awkward files, random files, and the vectors of the peers.
//!
//! What a pin is and which files hold it is tested beside the code.

mod gallery;
mod random;
mod vectors;

use std::collections::BTreeMap;
use tagrelay::model::place::Missing;
use tagrelay::model::{Digest, HelmKeys, Image, ImageName, Pinned, Repository, Tag};
use tagrelay::relay::edit::{EditError, Files, apply, plan_values};

/// The one file of an edit.
const FILE: &str = "before.yaml";

fn one(text: &str) -> Files {
    [(FILE.to_owned(), text.to_owned())].into()
}

/// Sets values in a text, as `tagrelay edit yaml` does.
fn set(text: &str, values: &[(&str, &str)], missing: Missing) -> Result<String, EditError> {
    let files = one(text);
    let plan = plan_values(FILE, None, values, missing, &files)?;
    after(text, apply(&plan, &files)?)
}

/// The text after an edit: as it was where nothing changed.
fn after(before: &str, mut changed: BTreeMap<String, String>) -> Result<String, EditError> {
    Ok(changed.remove(FILE).unwrap_or_else(|| before.to_owned()))
}

fn image(repository: &str) -> Image {
    let name = ImageName::parse("shop").expect("name");
    let repository = Repository::parse(repository).expect("repository");
    Image { name, repository, before: Vec::new(), platforms: Vec::new(), source: None }
}

/// `v1`, `v1@sha256:..` or `@sha256:..`.
fn pinned(text: &str) -> Pinned {
    let (tag, digest) = text.split_once('@').map_or((text, None), |(tag, digest)| (tag, Some(digest)));
    Pinned {
        tag: Some(tag).filter(|tag| !tag.is_empty()).map(|tag| Tag::parse(tag).expect("tag")),
        digest: digest.map(|digest| Digest::parse(digest).expect("digest")),
    }
}

fn helm_keys(get: impl Fn(&str) -> Option<String>) -> HelmKeys {
    let [image, registry, repository, tag, digest] = ["image", "registry", "repository", "tag", "digest"].map(get);
    HelmKeys { image, registry, repository, tag, digest }
}
