//! What places mean in the files as they are: for each value or entry that would be written, one text that is the same
//! whoever names it, by whatever path or kind of place.

use super::locate::{Found, find};
use super::path::{Step, YamlPath};
use super::tree::{Kind, Tree};
use super::{EditError, Files, helm, is_for, kustomize, tree_of, trees, whole};
use crate::model::place::Document;
use crate::model::{Image, Place, Target};

/// A value or entry of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    /// The file.
    pub file: String,
    /// Where in it: the number of the document, then a key or item for each level, joined by `/`.
    pub path: String,
}

/// What would be written, sorted.
///
/// # Errors
/// Where a file or place is missing or cannot be read.
pub fn claims(places: &[Place], images: &[Image], files: &Files) -> Result<Vec<Claim>, EditError> {
    let trees = trees(places, files)?;
    let mut claims = Vec::new();
    for place in places {
        let tree = tree_of(&trees, place, files)?;
        for image in images.iter().filter(|image| is_for(place, image)) {
            let paths = match &place.target {
                Target::Kustomize { .. } => kustomize::entries_of(tree, image, place.missing)?,
                Target::Helm { keys, document, .. } => helm::paths(tree, keys, document.as_ref())?,
                Target::Yaml { path, document, .. } => {
                    whole::slots(tree, path, document.as_ref(), image)?.into_iter().map(|slot| slot.path).collect()
                }
            };
            let document = match &place.target {
                Target::Kustomize { .. } => None,
                Target::Helm { document, .. } | Target::Yaml { document, .. } => document.as_ref(),
            };
            for path in paths {
                claims.push(Claim { file: tree.file.to_owned(), path: address(tree, &path, document)? });
            }
        }
    }
    claims.sort();
    claims.dedup();
    Ok(claims)
}

/// Where a path leads, or would lead once it is added.
fn address(tree: &Tree<'_>, path: &YamlPath, document: Option<&Document>) -> Result<String, EditError> {
    let (node, added) = match find(tree, path, document)? {
        Found::Here { node, .. } => (Some(node), &[][..]),
        Found::Missing { at, existing } => (at, path.steps().get(existing..).unwrap_or_default()),
    };
    let mut parts = node.map_or_else(|| vec!["0".to_owned()], |node| parts(tree, node));
    parts.extend(added.iter().map(|step| match step {
        Step::Key(key) => escaped(key),
        Step::Index(index) => index.to_string(),
        Step::Select { key, value } => escaped(&format!("[{key}={value}]")),
    }));
    Ok(parts.join("/"))
}

/// The document, keys and items that lead to a node. An item with a name is called by it: its position may change.
fn parts(tree: &Tree<'_>, node: usize) -> Vec<String> {
    let holds = |it: usize| it <= node && node < tree.node(it).end.max(it + 1);
    let mut parts = Vec::new();
    let Some((number, mut here)) = tree.roots().enumerate().find(|(_, root)| holds(*root)) else { return parts };
    parts.push(number.to_string());
    while here != node {
        let inner = match tree.node(here).kind {
            Kind::Mapping { .. } => tree
                .entries(here)
                .find(|(_, value)| holds(*value))
                .map(|(key, value)| (value, tree.scalar(key).map_or_else(|| format!("?{key}"), escaped))),
            Kind::Sequence { .. } => {
                tree.items(here).enumerate().find(|(_, item)| holds(*item)).map(|(index, item)| {
                    let name = tree.entry(item, "name").and_then(|(_, name)| tree.scalar(name));
                    (item, name.map_or_else(|| index.to_string(), |name| escaped(&format!("[name={name}]"))))
                })
            }
            Kind::Scalar { .. } | Kind::Alias { .. } => None,
        };
        let Some((inner, part)) = inner else { break };
        parts.push(part);
        here = inner;
    }
    parts
}

/// A key without what separates keys, on one line.
fn escaped(key: &str) -> String {
    crate::model::text::shown(key).replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::place::Missing;
    use crate::model::{HelmKeys, ImageName, Repository};

    fn image() -> Image {
        let (name, repository) = (ImageName::parse("shop"), Repository::parse("reg.io/shop"));
        let (name, repository) = (name.expect("name"), repository.expect("repository"));
        Image { name, repository, before: Vec::new(), platforms: Vec::new(), source: None }
    }

    fn paths(target: Target, missing: Missing, text: &str) -> Vec<String> {
        let files = Files::from([("k.yaml".to_owned(), text.to_owned())]);
        let claims = claims(&[Place { target, missing }], &[image()], &files).expect("claims");
        claims.into_iter().map(|claim| claim.path).collect()
    }

    #[test]
    fn one_place_has_one_name_by_whatever_path() {
        let text = "images:\n- {name: other, newTag: v1}\n- {name: web, newName: reg.io/shop, newTag: v1}\n";
        let file = || "k.yaml".to_owned();
        let helm = |key: &str| Target::Helm {
            file: file(),
            image: image().name,
            keys: HelmKeys { tag: Some(key.to_owned()), ..HelmKeys::default() },
            document: None,
        };
        let yaml =
            |path: &str| Target::Yaml { file: file(), image: image().name, path: path.to_owned(), document: None };
        let kustomize = || Target::Kustomize { path: file() };
        let check = |target: Target, missing, text: &str, expected: &[&str]| {
            assert_eq!(paths(target.clone(), missing, text), expected, "{target:?}");
        };
        check(kustomize(), Missing::Error, text, &["0/images/[name=web]"]);
        check(helm("images[1].newTag"), Missing::Error, text, &["0/images/[name=web]/newTag"]);
        check(helm("images[name=web].newTag"), Missing::Error, text, &["0/images/[name=web]/newTag"]);
        check(helm("images[newName=reg\\.io/shop].newTag"), Missing::Error, text, &["0/images/[name=web]/newTag"]);
        check(kustomize(), Missing::Add, "a: b\n", &["0/images/[name=reg.io~1shop]"]);
        check(
            helm("images[name=reg.io/shop].newTag"),
            Missing::Add,
            "a: b\n",
            &["0/images/[name=reg.io~1shop]/newTag"],
        );
        check(yaml("image.tag"), Missing::Add, "", &["0/image/tag"]);
        check(helm("image.tag"), Missing::Error, "image.tag: v1\n", &["0/image.tag"]);
        let list = "l: [a=reg.io/shop:v1, reg.io/x:v1, reg.io/shop:v1]\n";
        check(yaml("l"), Missing::Error, list, &["0/l/0", "0/l/2"]);
        check(yaml("l[2]"), Missing::Error, list, &["0/l/2"]);
        check(yaml("b"), Missing::Error, "a: 1\n---\nb: reg.io/shop:v1\n", &["1/b"]);
    }
}
