//! The look at the registry right before a release is written: a tag that it was chosen by may name another digest by
//! now, and what is brought back may be gone. Nothing is judged here.

use crate::clients::registry::Registry;
use crate::model::policy::{Select, Strategy};
use crate::model::{Because, Build, Environment, Image, PinForm, Policy, Release, Why};
use crate::relay::Cleared;
use futures_util::future::join_all;

/// What is looked at.
pub(in crate::daemon) struct Look {
    registry: Registry,
    /// Every build that is to be written, where it is to be pulled from.
    builds: Vec<(Image, Build)>,
    /// The builds that were chosen by their tags; a followed tag is meant to move.
    chosen: Vec<(Image, Build)>,
    /// Whether a person said so, who may know better than a registry that does not answer.
    is_a_persons: bool,
}

/// Why an effect is not begun.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::daemon) enum Unfit {
    /// A build is not in the registry.
    #[error("{0}")]
    Missing(String),
    /// The registry does not say.
    #[error("{0}")]
    Unknown(String),
    /// A tag was moved.
    #[error("{0}")]
    Moved(Why),
    /// A HOLD file holds it.
    #[error("{0}")]
    Held(Why),
}

impl Look {
    /// What is to be looked at before a write. What a person ordered was named by its digest: its tag may name anything
    /// by now.
    pub(in crate::daemon) fn of(
        policy: &Policy,
        environment: &Environment,
        cleared: &Cleared,
        ordered: bool,
        registry: &Registry,
    ) -> Self {
        let release = cleared.release();
        let by_tag = goes_by_tag(policy, environment);
        let (is_a_persons, chosen) = match cleared.because() {
            Because::NoGates | Because::GatesOpen(_) if by_tag && !ordered => {
                (false, builds(policy.images_before(environment), release))
            }
            Because::NoGates | Because::GatesOpen(_) => (false, Vec::new()),
            Because::Rollback { .. } | Because::Forced { .. } => (true, Vec::new()),
        };
        Self { registry: registry.clone(), builds: builds(&environment.images, release), chosen, is_a_persons }
    }

    /// Looks, all builds at once.
    ///
    /// # Errors
    /// When the effect is not to begin. A registry that does not answer stops no rollback and no forced order: what they
    /// bring may still be on the machines that run it, and the registry may be the very thing that is ill. A registry
    /// that answers that a build is gone stops them too, for they would bring down what runs.
    pub(in crate::daemon) async fn again(&self) -> Result<(), Unfit> {
        must_be_there(&self.registry, &self.builds, self.is_a_persons).await?;
        for (image, build) in &self.chosen {
            let now = self.registry.digest(&image.repository, &build.tag).await;
            let now = now.map_err(|error| Unfit::Unknown(error.to_string()))?;
            if let Some(now) = now.filter(|now| *now != build.digest) {
                let (tag, was) = (build.tag.clone(), build.digest.clone());
                return Err(Unfit::Moved(Why::TagMoved { image: image.name.clone(), tag, was, now }));
            }
        }
        Ok(())
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
pub(in crate::daemon) fn builds(images: &[Image], release: &Release) -> Vec<(Image, Build)> {
    images.iter().filter_map(|image| Some((image.clone(), release.builds().get(&image.name)?.clone()))).collect()
}

/// Finds out whether builds are in the registry; `may_be_unknown` lets what nobody answers for pass.
///
/// # Errors
/// When one is not, or nobody can tell.
pub(in crate::daemon) async fn must_be_there(
    registry: &Registry,
    builds: &[(Image, Build)],
    may_be_unknown: bool,
) -> Result<(), Unfit> {
    let asked = builds.iter().map(|(image, build)| async move {
        match registry.has(&image.repository, &build.digest).await {
            Ok(true) => Ok(()),
            Ok(false) => {
                let (repository, digest) = (&image.repository, &build.digest);
                Err(Unfit::Missing(format!("{repository} has no {digest} ({}) any more", build.tag)))
            }
            Err(error) if may_be_unknown => {
                tracing::warn!(repository.name = %image.repository, %error, "whether a build is still there is not known: {error}");
                Ok(())
            }
            Err(error) => Err(Unfit::Unknown(error.to_string())),
        }
    });
    join_all(asked).await.into_iter().collect()
}
