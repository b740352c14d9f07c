//! From the form of a place to the place: its path resolved, its keys fit for the pin, inside what the repository allows.

use super::bounds::OutOfBounds;
use super::diagnostic::Problems;
use super::read::{At, Field, Form as _, listed};
use super::template::resolved;
use super::wire::environment::{DocumentForm, KeysForm, WriteForm};
use crate::model::place::Document;
use crate::model::policy::Image;
use crate::model::text::shown;
use crate::model::{HelmKeys, ImageName, PinForm, Place, Target};
use crate::relay::edit::words::Words;
use crate::relay::edit::{self, YamlPath};

/// What a place is judged by.
pub(crate) struct Site<'a> {
    /// What its path may name.
    pub(crate) words: &'a Words,
    /// The images of the policy; none where they could not be read.
    pub(crate) images: &'a [Image],
    /// In which form the pin is written.
    pub(crate) pin: PinForm,
    /// Judges whether a file may be written.
    pub(crate) judge: &'a dyn Fn(&str) -> Result<(), OutOfBounds>,
}

/// A path relative to the root of a repository, with `/` and without `.` and `..`.
pub(crate) fn relative(path: &str) -> Result<String, String> {
    let wrong = |why: &str| Err(format!("`{}` is no path inside the repository: {why}", shown(path)));
    if path.starts_with('/') {
        return wrong("write it from the root of the repository, without `/` in front");
    }
    if path.contains('\\') {
        return wrong("its segments are joined by `/`");
    }
    if path.contains(char::is_control) {
        return wrong("it has a character that cannot be seen");
    }
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty() && *segment != ".").collect();
    if segments.contains(&"..") {
        return wrong("`..` leads out of it");
    }
    if segments.is_empty() { wrong("it is empty") } else { Ok(segments.join("/")) }
}

/// The place that a form says; none where something is wrong.
pub(crate) fn place(form: &WriteForm, site: &Site<'_>, problems: &mut Problems) -> Option<Place> {
    let missing = form.missing.value().copied()?;
    let target = match (&form.kustomize, &form.helm, &form.yaml) {
        (kustomize, Field::Absent, Field::Absent) if !kustomize.is_absent() => {
            only(form, "kustomize", &[], problems);
            Target::Kustomize { path: path(kustomize.get()?, site, problems)? }
        }
        (Field::Absent, helm, Field::Absent) if !helm.is_absent() => {
            only(form, "helm", &["for", "keys", "document"], problems);
            let image = image(&form.image, site.images, problems);
            let keys = keys(form, site.pin, problems);
            let file = path(helm.get()?, site, problems);
            Target::Helm { file: file?, image: image?, keys: keys?, document: form.document.value().map(document) }
        }
        (Field::Absent, Field::Absent, yaml) if !yaml.is_absent() => {
            only(form, "yaml", &["for", "path", "document"], problems);
            if form.path.is_absent() {
                let help = "name the scalar, as in `path: spec.template.spec.containers[name=web].image`";
                form.lacks("`yaml` needs a `path`", help, problems);
            }
            let image = image(&form.image, site.images, problems);
            let file = path(yaml.get()?, site, problems);
            let path = yaml_path(&form.path, problems)?;
            Target::Yaml { file: file?, image: image?, path, document: form.document.value().map(document) }
        }
        _ => {
            form.lacks("a place has exactly one of `kustomize`, `helm` and `yaml`", "name its kind once", problems);
            return None;
        }
    };
    let place = Place { target, missing };
    is_in_bounds(&place, form, site, problems).then_some(place)
}

/// Tells of keys that belong to another kind of place.
fn only(form: &WriteForm, kind: &str, keys: &[&str], problems: &mut Problems) {
    let given = [
        ("for", form.image.get().map(|at| &at.at)),
        ("keys", form.keys.get().map(|at| &at.at)),
        ("path", form.path.get().map(|at| &at.at)),
        ("document", form.document.get().map(|at| &at.at)),
    ];
    for (key, at) in given {
        if !keys.contains(&key)
            && let Some(at) = at
        {
            problems.add(at, format!("`{key}` says nothing about a `{kind}` place: leave it out"));
        }
    }
}

fn path(written: &At<String>, site: &Site<'_>, problems: &mut Problems) -> Option<String> {
    let path = resolved(written, site.words, problems)?;
    if path.contains('*') {
        let help = "name each file in a place of its own";
        problems.add_with_help(&written.at, "a pattern of files (`*`) is not built yet", help);
        return None;
    }
    problems.check(&written.at, relative(&path))
}

/// Whether a place may be written: of a directory, whose file is known only when it is read, one of the files that it may
/// mean. Which one it is is judged again right before the write.
fn is_in_bounds(place: &Place, form: &WriteForm, site: &Site<'_>, problems: &mut Problems) -> bool {
    let mut refused = None;
    let mut files = edit::wanted(std::slice::from_ref(place));
    // Of several names the one that people write stands in the message.
    files.sort_by_key(|file| !file.ends_with("kustomization.yaml"));
    for file in files {
        match (site.judge)(&file) {
            Ok(()) => return true,
            Err(why) => drop(refused.get_or_insert(why)),
        }
    }
    if let Some(OutOfBounds { message, help }) = refused {
        let written = form.kustomize.get().or(form.helm.get()).or(form.yaml.get());
        problems.add_with_help(written.map_or(form.at(), |written| &written.at), message, help);
    }
    false
}

