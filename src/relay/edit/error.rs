//! Why a file could not be read or edited, each case cut by what one does about it.
//!
//! It does not decide who is told or when to try again.

use super::path::PathError;
use crate::model::ImageName;

/// Why a pin could not be read, planned or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// A file that the policy names does not exist.
    #[error("{path}: no such file{hint}; correct the path in `write`, or commit the file")]
    NoFile {
        /// The path as the policy has it.
        path: String,
        /// Which names were looked for, where several are possible.
        hint: String,
    },
    /// A directory holds two kustomizations, which kustomize refuses too.
    #[error("{first} and {second} both exist; kustomize takes one, delete the other")]
    TwoKustomizations {
        /// One of them.
        first: String,
        /// The other.
        second: String,
    },
    /// The file is not YAML that both parsers read the same way, or it is past a limit.
    #[error("{file}:{line}: {why}")]
    Unreadable {
        /// The file.
        file: String,
        /// The line, counted from one.
        line: usize,
        /// What is wrong, and what to do.
        why: String,
    },
    /// Nothing stands at the place, and nothing may be added there.
    #[error("{file}: nothing at `{place}`; {there}. Correct the place, or allow it with `missing: add`")]
    NotThere {
        /// The file.
        file: String,
        /// The place as the policy has it.
        place: String,
        /// What stands there instead.
        there: String,
    },
    /// Something stands at the place that is never edited.
    #[error("{file}:{line}: `{place}` {why}")]
    Refused {
        /// The file.
        file: String,
        /// The line, counted from one.
        line: usize,
        /// The place.
        place: String,
        /// What stands there, and what to do.
        why: String,
    },
    /// SOPS signs the whole file, the values in clear text too.
    #[error(
        "{file}:{line}: SOPS signs this file (`sops.mac`): a change would break the signature, and nothing could decrypt \
         the file then. Encrypt it with `mac_only_encrypted: true`, or keep the tag in a file of its own"
    )]
    Signed {
        /// The file.
        file: String,
        /// The line of `sops`, counted from one.
        line: usize,
    },
    /// A filled digest stands beside the tag, and the chart takes that.
    #[error(
        "{file}:{line}: `{by}` stands beside `{tag}` and wins over it in common charts: write `keys: {{ tag: {tag}, \
         digest: {by} }}`, or empty it"
    )]
    Outranked {
        /// The file.
        file: String,
        /// The line of the digest, counted from one.
        line: usize,
        /// The tag that would have no effect.
        tag: String,
        /// What wins over it.
        by: String,
    },
    /// Two places of one image say different things: a person decides which is right.
    #[error("image {image}: {first} says {one}, {second} says {other}; make them say the same")]
    Disagree {
        /// The image.
        image: ImageName,
        /// Where the first stands.
        first: String,
        /// What the first says.
        one: String,
        /// Where the second stands.
        second: String,
        /// What the second says.
        other: String,
    },
    /// Two changes of one plan want different values in one place.
    #[error("{file}: `{place}` would be written twice, with different values; name it once in `write`")]
    Twice {
        /// The file.
        file: String,
        /// The place.
        place: String,
    },
    /// A place of the policy cannot hold what is to be written.
    #[error("{file}: {why}")]
    Unfit {
        /// The file.
        file: String,
        /// What does not fit, and what to change in the policy.
        why: String,
    },
    /// A path is no path.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The place no longer says what the plan expects: read again, judge again.
    #[error("{file}: `{place}` says {found}, the plan was made when it said {expected}")]
    Moved {
        /// The file.
        file: String,
        /// The place.
        place: String,
        /// What the plan expects.
        expected: String,
        /// What is there.
        found: String,
    },
    /// The edited text could not be shown to differ in the wanted places alone; nothing is written.
    #[error("{file}: the edit could not be proved ({why}); nothing was written. Edit the file by hand and report this")]
    Unproven {
        /// The file.
        file: String,
        /// What was seen.
        why: String,
    },
}
