//! Where an environment finds its images: where those before it do, or, with `to`, in repositories of its own.
//!
//! Nothing is asked of a registry: whether one takes the copy is seen when the first release is carried there.

use super::diagnostic::Problems;
use super::environment::{Ground, bounded};
use super::nearest::nearest;
use super::read::{At, listed};
use super::settings::RegistrySettings;
use super::wire::environment::{Destination, PromoteForm};
use crate::model::policy::{Environment, Image};
use crate::model::{ImageName, Repository};

/// The images of an environment with `promote`, in the repositories where it reads and pins them; none where something
/// is wrong with `to`.
///
/// Without `to` they stay where the environment before has them: only there every release that was verified is found.
pub(crate) fn images(
    form: &PromoteForm,
    earlier: &[&Environment],
    ground: &Ground<'_>,
    problems: &mut Problems,
) -> Option<Vec<Image>> {
    let from = form.from.value().and_then(|from| earlier.iter().find(|environment| environment.name == *from));
    let found = from.map_or(ground.images, |from| &from.images);
    let Some(to) = form.to.get() else { return form.to.is_absent().then(|| found.to_vec()) };
    let named = match &to.value {
        Destination::One(repository) => one(repository, found, problems)?,
        Destination::Each(entries) => each(entries, &to.at, found, problems)?,
    };
    let mut moved: Vec<Image> = Vec::with_capacity(found.len());
    for (image, to) in found.iter().zip(named) {
        check(image, to, &moved, ground, problems)?;
        let before = std::iter::once(&image.repository).chain(&image.before).cloned().collect();
        moved.push(Image { repository: to.value.clone(), before, ..image.clone() });
    }
    Some(moved)
}

fn one<'t>(to: &'t At<Repository>, images: &[Image], problems: &mut Problems) -> Option<Vec<&'t At<Repository>>> {
    if images.len() > 1 {
        let lines: Vec<String> = images.iter().map(|image| format!("{}: ...", image.name)).collect();
        let help = format!("write `to: {{ {} }}`", lines.join(", "));
        problems.add_with_help(&to.at, "one repository cannot hold several images", help);
        return None;
    }
    Some(vec![to; images.len()])
}

/// The repository of each image, in the order of the images.
fn each<'t>(
    entries: &'t [(At<String>, At<Repository>)],
    at: &super::tree::Place,
    images: &[Image],
    problems: &mut Problems,
) -> Option<Vec<&'t At<Repository>>> {
    let names: Vec<&str> = images.iter().map(|image| image.name.as_str()).collect();
    let unknown: Vec<&At<String>> =
        entries.iter().map(|(key, _)| key).filter(|key| !names.contains(&key.value.as_str())).collect();
    for key in &unknown {
        let help = match nearest(&key.value, names.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("the images are {}", listed(&names)),
        };
        let name = crate::model::text::shown(&key.value);
        problems.add_with_help(&key.at, format!("no image is named `{name}`"), help);
    }
    let of = |name: &ImageName| entries.iter().find(|(key, _)| key.value == name.as_str()).map(|(_, to)| to);
    let missing: Vec<&str> =
        images.iter().filter(|image| of(&image.name).is_none()).map(|image| image.name.as_str()).collect();
    if !unknown.is_empty() {
        return None;
    }
    if !missing.is_empty() {
        problems.add(at, format!("`to` names no repository for {}", listed(&missing)));
        return None;
    }
    images.iter().map(|image| of(&image.name)).collect()
}

fn check(
    image: &Image,
    to: &At<Repository>,
    taken: &[Image],
    ground: &Ground<'_>,
    problems: &mut Problems,
) -> Option<()> {
    if to.value == image.repository {
        let help = "leave `to` out where nothing is copied";
        problems.add_with_help(&to.at, format!("`{}` is where `{}` is already", to.value, image.name), help);
        return None;
    }
    if let Some(other) = taken.iter().find(|other| other.repository == to.value) {
        problems.add(&to.at, format!("`{}` and `{}` would be copied to one repository", other.name, image.name));
        return None;
    }
    let may = ground.may();
    bounded(&to.at, "name", "may.images", &to.value.to_string(), may.and_then(|m| m.images.as_deref()), problems);
    // A release comes with the tag that it was chosen by, so that no lifecycle rule takes it for garbage.
    let pushed = format!("{}:*", to.value);
    match may.and_then(|may| may.retag.as_deref()) {
        Some(allowed) => bounded(&to.at, "push", "may.retag", &pushed, Some(allowed), problems),
        None => host_takes_copies(to, ground, problems),
    }
    Some(())
}

/// Tells of a host that nobody said releases may be copied to: whoever writes a policy would choose where private images
/// go.
fn host_takes_copies(to: &At<Repository>, ground: &Ground<'_>, problems: &mut Problems) {
    let host = to.value.host();
    let settings = ground.config.registries.of(host);
    let only_reads = |settings: &RegistrySettings| {
        settings.push.is_none() && (settings.pull.is_some() || settings.docker_config.is_some())
    };
    let message = match settings {
        None => format!("releases may not be copied to `{host}`: the configuration does not name it"),
        Some(settings) if only_reads(settings) => {
            format!("releases may not be copied to `{host}`: `registries` says who reads there, and not who pushes")
        }
        Some(_) => return,
    };
    let help = format!(
        "name it under `registries`, with `push` where `pull` stands, or allow `{}:*` in `may.retag` of the repository",
        to.value
    );
    problems.add_with_help(&to.at, message, help);
}
