//! The look at the registry right before a release is written: a tag that it was chosen by may name another digest by
//! now, and what is brought back may be gone. Nothing is judged here.

use crate::clients::registry::{Registry, RegistryError};
use crate::model::policy::{Select, Strategy};
use crate::model::{Because, Build, Environment, Image, PinForm, Policy, Release, Why};
use crate::relay::Cleared;

/// What is looked at.
pub(super) struct Look {
    registry: Registry,
    release: Release,
    /// The builds that were chosen by their tags; a followed tag is meant to move.
    chosen: Vec<(Image, Build)>,
    /// The builds that are brought back.
    back: Vec<(Image, Build)>,
}

impl Look {
    /// What is to be looked at before a write. What a person ordered was named by its digest: its tag may name anything
    /// by now.
    pub(super) fn of(
        policy: &Policy,
        environment: &Environment,
        cleared: &Cleared,
        ordered: bool,
        registry: &Registry,
    ) -> Self {
        let release = cleared.release().clone();
        let builds = |images: &[Image]| builds(images, &release);
        let by_tag = goes_by_tag(policy, environment);
        let (chosen, back) = match cleared.because() {
            Because::NoGates | Because::GatesOpen(_) if by_tag && !ordered => {
                (builds(policy.images_before(environment)), Vec::new())
            }
            Because::Rollback { .. } => (Vec::new(), builds(&environment.images)),
            Because::NoGates | Because::GatesOpen(_) | Because::Forced { .. } => Default::default(),
        };
        Self { registry: registry.clone(), release, chosen, back }
    }

    /// Looks; returns the tag that was moved, if one was.
    ///
    /// # Errors
    /// When the registry does not answer, or no longer has what is brought back.
    pub(super) async fn again(&self) -> Result<Option<Why>, String> {
        must_be_there(&self.registry, &self.back, &self.release).await?;
        for (image, build) in &self.chosen {
            let now = self.registry.digest(&image.repository, &build.tag).await.map_err(|error| error.to_string())?;
            if let Some(now) = now.filter(|now| *now != build.digest) {
                let (tag, was) = (build.tag.clone(), build.digest.clone());
                return Ok(Some(Why::TagMoved { image: image.name.clone(), tag, was, now }));
            }
        }
        Ok(None)
    }
}

/// Whether a release comes here by its tags: those that `select` chose, or those that alone say what was verified in the
/// environment before. A followed tag is meant to move.
fn goes_by_tag(policy: &Policy, environment: &Environment) -> bool {
    let chooses = |s: &Select| !matches!(s.strategy, Strategy::Follow(_) | Strategy::Pinned);
    let before = environment.promote.as_ref().and_then(|promote| {
        let mut environments = policy.environments.iter();
        environments.find(|environment| environment.name == promote.from)
    });
    let verified_by_tag = |from: &Environment| from.pin == PinForm::Tag && from.followed_tag().is_none();
    environment.select.as_ref().is_some_and(chooses) || before.is_some_and(verified_by_tag)
}

/// The builds of a release, each with its image.
pub(super) fn builds(images: &[Image], release: &Release) -> Vec<(Image, Build)> {
    images.iter().filter_map(|image| Some((image.clone(), release.builds().get(&image.name)?.clone()))).collect()
}

/// Finds out whether the builds of a release that is to come back are still in the registry.
///
/// # Errors
/// When one is not, or nobody can tell.
pub(super) async fn must_be_there(
    registry: &Registry,
    builds: &[(Image, Build)],
    release: &Release,
) -> Result<(), String> {
    for (image, build) in builds {
        let facts = registry.facts(&image.repository, &build.digest).await;
        facts.map_err(|error: RegistryError| format!("{release} cannot be brought back: {error}"))?;
    }
    Ok(())
}
