//! Keys of a values file, or of the values in a Flux HelmRelease: the parts of one image's reference.
//!
//! A repository that is written in another spelling of the same one stays as it is. What a chart makes of the keys is
//! not looked at; the common charts let a digest win over a tag, so a tag pin empties the digest key, and a filled digest
//! that no key names is refused.

use super::EditError;
use super::change::Change;
use super::locate::documents;
use super::path::{Step, YamlPath};
use super::reference::{names, tag_and_digest, tag_text};
use super::slot::Slot;
use super::tree::Tree;
use super::{guard, whole};
use crate::model::place::{Document, Missing};
use crate::model::{HelmKeys, Image, Pinned};

/// What the keys pin.
pub(super) fn read(
    tree: &Tree<'_>,
    keys: &HelmKeys,
    document: Option<&Document>,
    image: &Image,
    missing: Missing,
) -> Result<Pinned, EditError> {
    let values = Values::of(tree, document, missing);
    values.has_no_rival(keys)?;
    let (whole, tag, digest) =
        (values.get(keys.image.as_ref())?, values.get(keys.tag.as_ref())?, values.get(keys.digest.as_ref())?);
    if let (None, None, None, Missing::Error, Some(key)) =
        (&whole, &tag, &digest, missing, keys.image.as_ref().or(keys.tag.as_ref()).or(keys.digest.as_ref()))
    {
        return Err(values.not_there(key)?);
    }
    if let (Some(_), Some(key)) = (&whole, &keys.image) {
        return whole::read(tree, &values.path(key)?.to_string(), document, image, missing);
    }
    if !values.is_of(keys, image)? {
        return Ok(Pinned::default());
    }
    Ok(tag_and_digest(&tag.unwrap_or_default(), &digest.unwrap_or_default()))
}

/// Where the keys stand.
pub(super) fn paths(tree: &Tree<'_>, keys: &HelmKeys, document: Option<&Document>) -> Result<Vec<YamlPath>, EditError> {
    let values = Values::of(tree, document, Missing::Error);
    let keys = [&keys.image, &keys.registry, &keys.repository, &keys.tag, &keys.digest];
    keys.into_iter().flatten().map(|key| values.path(key)).collect()
}

/// The changes after which the keys pin this.
pub(super) fn write(
    tree: &Tree<'_>,
    keys: &HelmKeys,
    document: Option<&Document>,
    image: &Image,
    pinned: &Pinned,
    missing: Missing,
) -> Result<Vec<Change>, EditError> {
    let values = Values::of(tree, document, missing);
    values.has_no_rival(keys)?;
    let repository = &image.repository;
    let mut changes = Vec::new();
    if let Some(key) = &keys.image {
        changes.extend(whole::write(tree, &values.path(key)?.to_string(), document, image, pinned, missing)?);
    }
    if !values.is_of(keys, image)? {
        if let Some(key) = &keys.registry {
            changes.extend(values.set(key, repository.host())?);
        }
        if let Some(key) = &keys.repository {
            let whole = repository.to_string();
            changes.extend(values.set(key, if keys.registry.is_some() { repository.path() } else { &whole })?);
        }
    }
    if let Some(key) = &keys.tag {
        if pinned.tag.is_none() {
            let why = format!(
                "`pin: digest` leaves nothing to write to the key `{key}`; take it out of `keys`, or pin tag@digest"
            );
            return Err(EditError::Unfit { file: tree.file.to_owned(), why });
        }
        let part = Pinned { tag: pinned.tag.clone(), digest: pinned.digest.clone().filter(|_| keys.digest.is_none()) };
        changes.extend(values.set(key, &tag_text(&part))?);
    }
    match (&keys.digest, &pinned.digest) {
        (Some(key), Some(digest)) => changes.extend(values.set(key, digest.as_str())?),
        (Some(key), None) if values.get(Some(key))?.is_some() => changes.extend(values.set(key, "")?),
        (Some(_), None) | (None, _) => {}
    }
    Ok(changes)
}

/// The values of a file by key.
struct Values<'v> {
    tree: &'v Tree<'v>,
    document: Option<&'v Document>,
    /// Whether the keys stand below `spec.values`.
    is_release: bool,
    missing: Missing,
}

impl<'v> Values<'v> {
    fn of(tree: &'v Tree<'v>, document: Option<&'v Document>, missing: Missing) -> Self {
        let kind = |root: usize| tree.entry(root, "kind").and_then(|(_, kind)| tree.scalar(kind));
        let is_release =
            document.is_some() && documents(tree, document).into_iter().any(|root| kind(root) == Some("HelmRelease"));
        Self { tree, document, is_release, missing }
    }

    /// Where a key stands: in a HelmRelease below `spec.values`, unless it is written from the top.
    fn path(&self, key: &str) -> Result<YamlPath, EditError> {
        let path = YamlPath::parse(key)?;
        let top = ["spec", "values"].map(|key| Step::Key(key.to_owned()));
        if !self.is_release || path.steps().starts_with(&top) {
            return Ok(path);
        }
        Ok(YamlPath::of(top.into_iter().chain(path.steps().iter().cloned())))
    }

    fn slot(&self, key: &str) -> Result<Slot<'v>, EditError> {
        Ok(Slot { tree: self.tree, path: self.path(key)?, document: self.document })
    }

    fn get(&self, key: Option<&String>) -> Result<Option<String>, EditError> {
        let Some(key) = key else { return Ok(None) };
        self.slot(key)?.get()
    }

    fn set(&self, key: &str, value: &str) -> Result<Option<Change>, EditError> {
        self.slot(key)?.set(value, self.missing)
    }

    fn not_there(&self, key: &str) -> Result<EditError, EditError> {
        Ok(self.slot(key)?.not_there())
    }

    /// Refuses a tag that a digest outranks which no key names.
    fn has_no_rival(&self, keys: &HelmKeys) -> Result<(), EditError> {
        let Some(tag) = &keys.tag else { return Ok(()) };
        let digest = keys.digest.as_ref().map(|digest| self.path(digest)).transpose()?;
        guard::is_not_outranked(self.tree, self.document, &self.path(tag)?, digest.as_ref().as_slice())
    }

    /// Whether the keys of registry and repository say that it is this image, in any spelling.
    fn is_of(&self, keys: &HelmKeys, image: &Image) -> Result<bool, EditError> {
        let (registry, path) = (self.get(keys.registry.as_ref())?, self.get(keys.repository.as_ref())?);
        let host = registry.as_ref().map(|host| if host.is_empty() { "docker.io" } else { host });
        Ok(match (host, &path) {
            (Some(host), Some(path)) => names(&format!("{host}/{path}"), &image.repository),
            (Some(host), None) => keys.repository.is_none() && host == image.repository.host(),
            (None, Some(path)) => keys.registry.is_none() && names(path, &image.repository),
            (None, None) => keys.registry.is_none() && keys.repository.is_none(),
        })
    }
}