/// The files that a target as it is written could name; none where that is told as an error elsewhere.
pub(crate) fn files_named(form: &WriteForm, words: &Words) -> Vec<String> {
    let written = form.kustomize.value().or(form.helm.value()).or(form.yaml.value());
    let path = written.and_then(|written| relative(&super::template::resolve(written, words).ok()?).ok());
    let Some(path) = path else { return Vec::new() };
    let target = Target::Kustomize { path: path.clone() };
    let mut files = edit::wanted(&[Place { target, missing: crate::model::place::Missing::Error }]);
    files.push(path);
    files
}

/// The image that `for` names, else the first.
pub(crate) fn image(named: &Field<ImageName>, images: &[Image], problems: &mut Problems) -> Option<ImageName> {
    match named {
        Field::Absent => images.first().map(|image| image.name.clone()),
        Field::Broken => None,
        Field::Given(_) if images.is_empty() => None,
        Field::Given(at) => {
            let known: Vec<&str> = images.iter().map(|image| image.name.as_str()).collect();
            if !known.contains(&at.value.as_str()) {
                let message = format!("no image of this policy is named `{}`", at.value);
                problems.add_with_help(&at.at, message, format!("its images: {}", listed(&known)));
                return None;
            }
            Some(at.value.clone())
        }
    }
}

fn keys(form: &WriteForm, pin: PinForm, problems: &mut Problems) -> Option<HelmKeys> {
    let (keys, at) = match &form.keys {
        Field::Absent => (HelmKeys { tag: Some("image.tag".to_owned()), ..HelmKeys::default() }, form.at()),
        Field::Broken => return None,
        Field::Given(given) if given.value.is_unread() => return None,
        Field::Given(given) => (written_keys(&given.value, problems)?, &given.at),
    };
    match lacks(&keys, pin) {
        Some(wanted) => {
            let message = format!("`pin: {pin}` has nowhere to go: `keys` needs {}", wanted.join(" or "));
            problems.add_with_help(at, message, "as in `keys: { tag: image.tag, digest: image.digest }`");
            None
        }
        None => Some(keys),
    }
}

fn written_keys(form: &KeysForm, problems: &mut Problems) -> Option<HelmKeys> {
    let fields = [&form.image, &form.registry, &form.repository, &form.tag, &form.digest];
    let [image, registry, repository, tag, digest] = fields.map(|field| match field {
        Field::Absent => Some(None),
        Field::Broken | Field::Given(_) => yaml_path(field, problems).map(Some),
    });
    Some(HelmKeys { image: image?, registry: registry?, repository: repository?, tag: tag?, digest: digest? })
}

/// A path of keys that the editor will understand.
fn yaml_path(field: &Field<String>, problems: &mut Problems) -> Option<String> {
    let path = field.get()?;
    problems.check(&path.at, YamlPath::parse(&path.value)).map(|_| path.value.clone())
}

/// The keys of which one is needed to hold this form of pin, where none of them is there.
fn lacks(keys: &HelmKeys, pin: PinForm) -> Option<&'static [&'static str]> {
    let (holds, wanted): (_, &[&str]) = match pin {
        PinForm::Digest => (keys.digest.is_some(), &["`digest`", "`image`"]),
        PinForm::Tag | PinForm::TagAtDigest => (keys.tag.is_some(), &["`tag`", "`image`"]),
    };
    (!holds && keys.image.is_none()).then_some(wanted)
}

fn document(form: &DocumentForm) -> Document {
    let field = |field: &Field<String>| field.value().cloned();
    Document {
        api_version: field(&form.api_version),
        kind: field(&form.kind),
        name: field(&form.name),
        namespace: field(&form.namespace),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside_the_repository() {
        for (written, expected) in [
            ("deployment/dev", Some("deployment/dev")),
            ("./deployment//dev/", Some("deployment/dev")),
            ("a..b/c", Some("a..b/c")),
            ("/etc/passwd", None),
            ("../x", None),
            ("a/../../x", None),
            ("a\\b", None),
            ("a\u{7}b", None),
            ("", None),
            ("./", None),
        ] {
            assert_eq!(relative(written).ok().as_deref(), expected, "{written}");
        }
    }

    #[test]
    fn keys_hold_the_pin() {
        let keys = |tag: bool, digest: bool, image: bool| HelmKeys {
            tag: tag.then(String::new),
            digest: digest.then(String::new),
            image: image.then(String::new),
            ..HelmKeys::default()
        };
        for (pin, keys, fits) in [
            (PinForm::Tag, keys(true, false, false), true),
            (PinForm::Tag, keys(false, true, false), false),
            (PinForm::Digest, keys(true, false, false), false),
            (PinForm::Digest, keys(false, true, false), true),
            (PinForm::Digest, keys(false, false, true), true),
            (PinForm::TagAtDigest, keys(true, false, false), true),
            (PinForm::TagAtDigest, keys(false, true, false), false),
            (PinForm::TagAtDigest, keys(false, false, false), false),
        ] {
            assert_eq!(lacks(&keys, pin).is_none(), fits, "{pin} {keys:?}");
        }
    }
}
