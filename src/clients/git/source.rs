//! Where a mirror's objects come from and where its commits go: what a server (`smart.rs`) and a path (`local.rs`) both
//! can.
//!
//! It is no server's client itself.

use super::error::Fault;
use super::messages::Messages;
use git2::{Oid, Repository};

/// A remote with the objects that are known of it. All of it blocks.
pub(super) trait Source: Send + Sync {
    /// The objects that are here.
    fn repository(&self) -> Result<Repository, Fault>;

    /// Where a branch stands now; nothing where it does not exist.
    fn tip(&self, branch: &str) -> Result<Option<Oid>, Fault>;

    /// Brings a commit here that is the tip of this branch.
    fn fetch(&self, branch: &str, tip: Oid) -> Result<(), Fault>;

    /// Brings file contents here, in one request whose answer has at most so many bytes.
    fn obtain(&self, contents: &[Oid], bytes_max: u64) -> Result<(), Fault>;

    /// Brings the history of this tip so many commits deep.
    fn deepen(&self, tip: Oid, depth: u32) -> Result<(), Fault>;

    /// Our commits in the history of this tip, by their messages alone.
    fn messages(&self, tip: Oid) -> Result<Messages, Fault>;

    /// Moves a branch from `old` (zero: it does not exist) to `new`, which this pack makes complete.
    fn push(&self, branch: &str, old: Oid, new: Oid, pack: &[u8]) -> Result<Move, Fault>;

    /// Whether the remote takes pushes of these credentials; nothing is pushed.
    fn may_push(&self) -> Result<(), Fault>;

    /// Forgets all objects, for they cannot be read.
    fn forget(&self) -> Result<(), Fault>;
}

/// What became of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Move {
    /// The branch moved.
    Done,
    /// It stood elsewhere than on the old id: here, or nowhere.
    Raced(Option<Oid>),
    /// It stands on the old id and somebody else holds its lock, in these words.
    Locked(String),
}

/// The full name of a branch.
pub(super) fn reference(branch: &str) -> String {
    format!("refs/heads/{branch}")
}
