//! What the GitOps repository says an environment runs, and who said so.

use super::{
    Build, Builds, ByImage, Digest, EnvironmentName, ImageName, PinForm, PolicyName, Release, Sequence, Tag, text,
};
use jiff::Timestamp;
use std::fmt;
use std::sync::Arc;

/// The full hexadecimal id of a git commit (SHA-1 or SHA-256).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommitId(Box<str>);

impl CommitId {
    /// Parses 40 or 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let hex = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        (hex && (text.len() == 40 || text.len() == 64)).then(|| Self(text.into()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its first eight digits, for people.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.0[..8]
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is pinned of one image.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pinned {
    /// The tag, where one is written.
    pub tag: Option<Tag>,
    /// The digest, where one is written.
    pub digest: Option<Digest>,
}

impl Pinned {
    /// What a build looks like in this form.
    #[must_use]
    pub fn of(build: &Build, form: PinForm) -> Self {
        Self {
            tag: (form != PinForm::Digest).then(|| build.tag.clone()),
            digest: form.has_digest().then(|| build.digest.clone()),
        }
    }

    /// Whether this pin says that build: by its digest where it has one, else by its tag.
    #[must_use]
    pub fn says(&self, build: &Build) -> bool {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => *digest == build.digest,
            (None, Some(tag)) => *tag == build.tag,
            (None, None) => false,
        }
    }
}

impl fmt::Display for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.tag, &self.digest) {
            (Some(tag), Some(digest)) => write!(f, "{tag}@{}", digest.short()),
            (Some(tag), None) => write!(f, "{tag}"),
            (None, Some(digest)) => write!(f, "{}", digest.short()),
            (None, None) => f.write_str("nothing"),
        }
    }
}

/// What is pinned in an environment, for each image that its places name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pin(pub ByImage<Pinned>);

impl Pin {
    /// What a release looks like in this form.
    #[must_use]
    pub fn of(release: &Release, form: PinForm) -> Self {
        Self(release.builds().iter().map(|(name, build)| (name.clone(), Pinned::of(build, form))).collect())
    }

    /// The release whose tags and digests this pin itself names; none where a part of it is missing.
    #[must_use]
    pub fn release(&self) -> Option<Release> {
        let build = |pinned: &Pinned| {
            let (tag, digest) = (pinned.tag.clone()?, pinned.digest.clone()?);
            Some(Build { tag, digest, facts: Arc::default() })
        };
        let builds: Option<Builds> = self.0.iter().map(|(name, p)| Some((name.clone(), build(p)?))).collect();
        builds.filter(|builds| !builds.is_empty()).map(Release::new)
    }

    /// Whether this pin says that release, image by image.
    #[must_use]
    pub fn says(&self, release: &Release) -> bool {
        let builds = release.builds();
        self.0.len() == builds.len()
            && builds.iter().all(|(name, build)| self.0.get(name).is_some_and(|p| p.says(build)))
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each: Vec<String> = self.0.values().map(Pinned::to_string).collect();
        let same = each.windows(2).all(|pair| pair[0] == pair[1]);
        f.write_str(&if same { each.first().cloned().unwrap_or_else(|| "nothing".to_owned()) } else { each.join(", ") })
    }
}

/// The pin of an environment, read at one commit.
#[derive(Debug, Clone, PartialEq)]
pub struct PinReading {
    /// The tip that was read.
    pub tip: CommitId,
    /// What stands there.
    pub pin: Pin,
    /// The newest commit with our trailers for this environment, sought back from the tip.
    pub ours: OurCommit,
    /// Who touched the environment's places last, and with which commit: none where history was not read that far.
    pub last_touch: Option<Touch>,
}

/// A commit that touched an environment's places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touch {
    /// The commit.
    pub commit: CommitId,
    /// Its author's name, as text for people.
    pub author: String,
    /// When it was committed, as it says itself.
    pub at: Timestamp,
}

/// What the search for our newest commit found.
#[derive(Debug, Clone, PartialEq)]
pub enum OurCommit {
    /// The whole history has none.
    None,
    /// This one.
    Found(Trailers),
    /// The search ended at its limit, which counts as a commit that this journal did not give out.
    LimitReached,
}

/// The trailers of a commit of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trailers {
    /// The commit that carries them.
    pub commit: CommitId,
    /// The journal that gave the sequence out.
    pub journal: String,
    /// The sequence of the intent.
    pub sequence: Sequence,
    /// The policy.
    pub policy: PolicyName,
    /// The environment.
    pub environment: EnvironmentName,
    /// The digest of each image.
    pub digests: ByImage<Digest>,
}

impl Trailers {
    /// The trailer lines, in the order in which they stand in the message.
    #[must_use]
    pub fn lines(
        journal: &str,
        sequence: Sequence,
        policy: &PolicyName,
        environment: &EnvironmentName,
        release: &Release,
    ) -> String {
        let mut lines = format!(
            "Tagrelay-Journal: {journal}/{sequence}\nTagrelay-Policy: {policy}\nTagrelay-Environment: {environment}\n"
        );
        for (name, build) in release.builds().iter() {
            lines.push_str(&format!("Tagrelay-Digest: {name}={}\n", build.digest));
        }
        lines
    }

    /// Reads the trailers of a commit message: its last paragraph, where every key that begins with `Tagrelay-` counts.
    #[must_use]
    pub fn read(commit: &CommitId, message: &str) -> Option<Self> {
        let last = message.trim_end().rsplit("\n\n").next()?;
        let (mut journal, mut policy, mut environment, mut digests) = (None, None, None, Vec::new());
        for line in last.lines() {
            let Some((key, value)) = line.split_once(": ") else { continue };
            match key {
                "Tagrelay-Journal" => journal = value.rsplit_once('/'),
                "Tagrelay-Policy" => policy = PolicyName::parse(value).ok(),
                "Tagrelay-Environment" => environment = EnvironmentName::parse(value).ok(),
                "Tagrelay-Digest" => {
                    let (image, digest) = value.split_once('=')?;
                    digests.push((ImageName::parse(image).ok()?, Digest::parse(digest).ok()?));
                }
                _ => {}
            }
        }
        let (journal, sequence) = journal?;
        let sequence = Sequence(sequence.parse().ok()?);
        Some(Self {
            commit: commit.clone(),
            journal: text::shown(journal),
            sequence,
            policy: policy?,
            environment: environment?,
            digests: digests.into_iter().collect(),
        })
    }
}
