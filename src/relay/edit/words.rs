//! The names that templates use, and what they stand for.
//!
//! Every value is harmless text: names, tags and digests by their grammar, all else by `shown_to_gitlab`.

use crate::model::text::shown_to_gitlab;
use crate::model::{BuildFacts, CommitId, EnvironmentName, Image, Pin, Pinned, PolicyName, Release};
use minijinja::value::Value;
use std::collections::BTreeMap;

/// What is known of a build.
const BUILD_WORDS: [&str; 4] = ["tag", "digest", "revision", "created"];

/// Which names a template may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vocabulary {
    /// Paths, branches, hosts and resource names: policy, environment and the names of images.
    Place,
    /// Messages, bodies, variables and URLs: also release, old, new, mr and commit.
    Release,
}

impl Vocabulary {
    /// The names.
    #[must_use]
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Self::Place => &["policy", "environment", "images"],
            Self::Release => &["policy", "environment", "images", "release", "old", "new", "mr", "commit"],
        }
    }
}

impl Vocabulary {
    /// Whether `old.tag`, `images` or the like is defined.
    pub(super) fn knows(self, name: &str) -> bool {
        let (first, rest) = name.split_once('.').map_or((name, None), |(first, rest)| (first, Some(rest)));
        let inner = match (first, rest) {
            ("old" | "new", Some(rest)) => BUILD_WORDS.contains(&rest),
            ("images", _) | (_, None) => true,
            (_, Some(_)) => false,
        };
        self.names().contains(&first) && inner
    }
}

/// What a template may say of a build; all is empty on a first write.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BuildWords {
    /// Its tag.
    pub tag: String,
    /// Its digest.
    pub digest: String,
    /// The commit it was built from.
    pub revision: String,
    /// When it says that it was made, RFC 3339.
    pub created: String,
}

/// What a template may say of an image.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImageWords {
    /// Its name in the policy.
    pub name: String,
    /// What ran.
    pub old: BuildWords,
    /// What comes.
    pub new: BuildWords,
}

/// The values of the names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Words {
    policy: String,
    environment: String,
    release: String,
    images: Vec<ImageWords>,
    mr: String,
    commit: String,
}

impl Words {
    /// What is known without a release: for paths, branches and resource names.
    #[must_use]
    pub fn of_place(policy: &PolicyName, environment: &EnvironmentName, images: &[Image]) -> Self {
        let named = |image: &Image| ImageWords { name: image.name.to_string(), ..ImageWords::default() };
        let images = images.iter().map(named).collect();
        Self { policy: policy.to_string(), environment: environment.to_string(), images, ..Self::default() }
    }

    /// What is known of a change: what was pinned (and the release it stood for, where that is known), and what comes.
    #[must_use]
    pub fn of_change(
        policy: &PolicyName,
        environment: &EnvironmentName,
        images: &[Image],
        old: (&Pin, Option<&Release>),
        new: &Release,
    ) -> Self {
        let mut words = Self::of_place(policy, environment, images);
        for (image, said) in images.iter().zip(&mut words.images) {
            let known = old.1.and_then(|release| release.builds().get(&image.name));
            let pinned = old.0.0.get(&image.name).cloned().unwrap_or_default();
            let build = known.filter(|build| pinned.says(build));
            said.old = BuildWords::of(&pinned, build.map(|build| &*build.facts));
            if let Some(build) = new.builds().get(&image.name) {
                let whole = Pinned { tag: Some(build.tag.clone()), digest: Some(build.digest.clone()) };
                said.new = BuildWords::of(&whole, Some(&build.facts));
            }
        }
        words.release = new.id().to_string();
        words
    }

    /// With the commit that carries the change.
    #[must_use]
    pub fn with_commit(self, commit: &CommitId) -> Self {
        Self { commit: commit.to_string(), ..self }
    }

    /// With the merge request that carries the change.
    #[must_use]
    pub fn with_mr(self, mr: &str) -> Self {
        Self { mr: shown_to_gitlab(mr), ..self }
    }

    /// The images, in the policy's order.
    #[must_use]
    pub fn images(&self) -> &[ImageWords] {
        &self.images
    }

    /// Values of the right kinds, to try a template with.
    pub(super) fn sample(with_old: bool) -> Self {
        let word = |text: &str| text.to_owned();
        let build = BuildWords {
            tag: word("v1"),
            digest: word("sha256:00"),
            revision: word("c0ffee"),
            created: word("2026-01-01T00:00:00Z"),
        };
        let old = if with_old { build.clone() } else { BuildWords::default() };
        let images = vec![ImageWords { name: word("image"), old, new: build }];
        Self {
            policy: word("policy"),
            environment: word("prod"),
            release: word("r"),
            images,
            mr: word("1"),
            commit: word("c0ffee"),
        }
    }

    /// As the template engine takes them: the names of this vocabulary alone.
    pub(super) fn value(&self, vocabulary: Vocabulary) -> Value {
        let first = self.images.first().cloned().unwrap_or_default();
        let images: Vec<Value> = self.images.iter().map(|image| image.value(vocabulary)).collect();
        let text = |text: &String| Value::from(text.as_str());
        let all = [
            ("policy", text(&self.policy)),
            ("environment", text(&self.environment)),
            ("images", Value::from(images)),
            ("release", text(&self.release)),
            ("old", first.old.value()),
            ("new", first.new.value()),
            ("mr", text(&self.mr)),
            ("commit", text(&self.commit)),
        ];
        Value::from(all.into_iter().filter(|(name, _)| vocabulary.names().contains(name)).collect::<BTreeMap<_, _>>())
    }
}

impl BuildWords {
    fn of(pinned: &Pinned, facts: Option<&BuildFacts>) -> Self {
        Self {
            tag: pinned.tag.as_ref().map(ToString::to_string).unwrap_or_default(),
            digest: pinned.digest.as_ref().map(ToString::to_string).unwrap_or_default(),
            revision: facts.and_then(|facts| facts.revision.as_deref()).map(shown_to_gitlab).unwrap_or_default(),
            created: facts.and_then(|facts| facts.created).map(|at| at.to_string()).unwrap_or_default(),
        }
    }

    fn value(&self) -> Value {
        let texts = [&self.tag, &self.digest, &self.revision, &self.created].map(|text| Value::from(text.as_str()));
        Value::from(BUILD_WORDS.into_iter().zip(texts).collect::<BTreeMap<_, _>>())
    }
}

impl ImageWords {
    fn value(&self, vocabulary: Vocabulary) -> Value {
        let mut words = BTreeMap::from([("name", Value::from(self.name.as_str()))]);
        if vocabulary == Vocabulary::Release {
            words.extend([("old", self.old.value()), ("new", self.new.value())]);
        }
        Value::from(words)
    }
}
